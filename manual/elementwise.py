"""The elementwise mechanism: a formula for the numbers of an array becomes an operation, fast, and right to the edges.

NumPy runs an operation on one core, and sends every temporary through memory. Elements do not depend on one another, so a large
array is cut into parts whose temporaries stay in a cache, and several threads share the parts.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from manual.arrays import largest, smallest, sum_to_shape
from manual.contract import Array, Backward, cotangent, needed, require_reduction
from manual.threads import LARGE, in_threads, parts_of_elements

Curve = Callable[..., tuple[Any, ...]]
Limits = tuple[float, float]


def elementwise(
    op: str,
    curve: Curve,
    *arrays: Any,
    within: Limits | None = None,
    beyond: Any = None,
    reduction: str = "none",
    total: Any = None,
) -> tuple[Array, Backward]:
    """Apply y = f(x, …) to each element; return all y, their sum or their mean, and the backward.

    Forward:   none: y;  sum: Σ y;  mean: Σ y / total, where `total` is the number of elements unless it is given
    Backward:  grad_x = grad_y · ∂y/∂x, in the mean divided by `total`; summed over every axis along which x was repeated

    `curve(x, …)` gets arrays of at least one axis and of one shape (`None` stays `None`). It returns y, and a slope ∂y/∂x for each
    array whose gradient the backward is to return: numbers, booleans, a function that makes the slope when a backward asks for it,
    or `None` where there is no gradient. A slope made together with y, out of the same temporaries, is cheaper than one made later.

    A curve of one array may have limits `within` which it is right. Where x lies outside, the curve sees it clipped to them, and
    y and slope come from a second curve, `beyond`, which gets these few elements in the next longer format.
    """
    if within is not None:
        curve = partial(_with_tails, curve, *within, beyond)
    if len(arrays) == 1 and reduction == "none" and arrays[0].size <= LARGE:
        return _of_one_small_array(op, curve, arrays[0])
    dtype, shape = arrays[0].dtype, arrays[0].shape
    shapes = [shape if array is None else array.shape for array in arrays]
    repeated = shapes.count(shape) != len(shapes)
    if repeated:
        shape = np.broadcast_shapes(*shapes)
        arrays = tuple([array if array is None else np.broadcast_to(array, shape) for array in arrays])
    require_reduction(op, reduction)
    divisor = None
    if reduction == "mean":
        divisor = (math.prod(shape) if total is None else total) or math.nan
    apply = _as_a_whole if arrays[0].size <= LARGE else _in_parts
    output, count, gradients = apply(curve, arrays, shape, reduction != "none")
    if divisor is not None:
        output = output / divisor
    output_shape = output.shape

    def backward(grad_output, needs=None):
        grad_y = cotangent(op, grad_output, output_shape, dtype)
        if divisor is not None:
            grad_y = grad_y / divisor
        grads = gradients(grad_y, needed(op, needs, count))
        if repeated:
            grads = [None if grad is None else sum_to_shape(grad, given) for grad, given in zip(grads, shapes)]
        return tuple(grads)

    return output, backward


def _of_one_small_array(op: str, curve: Curve, x: Array) -> tuple[Array, Backward]:
    """The activations of a small network, where every microsecond shows."""
    shape, dtype = x.shape, x.dtype
    y, slope = curve(x if shape else x.reshape(1))

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        grad = _times(cotangent(op, grad_output, shape, dtype), slope)
        return (grad if shape else grad.reshape(()),)

    return y if shape else y.reshape(()), backward


def _as_a_whole(curve: Curve, arrays: Any, shape: tuple[int, ...], summed: bool) -> Any:
    """Return y, or its sum, of a small array; the number of slopes, and what makes the gradients from that of y."""
    if not shape:
        arrays = [array if array is None else array.reshape(1) for array in arrays]
    y, *slopes = curve(*arrays)

    def gradients(grad_y, needs):
        grads = [_times(grad_y, slope) if need else None for slope, need in zip(slopes, needs)]
        return grads if shape else [None if grad is None else grad.reshape(()) for grad in grads]

    return np.add.reduce(y, axis=None) if summed else y if shape else y.reshape(()), len(slopes), gradients


def _times(grad_y: Any, slope: Any) -> Any:
    if slope is None:
        return None
    return grad_y * (slope() if callable(slope) else slope)


def _in_parts(curve: Curve, arrays: Any, shape: tuple[int, ...], summed: bool) -> Any:
    """The same of a large array, whose parts several threads share."""
    size, dtype = arrays[0].size, arrays[0].dtype
    arrays = [array if array is None else array.reshape(-1) for array in arrays]
    parts = parts_of_elements(size)
    y = np.empty(len(parts) if summed else size, dtype)
    slopes: list[Any] = [None] * len(parts)

    def forward_part(p):
        part = parts[p]
        y_part, *slopes[p] = curve(*[array if array is None else array[part] for array in arrays])
        if summed:
            y[p] = np.add.reduce(y_part)
        else:
            y[part] = y_part

    in_threads(forward_part, len(parts))

    def gradients(grad_y, needs):
        grads = [np.empty(size, dtype) if need and slope is not None else None for slope, need in zip(slopes[0], needs)]
        grad_y = grad_y if summed else grad_y.reshape(-1)

        def backward_part(p):
            part = parts[p]
            for grad, slope in zip(grads, slopes[p]):
                if grad is not None:
                    np.multiply(grad_y if summed else grad_y[part], slope() if callable(slope) else slope, out=grad[part])

        in_threads(backward_part, len(parts))
        return [None if grad is None else grad.reshape(shape) for grad in grads]

    return np.add.reduce(y) if summed else y.reshape(shape), len(slopes[0]), gradients


def _with_tails(curve: Curve, low: float, high: float, beyond: Curve, x: Array) -> tuple[Array, Array]:
    """The curve within its limits, and the other one beyond them."""
    if (low == -math.inf or smallest(x) >= low) and (high == math.inf or largest(x) <= high):
        return curve(x)
    y, slope = curve(x.clip(low, high))
    far = np.nonzero((x < low) | (x > high))
    y[far], slope[far] = beyond(_longer(x[far]))
    return y, slope


def _longer(x: Array) -> Array:
    """The same numbers in the next longer format: for float64 extended precision, where the processor has it."""
    return x.astype(np.float64 if x.dtype.itemsize < 8 else np.longdouble)
