"""Cases of sums and what is made of them."""

import math
import warnings
from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Operation, normal, offset, uniform
from reference.cases.layers.distance import norm as norm_of_lines
from reference.exact import detach, exp, log, mp

CUBE = normal(2, 3, 2)


def _axes(x, dim):
    return tuple(range(x.ndim)) if dim is None or dim == () else tuple(np.atleast_1d(dim)) if x.ndim else ()


def _count(x, dim):
    return math.prod(x.shape[axis] for axis in _axes(x, dim))


def _lines(x, dim):
    """The numbers along these axes in one last axis."""
    axes = [axis % x.ndim for axis in _axes(x, dim)]
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    return x.transpose(kept + axes).reshape([x.shape[axis] for axis in kept] + [_count(x, dim)])


def _kept(y, x, dim, keepdim):
    return np.expand_dims(np.asarray(y, dtype=object), _axes(x, dim)) if keepdim else np.asarray(y, dtype=object)


def _sum(x, dim=None, keepdim=False, dtype=None):
    return np.asarray(x.sum(axis=_axes(x, dim), keepdims=keepdim), dtype=object)


def _mean(x, dim=None, keepdim=False, dtype=None):
    return _sum(x, dim, keepdim) / _count(x, dim)


def _prod(x, dim=None, keepdim=False, dtype=None):
    return np.asarray(x.prod(axis=_axes(x, dim), keepdims=keepdim), dtype=object)


def _var(x, dim=None, correction=1, keepdim=False):
    """Terms of the variance, whose derivatives by one x cancel: each moves the mean too."""
    lines = _lines(x, dim)
    apart = lines - lines.sum(axis=-1, keepdims=True) / lines.shape[-1]
    squares = apart**2 / (lines.shape[-1] - correction)
    return [_kept(squares[..., k], x, dim, keepdim) for k in range(lines.shape[-1])]


def _std(x, dim=None, correction=1, keepdim=False):
    """What each term of the variance adds to the derivative."""
    terms = _var(x, dim, correction, keepdim)
    y = detach(sum(terms)) ** mp.mpf("0.5")
    return [y, *((term - detach(term)) / (2 * y) for term in terms)]


def _norm(x, p="fro", dim=None, keepdim=False, dtype=None):
    lines, order = _lines(x, dim), 2 if p == "fro" else p
    return _kept(norm_of_lines(lines, order), x, dim, keepdim)


def _logsumexp(x, dim, keepdim=False):
    lines = _lines(x, dim)
    return _kept(log(exp(lines).sum(axis=-1)), x, dim, keepdim)


def _cumsum(x, dim, dtype=None):
    return np.cumsum(x, dim) if x.ndim else x


def _reduced(function):
    """A function of torch that takes `keepdim` only where there is a `dim`, and warns where there is nothing to divide by."""

    def apply(x, dim=None, keepdim=False, **constants: Any):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(var|std).*degrees of freedom")
            if dim is None and not keepdim:
                return function(x, **constants)
            return function(x, dim=tuple(range(x.ndim)) if dim is None else dim, keepdim=keepdim, **constants)

    return apply


def _along(*more: Any, constants=None, draw=normal, several=True, **options: Any):
    """Cases along every axis, several and all."""
    constants = constants or {}

    def case(label, *shape: Any, **given: Any):
        return Case(label, (draw(*shape),), constants | given, **options)

    return (
        case("all", 2, 3),
        case("first axis", 3, 2, dim=0),
        case("a vector", 4, dim=0),
        *((case("both axes", 2, 3, dim=(0, 1)),) if several else ()),
        case("last axis", 2, 3, dim=-1),
        case("middle axis, kept", 2, 3, 2, dim=1, keepdim=True),
        *((case("two axes", 2, 3, 2, dim=(0, -1)), case("two axes, kept", 2, 2, 3, dim=[2, 0], keepdim=True)) if several else ()),
        case("batch of 0", 0, 3, dim=1),
        *more,
    )


def _benchmark(constants=None, draw=normal):
    return {
        "small": Case("100 × 100, along the last axis", (draw(100, 100),), {"dim": -1} | (constants or {})),
        "large": Case("4096 × 1024, along the last axis", (draw(4096, 1024),), {"dim": -1} | (constants or {})),
    }


_far = "the mean is rounded as the numbers are"
_large = "exp(x − y) multiplies what y was rounded by"

