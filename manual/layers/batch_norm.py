"""Normalisation of each channel: over the batch (batch norm) or within a sample (instance norm), with what past batches left."""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_dtype,
    require_flags,
    require_floats,
    require_integer,
    require_number,
    require_shape,
)
from manual.layers.normalization import affine, own_affine, require_channels, standardize, through_statistics
from manual.module import Buffer, Module, Parameter
from manual.rows import by_groups

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "batch_norm",
    "instance_norm",
]

Statistics = tuple[Array, Array, Array]  # an output, and the mean and the variance with which it was normalised


def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Backward]:
    """Normalise each channel over the batch, or with given statistics, then scale and shift it.

    Forward:   x̂ = (x − mean) / σ,  σ = √(var + eps),  y = weight · x̂ + bias
    Backward:  training, where mean and var are those of the batch:
                   grad_x = weight (g − mean(g) − x̂ · mean(g · x̂)) / σ
               else, where they are running_mean and running_var:
                   grad_x = weight · g / σ
               grad_weight = Σ g · x̂,  grad_bias = Σ g      (g = grad_y; Σ over samples and cells)
    Shapes:    x, y (N, C, ...); running_mean, running_var, weight, bias (C). The running statistics have no gradient
    Corners:   the running statistics are never changed, whatever the `momentum`: the modules do that for theirs
    Source:    Ioffe & Szegedy 2015, Batch Normalization
    """
    require_number("batch_norm", "momentum", momentum)
    (output, _, _), backward = _batch_norm(x, running_mean, running_var, weight, bias, training=training, eps=eps)
    return output, backward


def _batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    /,
    *,
    training: bool,
    eps: float,
) -> tuple[Statistics, Backward]:
    """`batch_norm`, and the mean and variance that it used."""
    op = "batch_norm"
    _check(op, x, running_mean, running_var, weight, bias, "training", training)
    eps = require_number(op, "eps", eps, "a positive number" if training else "a number of at least 0")
    channels = x.shape[1]
    if training and x.size == channels:
        raise ValueError(f"{op}: x must have more than one value in each channel when training, got {x.shape}")
    statistics = (None, None) if training else (running_mean, running_var)
    cells = len(x), channels, math.prod(x.shape[2:])
    return _by_channels(op, x, cells, (*statistics, weight, bias), eps)


def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Backward]:
    """Normalise each channel within each sample, or with given statistics, then scale and shift it.

    Forward:   x̂ = (x − mean) / σ,  σ = √(var + eps),  y = weight · x̂ + bias
    Backward:  grad_x = weight (g − mean(g) − x̂ · mean(g · x̂)) / σ, where mean and var are those of the sample,
               or, without `use_input_stats`, weight · g / σ, where they are running_mean and running_var
               grad_weight = Σ g · x̂,  grad_bias = Σ g      (g = grad_y; Σ over samples and cells)
    Shapes:    x, y (N, C, ...); running_mean, running_var, weight, bias (C). The running statistics have no gradient
    Corners:   the running statistics are never changed, whatever the `momentum`: the modules do that for theirs
    Source:    Ulyanov, Vedaldi & Lempitsky 2016, Instance Normalization: The Missing Ingredient for Fast Stylization
    """
    require_number("instance_norm", "momentum", momentum)
    (output, _, _), backward = _instance_norm(x, running_mean, running_var, weight, bias, use_input_stats=use_input_stats, eps=eps)
    return output, backward


