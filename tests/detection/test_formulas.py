"""The cases catch formulas that were broken on purpose, every line of them: a test that cannot fail proves nothing."""

from functools import cache, cached_property, partial

import numpy as np
import pytest

import manual
from reference.accuracy import constants_of, sweep
from reference.agreement import Record, measure, measure_module, reference
from reference.cases import MODULES, OPERATIONS
from tests.detection.breaker import faults
from tests.detection.formulas import formulas_of, is_machinery, lines_that_compute

# Faults that change no output and no gradient of an operation, and why.
HARMLESS = {}
BROKEN_ELSEWHERE = {}


class Subject:
    """An operation or a module of the catalogue: the function to break, and what may catch it, the cheapest first."""

    def __init__(self, name, function, trials):
        self.name, self.function, self._trials = name, function, trials

    @cached_property
    def trials(self):
        """Lists of trials; those of a list change places when a fault is caught."""
        return self._trials()

    @cached_property
    def formulas(self):
        """The functions that it reaches, but not other operations, which are subjects themselves."""
        others = {operation.manual for operation in OPERATIONS.values()} - {self.function}
        return formulas_of(self.function, others)


@cache
def subjects():
    """Operations, then modules, by name."""
    found = {name: Subject(name, operation.manual, partial(trials_of_operation, operation)) for name, operation in OPERATIONS.items()}
    for name in dict.fromkeys(case.name for case in MODULES):
        forward = getattr(manual, name).forward
        if not is_machinery(forward):
            found[name] = Subject(name, forward, partial(trials_of_module, [case for case in MODULES if case.name == name]))
    return found


@cache
def owners():
    """Of each function, the subjects that reach it; the first owns it, and has its faults among its own."""
    found = {}
    for subject in subjects().values():
        for function in subject.formulas:
            found.setdefault(function, []).append(subject)
    return found


class Trial:
    """A measurement that may catch a fault: a case of an operation, or a sweep.

    `complaints(function)` runs the function and returns what is wrong. It must have nothing to say about the formula as it is. Where
    it is a question of `values` alone, those are kept, so that a fault that changes none of them need not be measured.
    """

    def __init__(self, function, complaints, values=True):
        self.function, self.complaints, self.values = function, complaints, values
        self.calls = None

    def catches(self, fault):
        with np.errstate(all="ignore"):
            if self.calls is None:
                self.calls = []
                sound = self.complaints(self._recorded)
                assert not sound.complaints, f"complaints about the formula as it is: {sound}"
            with fault.planted():
                return (self._changes() or not self.values) and bool(self.complaints(self.function).complaints)

    def _recorded(self, *arrays, **constants):
        output, backward = self.function(*arrays, **constants)

        def recorded_backward(*arguments):
            grads = backward(*arguments)
            self.calls.append((arrays, constants, arguments, [np.copy(output), *grads]))
            return grads

        return output, recorded_backward

    def _changes(self):
        try:
            for arrays, constants, arguments, expected in self.calls:
                output, backward = self.function(*arrays, **constants)
                got = [output, *backward(*arguments)]
                if len(got) != len(expected) or not all(map(same, got, expected)):
                    return True
        except Exception:
            return True
        return False


def same(got, expected):
    """Whether two arrays are alike to the last bit, or both are None."""
    if not (isinstance(got, np.ndarray | np.generic) and isinstance(expected, np.ndarray | np.generic)):
        return got is None and expected is None
    return got.dtype == expected.dtype and got.shape == expected.shape and got.tobytes() == expected.tobytes()


def trials_of_operation(operation):
    """Its cases in both dtypes, what the contract promises, and the sweeps over all magnitudes."""

    def trials(how, *which, values=True):
        return [Trial(operation.manual, partial(how, operation, *each), values) for each in which]

    cases, sweeps = operation.cases, constants_of(operation)
    return (
        trials(measure, *((case, np.float64) for case in cases)),
        trials(measure, *((case, np.float32) for case in cases)),
        trials(promises, *((case,) for case in cases), values=False),
        trials(sweep, *((constants, dtype) for constants in sweeps for dtype in (np.float32, np.float64))),
    )


def trials_of_module(cases):
    return ([Trial(None, lambda _, case=case: measure_module(case, np.float64), values=False) for case in cases],)


def promises(operation, case, function):
    """What is needed is the same whatever else is; what is not needed is None; no gradient is the cotangent itself."""
    arrays, grad_output = case.build(operation.name, np.float64), reference(operation, case, np.float64)[0]
    record = Record(operation.name, case.label, np.float64, None)
    try:
        _, backward = function(*arrays, **case.constants)
        everything = backward(grad_output)
        if any(grad is not None and np.shares_memory(grad, grad_output) for grad in everything):
            record.complain("a gradient is the cotangent's own memory")
        for position in range(len(everything)):
            needs = tuple(i == position for i in range(len(everything)))
            for grad, expected, need in zip(backward(grad_output, needs), everything, needs, strict=True):
                if (grad is None) != (expected is None or not need):
                    record.complain(f"needs {needs} are not kept")
                elif grad is not None and not np.allclose(grad, expected, rtol=1e-12, atol=0, equal_nan=True):
                    record.complain(f"another gradient for the needs {needs}")
    except Exception as exception:
        record.complain(f"raised {exception!r}")
    return record.agreement()


def is_caught(fault):
    """Whether a trial of any subject that reaches the broken function catches it; the one that did comes first from then on."""
    for subject in owners()[fault.function]:
        for tried in subject.trials:
            for i, trial in enumerate(tried):
                if trial.catches(fault):
                    tried.insert(0, tried.pop(i))
                    return True
    return False


@pytest.mark.parametrize("name", subjects())
def test_broken_formulas_are_caught(name):
    """Every fault is caught or harmless, and no line that computes is without a fault."""
    missed, without = [], []
    for function in subjects()[name].formulas:
        if owners()[function][0].name == name and function.__name__ not in BROKEN_ELSEWHERE:
            planted = list(faults(function))
            without += [f"{function.__name__}, line {line}" for line in lines_that_compute(function) - {f.line for f in planted}]
            missed += [fault for fault in planted if not is_caught(fault)]
    harmless = HARMLESS.get(name, {})
    assert without == []
    assert [fault.place for fault in missed if fault.change not in harmless] == []
    assert set(harmless) - {fault.change for fault in missed} == set(), "this fault is caught, or is not there"
