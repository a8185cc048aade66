"""Losses that ask for a margin between what should be high and what should be low."""

import math
from typing import Any

import numpy as np

from manual.arrays import broadcast, sum_to_shape
from manual.contract import Array, Backward, broadcast_shape, require_floats, require_indices, require_shape
from manual.losses.reduction import reduce
from manual.arrays import to_both_sides
from manual.module import Module


def soft_margin_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> tuple[Array, Backward]:
    """Logistic loss of a score whose sign should be that of its target.

    Forward:   ℓ = log(1 + exp(−t x)) = log(1 + exp(−|t x|)) + max(−t x, 0);  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = −t σ(−t x) g,  where σ(−t x) = 1 − exp(−ℓ)      (g = grad_ℓ; there is no gradient of the target)
    Shapes:    x (...); target (1 or −1, integers or numbers of the dtype of x) broadcasts to it;
               L () or, with reduction none, (...)
    """
    op = "soft_margin_loss"
    require_floats(op, "x", x)
    target = signs(op, target, x)
    if broadcast_shape(op, x=x, target=target) != x.shape:
        raise ValueError(f"{op}: target must broadcast to the shape of x, {x.shape}, got {target.shape}")
    product = np.multiply(x, target, out=...)
    loss = np.abs(product, out=...)
    np.negative(loss, out=loss)
    np.exp(loss, out=loss)
    np.log1p(loss, out=loss)
    loss -= np.minimum(product, 0.0)
    output, reduce_backward = reduce(op, loss, reduction)

    def backward(grad_output, needs=None):
        grad = reduce_backward(grad_output)
        if needs is not None and not needs[0]:
            return None, None
        grad_x = np.negative(loss, out=...)
        np.expm1(grad_x, out=grad_x)
        grad_x *= target
        grad_x *= grad
        return grad_x, None

    return output, backward


class SoftMarginLoss(Module):
    """`soft_margin_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the sign of `input` with `target`."""
        return self.call(soft_margin_loss, (input, target), reduction=self.reduction)


def signs(op: str, target: Any, x: Array) -> Array:
    """Targets of 1 and −1 in the dtype of x; torch takes integers too."""
    if isinstance(target, (np.ndarray, np.integer)) and target.dtype.kind in "iu":
        return np.asarray(target, x.dtype)
    require_floats(op, "x target", x, target)
    return target


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
    t = signs(op, target, x1)
    if not x1.ndim == x2.ndim == t.ndim:
        raise ValueError(f"{op}: expected as many axes in x1, x2 and target, got {x1.shape}, {x2.shape} and {t.shape}")
    low, high, t = broadcast(op, x1=x1, x2=x2, target=t)
    loss = np.subtract(high, low, out=...)
    loss *= t
    loss += margin
    active = loss >= 0.0
    np.maximum(loss, 0.0, out=loss)
    output, reduce_backward = reduce(op, loss, reduction)

    def backward(grad_output, needs=None):
        need_x1, need_x2, need_target = needs or (True, True, True)
        grad = active * reduce_backward(grad_output)
        grad_x1 = grad_x2 = grad_target = None
        if need_x1 or need_x2:
            grad_x2, grad_x1 = to_both_sides(t * grad, x2, x1, need_x2, need_x1)
        if need_target and target.dtype.kind == "f":
            grad_target = sum_to_shape((high - low) * grad, target.shape)
        return grad_x1, grad_x2, grad_target

    return output, backward


class MarginRankingLoss(Module):
    """`margin_ranking_loss` as a module."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def forward(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the order of `input1` and `input2` with `target`."""
        return self.call(margin_ranking_loss, (input1, input2, target), margin=self.margin, reduction=self.reduction)


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
    x_shape = x.shape
    x, target = broadcast(op, x=x, target=signs(op, target, x))
    pulled, pushed = target != -1.0, (target != 1.0) & (x <= margin)
    loss = np.subtract(margin, x, out=...)
    loss *= pushed
    loss += x * pulled
    output, reduce_backward = reduce(op, loss, reduction)

    def backward(grad_output, needs=None):
        grad = reduce_backward(grad_output)
        if needs is not None and not needs[0]:
            return None, None
        grad_x = np.subtract(pulled, pushed, dtype=x.dtype, out=...)
        grad_x *= grad
        return sum_to_shape(grad_x, x_shape), None

    return output, backward


