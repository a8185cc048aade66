"""Activations that share one unit of probability among the entries of an axis.

With k the place of the largest input, eⱼ = exp(xⱼ − xₖ) and s = Σⱼ≠ₖ eⱼ, the probability of k is pₖ = 1 / (1 + s), and what the
others share is 1 − pₖ = s / (1 + s): all digits of it, where subtracting pₖ from 1 would leave none once k takes nearly
everything. So k is set apart wherever that difference is wanted.
"""

import numpy as np

from manual.arrays import row_sums
from manual.contract import Array, Backward, cotangent, needed, require_axis, require_floats, require_shape
from manual.module import Module
from manual.rows import by_rows

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin", "gumbel_softmax", "log_softmax", "softmax", "softmin"]


def softmax(x: Array, /, *, dim: int = -1) -> tuple[Array, Backward]:
    """Turn scores into probabilities.

    Forward:   pᵢ = exp(xᵢ) / Σⱼ exp(xⱼ)
    Backward:  grad_xᵢ = pᵢ (gᵢ − Σⱼ pⱼ gⱼ)      (g = grad_p)
    Shapes:    x, p (...); the sums run along `dim`
    Source:    Bridle 1990, Probabilistic Interpretation of Feedforward Classification Network Outputs
    """
    require_floats("softmax", "x", x)
    require_axis("softmax", x, dim)
    return by_rows("softmax", _softmax, x, dim=dim)


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


def log_softmax(x: Array, /, *, dim: int = -1) -> tuple[Array, Backward]:
    """The logarithm of `softmax`, exact where the probability itself is nearly 0 or 1.

    Forward:   yᵢ = xᵢ − log Σⱼ exp(xⱼ) = (xᵢ − xₖ) − log(1 + s)
    Backward:  grad_xᵢ = gᵢ − pᵢ Σⱼ gⱼ;  for the largest, grad_xₖ = (1 − pₖ) gₖ − pₖ Σⱼ≠ₖ gⱼ      (g = grad_y)
    Shapes:    x, y (...); the sums run along `dim`
    """
    require_floats("log_softmax", "x", x)
    require_axis("log_softmax", x, dim)
    return by_rows("log_softmax", _log_softmax, x, dim=dim)


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


def softmin(x: Array, /, *, dim: int = -1) -> tuple[Array, Backward]:
    """`softmax` of −x: the smallest score gets the largest probability.

    Forward:   pᵢ = exp(−xᵢ) / Σⱼ exp(−xⱼ)
    Backward:  grad_xᵢ = −pᵢ (gᵢ − Σⱼ pⱼ gⱼ)      (g = grad_p)
    Shapes:    x, p (...); the sums run along `dim`
    """
    require_floats("softmin", "x", x)
    require_axis("softmin", x, dim)
    output, softmax_backward = softmax(np.negative(x, out=...), dim=dim)

    def backward(grad_output, needs=None):
        if not needed("softmin", needs, 1)[0]:
            return (None,)
        (grad,) = softmax_backward(cotangent("softmin", grad_output, output.shape, output.dtype))
        return (np.negative(grad, out=grad),)

    return output, backward


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
    require_axis(op, logits, dim)
    if tau == 0:
        raise ValueError("gumbel_softmax: tau must not be 0, got 0")
    if noise is None:
        generator = np.random.default_rng() if generator is None else generator
        noise = np.asarray(generator.gumbel(size=logits.shape))
    else:
        require_shape(op, "noise", noise, logits.shape)
    scores = np.add(logits, noise, dtype=logits.dtype, casting="same_kind", out=...)
    scores /= tau
    output, softmax_backward = softmax(scores, dim=dim)
    if hard and output.size and output.ndim:
        largest = output.argmax(axis=dim, keepdims=True)
        output = np.zeros_like(output)
        np.put_along_axis(output, largest, 1, dim)

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        (grad,) = softmax_backward(cotangent(op, grad_output, output.shape, output.dtype))
        return (np.divide(grad, tau, out=grad),)

    return output, backward
