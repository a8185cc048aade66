"""Activations with derivatives of every order.

Their textbook derivatives lose digits in the tails: in 1 − tanh²x the two terms cancel, and beyond x = 9 nothing is left of it in
single precision. Each slope here is written in exponentials, whose digits are good as far as they can be represented.
"""

import math

import numpy as np

from manual.activations.tails import above, exp_limit, exp_of
from manual.contract import Array, Backward, clip, require_floats
from manual.module import Module
from manual.threads import pointwise

FRACTION = tuple(float(odd) for odd in range(21, 1, -2))  # of tanh's continued fraction, as many as doubles need up to |x| = 1


def sigmoid(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (0, 1), the logistic function σ.

    Forward:   y = 1 / (1 + exp(−x)) = z / (1 + z),  z = exp(x)
    Backward:  grad_x = grad_y · σ′(x),  σ′(x) = σ(x) σ(−x) = σ(x) / (1 + z)
    Shapes:    x, y (...)
    Source:    Verhulst 1845; Rumelhart, Hinton & Williams 1986
    """
    require_floats("sigmoid", "x", x)
    limit = exp_limit(x.dtype)

    def curve(x, y):
        far = above(x, limit)
        np.exp(x if far is None else clip(x, -math.inf, limit), out=y)
        slope = np.add(y, 1.0, out=...)
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

    def curve(x, y):
        np.tanh(x, out=y)
        e = np.abs(x, out=...)
        e *= -2.0
        np.exp(e, out=e)
        slope = np.add(e, 1.0, out=...)
        slope *= slope
        np.divide(e, slope, out=slope)
        slope *= 4.0
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

    def curve(x, y):
        clip(x, -largest, largest, out=y)  # ±∞ gives ±1, not NaN
        denominator = np.abs(y, out=...)
        denominator += 1.0
        y /= denominator
        slope = np.divide(1.0, denominator, out=...)
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

    def curve(x, y):
        # x − tanh x cancels where |x| is small, the fraction converges there. So it is taken of c, x cut off at ±1, and the
        # difference from there on, which is 0 where x = c, is added.
        tanh_x = np.tanh(x, out=...)
        c = clip(x, -1.0, 1.0)
        square = c * c
        w = np.divide(square, FRACTION[0], out=...)
        for odd in FRACTION[1:]:
            w += odd
            np.divide(square, w, out=w)
        np.add(w, 1.0, out=y)
        np.divide(w, y, out=w)
        w *= c
        np.subtract(x, tanh_x, out=y)
        y -= c - np.tanh(c)
        y += w
        return np.multiply(tanh_x, tanh_x, out=tanh_x)  # the slope

    return pointwise("tanhshrink", curve, x)


class Tanhshrink(Module):
    """`tanhshrink` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `tanhshrink` to each element."""
        return self.call(tanhshrink, (input,))


def logsigmoid(x: Array, /) -> tuple[Array, Backward]:
    """The logarithm of `sigmoid`.

    Forward:   y = log σ(x) = min(x, 0) − log(1 + e),  e = exp(−|x|)
    Backward:  grad_x = grad_y · σ(−x),  σ(−x) = e / (1 + e) for x ≥ 0, 1 / (1 + e) below
    Shapes:    x, y (...)
    """
    require_floats("logsigmoid", "x", x)

    def curve(x, y):
        e = np.abs(x, out=...)
        np.negative(e, out=e)
        np.exp(e, out=e)
        clip(x, -math.inf, 0.0, out=y)
        y -= np.log1p(e)
        slope = np.maximum(e, (x < 0.0).astype(x.dtype), out=...)
        e += 1.0
        slope /= e
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
        slope = np.add(z, 1.0, out=...)
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
