"""Elementary functions of each element."""

import math

import numpy as np
from scipy.special import erf as scipy_erf

from manual.arrays import BITS, exp_range, sealed
from manual.contract import Array, Backward, require_floats
from manual.elementwise import elementwise
from manual.tensor.rules import by_rules

__all__ = ["abs", "cos", "erf", "exp", "log", "log1p", "rsqrt", "sign", "sin", "sqrt"]

SLOPE_AT_0 = 2.0 / math.sqrt(math.pi)  # of erf


def abs(x: Array, /) -> tuple[Array, Backward]:
    """The size of each element.

    Forward:   y = |x|
    Backward:  grad_x = grad_y · sign(x)
    Shapes:    x, y (...)
    Kinks:     at 0 the gradient is 0
    """
    require_floats("tensor.abs", "x", x)
    return elementwise("tensor.abs", _abs, x)


def _abs(x, out=None):
    return np.absolute(x, out=out), lambda: _sign(x)


def sign(x: Array, /) -> tuple[Array, Backward]:
    """The sign of each element.

    Forward:   y = 1 for x > 0, −1 for x < 0, else 0, of NaN too
    Backward:  grad_x = 0
    Shapes:    x, y (...)
    """
    require_floats("tensor.sign", "x", x)
    return by_rules("tensor.sign", _sign(x), np.zeros_like)


def _sign(x):
    return np.subtract(x > 0, x < 0, dtype=x.dtype)


def exp(x: Array, /) -> tuple[Array, Backward]:
    """The exponential function.

    Forward:   y = exp(x)
    Backward:  grad_x = grad_y · y
    Shapes:    x, y (...)
    """
    require_floats("tensor.exp", "x", x)
    y, backward = elementwise("tensor.exp", _exp, x)
    return sealed(y), backward


def _exp(x, out=None):
    y = np.exp(x, out=out)
    return y, y


def log(x: Array, /) -> tuple[Array, Backward]:
    """The natural logarithm.

    Forward:   y = log(x)
    Backward:  grad_x = grad_y / x
    Shapes:    x, y (...)
    """
    require_floats("tensor.log", "x", x)
    return elementwise("tensor.log", _log, x)


def _log(x, out=None):
    with np.errstate(divide="ignore", invalid="ignore"):  # −∞ at 0, NaN below
        return np.log(x, out=out), 1.0 / x


def log1p(x: Array, /) -> tuple[Array, Backward]:
    """The natural logarithm of 1 + x, with all its digits for small x.

    Forward:   y = log(1 + x)
    Backward:  grad_x = grad_y / (1 + x)
    Shapes:    x, y (...)
    """
    require_floats("tensor.log1p", "x", x)
    return elementwise("tensor.log1p", _log1p, x)


def _log1p(x, out=None):
    with np.errstate(divide="ignore", invalid="ignore"):  # −∞ at −1, NaN below
        return np.log1p(x, out=out), 1.0 / (1.0 + x)


def sqrt(x: Array, /) -> tuple[Array, Backward]:
    """The square root.

    Forward:   y = √x
    Backward:  grad_x = grad_y / (2 √x)
    Shapes:    x, y (...)
    Kinks:     at 0 the slope is ∞
    """
    require_floats("tensor.sqrt", "x", x)
    return elementwise("tensor.sqrt", _sqrt, x)


def _sqrt(x, out=None):
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN below 0
        y = np.sqrt(x, out=out)
        return y, 0.5 / y


def rsqrt(x: Array, /) -> tuple[Array, Backward]:
    """One divided by the square root.

    Forward:   y = 1 / √x
    Backward:  grad_x = −grad_y · y / (2 x)
    Shapes:    x, y (...)
    """
    require_floats("tensor.rsqrt", "x", x)
    return elementwise("tensor.rsqrt", _rsqrt, x)


def _rsqrt(x, out=None):
    with np.errstate(divide="ignore", invalid="ignore"):  # ∞ at 0, NaN below
        y = np.divide(1.0, np.sqrt(x), out=out)
        return y, -0.5 * y / x


def sin(x: Array, /) -> tuple[Array, Backward]:
    """The sine of an angle in radians.

    Forward:   y = sin(x)
    Backward:  grad_x = grad_y · cos(x)
    Shapes:    x, y (...)
    """
    require_floats("tensor.sin", "x", x)
    return elementwise("tensor.sin", _sin, x)


def _sin(x, out=None):
    with np.errstate(invalid="ignore"):  # NaN at ±∞
        return np.sin(x, out=out), np.cos(x)


def cos(x: Array, /) -> tuple[Array, Backward]:
    """The cosine of an angle in radians.

    Forward:   y = cos(x)
    Backward:  grad_x = −grad_y · sin(x)
    Shapes:    x, y (...)
    """
    require_floats("tensor.cos", "x", x)
    return elementwise("tensor.cos", _cos, x)


def _cos(x, out=None):
    with np.errstate(invalid="ignore"):  # NaN at ±∞
        return np.cos(x, out=out), -np.sin(x)


def erf(x: Array, /) -> tuple[Array, Backward]:
    """The error function.

    Forward:   y = 2/√π ∫₀ˣ exp(−t²) dt
    Backward:  grad_x = grad_y · 2/√π exp(−x²)
    Shapes:    x, y (...)
    """
    require_floats("tensor.erf", "x", x)
    return elementwise("tensor.erf", _erf, x, within=exp_range(x.dtype), beyond=_erf_far)


def _erf(x, out=None):
    square, rest = _square(x)
    slope = np.exp(np.negative(square, out=square), out=square)
    rest *= slope
    slope -= rest  # exp(−square − rest)
    slope *= SLOPE_AT_0
    return scipy_erf(x, out=out), slope


def _square(x):
    """Return x² as it is rounded, and the rest: what x² is off by, exp(−x²) would be off by as well, relative to itself.

    With h the upper half of the digits of x, h² is exact, and x² = h² + (x − h)(x + h).
    Source: Dekker 1971, A Floating-Point Technique for Extending the Available Precision
    """
    lower_half = np.finfo(x.dtype).nmant // 2 + 1
    h = (x.view(BITS[x.dtype]) & -(1 << lower_half)).view(x.dtype)
    square, rest = x * x, x - h
    rest *= x + h
    h *= h
    h -= square
    rest += h
    return square, rest


def _erf_far(x):
    """Far out, where x² may overflow, erf x is ±1, and its slope less than any number."""
    return np.sign(x), 0.0
