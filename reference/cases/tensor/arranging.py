"""Cases of order along axes, and of triangles."""

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Operation, normal

INTEGERS = np.arange(6).reshape(2, 3)


def _flip(x, dims):
    for axis in np.atleast_1d(np.asarray(dims, int)) if x.ndim else ():
        x = x.take(range(x.shape[axis])[::-1], axis)
    return x


def _roll(x, shifts, dims=()):
    if dims == ():
        return _rolled(x.reshape(-1), np.atleast_1d(shifts)[0], 0).reshape(x.shape)
    for shift, axis in zip(np.atleast_1d(shifts), np.atleast_1d(dims)):
        x = _rolled(x, shift, axis)
    return x


def _rolled(x, shift, axis):
    n = x.shape[axis]
    return x.take([(i - shift) % n for i in range(n)], axis)


def _triangle(keeps):
    def definition(x, diagonal=0):
        i, j = np.indices(x.shape[-2:])
        return np.where(keeps(j - i, diagonal), x, 0)

    return definition


def _triangle_operation(manual, theirs, keeps):
    return Operation(
        manual,
        theirs,
        _triangle(keeps),
        cases=(
            Case("square", (normal(3, 3),)),
            Case("wide", (normal(2, 4),), {"diagonal": 1}),
            Case("tall", (normal(4, 2),), {"diagonal": -1}),
            Case("many", (normal(2, 3, 3),), {"diagonal": 0}),
            Case("batch of 0", (normal(0, 2, 2),)),
            Case("∞ and NaN beyond", ([[1.0, np.inf], [np.nan, 2.0]],), judge="torch", smooth=False),
            Case("integers", (np.arange(9).reshape(3, 3),)),
            Case("truth values", (np.ones((3, 3), bool),)),
        ),
        small=Case("8 × 64 × 64", (normal(8, 64, 64),)),
        large=Case("8 × 1024 × 1024", (normal(8, 1024, 1024),)),
    )


OPERATIONS = (
    Operation(
        tensor.flip,
        lambda x, dims: torch.flip(x, (dims,) if isinstance(dims, int) else dims),
        _flip,
        cases=(
            Case("an axis", (normal(2, 3),), {"dims": -1}),
            Case("two axes", (normal(2, 3, 2),), {"dims": (0, 2)}),
            Case("no axes", (normal(2, 3),), {"dims": ()}),
            Case("a vector", (normal(3),), {"dims": 0}),
            Case("a single number", (normal(),), {"dims": 0}),
            Case("batch of 0", (normal(0, 3),), {"dims": [1]}),
            Case("integers", (INTEGERS,), {"dims": (1,)}),
            Case("truth values", (INTEGERS > 2,), {"dims": (1,)}),
        ),
        small=Case("8 × 64 × 64", (normal(8, 64, 64),), {"dims": (1,)}),
        large=Case("8 × 1024 × 1024", (normal(8, 1024, 1024),), {"dims": (1,)}),
    ),
    Operation(
        tensor.roll,
        torch.roll,
        _roll,
        cases=(
            Case("all as one line", (normal(2, 3),), {"shifts": 2}),
            Case("an axis", (normal(2, 3),), {"shifts": -1, "dims": 1}),
            Case("two axes", (normal(3, 4),), {"shifts": (1, -2), "dims": (0, -1)}),
            Case("an axis twice", (normal(5, 2),), {"shifts": [1, 2], "dims": [0, 0]}),
            Case("further than it is long", (normal(3),), {"shifts": 7, "dims": 0}),
            Case("batch of 0", (normal(0, 3),), {"shifts": 1, "dims": 1}),
            Case("integers", (INTEGERS,), {"shifts": 1, "dims": 1}),
            Case("truth values", (INTEGERS > 2,), {"shifts": 1, "dims": 1}),
        ),
        small=Case("8 × 64 × 64", (normal(8, 64, 64),), {"shifts": 5, "dims": 1}),
        large=Case("8 × 1024 × 1024", (normal(8, 1024, 1024),), {"shifts": 5, "dims": 1}),
    ),
    _triangle_operation(tensor.tril, torch.tril, np.less_equal),
    _triangle_operation(tensor.triu, torch.triu, np.greater_equal),
)

MODULES = ()
