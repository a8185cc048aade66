"""Rearranging: the same numbers in another shape, or in another order."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.contract import Array, Backward, cotangent, needed, require_axis, require_floats, require_integer, require_integers
from manual.module import Module
from manual.windows import taps

__all__ = [
    "ChannelShuffle",
    "Flatten",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unflatten",
    "channel_shuffle",
    "flatten",
    "pixel_shuffle",
    "pixel_unshuffle",
    "unflatten",
]

Shuffle = Callable[[Array, int], Array]


def flatten(x: Array, /, *, start_dim: int = 0, end_dim: int = -1) -> tuple[Array, Backward]:
    """Make one axis of several that follow one another.

    Forward:   y = x, its axes from start_dim to end_dim taken as one
    Backward:  grad_x = grad_y in the shape of x
    Shapes:    x (..., n₁, …, nₖ, ...), y (..., n₁ · … · nₖ, ...); a single number becomes (1)
    """
    require_floats("flatten", "x", x)
    shape = x.shape or (1,)
    start = require_axis("flatten", x, start_dim, "start_dim") % len(shape)
    end = require_axis("flatten", x, end_dim, "end_dim") % len(shape)
    if start > end:
        raise ValueError(f"flatten: start_dim must not come after end_dim, got {start_dim} and {end_dim} for shape {x.shape}")
    return reshaped("flatten", x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def reshaped(op: str, x: Array, shape: tuple[int, ...]) -> tuple[Array, Backward]:
    """The same numbers in another shape; read-only, as they may be those of x."""
    output = x.reshape(shape)
    output.flags.writeable = False
    x_shape, dtype = x.shape, x.dtype

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        return (cotangent(op, grad_output, shape, dtype).copy().reshape(x_shape),)

    return output, backward


class Flatten(Module):
    """`flatten` as a module; by default it leaves the batch alone."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `flatten`."""
        return flatten(input, start_dim=self.start_dim, end_dim=self.end_dim)


