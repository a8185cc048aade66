"""Arithmetic, functions of single numbers, and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import manual
from manual import tensor
from reference.networks.rules.table import RULES, array, operand, rule, several


def _of_one(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a function of one array."""
    return lambda call, input: call.step(operation, input)


_OF_ONE = (
    tensor.abs,
    tensor.cos,
    tensor.erf,
    tensor.exp,
    tensor.log,
    tensor.log1p,
    tensor.neg,
    tensor.rsqrt,
    tensor.sign,
    tensor.sin,
)
_MORE = tensor.sqrt, manual.relu, manual.selu, manual.sigmoid, manual.tanh
RULES |= {operation.__name__: _of_one(operation) for operation in (*_OF_ONE, *_MORE)}
RULES |= {
    "absolute": _of_one(tensor.abs),
    "negative": _of_one(tensor.neg),
    "special_expit": _of_one(manual.sigmoid),
    "special_erf": _of_one(tensor.erf),
    "special_log1p": _of_one(tensor.log1p),
    "log_sigmoid": _of_one(manual.logsigmoid),
    "detach": _of_one(tensor.detach),
    "get_data": _of_one(tensor.detach),
}


# -- Arithmetic


@rule("add")
def add(call, input, other, *, alpha=1):
    return call.step(tensor.add, operand(input), operand(other), alpha=alpha)


@rule("sub", "subtract")
def sub(call, input, other, *, alpha=1):
    return call.step(tensor.subtract, operand(input), operand(other), alpha=alpha)


@rule("rsub")
def rsub(call, input, other, *, alpha=1):
    return call.step(tensor.subtract, operand(other), operand(input), alpha=alpha)


@rule("mul", "multiply")
def mul(call, input, other):
    return call.step(tensor.multiply, operand(input), operand(other))


@rule("div", "divide", "true_divide")
def div(call, input, other, *, rounding_mode=None):
    return call.step(tensor.divide, operand(input), operand(other), rounding_mode=rounding_mode)


@rule("rdiv")
def rdiv(call, input, other):
    return call.step(tensor.divide, operand(other), operand(input))


@rule("floor_divide")
def floor_divide(call, input, other):
    return call.step(tensor.divide, operand(input), operand(other), rounding_mode="floor")


@rule("pow", "float_power")
def power(call, input, exponent):
    return call.step(tensor.pow, operand(input), operand(exponent))


@rule("rpow")
def rpow(call, input, other):
    return call.step(tensor.pow, operand(other), operand(input))


@rule("square")
def square(call, input):
    return call.step(tensor.pow, input, 2.0)


@rule("reciprocal")
def reciprocal(call, input):
    return call.step(tensor.divide, 1.0, input)


@rule("expm1", "special_expm1")
def expm1(call, input):
    return call.step(tensor.subtract, call.step(tensor.exp, input), 1.0)


@rule("exp2", "special_exp2")
def exp2(call, input):
    return call.step(tensor.exp, call.step(tensor.multiply, input, math.log(2.0)))


@rule("log2")
def log2(call, input):
    return call.step(tensor.divide, call.step(tensor.log, input), math.log(2.0))


@rule("log10")
def log10(call, input):
    return call.step(tensor.divide, call.step(tensor.log, input), math.log(10.0))


@rule("tan")
def tan(call, input):
    return call.step(tensor.divide, call.step(tensor.sin, input), call.step(tensor.cos, input))


@rule("erfc", "special_erfc")
def erfc(call, input):
    return call.step(tensor.subtract, 1.0, call.step(tensor.erf, input))


@rule("addcmul")
def addcmul(call, input, tensor1, tensor2, *, value=1):
    return add(call, input, mul(call, tensor1, tensor2), alpha=value)


@rule("addcdiv")
def addcdiv(call, input, tensor1, tensor2, *, value=1):
    return add(call, input, div(call, tensor1, tensor2), alpha=value)


@rule("lerp")
def lerp(call, input, end, weight):
    return add(call, input, mul(call, weight, sub(call, end, input)))


@rule("clamp", "clip")
def clamp(call, input, min=None, max=None):
    bounds = [None if bound is None else operand(bound) for bound in (min, max)]
    if any(isinstance(bound, float) for bound in bounds) and not all(isinstance(b, float) or b is None for b in bounds):
        bounds = [None if bound is None else array(bound) for bound in bounds]
    return call.step(tensor.clamp, input, *bounds)


@rule("clamp_min")
def clamp_min(call, input, min):
    return clamp(call, input, min)


@rule("clamp_max")
def clamp_max(call, input, max):
    return clamp(call, input, None, max)


@rule("maximum")
def maximum(call, input, other):
    return call.step(tensor.maximum, array(input), array(other))


@rule("minimum")
def minimum(call, input, other):
    return call.step(tensor.minimum, array(input), array(other))


@rule("floor", "ceil", "round", "trunc", "fix")
def step_function(call, input, *, decimals=0):
    """The slope is zero wherever there is one: a constant."""
    return call.output.detach().numpy().copy()


# -- Products


@rule("matmul", "mm", "mv", "dot", "vdot", "inner", "linalg_matmul")
def matmul(call, input, other=None, *, mat2=None, vec=None, tensor=None):
    others = [each for each in (other, mat2, vec, tensor) if each is not None]
    return _matmul(call, input, *others)


def _matmul(call, input, other):
    return call.step(tensor.matmul, array(input), array(other))


@rule("rmatmul")
def rmatmul(call, input, other):
    return _matmul(call, other, input)


@rule("bmm")
def bmm(call, input, mat2):
    return call.step(tensor.bmm, array(input), array(mat2))


@rule("outer", "ger")
def outer(call, input, vec2):
    return call.step(tensor.outer, array(input), array(vec2))


@rule("einsum")
def einsum(call, equation, *operands):
    return call.step(tensor.einsum, [array(each) for each in several(operands)], equation=equation)


@rule("_weight_norm")
def weight_norm(call, v, g, dim=0):
    return call.step(manual.weight_normalize, g, v, dim=dim)


@rule("addmm", "addbmm", "addmv", "baddbmm")
def addmm(call, input, mat1, mat2, *, beta=1, alpha=1):
    return add(call, input if beta == 1 else mul(call, input, beta), _matmul(call, mat1, mat2), alpha=alpha)
