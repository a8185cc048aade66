"""The cases catch formulas that were broken on purpose, every line of them: a test that cannot fail proves nothing."""

import pytest

from tests.detection.breaker import faults
from tests.detection.formulas import lines_that_compute
from tests.detection.harmless import BROKEN_ELSEWHERE, HARMLESS
from tests.detection.trials import owners, subjects


@pytest.mark.parametrize("name", subjects())
def test_broken_formulas_are_caught(name):
    """Every fault is caught or harmless, and no line that computes is without a fault.

    What is harmless to the subject itself is not tried on the others that share the function.
    """
    own, entries = subjects()[name], HARMLESS.get(name, {})
    missed, without, excuses = [], [], set()
    for function in own.formulas:
        if owners()[function][0] is own and function.__name__ not in BROKEN_ELSEWHERE:
            planted = list(faults(function))
            without += [f"{function.__name__}, line {line}" for line in lines_that_compute(function) - {f.line for f in planted}]
            for fault in planted:
                found = {entry for entry in entries if is_about(entry, fault)}
                if own.catches(fault, excused=bool(found)):
                    continue
                excuses |= found
                if not found and not any(subject.catches(fault) for subject in owners()[function][1:]):
                    missed.append(str(fault))
    assert without == []
    assert missed == []
    assert set(entries) - excuses == set(), "this fault is caught, or is not there"


def is_about(entry, fault):
    beginning, after = entry
    return fault.statement.startswith(beginning) and fault.after == after


def test_harmless_faults_are_of_the_catalogue():
    assert set(HARMLESS) <= set(subjects())
    assert set(BROKEN_ELSEWHERE) <= {function.__name__ for function in owners()}
