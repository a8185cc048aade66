"""Which tests concern a line, and whether one of them notices a mutant.

Everything is run in copies of this process, which has imported the large libraries once, but never the package that is tried.
"""

import json
import math
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from multiprocessing.connection import wait
from pathlib import Path

import coverage
import pytest
from threadpoolctl import threadpool_limits

LARGE_LIBRARIES = "torch", "scipy.special", "mpmath", "matplotlib.figure", "hypothesis.extra.numpy", "rich.progress"
MEMORY = 1 << 34  # bytes of addresses; a mutant may ask for any number
PYTEST = 100  # is added to its exit status in that of a process, which is 1 where the trial itself failed
NOTICED_NOTHING = pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED
# These judge the text of the package, or other packages, or this program; or they start processes, which see no mutant.
LEFT_OUT = "detection", "mutation", "benchmarks", "test_page.py", "test_processes.py", "test_reference_command.py"


class Concerned:
    """The tests that reach a line, with the seconds that each takes: learnt by running them all once, in several processes."""

    def __init__(self, package, tests, workers):
        files = [file for file in sorted(tests.rglob("test_*.py")) if file.relative_to(tests).parts[0] not in LEFT_OUT]
        lines, self.seconds = coverage.CoverageData(no_disk=True), {}
        with tempfile.TemporaryDirectory() as folder:
            results = [(Path(folder, f"lines {i}"), Path(folder, f"seconds {i}")) for i in range(min(workers, len(files)))]
            copies = [_copy(_record, package, files[i :: len(results)], *result) for i, result in enumerate(results)]
            if {_finished(process) for process in copies} != {pytest.ExitCode.OK}:
                raise SystemExit("A test fails although nothing is changed.")
            for lines_file, seconds_file in results:
                part = coverage.CoverageData(lines_file)
                part.read()
                lines.update(part)
                self.seconds |= json.loads(seconds_file.read_text())
        self.by_file = {Path(file): lines.contexts_by_lineno(file) for file in lines.measured_files()}
        self.onlookers = self.seconds.keys() - lines.measured_contexts()

    def tests(self, mutant):
        """The tests that reach the statement; if it is run at import, those that reach the file, or only look at what there is."""
        by_line = self.by_file.get(mutant.path, {})
        lines = by_line if mutant.at_import else mutant.lines
        found = {test for line in lines for test in by_line.get(line, ()) if test}
        return {test: self.seconds[test] for test in (found | self.onlookers if mutant.at_import else found)}


def trials(mutants, concerned, workers, limit):
    """Try each mutant; yield it, and whether a test noticed it, as they end. A test that takes ten times as long as without the
    mutant, and `limit` seconds more, has noticed it.
    """
    waiting, running = list(mutants)[::-1], {}
    while waiting or running:
        while waiting and len(running) < workers:
            mutant = waiting.pop()
            process = _copy(_try, mutant, concerned.tests(mutant), limit)
            running[process.sentinel] = process, mutant
        for sentinel in wait(list(running)):
            process, mutant = running.pop(sentinel)
            yield mutant, _finished(process) not in NOTICED_NOTHING


def warm_up():
    """Import what takes long. BLAS gets one thread: with several it hangs at times in a copy of a process."""
    for name in LARGE_LIBRARIES:
        with suppress(ImportError):
            import_module(name)
    threadpool_limits(1)


def _copy(task, *arguments):
    process = multiprocessing.get_context("fork").Process(target=task, args=arguments)
    process.start()
    return process


def _finished(process):
    """The exit status of pytest, or minus the number of the signal that ended the process."""
    process.join()
    if process.exitcode == 1:
        raise RuntimeError("A trial failed by itself, as it says above.")
    return process.exitcode - PYTEST if process.exitcode >= PYTEST else process.exitcode


def _record(package, files, lines_file, seconds_file):
    record = Record(coverage.Coverage(data_file=lines_file, source=[str(package)], config_file=False))
    status = _pytest(map(str, files), record)
    seconds_file.write_text(json.dumps(record.seconds))
    sys.exit(PYTEST + status)


def _try(mutant, seconds, limit):
    """Run the tests file by file, those of least time first, until one fails."""
    sys.meta_path.insert(0, Planted(mutant))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    by_file = Counter()
    for test, taken in seconds.items():
        by_file[test.partition("::")[0]] += taken
    status = pytest.ExitCode.NO_TESTS_COLLECTED
    for file in sorted(by_file, key=by_file.get):
        signal.alarm(6 * limit)  # for importing and collecting
        status = _pytest(["-x", file], Chosen(seconds, limit))
        if status not in NOTICED_NOTHING:
            break
    sys.exit(PYTEST + status)


def _pytest(arguments, plugin):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))  # also where nothing is changed: tests must pass with it
    options = "--rootdir=.", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning"
    return int(pytest.main([*arguments, *options], [plugin]))


class Planted(MetaPathFinder):
    """Imports one module with its mutant's code; its file stays as it is."""

    def __init__(self, mutant):
        self.path, self.code = mutant.path, mutant.code()

    def find_spec(self, name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin != str(self.path):
            return None
        spec.loader = SourceFileLoader(name, spec.origin)
        spec.loader.get_code = lambda name: self.code
        return spec


class Record:
    """Notes the lines that each test reaches, and how long it takes."""

    def __init__(self, lines):
        self.lines, self.seconds = lines, defaultdict(float)
        lines.set_option("run:core", "ctrace")  # which can tell by which test a line was reached
        lines.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.lines.switch_context(item.nodeid)
        start = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        return result

    def pytest_sessionfinish(self):
        self.lines.stop()
        self.lines.save()


class Chosen:
    """Runs these tests, the fastest first, each with a limit of time."""

    def __init__(self, seconds, limit):
        self.seconds, self.limit = seconds, limit

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items[:] = sorted((item for item in items if item.nodeid in self.seconds), key=lambda item: self.seconds[item.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item):
        signal.alarm(math.ceil(self.limit + 10 * self.seconds[item.nodeid]))  # which ends the process
