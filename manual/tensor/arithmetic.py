"""Arithmetic: sums, products, powers, and the larger of two. Operands broadcast to one another.

One operand may be a plain number: it counts as a constant, has no gradient, and leaves the dtype as it is.
"""

from typing import Any

import numpy as np

from manual.contract import (
    Array,
    Backward,
    broadcast_shape,
    is_number,
    require_choice,
    require_floats,
    require_number,
    require_operands,
)
from manual.tensor.rules import by_broadcasting

__all__ = ["add", "clamp", "divide", "maximum", "minimum", "multiply", "neg", "pow", "subtract"]

Operand = Array | float


def add(x: Operand, other: Operand, /, *, alpha: float = 1) -> tuple[Array, Backward]:
    """Add two arrays, the second as often as `alpha` says.

    Forward:   y = x + α · other      (α = alpha)
    Backward:  grad_x = grad_y,  grad_other = α · grad_y
    Shapes:    x, other broadcast to y; each gradient is summed over what was repeated
    """
    x, other = _operands("add", x, other)
    alpha = require_number("tensor.add", "alpha", alpha)
    output = x + (other if alpha == 1 else alpha * other)
    return by_broadcasting("tensor.add", output, (x, lambda g: g), (other, lambda g: alpha * g))


def subtract(x: Operand, other: Operand, /, *, alpha: float = 1) -> tuple[Array, Backward]:
    """Subtract an array, as often as `alpha` says.

    Forward:   y = x − α · other      (α = alpha)
    Backward:  grad_x = grad_y,  grad_other = −α · grad_y
    Shapes:    x, other broadcast to y; each gradient is summed over what was repeated
    """
    x, other = _operands("subtract", x, other)
    alpha = require_number("tensor.subtract", "alpha", alpha)
    output = x - (other if alpha == 1 else alpha * other)
    return by_broadcasting("tensor.subtract", output, (x, lambda g: g), (other, lambda g: -alpha * g))


def multiply(x: Operand, other: Operand, /) -> tuple[Array, Backward]:
    """Multiply two arrays, element by element.

    Forward:   y = x · other
    Backward:  grad_x = grad_y · other,  grad_other = grad_y · x
    Shapes:    x, other broadcast to y; each gradient is summed over what was repeated
    """
    x, other = _operands("multiply", x, other)
    return by_broadcasting("tensor.multiply", x * other, (x, lambda g: g * other), (other, lambda g: g * x))


def divide(x: Operand, other: Operand, /, *, rounding_mode: str | None = None) -> tuple[Array, Backward]:
    """Divide two arrays, element by element.

    Forward:   y = x / other, rounded with rounding_mode="floor" downwards, with "trunc" towards 0
    Backward:  grad_x = grad_y / other,  grad_other = −grad_y · x / other²;  where y is rounded both are 0
    Shapes:    x, other broadcast to y; each gradient is summed over what was repeated
    """
    op = "tensor.divide"
    x, other = _operands("divide", x, other)
    if rounding_mode is not None:
        require_choice(op, "rounding_mode", rounding_mode, ("floor", "trunc"))
    with np.errstate(divide="ignore", invalid="ignore"):  # ∞ and NaN say what there is to say
        quotient = np.true_divide(x, other)
        if rounding_mode is not None:
            output = np.floor_divide(x, other) if rounding_mode == "floor" else np.trunc(quotient)
            return by_broadcasting(op, output, (x, np.zeros_like), (other, np.zeros_like))

    def grad_x(g):
        with np.errstate(divide="ignore", invalid="ignore"):
            return g / other

    def grad_other(g):
        with np.errstate(divide="ignore", invalid="ignore"):
            return -g * (np.true_divide(x, other) / other)

    return by_broadcasting(op, quotient, (x, grad_x), (other, grad_other))


def pow(x: Operand, exponent: Operand, /) -> tuple[Array, Backward]:
    """Raise an array to a power, element by element.

    Forward:   y = xᵉ      (e = exponent)
    Backward:  grad_x = grad_y · e xᵉ⁻¹,  grad_exponent = grad_y · xᵉ log x
    Shapes:    x, exponent broadcast to y; each gradient is summed over what was repeated
    Kinks:     e = 0: grad_x is 0, be x 0 or infinite;  x = 0 and e ≥ 0: so is grad_exponent. For x < 0 that is NaN
    """
    x, exponent = _operands("pow", x, exponent, "exponent")
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 to a negative power, a negative number to a fraction
        output = np.asarray(x**exponent)
    output.flags.writeable = False

    def grad_x(g):
        with np.errstate(divide="ignore", invalid="ignore"):
            return g * np.where(exponent == 0, 0, exponent * x ** (exponent - 1.0))

    def grad_exponent(g):
        with np.errstate(divide="ignore", invalid="ignore"):
            return g * np.where((x == 0) & (exponent >= 0), 0, output * np.log(np.asarray(x, output.dtype)))

    return by_broadcasting("tensor.pow", output, (x, grad_x), (exponent, grad_exponent))


