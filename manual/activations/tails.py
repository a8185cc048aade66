"""Exponentials far from zero: where they overflow, what is left of their digits, and how to keep them.

The rounding of an exponent v, some |v| u, is the relative error of exp(v): tens of units at the edge of what float32 can hold,
hundreds at that of float64. There are few elements so far out in practice, so each function computes as if there were none, and
does these few again in the next longer format.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from manual.contract import Array, largest, smallest

FAR = -4.0  # where exponents begin to be computed in the next longer format


def longer(x: Array) -> Array:
    """The same numbers in the next longer format: extended precision for float64, where the processor has it."""
    return x.astype(np.float64 if x.dtype.itemsize < 8 else np.longdouble)


@lru_cache
def exp_limit(dtype: np.dtype[Any]) -> float:
    """The largest whole number v for which both exp(v) and exp(−v) are normal numbers: 87 in float32, 708 in float64."""
    return float(np.floor(-np.log(np.finfo(dtype).tiny)))


def below(x: Array, limit: float) -> Any:
    """The places where x lies below a limit, as an index; None if there are none, which a minimum tells sooner than a mask."""
    return None if smallest(x) >= limit else places(x < limit)


def above(x: Array, limit: float) -> Any:
    """The places where x lies above a limit, as an index; None if there are none."""
    return None if largest(x) <= limit else places(x > limit)


def beyond(x: Array, limit: float) -> Any:
    """The places where |x| lies above a limit, as an index; None if there are none."""
    return None if largest(x) <= limit and smallest(x) >= -limit else places(abs(x) > limit)


def places(mask: Any) -> Any:
    """Where a mask is true, as an index."""
    return np.nonzero(mask) if mask.ndim else np.asarray(mask)


def exp_of(exponent: Callable[[Array], Array], x: Array) -> Array:
    """exp(v), v = exponent(x), to a few units in the last place, however far v is below zero."""
    v = np.asarray(exponent(x))
    far = below(v, FAR)
    e = np.exp(v, out=v)
    if far is not None:
        e[far] = np.exp(exponent(longer(x[far])))
    return e
