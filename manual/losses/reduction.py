"""From the loss of each sample to the loss of all: none, mean, sum."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.contract import REDUCTIONS, Array, cotangent, require_choice


def reduce(op: str, losses: Array, reduction: str, total: Any = None) -> tuple[Array, Callable[[Any], Array]]:
    """Reduce losses, and return what carries a gradient back to each of them.

    Forward:   none: ℓ;  sum: Σ ℓ;  mean: Σ ℓ / total, where `total` is the number of losses unless it is given
    Backward:  none: g;  sum: g;  mean: g / total

    The mean over a total of 0 is NaN, and so is its gradient.
    """
    require_choice(op, "reduction", reduction, REDUCTIONS)
    output = losses if reduction == "none" else np.add.reduce(losses, axis=None)
    if reduction == "mean":
        total = (losses.size if total is None else total) or math.nan
        output = output / total
    of_each, shape, dtype = losses.shape, output.shape, output.dtype

    def backward(grad_output):
        grad_output = cotangent(op, grad_output, shape, dtype)
        return np.full(of_each, grad_output / total if reduction == "mean" else grad_output, dtype)

    return output, backward
