"""Cases of the largest and the smallest, and of order."""

import math
from functools import partial
from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Operation, normal

TIES = [[1.0, 3.0, 3.0, -2.0], [-2.0, 0.5, -2.0, 0.5]]
_any = "of those that tie it takes any"
NAN = [[1.0, math.nan, 3.0], [math.nan, math.nan, math.inf]]


def _tuple(function):
    """A function of torch whose outputs come as a plain tuple."""

    def apply(x, **constants: Any):
        output = function(x, **constants)
        return output if isinstance(output, torch.Tensor) else tuple(output)

    return apply


def _extreme(x, sign, dim=None, keepdim=False):
    if dim is None:
        return _shared(x, sign, tuple(range(x.ndim)), False)
    lines = np.atleast_1d(x)
    places = np.expand_dims(np.asarray((sign * lines).argmax(axis=dim)), dim)
    return _picked(x, lines, places, dim, keepdim)


def _picked(x, lines, places, dim, keepdim=True):
    values = np.take_along_axis(lines, places, dim)
    if not x.ndim:
        return values.reshape(()), places.reshape(())
    return (values, places) if keepdim else (np.asarray(values.squeeze(dim)), places.squeeze(dim))


def _shared(x, sign, axes, keepdim):
    """The mean of those that tie."""
    if not x.ndim:
        return x
    ties = x == sign * (sign * x).max(axis=axes, keepdims=True)
    return np.asarray((x * ties).sum(axis=axes, keepdims=keepdim) / ties.sum(axis=axes, keepdims=keepdim), dtype=object)


def _extreme_of_several(x, sign, dim=(), keepdim=False):
    axes = tuple(range(x.ndim)) if dim == () or not x.ndim else tuple(np.atleast_1d(dim))
    return _shared(x, sign, axes, keepdim)


def _place(x, sign, dim=None, keepdim=False):
    return np.asarray(sign * x).argmax(axis=dim, keepdims=keepdim)


def _sorted(x, dim=-1, descending=False, stable=False):
    lines = np.moveaxis(np.atleast_1d(x), dim, -1)
    places = np.empty(lines.shape, dtype=int)
    for line in np.ndindex(lines.shape[:-1]):
        numbers = list(lines[line])
        places[line] = sorted(range(len(numbers)), key=lambda i: -numbers[i].value if descending else numbers[i].value)
    return _picked(x, np.atleast_1d(x), np.moveaxis(places, -1, dim), dim)


def _topk(x, k, dim=-1, largest=True, sorted=True):
    values, places = _sorted(x, dim, largest)
    if not x.ndim:
        return values, places
    return values.take(range(k), dim), places.take(range(k), dim)


def _benchmark(**constants: Any) -> Any:
    return {
        "small": Case("100 × 100", (normal(100, 100),), constants),
        "large": Case("4096 × 1024", (normal(4096, 1024),), constants),
    }


def _extreme_operation(manual, theirs, sign):
    return Operation(
        manual,
        _tuple(theirs),
        partial(_extreme, sign=sign),
        cases=(
            Case("all", (normal(2, 3),)),
            Case("first axis", (normal(3, 2),), {"dim": 0}),
            Case("last axis", (normal(2, 3),), {"dim": -1}),
            Case("middle axis, kept", (normal(2, 3, 2),), {"dim": 1, "keepdim": True}),
            Case("a single number", (normal(),)),
            Case("a single number, its axis", (normal(),), {"dim": 0}),
            Case("batch of 0", (normal(0, 3),), {"dim": 1}),
            Case("ties, all", (TIES,), smooth=False),
            Case("ties, last axis", (TIES,), {"dim": 1}, smooth=False),
            Case("NaN, all", (NAN,), judge="torch", smooth=False),
            Case("NaN, last axis", (NAN,), {"dim": 1}, judge="torch", smooth=False),
        ),
        **_benchmark(dim=-1),
    )


