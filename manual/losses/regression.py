"""Losses between a prediction and a target that are numbers of the same kind."""

from typing import Any

import numpy as np

from manual.contract import Array, Backward, broadcast_shape, require_floats, require_shape, sum_to_shape
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
    _require_comparable("mse_loss", x, target, weight)
    difference = np.subtract(x, target, out=...)
    loss = np.multiply(difference, difference, out=...)
    output, reduce_backward = _reduce_weighted("mse_loss", loss, weight, reduction)

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
    _require_comparable("l1_loss", x, target, weight)
    difference = np.subtract(x, target, out=...)
    loss = np.abs(difference, out=...)
    output, reduce_backward = _reduce_weighted("l1_loss", loss, weight, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, True)
        grad = reduce_backward(grad_output)
        grad_x = grad_target = grad_weight = None
        if need_x or need_target:
            grad_difference = np.sign(difference, out=...)
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


def _require_comparable(op: str, x: Array, target: Array, weight: Array | None) -> None:
    require_floats(op, "x target weight", x, target, weight)
    if x.shape != target.shape:
        broadcast_shape(op, x=x, target=target)
    if weight is not None:
        require_shape(op, "weight", weight, x.shape)


def _reduce_weighted(op: str, loss: Array, weight: Array | None, reduction: str) -> tuple[Array, Any]:
    if weight is None:
        return reduce(op, loss, reduction)
    return reduce(op, weight * loss, reduction, total=np.add.reduce(weight, axis=None))


def _grad_weight(loss: Array, output: Array, grad: Any, weight: Array, reduction: str) -> Array:
    # The mean Σ w ℓ / Σ w also has the weights below: their part is −L.
    if reduction == "mean":
        return (sum_to_shape(loss, weight.shape) - output) * grad
    return sum_to_shape(loss * grad, weight.shape)
