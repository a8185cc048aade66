"""Cases of the losses between numbers."""

import warnings
from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, uniform
from reference.cases.losses.reduction import REDUCTIONS, reduced


def _weighted(loss, weight, reduction):
    return reduced(loss, reduction) if weight is None else reduced(weight * loss, reduction, np.sum(weight))


def _mse_loss(m, x, target, weight=None, reduction="mean"):
    return _weighted((x - target) ** 2, weight, reduction)


def _l1_loss(m, x, target, weight=None, reduction="mean"):
    return _weighted(m.absolute(x - target), weight, reduction)


def _cases(*others: Case):
    return (
        *(Case(reduction, (normal(4, 3), normal(4, 3)), {"reduction": reduction}) for reduction in REDUCTIONS),
        *(
            Case(f"weighted, {reduction}", (normal(4, 3), normal(4, 3), uniform(0.5, 2, 4, 3)), {"reduction": reduction})
            for reduction in REDUCTIONS
        ),
        Case("single numbers", (normal(), normal())),
        Case("batch of 0", (normal(0, 3), normal(0, 3)), judge="torch"),
        Case("batch of 0, none", (normal(0, 3), normal(0, 3)), {"reduction": "none"}),
        Case("batch of 0, sum", (normal(0, 3), normal(0, 3)), {"reduction": "sum"}, judge="torch"),
        Case("batch of 1", (normal(1, 3), normal(1, 3))),
        Case("target broadcasts", (normal(4, 3), normal(3))),
        Case("target broadcasts, none", (normal(4, 3), normal(4, 1)), {"reduction": "none"}),
        Case("x broadcasts", (normal(1, 3), normal(2, 4, 3))),
        Case("x broadcasts, weight", (normal(3), normal(2, 3), uniform(0.5, 2, 3))),
        Case("x broadcasts, weight, none", (normal(3), normal(2, 3), uniform(0.5, 2, 3)), {"reduction": "none"}),
        Case("large values", (normal(4, 3, scale=1e6), normal(4, 3, scale=1e6))),
        Case("±30 and ±1000", ([-1000.0, -30.0, 30.0, 1000.0], normal(4))),
        *others,
    )


def _operation(function, torch, definition):
    equal = Case("x equal to target", ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), zero=(0, 1), smooth=False)
    return Operation(
        function,
        torch,
        definition,
        cases=_cases(equal),
        small=Case("10,000 numbers", (normal(100, 100), normal(100, 100))),
        large=Case("4 million numbers", (normal(2000, 2000), normal(2000, 2000))),
    )


def _torch(function):
    def loss(x, target, weight=None, **constants: Any):
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch warns where shapes are broadcast
            return function(x, target, weight=weight, **constants)

    return loss


OPERATIONS = (
    _operation(manual.mse_loss, _torch(F.mse_loss), _mse_loss),
    _operation(manual.l1_loss, _torch(F.l1_loss), _l1_loss),
)

MODULES = tuple(
    ModuleCase(build(name, reduction=reduction), Case(reduction, (normal(4, 3), normal(4, 3))))
    for name in ("MSELoss", "L1Loss")
    for reduction in REDUCTIONS
)
