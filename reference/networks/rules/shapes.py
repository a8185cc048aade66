"""Shapes, joining and cutting, and what torch.nn calls below its functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import manual
from manual import tensor
from reference.networks.operations import UntranslatedError
from reference.networks.rules.table import RULES, array, is_value, rule, several

# -- Shapes


@rule("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "ravel", "atleast_1d")
def reshape(call, input, *sizes, **named):
    return call.step(tensor.reshape, input, shape=tuple(call.output.shape))


@rule("expand", "expand_as", "broadcast_to")
def expand(call, input, *sizes, **named):
    return call.step(tensor.expand, input, size=tuple(call.output.shape))


@rule("broadcast_tensors")
def broadcast_tensors(call, *tensors):
    return [call.step(tensor.expand, array(each), size=tuple(call.output[0].shape)) for each in several(tensors)]


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
    return call.step(tensor.permute, input, dims=several(axes) or tuple(dims))


@rule("repeat", "tile")
def repeat(call, input, *times, repeats=(), dims=()):
    times = several(times) or tuple(repeats or dims)
    return call.step(tensor.repeat, input, repeats=(1,) * (call.output.ndim - len(times)) + times)


@rule("flip")
def flip(call, input, *axes, dims=()):
    return call.step(tensor.flip, input, dims=several(axes) or tuple(dims))


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
