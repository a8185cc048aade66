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


def _mse_loss(x, target, weight=None, reduction="mean"):
    return _weighted((x - target) ** 2, weight, reduction)


def _l1_loss(x, target, weight=None, reduction="mean"):
    return _weighted(abs(x - target), weight, reduction)


def _smooth_l1_loss(x, target, reduction="mean", beta=1.0):
    return reduced(abs(x - target) if beta == 0 else _huber(x - target, beta) / beta, reduction)


def _huber_loss(x, target, weight=None, reduction="mean", delta=1.0):
    return reduced((1 if weight is None else weight) * _huber(x - target, delta), reduction)


def _huber(difference, delta):
    distance = abs(difference)
    return np.where(distance < delta, difference**2 / 2, delta * (distance - delta / 2))


def _cases(*others: Case):
    return (
        *(Case(reduction, (normal(4, 3), normal(4, 3)), {"reduction": reduction}) for reduction in REDUCTIONS),
        Case("single numbers", (normal(), normal())),
        Case("batch of 0", (normal(0, 3), normal(0, 3)), judge="torch"),
        Case("batch of 0, none", (normal(0, 3), normal(0, 3)), {"reduction": "none"}),
        Case("batch of 0, sum", (normal(0, 3), normal(0, 3)), {"reduction": "sum"}, judge="torch"),
        Case("batch of 1", (normal(1, 3), normal(1, 3))),
        Case("target broadcasts", (normal(4, 3), normal(3))),
        Case("target broadcasts, none", (normal(4, 3), normal(4, 1)), {"reduction": "none"}),
        Case("x broadcasts", (normal(1, 3), normal(2, 4, 3))),
        Case("large values", (normal(4, 3, scale=1e6), normal(4, 3, scale=1e6))),
        Case("±30 and ±1000", ([-1000.0, -30.0, 30.0, 1000.0], normal(4))),
        Case("x equal to target", ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), zero=("grad_0", "grad_1"), smooth=False),
        *others,
    )


_weighted_cases = (
    *(
        Case(f"weighted, {reduction}", (normal(4, 3), normal(4, 3), uniform(0.5, 2, 4, 3)), {"reduction": reduction})
        for reduction in REDUCTIONS
    ),
    Case("x broadcasts, weight", (normal(3), normal(2, 3), uniform(0.5, 2, 3))),
    Case("x broadcasts, weight, none", (normal(3), normal(2, 3), uniform(0.5, 2, 3)), {"reduction": "none"}),
)


_no_weight = Case("no weight at all", (normal(2), normal(2), [0.0, 0.0]), judge="torch")


def _switch_cases(name):
    """Cases of the constant at which a loss turns from squared to absolute."""
    return (
        *(
            Case(f"{name} = {value}", (normal(4, 3), normal(4, 3)), {name: value, "reduction": "none"})
            for value in (0.25, 0.7, 3.0, 1e4)
        ),
        Case("at the switch", ([-1.0, -0.5, 0.0, 0.5, 1.0], [0.0] * 5), {name: 0.5, "reduction": "none"}, smooth=False),
        Case("±10,000", ([-1e4, -1e4, 1e4, 1e4], [1e4, -1e4 + 0.5, 1e4 - 0.5, -1e4]), {"reduction": "none"}),
    )


def _operation(function, torch, definition, *others: Case):
    return Operation(
        function,
        torch,
        definition,
        cases=_cases(*others),
        small=Case("10,000 numbers", (normal(100, 100), normal(100, 100))),
        large=Case("4 million numbers", (normal(2000, 2000), normal(2000, 2000))),
    )


def _quiet(function):
    def loss(*arrays: Any, **constants: Any):
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch warns where shapes are broadcast
            return function(*arrays, **constants)

    return loss


def _weight_third(function):
    return _quiet(lambda x, target, weight=None, **constants: function(x, target, weight=weight, **constants))


OPERATIONS = (
    _operation(manual.mse_loss, _weight_third(F.mse_loss), _mse_loss, *_weighted_cases, _no_weight),
    _operation(manual.l1_loss, _weight_third(F.l1_loss), _l1_loss, *_weighted_cases, _no_weight),
    _operation(
        manual.smooth_l1_loss,
        _quiet(F.smooth_l1_loss),
        _smooth_l1_loss,
        *_switch_cases("beta"),
        Case("beta = 0", ([-1.0, 0.0, 2.0, 0.5], [0.0, 0.0, 0.0, 1.0]), {"beta": 0.0, "reduction": "none"}, smooth=False),
    ),
    _operation(manual.huber_loss, _weight_third(F.huber_loss), _huber_loss, *_weighted_cases, *_switch_cases("delta")),
)

MODULES = (
    *(
        ModuleCase(build(name, reduction=reduction), Case(reduction, (normal(4, 3), normal(4, 3))))
        for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")
        for reduction in REDUCTIONS
    ),
    ModuleCase(build("SmoothL1Loss", beta=0.3), Case("beta", (normal(4, 3), normal(4, 3)))),
    ModuleCase(build("HuberLoss", "sum", 0.3), Case("delta", (normal(4, 3), normal(4, 3)))),
)
