"""Cases of norms of weights, and of modules whose parameters have them."""

from typing import Any

import numpy as np
import torch

import manual
from reference import twins
from reference.case import Case, ModuleCase, Operation, build, normal, offset, uniform
from reference.cases.layers.normalization import scaled
from reference.exact import sqrt


def _slices(weight, dim):
    """The slices along a dimension as rows, or all as one row."""
    return weight.reshape(1, -1) if dim is None or dim == -1 else np.moveaxis(weight, dim, 0).reshape(weight.shape[dim], -1)


def _whole(rows, weight, dim):
    if dim is None or dim == -1:
        return rows.reshape(weight.shape)
    moved = np.moveaxis(weight, dim, 0)
    return np.moveaxis(rows.reshape(moved.shape), 0, dim)


def _weight_normalize(weight_g, weight_v, dim=0):
    rows = _slices(weight_v, dim)
    factor = weight_g.reshape(-1, 1) / sqrt((rows**2).sum(axis=1, keepdims=True))
    return [_whole(term, weight_v, dim) for term in scaled(rows, factor)]


def _spectral_normalize(weight, u, v, dim=0):
    rows = _slices(weight, dim % weight.ndim)  # of which −1 is the last
    return scaled(weight, 1 / (u[:, None] * rows * v).sum())


def _stretched(shape: tuple[int, ...], rows: int, columns: int):
    """A weight and vectors for which uᵀ W v does not cancel, as it does not for those that W stretches most."""
    return offset(1.0, *shape), uniform(0.5, 1.5, rows), uniform(0.5, 1.5, columns)


OPERATIONS = (
    Operation(
        manual.weight_normalize,
        lambda weight_g, weight_v, dim=0: torch._weight_norm(weight_v, weight_g, -1 if dim is None else dim),
        _weight_normalize,
        cases=(
            Case("rows of a matrix", (normal(3, 1), normal(3, 4))),
            Case("columns of a matrix", (normal(1, 4, 1), normal(3, 4, 2)), {"dim": 1}),
            Case("slices along the last of three", (normal(1, 1, 2), normal(3, 4, 2)), {"dim": 2}),
            Case("from the end", (normal(3, 1, 1), normal(3, 2, 2)), {"dim": -3}),
            Case("all", (normal(), normal(3, 4)), {"dim": None}),
            Case("all, as −1", (normal(), normal(3, 4)), {"dim": -1}),
            Case("numbers", (normal(3), normal(3)), zero=("grad_1",)),
        ),
        small=Case("64 × 64", (normal(64, 1), normal(64, 64))),
        large=Case("2048 × 2048", (normal(2048, 1), normal(2048, 2048))),
    ),
    Operation(
        manual.spectral_normalize,
        twins.spectral_normalize,
        _spectral_normalize,
        cases=(
            Case("a matrix", _stretched((3, 4), 3, 4)),
            Case("columns of a matrix", _stretched((3, 4), 4, 3), {"dim": 1}),
            Case("from the end", _stretched((3, 2, 4), 4, 6), {"dim": -1}),
            Case("kernels", _stretched((3, 2, 2, 2), 3, 8)),
            Case("one row", _stretched((1, 4), 1, 4)),
        ),
        small=Case("64 × 64", _stretched((64, 64), 64, 64)),
        large=Case("2048 × 2048", _stretched((2048, 2048), 2048, 2048)),
    ),
)

TOKENS = np.array([[3, 0, 3], [1, 4, 3]])


def _case(label, module, *arrays: Any, training=True):
    return ModuleCase(module, Case(label, arrays), training=training)


def _weight_norm(module, *args: Any, **kwargs: Any):
    return build("weight_norm", module, *args, **kwargs)


def _spectral_norm(module, *args: Any, **kwargs: Any):
    return build("spectral_norm", module, *args, **kwargs)


LINEAR, RNN = build("Linear", 4, 3), build("RNN", 3, 2)

MODULES = (
    _case("of a linear layer", _weight_norm(LINEAR), normal(5, 4)),
    _case("all, of a linear layer", _weight_norm(LINEAR, dim=None), normal(5, 4)),
    _case("of images, along the channels of the input", _weight_norm(build("Conv2d", 2, 3, 2), dim=1), normal(2, 2, 3, 3)),
    _case("of one of the weights of an LSTM", _weight_norm(build("LSTM", 3, 2), "weight_hh_l0"), normal(4, 2, 3)),
    _case("of two weights", _weight_norm(_weight_norm(RNN, "weight_hh_l0"), "weight_ih_l0"), normal(4, 2, 3)),
    _case("of an embedding", _weight_norm(build("Embedding", 6, 4)), TOKENS),
    _case("of a linear layer", _spectral_norm(LINEAR), normal(5, 4)),
    _case("of a linear layer, evaluated", _spectral_norm(LINEAR), normal(5, 4), training=False),
    _case("three steps a use, another axis", _spectral_norm(LINEAR, n_power_iterations=3, dim=1), normal(5, 4)),
    _case("of images", _spectral_norm(build("Conv2d", 2, 3, 2)), normal(2, 2, 3, 3)),
    _case("of a transposed convolution", _spectral_norm(build("ConvTranspose1d", 2, 3, 2)), normal(2, 2, 4)),
    _case("of a bias", _spectral_norm(LINEAR, "bias"), normal(5, 4)),
    _case("of a bias below eps", _spectral_norm(LINEAR, "bias", eps=100.0), normal(5, 4)),
    _case("a large eps", _spectral_norm(LINEAR, eps=1e3), normal(5, 4)),
    _case("after a norm of weights", _spectral_norm(_weight_norm(LINEAR)), normal(5, 4)),
)
