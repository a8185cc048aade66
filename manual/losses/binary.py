"""Losses between a prediction and one of two classes, or the probability of the second."""

import math

import numpy as np

from manual.contract import Array, Backward, require_broadcast, require_floats, require_shape
from manual.elementwise import elementwise
from manual.module import Buffer, Module

__all__ = ["BCELoss", "BCEWithLogitsLoss", "binary_cross_entropy", "binary_cross_entropy_with_logits"]


def binary_cross_entropy(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Cross-entropy of a probability x with a target probability t.

    Forward:   ℓ = −w [t log x + (1 − t) log(1 − x)], no logarithm below −100;  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = w (x − t) / (x (1 − x)) g, the denominator not below 1e−12,
               grad_target = w (log(1 − x) − log x) g      (g = grad_ℓ; there is no gradient of the weight)
    Shapes:    x, target (...); weight broadcasts to them; L () or, with reduction none, (...)
    Kinks:     at x = 0 and x = 1 the loss is at most 100, its gradient at most 1e12; that of the target is infinite
    """
    op = "binary_cross_entropy"
    require_floats(op, "x target weight?", x, target, weight)
    require_shape(op, "target", target, x.shape)
    require_broadcast(op, "weight", weight, x)
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"{op}: x must hold probabilities between 0 and 1, got values from {x.min()} to {x.max()}")
    return elementwise(op, _cross_entropy, x, target, weight, reduction=reduction)


def _cross_entropy(x, target, weight):
    with np.errstate(divide="ignore"):  # log 0 is −∞, as it should be
        log_x, log_rest = np.log(x), np.log1p(-x)
    loss = (target - 1.0) * log_rest.clip(-100.0, 0.0)
    loss -= target * log_x.clip(-100.0, 0.0)
    slope = x - target
    slope /= (x * (1.0 - x)).clip(1e-12, 1.0)
    if weight is None:
        return loss, slope, lambda: log_rest - log_x, None
    return weight * loss, weight * slope, lambda: weight * (log_rest - log_x), None


class BCELoss(Module):
    """`binary_cross_entropy` as a module."""

    weight: Array | None

    def __init__(self, weight: Array | None = None, *, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the probabilities `input` with `target`."""
        return self.call(binary_cross_entropy, input, target, Buffer(self.weight), reduction=self.reduction)


def binary_cross_entropy_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    /,
    *,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Cross-entropy of the probability σ(x) with a target probability t, without ever rounding σ(x) to 0 or 1.

    Forward:   ℓ = −w [p t log σ(x) + (1 − t) log σ(−x)] = w [h x + m log(1 + e)],  p = pos_weight,  m = p t + 1 − t,
               with e = exp(−|x|) and h = 1 − t where x ≥ 0, else −p t;  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = w [(1 − t) σ(x) − p t σ(−x)] g = w [h ∓ m e / (1 + e)] g for x ≷ 0,
               grad_target = w [log σ(−x) − p log σ(x)] g, without pos_weight −w x g
               (g = grad_ℓ; there is no gradient of the weights)
    Shapes:    x, target (...); weight and pos_weight broadcast to them; L () or, with reduction none, (...)
    """
    op = "binary_cross_entropy_with_logits"
    require_floats(op, "x target weight? pos_weight?", x, target, weight, pos_weight)
    require_shape(op, "target", target, x.shape)
    require_broadcast(op, "weight", weight, x)
    require_broadcast(op, "pos_weight", pos_weight, x)
    return elementwise(op, logistic_loss, x, target, weight, pos_weight, reduction=reduction)


def logistic_loss(x, target, weight, pos_weight):
    """ℓ of each element and its slopes, from e = exp(−|x|); `tail` is ±m e / (1 + e)."""
    e = np.exp(-abs(x))
    log_term = np.log1p(e)
    tail = np.copysign(e / (1.0 + e), x)
    if pos_weight is None:
        h = ~np.signbit(x) - target
    else:
        positive, negative = pos_weight * target, 1.0 - target
        h = np.where(np.signbit(x), -positive, negative)
        log_term *= positive + negative
        tail *= positive + negative
    loss = h * x
    loss += log_term
    slope = h - tail

    def target_slope():
        if pos_weight is None:
            return -x if weight is None else -x * weight
        softplus = np.log1p(e)  # log(1 + exp(x)) = softplus + max(x, 0), log(1 + exp(−x)) = softplus − min(x, 0)
        slope = pos_weight * (softplus - x.clip(-math.inf, 0.0)) - (softplus + x.clip(0.0, math.inf))
        return slope if weight is None else slope * weight

    if weight is None:
        return loss, slope, target_slope, None, None
    return weight * loss, weight * slope, target_slope, None, None


class BCEWithLogitsLoss(Module):
    """`binary_cross_entropy_with_logits` as a module."""

    weight: Array | None
    pos_weight: Array | None

    def __init__(self, weight: Array | None = None, *, reduction: str = "mean", pos_weight: Array | None = None) -> None:
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the logits `input` with `target`."""
        weights = Buffer(self.weight), Buffer(self.pos_weight)
        return self.call(binary_cross_entropy_with_logits, input, target, *weights, reduction=self.reduction)
