"""Activations that multiply by a gate between 0 and 1: one made of x itself, or of the other half of the input.

Far below zero gate and slope are products of an exponential, which may be too small to be represented with all its digits, with
something large. The few elements there are computed again in the next longer format, or exp(v) is applied as exp(v/2) twice; either
way the product is rounded once, as itself. x is cut off where the gate has reached its limits, so that ±∞ gives these limits and
not NaN.
"""

import math
from typing import Any

import numpy as np
from scipy.special import erfcx, ndtr

from manual.activations.smooth import sigmoid
from manual.activations.tails import above, beyond, exp_limit, longer, places
from manual.contract import Array, Backward, clip, cotangent, largest, numbers, require_axis, require_floats, smallest
from manual.module import Module
from manual.threads import pointwise

GELU_LINEAR = np.longdouble("0.797884560802865355879892119868763737")  # √(2/π), for the longest format
GELU_CUBIC = 0.044715 * GELU_LINEAR
SQRT_1_2PI = math.sqrt(0.5 / math.pi)

# Where gelu begins to be computed in a longer format: exponents there, −11.5 and −11.2, are rounded by some ten units.
FAR, FAR_TANH = -4.8, -4.0
# φ(t) / Φ(−t) ≈ t + b₀ + a₁/(t + b₁ + a₂/(t + b₂ + a₃/(t + b₃))), b₃ a₃ b₂ …: fitted to 0 ≤ t ≤ 4.8 with a
# relative error up to 1.6e−7
MILLS = 0.11712626, 21.795284, 5.6687145, -8.513481, 1.4402816, 1.119679, -0.0042446717


def silu(x: Array, /) -> tuple[Array, Backward]:
    """Each element times its `sigmoid`, also known as swish.

    Forward:   y = x σ(x),  σ(x) = z / (1 + z),  z = exp(x)
    Backward:  grad_x = grad_y · (σ(x) + x σ(x) σ(−x)) = grad_y (z + y) / (1 + z)
    Shapes:    x, y (...)
    Source:    Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017, Searching for Activation Functions
    """
    require_floats("silu", "x", x)
    limit = exp_limit(x.dtype)
    (one,) = numbers(x.dtype, 1.0)

    def curve(x, y):
        far = beyond(x, limit)
        c = x if far is None else clip(x, -limit, limit)
        slope = np.exp(c, out=...)
        denominator = np.add(slope, one, out=...)
        np.divide(slope, denominator, out=y)
        y *= c
        slope += y
        slope /= denominator
        if far is not None:  # z would overflow, or have lost its digits; one of σ(x) and σ(−x) is 1
            x_far = clip(longer(x[far]), -2000.0, math.inf)
            negative = np.minimum(x_far, 0.0)
            exp_far = np.exp(negative)
            y[far] = x_far * exp_far
            slope[far] = exp_far * (1.0 + negative)
        return slope

    return pointwise("silu", curve, x)


class SiLU(Module):
    """`silu` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `silu` to each element."""
        return self.call(silu, (input,))


def mish(x: Array, /) -> tuple[Array, Backward]:
    """Each element times tanh of its `softplus`.

    Forward:   y = x tanh(log(1 + w)) = x n / (n + 2),  w = h²,  n = w (w + 2),  h = exp(x/2)
    Backward:  grad_x = grad_y · w (w + 2 + 4 x (w + 1) / (n + 2)) / (n + 2)
    Shapes:    x, y (...)
    Source:    Misra 2020, Mish: A Self Regularized Non-Monotonic Activation Function
    """
    require_floats("mish", "x", x)
    half, one, two, four = numbers(x.dtype, 0.5, 1.0, 2.0, 4.0)

    def curve(x, y):
        c = clip(x, -2000.0, 40.0)
        h = np.multiply(c, half, out=...)
        np.exp(h, out=h)
        w = np.square(h, out=...)
        np.add(w, two, out=y)
        denominator = np.multiply(y, w, out=...)
        denominator += two
        y /= denominator
        y *= h
        y *= clip(x, -2000.0, math.inf)
        y *= h
        slope = np.add(w, one, out=...)
        slope *= c
        slope *= four
        slope /= denominator
        slope += w
        slope += two
        slope *= h
        slope *= h
        slope /= denominator
        return slope

    return pointwise("mish", curve, x)


class Mish(Module):
    """`mish` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `mish` to each element."""
        return self.call(mish, (input,))


def gelu(x: Array, /, *, approximate: str = "none") -> tuple[Array, Backward]:
    """Each element times the probability that a standard normal number lies below it.

    Forward:   y = x Φ(x);  with approximate="tanh", y = x (1 + tanh u) / 2 = x σ(2u),  u = √(2/π) (x + 0.044715 x³)
    Backward:  grad_x = grad_y · (Φ(x) + x φ(x)),  φ(x) = exp(−x²/2) / √(2π);
               grad_x = grad_y · (σ(2u) + 2 x u′ σ(2u) σ(−2u)),  u′ = √(2/π) (1 + 3 · 0.044715 x²)
    Shapes:    x, y (...)
    Source:    Hendrycks & Gimpel 2016, Gaussian Error Linear Units
    """
    require_floats("gelu", "x", x)
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return pointwise("gelu", _curve_tanh if approximate == "tanh" else _curve_erf, x)


