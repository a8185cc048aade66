"""Losses that ask for a margin between the scores of the classes that are right and those of all others."""

import math

import numpy as np

from manual.arrays import largest, row_sums, smallest
from manual.contract import (
    REDUCTIONS,
    Array,
    Backward,
    broadcast_shape,
    cotangent,
    needed,
    require_choice,
    require_floats,
    require_indices,
    require_number,
    require_shape,
    targets_like,
)
from manual.elementwise import elementwise
from manual.losses.binary import logistic_loss
from manual.losses.reduction import reduce
from manual.module import Buffer, Module
from manual.rows import by_rows

__all__ = [
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
]


def multi_margin_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    p: float = 1,
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
    require_floats(op, "x weight?", x, weight)
    p, margin = require_number(op, "p", p, "1 or 2"), require_number(op, "margin", margin)
    rows = _rows(op, x)
    samples, classes = rows.shape
    _require_classes(op, target, classes, lowest=0)
    if target.size != samples or target.ndim > 1:
        raise ValueError(f"{op}: target must have one class for each of {samples} samples, got shape {target.shape}")
    if weight is not None:
        require_shape(op, "weight", weight, (classes,))
    y = target.reshape(samples)
    scale = 1.0 / classes if weight is None else weight[y] / classes

    def of_rows(x, y):
        row = np.arange(len(x))
        z = x + (margin - x[row, y, None])
        z[row, y] = 0.0
        z = z.clip(0.0, math.inf)

        def backward(g, needs):
            grad = (z > 0.0) * g[:, None] if p == 1 else z * (2.0 * g)[:, None]
            grad[row, y] = -row_sums(grad)
            return grad, None

        return row_sums(z) if p == 1 else np.vecdot(z, z), backward

    losses, rows_backward = by_rows(op, of_rows, rows, y, dim=1)
    output, reduce_backward = reduce(op, (scale * losses).reshape(target.shape), reduction)

    def backward(grad_output, needs=None):
        need_x, _, _ = needed(op, needs, 3)
        grad_rows, _ = rows_backward(scale * reduce_backward(grad_output).reshape(samples), (need_x, False))
        return grad_rows.reshape(x.shape) if need_x else None, None, None

    return output, backward


class MultiMarginLoss(Module):
    """`multi_margin_loss` as a module."""

    weight: Array | None

    def __init__(self, p: float = 1, margin: float = 1.0, weight: Array | None = None, *, reduction: str = "mean") -> None:
        require_number("MultiMarginLoss", "p", p, "1 or 2")
        if weight is not None:
            require_floats("MultiMarginLoss", "weight", weight)
            if weight.ndim != 1:
                raise ValueError(f"MultiMarginLoss: weight must have one axis, got shape {weight.shape}")
        self.register_buffer("weight", weight)
        self.p, self.margin, self.reduction = p, margin, reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores `input` with the classes `target`."""
        constants = {"p": self.p, "margin": self.margin, "reduction": self.reduction}
        return self.call(multi_margin_loss, input, target, Buffer(self.weight), **constants)


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
    _require_classes(op, target, rows.shape[1], lowest=-1)
    require_shape(op, "target", target, x.shape)
    losses, rows_backward = by_rows(op, _with_labels, rows, target.reshape(rows.shape), dim=1)
    output, reduce_backward = reduce(op, losses.reshape(x.shape[:-1]), reduction)

    def backward(grad_output, needs=None):
        need_x, _ = needed(op, needs, 2)
        grad_rows, _ = rows_backward(reduce_backward(grad_output).reshape(len(rows)), (need_x, False))
        return grad_rows.reshape(x.shape) if need_x else None, None

    return output, backward


def _with_labels(x, labels):
    listed = np.logical_and.accumulate(labels >= 0, axis=1)  # those before the first −1
    most = np.count_nonzero(listed.any(axis=0))
    listed, labels, row = listed[:, :most], labels[:, :most], np.arange(len(x))
    others = x.copy()
    others[np.nonzero(listed)[0], labels[listed]] = -math.inf  # what is itself a target clears no bar
    bars = np.where(listed, x[row[:, None], labels] - 1.0, math.inf)  # ∞, above any score, where there is no k-th target
    loss, slope = np.zeros(len(x), x.dtype), np.zeros_like(x)
    for y, bar in zip(labels.T, bars.T):
        z = others - bar[:, None]
        active = z > 0.0
        loss += row_sums(np.maximum(z, 0.0))
        slope += active
        slope[row, y] -= np.add.reduce(active, axis=1)
    classes = x.shape[1]
    slope /= classes
    return loss / classes, lambda g, needs: (slope * g[:, None], None)


class MultiLabelMarginLoss(Module):
    """`multilabel_margin_loss` as a module."""

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores `input` with the classes `target`."""
        return multilabel_margin_loss(input, target, reduction=self.reduction)


