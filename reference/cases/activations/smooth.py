"""Cases of the smooth activations."""

import torch

import manual
from reference.case import Case, ModuleCase, build, normal
from reference.cases.activations.pointwise import pointwise


def _sigmoid(m, x):
    return 1 / (1 + m.exp(-x))


def _tanh(m, x):
    return m.tanh(x)


OPERATIONS = (
    pointwise(
        manual.sigmoid,
        torch.sigmoid,
        _sigmoid,
        Case("tails", ([-87.0, -60.0, -20.0, 20.0, 60.0, 87.0],), torch_loses="y (1 − y) cancels for large x"),
        torch_loses="y (1 − y) cancels for large x",
    ),
    pointwise(
        manual.tanh,
        torch.tanh,
        _tanh,
        Case("tails", ([-43.0, -20.0, -9.0, 9.0, 20.0, 43.0],), torch_loses="1 − y² cancels for large |x|"),
        torch_loses="1 − y² cancels for large |x|",
    ),
)

MODULES = (
    ModuleCase(build("Sigmoid"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("Tanh"), Case("ordinary", (normal(4, 5),))),
)
