"""The functions that torch.nn.functional and `manual` share: the arguments of one, as the other takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import torch.overrides

import manual
from reference.omitted import ARGUMENTS


class UntranslatedError(Exception):
    """What has no counterpart, said in words."""


class Operation(NamedTuple):
    """An operation, and of torch's function the signature and the names of the arrays and of the constants."""

    call: Callable[..., Any]
    signature: inspect.Signature
    arrays: tuple[str, ...]
    constants: tuple[str, ...]


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function of torch; of one that hides it, what torch's own tests of overrides say, and its schema."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        signature = None
    if signature is not None and set(signature.parameters) - {"args", "kwargs"}:
        return signature
    signature = inspect.signature(torch.overrides.get_testing_overrides()[function])
    operator = getattr(getattr(torch.ops.aten, function.__name__, None), "default", None)
    schema = [] if operator is None else operator._schema.arguments
    if set(signature.parameters) < {argument.name for argument in schema}:  # the tests of overrides have fallen behind
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        nothing = inspect.Parameter.empty
        defaults = {a.name: a.default_value if a.has_default_value() else nothing for a in schema}
        return inspect.Signature([inspect.Parameter(name, kind, default=default) for name, default in defaults.items()])
    return signature


@cache
def operations() -> dict[Any, Operation]:
    """Every function of torch.nn.functional that `manual` has, by itself and by its name."""
    found: dict[Any, Operation] = {}
    for name in manual.__all__:
        call, function = getattr(manual, name), getattr(F, name, None)
        if not inspect.isfunction(call) or function is None:
            continue
        signature, own = signature_of(function), inspect.signature(call).parameters.values()
        constants = tuple(p.name for p in own if p.kind is p.KEYWORD_ONLY)
        left = (each for each in signature.parameters if each not in constants)
        arrays = tuple(each for each in left if each not in ARGUMENTS and f"{name}.{each}" not in ARGUMENTS)
        operation = Operation(call, signature, arrays, constants)
        found[function] = found[name] = operation
        if indices := getattr(F, f"{name}_with_indices", None):
            found[indices] = operation
    return found


def translate(call: Any, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record a call of torch's function as a step."""
    given = operation.signature.bind(*args, **kwargs).arguments
    for name, value in given.items():
        if name in ("size_average", "reduce", "out") and value is not None:
            raise UntranslatedError(f"the argument {name} has no counterpart; reduction= and the output have")
    constants = {name: given[name] for name in operation.constants if name in given}
    arrays = [given.get(name) for name in operation.arrays]
    if call.random is not None:
        drawn = DRAWN.get(operation.call)
        if drawn is None:
            raise UntranslatedError("draws random numbers that cannot be drawn again")
        constants |= drawn(call, operation.signature.bind(*call.args, **call.kwargs))
    if operation.call is manual.multi_head_attention_forward and constants.get("is_causal") and arrays[10] is None:
        raise UntranslatedError("is_causal without attn_mask")
    return call.step(operation.call, *arrays, **constants)


# -- What torch drew, drawn again: a function is given ones in the place of its input, in the same order of the memory


def _kept(axes: int | None) -> Callable[[Any, inspect.BoundArguments], dict[str, Any]]:
    """The mask of a form of dropout, along so many of the first axes (`None`: all)."""

    def drawn(call: Any, given: inspect.BoundArguments) -> dict[str, Any]:
        x = given.arguments["input"]
        first = x.ndim if axes is None else axes if axes > 0 else x.ndim + axes
        kept = call.redraw(lambda: call.function(torch.ones_like(x.detach()), *given.args[1:-1], False)) > 0
        return {"mask": kept[(slice(None),) * first + (slice(1),) * (x.ndim - first)]}

    return drawn


def _of_attention(call: Any, given: inspect.BoundArguments) -> dict[str, Any]:
    q, k = given.arguments["query"], given.arguments["key"]
    leading = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2]) if not given.arguments.get("enable_gqa") else q.shape[:-2]
    return {"mask": _ones_kept(call, (*leading, q.shape[-2], k.shape[-2]), given.arguments["dropout_p"])}


def _of_heads(call: Any, given: inspect.BoundArguments) -> dict[str, Any]:
    arguments = given.arguments
    q, k, heads = arguments["query"], arguments["key"], arguments["num_heads"]
    static = arguments.get("static_k")
    keys = (len(k) + (arguments.get("bias_k") is not None) if static is None else static.shape[1]) + arguments["add_zero_attn"]
    batch = (q.shape[1],) if q.ndim == 3 else ()
    return {"mask": _ones_kept(call, (*batch, heads, len(q), keys), arguments["dropout_p"])}


