"""The functions, methods and operators of torch's tensors: of each name, a rule that records it as steps of `manual.tensor`.

A rule has the arguments of torch's function, by position or by keyword, after the `call` that it belongs to; it returns what stands
for the output. Values of the graph and constants come in the place of tensors. An output that holds no floating-point numbers never
comes here: the recorder takes it as a constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import manual
from manual import tensor
from manual.graph import Value
from reference.networks.operations import RECURRENT, UntranslatedError

RULES: dict[str, Callable[..., Any]] = dict(RECURRENT)

OPERATORS = {
    "__add__": "add",
    "__radd__": "add",
    "__iadd__": "add_",
    "__sub__": "sub",
    "__rsub__": "rsub",
    "__isub__": "sub_",
    "__mul__": "mul",
    "__rmul__": "mul",
    "__imul__": "mul_",
    "__truediv__": "div",
    "__rtruediv__": "rdiv",
    "__rdiv__": "rdiv",
    "__itruediv__": "div_",
    "__idiv__": "div_",
    "__pow__": "pow",
    "__rpow__": "rpow",
    "__ipow__": "pow_",
    "__matmul__": "matmul",
    "__rmatmul__": "rmatmul",
    "__neg__": "neg",
    "__abs__": "abs",
    "__pos__": "positive",
    "__floordiv__": "floor_divide",
}


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function, method or operator of torch; of an attribute, with `get_` before it."""
    name = getattr(function, "__name__", type(function).__name__)
    if name in ("__get__", "__set__"):
        return f"{name.strip('_')}_{function.__self__.__name__}"  # type: ignore[attr-defined]
    return OPERATORS.get(name, name)


