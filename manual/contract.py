"""What every operation takes and gives back.

An operation is a function `output, backward = op(*arrays, **constants)`. Its `backward(grad_output, needs=None)` carries the
gradient of the output back to the arrays: it returns a tuple with one gradient for each of them, `None` where there is none to
have or where `needs` says that nobody wants it.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gradients = tuple[Any, ...]
Backward = Callable[..., Gradients]


def require_floats(op: str, names: str, *arrays: Any) -> None:
    """Refuse what is not a floating-point array, and floating-point arrays of different dtypes. `None` passes."""
    dtype = None
    for array in arrays:
        if array is None:
            continue
        is_array = type(array) is np.ndarray or isinstance(array, (np.ndarray, np.floating))
        if not is_array or (array.dtype is not dtype and (dtype is not None or array.dtype.kind != "f")):
            return _refuse_unlike(op, names.split(), arrays)
        dtype = array.dtype
    return None


def _refuse_unlike(op: str, names: list[str], arrays: tuple[Any, ...]) -> None:
    first, dtype = "", None
    for name, array in zip(names, arrays, strict=True):
        if array is None:
            continue
        if not isinstance(array, (np.ndarray, np.floating)):
            raise TypeError(f"{op}: {name} must be a NumPy array, got {type(array).__name__}")
        if array.dtype.kind != "f":
            raise TypeError(f"{op}: {name} must hold floating-point numbers, got {array.dtype}")
        if dtype is not None and array.dtype != dtype:
            raise TypeError(f"{op}: {name} must have the dtype of {first}, {dtype}, got {array.dtype}")
        first, dtype = first or name, array.dtype


def require_indices(op: str, name: str, array: Any) -> None:
    """Refuse what is not an array of integers."""
    if not isinstance(array, (np.ndarray, np.integer)):
        raise TypeError(f"{op}: {name} must be a NumPy array, got {type(array).__name__}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: {name} must hold integer indices, got {array.dtype}")


def require_shape(op: str, name: str, array: Array, expected: tuple[int, ...]) -> None:
    """Refuse an array of any other shape."""
    if array.shape != expected:
        raise ValueError(f"{op}: {name} must have shape {expected}, got {array.shape}")


def require_axis(op: str, x: Array, dim: int) -> None:
    """Refuse a dimension that the array does not have; as in torch, a 0-d array counts as having one."""
    ndim = max(x.ndim, 1)
    if not -ndim <= dim < ndim:
        raise ValueError(f"{op}: dim must lie in [{-ndim}, {ndim - 1}] for an input of shape {x.shape}, got {dim}")


def cotangent(op: str, grad_output: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """The gradient of an output of this shape and dtype; a plain number will do where the output is a scalar."""
    if type(grad_output) is np.ndarray and grad_output.shape == shape and grad_output.dtype is dtype:
        return grad_output
    if not isinstance(grad_output, (np.ndarray, np.generic)):
        if isinstance(grad_output, (int, float)) and shape == ():
            return dtype.type(grad_output)
        raise TypeError(f"{op}: grad_output must be a NumPy array of shape {shape}, got {type(grad_output).__name__}")
    if grad_output.shape != shape:
        raise ValueError(f"{op}: grad_output must have the shape of the output, {shape}, got {grad_output.shape}")
    if grad_output.dtype != dtype:
        raise TypeError(f"{op}: grad_output must have the dtype of the output, {dtype}, got {grad_output.dtype}")
    return grad_output


def clip(x: Array, low: float, high: float, out: Any = ...) -> Array:
    """Min(max(x, low), high), by default in a new array; also the fastest minimum or maximum of an array and a number."""
    return x.clip(low, high, out=out)


@lru_cache(maxsize=256)
def numbers(dtype: np.dtype[Any], *values: float) -> tuple[Array, ...]:
    """Numbers as arrays without axes: NumPy combines them with a small array in half the time that a Python number takes."""
    arrays = tuple(np.array(value, dtype) for value in values)
    for array in arrays:
        array.flags.writeable = False  # they are shared
    return arrays


def smallest(x: Array) -> Any:
    """The minimum of an array (∞ of none), as a number: to find its place is as fast as `x.min()`, in a small array far faster."""
    return x.item(x.argmin()) if x.size else math.inf


def largest(x: Array) -> Any:
    """The maximum of an array (−∞ of none), as a number."""
    return x.item(x.argmax()) if x.size else -math.inf


def times_slope(op: str, slope: Array, dtype: np.dtype[Any], divisor: float = 1.0) -> Backward:
    """The backward of y = f(x), element by element: grad_x = grad_y · slope / divisor, the slope as numbers or booleans."""

    def backward(grad_output):
        grad_output = cotangent(op, grad_output, slope.shape, dtype)
        grad_x = np.multiply(grad_output, slope.astype(dtype, copy=False), out=...)
        if divisor != 1.0:
            grad_x /= divisor
        return (grad_x,)

    return backward


def broadcast_shape(op: str, **arrays: Array) -> tuple[int, ...]:
    """The shape to which all arrays broadcast."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{op}: expected shapes that broadcast together, got {shapes}") from None


def broadcast(op: str, **arrays: Array) -> tuple[Array, ...]:
    """The arrays, repeated to the shape to which all broadcast, without copies."""
    shape = broadcast_shape(op, **arrays)
    return tuple(array if array.shape == shape else np.broadcast_to(array, shape) for array in arrays.values())


def sum_to_shape(grad: Array, shape: tuple[int, ...]) -> Array:
    """Undo a broadcast: sum `grad` over every axis along which an array of `shape` was repeated."""
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    repeated = tuple(axis + added for axis, size in enumerate(shape) if size == 1 and grad.shape[axis + added] != 1)
    return np.asarray(np.add.reduce(grad, axis=(*range(added), *repeated))).reshape(shape)


def sum_rows(matrix: Array) -> Array:
    """Σ over the rows of a matrix: as a product with ones, which BLAS does faster than `sum(axis=0)`."""
    return _ones(len(matrix), matrix.dtype).dot(matrix)


@lru_cache(maxsize=32)
def _ones(count: int, dtype: np.dtype[Any]) -> Array:
    return np.ones(count, dtype)


def sum_columns(matrix: Array) -> Array:
    """Σ over the columns of a matrix: each row times ones, in this thread alone, where `dot` would start those of BLAS in each."""
    return np.vecdot(matrix, _ones(matrix.shape[1], matrix.dtype))


def as_rows(x: Array, axis: int) -> tuple[Array, Callable[[Array], Array]]:
    """The lines of x along `axis` as the rows of a matrix, and the function that brings such rows back into the shape of x."""
    if x.ndim == 2 and axis in (1, -1):
        return x, lambda rows: rows
    moved = x if axis in (-1, x.ndim - 1) or x.ndim == 0 else np.moveaxis(x, axis, -1)
    rows = moved.reshape(math.prod(moved.shape[:-1]), moved.shape[-1] if x.ndim else 1)

    def back(rows: Array) -> Array:
        return rows.reshape(moved.shape) if moved is x else np.moveaxis(rows.reshape(moved.shape), -1, axis)

    return rows, back
