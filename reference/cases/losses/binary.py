"""Cases of the losses between a probability and a target probability."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, uniform
from reference.cases.losses.reduction import REDUCTIONS, reduced
from reference.exact import exp, lift, log, mp


def _binary_cross_entropy(x, target, weight=None, reduction="mean"):
    # torch's convention at 0 and 1: logarithms above −100, and a denominator above 1e−12 in the derivative
    def log_of(p):
        return mp.log(p) if p else -mp.inf

    def denominator(p):
        return max(p * (1 - p), mp.mpf(1e-12))

    hit = lift(lambda p, t: -t * max(log_of(p), -100), lambda p, t: -t * (1 - p) / denominator(p), lambda p, t: -log_of(p))
    miss = lift(
        lambda p, t: (t - 1) * max(log_of(1 - p), -100),
        lambda p, t: (1 - t) * p / denominator(p),
        lambda p, t: log_of(1 - p),
    )
    weight = 1 if weight is None else weight
    return reduced([weight * hit(x, target), weight * miss(x, target)], reduction)


def _binary_cross_entropy_with_logits(x, target, weight=None, pos_weight=None, reduction="mean"):
    weight, pos_weight = (1 if factor is None else factor for factor in (weight, pos_weight))
    hit = weight * target * pos_weight * log(1 + exp(-x))
    miss = weight * (1 - target) * log(1 + exp(x))
    return reduced([hit, miss], reduction)


_bce_cases = (
    *(Case(reduction, (uniform(0.05, 0.95, 4, 3), uniform(0, 1, 4, 3)), {"reduction": reduction}) for reduction in REDUCTIONS),
    *(
        Case(
            f"weight, {reduction}",
            (uniform(0.05, 0.95, 4, 3), uniform(0, 1, 4, 3), uniform(0.5, 2, 4, 3)),
            {"reduction": reduction},
            no_grad=("grad_2",),
        )
        for reduction in REDUCTIONS
    ),
    Case("weight broadcasts", (uniform(0.05, 0.95, 4, 3), uniform(0, 1, 4, 3), uniform(0.5, 2, 3)), no_grad=("grad_2",)),
    Case("single numbers", (uniform(0.05, 0.95), uniform(0, 1))),
    Case("batch of 0", (uniform(0.05, 0.95, 0, 3), uniform(0, 1, 0, 3)), judge="torch"),
    Case("batch of 0, none", (uniform(0.05, 0.95, 0, 3), uniform(0, 1, 0, 3)), {"reduction": "none"}),
    Case("batch of 1", (uniform(0.05, 0.95, 1, 3), uniform(0, 1, 1, 3))),
    Case("hard targets", (uniform(0.05, 0.95, 4), [0.0, 1.0, 0.0, 1.0])),
    Case("nearly sure", ([1e-6, 1e-7, 1 - 1e-6, 1 - 1e-5], [0.0, 1.0, 1.0, 0.0]), smooth=False),
    Case(
        "clamped",
        ([1e-14, 1e-30, 1e-35, 1e-14], [0.0, 1.0, 1.0, 1.0]),
        {"reduction": "none"},
        smooth=False,
        torch_loses="its bound 1e−12 is rounded to float32",
    ),
    Case(
        "at 0 and 1",
        ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]),
        {"reduction": "none"},
        smooth=False,
        torch_loses="its bound 1e−12 is rounded to float32",
    ),
)

_logits_cases = (
    *(Case(reduction, (normal(4, 3), uniform(0, 1, 4, 3)), {"reduction": reduction}) for reduction in REDUCTIONS),
    *(
        Case(
            f"weight and pos_weight, {reduction}",
            (normal(4, 3), uniform(0, 1, 4, 3), uniform(0.5, 2, 4, 3), uniform(0.5, 2, 3)),
            {"reduction": reduction},
            no_grad=("grad_2", "grad_3"),
        )
        for reduction in REDUCTIONS
    ),
    Case("weight alone", (normal(4, 3), uniform(0, 1, 4, 3), uniform(0.5, 2, 3)), no_grad=("grad_2",)),
    Case("pos_weight alone", (normal(4, 3), uniform(0, 1, 4, 3), None, uniform(0.5, 2, 3)), no_grad=("grad_3",)),
    Case("single numbers", (normal(), uniform(0, 1))),
    Case("batch of 0", (normal(0, 3), uniform(0, 1, 0, 3)), judge="torch"),
    Case("batch of 1", (normal(1, 3), uniform(0, 1, 1, 3))),
    Case("hard targets", (normal(4), [0.0, 1.0, 0.0, 1.0])),
    Case("at 0", ([0.0, -0.0, 0.0], [0.0, 1.0, 0.25]), zero=("grad_1",)),
    Case(
        "saturated, ±30 and ±1000",
        ([-1000.0, -30.0, 30.0, 1000.0, -1000.0, -30.0, 30.0, 1000.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]),
        {"reduction": "none"},
        torch_loses="σ(x) rounds to 1, and the digits of 1 − σ(x) are gone",
    ),
    Case("large targets", (normal(4, scale=10.0), uniform(0, 1, 4))),
    Case("extreme", ([-1e4, -1e4, 1e4, 1e4], [0.0, 1.0, 0.0, 1.0]), {"reduction": "none"}),
)

OPERATIONS = (
    Operation(
        manual.binary_cross_entropy,
        F.binary_cross_entropy,
        _binary_cross_entropy,
        cases=_bce_cases,
        small=Case("10,000 numbers", (uniform(0.01, 0.99, 100, 100), uniform(0, 1, 100, 100))),
        large=Case("4 million numbers", (uniform(0.01, 0.99, 2000, 2000), uniform(0, 1, 2000, 2000))),
    ),
    Operation(
        manual.binary_cross_entropy_with_logits,
        lambda x, t, w=None, p=None, **k: F.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, **k),
        _binary_cross_entropy_with_logits,
        cases=_logits_cases,
        small=Case("10,000 numbers", (normal(100, 100), uniform(0, 1, 100, 100))),
        large=Case("4 million numbers", (normal(2000, 2000), uniform(0, 1, 2000, 2000))),
    ),
)

_weight = np.array([0.5, 2.0, 1.0])

MODULES = (
    ModuleCase(build("BCELoss", reduction="sum"), Case("sum", (uniform(0, 1, 4, 3), uniform(0, 1, 4, 3)))),
    ModuleCase(build("BCELoss", _weight), Case("weight", (uniform(0, 1, 4, 3), uniform(0, 1, 4, 3)))),
    ModuleCase(build("BCEWithLogitsLoss", reduction="none"), Case("none", (normal(4, 3), uniform(0, 1, 4, 3)))),
    ModuleCase(build("BCEWithLogitsLoss", _weight, pos_weight=_weight), Case("weights", (normal(4, 3), uniform(0, 1, 4, 3)))),
)
