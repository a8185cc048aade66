"""The agreement of the whole catalogue: what was measured, the verdict on it, and where torch loses digits."""

from __future__ import annotations

import datetime
import json
import math
import platform
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
import torch

import manual
from reference.accuracy import AT_INFINITY
from reference.catalogue import DTYPES, Entry, Run, measure_all
from reference.record import BESIDE_TORCH, LIMIT, TIMES_TORCH, Agreement, Element, Quantity, allowed_beside


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
    measured: tuple[Agreement, ...]
    swept: tuple[Agreement, ...] = ()

    def worst(self, dtype: str, gradients: bool) -> Worst | None:
        """The worst over the cases, or `None` where nothing could be measured."""
        return worst(self.measured, dtype, gradients)

    @cached_property
    def complaints(self) -> list[tuple[str, str]]:
        """Where something is wrong, and what."""
        of_cases = [(f"{a.case}, {a.dtype}", complaint) for a in (*self.measured, *self.swept) for complaint in a.complaints]
        return of_cases if self.entry.is_module else of_cases + [("beside torch", text) for text in beside_torch(self.measured)]

    @property
    def agrees(self) -> bool:
        """The verdict."""
        return not self.complaints


@dataclass(frozen=True)
class LostDigits:
    """An entry of the register: where an output or gradient of torch is furthest from the truth, and why."""

    operation: str
    quantity: str
    dtype: str
    case: str
    element: Element
    torch_ratio: float
    reason: str


def measure(
    entries: Sequence[Entry], dtypes: Sequence[str] = DTYPES, seed: int = 0, done: Callable[[str], None] = lambda name: None
) -> list[Row]:
    """Measure these entries, a row for each; `done` is called with the name of the entry after each run in a dtype."""
    agreements = measure_all(entries, dtypes, seed)

    def take(entry: Entry, runs: Sequence[Run]) -> tuple[Agreement, ...]:
        taken = []
        for _ in range(len(runs) * len(dtypes)):
            taken.append(next(agreements))
            done(entry.name)
        return tuple(taken)

    return [Row(entry, take(entry, entry.cases), take(entry, entry.sweeps)) for entry in entries]


def worst(measured: Iterable[Agreement], dtype: str, gradients: bool) -> Worst | None:
    """The worst of several measurements, or `None` where nothing could be measured; finite inputs alone count."""
    found = [quantity for _, quantity in _select(measured, dtype, gradients) if not quantity.name.endswith(AT_INFINITY)]
    if not found:
        return None
    torchs = max((q.torch_ratio for q in found if q.torch_ratio is not None), default=None)
    return Worst(max(q.error for q in found), max(q.ratio for q in found), torchs)


def beside_torch(measured: Iterable[Agreement]) -> list[str]:
    """Say where the worst r of an operation is far above torch's worst r.

    What torch itself gets wrong, r above LIMIT, is left out on both sides, so that its losses excuse none of ours.
    """
    measured = list(measured)
    complaints = []
    for dtype in dict.fromkeys(agreement.dtype for agreement in measured):
        for gradients, what in ((False, "outputs"), (True, "gradients")):
            both = [(case, q, q.torch_ratio) for case, q in _select(measured, dtype, gradients) if q.torch_ratio is not None]
            found = [(case, q, torchs) for case, q, torchs in both if torchs <= LIMIT]
            theirs = max((torchs for _, _, torchs in found), default=0.0)
            allowed = allowed_beside(theirs)
            for case, ours, _ in sorted(found, key=lambda each: each[1].ratio)[-1:]:
                if ours.ratio > allowed:
                    place = f"{dtype} {what}: r = {short(ours.ratio)} ({case}, {ours.name})"
                    complaints.append(f"{place}, allowed {short(allowed)}; torch's worst there is {short(theirs)}")
    return complaints


def _select(measured: Iterable[Agreement], dtype: str, gradients: bool) -> list[tuple[str, Quantity]]:
    return [
        (agreement.case, quantity)
        for agreement in measured
        for quantity in agreement.quantities
        if agreement.dtype == dtype and quantity.name.startswith("grad") == gradients
    ]


