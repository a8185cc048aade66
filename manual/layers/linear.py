"""Linear maps y = W x + b, bilinear forms x₁ᵀ A x₂, and the identity."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import column_sums, read_only, sum_to_shape
from manual.contract import (
    Array,
    Backward,
    broadcast_shape,
    cotangent,
    needed,
    require_dtype,
    require_floats,
    require_generator,
    require_integer,
    require_shape,
)
from manual.initialization import uniform_fan_in
from manual.lazy import LazyModule
from manual.module import Module, Parameter

__all__ = ["Bilinear", "Identity", "LazyLinear", "Linear", "bilinear", "linear"]


def linear(x: Array, weight: Array, bias: Array | None = None, /) -> tuple[Array, Backward]:
    """Map the last axis linearly.

    Forward:   y = x Wᵀ + b,  each yᵢ = Σⱼ Wᵢⱼ xⱼ + bᵢ
    Backward:  grad_x = grad_y W,  grad_weight = grad_yᵀ x,  grad_bias = Σ grad_y      (Σ over samples)
    Shapes:    x (..., in), weight W (out, in), bias (out) or any shape that broadcasts to
               y (..., out); a weight (in) gives y (...)
    Source:    Rumelhart, Hinton & Williams 1986, Learning representations by back-propagating errors
    """
    require_floats("linear", "x weight bias?", x, weight, bias)
    if x.ndim != 2 or weight.ndim != 2:
        return _linear_of_rows(x, weight, bias)
    try:
        output = x.dot(weight.T)
        if bias is not None:
            output += bias
    except ValueError:
        raise _misfit(x, weight, bias) from None
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x, need_weight, need_bias = needed("linear", needs, 3)
        grad_output = cotangent("linear", grad_output, shape, dtype)
        grad_x = grad_output.dot(weight) if need_x else None
        grad_weight = grad_output.T.dot(x) if need_weight else None
        grad_bias = _grad_bias(grad_output, bias) if need_bias and bias is not None else None
        return grad_x, grad_weight, grad_bias

    return output, backward


def _linear_of_rows(x: Array, weight: Array, bias: Array | None) -> tuple[Array, Backward]:
    """`linear` of an x that is not a matrix, or of a weight that is a vector: all samples become the rows of one matrix."""
    if weight.ndim not in (1, 2) or x.ndim == 0 or x.shape[-1] != weight.shape[-1]:
        raise _misfit(x, weight, bias)
    if weight.ndim == 1 and bias is not None and (bias.ndim != 0 or x.ndim == 2):
        raise ValueError(f"linear: a weight (in_features) takes no bias but a number, and none with a matrix x, got {bias.shape}")
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    output, linear_backward = linear(rows, weight if weight.ndim == 2 else weight[None])
    output = output.reshape(x.shape[:-1] + weight.shape[:-1])
    if bias is not None:
        if broadcast_shape("linear", output=output, bias=bias) != output.shape:
            raise _misfit(x, weight, bias)
        output += bias
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x, need_weight, need_bias = needed("linear", needs, 3)
        grad_output = cotangent("linear", grad_output, shape, dtype)
        grad_rows = grad_output.reshape(len(rows), math.prod(weight.shape[:-1]))
        grad_x, grad_weight, _ = linear_backward(grad_rows, (need_x, need_weight, False))
        grad_bias = _grad_bias(grad_output, bias) if need_bias and bias is not None else None
        return (
            grad_x.reshape(x.shape) if need_x else None,
            grad_weight.reshape(weight.shape) if need_weight else None,
            grad_bias,
        )

    return output, backward


def _grad_bias(grad_output: Array, bias: Array) -> Array:
    """Σ over the samples that share the bias."""
    grad = sum_to_shape(grad_output, bias.shape)
    return grad.copy() if grad is grad_output else grad  # the caller may change the array handed in


def _misfit(x: Array, weight: Array, bias: Array | None) -> ValueError:
    got = f"{x.shape}, {weight.shape} and {'no bias' if bias is None else bias.shape}"
    return ValueError(
        "linear: expected x (..., in_features), weight (out_features, in_features) or (in_features), "
        f"and a bias that broadcasts to the output, got {got}"
    )


class Linear(Module):
    """`linear` with its weight and bias, which start from U(−1/√in_features, 1/√in_features)."""

    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        require_integer("Linear", "in_features", in_features, least=0)
        require_integer("Linear", "out_features", out_features, least=0)
        require_generator("Linear", generator)
        dtype = require_dtype("Linear", dtype)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(uniform_fan_in((out_features, in_features), in_features, dtype, generator))
        own_bias = Parameter(uniform_fan_in((out_features,), in_features, dtype, generator)) if bias else None
        self.register_parameter("bias", own_bias)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map `input` (..., in_features) to (..., out_features)."""
        return self.call(linear, input, self.weight, self.bias)


