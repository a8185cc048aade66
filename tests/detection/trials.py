"""What may catch a fault: the cases of the catalogue, the contract of an operation, the sweeps over all magnitudes."""

from functools import cache, cached_property, partial

import numpy as np

import manual
from reference import structure
from reference.accuracy import constants_of, sweep
from reference.agreement import measure, measure_module, reference
from reference.cases import MODULES, OPERATIONS
from tests.detection.formulas import formulas_of, is_machinery


class Subject:
    """An operation or a module of the catalogue: the function to break, and the trials that may catch it.

    `trials` are lists, the cheapest first; a trial returns what is wrong, and so has nothing to say as long as nothing is broken.
    """

    def __init__(self, name, function, trials):
        self.name, self.function, self.trials = name, function, trials
        self._trusted = set()

    @cached_property
    def formulas(self):
        """The functions that it reaches, but not other operations, which are subjects themselves."""
        return formulas_of(self.function, {operation.manual for operation in OPERATIONS.values()} - {self.function})

    def catches(self, fault, excused=False):
        """Whether a trial catches the fault; the one that does comes first among its like from then on.

        A fault that is excused is tried by the first list alone: the others would take most of the time of all faults together, to
        find no more than that an excuse is not needed.
        """
        for trials in self.trials[:1] if excused else self.trials:
            for i, trial in enumerate(trials):
                with np.errstate(all="ignore"):
                    if trial not in self._trusted:  # before anything is broken, as it keeps points that it finds by the operation
                        assert not trial(), f"{self.name}: a trial complains where nothing is broken"
                        self._trusted.add(trial)
                    with fault.planted():
                        caught = trial()
                if caught:
                    trials.insert(0, trials.pop(i))
                    return True
        return False


@cache
def subjects():
    """Operations, then modules, by name."""
    found = {name: Subject(name, operation.manual, trials_of_operation(operation)) for name, operation in OPERATIONS.items()}
    for name in dict.fromkeys(case.name for case in MODULES):
        forward = getattr(getattr(manual, name), "forward", getattr(manual, name))  # of a class; what parametrizes is a function
        if not is_machinery(forward):
            found[name] = Subject(name, forward, trials_of_module([case for case in MODULES if case.name == name]))
    return found


@cache
def owners():
    """Of each function, the subjects that reach it; the first owns it, and has its faults among its own."""
    found = {}
    for subject in subjects().values():
        for function in subject.formulas:
            found.setdefault(function, []).append(subject)
    return found


LONG = {"200 steps of time"}  # cases that take long, and catch nothing that others do not


def trials_of_operation(operation):
    cases = [case for case in operation.cases if case.label not in LONG]
    return (
        [partial(complaints, measure, operation, case, np.float64) for case in cases],
        [partial(complaints, measure, operation, case, np.float32) for case in cases],
        [partial(breaches, operation, case) for case in cases],
        [partial(complaints, sweep, operation, constants, np.float32) for constants in constants_of(operation)],
    )


def trials_of_module(cases):
    return tuple([partial(complaints, measure_module, case, dtype) for case in cases] for dtype in (np.float64, np.float32))


def complaints(measure, *arguments):
    try:
        return measure(*arguments).complaints
    except Exception as exception:  # before there is a module to measure, as at the first call of a lazy one
        return (f"raised {exception!r}",)


def breaches(operation, case):
    """Where the contract is broken: nothing overflows that NumPy would warn of, what is not needed is None, what is needed is the
    same whatever else is, and no gradient is the cotangent's own memory.
    """
    grad_output = reference(operation, case, np.float64)[0]
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        return _breaches(operation, case, grad_output)


def _breaches(operation, case, grad_output):
    try:
        _, backward = operation.manual(*case.build(operation.name, np.float64), **case.constants)
        everything = [structure.leaves(grad) for grad in backward(grad_output)]
        for only in (None, *range(len(everything))):
            needs = tuple(i == only for i in range(len(everything)))
            for need, grad, expected in zip(needs, backward(grad_output, needs), everything, strict=True):
                if not need and grad is not None:
                    return f"a gradient that is not among the needs {needs}"
                if need and not all(map(alike, structure.leaves(grad), expected)):
                    return f"another gradient for the needs {needs}"
        given = [leaf for leaf in structure.leaves(grad_output) if leaf is not None]
        returned = [leaf for leaves in everything for leaf in leaves if leaf is not None]
        return any(np.shares_memory(grad, leaf) for grad in returned for leaf in given)
    except Exception as exception:
        return f"raised {exception!r}"


def alike(one, other):
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-12, atol=0, equal_nan=True)
