"""Cases of transposed convolutions."""

from itertools import product

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.convolution import each_axis


def _conv_transpose(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    kernel = weight.shape[2:]
    counts = x.shape[-len(kernel) :]
    constants = [each_axis(value, len(kernel)) for value in (stride, padding, output_padding, dilation)]
    size = [(n - 1) * s - 2 * p + d * (k - 1) + 1 + a for n, k, s, p, a, d in zip(counts, kernel, *constants)]
    inputs, outputs = len(weight) // groups, weight.shape[1]
    before = x.shape[: -len(kernel) - 1]
    terms = []
    # Each product W_cₒ(k) x_c(i) is a term of the output at s i + d k − p; of any output, no two of the same c and k
    for position in product(*map(range, kernel)):
        for c in range(inputs):
            term = np.zeros((*before, groups * outputs, *size), dtype=object)
            for i in product(*map(range, counts)):
                place = [s * n + d * k - p for n, k, s, p, _, d in zip(i, position, *constants)]
                if all(0 <= j < n for j, n in zip(place, size)):
                    for group in range(groups):
                        channel = group * inputs + c
                        values = x[(..., channel, *i)][..., None] * weight[(channel, slice(None), *position)]
                        term[(..., slice(group * outputs, (group + 1) * outputs), *place)] = values
            terms.append(term)
    if bias is not None:
        terms.append(np.broadcast_to(bias.reshape(-1, *(1,) * len(kernel)), terms[0].shape))
    return terms


_cases1 = (
    Case("batch of 2", (normal(2, 2, 4), normal(2, 3, 3), normal(3))),
    Case("no bias", (normal(2, 2, 4), normal(2, 3, 3), None)),
    Case("no batch", (normal(2, 4), normal(2, 3, 3), normal(3))),
    Case("batch of 0", (normal(0, 2, 4), normal(2, 3, 3), normal(3)), zero=("grad_1", "grad_2")),
    Case("batch of 1", (normal(1, 1, 3), normal(1, 1, 3), normal(1))),
    Case("stride", (normal(2, 2, 4), normal(2, 3, 3), normal(3)), {"stride": 2}),
    Case("stride beyond the kernel", (normal(2, 1, 3), normal(1, 2, 2), normal(2)), {"stride": 4}),
    Case("padding", (normal(2, 2, 4), normal(2, 2, 3), normal(2)), {"padding": 1}),
    Case("padding beyond the kernel", (normal(2, 2, 6), normal(2, 2, 2), normal(2)), {"padding": (2,)}),
    Case("output_padding", (normal(2, 2, 3), normal(2, 2, 3), normal(2)), {"stride": 3, "output_padding": 2}),
    Case("output_padding of the bias alone", (normal(2, 2, 3), normal(2, 2, 1), normal(2)), {"stride": 3, "output_padding": 2}),
    Case("output_padding by dilation", (normal(1, 2, 3), normal(2, 2, 2), normal(2)), {"dilation": 3, "output_padding": (2,)}),
    Case("dilation", (normal(2, 2, 4), normal(2, 2, 3), normal(2)), {"dilation": 2, "padding": 1}),
    Case("groups", (normal(2, 4, 3), normal(4, 3, 2), normal(6)), {"groups": 2}),
    Case("depthwise", (normal(2, 3, 4), normal(3, 1, 3), normal(3)), {"groups": 3, "stride": 2}),
    Case("kernel of 1", (normal(2, 3, 4), normal(3, 2, 1), normal(2))),
    Case("more images than cells", (normal(5, 1, 2), normal(1, 2, 2), normal(2)), {"padding": 1, "stride": 2}),
    Case("±10,000", (normal(2, 2, 4, scale=1e4), normal(2, 2, 3, scale=1e4), normal(2))),
)

_cases2 = (
    Case("batch of 2", (normal(2, 2, 2, 3), normal(2, 2, 2, 3), normal(2))),
    Case("no batch, no bias", (normal(2, 2, 3), normal(2, 2, 2, 3))),
    Case("batch of 0", (normal(0, 2, 2, 3), normal(2, 2, 2, 2), normal(2)), zero=("grad_1", "grad_2")),
    Case(
        "stride, padding and output_padding",
        (normal(1, 2, 3, 2), normal(2, 2, 2, 3), normal(2)),
        {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 0)},
    ),
    Case(
        "groups and dilation",
        (normal(1, 2, 3, 2), normal(2, 2, 2, 2), normal(4)),
        {"dilation": (2, 1), "groups": 2, "padding": (0, 1)},
    ),
)

