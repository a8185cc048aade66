"""Adaptive pooling: to a given output size, over bins that share each axis evenly."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.axis_windows import AxisWindows, add, sliding
from manual.contract import (
    Array,
    Backward,
    per_axis,
    require_flags,
    require_floats,
    require_integer,
)
from manual.layers.average_pooling import means_of_windows
from manual.layers.max_pooling import Sizes, largest_of_windows, require_images
from manual.module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]

OutputSize = int | tuple[int | None, ...]  # for each axis, where `None` leaves it as it is, or one for all


def adaptive_avg_pool1d(x: Array, /, *, output_size: Sizes) -> tuple[Array, Backward]:
    """The mean of each of so many bins, which share a sequence evenly.

    Forward:   yᵢ = mean of x from ⌊i L / L′⌋ up to, but not including, ⌈(i + 1) L / L′⌉
    Backward:  grad_x[c] = Σ gᵢ / sizeᵢ over the bins that c is in: neighbours overlap where L′ does not divide L      (g = grad_y)
    Shapes:    x (N, C, L) or (C, L); y (N, C, L′) or (C, L′), L′ = output_size
    Source:    He, Zhang, Ren & Sun 2014, Spatial Pyramid Pooling in Deep Convolutional Networks
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_avg_pool2d(x: Array, /, *, output_size: OutputSize) -> tuple[Array, Backward]:
    """The mean of each of so many bins, which share an image evenly; along each axis as in `adaptive_avg_pool1d`.

    Forward:   y = mean of x over the bin
    Backward:  grad_x[cell] = Σ grad_y / size over the bins that the cell is in
    Shapes:    x (N, C, H, W) or (C, H, W); y (N, C, H′, W′) or (C, H′, W′), (H′, W′) = output_size; `None` in it keeps H or W
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, x, output_size)


def adaptive_avg_pool3d(x: Array, /, *, output_size: OutputSize) -> tuple[Array, Backward]:
    """The mean of each of so many bins, which share a volume evenly; along each axis as in `adaptive_avg_pool1d`.

    Forward:   y = mean of x over the bin
    Backward:  grad_x[cell] = Σ grad_y / size over the bins that the cell is in
    Shapes:    x (N, C, D, H, W) or (C, D, H, W); y the same with (D′, H′, W′) = output_size; `None` in it keeps a size
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, x, output_size)


def _adaptive_avg_pool(op: str, axes: int, x: Array, output_size: OutputSize) -> tuple[Array, Backward]:
    require_floats(op, "x", x)
    require_images(op, "x", x, axes, may_be_empty=1 if axes == 3 else x.ndim - axes)
    windows = _bins(op, axes, x, output_size)
    return means_of_windows(op, x, windows, [along.size for along in windows])


