"""Picking elements by their places, and adding to them.

Where an operation takes elements from, the same operation says when it is applied to their numbers 0, 1, 2, …: so a backward adds
each element of the gradient at the place of that number, several at one place where the element was taken several times.
"""

from types import EllipsisType
from typing import Any

import numpy as np

from manual.arrays import largest, read_only, smallest
from manual.contract import Array, Backward, require_axis, require_floats, require_indices, require_integer, require_plain
from manual.tensor.rules import by_rules

__all__ = ["gather", "index", "index_select", "narrow", "scatter_add", "select"]

Item = int | slice | EllipsisType | None | Array
Items = Item | tuple[Item, ...]


def index(x: Array, /, *, index: Items) -> tuple[Array, Backward]:
    """What stands in brackets behind an array: x[index].

    Forward:   y = x[index]: an integer takes one element of an axis, a slice a range of them, None adds an axis, an Ellipsis ...
               stands for all axes that are not named, an array of integers takes these, one of truth values those where it is true
    Backward:  grad_x = Σ grad_y wherever an element was taken, 0 elsewhere
    Shapes:    x (...); several arrays broadcast to one another; the axes of y to which they lead stand where the first of them
               stood, or in front of all if something else stands between them
    """
    basic, advanced = _items("tensor.index", x, index)
    try:
        if advanced is None:
            return _part("tensor.index", x, basic)
        output = x[basic][advanced]
    except IndexError as error:
        raise ValueError(f"tensor.index: index must lie within shape {x.shape}: {error}") from None
    return by_rules("tensor.index", output, lambda g: _added_at(_numbers(x)[basic][advanced], g, x))


def _items(op: str, x: Array, index: Any) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """The index in two steps, as torch takes them: integers, slices and new axes first, then the arrays, if there are any."""
    require_plain(op, "x", x)
    items = [_item(op, each) for each in (index if isinstance(index, tuple) else (index,))]
    counts = [_axes_of(each) for each in items]
    rest = x.ndim - int(np.add.reduce(counts, dtype=int))
    if rest < 0 or len([each for each in items if each is ...]) > 1:
        raise ValueError(f"{op}: index must name at most {x.ndim} axes, with one Ellipsis at most, got {index!r}")
    basic: list[Any] = []
    advanced: list[Any] = []
    for each, count in zip(items, counts):
        if each is ...:
            basic += [slice(None)] * rest
            advanced += [slice(None)] * rest
        elif isinstance(each, np.ndarray):
            basic += [slice(None)] * count
            advanced.append(each)
        else:
            basic.append(each)
            advanced += [slice(None)] * (not isinstance(each, int))
    return tuple(basic), tuple(advanced) if any(isinstance(each, np.ndarray) for each in advanced) else None


def _axes_of(item: Any) -> int:
    """How many axes of x an item takes."""
    if item is None or item is ...:
        return 0
    return item.ndim if isinstance(item, np.ndarray) and item.dtype == bool else 1


def _item(op: str, item: Any) -> Any:
    """An item of an index: arrays of no axes become integers, lists arrays."""
    if item is None or item is ...:
        return item
    if isinstance(item, slice):
        for part in (item.start, item.stop, item.step):
            if part is not None:
                require_integer(op, "index", part)
        if item.step is not None and item.step < 1:
            raise ValueError(f"{op}: index must have slices with steps of at least 1, got {item}")
        return item
    if isinstance(item, list):
        item = np.asarray(item, None if item else int)
    if isinstance(item, np.ndarray) and item.dtype.kind in "biu" and item.dtype != np.uint8 and (item.ndim or item.dtype != bool):
        return item if item.ndim else int(item)
    if isinstance(item, np.ndarray):
        raise TypeError(f"{op}: index must hold integers or truth values in its arrays (of uint8 neither), got {item.dtype}")
    return require_integer(op, "index", item)


def select(x: Array, /, *, dim: int, index: int) -> tuple[Array, Backward]:
    """One element of an axis.

    Forward:   y = x[…, i, …]      (i = index)
    Backward:  grad_x[…, i, …] = grad_y, 0 elsewhere
    Shapes:    x (..., n, ...), y (..., ...)
    """
    op = "tensor.select"
    axis = _axis(op, x, dim)
    require_integer(op, "index", index)
    if not -x.shape[axis] <= index < x.shape[axis]:
        raise ValueError(f"{op}: index must lie in [{-x.shape[axis]}, {x.shape[axis] - 1}] for shape {x.shape}, got {index}")
    return _part(op, x, (*(slice(None),) * axis, index))


def narrow(x: Array, /, *, dim: int, start: int, length: int) -> tuple[Array, Backward]:
    """A range of an axis.

    Forward:   y = x[…, start : start + length, …]; a negative start counts from the end
    Backward:  grad_x[…, start : start + length, …] = grad_y, 0 elsewhere
    Shapes:    x (..., n, ...), y (..., length, ...)
    """
    op = "tensor.narrow"
    axis = _axis(op, x, dim)
    n = x.shape[axis]
    require_integer(op, "start", start)
    require_integer(op, "length", length, least=0)
    first = start + n if start < 0 else start
    if not 0 <= first <= n:
        raise ValueError(f"{op}: start must lie in [{-n}, {n}] for shape {x.shape}, got {start}")
    if first + length > n:
        raise ValueError(f"{op}: length must be at most {n - first} from {start} on for shape {x.shape}, got {length}")
    return _part(op, x, (*(slice(None),) * axis, slice(first, first + length)))


