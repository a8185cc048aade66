"""Convolutions over one, two and three axes: one convolution over any number of axes, under three names.

A convolution has three arrays, images x, a kernel W and outputs y. Each two of them make the third, by

    correlate   yₒ(i) = Σ_c,k Wₒ_c(k) x_c(s i + d k − p)
    spread      x_c(j) = Σ_o,i Wₒ_c(k) yₒ(i)  over all i, k with s i + d k − p = j
    pair        Wₒ_c(k) = Σ_i yₒ(i) x_c(s i + d k − p)

with stride s, dilation d and padding p; outside of the image x is 0, and Σ_i runs over all images too. A convolution correlates;
its backward spreads and pairs. A transposed convolution, in the next chapter, spreads; its backward correlates and pairs.

With a stride of 1, to spread is to correlate too: each x_c(j) is then a sum over neighbours in y, by a kernel that is turned round.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_choice,
    require_dtype,
    require_flags,
    require_floats,
    require_generator,
    require_integer,
    require_integers,
    require_shape,
)
from manual.initialization import uniform_fan_in
from manual.layers.padding import pad
from manual.module import Module, Parameter
from manual.windows import Sizes, Windows, come_last

__all__ = ["Conv1d", "Conv2d", "Conv3d", "conv1d", "conv2d", "conv3d"]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> tuple[Array, Backward]:
    """Slide a kernel over images; without flipping it, so that mathematics would call this a cross-correlation.

    Forward:   yₒ(i) = bₒ + Σ_c,k Wₒ_c(k) x_c(s i + d k − p), with a pair of numbers for i, k, stride s, dilation d and padding p
    Backward:  grad_x_c(j) = Σ_o,i Wₒ_c(k) gₒ(i) over all i, k with s i + d k − p = j,
               grad_weightₒ_c(k) = Σ gₒ(i) x_c(s i + d k − p),  grad_biasₒ = Σ gₒ(i)      (g = grad_y; Σ over images and i)
    Shapes:    x (N, in, H, W) or (in, H, W), weight W (out, in/groups, K, L), bias b (out), y (N, out, …, …) or (out, …, …),
               along each axis ⌊(H + 2p − d (K − 1) − 1) / s⌋ + 1 long
               With groups, each part of the outputs sees its part of the channels. Padding "same" makes y as large as x, and of
               an odd number of zeros puts the odd one behind; "valid" is none
    Source:    LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition
    """
    return convolution("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


def convolution(
    op: str, axes: int, x: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any, groups: Any
) -> tuple[Array, Backward]:
    groups = require_arrays(op, axes, x, weight, bias, groups, transposed=False)
    size, kernel = x.shape[-axes:], weight.shape[2:]
    stride, dilation = require_integers(op, "stride", stride, axes, 1), require_integers(op, "dilation", dilation, axes, 1)
    before, after = zip(*paddings(op, kernel, stride, padding, dilation))
    padded = tuple([n + p + q for n, p, q in zip(size, before, after)])
    spanned = spans(kernel, dilation)
    if any(span > n for span, n in zip(spanned, padded)):
        raise ValueError(f"{op}: the kernel must fit into the padded input, {padded}, got one that spans {spanned}")
    counts = tuple([(n - span) // s + 1 for n, span, s in zip(padded, spanned, stride)])
    images = batch(x, axes)
    images_last = come_last(images, len(weight), size)
    windows = Windows(size, kernel, stride, dilation, before, counts, images_last)
    output, _ = correlate(images, weight, None, windows, groups)
    if bias is not None:
        output += bias.reshape(-1, *(1,) * axes)
    outputs_shape = output.shape
    output = output.reshape(x.shape[: -axes - 1] + outputs_shape[1:])
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x, need_weight, need_bias = needed(op, needs, 3)
        grad_y = cotangent(op, grad_output, shape, dtype).reshape(outputs_shape)
        grad_x = grad_weight = None
        if need_x and need_weight:
            grad_x, grad_weight = spread_and_pair(images, weight, grad_y, windows, groups)
        elif need_x:
            grad_x = spread(grad_y, weight, windows, groups)
        elif need_weight:
            _, grad_weight = correlate(images, None, grad_y, windows, groups)
        grad_bias = sum_by_channel(grad_y) if need_bias and bias is not None else None
        return None if grad_x is None else grad_x.reshape(x.shape), grad_weight, grad_bias

    return output, backward


# -- The three products. The columns of a block are what its windows see, one below the other; each group has a matrix of its own.


def correlate(x: Array, weight: Any, y: Any, windows: Windows, groups: int) -> tuple[Any, Any]:
    """The products with the columns of x: a weight correlated with x, and y paired with x; `None` for what lacks its factor."""
    inputs, outputs = x.shape[1] // groups, (y.shape[1] if weight is None else len(weight)) // groups
    # If the rows of the kernel are long enough, only they are written out: each row has a product, and the products are added up
    shifts = 1 if inputs * (math.prod(windows.kernel[1:]) - 1) >= outputs else 0
    rows, height = windows.kernel[:shifts], inputs * math.prod(windows.kernel[shifts:])
    here, there = range(2, 2 + shifts), range(shifts)  # the axis of the rows, in a kernel and in its matrices
    correlated: Any = None
    if weight is not None:
        matrices = np.moveaxis(weight, here, there).reshape(-1, groups, outputs, height)
        correlated = windows.zeros(len(x), len(weight), windows.counts, x.dtype)

    def products_of_block(block):
        seen = [columns.reshape(groups, height, -1) for columns in windows.gather(x, block, shifts)]
        if correlated is not None:
            total = np.matmul(matrices[0], seen[0])
            for matrix, columns in zip(matrices[1:], seen[1:]):
                total += np.matmul(matrix, columns)
            part = windows.of_block(correlated, block)
            part[...] = total.reshape(part.shape)
        if y is None:
            return None
        y_block = windows.of_block(y, block).reshape(groups, outputs, -1)
        return np.stack([np.matmul(y_block, columns.swapaxes(1, 2)) for columns in seen])

    paired = windows.by_blocks(products_of_block, len(x), groups * height)
    if y is None:
        return correlated, None
    total = sum(paired, np.zeros((math.prod(rows), groups, outputs, height), x.dtype))
    kernels = total.reshape(*rows, groups * outputs, inputs, *windows.kernel[shifts:])
    return correlated, np.ascontiguousarray(np.moveaxis(kernels, there, here))


def spread(y: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Σ_o,i Wₒ_c(k) yₒ(i): the transposed matrix times y gives columns, each of whose numbers is added where it belongs."""
    matrices = weight.reshape(groups, len(weight) // groups, -1).swapaxes(1, 2)
    x = windows.zeros(len(y), groups * weight.shape[1], windows.size, y.dtype)

    def spread_block(block):
        y_block = windows.of_block(y, block).reshape(groups, matrices.shape[2], -1)
        windows.scatter_add(np.matmul(matrices, y_block), x, block)

    windows.by_blocks(spread_block, len(x), x.shape[1] * math.prod(windows.kernel))
    return x


def spread_and_pair(x: Array, weight: Array, y: Array, windows: Windows, groups: int) -> tuple[Array, Array]:
    """A weight spread by y, and y paired with x."""
    no_fewer = all(count >= cells for count, cells in zip(windows.counts, windows.size))
    if max(windows.stride) == 1 and no_fewer and y.shape[1] <= 2 * x.shape[1]:
        # Both are made of the columns of y, which are not far more than those of x
        images, kernel = correlate(y, turned(weight, groups), x, windows.turned(), groups)
        return images, turned(kernel, groups)
    return spread(y, weight, windows, groups), correlate(x, None, y, windows, groups)[1]


def turned(weight: Array, groups: int) -> Array:
    """The kernel that correlates y where `weight` spreads it: inputs and outputs change places, and all its axes run backwards."""
    by_group = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    return np.ascontiguousarray(np.flip(by_group, tuple(range(3, by_group.ndim)))).reshape(-1, *by_group.shape[2:])


def sum_by_channel(y: Array) -> Array:
    """The sum over all images and places."""
    return np.einsum("ncl->c", y.reshape(*y.shape[:2], math.prod(y.shape[2:])))


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> tuple[Array, Backward]:
    """`conv2d` with one axis, for sequences.

    Forward:   yₒ(i) = bₒ + Σ_c,k Wₒ_c(k) x_c(s i + d k − p)
    Backward:  that of `conv2d`
    Shapes:    x (N, in, L) or (in, L), weight W (out, in/groups, K), bias b (out), y (N, out, M) or (out, M)
    Source:    Waibel et al. 1989, Phoneme recognition using time-delay neural networks
    """
    return convolution("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


def conv3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    /,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> tuple[Array, Backward]:
    """`conv2d` with three axes, for volumes.

    Forward:   yₒ(i) = bₒ + Σ_c,k Wₒ_c(k) x_c(s i + d k − p)
    Backward:  that of `conv2d`
    Shapes:    x (N, in, D, H, W) or (in, D, H, W), weight W (out, in/groups, J, K, L), bias b (out), y (N, out, …) or (out, …)
    """
    return convolution("conv3d", 3, x, weight, bias, stride, padding, dilation, groups)


# -- Shapes


def batch(x: Array, axes: int) -> Array:
    """The images as a batch, which may be of one."""
    return x.reshape(math.prod(x.shape[: -axes - 1]), *x.shape[-axes - 1 :])


def spans(kernel: Sizes, dilation: Sizes) -> Sizes:
    """How many cells lie between the first and the last that a window sees, these two included."""
    return tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilation)])


