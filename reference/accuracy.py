"""Pointwise functions held against the truth over the whole range of their dtype, from the smallest subnormal to infinity.

Here the scale of a value is its own size, so that r counts its wrong digits: a function of one number can be had to the last one.
So can its derivative, except near a zero of it, where the terms count that cancel (`Operation.slope_terms`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from reference import exact, oracle
from reference.case import Operation, generator
from reference.formats import HALF, finfo
from reference.record import Agreement, Record, Target

Constants = tuple[tuple[str, Any], ...]

BENDS = -1, 3  # functions bend, saturate and underflow between these powers of ten
BEYOND = exact.mp.ldexp(1, 1100)  # larger than every float: there a function is at its limit
AT_INFINITY = " at ±∞"
WHERE = "", AT_INFINITY  # the two parts of a sweep
ORDINARY = 0.75  # a number that must be treated the same beside infinities
STARTS, TRIES = 2, 6  # of a climb: from how many of the worst points it starts, and how many it tries beside each
STEPS = 1e-2, 1e-3, 1e-4, 1e-6, 1e-8  # how far from it they are at most, relative to it, in each round


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
    info = finfo(dtype)
    start, end = BENDS
    powers = np.arange(np.ceil(np.log10(float(info.smallest_subnormal))), np.log10(float(info.max)), 2)
    bends = np.linspace(start, end, 100 * (end - start), endpoint=False)
    thresholds = [value for _, value in constants if isinstance(value, (int, float))]
    marks = np.array([0.0, float(info.max), *operation.kinks, *thresholds]).astype(dtype)
    with np.errstate(over="ignore"):  # after the largest number comes infinity
        around = [marks, *(np.nextafter(marks, np.array(side).astype(dtype)) for side in (-np.inf, np.inf))]
    points = np.concatenate([*around, (10 ** np.concatenate([powers, bends])).astype(dtype)])
    points = points[np.isfinite(points)]
    return _of_domain(operation, np.concatenate([-points, points]))


def _of_domain(operation: Operation, points: Any) -> Any:
    return points[(points > operation.above) | (operation.above == -np.inf)]


class Points(NamedTuple):
    """Inputs, a random cotangent, and by name torch's results, `None` where it does not take the dtype, and the truth."""

    x: Any
    grad_output: Any
    torch: dict[str, Any]
    truth: dict[str, exact.Exact]

    def targets(self) -> dict[str, Target]:
        """The truth as floats are held against it; the scale of an output is its own size."""
        value = self.truth["output"].value
        scaled = {"output": exact.Exact(value, abs(value)), "grad_0": self.truth["grad_0"]}
        return {name: Target(true, self.x.dtype, self.torch[name]) for name, true in scaled.items()}


def _points(operation: Operation, constants: Constants, x: Any, draw: np.random.Generator) -> Points:
    # Not below 1, so that where a gradient can be represented, so can the derivative by itself
    grad_output = (draw.uniform(1, 2, x.shape) * draw.choice([-1, 1], x.shape)).astype(x.dtype)

    def results() -> dict[str, Any]:
        return oracle.Call(operation.torch, (x,), dict(constants), {"grad_0"}).results(grad_output)

    theirs = oracle.narrowed({"output": x, "grad_0": x}, results) if x.dtype.name in HALF else results()
    wide = x.astype(np.float64)
    exactly = exact.exactly(np.where(np.isfinite(wide), wide, 0.0))
    exactly[np.isinf(wide)] = np.sign(wide[np.isinf(wide)]) * BEYOND
    truth = exact.evaluate(operation.definition, (exactly,), dict(constants), grad_output, {"grad_0"}, operation.slope_terms)
    return Points(x, grad_output, theirs, truth)


def _run(function: Callable[..., Any], constants: Constants, points: Points) -> dict[str, Any]:
    with np.errstate(all="ignore"):  # what overflows in truth overflows here
        output, backward = function(points.x, **dict(constants))
        (grad,) = backward(points.grad_output)
    return {"output": output, "grad_0": grad}


