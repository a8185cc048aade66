"""Exponentials whose exponents are rounded: what is left of their digits, and how to keep them."""

from collections.abc import Callable

import numpy as np

from manual.contract import Array

FAR = -4.0


def exp_of(exponent: Callable[[Array], Array], x: Array) -> Array:
    """exp(v), v = exponent(x), to a few units in the last place, however far v is below zero.

    The rounding of v, at least |v| u / 2, is the relative error of exp(v). Where that is more than a little, v is computed in the
    next longer format; there are few such elements in practice. (Where no longer one exists, the error is as it was.)
    """
    v = np.asarray(exponent(x))
    far = v < FAR
    e = np.exp(v, out=v)
    if far.any():
        longer = np.float64 if x.dtype.itemsize < 8 else np.longdouble
        e[far] = np.exp(exponent(x[far].astype(longer)))
    return e