def _ones_kept(call: Any, shape: tuple[int, ...], p: float) -> Any:
    return call.redraw(lambda: F.dropout(torch.ones(shape, dtype=torch.float64), p)) > 0


def _of_rrelu(call: Any, given: inspect.BoundArguments) -> dict[str, Any]:
    """The slopes, which torch draws for each element that is not positive: of −1 it returns them with the other sign."""
    x = given.arguments["input"].detach()
    settings = {name: given.arguments[name] for name in ("lower", "upper", "training") if name in given.arguments}
    slopes = call.redraw(lambda: -F.rrelu(torch.where(x > 0, x, -torch.ones_like(x)), **settings))
    return {"noise": np.where(x.numpy() > 0, 1.0, slopes)}


def _of_gumbel(call: Any, given: inspect.BoundArguments) -> dict[str, Any]:
    x = given.arguments["logits"].detach()
    return {"noise": call.redraw(lambda: -torch.empty_like(x, memory_format=torch.legacy_contiguous_format).exponential_().log())}


def _of_fractions(axes: int) -> Callable[[Any, inspect.BoundArguments], dict[str, Any]]:
    def drawn(call: Any, given: inspect.BoundArguments) -> dict[str, Any]:
        x = given.arguments["input"]
        batch, channels = (1, x.shape[0]) if x.ndim == axes + 1 else x.shape[:2]
        return {"_random_samples": call.redraw(lambda: torch.rand(batch, channels, axes, dtype=x.dtype))}

    return drawn


DRAWN: dict[Any, Callable[[Any, inspect.BoundArguments], dict[str, Any]]] = {
    manual.dropout: _kept(None),
    manual.alpha_dropout: _kept(None),
    manual.dropout1d: _kept(-1),
    manual.dropout2d: _kept(2),
    manual.dropout3d: _kept(-3),
    manual.feature_alpha_dropout: _kept(2),
    manual.scaled_dot_product_attention: _of_attention,
    manual.multi_head_attention_forward: _of_heads,
    manual.rrelu: _of_rrelu,
    manual.gumbel_softmax: _of_gumbel,
    manual.fractional_max_pool2d: _of_fractions(2),
    manual.fractional_max_pool3d: _of_fractions(3),
}


# -- Recurrent networks: torch's function of all layers at once


def recurrent(operation: Callable[..., Any], states: int) -> Callable[..., Any]:
    """The rule of lstm, gru, rnn_tanh or rnn_relu, on padded sequences and on packed ones."""

    def rule(call: Any, input: Any, second: Any, third: Any, *rest: Any) -> Any:
        packed = isinstance(rest[0], (list, tuple)) or not isinstance(third, (list, tuple))
        if isinstance(third, (list, tuple)) and rest and isinstance(rest[0], bool):
            hx, weights, (has_biases, num_layers, dropout, train, bidirectional, batch_first) = second, third, rest
            x, packed = input, False
        else:
            hx, weights, (has_biases, num_layers, dropout, train, bidirectional) = third, rest[0], rest[1:]
            x, packed, batch_first = manual.PackedSequence(input, second), True, False
        constants = {"has_biases": has_biases, "num_layers": num_layers, "dropout": dropout, "train": train}
        constants |= {"bidirectional": bidirectional, "batch_first": batch_first}
        if call.random is not None:
            shape = tuple(call.output[0].shape)
            drawn = (shape[1], shape[0], *shape[2:]) if batch_first and len(shape) == 3 else shape
            ones = torch.ones(drawn, dtype=torch.float64)
            masks = call.redraw(lambda: torch.stack([F.dropout(ones, dropout) for _ in range(num_layers - 1)])) > 0
            constants["mask"] = masks.swapaxes(1, 2) if drawn != shape or (batch_first and len(shape) == 3) else masks
        value = call.step(
            operation, x, tuple(hx) if states > 1 else hx[0] if isinstance(hx, (list, tuple)) else hx, list(weights), **constants
        )
        y = value[0][0] if packed else value[0]
        return (y, value[1][0], value[1][1]) if states > 1 else (y, value[1])

    return rule


RECURRENT = {
    "lstm": recurrent(manual.lstm, 2),
    "gru": recurrent(manual.gru, 1),
    "rnn_tanh": recurrent(manual.rnn_tanh, 1),
    "rnn_relu": recurrent(manual.rnn_relu, 1),
}
