"""The command `python -m reference`: its table, verdict, files and exit status."""

import dataclasses
import functools
import itertools
import json
import runpy
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import manual
from reference import __main__ as command
from reference import accuracy, installation, markdown, page, report
from reference.cases.activations import piecewise
from reference.catalogue import DTYPES, Entry, catalogue, choose
from reference.record import Agreement, Quantity

GOOD = ("relu", "nll_loss", "ReLU")


@pytest.fixture(scope="module", autouse=True)
def truth_of_what_is_measured_often():
    """The processes that the command starts are copies of this one: what it knows, they need not work out again."""
    for entry in catalogue():
        if entry.name in ("relu", "nll_loss", "tanh", "softmax"):
            for run, dtype in itertools.product(range(len(entry.runs)), DTYPES):
                entry.measure(run, dtype)


def rows_of(*names):
    return report.measure([entry for entry in catalogue() if entry.name in names])


@pytest.fixture
def break_relu(monkeypatch):
    """Put something else in the place of relu's gradient."""

    def put(broken):
        (relu,) = (operation for operation in piecewise.OPERATIONS if operation.name == "relu")

        @functools.wraps(relu.manual)
        def function(x):
            output, backward = relu.manual(x)
            return output, lambda grad_output, needs=None: (broken(backward(grad_output)[0]),)

        monkeypatch.setattr(piecewise, "OPERATIONS", (dataclasses.replace(relu, manual=function),))

    return put


def refuse(grad):
    raise RuntimeError("<b>no gradient</b>")


def test_a_table_and_exit_status_0(capsys):
    assert command.main(GOOD) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines if line.endswith("✓")} == {*GOOD, "relu(x)"}
    assert "losses/classification" in {line.strip() for line in lines}
    assert lines[-1].startswith("✓ 2 operations, 1 module, ")
    assert "in float64 and float32: all agree" in lines[-1]


@pytest.mark.parametrize(("columns", "full"), [(120, True), (80, False)])
def test_the_table_fits_the_terminal(capsys, monkeypatch, columns, full):
    monkeypatch.setenv("COLUMNS", str(columns))
    command.main(["relu", "nll_loss"])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    assert "…" not in out
    assert ("error    r torch" in out) == ("cases" in out.splitlines()[2]) == full


def test_one_dtype(capsys):
    assert command.main(["relu", "--dtype", "float32"]) == 0
    out = capsys.readouterr().out
    assert "in float32: all agree" in out
    assert "float64" not in out.partition("r is the error")[0]


def test_a_chapter_and_a_name():
    chosen = choose(["activations/piecewise/", "losses", "Linear"])
    names = {entry.name for entry in chosen}
    assert {"relu", "mse_loss", "cross_entropy", "Linear"} <= names
    assert names.isdisjoint({"linear", "tanh"})


def test_the_list(capsys):
    assert command.main(["--list"]) == 0
    listed = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith(" ")]
    assert listed == [[entry.name, str(len(entry.cases))] for entry in catalogue()]


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [(np.negative, "grad_0: r = "), (lambda grad: grad * np.nan, "r = inf"), (refuse, "raised RuntimeError")],
    ids=["negated", "NaN", "raises"],
)
def test_a_wrong_gradient_is_named_with_exit_status_1(capsys, break_relu, broken, complaint):
    break_relu(broken)
    assert command.main(["relu", "ReLU"]) == 1
    out = capsys.readouterr().out
    assert complaint in out
    assert "ordinary, float64: " in out
    assert "run it alone with: python -m reference relu" in out
    assert ": relu disagrees" in out.splitlines()[-1]


def test_a_case_that_torch_refuses_is_a_complaint():
    def refused(dtype):
        raise RuntimeError("shapes")

    entry = Entry("op", "layers", False, (("bad", refused),))
    row = report.Row(entry, (entry.measure(0, "float64"),))
    assert row.complaints == [("bad, float64", "the case itself raised RuntimeError('shapes')")]
    assert row.worst("float64", gradients=True) is None
    assert "not measured" in page.as_html([row])


