"""Hand what the workers measured to pytest-benchmark and to the report."""

from dataclasses import dataclass
from typing import Any

from benchmarks.duel import Result, Setting
from benchmarks.entries import Entry


@dataclass(frozen=True)
class Record:
    """What was measured on an entry."""

    group: str
    entry: Entry
    result: Result
    peak_memory: dict[str, int | None] | None = None

    def extra_info(self, setting: Setting) -> dict[str, Any]:
        """What the JSON of pytest-benchmark holds beside the times of `manual`."""
        info: dict[str, Any] = {"case": self.entry.case, "allocator": setting.allocator, "disturbed": self.result.disturbed}
        info |= {"left_out": self.result.left_out, **self.result.about}
        for other in self.result.times.keys() - {"manual"}:
            info[f"{other}_seconds"] = self.result.times[other]
            info[f"ratio_to_{other}"] = self.result.ratio(other)._asdict()
        if self.peak_memory is not None:
            info["peak_memory_bytes"] = self.peak_memory
        return info


class Clock:
    """The timer of pytest-benchmark here: it moves only by the times that a worker has measured."""

    __name__ = "worker_clock"

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


worker_clock = Clock()


def replay(benchmark: Any, seconds: list[float]) -> None:
    """One round of pytest-benchmark for each measured time."""
    passing = iter(seconds)
    benchmark.pedantic(lambda: worker_clock.advance(next(passing)), rounds=len(seconds))
