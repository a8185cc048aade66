"""Cases of fold, unfold, and the convolution of sequences time by time."""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.convolution import at_windows, correlation_terms, each_axis


def _counts(size, kernel, dilation, padding, stride):
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip(size, kernel, dilation, padding, stride)]


def _unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    kernel, dilation, padding, stride = (each_axis(value, 2) for value in (kernel_size, dilation, padding, stride))
    counts = _counts(x.shape[-2:], kernel, dilation, padding, stride)
    seen = [at_windows(x, position, counts, stride, dilation, padding) for position in product(*map(range, kernel))]
    return np.stack(seen, axis=-3).reshape(*x.shape[:-3], x.shape[-3] * len(seen), counts[0] * counts[1])


def _fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    size, kernel, dilation, padding, stride = (each_axis(v, 2) for v in (output_size, kernel_size, dilation, padding, stride))
    counts = _counts(size, kernel, dilation, padding, stride)
    columns = x.reshape(*x.shape[:-2], x.shape[-2] // (kernel[0] * kernel[1]), *kernel, *counts)
    terms = []
    for row, column in product(*map(range, kernel)):
        term = np.zeros((*columns.shape[:-4], *size), dtype=object)
        for i, j in product(*map(range, counts)):
            place = row * dilation[0] + i * stride[0] - padding[0], column * dilation[1] + j * stride[1] - padding[1]
            if all(0 <= cell < n for cell, n in zip(place, size)):
                term[(..., *place)] = columns[..., row, column, i, j]
        terms.append(term)
    return terms


def _conv_tbc(x, weight, bias, pad=0):
    counts = [len(x) + 2 * pad - len(weight) + 1]
    terms = correlation_terms(x.transpose(1, 2, 0), weight.transpose(2, 1, 0), bias, counts, [1], [1], [pad])
    return [term.transpose(2, 0, 1) for term in terms]


_every = {"kernel_size": (2, 3), "dilation": (2, 1), "padding": (1, 2), "stride": (1, 2)}

OPERATIONS = (
    Operation(
        manual.unfold,
        F.unfold,
        _unfold,
        cases=(
            Case("batch of 2", (normal(2, 2, 3, 4),), {"kernel_size": 2}),
            Case("no batch", (normal(2, 3, 4),), {"kernel_size": (2, 3)}),
            Case("batch of 0", (normal(0, 2, 3, 4),), {"kernel_size": 2}),
            Case("every constant", (normal(1, 2, 4, 5),), _every),
            Case("stride that leaves cells over", (normal(1, 1, 5, 4),), {"kernel_size": 2, "stride": 3}),
            Case("kernel of 1", (normal(2, 2, 2, 3),), {"kernel_size": 1}),
            Case("padding wider than x", (normal(1, 1, 1, 2),), {"kernel_size": 2, "padding": 2}),
        ),
        small=Case("8 channels, 3×3, 4 × 16×16", (normal(4, 8, 16, 16),), {"kernel_size": 3, "padding": 1}),
        large=Case("32 channels, 3×3, 16 × 32×32", (normal(16, 32, 32, 32),), {"kernel_size": 3, "padding": 1}),
    ),
    Operation(
        manual.fold,
        F.fold,
        _fold,
        cases=(
            Case("batch of 2", (normal(2, 8, 6),), {"output_size": (3, 4), "kernel_size": 2}),
            Case("no batch", (normal(12, 4),), {"output_size": (3, 4), "kernel_size": (2, 3)}),
            Case("batch of 0", (normal(0, 8, 6),), {"output_size": (3, 4), "kernel_size": 2}),
            Case("every constant", (normal(1, 12, 16),), {"output_size": (4, 5), **_every}),
            Case("stride that leaves cells over", (normal(1, 4, 2),), {"output_size": (5, 4), "kernel_size": 2, "stride": 3}),
            Case("kernel of 1", (normal(2, 2, 6),), {"output_size": (2, 3), "kernel_size": 1}),
            Case("one cell", (normal(2, 4, 4),), {"output_size": 1, "kernel_size": 2, "padding": 1}),
        ),
        small=Case("8 channels, 3×3, 4 × 16×16", (normal(4, 72, 256),), {"output_size": 16, "kernel_size": 3, "padding": 1}),
        large=Case("32 channels, 3×3, 16 × 32×32", (normal(16, 288, 1024),), {"output_size": 32, "kernel_size": 3, "padding": 1}),
    ),
    Operation(
        manual.conv_tbc,
        torch.conv_tbc,
        _conv_tbc,
        cases=(
            Case("batch of 2", (normal(4, 2, 2), normal(3, 2, 3), normal(3))),
            Case("pad", (normal(3, 2, 2), normal(2, 2, 3), normal(3)), {"pad": 2}),
            Case("batch of 0", (normal(4, 0, 2), normal(3, 2, 3), normal(3)), zero=("grad_1", "grad_2")),
            Case("batch of 1", (normal(3, 1, 1), normal(1, 1, 1), normal(1))),
        ),
        small=Case("16 → 16 channels, kernel 3, 64 × 8", (normal(64, 8, 16), normal(3, 16, 16), normal(16)), {"pad": 1}),
        large=Case("64 → 64 channels, kernel 3, 1024 × 16", (normal(1024, 16, 64), normal(3, 64, 64), normal(64)), {"pad": 1}),
    ),
)

MODULES = (
    ModuleCase(build("Unfold", 2), Case("batch of 2", (normal(2, 2, 3, 4),))),
    ModuleCase(build("Unfold", (2, 3), (2, 1), (1, 2), (1, 2)), Case("every argument, no batch", (normal(2, 4, 5),))),
    ModuleCase(build("Fold", (3, 4), 2), Case("batch of 2", (normal(2, 8, 6),))),
    ModuleCase(build("Fold", (4, 5), (2, 3), (2, 1), (1, 2), (1, 2)), Case("every argument, no batch", (normal(12, 16),))),
)
