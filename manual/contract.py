"""What every operation takes and gives back, and the checks that every operation makes.

An operation is a function `output, backward = op(*arrays, **constants)`. Its `backward(grad_output, needs=None)` carries the
gradient of the output back to the arrays: it returns a tuple with one gradient for each of them, `None` where there is none to
have or where `needs` says that nobody wants it.
"""

from collections.abc import Callable
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
            raise TypeError(f"{op}: {name} must be a NumPy array, got {type(array).__name__}; np.asarray({name}) makes one")
        if array.dtype.kind != "f":
            raise TypeError(f"{op}: {name} must hold floating-point numbers, got {array.dtype}")
        if dtype is not None and array.dtype != dtype:
            remedy = f"{first}.astype(np.{array.dtype}), or the module in {dtype}: module.to(np.{dtype})"
            raise TypeError(f"{op}: {name} must have the dtype of {first}, {dtype}, got {array.dtype}; use {remedy}")
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


def require_broadcast(op: str, name: str, array: Array | None, x: Array) -> None:
    """Refuse an array that does not broadcast to the shape of x. `None` passes."""
    if array is not None and broadcast_shape(op, x=x, **{name: array}) != x.shape:
        raise ValueError(f"{op}: {name} must broadcast to the shape of x, {x.shape}, got {array.shape}")


def broadcast_shape(op: str, **arrays: Array) -> tuple[int, ...]:
    """The shape to which all arrays broadcast; shapes that do not are refused."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        got = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{op}: expected shapes that broadcast together, got {got}") from None


def require_reduction(op: str, reduction: Any) -> None:
    """Refuse any reduction but none, mean and sum."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def needed(op: str, needs: tuple[bool, ...] | None, count: int) -> tuple[bool, ...]:
    """Of each of `count` arguments, whether its gradient is needed: all are, unless told otherwise."""
    if needs is None:
        return (True,) * count
    if len(needs) != count:
        raise ValueError(f"{op}: needs must have one entry for each of {count} arguments, got {needs}")
    return needs


def cotangent(op: str, grad_output: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """The gradient of an output of this shape and dtype; a plain number will do where the output is a scalar."""
    if type(grad_output) is np.ndarray and grad_output.shape == shape and grad_output.dtype is dtype:
        return grad_output
    if type(grad_output) in (float, int) and shape == ():
        return dtype.type(grad_output)
    if not isinstance(grad_output, (np.ndarray, np.generic)):
        raise TypeError(f"{op}: grad_output must be a NumPy array of shape {shape}, got {type(grad_output).__name__}")
    if grad_output.shape != shape:
        raise ValueError(f"{op}: grad_output must have the shape of the output, {shape}, got {grad_output.shape}")
    if grad_output.dtype != dtype:
        raise TypeError(f"{op}: grad_output must have the dtype of the output, {dtype}, got {grad_output.dtype}")
    return grad_output
