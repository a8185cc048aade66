"""Activations that multiply by a gate between 0 and 1: one made of x itself, or of the other half of the input.

Far below zero gate and slope are products of an exponential, which may be too small to be represented with all its digits, with
something large. The few elements there are computed again in the next longer format, or exp(v) is applied as exp(v/2) twice; either
way the product is rounded once, as itself. Infinite x is clipped to where the gate has reached its limits, so that it gives these
limits and not NaN.
"""

import math

import numpy as np
from scipy.special import erfcx, ndtr

from manual.activations.smooth import sigmoid
from manual.arrays import exp_range
from manual.contract import Array, Backward, cotangent, needed, require_axis, require_choice, require_floats
from manual.elementwise import elementwise
from manual.module import Module

__all__ = ["GELU", "GLU", "Mish", "SiLU", "gelu", "glu", "mish", "silu"]

GELU_LINEAR = np.longdouble("0.797884560802865355879892119868763737")  # √(2/π), for the longest format
GELU_CUBIC = 0.044715 * GELU_LINEAR
SQRT_1_2PI = math.sqrt(0.5 / math.pi)
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
    return elementwise("silu", _silu, x, within=exp_range(x.dtype), beyond=_silu_far)


def _silu(x, out=None):
    z = np.exp(x)
    denominator = 1.0 + z
    y = np.divide(z, denominator, out=out)
    y *= x
    z += y
    z /= denominator  # the slope
    return y, z


def _silu_far(x):
    """Far on the right z overflows, far on the left it has lost digits: there σ(x) is 1, or z."""
    negative = x.clip(-2000.0, 0.0)
    z = np.exp(negative)
    return x.clip(-2000.0, math.inf) * z, (1.0 + negative) * z


class SiLU(Module):
    """`silu` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `silu` to each element."""
        return silu(input)


def mish(x: Array, /) -> tuple[Array, Backward]:
    """Each element times tanh of its `softplus`.

    Forward:   y = x tanh(log(1 + w)) = x n / (n + 2),  n = w (w + 2),  w = exp(x)
    Backward:  grad_x = grad_y · w (w + 2 + 4 x (w + 1) / (n + 2)) / (n + 2)
    Shapes:    x, y (...)
    Source:    Misra 2020, Mish: A Self Regularized Non-Monotonic Activation Function
    """
    require_floats("mish", "x", x)
    lowest, _ = exp_range(x.dtype)
    return elementwise("mish", _mish, x, within=(lowest, 40.0), beyond=_silu_far)  # far out both are x exp(x), or x


def _mish(x, out=None):
    w = np.exp(x)
    y = np.add(w, 2.0, out=out)
    denominator = y * w
    denominator += 2.0  # n + 2
    slope = 4.0 * x * (w + 1.0)
    slope /= denominator
    slope += y
    y /= denominator
    y *= w
    y *= x
    w /= denominator
    slope *= w
    return y, slope


class Mish(Module):
    """`mish` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `mish` to each element."""
        return mish(input)


def gelu(x: Array, /, *, approximate: str = "none") -> tuple[Array, Backward]:
    """Each element times the probability that a standard normal number lies below it.

    Forward:   y = x Φ(x);  with approximate="tanh", y = x (1 + tanh u) / 2 = x σ(2u),  u = √(2/π) (x + 0.044715 x³)
    Backward:  grad_x = grad_y · (Φ(x) + x φ(x)),  φ(x) = exp(−x²/2) / √(2π);
               grad_x = grad_y · (σ(2u) + 2 x u′ σ(2u) σ(−2u)),  u′ = √(2/π) (1 + 3 · 0.044715 x²)
    Shapes:    x, y (...)
    Source:    Hendrycks & Gimpel 2016, Gaussian Error Linear Units
    """
    require_floats("gelu", "x", x)
    require_choice("gelu", "approximate", approximate, ("none", "tanh"))
    if approximate == "tanh":
        return elementwise("gelu", _gelu_tanh, x, within=(-4.0, 10.0), beyond=_gelu_tanh_far)
    lowest = -4.8 if x.dtype == np.float32 else -3.8  # further down ndtr loses five bits
    return elementwise("gelu", _gelu, x, within=(lowest, 14.0), beyond=_gelu_far)


