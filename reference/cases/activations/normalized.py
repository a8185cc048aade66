"""Cases of the softmax family."""

import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal


def _softmax(m, x, dim=-1):
    e = m.exp(x)
    return e / e.sum(axis=dim, keepdims=True)


def _log_softmax(m, x, dim=-1):
    return x - m.log(m.exp(x).sum(axis=dim, keepdims=True))


def _cases(torch_loses):
    return (
        Case("ordinary", (normal(4, 5),), {"dim": -1}),
        Case("first axis", (normal(4, 5),), {"dim": 0}),
        Case("middle axis", (normal(2, 3, 4),), {"dim": 1}),
        Case("no batch", (normal(5),), {"dim": 0}),
        Case("batch of 0", (normal(0, 5),), {"dim": 1}),
        Case("axis of 0", (normal(3, 0),), {"dim": 1}),
        Case("batch of 1", (normal(1, 5),), {"dim": 1}),
        Case("axis of 1", (normal(4, 1),), {"dim": 1}, zero=(0,)),
        Case("a single number", (normal(),), {"dim": 0}, zero=(0,)),
        Case("ties", ([[1.0, 1.0, 1.0], [2.0, 0.0, 2.0]],), {"dim": 1}),
        Case("wide", (normal(4, 6, scale=5.0),), {"dim": 1}, torch_loses=torch_loses),
        Case("saturated, ±30", ([[30.0, -30.0, 0.0], [0.0, 30.0, 30.0]],), {"dim": 1}, torch_loses=torch_loses),
        Case("saturated, ±1000", ([[1000.0, -1000.0, 999.0], [-1000.0, 900.0, 960.0]],), {"dim": 1}, torch_loses=torch_loses),
    )


OPERATIONS = (
    Operation(
        manual.softmax,
        F.softmax,
        _softmax,
        cases=_cases("g − Σ p g cancels where one entry takes nearly everything"),
        small=Case("64 × 128", (normal(64, 128),), {"dim": 1}),
        large=Case("4096 × 1024", (normal(4096, 1024),), {"dim": 1}),
    ),
    Operation(
        manual.log_softmax,
        F.log_softmax,
        _log_softmax,
        cases=_cases("x − log Σ exp x cancels where one entry takes nearly everything"),
        small=Case("64 × 128", (normal(64, 128),), {"dim": 1}),
        large=Case("4096 × 1024", (normal(4096, 1024),), {"dim": 1}),
    ),
)

MODULES = (
    ModuleCase(build("Softmax", dim=1), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("LogSoftmax", dim=0), Case("first axis", (normal(4, 5),))),
)
