"""Small tools for arrays: broadcasting and its inverse, sums as products, extremes, exponentials."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from manual.contract import FLOAT32, FLOAT64, Array, broadcast_shape

BOOL = np.dtype(bool)
# Of each format, the integers of its size
BITS: dict[np.dtype[Any], np.dtype[Any]] = {FLOAT32: np.dtype(np.int32), FLOAT64: np.dtype(np.int64)}


def read_only(x: Any) -> Any:
    """A view of an array that cannot be changed. What is no array stays what it is."""
    if isinstance(x, np.ndarray):
        x = x.view()
        x.flags.writeable = False
    return x


def sealed(x: Any) -> Any:
    """The array itself, which cannot be changed any more, nor that of which it is a view."""
    part = x
    while isinstance(part, np.ndarray):
        part.flags.writeable = False
        part = part.base
    return x


def broadcast(op: str, **arrays: Array) -> tuple[Array, ...]:
    """The arrays, repeated to the shape to which all broadcast, without copies."""
    shape = broadcast_shape(op, **arrays)
    return tuple(array if array.shape == shape else np.broadcast_to(array, shape) for array in arrays.values())


def where_true(mask: Array, x: Any, out: Array | None = None) -> Array:
    """What x holds where the mask is true, and 0 where it is not, be it ∞ or NaN there: the bits of x times 1 or 0."""
    bits = BITS[x.dtype]
    if out is None:
        chosen = mask.astype(bits)
    else:
        chosen = out.view(bits)
        chosen[...] = mask
    chosen *= x.view(bits)
    return chosen.view(x.dtype)


def sum_to_shape(grad: Array, shape: tuple[int, ...]) -> Array:
    """Undo a broadcast: sum `grad` over every axis along which an array of `shape` was repeated."""
    if grad.shape == shape:
        return grad
    if grad.ndim == 2 and grad.shape[1:] == shape:
        return column_sums(grad)
    added = grad.ndim - len(shape)
    repeated = tuple(axis + added for axis, size in enumerate(shape) if size == 1 and grad.shape[axis + added] != 1)
    return np.asarray(np.add.reduce(grad, axis=(*range(added), *repeated))).reshape(shape)


def column_sums(matrix: Array) -> Array:
    """The sum of each column of a matrix: a product of ones with it, which is faster than `sum(axis=0)`."""
    return _ones(len(matrix), matrix.dtype).dot(matrix)


def row_sums(x: Array) -> Array:
    """The sums along the last axis: the products with ones, in this thread alone, where `dot` would start those of BLAS."""
    return np.vecdot(x, _ones(x.shape[-1], x.dtype))


@lru_cache(maxsize=32)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(count, dtype)


def smallest(x: Array) -> Any:
    """The minimum of an array (∞ of none), as a number. `argmin` finds its place in less time than `min` takes."""
    return x.item(x.argmin()) if x.size else math.inf


def largest(x: Array) -> Any:
    """The maximum of an array (−∞ of none), as a number."""
    return x.item(x.argmax()) if x.size else -math.inf


@lru_cache
def exp_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Where exp(x) and exp(−x) are both normal numbers: |x| ≤ 87 in float32, |x| ≤ 708 in float64."""
    limit = float(np.floor(-np.log(np.finfo(dtype).tiny)))
    return -limit, limit
