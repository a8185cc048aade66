"""The functions, methods and operators of torch's tensors: of each name, a rule that records it as steps of `manual.tensor`.

A rule has the arguments of torch's function, by position or by keyword, after the `call` that it belongs to; it returns what stands
for the output. Values of the graph and constants come in the place of tensors. An output that holds no floating-point numbers never
comes here: the recorder takes it as a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import manual
from manual.graph import Value
from reference.networks.operations import RECURRENT

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


def several(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments that may also come as one list."""
    one = len(arguments) == 1 and isinstance(arguments[0], (list, tuple))
    return tuple(arguments[0] if one else arguments)


def axes_of(dim: Any) -> Any:
    """No axes are all axes, where several may be named."""
    return None if isinstance(dim, (tuple, list)) and not dim else tuple(dim) if isinstance(dim, (tuple, list)) else dim
