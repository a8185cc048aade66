"""Losses that draw what is alike together, and push apart what is not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from manual.arrays import broadcast, sum_to_shape
from manual.contract import Array, Backward, broadcast_shape, needed, require_flags, require_floats, require_number, targets_like
from manual.elementwise import elementwise
from manual.module import Module

__all__ = [
    "CosineEmbeddingLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "cosine_embedding_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]

Distance = Callable[..., tuple[Array, Backward]]

EPS = 1e-12  # what torch adds to a squared norm


def cosine_embedding_loss(
    x1: Array, x2: Array, target: Array, /, *, margin: float = 0.0, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Make the angle between two vectors small where the target is 1, and its cosine at most a margin where it is −1.

    Forward:   c = x1 · x2 / (n₁ n₂),  n = √(|x|² + 1e−12);  t = 1: ℓ = 1 − c;  t = −1: ℓ = max(c − margin, 0);  else 0;
               L = ℓ, Σ ℓ or Σ ℓ / N
    Backward:  grad_x1 = (x2 / (n₁ n₂) − c x1 / n₁²) s g,  and grad_x2 likewise, with
               s = −1 for t = 1,  s = 1 for t = −1 where c ≥ margin,  else 0      (g = grad_ℓ; there is no gradient of the target)
    Shapes:    x1, x2 (N, D), target (N) (integers or numbers of the dtype of x1), L () or, with reduction none, (N);
               or one pair: x1, x2 (D), target (), L ().  N and D may also be 1, to broadcast
    Kinks:     exactly at the margin, c = margin, the gradient is that of c
    """
    op = "cosine_embedding_loss"
    require_floats(op, "x1 x2", x1, x2)
    t, margin = targets_like(op, x1, target), require_number(op, "margin", margin)
    if t.ndim > 1 or not x1.ndim == x2.ndim == t.ndim + 1:
        raise ValueError(
            f"{op}: expected x1 and x2 (N, D) with target (N), or (D) with (), got {x1.shape}, {x2.shape} and {t.shape}"
        )
    broadcast_shape(op, x1=x1, x2=x2, target=t[..., None])
    cosine, cosine_backward = _cosine(op, x1, x2)

    def curve(c, t):
        alike, unlike = t == 1.0, (t == -1.0) & (c >= margin)
        return alike * (1.0 - c) + unlike * (c - margin), np.subtract(unlike, alike, dtype=c.dtype), None

    output, curve_backward = elementwise(op, curve, cosine, t, reduction=reduction)

    def backward(grad_output, needs=None):
        need_x1, need_x2, _ = needed(op, needs, 3)
        grad_cosine, _ = curve_backward(grad_output, (need_x1 or need_x2, False))
        return *cosine_backward(grad_cosine, (need_x1, need_x2)), None

    return output, backward


def _cosine(op: str, x1: Array, x2: Array) -> tuple[Array, Backward]:
    """The cosine c = x1 · x2 / (n₁ n₂) along the last axis;  grad_x1 = (x2 / (n₁ n₂) − c x1 / n₁²) grad_c, grad_x2 likewise."""
    a, b = broadcast(op, x1=x1, x2=x2)
    square1, square2 = np.vecdot(x1, x1) + EPS, np.vecdot(x2, x2) + EPS
    norms = np.sqrt(square1) * np.sqrt(square2)
    cosine = np.add.reduce(a * b, axis=-1) / norms

    def backward(grad_output, needs):
        def gradient(x, square, other):
            grad = sum_to_shape(other * (grad_output / norms)[..., None], x.shape)
            grad -= sum_to_shape(x * (grad_output * cosine / square)[..., None], x.shape)
            return grad

        need_x1, need_x2 = needs
        return gradient(x1, square1, b) if need_x1 else None, gradient(x2, square2, a) if need_x2 else None

    return cosine, backward


