"""Resizing images, sequences and volumes.

All of it is linear and goes axis by axis: along an axis, each output is a weighted sum of a few inputs, its taps. A mode is a way
to choose taps and their weights. The forward sums over the taps of each output; the backward, which is the transpose, sums over
the outputs that read an input.
"""

import math
from typing import Any

import numpy as np

from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_choice,
    require_flags,
    require_floats,
    require_integers,
    require_numbers,
)
from manual.layers.adaptive_pooling import bins
from manual.module import Module

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d", "interpolate", "upsample"]

SHAPES = {3: "(N, C, W)", 4: "(N, C, H, W)", 5: "(N, C, D, H, W)"}
# Of each mode, how many axes an input may have
MODES = {
    "nearest": (3, 4, 5),
    "nearest-exact": (3, 4, 5),
    "area": (3, 4, 5),
    "linear": (3,),
    "bilinear": (4,),
    "trilinear": (5,),
    "bicubic": (4,),
    "lanczos": (4,),
}
WITHOUT_CORNERS = "nearest", "nearest-exact", "area"
ANTIALIASED = "bilinear", "bicubic", "lanczos"


def interpolate(
    x: Array,
    /,
    *,
    size: int | tuple[int, ...] | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> tuple[Array, Backward]:
    """Resize along every axis but the first two, to a size or by a factor.

    Output i lies at p = (i + ½) r − ½ among the n inputs of an axis, with r = n / m, or r = 1 / scale_factor where that is given
    and not to be recomputed. With `align_corners`, first and last stay where they are: p = i (n − 1) / (m − 1).

    Forward:   yᵢ = Σⱼ Wᵢⱼ xⱼ along each axis in turn, where Wᵢⱼ is
               nearest: 1 for j = ⌊i r⌋;  nearest-exact: 1 for j = ⌊(i + ½) r⌋
               linear, bilinear, trilinear: k(j − p), k(d) = 1 − |d| for |d| ≤ 1
               bicubic: k(j − p), k(d) = (1 − |d|) (1 + |d| − (a + 2) d²) for |d| ≤ 1, a (|d| − 1) (|d| − 2)² for |d| ≤ 2;  a = −¾
               with antialias: k((j − p) / max(r, 1)) / Σ, where p = (i + ½) r − ½ always, and a = −½
               lanczos: the same with k(d) = sinc(d) sinc(d / 3) for |d| ≤ 3
               area: 1 / count for the inputs j that overlap [i n / m, (i + 1) n / m]
    Backward:  grad_x = Wᵀ grad_y along each axis
    Shapes:    x (N, C, n₁, …), y (N, C, m₁, …) with one to three such axes; mᵢ = size or ⌊nᵢ · scale_factor⌋
    Kinks:     beyond the edges the edge is repeated, but with antialias left out. ⌊·⌋ is taken in single precision, of a place in
               the dtype of x, as in torch. Also as there, an axis with m = n stays as it is, but for nearest and plain bicubic,
               which a factor such as 1.01 moves. (In the backward of these two, torch forgets that; here it is the transpose.)
    Source:    Keys 1981, Cubic convolution interpolation for digital image processing
    """
    return _interpolate("interpolate", x, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)


def upsample(
    x: Array,
    /,
    *,
    size: int | tuple[int, ...] | None = None,
    scale_factor: float | tuple[float, ...] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> tuple[Array, Backward]:
    """The older name of `interpolate`, without antialias.

    Forward:   y = interpolate(x)
    Backward:  grad_x = Wᵀ grad_y along each axis
    Shapes:    x (N, C, n₁, …), y (N, C, m₁, …)
    """
    return _interpolate("upsample", x, size, scale_factor, mode, align_corners, None, False)


def _interpolate(
    op: str, x: Array, size: Any, scale_factor: Any, mode: str, align_corners: Any, recompute_scale_factor: Any, antialias: Any
) -> tuple[Array, Backward]:
    require_floats(op, "x", x)
    _require_mode(op, x, mode, align_corners, antialias)
    size, scales = _sizes(op, x, size, scale_factor, mode, recompute_scale_factor)
    axes = []
    for axis, (n, m, scale) in enumerate(zip(x.shape[2:], size, scales), start=2):
        if mode.startswith("nearest"):
            index, weight = _nearest(n, m, scale, mode == "nearest-exact", x.dtype)
        elif mode == "area":
            index, weight = _area(n, m)
        else:
            index, weight = _filtered(n, m, scale, mode, align_corners, antialias)
        axes.append((axis, index, weight.astype(x.dtype)))
    output = np.ascontiguousarray(x)
    for taps in reversed(axes):
        output = _along(output, *taps)
    in_shape, out_shape, dtype = x.shape, output.shape, x.dtype

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        grad = np.ascontiguousarray(cotangent(op, grad_output, out_shape, dtype))
        if grad.size == 0:
            return (np.zeros(in_shape, dtype),)
        for axis, index, weight in axes:
            grad = _along(grad, axis, *_transposed(index, weight, in_shape[axis]))
        return (grad,)

    return output, backward


# -- Taps: index and weight, both (taps, outputs)


def _along(x: Array, axis: int, index: Array, weight: Array) -> Array:
    """yᵢ = Σₖ weightₖᵢ x[indexₖᵢ] along an axis."""
    weight = weight.reshape(*weight.shape, *(1,) * (x.ndim - axis - 1))
    y = x.take(index[0], axis=axis)
    if len(index) == 1 and (weight == 1.0).all():
        return y
    y *= weight[0]
    for k in range(1, len(index)):
        term = x.take(index[k], axis=axis)
        term *= weight[k]
        y += term
    return y


def _transposed(index: Array, weight: Array, inputs: int) -> tuple[Array, Array]:
    """The taps of the transpose: of each input, the outputs that read it. Those who are read less have some of weight 0."""
    tap, output = np.nonzero(weight)
    read = index[tap, output]
    order = read.argsort()
    tap, output, read = tap[order], output[order], read[order]
    k = np.arange(len(read)) - np.searchsorted(read, read)  # the how manieth reader of its input
    shape = (int(k.max()) + 1, inputs)
    of_output, back = np.zeros(shape, int), np.zeros(shape, weight.dtype)
    of_output[k, read], back[k, read] = output, weight[tap, output]
    return of_output, back


def _nearest(n: int, m: int, scale: float | None, exact: bool, dtype: Any) -> tuple[Array, Array]:
    """One input each. Where its place is close to an integer, rounding decides: it is rounded where torch rounds it."""
    ratio = float(dtype.type(n) / dtype.type(m) if scale is None else dtype.type(1.0 / scale))
    i = np.arange(m)
    place = ((i + 0.5) * ratio - 0.5).astype(dtype) + 0.5 if exact else (i * ratio).astype(dtype)
    index = place.astype(np.float32).astype(int)
    return np.minimum(index, n - 1)[None], np.ones((1, m))


def _area(n: int, m: int) -> tuple[Array, Array]:
    """The mean of all inputs that an output overlaps, be it in part."""
    start, end = bins(n, m)
    index = start + np.arange((end - start).max(initial=1))[:, None]
    return np.minimum(index, end - 1), (index < end) / (end - start)


def _filtered(n: int, m: int, scale: float | None, mode: str, align_corners: bool, antialias: bool) -> tuple[Array, Array]:
    """A kernel around the place of each output, sampled at the inputs within its reach."""
    if n == m and (antialias or mode != "bicubic"):  # whatever the factor, torch leaves such an axis alone
        return np.arange(m)[None], np.ones((1, m))
    i = np.arange(m, dtype=np.longdouble)  # so that a weight is right to its last digit also where the place is far from 0
    ratio: Any = 0.0
    if align_corners and m > 1:
        ratio = np.longdouble(n - 1) / (m - 1)
    elif not align_corners:
        ratio = np.longdouble(n) / m if scale is None else 1 / np.longdouble(scale)
    place = i * ratio if align_corners and not antialias else (i + 0.5) * ratio - 0.5
    stretch = np.maximum(ratio, 1.0) if antialias else 1.0
    radius = {"bicubic": 2, "lanczos": 3}.get(mode, 1)
    reach = radius * stretch
    index = np.floor(place - reach).astype(int) + 1 + np.arange(math.ceil(2 * reach))[:, None]
    d = np.minimum(abs(index - place) / stretch, radius)
    if mode == "bicubic":
        weight, _ = cubic(d, -0.5 if antialias else -0.75)
    elif mode == "lanczos":
        weight = np.sinc(d) * np.sinc(d / 3.0)
    else:
        weight = 1.0 - d
    if antialias:
        weight *= (index >= 0) & (index < n)
        weight /= weight.sum(axis=0)
    return index.clip(0, n - 1), weight


def cubic(d: Array, a: float) -> tuple[Array, Array]:
    """The kernel of cubic convolution at distances of at most 2, and its slope."""
    near = d < 1.0
    kernel = np.where(near, (1.0 - d) * (1.0 + d - (a + 2.0) * d * d), a * (d - 1.0) * (d - 2.0) ** 2)
    return kernel, np.where(near, (3.0 * (a + 2.0) * d - 2.0 * (a + 3.0)) * d, a * (d - 2.0) * (3.0 * d - 4.0))


# -- What is asked for


def _sizes(
    op: str, x: Array, size: Any, scale_factor: Any, mode: str, recompute_scale_factor: Any
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The output's size along each axis, and the factor of each where it decides the places of the outputs."""
    shape, count = x.shape[2:], x.ndim - 2
    least = 0 if mode == "area" else 1
    by_size = (None,) * count
    if recompute_scale_factor is not None:
        require_flags(op, recompute_scale_factor=recompute_scale_factor)
    if size is not None:
        size = require_integers(op, "size", size, count, least, stretch=False)
        if scale_factor is not None:
            raise ValueError(f"{op}: scale_factor must be None where size is given, got {scale_factor}")
        if recompute_scale_factor:
            raise ValueError(f"{op}: recompute_scale_factor must not be True where size is given")
        return size, by_size
    if scale_factor is None:
        raise ValueError(f"{op}: size must be given, or scale_factor")
    factors = require_numbers(op, "scale_factor", scale_factor, count, "a finite number of at least 0")
    size = tuple([int(n * factor) for n, factor in zip(shape, factors)])
    if min(size) < least:
        raise ValueError(f"{op}: scale_factor must leave at least one pixel along each axis of {shape}, got {scale_factor}")
    return size, by_size if recompute_scale_factor else factors


def _require_mode(op: str, x: Array, mode: str, align_corners: Any, antialias: Any) -> None:
    """Refuse a mode with which the number of axes or another constant does not go."""
    require_choice(op, "mode", mode, tuple(MODES))
    require_flags(op, antialias=antialias)
    if align_corners is not None:
        require_flags(op, align_corners=align_corners)
        if mode in WITHOUT_CORNERS:
            raise ValueError(f"{op}: align_corners must be None in mode {mode!r}, got {align_corners}")
    if antialias and mode not in ANTIALIASED:
        raise ValueError(f"{op}: antialias must be False in mode {mode!r}, got {antialias}")
    if mode == "lanczos" and align_corners:
        raise ValueError(f"{op}: align_corners must not be True in mode 'lanczos'")
    if mode == "lanczos" and not antialias:
        raise ValueError(f"{op}: antialias must be True in mode 'lanczos', got {antialias}")
    if x.ndim not in MODES[mode]:
        expected = " or ".join(SHAPES[ndim] for ndim in MODES[mode])
        raise ValueError(f"{op}: x must have shape {expected} in mode {mode!r}, got {x.shape}")
    if 0 in x.shape[2 if mode == "area" and x.ndim < 5 else 1 :]:
        raise ValueError(f"{op}: x must not be empty but for its batch, got shape {x.shape}")


class Upsample(Module):
    """`interpolate` as a module."""

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Resize `input` (N, C, …) along all axes but the first two."""
        return interpolate(
            input,
            size=self.size,
            scale_factor=self.scale_factor,
            mode=self.mode,
            align_corners=self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )


class UpsamplingNearest2d(Upsample):
    """`Upsample` to the nearest pixel."""

    def __init__(self, size: int | tuple[int, int] | None = None, scale_factor: float | tuple[float, float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` in mode bilinear, with aligned corners."""

    def __init__(self, size: int | tuple[int, int] | None = None, scale_factor: float | tuple[float, float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)
