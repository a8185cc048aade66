"""The transposes of the convolutions over one, two and three axes, as layers of their own.

The backward of a convolution carries a gradient from its outputs to its inputs. As a forward it makes large images of small ones:
each number of x puts a kernel, scaled by it, into the output.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import Array, Backward, cotangent, needed, require_integer, require_integers
from manual.layers.convolution import ConvolutionModule, batch, correlate, require_arrays, spans, spread, sum_by_channel
from manual.windows import Sizes, Windows, come_last

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> tuple[Array, Backward]:
    """The transpose of `conv2d`, as a layer of its own: each number of x puts a kernel, scaled by it, into the output.

    Forward:   yₒ(j) = bₒ + Σ_c,i W_cₒ(k) x_c(i)  over all i, k with s i + d k − p = j
    Backward:  grad_x_c(i) = Σ_o,k W_cₒ(k) gₒ(s i + d k − p),
               grad_weight_cₒ(k) = Σ x_c(i) gₒ(s i + d k − p),  grad_biasₒ = Σ gₒ(j)      (g = grad_y; Σ over images, i and j)
    Shapes:    x (N, in, H, W) or (in, H, W), weight W (in, out/groups, K, L), bias b (out), y (N, out, …, …) or (out, …, …),
               along each axis (H − 1) s − 2p + d (K − 1) + 1 + output_padding long
    Corners:   `output_padding`, less than stride or dilation, chooses among the sizes that `conv2d` would map to that of x;
               the cells that it adds may hold nothing but the bias
    Source:    Zeiler, Krishnan, Taylor & Fergus 2010, Deconvolutional networks
    """
    return _transposed("conv_transpose2d", 2, x, weight, bias, stride, padding, output_padding, groups, dilation)


def _transposed(
    op: str,
    axes: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> tuple[Array, Backward]:
    groups = require_arrays(op, axes, x, weight, bias, groups, transposed=True)
    counts, kernel = x.shape[-axes:], weight.shape[2:]
    stride, dilation = require_integers(op, "stride", stride, axes, 1), require_integers(op, "dilation", dilation, axes, 1)
    padding = require_integers(op, "padding", padding, axes, 0)
    added = require_integers(op, "output_padding", output_padding, axes, 0)
    if any(a >= max(s, d) for a, s, d in zip(added, stride, dilation)):
        raise ValueError(f"{op}: output_padding must be less than stride {stride} or dilation {dilation}, got {added}")
    size = tuple([n + a for n, a in zip(_sizes(counts, stride, padding, spans(kernel, dilation)), added)])
    if min(size) < 1:
        raise ValueError(f"{op}: padding must leave an output of at least 1 along each axis, got {padding}, which leaves {size}")
    inputs = batch(x, axes)
    images_last = come_last(inputs, groups * weight.shape[1], size)
    windows = Windows(size, kernel, stride, dilation, padding, counts, images_last)
    output = spread(inputs, weight, windows, groups)
    if bias is not None:
        output += bias.reshape(-1, *(1,) * axes)
    outputs_shape = output.shape
    output = output.reshape(x.shape[: -axes - 1] + outputs_shape[1:])
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x, need_weight, need_bias = needed(op, needs, 3)
        grad_y = cotangent(op, grad_output, shape, dtype).reshape(outputs_shape)
        grad_x = grad_weight = None
        if need_x or need_weight:
            grad_x, grad_weight = correlate(grad_y, weight if need_x else None, inputs if need_weight else None, windows, groups)
        grad_bias = sum_by_channel(grad_y) if need_bias and bias is not None else None
        return None if grad_x is None else grad_x.reshape(x.shape), grad_weight, grad_bias

    return output, backward


def _sizes(counts: Sizes, stride: Sizes, padding: Sizes, spanned: Sizes) -> Sizes:
    """Along each axis how many cells the windows see, less the padding."""
    return tuple([(n - 1) * s - 2 * p + span for n, s, p, span in zip(counts, stride, padding, spanned)])


def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> tuple[Array, Backward]:
    """The transpose of `conv1d`, as a layer of its own: `conv_transpose2d` with one axis.

    Forward:   yₒ(j) = bₒ + Σ_c,i W_cₒ(k) x_c(i)  over all i, k with s i + d k − p = j
    Backward:  that of `conv_transpose2d`
    Shapes:    x (N, in, L) or (in, L), weight W (in, out/groups, K), bias b (out), y (N, out, M) or (out, M)
    """
    return _transposed("conv_transpose1d", 1, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> tuple[Array, Backward]:
    """The transpose of `conv3d`, as a layer of its own: `conv_transpose2d` with three axes.

    Forward:   yₒ(j) = bₒ + Σ_c,i W_cₒ(k) x_c(i)  over all i, k with s i + d k − p = j
    Backward:  that of `conv_transpose2d`
    Shapes:    x (N, in, D, H, W) or (in, D, H, W), weight W (in, out/groups, J, K, L), bias b (out), y (N, out, …) or (out, …)
    """
    return _transposed("conv_transpose3d", 3, x, weight, bias, stride, padding, output_padding, groups, dilation)


class _ConvTranspose(ConvolutionModule):
    operation: Callable[..., tuple[Array, Backward]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.in_channels, self.out_channels = in_channels, out_channels
        self._construct(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, dtype, generator)
        name = type(self).__name__
        self.padding = require_integers(name, "padding", padding, self.axes, 0)
        self.output_padding = require_integers(name, "output_padding", output_padding, self.axes, 0)
        if padding_mode != "zeros":
            raise ValueError(f"{name}: padding_mode must be 'zeros', got {padding_mode!r}")
        self.padding_mode = padding_mode

    def forward(self, input: Array, output_size: tuple[int, ...] | None = None) -> tuple[Array, Backward]:
        """Map `input` (N, in_channels, …), or (in_channels, …), to (N, out_channels, …) or (out_channels, …).

        `output_size`, the sizes of the output's last axes or its whole shape, takes the place of `output_padding`.
        """
        constants = {"stride": self.stride, "padding": self.padding, "groups": self.groups, "dilation": self.dilation}
        added = self.output_padding if output_size is None else self._added(np.shape(input), output_size)
        return self.call(self.operation, input, self.weight, self.bias, output_padding=added, **constants)

    def _added(self, shape, output_size):
        """The output padding that makes an output of this size."""
        name = type(self).__name__
        if not isinstance(output_size, (tuple, list)) or len(output_size) not in (self.axes, len(shape)):
            raise ValueError(f"{name}: output_size must hold {self.axes} sizes, or {len(shape)}, got {output_size!r}")
        sizes = [require_integer(name, "output_size", size) for size in output_size[-self.axes :]]
        least = _sizes(shape[-self.axes :], self.stride, self.padding, spans(self.kernel_size, self.dilation))
        added = tuple([size - smallest for size, smallest in zip(sizes, least)])
        if not all(0 <= a < s for a, s in zip(added, self.stride)):
            most = tuple([smallest + s - 1 for smallest, s in zip(least, self.stride)])
            raise ValueError(f"{name}: output_size must lie between {least} and {most} for an input {shape}, got {output_size}")
        return added


class ConvTranspose1d(_ConvTranspose):
    """`conv_transpose1d` with its weight and bias, which start from U(−1/√n, 1/√n), n = out_channels / groups · kernel_size."""

    axes, operation = 1, staticmethod(conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """`conv_transpose2d` with its weight and bias, which start from U(−1/√n, 1/√n), n = out_channels / groups · Π kernel_size."""

    axes, operation = 2, staticmethod(conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """`conv_transpose3d` with its weight and bias, which start from U(−1/√n, 1/√n), n = out_channels / groups · Π kernel_size."""

    axes, operation = 3, staticmethod(conv_transpose3d)
