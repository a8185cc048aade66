"""Activations that multiply by a gate between 0 and 1: one made of x itself, or of the other half of the input.

Far below zero gate and slope are products of an exponential, which may be too small to be represented with all its digits, with
something large. There exp(v) is applied as exp(v/2) twice, and so the product is rounded once, as itself. x is cut off where the
gate has reached its limits, so that ±∞ gives these limits and not NaN.
"""

import math

import numpy as np
from scipy.special import erfcx, ndtr

from manual.activations.smooth import sigmoid
from manual.activations.tails import FAR, exp_of, longer
from manual.contract import Array, Backward, cotangent, require_axis, require_floats
from manual.module import Module

GELU_LINEAR = np.longdouble("0.797884560802865355879892119868763737")  # √(2/π), for the format in which _gelu_u computes
GELU_CUBIC = 0.044715 * GELU_LINEAR


def silu(x: Array, /) -> tuple[Array, Backward]:
    """Each element times its `sigmoid`, also known as swish.

    Forward:   y = x σ(x),  σ(x) = h² / (1 + h²),  h = exp(x/2)
    Backward:  grad_x = grad_y · σ(x) (1 + x σ(−x)),  σ(−x) = 1 / (1 + h²)
    Shapes:    x, y (...)
    Source:    Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017, Searching for Activation Functions
    """
    require_floats("silu", "x", x)
    c = np.asarray(np.clip(x, -2000.0, 50.0))  # up there (h / (1 + h²)) h is 1 exactly
    h = np.multiply(c, 0.5, out=...)
    np.exp(h, out=h)
    denominator = h * h
    denominator += 1.0
    output = np.divide(h, denominator, out=...)
    output *= np.maximum(x, -2000.0)
    output *= h

    def backward(grad_output):
        slope = np.divide(c, denominator, out=...)
        slope += 1.0
        slope *= h
        slope *= h
        slope /= denominator
        slope *= cotangent("silu", grad_output, slope.shape, slope.dtype)
        return (slope,)

    return output, backward


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
    c = np.asarray(np.clip(x, -2000.0, 40.0))
    h = np.multiply(c, 0.5, out=...)
    np.exp(h, out=h)
    w = h * h
    output = np.add(w, 2.0, out=...)
    denominator = output * w
    denominator += 2.0
    output /= denominator
    output *= h
    output *= np.maximum(x, -2000.0)
    output *= h

    def backward(grad_output):
        slope = np.add(w, 1.0, out=...)
        slope *= c
        slope *= 4.0
        slope /= denominator
        slope += w
        slope += 2.0
        slope *= h
        slope *= h
        slope /= denominator
        slope *= cotangent("mish", grad_output, slope.shape, slope.dtype)
        return (slope,)

    return output, backward


class Mish(Module):
    """`mish` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `mish` to each element."""
        return self.call(mish, (input,))


def gelu(x: Array, /, *, approximate: str = "none") -> tuple[Array, Backward]:
    """Each element times the probability that a standard normal number lies below it.

    Forward:   y = x Φ(x);  with approximate="tanh", y = x (1 + tanh u) / 2 = x σ(2u),  u = √(2/π) (x + 0.044715 x³)
    Backward:  grad_x = grad_y · (Φ(x) + x φ(x)),  φ(x) = exp(−x²/2) / √(2π);
               grad_x = grad_y · σ(2u) (1 + 2 x u′ σ(−2u)),  x u′ = √(2/π) (x + 3 · 0.044715 x³)
    Shapes:    x, y (...)
    Source:    Hendrycks & Gimpel 2016, Gaussian Error Linear Units
    """
    require_floats("gelu", "x", x)
    if approximate == "tanh":
        return _gelu_tanh(x)
    if approximate != "none":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    c = np.asarray(np.clip(x, -50.0, 50.0))
    gate = ndtr(c, out=...)
    output = np.maximum(x, -50.0, out=...)
    output *= gate
    far = c < FAR
    has_far = far.any()
    if has_far:
        c_far = longer(c[far])
        exp_far = np.exp(-c_far * c_far / 2)
        gate_far = erfcx(-c[far] / math.sqrt(2)) / 2 * exp_far
        output[far] = c_far * gate_far

    def backward(grad_output):
        slope = np.multiply(c, c, out=...)
        slope *= -0.5
        np.exp(slope, out=slope)
        slope *= c
        slope /= math.sqrt(2 * math.pi)
        slope += gate
        if has_far:
            slope[far] = gate_far + c_far * exp_far / math.sqrt(2 * math.pi)
        slope *= cotangent("gelu", grad_output, slope.shape, slope.dtype)
        return (slope,)

    return output, backward


def _gelu_tanh(x: Array) -> tuple[Array, Backward]:
    # As silu, with σ(v) for σ(x), v = 2u = x (a + b x²), x v′ = x (a + 3 b x²), h = exp(v/2)
    c = np.asarray(np.clip(x, -30.0, 8.0))
    h = exp_of(_gelu_u, c)
    denominator = h * h
    denominator += 1.0
    output = np.divide(h, denominator, out=...)
    output *= np.maximum(x, -30.0)
    output *= h

    def backward(grad_output):
        slope = np.multiply(c, c, out=...)
        slope *= c.dtype.type(6 * GELU_CUBIC)
        slope += c.dtype.type(2 * GELU_LINEAR)
        slope *= c
        slope /= denominator
        slope += 1.0
        slope *= h
        slope *= h
        slope /= denominator
        slope *= cotangent("gelu", grad_output, slope.shape, slope.dtype)
        return (slope,)

    return output, backward


def _gelu_u(x: Array) -> Array:
    u = np.multiply(x, x, out=...)
    u *= x.dtype.type(GELU_CUBIC)
    u += x.dtype.type(GELU_LINEAR)
    u *= x
    return u


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