class HingeEmbeddingLoss(Module):
    """`hinge_embedding_loss` as a module."""

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the distances `input` with `target`."""
        return self.call(hinge_embedding_loss, (input, target), margin=self.margin, reduction=self.reduction)


def multi_margin_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    p: int = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Ask that the score of the target class y exceed every other by a margin.

    Forward:   zⱼ = max(margin − x[y] + xⱼ, 0), 0 where j = y;  ℓ = w[y] Σⱼ zⱼᵖ / C  for C classes, p = 1 or 2;
               L = ℓ, Σ ℓ or Σ ℓ / N
    Backward:  grad_xⱼ = w[y] p zⱼᵖ⁻¹ / C g where zⱼ > 0, else 0;  grad_x[y] = −Σⱼ grad_xⱼ
               (g = grad_ℓ; there is no gradient of the weight)
    Shapes:    x (N, C), target (N) of integers, weight (C), L () or, with reduction none, (N);
               one sample may also be x (C) or (), target () or (1), L the same
    Kinks:     exactly at the margin the gradient is 0
    Source:    Crammer & Singer 2001, On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines
    """
    op = "multi_margin_loss"
    require_floats(op, "x weight", x, weight)
    if p not in (1, 2):
        raise ValueError(f"{op}: p must be 1 or 2, got {p}")
    rows = _rows(op, x)
    samples, classes = rows.shape
    _require_classes(op, target, classes, lowest=0)
    if target.size != samples or target.ndim > 1:
        raise ValueError(f"{op}: target must have one class for each of {samples} samples, got shape {target.shape}")
    if weight is not None:
        require_shape(op, "weight", weight, (classes,))
    index = target.reshape(samples, 1)
    excess = rows + (margin - np.take_along_axis(rows, index, 1))
    np.put_along_axis(excess, index, 0.0, 1)
    np.maximum(excess, 0.0, out=excess)
    scale = 1.0 / classes if weight is None else weight[target.reshape(samples)] / classes
    loss = np.add.reduce(excess, axis=1) if p == 1 else np.vecdot(excess, excess)
    loss *= scale
    output, reduce_backward = reduce(op, loss.reshape(target.shape), reduction)

    def backward(grad_output, needs=None):
        grad = reduce_backward(grad_output)
        if needs is not None and not needs[0]:
            return None, None, None
        grad_rows = (excess > 0.0).astype(x.dtype) if p == 1 else excess * 2.0
        grad_rows *= np.expand_dims(grad * scale, -1)
        np.put_along_axis(grad_rows, index, -np.add.reduce(grad_rows, axis=1, keepdims=True), 1)
        return grad_rows.reshape(x.shape), None, None

    return output, backward


