"""What README shows is so: its code is the project's and runs, its tables stand in the generated pages."""

import html
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import manual
from reference import __main__ as command
from reference import markdown, page, report
from reference.catalogue import catalogue
from reference.record import rule

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
OPERATION, _, LOOP, MINIBATCHES, FREEZING, SAVING, TOGETHER, OWN, SEQUENCES, GRAPH, NETWORK, NUMPY, TORCH, JAX = BLOCKS


def test_the_operation_shown_is_the_one_that_runs():
    assert inspect.getsource(manual.linear) == OPERATION


@pytest.fixture
def learnt():
    """What the training loop defines."""
    return run(LOOP)


def run(code, names=None):
    """Run an example where those before it have put their names."""
    names = {"__name__": "README"} if names is None else names  # classes say that they come from there
    exec(code, names)
    return names


def loss(names):
    return names["criterion"](names["net"](names["x"])[0], names["y"])[0]


def arrays(names):
    return {name: array.copy() for name, array in names["net"].state_dict().items()}


def test_the_training_loop_learns_and_prints_what_it_says(capsys):
    names = run(LOOP)
    assert ((names["net"](names["x"])[0] > 0.5) == names["y"]).all()
    assert f"```text\n{capsys.readouterr().out}```" in README


def test_minibatches(learnt):
    before = loss(learnt)
    assert loss(run(MINIBATCHES, learnt)) < before


def test_freezing(learnt):
    before = arrays(learnt)
    after = arrays(run(FREEZING, learnt))
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed == {"2.weight", "2.bias"}


def test_saving_and_loading(learnt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = arrays(learnt)
    names = run(SAVING, learnt)
    after, theirs = arrays(names), names["theirs"].state_dict()
    with np.load("xor.npz") as saved:
        assert before.keys() == after.keys() == theirs.keys() == saved.keys()
        for name, array in before.items():
            assert (array == after[name]).all()
            assert (array == theirs[name].numpy()).all()
            assert (array == saved[name]).all()


def test_side_by_side(learnt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run(TOGETHER, run(SAVING, learnt))
    assert len(names["training"].losses["torch"]) == 50


def test_a_graph(learnt):
    names = run(GRAPH, learnt)
    assert names["grad_x"].shape == (3, 8)
    assert all(parameter.grad is not None for parameter in names["block"].parameters())


def test_a_network_verified(capsys):
    run(NETWORK)
    assert "TransformerEncoderLayer: all 14 agree" in capsys.readouterr().out


def test_a_pair_of_numpy_checked(capsys):
    run(NUMPY)
    printed = capsys.readouterr().out
    (found,) = re.findall(r"```text\n(✗ silu, .*)\n```", README)
    assert found in printed.splitlines(), printed


def test_a_function_of_torch_checked():
    report = run(TORCH)["report"]
    assert not [one for one in report.untried if "tails" not in one.reason]
    with pytest.raises(AssertionError, match=r"middle axis: grad_0: r = 14, allowed 4"):
        run(TORCH.replace(".float()", ""))


def test_a_function_of_jax_checked():
    pytest.importorskip("jax", reason="JAX is not installed; python -m nox -s jax installs it and runs this test")
    run(JAX)


def test_an_operation_of_ones_own(learnt):
    names = run(OWN, learnt)
    x, frequency = np.array([[0.5, -1.2]]), np.array([0.3, 2.0])
    grad_x, grad_frequency = names["sine"](x, frequency)[1](1.0)
    np.testing.assert_allclose(grad_x, frequency * np.cos(frequency * x))
    np.testing.assert_allclose(grad_frequency, (x * np.cos(frequency * x))[0])
    assert names["net"][1].frequency.grad.any()


def test_sequences(learnt):
    names = run(SEQUENCES, learnt)
    assert names["output"].shape == (20, 3, 16)
    assert names["grad_sequences"].shape == names["sequences"].shape
    assert all(parameter.grad is not None for name in ("lstm", "layer") for parameter in names[name].parameters())


def test_the_agreement_shown_is_in_the_generated_page():
    page = (ROOT / "docs" / "agreement.md").read_text(encoding="utf-8")
    rows = [line for line in README.splitlines() if re.match(r"\| (layers|activations|losses|tensor)/", line)]
    assert len(rows) > 10
    assert all(row in page for row in rows)


def test_the_rule_is_the_one_that_is_stated_everywhere(capsys):
    rows = report.measure([entry for entry in catalogue() if entry.name == "Identity"])
    command.main(["Identity"])
    for text in (README, capsys.readouterr().out, html.unescape(page.as_html(rows)), markdown.as_markdown(rows)):
        assert rule() in " ".join(text.split())


def test_the_files_named_exist():
    for name in re.findall(r"`((?:manual|reference|docs)/[\w/.]*)`", README):
        assert (ROOT / name).exists(), name
