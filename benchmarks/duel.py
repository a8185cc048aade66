"""Time a workload on both sides so that the ratio means something.

- Each side has a process of its own. The thread pools of both libraries keep spinning for a while after work, and inside one
  process they would slow each other down.
- The processes take short turns, with gaps in which the threads of the last turn go to sleep. A machine that gets slower or
  faster meanwhile does so for both.
- The ratio is taken within each round of turns; what is reported is the median over all rounds of several launches.
- A turn is repeated while other programs keep its threads waiting: two threads that wait for each other lose far more by that
  than the cores that are taken, and not as much on both sides. There are so many turns to spare; after that, the result says
  how many were disturbed.
- Both get the same number of threads and the same settings of the memory allocator, and their results are compared first.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from benchmarks.workloads import ForwardBackward, TrainingStep

TURN, GAP = 0.08, 0.04  # seconds; the pools spin for about 0.03
QUIET, PAUSE = 0.15, 1.0  # the share of a turn that its threads together may wait for a core; seconds until it is tried again

ALLOCATORS = {
    # By default glibc gives large arrays back to the kernel when they are freed, and every fresh one is paid for in page faults.
    # Here it keeps them, as the caching allocator of a long training run would.
    "retain": {
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
        "MALLOC_TOP_PAD_": str(1 << 26),
    },
    "system": {},
}


@dataclass(frozen=True)
class Setting:
    """What both processes are started with."""

    threads: int
    allocator: str
    openblas: str | None = None  # the processor whose kernels OpenBLAS is to use, where it does not find the best itself

    def environment(self) -> dict[str, str]:
        """The environment variables that say so to NumPy's BLAS, to torch and to glibc."""
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        kernels = {} if self.openblas is None else {"OPENBLAS_CORETYPE": self.openblas}
        return inherited | dict.fromkeys(names, str(self.threads)) | ALLOCATORS[self.allocator] | kernels


class Quartiles(NamedTuple):
    """The quartiles of a ratio over all rounds."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Result:
    """The time of one call in each round, for `manual`, `torch` and perhaps `products`.

    With it, about each side, its library and threads; and the share of turns that other programs disturbed.
    """

    times: dict[str, list[float]]
    about: dict[str, dict[str, Any]]
    disturbed: float

    @property
    def quiet(self) -> bool:
        """Whether the ratios mean anything: two sides that are kept waiting are not kept waiting alike."""
        return self.disturbed <= 0.1

    def time(self, name: str) -> float:
        """The median time of one call."""
        return statistics.median(self.times[name])

    def ratio(self, other: str) -> Quartiles:
        """The time of `manual` in units of the other's, round by round."""
        ratios = [mine / theirs for mine, theirs in zip(self.times["manual"], self.times[other], strict=True)]
        return Quartiles(*np.percentile(ratios, [25, 50, 75]).tolist())


class Process:
    """A worker, seen from here; a context that ends it."""

    def __init__(self, side: str, setting: Setting) -> None:
        self.connection, theirs = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", side, str(theirs.fileno())],
            cwd=Path(__file__).parents[1],
            env=setting.environment(),
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def ask(self, request: str, *arguments: Any) -> Any:
        """The answer of the worker's method of that name."""
        self.connection.send((request, *arguments))
        return self.connection.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.process.wait()


def duel(workload: TrainingStep | ForwardBackward, setting: Setting, launches: int, rounds: int, products: bool = False) -> Result:
    """Time a workload on both sides, with `products` beside the matrix products that it contains."""
    times: dict[str, list[float]] = {"manual": [], "torch": []} | ({"products": []} if products else {})
    disturbed = 0
    spare_turns = iter(range(launches * rounds))
    for _ in range(launches):
        with Process("manual_side", setting) as manual, Process("torch_side", setting) as torch:
            about = {"manual": manual.ask("about"), "torch": torch.ask("about")}
            require_agreement(manual.ask("prepare", workload), torch.ask("prepare", workload), workload.tolerance)
            turns = {"manual": (manual, "workload"), "torch": (torch, "workload"), "products": (manual, "products")}
            if products:
                manual.ask("prepare_products", workload)
            for _ in range(rounds):
                for name, measured in times.items():
                    seconds, waited = _turn(*turns[name], spare_turns)
                    measured.append(seconds)
                    disturbed += waited > QUIET
    return Result(times, about, disturbed / (launches * rounds * len(times)))


def _turn(process: Process, call: str, spare_turns: Iterator[int]) -> tuple[float, float]:
    """A turn; another, after a pause, if other programs disturbed it and there are turns to spare."""
    while True:
        time.sleep(GAP)
        seconds, waited = process.ask("turn", call, TURN)
        if waited <= QUIET or next(spare_turns, None) is None:
            return seconds, waited
        time.sleep(PAUSE)


def require_agreement(ours: Mapping[str, Any], theirs: Mapping[str, Any], tolerance: float) -> None:
    """Refuse to time what is not the same: ‖ours − theirs‖ ≤ tolerance · ‖theirs‖, for every array."""
    if ours.keys() != theirs.keys():
        raise AssertionError(f"manual yields {', '.join(ours)}; torch yields {', '.join(theirs)}")
    for name, expected in theirs.items():
        error, size = np.linalg.norm(np.ravel(ours[name] - expected)), np.linalg.norm(np.ravel(expected))
        if ours[name].dtype != expected.dtype or not error <= tolerance * size:
            raise AssertionError(f"{name}: manual and torch differ by {error:.2g} of {size:.2g}, allowed {tolerance:.2g} of it")


def peak_memory(step: TrainingStep, setting: Setting) -> dict[str, int | None]:
    """The peak memory of a training step, each side in a fresh process."""
    peaks = {}
    for side in ("manual", "torch"):
        with Process(f"{side}_side", setting) as process:
            peaks[side] = process.ask("peak_memory", step)
    return peaks
