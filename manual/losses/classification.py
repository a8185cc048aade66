"""Losses between a prediction and a class: two classes, or many."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.activations.normalized import below_largest, exp_others
from manual.contract import Array, Backward, broadcast_shape, require_floats, require_indices, require_shape
from manual.losses.reduction import reduce
from manual.module import Module


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
    positive = target if pos_weight is None else target * pos_weight
    negative = 1 - target
    e = np.exp(-np.abs(x))
    # ς(x) = max(x, 0) + log(1 + e), and ς(−x) = max(−x, 0) + log(1 + e)
    log_rest, softplus, softplus_minus = np.log1p(e), np.maximum(x, 0), np.maximum(-x, 0)
    softplus = softplus + log_rest
    softplus_minus = softplus_minus + log_rest
    loss = positive * softplus_minus + negative * softplus
    if weight is not None:
        loss = loss * weight
    output, reduce_backward = reduce(op, np.asarray(loss), reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, *_ = needs or (True, True, False, False)
        grad_loss = reduce_backward(grad_output)
        if weight is not None:
            grad_loss = grad_loss * weight
        grad_x = grad_target = None
        if need_x:
            # σ(x) and σ(−x): 1 / (1 + e) for the side x lies on, e / (1 + e) for the other
            sigmoid, sigmoid_minus = np.maximum(e, x >= 0), np.maximum(e, x <= 0)
            grad_x = (negative * sigmoid - positive * sigmoid_minus) / (1 + e) * grad_loss
        if need_target:
            weighed = softplus_minus if pos_weight is None else pos_weight * softplus_minus
            grad_target = (weighed - softplus) * grad_loss
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
    axis = _class_axis(op, x, weight)
    index, kept, weights = _class_targets(op, x, target, weight, ignore_index, axis)
    loss = np.where(kept, -weights * np.take_along_axis(x, index, axis), 0)
    output, reduce_backward = reduce(op, loss.reshape(target.shape), reduction, weights.sum())

    def backward(grad_output, needs=None):
        grad_loss = np.asarray(reduce_backward(grad_output))
        if needs is not None and not needs[0]:
            return None, None, None
        if reduction == "none":
            grad_loss = np.expand_dims(grad_loss, axis)
        grad_x = np.zeros_like(x)
        np.put_along_axis(grad_x, index, np.where(kept, -weights * grad_loss, 0), axis)
        return grad_x, None, None

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
    axis = _class_axis(op, x, weight)
    if isinstance(target, np.ndarray) and target.dtype.kind == "f" and target.shape == x.shape:
        require_floats(op, "x target", x, target)
        if ignore_index >= 0:
            raise ValueError(f"{op}: ignore_index is for class indices, got {ignore_index} with class probabilities")
        return _cross_entropy_of_probabilities(x, target, weight, axis, reduction, label_smoothing)
    index, kept, weights = _class_targets(op, x, target, weight, ignore_index, axis)
    if label_smoothing == 0:
        return _cross_entropy_of_classes(x, index, kept, weights, axis, reduction)
    q = np.zeros_like(x)
    q += label_smoothing / x.shape[axis] * (1 if weight is None else _along(weight, x, axis))
    np.put_along_axis(q, index, np.take_along_axis(q, index, axis) + (1 - label_smoothing) * weights, axis)
    q *= kept
    output, grad_scores, _ = _cross_entropy_of_weights(x, q, axis, reduction, weights.sum())

    def backward(grad_output, needs=None):
        return (grad_scores(grad_output) if needs is None or needs[0] else None), None, None

    return output, backward


def _cross_entropy_of_classes(
    x: Array, index: Array, kept: Array, weights: Array, axis: int, reduction: str
) -> tuple[Array, Backward]:
    largest, below = below_largest(x, axis)
    below_target = np.take_along_axis(below, index, axis)
    e, others = exp_others(below, largest, axis, out=below)
    loss = np.where(kept, weights * (np.log1p(others) - below_target), 0)
    output, reduce_backward = reduce("cross_entropy", loss.squeeze(axis), reduction, weights.sum())

    def backward(grad_output, needs=None):
        grad_loss = np.asarray(reduce_backward(grad_output))
        if needs is not None and not needs[0]:
            return None, None, None
        if reduction == "none":
            grad_loss = np.expand_dims(grad_loss, axis)
        # p = e / (1 + s). At the target p − 1 = −s / (1 + s) where it is the largest itself, else (eₜ − 1 − s) / (1 + s).
        scale = np.where(kept, weights * grad_loss, 0) / (1 + others)
        grad_x = e * scale
        at_target = np.where(index == largest, -others, np.take_along_axis(e, index, axis) - 1 - others)
        np.put_along_axis(grad_x, largest, scale, axis)
        np.put_along_axis(grad_x, index, at_target * scale, axis)
        return grad_x, None, None

    return output, backward


def _cross_entropy_of_probabilities(
    x: Array, target: Array, weight: Array | None, axis: int, reduction: str, label_smoothing: float
) -> tuple[Array, Backward]:
    classes = x.shape[axis]
    smoothed = target if label_smoothing == 0 else (1 - label_smoothing) * target + label_smoothing / classes
    weights = None if weight is None else _along(weight, x, axis)
    q = smoothed if weights is None else smoothed * weights
    output, grad_scores, minus_log_p = _cross_entropy_of_weights(x, q, axis, reduction, x.size // classes)

    def backward(grad_output, needs=None):
        need_x, need_target, need_weight = needs or (True, True, weight is not None)
        grad_target = grad_weight = None
        if need_target or need_weight:
            surprise = minus_log_p(grad_output)
            if need_target:
                grad_target = surprise * (1 - label_smoothing)
                if weights is not None:
                    grad_target *= weights
            if need_weight and weight is not None:
                surprise *= smoothed
                grad_weight = surprise.sum(axis=tuple(d for d in range(x.ndim) if d != axis))
        return (grad_scores(grad_output) if need_x else None), grad_target, grad_weight

    return output, backward


def _cross_entropy_of_weights(
    x: Array, q: Array, axis: int, reduction: str, total: Any
) -> tuple[Array, Callable[[Any], Array], Callable[[Any], Array]]:
    """ℓ = −Σⱼ qⱼ log pⱼ, and the functions that carry grad_L to (pⱼ Σᵢ qᵢ − qⱼ) g and to −log pⱼ g."""
    largest, below = below_largest(x, axis)
    e, others = exp_others(below, largest, axis)
    surprise = np.log1p(others) - below  # −log p
    output, reduce_backward = reduce("cross_entropy", np.asarray((q * surprise).sum(axis)), reduction, total)

    def grad_losses(grad_output):
        grad_loss = np.asarray(reduce_backward(grad_output))
        return np.expand_dims(grad_loss, axis) if reduction == "none" else grad_loss

    def grad_scores(grad_output):
        # For the largest k, p Σ q − q = (Σⱼ≠ₖ qⱼ − s qₖ) / (1 + s), in which nothing cancels as pₖ goes to 1.
        q_largest = np.take_along_axis(q, largest, axis)
        q_others = q.copy()
        np.put_along_axis(q_others, largest, 0, axis)
        q_rest = q_others.sum(axis=axis, keepdims=True)
        grad = e * ((q_rest + q_largest) / (1 + others))
        grad -= q_others
        np.put_along_axis(grad, largest, (q_rest - others * q_largest) / (1 + others), axis)
        grad *= grad_losses(grad_output)
        return grad

    return output, grad_scores, lambda grad_output: surprise * grad_losses(grad_output)


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
    op: str, x: Array, target: Array, weight: Array | None, ignore_index: int, axis: int
) -> tuple[Array, Array, Array]:
    """Check class indices, and return them with the class axis (0 where ignored), which are kept, and their weights."""
    require_indices(op, "target", target)
    require_shape(op, "target", target, x.shape[:axis] + x.shape[axis + 1 :])
    target = np.expand_dims(target, axis)
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    classes = x.shape[axis]
    if index.size and not (index.min() >= 0 and index.max() < classes):
        wrong = index[(index < 0) | (index >= classes)][0]
        raise ValueError(f"{op}: target must hold classes from 0 to {classes - 1}, got {wrong}")
    weights = kept.astype(x.dtype) if weight is None else weight[index] * kept
    return index, kept, weights


def _along(weight: Array, x: Array, axis: int) -> Array:
    return weight.reshape(-1, *(1,) * (x.ndim - axis - 1))
