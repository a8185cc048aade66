"""Cases of comparing and choosing."""

import operator
from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Number, Operation, normal

MASK = [[True, False, True], [False, True, False]]
ROW = [True, False, True]


def _comparison(manual, theirs):
    """A comparison, of which nothing can be differentiated."""
    nothing: dict[str, Any] = {"no_grad": ("grad_0", "grad_1"), "smooth": False}
    return Operation(
        manual,
        theirs,
        getattr(operator, manual.__name__),
        cases=(
            Case("arrays", ([[1.0, 2.0, 3.0], [0.0, -1.0, 5.0]], [[1.0, 3.0, 2.0], [-0.0, -1.0, 5.5]]), **nothing),
            Case("a row", ([[1.0, 2.0], [3.0, 0.5]], [1.0, 1.0]), **nothing),
            Case("a plain number", ([1.0, 2.0, 0.1], Number(0.1)), **nothing),
            Case("NaN and ∞", ([np.nan, np.nan, np.inf, -np.inf], [np.nan, 1.0, np.inf, 0.0]), **nothing),
            Case("integers", (np.array([1, 2, 3]), Number(2)), **nothing),
            Case("arrays of integers", (np.array([1, 2, 3]), np.array([3, 2, 1])), **nothing),
            Case("truth values", (np.array(ROW), np.array([True, True, False])), **nothing),
            Case("batch of 0", (normal(0, 2), normal(2)), **nothing),
        ),
        small=Case("100 × 100", (normal(100, 100), normal(100)), no_grad=("grad_0", "grad_1")),
        large=Case("2000 × 2000", (normal(2000, 2000), normal(2000, 2000)), no_grad=("grad_0", "grad_1")),
    )


def _where(condition, x, other):
    return np.where(condition, x, other)


def _masked_fill(x, mask, value):
    return np.where(mask, value, x)


def truths(*shape: Any):
    """True and False."""
    return lambda generator: generator.random(shape) < 0.5


OPERATIONS = (
    *(_comparison(getattr(tensor, name), getattr(torch, name)) for name in ("eq", "ne", "lt", "le", "gt", "ge")),
    Operation(
        tensor.where,
        torch.where,
        _where,
        cases=(
            Case("arrays", (MASK, normal(2, 3), normal(2, 3))),
            Case("all broadcast", (ROW, normal(2, 1), normal(3))),
            Case("a condition for many", (MASK, normal(2, 2, 3), normal(3))),
            Case("a plain number", (MASK, normal(2, 3), Number(2))),
            Case("a plain number first", (MASK, Number(-np.inf), normal(3)), smooth=False),
            Case("of no axes", (True, 1.5, -2.0), zero=("grad_2",)),
            Case("integers", (ROW, np.array([1, 2, 3]), Number(0))),
            Case("arrays of integers", (ROW, np.array([1, 2, 3]), np.array([4, 5, 6]))),
            Case("truth values", (ROW, np.array(ROW), np.array([False, False, True]))),
            Case("∞ and NaN where they are not chosen", ([True, False], [1.0, np.inf], [np.nan, 2.0]), smooth=False),
            Case("batch of 0", (np.zeros((0, 3), bool), normal(0, 3), normal(3)), zero=("grad_2",)),
        ),
        small=Case("100 × 100", (truths(100, 100), normal(100, 100), normal(100, 100))),
        large=Case("2000 × 2000", (truths(2000, 2000), normal(2000, 2000), normal(2000, 2000))),
    ),
    Operation(
        tensor.masked_fill,
        torch.masked_fill,
        _masked_fill,
        cases=(
            Case("a plain number", (normal(2, 3), MASK, Number(-1.5))),
            Case("an array of no axes", (normal(2, 3), MASK, normal())),
            Case("−∞", (normal(2, 3), ROW, Number(-np.inf)), smooth=False),
            Case("a mask for many", (normal(2, 2, 3), MASK, normal())),
            Case("many masks", (normal(3), MASK, normal())),
            Case("integers", (np.array([1, 2, 3]), ROW, Number(7))),
            Case("integers, an array of no axes", (np.array([1, 2, 3]), ROW, np.array(7))),
            Case("truth values", (np.array(ROW), ROW, np.array(False))),
            Case("of no axes", (normal(), False, Number(1.0))),
            Case("batch of 0", (normal(0, 3), ROW, normal()), zero=("grad_2",)),
        ),
        small=Case("100 × 100", (normal(100, 100), truths(100, 100), Number(-1.0))),
        large=Case("2000 × 2000", (normal(2000, 2000), truths(2000, 2000), Number(-1.0))),
    ),
)

MODULES = ()
