"""What modules look like: the constructor's arguments, in torch's format."""

import inspect

import numpy as np
import pytest
import torch

import manual
from reference.cases import MODULES
from tests.test_module import network

BUILT = [
    pytest.param(case, id=f"{case.name}-{case.inputs.label}") for case in MODULES if inspect.isclass(getattr(manual, case.name))
]


def build(case):
    return case.module.construct(manual, lambda argument: getattr(argument, "manual", argument))


def test_modules_look_like_torchs():
    assert repr(network()) == repr(network(torch.nn))
    for name, arguments in (("Linear", (3, 4, False)), ("Bilinear", (3, 2, 4)), ("Identity", ()), ("Sequential", ())):
        assert repr(getattr(manual, name)(*arguments)) == repr(getattr(torch.nn, name)(*arguments))


@pytest.mark.parametrize("case", BUILT)
def test_a_modules_looks_tell_how_it_was_built(case):
    """`repr` is a call of the constructor that builds the same again, but for arrays, which show their shapes, and children."""
    module = build(case)
    text = repr(module)
    assert text.startswith(f"{case.name}(")
    for name in case.module.kwargs.keys() & vars(module).keys():
        value = vars(module)[name]
        shown = f"array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
        assert value is None or f"{name}={shown}" in text
    if not list(module.children()) and "array of shape" not in text and "<function" not in text:
        again = eval(text, vars(manual).copy())
        assert vars(again).keys() == vars(module).keys()
        # A lazy module keeps its arguments as they were given, before its namesake's constructor has made one of a kind of them
        others = manual.Parameter, manual.UninitializedBuffer
        own = {name: value for name, value in vars(module).items() if name != "_postponed" and not isinstance(value, others)}
        assert all(np.all(vars(again)[name] == value) for name, value in own.items())


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (manual.PReLU(3), "PReLU(num_parameters=3, init=0.25)"),
        (manual.RReLU(0.25, 0.5), "RReLU(lower=0.25, upper=0.5)"),
        (manual.Threshold(0.1, 5), "Threshold(threshold=0.1, value=5)"),
        (manual.Hardshrink(), "Hardshrink(lambd=0.5)"),
        (manual.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
        (manual.GELU("tanh"), "GELU(approximate='tanh')"),
        (manual.ReLU(), "ReLU()"),
        (manual.Softmax(0), "Softmax(dim=0)"),
        (manual.Linear(2, 3, False), "Linear(in_features=2, out_features=3, bias=False)"),
        (manual.MSELoss(), "MSELoss(reduction='mean')"),
        (manual.BCELoss(), "BCELoss(reduction='mean')"),
        (
            manual.CrossEntropyLoss(np.ones(3), label_smoothing=0.1),
            "CrossEntropyLoss(weight=array of shape (3,), ignore_index=-100, reduction='mean', label_smoothing=0.1)",
        ),
        (
            manual.Sequential(manual.Sequential(manual.Tanh()), manual.ModuleDict({"a": manual.ELU(0.5)})),
            "Sequential(\n  (0): Sequential(\n    (0): Tanh()\n  )\n  (1): ModuleDict(\n    (a): ELU(alpha=0.5)\n  )\n)",
        ),
        (
            manual.LinearCrossEntropyLoss(3, 4),
            "LinearCrossEntropyLoss(\n  num_classes=4, out_features=(), reduction='mean', label_smoothing=0.0\n"
            "  (linear): Linear(in_features=3, out_features=4, bias=False)\n)",
        ),
    ],
)
def test_looks(module, text):
    assert repr(module) == text
