"""Max pooling: the largest number of each window that slides over an image, and the way back into the cell it came from.

The largest of a window is the largest among the largest of its rows, so every axis is pooled by itself, the last one first. That
order also finds, of several cells that share the largest number, the first as one reads.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.arrays import where_true
from manual.axis_windows import AxisWindows, add_each, by_images, sliding
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_flags,
    require_floats,
    require_integers,
)
from manual.module import Module

__all__ = [
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

Sizes = int | tuple[int, ...]  # one for each axis, or one for all


def max_pool1d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Backward]:
    """The largest number of each window that slides over sequences.

    Forward:   yᵢ = max over k of x[i·stride − padding + k·dilation], 0 ≤ k < kernel_size; where that is, is indexᵢ
    Backward:  grad_x[c] = Σ gᵢ over the windows with indexᵢ = c      (g = grad_y)
    Shapes:    x (N, C, L) or (C, L); y (N, C, L′) or (C, L′); with `return_indices` the output is (y, index), of the same shape
               L′ = ⌊(L + 2·padding − dilation·(kernel_size − 1) − 1) / stride⌋ + 1; `stride` is kernel_size unless it is given.
               With `ceil_mode` ⌈…⌉: the last window may reach beyond the padding, but not begin there
    Kinks:     of equal numbers the first is the largest; of several NaN, the last; the padding is −∞, and never wins
    Source:    Ranzato, Huang, Boureau & LeCun 2007, Unsupervised Learning of Invariant Feature Hierarchies
    """
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Backward]:
    """The largest number of each window that slides over images; everything along each axis as in `max_pool1d`.

    Forward:   y = max of x over the window; index = row · W + column of the cell where it is
    Backward:  grad_x[cell] = Σ grad_y over the windows of which it is the largest
    Shapes:    x (N, C, H, W) or (C, H, W); y (N, C, H′, W′) or (C, H′, W′); with `return_indices` the output is (y, index)
    """
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Any, Backward]:
    """The largest number of each window that slides over volumes; everything along each axis as in `max_pool1d`.

    Forward:   y = max of x over the window; index = (depth · H + row) · W + column of the cell where it is
    Backward:  grad_x[cell] = Σ grad_y over the windows of which it is the largest
    Shapes:    x (N, C, D, H, W) or (C, D, H, W); y the same with D′, H′, W′; with `return_indices` the output is (y, index)
    """
    return _max_pool("max_pool3d", 3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(
    op: str,
    axes: int,
    x: Array,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    return_indices: bool,
) -> tuple[Any, Backward]:
    require_flags(op, return_indices=return_indices)
    windows = sliding_windows(op, axes, x, kernel_size, stride, padding, dilation, ceil_mode)
    return largest_of_windows(op, x, windows[::-1], return_indices)


def sliding_windows(
    op: str,
    axes: int,
    x: Array,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> list[AxisWindows]:
    """The windows along each of the last axes, in the order of these."""
    require_floats(op, "x", x)
    require_images(op, "x", x, axes, x.ndim - axes - 1)
    require_flags(op, ceil_mode=ceil_mode)
    kernels = require_integers(op, "kernel_size", kernel_size, axes, 1)
    strides = kernels if stride is None else require_integers(op, "stride", stride, axes, 1)
    paddings = require_integers(op, "padding", padding, axes, 0)
    dilations = require_integers(op, "dilation", dilation, axes, 1)
    windows = []
    for axis, kernel, step, pad, gap in zip(range(-axes, 0), kernels, strides, paddings, dilations):
        if pad > kernel // 2:
            raise ValueError(f"{op}: padding must be at most half of kernel_size {kernel_size}, got {padding}")
        cells = x.shape[axis]
        room = cells + 2 * pad - gap * (kernel - 1) - 1
        count = room // step + 1
        if ceil_mode and room % step and count * step < cells + pad:  # one more window, which must not begin in the padding
            count += 1
        if count < 1:
            raise ValueError(f"{op}: kernel_size must fit into x of shape {x.shape} with its padding, got {kernel_size}")
        windows.append(sliding(axis, cells, count, kernel, step, pad, gap))
    return windows


def require_images(op: str, name: str, x: Array, axes: int, may_be_empty: int) -> None:
    """Refuse what are no channels over so many axes, with or without a batch, or is empty but for so many leading axes."""
    if x.ndim not in (axes + 1, axes + 2) or 0 in x.shape[may_be_empty:]:
        sizes = ", ".join("DHW"[-axes:])
        raise ValueError(f"{op}: {name} must have shape (N, C, {sizes}) or (C, {sizes}), not empty, got {x.shape}")


def largest_of_windows(op: str, x: Array, windows: list[AxisWindows], return_indices: bool) -> tuple[Any, Backward]:
    """Pool along each axis, the last first; return the largest, with its index in the image where that is asked for."""

    def pool(images):
        return _largest_of_images(images, windows, return_indices)

    # Where each image has windows of its own, they stay together
    outputs, backward_of_images = pool(x) if windows[0].start.ndim == x.ndim else by_images(pool, x, len(windows))
    output_shape, dtype = outputs[0].shape, x.dtype

    def backward(grad_output, needs=None):
        (need_x,) = needed(op, needs, 1)
        grad = cotangent(op, _without_indices(op, grad_output) if return_indices else grad_output, output_shape, dtype)
        return (backward_of_images(grad) if need_x else None,)

    return outputs if return_indices else outputs[0], backward


def _largest_of_images(
    x: Array, windows: list[AxisWindows], return_indices: bool
) -> tuple[tuple[Array, ...], Callable[[Array], Array]]:
    y, index, cells, passes = x, None, 1, []
    for along in windows:
        shape = y.shape
        y, place = _largest_along(y, along)
        passes.append((along, shape, place))
        if return_indices:
            coordinate = along.start + along.dilation * place.astype(np.int64)
            np.minimum(coordinate, shape[along.axis] - 1, out=coordinate)  # of a window wholly in the padding, any cell
            index = coordinate if index is None else np.take_along_axis(index, coordinate, along.axis) + cells * coordinate
            cells *= shape[along.axis]

    def backward(grad):
        for along, shape, place in reversed(passes):
            grad = _to_largest_along(grad, along, shape, place)
        return grad

    return (y,) if index is None else (y, index), backward


def _largest_along(x: Array, windows: AxisWindows) -> tuple[Array, Array]:
    """Along one axis, the largest number of each window and the place in the window where it is."""
    shape = windows.pooled(x.shape)
    y = np.full_like(x, -np.inf, shape=shape)
    place = np.empty_like(x, np.min_scalar_type(len(windows.taps)), shape=shape)
    place[...] = np.maximum(-(windows.start // windows.dilation), 0)  # the first that is not padding
    for k, (seen, cells) in enumerate(windows.taps):
        candidate = x[cells].copy("K")
        if k == 0:
            y[seen] = candidate
            continue
        largest, where = y[seen], place[seen]
        takes = candidate > largest
        takes |= np.isnan(candidate)
        # What slices see is changed in place, and assigned to itself, which costs nothing; what indices take is put back
        y[seen] = np.maximum(largest, candidate, out=largest)
        place[seen] = np.maximum(where, takes * where.dtype.type(k), out=where)  # bytes, and so faster than any choice
    return y, place


def _to_largest_along(grad_y: Array, windows: AxisWindows, shape: tuple[int, ...], place: Array) -> Array:
    """The gradient of each window, in the cell of its largest number."""
    if windows.add is add_each:  # some cells are there several times: all go at once, by the cells' numbers in one axis
        before, cells, behind = math.prod(shape[: windows.axis]), shape[windows.axis], math.prod(shape[windows.axis :][1:])
        cell = (windows.start + place).reshape(before, place.shape[windows.axis], behind)
        cell = (np.arange(before)[:, None, None] * cells + cell) * behind + np.arange(behind)
        grad_x = np.zeros(math.prod(shape), grad_y.dtype)
        add_each(grad_x, cell.reshape(-1), grad_y.reshape(-1))
        return grad_x.reshape(shape)
    grad_x = np.zeros_like(grad_y, shape=shape)
    for k, (seen, cells) in enumerate(windows.taps):
        windows.add(grad_x, cells, where_true(place[seen] == k, grad_y[seen]))
    return grad_x


def _without_indices(op: str, grad_output: Any) -> Any:
    """Of the cotangents of (y, index), the first; the second must be `None`."""
    if not isinstance(grad_output, (tuple, list)) or len(grad_output) != 2 or grad_output[1] is not None:
        raise TypeError(f"{op}: grad_output must be (grad_y, None), as indices have no gradient, got {grad_output!r}")
    return grad_output[0]


class _MaxPool(Module):
    _operation: Callable[..., tuple[Any, Backward]]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Array) -> tuple[Any, Backward]:
        """Pool `input`, with or without a batch."""
        return self.call(
            self._operation,
            input,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool1d(_MaxPool):
    """`max_pool1d` as a module."""

    _operation = staticmethod(max_pool1d)


class MaxPool2d(_MaxPool):
    """`max_pool2d` as a module."""

    _operation = staticmethod(max_pool2d)


class MaxPool3d(_MaxPool):
    """`max_pool3d` as a module."""

    _operation = staticmethod(max_pool3d)
