"""Cases of average pooling, and of pooling by p-norms."""

import math
from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, uniform
from reference.cases.layers.max_pooling import each_axis, largest_of, pool, sliding
from reference.exact import mp


def _counts(x, windows, padding, count_include_pad):
    """How many cells each window has along each axis."""
    counts = []
    for n, along, p in zip(x.shape[-len(windows) :], windows, padding):
        low, high = (-p, n + p) if count_include_pad else (0, n)
        counts.append([sum(low <= cell < high for cell in window) for window in along])
    return counts


def _avg(axes):
    def avg_pool(x, padding=0, count_include_pad=True, divisor_override=None, **constants: Any):
        windows = sliding(x, axes, padding=padding, **constants)
        sums = pool(x, windows, lambda numbers, _: sum(numbers))
        if divisor_override is not None:
            return sums / mp.mpf(divisor_override)
        counts = _counts(x, windows, each_axis(padding, axes), count_include_pad)
        return sums / np.array([mp.mpf(math.prod(each)) for each in _product(counts)], dtype=object).reshape([*map(len, counts)])

    return avg_pool


def _product(counts):
    return [tuple(along[i] for along, i in zip(counts, place)) for place in np.ndindex(*map(len, counts))]


def _lp(axes):
    def lp_pool(x, norm_type, **constants: Any):
        windows = sliding(x, axes, **constants)
        if math.isinf(norm_type):
            sign = 1 if norm_type > 0 else -1
            return sign * largest_of(sign * abs(x), windows, return_indices=False)
        p, cells = mp.mpf(norm_type), math.prod(len(along[0]) for along in windows)
        exponent = int(norm_type) if norm_type == int(norm_type) else p

        def norm(numbers, _):
            z = sum(number**exponent for number in numbers) * cells / mp.mpf(len(numbers))
            return z if norm_type == 1 else 0 * numbers[0] if z == 0 else z ** (1 / p)

        return pool(x, windows, norm)

    return lp_pool


