"""The machinery of the benchmarks: what is timed by default, and that no side is that cannot run or computes something else."""

import dataclasses
import math
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import conftest, duel, report
from benchmarks.duel import Process, Setting, WorkerError, require_agreement
from benchmarks.entries import INSTEAD_OF_THE_FIRST, NETWORKS, ONLY_COPY, OPERATIONS, OPTIMIZERS
from benchmarks.progress import Countdown
from benchmarks.recording import Record
from benchmarks.workloads import xor
from reference.cases import OPERATIONS as CATALOGUE
from reference.installation import how_to_install

SETTING = Setting(threads=1, allocator="system")
XOR = NETWORKS[0]


def chosen(**options):
    """The entries that are left of all with these options."""
    option = SimpleNamespace(**{"all": False, "keyword": ""} | options)
    config = SimpleNamespace(option=option, hook=SimpleNamespace(pytest_deselected=lambda items: None))
    items = [SimpleNamespace(callspec=SimpleNamespace(params={"entry": entry})) for entry in (*NETWORKS, *OPTIMIZERS, *OPERATIONS)]
    conftest.pytest_collection_modifyitems(config, items)
    return [item.callspec.params["entry"] for item in items]


def test_default_is_every_network_and_optimizer_and_one_operation_a_chapter():
    default = chosen()
    operations = [entry for entry in default if entry not in {*NETWORKS, *OPTIMIZERS}]
    assert {*NETWORKS, *OPTIMIZERS} <= set(default)
    assert all(entry.case.startswith("large") for entry in operations)
    chapters = [CATALOGUE[entry.name].chapter for entry in operations]
    everywhere = {operation.chapter for operation in CATALOGUE.values() if not operation.name.startswith("tensor.")}
    assert sorted(chapters) == sorted((everywhere - ONLY_COPY) | {CATALOGUE["tensor.matmul"].chapter})
    assert {entry.name for entry in operations} >= INSTEAD_OF_THE_FIRST


@pytest.mark.parametrize("options", [{"all": True}, {"keyword": "gelu"}])
def test_everything_is_there_to_choose_from(options):
    names = {str(entry) for entry in chosen(**options)}
    assert len(names) == len(NETWORKS) + len(OPTIMIZERS) + len(OPERATIONS)
    assert names >= {f"{name}-{size}" for name in CATALOGUE for size in ("small", "large")} | {"gelu tanh-large"}


def test_default_takes_less_than_ten_minutes():
    assert sum(entry.seconds(with_peers=False) for entry in chosen()) < 480  # a fifth is left for turns that are disturbed


def test_a_peer_that_cannot_run_is_left_out_and_the_tables_say_so(monkeypatch):
    monkeypatch.setitem(duel.SIDES, "missing", "side_that_is_not_there")
    monkeypatch.setattr(duel, "PEERS", (*duel.PEERS, "missing"))
    monkeypatch.setattr(duel, "QUIET", math.inf)  # no turn is repeated
    others = ("closures", "article", "missing")
    result = duel.duel(xor(), [duel.launch(("manual", "torch", *others), SETTING)], 2, others)
    timed = {side: len(times) for side, times in result.times.items()}
    assert timed == {"manual": 2, "torch": 2, "closures": 2, "article": 2}
    assert result.left_out.keys() == {"missing"}

    record = Record("training step", dataclasses.replace(XOR, workload=xor), result)
    steps, others = report.sections([record])
    assert steps.rows[0][0].startswith("XOR")
    assert others.columns == ("network", "manual", "article")
    page = report.markdown([record], SETTING, "the command")
    assert "missing is left out (XOR): ModuleNotFoundError: No module named 'benchmarks.side_that_is_not_there'" in page
    assert "by `the command`" in page
    assert f"article: NumPy {np.__version__}" in page


@pytest.mark.parametrize(("times", "bare"), [({}, None), ({"closures": [0.5, 0.5]}, "4.00")])
def test_a_network_with_and_without_a_bare_side(times, bare):
    result = duel.Result({"manual": [1.0, 3.0], "torch": [1.0, 1.0]} | times, {}, {}, 0.0)
    (steps,) = report.sections([Record("training step", XOR, result)])
    ((*_, to_torch, to_bare, _, _),) = steps.rows
    assert "2.00" in to_torch
    assert bare in to_bare if bare else to_bare == ""


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(SystemExit) as stop:  # which goes through pytest to the interpreter
        runpy.run_path(conftest.__file__)
    assert stop.value.code == f"benchmarks: rich.console is missing; install it with: {how_to_install('benchmarks')}"


def test_a_missing_plugin_is_named():
    """These tests themselves run without it."""
    config = SimpleNamespace(pluginmanager=SimpleNamespace(hasplugin=lambda name: name != "benchmark"))
    with pytest.raises(SystemExit) as stop:
        conftest.pytest_configure(config)
    assert stop.value.code == f"benchmarks: pytest_benchmark is missing; install it with: {how_to_install('benchmarks')}"


def test_a_worker_says_what_it_cannot_do_and_lives_on():
    with Process("manual_side", SETTING) as process:
        with pytest.raises(WorkerError, match=r"AttributeError: .*no_such_function"):
            process.ask("prepare", "no_such_function", xor())
        assert process.ask("prepare", "closures", xor()).keys() == process.ask("prepare", "training_step", xor()).keys()


@pytest.mark.parametrize(
    "found",
    [
        {"loss": np.float64(2.01)},
        {"loss": np.float64(np.nan)},
        {"loss": np.float32(2)},
        {},
        {"loss": np.float64(2), "update": np.zeros(2)},
    ],
)
def test_what_differs_is_not_timed(found):
    require_agreement("side", {"loss": np.float64(2)}, {"loss": np.float64(2)}, 1e-3)
    with pytest.raises(AssertionError, match="side"):
        require_agreement("side", found, {"loss": np.float64(2)}, 1e-3)


def test_time_left_goes_by_what_was_expected_and_what_it_took(capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.progress.time", SimpleNamespace(perf_counter=lambda: 100.0))  # time stands still
    countdown = Countdown({"test[first]": 10.0, "test[second]": 300.0})
    assert countdown.left() == "about 5 min left"
    countdown.start -= 2  # a fifth of what was expected
    countdown.result = "first: 0.50"
    countdown.pytest_runtest_logfinish("test[first]")
    assert " ".join(capsys.readouterr().out.split()) == "1 of 2, about 60 s left first: 0.50"
    countdown.pytest_sessionfinish()
