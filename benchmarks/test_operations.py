"""Each operation of the catalogue, forward and backward."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.recording import worker_clock
from benchmarks.workloads import ForwardBackward
from reference.agreement import differentiable
from reference.cases import OPERATIONS

pytestmark = pytest.mark.benchmark(group="operation", timer=worker_clock)


# Each with its defaults, and what is another formula altogether
WORKLOADS = [pytest.param(name, {}, id=name) for name in OPERATIONS]
WORKLOADS.append(pytest.param("gelu", {"approximate": "tanh"}, id="gelu tanh"))


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize(("name", "constants"), WORKLOADS)
def test_operation(name: str, constants: dict[str, Any], size: str, compete: Callable[..., None]) -> None:
    """In float32; of a loss only the gradient of the prediction, of anything else every gradient there is."""
    operation = OPERATIONS[name]
    case = getattr(operation, size)
    arrays = case.build(name, np.float32)
    needs = differentiable(case, arrays)
    if operation.chapter.startswith("losses/"):
        needs = (True, *(False for _ in needs[1:]))
    workload = ForwardBackward(name, arrays, case.constants | constants, needs)
    # Where 64 MB of a large case lie decides how much of it stays in the last cache: another launch, another place.
    launches, rounds = (1, 9) if size == "small" else (3, 3)
    compete(" ".join([name, *constants.values()]), f"{size}: {case.label}", workload, launches=launches, rounds=rounds)
