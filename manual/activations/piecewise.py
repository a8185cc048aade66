"""Activations made of two straight pieces.

Where a function is one thing on one side and another thing on the other, NumPy chooses slowly: `np.where` mispredicts a branch
for every other element. Products with ones and zeros choose as exactly, several times faster.
"""

import math

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import (
    Array,
    Backward,
    clip,
    cotangent,
    numbers,
    require_floats,
    require_shape,
    sum_to_shape,
    times_slope,
)
from manual.module import Module, Parameter
from manual.threads import pointwise


def relu(x: Array, /) -> tuple[Array, Backward]:
    """Keep what is positive.

    Forward:   y = max(x, 0)
    Backward:  grad_x = grad_y where x > 0, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at 0 is 0
    Source:    Nair & Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines
    """
    require_floats("relu", "x", x)
    (zero,) = numbers(x.dtype, 0.0)

    def curve(x, y):
        clip(x, 0.0, math.inf, out=y)
        return y != zero  # y is never negative; `!=` lets the gradient at NaN pass, as torch does, where `>` would stop it

    return pointwise("relu", curve, x)


class ReLU(Module):
    """`relu` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `relu` to each element."""
        return self.call(relu, (input,))


def slopes(x: Array, negative: float | Array) -> Array:
    """1 where x > 0 and `negative` elsewhere, both exactly."""
    zero, one = numbers(x.dtype, 0.0, 1.0)
    positive = (x > zero).astype(x.dtype)
    slope = np.subtract(one, positive, out=...)
    slope *= negative
    slope += positive
    return slope


def leaky_relu(x: Array, /, *, negative_slope: float = 0.01) -> tuple[Array, Backward]:
    """Keep what is positive, and a little of what is negative.

    Forward:   y = s x,  s = 1 where x > 0, else negative_slope
    Backward:  grad_x = s grad_y
    Shapes:    x, y (...)
    Kinks:     the gradient at 0 is negative_slope
    Source:    Maas, Hannun & Ng 2013, Rectifier Nonlinearities Improve Neural Network Acoustic Models
    """
    require_floats("leaky_relu", "x", x)
    return _leaky("leaky_relu", x, negative_slope)


def _leaky(op: str, x: Array, negative_slope: float) -> tuple[Array, Backward]:
    (negative,) = numbers(x.dtype, negative_slope)

    def curve(x, y):
        slope = slopes(x, negative)
        # With a slope of 0, −∞ has the limit 0, where 0 · −∞ would be NaN
        np.multiply(x if negative_slope else clip(x, 0.0, math.inf), slope, out=y)
        return slope

    return pointwise(op, curve, x)


class LeakyReLU(Module):
    """`leaky_relu` as a module."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `leaky_relu` to each element."""
        return self.call(leaky_relu, (input,), negative_slope=self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}"


def prelu(x: Array, weight: Array, /) -> tuple[Array, Backward]:
    """Leaky ReLU with a learnt slope, one for all or one for each channel.

    Forward:   y = s x,  s = 1 where x > 0, else the channel's weight
    Backward:  grad_x = s grad_y,  grad_weight = Σ min(x, 0) grad_y      (Σ over all elements that share the weight)
    Shapes:    x, y (N, C, ...) with weight (C), or (...) with weight (1) or ()
    Kinks:     at 0, grad_x is that of negative x: weight · grad_y
    Source:    He, Zhang, Ren & Sun 2015, Delving Deep into Rectifiers
    """
    require_floats("prelu", "x weight", x, weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ValueError(f"prelu: weight must have shape (1,) or ({channels},) for an input of shape {x.shape}, got {weight.shape}")
    shape = () if weight.size == 1 else (channels,) + (1,) * (x.ndim - 2)
    slope = slopes(x, weight.reshape(shape))

    def backward(grad_output, needs=None):
        need_x, need_weight = needs or (True, True)
        grad_output = cotangent("prelu", grad_output, slope.shape, slope.dtype)
        grad_x = np.multiply(grad_output, slope, out=...) if need_x else None
        grad_weight = None
        if need_weight:
            grad_slope = np.minimum(x, 0.0, out=...)
            grad_slope *= grad_output
            grad_weight = sum_to_shape(grad_slope, shape).reshape(weight.shape)
        return grad_x, grad_weight

    return np.multiply(x, slope, out=...), backward


class PReLU(Module):
    """`prelu` with its weight, which starts at `init`: one slope, or one for each of `num_parameters` channels."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float64) -> None:
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(np.full(num_parameters, init, dtype))

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `prelu`, channels along the second axis."""
        return self.call(prelu, (input,), (self.weight,))

    def extra_repr(self) -> str:
        """The number of slopes."""
        return f"num_parameters={self.num_parameters}"


def rrelu(
    x: Array,
    /,
    *,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    noise: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """Leaky ReLU whose slope is drawn anew for each element in training; in evaluation it is the mean.

    Forward:   y = s x,  s = 1 where x > 0, else in training the noise, from U(lower, upper), and (lower + upper) / 2 in evaluation
    Backward:  grad_x = s grad_y
    Shapes:    x, y (...); `noise` has the shape of x, and is drawn from `generator` unless given
    Kinks:     the gradient at 0 is that of negative x
    Source:    Xu, Wang, Chen & Li 2015, Empirical Evaluation of Rectified Activations in Convolutional Network
    """
    require_floats("rrelu", "x", x)
    if not (math.isfinite(lower) and math.isfinite(upper) and lower <= upper):
        raise ValueError(f"rrelu: lower and upper must be finite, lower not above upper, got {lower} and {upper}")
    if not training:
        return _leaky("rrelu", x, (lower + upper) / 2)
    if noise is None:
        generator = np.random.default_rng() if generator is None else generator
        noise = generator.uniform(lower, upper, x.shape)
    else:
        require_shape("rrelu", "noise", noise, x.shape)
    slope = slopes(x, np.asarray(noise, x.dtype))
    return np.multiply(x, slope, out=...), times_slope("rrelu", slope, x.dtype)


class RReLU(Module):
    """`rrelu` as a module: random in training mode, drawing from `generator`."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, *, generator: np.random.Generator | None = None) -> None:
        self.lower, self.upper, self.generator = lower, upper, generator

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `rrelu` to each element."""
        return self.call(rrelu, (input,), lower=self.lower, upper=self.upper, training=self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """The bounds."""
        return f"lower={self.lower}, upper={self.upper}"


def threshold(x: Array, /, *, threshold: float, value: float) -> tuple[Array, Backward]:
    """Keep what is above the threshold, and put a value in the place of the rest.

    Forward:   y = x where x > threshold, else value
    Backward:  grad_x = grad_y where x > threshold, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at the threshold is 0
    """
    require_floats("threshold", "x", x)
    # Chosen bit by bit, as 0 · ∞ would be NaN: −1 has every bit set, 0 has none.
    bits = np.dtype(f"i{x.dtype.itemsize}")
    value_bits = np.asarray(value, x.dtype).view(bits)

    def curve(x, y):
        kept = np.asarray(~(x <= threshold))
        mask = kept.astype(bits)
        np.negative(mask, out=mask)
        chosen = y.view(bits)
        np.bitwise_xor(x.view(bits), value_bits, out=chosen)
        chosen &= mask
        chosen ^= value_bits
        return kept

    return pointwise("threshold", curve, x)


class Threshold(Module):
    """`threshold` as a module."""

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `threshold` to each element."""
        return self.call(threshold, (input,), threshold=self.threshold, value=self.value)

    def extra_repr(self) -> str:
        """Threshold and value."""
        return f"threshold={self.threshold}, value={self.value}"
