"""Cases of max pooling, and the windows on which the definitions of pooling stand."""

from itertools import product
from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.exact import mp


def each_axis(value, axes):
    """One number for each axis, of one for all or a tuple."""
    return value if isinstance(value, tuple) else (value,) * axes


def positions(size, kernel, stride, padding, dilation, ceil_mode):
    """The positions that each window has along an axis, in the padding and beyond too."""
    windows: list[list[int]] = []
    while True:
        start = len(windows) * stride - padding
        end = start + (kernel - 1) * dilation
        if end >= size + padding and not (ceil_mode and start < size and end - stride < size + padding - 1):
            return windows
        windows.append([start + k * dilation for k in range(kernel)])


def sliding(x, axes, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """For each of the last axes, the positions of its windows."""
    stride = kernel_size if stride is None else stride
    given = [each_axis(value, axes) for value in (kernel_size, stride, padding, dilation)]
    return [positions(n, k, s, p, d, ceil_mode) for n, k, s, p, d in zip(x.shape[-axes:], *given)]


def pool(x, windows, function):
    """What a function makes of each window, given its cells: the numbers of x and their indices in the image."""
    axes = len(windows)
    sizes = x.shape[-axes:]
    images = x.reshape(-1, *sizes)
    shape = *x.shape[:-axes], *map(len, windows)
    output = np.empty((len(images), *shape[-axes:]), dtype=object)
    for place in np.ndindex(output.shape):
        image, *window = place
        every = product(*(along[i] for along, i in zip(windows, window)))
        inside = [cell for cell in every if all(0 <= c < n for c, n in zip(cell, sizes))]
        output[place] = function(
            [images[(image, *cell)] for cell in inside], [np.ravel_multi_index(cell, sizes) for cell in inside]
        )
    return output.reshape(shape)


def is_nan(number):
    """Whether a number, with partial derivatives or without, is NaN."""
    return mp.isnan(getattr(number, "value", number))


def largest(numbers, indices):
    """The largest number and its index: of equal ones the first, but the last NaN."""
    best = 0
    for i, number in enumerate(numbers):
        if number > numbers[best] or is_nan(number):
            best = i
    return numbers[best], indices[best]


def largest_of(x, windows, return_indices):
    """The largest number of each window, with the indices where they are wanted."""
    pairs = pool(x, windows, lambda *cells: Pair(largest(*cells)))
    numbers = np.frompyfunc(lambda pair: pair.both[0], 1, 1)(pairs)
    return (numbers, np.frompyfunc(lambda pair: pair.both[1], 1, 1)(pairs)) if return_indices else numbers


class Pair:
    """Two things as one element of an array."""

    def __init__(self, both) -> None:
        self.both = both


def _definition(axes):
    def max_pool(x, return_indices=False, **constants: Any):
        return largest_of(x, sliding(x, axes, **constants), return_indices)

    return max_pool


def ties(*shape: int):
    """Numbers of which many are equal."""
    return lambda generator: generator.integers(-2, 2, shape).astype(float)


NAN, INF = float("nan"), float("inf")

_1d = (
    Case("width 2", (normal(2, 2, 6),), {"kernel_size": 2}),
    Case("overlapping", (normal(2, 2, 7),), {"kernel_size": 3, "stride": 2}),
    Case("gaps", (normal(2, 2, 7),), {"kernel_size": 2, "stride": 3}),
    Case("padded", (normal(2, 7),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case("padded, windows apart", (normal(2, 7),), {"kernel_size": (3,), "stride": (3,), "padding": (1,)}),
    Case("dilated", (normal(2, 8),), {"kernel_size": 3, "stride": 1, "dilation": 2}),
    Case("dilated, padded, apart", (normal(2, 9),), {"kernel_size": 2, "stride": 4, "dilation": 3, "padding": 1}),
    Case("ceil mode", (normal(2, 8),), {"kernel_size": 3, "ceil_mode": True}),
    Case("ceil mode, window of one", (normal(2, 7),), {"kernel_size": 3, "stride": 3, "ceil_mode": True}),
    Case("ceil mode, last window dropped", (normal(2, 5),), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
    Case("ceil mode, wider than x", (normal(2, 4),), {"kernel_size": 5, "ceil_mode": True}),
    Case("kernel of 1", (normal(2, 4),), {"kernel_size": 1}),
    Case("indices", (normal(2, 2, 7),), {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
    Case("indices far apart", (normal(1, 300),), {"kernel_size": 3, "stride": 20, "dilation": 130, "return_indices": True}),
    Case("batch of 0", (normal(0, 2, 6),), {"kernel_size": 2, "return_indices": True}),
    Case("ties", (ties(2, 3, 9),), {"kernel_size": 3, "stride": 2, "return_indices": True}, smooth=False),
    Case(
        "NaN",
        ([[1.0, NAN, 3.0, NAN, 5.0, 4.0, -1.0, NAN]],),
        {"kernel_size": 4, "stride": 2, "return_indices": True},
        smooth=False,
    ),
    Case(
        "−∞ alone",
        ([[-INF, -INF, -INF, -INF, 1.0, 2.0]],),
        {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True},
        smooth=False,
    ),
    Case(
        "−∞ alone, dilated",
        ([[-INF, -INF, -INF, -INF, -INF, 1.0, 2.0, 3.0]],),
        {"kernel_size": 4, "stride": 2, "padding": 2, "dilation": 2, "return_indices": True},
        smooth=False,
    ),
)

_2d = (
    Case("2×2", (normal(2, 2, 4, 6),), {"kernel_size": 2}),
    Case("overlapping, padded", (normal(1, 2, 5, 6),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    Case(
        "each axis its own",
        (normal(2, 7, 6),),
        {"kernel_size": (2, 3), "stride": (3, 1), "padding": (1, 0), "dilation": (2, 1), "ceil_mode": True},
    ),
    Case("indices", (normal(2, 2, 5, 4),), {"kernel_size": (3, 2), "stride": 2, "padding": 1, "return_indices": True}),
    Case("batch of 0", (normal(0, 2, 4, 4),), {"kernel_size": 2}),
    Case("ties", (ties(1, 2, 6, 6),), {"kernel_size": 3, "stride": 2, "return_indices": True}, smooth=False),
    Case(
        "NaN",
        ([[[1.0, NAN, 3.0, 4.0], [NAN, 5.0, 4.0, 4.0]]],),
        {"kernel_size": 2, "return_indices": True},
        smooth=False,
    ),
)

_3d = (
    Case("2×2×2", (normal(2, 1, 4, 2, 4),), {"kernel_size": 2}),
    Case(
        "each axis its own",
        (normal(1, 5, 4, 6),),
        {"kernel_size": (2, 1, 3), "stride": (1, 2, 2), "padding": (1, 0, 1), "dilation": (2, 1, 1), "ceil_mode": True},
    ),
    Case("indices", (normal(1, 1, 3, 4, 5),), {"kernel_size": 2, "stride": (1, 2, 2), "return_indices": True}),
    Case("ties", (ties(1, 3, 4, 4),), {"kernel_size": 2, "stride": 1, "return_indices": True}, smooth=False),
)


def _operation(ours, theirs, axes, cases, small, large):
    return Operation(ours, theirs, _definition(axes), cases=cases, small=small, large=large)


OPERATIONS = (
    _operation(
        manual.max_pool1d,
        F.max_pool1d,
        1,
        _1d,
        small=Case("width 2, 16×16×64", (normal(16, 16, 64),), {"kernel_size": 2}),
        large=Case("width 2, 64×64×1024", (normal(64, 64, 1024),), {"kernel_size": 2}),
    ),
    _operation(
        manual.max_pool2d,
        F.max_pool2d,
        2,
        _2d,
        small=Case("2×2, 16×16×8×8", (normal(16, 16, 8, 8),), {"kernel_size": 2}),
        large=Case("2×2, 32×64×56×56", (normal(32, 64, 56, 56),), {"kernel_size": 2}),
    ),
    _operation(
        manual.max_pool3d,
        F.max_pool3d,
        3,
        _3d,
        small=Case("2×2×2, 4×4×8×8×8", (normal(4, 4, 8, 8, 8),), {"kernel_size": 2}),
        large=Case("2×2×2, 8×16×32×32×32", (normal(8, 16, 32, 32, 32),), {"kernel_size": 2}),
    ),
)

MODULES = (
    ModuleCase(build("MaxPool1d", 3, 2, 1), Case("padded", (normal(2, 7),))),
    ModuleCase(build("MaxPool1d", 2, dilation=2, return_indices=True, ceil_mode=True), Case("indices", (normal(2, 2, 8),))),
    ModuleCase(build("MaxPool2d", 2), Case("2×2", (normal(1, 2, 4, 5),))),
    ModuleCase(
        build("MaxPool2d", (2, 3), stride=(3, 1), padding=(1, 0), dilation=(2, 1), ceil_mode=True),
        Case("each axis its own", (normal(2, 7, 6),)),
    ),
    ModuleCase(build("MaxPool3d", 2, return_indices=True), Case("2×2×2", (normal(1, 2, 2, 4),))),
    ModuleCase(build("MaxPool3d", 2, 1, 1, 2, ceil_mode=True), Case("dilated, padded", (normal(1, 3, 4, 3),))),
)
