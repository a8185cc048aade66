"""Choosing by masks and by indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.networks.operations import UntranslatedError
from reference.networks.rules.arithmetic import mul
from reference.networks.rules.table import array, is_value, operand, rule

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