def sweeps(rows: Iterable[Row]) -> dict[str, list[Agreement]]:
    """What was measured on each pointwise function, a function being an operation with certain constants."""
    found: dict[str, list[Agreement]] = {}
    for agreement in (agreement for row in rows for agreement in row.swept):
        found.setdefault(agreement.case, []).append(agreement)
    return found


def register(rows: Iterable[Row], by_dtype: bool = True) -> list[LostDigits]:
    """Where torch loses digits, as measured now: the worst element of each output and gradient, of all dtypes or of each.

    The reason is what a case gives in which that output or gradient is lost.
    """
    found: dict[tuple[str, ...], LostDigits] = {}
    reasons: dict[tuple[str, ...], str] = {}
    for agreement in (agreement for row in rows for agreement in (*row.measured, *row.swept)):
        for q in agreement.quantities:
            if q.lost and q.torch_ratio is not None:
                which = agreement.operation, q.name
                reason = reasons.setdefault(which, agreement.torch_loses or "")
                loss = LostDigits(*which, agreement.dtype, agreement.case, q.lost, q.torch_ratio, reason)
                key = (*which, agreement.dtype) if by_dtype else which
                found[key] = max(found.get(key, loss), loss, key=lambda loss: loss.torch_ratio)
    return list(found.values())


def summary(rows: Sequence[Row]) -> str:
    """What was run and how it went, in a line."""
    modules = sum(row.entry.is_module for row in rows)
    cases = sum(len(row.entry.cases) for row in rows)
    sweeps = sum(len(row.entry.sweeps) for row in rows)
    counts = {"operation": len(rows) - modules, "module": modules, "case": cases, "sweep": sweeps}
    what = ", ".join(counted(count, noun) for noun, count in counts.items() if count)
    return f"{what} in {' and '.join(dtypes_of(rows))}: {verdict([row.entry.name for row in rows if not row.agrees])}"


def counted(number: int, noun: str) -> str:
    """So many of them: 1 case, 2 cases."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verdict(failing: Sequence[str]) -> str:
    """Whether all agree, or the names of those that do not."""
    return f"{', '.join(failing)} disagree{'s' if len(failing) == 1 else ''}" if failing else "all agree"


def dtypes_of(rows: Iterable[Row]) -> list[str]:
    """The dtypes in which these were measured."""
    return list(dict.fromkeys(agreement.dtype for row in rows for agreement in row.measured))


def environment() -> dict[str, str]:
    """What was measured, and the versions of everything that a last digit may depend on."""
    blas = {
        f"{library['internal_api']} {library['version']} ({library.get('architecture', 'unknown')})"
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    }
    return {
        "handgrad": ", commit ".join(filter(None, (manual.__version__, _commit()))),
        "NumPy": np.__version__,
        "torch": torch.__version__,
        "BLAS": ", ".join(sorted(blas)) or "unknown",
        "Python": platform.python_version(),
        "processor": _processor(),
        "system": platform.platform(),
        "date": datetime.date.today().isoformat(),
    }


def _commit() -> str:
    """The commit of the checkout that this runs in, with "+changes" where files differ from it; nothing where there is none."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():  # installed, perhaps within another project's checkout
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--dirty=+changes"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:  # there is no git
        return ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def as_json(rows: Sequence[Row]) -> str:
    """Everything that was measured. A torch_ratio is null where torch is the judge; what is not finite is a string."""
    entries = [
        {
            "name": row.entry.name,
            "chapter": row.entry.chapter,
            "kind": "module" if row.entry.is_module else "operation",
            "agrees": row.agrees,
            "complaints": [f"{where}: {complaint}" for where, complaint in row.complaints],
            "cases": [asdict(agreement) for agreement in row.measured],
            "sweeps": [asdict(agreement) for agreement in row.swept],
        }
        for row in rows
    ]
    document = {
        "environment": environment(),
        "limit": LIMIT,
        "beside_torch": BESIDE_TORCH,
        "times_torch": TIMES_TORCH,
        "agrees": all(row.agrees for row in rows),
        "entries": entries,
        "register": [asdict(loss) for loss in register(rows)],
    }
    return json.dumps(finite(document), allow_nan=False, ensure_ascii=False, indent=1)


def finite(value: Any) -> Any:
    """A value in JSON, which has no numbers that are not finite: these are the strings inf, -inf and nan."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
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
