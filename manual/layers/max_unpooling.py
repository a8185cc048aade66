"""Max unpooling: the largest numbers put back into the cells they came from, with 0 in all others."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.contract import Array, Backward, cotangent, needed, require_floats, require_indices, require_integers, require_shape
from manual.layers.max_pooling import Sizes, require_images
from manual.module import Module

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"]


def max_unpool1d(
    x: Array,
    indices: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: tuple[int, ...] | None = None,
) -> tuple[Array, Backward]:
    """Put what `max_pool1d` found back where it was.

    Forward:   y[indexᵢ] = xᵢ, 0 elsewhere
    Backward:  grad_xᵢ = grad_y[indexᵢ]
    Shapes:    x and indices (N, C, L′) or (C, L′); y (N, C, L) or (C, L), L = (L′ − 1)·stride + kernel_size − 2·padding unless
               `output_size` is given, (L,) or (N, C, L): pooling rounds down, and so several lengths have the same L′
    Corners:   of several numbers for one cell the last is kept, and each of them gets the gradient of the cell, as in torch
    Source:    Zeiler & Fergus 2014, Visualizing and Understanding Convolutional Networks
    """
    return _max_unpool("max_unpool1d", 1, x, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    x: Array,
    indices: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: tuple[int, ...] | None = None,
) -> tuple[Array, Backward]:
    """Put what `max_pool2d` found back where it was; everything along each axis as in `max_unpool1d`.

    Forward:   y[index] = x, where index = row · W + column; 0 elsewhere
    Backward:  grad_x = grad_y[index]
    Shapes:    x and indices (N, C, H′, W′) or (C, H′, W′); y (N, C, H, W) or (C, H, W); `output_size` (H, W) or (N, C, H, W)
    """
    return _max_unpool("max_unpool2d", 2, x, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    x: Array,
    indices: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: tuple[int, ...] | None = None,
) -> tuple[Array, Backward]:
    """Put what `max_pool3d` found back where it was; everything along each axis as in `max_unpool1d`.

    Forward:   y[index] = x, where index = (depth · H + row) · W + column; 0 elsewhere
    Backward:  grad_x = grad_y[index]
    Shapes:    x and indices (N, C, D′, H′, W′) or (C, D′, H′, W′); y the same with D, H, W;
               `output_size` (D, H, W) or (N, C, D, H, W)
    """
    return _max_unpool("max_unpool3d", 3, x, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    op: str,
    axes: int,
    x: Array,
    indices: Array,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    output_size: tuple[int, ...] | None,
) -> tuple[Array, Backward]:
    require_floats(op, "x", x)
    require_images(op, "x", x, axes, may_be_empty=1)
    require_indices(op, "indices", indices)
    require_shape(op, "indices", indices, x.shape)
    kernels = require_integers(op, "kernel_size", kernel_size, axes)
    strides = kernels if stride is None else require_integers(op, "stride", stride, axes, 1)
    paddings = require_integers(op, "padding", padding, axes)
    sizes = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(x.shape[-axes:], kernels, strides, paddings)]
    if output_size is not None:
        sizes = _require_output_size(op, output_size, sizes, strides)
    if min(sizes) < 0:
        raise ValueError(f"{op}: padding must leave an output, got {padding}, and with it sizes of {sizes}")
    cells, output_shape, dtype = math.prod(sizes), (*x.shape[:-axes], *sizes), x.dtype
    if indices.size and not (indices.min() >= 0 and indices.max() < cells):
        raise ValueError(f"{op}: indices must lie in [0, {cells}) for an output of {sizes}, got {indices.min()} to {indices.max()}")
    # Where each number goes among the cells of all images; in one axis, where the last of several for one cell is written last
    images = math.prod(x.shape[:-axes])
    in_image = indices.reshape(images, math.prod(x.shape[-axes:])).astype(np.intp)
    places = (in_image + cells * np.arange(images)[:, None]).reshape(-1)
    y = np.zeros(images * cells, dtype)
    y[places] = x.reshape(-1)

    def backward(grad_output, needs=None):
        need_x, _ = needed(op, needs, 2)
        grad_y = cotangent(op, grad_output, output_shape, dtype)
        if not need_x:
            return None, None
        return grad_y.take(places).reshape(x.shape), None

    return y.reshape(output_shape), backward


def _require_output_size(op: str, output_size: Any, sizes: list[int], strides: tuple[int, ...]) -> list[int]:
    """The sizes asked for, each less than a stride away from what it would be otherwise."""
    axes = len(sizes)
    if not isinstance(output_size, (tuple, list)):
        raise TypeError(f"{op}: output_size must be a tuple of {axes} or {axes + 2} integers, got {output_size!r}")
    if len(output_size) not in (axes, axes + 2):
        raise ValueError(f"{op}: output_size must be a tuple of {axes} or {axes + 2} integers, got {output_size}")
    asked = list(require_integers(op, "output_size", output_size[-axes:], axes))
    if any(abs(a - size) >= stride for a, size, stride in zip(asked, sizes, strides)):
        raise ValueError(f"{op}: output_size must differ from {sizes} by less than the stride {strides}, got {output_size}")
    return asked


class _MaxUnpool(Module):
    _operation: Callable[..., tuple[Array, Backward]]

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, input: Array, indices: Array, output_size: tuple[int, ...] | None = None) -> tuple[Array, Backward]:
        """Put the numbers of `input` where `indices` say."""
        constants = {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}
        return self.call(self._operation, input, indices, **constants, output_size=output_size)


class MaxUnpool1d(_MaxUnpool):
    """`max_unpool1d` as a module."""

    _operation = staticmethod(max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """`max_unpool2d` as a module."""

    _operation = staticmethod(max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """`max_unpool3d` as a module."""

    _operation = staticmethod(max_unpool3d)
