"""Everything there is to measure, how it is named, and measuring it in processes."""

from __future__ import annotations

import difflib
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar

import torch

from reference.accuracy import call, constants_of, sweep
from reference.agreement import measure, measure_module
from reference.case import ModuleCase
from reference.cases import CHAPTERS
from reference.record import Agreement

DTYPES = ("float64", "float32")
Run = tuple[str, partial[Agreement]]  # a label, and what measures it in a dtype
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Entry:
    """An operation or a module of the catalogue: its cases, and the sweeps of a pointwise operation."""

    name: str
    chapter: str
    is_module: bool
    cases: tuple[Run, ...]
    sweeps: tuple[Run, ...] = ()

    @property
    def names(self) -> set[str]:
        """What it can be chosen by: its name, its chapter, and the group of chapters."""
        return {self.name, self.chapter, self.chapter.partition("/")[0]}

    @property
    def runs(self) -> tuple[Run, ...]:
        """The cases and the sweeps."""
        return self.cases + self.sweeps

    def measure(self, run: int, dtype: str) -> Agreement:
        """Measure a case or a sweep in a dtype."""
        label, function = self.runs[run]
        try:
            return function(dtype)
        except Exception as exception:  # torch or the definition refuses the case; the others are worth their rows all the same
            return Agreement(self.name, label, dtype, complaints=(f"the case itself raised {exception!r}",))


def catalogue(seed: int = 0) -> list[Entry]:
    """Every operation and module, chapter by chapter, on the numbers that a seed draws."""
    entries = []
    for chapter in CHAPTERS:
        for operation in getattr(chapter, "OPERATIONS", ()):
            cases = tuple((case.label, partial(measure, operation, case, seed=seed)) for case in operation.cases)
            sweeps = tuple((call(operation, c), partial(sweep, operation, c, seed=seed)) for c in constants_of(operation))
            entries.append(Entry(operation.name, operation.chapter, False, cases, sweeps))
        modules: dict[str, list[ModuleCase]] = {}
        for module in chapter.MODULES:
            modules.setdefault(module.name, []).append(module)
        for name, of_module in modules.items():
            cases = tuple((case.inputs.label, partial(measure_module, case, seed=seed)) for case in of_module)
            entries.append(Entry(name, of_module[0].chapter, True, cases))
    return entries


def choose(names: Sequence[str]) -> list[Entry]:
    """The entries that bear one of these names or stand in one of these chapters; all of them if there are no names."""
    entries = catalogue()
    known = {name for entry in entries for name in entry.names}
    wanted = {name.rstrip("/") for name in names}
    for name in sorted(wanted - known):
        raise ValueError(f"there is no operation, module or chapter {name!r}: {hint(name, known)}")
    return [entry for entry in entries if not wanted or wanted & entry.names]


def hint(name: str, known: Iterable[str]) -> str:
    """What to do about a name that is not known."""
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), {one.lower() for one in known})
    matches = ", ".join(one for lower in close for one in known if one.lower() == lower)
    return f"did you mean {matches}?" if matches else "python -m reference --list shows what there is"


def measure_all(entries: Sequence[Entry], dtypes: Sequence[str], seed: int = 0) -> Iterator[Agreement]:
    """Measure every run of every entry in every dtype, in processes; what comes is in that order."""
    tasks = [(seed, entry.name, run, dtype) for entry in entries for run in range(len(entry.runs)) for dtype in dtypes]
    return in_processes(_measure, tasks)


def in_processes(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    """What a function gives for each of these tasks, in processes, one a core; it comes in their order."""
    # Where a process can be copied, torch is imported once.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(min(_cores(), max(len(tasks), 1)), context, _start) as pool:
        try:
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of threads: no child uses the parent's
                results = pool.map(function, tasks)
            yield from results
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends what runs
    torch.set_num_threads(1)  # the arrays are small: more threads only wait for each other


def _measure(task: tuple[int, str, int, str]) -> Agreement:
    seed, name, run, dtype = task
    return _by_name(seed)[name].measure(run, dtype)


@cache
def _by_name(seed: int) -> dict[str, Entry]:
    return {entry.name: entry for entry in catalogue(seed)}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
