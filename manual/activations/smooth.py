"""Activations with derivatives of every order.

Their textbook derivatives lose digits in the tails: in 1 − tanh²x the two terms cancel, and beyond x = 9 nothing is left of it in
single precision. Each slope here is written in exponentials, whose digits are good as far as they can be represented.
"""

import math

import numpy as np

from manual.activations.tails import above, below, exp_limit, exp_of
from manual.contract import Array, Backward, clip, numbers, require_floats
from manual.module import Module
from manual.threads import pointwise

# The odd numbers of tanh's continued fraction: up to |x| = 1, float32 needs them from 11 on, longer formats from 21.
FRACTION = 21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0


def sigmoid(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (0, 1), the logistic function σ.

    Forward:   y = 1 / (1 + exp(−x)) = z / (1 + z),  z = exp(x)
    Backward:  grad_x = grad_y · σ′(x),  σ′(x) = σ(x) σ(−x) = σ(x) / (1 + z)
    Shapes:    x, y (...)
    Source:    Verhulst 1845; Rumelhart, Hinton & Williams 1986
    """
    require_floats("sigmoid", "x", x)
    limit = exp_limit(x.dtype)
    (one,) = numbers(x.dtype, 1.0)

    def curve(x, y):
        far = above(x, limit)
        np.exp(x if far is None else clip(x, -math.inf, limit), out=y)
        slope = np.add(y, one, out=...)
        y /= slope
        np.divide(y, slope, out=slope)
        if far is not None:  # z would overflow: σ(x) = 1, σ(−x) = exp(−x)
            y[far] = 1.0
            slope[far] = np.exp(-x[far])
        return slope

    return pointwise("sigmoid", curve, x)


class Sigmoid(Module):
    """`sigmoid` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `sigmoid` to each element."""
        return self.call(sigmoid, (input,))


def tanh(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (−1, 1), the hyperbolic tangent.

    Forward:   y = (exp(x) − exp(−x)) / (exp(x) + exp(−x))
    Backward:  grad_x = grad_y · sech²x,  sech²x = 1 − y² = 4e / (1 + e)²,  e = exp(−2|x|)
    Shapes:    x, y (...)
    """
    require_floats("tanh", "x", x)
    one, minus_two, four = numbers(x.dtype, 1.0, -2.0, 4.0)

    def curve(x, y):
        np.tanh(x, out=y)
        e = np.abs(x, out=...)
        e *= minus_two
        np.exp(e, out=e)
        slope = np.add(e, one, out=...)
        np.square(slope, out=slope)
        np.divide(e, slope, out=slope)
        slope *= four
        return slope

    return pointwise("tanh", curve, x)


class Tanh(Module):
    """`tanh` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `tanh` to each element."""
        return self.call(tanh, (input,))


def softsign(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (−1, 1), approaching both ends slowly.

    Forward:   y = x / (1 + |x|)
    Backward:  grad_x = grad_y / (1 + |x|)²
    Shapes:    x, y (...)
    Source:    Bergstra, Desjardins, Lamblin & Bengio 2009, Quadratic Polynomials Learn Better Image Features
    """
    require_floats("softsign", "x", x)
    largest = float(np.finfo(x.dtype).max)
    (one,) = numbers(x.dtype, 1.0)

    def curve(x, y):
        clip(x, -largest, largest, out=y)  # ±∞ gives ±1, not NaN
        denominator = np.abs(y, out=...)
        denominator += one
        y /= denominator
        slope = np.divide(one, denominator, out=...)
        slope /= denominator  # not 1 / (1 + |x|)², which overflows
        return slope

    return pointwise("softsign", curve, x)


class Softsign(Module):
    """`softsign` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softsign` to each element."""
        return self.call(softsign, (input,))


def tanhshrink(x: Array, /) -> tuple[Array, Backward]:
    """What `tanh` takes away.

    Forward:   y = x − tanh x = x w / (1 + w),  w = x²/(3 + x²/(5 + x²/(7 + …)))
    Backward:  grad_x = grad_y · tanh²x
    Shapes:    x, y (...)
    Source:    the continued fraction: Lambert 1768
    """
    require_floats("tanhshrink", "x", x)
    one, innermost, *outer = numbers(x.dtype, 1.0, *FRACTION[5 if x.dtype.itemsize <= 4 else 0 :])

    def curve(x, y):
        # x − tanh x cancels where |x| is small, the fraction converges there. So it is taken of c, x cut off at ±1, and the
        # difference from there on, which is 0 where x = c, is added.
        tanh_x = np.tanh(x, out=...)
        c = clip(x, -1.0, 1.0)
        square = np.square(c, out=...)
        w = np.divide(square, innermost, out=...)
        for odd in outer:
            w += odd
            np.divide(square, w, out=w)
        np.add(w, one, out=y)
        np.divide(w, y, out=w)
        w *= c
        np.subtract(x, tanh_x, out=y)
        y -= c - np.tanh(c)
        y += w
        return np.square(tanh_x, out=tanh_x)  # the slope

    return pointwise("tanhshrink", curve, x)


class Tanhshrink(Module):
    """`tanhshrink` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `tanhshrink` to each element."""
        return self.call(tanhshrink, (input,))


def logsigmoid(x: Array, /) -> tuple[Array, Backward]:
    """The logarithm of `sigmoid`.

    Forward:   y = log σ(x) = −log(1 + w),  w = exp(−x)
    Backward:  grad_x = grad_y · σ(−x),  σ(−x) = w / (1 + w)
    Shapes:    x, y (...)
    """
    require_floats("logsigmoid", "x", x)
    limit = exp_limit(x.dtype)
    (one,) = numbers(x.dtype, 1.0)

    def curve(x, y):
        far = below(x, -limit)
        w = np.negative(x if far is None else clip(x, -limit, math.inf), out=...)
        np.exp(w, out=w)
        np.log1p(w, out=y)
        np.negative(y, out=y)
        slope = np.add(w, one, out=...)
        np.divide(w, slope, out=slope)
        if far is not None:  # w would overflow: log σ(x) is x to the last digit
            y[far] = x[far]
            slope[far] = 1.0
        return slope

    return pointwise("logsigmoid", curve, x)


class LogSigmoid(Module):
    """`logsigmoid` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `logsigmoid` to each element."""
        return self.call(logsigmoid, (input,))


def softplus(x: Array, /, *, beta: float = 1.0, threshold: float = 20.0) -> tuple[Array, Backward]:
    """A smooth `relu`, β telling how sharply it bends.

    Forward:   y = log(1 + z) / β,  z = exp(βx);  y = x where βx > threshold
    Backward:  grad_x = grad_y · σ(βx),  σ(βx) = z / (1 + z);  grad_y where βx > threshold
    Shapes:    x, y (...)
    Kinks:     at the threshold the gradient is σ(threshold)
    Source:    Dugas, Bengio, Bélisle, Nadeau & Garcia 2001, Incorporating Second-Order Functional Knowledge
    """
    require_floats("softplus", "x", x)
    if not (math.isfinite(beta) and beta != 0):
        raise ValueError(f"softplus: beta must be finite and not 0, got {beta}")
    limit = min(threshold, exp_limit(x.dtype))  # beyond exp_limit, before z overflows, log(1 + z) is βx to the last digit
    (one,) = numbers(x.dtype, 1.0)

    def curve(x, y):
        with np.errstate(over="ignore"):  # of βx, which is cut off
            scaled = x if beta == 1.0 else np.multiply(x, beta, out=...)
            linear = above(scaled, limit)
            if linear is not None:
                scaled = clip(scaled, -math.inf, limit)
            # What β rounds off the exponent would be lost
            z = (
                np.exp(scaled, out=...)
                if beta == 1.0
                else exp_of(lambda x: clip(np.multiply(x, beta, out=...), -math.inf, limit), x)
            )
        np.log1p(z, out=y)
        if beta != 1.0:
            y /= beta
        slope = np.add(z, one, out=...)
        np.divide(z, slope, out=slope)
        if linear is not None:
            y[linear] = x[linear]
            slope[linear] = 1.0
        return slope

    return pointwise("softplus", curve, x)


class Softplus(Module):
    """`softplus` as a module."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softplus` to each element."""
        return self.call(softplus, (input,), beta=self.beta, threshold=self.threshold)

    def extra_repr(self) -> str:
        """The bend, and where the straight part begins."""
        return f"beta={self.beta}, threshold={self.threshold}"
