"""What is timed: whole networks, optimizers, and every operation of the catalogue, small and large."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.duel import GAP, PEERS, PREPARE, START_UP, TURN
from benchmarks.workloads import (
    ForwardBackward,
    Workload,
    dense,
    encoder_block,
    language_model,
    lenet,
    optimizer_step,
    residual,
    xor,
)
from reference.agreement import differentiable
from reference.cases import OPERATIONS as CATALOGUE

LAUNCHES = 3

# By default one operation, on large arrays, stands for its chapter: the first, but where another is used far more.
# Most convolutions are of images, almost every classifier ends in the second, and the third stands for all of `manual.tensor`.
INSTEAD_OF_THE_FIRST = {"conv2d", "cross_entropy", "tensor.matmul"}
ONLY_COPY = {"layers/packed_sequence", "layers/rearrange"}


@dataclass(frozen=True)
class Entry:
    """One benchmark.

    default      whether it is timed without being asked for
    fresh        whether each launch starts processes of its own; the others share theirs, which saves most of the time
    bare         the side that shows what no step of `manual` can do without: "products", "closures" or none
    bare_limit   the most that `manual` may take in units of that
    limit        the most that it may take in units of torch's time
    """

    name: str
    case: str
    workload: Callable[[], Workload]
    rounds: int
    default: bool = True
    fresh: bool = False
    bare: str | None = None
    peers: tuple[str, ...] = ()
    measures_memory: bool = False
    limit: float = math.inf
    bare_limit: float = math.inf

    def others(self, with_peers: bool) -> tuple[str, ...]:
        """The sides beside `manual` and `torch`."""
        return ((self.bare,) if self.bare else ()) + (self.peers if with_peers else ())

    def seconds(self, with_peers: bool) -> float:
        """About how long it takes, where nothing disturbs it."""
        turns = LAUNCHES * self.rounds * (2 + len(self.others(with_peers)))
        starts = LAUNCHES + 1 if self.measures_memory else LAUNCHES
        return starts * (START_UP if self.fresh else PREPARE) + turns * (1.25 * TURN + GAP)

    def __str__(self) -> str:
        return f"{self.name}-{self.case.partition(':')[0]}" if self.case else self.name


def _xor() -> Entry:
    return Entry("XOR", "", xor, rounds=10, fresh=True, bare="closures", peers=PEERS, limit=0.15, bare_limit=1.5)


def _dense(*sizes: int, batch: int, limit: float, bare_limit: float = math.inf) -> Entry:
    return Entry(
        name="-".join(map(str, sizes)),
        case="",
        workload=partial(dense, *sizes, batch=batch),
        rounds=10,
        fresh=True,
        bare="products",
        peers=tuple(peer for peer in PEERS if peer != "article"),  # its script is XOR alone
        measures_memory=True,
        limit=limit,
        bare_limit=bare_limit,
    )


NETWORKS = (
    _xor(),
    _dense(784, 128, 10, batch=64, limit=0.65),
    _dense(784, 512, 256, 10, batch=256, limit=0.95),
    _dense(1024, 1024, 1024, 1024, batch=256, limit=0.95, bare_limit=1.15),
    _dense(1024, 4096, 4096, 1024, batch=256, limit=0.95, bare_limit=1.15),
    Entry("LeNet", "", partial(lenet, batch=64), rounds=10, fresh=True, measures_memory=True, limit=1.2),
    Entry("residual", "", partial(residual, batch=128), rounds=10, fresh=True, measures_memory=True, limit=1.2),
    Entry("language model", "", partial(language_model, 16, 128), rounds=10, fresh=True, measures_memory=True, limit=1.1),
    Entry(
        "encoder block", "", partial(encoder_block, 512, 8, 2048, 8, 128), rounds=10, fresh=True, measures_memory=True, limit=1.1
    ),
)


def _optimizer(name: str, limit: float, **settings: Any) -> Entry:
    """On 4 million numbers, as a network of 20 layers may have."""
    label = ", ".join(["20 × 400 × 500", *(f"{key} {value}" for key, value in settings.items())])
    workload = partial(optimizer_step, name, 20, (400, 500), **settings)
    return Entry(name, label, workload, rounds=3, limit=limit)


OPTIMIZERS = (_optimizer("Adam", limit=0.9), _optimizer("SGD", limit=1.0, momentum=0.9))


def _operation(name: str, size: str, default: bool, **constants: Any) -> Entry:
    """An operation with its defaults or with other constants."""
    label = f"{size}: {getattr(CATALOGUE[name], size).label}"
    workload = partial(_forward_backward, name, size, constants)
    return Entry(" ".join([name, *constants.values()]), label, workload, rounds=3, default=default)


def _forward_backward(name: str, size: str, constants: dict[str, Any]) -> ForwardBackward:
    """In float32; of a loss only the gradient of the prediction, of anything else every gradient there is."""
    operation = CATALOGUE[name]
    case = getattr(operation, size)
    arrays = case.build(name, np.float32)
    needs = differentiable(case, arrays)
    if operation.chapter.startswith("losses/"):
        needs = (True, *(False for _ in needs[1:]))
    return ForwardBackward(name, arrays, case.constants | constants, needs)


def _representatives() -> set[str]:
    """One operation of each chapter that computes."""
    chosen: dict[str, str] = {}
    for name, operation in CATALOGUE.items():
        chapter = "tensor" if name.startswith("tensor.") else operation.chapter
        if chapter not in ONLY_COPY and (chapter not in chosen or name in INSTEAD_OF_THE_FIRST):
            chosen[chapter] = name
    return set(chosen.values())


def _operations() -> tuple[Entry, ...]:
    sizes, representatives = ("small", "large"), _representatives()
    entries = [_operation(name, size, name in representatives and size == "large") for name in CATALOGUE for size in sizes]
    entries += [_operation("gelu", size, False, approximate="tanh") for size in sizes]  # another formula altogether
    return tuple(entries)


OPERATIONS = _operations()
