"""Exponentials far below zero: what is left of their digits, and how to keep them.

The rounding of an exponent v, some |v| u, is the relative error of exp(v): tens of units at the edge of what float32 can hold,
hundreds at that of float64. There are few elements so far out in practice, so there the next longer format is affordable.
"""

from collections.abc import Callable

import numpy as np

from manual.contract import Array

FAR = -4.0


def longer(x: Array) -> Array:
    """The same numbers in the next longer format: extended precision for float64, where the processor has it."""
    return x.astype(np.float64 if x.dtype.itemsize < 8 else np.longdouble)


def exp_of(exponent: Callable[[Array], Array], x: Array) -> Array:
    """exp(v), v = exponent(x), to a few units in the last place, however far v is below zero."""
    v = np.asarray(exponent(x))
    far = v < FAR
    e = np.exp(v, out=v)
    if far.any():
        e[far] = np.exp(exponent(longer(x[far])))
    return e
