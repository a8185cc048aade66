"""Activations that share one unit of probability among the entries of an axis.

With k the place of the largest input, eⱼ = exp(xⱼ − xₖ) and s = Σⱼ≠ₖ eⱼ, the probability of k is pₖ = 1 / (1 + s), and what the
others share is 1 − pₖ = s / (1 + s): all digits of it, where subtracting pₖ from 1 would leave none once k takes nearly
everything. So k is set apart wherever that difference is wanted.
"""

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import row_sums
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_axis,
    require_dtype,
    require_flags,
    require_floats,
    require_generator,
    require_number,
    require_shape,
)
from manual.module import Module
from manual.rows import RowsOperation, by_rows

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin", "gumbel_softmax", "log_softmax", "softmax", "softmin"]


def softmax(x: Array, /, *, dim: int = -1, dtype: DTypeLike | None = None) -> tuple[Array, Backward]:
    """Turn scores into probabilities.

    Forward:   pᵢ = exp(xᵢ) / Σⱼ exp(xⱼ)
    Backward:  grad_xᵢ = pᵢ (gᵢ − Σⱼ pⱼ gⱼ)      (g = grad_p)
    Shapes:    x, p (...); the sums run along `dim`. With `dtype`, x is cast to it first; grad_x has the dtype of x
    Source:    Bridle 1990, Probabilistic Interpretation of Feedforward Classification Network Outputs
    """
    return _along("softmax", _softmax, x, dim, dtype)


def _along(op: str, function: RowsOperation, x: Array, dim: int, dtype: DTypeLike | None) -> tuple[Array, Backward]:
    """Apply an operation on rows to x along `dim`, cast to `dtype` where that is given; the gradient has the dtype of x again."""
    require_floats(op, "x", x)
    dim = require_axis(op, x, dim)
    if dtype is None:
        return by_rows(op, function, x, dim=dim)
    with np.errstate(over="ignore"):  # what float32 cannot hold is ∞ there
        cast = x.astype(require_dtype(op, dtype))
    output, rows_backward = by_rows(op, function, cast, dim=dim)

    def backward(grad_output, needs=None):
        (grad,) = rows_backward(grad_output, needs)
        return (None if grad is None else grad.astype(x.dtype),)

    return output, backward


def _softmax(x):
    p = x - x.take(places_of_largest(x))[:, None]  # so that no exponential overflows
    np.exp(p, out=p)
    p /= row_sums(p)[:, None]
    p.flags.writeable = False

    def backward(g, needs):
        grad = g - np.vecdot(p, g)[:, None]
        # Where one entry takes nearly everything, g − Σ p g is small beside g, and its rounding error as large as itself. The mean
        # of the difference, zero in exact arithmetic, is that error: it is taken off.
        grad -= np.vecdot(p, grad)[:, None]
        grad *= p
        return (grad,)

    return p, backward


class Softmax(Module):
    """`softmax` as a module; `dim` must be given."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softmax` along `dim`."""
        return softmax(input, dim=self.dim)


def log_softmax(x: Array, /, *, dim: int = -1, dtype: DTypeLike | None = None) -> tuple[Array, Backward]:
    """The logarithm of `softmax`, exact where the probability itself is nearly 0 or 1.

    Forward:   yᵢ = xᵢ − log Σⱼ exp(xⱼ) = (xᵢ − xₖ) − log(1 + s)
    Backward:  grad_xᵢ = gᵢ − pᵢ Σⱼ gⱼ;  for the largest, grad_xₖ = (1 − pₖ) gₖ − pₖ Σⱼ≠ₖ gⱼ      (g = grad_y)
    Shapes:    x, y (...); the sums run along `dim`. With `dtype`, x is cast to it first; grad_x has the dtype of x
    """
    return _along("log_softmax", _log_softmax, x, dim, dtype)