OPERATIONS = (
    Operation(
        tensor.sum,
        _reduced(torch.sum),
        _sum,
        cases=_along(
            Case("a single number", (normal(),)),
            Case("a single number, its axis", (normal(),), {"dim": -1}),
            Case("no axes are all", (normal(2, 3),), {"dim": ()}),
            Case("of none", (normal(2, 0),), {"dim": 1}),
            Case("large and small", ([1e15, 1.0, -1e15, 2.0],), smooth=False),
        ),
        **_benchmark(),
    ),
    Operation(
        tensor.mean,
        _reduced(torch.mean),
        _mean,
        cases=_along(
            Case("a single number", (normal(),)),
            Case("of none", (normal(2, 0),), {"dim": 1}, judge="torch", smooth=False),
        ),
        **_benchmark(),
    ),
    Operation(
        tensor.prod,
        _reduced(torch.prod),
        _prod,
        cases=_along(
            Case("a single number", (normal(),)),
            Case("one number of a row", (normal(2, 1),), {"dim": 1}),
            Case("of none", (normal(2, 0),), {"dim": 1}),
            Case("of none at all", (normal(0),)),
            Case("with a zero", ([[2.0, 0.0, 3.0], [0.0, -1.0, 2.0]],), {"dim": 1}),
            Case("with two zeros", ([[2.0, 0.0, 0.0], [1.0, -1.0, 2.0]],), {"dim": 1}),
            Case("zeros, of all", ([2.0, 0.0, -3.0],)),
            several=False,
        ),
        **_benchmark(draw=lambda *shape: uniform(0.99, 1.01, *shape)),
    ),
    *(
        Operation(
            manual,
            _reduced(theirs),
            definition,
            cases=_along(
                Case("no correction", (normal(2, 3),), {"dim": 1, "correction": 0}),
                Case("half a correction", (normal(2, 3),), {"dim": 1, "correction": 0.5}),
                Case("correction, of all", (normal(2, 3),), {"correction": 2}),
                Case("far from 0", (offset(1000.0, 2, 4),), {"dim": 1}, torch_loses=_far),
                Case("equal numbers", ([[3.0, 3.0, 3.0]],), {"dim": 1}, judge="torch", smooth=False, zero=("grad_0",)),
                Case("of one", (normal(2, 1),), {"dim": 1}, judge="torch", smooth=False),
                Case(
                    "of one, no correction",
                    (normal(2, 1),),
                    {"dim": 1, "correction": 0},
                    judge="torch",
                    smooth=False,
                    zero=("grad_0",),
                ),
                Case("as many as the correction", (normal(2),), {"correction": 2}, judge="torch", smooth=False),
                Case("fewer than the correction", ([1.0, 2.0],), {"correction": 3}, judge="torch", smooth=False),
                Case("of none", (normal(2, 0),), {"dim": 1}, judge="torch", smooth=False),
                torch_loses=_far,
            ),
            **_benchmark(),
        )
        for manual, theirs, definition in ((tensor.var, torch.var, _var), (tensor.std, torch.std, _std))
    ),
    Operation(
        tensor.norm,
        torch.norm,
        _norm,
        cases=_along(
            *(Case(f"p = {p}", (normal(2, 3),), {"p": p, "dim": 1}) for p in (1, 1.5, 2, 3, 0.5, -1, math.inf, -math.inf)),
            Case("p = 0", (normal(2, 3),), {"p": 0, "dim": 1}, zero=("grad_0",), smooth=False),
            Case("p = 3, of all, kept", (normal(2, 3),), {"p": 3, "keepdim": True}),
            Case("a single number", (normal(),)),
            Case("zeros", ([[0.0, 0.0], [3.0, -4.0]],), {"dim": 1}, judge="torch", smooth=False),
            *(
                Case(f"a zero, p = {p}", ([[0.0, 0.0], [3.0, 0.0]],), {"dim": 1, "p": p}, judge="torch", smooth=False)
                for p in (1, 3, 0.5)
            ),
            Case("ties, p = ∞", ([3.0, -3.0, 1.0],), {"p": math.inf}, judge="torch", smooth=False),
            Case("ties, p = −∞", ([3.0, -1.0, 1.0],), {"p": -math.inf}, judge="torch", smooth=False),
            Case("the nuclear norm", (normal(3, 2),), {"p": "nuc"}, judge="float64"),
            Case(
                "the nuclear norm of many, kept", (normal(2, 2, 3),), {"p": "nuc", "dim": (2, 0), "keepdim": True}, judge="float64"
            ),
        ),
        **_benchmark(),
    ),
    Operation(
        tensor.logsumexp,
        torch.logsumexp,
        _logsumexp,
        cases=(
            *_along()[1:],
            Case("a single number", (normal(),), {"dim": 0}),
            Case("large", ([[1000.0, 999.0, -1000.0], [-1000.0, -1001.0, -1000.5]],), {"dim": 1}, torch_loses=_large),
            Case("with −∞", ([[-math.inf, 1.0], [2.0, 0.5]],), {"dim": 1}, judge="torch", smooth=False),
            Case("−∞ alone", ([[-math.inf, -math.inf], [2.0, 0.5]],), {"dim": 1}, judge="torch", smooth=False),
            Case("∞ and NaN", ([[math.inf, 1.0], [math.nan, 0.5]],), {"dim": 1}, judge="torch", smooth=False),
            Case("of none", (normal(2, 0),), {"dim": 1}, judge="torch", smooth=False),
        ),
        **_benchmark(),
    ),
    Operation(
        tensor.cumsum,
        torch.cumsum,
        _cumsum,
        cases=(
            Case("first axis", (normal(3, 2),), {"dim": 0}),
            Case("last axis", (normal(2, 4),), {"dim": -1}),
            Case("middle axis", (normal(2, 3, 2),), {"dim": 1}),
            Case("a single number", (normal(),), {"dim": 0}),
            Case("batch of 0", (normal(0, 3),), {"dim": 1}),
            Case("of none", (normal(2, 0),), {"dim": 1}),
        ),
        **_benchmark(),
    ),
)

MODULES = ()