def rule(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a rule under the names of torch's functions."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def is_value(argument: Any) -> bool:
    """Whether an argument is not the same whenever the graph runs."""
    return isinstance(argument, (Value, manual.Parameter))


def operand(argument: Any) -> Any:
    """An operand of arithmetic: integers and truth values count as floating-point numbers."""
    if is_value(argument):
        return argument
    return np.asarray(argument, np.float64) if isinstance(argument, np.ndarray) else float(argument)


def array(argument: Any) -> Any:
    """The same where a plain number will not do."""
    argument = operand(argument)
    return np.asarray(argument) if isinstance(argument, float) else argument


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


def _several(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments that may also come as one list."""
    one = len(arguments) == 1 and isinstance(arguments[0], (list, tuple))
    return tuple(arguments[0] if one else arguments)


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


@rule("matmul", "mm", "mv", "dot", "inner", "linalg_matmul")
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
    return call.step(tensor.einsum, [array(each) for each in _several(operands)], equation=equation)


@rule("addmm", "addbmm", "addmv", "baddbmm")
def addmm(call, input, mat1, mat2, *, beta=1, alpha=1):
    return add(call, input if beta == 1 else mul(call, input, beta), _matmul(call, mat1, mat2), alpha=alpha)


# -- Reductions


def _reduction(name: str) -> None:
    operation = getattr(tensor, name)

    def reduce(call, input, dim=None, keepdim=False, *, dtype=None):
        return call.step(operation, input, dim=_dims(dim), keepdim=keepdim)

    RULES[name] = reduce


for _name in ("sum", "mean", "prod", "logsumexp"):
    _reduction(_name)
RULES["special_logsumexp"] = RULES["logsumexp"]


def _dims(dim: Any) -> Any:
    """No axes are all axes, where several may be named."""
    return None if isinstance(dim, (tuple, list)) and not dim else tuple(dim) if isinstance(dim, (tuple, list)) else dim


def _of_spread(operation: Callable[..., Any]) -> Callable[..., Any]:
    def spread(call, input, dim=None, unbiased=True, keepdim=False, *, correction=None):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        correction = float(unbiased) if correction is None else correction
        return call.step(operation, input, dim=_dims(dim), correction=correction, keepdim=keepdim)

    return spread


RULES |= {"var": _of_spread(tensor.var), "std": _of_spread(tensor.std)}


@rule("var_mean", "std_mean")
def var_mean(call, input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    spread = RULES[call.function.__name__.removesuffix("_mean")]
    of_all = isinstance(dim, bool)
    mean = call.step(tensor.mean, input, dim=None if of_all else _dims(dim), keepdim=keepdim)
    return spread(call, input, dim, unbiased, keepdim, correction=correction), mean


@rule("norm", "linalg_norm", "linalg_vector_norm")
def norm(call, input, p=None, dim=None, keepdim=False, dtype=None, *, ord=None):
    p = ord if p is None else p
    if call.function.__name__ == "linalg_norm" and p is not None and len(call.args[0].shape) > 1 and not isinstance(dim, int):
        raise UntranslatedError("the norm of matrices has no counterpart")
    p = "fro" if p is None else p if isinstance(p, str) else float(p)
    return call.step(tensor.norm, input, p=p, dim=_dims(dim), keepdim=keepdim)


@rule("cumsum")
def cumsum(call, input, dim, *, dtype=None):
    return call.step(tensor.cumsum, input, dim=dim)


@rule("amax")
def amax(call, input, dim=(), keepdim=False):
    return call.step(tensor.amax, input, dim=dim, keepdim=keepdim)


@rule("amin")
def amin(call, input, dim=(), keepdim=False):
    return call.step(tensor.amin, input, dim=dim, keepdim=keepdim)


def _extreme(operation: Callable[..., Any], of_two: Callable[..., Any]) -> Callable[..., Any]:
    def extreme(call, input, dim=None, keepdim=False, *, other=None):
        if other is not None or is_value(dim) or isinstance(dim, np.ndarray):
            return of_two(call, input, dim if other is None else other)
        value = call.step(operation, input, dim=dim, keepdim=keepdim)
        return value if dim is None else (value[0], None)

    return extreme


RULES |= {"max": _extreme(tensor.max, maximum), "min": _extreme(tensor.min, minimum)}


@rule("sort", "msort")
def sort(call, input, dim=-1, descending=False, *, stable=False):
    return call.step(tensor.sort, input, dim=dim, descending=descending, stable=bool(stable))[0], None


@rule("topk")
def topk(call, input, k, dim=-1, largest=True, sorted=True):
    return call.step(tensor.topk, input, k=k, dim=dim, largest=largest, sorted=sorted)[0], None


@rule("softmax", "special_softmax")
def softmax(call, input, dim, dtype=None):
    return call.step(manual.softmax, input, dim=dim, dtype=dtype)


@rule("log_softmax", "special_log_softmax")
def log_softmax(call, input, dim, dtype=None):
    return call.step(manual.log_softmax, input, dim=dim, dtype=dtype)


# -- Choosing


@rule("where")
def where(call, condition, input, other):
    if call.function is not torch.where:  # a method of what is chosen
        condition, input = input, condition
    condition = np.asarray(condition, bool)
    if not is_value(input) and not is_value(other):
        raise UntranslatedError("a condition that holds numbers has no counterpart")
    return call.step(tensor.where, condition, operand(input), operand(other))


@rule("masked_fill")
def masked_fill(call, input, mask, value):
    return call.step(tensor.masked_fill, array(input), np.asarray(mask, bool), operand(value))


@rule("masked_select")
def masked_select(call, input, mask):
    return call.step(tensor.index, input, index=np.broadcast_to(mask, tuple(call.args[0].shape)))


@rule("tril")
def tril(call, input, diagonal=0):
    return call.step(tensor.tril, input, diagonal=diagonal)


@rule("triu")
def triu(call, input, diagonal=0):
    return call.step(tensor.triu, input, diagonal=diagonal)


# -- Shapes


@rule("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel", "atleast_1d")
def reshape(call, input, *sizes, **named):
    return call.step(tensor.reshape, input, shape=tuple(call.output.shape))


@rule("expand", "expand_as", "broadcast_to")
def expand(call, input, *sizes, **named):
    return call.step(tensor.expand, input, size=tuple(call.output.shape))


@rule("broadcast_tensors")
def broadcast_tensors(call, *tensors):
    return [call.step(tensor.expand, array(each), size=tuple(call.output[0].shape)) for each in _several(tensors)]


@rule("transpose", "swapaxes", "swapdims")
def transpose(call, input, dim0=None, dim1=None, *, axis0=None, axis1=None):
    dim0, dim1 = (dim0 if dim0 is not None else axis0), (dim1 if dim1 is not None else axis1)
    return call.step(tensor.transpose, input, dim0=dim0, dim1=dim1)


@rule("get_mT", "get_mH", "adjoint")
def matrix_transpose(call, input):
    return call.step(tensor.transpose, input, dim0=-2, dim1=-1)


@rule("get_T", "get_H", "t")
def reverse_axes(call, input):
    return call.step(tensor.permute, input, dims=tuple(range(call.output.ndim))[::-1])


@rule("permute")
def permute(call, input, *axes, dims=()):
    return call.step(tensor.permute, input, dims=_several(axes) or tuple(dims))


@rule("repeat", "tile")
def repeat(call, input, *times, repeats=(), dims=()):
    times = _several(times) or tuple(repeats or dims)
    return call.step(tensor.repeat, input, repeats=(1,) * (call.output.ndim - len(times)) + times)


@rule("flip")
def flip(call, input, *axes, dims=()):
    return call.step(tensor.flip, input, dims=_several(axes) or tuple(dims))


@rule("roll")
def roll(call, input, shifts, dims=()):
    return call.step(tensor.roll, input, shifts=shifts, dims=dims)


@rule(
    "diag", "diagonal", "movedim", "moveaxis", "repeat_interleave", "rot90", "take", "take_along_dim", "unfold", "fliplr", "flipud"
)
def moved(call, input, *args, **kwargs):
    """Functions that put each element of an array into other places: the numbers of the elements say which."""
    numbers = torch.arange(call.args[0].numel()).reshape(call.args[0].shape)
    places = call.function(numbers, *call.args[1:], **call.kwargs)
    if call.function.__name__ == "diag" and numbers.ndim == 1:
        raise UntranslatedError("diag of a vector has no counterpart; of a matrix it has")
    return call.step(tensor.index, call.step(tensor.reshape, input, shape=(-1,)), index=places.numpy())


@rule("contiguous", "clone", "alias", "cpu", "positive", "resolve_conj", "resolve_neg", "get_real", "requires_grad_")
def same(call, input, *args, **kwargs):
    return input


@rule("zero", "fill")
def constant(call, input, value=0):
    if is_value(value):
        return call.step(tensor.expand, value, size=tuple(call.output.shape))
    return call.output.detach().numpy().copy()


@rule("copy")
def copy(call, input, src, non_blocking=False):
    return (
        call.step(tensor.expand, array(src), size=tuple(call.output.shape))
        if is_value(src)
        else call.output.detach().numpy().copy()
    )


# -- Joining and cutting


@rule("cat", "concat", "concatenate")
def cat(call, tensors, dim=0):
    return call.step(tensor.cat, [array(each) for each in tensors], dim=dim)


@rule("stack")
def stack(call, tensors, dim=0):
    return call.step(tensor.stack, [array(each) for each in tensors], dim=dim)


@rule("split", "split_with_sizes")
def split(call, input, split_size=None, dim=0, *, split_size_or_sections=None, split_sizes=None):
    sizes = next(each for each in (split_size, split_size_or_sections, split_sizes) if each is not None)
    return call.step(tensor.split, input, split_size_or_sections=sizes, dim=dim)


@rule("chunk")
def chunk(call, input, chunks, dim=0):
    return call.step(tensor.chunk, input, chunks=chunks, dim=dim)


@rule("unbind")
def unbind(call, input, dim=0):
    return call.step(tensor.unbind, input, dim=dim)


# -- Indices


@rule("__getitem__")
def getitem(call, input, index):
    items = index if isinstance(index, tuple) else (index,)
    return call.step(tensor.index, input, index=tuple(np.asarray(each) if isinstance(each, list) else each for each in items))


@rule("select")
def select(call, input, dim, index):
    return call.step(tensor.select, input, dim=dim, index=index)


@rule("narrow")
def narrow(call, input, dim, start, length):
    return call.step(tensor.narrow, input, dim=dim, start=int(start), length=length)


@rule("index_select")
def index_select(call, input, dim, index):
    return call.step(tensor.index_select, input, index, dim=dim)


@rule("gather")
def gather(call, input, dim, index, *, sparse_grad=False):
    return call.step(tensor.gather, input, index, dim=dim)


@rule("scatter_add")
def scatter_add(call, input, dim, index, src):
    return call.step(tensor.scatter_add, array(input), index, array(src), dim=dim)


@rule("index_add")
def index_add(call, input, dim, index, source, *, alpha=1):
    shape = list(next(each for each in (*call.args[3:], call.kwargs.get("source")) if each is not None).shape)
    along = [1] * len(shape)
    along[dim] = shape[dim]
    source = array(source) if alpha == 1 else mul(call, source, alpha)
    return call.step(tensor.scatter_add, array(input), np.broadcast_to(index.reshape(along), shape), source, dim=dim)


@rule("scatter")
def scatter(call, input, dim, index, src=None, *, value=None, reduce=None):
    """What is written over is set to zero first; no place may be written twice."""
    if reduce is not None:
        raise UntranslatedError("scatter with reduce has no counterpart")
    written = torch.zeros(call.output.shape).scatter_add(dim, torch.as_tensor(index), torch.ones(index.shape))
    if written.max() > 1:
        raise UntranslatedError("scatter writes one place several times")
    src = src if value is None else value
    if not is_value(src) and not isinstance(src, np.ndarray):
        return masked_fill(call, input, written.numpy() > 0, src)
    if not is_value(input):
        rest: Any = np.where(written.numpy() > 0, 0.0, array(input))
    else:
        rest = masked_fill(call, input, written.numpy() > 0, 0.0)
    part = np.broadcast_to(index, index.shape)
    return call.step(tensor.scatter_add, rest, part, array(src), dim=dim)


# -- Sequences, and what else torch.nn calls below its functions


@rule("_pack_padded_sequence")
def pack(call, input, lengths, batch_first):
    return call.step(manual.pack_padded_sequence, input, lengths, batch_first=batch_first)[0], None


@rule("_pad_packed_sequence")
def unpack(call, data, batch_sizes, batch_first, padding_value, total_length):
    sequence = manual.PackedSequence(data, batch_sizes)
    total = None if total_length == 0 else total_length
    value = call.step(
        manual.pad_packed_sequence, sequence, batch_first=batch_first, padding_value=float(padding_value), total_length=total
    )
    return value[0], None


@rule("pad_sequence")
def pad_sequence(call, sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    options = {"batch_first": batch_first, "padding_value": padding_value, "padding_side": padding_side}
    return call.step(manual.pad_sequence, list(sequences), **options)


def _cell(operation: Callable[..., Any]) -> Callable[..., Any]:
    def cell(call, input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
        weights = [w_ih, w_hh] + ([b_ih, b_hh] if b_ih is not None else [])
        return call.step(operation, input, tuple(hx) if isinstance(hx, (list, tuple)) else hx, weights)

    return cell


for _name in ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"):
    RULES[_name] = _cell(getattr(manual, _name))