def _gelu(x, out=None):
    density = np.exp(-0.5 * x * x)
    density *= SQRT_1_2PI
    cdf = _normal_cdf(x, density)
    density *= x
    density += cdf  # the slope
    return np.multiply(cdf, x, out=out), density


def _gelu_far(x):
    """Far on the left x² needs more digits, and Φ(x) = ½ erfcx(−x/√2) exp(−x²/2); far on the right Φ is 1, φ nothing beside it."""
    c = x.clip(-50.0, 14.0)
    z = np.exp(-0.5 * c * c)
    cdf = np.where(x > 0.0, 1.0, 0.5 * erfcx(-math.sqrt(0.5) * c.astype(np.float64)) * z)
    return x.clip(-50.0, math.inf) * cdf, cdf + SQRT_1_2PI * c * z


def _normal_cdf(x: Array, density: Array) -> Array:
    """Φ(x) within the limits, given φ(x)."""
    if x.dtype != np.float32:
        return ndtr(x)
    # SciPy's ndtr takes several times as long as all the rest. Single precision needs no more than a short continued fraction.
    t = abs(x)
    b3, *others = MILLS
    tail = t + b3
    for a, b in zip(others[::2], others[1::2]):
        np.divide(a, tail, out=tail)
        tail += t
        tail += b
    np.divide(density, tail, out=tail)  # Φ(−t)
    cdf = (x >= 0.0).astype(x.dtype)
    cdf -= tail  # 1 − Φ(−t) on the right, −Φ(−t) on the left
    return np.abs(cdf, out=cdf)


def _gelu_tanh(x, out=None):
    """As silu, with σ(v) for σ(x): v = 2u = x (a + b x²),  v′ = a + 3 b x²,  z = exp(v),  slope = (z + y v′) / (1 + z)."""
    a, b = x.dtype.type(2 * GELU_LINEAR), x.dtype.type(2 * GELU_CUBIC)
    cubic = x * x
    cubic *= b
    z = np.exp((cubic + a) * x)
    denominator = 1.0 + z
    y = np.divide(z, denominator, out=out)
    y *= x
    cubic *= 3.0
    cubic += a
    cubic *= y
    z += cubic
    z /= denominator  # the slope
    return y, z


def _gelu_tanh_far(x):
    """Far on the left exp(v) needs more digits of v; far on the right σ(2u) is 1."""
    y, slope = _gelu_tanh(x.clip(-50.0, 10.0))
    return np.where(x > 0.0, x, y), np.where(x > 0.0, 1.0, slope)


class GELU(Module):
    """`gelu` as a module."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `gelu` to each element."""
        return gelu(input, approximate=self.approximate)


def glu(x: Array, /, *, dim: int = -1) -> tuple[Array, Backward]:
    """The first half of an axis, times `sigmoid` of the second half.

    Forward:   y = a σ(b),  a and b the halves of x along `dim`
    Backward:  grad_a = σ(b) grad_y,  grad_b = a σ(b) σ(−b) grad_y
    Shapes:    x (..., 2n, ...), y (..., n, ...)
    Source:    Dauphin, Fan, Auli & Grangier 2017, Language Modeling with Gated Convolutional Networks
    """
    require_floats("glu", "x", x)
    dim = require_axis("glu", x, dim)
    if x.ndim == 0 or x.shape[dim] % 2:
        raise ValueError(f"glu: the size along dim must be even, got an input of shape {x.shape} and dim {dim}")
    a, b = np.split(x, 2, axis=dim)
    gate, gate_backward = sigmoid(b)

    def backward(grad_output, needs=None):
        if not needed("glu", needs, 1)[0]:
            return (None,)
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
        return glu(input, dim=self.dim)
