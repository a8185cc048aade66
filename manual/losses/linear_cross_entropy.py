"""A linear layer and its cross-entropy as one operation, which need not keep the scores of all samples at once."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import (
    Array,
    Backward,
    Gradients,
    needed,
    require_floats,
    require_indices,
    require_integer,
    require_number,
    require_shape,
)
from manual.layers.linear import Linear, linear
from manual.losses.classification import class_targets, cross_entropy
from manual.losses.reduction import reduce
from manual.module import Buffer, Module

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions", "linear_cross_entropy"]


@dataclass(frozen=True, kw_only=True)
class LinearCrossEntropyOptions:
    """How many samples `linear_cross_entropy` takes at a time. The fewer they are, the less memory it needs.

    batch_chunk_size  the number of samples in a chunk; the last may have fewer
    chunking_method   "aspect_ratio": a power of two, with which the scores of a chunk take about the memory of all the inputs;
                      "aspect_ratio:n": the n-th part of that; "auto": aspect_ratio:2, unless batch_chunk_size is given

    torch has more options, for half precision and for backwards that run only once.
    """

    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"

    def __post_init__(self) -> None:
        size, method = self.batch_chunk_size, self.chunking_method
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"LinearCrossEntropyOptions: batch_chunk_size must be a positive integer or None, got {size!r}")
        if method not in (None, "auto", "aspect_ratio"):
            name, _, part = str(method).partition(":")
            if name != "aspect_ratio" or not part.isdecimal() or int(part) == 0:
                expected = "'auto', 'aspect_ratio', 'aspect_ratio:n' with a positive n, or None"
                raise ValueError(f"LinearCrossEntropyOptions: chunking_method must be {expected}, got {method!r}")

    def samples_at_once(self, samples: int, features: int, scores: int) -> int:
        """The number of samples in a chunk."""
        size, method = self.batch_chunk_size, self.chunking_method
        if method == "auto":
            method = "aspect_ratio:2" if size is None else None
        if method is None:
            return samples if size is None else size
        _, _, part = method.partition(":")
        even = math.ceil(samples / math.ceil(scores / max(features, 1)))
        chosen = max((1 << (even - 1).bit_length()) // int(part or 1), 1)  # the next power of two
        if size is not None and size != chosen:
            raise ValueError(f"linear_cross_entropy: batch_chunk_size is {size}, but {method} makes it {chosen}; give one of them")
        return chosen


def linear_cross_entropy(
    x: Array,
    linear_weight: Array,
    target: Array,
    linear_bias: Array | None = None,
    weight: Array | None = None,
    /,
    *,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> tuple[Array, Backward]:
    """Cross-entropy of the scores that a linear layer gives, with target classes or target probabilities.

    Forward:   z = x Wᵀ + b  (W = linear_weight, b = linear_bias),  L = cross_entropy(z, target, weight)
    Backward:  that of cross_entropy, then grad_x = grad_z W,  grad_linear_weight = grad_zᵀ x,  grad_linear_bias = Σ grad_z
    Shapes:    x (in) or (N, in); linear_weight (C, in) or, for N samples, (C, d₁, …, in); linear_bias without in; weight (C);
               target (), (N) or (N, d₁, …) of integers, or (C), (N, C) or (N, C, d₁, …) of probabilities;
               L () or, with reduction none, (), (N) or (N, d₁, …)
    Memory:    with `options`, samples are taken in chunks. The scores of a chunk are forgotten after the forward and computed
               again in the backward, so that there are four matrix products instead of three. With 8192 classes (2048 samples of
               32 features, float32) all scores take 64 MiB, and forward and backward together 129 MiB at most; in chunks they
               take 4 MiB, of which the gradients are 1 MiB: python -m pytest tests/losses/test_linear_cross_entropy.py -k memory
    Corners:   `ignore_index` is −100 unless it is given, and is for classes alone
    """
    op = "linear_cross_entropy"
    require_floats(op, "x linear_weight linear_bias? weight?", x, linear_weight, linear_bias, weight)
    classes, *positions = linear_weight.shape[:-1] or (0,)
    if x.ndim not in (1, 2) or linear_weight.ndim < 2 or linear_weight.shape[-1] != x.shape[-1] or (positions and x.ndim == 1):
        expected = "x (in) or (N, in) and linear_weight (C, in), or x (N, in) and linear_weight (C, d1, ..., in)"
        raise ValueError(f"{op}: expected {expected}, got {x.shape} and {linear_weight.shape}")
    if linear_bias is not None:
        require_shape(op, "linear_bias", linear_bias, linear_weight.shape[:-1])
    indices, probabilities = (*x.shape[:-1], *positions), (*x.shape[:-1], classes, *positions)
    of_classes = not (isinstance(target, np.ndarray) and target.dtype.kind == "f")
    if of_classes:
        require_indices(op, "target", target)
    else:
        require_floats(op, "x target", x, target)
    if target.shape != (indices if of_classes else probabilities):
        raise ValueError(f"{op}: target must have shape {indices} or {probabilities}, got {target.shape}")
    if options is not None and not isinstance(options, LinearCrossEntropyOptions):
        raise TypeError(f"{op}: options must be LinearCrossEntropyOptions or None, got {options!r}")
    if weight is not None:
        require_shape(op, "weight", weight, (classes,))
    label_smoothing = require_number(op, "label_smoothing", label_smoothing, "a number from 0 to 1")
    if not of_classes and ignore_index is not None:
        raise ValueError(f"{op}: ignore_index must be None with class probabilities, got {ignore_index!r}")
    ignore_index = require_integer(op, "ignore_index", -100 if ignore_index is None else ignore_index)
    total = None
    if of_classes:  # they are checked in the shape that the scores will have
        *_, total = class_targets(op, np.broadcast_to(x.dtype.type(0), probabilities), target, weight, ignore_index)
    rows, targets = (x, target) if x.ndim == 2 else (x[None], target[None])
    flat_weight = linear_weight.reshape(-1, x.shape[-1])
    flat_bias = None if linear_bias is None else linear_bias.reshape(-1)
    size = len(rows) if options is None else options.samples_at_once(len(rows), rows.shape[1], len(flat_weight))
    chunks = [slice(None)] if size >= len(rows) else [slice(i, i + size) for i in range(0, len(rows), size)]

    def run(chunk):
        scores, linear_backward = linear(rows[chunk], flat_weight, flat_bias)
        losses, losses_backward = cross_entropy(
            scores.reshape(-1, classes, *positions),
            targets[chunk],
            weight,
            reduction="none",
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
        )
        shape = scores.shape

        def backward(grad_losses, needs):
            need_x, need_linear_weight, need_target, need_linear_bias, need_weight = needs
            needs_linear = need_x, need_linear_weight, need_linear_bias
            grad_scores, grad_target, grad_weight = losses_backward(grad_losses, (any(needs_linear), need_target, need_weight))
            grad_x = grad_linear_weight = grad_linear_bias = None
            if any(needs_linear):
                grad_x, grad_linear_weight, grad_linear_bias = linear_backward(grad_scores.reshape(shape), needs_linear)
            return (grad_x, grad_target), (grad_linear_weight, grad_linear_bias, grad_weight)

        return losses, backward

    # A single chunk is kept for the backward. Several are forgotten, and run again there.
    kept = run(chunks[0]) if len(chunks) == 1 else None
    losses = kept[0] if kept else np.concatenate([run(chunk)[0] for chunk in chunks])
    output, reduce_backward = reduce(op, losses.reshape(indices), reduction, total)

    def backward(grad_output, needs=None):
        needs = needed(op, needs, 5)
        grad_losses = reduce_backward(grad_output).reshape(losses.shape)
        of_samples, sums = [], (None, None, None)
        for chunk in chunks:
            _, chunk_backward = kept or run(chunk)
            of_chunk, terms = chunk_backward(grad_losses[chunk], needs)
            of_samples.append(of_chunk)
            sums = tuple(term if so_far is None else so_far + term for so_far, term in zip(sums, terms))
        grad_x, grad_target = (None if parts[0] is None else np.concatenate(parts) for parts in zip(*of_samples))
        grad_linear_weight, grad_linear_bias, grad_weight = sums
        grads = grad_x, grad_linear_weight, grad_target, grad_linear_bias, grad_weight
        return _in_shapes_of((x, linear_weight, target, linear_bias, weight), grads)

    return output, backward


def _in_shapes_of(arrays: tuple[Any, ...], grads: Gradients) -> Gradients:
    """The gradients in the shapes of the arrays they belong to."""
    return tuple([None if grad is None else grad.reshape(array.shape) for array, grad in zip(arrays, grads)])


class LinearCrossEntropyLoss(Module):
    """`linear_cross_entropy` with the weight and bias of a `Linear` layer."""

    weight: Array | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        reduction: str = "mean",
        weight: Array | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        op = "LinearCrossEntropyLoss"
        require_integer(op, "num_classes", num_classes, least=0)
        if not isinstance(out_features, tuple):
            raise TypeError(f"{op}: out_features must be a tuple of integers, got {out_features!r}")
        for size in out_features:
            require_integer(op, "out_features", size, least=0)
        require_number(op, "label_smoothing", label_smoothing, "a number from 0 to 1")
        if weight is not None:
            require_floats(op, "weight", weight)
            require_shape(op, "weight", weight, (num_classes,))
        self.num_classes, self.out_features = num_classes, out_features
        self.register_buffer("weight", weight)
        self.reduction, self.ignore_index, self.label_smoothing = reduction, ignore_index, label_smoothing
        self.options = options
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, dtype=dtype, generator=generator)

    def forward(self, input: Array, target: Array) -> tuple[Array, Backward]:
        """Compare the scores of `input` with the classes or class probabilities `target`."""
        return self.call(
            _of_layer,
            input,
            self.linear.weight,
            target,
            self.linear.bias,
            Buffer(self.weight),
            out_features=self.out_features,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )


def _of_layer(
    x: Array,
    linear_weight: Array,
    target: Array,
    linear_bias: Array | None,
    weight: Array | None,
    /,
    *,
    out_features: tuple[int, ...],
    **constants: Any,
) -> tuple[Array, Backward]:
    """`linear_cross_entropy` of a `Linear` layer, whose weight and bias have all classes and positions along one axis."""
    shaped_weight = linear_weight.reshape(-1, *out_features, linear_weight.shape[1])
    shaped_bias = None if linear_bias is None else linear_bias.reshape(-1, *out_features)
    output, shaped_backward = linear_cross_entropy(x, shaped_weight, target, shaped_bias, weight, **constants)

    def backward(grad_output, needs):
        return _in_shapes_of((x, linear_weight, target, linear_bias, weight), shaped_backward(grad_output, needs))

    return output, backward
