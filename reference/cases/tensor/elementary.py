"""Cases of the elementary functions."""

import math
from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.accuracy import BEYOND
from reference.case import Case, Operation, normal, uniform
from reference.exact import detach, erfc, exp, lift, mp


def _function(manual, theirs, definition, *cases: Any, draw=normal, **options: Any):
    """A function of each element, in its ordinary shapes."""
    return Operation(
        manual,
        theirs,
        definition,
        cases=(
            Case("ordinary", (draw(4, 5),)),
            Case("a single number", (draw(),)),
            Case("batch of 0", (draw(0, 5),)),
            *cases,
        ),
        small=Case("10,000 numbers", (draw(100, 100),)),
        large=Case("4 million numbers", (draw(2000, 2000),)),
        pointwise=True,
        **options,
    )


def _positive(*shape: Any):
    return uniform(0.1, 5, *shape)


def _sign(x):
    return np.sign(detach(x))


def _to_the_end(function):
    """A function that is not at its limit where a sweep takes a large number for infinity."""
    return lambda x: function(x if abs(x) < BEYOND else mp.sign(x) * mp.inf)


_sin, _cos = _to_the_end(mp.sin), _to_the_end(mp.cos)
_log = lift(_to_the_end(mp.log), lambda x: 1 / x)
_sqrt = lift(_to_the_end(mp.sqrt), _to_the_end(lambda x: 1 / (2 * mp.sqrt(x))))
_rsqrt = lift(_to_the_end(lambda x: 1 / mp.sqrt(x)), lambda x: -1 / (2 * x * mp.sqrt(x)))
_SIGNED = -1e30, -3.0, -1e-30, 1e-30, 3.0, 1e30

OPERATIONS = (
    _function(
        tensor.abs,
        torch.abs,
        abs,
        Case("both signs, large and small", ([*_SIGNED],)),
        Case("zeros", ([0.0, -0.0, 1.0],), smooth=False),
        Case("NaN and ±∞", ([math.nan, math.inf, -math.inf],), judge="torch", smooth=False),
        kinks=(0.0,),
    ),
    Operation(
        tensor.sign,
        torch.sign,
        _sign,
        cases=(
            Case("ordinary", (normal(4, 5),), zero=("grad_0",)),
            Case("a single number", (normal(),), zero=("grad_0",)),
            Case("batch of 0", (normal(0, 5),), zero=()),
            Case("zeros and ±∞", ([0.0, -0.0, math.inf, -math.inf],), zero=("grad_0",), judge="torch", smooth=False),
            Case("NaN", ([math.nan, 1.0],), zero=("grad_0",), judge="torch", smooth=False),
        ),
        small=Case("10,000 numbers", (normal(100, 100),)),
        large=Case("4 million numbers", (normal(2000, 2000),)),
    ),
    _function(tensor.exp, torch.exp, exp, Case("large and small", ([-87.0, -20.0, -1e-30, 20.0, 87.0],))),
    _function(
        tensor.log,
        torch.log,
        _log,
        Case("near 1", (uniform(0.999, 1.001, 5),)),
        Case("0, below and ∞", ([0.0, -1.0, math.inf],), judge="torch", smooth=False),
        draw=_positive,
        above=0.0,
    ),
    _function(
        tensor.log1p,
        torch.log1p,
        lambda x: _log(1 + x),
        Case("small", (normal(5, scale=1e-8),)),
        Case("near −1", ([-0.9999, -0.99, -0.5],), smooth=False),
        Case("−1, below and ∞", ([-1.0, -2.0, math.inf],), judge="torch", smooth=False),
        draw=_positive,
        above=-1.0,
    ),
    _function(
        tensor.sqrt,
        torch.sqrt,
        _sqrt,
        Case("0, below and ∞", ([0.0, -1.0, math.inf],), judge="torch", smooth=False),
        draw=_positive,
        above=0.0,
    ),
    _function(
        tensor.rsqrt,
        torch.rsqrt,
        _rsqrt,
        Case("0, below and ∞", ([0.0, -1.0, math.inf],), judge="torch", smooth=False),
        draw=_positive,
        above=0.0,
    ),
    _function(
        tensor.sin,
        torch.sin,
        lift(_sin, _cos),
        Case("large", ([-1e5, 1e3, 1e6, 1e10],), smooth=False),
        Case("around its zeros", ([3.14159, -3.14159, 6.2831, 1e-30],)),
    ),
    _function(
        tensor.cos,
        torch.cos,
        lift(_cos, lambda x: -_sin(x)),
        Case("large", ([-1e5, 1e3, 1e6, 1e10],), smooth=False),
        Case("around its zeros", ([1.5708, -1.5708, 4.7124, 7.854],)),
    ),
    _function(tensor.erf, torch.erf, lambda x: 1 - erfc(x), Case("tails", ([-10.0, -5.0, -3.0, 3.0, 5.0, 10.0],))),
)

MODULES = ()
