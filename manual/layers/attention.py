"""Attention: each query takes an average of the values, weighted by how well their keys go with it.

The scores of all queries with all keys are by far the largest array. A strip holds those of a few queries, of the causal form only
up to the last key that one of them sees. The plain form keeps of every strip e = exp(s − max s) for the backward. The tiled form
never has more than a tile of a strip, and computes it again whenever it is needed.

No weight is divided by the sum l = Σ e of its row: the output is, y = (Σ e v) / l, and so is its gradient, ĝ = g / l. Then the
gradient of a score is e (d − Σ e d / l) with d = ĝ vᵀ. Where one key takes nearly everything, the difference is small beside d, and
its rounding error as large as itself. So ⟨ĝ, y⟩, which is Σ e d / l in exact arithmetic, is subtracted first, and then the mean of
what is left.
"""

import math
from functools import partial
from typing import Any

import numpy as np

from manual.arrays import row_sums, sum_to_shape
from manual.contract import (
    Array,
    Backward,
    cotangent,
    holds_truths,
    needed,
    require_flags,
    require_floats,
    require_generator,
    require_integer,
    require_mask,
    require_number,
)
from manual.strips import Strips, at_once

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    attn_mask: Array | None = None,
    /,
    *,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
    tile: int | None = None,
) -> tuple[Array, Backward]:
    """Average values, weighted by the softmax of the products of queries and keys.

    Forward:   s = scale · q kᵀ + attn_mask,  p = softmax(s),  w = p · mask / (1 − dropout_p),  y = w v
    Backward:  grad_v = wᵀ g,  grad_p = g vᵀ · mask / (1 − dropout_p),  grad_s = p (grad_p − Σ p grad_p),
               grad_q = scale · grad_s k,  grad_k = scale · grad_sᵀ q,  grad_attn_mask = grad_s      (g = grad_y)
    Shapes:    q (..., L, E), k (..., S, E), v (..., S, Ev), y (..., L, Ev), where leading axes broadcast; attn_mask broadcasts to
               s (..., L, S), as numbers to add, or True where a query may see a key; `mask` has the shape of s, and is drawn by
               `generator` unless given: True, with probability 1 − dropout_p, where a weight is kept.
               `scale` is 1/√E unless given. With `enable_gqa` k and v have fewer heads, the axis before L, than q: each serves as
               many heads of q, one after the other. `is_causal`: query i sees the keys up to i alone
    Memory:    with `tile`, so many queries and keys are seen at a time, and what takes memory for each score, L · S in all, is
               computed again in the backward: 4096 queries and keys, 64 wide, in float64 take 11 MiB instead of 142 at tiles of
               128: python -m pytest tests/layers/test_attention.py -k memory
    Corners:   a query that sees no key has the output 0, and no gradient. What may not be seen has the weight 0, so that ∞ and NaN
               of its value become NaN, but for whole tiles that no query sees
    Source:    Vaswani et al. 2017, Attention Is All You Need; tiles: Milakov & Gimelshein 2018, Online normalizer calculation for
               softmax; Dao, Fu, Ermon, Rudra & Ré 2022, FlashAttention; enable_gqa: Ainslie et al. 2023, GQA
    """
    op = "scaled_dot_product_attention"
    require_floats(op, "q k v attn_mask?", q, k, v, None if holds_truths(attn_mask) else attn_mask)
    require_flags(op, is_causal=is_causal, enable_gqa=enable_gqa)
    _require_axes(op, q, k, v, enable_gqa)
    batch = _batch_shape(op, q, k, v, enable_gqa)
    shape = (*batch, q.shape[-2], k.shape[-2])
    if attn_mask is not None:
        _require_attn_mask(op, attn_mask, shape, is_causal)
    dropout_p = require_number(op, "dropout_p", dropout_p, "a number from 0 to 1")
    scale = 1.0 / math.sqrt(q.shape[-1] or 1) if scale is None else require_number(op, "scale", scale)
    require_generator(op, generator)
    tile = tile if tile is None else require_integer(op, "tile", tile, least=1)
    if mask is not None:
        require_mask(op, "mask", mask, shape)
        if tile is not None:
            raise ValueError(f"{op}: mask must be None with tile={tile}, which draws a mask for each tile, got shape {mask.shape}")
    q_heads, k_heads, v_heads = (_by_heads(array, batch, enable_gqa) for array in (q, k, v))
    scoring = Scoring(attn_mask, batch, is_causal)
    dropping = None if mask is None and dropout_p == 0.0 else Dropping(dropout_p, mask, generator, shape, tile)
    y, _, attend_backward = attend(q_heads, k_heads, v_heads, scoring, dropping, scale=scale, tile=tile)
    output = y.reshape(*batch, *y.shape[1:])

    def backward(grad_output, needs=None):
        *need_arrays, need_mask = needed(op, needs, 4)
        grad_y = cotangent(op, grad_output, output.shape, output.dtype).reshape(y.shape)
        *grads, grad_mask = attend_backward(grad_y, None, (*need_arrays, need_mask and scoring.learns))
        grads = [_of_array(grad, array, batch, enable_gqa) for grad, array in zip(grads, (q, k, v))]
        return *grads, grad_mask

    return output, backward


