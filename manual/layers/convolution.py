"""Convolutions over one, two and three axes, and their transposes: one convolution over any number of axes under six names.

A convolution has three arrays, images x, a kernel W and outputs y, and each two of them make the third:

    correlate   yₒ(i) = Σ_c,k Wₒ_c(k) x_c(s·i + d·k − p)
    spread      x_c(j) = Σ_o,i Wₒ_c(k) yₒ(i)  over all i and k with s·i + d·k − p = j
    pair        Wₒ_c(k) = Σ_i yₒ(i) x_c(s·i + d·k − p)

with stride s, dilation d and padding p; x is 0 outside of the image, and Σ_i runs over all images. A convolution correlates, and its
backward spreads and pairs. A transposed convolution spreads, and its backward correlates and pairs.
"""

import math
from typing import Any

import numpy as np

from manual.arrays import column_sums, row_sums
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_choice,
    require_floats,
    require_integer,
    require_integers,
    require_shape,
)
from manual.windows import Sizes, Windows

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

Numbers = int | tuple[int, ...]


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
    """Slide a kernel over sequences: `conv2d` with one axis.

    Forward:   yₒ(i) = bₒ + Σ_c,k Wₒ_c(k) x_c(s i + d k − p)
    Backward:  grad_x_c(j) = Σ_o,i Wₒ_c(k) gₒ(i) over all i, k with s i + d k − p = j,
               grad_weightₒ_c(k) = Σ gₒ(i) x_c(s i + d k − p),  grad_biasₒ = Σ gₒ(i)      (g = grad_y)
    Shapes:    x (N, in, L) or (in, L), weight W (out, in/groups, K), bias b (out), y (N, out, M) or (out, M)
    Source:    Waibel et al. 1989, Phoneme recognition using time-delay neural networks
    """
    return _convolution("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


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
    return _convolution("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


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
    """Slide a kernel over volumes: `conv2d` with three axes.

    Forward:   yₒ(i) = bₒ + Σ_c,k Wₒ_c(k) x_c(s i + d k − p)
    Backward:  grad_x_c(j) = Σ_o,i Wₒ_c(k) gₒ(i) over all i, k with s i + d k − p = j,
               grad_weightₒ_c(k) = Σ gₒ(i) x_c(s i + d k − p),  grad_biasₒ = Σ gₒ(i)      (g = grad_y)
    Shapes:    x (N, in, D, H, W) or (in, D, H, W), weight W (out, in/groups, J, K, L), bias b (out), y (N, out, …) or (out, …)
    """
    return _convolution("conv3d", 3, x, weight, bias, stride, padding, dilation, groups)


def _convolution(
    op: str, axes: int, x: Array, weight: Array, bias: Array | None, stride: Any, padding: Any, dilation: Any, groups: Any
) -> tuple[Array, Backward]:
    groups = _require_arrays(op, axes, x, weight, bias, groups, transposed=False)
    size, kernel = x.shape[-axes:], weight.shape[2:]
    stride, dilation = require_integers(op, "stride", stride, axes, 1), require_integers(op, "dilation", dilation, axes, 1)
    before, after = zip(*_paddings(op, kernel, stride, padding, dilation))
    padded = tuple([n + p + q for n, p, q in zip(size, before, after)])
    spans = _spans(kernel, dilation)
    if any(span > n for span, n in zip(spans, padded)):
        raise ValueError(f"{op}: the kernel must fit into the padded input, {padded}, got one that spans {spans}")
    counts = tuple([(n - span) // s + 1 for n, span, s in zip(padded, spans, stride)])
    windows = Windows(size, kernel, stride, dilation, before, counts)
    images = _batch(x, axes)
    output = _correlate(images, weight, windows, groups)
    if bias is not None:
        output += bias.reshape(-1, *(1,) * axes)
    outputs_shape = output.shape
    output = output.reshape(x.shape[: -axes - 1] + outputs_shape[1:])
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x, need_weight, need_bias = needed(op, needs, 3)
        grad_y = cotangent(op, grad_output, shape, dtype).reshape(outputs_shape)
        grad_x = _spread(grad_y, weight, windows, groups).reshape(x.shape) if need_x else None
        grad_weight = _pair(images, grad_y, weight.shape, windows, groups) if need_weight else None
        grad_bias = _sum_by_channel(grad_y) if need_bias and bias is not None else None
        return grad_x, grad_weight, grad_bias

    return output, backward


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
    Backward:  grad_x_c(i) = Σ_o,k W_cₒ(k) gₒ(s i + d k − p),
               grad_weight_cₒ(k) = Σ x_c(i) gₒ(s i + d k − p),  grad_biasₒ = Σ gₒ(j)      (g = grad_y)
    Shapes:    x (N, in, L) or (in, L), weight W (in, out/groups, K), bias b (out), y (N, out, M) or (out, M)
    """
    return _transposed("conv_transpose1d", 1, x, weight, bias, stride, padding, output_padding, groups, dilation)


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
    Backward:  grad_x_c(i) = Σ_o,k W_cₒ(k) gₒ(s i + d k − p),
               grad_weight_cₒ(k) = Σ x_c(i) gₒ(s i + d k − p),  grad_biasₒ = Σ gₒ(j)      (g = grad_y)
    Shapes:    x (N, in, D, H, W) or (in, D, H, W), weight W (in, out/groups, J, K, L), bias b (out), y (N, out, …) or (out, …)
    """
    return _transposed("conv_transpose3d", 3, x, weight, bias, stride, padding, output_padding, groups, dilation)


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
    groups = _require_arrays(op, axes, x, weight, bias, groups, transposed=True)
    counts, kernel = x.shape[-axes:], weight.shape[2:]
    stride, dilation = require_integers(op, "stride", stride, axes, 1), require_integers(op, "dilation", dilation, axes, 1)
    padding = require_integers(op, "padding", padding, axes, 0)
    added = require_integers(op, "output_padding", output_padding, axes, 0)
    if any(a >= max(s, d) for a, s, d in zip(added, stride, dilation)):
        raise ValueError(f"{op}: output_padding must be less than stride {stride} or dilation {dilation}, got {added}")
    lengths = zip(counts, stride, padding, _spans(kernel, dilation), added)
    size = tuple([(n - 1) * s - 2 * p + span + a for n, s, p, span, a in lengths])
    if min(size) < 1:
        raise ValueError(f"{op}: padding must leave an output of at least 1 along each axis, got {padding}, which leaves {size}")
    windows = Windows(size, kernel, stride, dilation, padding, counts)
    inputs = _batch(x, axes)
    output = _spread(inputs, weight, windows, groups)
    if bias is not None:
        output += bias.reshape(-1, *(1,) * axes)
    outputs_shape = output.shape
    output = output.reshape(x.shape[: -axes - 1] + outputs_shape[1:])
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x, need_weight, need_bias = needed(op, needs, 3)
        grad_y = cotangent(op, grad_output, shape, dtype).reshape(outputs_shape)
        grad_x = _correlate(grad_y, weight, windows, groups).reshape(x.shape) if need_x else None
        grad_weight = _pair(grad_y, inputs, weight.shape, windows, groups) if need_weight else None
        grad_bias = _sum_by_channel(grad_y) if need_bias and bias is not None else None
        return grad_x, grad_weight, grad_bias

    return output, backward


# -- The three products. The columns of a block are what its windows see, one below the other; each group has a matrix of its own.


def _correlate(x: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Σ_c,k Wₒ_c(k) x_c(s·i + d·k − p): the kernel as a matrix, times the columns."""
    matrices = weight.reshape(groups, len(weight) // groups, -1)
    y = np.empty((len(x), len(weight), *windows.counts), x.dtype)

    def correlate_block(block):
        columns = windows.gather(x, block).reshape(groups, matrices.shape[2], -1)
        y_block = windows.of_block(y, block)
        y_block[...] = np.matmul(matrices, columns).reshape(y_block.shape)

    windows.by_blocks(correlate_block, len(x), x.shape[1])
    return y


def _spread(y: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Σ_o,i Wₒ_c(k) yₒ(i): the transposed matrix times y gives columns, each of whose numbers is added where it belongs."""
    matrices = weight.reshape(groups, len(weight) // groups, -1).swapaxes(1, 2)
    x = np.zeros((len(y), groups * weight.shape[1], *windows.size), y.dtype)

    def spread_block(block):
        y_block = windows.of_block(y, block).reshape(groups, matrices.shape[2], -1)
        windows.scatter_add(np.matmul(matrices, y_block), x, block)

    windows.by_blocks(spread_block, len(x), x.shape[1])
    return x


def _pair(x: Array, y: Array, shape: Sizes, windows: Windows, groups: int) -> Array:
    """Σ_i yₒ(i) x_c(s·i + d·k − p): y times the transposed columns."""
    rows, columns = shape[0] // groups, math.prod(shape[1:])

    def pair_block(block):
        x_columns = windows.gather(x, block).reshape(groups, columns, -1)
        return np.matmul(windows.of_block(y, block).reshape(groups, rows, -1), x_columns.swapaxes(1, 2))

    return sum(windows.by_blocks(pair_block, len(x), x.shape[1]), np.zeros((groups, rows, columns), x.dtype)).reshape(shape)


def _sum_by_channel(y: Array) -> Array:
    """The sum over all images and places."""
    return column_sums(row_sums(y.reshape(math.prod(y.shape[:2]), math.prod(y.shape[2:]))).reshape(y.shape[:2]))


# -- Shapes


def _batch(x: Array, axes: int) -> Array:
    """The images as a batch, which may be of one."""
    return x.reshape(math.prod(x.shape[: -axes - 1]), *x.shape[-axes - 1 :])


def _spans(kernel: Sizes, dilation: Sizes) -> Sizes:
    """How many cells lie between the first and the last that a window sees, these two included."""
    return tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilation)])


def _paddings(op: str, kernel: Sizes, stride: Sizes, padding: Any, dilation: Sizes) -> list[tuple[int, int]]:
    """Along each axis the zeros before and after the image."""
    if not isinstance(padding, str):
        return [(p, p) for p in require_integers(op, "padding", padding, len(kernel), 0)]
    require_choice(op, "padding", padding, ("valid", "same"))
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if max(stride) > 1:
        raise ValueError(f"{op}: padding must not be 'same' with a stride, got stride {stride}")
    return [((span - 1) // 2, span // 2) for span in _spans(kernel, dilation)]


def _require_arrays(
    op: str, axes: int, x: Array, weight: Array, bias: Array | None, groups: Any, transposed: bool
) -> int:
    """Refuse arrays that do not fit together; return the groups."""
    require_floats(op, "x weight bias?", x, weight, bias)
    groups = require_integer(op, "groups", groups, 1)
    if x.ndim not in (axes + 1, axes + 2) or weight.ndim != axes + 2 or 0 in x.shape[-axes - 1 :] or 0 in weight.shape:
        expected = f"x of {axes + 2} axes, or {axes + 1} without a batch, and a weight of {axes + 2}, only the batch of which may be empty"
        raise ValueError(f"{op}: expected {expected}, got {x.shape} and {weight.shape}")
    if weight.shape[0] % groups:
        raise ValueError(f"{op}: groups must divide the first axis of the weight, {weight.shape[0]}, got {groups}")
    channels = weight.shape[0] if transposed else groups * weight.shape[1]
    if x.shape[-axes - 1] != channels:
        raise ValueError(f"{op}: x must have {channels} channels for a weight {weight.shape} and {groups} groups, got {x.shape}")
    if bias is not None:
        require_shape(op, "bias", bias, (groups * weight.shape[1] if transposed else weight.shape[0],))
    return groups