def _instance_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None,
    bias: Array | None,
    /,
    *,
    use_input_stats: bool,
    eps: float,
    batched: bool = True,
) -> tuple[Statistics, Backward]:
    """`instance_norm`, and the mean over the samples of the means and variances that it used; x may also be one sample alone."""
    op = "instance_norm"
    require_floats(op, "x", x)
    samples = x if batched else x[None]
    _check(op, samples, running_mean, running_var, weight, bias, "use_input_stats", use_input_stats)
    eps = require_number(op, "eps", eps, "a number of at least 0")
    if use_input_stats and math.prod(samples.shape[2:]) == 1:
        raise ValueError(f"{op}: x must have more than one cell in each channel with use_input_stats, got {x.shape}")
    if not use_input_stats:
        return _by_channels(op, x, samples.shape, (running_mean, running_var, weight, bias), eps)
    # Channels of several samples are as many channels of one
    count, channels, *cells = samples.shape
    of_all = [None if array is None else np.tile(array, count) for array in (weight, bias)]
    shape = 1, count * channels, *cells
    (output, *statistics), channels_backward = _by_channels(op, x, shape, (None, None, *of_all), eps)

    def over_samples(numbers):
        return np.einsum("nc->c", numbers.reshape(count, channels))

    def backward(grad_output, needs=None):
        grad_x, _, _, *grads = channels_backward(grad_output, needs)
        return grad_x, None, None, *[None if grad is None else over_samples(grad) for grad in grads]

    mean, var = [over_samples(each) / max(count, 1) for each in statistics]
    return (output, mean, var), backward


def _by_channels(
    op: str, x: Array, shape: tuple[int, ...], arrays: tuple[Array | None, ...], eps: float
) -> tuple[Statistics, Backward]:
    """Normalise the channels of x, seen in a shape (N, C, ...); `arrays` are mean and variance (or `None`), weight and bias."""
    batch = *shape[:2], math.prod(shape[2:])
    (output, mean, var), channels_backward = by_groups(partial(_channel_norm, eps=eps), x.reshape(batch).swapaxes(0, 1), *arrays)
    has = [array is not None for array in arrays[2:]]

    def backward(grad_output, needs=None):
        need_x, _, _, *needs = needed(op, needs, 5)
        g = cotangent(op, grad_output, x.shape, x.dtype).reshape(batch).swapaxes(0, 1)
        wanted = need_x, False, False, *[need and there for need, there in zip(needs, has)]
        grad_x, _, _, grad_weight, grad_bias = channels_backward(g, wanted)
        return grad_x.swapaxes(0, 1).reshape(x.shape) if need_x else None, None, None, grad_weight, grad_bias

    return (output.swapaxes(0, 1).reshape(x.shape), mean, var), backward


def _channel_norm(x, mean, var, weight, bias, *, eps):  # x (C, N, L)
    if mean is None:
        through = through_statistics
        x_hat, mean, var, inverse = standardize(x, eps)
    else:
        through = _through_scale
        inverse = 1.0 / np.sqrt(var + eps)
        x_hat = x - mean[:, None, None]
        x_hat *= inverse[:, None, None]
        x_hat.flags.writeable = False
    scale = inverse if weight is None else weight * inverse

    def backward(g, needs):
        need_x, _, _, need_weight, need_bias = needs
        grad_x = through(g, x_hat, scale) if need_x else None
        grad_weight = np.einsum("cnl,cnl->c", g, x_hat) if need_weight else None
        return grad_x, None, None, grad_weight, np.einsum("cnl->c", g) if need_bias else None

    y = affine(x_hat, *[None if array is None else array[:, None, None] for array in (weight, bias)])
    return (y, mean, var), backward


def _through_scale(g, x_hat, scale):
    return g * scale[:, None, None]


def _check(
    op: str, x: Array, mean: Array | None, var: Array | None, weight: Array | None, bias: Array | None, flag: str, own: bool
) -> None:
    """Refuse running statistics that are missing, and shapes that do not fit."""
    require_floats(op, "x running_mean? running_var? weight? bias?", x, mean, var, weight, bias)
    require_flags(op, **{flag: own})
    require_channels(op, x, weight, bias)
    require_shape(op, "running_mean", mean, x.shape[1:2])
    require_shape(op, "running_var", var, x.shape[1:2])
    if (mean is None or var is None) and not (own and mean is var):
        missing = "running_mean" if mean is None else "running_var"
        raise ValueError(f"{op}: {missing} must be given, or both it and its like left out with {flag}=True, got None")


def _require_axes(module: "_RunningNorm", input: Any) -> None:
    """Refuse an input with another number of axes than the module takes."""
    if np.ndim(input) not in module._axes:
        expected = " or ".join(map(str, module._axes))
        raise ValueError(f"{type(module).__name__}: input must have {expected} axes, got shape {np.shape(input)}")


