"""From the loss of each element to the loss of all: none, mean, sum."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.contract import Array, cotangent


def reduce(op: str, loss: Array, reduction: str, total: Any = None) -> tuple[Array, Callable[[Any], Any]]:
    """Reduce the losses of the elements, and return what carries a gradient back to them.

    Forward:   none: ℓ;  sum: Σ ℓ;  mean: Σ ℓ / total, where `total` is the number of elements unless it is given
    Backward:  none: g;  sum: g;  mean: g / total      (a scalar, the same for each element)

    The mean over a total of 0 is NaN, and so is its gradient.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    output = loss if reduction == "none" else np.add.reduce(loss, axis=None)
    if reduction == "mean":
        total = (loss.size if total is None else total) or math.nan
        output = output / total
    shape, dtype = output.shape, output.dtype

    def backward(grad_output):
        grad_output = cotangent(op, grad_output, shape, dtype)
        return grad_output / total if reduction == "mean" else grad_output

    return output, backward
