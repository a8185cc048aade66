"""Images written out as what windows see, and added up again; and the convolution of sequences that come time by time.

`unfold` and `fold` are transposes of one another: each is the other's backward.
"""

import math
from typing import Any

import numpy as np

from manual.contract import Array, Backward, cotangent, needed, require_floats, require_integer, require_integers, require_shape
from manual.layers.convolution import batch, convolution, spans
from manual.module import Module
from manual.windows import Sizes, taps

__all__ = ["Fold", "Unfold", "conv_tbc", "fold", "unfold"]


def unfold(
    x: Array,
    /,
    *,
    kernel_size: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    stride: int | tuple[int, ...] = 1,
) -> tuple[Array, Backward]:
    """Write out what a window sees, wherever it stands.

    Forward:   y_c,k(i) = x_c(s i + d k − p), 0 outside of x, with pairs of numbers for i, k, stride s, dilation d and padding p
    Backward:  grad_x = fold(grad_y): grad_x_c(j) = Σ grad_y_c,k(i) over all i, k with s i + d k − p = j
    Shapes:    x (N, C, H, W) or (C, H, W), y (N, C · K, L) or (C · K, L), with K cells in the kernel and L windows
    """
    op = "unfold"
    require_floats(op, "x", x)
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise ValueError(f"{op}: x must be (N, C, H, W) or (C, H, W), and only N may be 0, got {x.shape}")
    windows = _Windows(op, x.shape[-2:], kernel_size, dilation, padding, stride)
    output = windows.unfold(batch(x, 2)).reshape(*x.shape[:-3], x.shape[-3] * windows.cells, windows.places)
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        return (windows.fold(batch(cotangent(op, grad_output, shape, dtype), 1)).reshape(x.shape),)

    return output, backward


def fold(
    x: Array,
    /,
    *,
    output_size: int | tuple[int, ...],
    kernel_size: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    stride: int | tuple[int, ...] = 1,
) -> tuple[Array, Backward]:
    """Add up, at each place of an image, what all the windows that see it hold for it.

    Forward:   y_c(j) = Σ x_c,k(i) over all i, k with s i + d k − p = j
    Backward:  grad_x = unfold(grad_y): grad_x_c,k(i) = grad_y_c(s i + d k − p), 0 outside of y
    Shapes:    x (N, C · K, L) or (C · K, L), with K cells in the kernel and L windows, y (N, C, *output_size) or (C, *output_size)
    """
    op = "fold"
    require_floats(op, "x", x)
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        raise ValueError(f"{op}: x must be (N, C · K, L) or (C · K, L), and only N may be 0, got {x.shape}")
    windows = _Windows(op, _pair(op, "output_size", output_size, 1), kernel_size, dilation, padding, stride)
    if x.shape[-2] % windows.cells or x.shape[-1] != windows.places:
        expected = f"a multiple of {windows.cells} rows and {windows.places} columns"
        raise ValueError(f"{op}: x must have {expected} for an output {windows.size}, got {x.shape}")
    images = windows.fold(batch(x, 1))
    output = images.reshape(*x.shape[:-2], *images.shape[1:])
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        return (windows.unfold(batch(cotangent(op, grad_output, shape, dtype), 2)).reshape(x.shape),)

    return output, backward


