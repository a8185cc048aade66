"""Losses between a target and the parameters of a distribution: how unlikely the one is under the other."""

import math
from typing import Any

import numpy as np

from manual.contract import (
    REDUCTIONS,
    Array,
    Backward,
    broadcast_shape,
    require_choice,
    require_flags,
    require_floats,
    require_number,
)
from manual.elementwise import elementwise
from manual.module import Module

__all__ = ["GaussianNLLLoss", "KLDivLoss", "PoissonNLLLoss", "gaussian_nll_loss", "kl_div", "poisson_nll_loss"]


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
    require_flags(op, log_input=log_input, full=full)
    eps = require_number(op, "eps", eps)
    broadcast_shape(op, x=x, target=target)

    def curve(x, target):
        if log_input:
            rate, log_rate = np.exp(x), x
            slope = rate - target
        else:
            rate, shifted = x, x + eps
            log_rate = np.log(shifted)
            log_rate += (eps - (shifted - x)) / shifted  # the rounding of x + eps, which shows where the logarithm is near 0
            slope = 1.0 - target / shifted
        loss = rate - target * log_rate
        if not full:
            return loss, slope, lambda: -log_rate
        stirling, stirling_slope = _stirling(target)
        loss += stirling
        return loss, slope, lambda: stirling_slope() - log_rate

    return elementwise(op, curve, x, target, reduction=reduction)


def _stirling(t):
    """Stirling's approximation of log t! where t > 1, else 0; and what makes its slope."""
    above, c = t > 1.0, t.clip(1.0, math.inf)
    log_c = np.log(c)
    return above * ((c + 0.5) * log_c - c + 0.5 * math.log(2.0 * math.pi)), lambda: above * (log_c + 0.5 / c)


class PoissonNLLLoss(Module):
    """`poisson_nll_loss` as a module."""

    def __init__(self, log_input: bool = True, full: bool = False, *, eps: float = 1e-8, reduction: str = "mean") -> None:
        self.log_input, self.full, self.eps, self.reduction = log_input, full, eps, reduction

    def forward(self, log_input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the rate, or its logarithm, with the counts `target`."""
        return poisson_nll_loss(log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction)


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
    Kinks:     where var is less than eps, its gradient is that at v = eps, and not 0
    Source:    Nix & Weigend 1994, Estimating the mean and variance of the target probability distribution
    """
    op = "gaussian_nll_loss"
    is_number = type(var) is float
    require_floats(op, "x target var?" if is_number else "x target var", x, target, None if is_number else var)
    require_flags(op, full=full)
    eps = require_number(op, "eps", eps)
    variance = x.dtype.type(var) if is_number else _along(op, var, x)
    if (variance < 0.0).any():
        raise ValueError(f"{op}: var must not be negative, got {variance.min()}")
    broadcast_shape(op, x=x, target=target, var=variance)

    def curve(x, target, v):
        v = (variance if v is None else v).clip(eps, math.inf)
        difference = x - target
        slope = difference / v
        loss = slope * difference
        loss += np.log(v)
        loss *= 0.5
        if full:
            loss += 0.5 * math.log(2.0 * math.pi)
        return loss, slope, lambda: -slope, None if is_number else lambda: 0.5 * (1.0 / v - slope * slope)

    output, curve_backward = elementwise(op, curve, x, target, None if is_number else variance, reduction=reduction)

    def backward(grad_output, needs=None):
        grad_x, grad_target, grad_var = curve_backward(grad_output, needs)
        return grad_x, grad_target, None if grad_var is None else grad_var.reshape(np.shape(var))

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
        return gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


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
    broadcast_shape(op, x=x, target=target)
    require_flags(op, log_target=log_target)
    require_choice(op, "reduction", reduction, (*REDUCTIONS, "batchmean"))
    total = None
    if reduction == "batchmean":
        reduction, total = "mean", x.shape[0] if x.ndim else 1
    curve = _divergence_from_log_target if log_target else _divergence
    return elementwise(op, curve, x, target, reduction=reduction, total=total)


def _divergence(x, t):
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log(t)
    log_ratio = log_ratio.clip(-1000.0, math.inf)  # log 0 is −∞, and 0 · ∞ would be NaN; all other logarithms are above
    log_ratio -= x

    def target_slope():
        with np.errstate(invalid="ignore"):
            return log_ratio + t / t  # 1, but NaN where t = 0

    return t * log_ratio, lambda: -t, target_slope


def _divergence_from_log_target(x, log_t):
    t, log_ratio = np.exp(log_t), log_t - x
    return t * log_ratio, lambda: -t, lambda: t * (log_ratio + 1.0)


class KLDivLoss(Module):
    """`kl_div` as a module."""

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the log-probabilities `input` with `target`."""
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
