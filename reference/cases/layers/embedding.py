"""Cases of embeddings and of unit vectors."""

from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, classes, normal
from reference.exact import detach, each, mp, sqrt


def clipped(rows, max_norm, norm_type):
    """Rows shortened to a norm, through which no derivative goes."""
    short = detach(rows)
    for row in short:
        size = abs(row)
        if norm_type == 0:
            norm = mp.mpf(int(sum(size != 0)))
        elif np.isinf(norm_type):
            norm = size.max()
        elif norm_type == 2:
            norm = sqrt((size * size).sum()).item()
        else:
            norm = each(lambda x: x ** mp.mpf(norm_type))(size).sum() ** (1 / mp.mpf(norm_type))
        if norm > max_norm:
            row *= max_norm / (norm + mp.mpf("1e-7"))
    return rows + (short - detach(rows))


def scaled(rows, factors):
    """Rows as they are, with a gradient that is a multiple of theirs."""
    return detach(rows) + (rows - detach(rows)) * np.asarray(factors, dtype=object)[:, None]


def looked_up(index, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """The rows of a table, in one axis."""
    table = weight if max_norm is None else clipped(weight, max_norm, norm_type)
    rows = table[index]
    if padding_idx is not None:
        rows = scaled(rows, index != padding_idx % len(weight))
    return scaled(rows, [mp.one / sum(index == i) for i in index]) if scale_grad_by_freq else rows


def _embedding(x, weight, **settings: Any):
    return looked_up(x.reshape(-1), weight, **settings).reshape(*x.shape, weight.shape[1])


def _one_hot(x, num_classes=-1):
    return (x[..., None] == np.arange(x.max() + 1 if num_classes < 0 else num_classes)).astype(int)


WORDS = np.array([[3, 0, 3], [1, 3, 4]])  # of five, some twice, one never
TABLE = normal(5, 2)
UNEQUAL = [[0.1, 0.2], [3.0, -4.0], [0.0, 0.0], [0.0, -1.0], [-2.0, 0.0]]  # norms on both sides of 1, and on it

OPERATIONS = (
    Operation(
        manual.embedding,
        F.embedding,
        _embedding,
        cases=(
            Case("words, some twice", (WORDS, TABLE)),
            Case("one axis", (classes(5, 7), TABLE)),
            Case("three axes", (classes(5, 2, 3, 2), TABLE)),
            Case("no batch", (np.array(3), TABLE)),
            Case("batch of 0", (np.zeros((0, 3), int), TABLE), zero=("grad_1",)),
            Case("batch of 1", (np.array([[4]]), TABLE)),
            Case("indices of 32 bits", (WORDS.astype(np.int32), TABLE)),
            Case("one column", (WORDS, normal(5, 1))),
            Case("no columns", (WORDS, normal(5, 0))),
            Case("one row", (np.zeros(3, int), normal(1, 4))),
            Case("padding", (WORDS, TABLE), {"padding_idx": 3}, smooth=False),
            Case("padding, row 0", (WORDS, TABLE), {"padding_idx": 0}, smooth=False),
            Case("padding, counted from the end", (WORDS, TABLE), {"padding_idx": -1}, smooth=False),
            Case("padding that is not there", (WORDS, TABLE), {"padding_idx": 2}),
            Case("nothing but padding", (np.full(3, 1), TABLE), {"padding_idx": 1}, zero=("grad_1",), smooth=False),
            Case("by frequency", (WORDS, TABLE), {"scale_grad_by_freq": True}, smooth=False),
            Case("by frequency, padding", (WORDS, TABLE), {"scale_grad_by_freq": True, "padding_idx": 0}, smooth=False),
            Case("max_norm", (WORDS, UNEQUAL), {"max_norm": 1.0}, smooth=False),
            Case("max_norm, padding", (WORDS, UNEQUAL), {"max_norm": 0.5, "padding_idx": 1}, smooth=False),
            Case("max_norm, sum of sizes", (WORDS, UNEQUAL), {"max_norm": 0.75, "norm_type": 1.0}, smooth=False),
            Case("max_norm, largest size", (WORDS, UNEQUAL), {"max_norm": 0.75, "norm_type": float("inf")}, smooth=False),
            Case("max_norm, how many are not 0", (WORDS, UNEQUAL), {"max_norm": 1.5, "norm_type": 0.0}, smooth=False),
            Case("max_norm, order 3", (WORDS, UNEQUAL), {"max_norm": 0.75, "norm_type": 3.0}, smooth=False),
            Case("max_norm of 0", (WORDS, TABLE), {"max_norm": 0.0}, smooth=False),
            Case("max_norm, never reached", (WORDS, TABLE), {"max_norm": float("inf")}),
            Case("sparse", (WORDS, TABLE), {"sparse": True}),
            Case(
                "sparse, padding",
                (WORDS, TABLE),
                {"sparse": True, "padding_idx": 3},
                smooth=False,
                torch_loses="of a single word, torch's backward raises an IndexError",
            ),
            Case("sparse, batch of 0", (np.zeros((0, 3), int), TABLE), {"sparse": True}, zero=("grad_1",)),
            Case("sparse, max_norm", (WORDS, UNEQUAL), {"sparse": True, "max_norm": 1.0}, smooth=False),
        ),
        small=Case("1,000 words, 64 of them, 32 wide", (classes(1000, 64), normal(1000, 32))),
        large=Case("32,000 words, 8,192 of them, 512 wide", (classes(32_000, 8192), normal(32_000, 512))),
    ),
    Operation(
        manual.one_hot,
        F.one_hot,
        _one_hot,
        cases=(
            Case("classes", (WORDS,), {"num_classes": 6}),
            Case("as many as there are", (WORDS,)),
            Case("one axis", (np.array([2, 0, 1]),), {"num_classes": 3}),
            Case("no batch", (np.array(2),), {"num_classes": 4}),
            Case("batch of 0", (np.zeros(0, int),), {"num_classes": 3}),
        ),
        small=Case("100 classes, batch 64", (classes(100, 64),), {"num_classes": 100}),
        large=Case("1,000 classes, batch 4,096", (classes(1000, 4096),), {"num_classes": 1000}),
    ),
)

MODULES = (
    ModuleCase(build("Embedding", 5, 2), Case("words", (WORDS,))),
    ModuleCase(build("Embedding", 5, 2, padding_idx=3), Case("padding", (WORDS,))),
    ModuleCase(build("Embedding", 5, 2, padding_idx=-1), Case("padding, counted from the end", (WORDS,))),
    ModuleCase(build("Embedding", 5, 2, max_norm=1.0), Case("max_norm", (WORDS,))),
    ModuleCase(build("Embedding", 5, 2, max_norm=0.5, norm_type=1.0), Case("max_norm, sum of sizes", (WORDS,))),
    ModuleCase(build("Embedding", 5, 2, scale_grad_by_freq=True), Case("by frequency", (WORDS,))),
    ModuleCase(build("Embedding", 5, 2, sparse=True), Case("sparse", (WORDS,))),
)
