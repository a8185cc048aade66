"""Activations with derivatives of every order.

Their textbook derivatives lose digits in the tails: in 1 − tanh²x the two terms cancel, and beyond x = 9 nothing is left of it in
single precision. Each backward here is written in e = exp(−|x|) or the like, whose digits are good as far as they can be
represented.
"""

from typing import Any

import numpy as np

from manual.contract import Array, Backward, cotangent, require_floats
from manual.module import Module


def sigmoid(x: Array, /) -> tuple[Array, Backward]:
    """Squash into (0, 1), the logistic function σ.

    Forward:   y = 1 / (1 + exp(−x))
    Backward:  grad_x = grad_y · σ′(x),  σ′(x) = y (1 − y) = e / (1 + e)²,  e = exp(−|x|)
    Shapes:    x, y (...)
    Source:    Verhulst 1845; Rumelhart, Hinton & Williams 1986
    """
    require_floats("sigmoid", x=x)
    e = _exp_minus_abs(x)
    output = np.maximum(e, (x >= 0.0).astype(x.dtype), out=...)  # e ≤ 1: this is 1 for x ≥ 0 and e = exp(x) below
    output /= e + 1.0

    def backward(grad_output):
        slope = np.add(e, 1.0, out=...)
        slope *= slope
        np.divide(e, slope, out=slope)
        slope *= cotangent("sigmoid", grad_output, slope.shape, slope.dtype)
        return (slope,)

    return output, backward


def _exp_minus_abs(x: Array) -> Array:
    e = np.abs(x, out=...)
    np.negative(e, out=e)
    return np.exp(e, out=e)


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
    require_floats("tanh", x=x)
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
