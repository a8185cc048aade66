"""Arrays joined to one, and one taken apart. The parts are views of the input, and read-only."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from manual.arrays import read_only
from manual.contract import (
    Array,
    Backward,
    cotangent,
    cotangents,
    needed,
    no_cotangent,
    require_axis,
    require_integer,
    require_integers,
    require_plain,
)

__all__ = ["cat", "chunk", "split", "stack", "unbind"]


def cat(tensors: Sequence[Array], /, *, dim: int = 0) -> tuple[Array, Backward]:
    """Lay arrays one behind the other along an axis.

    Forward:   y = x₁, x₂, … one behind the other
    Backward:  grad_xₖ is the part of grad_y where xₖ lies
    Shapes:    x₁ (..., n₁, ...), x₂ (..., n₂, ...), y (..., n₁ + n₂ + …, ...); an array of shape (0) counts as nothing
    """
    op = "tensor.cat"
    _require_list(op, tensors)
    full = [x for x in tensors if x.shape != (0,)] or list(tensors)
    if not full[0].ndim:
        raise ValueError(f"{op}: tensors must have at least one axis, got a single number")
    axis = require_axis(op, full[0], dim) % full[0].ndim
    rest = {(x.ndim, x.shape[:axis], x.shape[axis + 1 :]) for x in full}
    if len(rest) != 1:
        raise ValueError(
            f"{op}: tensors must differ in shape along dim {dim} alone, got {', '.join(str(x.shape) for x in tensors)}"
        )
    sizes = [x.shape[axis] if x.ndim == full[0].ndim else 0 for x in tensors]
    return _joined(op, np.concatenate(full, axis), tensors, sizes, axis)


def stack(tensors: Sequence[Array], /, *, dim: int = 0) -> tuple[Array, Backward]:
    """Lay arrays of one shape side by side, along a new axis.

    Forward:   y[…, k, …] = xₖ
    Backward:  grad_xₖ = grad_y[…, k, …]
    Shapes:    x₁, x₂, … (..., ...), y (..., K, ...), of which the new axis is axis `dim`
    """
    op = "tensor.stack"
    _require_list(op, tensors)
    shapes = {x.shape for x in tensors}
    if len(shapes) != 1:
        raise ValueError(f"{op}: tensors must have one shape, got {', '.join(str(x.shape) for x in tensors)}")
    ndim = tensors[0].ndim + 1
    axis = require_axis(op, np.empty((1,) * ndim), dim) % ndim
    return _joined(op, np.stack(tensors, axis), tensors, [1] * len(tensors), axis)


def _joined(op: str, output: Array, tensors: Sequence[Array], sizes: list[int], axis: int) -> tuple[Array, Backward]:
    """The output, and a backward that gives each array its part, so long along this axis."""
    shape, dtype = output.shape, output.dtype
    as_given: Any = type(tensors)  # a list or a tuple

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        if dtype.kind != "f":
            no_cotangent(op, grad_output)
            return (as_given([None] * len(tensors)) if need else None,)
        g = cotangent(op, grad_output, shape, dtype)
        if not need:
            return (None,)
        return (as_given([part.copy().reshape(x.shape) for part, x in zip(_parts(g, sizes, axis), tensors)]),)

    return output, backward


def split(x: Array, /, *, split_size_or_sections: int | tuple[int, ...], dim: int = 0) -> tuple[tuple[Array, ...], Backward]:
    """Cut an array along an axis: into parts of one size, of which the last may be smaller, or of the sizes given.

    Forward:   y₁, y₂, … = x, cut
    Backward:  grad_x = grad_y₁, grad_y₂, … one behind the other
    Shapes:    x (..., n₁ + n₂ + …, ...), y₁ (..., n₁, ...), y₂ (..., n₂, ...), …
    """
    op = "tensor.split"
    axis, n = _require_cut(op, x, dim)
    if isinstance(split_size_or_sections, (tuple, list)):
        sizes = list(split_size_or_sections)
        require_integers(op, "split_size_or_sections", sizes, len(sizes), least=0, stretch=False)
        if not sizes or sum(sizes) != n:
            raise ValueError(f"{op}: split_size_or_sections must add up to {n}, the size along dim, got {split_size_or_sections}")
        return _cut(op, x, sizes, axis)
    require_integer(op, "split_size_or_sections", split_size_or_sections, least=1 if n else 0)
    return _cut(op, x, _equal(n, split_size_or_sections), axis)


def chunk(x: Array, /, *, chunks: int, dim: int = 0) -> tuple[tuple[Array, ...], Backward]:
    """Cut an array along an axis into so many parts, or fewer where they would be of less than one element.

    Forward:   y₁, y₂, … = x, cut
    Backward:  grad_x = grad_y₁, grad_y₂, … one behind the other
    Shapes:    x (..., n, ...), yₖ (..., ⌈n / chunks⌉, ...), the last of what is left
    """
    op = "tensor.chunk"
    axis, n = _require_cut(op, x, dim)
    require_integer(op, "chunks", chunks, least=1)
    return _cut(op, x, _equal(n, -(-n // chunks)) if n else [0] * chunks, axis)


def unbind(x: Array, /, *, dim: int = 0) -> tuple[tuple[Array, ...], Backward]:
    """Take an array apart along an axis.

    Forward:   yₖ = x[…, k, …]
    Backward:  grad_x[…, k, …] = grad_yₖ
    Shapes:    x (..., K, ...), y₁, …, y_K (..., ...)
    """
    op = "tensor.unbind"
    axis, n = _require_cut(op, x, dim)
    return _cut(op, x, [1] * n, axis, drop=True)


def _require_cut(op: str, x: Array, dim: int) -> tuple[int, int]:
    """The axis along which to cut, and its size."""
    require_plain(op, "x", x)
    if not x.ndim:
        raise ValueError(f"{op}: x must have at least one axis, got a single number")
    axis = require_axis(op, x, dim) % x.ndim
    return axis, x.shape[axis]


def _equal(n: int, size: int) -> list[int]:
    """The sizes of equal parts, of which the last ends where the array ends."""
    return [size] * -(-n // size) if n else [0]


def _cut(op: str, x: Array, sizes: list[int], axis: int, drop: bool = False) -> tuple[tuple[Array, ...], Backward]:
    """The parts of these sizes, without this axis where all are of one element and that is to `drop`."""
    output = tuple([read_only(part.squeeze(axis) if drop else part) for part in _parts(x, sizes, axis)])

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        grads = cotangents(op, grad_output, output)
        if not need or x.dtype.kind != "f":
            return (None,)
        if not grads:
            return (np.zeros_like(x),)
        return (np.stack(grads, axis) if drop else np.concatenate(grads, axis),)

    return output, backward


def _parts(x: Array, sizes: list[int], axis: int) -> list[Array]:
    """Views of the parts of these sizes along an axis."""
    ends = list(accumulate(sizes))
    before = (slice(None),) * axis
    return [x[(*before, slice(end - size, end))] for size, end in zip(sizes, ends)]


def _require_list(op: str, tensors: Any) -> None:
    if not isinstance(tensors, (list, tuple)) or not tensors:
        raise TypeError(f"{op}: tensors must be a list of NumPy arrays, got {tensors!r}")
    require_plain(op, " ".join(f"tensors[{k}]" for k in range(len(tensors))), *tensors)