def _climb(operation: Operation, constants: Constants, points: Points, draw: np.random.Generator) -> Iterator[Points]:
    """From the points with the largest r to larger ones beside them: of output and gradient, ours and torch's.

    In each round the steps are shorter, and of each start and the points beside it, that with the largest r is the next start.
    """

    def ratios(points: Points) -> Any:
        sides = _run(operation.manual, constants, points), points.torch
        return np.array([target.ratios(side[name]) for name, target in points.targets().items() for side in sides])

    found = ratios(points)
    worst = found.argsort(axis=1)[:, -STARTS:]
    starts, largest = points.x[worst], np.take_along_axis(found, worst, axis=1)
    limit = np.finfo(points.x.dtype).max
    for step in STEPS:
        with np.errstate(over="ignore"):
            near = starts[..., None] * (1 + step * draw.uniform(-1, 1, (*starts.shape, TRIES)))
        beside = _points(operation, constants, near.clip(-limit, limit).astype(points.x.dtype).reshape(-1), draw)
        yield beside
        of_itself = np.arange(len(starts))  # each measure has starts of its own
        found = ratios(beside).reshape(len(starts), *near.shape)[of_itself, of_itself]
        best = found.argmax(axis=-1, keepdims=True)
        x, found = (np.take_along_axis(array, best, axis=-1)[..., 0] for array in (beside.x.reshape(near.shape), found))
        starts, largest = np.where(found > largest, x, starts), np.maximum(found, largest)


def reference(
    operation: Operation, constants: Constants, dtype: Any, where: str, seed: int = 0
) -> tuple[Points, dict[str, Target]]:
    """What a sweep is run on, and held against; made once for each."""
    return _reference(operation, constants, np.dtype(dtype), where, seed)


@cache
def _reference(operation: Operation, constants: Constants, dtype: Any, where: str, seed: int) -> tuple[Points, dict[str, Target]]:
    """The grid and the points to which r climbs from it, or infinities among ordinary numbers.

    In half precision there is no climb: `manual` does not compute in it, and the grid has much of what there is.
    """
    draw = generator(call(operation, constants), seed)
    if where == AT_INFINITY:
        infinite = _of_domain(operation, np.array([-np.inf, -ORDINARY, ORDINARY, np.inf]).astype(dtype))
        points = _points(operation, constants, infinite, draw)
    else:
        points = _points(operation, constants, grid(operation, constants, dtype), draw)
        if dtype.name not in HALF:
            points = _joined([points, *_climb(operation, constants, points, draw)])
    for array in (points.x, points.grad_output):
        array.flags.writeable = False  # they are shared by all who sweep this function
    return points, points.targets()


def _joined(parts: list[Points]) -> Points:
    x, grad_output, torchs, truths = zip(*parts)
    return Points(
        np.concatenate(x),
        np.concatenate(grad_output),
        {name: np.concatenate([theirs[name] for theirs in torchs]) for name in torchs[0]},
        {name: exact.Exact(*map(np.concatenate, zip(*(truth[name] for truth in truths)))) for name in truths[0]},
    )


def sweep(
    operation: Operation, constants: Constants, dtype: Any, function: Callable[..., Any] | None = None, seed: int = 0
) -> Agreement:
    """Run a pointwise operation of `manual`, or a `function` in its stead, and torch's, and hold both against the truth."""
    record = Record(operation.name, call(operation, constants), dtype, torch_loses=None)
    for where in WHERE:
        points, targets = reference(operation, constants, dtype, where, seed)
        try:
            ours = _run(function or operation.manual, constants, points)
        except Exception as exception:
            record.complain(f"raised {exception!r}{where}")
            continue
        for name, target in targets.items():
            record.compare(f"{name}{where}", ours[name], target, points.x)
    return record.agreement()
