"""Cases of arithmetic."""

import math
from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Number, Operation, normal, uniform
from reference.exact import detach, each, lift, mp

SIGNED_ZEROS = [0.0, -0.0, 1.0, -2.0]


def _of_two(manual, theirs, definition, *cases: Any, draw=normal):
    """An operation on two operands, in the shapes that broadcast, and beside plain numbers."""
    return Operation(
        manual,
        theirs,
        definition,
        cases=(
            Case("same shape", (draw(2, 3), draw(2, 3))),
            Case("a row", (draw(2, 3), draw(3))),
            Case("a column and a row", (draw(2, 1), draw(1, 3))),
            Case("a matrix and many", (draw(2, 2), draw(3, 1, 2))),
            Case("a number of no axes", (draw(4), draw())),
            Case("two numbers of no axes", (draw(), draw())),
            Case("batch of 0", (draw(0, 3), draw(3)), zero=("grad_1",)),
            Case("a plain number", (draw(2, 3), Number(0.5))),
            Case("a plain number first", (Number(2), draw(2, 3))),
            Case("of no axes, a plain number", (draw(), Number(-3))),
            *cases,
        ),
        small=Case("100 × 100", (draw(100, 100), draw(100))),
        large=Case("2000 × 2000", (draw(2000, 2000), draw(2000, 2000))),
    )


def _extreme_of_two(manual, theirs, definition):
    return Operation(
        manual,
        theirs,
        definition,
        cases=(
            Case("same shape", (normal(4, 5), normal(4, 5))),
            Case("a row", (normal(4, 5), normal(5))),
            Case("a column and a row", ([[-1.0], [0.5], [2.0]], [[-0.5, 1.0, 1.5]])),
            Case("a number of no axes", ([-2.0, -1.0, 1.0, 2.0], 0.5)),
            Case("batch of 0", (normal(0, 3), normal(3)), zero=("grad_1",)),
            Case("ties", ([1.0, 2.0, 0.0, 3.0], [1.0, 1.0, -0.0, 4.0]), smooth=False),
            Case("NaN", ([math.nan, 1.0, math.nan, 2.0], [1.0, math.nan, math.nan, 3.0]), judge="torch", smooth=False),
            Case("∞", ([math.inf, -math.inf, 1.0], [2.0, 1.0, math.inf]), judge="torch", smooth=False),
        ),
        small=Case("100 × 100", (normal(100, 100), normal(100))),
        large=Case("2000 × 2000", (normal(2000, 2000), normal(2000, 2000))),
    )


def _add(x, other, alpha=1):
    return x + alpha * other


def _subtract(x, other, alpha=1):
    return x - alpha * other


def _multiply(x, other):
    return x * other


def _divide(x, other, rounding_mode=None):
    if rounding_mode is None:
        return x / other
    return each(mp.floor if rounding_mode == "floor" else _towards_0)(detach(x) / detach(other))


def _towards_0(quotient):
    return mp.sign(quotient) * mp.floor(abs(quotient))


def _torch_subtract(x, other, alpha=1):
    return torch.subtract(torch.tensor(x, dtype=other.dtype) if isinstance(x, (int, float)) else x, other, alpha=alpha)


_power = lift(
    lambda x, e: mp.power(x, e),
    lambda x, e: e * mp.power(x, e - 1) if e else mp.zero,
    lambda x, e: mp.power(x, e) * mp.log(x) if x else mp.zero,
)


def _larger(x, other):
    return np.where(x > other, x, np.where(x < other, other, (x + other) / 2))


def _smaller(x, other):
    return np.where(x < other, x, np.where(x > other, other, (x + other) / 2))


def _clamp(x, low=None, high=None):
    y = x if low is None else np.where(x < low, low, x)
    return y if high is None else np.where(y > high, high, y)


def _positive(*shape: Any):
    return uniform(0.3, 3, *shape)


_rounded: dict[str, Any] = {"zero": ("grad_0", "grad_1"), "smooth": False}
_repeated = "its backward fails where x is repeated"
POWERS = 0, 1, 2, 3, -1, 0.5, -2.5, 1.0

