"""Activations that keep what is positive and let the rest fall off exponentially.

For one slope s and one curve c, s = 1 where x > 0 and a factor elsewhere, they are y = s c(x).
"""

import math

import numpy as np

from manual.activations.piecewise import slopes
from manual.contract import Array, Backward, require_floats
from manual.elementwise import elementwise
from manual.module import Module

__all__ = ["CELU", "ELU", "SELU", "celu", "elu", "selu"]

# So that layers keep mean 0 and variance 1: Klambauer et al. 2017, equation 14.
ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


def elu(x: Array, /, *, alpha: float = 1.0) -> tuple[Array, Backward]:
    """Keep what is positive, and let the rest fall to −α.

    Forward:   y = x where x > 0, else α (exp(x) − 1)
    Backward:  grad_x = grad_y where x > 0, else α exp(x) grad_y
    Shapes:    x, y (...)
    Kinks:     the gradient at 0 is α
    Source:    Clevert, Unterthiner & Hochreiter 2016, Fast and Accurate Deep Network Learning by Exponential Linear Units
    """
    return _elu("elu", x, alpha, 1.0)


def selu(x: Array, /) -> tuple[Array, Backward]:
    """`elu`, scaled so that it normalises what passes through many layers.

    Forward:   y = λ x where x > 0, else λ α (exp(x) − 1);  α = 1.6733, λ = 1.0507
    Backward:  grad_x = λ grad_y where x > 0, else λ α exp(x) grad_y
    Shapes:    x, y (...)
    Kinks:     the gradient at 0 is λ α
    Source:    Klambauer, Unterthiner, Mayr & Hochreiter 2017, Self-Normalizing Neural Networks
    """
    return _elu("selu", x, ALPHA, SCALE)


def _elu(op: str, x: Array, alpha: float, scale: float) -> tuple[Array, Backward]:
    require_floats(op, "x", x)

    def curve(x, out=None):
        negative = x.clip(-math.inf, 0.0)
        y = np.expm1(negative, out=out)
        slope = np.exp(negative)
        if alpha != 1.0:
            y *= alpha
            slope *= slopes(x, alpha)
        y += x.clip(0.0, math.inf)
        if scale != 1.0:
            y *= scale
            slope *= scale
        return y, slope

    return elementwise(op, curve, x)


class ELU(Module):
    """`elu` as a module."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `elu` to each element."""
        return elu(input, alpha=self.alpha)


class SELU(Module):
    """`selu` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `selu` to each element."""
        return selu(input)


def celu(x: Array, /, *, alpha: float = 1.0) -> tuple[Array, Backward]:
    """`elu` with a continuous slope for every α: 1 on both sides of 0.

    Forward:   y = x where x > 0, else α (exp(x/α) − 1)
    Backward:  grad_x = grad_y where x > 0, else exp(x/α) grad_y
    Shapes:    x, y (...)
    Source:    Barron 2017, Continuously Differentiable Exponential Linear Units
    """
    require_floats("celu", "x", x)
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0, got 0")

    def curve(x, out=None):
        negative = x.clip(-math.inf, 0.0)
        if alpha != 1.0:
            negative /= alpha
        y = np.expm1(negative, out=out)
        if alpha != 1.0:
            y *= alpha
        y += x.clip(0.0, math.inf)
        return y, np.exp(negative)

    # Unless α is 1, the quotient x/α is rounded, and far down that shows in its exponential.
    lowest = -math.inf if alpha == 1.0 else -4.0 * abs(alpha)
    return elementwise("celu", curve, x, within=(lowest, math.inf), beyond=curve)


class CELU(Module):
    """`celu` as a module."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `celu` to each element."""
        return celu(input, alpha=self.alpha)
