"""Cases of attention by several heads."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, uniform
from reference.cases.layers.attention import CANCELS
from reference.exact import detach, exp, mp, parts

E, HEADS, KEYS, QUERIES, BATCH = 6, 3, 3, 2, 2


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
        per_head = num_heads if np.ndim(attn_mask) == 3 else 1
        for added, of_batch, of_heads, rows in ((attn_mask, -1, per_head, length), (key_padding_mask, batch, 1, 1)):
            if added is not None:
                behind = np.zeros((*added.shape[:-1], k.shape[2] - len(key)), added.dtype)
                added = np.concatenate([added, behind], axis=-1).reshape(of_batch, of_heads, rows, k.shape[2])
                s = np.where(added, -mp.inf, s) if added.dtype == bool else s + added
    factor = 1
    if training and mask is not None:
        factor = mask.reshape(s.shape) / (1 - mp.mpf(dropout_p))

    def attention(s):
        e = exp(s)
        total = e.sum(axis=-1, keepdims=True)
        return e / np.where(total == 0, mp.one, total) * factor

    def output(w, v, out_proj_weight):
        y = np.matmul(w, v).transpose(2, 0, 1, 3).reshape(length, batch, width)
        return outside(np.matmul(y, out_proj_weight.T))

    def outside(y):
        return y if batched and not batch_first else y.swapaxes(0, 1) if batched else y[:, 0]

    def shown(w):
        w = w.sum(axis=1) / num_heads if average_attn_weights else w
        return w if batched else w[0]

    # What a query or a key moves, it moves through several scores, and these moves cancel
    y = [
        output(detach(attention(s)), v, out_proj_weight),
        *parts(lambda s: output(attention(s), detach(v), detach(out_proj_weight)), s),
    ]
    if out_proj_bias is not None:
        y.append(out_proj_bias)
    return y, [shown(detach(attention(s))), *parts(lambda s: shown(attention(s)), s)] if need_weights else None


def _torch_attention(
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
    batch_first=False,
    mask=None,
    **constants: Any,
):
    """Torch's function, which draws the same mask each time: the one that the case gives to `manual`."""
    swaps = batch_first and query.ndim == 3
    query, key, value = (x.swapaxes(0, 1) if swaps else x for x in (query, key, value))
    add_zero_attn, dropout_p = constants.pop("add_zero_attn"), constants.pop("dropout_p")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        output, weights = F.multi_head_attention_forward(
            *(query, key, value, query.shape[-1], constants.pop("num_heads"), in_proj_weight, in_proj_bias, bias_k, bias_v),
            *(add_zero_attn, dropout_p, out_proj_weight, out_proj_bias),
            key_padding_mask=key_padding_mask,
            attn_mask=attn_mask,
            use_separate_proj_weight=in_proj_weight is None,
            q_proj_weight=q_proj_weight,
            k_proj_weight=k_proj_weight,
            v_proj_weight=v_proj_weight,
            static_k=static_k,
            static_v=static_v,
            **constants,
        )
    return output.swapaxes(0, 1) if swaps else output, weights


def _in_turn(generator: np.random.Generator) -> Any:
    """Values above and below 0."""
    return generator.uniform(0.5, 1, (KEYS, 1, E)) * np.array([1.0, -1.0, 1.0]).reshape(KEYS, 1, 1)


def _drawn(p: float, **constants: Any) -> dict[str, Any]:
    """The constants of dropout, with the mask that torch draws: a key is kept where its value, and no other's, comes through."""
    mask = np.empty((BATCH, HEADS, QUERIES, KEYS), bool)
    zeros, eye, heads = np.zeros((QUERIES, BATCH, E)), np.eye(E), E // HEADS
    for key in range(KEYS):
        value = np.zeros((KEYS, BATCH, E))
        value[key] = 1.0
        given = zeros, np.zeros_like(value), value, np.concatenate([eye, eye, eye]), None, None, None, eye, None
        tensors = [None if array is None else torch.tensor(array) for array in given]
        output, _ = _torch_attention(*tensors, num_heads=HEADS, add_zero_attn=False, dropout_p=p, **constants)
        mask[..., key] = output.numpy().reshape(QUERIES, BATCH, HEADS, heads)[..., 0].transpose(1, 2, 0) > 0
    return {**constants, "dropout_p": p, "mask": mask}


def _unseen(*shape: int) -> Any:
    """True where a query may not see a key; each sees the first."""
    unseen = np.random.default_rng(0).random(shape) < 0.5
    unseen[..., 0] = False
    return unseen


