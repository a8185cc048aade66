"""Cases of attention."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, Operation, normal
from reference.exact import detach, exp, mp, parts


def _attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False, mask=None, tile=None):
    if enable_gqa:
        k, v = (np.repeat(array, q.shape[-3] // array.shape[-3], axis=-3) for array in (k, v))
    s = np.matmul(q, k.swapaxes(-1, -2)) * (1 / mp.sqrt(q.shape[-1] or 1) if scale is None else mp.mpf(scale))
    if is_causal:
        s = np.where(np.tri(*s.shape[-2:]) > 0, s, -mp.inf)
    if attn_mask is not None:
        s = np.where(attn_mask, s, -mp.inf) if attn_mask.dtype == bool else s + attn_mask
    factor = 1 if mask is None else mask / (1 - mp.mpf(dropout_p)) if dropout_p < 1 else 0

    def weights(s):
        e = exp(s)
        total = e.sum(axis=-1, keepdims=True)
        return e / np.where(total == 0, mp.one, total) * factor  # a query that sees no key

    # What one query or key moves, it moves through several scores, and these moves cancel
    return [np.matmul(detach(weights(s)), v), *parts(lambda s: np.matmul(weights(s), detach(v)), s)]


def _torch_attention(q, k, v, attn_mask=None, mask=None, tile=None, **constants: Any):
    """Torch's function, which draws the same mask each time: the one that the case gives to `manual`."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return F.scaled_dot_product_attention(q, k, v, attn_mask, **constants)


def _drawn(p: float, *shape: int) -> dict[str, Any]:
    """The constants of dropout, with the mask that torch draws for scores of this shape."""
    zeros, eye = torch.zeros(*shape[:-1], 1), torch.eye(shape[-1]).expand(*shape[:-2], -1, -1)
    weights = _torch_attention(zeros, torch.zeros(*shape[:-2], shape[-1], 1), eye, dropout_p=p)
    return {"dropout_p": p, "mask": weights.numpy() > 0}


def _unseen(*shape: int) -> Any:
    """True and False; the last query sees no key, and nobody the second key."""
    seen = np.random.default_rng(0).random(shape) < 0.7
    seen[..., 0] = True
    seen[..., 1] = False
    seen[..., -1, :] = False
    return seen


def _large_and_unseen(generator):
    """Numbers to add to scores, with −∞ where a key may not be seen."""
    return np.where(_unseen(3, 4), generator.standard_normal((3, 4)), -np.inf)


def _heads(*batch: int) -> tuple[Any, ...]:
    return normal(*batch, 3, 2), normal(*batch, 4, 2), normal(*batch, 4, 3)


CANCELS = "grad_p − Σ p grad_p cancels where one key takes nearly everything"

_plain, _two = _heads(), _heads(2)
_gaps = [[9.0, 0, 0, 0], [0, 0, 8.5, 0], [-9.5, -9.0, -9.5, 0]]
_alike = [[0.3, -1.2, 0.7], [0.3, -1.2, 0.7], [1.1, 0.4, -0.6], [-0.9, 0.8, 1.3]]
# Scores of 1024, 1022, −1024, … without rounding
_thousand = [[32.0, 0.0], [0.0, -32.0]], [[31.9375, 32.0], [32.0, -31.96875], [-32.0, -32.0]], normal(3, 2)
_five = normal(5, 2), normal(5, 2), normal(5, 2)
_square = normal(2, 4, 2), normal(2, 4, 2), normal(2, 4, 3)

