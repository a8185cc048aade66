"""Norms of weights: a parameter is computed from others, so that its length, or the largest stretch that it can give, is known."""

import math
from typing import Any

import numpy as np

from manual.arrays import row_sums
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_axis,
    require_floats,
    require_generator,
    require_integer,
    require_number,
    require_shape,
)
from manual.initialization import standard_normal
from manual.layers.response_norm import normalize
from manual.layers.transposed_convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from manual.module import Buffer, Module
from manual.parametrizations import AnyModule, parameter_of, register_parametrization

__all__ = ["spectral_norm", "spectral_normalize", "weight_norm", "weight_normalize"]


def weight_normalize(weight_g: Array, weight_v: Array, /, *, dim: int | None = 0) -> tuple[Array, Backward]:
    """Give each slice of an array along one dimension, or all of it, a length of its own.

    Forward:   w = g n,  n = v / ‖v‖,  ‖v‖ = √(Σ v²)      (Σ over all dimensions but `dim`; over all where it is None or −1)
    Backward:  grad_g = Σ grad_w · n,  grad_v = g / ‖v‖ · (grad_w − n · grad_g)
    Shapes:    weight_v, w (..., K, ...); weight_g (1, ..., K, ..., 1), or () for all
    Corners:   v = 0 has no direction: NaN
    Source:    Salimans & Kingma 2016, Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Networks
    """
    op = "weight_normalize"
    require_floats(op, "weight_g weight_v", weight_g, weight_v)
    axis = _axis_of_norm(op, weight_v, dim)
    require_shape(op, "weight_g", weight_g, _norm_shape(weight_v, axis))
    shape, dtype = weight_v.shape, weight_v.dtype
    rows = _rows(weight_v, axis)
    norm = _row_norms(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit, scale = rows / norm, weight_g.reshape(-1, 1) / norm
        output = _from_rows(weight_g.reshape(-1, 1) * unit, shape, axis)

    def backward(grad_output, needs=None):
        need_g, need_v = needed(op, needs, 2)
        grad = _rows(cotangent(op, grad_output, shape, dtype), axis)
        grad_g = row_sums(grad * unit)[:, None]
        grad_v = _from_rows(scale * (grad - unit * grad_g), shape, axis) if need_v else None
        return (grad_g.reshape(weight_g.shape) if need_g else None), grad_v

    return output, backward


def spectral_normalize(weight: Array, u: Array, v: Array, /, *, dim: int = 0) -> tuple[Array, Backward]:
    """Divide an array, a matrix whose rows are its slices along one dimension, by how far it stretches v in the direction u.

    Forward:   y = W / σ,  σ = uᵀ W v
    Backward:  grad_W = grad_y / σ + s u vᵀ,  grad_u = s W v,  grad_v = s Wᵀ u,  s = −Σ grad_y · W / σ²
    Shapes:    weight, y (..., K, ...); u (K), v (M), M the number of elements of a slice
    Corners:   σ = 0: what NumPy makes of a division by 0
    Source:    Miyato, Kataoka, Koyama & Yoshida 2018, Spectral Normalization for Generative Adversarial Networks
    """
    op = "spectral_normalize"
    require_floats(op, "weight u v", weight, u, v)
    axis = require_axis(op, weight, dim)
    if weight.ndim < 2:
        raise ValueError(f"{op}: weight must have at least 2 axes, got shape {weight.shape}; of a vector, use normalize")
    matrix, shape, dtype = _rows(weight, axis), weight.shape, weight.dtype
    require_shape(op, "u", u, matrix.shape[:1])
    require_shape(op, "v", v, matrix.shape[1:])
    stretched = matrix.dot(v)
    sigma = u.dot(stretched)
    with np.errstate(divide="ignore", invalid="ignore"):
        output = weight / sigma

    def backward(grad_output, needs=None):
        need_weight, need_u, need_v = needed(op, needs, 3)
        grad = _rows(cotangent(op, grad_output, shape, dtype), axis)
        with np.errstate(divide="ignore", invalid="ignore"):
            s = -row_sums(row_sums(grad * matrix)) / sigma / sigma
            grad_weight = _from_rows(grad / sigma + np.multiply.outer(s * u, v), shape, axis) if need_weight else None
            return grad_weight, (s * stretched if need_u else None), (s * u.dot(matrix) if need_v else None)

    return output, backward


def _axis_of_norm(op: str, weight: Array, dim: int | None) -> int | None:
    """The axis along which each slice has a norm; `None` where all is one slice: as in torch, −1 says so too."""
    return None if dim is None or require_axis(op, weight, dim) == -1 else dim


def _norm_shape(weight: Array, axis: int | None) -> tuple[int, ...]:
    """The shape of the norms of all slices along an axis."""
    return () if axis is None else tuple(size if i == axis % weight.ndim else 1 for i, size in enumerate(weight.shape))


def _row_norms(rows: Array) -> Array:
    return np.sqrt(row_sums(rows * rows))[:, None]


def _rows(array: Array, axis: int | None) -> Array:
    """The slices along an axis as rows of a matrix, or all as one row."""
    if axis is None:
        return array.reshape(1, array.size)
    moved = np.moveaxis(array, axis, 0)
    return moved.reshape(len(moved), math.prod(moved.shape[1:]))


def _from_rows(rows: Array, shape: tuple[int, ...], axis: int | None) -> Array:
    """Undo `_rows`."""
    if axis is None:
        return rows.reshape(shape)
    size = shape[axis]
    others = np.delete(shape, axis)
    return np.moveaxis(rows.reshape(size, *others), 0, axis)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        self.dim = dim

    def forward(self, weight_g: Array, weight_v: Array) -> tuple[Array, Backward]:
        return self.call(weight_normalize, weight_g, weight_v, dim=self.dim)

    def right_inverse(self, weight: Array) -> tuple[Array, Array]:
        return _row_norms(_rows(weight, self.dim)).reshape(_norm_shape(weight, self.dim)), weight.copy()


def weight_norm(module: AnyModule, name: str = "weight", dim: int | None = 0) -> AnyModule:
    """Let a module learn the lengths and the directions of a parameter: `weight_normalize`, of `original0` and `original1`.

    Each slice along `dim` has a length, or all of it together (`None`). The module is changed, and returned. The two are parameters
    that an optimizer must be told of.
    Source:    Salimans & Kingma 2016, Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Networks
    """
    axis = _axis_of_norm("weight_norm", parameter_of("weight_norm", module, name).data, dim)
    return register_parametrization(module, name, _WeightNorm(axis))


class _SpectralNorm(Module):
    _u: Any
    _v: Any

    def __init__(
        self, weight: Array, n_power_iterations: int, eps: float, dim: int, generator: np.random.Generator | None = None
    ) -> None:
        self.n_power_iterations, self.eps, self.dim = n_power_iterations, eps, dim
        if weight.ndim > 1:
            rows = _rows(weight, dim)
            start = [_unit(standard_normal((size,), weight.dtype, generator), eps) for size in rows.shape]
            u, v = _power_iterations(rows, start[0], start[1], 15, eps)
            self._u, self._v = Buffer(u), Buffer(v)

    def forward(self, weight: Array) -> tuple[Array, Backward]:
        if weight.ndim == 1:
            return self.call(normalize, weight, dim=0, eps=self.eps)
        count = self.n_power_iterations if self.training else 0
        u, v = _power_iterations(_rows(weight, self.dim), self._u.copy(), self._v.copy(), count, self.eps)
        np.copyto(self._u, u)
        np.copyto(self._v, v)
        return self.call(spectral_normalize, weight, Buffer(u), Buffer(v), dim=self.dim)

    def right_inverse(self, weight: Array) -> Array:
        return weight


def _power_iterations(matrix: Array, u: Array, v: Array, count: int, eps: float) -> tuple[Array, Array]:
    """Turn u and v towards what the matrix stretches most: u ← W v / ‖W v‖, v ← Wᵀ u / ‖Wᵀ u‖."""
    for _ in range(count):
        u = _unit(matrix.dot(v), eps)
        v = _unit(u.dot(matrix), eps)
    return u, v


def _unit(vector: Array, eps: float) -> Array:
    return vector / max(np.sqrt(vector.dot(vector)), vector.dtype.type(eps))


def spectral_norm(
    module: AnyModule,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    *,
    generator: np.random.Generator | None = None,
) -> AnyModule:
    """Divide a parameter, wherever its module uses it, by the largest singular value of the matrix of its slices along `dim`.

    Forward:   `spectral_normalize` of `original`, with vectors u and v near those that W stretches most: in training mode each use
               of the parameter takes `n_power_iterations` steps u ← W v / ‖W v‖, v ← Wᵀ u / ‖Wᵀ u‖ first (15 at the beginning,
               from random directions), and no gradient goes through these. A vector is divided by its norm. No norm is taken to
               be below `eps`
    Settings:  `dim` is 1 for transposed convolutions, and 0 for others, unless it is given
    Source:    Miyato, Kataoka, Koyama & Yoshida 2018, Spectral Normalization for Generative Adversarial Networks
    """
    op = "spectral_norm"
    weight = parameter_of(op, module, name).data
    if not weight.ndim:
        raise ValueError(f"{op}: {name} must have an axis, got shape ()")
    if dim is None:
        dim = 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0
    require_axis(op, weight, dim)
    count = require_integer(op, "n_power_iterations", n_power_iterations, 1)
    eps = require_number(op, "eps", eps, "a number of at least 0")
    require_generator(op, generator)
    return register_parametrization(module, name, _SpectralNorm(weight, count, eps, dim, generator))
