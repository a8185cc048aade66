"""The cases catch formulas that were broken on purpose, every line of them: a test that cannot fail proves nothing."""

import pytest

from tests.detection.breaker import faults
from tests.detection.formulas import lines_that_compute
from tests.detection.harmless import BROKEN_ELSEWHERE, HARMLESS
from tests.detection.trials import owners, subjects


@pytest.mark.parametrize("name", subjects())
def test_broken_formulas_are_caught(name):
    """Every fault is caught or harmless, and no line that computes is without a fault."""
    missed, without = [], []
    for function in subjects()[name].formulas:
        if owners()[function][0].name == name and function.__name__ not in BROKEN_ELSEWHERE:
            planted = list(faults(function))
            without += [f"{function.__name__}, line {line}" for line in lines_that_compute(function) - {f.line for f in planted}]
            missed += [fault for fault in planted if not any(subject.catches(fault) for subject in owners()[function])]
    assert without == []
    entries = HARMLESS.get(name, {})
    excused = {fault: [entry for entry in entries if is_about(entry, fault)] for fault in missed}
    assert [str(fault) for fault, found in excused.items() if not found] == []
    assert set(entries) - {entry for found in excused.values() for entry in found} == set(), "this fault is caught, or is not there"


def is_about(entry, fault):
    beginning, after = entry
    return fault.statement.startswith(beginning) and fault.after == after


def test_harmless_faults_are_of_the_catalogue():
    assert set(HARMLESS) <= set(subjects())
    assert set(BROKEN_ELSEWHERE) <= {function.__name__ for function in owners()}
