"""Cases of embeddings in bags."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.embedding import looked_up
from reference.exact import mp


def _torch(x, weight, offsets=None, per_sample_weights=None, **constants: Any):
    return F.embedding_bag(x, weight, offsets, per_sample_weights=per_sample_weights, **constants)


def _embedding_bag(
    x,
    weight,
    offsets=None,
    per_sample_weights=None,
    mode="mean",
    include_last_offset=False,
    padding_idx=None,
    scale_grad_by_freq=False,
    **settings: Any,
):
    index = x.reshape(-1)
    starts = list(range(0, x.size, x.shape[1])) if offsets is None else list(offsets)
    bounds = starts if include_last_offset else [*starts, x.size]
    kept = [n for n, i in enumerate(index) if padding_idx is None or i != padding_idx % len(weight)]
    rows = looked_up(index, weight, scale_grad_by_freq=scale_grad_by_freq, **settings)
    terms = [np.zeros((len(bounds) - 1, weight.shape[1]), dtype=object)]
    for bag, (start, end) in enumerate(pairwise(bounds)):
        places = [n for n in kept if start <= n < end]
        for n in places:
            if mode == "max":
                largest = terms[0][bag]
                terms[0][bag] = rows[n] if n == places[0] else np.where(rows[n] > largest, rows[n], largest)
                continue
            term = np.zeros_like(terms[0])
            share = 1 / mp.mpf(len(places)) if mode == "mean" else 1
            term[bag] = rows[n] * (share if per_sample_weights is None else per_sample_weights.reshape(-1)[n])
            terms.append(term)
    return terms  # a word may stand in a bag several times, with weights that cancel


WORDS, OFFSETS = np.array([3, 0, 3, 1, 3, 4, 1]), np.array([0, 2, 2, 6])  # the second bag is empty
ROWS = np.array([[3, 0, 3], [1, 3, 4]])
TABLE = normal(5, 2)
UNEQUAL = [[0.1, 0.2], [3.0, -4.0], [0.0, 0.0], [0.0, -1.0], [-2.0, 0.0]]
TIES = [[1.0, 2.0], [1.0, -3.0], [1.0, 2.0], [0.0, 2.0], [1.0, -3.0]]
HOLES = [[np.nan, np.nan], [1.0, -np.inf], [-np.inf, 2.0], [-np.inf, 1.0], [np.inf, np.nan]]
NOTHING = np.zeros(0, int)

# Of the words in order, torch takes the i-th for the i-th different one: right only if no word but the last is repeated
COUNTS = "torch divides by how often another word occurs, as soon as a word is repeated that is not the last"

_every_mode = tuple(
    case
    for mode in ("sum", "mean", "max")
    for case in (
        Case(f"{mode}", (WORDS, TABLE, OFFSETS), {"mode": mode}),
        Case(f"{mode}, the rows of x", (ROWS, TABLE), {"mode": mode}),
        Case(f"{mode}, last offset", (WORDS, TABLE, np.array([0, 3, 7])), {"mode": mode, "include_last_offset": True}),
        Case(f"{mode}, padding", (WORDS, TABLE, OFFSETS), {"mode": mode, "padding_idx": 3}),
        Case(f"{mode}, padding, counted from the end", (WORDS, TABLE, OFFSETS), {"mode": mode, "padding_idx": -1}),
        Case(f"{mode}, a bag of padding", (ROWS, TABLE), {"mode": mode, "padding_idx": 0}),
        Case(f"{mode}, nothing but padding", (np.ones((2, 2), int), TABLE), {"mode": mode, "padding_idx": 1}, zero=("grad_1",)),
        Case(f"{mode}, empty bags", (NOTHING, TABLE, np.zeros(2, int)), {"mode": mode}, zero=("grad_1",)),
        Case(f"{mode}, batch of 0", (NOTHING.reshape(0, 3), TABLE), {"mode": mode}, zero=("grad_1",)),
        Case(f"{mode}, batch of 1", (np.array([4]), TABLE, np.array([0])), {"mode": mode}),
        Case(f"{mode}, max_norm", (WORDS, UNEQUAL, OFFSETS), {"mode": mode, "max_norm": 1.0}, smooth=False),
    )
)

OPERATIONS = (
    Operation(
        manual.embedding_bag,
        _torch,
        _embedding_bag,
        cases=(
            *_every_mode,
            Case("weights", (WORDS, TABLE, OFFSETS, normal(7)), {"mode": "sum"}),
            Case("weights, the rows of x", (ROWS, TABLE, None, normal(2, 3)), {"mode": "sum"}),
            Case("weights, padding", (WORDS, TABLE, OFFSETS, normal(7)), {"mode": "sum", "padding_idx": 3}),
            Case(
                "weights, by frequency",
                (WORDS, TABLE, OFFSETS, normal(7)),
                {"mode": "sum", "scale_grad_by_freq": True},
                torch_loses=COUNTS,
                smooth=False,
            ),
            Case("weights, max_norm", (WORDS, UNEQUAL, OFFSETS, normal(7)), {"mode": "sum", "max_norm": 0.75}, smooth=False),
            Case("weights, sparse", (WORDS, TABLE, OFFSETS, normal(7)), {"mode": "sum", "sparse": True}),
            Case("by frequency", (WORDS, TABLE, OFFSETS), {"scale_grad_by_freq": True}, torch_loses=COUNTS, smooth=False),
            Case(
                "by frequency, the last word often",
                (np.array([4, 0, 4, 1, 4]), TABLE, np.array([0, 2])),
                {"scale_grad_by_freq": True},
                smooth=False,
            ),
            Case(
                "by frequency, padding",
                (WORDS, TABLE, OFFSETS),
                {"scale_grad_by_freq": True, "padding_idx": 3},
                torch_loses=COUNTS,
                smooth=False,
            ),
            Case("sparse", (WORDS, TABLE, OFFSETS), {"sparse": True}),
            Case("sparse, padding", (WORDS, TABLE, OFFSETS), {"sparse": True, "padding_idx": 3}),
            Case(
                "max, NaN", (np.array([3, 0, 0, 1, 2, 3, 3, 0, 4, 2]), HOLES, np.array([0, 2, 4, 7])), {"mode": "max"}, smooth=False
            ),
            Case("max, ties", (WORDS, TIES, OFFSETS), {"mode": "max"}, smooth=False),
            Case("max, order 1", (WORDS, UNEQUAL, OFFSETS), {"mode": "max", "max_norm": 0.75, "norm_type": 1.0}, smooth=False),
            Case("indices of 32 bits", (WORDS.astype(np.int32), TABLE, OFFSETS.astype(np.int32))),
        ),
        small=Case("1,000 words, 16 bags of 8, 32 wide", (np.arange(128).reshape(16, 8) * 7, normal(1000, 32)), {"mode": "sum"}),
        large=Case(
            "32,000 words, 1,024 bags of 32, 128 wide",
            (np.arange(32_768).reshape(1024, 32) * 31 % 32_000, normal(32_000, 128)),
            {"mode": "sum"},
        ),
    ),
)

MODULES = (
    ModuleCase(build("EmbeddingBag", 5, 2), Case("mean", (WORDS, OFFSETS))),
    ModuleCase(build("EmbeddingBag", 5, 2, mode="sum"), Case("rows", (ROWS,))),
    ModuleCase(
        build("EmbeddingBag", 5, 2, mode="sum"), Case("weights by keyword", (ROWS,)), keywords={"per_sample_weights": normal(2, 3)}
    ),
    ModuleCase(build("EmbeddingBag", 5, 2, mode="sum"), Case("weights", (WORDS, OFFSETS, normal(7)))),
    ModuleCase(build("EmbeddingBag", 5, 2, mode="max", padding_idx=3), Case("max, padding", (WORDS, OFFSETS))),
    ModuleCase(build("EmbeddingBag", 5, 2, max_norm=1.0), Case("max_norm", (WORDS, OFFSETS))),
    ModuleCase(
        build("EmbeddingBag", 5, 2, max_norm=1.0, norm_type=1.0, mode="sum"),
        Case("max_norm, weights", (WORDS, OFFSETS, normal(7))),
    ),
    ModuleCase(
        build("EmbeddingBag", 5, 2, scale_grad_by_freq=True),
        Case("by frequency", (np.array([4, 0, 4, 1, 4]), np.array([0, 2]))),  # once more what torch counts right
    ),
    ModuleCase(build("EmbeddingBag", 5, 2, sparse=True), Case("sparse", (WORDS, OFFSETS))),
    ModuleCase(build("EmbeddingBag", 5, 2, include_last_offset=True), Case("last offset", (WORDS, np.array([0, 3, 7])))),
)
