"""Losses that draw what is alike together, and push apart what is not."""

from collections.abc import Callable
from functools import partial

import numpy as np

from manual.arrays import broadcast, sum_to_shape
from manual.contract import Array, Backward, broadcast_shape, require_floats
from manual.losses.margin import signs
from manual.losses.reduction import reduce
from manual.arrays import to_both_sides
from manual.module import Module

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
    t = signs(op, target, x1)
    if t.ndim > 1 or not x1.ndim == x2.ndim == t.ndim + 1:
        raise ValueError(
            f"{op}: expected x1 and x2 (N, D) with target (N), or (D) with (), got {x1.shape}, {x2.shape} and {t.shape}"
        )
    a, b, _ = broadcast(op, x1=x1, x2=x2, target=t[..., None])
    square1, square2 = (np.vecdot(x, x) + EPS for x in (x1, x2))
    norms = np.sqrt(square1) * np.sqrt(square2)
    cosine = np.add.reduce(a * b, axis=-1) / norms
    alike, unlike = t == 1.0, (t == -1.0) & (cosine >= margin)
    loss = alike * (1.0 - cosine) + unlike * (cosine - margin)
    output, reduce_backward = reduce(op, np.asarray(loss), reduction)

    def backward(grad_output, needs=None):
        need_x1, need_x2, _ = needs or (True, True, False)
        grad_cosine = np.subtract(unlike, alike, dtype=x1.dtype) * reduce_backward(grad_output)
        grad_dot = (grad_cosine / norms)[..., None]
        grad_x1 = grad_x2 = None
        if need_x1:
            grad_x1 = sum_to_shape(b * grad_dot, x1.shape)
            grad_x1 -= sum_to_shape(x1 * (grad_cosine * cosine / square1)[..., None], x1.shape)
        if need_x2:
            grad_x2 = sum_to_shape(a * grad_dot, x2.shape)
            grad_x2 -= sum_to_shape(x2 * (grad_cosine * cosine / square2)[..., None], x2.shape)
        return grad_x1, grad_x2, None

    return output, backward


class CosineEmbeddingLoss(Module):
    """`cosine_embedding_loss` as a module."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def forward(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the angle between `input1` and `input2` with `target`."""
        return self.call(cosine_embedding_loss, (input1, input2, target), margin=self.margin, reduction=self.reduction)


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
    if not p > 0:
        raise ValueError(f"{op}: p must be positive, got {p}")
    distance = partial(_euclidean_distance, eps=eps) if p == 2 else partial(_minkowski_distance, eps=eps, p=p)
    return _triplet(op, anchor, positive, negative, distance, margin, swap, reduction)


class TripletMarginLoss(Module):
    """`triplet_margin_loss` as a module."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, *, reduction: str = "mean"
    ) -> None:
        self.margin, self.p, self.eps, self.swap, self.reduction = margin, p, eps, swap, reduction

    def forward(self, anchor: Array, positive: Array, negative: Array) -> tuple[Array, Backward]:
        """Compare the distances of `anchor` from `positive` and from `negative`."""
        return self.call(
            triplet_margin_loss,
            (anchor, positive, negative),
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
    distance = partial(_euclidean_distance, eps=1e-6) if distance_function is None else distance_function
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, reduction)


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
        self.distance_function, self.margin, self.swap, self.reduction = distance_function, margin, swap, reduction

    def forward(self, anchor: Array, positive: Array, negative: Array) -> tuple[Array, Backward]:
        """Compare the distances of `anchor` from `positive` and from `negative`."""
        return self.call(
            triplet_margin_with_distance_loss,
            (anchor, positive, negative),
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
    if not margin > 0:
        raise ValueError(f"{op}: margin must be positive, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            f"{op}: expected as many axes in anchor, positive and negative, "
            f"got {anchor.shape}, {positive.shape} and {negative.shape}"
        )
    broadcast_shape(op, anchor=anchor, positive=positive, negative=negative)
    to_positive, positive_backward = distance(anchor, positive)
    to_negative, negative_backward = distance(anchor, negative)
    nearest = to_negative
    if swap:
        between, between_backward = distance(positive, negative)
        nearest = np.minimum(to_negative, between)
    loss = np.asarray(margin + to_positive - nearest)
    active = loss >= 0.0
    output, reduce_backward = reduce(op, np.maximum(loss, 0.0, out=...), reduction)

    def backward(grad_output, needs=None):
        need_anchor, need_positive, need_negative = needs or (True, True, True)
        grad = active * reduce_backward(grad_output)
        grad_to_negative = -grad
        if swap:
            share = np.add(to_negative < between, to_negative <= between, dtype=grad.dtype)  # 2, 1 at a tie, 0
            grad_to_negative = share * grad * -0.5
            grad_between = -grad - grad_to_negative
        grad_anchor, grad_positive = positive_backward(sum_to_shape(grad, to_positive.shape), (need_anchor, need_positive))
        from_negative, grad_negative = negative_backward(
            sum_to_shape(grad_to_negative, to_negative.shape), (need_anchor, need_negative)
        )
        if need_anchor:
            grad_anchor = grad_anchor + from_negative
        if swap:
            needed = (need_positive, need_negative)
            from_positive, from_negative = between_backward(sum_to_shape(grad_between, between.shape), needed)
            if need_positive:
                grad_positive = grad_positive + from_positive
            if need_negative:
                grad_negative = grad_negative + from_negative
        return grad_anchor, grad_positive, grad_negative

    return output, backward


def _euclidean_distance(x1: Array, x2: Array, eps: float) -> tuple[Array, Backward]:
    """D = ‖δ‖₂ along the last axis, δ = x1 − x2 + eps;  grad_δ = δ / d grad_d."""
    difference = np.atleast_1d(np.subtract(x1, x2))
    difference += eps
    distance = np.sqrt(np.vecdot(difference, difference))

    def backward(grad_output, needs):
        if needs == (False, False):
            return None, None
        ratio = grad_output / (distance + (distance == 0.0))  # where δ = 0 so is the gradient, whatever it is divided by
        return to_both_sides(difference * ratio[..., None], x1, x2, *needs)

    return distance, backward


def _minkowski_distance(x1: Array, x2: Array, eps: float, p: float) -> tuple[Array, Backward]:
    """D = ‖δ‖ₚ along the last axis, δ = x1 − x2 + eps;  grad_δ = sign(δ) (|δ| / d)ᵖ⁻¹ grad_d."""
    difference = np.atleast_1d(np.subtract(x1, x2))
    difference += eps
    relative = np.abs(difference)
    distance = np.max(relative, axis=-1, initial=0.0)
    if p < np.inf:
        relative /= (distance + (distance == 0.0))[..., None]  # to the largest, so that no power overflows
        distance = distance * np.add.reduce(relative**p, axis=-1) ** (1.0 / p)

    def backward(grad_output, needs):
        if needs == (False, False):
            return None, None
        slope = np.abs(difference)
        if p < np.inf:
            slope /= (distance + (distance == 0.0))[..., None]
            np.power(slope, p - 1.0, out=slope, where=slope > 0.0)  # 0 at δ = 0 even for p < 1
        else:
            slope = (slope == distance[..., None]).astype(slope.dtype)
            slope /= np.vecdot(slope, slope)[..., None]  # the number of those that tie
        slope *= np.sign(difference)
        slope *= grad_output[..., None]
        return to_both_sides(slope, x1, x2, *needs)

    return distance, backward
