"""Reading an image or a volume at any places: spatial transformers, warps."""

import math
from collections.abc import Callable
from functools import partial, reduce

import numpy as np
from scipy.sparse import csr_array

from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_choice,
    require_flags,
    require_floats,
    require_integer,
    require_shape,
)
from manual.layers.upsampling import cubic

__all__ = ["affine_grid", "grid_sample"]


def grid_sample(
    x: Array,
    grid: Array,
    /,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> tuple[Array, Backward]:
    """Read x at the places that the grid names, by coordinates from −1 to 1, the last axis of x first.

    Along an axis of n pixels, a coordinate c is the place p = ((c + 1) n − 1) / 2 among them, so that ±1 are the outer edges of
    the outer pixels; with `align_corners` p = (c + 1) (n − 1) / 2, and ±1 are their centres.

    Forward:   y = Σⱼ w(p, j) xⱼ over the pixels j around p, where w is the product over the axes of
               bilinear: 1 − |p − j| for the two next to p;  nearest: 1 for p rounded, halves to even
               bicubic: k(p − j) for the four next to p, with the k of `interpolate`
               What lies outside is 0; with padding_mode border or reflection p is clipped, or first reflected at the edges
               (bicubic: every pixel j that it reads), and a place that is NaN is pixel 0
    Backward:  grad_xⱼ = Σ w(p, j) grad_y over all places,  grad_grid = Σ grad_y ∂w/∂p xⱼ ∂p/∂c over channels and pixels
    Shapes:    x (N, C, H, W), grid (N, h, w, 2), y (N, C, h, w), or x (N, C, D, H, W), grid (N, d, h, w, 3), y (N, C, d, h, w)
    Kinks:     at a pixel's centre the slope is that towards the next one; ∂p/∂c is 0 where p is clipped, and on the edge itself
    Source:    Jaderberg, Simonyan, Zisserman & Kavukcuoglu 2015, Spatial Transformer Networks
    """
    op = "grid_sample"
    require_floats(op, "x grid", x, grid)
    require_choice(op, "mode", mode, ("bilinear", "nearest", "bicubic"))
    require_choice(op, "padding_mode", padding_mode, ("zeros", "border", "reflection"))
    if align_corners is not None:
        require_flags(op, align_corners=align_corners)
    _require_places(x, grid, mode)
    (batch, channels, *sizes), places = x.shape, grid.shape[1:-1]
    pixels, count = math.prod(sizes), math.prod(places)  # of each image, and in it
    # All pixels as rows of channels, and one of zeros behind them, which is what lies outside
    rows = np.zeros((batch * pixels + 1, channels), x.dtype)
    rows[:-1].reshape(batch, pixels, channels)[...] = x.reshape(batch, channels, pixels).swapaxes(1, 2)
    coordinates = grid.reshape(batch * count, len(sizes)).T[::-1]  # in the order of the axes of x
    with np.errstate(invalid="ignore"):  # ∞ − ∞, where a place is ∞
        taps = [_taps(c, n, mode, padding_mode, bool(align_corners)) for c, n in zip(coordinates, sizes)]
    row = np.arange(batch).repeat(count)[None]
    for n, (pixel, _, _) in zip(sizes, taps):
        row = _pairs(np.add, row * n, np.where(pixel < 0, -len(rows), pixel))  # below 0 whatever is added
    columns = np.where(row < 0, len(rows) - 1, row).T.reshape(-1)
    starts = np.arange(batch * count + 1) * len(row)
    weights = [weight for _, weight, _ in taps]

    def matrix(factors):
        """Of each place, the pixels that it reads, each with the product of these factors along the axes."""
        values = reduce(partial(_pairs, np.multiply), factors).T.reshape(-1)
        reads = csr_array((values, columns, starts), shape=(batch * count, len(rows)))
        reads.check_format()  # SciPy's product trusts the columns: a wrong one would read other memory
        return reads

    output = (matrix(weights) @ rows).reshape(batch, count, channels).swapaxes(1, 2).reshape(batch, channels, *places)
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x, need_grid = needed(op, needs, 2)
        grad_y = cotangent(op, grad_output, shape, dtype).reshape(batch, channels, count).swapaxes(1, 2)
        grad_rows = grad_y.reshape(batch * count, channels)
        grad_x = grad_grid = None
        if need_x:
            by_pixel = matrix(weights).T @ grad_rows
            grad_x = by_pixel[:-1].reshape(batch, pixels, channels).swapaxes(1, 2).reshape(x.shape)
        if need_grid:
            grad_grid = np.zeros((batch * count, len(sizes)), dtype)
            for axis, (_, _, slope) in enumerate(taps if mode != "nearest" else ()):
                moved = matrix([*weights[:axis], slope, *weights[axis + 1 :]]) @ rows
                grad_grid[:, -1 - axis] = np.vecdot(grad_rows, moved)
            grad_grid = grad_grid.reshape(grid.shape)
        return grad_x, grad_grid

    return output, backward


def _pairs(combine: Callable[[Array, Array], Array], one: Array, other: Array) -> Array:
    """Combine every tap of one axis with every tap of another, at each place."""
    return combine(one[:, None], other).reshape(len(one) * len(other), other.shape[1])


def _taps(c: Array, n: int, mode: str, padding_mode: str, align_corners: bool) -> tuple[Array, Array, Array]:
    """Along an axis of n pixels, those that each coordinate reads (−1 outside), their weights, and the slopes of these by c."""
    half = 0.5 * (n - 1 if align_corners else n)
    p = (c + 1.0) * half
    if not align_corners:
        p -= 0.5
    if mode == "bicubic":
        first, steps = np.floor(p), np.arange(-1, 3, dtype=p.dtype)[:, None]
        beyond = (p - first) - steps  # each pixel that it reads
        weight, slope = cubic(abs(beyond), -0.75)
        slope *= np.sign(beyond) * half
        pixel, _ = _padded(first + steps, n, padding_mode, align_corners)
    else:
        p, moves = _padded(p, n, padding_mode, align_corners)
        if mode == "nearest":
            pixel = np.rint(p)[None]
            weight = slope = np.ones_like(pixel)  # it goes in steps, and nobody reads a slope
        else:
            first = np.floor(p)
            pixel, weight, slope = np.stack([first, first + 1.0]), np.stack([1.0 - (p - first), p - first]), moves * half
            slope = np.stack([-slope, slope])
    return np.where((pixel >= 0.0) & (pixel < n), pixel, -1.0).astype(int), weight, slope


def _padded(p: Array, n: int, padding_mode: str, align_corners: bool) -> tuple[Array, Array]:
    """Places brought back to the n pixels, and their slopes by what they were; NaN becomes pixel 0."""
    slope = np.ones_like(p)
    if padding_mode == "zeros":
        return p, slope
    if padding_mode == "reflection":
        low, span = (0.0, max(n - 1.0, 1.0)) if align_corners else (-0.5, float(n))
        slope = np.sign(p)
        turns, p = np.divmod(abs(p - low), span)
        odd = turns % 2.0
        slope *= 1.0 - 2.0 * odd
        p = np.where(odd == 1.0, span - p, p) + low
    return np.fmin(np.fmax(p, 0.0), n - 1.0), np.where((p > 0.0) & (p < n - 1.0), slope, 0.0)


def _require_places(x: Array, grid: Array, mode: str) -> None:
    """Refuse shapes that do not go together."""
    op = "grid_sample"
    if x.ndim not in (4, 5) or 0 in x.shape[2:]:
        raise ValueError(f"{op}: x must have shape (N, C, H, W) or (N, C, D, H, W), of at least one pixel, got {x.shape}")
    if grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != x.ndim - 2:
        expected = f"({x.shape[0]}, {'d, ' * (x.ndim - 4)}h, w, {x.ndim - 2})"
        raise ValueError(f"{op}: grid must have shape {expected} for an x of shape {x.shape}, got {grid.shape}")
    if mode == "bicubic" and x.ndim == 5:
        raise ValueError(f"{op}: mode must be 'bilinear' or 'nearest' for an x of five axes, got 'bicubic'")


def affine_grid(theta: Array, /, *, size: tuple[int, ...], align_corners: bool | None = None) -> tuple[Array, Backward]:
    """The grid by which `grid_sample` moves, turns, scales and shears images: where each pixel of the output is to be read.

    Forward:   gridₚ = θ (cₚ, 1), with cₚ the coordinates of pixel p, last axis first: c = (2 i + 1 − n) / n for pixel i of n, or,
               with `align_corners`, c = (2 i + 1 − n) / (n − 1), and 0 where n = 1
    Backward:  grad_θ = Σₚ grad_gridₚ (cₚ, 1)ᵀ
    Shapes:    θ (N, 2, 3), size (N, C, H, W), grid (N, H, W, 2), or θ (N, 3, 4), size (N, C, D, H, W), grid (N, D, H, W, 3)
    Source:    Jaderberg, Simonyan, Zisserman & Kavukcuoglu 2015, Spatial Transformer Networks
    """
    op = "affine_grid"
    require_floats(op, "theta", theta)
    if align_corners is not None:
        require_flags(op, align_corners=align_corners)
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"{op}: size must be a tuple of integers, (N, C, H, W) or (N, C, D, H, W), got {size!r}")
    if len(size) not in (4, 5):
        raise ValueError(f"{op}: size must be (N, C, H, W) or (N, C, D, H, W), got {size}")
    batch, _, *sizes = [require_integer(op, "size", n, least=1) for n in size]
    axes = len(sizes)
    require_shape(op, "theta", theta, (batch, axes, axes + 1))
    base = np.ones((*sizes, axes + 1), theta.dtype)
    for axis, n in enumerate(sizes):
        c = (2.0 * np.arange(n) + 1.0 - n) / (max(n - 1, 1) if align_corners else n)
        base[..., axes - 1 - axis] = c.reshape(-1, *(1,) * (axes - 1 - axis))
    base = base.reshape(-1, axes + 1)
    output = np.matmul(base, theta.swapaxes(1, 2)).reshape(batch, *sizes, axes)
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        grad = cotangent(op, grad_output, shape, dtype).reshape(batch, len(base), axes)
        return (np.matmul(grad.swapaxes(1, 2), base),)

    return output, backward
