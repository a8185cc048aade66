"""Cases of products of matrices and sums of products."""

import math
from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Operation, normal


def _matmul(x, other):
    return np.matmul(x, other)


def _outer(x, vec2):
    return x[:, None] * vec2[None, :]


def _einsum(operands, equation):
    """Terms of the sum, one for each value of the letters that the output lacks; where one element serves several they cancel."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    counts = [x.ndim - len(term.replace("...", "")) for x, term in zip(operands, terms)]
    dots = "PQRS"[: max(counts)]
    spread = [term.replace("...", dots[len(dots) - count :]) for term, count in zip(terms, counts)]
    if not arrow:
        plain = left.replace("...", "").replace(",", "")
        right = "..." + "".join(letter for letter in sorted(plain) if plain.count(letter) == 1)
    result = right.replace("...", dots)
    letters = set("".join(spread))
    sizes = {letter: max(x.shape[term.index(letter)] for x, term in zip(operands, spread) if letter in term) for letter in letters}
    summed = sorted(letters - set(result))

    def product(at):
        factors = [x[tuple(min(at[letter], size - 1) for letter, size in zip(term, x.shape))] for x, term in zip(operands, spread)]
        return math.prod(factors[1:], start=factors[0])

    found = []
    for fixed in np.ndindex(*(sizes[letter] for letter in summed)):
        y = np.empty([sizes[letter] for letter in result], dtype=object)
        for free in np.ndindex(y.shape):
            y[free] = product(dict(zip(result, free)) | dict(zip(summed, fixed)))
        found.append(y)
    return found


def _torch_einsum(operands, equation):
    return torch.einsum(equation, *operands)


def _sums(equation, *shapes: Any, **options: Any):
    label = f"{equation or 'nothing'}{options.pop('label', '')}"
    return Case(label, ([normal(*shape) for shape in shapes],), {"equation": equation}, **options)


OPERATIONS = (
    Operation(
        tensor.matmul,
        torch.matmul,
        _matmul,
        cases=(
            Case("two matrices", (normal(2, 3), normal(3, 4))),
            Case("two vectors", (normal(3), normal(3))),
            Case("a matrix and a vector", (normal(2, 3), normal(3))),
            Case("a vector and a matrix", (normal(3), normal(3, 2))),
            Case("many and as many", (normal(2, 2, 3), normal(2, 3, 2))),
            Case("many and one", (normal(2, 2, 3), normal(3, 2))),
            Case("one and many", (normal(2, 3), normal(2, 3, 2))),
            Case("many and a vector", (normal(2, 2, 3), normal(3))),
            Case("a vector and many", (normal(3), normal(2, 3, 2))),
            Case("batches that broadcast", (normal(2, 1, 2, 3), normal(2, 3, 2))),
            Case("a batch of one", (normal(1, 2, 3), normal(2, 3, 1))),
            Case("batch of 0", (normal(0, 2, 3), normal(3, 2)), zero=("grad_1",)),
            Case("no rows", (normal(0, 3), normal(3, 2)), zero=("grad_1",)),
            Case("nothing to add up", (normal(2, 0), normal(0, 3))),
        ),
        small=Case("64 × 64 by 64 × 64", (normal(64, 64), normal(64, 64))),
        large=Case("8 × 1024 × 512 by 512 × 512", (normal(8, 1024, 512), normal(512, 512))),
    ),
    Operation(
        tensor.bmm,
        torch.bmm,
        _matmul,
        cases=(
            Case("2 matrices", (normal(2, 2, 3), normal(2, 3, 4))),
            Case("one matrix", (normal(1, 3, 2), normal(1, 2, 1))),
            Case("batch of 0", (normal(0, 2, 3), normal(0, 3, 2))),
        ),
        small=Case("8 × 16 × 16", (normal(8, 16, 16), normal(8, 16, 16))),
        large=Case("64 × 128 × 128", (normal(64, 128, 128), normal(64, 128, 128))),
    ),
    Operation(
        tensor.outer,
        torch.outer,
        _outer,
        cases=(
            Case("3 by 4", (normal(3), normal(4))),
            Case("1 by 2", (normal(1), normal(2))),
            Case("none by 2", (normal(0), normal(2)), zero=("grad_1",)),
        ),
        small=Case("100 by 100", (normal(100), normal(100))),
        large=Case("2000 by 2000", (normal(2000), normal(2000))),
    ),
    Operation(
        tensor.einsum,
        _torch_einsum,
        _einsum,
        cases=(
            _sums("ij,jk->ik", (2, 3), (3, 2)),
            _sums("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
            _sums("bhqd,bhkd->bhqk", (1, 2, 2, 3), (1, 2, 3, 3)),
            _sums("ij,jk", (2, 3), (3, 2), label=", the output left to find"),
            _sums("Zb, bA", (2, 3), (3, 2), label=", letters in order"),
            _sums("ij->ji", (2, 3)),
            _sums("ij->", (2, 3)),
            _sums("ij->j", (2, 3)),
            _sums("ij->i", (2, 3)),
            _sums("ij,kj->", (2, 3), (2, 3)),
            _sums("i,j->ij", (2,), (3,)),
            _sums("i,i,i->i", (3,), (3,), (3,)),
            _sums("ij,jk,kl->il", (2, 2), (2, 3), (3, 2)),
            _sums("ii->i", (3, 3)),
            _sums("ii", (3, 3)),
            _sums("iji,j->j", (2, 3, 2), (3,)),
            _sums("...ij,...jk->...ik", (2, 1, 2, 2), (3, 2, 2)),
            _sums("...i,...i", (2, 3), (3,)),
            _sums("...i->i", (2, 2, 3), label=", the others summed"),
            _sums("i...->...", (2, 3)),
            _sums("ij,jk->ik", (2, 1), (3, 2), label=", one element for several"),
            _sums("bi,bi->i", (1, 2), (3, 2), label=", one batch for several"),
            _sums("i,->i", (3,), ()),
            _sums("", ()),
            _sums("bi,ij->bj", (0, 2), (2, 2), label=", batch of 0", zero=("grad_0.1",)),
            Case("a tuple", ((normal(2, 3), normal(3, 2)),), {"equation": "ij,jk->ik"}),
        ),
        small=_sums("bhqd,bhkd->bhqk", (2, 4, 16, 8), (2, 4, 16, 8)),
        large=_sums("bhqd,bhkd->bhqk", (8, 8, 256, 64), (8, 8, 256, 64)),
    ),
)

MODULES = ()