OPERATIONS = (
    _of_two(
        tensor.add,
        torch.add,
        _add,
        Case("alpha", (normal(2, 3), normal(3)), {"alpha": -0.7}),
        Case("alpha, a plain number", (normal(2, 3), Number(3)), {"alpha": 2}),
        Case("alpha = 0", (normal(2, 3), normal(2, 3)), {"alpha": 0.0}, zero=("grad_1",)),
    ),
    _of_two(
        tensor.subtract,
        _torch_subtract,
        _subtract,
        Case("alpha", (normal(2, 3), normal(3)), {"alpha": -0.7}),
        Case("alpha, a plain number", (normal(2, 3), Number(3)), {"alpha": 2}),
    ),
    _of_two(tensor.multiply, torch.multiply, _multiply, Case("zeros", (SIGNED_ZEROS, [3.0, 2.0, 0.0, -1.0]))),
    _of_two(
        tensor.divide,
        torch.divide,
        _divide,
        Case("tiny and huge", ([1e-30, 3e30, -2e-30], [7e-10, 3e10, -5e-8]), smooth=False),
        Case("by 0", ([1.0, -2.0, 0.0], [0.0, 0.0, 0.0]), judge="torch", smooth=False),
        *(
            Case(f"{mode}{what}", operands, {"rounding_mode": mode}, **_rounded)
            for mode in ("floor", "trunc")
            for what, operands in (
                ("", (normal(2, 3, scale=5.0), normal(3))),
                (", exact quotients", ([6.0, -6.0, 7.0, -7.0], [3.0, 3.0, -2.0, 2.0])),
            )
        ),
        Case(
            "floor, a plain number", (normal(5, scale=5.0), Number(2)), {"rounding_mode": "floor"}, zero=("grad_0",), smooth=False
        ),
        draw=_positive,
    ),
    _of_two(
        tensor.pow,
        torch.pow,
        _power,
        *(Case(f"e = {e}", (_positive(2, 3), Number(e)), zero=("grad_0",) if e == 0 else ()) for e in POWERS),
        Case("of negative numbers", ([-2.0, -0.5, -3.0], Number(3))),
        Case("of negative numbers, e = 0", ([-2.0, 0.0, 3.0], Number(0)), zero=("grad_0",)),
        Case("of negative numbers, arrays", ([-2.0, -0.5, -3.0], [2.0, 3.0, -1.0]), no_grad=(), judge="torch", smooth=False),
        Case("of 0", ([0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.5, 2.0, 0.0, -1.0]), judge="torch", smooth=False),
        Case("of 0, e = 1", ([0.0, 2.0, -1.0], Number(1)), smooth=False),
        Case("of 0, e = 2", ([0.0, 2.0, -1.0], Number(2)), smooth=False),
        Case("of 0, e = ½", ([0.0, 2.0, 1.0], Number(0.5)), judge="torch", smooth=False),
        Case("of 0, e = −1", ([0.0, 2.0, 1.0], Number(-1.0)), judge="torch", smooth=False),
        Case("0 to the power of an array", (Number(0), [0.0, 1.0, 2.5, -1.0]), judge="torch", smooth=False),
        Case("a negative number to the power of an array", (Number(-2), [0.0, 1.0, 3.0]), judge="torch", smooth=False),
        Case("1 to the power of an array", (Number(1), normal(3)), zero=("grad_1",)),
        draw=_positive,
    ),
    Operation(
        tensor.neg,
        torch.neg,
        lambda x: -x,
        cases=(
            Case("ordinary", (normal(2, 3),)),
            Case("a number of no axes", (normal(),)),
            Case("batch of 0", (normal(0, 3),)),
        ),
        small=Case("100 × 100", (normal(100, 100),)),
        large=Case("2000 × 2000", (normal(2000, 2000),)),
    ),
    _extreme_of_two(tensor.maximum, torch.maximum, _larger),
    _extreme_of_two(tensor.minimum, torch.minimum, _smaller),
    Operation(
        tensor.clamp,
        torch.clamp,
        _clamp,
        cases=(
            Case("two numbers", (normal(4, 5), Number(-0.5), Number(0.7))),
            Case("two integers", (normal(4, 5, scale=2.0), Number(-1), Number(1))),
            Case("no less than", (normal(4, 5), Number(0.3))),
            Case("no more than", (normal(4, 5), None, Number(0.3))),
            Case("arrays", (normal(4, 5), uniform(-1, 0, 4, 5), uniform(0, 1, 4, 5)), torch_loses=_repeated),
            Case("arrays that broadcast", (normal(2, 4, 5), uniform(-1, 0, 4, 1), uniform(0, 1, 5)), torch_loses=_repeated),
            Case("no less than an array", (normal(4, 5), normal(5)), torch_loses=_repeated),
            Case("no more than an array", (normal(4, 5), None, normal(4, 1)), torch_loses=_repeated),
            Case("of no axes", (uniform(0.1, 0.4), Number(0), Number(0.5))),
            Case("batch of 0", (normal(0, 5), Number(-1.0), Number(1.0))),
            Case("at the bounds", ([-1.0, 1.0, 0.0, 2.0, -2.0], Number(-1.0), Number(1.0)), smooth=False),
            Case(
                "at bounds that are arrays",
                ([-1.0, 1.0, -3.0, 3.0, 2.0], [-1.0, 0.0, -1.0, 1.0, 2.0], [2.0, 1.0, 1.0, 2.0, 2.0]),
                smooth=False,
                torch_loses=_repeated,
            ),
            Case("low above high", (normal(4, 5), Number(1.0), Number(-1.0)), zero=("grad_0",)),
            Case(
                "low above high, arrays",
                ([-2.0, 0.0, 2.0, 5.0, -3.0], [1.0, 1.5, 4.0, 0.0, -1.0], [-1.0, 0.5, 3.0, 6.0, 1.0]),
                torch_loses=_repeated,
            ),
            Case(
                "bounds that are equal",
                ([0.0, 5.0], [1.0, 1.0], [1.0, 1.0]),
                judge="torch",
                smooth=False,
                zero=("grad_0", "grad_1"),
            ),
            Case("NaN", ([math.nan, 0.5, math.nan], Number(0.0), Number(1.0)), judge="torch", smooth=False),
            Case(
                "NaN in bounds",
                ([0.5, 0.5, 0.7], [math.nan, 0.0, 0.0], [1.0, math.nan, 1.0]),
                judge="torch",
                smooth=False,
                zero=("grad_1", "grad_2"),
                torch_loses=_repeated,
            ),
        ),
        small=Case("100 × 100", (normal(100, 100), Number(-0.5), Number(0.5))),
        large=Case("2000 × 2000", (normal(2000, 2000), Number(-0.5), Number(0.5))),
    ),
)

MODULES = ()