def _log_softmax(x):
    k = places_of_largest(x)
    y = x - x.take(k)[:, None]
    e = np.exp(y)
    e.put(k, 0.0)
    s = row_sums(e)
    y -= np.log1p(s)[:, None]

    def backward(g, needs):
        grad, g_largest = g.copy(), g.take(k)
        grad.put(k, 0.0)
        g_others, p_largest = row_sums(grad), 1.0 / (1.0 + s)
        grad -= e * (p_largest * (g_others + g_largest))[:, None]
        grad.put(k, p_largest * (s * g_largest - g_others))
        return (grad,)

    return y, backward


def places_of_largest(x: Array) -> Array:
    """Of each row the place k of the largest entry, counted through the whole matrix, as `take` and `put` have it."""
    return np.arange(0, x.size, x.shape[1]) + x.argmax(axis=1)


class LogSoftmax(Module):
    """`log_softmax` as a module; `dim` must be given."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `log_softmax` along `dim`."""
        return log_softmax(input, dim=self.dim)


def softmin(x: Array, /, *, dim: int = -1, dtype: DTypeLike | None = None) -> tuple[Array, Backward]:
    """`softmax` of −x: the smallest score gets the largest probability.

    Forward:   pᵢ = exp(−xᵢ) / Σⱼ exp(−xⱼ)
    Backward:  grad_xᵢ = −pᵢ (gᵢ − Σⱼ pⱼ gⱼ)      (g = grad_p)
    Shapes:    x, p (...); the sums run along `dim`. With `dtype`, x is cast to it first; grad_x has the dtype of x
    """
    return _along("softmin", _softmin, x, dim, dtype)


def _softmin(x):
    p, softmax_backward = _softmax(-x)

    def backward(g, needs):
        (grad,) = softmax_backward(g, needs)
        return (np.negative(grad, out=grad),)

    return p, backward


class Softmin(Module):
    """`softmin` as a module; `dim` must be given."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softmin` along `dim`."""
        return softmin(input, dim=self.dim)


class Softmax2d(Module):
    """`softmax` over the channels of images, (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softmax` along the third axis from the end."""
        if np.ndim(input) not in (3, 4):
            raise ValueError(f"Softmax2d: expected an input (N, C, H, W) or (C, H, W), got shape {np.shape(input)}")
        return softmax(input, dim=-3)


def gumbel_softmax(
    logits: Array,
    /,
    *,
    tau: float = 1.0,
    hard: bool = False,
    dim: int = -1,
    noise: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """Draw from the classes with these logits, in a way that lets a gradient through.

    Forward:   p = softmax((x + noise) / τ);  y = p, or where `hard`, 1 for the largest p and 0 for the others
    Backward:  grad_x = softmax's at p / τ, whether `hard` or not (the straight-through estimator)
    Shapes:    logits x, y (...); `noise` has the shape of x, and is drawn from the Gumbel distribution by `generator` unless given
    Source:    Jang, Gu & Poole 2017; Maddison, Mnih & Teh 2017, The Concrete Distribution
    """
    op = "gumbel_softmax"
    require_floats(op, "logits", logits)
    dim = require_axis(op, logits, dim)
    tau = require_number(op, "tau", tau, "a number other than 0")
    require_flags(op, hard=hard)
    require_generator(op, generator)
    if noise is None:
        noise = np.asarray(np.random.default_rng(generator).gumbel(size=logits.shape))
    else:
        require_floats(op, "noise", noise)
        require_shape(op, "noise", noise, logits.shape)
    scores = np.add(logits, noise, dtype=logits.dtype, casting="same_kind", out=...)
    scores /= tau
    output, softmax_backward = softmax(scores, dim=dim)
    if hard and output.size and output.ndim:
        largest = output.argmax(axis=dim, keepdims=True)
        output = 0.0 * output  # NaN stays NaN
        np.put_along_axis(output, largest, 1.0 + np.take_along_axis(output, largest, dim), dim)

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        (grad,) = softmax_backward(cotangent(op, grad_output, output.shape, output.dtype))
        return (np.divide(grad, tau, out=grad),)

    return output, backward
