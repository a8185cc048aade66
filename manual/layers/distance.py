"""Distances between vectors, and the cosine of the angle between them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from manual.arrays import broadcast, sum_to_shape
from manual.contract import (
    Array,
    Backward,
    broadcast_shape,
    cotangent,
    needed,
    require_axis,
    require_flags,
    require_floats,
    require_number,
)
from manual.module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance", "cosine_similarity", "pairwise_distance", "pdist"]

Norm = tuple[Array, Callable[[Array], Array]]


def cosine_similarity(x1: Array, x2: Array, /, *, dim: int = 1, eps: float = 1e-8) -> tuple[Array, Backward]:
    """The cosine of the angle between two vectors.

    Forward:   c = x1 · x2 / (A₁ A₂),  A = max(‖x‖₂, eps)
    Backward:  grad_x1 = (x2 − x1 (x1 · x2) / (A₁ ‖x1‖₂)) g / (A₁ A₂),  and grad_x2 likewise      (g = grad_c)
    Shapes:    x1, x2 (...) broadcast to one another, c without the axis `dim` of what they broadcast to
    Corners:   where A = eps, the derivative of A is that of the norm nevertheless, as in torch; at x = 0 it is 0
    """
    op = "cosine_similarity"
    require_floats(op, "x1 x2", x1, x2)
    eps = require_number(op, "eps", eps, "a number of at least 0")
    a, b = map(np.atleast_1d, broadcast(op, x1=x1, x2=x2))
    axis = require_axis(op, a, dim)
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    dot, square1, square2 = np.vecdot(a, b), np.vecdot(a, a), np.vecdot(b, b)
    norm1, norm2 = np.sqrt(square1), np.sqrt(square2)
    clamped1, clamped2 = np.maximum(norm1, eps), np.maximum(norm2, eps)
    output = dot / clamped1 / clamped2
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x1, need_x2 = needed(op, needs, 2)
        g = cotangent(op, grad_output, shape, dtype)

        def gradient(x, other, square, norm, clamped):
            along = dot / (square + (square == 0.0)) * (norm / clamped)  # where x = 0 so is its product with this
            grad = other - x * along[..., None]
            grad *= (g / clamped1 / clamped2)[..., None]
            return np.moveaxis(grad, -1, axis)

        return (
            sum_to_shape(gradient(a, b, square1, norm1, clamped1), x1.shape) if need_x1 else None,
            sum_to_shape(gradient(b, a, square2, norm2, clamped2), x2.shape) if need_x2 else None,
        )

    return output, backward


class CosineSimilarity(Module):
    """`cosine_similarity` as a module."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim, self.eps = dim, eps

    def forward(self, x1: Array, x2: Array) -> tuple[Array, Backward]:
        """Apply `cosine_similarity` along `dim`."""
        return cosine_similarity(x1, x2, dim=self.dim, eps=self.eps)


