"""Cases of the softmax family."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.exact import detach, exp, log


def _softmax(x, dim=-1):
    e = exp(x)
    return e / e.sum(axis=dim, keepdims=True)


def _log_softmax(x, dim=-1):
    return x - log(exp(x).sum(axis=dim, keepdims=True))


def _softmin(x, dim=-1):
    return _softmax(-x, dim)


def _gumbel_softmax(x, noise, tau=1.0, hard=False, dim=-1):
    p = _softmax((x + noise) / tau, dim)
    if not hard:
        return p
    one_hot = np.moveaxis(np.eye(x.shape[dim])[p.argmax(axis=dim)], -1, dim)
    return one_hot + (p - detach(p))  # straight through: the value of one, the derivative of the other


def _torch_gumbel_softmax(x: torch.Tensor, noise: Any, tau: float = 1.0, hard: bool = False, dim: int = -1) -> torch.Tensor:
    """Torch draws its noise itself; given one, this is what it computes with it."""
    p = F.softmax((x + torch.tensor(noise, dtype=x.dtype)) / tau, dim)
    if not hard:
        return p
    one_hot = torch.zeros_like(p).scatter_(dim, p.argmax(dim, keepdim=True), 1.0)
    return one_hot - p.detach() + p


def _noise(*shape: int) -> Any:
    return np.random.default_rng(0).gumbel(size=shape).astype(np.float32)  # the same numbers in both dtypes


def _cases(torch_loses):
    return (
        Case("ordinary", (normal(4, 5),), {"dim": -1}),
        Case("first axis", (normal(4, 5),), {"dim": 0}),
        Case("middle axis", (normal(2, 3, 4),), {"dim": 1}),
        Case("no batch", (normal(5),), {"dim": 0}),
        Case("batch of 0", (normal(0, 5),), {"dim": 1}),
        Case("axis of 0", (normal(3, 0),), {"dim": 1}),
        Case("batch of 1", (normal(1, 5),), {"dim": 1}),
        Case("axis of 1", (normal(4, 1),), {"dim": 1}, zero=("grad_0",)),
        Case("a single number", (normal(),), {"dim": 0}, zero=("grad_0",)),
        Case("ties", ([[1.0, 1.0, 1.0], [2.0, 0.0, 2.0]],), {"dim": 1}),
        Case("wide", (normal(4, 6, scale=5.0),), {"dim": 1}, torch_loses=torch_loses),
        Case("saturated, ±30", ([[30.0, -30.0, 0.0], [0.0, 30.0, 30.0]],), {"dim": 1}, torch_loses=torch_loses),
        Case(
            "saturated, ±1000",
            ([[1000.0, -1000.0, 999.0], [-1000.0, 900.0, 960.0], [-960.0, -1000.0, 1000.0]],),
            {"dim": 1},
            torch_loses=torch_loses,
        ),
    )


_CANCELS = "g − Σ p g cancels where one entry takes nearly everything"

OPERATIONS = (
    Operation(
        manual.softmax,
        F.softmax,
        _softmax,
        cases=_cases(_CANCELS),
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
    Operation(
        manual.softmin,
        F.softmin,
        _softmin,
        cases=_cases(_CANCELS),
        small=Case("64 × 128", (normal(64, 128),), {"dim": 1}),
        large=Case("4096 × 1024", (normal(4096, 1024),), {"dim": 1}),
    ),
    Operation(
        manual.gumbel_softmax,
        _torch_gumbel_softmax,
        _gumbel_softmax,
        cases=(
            Case("ordinary", (normal(4, 5),), {"noise": _noise(4, 5)}, torch_loses=_CANCELS),
            Case("first axis", (normal(4, 5),), {"noise": _noise(4, 5), "dim": 0}, torch_loses=_CANCELS),
            Case("middle axis", (normal(2, 3, 4),), {"noise": _noise(2, 3, 4), "dim": 1, "tau": 2.0}, torch_loses=_CANCELS),
            Case("no batch", (normal(5),), {"noise": _noise(5)}, torch_loses=_CANCELS),
            Case("batch of 0", (normal(0, 5),), {"noise": _noise(0, 5)}, torch_loses=_CANCELS),
            Case("batch of 1", (normal(1, 5),), {"noise": _noise(1, 5)}, torch_loses=_CANCELS),
            Case("cold", (normal(4, 5),), {"noise": _noise(4, 5), "tau": 0.5}, torch_loses=_CANCELS),
            Case("hard", (normal(4, 5),), {"noise": _noise(4, 5), "hard": True, "tau": 1.5}, smooth=False, torch_loses=_CANCELS),
            Case(
                "hard, first axis",
                (normal(4, 5),),
                {"noise": _noise(4, 5), "hard": True, "dim": 0},
                smooth=False,
                torch_loses=_CANCELS,
            ),
            Case(
                "hard, a single number",
                (normal(),),
                {"noise": _noise(), "hard": True},
                zero=("grad_0",),
                judge="torch",
                smooth=False,
            ),
        ),
        small=Case("64 × 128", (normal(64, 128),), {"noise": _noise(64, 128)}),
        large=Case("4096 × 1024", (normal(4096, 1024),), {"noise": _noise(4096, 1024)}),
    ),
)

MODULES = (
    ModuleCase(build("Softmax", dim=1), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("LogSoftmax", dim=0), Case("first axis", (normal(4, 5),))),
    ModuleCase(build("Softmin", dim=0), Case("first axis", (normal(4, 5),))),
    ModuleCase(build("Softmax2d"), Case("images", (normal(2, 3, 2, 2),))),
    ModuleCase(build("Softmax2d"), Case("an image", (normal(3, 2, 2),))),
)
