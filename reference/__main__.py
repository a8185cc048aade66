"""The agreement of everything, as a table: python -m reference"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path

from reference.installation import how_to_install

try:
    import torch
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from manual.files import output_file, written_whole
    from reference import markdown, page, report
    from reference.catalogue import DTYPES, Entry, choose
    from reference.progress import progress
    from reference.record import LIMIT, rule
    from reference.report import LostDigits, Row, Worst, short
    from reference.tables import new_table
except ModuleNotFoundError as missing:
    sys.exit(f"python -m reference: {missing.name} is missing; install it with: {how_to_install('reference')}")
except KeyboardInterrupt:
    sys.exit(130)

WIDE = 120  # columns, where no terminal says how many it has
COMMANDS = {  # by name, the module and the function; not imported before they are asked for
    "check": ("reference.checking.command", "main"),
    "export": ("reference.exchange.command", "export_main"),
    "judge": ("reference.exchange.command", "judge_main"),
    "verify": ("reference.networks.command", "main"),
}
FILES = {"json": report.as_json, "html": page.as_html, "markdown": markdown.as_markdown}  # by option


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the exit status."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("python -m reference: interrupted", file=sys.stderr)  # noqa: T201
        return 130


def _run(arguments: Sequence[str] | None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a formula that the terminal cannot show must not end the run
    if arguments and arguments[0] in COMMANDS:
        return _command(arguments[0], arguments[1:])
    parser = _parser()
    options = parser.parse_args(arguments)
    _require_different_files(parser, options)
    try:
        entries = choose(options.names)
    except ValueError as error:
        parser.error(str(error))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDE
    if options.list:
        _print_list(console, entries)
        return 0

    start = time.perf_counter()
    rows = _measure(entries, (options.dtype,) if options.dtype else DTYPES, options.seed)
    seconds = time.perf_counter() - start

    for name, formatted in FILES.items():
        if path := getattr(options, name):
            with written_whole(path) as file:
                file.write_text(formatted(rows), encoding="utf-8")
    _print_table(console, rows)
    _print_accuracy(console, rows)
    _print_register(console, report.register(rows, by_dtype=False))
    _print_complaints(console, rows, f" --seed {options.seed}" if options.seed else "")
    agrees = all(row.agrees for row in rows)
    style = "bold green" if agrees else "bold red"
    console.print(Text(f"{'✓' if agrees else '✗'} {report.summary(rows)} ({seconds:.1f} s)", style), soft_wrap=True)
    return 0 if agrees else 1


def _command(name: str, arguments: Sequence[str]) -> int:
    """Run a command of its own; the exit status."""
    home, function = COMMANDS[name]
    try:
        return getattr(import_module(home), function)(arguments)
    except ModuleNotFoundError as missing:  # what these need and the table does not
        said = f"python -m reference {name}: {missing.name} is missing; install it with: {how_to_install('oracle')}"
        print(said, file=sys.stderr)  # noqa: T201
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference",
        description="Hold every operation and module against the truth, torch beside it.",
        epilog="Exit status: 0 if everything agrees, 1 if anything disagrees, 2 for wrong usage. "
        "A function of your own: python -m reference check --help. A network: python -m reference verify --help. "
        "For programs in other languages: python -m reference export --help, python -m reference judge --help",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="operations, modules or chapters to run (default: everything)")
    parser.add_argument("--dtype", choices=DTYPES, help="run in this dtype alone")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draw other numbers for every case (default: 0)")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--html", type=output_file, metavar="FILE", help="write the table as a page")
    parser.add_argument("--markdown", type=output_file, metavar="FILE", help="write the tables as a page of Markdown")
    parser.add_argument("--list", action="store_true", help="list what there is to run, and run nothing")
    return parser


def _require_different_files(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    taken: dict[Path, str] = {}
    for name in FILES:
        if path := getattr(options, name):
            first = taken.setdefault(path.resolve(), name)
            if first != name:
                parser.error(f"--{first} and --{name} name one and the same file: {path}")


def _measure(entries: Sequence[Entry], dtypes: Sequence[str], seed: int) -> list[Row]:
    with progress(sum(len(entry.runs) for entry in entries) * len(dtypes)) as done:
        return report.measure(entries, dtypes, seed, done)


def _print_list(console: Console, entries: Sequence[Entry]) -> None:
    for chapter, group in groupby(entries, key=lambda entry: entry.chapter):
        console.print(Text(chapter, "bold"))
        for entry in group:
            console.print(f"  {entry.name:<34}{len(entry.cases):>4} case{'s' * (len(entry.cases) != 1)}")


def _print_table(console: Console, rows: Sequence[Row]) -> None:
    table = _table(rows, full=True)
    wanted = console.measure(table, options=console.options.update(width=sys.maxsize)).maximum
    console.print(table if wanted <= console.width else _table(rows, full=False))
    console.print(f"\nr is the error in units of what rounding alone would explain: about 1 is perfect.\n{rule()}\n")


def _table(rows: Sequence[Row], full: bool) -> Table:
    """The rows by chapter; in full with the numbers of cases and the errors, for which a narrow terminal has no room."""
    groups = _groups(rows)
    table = new_table()
    table.add_column("\n\noperation", overflow="fold")
    if full:
        table.add_column("\n\ncases", justify="right", no_wrap=True)
    for dtype, gradients in groups:
        header = f"{dtype}\n{'gradients' if gradients else 'outputs'}\n{'error    ' if full else '   '}r torch"
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for chapter, group in groupby(rows, key=lambda row: row.entry.chapter):
        table.add_row(Text(chapter, "bold", no_wrap=True, overflow="ellipsis"))
        for row in group:
            cases = [str(len(row.entry.cases))] if full else []
            numbers = (_numbers(row.worst(*which), full) for which in groups)
            table.add_row(row.entry.name, *cases, *numbers, _mark(row.agrees))
        table.add_section()
    return table


def _groups(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    return [(dtype, gradients) for dtype in report.dtypes_of(rows) for gradients in (False, True)]


def _mark(agrees: bool) -> Text:
    return Text("✓", "green") if agrees else Text("✗", "bold red")


def _numbers(worst: Worst | None, full: bool) -> Text:
    if worst is None:
        return Text("not measured", "dim")
    parts = [(f"{short(worst.error):>5} ", "dim")] if full else []
    parts.append((f"{short(worst.ratio):>4}", "" if worst.ratio <= LIMIT else "bold red"))
    lost = worst.torch_ratio is not None and worst.torch_ratio > LIMIT
    parts.append((f" {short(worst.torch_ratio):>5}", "bold red" if lost else "dim"))
    return Text.assemble(*parts)


def _print_accuracy(console: Console, rows: Sequence[Row]) -> None:
    sweeps = report.sweeps(rows)
    if not sweeps:
        return
    console.print(Text("Pointwise functions, from the smallest subnormal to infinity", "bold"))
    table = new_table()
    table.add_column("\n\nfunction", overflow="fold")
    for dtype, gradients in _groups(rows):
        table.add_column(f"{dtype}\n{'derivative' if gradients else 'value'}\n   r torch", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for function, agreements in sweeps.items():
        numbers = (_numbers(report.worst(agreements, *which), full=False) for which in _groups(rows))
        table.add_row(function, *numbers, _mark(not any(agreement.complaints for agreement in agreements)))
    console.print(table)
    console.print("\nHere r is measured in units of the last digit of each value by itself.\n")


def _print_register(console: Console, losses: Sequence[LostDigits]) -> None:
    if not losses:
        return
    console.print(Text(f"Where torch {torch.__version__} loses digits", "bold"))
    for (operation, reason), group in groupby(losses, key=lambda loss: (loss.operation, loss.reason)):
        console.print(Text.assemble(f"\n{operation}", (f": {reason}" if reason else "", "dim")))
        for loss in group:
            element = loss.element
            console.print(f"  {loss.quantity}, {loss.dtype}, {loss.case}, {element.place}", style="dim")
            values = f"torch {element.torch:<17.10g} truth {element.truth:<17} ours {element.ours:<17.10g}"
            console.print(Text.assemble(f"  {values} r ", (short(loss.torch_ratio), "bold red")))
    console.print("\nThe worst of each output and gradient; --html and --json have it for each dtype.\n")


def _print_complaints(console: Console, rows: Sequence[Row], seed: str) -> None:
    for row in rows:
        if row.agrees:
            continue
        console.print(Text(f"✗ {row.entry.name}", "bold red"))
        for where, complaint in row.complaints:
            console.print(Text(f"  {where}: {complaint}"), soft_wrap=True)
        hint = f"It stands in manual/{row.entry.chapter}.py; run it alone with: python -m reference {row.entry.name}{seed}"
        console.print(Text(f"  {hint}\n"), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
