"""The cases catch formulas that were broken on purpose, every line of them: a test that cannot fail proves nothing."""

from functools import cache, partial

import numpy as np
import pytest

from reference.accuracy import constants_of, sweep
from reference.agreement import measure, reference
from reference.cases import OPERATIONS
from tests.detection.breaker import faults
from tests.detection.formulas import formulas_of, lines_that_compute

# Faults that change no output and no gradient of an operation, and why.
HARMLESS = {}


@cache
def formulas(operation):
    others = {other.manual for other in OPERATIONS.values()} - {operation.manual}
    return formulas_of(operation.manual, others)


@cache
def owners():
    """Of each function, the operations that reach it; the first owns it, and has its faults among its own."""
    found = {}
    for operation in OPERATIONS.values():
        for function in formulas(operation):
            found.setdefault(function, []).append(operation)
    return found


class Trial:
    """One measurement that may catch a fault; what it says counts only if it is silent about the formula as it is."""

    def __init__(self, complaints):
        self.complaints, self.is_silent = complaints, None

    def catches(self, fault):
        with np.errstate(all="ignore"):
            with fault.planted():
                caught = self.complaints()
            if caught and self.is_silent is None:
                self.is_silent = not self.complaints()
        assert not caught or self.is_silent, "this complains about the formula as it is"
        return bool(caught)


@cache
def trials(operation):
    """Every case in both dtypes, what the contract promises of it, and the sweeps over all magnitudes."""
    cases, constants = operation.cases, constants_of(operation)
    return [
        *(Trial(lambda case=case: measure(operation, case, np.float64).complaints) for case in cases),
        *(Trial(lambda case=case: broken_promises(operation, case)) for case in cases),
        *(Trial(lambda case=case: measure(operation, case, np.float32).complaints) for case in cases),
        *(
            Trial(lambda which=which, dtype=dtype: sweep(operation, which, dtype).complaints)
            for dtype in (np.float32, np.float64)
            for which in constants
        ),
    ]


def broken_promises(operation, case):
    """What is needed is the same whatever else is; what is not needed is None; no gradient is the cotangent itself."""
    arrays, grad_output = case.build(operation.name, np.float64), reference(operation, case, np.float64)[0]
    try:
        _, backward = operation.manual(*arrays, **case.constants)
        everything = backward(grad_output)
        if any(grad is not None and np.shares_memory(grad, grad_output) for grad in everything):
            return ["a gradient is the cotangent's own memory"]
        for position in range(len(everything)):
            needs = tuple(i == position for i in range(len(everything)))
            for grad, expected, need in zip(backward(grad_output, needs), everything, needs, strict=True):
                if (grad is None) != (expected is None or not need):
                    return ["needs are not kept"]
                if grad is not None and not np.allclose(grad, expected, rtol=1e-12, atol=0, equal_nan=True):
                    return ["another gradient where not all are needed"]
    except Exception as exception:
        return [f"raised {exception!r}"]
    return []


def is_caught(fault):
    """Whether a case of any operation that reaches the broken function tells; the one that did is asked first from then on."""
    for operation in owners()[fault.function]:
        tries = trials(operation)
        for i, trial in enumerate(tries):
            if trial.catches(fault):
                tries.insert(0, tries.pop(i))
                return True
    return False


def test_broken_formulas_are_caught(operation):
    """Every fault is caught or harmless, and no line that computes is without a fault."""
    missed, without = [], []
    harmless = {change for name, change in HARMLESS if name == operation.name}
    for function in formulas(operation):
        if owners()[function][0] is operation:
            planted = list(faults(function))
            without += [f"{function.__name__}, line {line}" for line in lines_that_compute(function) - {f.line for f in planted}]
            missed += [fault for fault in planted if not is_caught(fault)]
    assert without == []
    assert [fault.place for fault in missed if fault.change not in harmless] == []
    assert harmless - {fault.change for fault in missed} == set(), "this fault is caught, or is not there"
