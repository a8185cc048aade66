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

    A curve of one array may be given `out`, a place for its y. It may have limits `within` which it is right: where x lies outside,
    the curve sees it clipped to them, and y and slope come from a second curve, `beyond`, which gets these few elements in the next
    longer format.
    """
    if within is not None:
        curve = partial(_with_tails, curve, *within, beyond)
    dtype, shape = arrays[0].dtype, arrays[0].shape
    if len(arrays) == 1 and reduction == "none" and arrays[0].size <= LARGE:
        return _of_one_small_array(op, curve, arrays[0])
    shapes = [shape if array is None else array.shape for array in arrays]
    if shapes.count(shape) != len(shapes):
        shape = np.broadcast_shapes(*shapes)
        arrays = tuple([array if array is None else np.broadcast_to(array, shape) for array in arrays])
    require_reduction(op, reduction)
    reduced = reduction != "none"
    if arrays[0].size > LARGE:
        y, slopes, multiply = _in_parts(curve, arrays, reduced)
    else:
        y, *slopes = curve(*(arrays if shape else [array if array is None else array.reshape(1) for array in arrays]))
        multiply = _multiply
    output = np.add.reduce(y, axis=None) if reduced else y.reshape(shape)
    divisor = None
    if reduction == "mean":
        divisor = (math.prod(shape) if total is None else total) or math.nan
        output = output / divisor
    output_shape = output.shape

    def backward(grad_output, needs=None):
        grad_y = cotangent(op, grad_output, output_shape, dtype)
        if divisor is not None:
            grad_y = grad_y / divisor
        grads = []
        for slope, need, given in zip(slopes, needed(op, needs, len(slopes)), shapes):
            grad = multiply(grad_y, slope) if need and slope is not None else None
            grads.append(grad if grad is None or grad.shape == given else sum_to_shape(grad.reshape(shape), given))
        return tuple(grads)

    return output, backward


def _of_one_small_array(op: str, curve: Curve, x: Array) -> tuple[Array, Backward]:
    """The activations of a small network, where every microsecond shows."""
    shape, dtype = x.shape, x.dtype
    y, slope = curve(x if shape else x.reshape(1))

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        grad = _multiply(cotangent(op, grad_output, shape, dtype), slope)
        return (grad if shape else grad.reshape(()),)

    return y if shape else y.reshape(()), backward


def _multiply(grad_y: Any, slope: Any) -> Array:
    return grad_y * (slope() if callable(slope) else slope)


def _in_parts(curve: Curve, arrays: Any, reduced: bool) -> tuple[Array, list[Any], Callable[[Any, Any], Array]]:
    """Run a curve on large arrays, whose parts several threads share.

    Return y, or its sum over each part; of each array the slopes in all parts, and what multiplies a gradient by them.
    """
    arrays = [array if array is None else array.reshape(-1) for array in arrays]
    size, dtype = arrays[0].size, arrays[0].dtype
    parts = parts_of_elements(size)
    y = np.empty(len(parts) if reduced else size, dtype)
    slopes: list[Any] = [None] * len(parts)

    def forward_part(p):
        part = parts[p]
        if len(arrays) == 1 and not reduced:
            _, *slopes[p] = curve(arrays[0][part], out=y[part])
            return
        y_part, *slopes[p] = curve(*[array if array is None else array[part] for array in arrays])
        if reduced:
            y[p] = np.add.reduce(y_part)
        else:
            y[part] = y_part

    in_threads(forward_part, len(parts))

    def multiply(grad_y, slope_parts):
        grad = np.empty(size, dtype)
        grad_y = grad_y if reduced else grad_y.reshape(-1)

        def multiply_part(p):
            part, slope = parts[p], slope_parts[p]
            np.multiply(grad_y if reduced else grad_y[part], slope() if callable(slope) else slope, out=grad[part])

        in_threads(multiply_part, len(parts))
        return grad

    by_array = [None if of_parts[0] is None else of_parts for of_parts in zip(*slopes)]
    return y, by_array, multiply


def _with_tails(curve: Curve, low: float, high: float, beyond: Curve, x: Array, out: Array | None = None) -> tuple[Array, Array]:
    """The curve within its limits, and the other one beyond them."""
    if (low == -math.inf or smallest(x) >= low) and (high == math.inf or largest(x) <= high):
        return curve(x, out=out)
    y, slope = curve(x.clip(low, high), out=out)
    far = np.nonzero((x < low) | (x > high))
    y[far], slope[far] = beyond(_longer(x[far]))
    return y, slope


def _longer(x: Array) -> Array:
    """The same numbers in the next longer format: for float64 extended precision, where the processor has it."""
    return x.astype(np.float64 if x.dtype.itemsize < 8 else np.longdouble)
