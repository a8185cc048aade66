"""Options, the fixture that runs a duel and records it, and the report at the end."""

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.duel import ALLOCATORS, Setting, duel, peak_memory
from benchmarks.recording import Record, replay

RECORDS = pytest.StashKey[list[Record]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What both sides run with, and what is made of the results."""
    group = parser.getgroup("manual beside torch")
    group.addoption("--threads", type=int, default=os.cpu_count(), help="threads of each side (default: one for each core)")
    group.addoption("--allocator", choices=ALLOCATORS, default="retain", help="retain: malloc keeps what is freed, on both sides")
    group.addoption("--openblas", metavar="PROCESSOR", help="whose kernels NumPy's OpenBLAS takes (default: those it finds itself)")
    group.addoption("--plot", type=Path, help="where the picture goes (default: results/speed.png)")
    group.addoption("--check-speed", action="store_true", help="fail where a ratio lies above its limit")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep the picture and the JSON in results/ unless told otherwise; our tables stand in for pytest-benchmark's own."""
    config.option.benchmark_quiet = True
    config.stash[RECORDS] = []
    results = config.rootpath / "results"
    config.option.plot = config.option.plot or results / "speed.png"
    config.option.benchmark_json = config.option.benchmark_json or results / "speed.json"
    for path in (config.option.plot, config.option.benchmark_json):
        path.parent.mkdir(parents=True, exist_ok=True)


def setting_of(config: pytest.Config) -> Setting:
    """What the options say of both sides."""
    return Setting(config.option.threads, config.option.allocator, config.option.openblas)


@pytest.fixture
def compete(request: pytest.FixtureRequest, benchmark: Any) -> Callable[..., None]:
    """Time a workload on both sides and record it; with --check-speed, hold it to its limits."""
    config = request.config
    setting = setting_of(config)

    def run(
        name: str,
        case: str,
        workload: Any,
        *,
        launches: int,
        rounds: int,
        products: bool = False,
        limit: float = math.inf,
        products_limit: float = math.inf,
    ) -> None:
        if benchmark.disabled:  # one round shows that both sides run and agree
            launches = rounds = 1
        result = duel(workload, setting, launches, rounds, products)
        memory = peak_memory(workload, setting) if products else None
        record = Record(benchmark.group, name, case, result, memory)
        config.stash[RECORDS].append(record)
        benchmark.extra_info.update(record.extra_info(setting))
        replay(benchmark, result.times["manual"])
        if config.option.check_speed:
            assert result.quiet, f"too busy a machine to tell: other programs disturbed {result.disturbed:.0%} of the turns"
            for other, most in {"torch": limit, "products": products_limit}.items():
                if other in result.times:
                    ratio = result.ratio(other).median
                    assert ratio <= most, f"takes {ratio:.2f} times as long as {other}, allowed {most:.2f}"

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The tables and the picture."""
    records = config.stash[RECORDS]
    if not records:
        return
    setting = setting_of(config)
    width = shutil.get_terminal_size((120, 24)).columns
    console = Console(width=width, force_terminal=terminalreporter.hasmarkup)
    with console.capture() as capture:
        for table in report.tables(records, setting):
            console.print(table)
    terminalreporter.write(capture.get())
    report.plot(records, config.option.plot)
    terminalreporter.write_line(f"picture: {config.option.plot}")
    terminalreporter.write_line(f"JSON: {config.option.benchmark_json}")