class CosineEmbeddingLoss(Module):
    """`cosine_embedding_loss` as a module."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def forward(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the angle between `input1` and `input2` with `target`."""
        return cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    /,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Ask that an anchor be nearer to a positive than to a negative example, by a margin.

    Forward:   d(a, b) = ‖a − b + eps‖ₚ,  z = margin + d(anchor, positive) − d(anchor, negative),  with `swap`
               the smaller of d(anchor, negative) and d(positive, negative);  ℓ = max(z, 0);  L = ℓ, Σ ℓ or Σ ℓ / N
    Backward:  where z ≥ 0, grad_d = ±g, shared equally by distances that tie for the smaller;
               with δ = a − b + eps:  grad_a = sign(δ) (|δ| / d)ᵖ⁻¹ grad_d,  grad_b = −grad_a      (g = grad_ℓ)
    Shapes:    anchor, positive, negative (..., D) broadcast to one another; L () or, with reduction none, (...)
    Kinks:     exactly at the margin, z = 0, the gradient is that of z; that of d at δ = 0 is 0; with p = ∞ the largest |δ| share
               the gradient equally where they tie
    Source:    Balntas et al. 2016, Learning local feature descriptors with triplets and shallow convolutional neural networks
    """
    op = "triplet_margin_loss"
    eps, p = require_number(op, "eps", eps), require_number(op, "p", p, "a positive number")
    distance = partial(_distance, eps=eps, p=p)
    return _triplet(op, anchor, positive, negative, distance, margin, swap, reduction)


class TripletMarginLoss(Module):
    """`triplet_margin_loss` as a module."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, *, reduction: str = "mean"
    ) -> None:
        require_number("TripletMarginLoss", "margin", margin, "a positive number")
        self.margin, self.p, self.eps, self.swap, self.reduction = margin, p, eps, swap, reduction

    def forward(self, anchor: Array, positive: Array, negative: Array) -> tuple[Array, Backward]:
        """Compare the distances of `anchor` from `positive` and from `negative`."""
        return triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    /,
    *,
    distance_function: Distance | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """`triplet_margin_loss` with a distance of one's own.

    The distance is an operation like any other: `distance, backward = distance_function(a, b)` and
    `grad_a, grad_b = backward(grad_distance, needs)`. Without one, d(a, b) = ‖a − b + 1e−6‖₂.

    Forward:   z = margin + d(anchor, positive) − d(anchor, negative),  with `swap` the smaller of d(anchor, negative) and
               d(positive, negative);  ℓ = max(z, 0);  L = ℓ, Σ ℓ or Σ ℓ / N
    Backward:  where z ≥ 0, grad_d = ±g, shared equally by distances that tie for the smaller; then the distance's own backward
               (g = grad_ℓ)
    Shapes:    anchor, positive, negative (..., D) broadcast to one another; L () or, with reduction none, that of the distances
    Kinks:     exactly at the margin, z = 0, the gradient is that of z
    """
    op = "triplet_margin_with_distance_loss"
    distance = partial(_distance, eps=1e-6, p=2.0) if distance_function is None else distance_function
    if not callable(distance):
        raise TypeError(f"{op}: distance_function must be an operation or None, got {distance!r}")
    return _triplet(op, anchor, positive, negative, distance, margin, swap, reduction)


