"""Smooth activations with their curves drawn straight: cut off, ramped, shrunk."""

import math

import numpy as np

from manual.contract import Array, Backward, require_floats
from manual.elementwise import elementwise
from manual.module import Module

__all__ = [
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "ReLU6",
    "Softshrink",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "relu6",
    "softshrink",
]


def hardtanh(x: Array, /, *, min_val: float = -1.0, max_val: float = 1.0) -> tuple[Array, Backward]:
    """Cut off below and above.

    Forward:   y = min(max(x, min_val), max_val)
    Backward:  grad_x = grad_y where min_val < x < max_val, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at both ends is 0
    Source:    Collobert 2004, Large Scale Machine Learning
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not be above max_val, got {min_val} and {max_val}")
    return _clipped("hardtanh", x, min_val, max_val)


def _clipped(op: str, x: Array, low: float, high: float) -> tuple[Array, Backward]:
    require_floats(op, "x", x)

    def curve(x, out=None):
        y = x.clip(low, high, out=out)
        outside = y <= low
        outside |= y >= high
        return y, ~outside  # NaN, which is on no side, lets the gradient through, as in torch

    return elementwise(op, curve, x)


class Hardtanh(Module):
    """`hardtanh` as a module."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        if not max_val > min_val:
            raise ValueError(f"Hardtanh: max_val must be above min_val, got {max_val} and {min_val}")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `hardtanh` to each element."""
        return hardtanh(input, min_val=self.min_val, max_val=self.max_val)


def relu6(x: Array, /) -> tuple[Array, Backward]:
    """Keep what is positive, up to 6.

    Forward:   y = min(max(x, 0), 6)
    Backward:  grad_x = grad_y where 0 < x < 6, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at 0 and at 6 is 0
    Source:    Krizhevsky 2010, Convolutional Deep Belief Networks on CIFAR-10
    """
    return _clipped("relu6", x, 0.0, 6.0)


class ReLU6(Module):
    """`relu6` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `relu6` to each element."""
        return relu6(input)


def hardsigmoid(x: Array, /) -> tuple[Array, Backward]:
    """A ramp from 0 to 1.

    Forward:   y = min(max(x + 3, 0), 6) / 6
    Backward:  grad_x = grad_y / 6 where |x| < 3, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at −3 and at 3 is 0
    Source:    Courbariaux, Bengio & David 2015, BinaryConnect; Howard et al. 2019, Searching for MobileNetV3
    """
    require_floats("hardsigmoid", "x", x)
    return elementwise("hardsigmoid", _hardsigmoid, x)


def _hardsigmoid(x, out=None):
    y = x.clip(-3.0, 3.0, out=out)
    y += 3.0
    y /= 6.0
    inside = abs(x) < 3.0  # not read from y, which rounds to 1 just below x = 3
    return y, lambda: inside * x.dtype.type(1.0 / 6.0)


class Hardsigmoid(Module):
    """`hardsigmoid` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `hardsigmoid` to each element."""
        return hardsigmoid(input)


def hardswish(x: Array, /) -> tuple[Array, Backward]:
    """Each element times its `hardsigmoid`.

    Forward:   y = x (c + 3) / 6,  c = min(max(x, −3), 3)
    Backward:  grad_x = grad_y · (q + ½ − ½ ⌊q⌋),  q = c / 3,  ⌊q⌋ rounded towards zero: 1 from x = 3 on, −1 up to x = −3
    Shapes:    x, y (...)
    Kinks:     the gradient at −3 is 0, and at 3 it is 1
    Source:    Howard et al. 2019, Searching for MobileNetV3
    """
    require_floats("hardswish", "x", x)
    return elementwise("hardswish", _hardswish, x)


def _hardswish(x, out=None):
    c = x.clip(-3.0, 3.0)
    y = np.add(c, 3.0, out=out)  # exact near −3, where y has a zero
    y *= 1.0 / 6.0
    y *= x.clip(-3.0, math.inf)  # −∞ gives 0
    c /= 3.0  # q from here on
    slope = np.trunc(c)
    slope *= -0.5
    slope += c
    slope += 0.5
    return y, slope


class Hardswish(Module):
    """`hardswish` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `hardswish` to each element."""
        return hardswish(input)


def hardshrink(x: Array, /, *, lambd: float = 0.5) -> tuple[Array, Backward]:
    """Put zero in the place of what is small.

    Forward:   y = x where |x| > λ, else 0      (λ = lambd)
    Backward:  grad_x = grad_y where |x| > λ, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at ±λ is 0
    Source:    Donoho & Johnstone 1994, Ideal Spatial Adaptation by Wavelet Shrinkage
    """
    require_floats("hardshrink", "x", x)

    def curve(x, out=None):
        kept = ~(abs(x) <= lambd)  # NaN lets the gradient through, as in torch
        return np.multiply(x, kept, out=out), kept

    return elementwise("hardshrink", curve, x)


class Hardshrink(Module):
    """`hardshrink` as a module."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `hardshrink` to each element."""
        return hardshrink(input, lambd=self.lambd)


def softshrink(x: Array, /, *, lambd: float = 0.5) -> tuple[Array, Backward]:
    """Pull each element towards zero by λ, and no further than zero.

    Forward:   y = x − min(max(x, −λ), λ)      (λ = lambd)
    Backward:  grad_x = grad_y where |x| > λ, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at ±λ is 0
    Source:    Donoho & Johnstone 1994, Ideal Spatial Adaptation by Wavelet Shrinkage
    """
    require_floats("softshrink", "x", x)
    if not 0 <= lambd <= np.finfo(x.dtype).max:
        raise ValueError(f"softshrink: lambd must be finite and not negative, got {lambd}")

    def curve(x, out=None):
        y = np.subtract(x, x.clip(-lambd, lambd), out=out)
        return y, y != 0.0

    return elementwise("softshrink", curve, x)


class Softshrink(Module):
    """`softshrink` as a module."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `softshrink` to each element."""
        return softshrink(input, lambd=self.lambd)
