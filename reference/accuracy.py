"""Pointwise functions held against the truth over the whole range of their dtype, from the smallest subnormal to infinity.

Here the scale of a value is its own size, so that r counts its wrong digits: a function of one number can be had to the last one.
So can its derivative, except near a zero of it, where the terms count that cancel (`Operation.slope_terms`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from reference import exact, oracle
from reference.case import Operation, generator
from reference.record import Agreement, Record, Target

Constants = tuple[tuple[str, Any], ...]

BENDS = -1, 3  # functions bend, saturate and underflow between these powers of ten
BEYOND = exact.mp.ldexp(1, 1100)  # larger than every float: there a function is at its limit
AT_INFINITY = " at ±∞"
ORDINARY = 0.75  # a number that must be treated the same beside infinities


def constants_of(operation: Operation) -> list[Constants]:
    """The different constants among the cases of a pointwise operation, each worth a sweep; not noise, an array of its own."""
    constants = [case.constants for case in operation.cases if operation.pointwise]
    return list(dict.fromkeys(tuple(each.items()) for each in constants if all(map(np.isscalar, each.values()))))


def call(operation: Operation, constants: Constants) -> str:
    """How the operation is called with these constants."""
    return f"{operation.name}({', '.join(['x', *(f'{name}={value!r}' for name, value in constants)])})"


def grid(operation: Operation, constants: Constants, dtype: Any) -> Any:
    """The finite inputs of a sweep, in both signs: a magnitude every second decade, and a hundred to a decade where functions
    bend; zero, the largest number, the kinks and the constants, many of which are thresholds, each with the numbers next to it.
    """
    info = np.finfo(dtype)
    start, end = BENDS
    powers = np.arange(np.ceil(np.log10(float(info.smallest_subnormal))), np.log10(float(info.max)), 2)
    bends = np.linspace(start, end, 100 * (end - start), endpoint=False)
    thresholds = [value for _, value in constants if isinstance(value, (int, float))]
    marks = np.array([0.0, info.max, *operation.kinks, *thresholds], dtype)
    with np.errstate(over="ignore"):  # after the largest number comes infinity
        around = [marks, *(np.nextafter(marks, info.dtype.type(side)) for side in (-np.inf, np.inf))]
    points = np.concatenate([*around, (10 ** np.concatenate([powers, bends])).astype(dtype)])
    points = points[np.isfinite(points)]
    return np.concatenate([-points, points])


@cache
def _reference(operation: Operation, constants: Constants, dtype: str, where: str, seed: int) -> tuple[Any, ...]:
    """The inputs, a random cotangent, torch's results, and the truth."""
    x = np.array([-np.inf, -ORDINARY, ORDINARY, np.inf], dtype) if where == AT_INFINITY else grid(operation, constants, dtype)
    draw = generator(call(operation, constants), seed)
    # Not below 1, so that where a gradient can be represented, so can the derivative by itself
    grad_output = (draw.uniform(1, 2, x.shape) * draw.choice([-1, 1], x.shape)).astype(dtype)
    theirs = oracle.Call(operation.torch, (x,), dict(constants), {"grad_0"}).results(grad_output)
    exactly = exact.exactly(np.where(np.isfinite(x), x, 0.0))
    exactly[np.isinf(x)] = [-BEYOND, BEYOND] if where == AT_INFINITY else []
    truth = exact.evaluate(operation.definition, (exactly,), dict(constants), grad_output, {"grad_0"}, operation.slope_terms)
    value, grad = truth["output"].value, truth["grad_0"]
    targets = {"output": Target(exact.Exact(value, abs(value)), dtype), "grad_0": Target(grad, dtype)}
    for array in (x, grad_output):
        array.flags.writeable = False  # they are shared by all who sweep this function
    return x, grad_output, theirs, targets


def sweep(
    operation: Operation, constants: Constants, dtype: Any, function: Callable[..., Any] | None = None, seed: int = 0
) -> Agreement:
    """Run a pointwise operation of `manual`, or a `function` in its stead, and torch's, and hold both against the truth."""
    record = Record(operation.name, call(operation, constants), dtype, torch_loses=None)
    for where in ("", AT_INFINITY):
        x, grad_output, theirs, targets = _reference(operation, constants, str(np.dtype(dtype)), where, seed)
        try:
            with np.errstate(all="ignore"):  # what overflows in truth overflows here
                output, backward = (function or operation.manual)(x, **dict(constants))
                (grad,) = backward(grad_output)
        except Exception as exception:
            record.complain(f"raised {exception!r}{where}")
            continue
        for name, ours in (("output", output), ("grad_0", grad)):
            record.compare(f"{name}{where}", ours, theirs[name], targets[name], x)
    return record.agreement()
