"""The agreement of everything, as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, groupby

from reference import report
from reference.record import Agreement, rule
from reference.report import Row, Worst, short


def as_markdown(rows: Sequence[Row]) -> str:
    """The page."""
    dtypes = report.dtypes_of(rows)
    groups = [(dtype, gradients) for dtype in dtypes for gradients in (False, True)]
    parts = [
        "# Agreement",
        "Written by `python -m reference --markdown FILE`, not by hand.",
        f"{'✓' if all(row.agrees for row in rows) else '✗'} {report.summary(rows)}.",
        "r = max |got − truth| / (u · |J|ᵀ|g|) is the error in units of what rounding alone explains, u the unit roundoff and "
        f"J the Jacobian: about 1 is perfect. {rule()} Modules are held against torch in float64, which has no r of its own there.",
        _table(["", ""], [[name, value] for name, value in report.environment().items()]),
        *_complaints(rows),
        "## The worst r by chapter",
        _chapters(rows, dtypes),
        "## Every operation and module",
        _everything(rows, groups),
        *_sweeps(rows, groups),
        *_register(rows),
    ]
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; only the first column is text."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *lines))


def _text(text: str) -> str:
    return text.replace("|", "\\|")


def _ratios(worst: Worst | None) -> list[str]:
    return [short(worst.ratio), short(worst.torch_ratio)] if worst else ["", ""]


def _complaints(rows: Sequence[Row]) -> list[str]:
    lines = [f"- {row.entry.name}, {where}: {complaint}" for row in rows for where, complaint in row.complaints]
    return ["## What disagrees", "\n".join(lines)] if lines else []


def _chapters(rows: Sequence[Row], dtypes: Sequence[str]) -> str:
    lines = []
    for chapter, group in groupby(rows, key=lambda row: row.entry.chapter):
        of_chapter = list(group)
        measured = list(chain.from_iterable(row.measured for row in of_chapter))
        cases = sum(len(row.entry.cases) for row in of_chapter)
        lines.append([chapter, str(cases), *(ratio for dtype in dtypes for ratio in _ratios(_of_both(measured, dtype)))])
    return _table(["chapter", "cases", *(name for dtype in dtypes for name in (dtype, "torch"))], lines)


def _of_both(measured: Sequence[Agreement], dtype: str) -> Worst | None:
    """The worst of outputs and gradients."""
    found = [worst for gradients in (False, True) if (worst := report.worst(measured, dtype, gradients))]
    torchs = [worst.torch_ratio for worst in found if worst.torch_ratio is not None]
    return Worst(max(w.error for w in found), max(w.ratio for w in found), max(torchs, default=None)) if found else None


def _columns(groups: Sequence[tuple[str, bool]], output: str, gradient: str) -> list[str]:
    return [name for dtype, gradients in groups for name in (f"{dtype} {gradient if gradients else output}", "torch")]


def _everything(rows: Sequence[Row], groups: Sequence[tuple[str, bool]]) -> str:
    lines = []
    for chapter, group in groupby(rows, key=lambda row: row.entry.chapter):
        lines.append([f"**{chapter}**", *[""] * (1 + 2 * len(groups))])
        for row in group:
            ratios = (ratio for which in groups for ratio in _ratios(row.worst(*which)))
            lines.append([row.entry.name, str(len(row.entry.cases)), *ratios])
    return _table(["", "cases", *_columns(groups, "outputs", "gradients")], lines)


def _sweeps(rows: Sequence[Row], groups: Sequence[tuple[str, bool]]) -> list[str]:
    lines = [
        [_text(function), *(ratio for which in groups for ratio in _ratios(report.worst(agreements, *which)))]
        for function, agreements in report.sweeps(rows).items()
    ]
    about = (
        "Here r is measured in units of the last digit of each value by itself; near a zero of a derivative, against the terms "
        "that cancel there."
    )
    table = _table(["function", *_columns(groups, "value", "derivative")], lines)
    return ["## Pointwise functions, from the smallest subnormal to infinity", about, table] if lines else []


def _register(rows: Sequence[Row]) -> list[str]:
    lines = []
    for loss in report.register(rows):
        element = loss.element
        values = f"{element.torch:.10g}", element.truth, f"{element.ours:.10g}", short(loss.torch_ratio), short(element.ratio)
        place = f"{loss.quantity}, {loss.dtype}, {loss.case}, {element.place}"
        lines.append([loss.operation, _text(place), *values, _text(loss.reason)])
    header = ["operation", "where", "torch", "the truth", "ours", "torch's r", "our r", "because"]
    about = "The worst element of each output and gradient, as measured in this run."
    return ["## Where torch loses digits", about, _table(header, lines)] if lines else []