def _require_axes(op: str, q: Array, k: Array, v: Array, enable_gqa: bool) -> None:
    """Refuse arrays that do not go together in their last axes."""
    got = f"got {q.shape}, {k.shape} and {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 2 + enable_gqa or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        axes = "..., heads" if enable_gqa else "..."
        raise ValueError(f"{op}: expected q ({axes}, L, E), k ({axes}, S, E) and v ({axes}, S, Ev), {got}")
    if enable_gqa and not all(array.shape[-3] and q.shape[-3] % array.shape[-3] == 0 for array in (k, v)):
        raise ValueError(f"{op}: expected as many heads of q as of k and of v, or a multiple, with enable_gqa=True, {got}")


def _batch_shape(op: str, q: Array, k: Array, v: Array, enable_gqa: bool) -> tuple[int, ...]:
    """The shape of the leading axes of the scores, to which those of all three broadcast."""
    heads = (q.shape[-3],) if enable_gqa else ()
    try:
        return np.broadcast_shapes(*(array.shape[: array.ndim - 2 - len(heads)] for array in (q, k, v))) + heads
    except ValueError:
        got = f"{q.shape}, {k.shape} and {v.shape}"
        raise ValueError(f"{op}: expected leading axes of q, k and v that broadcast together, got {got}") from None


def _require_attn_mask(op: str, attn_mask: Array, shape: tuple[int, ...], is_causal: bool) -> None:
    """Refuse a mask that does not broadcast to the scores."""
    if holds_truths(attn_mask):
        require_mask(op, "attn_mask", attn_mask, attn_mask.shape)
    if is_causal:
        raise ValueError(f"{op}: attn_mask must be None with is_causal=True, got shape {attn_mask.shape}")
    axes = zip(attn_mask.shape[::-1], shape[::-1])
    if not 2 <= attn_mask.ndim <= len(shape) or any(size not in (1, expected) for size, expected in axes):
        raise ValueError(f"{op}: attn_mask must have two axes or more and broadcast to {shape}, got {attn_mask.shape}")


