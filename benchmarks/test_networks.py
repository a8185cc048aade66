"""One training step of whole networks."""

import math
from collections.abc import Callable
from functools import partial

import pytest

from benchmarks.recording import worker_clock
from benchmarks.workloads import TrainingStep, dense, xor

pytestmark = pytest.mark.benchmark(group="training step", timer=worker_clock)


@pytest.mark.parametrize(
    ("workload", "products", "limit", "products_limit"),
    [
        pytest.param(xor, False, 0.15, math.inf, id="XOR"),
        pytest.param(partial(dense, 784, 128, 10, batch=64), True, 0.65, math.inf, id="784-128-10"),
        pytest.param(partial(dense, 784, 512, 256, 10, batch=256), True, 0.95, math.inf, id="784-512-256-10"),
        pytest.param(partial(dense, 1024, 1024, 1024, 1024, batch=256), True, 0.95, 1.15, id="1024-1024-1024-1024"),
        pytest.param(partial(dense, 1024, 4096, 4096, 1024, batch=256), True, 0.95, 1.15, id="1024-4096-4096-1024"),
    ],
)
def test_network(
    request: pytest.FixtureRequest,
    compete: Callable[..., None],
    workload: Callable[[], TrainingStep],
    products: bool,
    limit: float,
    products_limit: float,
) -> None:
    """A step beside torch's, and beside the matrix products it contains."""
    name = request.node.callspec.id
    compete(name, "", workload(), launches=3, rounds=10, products=products, limit=limit, products_limit=products_limit)
