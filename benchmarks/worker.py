"""The process that runs one side: it prepares a workload and times it, turn by turn, as asked over a pipe.

It is started as `python -m benchmarks.worker FILE_DESCRIPTOR`, and first asked to load a side, such as `manual_side`.
"""

import contextlib
import ctypes
import gc
import importlib
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.workloads import TrainingStep, Workload


class Worker:
    """Answers requests; each method but the private ones is one."""

    side: Any

    def __init__(self) -> None:
        self.calls: dict[str, Callable[[], Any]] = {}

    def load(self, side: str) -> dict[str, Any]:
        """Import a side; return its library and threads."""
        self.side = importlib.import_module(f"benchmarks.{side}")
        return {"version": self.side.VERSION, "threads": self.side.threads()}

    def prepare(self, name: str, workload: Workload) -> dict[str, Any]:
        """Make ready for turns what the side's function of that name constructs; return what the first call yields."""
        self.calls.pop(name, None)  # the memory of the last workload is free for this one
        self.calls[name], results = getattr(self.side, name)(workload)
        return results()

    def turn(self, name: str, seconds: float) -> tuple[float, float]:
        """The time of a call, and how much of the turn the threads of this process had to wait for a free core.

        A turn is a warm-up and so many seconds of calls. Their first decile is what a call takes when nothing interrupts it.
        """
        call = self.calls[name]
        _times(call, seconds / 4)
        waited, start = _waited(), time.perf_counter()
        times = sorted(_times(call, seconds))
        return times[len(times) // 10], (_waited() - waited) / (time.perf_counter() - start)

    def peak_memory(self, step: TrainingStep, steps: int = 5) -> int | None:
        """The most bytes that training holds beyond network and data; None where the system does not tell.

        A first network takes a step and goes, so that what the libraries load at their first use is not counted.
        """
        reset = Path("/proc/self/clear_refs")
        if not reset.exists():
            return None
        self.side.training_step(step)[0]()
        call, _ = self.side.training_step(step)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # freed pages go back, or a step would find them there and seem to need none
        reset.write_text("5")  # the peak starts again from what is resident now
        before = _peak_resident()
        for _ in range(steps):
            call()
        return _peak_resident() - before


def _times(call: Callable[[], Any], seconds: float) -> list[float]:
    """The time of each call, as many as fit; at least one."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def _waited() -> float:
    """The seconds that all threads together were ready to run and did not; 0 where the system does not tell."""
    statistics = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(statistic.read_text().split()[1]) for statistic in statistics) / 1e9


def _peak_resident() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    """Answer until the other end closes, each request with its result and no error, or with none and an error."""
    worker, connection = Worker(), Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            request, *arguments = connection.recv()
            connection.send(_answer(getattr(worker, request), *arguments))


def _answer(function: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    try:
        return function(*arguments), ""
    except Exception as exception:
        traceback.print_exc()
        what, *_ = str(exception).strip().split("\n")
        return None, f"{type(exception).__name__}: {what}"


if __name__ == "__main__":
    main()
