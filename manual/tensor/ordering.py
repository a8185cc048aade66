"""The largest and the smallest, where they stand, and all in order.

What is picked keeps its place: its gradient goes there. Places are int64, as in torch, and have no gradient.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.arrays import sealed
from manual.contract import (
    Array,
    Backward,
    cotangents,
    needed,
    require_axis,
    require_flags,
    require_floats,
    require_integer,
)
from manual.tensor.rules import axes_of, by_rules

__all__ = ["amax", "amin", "argmax", "argmin", "max", "min", "sort", "topk"]

Dims = int | tuple[int, ...]


def max(x: Array, /, *, dim: int | None = None, keepdim: bool = False) -> tuple[Any, Backward]:
    """The largest element; along an axis, also where it stands.

    Forward:   y = max(x), NaN where there is one;  with `dim`, (y, i) with y = xᵢ along it
    Backward:  grad_x = grad_y at the largest, 0 elsewhere
    Shapes:    without `dim` y is a number; with it y, i lack this axis, or have one element of it with `keepdim`
    Kinks:     of those that tie, with `dim` the first gets the gradient; without, they share it equally
    """
    return _extreme("tensor.max", np.argmax, x, dim, keepdim)


def min(x: Array, /, *, dim: int | None = None, keepdim: bool = False) -> tuple[Any, Backward]:
    """The smallest element; along an axis, also where it stands.

    Forward:   y = min(x), NaN where there is one;  with `dim`, (y, i) with y = xᵢ along it
    Backward:  grad_x = grad_y at the smallest, 0 elsewhere
    Shapes:    without `dim` y is a number; with it y, i lack this axis, or have one element of it with `keepdim`
    Kinks:     of those that tie, with `dim` the first gets the gradient; without, they share it equally
    """
    return _extreme("tensor.min", np.argmin, x, dim, keepdim)


def _extreme(op: str, place: Callable[..., Any], x: Array, dim: int | None, keepdim: bool) -> tuple[Any, Backward]:
    require_floats(op, "x", x)
    require_flags(op, keepdim=keepdim)
    if dim is None:
        if keepdim:
            raise ValueError(f"{op}: keepdim must be False without dim")
        _require_some(op, x, tuple(range(x.ndim)))
        y = sealed(np.asarray(x.reshape(-1)[place(x)]))
        return by_rules(op, y, lambda g: _shared(g, np.isnan(x) if np.isnan(y) else x == y, None))
    axis = require_axis(op, x, dim) % (x.ndim or 1)
    _require_some(op, x, (axis,)[: x.ndim])
    return _picked(op, x, np.expand_dims(place(x, axis=axis), axis), axis, drop=not keepdim)


def _picked(op: str, x: Array, places: Array, axis: int, drop: bool = False) -> tuple[tuple[Array, Array], Backward]:
    """What stands at these places along an axis, and the places; `drop` leaves out the axis, of which there is one element."""
    values = np.take_along_axis(np.atleast_1d(x), places, axis)
    shape = () if not x.ndim else values.shape[:axis] + values.shape[axis + 1 :] if drop else values.shape
    output = values.reshape(shape), places.astype(np.int64).reshape(shape)

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        g, _ = cotangents(op, grad_output, output)
        if not need:
            return (None,)
        grad = np.zeros(x.shape or (1,), x.dtype)
        np.put_along_axis(grad, places, g.reshape(places.shape), axis)
        return (grad.reshape(x.shape),)

    return output, backward


def amax(x: Array, /, *, dim: Dims = (), keepdim: bool = False) -> tuple[Array, Backward]:
    """The largest element along several axes.

    Forward:   y = max(x), NaN where there is one
    Backward:  grad_x = grad_y at the largest, 0 elsewhere
    Shapes:    x (...), y without the axes `dim`, of which `keepdim` leaves one element; () means all
    Kinks:     those that tie share the gradient equally; where y is NaN, so is the gradient
    """
    return _extreme_of_several("tensor.amax", np.maximum, x, dim, keepdim)


def amin(x: Array, /, *, dim: Dims = (), keepdim: bool = False) -> tuple[Array, Backward]:
    """The smallest element along several axes.

    Forward:   y = min(x), NaN where there is one
    Backward:  grad_x = grad_y at the smallest, 0 elsewhere
    Shapes:    x (...), y without the axes `dim`, of which `keepdim` leaves one element; () means all
    Kinks:     those that tie share the gradient equally; where y is NaN, so is the gradient
    """
    return _extreme_of_several("tensor.amin", np.minimum, x, dim, keepdim)


def _extreme_of_several(op: str, of_two: np.ufunc, x: Array, dim: Any, keepdim: bool) -> tuple[Array, Backward]:
    require_floats(op, "x", x)
    require_flags(op, keepdim=keepdim)
    axes = axes_of(op, x, dim)
    _require_some(op, x, axes)
    kept = np.asarray(of_two.reduce(x, axis=axes, keepdims=True))
    y = kept if keepdim else kept.reshape([size for axis, size in enumerate(x.shape) if axis not in axes])
    return by_rules(op, y.copy(), lambda g: _shared(g.reshape(kept.shape), x == kept, axes))


def _shared(g: Array, mask: Array, axes: Any) -> Array:
    """A gradient in equal parts for all that tie."""
    count = np.add.reduce(mask, axis=axes, keepdims=True, dtype=g.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):  # of NaN none
        return mask * (g / count)


def _require_some(op: str, x: Array, axes: tuple[int, ...]) -> None:
    if any(not x.shape[axis] for axis in axes):
        raise ValueError(f"{op}: x must have at least one element along dim, got shape {x.shape}")


def argmax(x: Array, /, *, dim: int | None = None, keepdim: bool = False) -> tuple[Array, Backward]:
    """Where the largest element stands; of several the first, NaN before all.

    Forward:   i with xᵢ = max(x); without `dim` counted as in one line
    Backward:  there is none to have, as i holds integers: grad_i is None, and so is grad_x
    Shapes:    x (...), i without the axis `dim`, of which `keepdim` leaves one element; no `dim` means all
    """
    return _place("tensor.argmax", np.argmax, x, dim, keepdim)


def argmin(x: Array, /, *, dim: int | None = None, keepdim: bool = False) -> tuple[Array, Backward]:
    """Where the smallest element stands; of several the first, NaN before all.

    Forward:   i with xᵢ = min(x); without `dim` counted as in one line
    Backward:  there is none to have, as i holds integers: grad_i is None, and so is grad_x
    Shapes:    x (...), i without the axis `dim`, of which `keepdim` leaves one element; no `dim` means all
    """
    return _place("tensor.argmin", np.argmin, x, dim, keepdim)


def _place(op: str, place: Callable[..., Any], x: Array, dim: int | None, keepdim: bool) -> tuple[Array, Backward]:
    require_floats(op, "x", x)
    require_flags(op, keepdim=keepdim)
    axis = None if dim is None else require_axis(op, x, dim)
    _require_some(op, x, tuple(range(x.ndim)) if axis is None else (axis,)[: x.ndim])
    return by_rules(op, np.asarray(place(x, axis=axis if x.ndim else None, keepdims=keepdim), np.int64), None)


def sort(x: Array, /, *, dim: int = -1, descending: bool = False, stable: bool = False) -> tuple[tuple[Array, Array], Backward]:
    """Bring the elements along an axis into order. Those that are equal keep theirs, `stable` or not; NaN counts as the largest.

    Forward:   y₁ ≤ y₂ ≤ …, or where `descending` y₁ ≥ y₂ ≥ …;  y = x[i]
    Backward:  grad_x[i] = grad_y
    Shapes:    x, y, i (...)
    """
    op = "tensor.sort"
    require_floats(op, "x", x)
    axis = require_axis(op, x, dim)
    require_flags(op, descending=descending, stable=stable)
    return _picked(op, x, _order(x, axis, descending), axis)


def topk(x: Array, /, *, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[tuple[Array, Array], Backward]:
    """The k largest elements along an axis, or the smallest, and where they stand. They come in order, `sorted` or not.

    Forward:   y₁ ≥ y₂ ≥ … ≥ yₖ, or unless `largest` y₁ ≤ y₂ ≤ … ≤ yₖ;  y = x[i]
    Backward:  grad_x[i] = grad_y, 0 elsewhere
    Shapes:    x (..., n, ...), y, i (..., k, ...); NaN counts as the largest, and of those that tie come the first
    """
    op = "tensor.topk"
    require_floats(op, "x", x)
    axis = require_axis(op, x, dim)
    require_integer(op, "k", k, least=0 if x.ndim else 1)
    require_flags(op, largest=largest, sorted=sorted)
    count = x.shape[axis] if x.ndim else 1
    if k > count:
        raise ValueError(f"{op}: k must be at most {count}, the elements along dim, got {k}")
    return _picked(op, x, _order(x, axis, largest).take(range(k), axis), axis)


def _order(x: Array, axis: int, descending: bool) -> Array:
    """The places of the elements in order; those that are equal keep theirs."""
    lines = np.atleast_1d(x)
    if not descending:
        return np.argsort(lines, axis, stable=True)
    backwards = np.argsort(np.flip(lines, axis), axis, stable=True)
    return np.flip(lines.shape[axis] - 1 - backwards, axis)
