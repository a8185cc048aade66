"""What a check found: a table of errors, the points that are wrong, and what was not tried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console

from reference.record import Agreement, Quantity
from reference.report import short
from reference.tables import as_text, new_table

ORDINARY, TAIL = "ordinary", "tail"
WIDTH = 120


@dataclass(frozen=True)
class Untried:
    """A case, or one gradient of it, that was not tried, and why."""

    case: str
    reason: str


@dataclass(frozen=True)
class Report:
    """How a function agrees with the truth of an operation in a dtype, on each case and sweep that was tried.

    The tail are the sweeps and the cases on which torch itself loses digits.
    """

    operation: str
    dtype: str
    agreements: tuple[Agreement, ...]
    untried: tuple[Untried, ...] = ()

    @property
    def complaints(self) -> list[str]:
        """What is wrong, each with the case in front."""
        return [f"{agreement.case}: {complaint}" for agreement in self.agreements for complaint in agreement.complaints]

    @property
    def agrees(self) -> bool:
        """Whether something was tried, and nothing is wrong; `untried` has what this verdict does not cover."""
        return bool(self.agreements) and not self.complaints

    def quantities(self, where: str) -> dict[str, list[tuple[Agreement, Quantity]]]:
        """The outputs and gradients by name, with the cases they were measured on: ORDINARY ones, or the TAIL."""
        found: dict[str, list[tuple[Agreement, Quantity]]] = {}
        for agreement in self.agreements:
            if agreement.is_tail == (where == TAIL):
                for quantity in agreement.quantities:
                    found.setdefault(quantity.name, []).append((agreement, quantity))
        return dict(sorted(found.items()))

    @property
    def verdict(self) -> str:
        """What was found, in a line."""
        if not self.agreements:
            return f"✗ {self.operation} in {self.dtype}: nothing was tried"
        wrong = sum(bool(agreement.complaints) for agreement in self.agreements)
        tried = f"{len(self.agreements)} of {len(self.agreements) + len({one.case for one in self.untried})} cases and sweeps tried"
        return f"{'✗' if wrong else '✓'} {self.operation} in {self.dtype}: {tried}, " + (f"{wrong} wrong" if wrong else "all right")

    def __str__(self) -> str:
        return as_table([self])


def as_table(reports: Sequence[Report]) -> str:
    """The tables of several reports in one; below it what is wrong, what was not tried, and the verdict on each."""
    return as_text(WIDTH, lambda console: _print(console, reports))


def _print(console: Console, reports: Sequence[Report]) -> None:
    table = new_table()
    for name in ("operation", "", ""):
        table.add_column(name, overflow="fold")
    for name in ("error", "r", "torch's r"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("furthest off", overflow="fold")
    for report in reports:
        title = report.operation
        for where in (ORDINARY, TAIL):
            for name, measured in report.quantities(where).items():
                table.add_row(title, where, name, *_worst(measured))
                title = where = ""
        table.add_section()
    console.print(table)
    console.print("\nr is the error in units of what rounding alone would explain: about 1 is perfect.\n")
    for report in reports:
        for complaint in report.complaints:
            console.print(f"✗ {report.operation}, {complaint}", soft_wrap=True)
        for reason, cases in _by_reason(report.untried).items():
            console.print(f"{report.operation}, not tried: {reason}: {len(cases)} ({'; '.join(cases)})", soft_wrap=True)
        console.print(report.verdict, soft_wrap=True)


def _worst(measured: Iterable[tuple[Agreement, Quantity]]) -> list[str]:
    """The largest error and ratios, which need not belong to the same case, and the element with the largest r."""
    cases, quantities = zip(*measured)
    torchs = [quantity.torch_ratio for quantity in quantities if quantity.torch_ratio is not None]
    at = max(range(len(quantities)), key=lambda i: quantities[i].ratio)
    element = quantities[at].worst
    place = "" if element is None else f"{cases[at].case}, {element.place}: {element.ours:.10g}, in truth {element.truth}"
    return [short(max(q.error for q in quantities)), short(quantities[at].ratio), short(max(torchs, default=None)), place]


def _by_reason(untried: Iterable[Untried]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for one in untried:
        reasons.setdefault(one.reason, []).append(one.case)
    return reasons