class _Windows:
    """Windows over images of some size, with the constants of `fold` and `unfold` checked."""

    def __init__(self, op: str, size: Sizes, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> None:
        self.size = size
        self.kernel, self.dilation = _pair(op, "kernel_size", kernel_size, 1), _pair(op, "dilation", dilation, 1)
        self.padding, self.stride = _pair(op, "padding", padding, 0), _pair(op, "stride", stride, 1)
        self.padded = tuple([n + 2 * p for n, p in zip(size, self.padding)])
        seen = spans(self.kernel, self.dilation)
        if any(span > n for span, n in zip(seen, self.padded)):
            raise ValueError(f"{op}: kernel_size must fit into the padded image, {self.padded}, got one that spans {seen}")
        self.counts = tuple([(n - span) // s + 1 for n, span, s in zip(self.padded, seen, self.stride)])
        self.cells, self.places = math.prod(self.kernel), math.prod(self.counts)
        self.inside: Any = (..., *(slice(p, p + n) for p, n in zip(self.padding, size)))

    def unfold(self, images: Array) -> Array:
        """The columns (N, C, *kernel, *counts) of images (N, C, *size)."""
        padded = np.zeros((*images.shape[:2], *self.padded), images.dtype)
        padded[self.inside] = images
        columns = np.empty((*images.shape[:2], *self.kernel, *self.counts), images.dtype)
        for (row, column), cells in taps(self.kernel, self.stride, self.dilation, self.counts):
            columns[:, :, row, column] = padded[..., *cells]
        return columns

    def fold(self, columns: Array) -> Array:
        """The images (N, C, *size) to which columns, in the order of those of `unfold`, add up."""
        count, rows = columns.shape[:2]
        columns = columns.reshape(count, rows // self.cells, *self.kernel, *self.counts)
        padded = np.zeros((*columns.shape[:2], *self.padded), columns.dtype)
        for (row, column), cells in taps(self.kernel, self.stride, self.dilation, self.counts):
            padded[..., *cells] += columns[:, :, row, column]
        return padded[self.inside]


def _pair(op: str, name: str, value: Any, least: int) -> Sizes:
    """A number for each axis. Here torch does not let a single one in a tuple stand for both."""
    return require_integers(op, name, value, 2, least, stretch=False)


class Unfold(Module):
    """`unfold` as a module."""

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        dilation: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        stride: int | tuple[int, ...] = 1,
    ) -> None:
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map images (N, C, H, W) or (C, H, W) to columns."""
        return unfold(input, kernel_size=self.kernel_size, dilation=self.dilation, padding=self.padding, stride=self.stride)


class Fold(Module):
    """`fold` as a module."""

    def __init__(
        self,
        output_size: int | tuple[int, ...],
        kernel_size: int | tuple[int, ...],
        dilation: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        stride: int | tuple[int, ...] = 1,
    ) -> None:
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map columns (N, C · K, L) or (C · K, L) to images."""
        constants = {"kernel_size": self.kernel_size, "dilation": self.dilation, "padding": self.padding, "stride": self.stride}
        return fold(input, output_size=self.output_size, **constants)


def conv_tbc(x: Array, weight: Array, bias: Array, /, *, pad: int = 0) -> tuple[Array, Backward]:
    """`conv1d` of sequences that come time by time, for each time a batch.

    Forward:   yₒ(t) = bₒ + Σ_c,k W_cₒ(k) x_c(t + k − pad)
    Backward:  grad_x_c(t) = Σ_o,k W_cₒ(k) gₒ(t − k + pad),
               grad_weight_cₒ(k) = Σ_t x_c(t + k − pad) gₒ(t),  grad_biasₒ = Σ_t gₒ(t)      (g = grad_y)
    Shapes:    x (T, N, in), weight W (K, in, out), bias b (out), y (T + 2 pad − K + 1, N, out)
    Source:    Gehring, Auli, Grangier, Yarats & Dauphin 2017, Convolutional sequence to sequence learning
    """
    op = "conv_tbc"
    require_floats(op, "x weight bias", x, weight, bias)
    if x.ndim != 3 or weight.ndim != 3 or x.shape[2] != weight.shape[1] or 0 in (x.shape[0], *weight.shape):
        expected = "x (T, N, in) and weight (K, in, out), and only N may be 0"
        raise ValueError(f"{op}: expected {expected}, got {x.shape} and {weight.shape}")
    require_shape(op, "bias", bias, weight.shape[2:])
    pad = require_integer(op, "pad", pad, 0)
    # (T, N, in) to (N, in, T), (K, in, out) to (out, in, K), and (N, out, T) back to (T, N, out)
    y, y_backward = convolution(op, 1, x.transpose(1, 2, 0), weight.transpose(2, 1, 0), bias, 1, pad, 1, 1)
    output = y.transpose(2, 0, 1)
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        grad_y = cotangent(op, grad_output, shape, dtype).transpose(1, 2, 0)
        grad_x, grad_weight, grad_bias = y_backward(grad_y, needs)
        grad_x = grad_x.transpose(2, 0, 1) if grad_x is not None else None
        grad_weight = grad_weight.transpose(2, 1, 0) if grad_weight is not None else None
        return grad_x, grad_weight, grad_bias

    return output, backward