def multilabel_soft_margin_loss(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Cross-entropy of each class by itself, as one of two, averaged over the classes.

    Forward:   ℓ = −Σⱼ wⱼ [tⱼ log σ(xⱼ) + (1 − tⱼ) log σ(−xⱼ)] / C = Σⱼ wⱼ [hⱼ xⱼ + log(1 + eⱼ)] / C
               with e = exp(−|x|) and h = 1 − t where x ≥ 0, else −t;  L = ℓ, Σ ℓ or Σ ℓ / N
    Backward:  grad_x = w (σ(x) − t) / C g,  σ(x) − t = h ∓ e / (1 + e) for x ≷ 0;
               grad_target = −w x / C g,  grad_weight = [h x + log(1 + e)] / C g
               (g = grad_ℓ; integers as target have no gradient)
    Shapes:    x (..., C); target (integers or numbers of the dtype of x) and weight broadcast to it (as in torch all three may
               broadcast, and the sum runs along the axis that is the last of x, C its size there);
               L () or, with reduction none, (...)
    """
    op = "multilabel_soft_margin_loss"
    require_floats(op, "x weight?", x, weight)
    require_choice(op, "reduction", reduction, REDUCTIONS)
    t = targets_like(op, x, target)
    if x.ndim == 0:
        raise ValueError(f"{op}: x must have shape (..., C), got ()")
    shape = broadcast_shape(op, x=x, target=t, **({} if weight is None else {"weight": weight}))
    axis, classes = x.ndim - 1, x.shape[-1] or math.nan

    def of_each_class(x, t, weight):
        """The cross-entropy of each class, which is also the slope of its weight."""
        entropy, slope, target_slope, *_ = logistic_loss(x, t, None, None)
        if target.dtype.kind != "f":
            target_slope = None
        if weight is None:
            return entropy, slope, target_slope, None
        return weight * entropy, weight * slope, target_slope and (lambda: weight * target_slope()), entropy

    if reduction != "none":  # a mean or sum of means over the classes is one sum over everything, divided once
        samples = math.prod(shape[:axis] + shape[axis + 1 :]) if reduction == "mean" else 1
        return elementwise(op, of_each_class, x, t, weight, reduction="mean", total=classes * samples)
    entropies, curve_backward = elementwise(op, of_each_class, x, t, weight)
    output = np.asarray(np.add.reduce(entropies, axis=axis) / classes)
    dtype, of_each = output.dtype, output.shape

    def backward(grad_output, needs=None):
        grad_losses = cotangent(op, grad_output, of_each, dtype) / classes
        return curve_backward(np.broadcast_to(np.expand_dims(grad_losses, axis), shape), needs)

    return output, backward


class MultiLabelSoftMarginLoss(Module):
    """`multilabel_soft_margin_loss` as a module."""

    weight: Array | None

    def __init__(self, weight: Array | None = None, *, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores `input` with `target`."""
        return self.call(multilabel_soft_margin_loss, input, target, Buffer(self.weight), reduction=self.reduction)


def _rows(op: str, x: Array) -> Array:
    """The scores with one row for each sample."""
    if x.ndim > 2 or (x.ndim and x.shape[-1] == 0):
        raise ValueError(f"{op}: x must have shape (C) or (N, C) with at least one class, got {x.shape}")
    return x.reshape(-1, x.shape[-1] if x.ndim else 1)


def _require_classes(op: str, target: Array, classes: int, lowest: int) -> None:
    require_indices(op, "target", target)
    least, most = smallest(target), largest(target)
    if least < lowest or most >= classes:
        raise ValueError(f"{op}: target must hold classes from {lowest} to {classes - 1}, got values from {least} to {most}")