_cases3 = (
    Case("batch of 2", (normal(2, 1, 2, 2, 1), normal(1, 2, 2, 2, 2), normal(2))),
    Case("no batch", (normal(2, 2, 1, 2), normal(2, 2, 1, 2, 2), normal(2))),
    Case("batch of 0", (normal(0, 2, 2, 2, 2), normal(2, 2, 2, 2, 2)), zero=("grad_1",)),
    Case(
        "every constant",
        (normal(1, 2, 2, 2, 2), normal(2, 1, 2, 2, 1), normal(2)),
        {"stride": (1, 2, 3), "padding": (0, 1, 0), "output_padding": (0, 1, 2), "dilation": (2, 1, 1), "groups": 2},
    ),
)

OPERATIONS = (
    Operation(
        manual.conv_transpose1d,
        F.conv_transpose1d,
        _conv_transpose,
        cases=_cases1,
        small=Case("16 → 16 channels, kernel 4, 8 × 32", (normal(8, 16, 32), normal(16, 16, 4), normal(16)), {"stride": 2}),
        large=Case("64 → 64 channels, kernel 4, 16 × 1024", (normal(16, 64, 1024), normal(64, 64, 4), normal(64)), {"stride": 2}),
    ),
    Operation(
        manual.conv_transpose2d,
        F.conv_transpose2d,
        _conv_transpose,
        cases=_cases2,
        small=Case("16 → 8 channels, 2×2, 8 × 8×8", (normal(8, 16, 8, 8), normal(16, 8, 2, 2), normal(8)), {"stride": 2}),
        large=Case("64 → 32 channels, 2×2, 32 × 16×16", (normal(32, 64, 16, 16), normal(64, 32, 2, 2), normal(32)), {"stride": 2}),
    ),
    Operation(
        manual.conv_transpose3d,
        F.conv_transpose3d,
        _conv_transpose,
        cases=_cases3,
        small=Case("8 → 4 channels, 2×2×2, 2 × 4×4×4", (normal(2, 8, 4, 4, 4), normal(8, 4, 2, 2, 2), normal(4)), {"stride": 2}),
        large=Case(
            "32 → 16 channels, 2×2×2, 4 × 8×8×8", (normal(4, 32, 8, 8, 8), normal(32, 16, 2, 2, 2), normal(16)), {"stride": 2}
        ),
    ),
)

MODULES = (
    ModuleCase(build("ConvTranspose1d", 2, 3, 3), Case("batch of 2", (normal(2, 2, 4),))),
    ModuleCase(build("ConvTranspose1d", 4, 2, 2, 3, 1, 2, 2, False, 2), Case("every argument", (normal(4, 3),))),
    ModuleCase(build("ConvTranspose1d", 2, 3, 3, stride=3), Case("output_size", (normal(2, 2, 3),), {"output_size": (11,)})),
    ModuleCase(build("ConvTranspose2d", 2, 3, 2), Case("batch of 1", (normal(1, 2, 2, 3),))),
    ModuleCase(
        build("ConvTranspose2d", 2, 4, (2, 3), (2, 3), (1, 0), (1, 2), 2, False, (1, 2)), Case("every argument", (normal(2, 2, 3),))
    ),
    ModuleCase(
        build("ConvTranspose2d", 2, 1, 2, stride=2, padding=1),
        Case("whole output_size", (normal(1, 2, 2, 3),), {"output_size": (1, 1, 3, 4)}),
    ),
    ModuleCase(
        build("ConvTranspose2d", 2, 1, 2, stride=2, output_padding=1),
        Case("least output_size, no batch", (normal(2, 2, 2),), {"output_size": [4, 5]}),
    ),
    ModuleCase(build("ConvTranspose3d", 2, 1, (1, 2, 2)), Case("batch of 1", (normal(1, 2, 2, 1, 2),))),
    ModuleCase(
        build("ConvTranspose3d", 2, 2, (2, 1, 2), (1, 2, 1), (1, 0, 1), (0, 1, 0), 2), Case("no batch", (normal(2, 2, 2, 2),))
    ),
)
