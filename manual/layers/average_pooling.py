"""Average pooling and its generalisation to p-norms: a number for each window that slides over an image.

The sum over a window is the sum of the sums over its rows, so every axis is summed by itself. The first one comes first,
as whole rows are summed fastest.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.axis_windows import AxisWindows, by_images
from manual.contract import Array, Backward, cotangent, needed, require_flags, require_integer, require_number
from manual.layers.max_pooling import Sizes, largest_of_windows, sliding_windows
from manual.module import Module

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
]


def avg_pool1d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> tuple[Array, Backward]:
    """The mean of each window that slides over sequences.

    Forward:   yᵢ = Σₖ x[i·stride − padding + k] / dᵢ, 0 ≤ k < kernel_size
    Backward:  grad_x[c] = Σ gᵢ / dᵢ over the windows that c is in      (g = grad_y)
    Shapes:    x (N, C, L) or (C, L); y (N, C, L′) or (C, L′), L′ as in `max_pool1d`
    Corners:   dᵢ is the number of cells in the window. Those in the padding, which are 0, count if `count_include_pad`;
               those beyond it, which `ceil_mode` may bring, never do
    Source:    LeCun et al. 1990, Handwritten Digit Recognition with a Back-Propagation Network
    """
    return _avg_pool("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[Array, Backward]:
    """The mean of each window that slides over images; everything along each axis as in `avg_pool1d`.

    Forward:   y = Σ x over the window / d, where d is its number of cells, or `divisor_override`
    Backward:  grad_x[cell] = Σ grad_y / d over the windows that the cell is in
    Shapes:    x (N, C, H, W) or (C, H, W); y (N, C, H′, W′) or (C, H′, W′)
    """
    return _avg_pool("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    x: Array,
    /,
    *,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[Array, Backward]:
    """The mean of each window that slides over volumes; everything along each axis as in `avg_pool1d`.

    Forward:   y = Σ x over the window / d, where d is its number of cells, or `divisor_override`
    Backward:  grad_x[cell] = Σ grad_y / d over the windows that the cell is in
    Shapes:    x (N, C, D, H, W) or (C, D, H, W); y the same with D′, H′, W′
    """
    return _avg_pool("avg_pool3d", 3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_pool(
    op: str,
    axes: int,
    x: Array,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[Array, Backward]:
    require_flags(op, count_include_pad=count_include_pad)
    windows = _windows(op, axes, x, kernel_size, stride, padding, ceil_mode)
    if divisor_override is None:
        divisors: list[Any] = [_cells_of(along, x.shape[along.axis], count_include_pad) for along in windows]
    else:
        divisor = require_integer(op, "divisor_override", divisor_override)
        if divisor == 0:
            raise ValueError(f"{op}: divisor_override must be an integer other than 0, got 0")
        divisors = [divisor]
    return means_of_windows(op, x, windows, divisors)


def _windows(
    op: str, axes: int, x: Array, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, ceil_mode: bool
) -> list[AxisWindows]:
    windows = sliding_windows(op, axes, x, kernel_size, stride, padding, 1, ceil_mode)
    if axes == 3 and any(len(along.taps) > x.shape[along.axis] for along in windows):  # in torch, of volumes alone
        raise ValueError(f"{op}: kernel_size must be at most the size of x, {x.shape[-axes:]}, got {kernel_size}")
    return windows


def _cells_of(windows: AxisWindows, cells: int, count_include_pad: bool) -> Array:
    """How many cells each window has along its axis, with or without those in the padding."""
    if count_include_pad:
        return windows.size
    return np.minimum(windows.start + windows.size, cells) - np.maximum(windows.start, 0)


def means_of_windows(op: str, x: Array, windows: list[AxisWindows], divisors: list[Any]) -> tuple[Array, Backward]:
    """Sum along each axis and divide by the product of the divisors."""
    divisor = np.asarray(math.prod(divisors), x.dtype)
    y, backward_of_sums = sums_of_windows(x, windows)
    y /= divisor
    output_shape, dtype = y.shape, y.dtype

    def backward(grad_output, needs=None):
        (need_x,) = needed(op, needs, 1)
        grad_y = cotangent(op, grad_output, output_shape, dtype)
        return (backward_of_sums(grad_y / divisor) if need_x else None,)

    return y, backward


def sums_of_windows(x: Array, windows: list[AxisWindows]) -> tuple[Array, Callable[[Array], Array]]:
    """Sum along each axis; return the sums, and what gives each cell the sum of the gradients of its windows."""

    def pool(images):
        y, shapes = images, []
        for along in windows:
            shapes.append(y.shape)
            y = _sums_along(y, along)

        def backward(grad):
            for along, shape in zip(reversed(windows), reversed(shapes)):
                grad = _to_cells_along(grad, along, shape)
            return grad

        return (y,), backward

    (y,), backward = by_images(pool, x, len(windows))
    return y, backward


def _sums_along(x: Array, windows: AxisWindows) -> Array:
    """Along one axis, the sum of each window."""
    y = np.zeros_like(x, shape=windows.pooled(x.shape))
    for seen, cells in windows.taps:
        y[seen] += x[cells]
    return y


def _to_cells_along(grad_y: Array, windows: AxisWindows, shape: tuple[int, ...]) -> Array:
    """The gradient of each window, in all of its cells."""
    grad_x = np.zeros(shape, grad_y.dtype)
    for seen, cells in windows.taps:
        windows.add(grad_x, cells, grad_y[seen])
    return grad_x


_OF_MEANS = "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"


class _AvgPool(Module):
    _operation: Callable[..., tuple[Array, Backward]]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Pool `input`, with or without a batch."""
        constants = {name: getattr(self, name) for name in _OF_MEANS}
        return self.call(self._operation, input, **constants, divisor_override=self.divisor_override)


