"""Normalisation of each sample: by mean and spread (layer and group norm), or by its root mean square.

What normalises by mean and spread has one pair of formulas, `standardize` and `through_statistics`, on arrays (G, N, L) of G
groups; batch and instance norm use them too. A mean is rounded as the numbers are, by far too much where these are large beside
their spread. So the mean of what is left when it was subtracted, zero in exact arithmetic, is subtracted as well.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_dtype,
    require_flags,
    require_floats,
    require_integer,
    require_number,
    require_shape,
)
from manual.module import Module, Parameter
from manual.rows import GroupsOperation, by_groups

__all__ = ["GroupNorm", "LayerNorm", "RMSNorm", "group_norm", "layer_norm", "rms_norm"]

Sizes = tuple[int, ...]


def standardize(x: Array, eps: float) -> tuple[Array, Array, Array, Array]:
    """Of each group of x (G, N, L): x̂ = (x − mean) / σ, its mean, its variance, and 1 / σ with σ = √(var + eps)."""
    count = max(x.shape[1] * x.shape[2], 1)
    mean = np.einsum("gnl->g", x) / count
    x_hat = x - mean[:, None, None]
    rest = np.einsum("gnl->g", x_hat) / count
    x_hat -= rest[:, None, None]
    var = np.einsum("gnl,gnl->g", x_hat, x_hat) / count
    inverse = 1.0 / np.sqrt(var + eps)
    x_hat *= inverse[:, None, None]
    x_hat.flags.writeable = False  # every backward reads it, and without weight and bias it is the output
    return x_hat, mean + rest, var, inverse


def through_statistics(g: Array, x_hat: Array, scale: Array) -> Array:
    """The backward of x̂, all (G, N, L): grad_x = (g − mean(g) − x̂ · mean(g · x̂)) · scale, with scale = 1 / σ."""
    count = max(g.shape[1] * g.shape[2], 1)
    grad = x_hat * (np.einsum("gnl,gnl->g", g, x_hat) / -count)[:, None, None]
    grad += g
    grad -= (np.einsum("gnl->g", g) / count)[:, None, None]
    grad *= scale[:, None, None]
    return grad


def affine(x_hat: Array, weight: Array | None, bias: Array | None) -> Array:
    """The output y = weight · x̂ + bias, without what is `None`."""
    if weight is None:
        return x_hat if bias is None else x_hat + bias
    y = x_hat * weight
    if bias is not None:
        y += bias
    return y


def layer_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, /, *, normalized_shape: Sizes, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Normalise each sample over its last axes, then scale and shift it.

    Forward:   x̂ = (x − mean) / σ,  σ = √(var + eps),  y = weight · x̂ + bias
    Backward:  ĝ = weight · grad_y;  grad_x = (ĝ − mean(ĝ) − x̂ · mean(ĝ · x̂)) / σ
               grad_weight = Σ grad_y · x̂,  grad_bias = Σ grad_y      (Σ over samples)
    Shapes:    x, y (..., *normalized_shape); weight, bias (*normalized_shape)
    Source:    Ba, Kiros & Hinton 2016, Layer Normalization
    """
    op = "layer_norm"
    require_floats(op, "x weight? bias?", x, weight, bias)
    _require_last_axes(op, x, normalized_shape)
    require_shape(op, "weight", weight, tuple(normalized_shape))
    require_shape(op, "bias", bias, tuple(normalized_shape))
    eps = require_number(op, "eps", eps, "a number of at least 0")
    return _by_samples(op, partial(_layer_norm, eps=eps), normalized_shape, x, weight, bias)


def _layer_norm(x, weight, bias, *, eps):
    x_hat, _, _, inverse = standardize(x[:, None], eps)

    def backward(g, needs):
        need_x, need_weight, need_bias = needs
        grad_x = None
        if need_x:
            g_hat = g if weight is None else g * weight
            grad_x = through_statistics(g_hat[:, None], x_hat, inverse)[:, 0]
        grad_weight = np.einsum("nl,nl->l", g, x_hat[:, 0]) if need_weight else None
        grad_bias = np.einsum("nl->l", g) if need_bias else None
        return grad_x, grad_weight, grad_bias

    return (affine(x_hat, weight, bias)[:, 0],), backward


class LayerNorm(Module):
    """`layer_norm` with its weight and bias, which start from 1 and 0."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sizes,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.normalized_shape = _require_sizes("LayerNorm", normalized_shape)
        self.eps = require_number("LayerNorm", "eps", eps, "a number of at least 0")
        require_flags("LayerNorm", elementwise_affine=elementwise_affine, bias=bias)
        self.elementwise_affine = elementwise_affine
        own_affine(self, self.normalized_shape, elementwise_affine, bias, require_dtype("LayerNorm", dtype))

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Normalise the last axes of `input` (..., *normalized_shape)."""
        return self.call(layer_norm, input, self.weight, self.bias, normalized_shape=self.normalized_shape, eps=self.eps)


