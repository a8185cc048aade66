"""Each operation of the catalogue, forward and backward."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.recording import worker_clock
from benchmarks.workloads import ForwardBackward
from reference.agreement import differentiable
from reference.cases import OPERATIONS

pytestmark = pytest.mark.benchmark(group="operation", timer=worker_clock)


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str, size: str, compete: Callable[..., None]) -> None:
    """In float32; of a loss only the gradient of the prediction, of anything else every gradient there is."""
    operation = OPERATIONS[name]
    case = getattr(operation, size)
    arrays = case.build(name, np.float32)
    needs = differentiable(case, arrays)
    if operation.chapter.startswith("losses/"):
        needs = (True, *(False for _ in needs[1:]))
    workload = ForwardBackward(name, arrays, case.constants, needs)
    compete(name, f"{size}: {case.label}", workload, launches=1, rounds=9)
