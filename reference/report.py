"""The agreement of the whole catalogue: what was measured, the verdict on it, and where torch loses digits."""

from __future__ import annotations

import datetime
import json
import math
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
import torch

from reference.agreement import BESIDE_TORCH, LIMIT, Agreement, Quantity, measure, measure_module
from reference.case import Case, ModuleCase
from reference.cases import CHAPTERS

DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Entry:
    """An operation or a module of the catalogue: each of its cases, with the function that measures it in a dtype."""

    name: str
    chapter: str
    is_module: bool
    cases: tuple[tuple[Case, Callable[[str], Agreement]], ...]

    def measure(self, dtypes: Sequence[str] = DTYPES) -> Row:
        """Measure every case in every dtype."""
        measured = [(case, self._agreement(case, function, dtype)) for case, function in self.cases for dtype in dtypes]
        return Row(self, tuple(measured))

    def _agreement(self, case: Case, function: Callable[[str], Agreement], dtype: str) -> Agreement:
        try:
            return function(dtype)
        except Exception as exception:  # torch or the definition refuses the case; the others are worth their rows all the same
            return Agreement(self.name, case.label, dtype, (), (f"the case itself raised {exception!r}",))


@dataclass(frozen=True)
class Worst:
    """The largest error and ratios of several quantities, which need not belong to the same one."""

    error: float
    ratio: float
    torch_ratio: float | None


@dataclass(frozen=True)
class Row:
    """What was measured on an operation or a module."""

    entry: Entry
    measured: tuple[tuple[Case, Agreement], ...]

    def torch_is_judge(self, dtype: str) -> bool:
        """Whether torch was held against itself, so that its r says nothing."""
        return self.entry.is_module and dtype == "float64"

    def worst(self, dtype: str, gradients: bool) -> Worst | None:
        """The worst over the cases, or `None` where nothing could be measured."""
        found = [quantity for _, quantity in _select(self.measured, dtype, gradients)]
        if not found:
            return None
        torch_ratio = None if self.torch_is_judge(dtype) else max(q.torch_ratio for q in found)
        return Worst(max(q.error for q in found), max(q.ratio for q in found), torch_ratio)

    @cached_property
    def complaints(self) -> list[tuple[str, str]]:
        """Where something is wrong, and what."""
        of_cases = [(f"{a.case}, {a.dtype}", complaint) for _, a in self.measured for complaint in a.complaints]
        return of_cases if self.entry.is_module else of_cases + [("beside torch", text) for text in beside_torch(self.measured)]

    @property
    def agrees(self) -> bool:
        """The verdict."""
        return not self.complaints


@dataclass(frozen=True)
class LostDigits:
    """An entry of the register: a place where torch loses digits, as the case says it does."""

    operation: str
    case: str
    dtype: str
    quantity: str
    torch_ratio: float
    ratio: float
    reason: str

    @property
    def digits(self) -> float:
        """How many decimal digits torch loses."""
        return math.log10(self.torch_ratio)


def catalogue() -> list[Entry]:
    """Every operation and module, chapter by chapter."""
    entries = []
    for chapter in CHAPTERS:
        for operation in getattr(chapter, "OPERATIONS", ()):
            runs = tuple((case, partial(measure, operation, case)) for case in operation.cases)
            entries.append(Entry(operation.name, operation.chapter, False, runs))
        modules: dict[str, list[ModuleCase]] = {}
        for module in chapter.MODULES:
            modules.setdefault(module.name, []).append(module)
        for name, cases in modules.items():
            runs = tuple((case.inputs, partial(measure_module, case)) for case in cases)
            entries.append(Entry(name, cases[0].chapter, True, runs))
    return entries


def beside_torch(measured: Iterable[tuple[Case, Agreement]]) -> list[str]:
    """Say where the worst r of an operation exceeds torch's worst r.

    What torch itself gets wrong, r above LIMIT, is left out on both sides, so that its losses excuse none of ours.
    """
    measured = list(measured)
    complaints = []
    for dtype in dict.fromkeys(agreement.dtype for _, agreement in measured):
        for gradients, what in ((False, "outputs"), (True, "gradients")):
            found = [(case, q) for case, q in _select(measured, dtype, gradients) if q.torch_ratio <= LIMIT]
            theirs = max((quantity.torch_ratio for _, quantity in found), default=0.0)
            allowed = max(BESIDE_TORCH, theirs)
            for case, ours in sorted(found, key=lambda pair: pair[1].ratio)[-1:]:
                if ours.ratio > allowed:
                    place = f"{dtype} {what}: r = {short(ours.ratio)} ({case.label}, {ours.name})"
                    complaints.append(f"{place}, allowed {short(allowed)}; torch's worst there is {short(theirs)}")
    return complaints