def measured(ours, torchs, torch_loses=""):
    quantity = Quantity("grad_0", 0.0, ours, torchs)
    return Agreement("op", "a case", "float64", (quantity,), torch_loses=torch_loses)


@pytest.mark.parametrize(
    ("cases", "complains"),
    [
        ([measured(3.9, 0.1)], False),  # below 4 there is nothing to win
        ([measured(4.1, 0.1)], True),
        ([measured(20.0, 1.0), measured(1.0, 13.4)], False),  # worst against worst, and half as much again
        ([measured(20.0, 1.0), measured(1.0, 13.2)], True),
        ([measured(20.0, None)], False),  # torch is the judge
        ([measured(20.0, 1.0), measured(1.0, 1e9, "its formula cancels")], True),  # a known loss excuses nothing
        ([measured(20.0, 1e9, "its formula cancels"), measured(1.0, 1.0)], False),  # where torch is lost, the limit alone counts
        ([], False),
    ],
)
def test_beside_torch(cases, complains):
    complaints = report.beside_torch(cases)
    assert len(complaints) == complains
    assert all(complaint.startswith("float64 gradients: r = ") and "a case, grad_0" in complaint for complaint in complaints)


def test_the_sweeps_have_a_table(capsys):
    assert command.main(["sigmoid", "mse_loss"]) == 0
    out = capsys.readouterr().out
    (line,) = (line for line in out.splitlines() if line.startswith("sigmoid(x) "))
    assert line.endswith("✓")
    assert len(line.split()) == 1 + 2 * 2 * 2 + 1  # function, dtypes × value and derivative × ours and torch's, verdict
    assert "from the smallest subnormal" in out
    assert "1 sweep in float64 and float32" in out
    command.main(["mse_loss"])
    assert "sweep" not in capsys.readouterr().out


def test_a_sweep_finds_what_the_cases_do_not(capsys, break_relu):
    break_relu(lambda grad: np.where(np.abs(grad) == np.abs(grad).max(), grad, 1.001 * grad) if grad.size > 100 else grad)
    assert command.main(["relu", "--dtype", "float64"]) == 1
    out = capsys.readouterr().out
    assert "  relu(x), float64: grad_0: r = " in out
    assert " at x = " in out


def test_the_register_names_what_torch_loses(capsys):
    losses = report.register(rows_of("tanh", "relu", "softmax"))
    assert [(loss.operation, loss.quantity, loss.dtype) for loss in losses] == [
        (operation, "grad_0", dtype) for operation in ("tanh", "softmax") for dtype in DTYPES
    ]
    tanh, _, softmax, _ = losses
    assert tanh.torch_ratio > 1e15
    assert tanh.element.ratio < 30
    assert "1 − y²" in tanh.reason
    x = float(tanh.element.place.removeprefix("x = "))
    cosh = torch.cosh(torch.tensor(x, dtype=torch.float64))
    assert abs(tanh.element.torch * cosh**2) < 1e-3 or abs(x) > 300
    assert float(tanh.element.truth) == pytest.approx(tanh.element.ours, rel=1e-9)
    assert softmax.element.place == "[1, 2]"
    command.main(["tanh"])
    out = capsys.readouterr().out
    assert "tanh: 1 − y²" in out
    assert f"Where torch {torch.__version__} loses digits" in out
    assert f"truth {tanh.element.truth}" in out


