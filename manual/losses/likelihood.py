"""Losses between a target and the parameters of a distribution: how unlikely the one is under the other."""

import math
from typing import Any

import numpy as np

from manual.arrays import broadcast, sum_to_shape
from manual.contract import Array, Backward, broadcast_shape, require_floats
from manual.losses.reduction import reduce
from manual.arrays import to_both_sides
from manual.module import Module


def poisson_nll_loss(
    x: Array,
    target: Array,
    /,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Negative log-likelihood of counts t under a Poisson distribution of rate λ.

    Forward:   ℓ = λ − t log λ, where x is log λ, or λ itself (`log_input=False`), whose logarithm is taken as log(x + eps);
               `full` adds Stirling's approximation of log t! where t > 1:  t log t − t + ½ log 2πt;  L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = (exp(x) − t) g,  or (1 − t / (x + eps)) g;
               grad_target = −log λ g,  with `full` (−log λ + log t + 1 / 2t) g where t > 1      (g = grad_ℓ)
    Shapes:    x and target broadcast to one another; L () or, with reduction none, theirs
    Kinks:     at t = 1, where Stirling's approximation sets in, it has no gradient
    """
    op = "poisson_nll_loss"
    require_floats(op, "x target", x, target)
    x_shape, target_shape = x.shape, target.shape
    x, target = broadcast(op, x=x, target=target)
    if log_input:
        rate, log_rate = np.exp(x, out=...), x
    else:
        rate, held = x, np.add(x, eps, out=...)
        log_rate = np.log(held, out=...)
        log_rate += (eps - (held - x)) / held  # what the sum was rounded by: near log 1 = 0 it would be felt
    loss = np.multiply(target, log_rate, out=...)
    np.subtract(rate, loss, out=loss)
    if full:
        above, log_above = _above_one(target)
        loss += (target > 1.0) * ((above + 0.5) * log_above - above + 0.5 * math.log(2.0 * math.pi))
    output, reduce_backward = reduce(op, loss, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target = needs or (True, True)
        grad = reduce_backward(grad_output)
        grad_x = grad_target = None
        if need_x:
            if log_input:
                grad_x = np.subtract(rate, target, out=...)
            else:
                grad_x = np.divide(target, held, out=...)
                np.subtract(1.0, grad_x, out=grad_x)
            grad_x *= grad
            grad_x = sum_to_shape(grad_x, x_shape)
        if need_target:
            grad_target = np.negative(log_rate, out=...)
            if full:
                above, log_above = _above_one(target)
                grad_target += (target > 1.0) * (log_above + 0.5 / above)
            grad_target *= grad
            grad_target = sum_to_shape(grad_target, target_shape)
        return grad_x, grad_target

    return output, backward


def _above_one(target: Array) -> tuple[Array, Array]:
    above = np.maximum(target, 1.0, out=...)
    return above, np.log(above, out=...)


class PoissonNLLLoss(Module):
    """`poisson_nll_loss` as a module."""

    def __init__(self, log_input: bool = True, full: bool = False, *, eps: float = 1e-8, reduction: str = "mean") -> None:
        self.log_input, self.full, self.eps, self.reduction = log_input, full, eps, reduction

    def forward(self, log_input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the rate, or its logarithm, with the counts `target`."""
        return self.call(
            poisson_nll_loss,
            (log_input, target),
            log_input=self.log_input,
            full=self.full,
            eps=self.eps,
            reduction=self.reduction,
        )


def gaussian_nll_loss(
    x: Array,
    target: Array,
    var: Array | float,
    /,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> tuple[Array, Backward]:
    """Negative log-likelihood of a target t under a normal distribution of mean x and variance var.

    Forward:   with d = x − t and v = max(var, eps):  ℓ = ½ (log v + d² / v), with `full` also + ½ log 2π;
               L = ℓ, Σ ℓ or Σ ℓ / n
    Backward:  grad_x = d / v g,  grad_target = −grad_x,  grad_var = ½ (1 − d² / v) / v g      (g = grad_ℓ)
    Shapes:    x and target broadcast to one another; var has the shape of x, or x's with one axis of 1, or x's without its last
               axis, or is a number, which has no gradient; L () or, with reduction none, the broadcast shape
    Kinks:     the gradient of var is that at v, and does not stop where eps does
    Source:    Nix & Weigend 1994, Estimating the mean and variance of the target probability distribution
    """
    op = "gaussian_nll_loss"
    is_number = type(var) is float
    require_floats(op, "x target var", x, target, None if is_number else var)
    variance = np.full((), var, x.dtype) if is_number else _along(op, var, x)
    if (variance < 0.0).any():
        raise ValueError(f"{op}: var must not be negative, got {variance.min()}")
    broadcast_shape(op, x=x, target=target, var=variance)
    variance = np.maximum(variance, eps, out=...)
    difference = np.subtract(x, target, out=...)
    scaled = np.divide(difference, variance, out=...)
    loss = np.multiply(scaled, difference, out=...)
    loss += np.log(variance)
    loss *= 0.5
    if full:
        loss += 0.5 * math.log(2.0 * math.pi)
    output, reduce_backward = reduce(op, loss, reduction)

    def backward(grad_output, needs=None):
        need_x, need_target, need_var = needs or (True, True, True)
        grad = reduce_backward(grad_output)
        grad_x = grad_target = grad_var = None
        if need_x or need_target:
            grad_x, grad_target = to_both_sides(scaled * grad, x, target, need_x, need_target)
        if need_var and not is_number:
            grad_var = np.multiply(scaled, scaled, out=...)
            np.subtract(1.0 / variance, grad_var, out=grad_var)
            grad_var *= grad
            grad_var *= 0.5
            grad_var = sum_to_shape(grad_var, variance.shape).reshape(np.shape(var))
        return grad_x, grad_target, grad_var

    return output, backward


def _along(op: str, var: Any, x: Array) -> Array:
    """The variance in a shape that broadcasts along x; those that torch does not take are refused."""
    if var.shape == x.shape:
        return var
    if var.shape == x.shape[:-1]:
        return np.expand_dims(var, -1)
    if var.ndim == x.ndim and [size for size, expected in zip(var.shape, x.shape) if size != expected] == [1]:
        return var
    raise ValueError(f"{op}: var must have the shape of x, {x.shape}, with one axis of 1 or without the last, got {var.shape}")


class GaussianNLLLoss(Module):
    """`gaussian_nll_loss` as a module."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        self.full, self.eps, self.reduction = full, eps, reduction

    def forward(self, input: Array, target: Array, var: Array | float) -> tuple[Array, Backward]:
        """Compare the mean `input` with `target`, given the variance."""
        return self.call(gaussian_nll_loss, (input, target, var), full=self.full, eps=self.eps, reduction=self.reduction)


def kl_div(x: Array, target: Array, /, *, reduction: str = "mean", log_target: bool = False) -> tuple[Array, Backward]:
    """Kullback–Leibler divergence of a distribution with log-probabilities x from a target distribution.

    Forward:   ℓ = t (log t − x), 0 where t = 0;  with `log_target`, t̂ = log t being given, ℓ = exp(t̂) (t̂ − x)
               L = ℓ, Σ ℓ, Σ ℓ / n (mean: n elements) or Σ ℓ / N (batchmean: N = len(x), or 1)
    Backward:  grad_x = −t g,  grad_target = (log t + 1 − x) g;  with `log_target` (t̂ + 1 − x) exp(t̂) g      (g = grad_ℓ)
    Shapes:    x and target broadcast to one another; L () or, with reduction none, theirs
    Kinks:     at t = 0 the gradient of the target is NaN, at t < 0 the loss too
    Source:    Kullback & Leibler 1951, On Information and Sufficiency
    """
    op = "kl_div"
    require_floats(op, "x target", x, target)
    x_shape, target_shape = x.shape, target.shape
    x, target = broadcast(op, x=x, target=target)
    if log_target:
        t = np.exp(target, out=...)
        loss = np.subtract(target, x, out=...)
    else:
        t = target
        with np.errstate(divide="ignore", invalid="ignore"):
            loss = np.log(t, out=...)
        np.maximum(loss, np.finfo(x.dtype).min, out=loss)  # −∞ where t = 0, and 0 · ∞ is NaN
        loss -= x
    loss *= t
    if reduction not in ("none", "mean", "sum", "batchmean"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean', 'sum' or 'batchmean', got {reduction!r}")
    total = None
    if reduction == "batchmean":
        reduction, total = "mean", x_shape[0] if x_shape else 1
    output, reduce_backward = reduce(op, loss, reduction, total)

    def backward(grad_output, needs=None):
        need_x, need_target = needs or (True, True)
        grad = reduce_backward(grad_output)
        grad_x = grad_target = None
        if need_x:
            grad_x = np.negative(sum_to_shape(t * grad, x_shape), out=...)
        if need_target:
            if log_target:
                grad_target = np.add(loss, t, out=...)
            else:
                with np.errstate(invalid="ignore"):  # 0 / 0 where t = 0
                    grad_target = np.divide(loss, t, out=...)
                grad_target += 1.0
            grad_target *= grad
            grad_target = sum_to_shape(grad_target, target_shape)
        return grad_x, grad_target

    return output, backward


class KLDivLoss(Module):
    """`kl_div` as a module."""

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the log-probabilities `input` with `target`."""
        return self.call(kl_div, (input, target), reduction=self.reduction, log_target=self.log_target)