_cases = (
    Case("batch of 2", _two),
    Case("no batch", _plain),
    Case("batch and heads", _heads(1, 2)),
    Case("more leading axes", _heads(1, 2, 1)),
    Case("leading axes broadcast", (normal(2, 1, 3, 2), normal(3, 4, 2), normal(4, 3))),
    Case("causal", _square, {"is_causal": True}, torch_loses=CANCELS),
    Case("causal, more keys", _two, {"is_causal": True}, torch_loses=CANCELS),
    Case("causal, more queries", (normal(2, 5, 2), normal(2, 3, 2), normal(2, 3, 3)), {"is_causal": True}, torch_loses=CANCELS),
    Case("True where a key is seen", (*_plain, _unseen(3, 4))),
    Case("True, for each head", (*_two, _unseen(2, 3, 4))),
    Case("True, for each key", (*_two, np.array([[True, False, True, True]]))),
    Case("added", (*_plain, normal(3, 4)), torch_loses=CANCELS),
    Case("added, for each head", (*_two, normal(2, 3, 4))),
    Case("added, for each of a batch", (*_heads(2, 2), normal(2, 1, 3, 4))),
    Case("added, to each key", (*_two, normal(1, 4))),
    Case("added, with −∞", (*_two, _large_and_unseen), torch_loses=CANCELS),
    Case("scale", _plain, {"scale": 0.25}),
    Case("scale below 0", _plain, {"scale": -0.5}),
    Case("groups of queries", (normal(6, 3, 2), normal(2, 4, 2), normal(2, 4, 3)), {"enable_gqa": True}, torch_loses=CANCELS),
    Case("groups of another size for values", (normal(4, 3, 2), normal(2, 4, 2), normal(1, 4, 3)), {"enable_gqa": True}),
    Case(
        "groups, causal",
        (normal(2, 4, 3, 2), normal(1, 2, 3, 2), normal(2, 2, 3, 3)),
        {"enable_gqa": True, "is_causal": True},
        torch_loses=CANCELS,
    ),
    Case("dropout", _two, _drawn(0.5, 2, 3, 4)),
    Case("dropout, no batch", _plain, _drawn(0.25, 3, 4)),
    Case("dropout, added", (*_heads(1, 2), normal(3, 4)), _drawn(0.5, 1, 2, 3, 4)),
    Case("dropout of everything", _plain, _drawn(1.0, 3, 4), zero=("grad_0", "grad_1", "grad_2")),
    Case("one key", (normal(3, 2), normal(1, 2), normal(1, 3)), zero=("grad_0", "grad_1")),
    Case("one query", (normal(1, 2), normal(4, 2), normal(4, 3))),
    Case("no queries", (normal(2, 0, 2), normal(2, 3, 2), normal(2, 3, 2)), zero=("grad_1", "grad_2")),
    Case("no keys", (normal(2, 3, 2), normal(2, 0, 2), normal(2, 0, 2)), zero=("grad_0",)),
    Case("no width", (normal(2, 3, 0), normal(2, 4, 0), normal(2, 4, 2))),
    Case("batch of 0", (normal(0, 3, 2), normal(0, 4, 2), normal(0, 4, 2))),
    Case("True, for each query", (*_plain, np.array([[True], [True], [False]]))),
    Case("scores of a thousand", _thousand, {"scale": 1.0}, torch_loses=CANCELS),
    *(Case(f"tiles of {n}", _five, {"tile": n}, torch_loses=CANCELS) for n in (1, 2, 3, 7)),
    *(Case(f"tiles of {n}, causal", _five, {"tile": n, "is_causal": True}, torch_loses=CANCELS) for n in (1, 2, 3, 7)),
    Case("tiles, causal, more keys", _two, {"tile": 2, "is_causal": True}, torch_loses=CANCELS),
    Case(
        "tiles, causal, more queries",
        (normal(5, 2), normal(3, 2), normal(3, 3)),
        {"tile": 2, "is_causal": True},
        torch_loses=CANCELS,
    ),
    Case("tiles, no keys", (normal(2, 3, 2), normal(2, 0, 2), normal(2, 0, 2)), {"tile": 2}, zero=("grad_0",)),
    Case("tiles, groups of queries", (normal(4, 3, 2), normal(2, 4, 2), normal(2, 4, 3)), {"enable_gqa": True, "tile": 2}),
    Case("tiles, True where a key is seen", (*_five, _unseen(5, 5)), {"tile": 2}, torch_loses=CANCELS),
    Case("tiles, True for each key", (*_five, np.array([[False, False, True, True, False]])), {"tile": 2}, torch_loses=CANCELS),
    Case(
        "tiles, True for each query",
        (*_five, np.array([[True], [True], [False], [False], [True]])),
        {"tile": 2},
        torch_loses=CANCELS,
    ),
    Case("tiles, added, for each head", (*_two, normal(2, 3, 4)), {"tile": 2}, torch_loses=CANCELS),
    Case("tiles, added, to each key", (*_two, normal(1, 4)), {"tile": 3}, torch_loses=CANCELS),
    Case("tiles, added, with −∞", (*_two, _large_and_unseen), {"tile": 2}, torch_loses=CANCELS),
    Case("tiles, scores of a thousand", _thousand, {"scale": 1.0, "tile": 1}, torch_loses=CANCELS),
    Case("tiles, dropout of nothing", _two, {"dropout_p": 1e-300, "tile": 2}, torch_loses=CANCELS),
    Case("tiles, nearly all to one key", (*_plain, _gaps), {"tile": 3}, torch_loses=CANCELS),
    Case(
        "nearly all to two keys of one value",
        (*_plain[:2], _alike, [[9.0, 9, 0, 0], [8, 9, 0, 0], [9, 9, 0, 1]]),
        torch_loses=CANCELS,
    ),
    Case("nearly all to one key", (*_plain, _gaps), torch_loses=CANCELS),
)

OPERATIONS = (
    Operation(
        manual.scaled_dot_product_attention,
        _torch_attention,
        _attention,
        cases=_cases,
        small=Case("2 × 2 × 32 × 16", (normal(2, 2, 32, 16),) * 3, {"is_causal": True}),
        large=Case("8 × 8 × 256 × 64", (normal(8, 8, 256, 64),) * 3, {"is_causal": True}),
    ),
)

MODULES = ()
