"""Cases of adaptive pooling."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.max_pooling import NAN, each_axis, largest_of, pool, ties
from reference.exact import mp


def _bins(x, axes, output_size):
    """For each of the last axes, the positions in its bins."""
    sizes = x.shape[-axes:]
    counts = [n if count is None else count for n, count in zip(sizes, each_axis(output_size, axes))]
    return [[range(i * n // count, -((-i - 1) * n // count)) for i in range(count)] for n, count in zip(sizes, counts)]


def _avg(axes):
    def adaptive_avg_pool(x, output_size):
        return pool(x, _bins(x, axes, output_size), lambda numbers, _: sum(numbers) / mp.mpf(len(numbers)))

    return adaptive_avg_pool


def _max(axes):
    def adaptive_max_pool(x, output_size, return_indices=False):
        return largest_of(x, _bins(x, axes, output_size), return_indices)

    return adaptive_max_pool


_1d = (
    Case("bins overlap", (normal(2, 2, 7),), {"output_size": 3}),
    Case("bins share evenly", (normal(2, 2, 6),), {"output_size": (3,)}),
    Case("sizes of two and three", (normal(2, 8),), {"output_size": 5}),
    Case("one bin", (normal(2, 2, 5),), {"output_size": 1}),
    Case("more bins than cells", (normal(2, 3),), {"output_size": 7}),
    Case("as many bins as cells", (normal(2, 4),), {"output_size": 4}),
    Case("batch of 0", (normal(0, 2, 5),), {"output_size": 2}),
    Case("no channels", (normal(0, 5),), {"output_size": 2}),
)

_2d = (
    Case("bins overlap", (normal(2, 2, 5, 7),), {"output_size": (3, 4)}),
    Case("one bin", (normal(2, 3, 3, 4),), {"output_size": 1}),
    Case("a size kept", (normal(2, 4, 5),), {"output_size": (None, 2)}),
    Case("batch of 0", (normal(0, 2, 5, 5),), {"output_size": 2}),
)

_3d = (
    Case("bins overlap", (normal(1, 2, 3, 2, 5),), {"output_size": (2, 2, 3)}),
    Case("a size kept", (normal(1, 3, 4, 2),), {"output_size": (2, None, 1)}),
)

_max_1d = (
    Case("indices", (normal(2, 2, 7),), {"output_size": 3, "return_indices": True}),
    Case("ties", (ties(2, 3, 9),), {"output_size": 4, "return_indices": True}, smooth=False),
    Case("NaN", ([[1.0, NAN, NAN, 3.0, 5.0, NAN, 4.0]],), {"output_size": 3, "return_indices": True}, smooth=False),
    Case("−∞ alone", ([[-np.inf] * 5],), {"output_size": 2, "return_indices": True}, smooth=False),
)
_max_2d = (
    Case("indices", (normal(2, 2, 5, 7),), {"output_size": (3, 4), "return_indices": True}),
    Case("ties", (ties(2, 5, 6),), {"output_size": (2, 4), "return_indices": True}, smooth=False),
)
_max_3d = (Case("indices", (normal(1, 3, 2, 5),), {"output_size": (2, 1, 3), "return_indices": True}),)


def _operation(ours, theirs, definition, axes, cases):
    small, large = (64, 8, 4)[axes - 1], (1024, 56, 16)[axes - 1]
    bins = max(large // 8, 2)
    return Operation(
        ours,
        theirs,
        definition(axes),
        cases=cases,
        small=Case(f"one bin, 16×16×{small}", (normal(16, 16, *(small,) * axes),), {"output_size": 1}),
        large=Case(f"{bins} bins, 32×64×{large}", (normal(32, 64, *(large,) * axes),), {"output_size": bins}),
    )


OPERATIONS = (
    _operation(manual.adaptive_avg_pool2d, F.adaptive_avg_pool2d, _avg, 2, _2d),
    _operation(manual.adaptive_avg_pool1d, F.adaptive_avg_pool1d, _avg, 1, _1d),
    _operation(manual.adaptive_avg_pool3d, F.adaptive_avg_pool3d, _avg, 3, _3d),
    _operation(manual.adaptive_max_pool1d, F.adaptive_max_pool1d, _max, 1, _1d + _max_1d),
    _operation(manual.adaptive_max_pool2d, F.adaptive_max_pool2d, _max, 2, _2d + _max_2d),
    _operation(manual.adaptive_max_pool3d, F.adaptive_max_pool3d, _max, 3, _3d + _max_3d),
)

MODULES = (
    ModuleCase(build("AdaptiveAvgPool1d", 3), Case("bins overlap", (normal(2, 7),))),
    ModuleCase(build("AdaptiveAvgPool2d", (None, 2)), Case("a size kept", (normal(2, 2, 3, 5),))),
    ModuleCase(build("AdaptiveAvgPool3d", 2), Case("bins overlap", (normal(1, 3, 2, 3),))),
    ModuleCase(build("AdaptiveMaxPool1d", 3), Case("bins overlap", (normal(2, 7),))),
    ModuleCase(build("AdaptiveMaxPool2d", (None, 2), return_indices=True), Case("a size kept", (normal(2, 2, 3, 5),))),
    ModuleCase(build("AdaptiveMaxPool3d", 2, True), Case("bins overlap", (normal(1, 3, 2, 3),))),
)
