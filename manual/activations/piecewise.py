"""Activations made of two straight pieces.

Where a function is one thing on one side and another thing on the other, NumPy chooses slowly: `np.where` mispredicts a branch
for every other element. Products with ones and zeros choose as exactly, several times faster.
"""

import math

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import BITS, sum_to_shape
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_dtype,
    require_flags,
    require_floats,
    require_generator,
    require_integer,
    require_number,
    require_shape,
)
from manual.elementwise import elementwise
from manual.module import Module, Parameter

__all__ = ["LeakyReLU", "PReLU", "RReLU", "ReLU", "Threshold", "leaky_relu", "prelu", "relu", "rrelu", "threshold"]


def relu(x: Array, /) -> tuple[Array, Backward]:
    """Keep what is positive.

    Forward:   y = max(x, 0)
    Backward:  grad_x = grad_y where x > 0, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at 0 is 0
    Source:    Nair & Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines
    """
    require_floats("relu", "x", x)
    return elementwise("relu", relu_curve, x)


def relu_curve(x, out=None):
    y = x.clip(0.0, math.inf, out=out)  # several times as fast as np.maximum with a number
    return y, y != 0.0  # y is never negative; at NaN `!=` lets the gradient through, as torch does, where `>` would stop it


class ReLU(Module):
    """`relu` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `relu` to each element."""
        return relu(input)


def slopes(x: Array, negative: float | Array, finite: bool) -> Array:
    """1 where x > 0 and `negative` elsewhere, both exactly; `finite` tells whether all of `negative` is."""
    if not finite:  # 0 · ∞ would be NaN
        return np.where(x > 0.0, x.dtype.type(1.0), negative)
    positive = (x > 0.0).astype(x.dtype)
    slope = np.subtract(1.0, positive, out=...)
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
    negative_slope = require_number("leaky_relu", "negative_slope", negative_slope)
    return elementwise("leaky_relu", _leaky_with(negative_slope), x)


def _leaky_with(negative_slope):
    finite = math.isfinite(negative_slope)

    def leaky(x, out=None):
        slope = slopes(x, negative_slope, finite)
        if negative_slope == 0:
            x = x.clip(0.0, math.inf)  # so that −∞ gives 0, its limit, where 0 · −∞ is NaN
        return np.multiply(slope, x, out=out), slope

    return leaky


class LeakyReLU(Module):
    """`leaky_relu` as a module."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `leaky_relu` to each element."""
        return leaky_relu(input, negative_slope=self.negative_slope)


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
    slope = slopes(x, weight.reshape(shape), math.isfinite(np.vdot(weight, weight)))

    def backward(grad_output, needs=None):
        need_x, need_weight = needed("prelu", needs, 2)
        grad_output = cotangent("prelu", grad_output, slope.shape, slope.dtype)
        grad_x = np.multiply(slope, grad_output, out=...) if need_x else None
        grad_weight = None
        if need_weight:
            grad_slope = np.minimum(x, 0.0, out=...)
            grad_slope *= grad_output
            grad_weight = sum_to_shape(grad_slope, shape).reshape(weight.shape)
        return grad_x, grad_weight

    return np.multiply(slope, x, out=...), backward


class PReLU(Module):
    """`prelu` with its weight, which starts at `init`: one slope, or one for each of `num_parameters` channels."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float64) -> None:
        count = require_integer("PReLU", "num_parameters", num_parameters, least=0)
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(np.full(count, require_number("PReLU", "init", init), require_dtype("PReLU", dtype)))

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `prelu`, channels along the second axis."""
        return self.call(prelu, input, self.weight)


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
    lower = require_number("rrelu", "lower", lower, "a finite number")
    upper = require_number("rrelu", "upper", upper, "a finite number")
    require_flags("rrelu", training=training)
    require_generator("rrelu", generator)
    if lower > upper:
        raise ValueError(f"rrelu: lower must not be above upper, got {lower} and {upper}")
    if noise is not None:
        require_floats("rrelu", "noise", noise)
        require_shape("rrelu", "noise", noise, x.shape)
    if not training:
        return elementwise("rrelu", _leaky_with((lower + upper) / 2), x)
    if noise is None:
        noise = np.random.default_rng(generator).uniform(lower, upper, x.shape)
    finite = bool(np.isfinite(noise).all())

    def curve(x, noise):
        slope = slopes(x, noise, finite)
        return slope * x, slope

    return elementwise("rrelu", curve, x, np.asarray(noise, x.dtype))


class RReLU(Module):
    """`rrelu` as a module: random in training mode, drawing from `generator`."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, *, generator: np.random.Generator | None = None) -> None:
        self.lower, self.upper, self.generator = lower, upper, generator

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `rrelu` to each element."""
        return rrelu(input, lower=self.lower, upper=self.upper, training=self.training, generator=self.generator)


def threshold(x: Array, /, *, threshold: float, value: float) -> tuple[Array, Backward]:
    """Keep what is above the threshold, and put a value in the place of the rest.

    Forward:   y = x where x > threshold, else value
    Backward:  grad_x = grad_y where x > threshold, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at the threshold is 0
    """
    require_floats("threshold", "x", x)
    threshold, value = require_number("threshold", "threshold", threshold), require_number("threshold", "value", value)
    bits = BITS[x.dtype]
    value_bits = np.asarray(value, x.dtype).view(bits)

    def chosen(x, out=None):
        # x or the value, chosen bit by bit, as 0 · ∞ would be NaN: −1 has every bit set, 0 has none.
        dropped = x <= threshold
        mask = dropped.astype(bits)
        mask -= 1
        y = np.empty_like(x) if out is None else out
        chosen_bits = np.bitwise_xor(x.view(bits), value_bits, out=y.view(bits))
        chosen_bits &= mask
        chosen_bits ^= value_bits
        return y, ~dropped

    return elementwise("threshold", chosen, x)


class Threshold(Module):
    """`threshold` as a module."""

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `threshold` to each element."""
        return threshold(input, threshold=self.threshold, value=self.value)
