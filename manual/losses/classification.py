"""Losses between scores of many classes and the class that is right, or a probability of each."""

import math
from typing import Any

import numpy as np

from manual.arrays import largest, row_sums, smallest, sum_to_shape
from manual.contract import Array, Backward, needed, require_floats, require_indices, require_shape
from manual.losses.reduction import reduce
from manual.module import Buffer, Module
from manual.rows import by_rows

__all__ = ["CrossEntropyLoss", "NLLLoss", "NLLLoss2d", "cross_entropy", "nll_loss"]


def nll_loss(
    x: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Negative log-likelihood of the target classes, from log-probabilities.

    Forward:   ℓₙ = −w[tₙ] x[n, tₙ], 0 where tₙ is `ignore_index`;  sum: Σ ℓ;  mean: Σ ℓ / Σ w[tₙ] over those not ignored
    Backward:  grad_x[n, tₙ] = −w[tₙ] gₙ, 0 elsewhere      (g = grad_ℓ; there is no gradient of the weight)
    Shapes:    x (C), (N, C) or (N, C, d₁, …); target (), (N) or (N, d₁, …) of integers; weight (C);
               L () or, with reduction none, the shape of target
    Corners:   the mean over no target at all is NaN, and its gradient 0
    """
    op = "nll_loss"
    require_floats(op, "x weight", x, weight)
    axis, index, ignored, weights, total = _class_targets(op, x, target, weight, ignore_index)
    if ignored is not None:  # an ignored sample may hold anything, infinities and NaN too
        x = np.where(np.expand_dims(ignored, axis), 0.0, x)
    before, classes, after = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    picked = np.arange(before)[:, None], index.reshape(before, after), np.arange(after)
    losses = -x.reshape(before, classes, after)[picked].reshape(index.shape)
    output, reduce_backward = reduce(op, losses if weights is None else weights * losses, reduction, total)

    def backward(grad_output, needs=None):
        need_x, _, _ = needed(op, needs, 3)
        if not need_x:
            return None, None, None
        grad_losses = _of_counted(reduce_backward(grad_output), weights, ignored)
        grad_x = np.zeros((before, classes, after), x.dtype)
        grad_x[picked] = -grad_losses.reshape(before, after)
        return grad_x.reshape(x.shape), None, None

    return output, backward


class NLLLoss(Module):
    """`nll_loss` as a module."""

    weight: Array | None

    def __init__(self, weight: Array | None = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the log-probabilities `input` with the classes `target`."""
        constants = {"ignore_index": self.ignore_index, "reduction": self.reduction}
        return self.call(nll_loss, input, target, Buffer(self.weight), **constants)


class NLLLoss2d(NLLLoss):
    """The name that `NLLLoss` once had for images, which torch keeps."""


def cross_entropy(
    x: Array,
    target: Array,
    weight: Array | None = None,
    /,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Array, Backward]:
    """Cross-entropy of the softmax p of scores x with target classes, or with target probabilities.

    Forward:   ℓₙ = −Σⱼ qₙⱼ log pₙⱼ,  with ε = label_smoothing and C classes
               classes y:        qⱼ = (1 − ε) w[y] 1[j = y] + ε w[j] / C, 0 where y is `ignore_index`
               probabilities t:  qⱼ = w[j] ((1 − ε) tⱼ + ε / C)
               none: L = ℓ;  sum: Σ ℓ;  mean: Σ ℓ / Σ w[y] over the classes not ignored, or Σ ℓ / N over N samples
    Backward:  grad_xⱼ = (pⱼ Σᵢ qᵢ − qⱼ) g,  for classes without smoothing w[y] (pⱼ − 1[j = y]) g;
               for probabilities also grad_tⱼ = −(1 − ε) w[j] log pⱼ g,  grad_weightⱼ = −Σₙ qⱼ / w[j] log pⱼ g
               (g = grad_ℓ)
    Shapes:    x (C), (N, C) or (N, C, d₁, …); target (), (N) or (N, d₁, …) of integers, or of the shape of x;
               weight (C); L () or, with reduction none, the shape of x without C
    Corners:   the mean over no target at all is NaN, and its gradient 0; `ignore_index` is for classes alone
    """
    op = "cross_entropy"
    require_floats(op, "x weight", x, weight)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing must lie between 0 and 1, got {label_smoothing}")
    if isinstance(target, np.ndarray) and target.dtype.kind == "f" and target.shape == x.shape:
        require_floats(op, "x target", x, target)
        if ignore_index >= 0:
            raise ValueError(f"{op}: ignore_index is for class indices, got {ignore_index} with class probabilities")
        return _cross_entropy_with_probabilities(x, target, weight, reduction, label_smoothing)
    axis, index, ignored, weights, total = _class_targets(op, x, target, weight, ignore_index)
    if ignored is not None:  # an ignored sample may hold anything, infinities and NaN too
        x = np.where(np.expand_dims(ignored, axis), 0.0, x)
    if label_smoothing:
        q = _smoothed_classes(x, axis, index, weight, weights, label_smoothing)
        if ignored is not None:
            q *= ~np.expand_dims(ignored, axis)
        losses, rows_backward = by_rows(op, _of_probabilities, x, q, dim=axis)
        weights = None  # they are in q
    else:
        losses, rows_backward = by_rows(op, _of_classes, x, index, dim=axis)
    output, reduce_backward = reduce(op, losses if weights is None else weights * losses, reduction, total)

    def backward(grad_output, needs=None):
        need_x, _, _ = needed(op, needs, 3)
        grad_losses = _of_counted(reduce_backward(grad_output), weights, ignored)
        grad_x, _ = rows_backward(grad_losses, (need_x, False))
        return grad_x, None, None

    return output, backward


def _of_classes(x, y):
    """ℓ = −log pᵧ of each row: with k the largest score, eⱼ = exp(xⱼ − xₖ) and s = Σⱼ≠ₖ eⱼ, it is log(1 + s) − (xᵧ − xₖ)."""
    row, k = np.arange(len(x)), x.argmax(axis=1)
    e = x - x[row, k, None]
    loss = -e[row, y]
    np.exp(e, out=e)
    e[row, k] = 0.0
    s = row_sums(e)
    loss += np.log1p(s)

    def backward(g, needs):
        scale = g / (1.0 + s)
        grad = e * scale[:, None]  # pⱼ g, with pⱼ = eⱼ / (1 + s)
        grad[row, k] = scale
        # pᵧ − 1 is −s / (1 + s) where y = k, all digits of it, else (eᵧ − 1 − s) / (1 + s).
        grad[row, y] = ((k != y) * (e[row, y] - 1.0) - s) * scale
        return grad, None

    return loss, backward


def _of_probabilities(x, q):
    """ℓ = −Σⱼ qⱼ log pⱼ of each row, with k, e and s as above."""
    row, k = np.arange(len(x)), x.argmax(axis=1)
    difference = x - x[row, k, None]
    e = np.exp(difference)
    e[row, k] = 0.0
    s = row_sums(e)
    minus_log_p = np.log1p(s)[:, None] - difference

    def backward(g, needs):
        need_x, need_q = needs
        grad_x = grad_q = None
        if need_x:
            # (pⱼ Σ q − qⱼ) g. For the largest it is (Σⱼ≠ₖ qⱼ − s qₖ) / (1 + s) g, in which nothing cancels as pₖ goes to 1.
            others = q.copy()
            others[row, k] = 0.0
            q_largest, q_others = q[row, k], row_sums(others)
            grad_x = e * ((q_others + q_largest) / (1.0 + s))[:, None]
            grad_x -= others
            grad_x[row, k] = (q_others - s * q_largest) / (1.0 + s)
            grad_x *= g[:, None]
        if need_q:
            grad_q = minus_log_p * g[:, None]
        return grad_x, grad_q

    return np.vecdot(q, minus_log_p), backward


def _of_counted(grad_losses: Array, weights: Array | None, ignored: Array | None) -> Array:
    """The gradients of the losses before their weights; 0 of those ignored, even where all are and the mean's gradient is NaN."""
    if weights is not None:
        grad_losses = weights * grad_losses
    return grad_losses if ignored is None else np.where(ignored, 0.0, grad_losses)


def _smoothed_classes(
    x: Array, axis: int, index: Array, weight: Array | None, weights: Array | None, label_smoothing: float
) -> Array:
    """The probabilities q that classes stand for: (1 − ε) w[y] for the class y, and ε w[j] / C for each class j."""
    q = np.empty_like(x)
    q[:] = label_smoothing / x.shape[axis] * _along(axis, x, weight)
    at_target = np.expand_dims(index, axis)
    hit = (1 - label_smoothing) * (1.0 if weights is None else np.expand_dims(weights, axis))
    np.put_along_axis(q, at_target, np.take_along_axis(q, at_target, axis) + hit, axis)
    return q


def _along(axis: int, x: Array, weight: Array | None) -> Any:
    """The weight of each class in a shape that broadcasts to x."""
    return np.ones((), x.dtype) if weight is None else weight.reshape(-1, *(1,) * (x.ndim - axis - 1))


def _cross_entropy_with_probabilities(
    x: Array, target: Array, weight: Array | None, reduction: str, label_smoothing: float
) -> tuple[Array, Backward]:
    op = "cross_entropy"
    axis = _class_axis(op, x, weight)
    smoothed = (1 - label_smoothing) * target + label_smoothing / x.shape[axis] if label_smoothing else target
    per_class = _along(axis, x, weight)
    losses, rows_backward = by_rows(op, _of_probabilities, x, smoothed * per_class, dim=axis)
    output, reduce_backward = reduce(op, losses, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needed(op, needs, 3)
        need_weight = need_weight and weight is not None
        grad_x, grad_q = rows_backward(reduce_backward(grad_output), (need_x, need_target or need_weight))
        grad_target = (1 - label_smoothing) * per_class * grad_q if need_target else None
        grad_weight = sum_to_shape(smoothed * grad_q, per_class.shape).reshape(-1) if need_weight else None
        return grad_x, grad_target, grad_weight

    return output, backward


class CrossEntropyLoss(Module):
    """`cross_entropy` as a module."""

    weight: Array | None

    def __init__(
        self,
        weight: Array | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores `input` with the classes or class probabilities `target`."""
        return self.call(
            cross_entropy,
            input,
            target,
            Buffer(self.weight),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


def _class_axis(op: str, x: Array, weight: Array | None) -> int:
    if x.ndim == 0:
        raise ValueError(f"{op}: x must have shape (C), (N, C) or (N, C, d1, ...), got ()")
    axis = 0 if x.ndim == 1 else 1
    if x.shape[axis] == 0:
        raise ValueError(f"{op}: x must have at least one class, got shape {x.shape}")
    if weight is not None:
        require_shape(op, "weight", weight, (x.shape[axis],))
    return axis


def _class_targets(
    op: str, x: Array, target: Array, weight: Array | None, ignore_index: int
) -> tuple[int, Array, Array | None, Array | None, Any]:
    """Check class indices. Return the class axis and of each sample its class (0 if ignored), whether it is ignored (None if none
    is), its weight (None if all are 1), and the sum of the weights.
    """
    axis = _class_axis(op, x, weight)
    require_indices(op, "target", target)
    require_shape(op, "target", target, x.shape[:axis] + x.shape[axis + 1 :])
    index, classes, ignored = np.asarray(target), x.shape[axis], None
    lowest, highest = smallest(index), largest(index)
    if lowest <= ignore_index <= highest:
        ignored = index == ignore_index
        index = np.where(ignored, 0, index)
        lowest, highest = smallest(index), largest(index)
    if lowest < 0 or highest >= classes:
        wrong = index[(index < 0) | (index >= classes)].flat[0]
        raise ValueError(f"{op}: target must hold classes from 0 to {classes - 1}, got {wrong}")
    if weight is None and ignored is None:
        return axis, index, None, None, index.size
    weights = np.ones(index.shape, x.dtype) if weight is None else np.asarray(weight[index])
    if ignored is not None:
        weights[ignored] = 0.0
    return axis, index, ignored, weights, weights.sum()
