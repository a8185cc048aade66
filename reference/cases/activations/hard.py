"""Cases of the activations with their curves drawn straight."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, build, normal
from reference.cases.activations.pointwise import pointwise


def _hardtanh(x, min_val=-1.0, max_val=1.0):
    return np.where(x <= min_val, min_val, np.where(x >= max_val, max_val, x))


def _relu6(x):
    return _hardtanh(x, 0.0, 6.0)


def _hardsigmoid(x):
    return (_hardtanh(x, -3.0, 3.0) + 3) / 6


def _hardswish(x):
    return np.where(x <= -3, 0, np.where(x >= 3, x, x * (x + 3) / 6))


def _hardswish_slope(x):
    inside = abs(x) < 3
    return np.where(inside, x / 3, 0), np.where(inside, 0.5, x >= 3)


def _hardshrink(x, lambd=0.5):
    return np.where(abs(x) > lambd, x, 0)


def _softshrink(x, lambd=0.5):
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, 0))


def _around(*kinks: float, torch_loses: str = "") -> Case:
    """At each kink, and at the numbers next to it."""
    beside = [float(np.nextafter(np.float32(kink), np.float32(side))) for kink in kinks for side in (-np.inf, np.inf)]
    return Case("at the kinks", ([*kinks, *beside],), smooth=False, torch_loses=torch_loses)


OPERATIONS = (
    pointwise(
        manual.hardtanh,
        F.hardtanh,
        _hardtanh,
        _around(-1.0, 1.0),
        Case("other ends", (normal(4, 5),), {"min_val": -0.25, "max_val": 2.0}),
        Case("equal ends", (normal(4, 5),), {"min_val": 0.5, "max_val": 0.5}, zero=("grad_0",)),
        flat=("±30 and ±1000",),
        kinks=(-1.0, 1.0),
    ),
    pointwise(manual.relu6, F.relu6, _relu6, _around(0.0, 6.0), flat=("±30 and ±1000",), kinks=(0.0, 6.0)),
    pointwise(
        manual.hardsigmoid,
        F.hardsigmoid,
        _hardsigmoid,
        _around(-3.0, 3.0, torch_loses="its 1/6 is a float32"),
        flat=("±30 and ±1000",),
        torch_loses="its 1/6 is a float32",
        kinks=(-3.0, 3.0),
    ),
    pointwise(
        manual.hardswish,
        F.hardswish,
        _hardswish,
        _around(-3.0, 3.0),
        Case("where the slope is nearly zero", ([-1.5625, -1.500001, -1.499999, -1.4375],)),
        kinks=(-3.0, 3.0),
        slope_terms=_hardswish_slope,
    ),
    pointwise(
        manual.hardshrink,
        F.hardshrink,
        _hardshrink,
        _around(-0.5, 0.5),
        Case("wider", (normal(4, 5),), {"lambd": 1.25}),
        Case("negative", (normal(4, 5),), {"lambd": -1.0}),
        flat=("tiny",),
        kinks=(-0.5, 0.5),
    ),
    pointwise(
        manual.softshrink,
        F.softshrink,
        _softshrink,
        _around(-0.5, 0.5),
        Case("wider", (normal(4, 5),), {"lambd": 1.25}),
        Case("width 0", (normal(4, 5),), {"lambd": 0.0}),
        flat=("tiny",),
        kinks=(-0.5, 0.5),
    ),
)

MODULES = (
    ModuleCase(build("Hardtanh", -0.5, 2.0), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("ReLU6"), Case("ordinary", (normal(4, 5, scale=5.0),))),
    # Where the slope is not 0, torch cannot be the judge in float64: its 1/6 is a float32.
    ModuleCase(build("Hardsigmoid"), Case("saturated", ([-5.0, -3.0, 3.0, 4.0],), zero=("grad_0",))),
    ModuleCase(build("Hardswish"), Case("ordinary", (normal(4, 5, scale=3.0),))),
    ModuleCase(build("Hardshrink", 0.75), Case("ordinary", (normal(4, 5),))),
    ModuleCase(build("Softshrink", 0.75), Case("ordinary", (normal(4, 5),))),
)
