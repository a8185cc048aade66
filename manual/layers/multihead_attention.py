"""Attention with several heads: each sees a projection of its own of queries, keys and values, and a last one joins what they find."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import sum_to_shape
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_dtype,
    require_flags,
    require_floats,
    require_generator,
    require_integer,
    require_mask,
    require_number,
    require_shape,
)
from manual.calling import Input
from manual.initialization import standard_normal, xavier_uniform
from manual.layers.attention import Dropping, Scoring, attend
from manual.layers.linear import Linear, linear
from manual.module import Module, Parameter

__all__ = ["MultiheadAttention", "multi_head_attention_forward"]

Optional = Array | None
NAMES = (
    "query key value in_proj_weight? in_proj_bias? bias_k? bias_v? out_proj_weight out_proj_bias? key_padding_mask? attn_mask? "
    "q_proj_weight? k_proj_weight? v_proj_weight? static_k? static_v?"
)


def multi_head_attention_forward(
    query: Array,
    key: Array,
    value: Array,
    in_proj_weight: Optional = None,
    in_proj_bias: Optional = None,
    bias_k: Optional = None,
    bias_v: Optional = None,
    out_proj_weight: Optional = None,
    out_proj_bias: Optional = None,
    key_padding_mask: Optional = None,
    attn_mask: Optional = None,
    q_proj_weight: Optional = None,
    k_proj_weight: Optional = None,
    v_proj_weight: Optional = None,
    static_k: Optional = None,
    static_v: Optional = None,
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
    mask: Optional = None,
    generator: np.random.Generator | None = None,
) -> tuple[tuple[Array, Optional], Backward]:
    """Attention by several heads on projections of queries, keys and values; also its weights.

    Forward:   q = query Wqᵀ + bq, k and v likewise, each cut into heads; at the end of the keys bias_k, then 0, and of the values
               bias_v, then 0, where they are asked for;  y = attention(q, k, v, attn_mask + key_padding_mask) of each head, with
               weights w;  output = y Woᵀ + bo, of the heads side by side
    Backward:  that of each part in reverse order: of the last projection, of attention, where the gradient of w is added to that
               which comes from y, and of the first three. What is the same for the whole batch (bias_k, masks) gets a sum
    Shapes:    query (L, N, E), key (S, N, Ek), value (S, N, Ev), with `batch_first` (N, L, E) …, or without N; in_proj_weight
               (3E, E), of which the thirds are Wq, Wk and Wv, or q_proj_weight (E, E), k_proj_weight (E, Ek), v_proj_weight (E, Ev);
               in_proj_bias (3E); bias_k, bias_v (1, 1, E); out_proj_weight Wo (·, E), out_proj_bias (·);
               attn_mask (L, S) or (N · num_heads, L, S), key_padding_mask (N, S), as numbers to add to the scores, or True where
               what a query may *not* see stands; static_k and static_v (N · num_heads, S, E / num_heads) take the place of k and v;
               output like query; w (N, L, S), the mean over the heads, or (N, num_heads, L, S), or `None`, as `need_weights` and
               `average_attn_weights` say; `mask` (N, num_heads, L, S), True where dropout keeps a weight, is drawn by `generator`
               unless given. S counts bias_k and 0 too, but not in the masks that are added
    Corners:   a query that sees no key: NaN with `need_weights`, or else 0 of all heads, as in torch. `is_causal` says that
               attn_mask is causal; torch, and so this, believes it if there are no weights and no key_padding_mask to see to
    Source:    Vaswani et al. 2017, Attention Is All You Need
    """
    op = "multi_head_attention_forward"
    padding_is_boolean, mask_is_boolean = (getattr(each, "dtype", None) == bool for each in (key_padding_mask, attn_mask))
    numbers = None if padding_is_boolean else key_padding_mask, None if mask_is_boolean else attn_mask
    given = query, key, value, in_proj_weight, in_proj_bias, bias_k, bias_v, out_proj_weight, out_proj_bias
    separate = q_proj_weight, k_proj_weight, v_proj_weight
    require_floats(op, NAMES, *given, *numbers, *separate, static_k, static_v)
    require_flags(op, add_zero_attn=add_zero_attn, training=training, need_weights=need_weights, is_causal=is_causal)
    require_flags(op, average_attn_weights=average_attn_weights, batch_first=batch_first)
    num_heads = require_integer(op, "num_heads", num_heads, least=1)
    dropout_p = require_number(op, "dropout_p", dropout_p, "a number from 0 to 1")
    require_generator(op, generator)

    def inside(array):
        """As a batch of sequences, (N, length, width)."""
        return array[None] if array.ndim == 2 else array if batch_first else array.swapaxes(0, 1)

    def outside(array):
        """As the caller has it."""
        return array[0] if query.ndim == 2 else array if batch_first else array.swapaxes(0, 1)

    width = query.shape[-1]
    weights = in_proj_weight.reshape(3, width, width) if q_proj_weight is None else separate
    biases = (None,) * 3 if in_proj_bias is None else in_proj_bias.reshape(3, width)
    projections = [linear(inside(x), w, b) for x, w, b in zip((query, key, value), weights, biases)]
    (q, q_backward), (k, k_backward), (v, v_backward) = projections
    (batch, length, _), size = q.shape, k.shape[1]
    k, lengthened_backward_k = _lengthened(k, bias_k, static_k, num_heads, add_zero_attn)
    v, lengthened_backward_v = _lengthened(v, bias_v, static_v, num_heads, add_zero_attn)

    believed = is_causal and key_padding_mask is None and not need_weights
    added, added_backward = _added(
        None if believed else attn_mask, key_padding_mask, (batch, num_heads, length, size), k.shape[1] - size, q.dtype
    )
    shape = batch, num_heads, length, k.shape[1]
    if mask is not None:
        require_mask(op, "mask", mask, shape if query.ndim == 3 else shape[1:])
    drops = training and (mask is not None or dropout_p > 0.0)
    y, w, attend_backward = attend(
        _by_heads(q, num_heads),
        k,
        v,
        Scoring(added, (batch, num_heads), believed),
        Dropping(dropout_p, mask, generator, shape, None) if drops else None,
        scale=1.0 / math.sqrt(width // num_heads or 1),
        with_weights=need_weights,
    )
    output, out_backward = linear(_side_by_side(y, num_heads), out_proj_weight, out_proj_bias)
    if w is not None:
        w = w.reshape(shape)
        if average_attn_weights:
            w = np.add.reduce(w, axis=1) / num_heads
        if query.ndim == 2:
            w = w[0]
    output = outside(output)

    def backward(grad_output, needs=None):
        needs = needed(op, needs, 16)
        need_query, need_key, need_value, need_in, need_in_bias, need_bias_k, need_bias_v, need_out, need_out_bias = needs[:9]
        need_padding, need_mask, *need_separate, need_static_k, need_static_v = needs[9:]
        grad_y, grad_w = _cotangents(op, grad_output, output, w)
        g, grad_out, grad_out_bias = out_backward(np.ascontiguousarray(inside(grad_y)), (True, need_out, need_out_bias))
        if grad_w is not None:
            if average_attn_weights:
                grad_w = np.broadcast_to((grad_w / num_heads).reshape(batch, 1, *shape[2:]), shape)
            grad_w = grad_w.reshape(batch * num_heads, *shape[2:])
        need_w = [need_in] * 3 if q_proj_weight is None else need_separate
        need_q, need_k, need_v = (any(each) for each in zip((need_query, need_key, need_value), need_w, [need_in_bias] * 3))
        need_k, need_v = need_k or need_bias_k or need_static_k, need_v or need_bias_v or need_static_v
        need_added = added is not None and (need_padding and not padding_is_boolean or need_mask and not mask_is_boolean)
        grads = attend_backward(_by_heads(g, num_heads), grad_w, (need_q, need_k, need_v, need_added))
        grad_q, grad_k, grad_v, grad_added = grads
        grad_q = None if grad_q is None else _side_by_side(grad_q, num_heads)
        grad_k, grad_bias_k, grad_static_k = lengthened_backward_k(grad_k)
        grad_v, grad_bias_v, grad_static_v = lengthened_backward_v(grad_v)
        grad_padding, grad_mask = added_backward(grad_added)
        if believed and not mask_is_boolean:
            grad_mask = np.zeros_like(attn_mask)

        of_inputs, of_weights, of_biases = [], [], []
        backwards = zip((grad_q, grad_k, grad_v), (q_backward, k_backward, v_backward), (need_query, need_key, need_value), need_w)
        for grad, linear_backward, need_x, need_weight in backwards:
            grad_x, grad_weight, grad_bias = linear_backward(grad, (need_x, need_weight, need_in_bias))
            of_inputs.append(outside(grad_x) if need_x else None)
            of_weights.append(grad_weight)
            of_biases.append(grad_bias)
        together = in_proj_weight is not None
        return (
            *of_inputs,
            np.concatenate(of_weights) if need_in and together else None,
            np.concatenate(of_biases) if need_in_bias and in_proj_bias is not None else None,
            grad_bias_k if need_bias_k else None,
            grad_bias_v if need_bias_v else None,
            grad_out,
            grad_out_bias,
            grad_padding if need_padding else None,
            grad_mask if need_mask else None,
            *((None,) * 3 if together else of_weights),
            grad_static_k if need_static_k else None,
            grad_static_v if need_static_v else None,
        )

    return (output, w), backward


def _by_heads(array: Array, num_heads: int) -> Array:
    """Cut the width (N, length, E) into heads, (N · num_heads, length, E / num_heads)."""
    batch, length, width = array.shape
    heads = array.reshape(batch, length, num_heads, width // num_heads).swapaxes(1, 2)
    return heads.reshape(batch * num_heads, length, width // num_heads)


def _side_by_side(heads: Array, num_heads: int) -> Array:
    """The inverse of `_by_heads`."""
    count, length, width = heads.shape
    batch = count // num_heads
    return heads.reshape(batch, num_heads, length, width).swapaxes(1, 2).reshape(batch, length, num_heads * width)


def _lengthened(
    projected: Array, bias: Array | None, static: Array | None, num_heads: int, add_zero_attn: bool
) -> tuple[Array, Backward]:
    """Keys or values by heads, with those that are not in the sequence: a bias, then 0. What is static takes their place."""
    batch, length, width = projected.shape
    if static is not None:
        heads = static
    else:
        extended = projected
        if bias is not None:
            extended = np.concatenate((projected, np.broadcast_to(bias, (batch, 1, width))), axis=1)
        heads = _by_heads(extended, num_heads)
    own = heads.shape[1]
    if add_zero_attn:
        heads = np.concatenate((heads, np.zeros((len(heads), 1, heads.shape[2]), heads.dtype)), axis=1)

    def backward(grad):
        if grad is None:
            return None, None, None
        grad = grad[:, :own]
        if static is not None:
            return np.zeros_like(projected), None, grad
        grad = _side_by_side(grad, num_heads)
        grad_bias = None if bias is None else np.add.reduce(grad[:, length:], axis=0)[None]
        return grad[:, :length], grad_bias, None

    return heads, backward


def _added(
    attn_mask: Array | None, key_padding_mask: Array | None, shape: tuple[int, ...], added: int, dtype: Any
) -> tuple[Array | None, Backward]:
    """The sum of both masks, as numbers to add to scores (N, heads, L, S), and 0 for keys that were added."""
    batch, heads, length, size = shape
    shapes = [(batch, 1, 1, size), (1, 1, length, size) if attn_mask is None or attn_mask.ndim == 2 else shape]
    masks = [key_padding_mask, attn_mask]
    numbers = [
        (np.where(mask, dtype.type(-math.inf), dtype.type(0)) if mask.dtype == bool else mask).reshape(of_mask)
        for mask, of_mask in zip(masks, shapes)
        if mask is not None
    ]
    total = numbers[0] if len(numbers) == 1 else numbers[0] + numbers[1] if numbers else None
    if total is not None and added:
        total = np.concatenate((total, np.zeros((*total.shape[:3], added), dtype)), axis=3)

    def backward(grad):
        """A gradient for each mask of numbers."""
        return [
            None
            if mask is None or mask.dtype == bool
            else np.zeros_like(mask)
            if grad is None
            else sum_to_shape(grad.reshape(total.shape)[..., :size], of_mask).reshape(mask.shape)
            for mask, of_mask in zip(masks, shapes)
        ]

    return total, backward


def _cotangents(op: str, grad_output: Any, output: Array, weights: Array | None) -> tuple[Array, Array | None]:
    """The gradients of the output, zeros for `None`, and of the weights, which must be `None` where these are."""
    if not isinstance(grad_output, (tuple, list)) or len(grad_output) != 2:
        raise TypeError(
            f"{op}: grad_output must be a tuple, of the gradients of the output and of the weights, got {grad_output!r}"
        )
    grad, grad_weights = grad_output
    if weights is None and grad_weights is not None:
        raise TypeError(f"{op}: grad_output must have None for weights that were not asked for, got {type(grad_weights).__name__}")
    grad = np.zeros_like(output) if grad is None else cotangent(op, grad, output.shape, output.dtype)
    return grad, None if grad_weights is None else cotangent(op, grad_weights, weights.shape, weights.dtype)


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
        self.kdim = embed_dim if kdim is None else require_integer(op, "kdim", kdim, least=0)
        self.vdim = embed_dim if vdim is None else require_integer(op, "vdim", vdim, least=0)
        self.add_zero_attn, self.batch_first, self.generator = add_zero_attn, batch_first, generator
        require_generator(op, generator)
        dtype = require_dtype(op, dtype)

        together = self.kdim == self.vdim == embed_dim
        widths = (
            {"in_proj_weight": (3 * embed_dim, embed_dim)}
            if together
            else {
                "q_proj_weight": (embed_dim, embed_dim),
                "k_proj_weight": (embed_dim, self.kdim),
                "v_proj_weight": (embed_dim, self.vdim),
            }
        )
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            own = Parameter(xavier_uniform(widths[name], dtype, generator)) if name in widths else None
            self.register_parameter(name, own)
        self.register_parameter("in_proj_bias", Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None)
        for name in ("bias_k", "bias_v"):
            start = standard_normal((1, 1, embed_dim), dtype, generator) / math.sqrt(embed_dim)
            self.register_parameter(name, Parameter(start) if add_bias_kv else None)
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
        """Attend from `query` to `key` and `value`, (length, N, width), (N, length, width) or (length, width)."""
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
