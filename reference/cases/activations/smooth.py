"""Cases of the smooth activations."""

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, build, normal
from reference.cases.activations.pointwise import pointwise
from reference.exact import exp, log, tanh


def _sigmoid(x):
    return 1 / (1 + exp(-x))


def _tanh(x):
    return tanh(x)


def _softsign(x):
    return x / (1 + abs(x))


def _tanhshrink(x):
    return x - tanh(x)


def _logsigmoid(x):
    return -log(1 + exp(-x))


def _softplus(x, beta=1.0, threshold=20.0):
    return np.where(beta * x > threshold, x, log(1 + exp(beta * x)) / beta)


_quotient = "1 / (1 + |x|) − |x| / (1 + |x|)² cancels for large |x|"

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
    pointwise(
        manual.softsign,
        F.softsign,
        _softsign,
        Case("large", ([-1e30, -1e6, 1e6, 1e30],), torch_loses=_quotient),
        torch_loses=_quotient,
    ),
    pointwise(
        manual.tanhshrink,
        F.tanhshrink,
        _tanhshrink,
        Case("small", (normal(20, scale=1e-2),), torch_loses="x − tanh x cancels for small x"),
        Case("tails", ([-43.0, -20.0, -9.0, 9.0, 20.0, 43.0],)),
        Case("where the formula changes", ([-1.0, 1.0],)),
        torch_loses="x − tanh x cancels for small x",
    ),
    pointwise(
        manual.logsigmoid,
        F.logsigmoid,
        _logsigmoid,
        Case("tails", ([-87.0, -60.0, -20.0, 20.0, 60.0, 87.0],)),
    ),
    pointwise(
        manual.softplus,
        F.softplus,
        _softplus,
        Case("tails", ([-87.0, -60.0, -21.0, -20.0, 19.0, 21.0, 60.0, 87.0],)),
        Case("beta", (normal(4, 5),), {"beta": 3.0}),
        Case("beta, tails", (normal(20, scale=9.0),), {"beta": 0.7, "threshold": 40.0}),
        Case("negative beta", (normal(4, 5),), {"beta": -1.5}),
        Case("sharp", (normal(4, 5),), {"beta": 100.0}, torch_loses="the rounding of βx"),
        Case(
            "a high threshold",
            ([-1000.0, -200.0, -90.0, 50.0, 90.0, 200.0, 800.0, 1000.0],),
            {"threshold": 900.0},
            torch_loses="exp(βx) overflows below the threshold",
        ),
        Case("linear soon", (normal(20, scale=2.0),), {"threshold": 0.5}),
        Case("linear below zero", (normal(20),), {"threshold": -0.5}),
        Case("at the threshold", ([19.0, 20.0, 20.5],), smooth=False),
    ),
)

MODULES = (
    ModuleCase(build("Sigmoid"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("Tanh"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("Softsign"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("Tanhshrink"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("LogSigmoid"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("Softplus", 2.0, threshold=1.0), Case("ordinary", (normal(4, 5),))),
)