def test_the_worst_input_is_found_at_each_run():
    """Nothing in the register is typed in: with a torch that is wrong elsewhere, it names that place."""
    (relu,) = (operation for operation in piecewise.OPERATIONS if operation.name == "relu")

    def wrong(x):
        return torch.relu(x) + 0.25 * (x == 1e5)

    wrong_relu = dataclasses.replace(relu, torch=wrong)
    (output,) = (quantity for quantity in accuracy.sweep(wrong_relu, (), "float64").quantities if quantity.lost)
    assert (output.name, output.lost.place) == ("output", "x = 100000.0")
    assert (output.lost.torch, output.lost.truth, output.lost.ours) == (100000.25, "100000.0", 100000.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softmx"], "'softmx': did you mean Softmax, softmax"),
        (["losses/clasification"], "did you mean losses/classification"),
        (["9"], "--list shows what there is"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
        (["--json", "no/such/folder/file"], "cannot write no/such/folder/file: No such file or directory"),
        (["--html", "."], "cannot write .: Is a directory"),
        (["--json", "report", "--markdown", "./report"], "--json and --markdown name one and the same file: report"),
    ],
)
def test_wrong_usage_is_exit_status_2_before_any_work(capsys, monkeypatch, arguments, message):
    monkeypatch.setattr(report, "measure", refuse)
    with pytest.raises(SystemExit) as stop:
        command.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_an_interruption_leaves_files_as_they_were(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    old = tmp_path / "report.html"
    old.write_text("old", encoding="utf-8")
    arguments = ["relu", "--html", str(old), "--json", str(tmp_path / "report.json")]
    monkeypatch.setitem(command.FILES, "json", interrupt)
    assert command.main(arguments) == 130  # while it writes
    monkeypatch.setattr(report, "measure", interrupt)
    assert command.main(arguments) == 130  # while it measures
    (left,) = tmp_path.iterdir()
    assert left.read_text(encoding="utf-8") == "old"


def test_a_seed_draws_other_numbers_and_the_same_ones_again(tmp_path):
    measured = []
    for seed in ("0", "7", "7"):
        path = tmp_path / "report.json"
        assert command.main(["softmax", "Linear", "--seed", seed, "--json", str(path)]) == 0
        measured.append(json.loads(path.read_text(encoding="utf-8"))["entries"])
    assert measured[0] != measured[1] == measured[2]


def test_an_interruption_ends_cleanly():
    """Ctrl-C, which every process of the terminal gets, in the midst of measuring: exit status 130 and no traceback."""
    program = """
import multiprocessing, os, signal, sys, threading, time
from reference.__main__ import main

def interrupt():
    while not multiprocessing.active_children():
        time.sleep(0.01)
    time.sleep(1)
    os.killpg(0, signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, the tests perhaps among them, ignore it
threading.Thread(target=interrupt, daemon=True).start()
sys.exit(main([]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "python -m reference: interrupted\n")


@pytest.mark.parametrize(("installed", "package"), [(["metadata"], "handgrad"), ([], ".")])
def test_a_missing_package_is_named_with_a_command_that_works_here(monkeypatch, installed, package):
    monkeypatch.setattr(installation, "distributions", lambda name: iter(installed))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(command.__file__, run_name="__main__")
    said = "python -m reference: torch is missing; install it with: "
    assert stop.value.code == f'{said}python -m pip install "{package}[reference]"'


def test_json_is_strict_and_complete(tmp_path, break_relu):
    break_relu(lambda grad: grad * np.inf)
    path = tmp_path / "report.json"
    with np.errstate(invalid="ignore"):
        assert command.main(["relu", "ReLU", "tanh", "--json", str(path)]) == 1

    document = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert {"NumPy", "torch", "BLAS", "Python", "processor"} <= document["environment"].keys()
    assert document["agrees"] is False
    relu, module, tanh = document["entries"]
    assert [relu["kind"], module["kind"], tanh["chapter"]] == ["operation", "module", "activations/smooth"]
    (operation,) = piecewise.OPERATIONS
    assert [(case["case"], case["dtype"]) for case in relu["cases"]] == [
        (case.label, dtype) for case in operation.cases for dtype in DTYPES
    ]
    gradient = relu["cases"][0]["quantities"][1]
    worst = gradient.pop("worst")
    assert gradient | {"error": 0} == {"name": "grad_0", "error": 0, "ratio": "inf", "torch_ratio": 0.0, "lost": None}
    assert worst["ratio"] == "inf"
    assert isinstance(worst["torch"], float)
    assert relu["complaints"]
    assert module["agrees"] is True
    assert [case["quantities"][0]["torch_ratio"] for case in module["cases"]] == [None, 0.0]
    assert all(case["torch_loses"] for case in tanh["cases"] if case["case"] == "tails")
    assert [(sweep["case"], sweep["dtype"]) for sweep in tanh["sweeps"]] == [("tanh(x)", dtype) for dtype in DTYPES]
    assert {loss["operation"] for loss in document["register"]} == {"tanh"}
    assert document["register"][0]["element"].keys() == {"place", "torch", "truth", "ours", "ratio"}


def test_what_was_measured_is_named(tmp_path, monkeypatch):
    """The version, and in a checkout the commit, in all three files."""

    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
        done = subprocess.run(["git", "-C", tmp_path, *identity, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    source = tmp_path / "reference" / "report.py"
    source.parent.mkdir()
    source.write_text("", encoding="utf-8")
    monkeypatch.setattr(report, "__file__", str(source))
    assert report.environment()["handgrad"] == manual.__version__
    git("init")
    git("add", ".")
    git("commit", "--message", "first")
    commit = f"{manual.__version__}, commit {git('rev-parse', '--short', 'HEAD')}"
    assert report.environment()["handgrad"] == commit
    source.write_text("changed", encoding="utf-8")
    rows = rows_of("relu")
    assert all(f"{commit}+changes" in write(rows) for write in (page.as_html, report.as_json, markdown.as_markdown))
    monkeypatch.setenv("PATH", "")
    assert report.environment()["handgrad"] == manual.__version__


class Page(HTMLParser):
    """Collects text, and checks that every tag is closed and nothing comes from elsewhere."""

    def __init__(self, source):
        super().__init__()
        self.open, self.text = [], []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert not {"src", "href"} & {name for name, _ in attributes}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_holds_every_operation(tmp_path):
    path = tmp_path / "report.html"
    assert command.main([*GOOD, "--html", str(path)]) == 0
    text = Page(path.read_text(encoding="utf-8")).text
    assert set(GOOD) <= set(text)
    assert "What disagrees" not in text


def test_the_page_shows_failures_and_the_register_escaped(break_relu):
    break_relu(refuse)
    text = Page(page.as_html(rows_of("relu", "tanh"))).text
    assert "What disagrees" in text
    assert any("<b>no gradient</b>" in part for part in text)
    assert "Where torch loses digits" in text
    assert {"relu(x)", "tanh(x)"} <= set(text)
    assert any("cancels for large |x|" in part for part in text)


def test_markdown_holds_every_table(tmp_path):
    path = tmp_path / "agreement.md"
    assert command.main(["tanh", "softmax", "Linear", "--markdown", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Agreement",
        "## The worst r by chapter",
        "## Every operation and module",
        "## Pointwise functions, from the smallest subnormal to infinity",
        "## Where torch loses digits",
    ]
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 5
    for table in tables:  # as many cells in every line: a bar within a cell is escaped
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    _, chapters, everything, sweeps, register = tables
    assert [line.split(" | ")[0] for line in chapters[2:]] == [
        "| layers/linear",
        "| activations/smooth",
        "| activations/normalized",
    ]
    assert {"| tanh", "| softmax", "| Linear"} <= {line.split(" | ")[0] for line in everything}
    assert "1 − y² cancels for large \\|x\\|" in register[2]
    assert sweeps[2].startswith("| tanh(x) | ")


def test_markdown_shows_failures(break_relu):
    break_relu(refuse)
    assert "## What disagrees\n\n- relu, ordinary, float64: raised RuntimeError" in markdown.as_markdown(rows_of("relu"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "0"),
        (0.519, "0.52"),
        (9.996, "10.0"),
        (12.87, "12.9"),
        (999.4, "999"),
        (9.007e15, "9e15"),
        (1.1e-16, "1e-16"),
        (np.inf, "inf"),
    ],
)
def test_numbers_are_short(value, text):
    assert report.short(value) == text
