"""Sums and what is made of them, over one axis, several or all."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.activations.normalized import places_of_largest
from manual.arrays import row_sums
from manual.contract import (
    Array,
    Backward,
    require_axes,
    require_axis,
    require_choice,
    require_dtype,
    require_flags,
    require_floats,
    require_number,
)
from manual.layers import distance
from manual.rows import by_rows
from manual.tensor.rules import axes_of, by_rules

__all__ = ["cumsum", "logsumexp", "mean", "norm", "prod", "std", "sum", "var"]

Dims = int | tuple[int, ...]


def sum(x: Array, /, *, dim: Dims | None = None, keepdim: bool = False, dtype: DTypeLike | None = None) -> tuple[Array, Backward]:
    """The sum.

    Forward:   y = Σ x
    Backward:  grad_x = grad_y, for each term
    Shapes:    x (...), y without the axes `dim`, of which `keepdim` leaves one element; no `dim` means all.
               With `dtype`, x is cast to it first; grad_x has the dtype of x
    """
    terms, axes, spread = _reduced("tensor.sum", x, dim, keepdim, dtype)
    y = np.add.reduce(terms, axis=axes)
    return by_rules("tensor.sum", _kept(y, axes, keepdim), lambda g: spread(g).astype(x.dtype))


def mean(x: Array, /, *, dim: Dims | None = None, keepdim: bool = False, dtype: DTypeLike | None = None) -> tuple[Array, Backward]:
    """The mean of n numbers; of none it is NaN.

    Forward:   y = Σ x / n
    Backward:  grad_x = grad_y / n, for each term
    Shapes:    as in `sum`
    """
    terms, axes, spread = _reduced("tensor.mean", x, dim, keepdim, dtype)
    n = _count(x, axes) or math.nan
    y = np.add.reduce(terms, axis=axes) / n
    return by_rules("tensor.mean", _kept(y, axes, keepdim), lambda g: spread(g / n).astype(x.dtype))


def prod(x: Array, /, *, dim: int | None = None, keepdim: bool = False, dtype: DTypeLike | None = None) -> tuple[Array, Backward]:
    """The product.

    Forward:   y = Π xᵢ
    Backward:  grad_xᵢ = grad_y · Πⱼ xⱼ (j ≠ i): what stands before i times what stands behind it, right where some x are 0 too
    Shapes:    as in `sum`, but with one axis or all
    """
    require_floats("tensor.prod", "x", x)
    if dim is not None:
        require_axis("tensor.prod", x, dim)
    factors, axes, spread = _reduced("tensor.prod", x, dim, keepdim, dtype)
    y = np.multiply.reduce(factors, axis=axes)

    def grad_x(g):
        lines, back = _lines(factors, axes)
        others = np.ones_like(lines)
        np.multiply.accumulate(lines[..., :-1], axis=-1, out=others[..., 1:])
        others[..., :-1] *= np.multiply.accumulate(lines[..., :0:-1], axis=-1)[..., ::-1]
        return (back(others) * spread(g)).astype(x.dtype)

    return by_rules("tensor.prod", _kept(y, axes, keepdim), grad_x)


def var(x: Array, /, *, dim: Dims | None = None, correction: float = 1, keepdim: bool = False) -> tuple[Array, Backward]:
    """The variance of n numbers, by default that of the population from which they are drawn.

    Forward:   y = Σ (x − mean(x))² / (n − c)      (c = correction)
    Backward:  grad_x = grad_y · 2 (x − mean(x)) / (n − c)
    Shapes:    x (...), y without the axes `dim`, of which `keepdim` leaves one element; no `dim` means all
    Corners:   where n ≤ c, y is NaN or ∞, and so is grad_x
    """
    y, slope, spread = _variance("tensor.var", x, dim, correction, keepdim)
    return by_rules("tensor.var", y, lambda g: spread(g) * slope())


def std(x: Array, /, *, dim: Dims | None = None, correction: float = 1, keepdim: bool = False) -> tuple[Array, Backward]:
    """The standard deviation, the square root of the variance.

    Forward:   y = √var(x)
    Backward:  grad_x = grad_y · (x − mean(x)) / ((n − c) y)      (c = correction)
    Shapes:    as in `var`
    Kinks:     of equal numbers the gradient is 0
    """
    variance, slope, spread = _variance("tensor.std", x, dim, correction, keepdim)
    y = np.asarray(np.sqrt(variance))
    y.flags.writeable = False

    def grad_x(g):
        with np.errstate(divide="ignore", invalid="ignore"):
            return spread(np.where(y == 0, 0, g / (2 * y))) * slope()

    return by_rules("tensor.std", y, grad_x)


def _variance(op: str, x: Array, dim: Dims | None, correction: float, keepdim: bool) -> tuple[Array, Callable[[], Array], Any]:
    """The variance, what makes its slope, and what repeats a number for each term.

    A mean is rounded as the numbers are, by far too much where these are large beside their spread. So the mean of what is left
    when it was subtracted, zero in exact arithmetic, is subtracted as well.
    """
    correction = require_number(op, "correction", correction)
    _, axes, spread = _reduced(op, x, dim, keepdim, None)
    n = _count(x, axes)
    freedom = max(n - correction, 0)
    centred = x - np.add.reduce(x, axis=axes, keepdims=True) / (n or math.nan)
    centred -= np.add.reduce(centred, axis=axes, keepdims=True) / (n or math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.add.reduce(centred * centred, axis=axes) / freedom

    def slope():
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * centred / freedom if freedom else np.where(centred == 0, np.nan, np.inf).astype(x.dtype)

    return _kept(y, axes, keepdim), slope, spread


def norm(
    x: Array, /, *, p: float | str = "fro", dim: Dims | None = None, keepdim: bool = False, dtype: DTypeLike | None = None
) -> tuple[Array, Backward]:
    """The norm of all numbers, as of one vector.

    Forward:   y = ‖x‖ₚ = (Σ |xᵢ|ᵖ)^(1/p);  p = "fro" is 2;  p = 0 counts xᵢ ≠ 0;  p = ±∞: the largest or smallest |xᵢ|;
               p = "nuc" is the sum of the singular values of a matrix, x = U S Vᵀ
    Backward:  grad_xᵢ = grad_y · sign(xᵢ) (|xᵢ| / y)ᵖ⁻¹;  p = "nuc": grad_x = grad_y · U Vᵀ
    Shapes:    as in `sum`
    Kinks:     where y or xᵢ is 0, so is the gradient, and with p = 0 everywhere; p = ±∞: those that tie share it equally
    """
    op = "tensor.norm"
    if isinstance(p, str):
        require_choice(op, "p", p, ("fro", "nuc"))
    order = require_number(op, "p", 2 if isinstance(p, str) else p)
    terms, axes, _ = _reduced(op, x, dim, keepdim, dtype)
    if terms.itemsize < x.itemsize:
        raise ValueError(f"{op}: dtype must be able to hold what x holds, {x.dtype}, got {terms.dtype}")
    if p == "nuc":
        return _nuclear_norm(op, x, terms, axes, keepdim)
    lines, back = _lines(terms, axes)
    if not lines.shape[-1] and (order < 0 or order == math.inf):
        raise ValueError(f"{op}: p must be at least 0 and finite for a norm of no numbers, got {p}")
    length, norm_backward = distance.norm(lines, order)
    output = _kept(np.array(length), axes, keepdim)
    output.flags.writeable = False
    return by_rules(op, output, lambda g: back(norm_backward(g.reshape(lines.shape[:-1]))).astype(x.dtype))


def _nuclear_norm(op: str, x: Array, terms: Array, axes: tuple[int, ...], keepdim: bool) -> tuple[Array, Backward]:
    """The sum of the singular values, whose gradient is U Vᵀ."""
    if len(axes) != 2:
        raise ValueError(f"{op}: dim must name two axes where p is 'nuc', got {len(axes)} of them")
    u, values, vt = np.linalg.svd(np.moveaxis(terms, axes, (-2, -1)), full_matrices=False)

    def grad_x(g):
        return np.moveaxis(u @ vt * g.reshape(*values.shape[:-1], 1, 1), (-2, -1), axes).astype(x.dtype)

    return by_rules(op, _kept(np.add.reduce(values, axis=-1), axes, keepdim), grad_x)


def logsumexp(x: Array, /, *, dim: Dims, keepdim: bool = False) -> tuple[Array, Backward]:
    """The logarithm of a sum of exponentials: a maximum without kinks.

    Forward:   y = log Σ exp(x) = m + log Σ exp(x − m),  m = max(x)
    Backward:  grad_x = grad_y · exp(x − y)
    Shapes:    x (...), y without the axes `dim`, of which `keepdim` leaves one element
    Corners:   where all x are −∞ so is y, and the gradient NaN, as it is at x = ∞
    """
    op = "tensor.logsumexp"
    require_floats(op, "x", x)
    require_axes(op, x, dim)
    terms, axes, _ = _reduced(op, x, dim, keepdim, None)
    lines, back = _lines(terms, axes)
    if not lines.size:
        return by_rules(op, _kept(np.full(lines.shape[:-1], -np.inf, x.dtype), axes, keepdim), lambda g: np.zeros_like(x))
    y, rows_backward = by_rows(op, _logsumexp, lines, dim=-1)
    return by_rules(op, _kept(y, axes, keepdim), lambda g: back(rows_backward(g.reshape(y.shape))[0]))


def _logsumexp(x):
    largest = x.take(places_of_largest(x))
    largest[~np.isfinite(largest)] = 0
    with np.errstate(divide="ignore"):  # all −∞
        e = np.exp(x - largest[:, None])
        total = row_sums(e)
        y = largest + np.log(total)

    def backward(g, needs):
        with np.errstate(divide="ignore", invalid="ignore"):
            return (e * (g / total)[:, None],)

    return y, backward


def cumsum(x: Array, /, *, dim: int, dtype: DTypeLike | None = None) -> tuple[Array, Backward]:
    """Running sums along an axis.

    Forward:   yᵢ = Σⱼ xⱼ,  j ≤ i
    Backward:  grad_xⱼ = Σᵢ grad_yᵢ,  i ≥ j
    Shapes:    x, y (...). With `dtype`, x is cast to it first; grad_x has the dtype of x
    """
    require_floats("tensor.cumsum", "x", x)
    axis = require_axis("tensor.cumsum", x, dim)
    terms = _cast("tensor.cumsum", x, dtype)
    if not x.ndim:
        return by_rules("tensor.cumsum", +terms, lambda g: g.astype(x.dtype))
    y = np.add.accumulate(terms, axis)
    return by_rules("tensor.cumsum", y, lambda g: np.flip(np.add.accumulate(np.flip(g, axis), axis), axis).astype(x.dtype))


def _reduced(op: str, x: Array, dim: Any, keepdim: bool, dtype: Any) -> tuple[Array, tuple[int, ...], Callable[[Array], Array]]:
    """What is reduced, along which axes, and what repeats a number of the result for each of them."""
    require_floats(op, "x", x)
    require_flags(op, keepdim=keepdim)
    axes = axes_of(op, x, () if dim is None else dim)
    once = tuple([1 if axis in axes else size for axis, size in enumerate(x.shape)])
    return _cast(op, x, dtype), axes, lambda g: np.broadcast_to(g.reshape(once), x.shape)


def _cast(op: str, x: Array, dtype: Any) -> Array:
    if dtype is None:
        return np.asarray(x)
    with np.errstate(over="ignore"):  # what float32 cannot hold is ∞ there
        return np.asarray(x).astype(require_dtype(op, dtype))


def _count(x: Array, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[axis] for axis in axes)


def _lines(x: Array, axes: tuple[int, ...]) -> tuple[Array, Callable[[Array], Array]]:
    """The numbers along these axes in one last axis, and the way back."""
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last)
    return moved.reshape(*moved.shape[: x.ndim - len(axes)], _count(x, axes)), lambda lines: np.moveaxis(
        lines.reshape(moved.shape), last, axes
    )


def _kept(y: Array, axes: tuple[int, ...], keepdim: bool) -> Array:
    """A result without these axes, or with one element of each."""
    return np.expand_dims(y, axes) if keepdim else y