def rms_norm(
    x: Array, weight: Array | None = None, /, *, normalized_shape: Sizes, eps: float | None = None
) -> tuple[Array, Backward]:
    """Divide each sample by its root mean square over its last axes, then scale it.

    Forward:   x̂ = x / σ,  σ = √(mean(x²) + eps),  y = weight · x̂
    Backward:  ĝ = weight · grad_y;  grad_x = (ĝ − x · mean(ĝ · x) / σ²) / σ
               grad_weight = Σ grad_y · x̂      (Σ over samples)
    Shapes:    x, y (..., *normalized_shape); weight (*normalized_shape). Without `eps`, it is the machine epsilon of the dtype
    Source:    Zhang & Sennrich 2019, Root Mean Square Layer Normalization
    """
    op = "rms_norm"
    require_floats(op, "x weight?", x, weight)
    _require_last_axes(op, x, normalized_shape)
    require_shape(op, "weight", weight, tuple(normalized_shape))
    eps = float(np.finfo(x.dtype).eps) if eps is None else require_number(op, "eps", eps, "a number of at least 0")
    return _by_samples(op, partial(_rms_norm, eps=eps), normalized_shape, x, weight)


def _rms_norm(x, weight, *, eps):
    size = max(x.shape[1], 1)
    square = np.vecdot(x, x) / size + eps
    root = np.sqrt(square)
    x_hat = x / root[:, None]
    x_hat.flags.writeable = False

    def backward(g, needs):
        need_x, need_weight = needs
        grad_x = None
        if need_x:
            g_hat = g if weight is None else g * weight
            grad_x = x * (np.vecdot(g_hat, x) / -size / square)[:, None]
            grad_x += g_hat
            grad_x /= root[:, None]
        return grad_x, np.einsum("nl,nl->l", g, x_hat) if need_weight else None

    return (affine(x_hat, weight, None),), backward


class RMSNorm(Module):
    """`rms_norm` with its weight, which starts from 1."""

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sizes,
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.normalized_shape = _require_sizes("RMSNorm", normalized_shape)
        self.eps = eps if eps is None else require_number("RMSNorm", "eps", eps, "a number of at least 0")
        require_flags("RMSNorm", elementwise_affine=elementwise_affine)
        self.elementwise_affine = elementwise_affine
        own_affine(self, self.normalized_shape, elementwise_affine, False, require_dtype("RMSNorm", dtype))

    def forward(self, x: Array) -> tuple[Array, Backward]:
        """Normalise the last axes of `x` (..., *normalized_shape)."""
        return self.call(rms_norm, x, self.weight, normalized_shape=self.normalized_shape, eps=self.eps)


def _by_samples(
    op: str, function: GroupsOperation, normalized_shape: Sizes, x: Array, *weights: Array | None
) -> tuple[Array, Backward]:
    """Apply a function of rows to the last axes of x, and of weights that are the same for all rows."""
    size = math.prod(normalized_shape)
    rows = x.reshape(math.prod(x.shape[: x.ndim - len(normalized_shape)]), size)
    row_weights = [None if weight is None else weight.reshape(size) for weight in weights]
    (output,), rows_backward = by_groups(function, rows, *row_weights, common=len(weights))
    arrays: tuple[Any, ...] = x, *weights

    def backward(grad_output, needs=None):
        needs = needed(op, needs, len(arrays))
        grad_rows = cotangent(op, grad_output, x.shape, x.dtype).reshape(rows.shape)
        grads = rows_backward(grad_rows, [need and array is not None for need, array in zip(needs, arrays)])
        return tuple([None if grad is None else grad.reshape(array.shape) for grad, array in zip(grads, arrays)])

    return output.reshape(x.shape), backward


def _require_last_axes(op: str, x: Array, normalized_shape: Any) -> None:
    """Refuse a shape that is not that of the last axes of x."""
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(f"{op}: normalized_shape must be a tuple of integers, got {normalized_shape!r}")
    sizes = _require_sizes(op, normalized_shape)
    if x.shape[-len(sizes) :] != sizes:
        raise ValueError(f"{op}: normalized_shape must be the shape of the last axes of x, {x.shape}, got {sizes}")


def _require_sizes(op: str, normalized_shape: Any) -> Sizes:
    """One size or several, as a tuple."""
    sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not sizes:
        raise ValueError(f"{op}: normalized_shape must have at least one axis, got {normalized_shape}")
    return tuple([require_integer(op, "normalized_shape", size, least=0) for size in sizes])