def _axis(op: str, x: Array, dim: int) -> int:
    require_plain(op, "x", x)
    if not x.ndim:
        raise ValueError(f"{op}: x must have at least one axis, got a single number")
    return require_axis(op, x, dim) % x.ndim


def _part(op: str, x: Array, index: tuple[Any, ...]) -> tuple[Array, Backward]:
    """The part of x that integers, slices and new axes tell."""

    def grad_x(g):
        grad = np.zeros(x.shape, x.dtype)
        grad[index] = g
        return grad

    return by_rules(op, read_only(x[(*index, ...)]), grad_x)


def index_select(x: Array, index: Array, /, *, dim: int) -> tuple[Array, Backward]:
    """The elements of an axis that are named, in this order, some perhaps several times.

    Forward:   y[…, k, …] = x[…, index[k], …]
    Backward:  grad_x[…, i, …] = Σ grad_y[…, k, …] over all k with index[k] = i
    Shapes:    x (..., n, ...), index (K) of integers from 0, or a single one, y (..., K, ...)
    """
    op = "tensor.index_select"
    require_plain(op, "x", x)
    axis = require_axis(op, x, dim)
    lines = np.atleast_1d(x)
    _require_places(op, index, lines.shape[axis])
    if index.ndim > 1 or not (x.ndim or index.size == 1):
        raise ValueError(
            f"{op}: index must have one axis, and one element for a single number, got {index.shape} for shape {x.shape}"
        )
    places = np.atleast_1d(index)
    output = lines.take(places, axis)
    return by_rules(
        op, output if x.ndim else output.reshape(()), lambda g: _added_at(_numbers(lines).take(places, axis), g, x), None
    )


def gather(x: Array, index: Array, /, *, dim: int) -> tuple[Array, Backward]:
    """Take along an axis, at each place another element.

    Forward:   y[…, k, …] = x[…, index[…, k, …], …]
    Backward:  grad_x[…, i, …] = Σ grad_y[…, k, …] over all k with index[…, k, …] = i
    Shapes:    x (..., n, ...), index (..., K, ...) of integers from 0, y (..., K, ...); along the other axes index may be smaller
    """
    op = "tensor.gather"
    require_plain(op, "x", x)
    lines, places, axis, within = _alongside(op, x, index, dim)
    output = np.take_along_axis(lines[within], places, axis).reshape(index.shape)
    return by_rules(op, output, lambda g: _added_at(np.take_along_axis(_numbers(lines)[within], places, axis), g, x), None)


def scatter_add(x: Array, index: Array, src: Array, /, *, dim: int) -> tuple[Array, Backward]:
    """Add along an axis, each element at a place of its own, or several at one.

    Forward:   y[…, i, …] = x[…, i, …] + Σ src[…, k, …] over all k with index[…, k, …] = i
    Backward:  grad_x = grad_y,  grad_src[…, k, …] = grad_y[…, index[…, k, …], …]
    Shapes:    x, y (..., n, ...), index (..., K, ...) of integers from 0, src at least as large as index
    """
    op = "tensor.scatter_add"
    require_floats(op, "x src", x, src)
    lines, places, axis, within = _alongside(op, x, index, dim)
    parts = np.atleast_1d(src)
    if parts.ndim != places.ndim or any(size > most for size, most in zip(places.shape, parts.shape)):
        raise ValueError(f"{op}: src must be at least as large as index along each axis, got {src.shape} and {index.shape}")
    of_src = tuple(map(slice, places.shape))
    targets = np.take_along_axis(_numbers(lines)[within], places, axis)

    def grad_src(g):
        grad = np.zeros(parts.shape, x.dtype)
        grad[of_src] = g.reshape(-1)[targets]
        return grad.reshape(src.shape)

    return by_rules(op, x + _added_at(targets, parts[of_src], x), np.copy, None, grad_src)


def _alongside(op: str, x: Array, index: Array, dim: int) -> tuple[Array, Array, int, tuple[slice, ...]]:
    """Both x and index with one axis at least, the axis along which to go, and the part of x beside index."""
    axis = require_axis(op, x, dim) % max(x.ndim, 1)
    lines = np.atleast_1d(x)
    _require_places(op, index, lines.shape[axis])
    places = np.atleast_1d(index)
    within = tuple([slice(None) if each == axis else slice(size) for each, size in enumerate(places.shape)])
    if places.ndim != lines.ndim or any(
        size > most for each, (size, most) in enumerate(zip(places.shape, lines.shape)) if each != axis
    ):
        raise ValueError(f"{op}: index must have as many axes as x, none larger but dim, got {index.shape} for shape {x.shape}")
    return lines, places, axis, within


def _require_places(op: str, index: Any, count: int) -> None:
    require_indices(op, "index", index)
    if smallest(index) < 0 or largest(index) >= count:
        raise ValueError(f"{op}: index must hold integers from 0 to {count - 1}, got {smallest(index)} to {largest(index)}")


def _numbers(x: Array) -> Array:
    """The elements of an array, counted."""
    return np.arange(x.size).reshape(x.shape)


def _added_at(places: Array, g: Array, x: Array) -> Array:
    """Zeros of the shape of x, to which g is added at these places, each counted as in one line."""
    sums = np.bincount(places.reshape(-1), g.reshape(-1), x.size)
    return sums.astype(x.dtype, copy=False).reshape(x.shape)
