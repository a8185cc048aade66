"""Gradients cut down to a size. What is cut is a new array: the old one may be shared, and stays as it is."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from manual.contract import Array, require_flags, require_number
from manual.parameter import Parameter
from manual.sparse import RowGradient

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

TINY = 1e-6  # added to the norm by which is divided


def get_total_norm(tensors: Array | Iterable[Array], norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Any:
    """The norm of all numbers of some arrays, as if they were one vector.

    Forward:   N = ‖(‖g₁‖, ‖g₂‖, …)‖, each the norm of order p = `norm_type`: (Σ |x|ᵖ)^(1/p), the largest |x| for p = ∞, the
               least for p = −∞, the number of those that are not 0 for p = 0. N is 0 of no arrays
    """
    return _total("get_total_norm", tensors, norm_type, error_if_nonfinite)


def clip_grad_norm_(
    parameters: Parameter | Iterable[Parameter], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Any:
    """Replace the gradients of parameters by shorter ones of the same direction, where their total norm is too large.

    Forward:   g ← g min(1, M / (N + 10⁻⁶)),  N the norm of all gradients as in `get_total_norm`, which is returned, M `max_norm`
               Where N is not finite, so are the new gradients, unless `error_if_nonfinite` refuses it
    Source:    Pascanu, Mikolov & Bengio 2013, On the Difficulty of Training Recurrent Neural Networks
    """
    op = "clip_grad_norm_"
    require_number(op, "max_norm", max_norm, "a number of at least 0")
    given = _with_gradient(op, parameters)
    total_norm = _total(op, [parameter.grad for parameter in given], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(given, max_norm, total_norm)
    return total_norm


def clip_grads_with_norm_(parameters: Parameter | Iterable[Parameter], max_norm: float, total_norm: Any) -> None:
    """Replace the gradients of parameters by shorter ones of the same direction, by a total norm that is known.

    Forward:   g ← g min(1, M / (N + 10⁻⁶)),  M `max_norm`, N `total_norm`
    """
    op = "clip_grads_with_norm_"
    max_norm = require_number(op, "max_norm", max_norm, "a number of at least 0")
    total_norm = require_number(op, "total_norm", total_norm)
    share = max_norm / (total_norm + TINY)
    given = _with_gradient(op, parameters)
    if share >= 1:
        return
    with np.errstate(invalid="ignore"):  # 0 · ∞, where the norm is infinite
        for parameter in given:
            parameter.grad = parameter.grad * share


def clip_grad_value_(parameters: Parameter | Iterable[Parameter], clip_value: float) -> None:
    """Replace the gradients of parameters by such whose numbers are not too large.

    Forward:   g ← min(max(g, −c), c), c `clip_value`
    """
    op = "clip_grad_value_"
    clip_value = require_number(op, "clip_value", clip_value, "a number of at least 0")
    for parameter in _with_gradient(op, parameters):
        parameter.grad = np.clip(parameter.grad, -clip_value, clip_value)


def _total(op: str, tensors: Any, norm_type: Any, error_if_nonfinite: bool) -> Any:
    order = require_number(op, "norm_type", norm_type)
    require_flags(op, error_if_nonfinite=error_if_nonfinite)
    arrays = [tensors] if isinstance(tensors, np.ndarray) else list(tensors)
    for i, array in enumerate(arrays):
        _require_dense(op, f"tensors[{i}]", array)
    norms = [_norm(np.ravel(array), order) for array in arrays]
    total = _norm(np.array(norms, np.result_type(*norms)), order) if norms else np.float64(0)
    if error_if_nonfinite and not np.isfinite(total):
        raise ValueError(f"{op}: the total norm of order {order} must be finite, got {total}; error_if_nonfinite=False takes it")
    return total


def _norm(vector: Array, order: float) -> Any:
    if not vector.size and order >= 0:
        return vector.dtype.type(0)
    with np.errstate(divide="ignore", over="ignore"):  # 0 to a negative power
        return np.linalg.norm(vector, order)


def _with_gradient(op: str, parameters: Any) -> list[Parameter]:
    """Of one or many parameters, those that have a gradient."""
    every = [parameters] if isinstance(parameters, Parameter) else list(parameters)
    for i, parameter in enumerate(every):
        if not isinstance(parameter, Parameter):
            raise TypeError(f"{op}: parameters[{i}] must be a Parameter, got {type(parameter).__name__}")
        if parameter.grad is not None:
            _require_dense(op, f"the gradient of parameters[{i}]", parameter.grad)
    return [parameter for parameter in every if parameter.grad is not None]


def _require_dense(op: str, name: str, array: Any) -> None:
    if isinstance(array, RowGradient):
        raise TypeError(f"{op}: {name} must be a NumPy array, got RowGradient; give its dense()")
    if not isinstance(array, (np.ndarray, np.generic)) or array.dtype.kind != "f":
        got = array.dtype if isinstance(array, (np.ndarray, np.generic)) else type(array).__name__
        raise TypeError(f"{op}: {name} must be a NumPy array of floating-point numbers, got {got}")
