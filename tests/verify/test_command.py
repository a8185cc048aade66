"""python -m reference verify"""

import subprocess
import sys

import pytest

from reference.__main__ import main

FACTORIES = """
import torch
from torch import nn

def good():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.randn(5, 3)

class Keywords(nn.Module):
    def forward(self, a, b, *, scale):
        return a * b * scale

def keywords():
    return Keywords(), (torch.randn(3), torch.randn(3)), {"scale": torch.tensor(2.0)}

class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.view_as(x)
    @staticmethod
    def backward(ctx, g): return 1.001 * g

class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
    def forward(self, x):
        return self.fc(x)
    def __deepcopy__(self, memo):
        other = Hidden()
        other.fc.weight.register_hook(lambda g: 1.001 * g)
        return other

def wrong():
    return Hidden(), torch.randn(2, 3)

class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

def branch():
    return Branch(), (torch.randn(3),)

def fails():
    raise RuntimeError("no weights here")

def nothing():
    return 3
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "factories_of_networks.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    yield "factories_of_networks"
    sys.modules.pop("factories_of_networks", None)


@pytest.mark.parametrize(
    ("factory", "status", "words"),
    [
        ("good", 0, "Sequential: all 8 agree"),
        ("keywords", 0, "Keywords: all 4 agree"),
        ("wrong", 1, "✗ parameter gradient fc.weight"),
        ("branch", 2, "__bool__ makes a number of a tensor"),
    ],
)
def test_exit_status(home, capsys, factory, status, words):
    assert main(["verify", f"{home}:{factory}"]) == status
    assert words in capsys.readouterr().out


def test_the_mode_can_be_chosen(home, capsys):
    outputs = []
    for option in ("--train", "--eval"):
        assert main(["verify", f"{home}:good", option, "--seed", "3"]) == 0
        outputs.append(capsys.readouterr().out)
    assert "running statistics" in outputs[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: PACKAGE.MODULE:FACTORY"),
        (["factories_of_networks"], "expected PACKAGE.MODULE:NAME, got 'factories_of_networks'"),
        (["nowhere_at_all:good"], "nowhere_at_all:good: ModuleNotFoundError"),
        (["factories_of_networks:none"], "AttributeError"),
        (["factories_of_networks:fails"], "RuntimeError: no weights here"),
        (["factories_of_networks:nothing"], "must return a module, its inputs and perhaps a dict of keywords, got int"),
        (["factories_of_networks:good", "--train", "--eval"], "not allowed with"),
    ],
)
def test_wrong_usage(home, capsys, arguments, words):
    with pytest.raises(SystemExit) as status:
        main(["verify", *arguments])
    assert status.value.code == 2
    assert words in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as status:
        main(["verify", "--help"])
    assert status.value.code == 0
    text = capsys.readouterr().out
    assert "module, inputs, keywords" in text
    assert "Exit status" in text
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m reference verify --help" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.slow
def test_from_a_shell(home, tmp_path):
    command = [sys.executable, "-m", "reference", "verify", f"{home}:branch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "factories_of_networks.py:" in done.stdout
