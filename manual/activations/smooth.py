"""Activations with derivatives of every order.

Their textbook derivatives lose digits in the tails: in 1 − tanh²x the two terms cancel, and beyond x = 9 nothing is left of it in
single precision. Each backward here is written in e = exp(−|x|) or the like, whose digits are good as far as they can be
represented.
"""

import numpy as np
from scipy.special import expit

from manual.contract import Array, Backward, cotangent, require_floats
from manual.module import Module

FEW = 1024  # up to here a call costs more than its arithmetic, and SciPy's functions, one call each, are the fastest
NEAR = 80.0  # up to here expit is right in every dtype; farther out it gives 0 for what is subnormal


def sigmoid(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (0, 1), the logistic function σ.

    Forward:   y = 1 / (1 + exp(−x))
    Backward:  grad_x = grad_y · σ′(x),  σ′(x) = σ(x) σ(−x) = e / (1 + e)²,  e = exp(−|x|)
    Shapes:    x, y (...)
    Source:    Verhulst 1845; Rumelhart, Hinton & Williams 1986
    """
    require_floats("sigmoid", "x", x)
    few = x.size <= FEW and np.abs(x).max(initial=0.0) < NEAR
    if few:
        output = expit(x, out=...)
    else:
        e = np.abs(x, out=...)
        np.negative(e, out=e)
        np.exp(e, out=e)
        denominator = e + 1.0
        output = np.minimum(x, 0.0)
        np.exp(output, out=output)  # 1 for x ≥ 0, e below: y = 1 / (1 + e), or e / (1 + e), without an overflow
        output /= denominator

    def backward(grad_output):
        grad_output = cotangent("sigmoid", grad_output, output.shape, output.dtype)
        if few:
            slope = np.negative(x, out=...)
            expit(slope, out=slope)
            slope *= output
        else:
            slope = denominator * denominator
            np.divide(e, slope, out=slope)
        slope *= grad_output
        return (slope,)

    return output, backward


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
    output = np.tanh(x, out=...)

    def backward(grad_output):
        e = np.abs(x, out=...)
        e *= -2.0
        np.exp(e, out=e)
        slope = np.add(e, 1.0, out=...)
        slope *= slope
        np.divide(e, slope, out=slope)
        slope *= 4.0
        slope *= cotangent("tanh", grad_output, slope.shape, slope.dtype)
        return (slope,)

    return output, backward


class Tanh(Module):
    """`tanh` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `tanh` to each element."""
        return self.call(tanh, (input,))
