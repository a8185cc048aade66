"""Cases of the losses between a target and the parameters of a distribution."""

import warnings
from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, probabilities, uniform
from reference.cases.losses.reduction import REDUCTIONS, reduced
from reference.exact import PI, exp, lift, log, mp


def _poisson_nll_loss(x, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    rate, log_rate = (exp(x), x) if log_input else (x, log(x + eps))
    terms = [rate, -target * log_rate]
    if full:
        above = target > 1
        t = np.where(above, target, 1)
        terms += [above * (t * log(t) - t), above * log(2 * PI * t) / 2]
    return reduced(terms, reduction)


def _gaussian_nll_loss(x, target, var, full=False, eps=1e-6, reduction="mean"):
    if var.ndim == x.ndim - 1:
        var = np.expand_dims(var, -1)
    clamp = lift(lambda v: max(v, mp.mpf(eps)), lambda v: 1)
    v = clamp(var)
    constant = mp.log(2 * PI) if full else 0
    return reduced([(log(v) + constant) / 2, (x - target) ** 2 / v / 2], reduction)


def _kl_div(x, target, reduction="mean", log_target=False):
    if log_target:
        terms = [exp(target) * target, -exp(target) * x]
    else:
        entropy = lift(lambda t: t * mp.log(t) if t else 0, lambda t: mp.log(t) + 1 if t else mp.nan)
        terms = [entropy(target), -target * x]
    if reduction == "batchmean":
        return reduced(terms, "mean", len(x) if x.ndim else 1)
    return reduced(terms, reduction)


def _cases(x, target, **constants: Any):
    """Cases of every shape, for two draws of numbers."""
    return (
        *(Case(reduction, (x(4, 3), target(4, 3)), {**constants, "reduction": reduction}) for reduction in REDUCTIONS),
        Case("single numbers", (x(), target()), constants),
        Case("three axes", (x(2, 3, 2), target(2, 3, 2)), constants),
        Case("batch of 0", (x(0, 3), target(0, 3)), constants, judge="torch"),
        Case("batch of 0, none", (x(0, 3), target(0, 3)), {**constants, "reduction": "none"}),
        Case("batch of 1", (x(1, 3), target(1, 3)), constants),
        Case("target broadcasts", (x(4, 3), target(3)), constants),
        Case("target broadcasts, none", (x(4, 3), target(4, 1)), {**constants, "reduction": "none"}),
        Case("x broadcasts", (x(1, 3), target(2, 4, 3)), constants),
        Case("both broadcast, none", (x(4, 1), target(3)), {**constants, "reduction": "none"}),
    )


def _counts(*shape: int):
    return uniform(0.2, 4, *shape)


def _rates(*shape: int):
    return uniform(0.1, 0.9, *shape)  # away from 1, where log(x + eps) loses the digits of x + eps in torch


def _variances(*shape: int):
    return uniform(0.1, 3, *shape)


def _log_probabilities(*shape: int):
    return uniform(-4, -0.1, *shape)


def _named(prefix, cases):
    return tuple(Case(f"{prefix}, {c.label}", c.arrays, c.constants, c.zero, c.no_grad, c.judge, c.smooth) for c in cases)


_poisson_cases = (
    *_cases(normal, _counts),
    *_named("full", _cases(normal, _counts, full=True)),
    *_named("rate", _cases(_rates, _counts, log_input=False)),
    *_named("rate, full", _cases(_rates, _counts, log_input=False, full=True)),
    Case(
        "rates near 1",
        ([1.0, 1.0001, 0.9999, 1 + 1e-6], _counts(4)),
        {"log_input": False, "reduction": "none"},
        torch_loses="log(x + eps) nearly vanishes, and the rounding of the sum does not",
    ),
    Case("eps", (_rates(4, 3), _counts(4, 3)), {"log_input": False, "eps": 0.03, "reduction": "none"}),
    Case("no counts", (normal(3), [0.0, 0.0, 0.0]), {"reduction": "none"}, smooth=False),
    Case("rates near 0", ([0.0, 1e-9, 1e-6, 0.0], [0.0, 0.0, 2.0, 3.0]), {"log_input": False, "reduction": "none"}, smooth=False),
    Case("just above Stirling's kink", (normal(2), [1.0005, 2.0]), {"full": True, "reduction": "none"}),
    Case("Stirling's kink", (normal(3), [0.5, 1.0, 2.0]), {"full": True, "reduction": "none"}, smooth=False),
    Case(
        "no counts, full",
        (normal(2), [0.0, 3.0]),
        {"full": True, "reduction": "none"},
        smooth=False,
        torch_loses="0 · ∞ in the gradient of the term that is masked out",
    ),
    Case("low and high rates", ([-1e4, -100.0, -30.0, 30.0, 80.0], [0.0, 2.0, 1e6, 1e4, 1e6]), {"reduction": "none"}),
    Case("many counts, full", ([1e4, 1e4, 10.0], [1e4, 1.01e4, 1e6]), {"log_input": False, "full": True, "reduction": "none"}),
)

_gaussian_cases = (
    *(
        Case(
            f"{reduction}{', full' * full}",
            (normal(4, 3), normal(4, 3), _variances(4, 3)),
            {"reduction": reduction, "full": full},
        )
        for reduction in REDUCTIONS
        for full in (False, True)
    ),
    *(
        case
        for reduction in REDUCTIONS
        for case in (
            Case(f"var without the last axis, {reduction}", (normal(4, 3), normal(4, 3), _variances(4)), {"reduction": reduction}),
            Case(f"var of a last axis 1, {reduction}", (normal(4, 3), normal(4, 3), _variances(4, 1)), {"reduction": reduction}),
            Case(f"var of a first axis 1, {reduction}", (normal(4, 3), normal(4, 3), _variances(1, 3)), {"reduction": reduction}),
            Case(f"target broadcasts, {reduction}", (normal(4, 3), normal(3), _variances(4, 3)), {"reduction": reduction}),
            Case(f"x broadcasts, {reduction}", (normal(3), normal(4, 3), _variances(3)), {"reduction": reduction}),
        )
    ),
    Case("no batch, one variance", (normal(3), normal(3), _variances())),
    Case("x broadcasts, one variance", (normal(3), normal(4, 3), _variances())),
    Case("single numbers", (normal(), normal(), _variances())),
    Case("batch of 0", (normal(0, 3), normal(0, 3), _variances(0, 3)), judge="torch"),
    Case("batch of 0, none", (normal(0, 3), normal(0, 3), _variances(0, 3)), {"reduction": "none"}),
    Case("batch of 1", (normal(1, 3), normal(1, 3), _variances(1, 3))),
    Case("eps", (normal(4, 3), normal(4, 3), _variances(4, 3)), {"eps": 1e-3, "reduction": "none"}),
    Case(
        "the gradient of var passes below eps",
        (normal(4), normal(4), [0.0, 0.1, 0.5, 2.0]),
        {"eps": 0.5, "reduction": "none"},
        smooth=False,
    ),
    Case("x equal to target", ([1.0, 2.0], [1.0, 2.0], [0.5, 2.0]), zero=("grad_0", "grad_1"), smooth=False),
    Case("±10,000", ([-1e4, 1e4, 0.0], [1e4, 0.0, 1e4], [1.0, 1e8, 1e-4]), {"reduction": "none"}),
)


def _divergence_cases(**constants: Any):
    target = _log_probabilities if constants.get("log_target") else _rates
    return (
        *_cases(_log_probabilities, target, **constants),
        Case("batchmean", (_log_probabilities(4, 3), target(4, 3)), {**constants, "reduction": "batchmean"}),
        Case("batchmean, three axes", (_log_probabilities(2, 3, 2), target(2, 3, 2)), {**constants, "reduction": "batchmean"}),
        Case("batchmean, single numbers", (_log_probabilities(), target()), {**constants, "reduction": "batchmean"}),
        Case("batchmean, x broadcasts", (_log_probabilities(2, 3), target(4, 2, 3)), {**constants, "reduction": "batchmean"}),
        Case(
            "batchmean, batch of 0",
            (_log_probabilities(0, 3), target(0, 3)),
            {**constants, "reduction": "batchmean"},
            judge="torch",
        ),
    )


_kl_cases = (
    *_divergence_cases(),
    *_named("log_target", _divergence_cases(log_target=True)),
    Case("probabilities", (_log_probabilities(4, 3), probabilities(4, 3)), {"reduction": "batchmean"}),
    Case("nothing at 0", (_log_probabilities(4), [0.0, 0.5, 0.0, 1.0]), {"reduction": "none"}, smooth=False),
    Case("almost nothing", (_log_probabilities(4), [1e-30, 1e-7, 1.0, 1 - 1e-6]), {"reduction": "none"}),
    Case("±10,000", ([-1e4, -1e4, 1e4, 1e4], [1.0, 0.25, 1e-7, 1.0]), {"reduction": "none"}),
    Case("log_target, −10,000", ([-1e4, 0.0, -1e4, 1e4], [0.0, -1e4, -1e4, -80.0]), {"reduction": "none", "log_target": True}),
)


def _kl_div_torch(x, target, **constants: Any):
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch advises against the mean
        return F.kl_div(x, target, **constants)


OPERATIONS = (
    Operation(
        manual.poisson_nll_loss,
        F.poisson_nll_loss,
        _poisson_nll_loss,
        cases=_poisson_cases,
        small=Case("10,000 numbers", (normal(100, 100), _counts(100, 100))),
        large=Case("4 million numbers", (normal(2000, 2000), _counts(2000, 2000))),
    ),
    Operation(
        manual.gaussian_nll_loss,
        F.gaussian_nll_loss,
        _gaussian_nll_loss,
        cases=_gaussian_cases,
        small=Case("10,000 numbers", (normal(100, 100), normal(100, 100), _variances(100, 100))),
        large=Case("4 million numbers", (normal(2000, 2000), normal(2000, 2000), _variances(2000, 2000))),
    ),
    Operation(
        manual.kl_div,
        _kl_div_torch,
        _kl_div,
        cases=_kl_cases,
        small=Case("10,000 numbers", (_log_probabilities(100, 100), probabilities(100, 100)), {"reduction": "batchmean"}),
        large=Case("4 million numbers", (_log_probabilities(2000, 2000), probabilities(2000, 2000)), {"reduction": "batchmean"}),
    ),
)

MODULES = (
    *(
        ModuleCase(build("PoissonNLLLoss", reduction=reduction), Case(reduction, (normal(4, 3), _counts(4, 3))))
        for reduction in REDUCTIONS
    ),
    ModuleCase(build("PoissonNLLLoss", False, True, eps=0.1), Case("rate, full and eps", (_rates(4, 3), _counts(4, 3)))),
    *(
        ModuleCase(build("GaussianNLLLoss", reduction=reduction), Case(reduction, (normal(4, 3), normal(4, 3), _variances(4, 3))))
        for reduction in REDUCTIONS
    ),
    ModuleCase(build("GaussianNLLLoss", full=True, eps=1.5), Case("full and eps", (normal(4, 3), normal(4, 3), _variances(4, 1)))),
    *(
        ModuleCase(build("KLDivLoss", reduction=reduction), Case(reduction, (_log_probabilities(4, 3), probabilities(4, 3))))
        for reduction in ("none", "sum", "batchmean")
    ),
    ModuleCase(
        build("KLDivLoss", reduction="batchmean", log_target=True),
        Case("log_target", (_log_probabilities(4, 3), _log_probabilities(4, 3))),
    ),
)
