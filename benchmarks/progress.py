"""How far the benchmarks are, and how long they will still take."""

import time
from collections.abc import Mapping

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class Countdown:
    """A plugin that prints a line for each benchmark that is done, with the time left; on a terminal with a bar below.

    The bar moves when a benchmark begins or ends, never in between, where that would disturb what is measured. While no test runs,
    pytest captures nothing, so that the console writes where it should.
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        self.expected = expected  # the seconds of each benchmark by its node id, in the order in which they run
        self.done = 0.0  # of these seconds
        self.finished = 0
        self.result = ""
        self.start = time.perf_counter()
        console = Console(highlight=False)
        columns = BarColumn(), TextColumn("{task.description}")
        self.progress = Progress(
            *columns,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=sum(expected.values()))
        self.progress.start()

    def left(self) -> str:
        """The time left: what was expected of the rest, stretched as that of what is done was."""
        stretch = (time.perf_counter() - self.start) / self.done if self.done else 1.0
        seconds = stretch * (sum(self.expected.values()) - self.done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show what runs now."""
        running = nodeid.partition("[")[2].rstrip("]")
        self._show(f"{self.finished} of {len(self.expected)}, {self.left()}: {running}")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Print what came out."""
        self.done += self.expected[nodeid]
        self.finished += 1
        done = f"{self.finished:>{len(str(len(self.expected)))}} of {len(self.expected)}"
        self.progress.console.print(f"{done}, {self.left():<17}  {self.result or nodeid + ' failed'}", soft_wrap=True)
        self._show("")
        self.result = ""

    def _show(self, description: str) -> None:
        self.progress.update(self.task, completed=self.done, description=description, refresh=True)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No letters: the lines here stand in for them."""
        return (report.outcome, "", "" if report.passed else "FAILED") if report.when == "call" else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the bar away."""
        self.progress.stop()
