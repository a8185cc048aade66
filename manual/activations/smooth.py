"""Activations with derivatives of every order.

Their textbook derivatives lose digits in the tails: in 1 − tanh²x the two terms cancel, and beyond x = 9 nothing is left of it in
single precision. Each slope here is written in exponentials, whose digits are good as far as they can be represented.
"""

import math

import numpy as np

from manual.arrays import exp_range
from manual.contract import Array, Backward, require_floats, require_number
from manual.elementwise import elementwise
from manual.module import Module

__all__ = [
    "LogSigmoid",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "logsigmoid",
    "sigmoid",
    "softplus",
    "softsign",
    "tanh",
    "tanhshrink",
]

# The odd numbers of tanh's continued fraction, enough up to |x| = 1; float32 needs them from 11 on.
FRACTION = 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0


def sigmoid(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (0, 1), the logistic function σ.

    Forward:   y = 1 / (1 + exp(−x)) = z / (1 + z),  z = exp(x)
    Backward:  grad_x = grad_y · σ′(x),  σ′(x) = σ(x) σ(−x) = σ(x) / (1 + z)
    Shapes:    x, y (...)
    Source:    Verhulst 1845; Rumelhart, Hinton & Williams 1986
    """
    require_floats("sigmoid", "x", x)
    return elementwise("sigmoid", _sigmoid, x, within=(-math.inf, exp_range(x.dtype)[1]), beyond=_sigmoid_far)


def _sigmoid(x, out=None):
    y = np.exp(x, out=out)  # z
    denominator = 1.0 + y
    y /= denominator
    return y, y / denominator


def _sigmoid_far(x):
    """Far on the right, where z overflows, σ(x) is 1 and σ′(x) = exp(−x)."""
    return 1.0, np.exp(-x)


class Sigmoid(Module):
    """`sigmoid` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `sigmoid` to each element."""
        return sigmoid(input)


def tanh(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (−1, 1), the hyperbolic tangent.

    Forward:   y = (exp(x) − exp(−x)) / (exp(x) + exp(−x))
    Backward:  grad_x = grad_y · sech²x,  sech²x = 1 − y² = 4 m (1 − m),  m = e / (1 + e),  e = exp(−2|x|)
    Shapes:    x, y (...)
    """
    require_floats("tanh", "x", x)
    return elementwise("tanh", tanh_curve, x)


def tanh_curve(x, out=None):
    with np.errstate(over="ignore"):  # where −2|x| is −∞, m is 0 as it should be
        m = np.exp(-2.0 * abs(x))
    m /= 1.0 + m
    slope = 1.0 - m
    slope *= m
    slope *= 4.0
    return np.tanh(x, out=out), slope


class Tanh(Module):
    """`tanh` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `tanh` to each element."""
        return tanh(input)


def softsign(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (−1, 1), approaching both ends slowly.

    Forward:   y = x / (1 + |x|)
    Backward:  grad_x = grad_y / (1 + |x|)²
    Shapes:    x, y (...)
    Source:    Bergstra, Desjardins, Lamblin & Bengio 2009, Quadratic Polynomials Learn Better Image Features
    """
    require_floats("softsign", "x", x)
    return elementwise("softsign", _softsign, x)


def _softsign(x, out=None):
    y = x.clip(np.finfo(x.dtype).min, np.finfo(x.dtype).max, out=out)  # ±∞ gives ±1, and not NaN
    denominator = 1.0 + abs(y)
    y /= denominator
    return y, 1.0 / denominator / denominator  # not 1 / (1 + |x|)², which overflows


class Softsign(Module):
    """`softsign` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softsign` to each element."""
        return softsign(input)


def tanhshrink(x: Array, /) -> tuple[Array, Backward]:
    """What `tanh` takes away.

    Forward:   y = x − tanh x = x w / (1 + w),  w = x²/(3 + x²/(5 + x²/(7 + …)))
    Backward:  grad_x = grad_y · tanh²x
    Shapes:    x, y (...)
    Source:    the continued fraction: Lambert 1768
    """
    require_floats("tanhshrink", "x", x)
    return elementwise("tanhshrink", _tanhshrink, x)


def _tanhshrink(x, out=None):
    # x − tanh x cancels where |x| is small, and there the fraction converges. So it is taken of c, x clipped to ±1, and the
    # difference from there on, x − tanh x − (c − tanh c), which is 0 where x = c, is added.
    tanh_x, c = np.tanh(x), x.clip(-1.0, 1.0)
    square = c * c
    innermost, *outer = FRACTION[5:] if x.dtype == np.float32 else FRACTION
    w = square / innermost
    for odd in outer:
        w += odd
        np.divide(square, w, out=w)
    y = np.subtract(x, tanh_x, out=out)
    y -= c - np.tanh(c)
    y += c * (w / (1.0 + w))
    return y, tanh_x * tanh_x


class Tanhshrink(Module):
    """`tanhshrink` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `tanhshrink` to each element."""
        return tanhshrink(input)


def logsigmoid(x: Array, /) -> tuple[Array, Backward]:
    """The logarithm of `sigmoid`.

    Forward:   y = log σ(x) = −log(1 + w),  w = exp(−x)
    Backward:  grad_x = grad_y · σ(−x),  σ(−x) = w / (1 + w)
    Shapes:    x, y (...)
    """
    require_floats("logsigmoid", "x", x)
    return elementwise("logsigmoid", _logsigmoid, x, within=(exp_range(x.dtype)[0], math.inf), beyond=_logsigmoid_far)


def _logsigmoid(x, out=None):
    w = np.exp(-x)
    y = np.log1p(w, out=out)
    return np.negative(y, out=y), w / (1.0 + w)


def _logsigmoid_far(x):
    """Far on the left, where w overflows, log σ(x) is x to the last digit, and σ(−x) is 1."""
    return x, 1.0


class LogSigmoid(Module):
    """`logsigmoid` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `logsigmoid` to each element."""
        return logsigmoid(input)


def softplus(x: Array, /, *, beta: float = 1.0, threshold: float = 20.0) -> tuple[Array, Backward]:
    """A smooth `relu`, β telling how sharply it bends.

    Forward:   y = log(1 + z) / β,  z = exp(βx);  y = x where βx > threshold
    Backward:  grad_x = grad_y · σ(βx),  σ(βx) = z / (1 + z);  grad_y where βx > threshold
    Shapes:    x, y (...)
    Kinks:     at the threshold the gradient is σ(threshold)
    Source:    Dugas, Bengio, Bélisle, Nadeau & Garcia 2001, Incorporating Second-Order Functional Knowledge
    """
    require_floats("softplus", "x", x)
    beta = require_number("softplus", "beta", beta, "a finite number other than 0")
    threshold = require_number("softplus", "threshold", threshold)
    lowest, highest = exp_range(x.dtype)
    if beta != 1.0:
        lowest = -4.0  # further down, what β rounds off the exponent shows in z
    limits = sorted((lowest / beta, max(lowest, min(highest, threshold)) / beta))

    def curve(x, out=None):
        z = np.exp(x if beta == 1.0 else beta * x)
        y = np.log1p(z, out=out)
        if beta != 1.0:
            y /= beta
        return y, z / (1.0 + z)

    def far(x):
        """log(1 + z) = max(βx, 0) + log(1 + e) and σ(βx) = 1 / (1 + e) or e / (1 + e), with e = exp(−|βx|)."""
        v = beta * x
        e = np.exp(-abs(v))
        y = (np.maximum(v, 0.0) + np.log1p(e)) / beta
        slope = np.where(v > 0, 1.0, e) / (1.0 + e)
        linear = v > threshold
        return np.where(linear, x, y), np.where(linear, 1.0, slope)

    return elementwise("softplus", curve, x, within=(limits[0], limits[1]), beyond=far)


class Softplus(Module):
    """`softplus` as a module."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softplus` to each element."""
        return softplus(input, beta=self.beta, threshold=self.threshold)