def own_affine(module: Module, shape: Sizes, affine: bool, bias: bool, dtype: DTypeLike) -> None:
    """Give a module its weight and bias, 1 and 0, or `None` where it has none."""
    module.register_parameter("weight", Parameter(np.ones(shape, dtype)) if affine else None)
    module.register_parameter("bias", Parameter(np.zeros(shape, dtype)) if affine and bias else None)


def group_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, /, *, num_groups: int, eps: float = 1e-5
) -> tuple[Array, Backward]:
    """Normalise each sample over groups of its channels, then scale and shift each channel.

    Forward:   x̂ = (x − mean) / σ,  σ = √(var + eps),  y = weight · x̂ + bias      (mean and var of all cells of a group)
    Backward:  ĝ = weight · grad_y;  grad_x = (ĝ − mean(ĝ) − x̂ · mean(ĝ · x̂)) / σ
               grad_weight = Σ grad_y · x̂,  grad_bias = Σ grad_y      (Σ over samples and cells)
    Shapes:    x, y (N, C, ...); weight, bias (C); C is a multiple of `num_groups`
    Source:    Wu & He 2018, Group Normalization
    """
    op = "group_norm"
    require_floats(op, "x weight? bias?", x, weight, bias)
    num_groups = require_integer(op, "num_groups", num_groups, least=1)
    eps = require_number(op, "eps", eps, "a number of at least 0")
    require_channels(op, x, weight, bias)
    channels = x.shape[1]
    if channels % num_groups:
        raise ValueError(f"{op}: num_groups must divide the number of channels, {channels}, got {num_groups}")
    if x.size == num_groups:
        raise ValueError(f"{op}: x must have more than one value in each group, got {x.shape} and {num_groups} groups")
    cells = x.reshape(len(x), channels, math.prod(x.shape[2:]))
    function = partial(_group_norm, num_groups=num_groups, eps=eps)
    (output,), cells_backward = by_groups(function, cells, weight, bias, common=2)

    def backward(grad_output, needs=None):
        need_x, need_weight, need_bias = needed(op, needs, 3)
        grad_cells = cotangent(op, grad_output, x.shape, x.dtype).reshape(cells.shape)
        grads = cells_backward(grad_cells, (need_x, need_weight and weight is not None, need_bias and bias is not None))
        grad_x, grad_weight, grad_bias = grads
        return grad_x.reshape(x.shape) if need_x else None, grad_weight, grad_bias

    return output.reshape(x.shape), backward


def _group_norm(x, weight, bias, *, num_groups, eps):  # x (N, C, L)
    samples, channels, cells = x.shape
    groups = samples * num_groups, 1, channels // num_groups * cells
    x_hat, _, _, inverse = standardize(x.reshape(groups), eps)
    of_channels = x_hat.reshape(x.shape)

    def backward(g, needs):
        need_x, need_weight, need_bias = needs
        grad_x = None
        if need_x:
            g_hat = g if weight is None else g * weight[:, None]
            grad_x = through_statistics(g_hat.reshape(groups), x_hat, inverse).reshape(x.shape)
        grad_weight = np.einsum("ncl,ncl->c", g, of_channels) if need_weight else None
        return grad_x, grad_weight, np.einsum("ncl->c", g) if need_bias else None

    return (affine(of_channels, by_channel(weight), by_channel(bias)),), backward


def by_channel(weight: Array | None) -> Array | None:
    """A number for each channel, beside its cells."""
    return None if weight is None else weight[:, None]


def require_channels(op: str, x: Array, weight: Array | None, bias: Array | None) -> None:
    """Refuse an x that is not (N, C, ...), and a weight or bias that is not (C)."""
    if x.ndim < 2:
        raise ValueError(f"{op}: x must have shape (N, C, ...), got {x.shape}")
    require_shape(op, "weight", weight, x.shape[1:2])
    require_shape(op, "bias", bias, x.shape[1:2])


class GroupNorm(Module):
    """`group_norm` with its weight and bias, which start from 1 and 0."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.num_groups = require_integer("GroupNorm", "num_groups", num_groups, least=1)
        self.num_channels = require_integer("GroupNorm", "num_channels", num_channels, least=0)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups must divide num_channels, {num_channels}, got {num_groups}")
        self.eps = require_number("GroupNorm", "eps", eps, "a number of at least 0")
        require_flags("GroupNorm", affine=affine, bias=bias)
        self.affine = affine
        own_affine(self, (num_channels,), affine, bias, require_dtype("GroupNorm", dtype))

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Normalise `input` (N, num_channels, ...)."""
        return self.call(group_norm, input, self.weight, self.bias, num_groups=self.num_groups, eps=self.eps)
