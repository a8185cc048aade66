"""Comparing, and choosing by truth values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.contract import (
    Array,
    Backward,
    broadcast_shape,
    is_number,
    require_mask,
    require_one_array,
    require_plain,
    require_shape,
)
from manual.tensor.rules import by_broadcasting, by_rules

__all__ = ["eq", "ge", "gt", "le", "lt", "masked_fill", "ne", "where"]

Operand = Array | float


def eq(x: Array, other: Operand, /) -> tuple[Array, Backward]:
    """Whether elements are equal.

    Forward:   y = (x = other)
    Backward:  there is none to have, as y holds truth values: grad_y is None, and so are grad_x and grad_other
    Shapes:    x, other broadcast to y
    """
    return _compared("tensor.eq", np.equal, x, other)


def ne(x: Array, other: Operand, /) -> tuple[Array, Backward]:
    """Whether elements differ.

    Forward:   y = (x ≠ other)
    Backward:  there is none to have, as y holds truth values: grad_y is None, and so are grad_x and grad_other
    Shapes:    x, other broadcast to y
    """
    return _compared("tensor.ne", np.not_equal, x, other)


def lt(x: Array, other: Operand, /) -> tuple[Array, Backward]:
    """Whether elements are smaller.

    Forward:   y = (x < other)
    Backward:  there is none to have, as y holds truth values: grad_y is None, and so are grad_x and grad_other
    Shapes:    x, other broadcast to y
    """
    return _compared("tensor.lt", np.less, x, other)


def le(x: Array, other: Operand, /) -> tuple[Array, Backward]:
    """Whether elements are smaller or equal.

    Forward:   y = (x ≤ other)
    Backward:  there is none to have, as y holds truth values: grad_y is None, and so are grad_x and grad_other
    Shapes:    x, other broadcast to y
    """
    return _compared("tensor.le", np.less_equal, x, other)


def gt(x: Array, other: Operand, /) -> tuple[Array, Backward]:
    """Whether elements are greater.

    Forward:   y = (x > other)
    Backward:  there is none to have, as y holds truth values: grad_y is None, and so are grad_x and grad_other
    Shapes:    x, other broadcast to y
    """
    return _compared("tensor.gt", np.greater, x, other)


def ge(x: Array, other: Operand, /) -> tuple[Array, Backward]:
    """Whether elements are greater or equal.

    Forward:   y = (x ≥ other)
    Backward:  there is none to have, as y holds truth values: grad_y is None, and so are grad_x and grad_other
    Shapes:    x, other broadcast to y
    """
    return _compared("tensor.ge", np.greater_equal, x, other)


def _compared(op: str, comparison: Callable[[Any, Any], Any], x: Array, other: Any) -> tuple[Array, Backward]:
    if is_number(other):
        require_plain(op, "x", x)
    else:
        require_plain(op, "x other", x, other)
        broadcast_shape(op, x=x, other=other)
    return by_rules(op, np.asarray(comparison(x, other)), None, None)


def where(condition: Array, x: Operand, other: Operand, /) -> tuple[Array, Backward]:
    """Choose between two arrays, element by element. One of them may be a plain number.

    Forward:   y = x where the condition is true, else other
    Backward:  grad_x = grad_y where it is true, else 0;  grad_other the other way round
    Shapes:    condition, x, other broadcast to y; each gradient is summed over what was repeated
    """
    op = "tensor.where"
    require_mask(op, "condition", condition, np.shape(condition))
    arrays: dict[str, Any] = {name: operand for name, operand in (("x", x), ("other", other)) if not is_number(operand)}
    require_one_array(op, {"x": x, "other": other})
    require_plain(op, " ".join(arrays), *arrays.values())
    broadcast_shape(op, condition=condition, **arrays)
    dtype = next(iter(arrays.values())).dtype
    output = np.where(condition, _in_dtype(op, "x", x, dtype), _in_dtype(op, "other", other, dtype))
    return by_broadcasting(
        op, output, (None, None), (x, lambda g: np.where(condition, g, 0)), (other, lambda g: np.where(condition, 0, g))
    )


def masked_fill(x: Array, mask: Array, value: Operand, /) -> tuple[Array, Backward]:
    """Write a value wherever a mask is true.

    Forward:   y = value where the mask is true, else x
    Backward:  grad_x = grad_y where it is false, else 0;  grad_value = Σ grad_y where it is true, if value is an array
    Shapes:    x, mask broadcast to y; value is a number, or an array of no axes
    """
    op = "tensor.masked_fill"
    require_plain(op, "x", x)
    require_mask(op, "mask", mask, np.shape(mask))
    broadcast_shape(op, x=x, mask=mask)
    if not is_number(value):
        require_plain(op, "x value", x, value)
        require_shape(op, "value", np.asarray(value), ())
    output = np.where(mask, _in_dtype(op, "value", value, x.dtype), x)
    return by_broadcasting(op, output, (x, lambda g: np.where(mask, 0, g)), (None, None), (value, lambda g: np.where(mask, g, 0)))


def _in_dtype(op: str, name: str, operand: Any, dtype: np.dtype[Any]) -> Array:
    """An array as it is, a number in the dtype of the arrays beside it, which must hold it."""
    if is_number(operand) and dtype.kind != "f" and np.asarray(operand).dtype.kind != dtype.kind:
        raise TypeError(f"{op}: {name} must be a number that {dtype} holds, got {operand!r}")
    return np.asarray(operand, dtype)