def neg(x: Array, /) -> tuple[Array, Backward]:
    """Change every sign.

    Forward:   y = −x
    Backward:  grad_x = −grad_y
    Shapes:    x, y (...)
    """
    require_floats("tensor.neg", "x", x)
    return by_broadcasting("tensor.neg", -x, (x, np.negative))


def maximum(x: Array, other: Array, /) -> tuple[Array, Backward]:
    """The larger of two, element by element.

    Forward:   y = max(x, other); NaN if either is
    Backward:  grad_y goes to the larger one
    Shapes:    x, other broadcast to y; each gradient is summed over what was repeated
    Kinks:     those that tie get half of it each; beside NaN, both get the whole
    """
    require_floats("tensor.maximum", "x other", x, other)
    broadcast_shape("tensor.maximum", x=x, other=other)
    return by_broadcasting(
        "tensor.maximum",
        np.maximum(x, other),
        (x, lambda g: _share(g, x < other, x == other)),
        (other, lambda g: _share(g, x > other, x == other)),
    )


def minimum(x: Array, other: Array, /) -> tuple[Array, Backward]:
    """The smaller of two, element by element.

    Forward:   y = min(x, other); NaN if either is
    Backward:  grad_y goes to the smaller one
    Shapes:    x, other broadcast to y; each gradient is summed over what was repeated
    Kinks:     those that tie get half of it each; beside NaN, both get the whole
    """
    require_floats("tensor.minimum", "x other", x, other)
    broadcast_shape("tensor.minimum", x=x, other=other)
    return by_broadcasting(
        "tensor.minimum",
        np.minimum(x, other),
        (x, lambda g: _share(g, x > other, x == other)),
        (other, lambda g: _share(g, x < other, x == other)),
    )


def _share(g: Array, loses: Array, ties: Array) -> Array:
    return np.where(loses, 0, np.where(ties, 0.5 * g, g))


def clamp(x: Array, min: Operand | None = None, max: Operand | None = None, /) -> tuple[Array, Backward]:
    """Move what lies outside of two bounds to the nearer of them. Both are numbers, or both arrays; either may be left out.

    Forward:   y = min(max(x, low), high)      (low and high are the arguments `min` and `max`)
    Backward:  grad_y goes to x where low ≤ x ≤ high, to low where x < low < high, and to high where x > high or low > high
    Shapes:    x, low, high broadcast to y; each gradient is summed over what was repeated
    Kinks:     at a bound x gets all of it; where x or a bound is NaN, nobody
    """
    op = "tensor.clamp"
    _require_bounds(op, x, min, max)
    low = -np.inf if min is None else min
    high = np.inf if max is None else max

    def grad_x(g):
        return np.where((x >= low) & (x <= high), g, 0)

    def grad_low(g):
        return np.where((x < low) & (low < high), g, 0)

    def grad_high(g):
        return np.where((x > high) | (high < low), g, 0)

    output = np.minimum(np.maximum(x, low), high)
    return by_broadcasting(op, output, (x, grad_x), (low, grad_low), (high, grad_high))


def _require_bounds(op: str, x: Any, low: Any, high: Any) -> None:
    """Refuse bounds of two kinds, and none at all."""
    given = {name: bound for name, bound in (("min", low), ("max", high)) if bound is not None}
    if not given:
        raise ValueError(f"{op}: min and max must not both be None")
    require_operands(op, " ".join(["x", *given]), x, *given.values())
    if len({is_number(bound) for bound in given.values()}) != 1:
        raise TypeError(
            f"{op}: min and max must both be numbers or both arrays, got {type(low).__name__} and {type(high).__name__}"
        )
    broadcast_shape(op, **{name: np.asarray(array) for name, array in ({"x": x} | given).items()})


def _operands(name: str, x: Any, other: Any, second: str = "other") -> tuple[Any, Any]:
    """Check two operands, which broadcast to one another."""
    x, other = require_operands(f"tensor.{name}", f"x {second}", x, other)
    broadcast_shape(f"tensor.{name}", **{"x": np.asarray(x), second: np.asarray(other)})
    return x, other