def _by_heads(array: Array, batch: tuple[int, ...], enable_gqa: bool) -> Array:
    """An array (..., length, width) as (heads, length, width), repeated where it serves several heads."""
    size = array.shape[-2:]
    if enable_gqa and array.shape[-3] != batch[-1]:
        array = np.repeat(array, batch[-1] // array.shape[-3], axis=-3)
    return np.broadcast_to(array, batch + size).reshape(math.prod(batch), *size)


def _of_array(grad: Array | None, array: Array, batch: tuple[int, ...], enable_gqa: bool) -> Array | None:
    """The gradient by heads as that of the array, summed over the heads that it serves."""
    if grad is None:
        return None
    size = array.shape[-2:]
    grad = grad.reshape(batch + size)
    if enable_gqa and array.shape[-3] != batch[-1]:
        served = array.shape[-3], batch[-1] // array.shape[-3]
        grad = np.add.reduce(grad.reshape(*batch[:-1], *served, *size), axis=-3)
    return sum_to_shape(grad, array.shape)


class Scoring:
    """Which keys a query sees, and what a mask (M, 1 or L, 1 or S), of which each head has a matrix, adds to their scores."""

    def __init__(self, attn_mask: Array | None, batch: tuple[int, ...], is_causal: bool) -> None:
        self.is_causal, self.learns = is_causal, attn_mask is not None and attn_mask.dtype != bool
        self.mask: Any = None
        if attn_mask is not None:
            self.shape, leading = attn_mask.shape, attn_mask.shape[:-2]
            self.mask = attn_mask.reshape(math.prod(leading), *attn_mask.shape[-2:])
            self.matrix_of = np.broadcast_to(np.arange(len(self.mask)).reshape(leading), batch).reshape(math.prod(batch))

    def add_to(self, s, heads, rows, keys):
        """Complete the scores of a tile: −∞ where a query may not see a key."""
        if self.is_causal and keys.stop - 1 > rows.start:
            first = max(rows.start, keys.start)  # every query of the tile sees the keys before it
            unseen = np.arange(first, keys.stop) > np.arange(rows.start, rows.stop)[:, None]
            np.copyto(s[..., first - keys.start :], -math.inf, where=unseen)
        if self.mask is not None:
            matrices = self.matrix_of[heads] if len(self.mask) > 1 else slice(None)
            part = self.mask[(matrices, *self._cells(rows, keys))]
            if self.learns:
                s += part
            else:
                np.copyto(s, -math.inf, where=~part)

    def add_gradient(self, grad_mask, grad_s, heads, rows, keys):
        """Add the gradient of the scores of a tile to that of the mask."""
        cells = self._cells(rows, keys)
        for matrix, grad in zip(self.matrix_of[heads], grad_s):
            part = grad_mask[matrix][cells]
            part += sum_to_shape(grad, part.shape)

    def _cells(self, rows, keys):
        """Where a tile is in a matrix, which may have one row or one column for all."""
        return rows if self.mask.shape[1] > 1 else slice(None), keys if self.mask.shape[2] > 1 else slice(None)


class Dropping:
    """What dropout multiplies weights by, from a mask that is given or drawn; with tiles, from one that each tile draws again."""

    def __init__(
        self, p: float, mask: Array | None, generator: np.random.Generator | None, shape: tuple[int, ...], tile: int | None
    ) -> None:
        self.scale, self.probability, self.kept = 1.0 / (1.0 - p) if p < 1 else 0.0, 1.0 - p, None
        draw = np.random.default_rng(generator)
        if tile is not None:
            self.seed = int(draw.integers(1 << 63))
        else:
            drawn = draw.random(shape, np.float32) < self.probability if mask is None else mask
            self.kept = drawn.reshape(math.prod(shape[:-2]), *shape[-2:])

    def slope(self, dtype, heads, rows, keys):
        """The factor of each weight of a tile."""
        if self.kept is not None:
            kept = self.kept[heads, rows, keys]
        else:
            size = rows.stop - rows.start, keys.stop - keys.start
            draws = [np.random.default_rng((self.seed, h, rows.start, keys.start)) for h in range(heads.start, heads.stop)]
            kept = np.stack([draw.random(size, np.float32) for draw in draws]) < self.probability
        return np.multiply(kept, self.scale, dtype=dtype)


def attend(
    q: Array,
    k: Array,
    v: Array,
    scoring: Scoring,
    dropping: Dropping | None,
    /,
    *,
    scale: float,
    tile: int | None = None,
    with_weights: bool = False,
) -> tuple[Array, Array | None, Backward]:
    """Attention by heads, q (N, L, E), k (N, S, E), v (N, S, Ev): the output y (N, L, Ev), the weights (N, L, S) where they are
    wanted, and `backward(grad_y, grad_weights, needs)`. With weights, what a query gets that sees no key is NaN.
    """
    (count, length, _), size = q.shape, k.shape[1]
    strips = Strips(count, length, size, scoring.is_causal, tile)
    y = np.empty((count, length, v.shape[2]), q.dtype)
    weights: Any = np.empty((count, length, size), q.dtype) if with_weights else None
    peak, total = np.empty((2, count, length, 1), q.dtype)
    lowest = np.finfo(q.dtype).min  # finite, so that of a row that is −∞ throughout e is 0, and not NaN
    scaled = q * scale

    def scores(heads, rows, keys):
        s = np.matmul(scaled[heads, rows], k[heads, keys].swapaxes(1, 2))
        scoring.add_to(s, heads, rows, keys)
        return s

    def dropped(array, heads, rows, keys):
        return array if dropping is None else array * dropping.slope(array.dtype, heads, rows, keys)

    def forward(share):
        kept = []
        for strip in strips.of(share):
            highest, sums, of_values = lowest, np.zeros((), q.dtype), 0.0
            for heads, rows, keys in strip:
                e = scores(heads, rows, keys)
                before, highest = highest, np.maximum(e.max(axis=-1, keepdims=True, initial=lowest), highest)
                e -= highest
                np.exp(e, out=e)
                w = dropped(e, heads, rows, keys)
                shrink = np.exp(before - highest)  # for the sums so far are those of exp(s − before)
                sums = shrink * sums + row_sums(e)[..., None]
                of_values = shrink * of_values + np.matmul(w, v[heads, keys])
            if tile is None:
                kept.append(e)
            sums[sums == 0.0] = math.nan if with_weights else 1.0
            peak[heads, rows], total[heads, rows] = highest, sums
            np.divide(of_values, sums, out=y[heads, rows])
            if weights is not None:
                np.divide(w, sums, out=weights[heads, rows])
        return partial(backward_share, share, kept)

    def slopes(g_hat, w_hat, mean, heads, rows, keys):
        """Of a tile d, less a mean of each row."""
        d = np.matmul(g_hat, v[heads, keys].swapaxes(1, 2))
        if w_hat is not None:
            d += w_hat
        d = dropped(d, heads, rows, keys)
        d -= mean
        return d

    def backward_share(share, kept, g, g_weights, grads, need_mask):
        grad_q, grad_k, grad_v = grads
        grad_mask = np.zeros_like(scoring.mask) if need_mask else None
        need_scores = grad_q is not None or grad_k is not None or need_mask
        for number, strip in enumerate(strips.of(share)):
            heads, rows, _ = strip[0]
            g_hat, w_hat = g[heads, rows] / total[heads, rows], None
            mean = np.vecdot(g_hat, y[heads, rows])[..., None]
            if g_weights is not None:
                w_hat = g_weights[heads, rows] / total[heads, rows]
                mean += np.vecdot(w_hat, weights[heads, rows])[..., None]
            left = np.zeros_like(mean)
            for heads, rows, keys in strip:
                e = kept[number] if kept else np.exp(scores(heads, rows, keys) - peak[heads, rows])
                if grad_v is not None:
                    grad_v[heads, keys] += np.matmul(dropped(e, heads, rows, keys).swapaxes(1, 2), g_hat)
                if need_scores:
                    d = slopes(g_hat, w_hat, mean, heads, rows, keys)
                    left += np.vecdot(e, d)[..., None]
            left /= total[heads, rows]
            for heads, rows, keys in strip if need_scores else ():
                if len(strip) > 1:
                    e = np.exp(scores(heads, rows, keys) - peak[heads, rows])
                    d = slopes(g_hat, w_hat, mean, heads, rows, keys)
                d -= left
                d *= e
                if grad_q is not None:
                    grad_q[heads, rows] += scale * np.matmul(d, k[heads, keys])
                if grad_k is not None:
                    grad_k[heads, keys] += np.matmul(d.swapaxes(1, 2), scaled[heads, rows])
                if need_mask:
                    scoring.add_gradient(grad_mask, d, heads, rows, keys)
        return grad_mask

    backwards = strips.by_shares(forward)
    y.flags.writeable = False
    if weights is not None:
        weights.flags.writeable = False

    def backward(g, g_weights, needs):
        *need_arrays, need_mask = needs
        grads = [np.zeros_like(array) if need else None for array, need in zip((q, k, v), need_arrays)]
        of_mask = at_once(backwards, g, g_weights, grads, need_mask)
        return *grads, sum(of_mask).reshape(scoring.shape) if need_mask else None

    return y, weights, backward
