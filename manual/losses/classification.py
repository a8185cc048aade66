"""Losses between a prediction and a class: two classes, or many."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.activations.normalized import below_largest, exp_others
from manual.contract import (
    Array,
    Backward,
    as_rows,
    broadcast_shape,
    clip,
    largest,
    numbers,
    require_floats,
    require_indices,
    require_shape,
    smallest,
    sum_columns,
)
from manual.losses.reduction import reduce
from manual.module import Module
from manual.threads import in_threads, row_parts


def binary_cross_entropy(
    x: Array, target: Array, weight: Array | None = None, /, *, reduction: str = "mean"
) -> tuple[Array, Backward]:
    """Cross-entropy of a probability x with a target probability t.

    Forward:   ℓ = −w [t log x + (1 − t) log(1 − x)], with both logarithms held above −100;  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = w (x − t) / (x (1 − x)) g, the denominator held above 1e−12,
               grad_target = w (log(1 − x) − log x) g      (g = grad_ℓ; there is no gradient of the weight)
    Shapes:    x, target (...); weight broadcasts to them; L () or, with reduction none, (...)
    Kinks:     at x = 0 and x = 1 the loss is at most 100, its gradient at most 1e12; that of the target is infinite
    """
    op = "binary_cross_entropy"
    require_floats(op, "x target weight", x, target, weight)
    require_shape(op, "target", target, x.shape)
    if weight is not None:
        _require_broadcast(op, "weight", weight, x)
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"{op}: x must hold probabilities between 0 and 1, got values from {x.min()} to {x.max()}")
    with np.errstate(divide="ignore"):  # log 0 is −∞, as it should be
        log_x, log_rest = np.log(x), np.log1p(-x)
    loss = (target - 1) * np.maximum(log_rest, -100) - target * np.maximum(log_x, -100)
    if weight is not None:
        loss *= weight
    output, reduce_backward = reduce(op, np.asarray(loss), reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, _ = needs or (True, True, False)
        grad_loss = reduce_backward(grad_output)
        if weight is not None:
            grad_loss = grad_loss * weight
        grad_x = (x - target) / np.maximum(x * (1 - x), 1e-12) * grad_loss if need_x else None
        grad_target = (log_rest - log_x) * grad_loss if need_target else None
        return grad_x, grad_target, None

    return output, backward


class BCELoss(Module):
    """`binary_cross_entropy` as a module."""

    weight: Array | None

    def __init__(self, weight: Array | None = None, *, reduction: str = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the probabilities `input` with `target`."""
        return self.call(binary_cross_entropy, (input, target), (self.weight,), reduction=self.reduction)


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

    Forward:   ℓ = w [t p ς(−x) + (1 − t) ς(x)],  ς(x) = −log σ(−x) = log(1 + exp(x)),  p = pos_weight
               L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = w [(1 − t) σ(x) − t p σ(−x)] g,  grad_target = w [p ς(−x) − ς(x)] g
               (g = grad_ℓ; there is no gradient of the weights)
    Shapes:    x, target (...); weight and pos_weight broadcast to them; L () or, with reduction none, (...)
    """
    op = "binary_cross_entropy_with_logits"
    require_floats(op, "x target weight pos_weight", x, target, weight, pos_weight)
    require_shape(op, "target", target, x.shape)
    for name, factor in (("weight", weight), ("pos_weight", pos_weight)):
        if factor is not None:
            _require_broadcast(op, name, factor, x)
    zero, one = numbers(x.dtype, 0.0, 1.0)
    positive = target if pos_weight is None else target * pos_weight
    negative = np.subtract(one, target, out=...)
    e = np.abs(x, out=...)
    np.negative(e, out=e)
    np.exp(e, out=e)
    # ς(x) = max(x, 0) + log(1 + e), and ς(−x) = log(1 + e) − min(x, 0)
    softplus, softplus_minus = clip(x, 0.0, math.inf), np.log1p(e, out=...)
    softplus += softplus_minus
    softplus_minus -= clip(x, -math.inf, 0.0)
    loss = np.multiply(positive, softplus_minus, out=...)
    loss += negative * softplus
    if weight is not None:
        loss *= weight
    output, reduce_backward = reduce(op, loss, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, *_ = needs or (True, True, False, False)
        grad_loss = reduce_backward(grad_output)
        if weight is not None:
            grad_loss = grad_loss * weight
        grad_x = grad_target = None
        if need_x:
            # σ(x) and σ(−x): 1 / (1 + e) for the side x lies on, e / (1 + e) for the other
            grad_x = np.maximum(e, (x >= zero).astype(x.dtype), out=...)
            grad_x *= negative
            minus = np.maximum(e, (x <= zero).astype(x.dtype), out=...)
            minus *= positive
            grad_x -= minus
            grad_x /= np.add(e, one, out=minus)
            grad_x *= grad_loss
        if need_target:
            grad_target = softplus_minus if pos_weight is None else pos_weight * softplus_minus
            grad_target = (grad_target - softplus) * grad_loss
        return grad_x, grad_target, None, None

    return output, backward


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
        owned = (self.weight, self.pos_weight)
        return self.call(binary_cross_entropy_with_logits, (input, target), owned, reduction=self.reduction)


def _require_broadcast(op: str, name: str, array: Array, x: Array) -> None:
    if broadcast_shape(op, x=x, **{name: array}) != x.shape:
        raise ValueError(f"{op}: {name} must broadcast to the shape of x, {x.shape}, got {array.shape}")


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
    rows, back = as_rows(x, axis)
    picked = np.arange(len(rows)), index
    loss = -rows[picked]
    if ignored is not None:
        loss[ignored] = 0.0  # an ignored sample may hold anything, infinities and NaN too
    if weights is not None:
        loss *= weights
    output, reduce_backward = reduce(op, loss.reshape(target.shape), reduction, total)

    def backward(grad_output, needs=None):
        grad_loss = reduce_backward(grad_output).reshape(-1)
        if needs is not None and not needs[0]:
            return None, None, None
        grad_x = np.zeros_like(rows)
        grad_x[picked] = -grad_loss if weights is None else -weights * grad_loss
        if ignored is not None:
            grad_x[ignored] = 0.0
        return back(grad_x), None, None

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
        return self.call(nll_loss, (input, target), (self.weight,), **constants)


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
        return _cross_entropy_of_probabilities(x, target, weight, reduction, label_smoothing)
    axis, index, ignored, weights, total = _class_targets(op, x, target, weight, ignore_index)
    rows, back = as_rows(x, axis)
    if ignored is not None:  # an ignored sample may hold anything, infinities and NaN too
        rows = rows.copy()
        rows[ignored] = 0.0
    if label_smoothing == 0:
        loss, grad_rows = _losses_of_classes(rows, index, weights)
    else:
        q = np.empty_like(rows)
        q[:] = label_smoothing / rows.shape[1] * (1.0 if weight is None else weight)
        q[np.arange(len(q)), index] += (1 - label_smoothing) * (1.0 if weights is None else weights)
        if ignored is not None:
            q[ignored] = 0.0
        loss, grad_rows, _ = _losses_of_distributions(rows, q)
    output, reduce_backward = reduce(op, loss.reshape(target.shape), reduction, total)

    def backward(grad_output, needs=None):
        grad_loss = reduce_backward(grad_output).reshape(-1)
        if needs is not None and not needs[0]:
            return None, None, None
        if ignored is not None:  # where all are, the mean's gradient is NaN
            grad_loss = np.where(ignored, 0.0, grad_loss)
        return back(grad_rows(grad_loss)), None, None

    return output, backward


def _cross_entropy_of_probabilities(
    x: Array, target: Array, weight: Array | None, reduction: str, label_smoothing: float
) -> tuple[Array, Backward]:
    axis = _class_axis("cross_entropy", x, weight)
    rows, back = as_rows(x, axis)
    smoothed, _ = as_rows(target, axis)
    if label_smoothing:
        smoothed = (1 - label_smoothing) * smoothed + label_smoothing / rows.shape[1]
    loss, grad_rows, surprise = _losses_of_distributions(rows, smoothed if weight is None else smoothed * weight)
    shape = x.shape[:axis] + x.shape[axis + 1 :]
    output, reduce_backward = reduce("cross_entropy", loss.reshape(shape), reduction, len(rows))

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, weight is not None)
        grad_loss = np.broadcast_to(np.ravel(reduce_backward(grad_output)), len(rows))
        grad_x = grad_target = grad_weight = None
        if need_x:
            grad_x = back(grad_rows(grad_loss))
        if need_target:
            grad_target = surprise * ((1 - label_smoothing) * grad_loss)[:, None]
            grad_target = back(grad_target if weight is None else grad_target * weight)
        if need_weight and weight is not None:
            grad_weight = np.einsum("nj,nj,n->j", surprise, smoothed, grad_loss)
        return grad_x, grad_target, grad_weight

    return output, backward


def _losses_of_classes(x: Array, index: Array, weights: Array | None) -> tuple[Array, Callable[[Array], Array]]:
    """ℓ = −w log pᵧ of each row, and the function that carries grad_ℓ to w (pⱼ − 1[j = y]) grad_ℓ.

    With k the place of the largest score, eⱼ = exp(xⱼ − xₖ) and s = Σⱼ≠ₖ eⱼ,  −log pᵧ = log(1 + s) + xₖ − xᵧ,  pⱼ = eⱼ / (1 + s).
    """
    e, others = np.empty(x.shape, x.dtype), np.empty(len(x), x.dtype)
    first = np.arange(0, x.size, x.shape[1])  # of each row, in the flattened array
    k, y = np.empty_like(first), first + index
    x_flat, e_flat, parts = x.ravel(), e.ravel(), row_parts(x)

    def forward_part(i: int) -> None:
        part = parts[i]
        places, below = below_largest(x[part], out=e[part])
        _, others[part] = exp_others(below, places, out=below)
        np.add(places, first[part.start], out=k[part])

    in_threads(forward_part, len(parts))
    loss = np.log1p(others)
    loss += x_flat.take(k) - x_flat.take(y)
    if weights is not None:
        loss *= weights

    def grad_rows(grad_loss):
        scale = grad_loss / (others + 1.0)
        if weights is not None:
            scale *= weights
        grad = np.empty(x.shape, x.dtype)
        in_threads(lambda i: np.multiply(e[parts[i]], scale[parts[i], None], out=grad[parts[i]]), len(parts))
        grad_flat = grad.reshape(-1)
        grad_flat[k] = scale
        # pᵧ − 1 is −s / (1 + s) where y = k, all digits of it, else (eᵧ − 1 − s) / (1 + s).
        at_target = e_flat.take(y) - 1.0
        at_target *= k != y
        at_target -= others
        grad_flat[y] = at_target * scale
        return grad

    return loss, grad_rows


def _losses_of_distributions(x: Array, q: Array) -> tuple[Array, Callable[[Array], Array], Array]:
    """ℓ = −Σⱼ qⱼ log pⱼ of each row, the function that carries grad_ℓ to (pⱼ Σᵢ qᵢ − qⱼ) grad_ℓ, and −log p."""
    k, below = below_largest(x)
    e, others = exp_others(below, k)
    surprise = np.log1p(others)[:, None] - below

    def grad_rows(grad_loss):
        # For the largest k, p Σ q − q = (Σⱼ≠ₖ qⱼ − s qₖ) / (1 + s), in which nothing cancels as pₖ goes to 1.
        grad = np.negative(q, order="C")
        flat = grad.reshape(-1)
        q_largest = -flat.take(k)
        flat[k] = 0.0
        q_others = -sum_columns(grad)
        grad += e * ((q_others + q_largest) / (1.0 + others))[:, None]
        flat[k] = (q_others - others * q_largest) / (1.0 + others)
        grad *= grad_loss[:, None]
        return grad

    return np.vecdot(q, surprise), grad_rows, surprise


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
            (input, target),
            (self.weight,),
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
    index, classes, ignored = target.reshape(-1), x.shape[axis], None
    lowest, highest = smallest(index), largest(index)
    if lowest <= ignore_index <= highest:
        ignored = index == ignore_index
        index = np.where(ignored, 0, index)
        lowest, highest = smallest(index), largest(index)
    if lowest < 0 or highest >= classes:
        wrong = index[(index < 0) | (index >= classes)][0]
        raise ValueError(f"{op}: target must hold classes from 0 to {classes - 1}, got {wrong}")
    if weight is None and ignored is None:
        return axis, index, None, None, index.size
    weights = np.ones(index.shape, x.dtype) if weight is None else weight[index]
    if ignored is not None:
        weights[ignored] = 0.0
    return axis, index, ignored, weights, weights.sum()
