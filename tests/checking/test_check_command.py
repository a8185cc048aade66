"""python -m reference check"""

import os
import subprocess
import sys

import pytest

from reference.__main__ import main
from reference.cases import OPERATIONS

FUNCTIONS = """
import manual
import numpy as np
import torch

def plain(x):
    return manual.silu(x)

def silu(x):
    return x / (1 + np.exp(-x))

def grad_silu(grad_output, x):
    p = 1 / (1 + np.exp(-x))
    return grad_output * (p + x * p * (1 - p))

pair = silu, grad_silu

class Of:
    @staticmethod
    def torch(x):
        return x * torch.sigmoid(x)

def forgetful(x):
    return x * torch.sigmoid(x).detach()

def of_input(x, weight, bias=None):
    output, backward = manual.linear(x, weight, bias)
    return output, lambda grad_output: (backward(grad_output)[0], None, None)

def refuses(x):
    raise NotImplementedError("no kernel for this")

number = 3
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "functions_of_users.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    yield "functions_of_users"
    sys.modules.pop("functions_of_users", None)


ORDINARY = ["--no-tails"]
LACKS = ["--no-grad", "grad_1", "--no-grad", "grad_2"]


@pytest.mark.parametrize(
    ("which", "name", "options", "status", "words"),
    [
        ("silu", "plain", [], 0, "✓ silu in float32: 13 of 13 cases and sweeps tried, all right"),
        ("silu", "plain", ["--dtype", "float64", "--seed", "3"], 0, "✓ silu in float64: 13 of 13"),
        ("silu", "pair", ["--adapter", "pair", *ORDINARY], 0, "left out with the tails"),
        ("silu", "pair", ["--adapter", "pair"], 1, "✗ silu, tails: grad_0: r = "),
        ("silu", "Of.torch", ["--adapter", "torch", *ORDINARY], 0, "✓ silu in float32"),
        ("silu", "forgetful", ["--adapter", "torch", *ORDINARY], 1, "✗ silu, many: grad_0: r = "),
        ("silu", "forgetful", ["--adapter", "torch", "--case", "many", "--limit", "1e12"], 0, "1 of 1 cases and sweeps tried"),
        ("silu", "plain", ["--case", "many", "--case", "wide"], 0, "2 of 2 cases and sweeps tried"),
        ("silu", "refuses", [], 1, "it raised NotImplementedError: no kernel for this: 13 "),
        ("silu", "refuses", [], 1, "✗ silu in float32: nothing was tried"),
        ("silu", "plain", ["--dtype", "bfloat16"], 1, "nothing was tried"),
        ("linear", "of_input", ["--case", "batch of 5"], 1, "grad_1 must be an array, got NoneType"),
        (
            "linear",
            "of_input",
            ["--case", "batch of 5", "--no-grad", "grad_1", "--no-grad", "grad_2"],
            0,
            "grad_2: left out, as asked",
        ),
    ],
)
def test_exit_status(home, capsys, which, name, options, status, words):
    assert main(["check", which, f"{home}:{name}", *options]) == status
    assert words in capsys.readouterr().out


def test_list(capsys):
    assert main(["check", "silu", "--list"]) == 0
    labels = [case.label for case in OPERATIONS["silu"].cases]
    assert capsys.readouterr().out.splitlines() == [*labels, "silu(x)", "silu(x) at ±∞"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["silu"], "required: PACKAGE.MODULE:NAME"),
        (["silu", "functions_of_users"], "expected PACKAGE.MODULE:NAME, got 'functions_of_users'"),
        (["silu", "nowhere_at_all:silu"], "nowhere_at_all:silu: ModuleNotFoundError"),
        (["silu", "functions_of_users:none"], "AttributeError"),
        (
            ["silu", "functions_of_users:silu"],
            "must return its output and a backward, as manual.silu does, got ndarray",
        ),
        (["silu", "functions_of_users:number"], "function must be a function, got int"),
        (["silu", "functions_of_users:silu", "--adapter", "pair"], "a pair must be a tuple (forward, backward), got function"),
        (["silu", "functions_of_users:plain", "--dtype", "float8"], "invalid choice: 'float8'"),
        (["silu", "functions_of_users:plain", "--case", "none"], "silu has no case 'none'; it has 'ordinary'"),
        (["silu", "functions_of_users:plain", "--no-grad", "grad_x"], "no_grad must name gradients of silu, grad_0, got 'grad_x'"),
        (["sigh", "functions_of_users:plain"], "there is no operation 'sigh'"),
        (["sigh", "--list"], "there is no operation 'sigh'"),
    ],
)
def test_wrong_usage(home, capsys, arguments, words):
    with pytest.raises(SystemExit) as status:
        main(["check", *arguments])
    assert status.value.code == 2
    assert words in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as status:
        main(["check", "--help"])
    assert status.value.code == 0
    text = capsys.readouterr().out
    assert "The adapter says what the name stands for" in text
    assert "Exit status" in text
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m reference check --help" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_where_the_terminal_has_no_unicode(home, tmp_path):
    """What it cannot show must not end the run."""
    command = [sys.executable, "-m", "reference", "check", "silu", f"{home}:plain", "--case", "many"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "? silu in float32: 1 of 1 cases and sweeps tried, all right" in done.stdout
