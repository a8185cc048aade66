"""Cases of the activations made of two straight pieces."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.activations.pointwise import pointwise


def _leaky(x, slope):
    return np.where(x > 0, x, slope * x)


def _relu(x):
    return _leaky(x, 0)


def _leaky_relu(x, negative_slope=0.01):
    return _leaky(x, negative_slope)


def _prelu(x, weight):
    return _leaky(x, weight.reshape(-1, *[1] * (x.ndim - 2)) if weight.size != 1 else weight.reshape(()))


def _rrelu(x, lower=1 / 8, upper=1 / 3, training=False, noise=None):
    return _leaky(x, noise if training else (lower + upper) / 2)


def _torch_rrelu(x: torch.Tensor, training: bool = False, noise: Any = None, **constants: Any) -> torch.Tensor:
    """Torch draws its noise itself; given one, this is what it computes with it."""
    if training:
        return torch.where(x > 0, x, torch.tensor(noise, dtype=x.dtype) * x)
    return F.rrelu(x, **constants)


def _threshold(x, threshold, value):
    return np.where(x > threshold, x, value)


_at_zero = Case("at the kink", ([-1.0, -0.0, 0.0, 1.0],), smooth=False)
_noise = np.random.default_rng(0).uniform(0.25, 0.5, (4, 5)).astype(np.float32)  # the same numbers in both dtypes
_small, _large = normal(100, 100), normal(2000, 2000)

OPERATIONS = (
    pointwise(manual.relu, F.relu, _relu, _at_zero, kinks=(0.0,)),
    pointwise(
        manual.leaky_relu,
        F.leaky_relu,
        _leaky_relu,
        _at_zero,
        Case("steep", (normal(4, 5),), {"negative_slope": 1e10}),
        Case("falling", (normal(4, 5),), {"negative_slope": -0.5}),
        Case("slope 0", (normal(4, 5),), {"negative_slope": 0.0}),
        kinks=(0.0,),
    ),
    Operation(
        manual.prelu,
        F.prelu,
        _prelu,
        cases=(
            Case("one weight", (normal(4, 5), [0.25])),
            Case("a weight for each channel", (normal(4, 5), normal(5))),
            Case("channels before other axes", (normal(2, 3, 4), normal(3))),
            Case("five axes", (normal(2, 3, 2, 1, 2), normal(3))),
            Case("one weight, three axes", (normal(2, 3, 4), normal(1))),
            Case("one channel", (normal(4, 1, 3), normal(1))),
            Case("weight of no axis", (normal(4, 5), normal())),
            Case("no batch", ([-1.2, 0.4, -0.3, 0.8, 1.5], normal(1))),
            Case("a single number", ([-1.5], normal(1))),
            Case("a number of no axis", (-1.5, normal(1))),
            Case("batch of 0", (normal(0, 3), normal(3)), zero=("grad_1",)),
            Case("batch of 1", ([[-0.7, 0.4, -1.3]], normal(3))),
            Case("no channels", (normal(2, 0, 3), normal(0))),
            Case("±30 and ±1000", ([-1000.0, -30.0, 30.0, 1000.0], [0.25])),
            Case("tiny", ([-1e-30, -1e-300, 1e-300, 1e-30], [0.25])),
            Case("at the kink", ([-1.0, -0.0, 0.0, 1.0], [0.25]), smooth=False),
            Case("at the kink alone", ([-0.0, 0.0], [0.25]), zero=("grad_1",), smooth=False),
        ),
        small=Case("10,000 numbers", (_small, [0.25])),
        large=Case("4 million numbers", (_large, [0.25])),
    ),
    pointwise(
        manual.rrelu,
        _torch_rrelu,
        _rrelu,
        _at_zero,
        Case("other bounds", (normal(4, 5),), {"lower": 0.25, "upper": 0.75}),
        Case("training", (normal(4, 5),), {"training": True, "noise": _noise}),
        Case("training, at the kink", ([[0.0]],), {"training": True, "noise": _noise[:1, :1]}, smooth=False),
        kinks=(0.0,),
    ),
    pointwise(
        manual.threshold,
        F.threshold,
        _threshold,
        Case("at the kink", ([0.0, 0.25, 0.5],), {"threshold": 0.25, "value": 1.5}, smooth=False),
        Case("below zero", (normal(4, 5),), {"threshold": -0.5, "value": 20.0}),
        Case("an infinite value", ([-1.0, 0.0, 1.0, 2.0],), {"threshold": 0.5, "value": -np.inf}, smooth=False),
        constants={"threshold": 0.25, "value": 1.5},
        flat=("tiny",),
        kinks=(0.25,),
    ),
)

MODULES = (
    ModuleCase(build("ReLU"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("LeakyReLU", 0.2), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("PReLU"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("PReLU", 3, init=0.5), Case("a weight for each channel", (normal(2, 3, 4),))),
    ModuleCase(build("RReLU", 0.25, 0.25), Case("equal bounds", (normal(4, 5),))),
    ModuleCase(build("Threshold", 0.1, 5.0), Case("ordinary", (normal(4, 5),))),
)