_1d = (
    Case("width 2", (normal(2, 2, 6),), {"kernel_size": 2}),
    Case("overlapping", (normal(2, 2, 7),), {"kernel_size": 3, "stride": 2}),
    Case("gaps", (normal(2, 2, 7),), {"kernel_size": 2, "stride": 3}),
    Case("padded", (normal(2, 7),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case(
        "padding not counted", (normal(2, 7),), {"kernel_size": (4,), "stride": (2,), "padding": (2,), "count_include_pad": False}
    ),
    Case("ceil mode", (normal(2, 8),), {"kernel_size": 3, "ceil_mode": True}),
    Case("ceil mode, padded", (normal(2, 8),), {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True}),
    Case(
        "ceil mode, padding not counted",
        (normal(2, 8),),
        {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True, "count_include_pad": False},
    ),
    Case("ceil mode, wider than x", (normal(2, 4),), {"kernel_size": 5, "ceil_mode": True}),
    Case("kernel of 1", (normal(2, 4),), {"kernel_size": 1}),
    Case("batch of 0", (normal(0, 2, 6),), {"kernel_size": 2}),
    Case("NaN and ∞", ([[1.0, float("nan"), 3.0, 4.0, float("inf"), 1.0]],), {"kernel_size": 2}),
)

_2d = (
    Case("2×2", (normal(2, 2, 4, 6),), {"kernel_size": 2}),
    Case("overlapping, padded", (normal(1, 2, 5, 6),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case(
        "each axis its own",
        (normal(2, 7, 6),),
        {"kernel_size": (2, 3), "stride": (3, 1), "padding": (1, 0), "ceil_mode": True, "count_include_pad": False},
    ),
    Case("another divisor", (normal(2, 2, 5, 4),), {"kernel_size": (3, 2), "padding": 1, "divisor_override": 5}),
    Case("a divisor below 0", (normal(2, 4, 4),), {"kernel_size": 2, "ceil_mode": True, "divisor_override": -3}),
    Case("batch of 0", (normal(0, 2, 4, 4),), {"kernel_size": 2}),
)

_3d = (
    Case("2×2×2", (normal(2, 1, 4, 2, 4),), {"kernel_size": 2}),
    Case(
        "each axis its own",
        (normal(1, 5, 4, 6),),
        {"kernel_size": (2, 1, 3), "stride": (1, 2, 2), "padding": (1, 0, 1), "ceil_mode": True},
    ),
    Case("another divisor", (normal(1, 3, 4, 4),), {"kernel_size": 2, "stride": (1, 2, 2), "divisor_override": 3}),
)


def positive(*shape: int):
    """Positive numbers."""
    return uniform(0.1, 2, *shape)


_lp1d = (
    Case("p = 2", (normal(2, 2, 6),), {"norm_type": 2, "kernel_size": 2}),
    Case("p = 1 is the sum", (positive(2, 2, 6),), {"norm_type": 1, "kernel_size": 2, "stride": 1}),
    Case("p = 1, negative sums", (normal(2, 2, 6),), {"norm_type": 1.0, "kernel_size": 2, "stride": 1}),
    Case("p = 3, overlapping", (positive(2, 7),), {"norm_type": 3.0, "kernel_size": 3, "stride": 2}),
    Case("p = 2.5, ceil mode", (positive(2, 7),), {"norm_type": 2.5, "kernel_size": 3, "ceil_mode": True}),
    Case("p = ½", (positive(2, 6),), {"norm_type": 0.5, "kernel_size": 2}),
    Case("p = −1", (positive(2, 6),), {"norm_type": -1.0, "kernel_size": 2}),
    Case("p = ∞", (normal(2, 7),), {"norm_type": math.inf, "kernel_size": 3, "stride": 2, "ceil_mode": True}),
    Case("p = −∞", (normal(2, 7),), {"norm_type": -math.inf, "kernel_size": 3, "stride": 2}),
    Case("p = ∞, zeros", ([[0.0, 0.0, -0.0, -1.0]],), {"norm_type": math.inf, "kernel_size": 2}, smooth=False),
    Case("zeros", ([[0.0, 0.0, 1.0, -2.0]],), {"norm_type": 2.0, "kernel_size": 2}, smooth=False),
    Case("p = 3, a negative sum", ([[-1.0, -2.0, 1.0, 2.0]],), {"norm_type": 3.0, "kernel_size": 2}, judge="torch", smooth=False),
    Case("batch of 0", (normal(0, 2, 6),), {"norm_type": 2.0, "kernel_size": 2}),
)

_lp2d = (
    Case("p = ∞", (normal(2, 4, 5),), {"norm_type": math.inf, "kernel_size": 2, "ceil_mode": True}),
    Case("2×2", (normal(2, 2, 4, 6),), {"norm_type": 2.0, "kernel_size": 2}),
    Case("each axis its own", (positive(2, 5, 6),), {"norm_type": 3.0, "kernel_size": (2, 3), "stride": (2, 1), "ceil_mode": True}),
)

_lp3d = (
    Case("2×2×2", (normal(1, 1, 4, 2, 4),), {"norm_type": 2.0, "kernel_size": 2}),
    Case(
        "each axis its own",
        (positive(1, 3, 4, 5),),
        {"norm_type": 1.5, "kernel_size": (2, 1, 3), "stride": (1, 2, 2), "ceil_mode": True},
    ),
)

_SMALL = {1: "width 2, 16×16×64", 2: "2×2, 16×16×8×8", 3: "2×2×2, 4×4×8×8×8"}
_LARGE = {1: "width 2, 64×64×1024", 2: "2×2, 32×64×56×56", 3: "2×2×2, 8×16×32×32×32"}


def _benchmark(label, **constants: Any):
    shape = map(int, label.partition(", ")[2].split("×"))
    return Case(label, (normal(*shape),), {"kernel_size": 2, **constants})


def _operation(ours, theirs, definition, axes, cases, **constants: Any):
    small, large = (_benchmark(labels[axes], **constants) for labels in (_SMALL, _LARGE))
    return Operation(ours, theirs, definition(axes), cases=cases, small=small, large=large)


OPERATIONS = (
    _operation(manual.avg_pool2d, F.avg_pool2d, _avg, 2, _2d),
    _operation(manual.avg_pool1d, F.avg_pool1d, _avg, 1, _1d),
    _operation(manual.avg_pool3d, F.avg_pool3d, _avg, 3, _3d),
    _operation(manual.lp_pool1d, F.lp_pool1d, _lp, 1, _lp1d, norm_type=2.0),
    _operation(manual.lp_pool2d, F.lp_pool2d, _lp, 2, _lp2d, norm_type=2.0),
    _operation(manual.lp_pool3d, F.lp_pool3d, _lp, 3, _lp3d, norm_type=2.0),
)

MODULES = (
    ModuleCase(build("AvgPool1d", 3, 2, 1), Case("padded", (normal(2, 7),))),
    ModuleCase(
        build("AvgPool1d", 4, stride=3, padding=2, ceil_mode=True, count_include_pad=False), Case("ceil mode", (normal(2, 2, 8),))
    ),
    ModuleCase(build("AvgPool2d", 2), Case("2×2", (normal(1, 2, 4, 5),))),
    ModuleCase(build("AvgPool2d", (3, 3), (3, 1), (0, 1), True, False), Case("each axis its own", (normal(2, 7, 6),))),
    ModuleCase(build("AvgPool2d", 2, divisor_override=3), Case("another divisor", (normal(2, 4, 4),))),
    ModuleCase(build("AvgPool3d", 2, 1, 1, True), Case("2×2×2", (normal(1, 2, 2, 3),))),
    ModuleCase(build("LPPool1d", 2, 3, 2), Case("p = 2", (normal(2, 2, 7),))),
    ModuleCase(build("LPPool1d", 1.5, 3, ceil_mode=True), Case("p = 1.5", (positive(2, 7),))),
    ModuleCase(build("LPPool2d", 2, (2, 3), stride=(1, 2)), Case("each axis its own", (normal(2, 4, 5),))),
    ModuleCase(build("LPPool3d", 3, 2), Case("p = 3", (positive(1, 2, 4, 2),))),
)
