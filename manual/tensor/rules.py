"""How the operations of this package make their backward: of each argument a rule that makes its gradient of that of the output."""

from collections.abc import Callable
from typing import Any

import numpy as np

from manual.arrays import sum_to_shape
from manual.contract import Array, Backward, cotangent, is_number, needed, no_cotangent, require_axes

Rule = Callable[[Array], Any]


def by_rules(op: str, output: Array, *rules: Rule | None) -> tuple[Array, Backward]:
    """An output and its backward, which applies a rule for each argument; `None` where there is no gradient to have.

    Where the output holds integers or truth values there is none at all.
    """
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        needs = needed(op, needs, len(rules))
        if dtype.kind != "f":
            no_cotangent(op, grad_output)
            return (None,) * len(rules)
        grad_output = cotangent(op, grad_output, shape, dtype)
        return tuple([rule(grad_output) if need and rule is not None else None for need, rule in zip(needs, rules)])

    return output, backward


def axes_of(op: str, x: Array, dim: Any) -> tuple[int, ...]:
    """The axes that `dim` names, counted from the start; () means all."""
    return require_axes(op, x, dim)[: x.ndim] or tuple(range(x.ndim))


def by_broadcasting(op: str, output: Any, *pairs: tuple[Any, Rule | None]) -> tuple[Array, Backward]:
    """The same for operands and the rule of each, which need not undo broadcasting; plain numbers have no gradient."""
    return by_rules(
        op, output, *[None if rule is None or is_number(operand) else _summed(rule, operand.shape) for operand, rule in pairs]
    )


def _summed(rule: Rule, shape: tuple[int, ...]) -> Rule:
    def to_shape(grad_output):
        grad = sum_to_shape(rule(grad_output), shape)
        return np.positive(grad) if grad is grad_output else grad  # a gradient is never the cotangent itself

    return to_shape
