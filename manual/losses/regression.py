"""Losses between a prediction and a target that are numbers of the same kind."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.contract import Array, Backward, broadcast_shape, require_floats, require_shape, sum_to_shape
from manual.losses.reduction import reduce
from manual.module import Module


def mse_loss(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Mean squared error.

    Forward:   ℓᵢ = (xᵢ − tᵢ)²;  none: L = w ℓ;  sum: L = Σ w ℓ;  mean: L = Σ w ℓ / Σ w, without a weight Σ ℓ / n
    Backward:  grad_x = 2 (x − t) g,  grad_target = −grad_x,  grad_weight as in `weighted_reduce`      (g = grad_ℓ)
    Shapes:    x and target broadcast to one another; weight has the shape of x; L () or, with reduction none, theirs
    Source:    Legendre 1805, Gauss 1809
    """
    difference = _difference("mse_loss", x, target, weight)
    output, reduce_backward = weighted_reduce("mse_loss", difference * difference, weight, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, True)
        grad_loss, grad_weight = reduce_backward(grad_output, need_weight)
        grad = difference * (2.0 * grad_loss)
        grad_x = sum_to_shape(grad, x.shape) if need_x else None
        grad_target = sum_to_shape(-grad, target.shape) if need_target else None
        return grad_x, grad_target, grad_weight

    return output, backward


class MSELoss(Module):
    """`mse_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(mse_loss, (input, target), (None,), reduction=self.reduction)


def l1_loss(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Mean absolute error.

    Forward:   ℓᵢ = |xᵢ − tᵢ|;  none: L = w ℓ;  sum: L = Σ w ℓ;  mean: L = Σ w ℓ / Σ w, without a weight Σ ℓ / n
    Backward:  grad_x = sign(x − t) g,  grad_target = −grad_x,  grad_weight as in `weighted_reduce`      (g = grad_ℓ)
    Shapes:    x and target broadcast to one another; weight has the shape of x; L () or, with reduction none, theirs
    Kinks:     the gradient at x = t is 0
    """
    difference = _difference("l1_loss", x, target, weight)
    output, reduce_backward = weighted_reduce("l1_loss", np.abs(difference), weight, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, True)
        grad_loss, grad_weight = reduce_backward(grad_output, need_weight)
        grad = np.sign(difference) * grad_loss
        grad_x = sum_to_shape(grad, x.shape) if need_x else None
        grad_target = sum_to_shape(-grad, target.shape) if need_target else None
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
    require_floats(op, x=x, target=target, weight=weight)
    if x.shape != target.shape:
        broadcast_shape(op, x=x, target=target)
    if weight is not None:
        require_shape(op, "weight", weight, x.shape)
    return np.subtract(x, target, out=...)


def weighted_reduce(
    op: str, loss: Array, weight: Array | None, reduction: str
) -> tuple[Array, Callable[[Any, bool], tuple[Any, Array | None]]]:
    """Weigh the losses of the elements, and reduce them; a mean is divided by the sum of the weights.

    Forward:   none: w ℓ;  sum: Σ w ℓ;  mean: L = Σ w ℓ / W,  W = Σ w, without a weight n
    Backward:  grad_ℓ = w g,  grad_w = ℓ g, in the mean (ℓ − L) g      (g = grad_L; in the mean grad_L / W)
    """
    if weight is None:
        output, reduce_backward = reduce(op, loss, reduction)
        return output, lambda grad_output, _: (reduce_backward(grad_output), None)
    output, reduce_backward = reduce(op, weight * loss, reduction, total=weight.sum())

    def backward(grad_output, need_weight):
        grad = reduce_backward(grad_output)
        if not need_weight:
            return weight * grad, None
        if reduction != "mean":
            return weight * grad, sum_to_shape(loss * grad, weight.shape)
        return weight * grad, (sum_to_shape(loss, weight.shape) - output) * grad

    return output, backward
