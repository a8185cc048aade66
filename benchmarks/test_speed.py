"""Time each entry on its sides: `-k XOR`, `-k test_network` or `-k "silu and large"` choose among them."""

from collections.abc import Callable

import pytest

from benchmarks.entries import NETWORKS, OPERATIONS, OPTIMIZERS, Entry
from benchmarks.recording import worker_clock


@pytest.mark.benchmark(group="training step", timer=worker_clock)
@pytest.mark.parametrize("entry", NETWORKS, ids=str)
def test_network(entry: Entry, compete: Callable[[Entry], None]) -> None:
    """A training step beside torch's, and beside its own arithmetic alone."""
    compete(entry)


@pytest.mark.benchmark(group="optimizer step", timer=worker_clock)
@pytest.mark.parametrize("entry", OPTIMIZERS, ids=str)
def test_optimizer(entry: Entry, compete: Callable[[Entry], None]) -> None:
    """A step of an optimizer beside torch's."""
    compete(entry)


@pytest.mark.benchmark(group="operation", timer=worker_clock)
@pytest.mark.parametrize("entry", OPERATIONS, ids=str)
def test_operation(entry: Entry, compete: Callable[[Entry], None]) -> None:
    """An operation beside torch's, forward and backward."""
    compete(entry)
