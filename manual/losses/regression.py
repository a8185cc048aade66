"""Losses between a prediction and a target that are numbers of the same kind."""

from typing import Any

import numpy as np

from manual.contract import Array, Backward, require_floats, require_shape, sum_to_shape
from manual.losses.reduction import reduce
from manual.module import Module


def mse_loss(x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean") -> tuple[Array, Backward]:
    """Mean squared error.

    Forward:   ℓᵢ = (xᵢ − tᵢ)²;  none: L = w ℓ;  sum: L = Σ w ℓ;  mean: L = Σ w ℓ / Σ w, without a weight Σ ℓ / n
    Backward:  grad_x = 2 w (x − t) g,  grad_target = −grad_x,  grad_weight = ℓ g, in the mean (ℓ − L) g
               (g = grad_L, in the mean divided by Σ w or n)
    Shapes:    x and target broadcast to one another; weight has the shape of x; L () or, with reduction none, theirs
    Source:    Legendre 1805, Gauss 1809
    """
    difference = _difference("mse_loss", x, target, weight)
    loss = difference * difference
    weighted = loss if weight is None else weight * loss
    output, reduce_backward = reduce("mse_loss", weighted, reduction, None if weight is None else weight.sum())

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, True)
        grad = reduce_backward(grad_output)
        grad_x = grad_target = grad_weight = None
        if need_x or need_target:
            grad_difference = difference * (2.0 * grad)
            if weight is not None:
                grad_difference *= weight
            if need_x:
                grad_x = sum_to_shape(grad_difference, x.shape)
            if need_target:
                grad_target = sum_to_shape(-grad_difference, target.shape)
        if need_weight and weight is not None:
            grad_weight = _grad_weight(loss, output, grad, weight, reduction)
        return grad_x, grad_target, grad_weight

    return output, backward


class MSELoss(Module):
    """`mse_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(mse_loss, (input, target), (None,), reduction=self.reduction)


def l1_loss(x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean") -> tuple[Array, Backward]:
    """Mean absolute error.

    Forward:   ℓᵢ = |xᵢ − tᵢ|;  none: L = w ℓ;  sum: L = Σ w ℓ;  mean: L = Σ w ℓ / Σ w, without a weight Σ ℓ / n
    Backward:  grad_x = w sign(x − t) g,  grad_target = −grad_x,  grad_weight = ℓ g, in the mean (ℓ − L) g
               (g = grad_L, in the mean divided by Σ w or n)
    Shapes:    x and target broadcast to one another; weight has the shape of x; L () or, with reduction none, theirs
    Kinks:     the gradient at x = t is 0
    """
    difference = _difference("l1_loss", x, target, weight)
    loss = np.abs(difference)
    weighted = loss if weight is None else weight * loss
    output, reduce_backward = reduce("l1_loss", weighted, reduction, None if weight is None else weight.sum())

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, True)
        grad = reduce_backward(grad_output)
        grad_x = grad_target = grad_weight = None
        if need_x or need_target:
            grad_difference = np.sign(difference)
            grad_difference *= grad
            if weight is not None:
                grad_difference *= weight
            if need_x:
                grad_x = sum_to_shape(grad_difference, x.shape)
            if need_target:
                grad_target = sum_to_shape(-grad_difference, target.shape)
        if need_weight and weight is not None:
            grad_weight = _grad_weight(loss, output, grad, weight, reduction)
        return grad_x, grad_target, grad_weight

    return output, backward


class L1Loss(Module):
    """`l1_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(l1_loss, (input, target), (None,), reduction=self.reduction)


def _difference(op: str, x: Array, target: Array, weight: Array | None) -> Array:
    require_floats(op, "x target weight", x, target, weight)
    if weight is not None:
        require_shape(op, "weight", weight, x.shape)
    try:
        return x - target
    except ValueError:
        raise ValueError(
            f"{op}: expected x and target of shapes that broadcast together, got {x.shape} and {target.shape}"
        ) from None


def _grad_weight(loss: Array, output: Array, grad: Any, weight: Array, reduction: str) -> Array:
    # The mean Σ w ℓ / Σ w also has the weights below: their part is −L.
    if reduction == "mean":
        return (sum_to_shape(loss, weight.shape) - output) * grad
    return sum_to_shape(loss * grad, weight.shape)