class _RunningNorm(Module):
    """What batch and instance norm share: weight and bias, which start from 1 and 0, and running statistics."""

    _axes: tuple[int, ...]  # how many an input may have

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Array | None
    running_var: Array | None
    num_batches_tracked: Any  # an array of no axis, or None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float64,
    ) -> None:
        op = type(self).__name__
        self.num_features = require_integer(op, "num_features", num_features, least=0)
        self.eps = require_number(op, "eps", eps, "a number of at least 0")
        self.momentum = momentum if momentum is None else require_number(op, "momentum", momentum)
        require_flags(op, affine=affine, track_running_stats=track_running_stats, bias=bias)
        self.affine, self.track_running_stats = affine, track_running_stats
        dtype, tracks = require_dtype(op, dtype), track_running_stats
        own_affine(self, (num_features,), affine, bias, dtype)
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if tracks else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if tracks else None)
        self.register_buffer("num_batches_tracked", np.array(0) if tracks else None)

    def reset_running_stats(self) -> None:
        """Forget the running statistics: mean 0, variance 1, of no batch."""
        for name, value in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
            if (buffer := getattr(self, name)) is not None:
                buffer[...] = value

    def _track(self, factor: float, mean: Array, var: Array, count: int) -> None:
        """Move the running statistics by a part of the way to these, the variance without bias, which `count` values gave."""
        running: Any
        for running, new in ((self.running_mean, mean), (self.running_var, var * (count / (count - 1)))):
            running += factor * (new - running)


class _BatchNorm(_RunningNorm):
    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Normalise with the statistics of the batch, and in training keep them; with the running ones, if any, in evaluation."""
        _require_axes(self, input)
        running = Buffer(self.running_mean), Buffer(self.running_var)
        training = self.training or self.running_mean is None
        (output, mean, var), backward = self.call(
            _batch_norm, input, *running, self.weight, self.bias, training=training, eps=self.eps
        )
        if self.training and self.track_running_stats:
            self.num_batches_tracked += 1
            if input.size:
                factor = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
                self._track(factor, mean, var, input.size // input.shape[1])
        return output, backward


class BatchNorm1d(_BatchNorm):
    """`batch_norm` of inputs (N, C) or (N, C, L), with its weight, bias and running statistics.

    Running statistics move by `momentum` of the way to those of each batch; with `momentum=None`, they are the mean of all batches.
    """

    _axes = 2, 3


class BatchNorm2d(_BatchNorm):
    """`batch_norm` of images (N, C, H, W), see `BatchNorm1d`."""

    _axes = (4,)


class BatchNorm3d(_BatchNorm):
    """`batch_norm` of volumes (N, C, D, H, W), see `BatchNorm1d`."""

    _axes = (5,)


class _InstanceNorm(_RunningNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float64,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, dtype=dtype)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Normalise each sample with its own statistics, and in training keep their means, or in evaluation with those kept."""
        _require_axes(self, input)
        running = Buffer(self.running_mean), Buffer(self.running_var)
        own, batched = self.training or not self.track_running_stats, np.ndim(input) == self._axes[-1]
        (output, mean, var), backward = self.call(
            _instance_norm, input, *running, self.weight, self.bias, use_input_stats=own, eps=self.eps, batched=batched
        )
        if own and self.running_mean is not None and self.momentum is not None and input.size:
            self._track(self.momentum, mean, var, math.prod(input.shape[1 + batched :]))
        return output, backward


class InstanceNorm1d(_InstanceNorm):
    """`instance_norm` of inputs (N, C, L) or (C, L), if asked for with weight, bias and running statistics.

    Running statistics move by `momentum` of the way to the means over each batch; as in torch, never with `momentum=None`.
    """

    _axes = 2, 3


class InstanceNorm2d(_InstanceNorm):
    """`instance_norm` of images (N, C, H, W) or (C, H, W), see `InstanceNorm1d`."""

    _axes = 3, 4


class InstanceNorm3d(_InstanceNorm):
    """`instance_norm` of volumes (N, C, D, H, W) or (C, D, H, W), see `InstanceNorm1d`."""

    _axes = 4, 5
