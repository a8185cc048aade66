"""The ratios as tables and as a picture."""

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from rich.table import Table

from benchmarks.duel import Quartiles, Setting
from benchmarks.recording import Record


def tables(records: list[Record], setting: Setting) -> Iterator[Table]:
    """One table of the networks and one of the operations, a row for each benchmark."""
    sides = records[0].result.about
    about = " against ".join(f"{side['version']} with {side['threads']} threads" for side in sides.values())
    for group in dict.fromkeys(record.group for record in records):
        chosen = [record for record in records if record.group == group]
        table = Table(title=f"{group}: {about}, allocator: {setting.allocator}", title_justify="left", min_width=60)
        columns = ["", "manual", "torch", "manual / torch"]
        if any("products" in record.result.times for record in chosen):
            columns += ["manual / its products", "peak memory", "torch"]
        for position, column in enumerate(columns):
            table.add_column(column, justify="right" if position else "left")
        for record in chosen:
            table.add_row(*_cells(record))
        yield table


def _cells(record: Record) -> list[str]:
    result = record.result
    ratio = result.ratio("torch")
    style = "green" if result.quiet and ratio.median <= 1 else "default"
    disturbed = "" if result.quiet else f"  [red]{result.disturbed:.0%} disturbed[/]"
    cells = [
        f"{record.name} {record.case}{disturbed}",
        _time(result.time("manual")),
        _time(result.time("torch")),
        _ratio(ratio, style),
    ]
    if record.peak_memory is not None:
        cells += [_ratio(result.ratio("products")), *(_memory(size) for size in record.peak_memory.values())]
    return cells


def _ratio(ratio: Quartiles, style: str = "default") -> str:
    return f"[{style}]{ratio.median:.2f}[/] [dim]{ratio.low:.2f}–{ratio.high:.2f}[/]"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def _memory(size: int | None) -> str:
    return "—" if size is None else f"{size / 1e6:.1f} MB"


def plot(records: list[Record], path: Path) -> None:
    """The ratio manual / torch of each benchmark, with its quartiles, on a logarithmic axis; networks above operations.

    An operation has one line, with an open point for its small case and a full one for its large case. What other
    programs disturbed is grey.
    """
    lines = list(dict.fromkeys((record.group, record.name) for record in records))
    heights = {line: -position - (line[0] != lines[0][0]) for position, line in enumerate(lines)}
    figure = Figure(figsize=(8, 1.2 + 0.26 * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color="0.4", linewidth=1)
    for record in records:
        ratio = record.result.ratio("torch")
        small = record.case.startswith("small")
        height = heights[record.group, record.name] + (0.15 if small else -0.15 if record.case else 0)
        color = "0.7" if not record.result.quiet else "C0" if ratio.median <= 1 else "C1"
        whiskers = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
        axes.errorbar(ratio.median, height, xerr=whiskers, fmt="o", color=color, markerfacecolor="white" if small else color)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(list(heights.values()), [name for _, name in lines])
    axes.grid(axis="x", which="both", color="0.92")
    axes.set_axisbelow(True)
    axes.set_xlabel("time of manual / time of torch, median and quartiles   (○ small case, ● large case)")
    figure.savefig(path, dpi=150)
