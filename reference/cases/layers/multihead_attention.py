"""Cases of attention by several heads."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.attention import CANCELS
from reference.exact import detach, exp, mp, parts

E, HEADS, KEYS, QUERIES, BATCH = 4, 2, 3, 2, 2


def _multi_head_attention(
    query,
    key,
    value,
    in_proj_weight,
    in_proj_bias,
    bias_k,
    bias_v,
    out_proj_weight,
    out_proj_bias,
    key_padding_mask=None,
    attn_mask=None,
    q_proj_weight=None,
    k_proj_weight=None,
    v_proj_weight=None,
    static_k=None,
    static_v=None,
    num_heads=1,
    add_zero_attn=False,
    dropout_p=0.0,
    training=True,
    need_weights=True,
    average_attn_weights=True,
    is_causal=False,
    batch_first=False,
    mask=None,
):
    batched = query.ndim == 3
    if not batched:
        query, key, value = (x[:, None] for x in (query, key, value))
    elif batch_first:
        query, key, value = (x.swapaxes(0, 1) for x in (query, key, value))
    (length, batch, width), each = query.shape, query.shape[-1] // num_heads
    weights = np.split(in_proj_weight, 3) if q_proj_weight is None else (q_proj_weight, k_proj_weight, v_proj_weight)
    biases = (0, 0, 0) if in_proj_bias is None else np.split(in_proj_bias, 3)
    q, k, v = (np.matmul(x, w.T) + b for x, w, b in zip((query, key, value), weights, biases))
    if bias_k is not None:
        k, v = (np.concatenate([x, np.repeat(b, batch, axis=1)]) for x, b in ((k, bias_k), (v, bias_v)))

    def by_heads(x):
        return x.reshape(len(x), batch, num_heads, each).transpose(1, 2, 0, 3)

    q, k, v = map(by_heads, (q, k, v))
    if static_k is not None:
        k = static_k.reshape(batch, num_heads, *static_k.shape[1:])
    if static_v is not None:
        v = static_v.reshape(batch, num_heads, *static_v.shape[1:])
    if add_zero_attn:
        zero = np.full((batch, num_heads, 1, each), mp.zero)
        k, v = np.concatenate([k, zero], axis=2), np.concatenate([v, zero], axis=2)
    s = np.matmul(q, k.swapaxes(2, 3)) / mp.sqrt(each)
    if is_causal and key_padding_mask is None and not need_weights:
        s = np.where(np.tri(*s.shape[2:]) > 0, s, -mp.inf)
    else:
        for added, shape in (
            (attn_mask, (-1, num_heads if np.ndim(attn_mask) == 3 else 1, length, len(key))),
            (key_padding_mask, (batch, 1, 1, len(key))),
        ):
            if added is not None:
                behind = np.zeros((*added.shape[:-1], k.shape[2] - len(key)), added.dtype)
                added = np.concatenate([added, behind], axis=-1).reshape(*shape[:3], -1)
                s = np.where(added, -mp.inf, s) if added.dtype == bool else s + added
    factor = 1
    if training and mask is not None:
        factor = mask.reshape(s.shape) / (1 - mp.mpf(dropout_p))

    def attention(s):
        e = exp(s)
        total = e.sum(axis=-1, keepdims=True)
        return e / np.where(total == 0, mp.one, total) * factor

    def output(w, v):
        y = np.matmul(w, v).transpose(2, 0, 1, 3).reshape(length, batch, width)
        return outside(np.matmul(y, out_proj_weight.T))

    def outside(y):
        return y if batched and not batch_first else y.swapaxes(0, 1) if batched else y[:, 0]

    def shown(w):
        w = w.sum(axis=1) / num_heads if average_attn_weights else w
        return w if batched else w[0]

    w = detach(attention(s))
    moves = parts(lambda s: output(attention(s), detach(v)), s)
    y = [output(w, v), *moves]
    return y, None