class TripletMarginWithDistanceLoss(Module):
    """`triplet_margin_with_distance_loss` as a module."""

    def __init__(
        self,
        *,
        distance_function: Distance | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        require_number("TripletMarginWithDistanceLoss", "margin", margin, "a positive number")
        self.distance_function, self.margin, self.swap, self.reduction = distance_function, margin, swap, reduction

    def forward(self, anchor: Array, positive: Array, negative: Array) -> tuple[Array, Backward]:
        """Compare the distances of `anchor` from `positive` and from `negative`."""
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


def _triplet(
    op: str,
    anchor: Array,
    positive: Array,
    negative: Array,
    distance: Distance,
    margin: float,
    swap: bool,
    reduction: str,
) -> tuple[Array, Backward]:
    require_floats(op, "anchor positive negative", anchor, positive, negative)
    margin = require_number(op, "margin", margin, "a positive number")
    require_flags(op, swap=swap)
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            f"{op}: expected as many axes in anchor, positive and negative, "
            f"got {anchor.shape}, {positive.shape} and {negative.shape}"
        )
    broadcast_shape(op, anchor=anchor, positive=positive, negative=negative)
    near, near_backward = distance(anchor, positive)
    far, far_backward = distance(anchor, negative)
    between: Any = None
    if swap:
        between, between_backward = distance(positive, negative)

    def curve(near, far, between):
        z = margin + near - (np.minimum(far, between) if swap else far)
        active, loss = z >= 0.0, np.maximum(z, 0.0)
        if not swap:
            return loss, active, np.negative(active, dtype=z.dtype), None
        slope = active * (-0.5 - 0.5 * np.sign(between - far))  # −1 where far is the smaller, −½ at a tie, 0 where it is not
        return loss, active, slope, lambda: -(active + slope)

    output, curve_backward = elementwise(op, curve, near, far, between, reduction=reduction)

    def backward(grad_output, needs=None):
        need_anchor, need_positive, need_negative = needed(op, needs, 3)
        grad_near, grad_far, grad_between = curve_backward(grad_output)
        grad_anchor, grad_positive = near_backward(grad_near, (need_anchor, need_positive))
        anchor_from_far, grad_negative = far_backward(grad_far, (need_anchor, need_negative))
        if need_anchor:
            grad_anchor = grad_anchor + anchor_from_far
        if swap:
            positive_from_between, negative_from_between = between_backward(grad_between, (need_positive, need_negative))
            if need_positive:
                grad_positive = grad_positive + positive_from_between
            if need_negative:
                grad_negative = grad_negative + negative_from_between
        return grad_anchor, grad_positive, grad_negative

    return output, backward


def _distance(x1: Array, x2: Array, *, eps: float, p: float) -> tuple[Array, Backward]:
    """The distance d = ‖δ‖ₚ along the last axis, δ = x1 − x2 + eps;  grad_x1 = grad_δ,  grad_x2 = −grad_δ."""
    difference = np.atleast_1d(x1 - x2)
    difference += eps
    distance, norm_backward = _euclidean_norm(difference) if p == 2.0 else _minkowski_norm(difference, p)

    def backward(grad_output, needs):
        need_x1, need_x2 = needs
        if not (need_x1 or need_x2):
            return None, None
        grad = norm_backward(grad_output)
        return sum_to_shape(grad, x1.shape) if need_x1 else None, -sum_to_shape(grad, x2.shape) if need_x2 else None

    return distance, backward


def _euclidean_norm(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """The norm n = ‖x‖₂ along the last axis;  grad_x = x / n grad_n."""
    norm = np.sqrt(np.vecdot(x, x))

    def backward(grad_output):
        return x * (grad_output / (norm + (norm == 0.0)))[..., None]  # where x = 0 so is the gradient, whatever it is divided by

    return norm, backward


def _minkowski_norm(x: Array, p: float) -> tuple[Array, Callable[[Array], Array]]:
    """The norm n = ‖x‖ₚ along the last axis;  grad_x = sign(x) (|x| / n)ᵖ⁻¹ grad_n;  with p = ∞ the largest |x| share it.

    With q = |x| / m no power overflows: n = m s^(1/p) and (|x| / n)ᵖ⁻¹ = qᵖ⁻¹ s^(1/p − 1), where s = Σ qᵖ. As m serves the power
    of two below the largest |x|, which divides without rounding; the largest itself, where p is so great that 2ᵖ overflows.
    """
    size = abs(x)
    norm = np.max(size, axis=-1, initial=0.0)
    if p < np.inf:
        scale = np.ldexp(np.ones_like(norm), np.frexp(norm)[1] - 1) if p < 64.0 else norm + (norm == 0.0)
        size /= scale[..., None]
        total = np.add.reduce(size**p, axis=-1)
        norm = scale * total ** (1.0 / p)

    def backward(grad_output):
        if p < np.inf:
            slope = np.power(size, p - 1.0, out=np.zeros_like(size), where=size > 0.0)  # 0 at x = 0 even for p < 1
            slope *= ((total + (total == 0.0)) ** (1.0 / p - 1.0))[..., None]
        else:
            slope = (size == norm[..., None]).astype(x.dtype)
            slope /= np.vecdot(slope, slope)[..., None]  # the number of those that tie
        slope *= np.sign(x)
        slope *= grad_output[..., None]
        return slope

    return norm, backward
