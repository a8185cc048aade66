"""Losses that ask for a margin between what should be high and what should be low."""

import math

import numpy as np

from manual.arrays import exp_range
from manual.contract import Array, Backward, broadcast_shape, require_broadcast, require_floats, require_number, targets_like
from manual.elementwise import elementwise
from manual.module import Module

__all__ = [
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "SoftMarginLoss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "soft_margin_loss",
]


def soft_margin_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> tuple[Array, Backward]:
    """Logistic loss of a score whose sign should be that of its target.

    Forward:   ℓ = log(1 + z),  z = exp(−t x);  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = −t σ(−t x) g,  σ(−t x) = z / (1 + z)      (g = grad_ℓ; there is no gradient of the target)
    Shapes:    x (...); target (1 or −1, integers or numbers of the dtype of x) broadcasts to it;
               L () or, with reduction none, (...)
    """
    op = "soft_margin_loss"
    require_floats(op, "x", x)
    target = targets_like(op, x, target)
    require_broadcast(op, "target", target, x)
    return elementwise(op, _soft_margin, x, target, reduction=reduction)


def _soft_margin(x, target):
    product = target * x
    clipped = np.maximum(product, exp_range(x.dtype)[0])  # beyond, z overflows, and ℓ is −t x to the last digit
    z = np.exp(-clipped)
    loss = np.log1p(z)
    loss += clipped - product
    slope = z / (-1.0 - z)
    slope *= target
    return loss, slope, None


class SoftMarginLoss(Module):
    """`soft_margin_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the sign of `input` with `target`."""
        return soft_margin_loss(input, target, reduction=self.reduction)


def margin_ranking_loss(
    x1: Array, x2: Array, target: Array, /, *, margin: float = 0.0, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Ask that x1 rank above x2 by a margin where the target is 1, and below it where it is −1.

    Forward:   z = t (x2 − x1) + margin;  ℓ = max(z, 0);  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  where z ≥ 0:  grad_x1 = −t g,  grad_x2 = t g,  grad_target = (x2 − x1) g, elsewhere 0
               (g = grad_ℓ; integers as target have no gradient)
    Shapes:    x1, x2 and target of as many axes each broadcast to one another; L () or, with reduction none, theirs
    Kinks:     exactly at the margin, z = 0, the gradient is that of z
    """
    op = "margin_ranking_loss"
    require_floats(op, "x1 x2", x1, x2)
    t, margin = targets_like(op, x1, target), require_number(op, "margin", margin)
    if not x1.ndim == x2.ndim == t.ndim:
        raise ValueError(f"{op}: expected as many axes in x1, x2 and target, got {x1.shape}, {x2.shape} and {t.shape}")
    broadcast_shape(op, x1=x1, x2=x2, target=t)

    def curve(x1, x2, t):
        z = t * (x2 - x1)
        z += margin
        active = z >= 0.0
        slope = active * t
        target_slope = (lambda: active * (x2 - x1)) if target.dtype.kind == "f" else None
        return z.clip(0.0, math.inf), lambda: -slope, slope, target_slope

    return elementwise(op, curve, x1, x2, t, reduction=reduction)


class MarginRankingLoss(Module):
    """`margin_ranking_loss` as a module."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def forward(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the order of `input1` and `input2` with `target`."""
        return margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


def hinge_embedding_loss(x: Array, target: Array, /, *, margin: float = 1.0, reduction: str = "mean") -> tuple[Array, Backward]:
    """Make the distance x small where the target is 1, and larger than a margin where it is −1.

    Forward:   t = 1: ℓ = x;  t = −1: ℓ = max(margin − x, 0);  any other t: the sum of both;  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  t = 1: grad_x = g;  t = −1: grad_x = −g where x ≤ margin, elsewhere 0;  any other t: the sum of both
               (g = grad_ℓ; there is no gradient of the target)
    Shapes:    x and target (integers or numbers of the dtype of x) broadcast to one another;
               L () or, with reduction none, theirs
    Kinks:     at x = margin the gradient is −g
    Source:    Hadsell, Chopra & LeCun 2006, Dimensionality Reduction by Learning an Invariant Mapping
    """
    op = "hinge_embedding_loss"
    require_floats(op, "x", x)
    t, margin = targets_like(op, x, target), require_number(op, "margin", margin)
    broadcast_shape(op, x=x, target=t)

    def curve(x, t):
        pulled, pushed = t != -1.0, (t != 1.0) & (x <= margin)
        return pulled * x + pushed * (margin - x), np.subtract(pulled, pushed, dtype=x.dtype), None

    return elementwise(op, curve, x, t, reduction=reduction)


class HingeEmbeddingLoss(Module):
    """`hinge_embedding_loss` as a module."""

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the distances `input` with `target`."""
        return hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)
