"""Time a workload on several sides so that the ratios mean something.

- Each library has a process of its own. Thread pools keep spinning for a while after work, and inside one process those of two
  libraries would slow each other down.
- The processes take short turns, with gaps in which the threads of the last turn go to sleep. A machine that gets slower or
  faster meanwhile does so for all.
- The ratio is taken within each round of turns; what is reported is the median over all rounds in several launches. Where the
  arrays lie decides how much of them stays in the last cache: another process, another place.
- A turn is repeated while other programs keep its threads waiting: two threads that wait for each other lose far more by that
  than the cores that are taken, and not as much on both sides. There are so many turns to spare; after that, the result says
  how many were disturbed.
- All get the same number of threads and the same settings of the memory allocator, and their results are compared first.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from benchmarks.workloads import TrainingStep, Workload

TURN, GAP = 0.08, 0.04  # seconds; the pools spin for about 0.03
START_UP, PREPARE = 4.0, 1.0  # seconds, about, until fresh processes are ready for turns, or those that run already
QUIET, PAUSE = 0.15, 1.0  # the share of a turn that its threads together may wait for a core; seconds until it is tried again

# Each side, and the module that its process loads. Two of them show what no step of `manual` can do without.
SIDES = {
    "manual": "manual_side",
    "torch": "torch_side",
    "products": "manual_side",
    "closures": "manual_side",
    "torch.compile": "compile_side",
    "jax.jit": "jax_side",
    "autograd": "autograd_side",
    "article": "article_side",
}
BARE = ("products", "closures")
PEERS = ("torch.compile", "jax.jit", "autograd", "article")

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
    """What every process is started with."""

    threads: int
    allocator: str
    openblas: str | None = None  # the processor whose kernels OpenBLAS is to use, where it does not find the best itself

    def environment(self) -> dict[str, str]:
        """The environment variables that say so to NumPy's BLAS, to torch, to XLA and to glibc."""
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPROC")
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
    """The time of one call in each round, by side.

    With it, of each library that ran its version and threads, of each peer that did not the reason; and the share of turns that
    other programs disturbed.
    """

    times: dict[str, list[float]]
    about: dict[str, dict[str, Any]]
    left_out: dict[str, str]
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


class WorkerError(Exception):
    """What a worker answers where it could not do what it was asked."""


class Process:
    """A worker that loads a side, seen from here; a context that ends it."""

    def __init__(self, side: str, setting: Setting) -> None:
        self.connection, theirs = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", str(theirs.fileno())],
            cwd=Path(__file__).parents[1],
            env=setting.environment(),
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.connection.send(("load", side))

    @cached_property
    def about(self) -> dict[str, Any]:
        """The library and its threads; it comes as soon as the side is loaded."""
        return self._answer()

    def ask(self, request: str, *arguments: Any) -> Any:
        """The answer of the worker's method of that name."""
        _ = self.about
        return self._answer((request, *arguments))

    def _answer(self, request: tuple[Any, ...] | None = None) -> Any:
        try:
            if request:
                self.connection.send(request)
            answer, error = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerError("its process has ended") from None
        if error:
            raise WorkerError(error)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.process.wait()


Launch = AbstractContextManager[dict[str, Process]]


@contextmanager
def launch(sides: Iterable[str], setting: Setting) -> Iterator[dict[str, Process]]:
    """A fresh process for each module that the sides need."""
    with ExitStack() as stack:
        yield {module: stack.enter_context(Process(module, setting)) for module in dict.fromkeys(SIDES[side] for side in sides)}


def duel(workload: Workload, launches: Sequence[Launch], rounds: int, others: tuple[str, ...] = ()) -> Result:
    """Time a workload in each launch on `manual`, `torch` and `others`; those of them that are peers may be unable to run it."""
    times: dict[str, list[float]] = {side: [] for side in ("manual", "torch", *others)}
    calls = {side: side if side in BARE else workload.side_function for side in times}
    about: dict[str, dict[str, Any]] = {}
    left_out: dict[str, str] = {}
    disturbed = 0
    spare_turns = iter(range(len(launches) * rounds))
    for launched in launches:
        with launched as processes:
            results = {}
            for side in tuple(times):
                process = processes[SIDES[side]]
                try:
                    about[side] = process.about
                    results[side] = process.ask("prepare", calls[side], workload)
                except WorkerError as error:
                    if side not in PEERS:
                        raise
                    left_out[side] = str(error)
                    del times[side]
            for side, found in results.items():
                if side != "products":  # they yield nothing
                    require_agreement(side, found, results["torch"], workload.tolerance)
            for _ in range(rounds):
                for side, measured in times.items():
                    seconds, waited = _turn(processes[SIDES[side]], calls[side], spare_turns)
                    measured.append(seconds)
                    disturbed += waited > QUIET
    turns = sum(len(measured) for measured in times.values())
    return Result(times, {side: about[side] for side in times if side not in BARE}, left_out, disturbed / turns)


def _turn(process: Process, call: str, spare_turns: Iterator[int]) -> tuple[float, float]:
    """A turn; another, after a pause, if other programs disturbed it and there are turns to spare."""
    while True:
        time.sleep(GAP)
        seconds, waited = process.ask("turn", call, TURN)
        if waited <= QUIET or next(spare_turns, None) is None:
            return seconds, waited
        time.sleep(PAUSE)


def require_agreement(side: str, found: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> None:
    """Refuse to time what is not the same as torch: ‖found − expected‖ ≤ tolerance · ‖expected‖, for every array."""
    if found.keys() != expected.keys():
        raise AssertionError(f"{side} yields {', '.join(found)}; torch yields {', '.join(expected)}")
    for name, array in expected.items():
        error, size = np.linalg.norm(np.ravel(found[name] - array)), np.linalg.norm(np.ravel(array))
        if found[name].dtype != array.dtype or not error <= tolerance * size:
            raise AssertionError(f"{name}: {side} and torch differ by {error:.2g} of {size:.2g}, allowed {tolerance:.2g} of it")


def peak_memory(step: TrainingStep, setting: Setting) -> dict[str, int | None]:
    """The peak memory of a training step, each side in a fresh process."""
    with launch(("manual", "torch"), setting) as processes:
        return {side: processes[SIDES[side]].ask("peak_memory", step) for side in ("manual", "torch")}
