"""Cases of fractional max pooling, all on given random samples."""

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.max_pooling import each_axis, largest_of, ties


def _starts(sample, size, count, kernel):
    """Where the windows begin along an axis; the samples are such that no rounding decides."""
    if count == 1:
        return [size - kernel]
    u, alpha = Fraction(float(sample)), Fraction(size - kernel, count - 1)
    return [floor((i + u) * alpha) - floor(u * alpha) for i in range(count - 1)] + [size - kernel]


def _definition(axes):
    def fractional(x, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        sizes, kernels = x.shape[-axes:], each_axis(kernel_size, axes)
        if output_size is None:
            output_size = tuple(int(n * ratio) for n, ratio in zip(sizes, output_ratio))
        counts, samples = each_axis(output_size, axes), _random_samples[..., ::-1] if axes == 2 else _random_samples
        shape = (*x.shape[:-axes], *counts)
        numbers, indices = np.empty((2, *shape), dtype=object)
        for place in np.ndindex(x.shape[:-axes]):
            u = samples[(0, *place)[-2:]]
            windows = [[range(s, s + k) for s in _starts(*given)] for *given, k in zip(u, sizes, counts, kernels, kernels)]
            numbers[place], indices[place] = largest_of(x[place], windows, return_indices=True)
        return (numbers, indices) if return_indices else numbers

    return fractional


def _torch(function):
    """Torch's function, with the samples in the dtype of the input, which it takes from nowhere."""

    def fractional(x, _random_samples, **constants: Any):
        return function(x, _random_samples=torch.as_tensor(_random_samples, dtype=x.dtype), **constants)

    return fractional


def samples(*shape: int):
    """Random samples, of 16 values, always the same ones."""
    return np.random.default_rng(5).integers(0, 16, shape) / 16


def _case(label, draw, _random_samples, **constants: Any):
    smooth = not label.startswith("ties")
    return Case(label, (draw,), {**constants, "_random_samples": _random_samples}, smooth=smooth)


_2d = (
    _case("2×2", normal(2, 2, 7, 8), samples(2, 2, 2), kernel_size=2, output_size=3),
    _case("indices", normal(2, 2, 6, 7), samples(2, 2, 2), kernel_size=(2, 3), output_size=(4, 2), return_indices=True),
    _case("ratio", normal(2, 6, 8), samples(1, 2, 2), kernel_size=2, output_ratio=(0.5, 0.75), return_indices=True),
    _case("size and ratio", normal(2, 5, 6), samples(1, 2, 2), kernel_size=2, output_size=3, output_ratio=(0.4, 0.4)),
    _case("one window", normal(2, 5, 6), samples(1, 2, 2), kernel_size=3, output_size=(1, 4)),
    _case("every window", normal(2, 5, 6), samples(1, 2, 2), kernel_size=2, output_size=(4, 5)),
    _case("more samples than images", normal(1, 2, 5, 5), samples(3, 2, 2), kernel_size=2, output_size=2),
    _case("batch of 0", normal(0, 2, 5, 5), samples(0, 2, 2), kernel_size=2, output_size=2),
    _case("ties", ties(2, 6, 6), samples(1, 2, 2), kernel_size=3, output_size=3, return_indices=True),
)
_3d = (
    _case("2×2×2", normal(2, 1, 5, 4, 6), samples(2, 1, 3), kernel_size=2, output_size=(3, 2, 2)),
    _case("ratio", normal(2, 4, 5, 6), samples(1, 2, 3), kernel_size=(1, 2, 3), output_ratio=(0.5, 0.4, 0.5), return_indices=True),
)


def _benchmark(label, shape, axes, output_size):
    return _case(label, normal(*shape), samples(*shape[:-axes], axes), kernel_size=2, output_size=output_size)


OPERATIONS = (
    Operation(
        manual.fractional_max_pool2d,
        _torch(F.fractional_max_pool2d),
        _definition(2),
        cases=_2d,
        small=_benchmark("2×2, 16×16×8×8", (16, 16, 8, 8), 2, 5),
        large=_benchmark("2×2, 16×32×56×56", (16, 32, 56, 56), 2, 40),
    ),
    Operation(
        manual.fractional_max_pool3d,
        _torch(F.fractional_max_pool3d),
        _definition(3),
        cases=_3d,
        small=_benchmark("2×2×2, 4×4×8×8×8", (4, 4, 8, 8, 8), 3, 5),
        large=_benchmark("2×2×2, 4×16×24×24×24", (4, 16, 24, 24, 24), 3, 16),
    ),
)

MODULES = (
    ModuleCase(
        build("FractionalMaxPool2d", 2, (3, 2), return_indices=True, _random_samples=samples(2, 2, 2)),
        Case("indices", (normal(2, 2, 5, 6),)),
    ),
    ModuleCase(
        build("FractionalMaxPool2d", 2, output_ratio=(0.5, 0.7), _random_samples=samples(1, 2, 2)),
        Case("ratio", (normal(2, 5, 6),)),
    ),
    ModuleCase(
        build("FractionalMaxPool3d", 2, output_ratio=0.5, _random_samples=samples(1, 2, 3)),
        Case("ratio", (normal(2, 4, 4, 5),)),
    ),
    ModuleCase(
        build("FractionalMaxPool3d", 2, 2, _random_samples=samples(1, 2, 3)),
        Case("2×2×2", (normal(1, 2, 4, 4, 5),)),
    ),
)
