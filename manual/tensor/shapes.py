"""The same numbers in another shape. Where nothing need be copied the output is a view of the input, and read-only.

Integers and truth values may be moved as well; these have no gradient.
"""

import math
from typing import Any

import numpy as np

from manual.arrays import read_only, sum_to_shape
from manual.contract import Array, Backward, require_axes, require_axis, require_integers, require_plain
from manual.tensor.rules import by_rules

__all__ = ["detach", "expand", "permute", "repeat", "reshape", "squeeze", "transpose", "unsqueeze"]

Dims = int | tuple[int, ...]


def reshape(x: Array, /, *, shape: tuple[int, ...]) -> tuple[Array, Backward]:
    """The same numbers, in the same order, in another shape.

    Forward:   y = x in this shape, of which one size may be −1: what the others leave
    Backward:  grad_x = grad_y in the shape of x
    Shapes:    x of any shape, y of this one, with as many elements
    """
    op = "tensor.reshape"
    require_plain(op, "x", x)
    _require_sizes(op, "shape", shape, least=-1)
    sizes = tuple(shape)
    rest = -math.prod(sizes)  # where one of them is −1, the product of the others
    unknown = sizes.count(-1)
    if unknown > 1 or (rest != -x.size if not unknown else rest < 1 or x.size % rest):
        raise ValueError(f"{op}: shape must hold {x.size} elements, with one -1 at most, got {sizes} for shape {x.shape}")
    return by_rules(op, read_only(x.reshape(sizes)), lambda g: g.copy().reshape(x.shape))


def squeeze(x: Array, /, *, dim: Dims | None = None) -> tuple[Array, Backward]:
    """Leave out axes of one element: all there are, or those among `dim`.

    Forward:   y = x without these axes
    Backward:  grad_x = grad_y in the shape of x
    Shapes:    x (..., 1, ...), y (..., ...)
    """
    require_plain("tensor.squeeze", "x", x)
    axes = range(x.ndim) if dim is None else require_axes("tensor.squeeze", x, dim)
    shape = [size for axis, size in enumerate(x.shape) if size != 1 or axis not in axes]
    return by_rules("tensor.squeeze", read_only(x.reshape(shape)), lambda g: g.copy().reshape(x.shape))


def unsqueeze(x: Array, /, *, dim: int) -> tuple[Array, Backward]:
    """Add an axis of one element, which then is axis `dim`.

    Forward:   y = x with this axis
    Backward:  grad_x = grad_y in the shape of x
    Shapes:    x (..., ...), y (..., 1, ...)
    """
    require_plain("tensor.unsqueeze", "x", x)
    dim = require_axis("tensor.unsqueeze", np.empty((1,) * (x.ndim + 1)), dim)
    return by_rules("tensor.unsqueeze", read_only(np.expand_dims(x, dim)), lambda g: g.copy().reshape(x.shape))


def transpose(x: Array, /, *, dim0: int, dim1: int) -> tuple[Array, Backward]:
    """Let two axes change places.

    Forward:   y[…, j, …, i, …] = x[…, i, …, j, …]
    Backward:  grad_x is grad_y, its axes exchanged again
    Shapes:    x (..., m, ..., n, ...), y (..., n, ..., m, ...)
    """
    op = "tensor.transpose"
    require_plain(op, "x", x)
    dim0, dim1 = require_axis(op, x, dim0, "dim0"), require_axis(op, x, dim1, "dim1")
    if not x.ndim:
        return by_rules(op, read_only(x), np.copy)
    return by_rules(op, read_only(x.swapaxes(dim0, dim1)), lambda g: g.swapaxes(dim0, dim1).copy())


def permute(x: Array, /, *, dims: tuple[int, ...]) -> tuple[Array, Backward]:
    """Bring the axes into another order.

    Forward:   axis k of y is axis dims[k] of x
    Backward:  axis dims[k] of grad_x is axis k of grad_y
    Shapes:    x (...), y with the sizes of x in this order
    """
    op = "tensor.permute"
    require_plain(op, "x", x)
    _require_sizes(op, "dims", dims)
    sizes = tuple(dims)
    if len(sizes) != x.ndim:
        raise ValueError(f"{op}: dims must name each of {x.ndim} axes, got {sizes}")
    axes = require_axes(op, x, sizes, "dims")
    return by_rules(op, read_only(x.transpose(axes)), lambda g: g.transpose(np.argsort(axes)).copy())


def expand(x: Array, /, *, size: tuple[int, ...]) -> tuple[Array, Backward]:
    """Repeat the only element of an axis, and add axes in front, without a copy.

    Forward:   y = x, repeated; −1 leaves an axis as it is
    Backward:  grad_x = Σ grad_y over what was repeated
    Shapes:    x (..., 1, ...), y of this size
    """
    op = "tensor.expand"
    require_plain(op, "x", x)
    _require_sizes(op, "size", size, least=-1)
    sizes = tuple(size)
    added = len(sizes) - x.ndim
    if added < 0 or -1 in sizes[:added]:
        raise ValueError(
            f"{op}: size must have a number for each of {x.ndim} axes, and those in front of them none of -1, got {sizes}"
        )
    shape = sizes[:added] + tuple([own if each == -1 else each for each, own in zip(sizes[added:], x.shape)])
    if any(own not in (1, each) for each, own in zip(shape[added:], x.shape)):
        raise ValueError(f"{op}: size must be that of each axis of more than one element, got {sizes} for shape {x.shape}")
    return by_rules(op, read_only(np.broadcast_to(x, shape)), lambda g: sum_to_shape(g.copy(), x.shape))


def repeat(x: Array, /, *, repeats: tuple[int, ...]) -> tuple[Array, Backward]:
    """Lay copies side by side, so many along each axis; there may be more axes than x has, in front.

    Forward:   y[…, i + k n, …] = x[…, i, …],  0 ≤ i < n,  0 ≤ k < r
    Backward:  grad_x = Σₖ grad_y[…, i + k n, …]
    Shapes:    x (..., n, ...), y (..., r · n, ...)
    """
    op = "tensor.repeat"
    require_plain(op, "x", x)
    _require_sizes(op, "repeats", repeats, least=0)
    times = tuple(repeats)
    if len(times) < x.ndim:
        raise ValueError(f"{op}: repeats must have a number for each of {x.ndim} axes, got {times}")
    shape = (1,) * (len(times) - x.ndim) + x.shape
    split = [size for pair in zip(times, shape) for size in pair]
    copies = tuple(range(0, len(split), 2))
    return by_rules(op, np.tile(x, times), lambda g: np.asarray(np.add.reduce(g.reshape(split), axis=copies)).reshape(x.shape))


def detach(x: Array, /) -> tuple[Array, Backward]:
    """The same numbers, to which no gradient goes back.

    Forward:   y = x
    Backward:  there is none: grad_x is None
    Shapes:    x, y (...)
    """
    require_plain("tensor.detach", "x", x)
    return by_rules("tensor.detach", read_only(x), None)


def _require_sizes(op: str, name: str, sizes: Any, least: int | None = None) -> None:
    """Refuse what is no tuple of integers, which may be of any length."""
    if not isinstance(sizes, (tuple, list)):
        raise TypeError(f"{op}: {name} must be a tuple of integers, got {sizes!r}")
    require_integers(op, name, sizes, len(sizes), least, stretch=False)
