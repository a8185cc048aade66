"""Cases of the gated activations."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, Draw, ModuleCase, Operation, build, normal
from reference.cases.activations.pointwise import pointwise
from reference.exact import PI, erfc, exp, log, mp, tanh


def sigmoid(x):
    """The logistic function."""
    return 1 / (1 + exp(-x))


def _silu(x):
    return x * sigmoid(x)


def _silu_slope(x):
    return sigmoid(x), x * sigmoid(x) * sigmoid(-x)


def _mish(x):
    return x * tanh(log(1 + exp(x)))


def _mish_slope(x):
    gate = tanh(log(1 + exp(x)))
    return gate, x * (1 - gate**2) * sigmoid(x)


def _gelu_v(x, cubic):
    return 2 * mp.sqrt(2 / PI) * (x + 0.044715 * x * x * x * cubic)


def gelu_gate(x, approximate="none"):
    """What x is multiplied by."""
    return sigmoid(_gelu_v(x, 1)) if approximate == "tanh" else erfc(-x / mp.sqrt(2)) / 2


def _gelu(x, approximate="none"):
    return x * gelu_gate(x, approximate)


def _gelu_slope(x, approximate="none"):
    if approximate == "tanh":
        v = _gelu_v(x, 1)
        return sigmoid(v), _gelu_v(x, 3) * sigmoid(v) * sigmoid(-v)
    return erfc(-x / mp.sqrt(2)) / 2, x * exp(-x * x / 2) / mp.sqrt(2 * PI)


def _glu(x, dim=-1):
    a, b = np.split(x, 2, axis=dim)
    return a * sigmoid(b)


def _half_open(rows: int, columns: int) -> Draw:
    """Gates at σ(0) = ½, which is exact in torch too: among so many, that spares the exact Jacobian."""
    return lambda generator: np.hstack((generator.standard_normal((rows, columns)), np.zeros((rows, columns))))


_tanh = {"approximate": "tanh"}
_lost = "the exponential loses digits far below zero"
_gelu_lost = "1 + erf cancels below zero, and x² is rounded"

OPERATIONS = (
    pointwise(
        manual.silu,
        F.silu,
        _silu,
        Case("tails", ([-103.0, -90.0, -87.0, -50.0, -20.0, 20.0, 50.0, 87.0],), torch_loses=_lost),
        Case("where the slope is nearly zero", ([-1.3, -1.27846, -1.2784, -1.25],)),
        slope_terms=_silu_slope,
    ),
    pointwise(
        manual.mish,
        F.mish,
        _mish,
        Case("tails", ([-103.0, -90.0, -87.0, -50.0, -20.0, 20.0, 50.0, 87.0],), torch_loses=_lost),
        Case("where the slope is nearly zero", ([-1.2, -1.1925, -1.19, -1.15],)),
        torch_loses=_lost,
        slope_terms=_mish_slope,
    ),
    pointwise(
        manual.gelu,
        F.gelu,
        _gelu,
        Case("tails", ([-13.0, -12.0, -9.0, -6.0, -3.0, 3.0, 6.0, 9.0],), torch_loses=_gelu_lost),
        Case("where the slope is nearly zero", ([-0.8, -0.7518, -0.75, -0.7],), torch_loses=_gelu_lost),
        Case("tanh", (normal(4, 5),), _tanh, torch_loses=_gelu_lost),
        Case("tanh, a single number", (normal(),), _tanh, torch_loses=_gelu_lost),
        Case("tanh, many", (normal(10, 20, scale=5.0),), _tanh, torch_loses=_gelu_lost),
        Case("tanh, tails", ([-10.0, -9.0, -6.0, -3.0, 3.0, 6.0, 9.0],), _tanh, torch_loses=_gelu_lost),
        Case("tanh, ±30 and ±1000", ([-1000.0, -30.0, 30.0, 1000.0],), _tanh, torch_loses=_gelu_lost),
        Case("tanh, where the slope is nearly zero", ([-0.8, -0.7525, -0.75, -0.7],), _tanh, torch_loses=_gelu_lost),
        torch_loses=_gelu_lost,
        slope_terms=_gelu_slope,
    ),
    Operation(
        manual.glu,
        F.glu,
        _glu,
        cases=(
            Case("ordinary", (normal(4, 6),)),
            Case("first axis", (normal(4, 5),), {"dim": 0}),
            Case("middle axis", (normal(2, 4, 3),), {"dim": 1}),
            Case("no batch", (normal(6),)),
            Case("batch of 0", (normal(0, 6),)),
            Case("axis of 0", (normal(3, 0),)),
            Case("batch of 1", (normal(1, 2),)),
            Case("many half-open gates", (_half_open(2, 600),), judge="torch"),
            Case(
                "saturated gates",
                ([[1.0, 2.0, 3.0, -4.0, -1000.0, -30.0, 30.0, 1000.0]],),
                torch_loses="σ(b) (1 − σ(b)) cancels for large b",
            ),
        ),
        small=Case("10,000 numbers", (normal(100, 100),)),
        large=Case("4 million numbers", (normal(2000, 2000),)),
    ),
)

MODULES = (
    ModuleCase(build("SiLU"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("Mish"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("GELU"), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("GELU", "tanh"), Case("tanh", (normal(4, 5),))),
    ModuleCase(build("GLU", 0), Case("first axis", (normal(4, 5),))),
)
