"""Losses between a prediction and a target that are numbers of the same kind."""

import math

import numpy as np

from manual.arrays import sum_to_shape
from manual.contract import Array, Backward, broadcast_shape, needed, require_floats, require_number, require_shape
from manual.elementwise import elementwise
from manual.module import Module

__all__ = ["HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss", "huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def mse_loss(x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean") -> tuple[Array, Backward]:
    """Mean squared error.

    Forward:   ℓᵢ = (xᵢ − tᵢ)²;  none: L = w ℓ;  sum: L = Σ w ℓ;  mean: L = Σ w ℓ / Σ w, without a weight Σ ℓ / n
    Backward:  grad_x = 2 w (x − t) g,  grad_target = −grad_x,  grad_weight = ℓ g, in the mean (ℓ − L) g
               (g = grad_L, in the mean divided by Σ w or n)
    Shapes:    x and target broadcast to one another; weight has the shape of x; L () or, with reduction none, theirs
    Source:    Legendre 1805, Gauss 1809
    """
    _require_pair("mse_loss", x, target, weight)
    return _weighted_mean("mse_loss", _squared_error, x, target, weight, reduction)


def _squared_error(x, target, weight):
    difference = x - target
    return _weighted(difference * difference, difference + difference, weight)


class MSELoss(Module):
    """`mse_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(mse_loss, input, target, None, reduction=self.reduction)


def l1_loss(x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean") -> tuple[Array, Backward]:
    """Mean absolute error.

    Forward:   ℓᵢ = |xᵢ − tᵢ|;  none: L = w ℓ;  sum: L = Σ w ℓ;  mean: L = Σ w ℓ / Σ w, without a weight Σ ℓ / n
    Backward:  grad_x = w sign(x − t) g,  grad_target = −grad_x,  grad_weight = ℓ g, in the mean (ℓ − L) g
               (g = grad_L, in the mean divided by Σ w or n)
    Shapes:    x and target broadcast to one another; weight has the shape of x; L () or, with reduction none, theirs
    Kinks:     the gradient at x = t is 0
    """
    _require_pair("l1_loss", x, target, weight)
    return _weighted_mean("l1_loss", _absolute_error, x, target, weight, reduction)


def _absolute_error(x, target, weight):
    difference = x - target
    return _weighted(abs(difference), np.sign(difference), weight)


class L1Loss(Module):
    """`l1_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(l1_loss, input, target, None, reduction=self.reduction)


def smooth_l1_loss(x: Array, target: Array, /, *, reduction: str = "mean", beta: float = 1.0) -> tuple[Array, Backward]:
    """Squared near the target, absolute beyond β: `huber_loss` divided by β.

    Forward:   with d = x − t and c = d clipped to [−β, β]:  ℓ = c (d − c / 2) / β,
               which is d² / 2β where |d| < β, else |d| − β / 2;  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = c / β g,  grad_target = −grad_x      (g = grad_ℓ)
    Shapes:    x and target broadcast to one another; L () or, with reduction none, theirs
    Kinks:     β = 0 is `l1_loss`: the gradient at x = t is 0
    Source:    Girshick 2015, Fast R-CNN
    """
    beta = require_number("smooth_l1_loss", "beta", beta, "a number of at least 0")
    _require_pair("smooth_l1_loss", x, target)

    def curve(x, target):
        difference = x - target
        clipped = difference.clip(-beta, beta)
        slope = clipped / beta if beta else np.sign(difference)
        clipped *= -0.5
        clipped += difference
        return slope * clipped, slope, lambda: -slope

    return elementwise("smooth_l1_loss", curve, x, target, reduction=reduction)


class SmoothL1Loss(Module):
    """`smooth_l1_loss` as a module."""

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction, self.beta = reduction, beta

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


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
    delta = require_number("huber_loss", "delta", delta, "a positive number")
    _require_pair("huber_loss", x, target, weight)

    def curve(x, target, weight):
        difference = x - target
        clipped = difference.clip(-delta, delta)
        return _weighted(clipped * (difference - 0.5 * clipped), clipped, weight)

    return elementwise("huber_loss", curve, x, target, weight, reduction=reduction)


class HuberLoss(Module):
    """`huber_loss` as a module."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        require_number("HuberLoss", "delta", delta)
        self.reduction, self.delta = reduction, delta

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare `input` with `target`."""
        return self.call(huber_loss, input, target, None, reduction=self.reduction, delta=self.delta)


def _require_pair(op: str, x: Array, target: Array, weight: Array | None = None) -> None:
    require_floats(op, "x target weight?", x, target, weight)
    if x.shape != target.shape:
        broadcast_shape(op, x=x, target=target)
    if weight is not None:
        require_shape(op, "weight", weight, x.shape)


def _weighted(loss, slope, weight):
    """W ℓ and its slopes, ℓ being a function of x − t: in t that of x with its sign changed, in w the loss."""
    if weight is None:
        return loss, slope, lambda: -slope, None
    slope *= weight
    return weight * loss, slope, lambda: -slope, loss


def _weighted_mean(op, curve, x, target, weight, reduction):
    """The reduced loss, its mean being Σ w ℓ / Σ w."""
    if weight is None or reduction != "mean":
        return elementwise(op, curve, x, target, weight, reduction=reduction)
    total = weight.sum() or math.nan
    output, mean_backward = elementwise(op, curve, x, target, weight, reduction="mean", total=total)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needed(op, needs, 3)
        grad_x, grad_target, _ = mean_backward(grad_output, (need_x, need_target, False))
        grad_weight = None
        if need_weight:  # the weights stand below as well: ∂L/∂w = (ℓ − L) / Σ w
            losses, _ = elementwise(op, curve, x, target, None)
            deviations = sum_to_shape(losses, weight.shape)
            for _ in range(2):  # the second time takes off what rounding left
                deviations = deviations - np.vdot(weight, deviations) / total
            grad_weight = deviations * (grad_output / total)
        return grad_x, grad_target, grad_weight

    return output, backward
