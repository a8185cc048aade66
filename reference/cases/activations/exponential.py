"""Cases of the exponential activations."""

import numpy as np
import torch.nn.functional as F

import manual
from manual.activations.exponential import ALPHA, SCALE
from reference.case import Case, ModuleCase, build, normal
from reference.cases.activations.pointwise import pointwise
from reference.exact import exp


def _elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (exp(x) - 1))


def _selu(x):
    return SCALE * _elu(x, ALPHA)


def _celu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * (exp(x / alpha) - 1))


_at_zero = Case("at the kink", ([-1.0, -0.0, 0.0, 1.0],), smooth=False)
_tails = Case("tails", ([-103.0, -87.0, -50.0, -20.0, -9.0, 9.0, 20.0],))

OPERATIONS = (
    pointwise(
        manual.elu,
        F.elu,
        _elu,
        _at_zero,
        _tails,
        Case("alpha", (normal(4, 5),), {"alpha": 2.5}),
        Case("alpha, at the kink", ([-1.0, -0.0, 0.0, 1.0],), {"alpha": 2.0}, smooth=False),
        Case("negative alpha", (normal(4, 5),), {"alpha": -0.5}),
        kinks=(0.0,),
    ),
    pointwise(manual.selu, F.selu, _selu, _at_zero, _tails, kinks=(0.0,)),
    pointwise(
        manual.celu,
        F.celu,
        _celu,
        _at_zero,
        _tails,
        Case("alpha", (normal(4, 5),), {"alpha": 2.5}),
        Case("alpha, tails", ([-200.0, -100.0, -50.0, -20.0, 20.0],), {"alpha": 1.3}, torch_loses="the rounding of x/α"),
        Case("small alpha", (normal(4, 5),), {"alpha": 0.01}, torch_loses="the rounding of x/α"),
        Case("negative alpha", (normal(4, 5),), {"alpha": -2.0}),
        kinks=(0.0,),
    ),
)

MODULES = (
    ModuleCase(build("ELU", 0.5), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("SELU"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("CELU", 0.5), Case("ordinary", (normal(4, 5),))),
)
