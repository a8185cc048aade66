"""What a function is tried on: the cases of an operation, and its sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from reference import accuracy, agreement, structure
from reference.agreement import Reference
from reference.case import Case, Operation
from reference.formats import HALF, format_of


class Given(NamedTuple):
    """The arguments of a trial, what the results are held against, and the input that belongs to each element, if one does."""

    arguments: tuple[Any, ...]
    reference: Reference
    x: Any = None


@dataclass(frozen=True)
class Trial:
    """A case, or one of the two parts of a sweep: what it is called, its constants, and what gives the rest, which takes time.

    `torch_loses` says why torch itself loses digits there, if it does; a sweep has `None`, as it goes where anybody may.
    """

    label: str
    constants: dict[str, Any]
    torch_loses: str | None
    given: Callable[[], Given]


class NotTried(Exception):  # noqa: N818  # no error of anybody's, but what a report says
    """Why a trial does not come about."""


def trials(operation: Operation, dtype: Any, seed: int = 0) -> Iterator[Trial]:
    """Everything on which an operation is tried in this dtype, in order."""
    dtype = format_of(dtype)
    for case in operation.cases:
        yield Trial(case.label, case.constants, case.torch_loses, partial(_of_case, operation, case, dtype, seed))
    for constants in accuracy.constants_of(operation):
        for where in accuracy.WHERE:
            label = f"{accuracy.call(operation, constants)}{where}"
            yield Trial(label, dict(constants), None, partial(_of_sweep, operation, constants, dtype, where, seed))


def _of_case(operation: Operation, case: Case, dtype: Any, seed: int) -> Given:
    arguments = case.build(operation.name, dtype, seed)
    misfit = NotTried(f"its numbers do not fit {dtype}")
    if dtype.name in HALF and not _fit(arguments, case.build(operation.name, np.float64, seed)):
        raise misfit
    try:
        reference = agreement.reference(operation, case, dtype, seed)
    except ZeroDivisionError:  # so far rounded, a number is where the formula has no value
        raise misfit from None
    return Given(arguments, reference, arguments[0] if operation.pointwise else None)


def _fit(arguments: Any, meant: Any) -> bool:
    """Whether rounding has made no number infinite or zero."""
    pairs = zip(structure.leaves(structure.as_floats(arguments, np.float64)), structure.leaves(meant), strict=True)
    return all(
        ((np.isfinite(given) == np.isfinite(wide)) & ((given == 0) == (wide == 0))).all()
        for given, wide in pairs
        if structure.is_float(wide)
    )


def _of_sweep(operation: Operation, constants: accuracy.Constants, dtype: Any, where: str, seed: int) -> Given:
    points, targets = accuracy.reference(operation, constants, dtype, where, seed)
    return Given((points.x,), Reference(points.grad_output, points.torch, points.truth, targets), points.x)