class MultiMarginLoss(Module):
    """`multi_margin_loss` as a module."""

    weight: Array | None

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Array | None = None, *, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.p, self.margin, self.reduction = p, margin, reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores `input` with the classes `target`."""
        constants = {"p": self.p, "margin": self.margin}
        return self.call(multi_margin_loss, (input, target), (self.weight,), reduction=self.reduction, **constants)


def multilabel_margin_loss(x: Array, target: Array, /, *, reduction: str = "mean") -> tuple[Array, Backward]:
    """Ask that the score of each target class exceed by 1 that of every class that is none.

    Forward:   ℓ = Σₖ Σⱼ max(1 − x[yₖ] + xⱼ, 0) / C,  yₖ the targets up to the first −1, j the classes not among them
               L = ℓ, Σ ℓ or Σ ℓ / N
    Backward:  grad_xⱼ = (number of k with 1 − x[yₖ] + xⱼ > 0) / C g,  grad_x[yₖ] = −(number of such j) / C g      (g = grad_ℓ)
    Shapes:    x (N, C), target (N, C) of integers, its rows filled up with −1; L () or, with reduction none, (N);
               or one sample: x and target (C) or (), L ()
    Kinks:     exactly at the margin the gradient is 0
    """
    op = "multilabel_margin_loss"
    require_floats(op, "x", x)
    rows = _rows(op, x)
    samples, classes = rows.shape
    _require_classes(op, target, classes, lowest=-1)
    require_shape(op, "target", target, x.shape)
    labels = target.reshape(rows.shape)
    listed = np.logical_and.accumulate(labels >= 0, axis=1)
    others = rows.copy()  # −∞, below any margin, for the classes that are targets
    row, place = np.nonzero(listed)
    others[row, labels[row, place]] = -math.inf
    loss, slope, each = np.zeros(samples, x.dtype), np.zeros_like(rows), np.arange(samples)
    for k in range(int(np.add.reduce(listed, axis=1).max(initial=0))):
        label = labels[:, k]
        bar = np.where(listed[:, k], rows[each, label], math.inf)  # +∞, above any other, where there is no k-th target
        excess = others + (1.0 - bar)[:, None]
        active = excess > 0.0
        slope += active
        slope[each, label] -= np.add.reduce(active, axis=1)
        np.maximum(excess, 0.0, out=excess)
        loss += np.add.reduce(excess, axis=1)
    loss /= classes
    slope /= classes
    output, reduce_backward = reduce(op, loss.reshape(x.shape[:-1]), reduction)

    def backward(grad_output, needs=None):
        grad = reduce_backward(grad_output)
        if needs is not None and not needs[0]:
            return None, None
        return (slope * np.expand_dims(grad, -1)).reshape(x.shape), None

    return output, backward


class MultiLabelMarginLoss(Module):
    """`multilabel_margin_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores `input` with the classes `target`."""
        return self.call(multilabel_margin_loss, (input, target), reduction=self.reduction)


def _rows(op: str, x: Array) -> Array:
    """The scores with one row for each sample."""
    if x.ndim > 2 or (x.ndim and x.shape[-1] == 0):
        raise ValueError(f"{op}: x must have shape (C) or (N, C) with at least one class, got {x.shape}")
    return x.reshape(-1, x.shape[-1] if x.ndim else 1)


def _require_classes(op: str, target: Array, classes: int, lowest: int) -> None:
    require_indices(op, "target", target)
    if target.size and not (target.min() >= lowest and target.max() < classes):
        raise ValueError(
            f"{op}: target must hold classes from {lowest} to {classes - 1}, got values from {target.min()} to {target.max()}"
        )


def multilabel_soft_margin_loss(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Cross-entropy of each class by itself, as one of two, averaged over the classes.

    Forward:   ℓ = −Σⱼ wⱼ [tⱼ log σ(xⱼ) + (1 − tⱼ) log σ(−xⱼ)] / C = Σⱼ wⱼ [hⱼ xⱼ + log(1 + eⱼ)] / C
               with e = exp(−|x|) and h = 1 − t where x ≥ 0, else −t;  L = ℓ, Σ ℓ or Σ ℓ / N
    Backward:  grad_x = w (σ(x) − t) / C g,  σ(x) − t = h ∓ e / (1 + e) for x ≷ 0;
               grad_target = −w x / C g,  grad_weight = [h x + log(1 + e)] / C g      (g = grad_ℓ)
    Shapes:    x (..., C); target and weight broadcast to it (as in torch all three may broadcast, and the sum runs along the
               axis that is the last of x, C its size there); L () or, with reduction none, (...)
    """
    op = "multilabel_soft_margin_loss"
    require_floats(op, "x target weight", x, target, weight)
    if x.ndim == 0:
        raise ValueError(f"{op}: x must have shape (..., C), got ()")
    weights = {} if weight is None else {"weight": weight}
    scores, t, *_ = broadcast(op, x=x, target=target, **weights)
    axis, classes = x.ndim - 1, x.shape[-1] or math.nan
    e = np.abs(scores)
    np.negative(e, out=e)
    np.exp(e, out=e)
    h = np.subtract(~np.signbit(scores), t)
    entropy = np.log1p(e)
    entropy += h * scores
    loss = np.add.reduce(entropy if weight is None else entropy * weight, axis=axis)
    output, reduce_backward = reduce(op, np.asarray(loss / classes), reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, True)
        grad = reduce_backward(grad_output) / classes
        if reduction == "none":
            grad = np.expand_dims(grad, axis)
        grad_x = grad_target = grad_weight = None
        if weight is not None:
            if need_weight:
                grad_weight = sum_to_shape(entropy * grad, weight.shape)
            grad = weight * grad
        if need_x:
            grad_x = e / (1.0 + e)
            np.copysign(grad_x, scores, out=grad_x)
            np.subtract(h, grad_x, out=grad_x)
            grad_x *= grad
            grad_x = sum_to_shape(grad_x, x.shape)
        if need_target:
            grad_target = sum_to_shape(scores * -grad, target.shape)
        return grad_x, grad_target, grad_weight

    return output, backward


class MultiLabelSoftMarginLoss(Module):
    """`multilabel_soft_margin_loss` as a module."""

    weight: Array | None

    def __init__(self, weight: Array | None = None, *, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores `input` with `target`."""
        return self.call(multilabel_soft_margin_loss, (input, target), (self.weight,), reduction=self.reduction)
