"""The same numbers in another order, and triangles of matrices."""

from typing import Any

import numpy as np

from manual.contract import Array, Backward, require_axes, require_axis, require_integer, require_integers, require_plain
from manual.tensor.rules import by_rules

__all__ = ["flip", "roll", "tril", "triu"]

Dims = int | tuple[int, ...]


def flip(x: Array, /, *, dims: Dims) -> tuple[Array, Backward]:
    """Reverse the order along axes.

    Forward:   y[…, i, …] = x[…, n − 1 − i, …]
    Backward:  grad_x is grad_y, reversed again
    Shapes:    x, y (...)
    """
    require_plain("tensor.flip", "x", x)
    axes = require_axes("tensor.flip", x, dims, "dims")[: x.ndim]
    return by_rules("tensor.flip", np.flip(x, axes).copy(), lambda g: np.flip(g, axes).copy())


def roll(x: Array, /, *, shifts: Dims, dims: Dims = ()) -> tuple[Array, Backward]:
    """Move the elements along axes, those that leave at the end to the start.

    Forward:   y[…, (i + s) mod n, …] = x[…, i, …]      (s = shifts)
    Backward:  grad_x is grad_y, moved back
    Shapes:    x, y (...); without `dims` x counts as one line
    """
    op = "tensor.roll"
    require_plain(op, "x", x)
    by = list(shifts) if isinstance(shifts, (tuple, list)) else [shifts]
    axes = list(dims) if isinstance(dims, (tuple, list)) else [dims]
    require_integers(op, "shifts", by, len(by), stretch=False)
    for axis in axes:
        require_axis(op, x, axis, "dims")
    if len(by) != max(len(axes), 1):
        raise ValueError(f"{op}: shifts must be as many as dims, got {shifts} and {dims}")
    if axes and not x.ndim:
        raise ValueError(f"{op}: dims must be () for a single number, got {dims}")
    back = [-shift for shift in by]
    return by_rules(op, np.roll(x, by, axes or None), lambda g: np.roll(g, back, axes or None))


def tril(x: Array, /, *, diagonal: int = 0) -> tuple[Array, Backward]:
    """The lower triangle of matrices, with zeros above it.

    Forward:   yᵢⱼ = xᵢⱼ for j ≤ i + d, else 0      (d = diagonal)
    Backward:  grad_x is the lower triangle of grad_y
    Shapes:    x, y (..., M, N)
    """
    _require_matrices("tensor.tril", x)
    require_integer("tensor.tril", "diagonal", diagonal)
    return by_rules("tensor.tril", np.tril(x, diagonal), lambda g: np.tril(g, diagonal))


def triu(x: Array, /, *, diagonal: int = 0) -> tuple[Array, Backward]:
    """The upper triangle of matrices, with zeros below it.

    Forward:   yᵢⱼ = xᵢⱼ for j ≥ i + d, else 0      (d = diagonal)
    Backward:  grad_x is the upper triangle of grad_y
    Shapes:    x, y (..., M, N)
    """
    _require_matrices("tensor.triu", x)
    require_integer("tensor.triu", "diagonal", diagonal)
    return by_rules("tensor.triu", np.triu(x, diagonal), lambda g: np.triu(g, diagonal))


def _require_matrices(op: str, x: Any) -> None:
    require_plain(op, "x", x)
    if x.ndim < 2:
        raise ValueError(f"{op}: x must have at least two axes, got shape {x.shape}")