def _bins(op: str, axes: int, x: Array, output_size: OutputSize) -> list[AxisWindows]:
    """The bins along each of the last axes."""
    windows = []
    for axis, count in zip(range(-axes, 0), per_axis(op, "output_size", output_size, axes, "an integer")):
        cells = x.shape[axis]
        if count is None and axes > 1 and count is not output_size:
            count = cells
        count = require_integer(op, "output_size", count, 0)
        if count and cells % count == 0:
            windows.append(sliding(axis, cells, count, cells // count, cells // count, 0, 1))
        else:
            windows.append(_uneven_bins(axis, cells, count))
    return windows


def _uneven_bins(axis: int, cells: int, count: int) -> AxisWindows:
    """So many bins that share an axis of so many cells, some larger than others, or some overlapping."""
    behind = (slice(None),) * (-axis - 1)
    start, end = bins(cells, count)
    size = end - start
    taps = []
    for k in range(size.max(initial=0)):
        (seen,) = np.nonzero(size > k)
        taps.append(((..., seen, *behind), (..., start[seen] + k, *behind)))
    along = (count, *(1,) * len(behind))
    return AxisWindows(axis, start.reshape(along), 1, size.reshape(along), taps, add if count <= cells else np.add.at)


def bins(cells: int, count: int) -> tuple[Array, Array]:
    """Of each of so many bins that share so many cells evenly, start and end: ⌊i · cells / count⌋ and ⌈(i + 1) · cells / count⌉."""
    i = np.arange(count)
    return i * cells // count, -(-(i + 1) * cells // count)


class _AdaptiveAvgPool(Module):
    _operation: Callable[..., tuple[Array, Backward]]

    def __init__(self, output_size: OutputSize) -> None:
        self.output_size = output_size

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Pool `input`, with or without a batch."""
        return self.call(self._operation, input, output_size=self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """`adaptive_avg_pool1d` as a module."""

    _operation = staticmethod(adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`adaptive_avg_pool2d` as a module."""

    _operation = staticmethod(adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """`adaptive_avg_pool3d` as a module."""

    _operation = staticmethod(adaptive_avg_pool3d)


def adaptive_max_pool1d(x: Array, /, *, output_size: Sizes, return_indices: bool = False) -> tuple[Any, Backward]:
    """The largest number of each of so many bins, which share a sequence evenly.

    Forward:   yᵢ = max of x from ⌊i L / L′⌋ up to, but not including, ⌈(i + 1) L / L′⌉; where that is, is indexᵢ
    Backward:  grad_x[c] = Σ gᵢ over the bins with indexᵢ = c      (g = grad_y)
    Shapes:    x (N, C, L) or (C, L); y (N, C, L′) or (C, L′), L′ = output_size; with `return_indices` the output is (y, index)
    Kinks:     of equal numbers the first is the largest; of several NaN, the last
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, x, output_size, return_indices)


def adaptive_max_pool2d(x: Array, /, *, output_size: OutputSize, return_indices: bool = False) -> tuple[Any, Backward]:
    """The largest number of each of so many bins, which share an image evenly; along each axis as in `adaptive_max_pool1d`.

    Forward:   y = max of x over the bin; index = row · W + column of the cell where it is
    Backward:  grad_x[cell] = Σ grad_y over the bins of which it is the largest
    Shapes:    x (N, C, H, W) or (C, H, W); y (N, C, H′, W′) or (C, H′, W′), (H′, W′) = output_size; `None` in it keeps H or W
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, x, output_size, return_indices)


def adaptive_max_pool3d(x: Array, /, *, output_size: OutputSize, return_indices: bool = False) -> tuple[Any, Backward]:
    """The largest number of each of so many bins, which share a volume evenly; along each axis as in `adaptive_max_pool1d`.

    Forward:   y = max of x over the bin; index = (depth · H + row) · W + column of the cell where it is
    Backward:  grad_x[cell] = Σ grad_y over the bins of which it is the largest
    Shapes:    x (N, C, D, H, W) or (C, D, H, W); y the same with (D′, H′, W′) = output_size; `None` in it keeps a size
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, x, output_size, return_indices)


def _adaptive_max_pool(op: str, axes: int, x: Array, output_size: OutputSize, return_indices: bool) -> tuple[Any, Backward]:
    require_floats(op, "x", x)
    require_images(op, "x", x, axes, may_be_empty=1)
    require_flags(op, return_indices=return_indices)
    return largest_of_windows(op, x, _bins(op, axes, x, output_size)[::-1], return_indices)


class _AdaptiveMaxPool(Module):
    _operation: Callable[..., tuple[Any, Backward]]

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Array) -> tuple[Any, Backward]:
        """Pool `input`, with or without a batch."""
        return self.call(self._operation, input, output_size=self.output_size, return_indices=self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """`adaptive_max_pool1d` as a module."""

    _operation = staticmethod(adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """`adaptive_max_pool2d` as a module."""

    _operation = staticmethod(adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """`adaptive_max_pool3d` as a module."""

    _operation = staticmethod(adaptive_max_pool3d)
