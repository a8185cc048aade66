"""Cases of the losses that ask for a margin between two numbers, or of one."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, uniform
from reference.cases.losses.reduction import REDUCTIONS, reduced, with_each_reduction
from reference.exact import exp, log


def _soft_margin_loss(x, target, reduction="mean"):
    return reduced(log(1 + exp(-target * x)), reduction)


def _margin_ranking_loss(x1, x2, target, margin=0.0, reduction="mean"):
    z = -target * (x1 - x2) + margin
    return reduced(np.where(z >= 0, z, 0), reduction)


def _hinge_embedding_loss(x, target, margin=1.0, reduction="mean"):
    pulled = np.where(target != -1, x, 0)
    pushed = np.where((target != 1) & (margin - x >= 0), margin - x, 0)
    return reduced(pulled + pushed, reduction)


def _signs(*shape: int):
    return lambda generator: generator.choice([-1, 1], shape)


def _float_signs(*shape: int):
    return lambda generator: generator.choice([-1.0, 1.0], shape)


def _pair_cases(margin=None):
    """Cases of a number and a sign: their shapes, which two losses share."""
    constants = {} if margin is None else {"margin": margin}
    return (
        *(Case(reduction, (normal(4, 3), _signs(4, 3)), {"reduction": reduction, **constants}) for reduction in REDUCTIONS),
        Case("float target", (normal(4, 3), _float_signs(4, 3)), constants, no_grad=("grad_1",)),
        Case("single numbers", (uniform(-1, 0.25), _signs()), constants),
        Case("batch of 0", (normal(0, 3), _signs(0, 3)), constants, judge="torch"),
        Case("batch of 0, none", (normal(0, 3), _signs(0, 3)), {"reduction": "none", **constants}),
        Case("batch of 1", (normal(1, 3), _signs(1, 3)), constants),
        Case("target broadcasts", (normal(4, 3), _signs(3)), constants),
        Case("target broadcasts, none", (normal(4, 3), _signs(4, 1)), {"reduction": "none", **constants}),
    )


_soft_cases = (
    *_pair_cases(),
    Case("targets of any size", (normal(5), [0.0, 0.5, -2.0, 3.0, -0.1]), {"reduction": "none"}, no_grad=("grad_1",)),
    Case("at 0", ([0.0, -0.0], [1, -1]), {"reduction": "none"}),
    Case(
        "saturated",
        ([-1e4, -1000.0, -100.0, -30.0, 30.0, 87.0, 100.0, 1e4], [1] * 8),
        {"reduction": "none"},
        torch_loses="exp(−t x) overflows, or 1 + exp(−t x) rounds to 1",
    ),
)

_ranking_cases = (
    *(
        Case(f"{reduction}", (normal(4, 3), normal(4, 3), _signs(4, 3)), {"reduction": reduction, "margin": 0.5})
        for reduction in REDUCTIONS
    ),
    *(
        Case(f"float target, {reduction}", (normal(4, 3), normal(4, 3), _float_signs(4, 3)), {"reduction": reduction})
        for reduction in REDUCTIONS
    ),
    Case("targets of any size", (normal(4, 3), normal(4, 3), normal(4, 3)), {"margin": 1.0}),
    Case("single numbers", (normal(), normal(), _float_signs()), {"margin": 10.0}),
    Case("batch of 0", (normal(0, 3), normal(0, 3), _float_signs(0, 3)), judge="torch"),
    Case("batch of 0, none", (normal(0, 3), normal(0, 3), _float_signs(0, 3)), {"reduction": "none"}),
    Case("batch of 1", (normal(1, 3), normal(1, 3), _float_signs(1, 3)), {"margin": 2.0}),
    Case("a negative margin", (normal(4, 3), normal(4, 3), _float_signs(4, 3)), {"margin": -0.5, "reduction": "none"}),
    Case("x1 broadcasts", (normal(1, 3), normal(4, 3), _float_signs(4, 3)), {"margin": 2.0}),
    Case("all broadcast, none", (normal(4, 1, 1), normal(1, 3, 1), _float_signs(1, 1, 2)), {"margin": 2.0, "reduction": "none"}),
    Case(
        "at the margin", ([1.0, 2.0, 0.5], [2.0, 1.0, 0.0], [1.0, -1.0, 1.0]), {"margin": -1.0, "reduction": "none"}, smooth=False
    ),
    Case("x1 equal to x2", ([1.0, 2.0], [1.0, 2.0], [1.0, -1.0]), {"reduction": "none"}, zero=("grad_2",), smooth=False),
    Case("±10,000", ([-1e4, 1e4, 1e4, -1e4], [1e4, -1e4, -1e4, 1e4], [1, 1, -1, -1]), {"margin": 1.0, "reduction": "none"}),
)

_embedding_cases = (
    *_pair_cases(),
    Case("x broadcasts", (normal(1, 3), _signs(2, 4, 3))),
    Case("x broadcasts, none", (normal(1, 3), _signs(2, 4, 3)), {"reduction": "none"}),
    *(Case(f"margin, {c.label}", c.arrays, c.constants, c.zero, c.no_grad, c.judge) for c in _pair_cases(margin=0.3)),
    Case("at the margin", ([0.5, 0.5, 0.0, 1.0], [-1, 1, -1, -1]), {"margin": 0.5, "reduction": "none"}, smooth=False),
    Case("targets that are no sign", ([0.25, 2.0, -1.0], [0, 2, -3]), {"reduction": "none"}),
    Case("±10,000", ([-1e4, 1e4, -1e4, 1e4], [1, 1, -1, -1]), {"reduction": "none"}),
)

OPERATIONS = (
    Operation(
        manual.soft_margin_loss,
        F.soft_margin_loss,
        _soft_margin_loss,
        cases=_soft_cases,
        small=Case("10,000 numbers", (normal(100, 100), _float_signs(100, 100)), no_grad=("grad_1",)),
        large=Case("4 million numbers", (normal(2000, 2000), _float_signs(2000, 2000)), no_grad=("grad_1",)),
    ),
    Operation(
        manual.margin_ranking_loss,
        F.margin_ranking_loss,
        _margin_ranking_loss,
        cases=_ranking_cases,
        small=Case("10,000 numbers", (normal(100, 100), normal(100, 100), _float_signs(100, 100))),
        large=Case("4 million numbers", (normal(2000, 2000), normal(2000, 2000), _float_signs(2000, 2000))),
    ),
    Operation(
        manual.hinge_embedding_loss,
        F.hinge_embedding_loss,
        _hinge_embedding_loss,
        cases=_embedding_cases,
        small=Case("10,000 numbers", (normal(100, 100), _float_signs(100, 100)), no_grad=("grad_1",)),
        large=Case("4 million numbers", (normal(2000, 2000), _float_signs(2000, 2000)), no_grad=("grad_1",)),
    ),
)


MODULES = (
    *with_each_reduction("SoftMarginLoss", normal(4, 3), _signs(4, 3)),
    *with_each_reduction("MarginRankingLoss", normal(4, 3), normal(4, 3), _float_signs(4, 3)),
    ModuleCase(build("MarginRankingLoss", 0.5), Case("margin", (normal(4, 3), normal(4, 3), _float_signs(4, 3)))),
    *with_each_reduction("HingeEmbeddingLoss", normal(4, 3), _signs(4, 3)),
    ModuleCase(build("HingeEmbeddingLoss", 0.5), Case("margin", (normal(4, 3), _signs(4, 3)))),
)
