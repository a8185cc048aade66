"""Attention by several heads: each sees projections of its own of queries, keys and values; a last one joins what they find."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import sum_to_shape
from manual.calling import Input
from manual.contract import (
    Array,
    Backward,
    cotangents,
    holds_truths,
    needed,
    require_dtype,
    require_flags,
    require_generator,
    require_integer,
    require_mask,
    require_number,
)
from manual.initialization import standard_normal, xavier_uniform_
from manual.layers.attention import Dropping, Scoring, attend
from manual.layers.linear import Linear, linear
from manual.layers.multihead_arguments import ARGUMENTS, INPUTS, SEPARATE, require_axes, require_kinds, require_shapes
from manual.module import Module, Parameter

__all__ = ["MultiheadAttention", "multi_head_attention_forward"]


def multi_head_attention_forward(
    query: Array,
    key: Array,
    value: Array,
    in_proj_weight: Array | None,
    in_proj_bias: Array | None,
    bias_k: Array | None,
    bias_v: Array | None,
    out_proj_weight: Array,
    out_proj_bias: Array | None,
    key_padding_mask: Array | None = None,
    attn_mask: Array | None = None,
    q_proj_weight: Array | None = None,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    static_k: Array | None = None,
    static_v: Array | None = None,
    /,
    *,
    num_heads: int,
    add_zero_attn: bool,
    dropout_p: float,
    training: bool = True,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    batch_first: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[tuple[Array, Array | None], Backward]:
    """Attention by several heads on projections of queries, keys and values; its weights too.

    Forward:   q = query Wqᵀ + bq, likewise k and v, cut into heads; behind the keys come bias_k and 0, behind the values bias_v and
               0, as far as they are asked for;  w = softmax(q kᵀ / √(E / num_heads) + masks),  y = w v  for each head;
               output = y Woᵀ + bo, where y has the heads side by side
    Backward:  those of the last projection, of attention, where grad_w joins what comes to w from y, and of the first three, one
               after the other; what is the same for the whole batch gets a sum over it
    Shapes:    query and output (L, N, E), key (S, N, Ek), value (S, N, Ev), or with `batch_first` (N, L, E), …, or without N;
               in_proj_weight (3E, E), the rows of Wq, Wk and Wv, or q_proj_weight (E, E), k_proj_weight (E, Ek) and v_proj_weight
               (E, Ev); in_proj_bias (3E); bias_k, bias_v (1, 1, E); out_proj_weight Wo (E, E), out_proj_bias (E); attn_mask (L, S)
               or (N · num_heads, L, S) and key_padding_mask (N, S) as numbers to add, or True where a query may *not* see a key;
               static_k, static_v (N · num_heads, S, E / num_heads) in the place of k and v; w (N, L, S), the mean over the heads,
               or all of them, (N, num_heads, L, S), or `None`, as `average_attn_weights` and `need_weights` say; `mask`
               (N, num_heads, L, S), True where dropout keeps a weight, drawn by `generator` unless given. Of w and `mask`, S counts
               what comes behind the keys too
    Corners:   what a query gets that sees no key is NaN with `need_weights`, and otherwise 0 from every head. `is_causal` says that
               attn_mask is causal, and is believed where there is neither need_weights nor a key_padding_mask; both as in torch
    Source:    Vaswani et al. 2017, Attention Is All You Need
    """
    op = "multi_head_attention_forward"
    given: dict[str, Any] = dict(
        zip(ARGUMENTS, (query, key, value, in_proj_weight, in_proj_bias, bias_k, bias_v, out_proj_weight, out_proj_bias))
    )
    given |= zip(ARGUMENTS[9:], (key_padding_mask, attn_mask, q_proj_weight, k_proj_weight, v_proj_weight, static_k, static_v))
    require_kinds(op, given)
    flags = {"add_zero_attn": add_zero_attn, "training": training, "need_weights": need_weights, "is_causal": is_causal}
    require_flags(op, **flags, average_attn_weights=average_attn_weights, batch_first=batch_first)
    num_heads = require_integer(op, "num_heads", num_heads, least=1)
    dropout_p = require_number(op, "dropout_p", dropout_p, "a number from 0 to 1")
    require_generator(op, generator)
    require_axes(op, query, key, value)

    def inside(array):
        """A sequence, or a batch of them, as (N, length, width)."""
        return array[None] if array.ndim == 2 else array if batch_first else array.swapaxes(0, 1)

    def outside(array):
        """The same as the caller has it."""
        return None if array is None else array[0] if query.ndim == 2 else array if batch_first else array.swapaxes(0, 1)

    sequences = [inside(given[name]) for name in INPUTS]
    require_shapes(op, given, [each.shape for each in sequences], num_heads, query.ndim == 3)
    width = query.shape[-1]
    weights = [given[name] for name in SEPARATE] if in_proj_weight is None else in_proj_weight.reshape(3, width, width)
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.reshape(3, width)
    projected, project_backwards = zip(*[linear(x, w, b) for x, w, b in zip(sequences, weights, biases)])
    q, k, v = projected
    (batch, length, _), size = q.shape, k.shape[1]
    k, behind_k_backward = _with_behind(k, bias_k, static_k, num_heads, add_zero_attn)
    v, behind_v_backward = _with_behind(v, bias_v, static_v, num_heads, add_zero_attn)
    if k.shape[1] != v.shape[1]:
        raise ValueError(f"{op}: static_k and static_v must make as many keys as values, got {k.shape[1]} and {v.shape[1]}")
    shape = batch, num_heads, length, k.shape[1]
    if mask is not None:
        require_mask(op, "mask", mask, shape[3 - query.ndim :])
    if is_causal and attn_mask is None:
        raise ValueError(f"{op}: attn_mask must be given with is_causal=True, which only says what it is, got None")

    believed = is_causal and key_padding_mask is None and not need_weights
    added, added_backward = _sum_of_masks(None if believed else attn_mask, key_padding_mask, shape, size, q.dtype)
    drops = training and (mask is not None or dropout_p > 0.0)
    y, w, attend_backward = attend(
        _by_heads(q, num_heads),
        k,
        v,
        Scoring(added, shape[:2], believed),
        Dropping(dropout_p, mask, generator, shape, None) if drops else None,
        scale=1.0 / math.sqrt(width // num_heads),
        with_weights=need_weights,
    )
    output, out_backward = linear(_side_by_side(y, num_heads), out_proj_weight, out_proj_bias)
    if w is not None:
        w = w.reshape(shape)
        w = np.add.reduce(w, axis=1) / num_heads if average_attn_weights else w
        w = w[0] if query.ndim == 2 else w
    outputs = outside(output), w

    def backward(grad_output, needs=None):
        need = dict(zip(ARGUMENTS, needed(op, needs, len(ARGUMENTS))))
        grads: dict[str, Any] = {}
        grad_y, grad_w = cotangents(op, grad_output, outputs)
        grad_y, grads["out_proj_weight"], grads["out_proj_bias"] = out_backward(
            inside(grad_y), (True, need["out_proj_weight"], need["out_proj_bias"])
        )
        if grad_w is not None and average_attn_weights:
            grad_w = np.broadcast_to((grad_w / num_heads).reshape(batch, 1, *shape[2:]), shape)
        grad_w = None if grad_output[1] is None else grad_w.reshape(y.shape[:2] + shape[3:])

        names = SEPARATE if in_proj_weight is None else ["in_proj_weight"] * 3
        wanted = [(need[x], need[weight], need["in_proj_bias"]) for x, weight in zip(INPUTS, names)]
        need_q, need_k, need_v = map(any, wanted)
        need_k, need_v = need_k or need["bias_k"] or need["static_k"], need_v or need["bias_v"] or need["static_v"]
        learnt = [name for name in ("attn_mask", "key_padding_mask") if given[name] is not None and not holds_truths(given[name])]
        need_added = added is not None and any(need[name] for name in learnt)
        *of_heads, grad_added = attend_backward(_by_heads(grad_y, num_heads), grad_w, (need_q, need_k, need_v, need_added))
        grad_q, grad_k, grad_v = of_heads
        grad_q = _side_by_side(grad_q, num_heads) if need_q else None
        grad_k, grads["bias_k"], grads["static_k"] = behind_k_backward(grad_k)
        grad_v, grads["bias_v"], grads["static_v"] = behind_v_backward(grad_v)
        grads["attn_mask"], grads["key_padding_mask"] = added_backward(grad_added)
        if believed and not holds_truths(attn_mask):
            grads["attn_mask"] = np.zeros_like(attn_mask)

        found = [
            project_backward(grad, wants) if any(wants) else (None,) * 3
            for project_backward, grad, wants in zip(project_backwards, (grad_q, grad_k, grad_v), wanted)
        ]
        of_inputs, of_weights, of_biases = zip(*found)
        grads |= zip(INPUTS, map(outside, of_inputs))
        if need["in_proj_bias"] and in_proj_bias is not None:
            grads["in_proj_bias"] = np.concatenate(of_biases)
        if in_proj_weight is None:
            grads |= zip(SEPARATE, of_weights)
        elif need["in_proj_weight"]:
            grads["in_proj_weight"] = np.concatenate(of_weights)
        return tuple([grads.get(name) if need[name] else None for name in ARGUMENTS])

    return outputs, backward


def _by_heads(array: Array, num_heads: int) -> Array:
    """Cut (N, length, width) into heads, (N · num_heads, length, width / num_heads)."""
    batch, length, width = array.shape
    each = width // num_heads
    return array.reshape(batch, length, num_heads, each).swapaxes(1, 2).reshape(batch * num_heads, length, each)


def _side_by_side(heads: Array, num_heads: int) -> Array:
    """The inverse of `_by_heads`."""
    count, length, each = heads.shape
    batch = count // num_heads
    return heads.reshape(batch, num_heads, length, each).swapaxes(1, 2).reshape(batch, length, num_heads * each)


def _with_behind(
    projected: Array, bias: Array | None, static: Array | None, num_heads: int, add_zero_attn: bool
) -> tuple[Array, Backward]:
    """Keys or values by heads, or what is static in their place, and behind them a bias and 0."""
    batch, length, width = projected.shape
    whole = projected if bias is None else np.concatenate((projected, np.broadcast_to(bias, (batch, 1, width))), axis=1)
    heads = _by_heads(whole, num_heads) if static is None else static
    end = heads.shape[1]
    if add_zero_attn:
        heads = np.concatenate((heads, np.zeros_like(heads, shape=(len(heads), 1, heads.shape[2]))), axis=1)

    def backward(grad):
        """The gradients of all three."""
        if grad is None:
            return None, None, None
        grad = grad[:, :end]
        if static is not None:
            return np.zeros_like(projected), None, grad
        grad = _side_by_side(grad, num_heads)
        return grad[:, :length], None if bias is None else np.add.reduce(grad[:, length:], axis=0)[None], None

    return heads, backward


def _sum_of_masks(
    attn_mask: Array | None, key_padding_mask: Array | None, shape: tuple[int, ...], size: int, dtype: Any
) -> tuple[Array | None, Backward]:
    """What both masks add to scores, (N or 1, num_heads or 1, L or 1, S), −∞ where they are True; 0 for what comes behind."""
    batch, heads, length, end = shape
    per_head = attn_mask is not None and attn_mask.ndim == 3
    masks = attn_mask, key_padding_mask
    shapes = (batch, heads, length, size) if per_head else (1, 1, length, size), (batch, 1, 1, size)
    added = [_as_numbers(each, dtype).reshape(of_scores) for each, of_scores in zip(masks, shapes) if each is not None]
    total: Any = None if not added else added[0] if len(added) == 1 else added[0] + added[1]
    if total is not None and end > size:
        total = np.concatenate((total, np.zeros((*total.shape[:3], end - size), dtype)), axis=3)

    def backward(grad):
        """The gradients of both, where they are numbers."""
        if grad is None:
            return None, None
        grad = grad[..., :size]
        return [
            np.array(sum_to_shape(grad, of_scores)).reshape(each.shape) if each is not None and each.dtype != bool else None
            for each, of_scores in zip(masks, shapes)
        ]

    return total, backward


def _as_numbers(mask: Array, dtype: Any) -> Array:
    """−∞ where a mask is True; numbers as they are."""
    return np.where(mask, dtype.type(-math.inf), dtype.type(0)) if mask.dtype == bool else mask


class MultiheadAttention(Module):
    """`multi_head_attention_forward` with its weights: projections from Xavier's uniform distribution, biases from 0."""

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        op = "MultiheadAttention"
        self.embed_dim = require_integer(op, "embed_dim", embed_dim, least=1)
        self.num_heads = require_integer(op, "num_heads", num_heads, least=1)
        if embed_dim % num_heads:
            raise ValueError(f"{op}: num_heads must divide embed_dim, {embed_dim}, got {num_heads}")
        self.dropout = require_number(op, "dropout", dropout, "a number from 0 to 1")
        require_flags(op, bias=bias, add_bias_kv=add_bias_kv, add_zero_attn=add_zero_attn, batch_first=batch_first)
        self.add_zero_attn, self.batch_first = add_zero_attn, batch_first
        self.kdim = embed_dim if kdim is None else require_integer(op, "kdim", kdim, least=0)
        self.vdim = embed_dim if vdim is None else require_integer(op, "vdim", vdim, least=0)
        require_generator(op, generator)
        self.generator, dtype = generator, require_dtype(op, dtype)

        shapes = {"in_proj_weight": (3 * embed_dim, embed_dim)}
        if not self.kdim == self.vdim == embed_dim:
            shapes = dict(zip(SEPARATE, ((embed_dim, embed_dim), (embed_dim, self.kdim), (embed_dim, self.vdim))))
        for name in ("in_proj_weight", *SEPARATE):
            weight = Parameter(xavier_uniform_(np.empty(shapes[name], dtype), generator=generator)) if name in shapes else None
            self.register_parameter(name, weight)
        self.register_parameter("in_proj_bias", Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None)
        for name in ("bias_k", "bias_v"):  # from Xavier's normal distribution
            start = standard_normal((1, 1, embed_dim), dtype, generator) / dtype.type(math.sqrt(embed_dim)) if add_bias_kv else None
            self.register_parameter(name, None if start is None else Parameter(start))
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, generator=generator)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data[...] = 0.0

    def forward(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        need_weights: bool = True,
        attn_mask: Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[tuple[Array, Array | None], Backward]:
        """Attend with `query` (L, N, embed_dim) to `key` (S, N, kdim) and `value` (S, N, vdim)."""
        return self.call(
            multi_head_attention_forward,
            query,
            key,
            value,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.out_proj.weight,
            self.out_proj.bias,
            Input(key_padding_mask),
            Input(attn_mask),
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            None,  # static_k
            None,  # static_v
            num_heads=self.num_heads,
            add_zero_attn=self.add_zero_attn,
            dropout_p=self.dropout,
            training=self.training,
            need_weights=need_weights,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
            generator=self.generator,
        )
