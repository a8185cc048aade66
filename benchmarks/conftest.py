"""Options, the fixture that runs a duel and records it, progress, and the report at the end."""

import os
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest

from reference.installation import how_to_install

try:
    from rich.console import Console

    from benchmarks import picture, report
    from benchmarks.duel import ALLOCATORS, BARE, Launch, Process, Setting, duel, launch, peak_memory
    from benchmarks.entries import LAUNCHES, Entry
    from benchmarks.progress import Countdown
    from benchmarks.recording import Record, replay
    from manual.files import written_whole
except ModuleNotFoundError as missing:
    sys.exit(f"benchmarks: {missing.name} is missing; install it with: {how_to_install('benchmarks')}")

RECORDS = pytest.StashKey[list[Record]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What is timed, what all sides run with, and what is made of the results."""
    group = parser.getgroup("manual beside torch")
    group.addoption("--all", action="store_true", help="time every operation (default: one of each chapter, or what -k chooses)")
    group.addoption("--peers", action="store_true", help="time networks beside torch.compile, JAX, … too, where installed")
    group.addoption("--threads", type=int, default=os.cpu_count(), help="threads of each side (default: one for each core)")
    group.addoption("--allocator", choices=ALLOCATORS, default="retain", help="retain: malloc keeps what is freed, on all sides")
    group.addoption("--openblas", metavar="PROCESSOR", help="whose kernels NumPy's OpenBLAS takes (default: those it finds itself)")
    group.addoption("--plot", type=Path, help="where the picture goes (default: results/speed.png)")
    group.addoption("--markdown", type=Path, help="where the page of tables goes (default: results/speed.md)")
    group.addoption("--check-speed", action="store_true", help="fail where a ratio lies above its limit")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep picture, page and JSON in results/ unless told otherwise; our tables stand in for pytest-benchmark's own."""
    if not config.pluginmanager.hasplugin("benchmark"):
        sys.exit(f"benchmarks: pytest_benchmark is missing; install it with: {how_to_install('benchmarks')}")
    option, results = config.option, config.rootpath / "results"
    option.benchmark_quiet = True
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used")  # after a failure
    config.stash[RECORDS] = []
    option.plot = option.plot or results / "speed.png"
    option.markdown = option.markdown or results / "speed.md"
    option.benchmark_json = option.benchmark_json or results / "speed.json"
    for path in (option.plot, option.markdown, option.benchmark_json):
        path.parent.mkdir(parents=True, exist_ok=True)


def setting_of(config: pytest.Config) -> Setting:
    """What the options say of all sides."""
    return Setting(config.option.threads, config.option.allocator, config.option.openblas)


def entry_of(item: Any) -> Entry:
    """What a benchmark times."""
    return item.callspec.params["entry"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Leave out what is not timed without being asked for."""
    if not (config.option.all or config.option.keyword):
        config.hook.pytest_deselected(items=[item for item in items if not entry_of(item).default])
        items[:] = [item for item in items if entry_of(item).default]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the progress, whose lines stand in for pytest's."""
    if not session.config.option.collectonly:
        session.config.pluginmanager.get_plugin("terminalreporter").showfspath = False
        expected = {item.nodeid: entry_of(item).seconds(session.config.option.peers) for item in session.items}
        session.config.pluginmanager.register(Countdown(expected), "countdown")


@pytest.fixture(scope="session")
def resident(request: pytest.FixtureRequest) -> Iterator[Callable[[int], list[Launch]]]:
    """So many launches whose processes stay until the end."""
    with ExitStack() as stack:
        running: list[dict[str, Process]] = []

        def launches(count: int) -> list[Launch]:
            while len(running) < count:
                running.append(stack.enter_context(launch(("manual", "torch"), setting_of(request.config))))
            return [nullcontext(processes) for processes in running[:count]]

        yield launches


@pytest.fixture
def compete(request: pytest.FixtureRequest, benchmark: Any, resident: Callable[[int], list[Launch]]) -> Callable[[Entry], None]:
    """Time an entry on all sides and record it; with --check-speed, hold it to its limits."""
    config = request.config
    setting = setting_of(config)

    def run(entry: Entry) -> None:
        count, rounds = (1, 1) if benchmark.disabled else (LAUNCHES, entry.rounds)  # one shows that all sides run and agree
        others = entry.others(config.option.peers)
        fresh = [launch(("manual", "torch", *others), setting) for _ in range(count)]  # nothing starts before it is entered
        workload = entry.workload()
        result = duel(workload, fresh if entry.fresh else resident(count), rounds, others)
        memory = peak_memory(workload, setting) if entry.measures_memory else None
        record = Record(benchmark.group, entry, result, memory)
        config.stash[RECORDS].append(record)
        config.pluginmanager.get_plugin("countdown").result = f"{entry}: {result.ratio('torch').median:.2f} of torch's time"
        benchmark.extra_info.update(record.extra_info(setting))
        replay(benchmark, result.times["manual"])
        if config.option.check_speed:
            assert result.quiet, f"too busy a machine to tell: other programs disturbed {result.disturbed:.0%} of the turns"
            limits = {"torch": entry.limit, **dict.fromkeys(BARE, entry.bare_limit)}
            for other in limits.keys() & result.times.keys():
                ratio = result.ratio(other).median
                assert ratio <= limits[other], f"takes {ratio:.2f} times as long as {other}, allowed {limits[other]:.2f}"

    return run


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish() -> Generator[None]:
    """Where nothing was timed there is nothing to save: no reason for pytest-benchmark to end with a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Not saving anything")
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The tables, the page and the picture."""
    records, option = config.stash[RECORDS], config.option
    if not records:
        return
    width = shutil.get_terminal_size((120, 24)).columns
    console = Console(width=width, force_terminal=terminalreporter.hasmarkup)
    with console.capture() as capture:
        for line in report.conditions(records, setting_of(config)):
            console.print(line, highlight=False)
        for section in report.sections(records):
            console.print("", report.table(section))
    terminalreporter.write(capture.get())
    command = shlex.join(["python", "-m", "pytest", *config.invocation_params.args])
    with written_whole(option.markdown) as file:
        file.write_text(report.markdown(records, setting_of(config), command), encoding="utf-8")
    with written_whole(option.plot) as file:
        picture.plot(records, file)
    written = {"picture": option.plot, "page": option.markdown}
    if not option.benchmark_disable:
        written["JSON"] = option.benchmark_json
    for name, path in written.items():
        terminalreporter.write_line(f"{name}: {path}")