def _extreme_of_several_operation(manual, theirs, sign):
    return Operation(
        manual,
        theirs,
        partial(_extreme_of_several, sign=sign),
        cases=(
            Case("all", (normal(2, 3),)),
            Case("first axis", (normal(3, 2),), {"dim": 0}),
            Case("last axis", (normal(2, 3),), {"dim": -1}),
            Case("a vector", (normal(3),), {"dim": 0}),
            Case("two axes", (normal(2, 3, 2),), {"dim": (0, -1)}),
            Case("two axes, kept", (normal(2, 3, 2),), {"dim": (2, 0), "keepdim": True}),
            Case("a single number", (normal(),)),
            Case("batch of 0", (normal(0, 3),), {"dim": 1}),
            Case("ties", (TIES,), {"dim": 1}, smooth=False),
            Case("ties, all", (TIES,), smooth=False),
            Case("NaN", (NAN,), {"dim": 1}, judge="torch", smooth=False),
        ),
        **_benchmark(dim=-1),
    )


def _place_operation(manual, theirs, sign):
    nothing: dict[str, Any] = {"no_grad": ("grad_0",), "smooth": False}
    return Operation(
        manual,
        theirs,
        partial(_place, sign=sign),
        cases=(
            Case("all", (normal(2, 3),), **nothing),
            Case("last axis", (normal(2, 3),), {"dim": -1}, **nothing),
            Case("first axis, kept", (normal(3, 2),), {"dim": 0, "keepdim": True}, **nothing),
            Case("all, kept", (normal(3, 2),), {"keepdim": True}, **nothing),
            Case("a single number", (normal(),), {"dim": 0}, **nothing),
            Case("batch of 0", (normal(0, 3),), {"dim": 1}, **nothing),
            Case("ties", (TIES,), {"dim": 1}, **nothing),
            Case("NaN", (NAN,), {"dim": 1}, judge="torch", **nothing),
        ),
        small=Case("100 × 100", (normal(100, 100),), {"dim": -1}, no_grad=("grad_0",)),
        large=Case("4096 × 1024", (normal(4096, 1024),), {"dim": -1}, no_grad=("grad_0",)),
    )


OPERATIONS = (
    _extreme_operation(tensor.max, torch.max, 1),
    _extreme_operation(tensor.min, torch.min, -1),
    _extreme_of_several_operation(tensor.amax, torch.amax, 1),
    _extreme_of_several_operation(tensor.amin, torch.amin, -1),
    _place_operation(tensor.argmax, torch.argmax, 1),
    _place_operation(tensor.argmin, torch.argmin, -1),
    Operation(
        tensor.sort,
        _tuple(torch.sort),
        _sorted,
        cases=(
            Case("last axis", (normal(2, 4),)),
            Case("first axis", (normal(4, 2),), {"dim": 0}),
            Case("descending", (normal(2, 4),), {"descending": True}),
            Case("stable", (TIES,), {"stable": True}, smooth=False),
            Case("stable, descending", (TIES,), {"stable": True, "descending": True}, smooth=False),
            Case("ties", (TIES,), smooth=False),
            Case("ties, descending", (TIES,), {"descending": True}, smooth=False),
            Case("NaN and ∞", (NAN,), judge="torch", smooth=False),
            Case("NaN and ∞, descending", (NAN,), {"descending": True}, judge="torch", smooth=False),
            Case("a single number", (normal(),)),
            Case("batch of 0", (normal(0, 3),)),
        ),
        **_benchmark(),
    ),
    Operation(
        tensor.topk,
        _tuple(torch.topk),
        _topk,
        cases=(
            Case("the 2 largest", (normal(2, 4),), {"k": 2}, torch_loses=_any),
            Case("the 2 smallest", (normal(2, 4),), {"k": 2, "largest": False}, torch_loses=_any),
            Case("first axis", (normal(4, 2),), {"k": 3, "dim": 0}, torch_loses=_any),
            Case("all", (normal(2, 3),), {"k": 3}, torch_loses=_any),
            Case("none", (normal(2, 3),), {"k": 0}, zero=("grad_0",), torch_loses=_any),
            Case("NaN and ∞", ([[1.0, math.nan, 3.0, -math.inf]],), {"k": 2}, judge="torch", smooth=False, torch_loses=_any),
            Case("a single number", (normal(),), {"k": 1}, torch_loses=_any),
            Case("batch of 0", (normal(0, 3),), {"k": 2}, torch_loses=_any),
        ),
        **_benchmark(k=10),
    ),
)

MODULES = ()