def _cut(x: Array, far: float, high: float) -> tuple[Array, Any]:
    """x, where necessary between two limits, and the places of what is below the first one, None if nothing is."""
    least = smallest(x)
    bounded = least >= -50.0 and largest(x) <= high
    return x if bounded else clip(x, far, high), None if least >= far else places(x < far)


def _curve_erf(x: Array, y: Array) -> Array:
    minus_half, sqrt_1_2pi = numbers(x.dtype, -0.5, SQRT_1_2PI)
    c, far = _cut(x, FAR, 14.0)  # from 14 on Φ is 1 and φ is nothing beside it
    slope = np.square(c, out=...)
    slope *= minus_half
    np.exp(slope, out=slope)
    slope *= sqrt_1_2pi
    cdf = _normal_cdf(c, slope)
    np.multiply(x, cdf, out=y)
    slope *= c
    slope += cdf
    if far is not None:
        c_far = clip(x[far], -50.0, FAR)
        x_far = longer(c_far)
        exp_far = np.exp(x_far * x_far * -0.5)
        cdf_far = erfcx(c_far * -math.sqrt(0.5)) * 0.5 * exp_far
        y[far] = x_far * cdf_far
        slope[far] = cdf_far + SQRT_1_2PI * x_far * exp_far
    return slope


def _normal_cdf(x: Array, density: Array) -> Array:
    """Φ(x) from −4.8 on, given φ(x)."""
    if x.dtype != np.float32:
        return np.asarray(ndtr(x))
    # SciPy's ndtr takes several times as long as all the rest. Single precision needs no more than a short continued fraction.
    zero, b3, *others = numbers(x.dtype, 0.0, *MILLS)
    t = np.abs(x, out=...)
    tail = np.add(t, b3, out=...)
    for a, b in zip(others[::2], others[1::2]):
        np.divide(a, tail, out=tail)
        tail += t
        tail += b
    np.divide(density, tail, out=tail)  # Φ(−t)
    cdf = np.subtract((x >= zero).astype(x.dtype), tail, out=tail)  # 1 − Φ(−t) on the right, −Φ(−t) on the left
    return np.abs(cdf, out=cdf)


def _curve_tanh(x: Array, y: Array) -> Array:
    limit = 4.0 if x.dtype == np.float16 else 10.0  # from there on σ(2u) is 1, and exp(2u) does not overflow yet
    c, far = _cut(x, FAR_TANH, limit)
    linear = None if c is x else above(x, limit)
    slope = _times_sigmoid(c, y)
    if linear is not None:
        y[linear] = x[linear]
    if far is not None:
        x_far = longer(clip(x[far], -50.0, FAR_TANH))
        y_far = np.empty_like(x_far)
        slope[far] = _times_sigmoid(x_far, y_far)
        y[far] = y_far
    return slope


def _times_sigmoid(x: Array, y: Array) -> Array:
    """As silu, with σ(v) for σ(x): v = 2u = x (a + b x²),  v′ = a + 3 b x²,  z = exp(v),  slope = (z + y v′) / (1 + z)."""
    a, b, one, three = numbers(x.dtype, 2 * GELU_LINEAR, 2 * GELU_CUBIC, 1.0, 3.0)
    cubic = np.square(x, out=...)
    cubic *= b
    slope = np.add(cubic, a, out=...)
    slope *= x
    np.exp(slope, out=slope)
    denominator = np.add(slope, one, out=...)
    np.divide(slope, denominator, out=y)
    y *= x
    cubic *= three
    cubic += a
    cubic *= y
    slope += cubic
    slope /= denominator
    return slope


class GELU(Module):
    """`gelu` as a module."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `gelu` to each element."""
        return self.call(gelu, (input,), approximate=self.approximate)

    def extra_repr(self) -> str:
        """The formula."""
        return f"approximate={self.approximate!r}"


def glu(x: Array, /, *, dim: int = -1) -> tuple[Array, Backward]:
    """The first half of an axis, times `sigmoid` of the second half.

    Forward:   y = a σ(b),  a and b the halves of x along `dim`
    Backward:  grad_a = σ(b) grad_y,  grad_b = a σ(b) σ(−b) grad_y
    Shapes:    x (..., 2n, ...), y (..., n, ...)
    Source:    Dauphin, Fan, Auli & Grangier 2017, Language Modeling with Gated Convolutional Networks
    """
    require_floats("glu", "x", x)
    require_axis("glu", x, dim)
    if x.ndim == 0 or x.shape[dim] % 2:
        raise ValueError(f"glu: the size along dim must be even, got an input of shape {x.shape} and dim {dim}")
    a, b = np.split(x, 2, axis=dim)
    gate, gate_backward = sigmoid(b)

    def backward(grad_output):
        grad_output = cotangent("glu", grad_output, gate.shape, gate.dtype)
        (grad_b,) = gate_backward(grad_output * a)
        return (np.concatenate((grad_output * gate, grad_b), axis=dim),)

    return a * gate, backward


class GLU(Module):
    """`glu` as a module."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `glu` along `dim`."""
        return self.call(glu, (input,), dim=self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"