_sequences = normal(QUERIES, BATCH, E), normal(KEYS, BATCH, E), normal(KEYS, BATCH, E)
_batch_first = normal(BATCH, QUERIES, E), normal(BATCH, KEYS, E), normal(BATCH, KEYS, E)
_alone = normal(QUERIES, E), normal(KEYS, E), normal(KEYS, E)
# Where no projection cancels, and values differ, only the gradient of the softmax does, and each element can be judged by what
# moves it
_positive = (
    *(uniform(0.5, 1, QUERIES, 1, E), uniform(0.5, 1, KEYS, 1, E), _in_turn),
    *(uniform(0.1, 0.3, 3 * E, E), uniform(0.1, 0.3, 3 * E), None, None, uniform(0.5, 1, E, E), normal(E)),
)
_self = (normal(KEYS, 1, E),) * 3
_in, _out = (normal(3 * E, E, scale=0.4), normal(3 * E, scale=0.4)), (normal(E, E), normal(E))
_behind = normal(1, 1, E), normal(1, 1, E)
_weights = *_in, None, None, *_out
_separate = normal(E, E, scale=0.4), normal(E, 3, scale=0.4), normal(E, 2, scale=0.4)
_constants = {"num_heads": HEADS, "add_zero_attn": False, "dropout_p": 0.0}
_alone_weights = {**_constants, "need_weights": False}
_static = normal(BATCH * HEADS, KEYS, E // HEADS)


def _case(label: str, *arrays: Any, zero: tuple[str, ...] = (), judge: str = "float64", **constants: Any) -> Case:
    torch_loses = CANCELS if judge == "definition" else ""
    return Case(label, arrays, {**_constants, **constants}, zero=zero, judge=judge, torch_loses=torch_loses)


_causal = np.triu(np.ones((KEYS, KEYS), bool), 1)
_padding = np.array([[False, False, True], [False, True, False]])

_cases = (
    _case("weights", *_sequences, *_weights),
    _case("weights of each head", *_sequences, *_weights, average_attn_weights=False),
    _case("no weights", *_sequences, *_weights, need_weights=False),
    _case("no batch", *_alone, *_weights),
    _case("no batch, no weights", *_alone, *_weights, need_weights=False),
    _case("no batch, weights of each head", *_alone, *_weights, average_attn_weights=False),
    _case("batch first", *_batch_first, *_weights, batch_first=True),
    _case("batch first, no weights", *_batch_first, *_weights, batch_first=True, need_weights=False),
    _case("no batch, batch first", *_alone, *_weights, batch_first=True),
    _case("no bias", *_sequences, _in[0], None, None, None, _out[0], None),
    _case("bias behind", *_sequences, *_in, *_behind, *_out),
    _case("0 behind", *_sequences, *_weights, add_zero_attn=True),
    _case("bias and 0 behind, masks", *_alone, *_in, *_behind, *_out, _unseen(KEYS), _unseen(QUERIES, KEYS), add_zero_attn=True),
    _case(
        "bias and 0 behind, no weights",
        *_alone,
        *_in,
        *_behind,
        *_out,
        None,
        normal(QUERIES, KEYS),
        add_zero_attn=True,
        need_weights=False,
    ),
    _case(
        "widths of their own",
        normal(QUERIES, 1, E),
        normal(KEYS, 1, 3),
        normal(KEYS, 1, 2),
        None,
        _in[1],
        None,
        None,
        *_out,
        None,
        None,
        *_separate,
    ),
    _case("keys to leave out", *_sequences, *_weights, _padding),
    _case("keys to leave out, no weights", *_sequences, *_weights, _padding, need_weights=False),
    _case("numbers for keys", *_sequences, *_weights, normal(BATCH, KEYS)),
    _case("mask", *_sequences, *_weights, None, _unseen(QUERIES, KEYS)),
    _case("mask for each head", *_sequences, *_weights, None, _unseen(BATCH * HEADS, QUERIES, KEYS)),
    _case("numbers", *_sequences, *_weights, None, normal(QUERIES, KEYS)),
    _case("numbers for each head", *_sequences, *_weights, None, normal(BATCH * HEADS, QUERIES, KEYS)),
    _case("numbers for each head, no batch", *_alone, *_weights, normal(KEYS), normal(HEADS, QUERIES, KEYS), need_weights=False),
    _case("numbers of both kinds", *_sequences, *_weights, normal(BATCH, KEYS), normal(QUERIES, KEYS)),
    _case("causal", *_self, *_weights, None, _causal, is_causal=True, need_weights=False),
    _case("said to be causal", *_self, *_weights, None, normal(KEYS, KEYS), is_causal=True, need_weights=False, zero=("grad_10",)),
    _case("said to be causal, with weights", *_self, *_weights, None, normal(KEYS, KEYS), is_causal=True),
    _case(
        "said to be causal, keys to leave out",
        *_self,
        *_weights,
        _padding[1:],
        _unseen(KEYS, KEYS),
        is_causal=True,
        need_weights=False,
    ),
    _case("static keys", *_sequences, *_weights, *(None,) * 5, _static, zero=("grad_1",)),
    _case(
        "static keys and values, 0 behind",
        *_sequences,
        *_weights,
        *(None,) * 5,
        _static,
        _static,
        add_zero_attn=True,
        zero=("grad_1", "grad_2"),
    ),
    _case("dropout", *_sequences, *_weights, **_drawn(0.5)),
    _case("dropout, no weights", *_sequences, *_weights, **_drawn(0.25, need_weights=False)),
    _case("dropout, evaluation", *_sequences, *_weights, **_drawn(0.5) | {"training": False}),
    _case("a query that sees nothing", *_alone, *_weights, np.ones(KEYS, bool), judge="torch"),
    _case("a query that sees nothing, no weights", *_sequences, *_weights, np.array([[True] * 3, [False] * 3]), need_weights=False),
    _case("positive", *_positive, judge="definition"),
    _case("positive, weights of each head", *_positive, average_attn_weights=False, judge="definition"),
    _case("positive, no weights", *_positive, need_weights=False, judge="definition"),
    _case("positive, nearly all to one key", *_positive, None, [[9.0, 0, 0], [0, 8.5, 0]], judge="definition"),
    _case("positive, masks", *_positive, _padding[:1], _unseen(QUERIES, KEYS), judge="definition"),
    _case(
        "batch of 0", normal(2, 0, E), normal(3, 0, E), normal(3, 0, E), *_weights, zero=("grad_3", "grad_4", "grad_7", "grad_8")
    ),
)

OPERATIONS = (
    Operation(
        manual.multi_head_attention_forward,
        _torch_attention,
        _multi_head_attention,
        cases=_cases,
        small=Case(
            "8 × 4 × 16",
            ((normal(8, 4, 16),) * 3 + (normal(48, 16, scale=0.25), normal(48), None, None, normal(16, 16), normal(16))),
            {**_constants, "num_heads": 2, "need_weights": False},
        ),
        large=Case(
            "128 × 8 × 512, 8 heads",
            ((normal(128, 8, 512),) * 3 + (normal(1536, 512, scale=0.04), normal(1536), None, None, normal(512, 512), normal(512))),
            {**_constants, "num_heads": 8, "need_weights": False},
        ),
    ),
)


def _module(label: str, inputs: Any, *arguments: Any, masks: Any = None, options: Any = None, zero: Any = (), **keywords: Any):
    """With masks of forward by name, and options of forward."""
    module = build("MultiheadAttention", E, HEADS, *arguments, **keywords)
    return ModuleCase(module, Case(label, inputs, options or {}, zero, torch_loses=CANCELS), masks or {}, scale=0.4)


_others = normal(QUERIES, BATCH, E), normal(KEYS, BATCH, 3), normal(KEYS, BATCH, 2)
_no_weights = {"need_weights": False}
_dropped = "grad_in_proj_weight", "grad_in_proj_bias", "grad_out_proj.weight", "grad_0", "grad_1", "grad_2"

MODULES = (
    _module("weights", _sequences),
    _module("no batch", _alone),
    _module("batch first", _batch_first, batch_first=True, options={"average_attn_weights": False}),
    _module("no bias", _sequences, bias=False, options=_no_weights),
    _module("bias and 0 behind", _sequences, add_bias_kv=True, add_zero_attn=True, options=_no_weights),
    _module("widths of their own", _others, kdim=3, vdim=2),
    _module("values of another width", (*_sequences[:2], normal(KEYS, BATCH, 2)), vdim=2, bias=False),
    _module("everything dropped", _sequences, 1.0, options=_no_weights, zero=_dropped),
    _module("keys to leave out", _sequences, masks={"key_padding_mask": _padding}),
    _module("masks of numbers", _sequences, masks={"key_padding_mask": normal(BATCH, KEYS), "attn_mask": normal(QUERIES, KEYS)}),
    _module(
        "said to be causal",
        (normal(KEYS, BATCH, E),) * 3,
        masks={"attn_mask": normal(KEYS, KEYS)},
        options={**_no_weights, "is_causal": True},
        zero=("grad_4",),
    ),
    _module("causal", (normal(KEYS, BATCH, E),) * 3, masks={"attn_mask": _causal}, options={**_no_weights, "is_causal": True}),
    ModuleCase(
        build("MultiheadAttention", E, HEADS, 0.5),
        Case("evaluation", _sequences, _no_weights, torch_loses=CANCELS),
        training=False,
        scale=0.4,
    ),
)