def paddings(op: str, kernel: Sizes, stride: Sizes, padding: Any, dilation: Sizes) -> list[tuple[int, int]]:
    """Along each axis the zeros before and after the image."""
    if not isinstance(padding, str):
        return [(p, p) for p in require_integers(op, "padding", padding, len(kernel), 0)]
    require_choice(op, "padding", padding, ("valid", "same"))
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if max(stride) > 1:
        raise ValueError(f"{op}: padding must not be 'same' with a stride, got stride {stride}")
    return [((span - 1) // 2, span // 2) for span in spans(kernel, dilation)]


def require_arrays(op: str, axes: int, x: Array, weight: Array, bias: Array | None, groups: Any, transposed: bool) -> int:
    """Refuse arrays that do not fit together; return the groups."""
    require_floats(op, "x weight bias?", x, weight, bias)
    groups = require_integer(op, "groups", groups, 1)
    if x.ndim not in (axes + 1, axes + 2) or weight.ndim != axes + 2 or 0 in x.shape[-axes - 1 :] or 0 in weight.shape:
        expected = (
            f"x of {axes + 2} axes, or {axes + 1} without a batch, and a weight of {axes + 2}, only the batch of which may be empty"
        )
        raise ValueError(f"{op}: expected {expected}, got {x.shape} and {weight.shape}")
    if weight.shape[0] % groups:
        raise ValueError(f"{op}: groups must divide the first axis of the weight, {weight.shape[0]}, got {groups}")
    channels = weight.shape[0] if transposed else groups * weight.shape[1]
    if x.shape[-axes - 1] != channels:
        raise ValueError(f"{op}: x must have {channels} channels for a weight {weight.shape} and {groups} groups, got {x.shape}")
    if bias is not None:
        require_shape(op, "bias", bias, (groups * weight.shape[1] if transposed else weight.shape[0],))
    return groups


# -- Modules


class ConvolutionModule(Module):
    """What the modules of convolutions and of transposed ones share: checks of their arguments, and the parameters.

    The weight is (first, second / groups, *kernel_size): the channels of outputs and inputs, or those of inputs and outputs.
    """

    bias: Parameter | None
    axes: int
    in_channels: int
    out_channels: int

    def _construct(self, first, second, kernel_size, stride, dilation, groups, bias, dtype, generator):
        name = type(self).__name__
        require_flags(name, bias=bias)
        require_generator(name, generator)
        dtype = require_dtype(name, dtype)
        self.groups = require_integer(name, "groups", groups, 1)
        self.kernel_size = require_integers(name, "kernel_size", kernel_size, self.axes, 1)
        self.stride = require_integers(name, "stride", stride, self.axes, 1)
        self.dilation = require_integers(name, "dilation", dilation, self.axes, 1)
        for argument, least in (("in_channels", 0), ("out_channels", 1)):  # a lazy module begins with 0
            channels = require_integer(name, argument, getattr(self, argument), least)
            if channels % groups:
                raise ValueError(f"{name}: {argument} must be a multiple of groups, {groups}, got {channels}")
        shape = (first, second // groups, *self.kernel_size)
        fan_in = math.prod(shape[1:])
        self.weight = Parameter(uniform_fan_in(shape, fan_in, dtype, generator))
        own_bias = Parameter(uniform_fan_in((self.out_channels,), fan_in, dtype, generator)) if bias else None
        self.register_parameter("bias", own_bias)


class _Conv(ConvolutionModule):
    operation: Callable[..., tuple[Array, Backward]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: str | int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.in_channels, self.out_channels = in_channels, out_channels
        self._construct(out_channels, in_channels, kernel_size, stride, dilation, groups, bias, dtype, generator)
        name = type(self).__name__
        paddings(name, self.kernel_size, self.stride, padding, self.dilation)
        require_choice(name, "padding_mode", padding_mode, ("zeros", "reflect", "replicate", "circular"))
        self.padding = padding if isinstance(padding, str) else require_integers(name, "padding", padding, self.axes)
        self.padding_mode = padding_mode

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map `input` (N, in_channels, …), or (in_channels, …), to (N, out_channels, …) or (out_channels, …)."""
        constants = {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}
        if self.padding_mode == "zeros":
            return self.call(self.operation, input, self.weight, self.bias, padding=self.padding, **constants)
        borders = paddings(type(self).__name__, self.kernel_size, self.stride, self.padding, self.dilation)
        pads = tuple([cells for pair in reversed(borders) for cells in pair])  # `pad` has the last axis first
        padded, pad_backward = pad(input, pad=pads, mode=self.padding_mode)
        output, convolution_backward = self.call(self.operation, padded, self.weight, self.bias, **constants)

        def backward(grad_output, needs=None):
            (grad_padded,) = convolution_backward(grad_output, needs)
            return (None,) if grad_padded is None else pad_backward(grad_padded)

        return output, backward


class Conv1d(_Conv):
    """`conv1d` with its weight and bias, which start from U(−1/√n, 1/√n), n the number of weights of an output."""

    axes, operation = 1, staticmethod(conv1d)


class Conv2d(_Conv):
    """`conv2d` with its weight and bias, which start from U(−1/√n, 1/√n), n the number of weights of an output."""

    axes, operation = 2, staticmethod(conv2d)


class Conv3d(_Conv):
    """`conv3d` with its weight and bias, which start from U(−1/√n, 1/√n), n the number of weights of an output."""

    axes, operation = 3, staticmethod(conv3d)