class AvgPool1d(Module):
    """`avg_pool1d` as a module."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Pool `input`, with or without a batch."""
        return self.call(avg_pool1d, input, **{name: getattr(self, name) for name in _OF_MEANS})


class AvgPool2d(_AvgPool):
    """`avg_pool2d` as a module."""

    _operation = staticmethod(avg_pool2d)


class AvgPool3d(_AvgPool):
    """`avg_pool3d` as a module."""

    _operation = staticmethod(avg_pool3d)


def lp_pool1d(
    x: Array, /, *, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> tuple[Array, Backward]:
    """The p-norm of each window that slides over sequences, without the absolute values.

    Forward:   y = z^(1/p),  z = s · Σ xᵖ over the window,  p = norm_type, s = kernel_size / cells that the window has
    Backward:  grad_x = Σ g · s · z^(1/p − 1) · xᵖ⁻¹ over the windows that x is in      (g = grad_y)
               p = ∞: y = max |x|, grad_x = Σ g · sign x over the windows of which it is the largest; p = −∞: y = min |x|
    Shapes:    x (N, C, L) or (C, L); y (N, C, L′) or (C, L′), L′ as in `max_pool1d`
    Kinks:     where z = 0 the gradient is 0, if xᵖ⁻¹ is finite; where z < 0 (negative x, odd p) y is NaN unless 1/p is an integer
    Corners:   s is 1, but in a window cut short by `ceil_mode`, which counts as if the missing cells were like the others
    Source:    Boureau, Ponce & LeCun 2010, A Theoretical Analysis of Feature Pooling in Visual Recognition
    """
    return _lp_pool("lp_pool1d", 1, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    x: Array, /, *, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> tuple[Array, Backward]:
    """The p-norm of each window that slides over images; everything as in `lp_pool1d`.

    Forward:   y = (s · Σ xᵖ over the window)^(1/p)
    Backward:  grad_x = Σ grad_y · s · z^(1/p − 1) · xᵖ⁻¹ over the windows that x is in, z = yᵖ
    Shapes:    x (N, C, H, W) or (C, H, W); y (N, C, H′, W′) or (C, H′, W′)
    """
    return _lp_pool("lp_pool2d", 2, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    x: Array, /, *, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> tuple[Array, Backward]:
    """The p-norm of each window that slides over volumes; everything as in `lp_pool1d`.

    Forward:   y = (s · Σ xᵖ over the window)^(1/p)
    Backward:  grad_x = Σ grad_y · s · z^(1/p − 1) · xᵖ⁻¹ over the windows that x is in, z = yᵖ
    Shapes:    x (N, C, D, H, W) or (C, D, H, W); y the same with D′, H′, W′
    """
    return _lp_pool("lp_pool3d", 3, x, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(
    op: str, axes: int, x: Array, norm_type: float, kernel_size: Sizes, stride: Sizes | None, ceil_mode: bool
) -> tuple[Array, Backward]:
    p = require_number(op, "norm_type", norm_type, "a number other than 0")
    if math.isinf(p):
        windows = sliding_windows(op, axes, x, kernel_size, stride, 0, 1, ceil_mode)
        return _largest_size(op, x, windows[::-1], 1.0 if p > 0.0 else -1.0)
    windows = _windows(op, axes, x, kernel_size, stride, 0, ceil_mode)
    cells = math.prod(along.size for along in windows)
    scale = np.asarray(math.prod(len(along.taps) for along in windows) / cells, x.dtype)
    with np.errstate(all="ignore"):  # what lies outside of the domain is NaN or ∞, as in torch
        z, backward_of_sums = sums_of_windows(x**p, windows)
        z *= scale
        y = z ** (1.0 / p)
    output_shape, dtype = y.shape, y.dtype

    def backward(grad_output, needs=None):
        (need_x,) = needed(op, needs, 1)
        grad_y = cotangent(op, grad_output, output_shape, dtype)
        if not need_x:
            return (None,)
        with np.errstate(all="ignore"):
            slope = np.where(z == 0.0, 0.0, scale * z ** (1.0 / p - 1.0))
            return (backward_of_sums(grad_y * slope) * x ** (p - 1.0),)

    return y, backward


def _largest_size(op: str, x: Array, windows: list[AxisWindows], sign: float) -> tuple[Array, Backward]:
    """The largest |x| of each window or, with a sign of −1, the smallest."""
    y, backward_of_largest = largest_of_windows(op, sign * np.abs(x), windows, return_indices=False)

    def backward(grad_output, needs=None):
        (grad,) = backward_of_largest(grad_output, needs)
        # 0 at NaN too, as in torch
        return (None if grad is None else grad * np.subtract(x > 0.0, x < 0.0, dtype=np.int8),)

    return sign * y, backward


class _LPPool(Module):
    _operation: Callable[..., tuple[Array, Backward]]

    def __init__(self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False) -> None:
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Pool `input`, with or without a batch."""
        constants = {"kernel_size": self.kernel_size, "stride": self.stride, "ceil_mode": self.ceil_mode}
        return self.call(self._operation, input, norm_type=self.norm_type, **constants)


class LPPool1d(_LPPool):
    """`lp_pool1d` as a module."""

    _operation = staticmethod(lp_pool1d)


class LPPool2d(_LPPool):
    """`lp_pool2d` as a module."""

    _operation = staticmethod(lp_pool2d)


class LPPool3d(_LPPool):
    """`lp_pool3d` as a module."""

    _operation = staticmethod(lp_pool3d)