def unflatten(x: Array, /, *, dim: int, sizes: tuple[int, ...]) -> tuple[Array, Backward]:
    """Make several axes of one.

    Forward:   y = x, its axis `dim` taken as axes of these sizes, one of which may be −1: what the others leave
    Backward:  grad_y in the shape of x
    Shapes:    x (..., n₁ · … · nₖ, ...), y (..., n₁, …, nₖ, ...)
    """
    require_floats("unflatten", "x", x)
    if x.ndim == 0:
        raise ValueError("unflatten: x must have at least one axis, got a single number")
    axis = require_axis("unflatten", x, dim) % x.ndim
    n = x.shape[axis]
    _require_sizes(sizes, n)
    rest = -math.prod(sizes)  # where one of them is −1, the product of the others
    found = [n // rest if size == -1 else size for size in sizes]
    return reshaped("unflatten", x, (*x.shape[:axis], *found, *x.shape[axis + 1 :]))


def _require_sizes(sizes: Any, n: int) -> None:
    """Refuse what does not multiply up to n."""
    if not isinstance(sizes, (tuple, list)) or not sizes:
        raise TypeError(f"unflatten: sizes must hold at least one integer, got {sizes!r}")
    require_integers("unflatten", "sizes", sizes, len(sizes), least=-1)
    product, unknown = math.prod(sizes), sizes.count(-1)
    if unknown > 1 or (product != n if not unknown else not product or n % product):
        raise ValueError(f"unflatten: sizes must multiply up to {n}, the size along dim, with one -1 at most, got {sizes}")


class Unflatten(Module):
    """`unflatten` as a module."""

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of integers, got {unflattened_size!r}")
        require_integers("Unflatten", "unflattened_size", unflattened_size, len(unflattened_size))
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `unflatten`."""
        return unflatten(input, dim=self.dim, sizes=self.unflattened_size)


def pixel_shuffle(x: Array, /, *, upscale_factor: int) -> tuple[Array, Backward]:
    """Make r × r channels of a coarse image one channel of an image that is r times as fine.

    Forward:   y[c, r h + i, r w + j] = x[r² c + r i + j, h, w],  0 ≤ i, j < r      (r = upscale_factor)
    Backward:  `pixel_unshuffle` of grad_y
    Shapes:    x (..., r² C, H, W), y (..., C, r H, r W)
    Source:    Shi et al. 2016, Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel CNN
    """
    require_floats("pixel_shuffle", "x", x)
    require_integer("pixel_shuffle", "upscale_factor", upscale_factor, least=1)
    r = upscale_factor
    if x.ndim < 3 or x.shape[-3] % r**2:
        raise ValueError(f"pixel_shuffle: expected x (..., {r**2} C, H, W), got {x.shape}")
    return _shuffled("pixel_shuffle", _finer, _coarser, x, r)


def pixel_unshuffle(x: Array, /, *, downscale_factor: int) -> tuple[Array, Backward]:
    """Undo `pixel_shuffle`: each block of r × r pixels becomes one pixel of r × r channels.

    Forward:   y[r² c + r i + j, h, w] = x[c, r h + i, r w + j],  0 ≤ i, j < r      (r = downscale_factor)
    Backward:  `pixel_shuffle` of grad_y
    Shapes:    x (..., C, r H, r W), y (..., r² C, H, W)
    """
    require_floats("pixel_unshuffle", "x", x)
    require_integer("pixel_unshuffle", "downscale_factor", downscale_factor, least=1)
    r = downscale_factor
    if x.ndim < 3 or x.shape[-2] % r or x.shape[-1] % r:
        raise ValueError(f"pixel_unshuffle: expected x (..., C, {r} H, {r} W), got {x.shape}")
    return _shuffled("pixel_unshuffle", _coarser, _finer, x, r)


def _finer(x: Array, r: int) -> Array:
    *batch, channels, height, width = x.shape
    y = np.empty((math.prod(batch) * (channels // r**2), height * r, width * r), x.dtype)
    coarse = x.reshape(len(y), r, r, height, width)
    for (i, j), (rows, columns) in taps((r, r), (r, r), (1, 1), (height, width)):
        y[:, rows, columns] = coarse[:, i, j]
    return y.reshape(*batch, channels // r**2, height * r, width * r)


def _coarser(x: Array, r: int) -> Array:
    *batch, channels, height, width = x.shape
    fine = x.reshape(math.prod(batch) * channels, height, width)
    y = np.empty((len(fine), r, r, height // r, width // r), x.dtype)
    for (i, j), (rows, columns) in taps((r, r), (r, r), (1, 1), y.shape[3:]):
        y[:, i, j] = fine[:, rows, columns]
    return y.reshape(*batch, channels * r**2, height // r, width // r)


def _shuffled(op: str, forth: Shuffle, back: Shuffle, x: Array, by: int) -> tuple[Array, Backward]:
    """Apply a shuffle, whose backward is the one that undoes it: the transpose of a permutation is its inverse."""
    output = forth(x, by)
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        return (back(cotangent(op, grad_output, shape, dtype), by),)

    return output, backward


class PixelShuffle(Module):
    """`pixel_shuffle` as a module."""

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `pixel_shuffle`."""
        return pixel_shuffle(input, upscale_factor=self.upscale_factor)


class PixelUnshuffle(Module):
    """`pixel_unshuffle` as a module."""

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `pixel_unshuffle`."""
        return pixel_unshuffle(input, downscale_factor=self.downscale_factor)


def channel_shuffle(x: Array, /, *, groups: int) -> tuple[Array, Backward]:
    """Deal the channels of each group out to all groups.

    Forward:   y[i G + g] = x[g K + i],  0 ≤ g < G,  0 ≤ i < K,  for G K channels      (G = groups)
    Backward:  `channel_shuffle` of grad_y with K groups
    Shapes:    x, y (N, G K, *), with at least one axis behind the channels
    Source:    Zhang, Zhou, Lin & Sun 2018, ShuffleNet
    """
    require_floats("channel_shuffle", "x", x)
    require_integer("channel_shuffle", "groups", groups, least=1)
    if x.ndim < 3 or x.shape[1] % groups:
        raise ValueError(f"channel_shuffle: expected x (N, {groups} K, *) of at least three axes, got {x.shape}")
    return _shuffled("channel_shuffle", _dealt, _collected, x, groups)


def _dealt(x: Array, groups: int) -> Array:
    n, channels, *rest = x.shape
    return x.reshape(n, groups, channels // groups, *rest).swapaxes(1, 2).copy().reshape(x.shape)


def _collected(x: Array, groups: int) -> Array:
    n, channels, *rest = x.shape
    return x.reshape(n, channels // groups, groups, *rest).swapaxes(1, 2).copy().reshape(x.shape)


class ChannelShuffle(Module):
    """`channel_shuffle` as a module."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `channel_shuffle`."""
        return channel_shuffle(input, groups=self.groups)
