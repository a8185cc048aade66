"""Cases of joining arrays and taking them apart."""

from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Operation, normal

INTEGERS = np.arange(6).reshape(3, 2)


def _cat(tensors, dim=0):
    return np.concatenate([x for x in tensors if x.shape != (0,)] or tensors, dim)


def _stack(tensors, dim=0):
    return np.concatenate([np.expand_dims(x, dim) for x in tensors], dim)


def _split(x, split_size_or_sections, dim=0):
    n, sizes = x.shape[dim], split_size_or_sections
    if isinstance(sizes, int):
        starts = list(range(0, max(n, 1), max(sizes, 1)))
        ends = [min(start + sizes, n) for start in starts]
    else:
        starts, ends = [sum(sizes[:k]) for k in range(len(sizes))], [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return tuple(x.take(range(start, end), dim) for start, end in zip(starts, ends))


def _chunk(x, chunks, dim=0):
    n = x.shape[dim]
    return _split(x, -(-n // chunks), dim) if n else (x,) * chunks


def _unbind(x, dim=0):
    return tuple(np.asarray(x.take(k, dim), dtype=object) for k in range(x.shape[dim]))


def _tuple(function):
    return lambda x, **constants: tuple(function(x, **constants))


def _benchmark(**constants: Any) -> Any:
    return {
        "small": Case("64 × 64", (normal(64, 64),), constants),
        "large": Case("64 × 256 × 256", (normal(64, 256, 256),), constants),
    }


OPERATIONS = (
    Operation(
        tensor.cat,
        torch.cat,
        _cat,
        cases=(
            Case("rows", ([normal(2, 3), normal(1, 3)],)),
            Case("columns", ([normal(2, 3), normal(2, 1), normal(2, 2)],), {"dim": 1}),
            Case("the last axis", ([normal(2, 2, 1), normal(2, 2, 2)],), {"dim": -1}),
            Case("one alone", ([normal(2, 3)],)),
            Case("nothing among them", ([normal(0), normal(2, 3), normal(1, 3)],)),
            Case("nothing among columns", ([normal(2, 1), normal(0), normal(2, 2)],), {"dim": 1}),
            Case("nothing but nothing", ([normal(0), normal(0)],)),
            Case("rows of none", ([normal(0, 3), normal(2, 3)],)),
            Case("a tuple", ((normal(2), normal(3)),)),
            Case("integers", ((np.array([1, 2]), np.array([3])),)),
            Case("truth values", ((np.array([True, False]), np.array([True])),)),
        ),
        small=Case("two of 64 × 64", ([normal(64, 64), normal(64, 64)],), {"dim": 1}),
        large=Case("two of 2000 × 1000", ([normal(2000, 1000), normal(2000, 1000)],), {"dim": 1}),
    ),
    Operation(
        tensor.stack,
        torch.stack,
        _stack,
        cases=(
            Case("in front", ([normal(2, 3), normal(2, 3)],)),
            Case("between", ([normal(2, 3), normal(2, 3)],), {"dim": 1}),
            Case("behind", ([normal(2, 3), normal(2, 3), normal(2, 3)],), {"dim": -1}),
            Case("single numbers", ([normal(), normal()],)),
            Case("one alone", ([normal(3)],), {"dim": 1}),
            Case("batch of 0", ([normal(0, 3), normal(0, 3)],)),
            Case("a tuple", ((normal(2), normal(2)),)),
            Case("integers", ((np.array([1, 2]), np.array([3, 4])),)),
            Case("truth values", ((np.array([True, False]), np.array([True, True])),)),
        ),
        small=Case("two of 64 × 64", ([normal(64, 64), normal(64, 64)],), {"dim": 1}),
        large=Case("two of 2000 × 1000", ([normal(2000, 1000), normal(2000, 1000)],), {"dim": 1}),
    ),
    Operation(
        tensor.split,
        _tuple(torch.split),
        _split,
        cases=(
            Case("equal parts", (normal(4, 2),), {"split_size_or_sections": 2}),
            Case("a rest", (normal(2, 5),), {"split_size_or_sections": 2, "dim": 1}),
            Case("one part", (normal(2, 3),), {"split_size_or_sections": 7, "dim": -1}),
            Case("sections", (normal(2, 6),), {"split_size_or_sections": [1, 3, 2], "dim": 1}),
            Case("a section of none", (normal(3, 2),), {"split_size_or_sections": (2, 0, 1)}),
            Case("batch of 0", (normal(0, 2),), {"split_size_or_sections": 2}),
            Case("parts of 0", (normal(0, 2),), {"split_size_or_sections": 0}),
            Case("integers", (INTEGERS,), {"split_size_or_sections": 2}),
            Case("truth values", (INTEGERS > 2,), {"split_size_or_sections": 2}),
        ),
        **_benchmark(split_size_or_sections=16, dim=1),
    ),
    Operation(
        tensor.chunk,
        _tuple(torch.chunk),
        _chunk,
        cases=(
            Case("equal parts", (normal(2, 6),), {"chunks": 3, "dim": -1}),
            Case("a smaller one", (normal(5, 2),), {"chunks": 2}),
            Case("fewer than asked for", (normal(5, 2),), {"chunks": 4}),
            Case("one", (normal(2, 3),), {"chunks": 1, "dim": 1}),
            Case("batch of 0", (normal(0, 2),), {"chunks": 2}),
            Case("integers", (INTEGERS,), {"chunks": 2}),
            Case("truth values", (INTEGERS > 2,), {"chunks": 2}),
        ),
        **_benchmark(chunks=4, dim=1),
    ),
    Operation(
        tensor.unbind,
        _tuple(torch.unbind),
        _unbind,
        cases=(
            Case("rows", (normal(2, 3),)),
            Case("columns", (normal(2, 3),), {"dim": -1}),
            Case("a vector", (normal(3),)),
            Case("one", (normal(1, 2, 2),)),
            Case("batch of 0", (normal(0, 2),), {"dim": 1}),
            Case("integers", (INTEGERS,)),
            Case("truth values", (INTEGERS > 2,)),
        ),
        **_benchmark(dim=0),
    ),
)

MODULES = ()
