"""Functions of many numbers: sums, means, norms, extremes, and what softmax makes of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import manual
from manual import tensor
from reference.networks.operations import UntranslatedError
from reference.networks.rules.arithmetic import maximum, minimum
from reference.networks.rules.table import RULES, axes_of, is_value, rule


def _reduction(name: str) -> None:
    operation = getattr(tensor, name)

    def reduce(call, input, dim=None, keepdim=False, *, dtype=None):
        return call.step(operation, input, dim=axes_of(dim), keepdim=keepdim)

    RULES[name] = reduce


for _name in ("sum", "mean", "prod", "logsumexp"):
    _reduction(_name)
RULES["special_logsumexp"] = RULES["logsumexp"]


def _of_spread(operation: Callable[..., Any]) -> Callable[..., Any]:
    def spread(call, input, dim=None, unbiased=True, keepdim=False, *, correction=None):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        correction = float(unbiased) if correction is None else correction
        return call.step(operation, input, dim=axes_of(dim), correction=correction, keepdim=keepdim)

    return spread


RULES |= {"var": _of_spread(tensor.var), "std": _of_spread(tensor.std)}


@rule("var_mean", "std_mean")
def var_mean(call, input, dim=None, unbiased=True, keepdim=False, *, correction=None):
    spread = RULES[call.function.__name__.removesuffix("_mean")]
    of_all = isinstance(dim, bool)
    mean = call.step(tensor.mean, input, dim=None if of_all else axes_of(dim), keepdim=keepdim)
    return spread(call, input, dim, unbiased, keepdim, correction=correction), mean


@rule("norm", "linalg_norm", "linalg_vector_norm")
def norm(call, input, p=None, dim=None, keepdim=False, dtype=None, *, ord=None):
    p = ord if p is None else p
    if call.function.__name__ == "linalg_norm" and p is not None and len(call.args[0].shape) > 1 and not isinstance(dim, int):
        raise UntranslatedError("the norm of matrices has no counterpart")
    p = "fro" if p is None else p if isinstance(p, str) else float(p)
    return call.step(tensor.norm, input, p=p, dim=axes_of(dim), keepdim=keepdim)


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