def _select(measured: Iterable[tuple[Case, Agreement]], dtype: str, gradients: bool) -> list[tuple[Case, Quantity]]:
    return [
        (case, quantity)
        for case, agreement in measured
        for quantity in agreement.quantities
        if agreement.dtype == dtype and quantity.name.startswith("grad") == gradients
    ]


def register(rows: Iterable[Row]) -> list[LostDigits]:
    """Where torch loses digits, as measured now."""
    return [
        LostDigits(row.entry.name, case.label, agreement.dtype, q.name, q.torch_ratio, q.ratio, case.torch_loses)
        for row in rows
        for case, agreement in row.measured
        if case.torch_loses
        for q in agreement.quantities
        if q.torch_ratio > LIMIT
    ]


def worst_of_each(losses: Iterable[LostDigits]) -> list[LostDigits]:
    """The largest loss of each operation and quantity."""
    worst: dict[tuple[str, str], LostDigits] = {}
    for loss in losses:
        key = loss.operation, loss.quantity
        worst[key] = max(worst.get(key, loss), loss, key=lambda loss: loss.torch_ratio)
    return list(worst.values())


def summary(rows: Sequence[Row]) -> str:
    """What was run and how it went, in a line."""
    modules = sum(row.entry.is_module for row in rows)
    cases = sum(len(row.entry.cases) for row in rows)
    counts = {"operation": len(rows) - modules, "module": modules, "case": cases}
    what = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items() if count)
    failing = [row.entry.name for row in rows if not row.agrees]
    verdict = f"{', '.join(failing)} disagree{'s' if len(failing) == 1 else ''}" if failing else "all agree"
    return f"{what} in {' and '.join(dtypes_of(rows))}: {verdict}"


def dtypes_of(rows: Iterable[Row]) -> list[str]:
    """The dtypes in which these were measured."""
    return list(dict.fromkeys(agreement.dtype for row in rows for _, agreement in row.measured))


def environment() -> dict[str, str]:
    """The versions of everything that a last digit may depend on."""
    blas = {
        f"{library['internal_api']} {library['version']} ({library.get('architecture', 'unknown')})"
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    }
    return {
        "NumPy": np.__version__,
        "torch": torch.__version__,
        "BLAS": ", ".join(sorted(blas)) or "unknown",
        "Python": platform.python_version(),
        "processor": _processor(),
        "system": platform.platform(),
        "date": datetime.date.today().isoformat(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def as_json(rows: Sequence[Row]) -> str:
    """Everything that was measured. A torch_ratio is null where torch is the judge; what is not finite is a string."""
    entries = []
    for row in rows:
        cases = [asdict(agreement) | {"torch_loses": case.torch_loses} for case, agreement in row.measured]
        for case in cases:
            if row.torch_is_judge(case["dtype"]):
                case["quantities"] = [quantity | {"torch_ratio": None} for quantity in case["quantities"]]
        entries.append(
            {
                "name": row.entry.name,
                "chapter": row.entry.chapter,
                "kind": "module" if row.entry.is_module else "operation",
                "agrees": row.agrees,
                "complaints": [f"{where}: {complaint}" for where, complaint in row.complaints],
                "cases": cases,
            }
        )
    document = {
        "environment": environment(),
        "limit": LIMIT,
        "beside_torch": BESIDE_TORCH,
        "agrees": all(row.agrees for row in rows),
        "entries": entries,
        "register": [asdict(loss) for loss in register(rows)],
    }
    return json.dumps(_finite(document), allow_nan=False, ensure_ascii=False, indent=1)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def short(value: float | None) -> str:
    """A number in at most five characters: 0.52, 12.9, 9e15, 2e-16; a dash for none."""
    if value is None:
        return "—"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 0.005 <= value < 999.5:
        return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"
