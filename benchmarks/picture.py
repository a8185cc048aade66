"""The ratios as a picture."""

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.recording import Record


def plot(records: list[Record], path: Path) -> None:
    """The ratio manual / torch of each benchmark, with its quartiles, on a logarithmic axis; networks above operations.

    An operation has one line, with an open point for its small case and a full one for its large case. What other
    programs disturbed is grey.
    """
    lines = list(dict.fromkeys((record.group, record.entry.name) for record in records))
    heights = {line: -position - (line[0] != lines[0][0]) for position, line in enumerate(lines)}
    figure = Figure(figsize=(8, 1.2 + 0.26 * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color="0.4", linewidth=1)
    for record in records:
        ratio = record.result.ratio("torch")
        small = record.entry.case.startswith("small")
        height = heights[record.group, record.entry.name] + (0.2 if small else -0.2 if record.entry.case else 0)
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