class LazyLinear(LazyModule, Linear):
    """A `Linear` that takes `in_features` from its first input."""

    cls_to_become = Linear

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.postpone("in_features", out_features=out_features, bias=bias, dtype=dtype, generator=generator)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map `input` (..., in_features) to (..., out_features)."""
        return self.begin(input, axis=-1)


def bilinear(x1: Array, x2: Array, weight: Array, bias: Array | None = None, /) -> tuple[Array, Backward]:
    """Pair two inputs by a bilinear form for each output.

    Forward:   yₖ = x₁ᵀ Aₖ x₂ + bₖ = Σᵢⱼ x₁ᵢ Aₖᵢⱼ x₂ⱼ + bₖ
    Backward:  grad_x1ᵢ = Σₖⱼ gₖ Aₖᵢⱼ x₂ⱼ,  grad_x2ⱼ = Σₖᵢ gₖ x₁ᵢ Aₖᵢⱼ,  grad_weightₖᵢⱼ = Σ gₖ x₁ᵢ x₂ⱼ,
               grad_bias = Σ g      (g = grad_y; Σ over samples)
    Shapes:    x1 (..., in1), x2 (..., in2), weight A (out, in1, in2), bias (out), y (..., out)
    """
    require_floats("bilinear", "x1 x2 weight bias?", x1, x2, weight, bias)
    if x1.ndim == 0 or x2.ndim == 0 or weight.shape[1:] != (x1.shape[-1], x2.shape[-1]) or x1.shape[:-1] != x2.shape[:-1]:
        raise ValueError(
            "bilinear: expected x1 (..., in1), x2 (..., in2) and weight (out, in1, in2), "
            f"got {x1.shape}, {x2.shape} and {weight.shape}"
        )
    out, in1, in2 = weight.shape
    if bias is not None:
        require_shape("bilinear", "bias", bias, (out,))
    samples = math.prod(x1.shape[:-1])
    rows1, rows2 = x1.reshape(samples, in1), x2.reshape(samples, in2)
    # x₁ᵀ A for all outputs in one product: (samples, in1) × (in1, out · in2)
    half = rows1.dot(weight.transpose(1, 0, 2).reshape(in1, out * in2)).reshape(samples, out, in2)
    output = np.matmul(half, rows2[:, :, None]).reshape(*x1.shape[:-1], out)
    if bias is not None:
        output += bias
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        need_x1, need_x2, need_weight, need_bias = needed("bilinear", needs, 4)
        grad_rows = cotangent("bilinear", grad_output, shape, dtype).reshape(samples, out)
        grad_x1 = grad_x2 = grad_weight = None
        if need_x1 or need_weight:  # gₖ x₂ⱼ for each sample
            grad_half = (grad_rows[:, :, None] * rows2[:, None, :]).reshape(samples, out * in2)
            if need_x1:
                grad_x1 = grad_half.dot(weight.transpose(0, 2, 1).reshape(out * in2, in1)).reshape(x1.shape)
            if need_weight:
                grad_weight = grad_half.T.dot(rows1).reshape(out, in2, in1).transpose(0, 2, 1)
        if need_x2:
            grad_x2 = np.matmul(grad_rows[:, None, :], half).reshape(x2.shape)
        grad_bias = column_sums(grad_rows) if bias is not None and need_bias else None
        return grad_x1, grad_x2, grad_weight, grad_bias

    return output, backward


class Bilinear(Module):
    """`bilinear` with its weight and bias, which start from U(−1/√in1_features, 1/√in1_features)."""

    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        require_integer("Bilinear", "in1_features", in1_features, least=1)
        require_integer("Bilinear", "in2_features", in2_features, least=0)
        require_integer("Bilinear", "out_features", out_features, least=0)
        require_generator("Bilinear", generator)
        dtype = require_dtype("Bilinear", dtype)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(uniform_fan_in(shape, in1_features, dtype, generator))
        own_bias = Parameter(uniform_fan_in((out_features,), in1_features, dtype, generator)) if bias else None
        self.register_parameter("bias", own_bias)

    def forward(self, input1: Array, input2: Array) -> tuple[Array, Backward]:
        """Map `input1` (..., in1_features) and `input2` (..., in2_features) to (..., out_features)."""
        return self.call(bilinear, input1, input2, self.weight, self.bias)


class Identity(Module):
    """Give back the input. Forward: y = x. Backward: grad_x = grad_y. Any constructor arguments are ignored, as in torch."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def forward(self, input: Any) -> tuple[Any, Backward]:
        """Return `input`, read-only."""

        def backward(grad_output, needs=None):
            return (grad_output if needed("Identity", needs, 1)[0] else None,)

        return read_only(input), backward
