"""The ratios as tables, for the terminal and as a Markdown page."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

from benchmarks.duel import BARE, PEERS, Quartiles, Setting
from benchmarks.recording import Record
from reference.report import environment

BARE_NOTE = (
    "bare: what manual could not do without. Of a dense network, its matrix products into arrays that are there already; "
    "of XOR, the functions of NumPy and BLAS that manual calls, in closures without modules and checks."
)


@dataclass(frozen=True)
class Section:
    """A table whose cells are written in rich's markup, and notes on it."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sections(records: list[Record]) -> list[Section]:
    """The networks, also beside the peers that were asked for, the optimizers and the operations; those that were timed."""
    networks = [record for record in records if record.group == "training step"]
    optimizers = [record for record in records if record.group == "optimizer step"]
    operations = [record for record in records if record.group == "operation"]
    found = [
        _networks(networks),
        _peers(networks),
        _parts("Step of an optimizer", "optimizer", optimizers),
        _parts("Operation, forward and backward", "operation", operations),
    ]
    return [section for section in found if section.rows or section.notes]


def _networks(records: list[Record]) -> Section:
    columns = "network", "manual", "torch", "manual / torch", "manual / bare", "peak memory, manual", "peak memory, torch"
    section = Section("Training step: forward, loss, backward and SGD", columns)
    for record in records:
        ratios_to_bare = [_ratio(record.result.ratio(side)) for side in record.result.times if side in BARE]
        memory = [_memory(size) for size in record.peak_memory.values()] if record.peak_memory else ["", ""]
        section.rows.append([_name(record), *_beside_torch(record), *(ratios_to_bare or [""]), *memory])
    if records:
        section.notes.append(BARE_NOTE)
    return section


def _peers(records: list[Record]) -> Section:
    peers = [peer for peer in PEERS if any(peer in record.result.times for record in records)]
    section = Section("The same step on other sides: their times, and manual's in units of these", ("network", "manual", *peers))
    if peers:
        section.rows.extend([_name(record), _time(record.result.time("manual")), *_elsewhere(record, peers)] for record in records)
    reasons = defaultdict(list)
    for record in records:
        for peer, reason in record.result.left_out.items():
            reasons[peer, reason].append(record.entry.name)
    section.notes.extend(f"{peer} is left out ({', '.join(names)}): {reason}" for (peer, reason), names in reasons.items())
    return section


def _elsewhere(record: Record, peers: list[str]) -> Iterator[str]:
    for peer in peers:
        yield f"{_time(record.result.time(peer))}, {_beside(record, peer)}" if peer in record.result.times else "—"


def _parts(title: str, what: str, records: list[Record]) -> Section:
    section = Section(title, (what, "case", "manual", "torch", "manual / torch"))
    for record in records:
        section.rows.append([_name(record), record.entry.case, *_beside_torch(record)])
    return section


def _name(record: Record) -> str:
    disturbed = "" if record.result.quiet else f"  [red]{record.result.disturbed:.0%} disturbed[/]"
    return record.entry.name + disturbed


def _beside_torch(record: Record) -> list[str]:
    return [_time(record.result.time("manual")), _time(record.result.time("torch")), _beside(record, "torch")]


def _beside(record: Record, other: str) -> str:
    ratio = record.result.ratio(other)
    return _ratio(ratio, "green" if record.result.quiet and ratio.median <= 1 else "default")


def _ratio(ratio: Quartiles, style: str = "default") -> str:
    return f"[{style}]{ratio.median:.2f}[/] [dim]({ratio.low:.2f}–{ratio.high:.2f})[/]"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _memory(size: int | None) -> str:
    return "—" if size is None else f"{size / 1e6:.1f} MB"


def table(section: Section) -> Table:
    """A section for the terminal."""
    found = Table(title=section.title, title_justify="left", caption="\n".join(section.notes), caption_justify="left", min_width=60)
    for column in section.columns:
        found.add_column(column, justify="left" if column in ("network", "optimizer", "operation", "case") else "right")
    for row in section.rows:
        found.add_row(*row)
    return found


def conditions(records: list[Record], setting: Setting) -> Iterator[str]:
    """What the numbers depend on: processor, system, libraries, threads and allocator."""
    about = environment()
    yield f"{about['processor']}, {os.cpu_count()} cores; {about['system']}; Python {about['Python']}"
    for side, of_side in {side: of_side for record in records for side, of_side in record.result.about.items()}.items():
        yield f"{side}: {of_side['version']}, threads: {of_side['threads']}"
    yield f"allocator: {setting.allocator}"


def markdown(records: list[Record], setting: Setting, command: str) -> str:
    """Everything as a page."""
    lines = [
        "# Speed",
        "",
        f"Measured and written on {environment()['date']} by `{command}`.",
        "",
        *(f"- {line}" for line in conditions(records, setting)),
        "",
        "A ratio is the time of `manual` in units of the other side's: below 1, `manual` is faster. It is the median, with",
        "quartiles in parentheses, of rounds in which the sides took turns, each in a process of its own; their results were",
        "compared first.",
    ]
    if any(not record.result.quiet for record in records):
        lines.append("Rows that other programs disturbed are marked, and say nothing.")
    for section in sections(records):
        lines += ["", f"## {section.title}", ""]
        if section.rows:
            lines += [_line(section.columns), _line(["---"] * len(section.columns))]
            lines += [_line([Text.from_markup(cell).plain for cell in row]) for row in section.rows]
        for note in section.notes:
            lines += ["", note]
    return "\n".join(lines) + "\n"


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
