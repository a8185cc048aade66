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
            grad_x, grad_target = to_both_sides(grad_difference, x, target, need_x, need_target)
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
            grad_x, grad_target = to_both_sides(grad_difference, x, target, need_x, need_target)
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


def smooth_l1_loss(x: Array, target: Array, /, *, reduction: str = "mean", beta: float = 1.0) -> tuple[Array, Backward]:
    """Squared near the target, absolute beyond β: `huber_loss` divided by β.

    Forward:   with d = x − t and c = d clipped to [−β, β]:  ℓ = c (d − c / 2) / β,
               which is d² / 2β where |d| < β, else |d| − β / 2;  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = c / β g,  grad_target = −grad_x      (g = grad_ℓ)
    Shapes:    x and target broadcast to one another; L () or, with reduction none, theirs
    Kinks:     β = 0 is `l1_loss`: the gradient at x = t is 0
    Source:    Girshick 2015, Fast R-CNN
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    difference = _difference("smooth_l1_loss", x, target, None)
    slope = np.clip(difference, -beta, beta, out=np.empty_like(difference))
    loss = np.multiply(slope, -0.5, out=...)
    loss += difference
    if beta == 0:
        np.sign(difference, out=slope)
    else:
        slope /= beta
    loss *= slope
    output, reduce_backward = reduce("smooth_l1_loss", loss, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target = needs or (True, True)
        grad = reduce_backward(grad_output)
        if not (need_x or need_target):
            return None, None
        return to_both_sides(slope * grad, x, target, need_x, need_target)

    return output, backward


class SmoothL1Loss(Module):
    """`smooth_l1_loss` as a module."""

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction, self.beta = reduction, beta

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(smooth_l1_loss, (input, target), reduction=self.reduction, beta=self.beta)


def huber_loss(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean", delta: float = 1.0
) -> tuple[Array, Backward]:
    """Squared near the target, absolute beyond δ, so that outliers pull no harder than δ.

    Forward:   with d = x − t and c = d clipped to [−δ, δ]:  ℓ = c (d − c / 2),
               which is d² / 2 where |d| < δ, else δ (|d| − δ / 2);  L = w ℓ, Σ w ℓ or Σ w ℓ / n
    Backward:  grad_x = w c g,  grad_target = −grad_x,  grad_weight = ℓ g      (g = grad_L, in the mean divided by n)
    Shapes:    x and target broadcast to one another; weight has the shape of x; L () or, with reduction none, theirs
    Source:    Huber 1964, Robust Estimation of a Location Parameter
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    difference = _difference("huber_loss", x, target, weight)
    slope = np.clip(difference, -delta, delta, out=np.empty_like(difference))
    loss = np.multiply(slope, -0.5, out=...)
    loss += difference
    loss *= slope
    weighted = loss if weight is None else np.multiply(loss, weight, out=...)
    output, reduce_backward = reduce("huber_loss", weighted, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, True)
        grad = reduce_backward(grad_output)
        grad_x = grad_target = grad_weight = None
        if need_x or need_target:
            grad_difference = slope * grad
            if weight is not None:
                grad_difference *= weight
            grad_x, grad_target = to_both_sides(grad_difference, x, target, need_x, need_target)
        if need_weight and weight is not None:
            grad_weight = sum_to_shape(loss * grad, weight.shape)
        return grad_x, grad_target, grad_weight

    return output, backward


class HuberLoss(Module):
    """`huber_loss` as a module."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction, self.delta = reduction, delta

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(huber_loss, (input, target), (None,), reduction=self.reduction, delta=self.delta)


def to_both_sides(grad_difference: Array, x: Array, target: Array, need_x: bool, need_target: bool) -> tuple[Any, Any]:
    """From the gradient of x − t to those of x and of t, in their shapes before broadcasting."""
    grad_x = sum_to_shape(grad_difference, x.shape) if need_x else None
    grad_target = np.negative(sum_to_shape(grad_difference, target.shape), out=...) if need_target else None
    return grad_x, grad_target


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
