"""Cases of convolutions."""

import warnings
from itertools import product
from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal


def each_axis(value, axes):
    """A number for each axis."""
    given = tuple(value) if isinstance(value, tuple | list) else (value,)
    return given * (axes // len(given))


def at_windows(x, position, counts, stride, dilation, before):
    """What windows see at one position in the kernel: x(s i + d k − p), 0 outside of x."""
    seen = x
    for axis, (k, count, s, d, p) in enumerate(zip(position, counts, stride, dilation, before), start=x.ndim - len(counts)):
        cells = [s * i + d * k - p for i in range(count)]
        inside = [0 <= cell < x.shape[axis] for cell in cells]
        shape = [-1 if a == axis else 1 for a in range(x.ndim)]
        seen = seen.take(np.clip(cells, 0, x.shape[axis] - 1), axis) * np.reshape(inside, shape)
    return seen


def correlation_terms(x, weight, bias, counts, stride, dilation, before, groups=1):
    """Wₒ_c(k) x_c(s i + d k − p) for each c and k of a group, and the bias: the terms of yₒ(i)."""
    outputs = len(weight) // groups
    axes = (slice(None),) + (None,) * len(counts)
    terms = []
    for position in product(*map(range, weight.shape[2:])):
        seen = at_windows(x, position, counts, stride, dilation, before)
        for c in range(weight.shape[1]):
            channels = [o // outputs * weight.shape[1] + c for o in range(len(weight))]  # which each output sees
            terms.append(weight[(slice(None), c, *position)][axes] * seen.take(channels, x.ndim - len(counts) - 1))
    return terms if bias is None else [*terms, np.broadcast_to(bias[axes], terms[0].shape)]


def _conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = weight.shape[2:]
    stride, dilation = each_axis(stride, len(kernel)), each_axis(dilation, len(kernel))
    if padding == "same":
        both = [d * (k - 1) for k, d in zip(kernel, dilation)]
    else:
        both = [2 * p for p in each_axis(0 if padding == "valid" else padding, len(kernel))]
    sizes = zip(x.shape[-len(kernel) :], both, kernel, stride, dilation)
    counts = [(n + p - d * (k - 1) - 1) // s + 1 for n, p, k, s, d in sizes]
    return correlation_terms(x, weight, bias, counts, stride, dilation, [p // 2 for p in both], groups)


def _quiet(function):
    """Torch's function without its warning that "same" with an odd number of zeros makes a copy."""

    def quiet(*arguments: Any, **constants: Any):
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return function(*arguments, **constants)

    return quiet


_cases1 = (
    Case("batch of 2", (normal(2, 2, 5), normal(3, 2, 3), normal(3))),
    Case("no bias", (normal(2, 2, 5), normal(3, 2, 3), None)),
    Case("no batch", (normal(2, 5), normal(3, 2, 3), normal(3))),
    Case("batch of 0", (normal(0, 2, 5), normal(3, 2, 3), normal(3)), zero=("grad_1", "grad_2")),
    Case("batch of 1", (normal(1, 1, 3), normal(1, 1, 3), normal(1))),
    Case("stride", (normal(2, 2, 7), normal(3, 2, 3), normal(3)), {"stride": 2}),
    Case("stride that leaves cells over", (normal(1, 2, 8), normal(2, 2, 2), normal(2)), {"stride": (3,)}),
    Case("stride beyond the kernel", (normal(2, 1, 8), normal(2, 1, 2)), {"stride": 4}),
    Case("padding", (normal(2, 2, 4), normal(2, 2, 3), normal(2)), {"padding": 2}),
    Case("padding wider than x", (normal(2, 2, 2), normal(2, 2, 3), normal(2)), {"padding": (4,)}),
    Case("padding wider than x, stride", (normal(2, 2, 3), normal(2, 2, 3), normal(2)), {"padding": 4, "stride": 2}),
    Case("padding and stride", (normal(2, 2, 6), normal(2, 2, 3), normal(2)), {"padding": 1, "stride": 2}),
    Case("padding valid", (normal(2, 2, 4), normal(2, 2, 3)), {"padding": "valid", "stride": 2}),
    Case("padding same", (normal(2, 2, 4), normal(2, 2, 3)), {"padding": "same"}),
    Case("padding same, even kernel", (normal(2, 2, 5), normal(2, 2, 4)), {"padding": "same"}),
    Case("padding same, dilation", (normal(1, 2, 5), normal(2, 2, 2)), {"padding": "same", "dilation": 3}),
    Case("dilation", (normal(2, 2, 7), normal(2, 2, 3), normal(2)), {"dilation": 2}),
    Case(
        "dilation, stride and padding", (normal(2, 2, 8), normal(2, 2, 3), normal(2)), {"dilation": (2,), "stride": 3, "padding": 2}
    ),
    Case("groups", (normal(2, 4, 4), normal(6, 2, 2), normal(6)), {"groups": 2}),
    Case("depthwise", (normal(2, 3, 5), normal(3, 1, 3), normal(3)), {"groups": 3, "padding": 1}),
    Case("depthwise, two outputs each", (normal(2, 2, 5), normal(4, 1, 3)), {"groups": 2}),
    Case("kernel of 1", (normal(2, 3, 4), normal(2, 3, 1), normal(2))),
    Case("kernel of 1, stride", (normal(2, 3, 5), normal(2, 3, 1), normal(2)), {"stride": 2}),
    Case("more images than cells", (normal(5, 1, 3), normal(2, 1, 2), normal(2)), {"padding": 1}),
    Case("many small images", (normal(16, 1, 3), normal(4, 1, 2), normal(4)), {"padding": 1}),
    Case("±10,000", (normal(2, 2, 5, scale=1e4), normal(2, 2, 3, scale=1e4), normal(2))),
)

_cases2 = (
    Case("batch of 2", (normal(2, 2, 3, 4), normal(2, 2, 2, 3), normal(2))),
    Case("no batch", (normal(2, 3, 4), normal(2, 2, 2, 3), normal(2))),
    Case("batch of 0", (normal(0, 2, 3, 3), normal(2, 2, 2, 2), normal(2)), zero=("grad_1", "grad_2")),
    Case("batch of 1, no bias", (normal(1, 1, 4, 3), normal(1, 1, 3, 3))),
    Case("stride", (normal(1, 2, 5, 6), normal(2, 2, 3, 2), normal(2)), {"stride": (2, 3)}),
    Case("padding", (normal(1, 2, 3, 3), normal(2, 2, 3, 2), normal(2)), {"padding": (2, 1)}),
    Case("padding valid", (normal(1, 2, 3, 4), normal(2, 2, 2, 3)), {"padding": "valid"}),
    Case("padding along one axis", (normal(1, 2, 3, 4), normal(2, 2, 3, 2), normal(2)), {"padding": (0, 1)}),
    Case("padding same", (normal(1, 2, 3, 4), normal(2, 2, 2, 3), normal(2)), {"padding": "same", "dilation": (1, 2)}),
    Case("dilation", (normal(2, 1, 5, 4), normal(2, 1, 3, 2), normal(2)), {"dilation": (2, 1), "padding": 1}),
    Case("groups", (normal(1, 4, 3, 3), normal(4, 2, 2, 2), normal(4)), {"groups": 2, "padding": 1, "stride": 2}),
    Case("depthwise", (normal(2, 3, 3, 3), normal(3, 1, 3, 3), normal(3)), {"groups": 3, "padding": 1}),
    Case("kernel of 1", (normal(2, 3, 3, 2), normal(2, 3, 1, 1), normal(2))),
    Case("more images than cells", (normal(4, 1, 2, 2), normal(2, 1, 2, 2), normal(2)), {"padding": 1}),
)

_cases3 = (
    Case("batch of 2", (normal(2, 1, 3, 3, 2), normal(2, 1, 2, 2, 2), normal(2))),
    Case("no batch", (normal(2, 2, 3, 2), normal(2, 2, 2, 2, 1), normal(2))),
    Case("batch of 0", (normal(0, 2, 2, 2, 2), normal(2, 2, 2, 2, 2)), zero=("grad_1",)),
    Case(
        "stride, padding and dilation",
        (normal(1, 1, 4, 5, 3), normal(2, 1, 2, 3, 2), normal(2)),
        {"stride": (1, 2, 3), "padding": (0, 1, 2), "dilation": (2, 1, 3)},
    ),
    Case("padding same, groups", (normal(1, 2, 2, 2, 3), normal(2, 1, 2, 1, 3), normal(2)), {"padding": "same", "groups": 2}),
)

OPERATIONS = (
    Operation(
        manual.conv1d,
        _quiet(F.conv1d),
        _conv,
        cases=_cases1,
        small=Case("16 → 16 channels, kernel 3, 8 × 64", (normal(8, 16, 64), normal(16, 16, 3), normal(16)), {"padding": 1}),
        large=Case("64 → 64 channels, kernel 5, 16 × 2048", (normal(16, 64, 2048), normal(64, 64, 5), normal(64)), {"padding": 2}),
    ),
    Operation(
        manual.conv2d,
        _quiet(F.conv2d),
        _conv,
        cases=_cases2,
        small=Case("8 → 16 channels, 3×3, 8 × 16×16", (normal(8, 8, 16, 16), normal(16, 8, 3, 3), normal(16)), {"padding": 1}),
        large=Case("32 → 64 channels, 3×3, 32 × 32×32", (normal(32, 32, 32, 32), normal(64, 32, 3, 3), normal(64)), {"padding": 1}),
    ),
    Operation(
        manual.conv3d,
        _quiet(F.conv3d),
        _conv,
        cases=_cases3,
        small=Case("4 → 8 channels, 3×3×3, 2 × 8×8×8", (normal(2, 4, 8, 8, 8), normal(8, 4, 3, 3, 3), normal(8)), {"padding": 1}),
        large=Case(
            "16 → 32 channels, 3×3×3, 4 × 16×16×16",
            (normal(4, 16, 16, 16, 16), normal(32, 16, 3, 3, 3), normal(32)),
            {"padding": 1},
        ),
    ),
)

_pads = {"padding": (2, 1), "kernel_size": (3, 2), "dilation": (1, 2)}

MODULES = (
    ModuleCase(build("Conv1d", 2, 3, 3), Case("batch of 2", (normal(2, 2, 5),))),
    ModuleCase(build("Conv1d", 2, 4, 2, 2, 1, 3, 2, False), Case("every argument", (normal(2, 5),))),
    *(
        ModuleCase(build("Conv1d", 2, 2, 3, padding=2, padding_mode=mode), Case(mode, (normal(2, 2, 4),)))
        for mode in ("zeros", "reflect", "replicate", "circular")
    ),
    ModuleCase(build("Conv1d", 1, 1, 4, padding="same", padding_mode="reflect"), Case("same, reflect", (normal(2, 1, 5),))),
    ModuleCase(build("Conv2d", 2, 3, 2), Case("batch of 2", (normal(2, 2, 3, 4),))),
    ModuleCase(build("Conv2d", 2, 4, (2, 3), (2, 1), (1, 0), (1, 2), 2, False), Case("every argument", (normal(2, 4, 6),))),
    ModuleCase(build("Conv2d", 2, 2, (1, 3), padding="same"), Case("same", (normal(1, 2, 3, 4),))),
    *(
        ModuleCase(build("Conv2d", 1, 2, padding_mode=mode, **_pads), Case(mode, (normal(1, 1, 3, 4),)))
        for mode in ("reflect", "replicate", "circular")
    ),
    ModuleCase(build("Conv3d", 1, 2, 2), Case("batch of 1", (normal(1, 1, 3, 2, 3),))),
    ModuleCase(
        build("Conv3d", 1, 2, (2, 1, 2), stride=(1, 2, 1), padding=(0, 1, 2), padding_mode="circular"),
        Case("circular", (normal(1, 1, 2, 3, 2),)),
    ),
)