def pairwise_distance(
    x1: Array, x2: Array, /, *, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> tuple[Array, Backward]:
    """The distance between vectors, one pair at a time.

    Forward:   d = ‖δ‖ₚ,  δ = x1 − x2 + eps,  ‖δ‖ₚ = (Σ |δᵢ|ᵖ)^(1/p);  p = 0 counts δᵢ ≠ 0;  p = ±∞: the largest or smallest |δᵢ|
    Backward:  grad_x1 = sign(δ) (|δ| / d)ᵖ⁻¹ g,  grad_x2 = −grad_x1      (g = grad_d)
    Shapes:    x1, x2 (..., D) broadcast to one another, d (...), with `keepdim` (..., 1)
    Kinks:     where d or δᵢ is 0, so is the gradient, and with p = 0 everywhere; p = ±∞: those that tie share it equally
    """
    op = "pairwise_distance"
    require_floats(op, "x1 x2", x1, x2)
    broadcast_shape(op, x1=x1, x2=x2)
    p, eps = require_number(op, "p", p), require_number(op, "eps", eps)
    require_flags(op, keepdim=keepdim)
    distance, distance_backward = distance_between(op, x1, x2, p=p, eps=eps)
    output = distance[..., None] if keepdim and (x1.ndim or x2.ndim) else distance
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        needs = needed(op, needs, 2)
        return distance_backward(cotangent(op, grad_output, shape, dtype).reshape(distance.shape), needs)

    return output, backward


def distance_between(op: str, x1: Array, x2: Array, *, p: float, eps: float) -> tuple[Array, Backward]:
    """The same for those who have checked their arguments."""
    difference = np.atleast_1d(x1 - x2)
    difference += eps
    if math.isnan(p) or ((p < 0 or p == math.inf) and not difference.shape[-1]):
        raise ValueError(f"{op}: p must be a number that there is a norm for, got {p} for {difference.shape[-1]} numbers")
    distance, norm_backward = norm(difference, p)
    distance = np.asarray(distance)
    distance.flags.writeable = False

    def backward(grad_output, needs):
        need_x1, need_x2 = needs
        if not (need_x1 or need_x2):
            return None, None
        grad = norm_backward(grad_output)
        return sum_to_shape(grad, x1.shape) if need_x1 else None, -sum_to_shape(grad, x2.shape) if need_x2 else None

    return distance, backward


def norm(x: Array, p: float, *, shared: bool = True) -> Norm:
    """The norm along the last axis, and its gradient; with p = ±∞, whether those that tie share it."""
    if p == 2.0:
        return _euclidean_norm(x)
    if p == 0.0:
        return np.add.reduce(x != 0.0, axis=-1, dtype=x.dtype), lambda grad_output: np.zeros_like(x)
    return _extreme_norm(x, p, shared) if math.isinf(p) else _minkowski_norm(x, p)


def _euclidean_norm(x: Array) -> Norm:
    """The norm n = ‖x‖₂ along the last axis;  grad_x = x / n · grad_n."""
    norm = np.sqrt(np.vecdot(x, x))

    def backward(grad_output):
        slope = x / (norm + (norm == 0.0))[..., None]  # where x = 0 so is the slope, whatever it is divided by
        slope *= grad_output[..., None]
        return slope

    return norm, backward


def _extreme_norm(x: Array, p: float, shared: bool) -> Norm:
    """The largest or the smallest |xᵢ|;  grad_xᵢ = sign(xᵢ) grad_n there."""
    norm = np.max(abs(x), axis=-1, initial=0.0) if p > 0 else np.min(abs(x), axis=-1)

    def backward(grad_output):
        slope = (abs(x) == norm[..., None]).astype(x.dtype)
        if shared:
            slope /= np.vecdot(slope, slope)[..., None]  # the number of those that tie
        slope *= np.sign(x)
        slope *= grad_output[..., None]
        return slope

    return norm, backward


def _minkowski_norm(x: Array, p: float) -> Norm:
    """The norm n = (Σ |xᵢ|ᵖ)^(1/p) along the last axis;  grad_xᵢ = sign(xᵢ) (|xᵢ| / n)ᵖ⁻¹ grad_n.

    With q = |x| / m no power overflows: n = m s^(1/p) and (|x| / n)ᵖ⁻¹ = qᵖ⁻¹ s^(1/p − 1), where s = Σ qᵖ. As m serves the power
    of two below the largest |x|, or for p < 0 below the smallest, which divides without rounding; the largest itself, where p is
    so great that 2ᵖ overflows. Where that is 0, so are n and the gradient.
    """
    extreme, _ = _extreme_norm(x, p, True)
    found = extreme != 0.0
    scale = np.ldexp(np.ones_like(extreme), np.frexp(extreme)[1] - 1) if abs(p) < 64.0 else extreme + ~found
    q = abs(x) / scale[..., None]
    total = np.add.reduce(_power(q, p), axis=-1) + ~found
    norm = found * scale * total ** (1.0 / p)

    def backward(grad_output):
        slope = _power(q, p - 1.0)
        slope *= np.sign(x)
        slope *= (grad_output * found * total ** (1.0 / p - 1.0))[..., None]
        return slope

    return norm, backward


def _power(x: Array, p: float) -> Array:
    """xᵖ, or 0 at x = 0, for p < 0 too."""
    return np.power(x, p, out=np.zeros_like(x), where=x != 0.0)


class PairwiseDistance(Module):
    """`pairwise_distance` as a module."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Array, x2: Array) -> tuple[Array, Backward]:
        """Apply `pairwise_distance`."""
        return pairwise_distance(x1, x2, p=self.p, eps=self.eps, keepdim=self.keepdim)


def pdist(x: Array, /, *, p: float = 2.0) -> tuple[Array, Backward]:
    """The distances between all vectors, each pair once.

    Forward:   dᵢⱼ = ‖xᵢ − xⱼ‖ₚ for i < j, in the order (0, 1), (0, 2), …, (1, 2), …
    Backward:  grad_xᵢ = Σⱼ sign(δ) (|δ| / dᵢⱼ)ᵖ⁻¹ gᵢⱼ,  δ = xᵢ − xⱼ,  gᵢⱼ = gⱼᵢ      (g = grad_d)
    Shapes:    x (N, D), d (N (N − 1) / 2)
    Kinks:     as in `pairwise_distance`, but with p = ∞ each of those that tie gets the whole gradient
    """
    require_floats("pdist", "x", x)
    p = require_number("pdist", "p", p, "a number of at least 0")
    if x.ndim != 2:
        raise ValueError(f"pdist: x must have shape (N, D), got {x.shape}")
    pairs = _pairs(len(x), x.dtype)
    output, norm_backward = norm(pairs @ x, p, shared=False)
    output.flags.writeable = False
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        if not needed("pdist", needs, 1)[0]:
            return (None,)
        return (pairs.T @ norm_backward(cotangent("pdist", grad_output, shape, dtype)),)

    return output, backward


def _pairs(n: int, dtype: Any) -> Any:
    """The sparse matrix that takes n vectors to the differences of each two of them: in each row a 1 and a −1."""
    i, j = np.triu_indices(n, 1)
    signs = np.tile(np.array([1.0, -1.0], dtype), len(i))
    return csr_array((signs, np.column_stack([i, j]).reshape(-1), np.arange(0, len(signs) + 1, 2)), shape=(len(i), n))
