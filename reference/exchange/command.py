"""The catalogue written down, and results of other programs judged: python -m reference export, python -m reference judge"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence

from reference.checking.report import Report, as_table
from reference.exchange.export import chosen, export
from reference.exchange.judge import judge
from reference.exchange.manifest import count
from reference.formats import FORMATS
from reference.progress import progress
from reference.report import counted, verdict


def export_main(arguments: Sequence[str]) -> int:
    """Write the catalogue to a directory; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m reference export",
        description="Write every case of every operation to files, with the true outputs and gradients. The README.md among them "
        "says how a program in any language reads them.",
        epilog="Exit status: 0 if everything is written, 2 for wrong usage.",
    )
    parser.add_argument("directory", metavar="DIRECTORY", help="where to write: nothing yet, an empty one or an older export")
    parser.add_argument("names", nargs="*", metavar="NAME", help="operations or chapters to write (default: everything)")
    parser.add_argument("--dtype", choices=FORMATS, default="float32", help="that of arguments and results (default: float32)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draw other numbers for every case (default: 0)")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    try:
        total = sum(count(operation, options.dtype) for operation in chosen(options.names))
        with progress(total) as done:
            written = export(options.directory, options.names, options.dtype, options.seed, done)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    left_out = 0
    for name, counts in written.operations.items():
        left_out += counts["left_out"]
        reasons = Counter(case["reason"] for case in written.manifest(name)["left_out"]) if counts["left_out"] else {}
        for reason, number in reasons.items():
            print(f"{name}: {counted(number, 'case')} left out: {reason}")  # noqa: T201
    cases = counted(sum(counts["cases"] for counts in written.operations.values()), "case")
    what = f"{counted(len(written.operations), 'operation')}, {cases} in {written.dtype}"
    seconds = time.perf_counter() - start
    print(f"{what} written to {options.directory}, {counted(left_out, 'case')} left out ({seconds:.1f} s)")  # noqa: T201
    return 0


def judge_main(arguments: Sequence[str]) -> int:
    """Judge results in a directory; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m reference judge",
        description="Hold the results of another program against an export.",
        epilog="Exit status: 0 if all results that are there agree, 1 if one does not or none is there, 2 for wrong usage and "
        "where a file is damaged.",
    )
    parser.add_argument("directory", metavar="DIRECTORY", help="what python -m reference export wrote")
    parser.add_argument("results", metavar="RESULTS", help="the directory with a file of results for each operation")
    options = parser.parse_args(arguments)
    try:
        reports = judge(options.directory, options.results)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    tried = [report for report in reports if report.agreements]
    if tried:
        print(as_table(tried))  # noqa: T201
    print(_summary(reports, tried))  # noqa: T201
    return 0 if tried and all(report.agrees for report in tried) else 1


def _summary(reports: list[Report], tried: list[Report]) -> str:
    """What was tried and what was not, in a line."""
    wrong = [report.operation for report in tried if not report.agrees]
    without = [report for report in reports if not report.agreements]
    untried = sum(len({one.case for one in report.untried}) for report in reports)
    missing = f"; no file for {', '.join(report.operation for report in without)}" if without else ""
    what = f"{len(tried)} of {counted(len(reports), 'operation')} tried" if tried else "nothing was tried"
    mark = "✓" if tried and not wrong else "✗"
    return f"{mark} {what}{f': {verdict(wrong)}' if tried else ''}; {counted(untried, 'case')} untried{missing}"
