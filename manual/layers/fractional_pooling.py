"""Fractional max pooling: windows whose distance is no integer, begun at random places."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.axis_windows import AxisWindows, add_each
from manual.contract import Array, Backward, require_flags, require_floats, require_generator, require_integers, require_numbers
from manual.layers.max_pooling import Sizes, largest_of_windows, require_images
from manual.module import Module

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d", "fractional_max_pool2d", "fractional_max_pool3d"]

Ratios = float | tuple[float, ...]  # one for each axis, or one for all
RATIO = "a number from 0 to 1"


def fractional_max_pool2d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Any, Backward]:
    """The largest number of each of so many windows, at random places of an image, in each channel others.

    Forward:   y = max of x over the window; index = row · W + column of the cell where it is
               along an axis of n cells, window i of m begins at ⌊(i + u) α⌋ − ⌊u α⌋, α = (n − kernel_size) / (m − 1), and the
               last one at n − kernel_size; u is the channel's random sample for that axis
    Backward:  grad_x[cell] = Σ grad_y over the windows of which it is the largest
    Shapes:    x (N, C, H, W) or (C, H, W); y (N, C, H′, W′) or (C, H′, W′); with `return_indices` the output is (y, index)
               (H′, W′) is output_size, or else each size times output_ratio, rounded down; `_random_samples` (N, C, 2), in the
               order (W, H), uniform in [0, 1), are drawn by `generator` unless given; N is 1 where there is no batch
    Kinks:     as in `max_pool2d`
    Source:    Graham 2014, Fractional Max-Pooling
    """
    given = kernel_size, output_size, output_ratio, return_indices, _random_samples, generator
    return _fractional_max_pool("fractional_max_pool2d", 2, x, *given)


def fractional_max_pool3d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: Ratios | None = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Any, Backward]:
    """The largest number of each of so many windows, at random places of a volume; everything as in `fractional_max_pool2d`.

    Forward:   y = max of x over the window; index = (depth · H + row) · W + column of the cell where it is
    Backward:  grad_x[cell] = Σ grad_y over the windows of which it is the largest
    Shapes:    x (N, C, D, H, W) or (C, D, H, W); y the same with D′, H′, W′; `_random_samples` (N, C, 3) in the order (D, H, W)
    """
    given = kernel_size, output_size, output_ratio, return_indices, _random_samples, generator
    return _fractional_max_pool("fractional_max_pool3d", 3, x, *given)


def _fractional_max_pool(
    op: str,
    axes: int,
    x: Array,
    kernel_size: Sizes,
    output_size: Sizes | None,
    output_ratio: Ratios | None,
    return_indices: bool,
    samples: Array | None,
    generator: np.random.Generator | None,
) -> tuple[Any, Backward]:
    require_floats(op, "x", x)
    require_images(op, "x", x, axes, may_be_empty=1)
    require_flags(op, return_indices=return_indices)
    require_generator(op, generator)
    kernels = require_integers(op, "kernel_size", kernel_size, axes, 1)
    counts = _counts(op, x.shape[-axes:], output_size, output_ratio)
    batch, channels = (1, *x.shape)[-axes - 2 : -axes]
    if samples is None:
        samples = np.random.default_rng(generator).random((batch, channels, axes), x.dtype)
    else:
        _require_samples(op, samples, (batch, channels, axes))
        samples = samples[:batch].astype(x.dtype)
    if axes == 2:
        samples = samples[..., ::-1]
    windows, shape = [], x.shape
    for axis in range(-1, -axes - 1, -1):
        cells, count, kernel = x.shape[axis], counts[axis], kernels[axis]
        if count + kernel - 1 > cells - (axes == 3):  # torch leaves a cell unused in volumes
            raise ValueError(f"{op}: output_size must be at most {cells - kernel + 1 - (axes == 3)} along axis {axis}, got {count}")
        start = _starts(samples[..., axis].reshape(x.shape[:-axes]), cells, count, kernel)
        start = start.reshape(*start.shape[:-1], *(count if each == axis else 1 for each in range(-axes, 0)))
        windows.append(_scattered(axis, start, kernel, shape))
        shape = windows[-1].pooled(shape)
    return largest_of_windows(op, x, windows, return_indices)


def _counts(op: str, sizes: tuple[int, ...], output_size: Sizes | None, output_ratio: Ratios | None) -> tuple[int, ...]:
    """How many windows there are along each axis."""
    if output_ratio is not None:
        ratios = require_numbers(op, "output_ratio", output_ratio, len(sizes), RATIO)
        if output_size is None:
            return tuple([int(size * ratio) for size, ratio in zip(sizes, ratios)])
    elif output_size is None:
        raise ValueError(f"{op}: output_size or output_ratio must be given")
    return require_integers(op, "output_size", output_size, len(sizes), 0)


def _require_samples(op: str, samples: Array, shape: tuple[int, ...]) -> None:
    """Refuse what are not at least so many numbers from 0 to 1."""
    require_floats(op, "_random_samples", samples)
    if samples.ndim != 3 or samples.shape[0] < shape[0] or samples.shape[1:] != shape[1:]:
        raise ValueError(f"{op}: _random_samples must have shape {shape}, got {samples.shape}")
    if not ((samples >= 0.0) & (samples <= 1.0)).all():
        raise ValueError(f"{op}: _random_samples must hold numbers from 0 to 1")


def _starts(samples: Array, cells: int, count: int, kernel: int) -> Array:
    """Where the windows begin along an axis, in each channel: ⌊(i + u) α⌋ − ⌊u α⌋, as rounded in the format of the samples."""
    start = np.full((*samples.shape, count), cells - kernel)
    if count > 1:
        u, i = samples[..., None], np.arange(count - 1, dtype=samples.dtype)
        alpha = samples.dtype.type(cells - kernel) / samples.dtype.type(count - 1)
        start[..., :-1] = ((i + u) * alpha).astype(int) - (u * alpha).astype(int)
    return start


def _scattered(axis: int, start: Array, kernel: int, shape: tuple[int, ...]) -> AxisWindows:
    """AxisWindows that begin in each channel elsewhere, along an axis of arrays of this shape."""
    taps: list[tuple[Any, Any]] = []
    for k in range(kernel):
        mesh = list(np.ogrid[tuple(map(slice, shape))])
        mesh[axis] = start + k
        taps.append((..., tuple(mesh)))
    return AxisWindows(axis, start, 1, kernel, taps, add_each)


class _FractionalMaxPool(Module):
    _operation: Callable[..., tuple[Any, Backward]]
    _random_samples: Array | None

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Sizes | None = None,
        output_ratio: Ratios | None = None,
        return_indices: bool = False,
        _random_samples: Array | None = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        op = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{op}: output_size or output_ratio must be given, and not both, got {output_size} and {output_ratio}")
        axes = int(op[-2])
        ratios = () if output_ratio is None else require_numbers(op, "output_ratio", output_ratio, axes, RATIO)
        if not all(0 < ratio < 1 for ratio in ratios):
            raise ValueError(f"{op}: output_ratio must be between 0 and 1, got {output_ratio}")
        require_generator(op, generator)
        self.kernel_size, self.output_size, self.output_ratio = kernel_size, output_size, output_ratio
        self.return_indices, self.generator = return_indices, generator
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Array) -> tuple[Any, Backward]:
        """Pool `input`, with or without a batch."""
        return self.call(
            self._operation,
            input,
            kernel_size=self.kernel_size,
            output_size=self.output_size,
            output_ratio=self.output_ratio,
            return_indices=self.return_indices,
            _random_samples=self._random_samples,
            generator=self.generator,
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """`fractional_max_pool2d` as a module."""

    _operation = staticmethod(fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """`fractional_max_pool3d` as a module."""

    _operation = staticmethod(fractional_max_pool3d)
