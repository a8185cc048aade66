"""Parametrizations: a module computes a parameter from others whenever it uses it, and these are learnt in its place."""

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from manual.containers import ModuleDict, ModuleList
from manual.contract import Array, Backward, require_flags
from manual.module import Module
from manual.parameter import HOW_TO_INITIALIZE, Parameter
from manual.sparse import RowGradient

__all__ = ["ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations"]

AnyModule = TypeVar("AnyModule", bound=Module)


class Computed(Parameter):
    """A parameter that was computed: a gradient that comes for it goes on to what it was computed from."""

    __slots__ = ("_backward",)

    def __init__(self, data: Array, requires_grad: bool, backward: Backward) -> None:
        super().__init__(data, requires_grad)
        self._backward = backward

    def accumulate(self, grad: Any) -> None:
        """Carry the gradient back."""
        self._backward(grad.dense() if isinstance(grad, RowGradient) else grad)


class ParametrizationList(ModuleList):
    """The parametrizations of one parameter, and the parameters from which the first of them makes it.

    Forward:   w = fₙ(… f₂(f₁(original))), or f₁(original0, original1, …) where the `right_inverse` of f₁ returns a tuple of arrays
    Backward:  the chain rule, last parametrization first

    `right_inverse`, a method that a parametrization may have, says from what it makes an array; without one, from that itself.
    """

    def __init__(self, modules: Iterable[Module], parameter: Parameter) -> None:
        super().__init__(modules)
        inverse = self._inverse(parameter.data)
        several = isinstance(inverse, tuple)
        arrays = inverse if several else (inverse,)
        _require_like(parameter.data, self._made(*arrays)[0])
        if several:
            for i, array in enumerate(arrays):
                setattr(self, f"original{i}", Parameter(array, parameter.requires_grad))
        else:
            self.original = parameter  # the same one, which optimizers know
            parameter.data = inverse

    def originals(self) -> list[Parameter]:
        """What is learnt in the place of the parameter."""
        return [parameter for _, parameter in self._own(Parameter)]

    def forward(self) -> tuple[Array, Backward]:
        """The parameter, computed anew."""
        return self.call(self._made, *self.originals())

    def right_inverse(self, value: Array) -> None:
        """Let the parameter be this array, or the nearest that there is."""
        if not isinstance(value, np.ndarray):
            raise TypeError(f"ParametrizationList: a parametrized parameter takes a NumPy array, got {type(value).__name__}")
        _require_like(self()[0], value)
        inverse = self._inverse(value)
        for parameter, array in zip(self.originals(), inverse if isinstance(inverse, tuple) else (inverse,), strict=True):
            parameter.data[...] = array

    def _inverse(self, array: Array) -> Any:
        for parametrization in list(self)[::-1]:
            if hasattr(parametrization, "right_inverse"):
                array = parametrization.right_inverse(array)
        return array

    def _made(self, *arrays: Array) -> tuple[Array, Backward]:
        first, *others = self
        output, first_backward = first(*arrays)
        backwards = []
        for parametrization in others:
            output, next_backward = parametrization(output)
            backwards.append(next_backward)

        def backward(grad_output, needs=None):
            for of_next in reversed(backwards):
                (grad_output,) = of_next(grad_output)
            return first_backward(grad_output, needs)

        return output, backward


class Parametrized(Module):
    """What a module becomes whose parameters, some of them, are computed."""

    parametrizations: Any  # a dictionary of lists

    def __getattr__(self, name: str) -> Any:  # asked for what is no plain attribute
        made_by = vars(self).get("parametrizations", ())
        if name in made_by:
            output, backward = made_by[name]()
            return Computed(output, made_by[name].learns(), backward)
        return getattr(super(), "__getattr__", super().__getattribute__)(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self).get("parametrizations", ()):
            self.parametrizations[name].right_inverse(value)
        else:
            super().__setattr__(name, value)


def register_parametrization(module: AnyModule, tensor_name: str, parametrization: Module) -> AnyModule:
    """Let a module compute a parameter: what the parametrization, a module, returns, from what it is now or its `right_inverse`.

    The module is changed, and returned: its class is one of its own, it has a child `parametrizations`, and whatever uses the
    parameter uses what was computed, whose gradient goes back to `parametrizations.<name>.original`. A second parametrization goes
    on from what the first one returns.
    """
    op = "register_parametrization"
    if not isinstance(parametrization, Module):
        raise TypeError(f"{op}: parametrization must be a Module, got {type(parametrization).__name__}")
    parameter = parameter_of(op, module, tensor_name)
    parametrization.train(module.training)
    if isinstance(module, Parametrized) and tensor_name in module.parametrizations:
        _require_like(parameter.data, parametrization(parameter.data)[0])
        module.parametrizations[tensor_name].append(parametrization)
        return module
    made_by = ParametrizationList([parametrization], parameter).train(module.training)
    delattr(module, tensor_name)
    if not isinstance(module, Parametrized):
        kind = type(module)
        module.__class__ = type(f"Parametrized{kind.__name__}", (Parametrized, kind), {"__doc__": kind.__doc__})
        module.add_module("parametrizations", ModuleDict().train(module.training))
    children: Any = module
    children.parametrizations[tensor_name] = made_by
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module computes the parameter of this name, or any at all."""
    return isinstance(module, Parametrized) and (tensor_name is None or tensor_name in module.parametrizations)


def remove_parametrizations(module: AnyModule, tensor_name: str, leave_parametrized: bool = True) -> AnyModule:
    """Let a module have a parameter again that it computed: as it was last computed, or (`leave_parametrized=False`) as the
    original, where there is one original.

    Where there is one, it is the same object again, which optimizers know; of several, a new parameter takes the place.
    """
    op = "remove_parametrizations"
    require_flags(op, leave_parametrized=leave_parametrized)
    if not isinstance(module, Parametrized) or tensor_name not in module.parametrizations:
        raise ValueError(f"{op}: {type(module).__name__} has no parametrized {tensor_name!r}")
    made_by: Any = module.parametrizations[tensor_name]
    original, *others = made_by.originals()
    if others and not leave_parametrized:
        raise ValueError(f"{op}: leave_parametrized must be True where {tensor_name} is made of several parameters, got False")
    if leave_parametrized:
        array = np.array(getattr(module, tensor_name).data)
        if others:
            original = Parameter(array, made_by.learns())
        else:
            original.data = array
    del module.parametrizations[tensor_name]
    if not len(module.parametrizations):
        del module.parametrizations
        module.__class__ = type(module).__bases__[1]
    setattr(module, tensor_name, original)
    return module


def parameter_of(op: str, module: Any, name: Any) -> Parameter:
    """The parameter of this name, parametrized or not; refused, for an operation, where there is none."""
    if not isinstance(module, Module):
        raise TypeError(f"{op}: module must be a Module, got {type(module).__name__}")
    parameter = getattr(module, name, None) if isinstance(name, str) else None
    if not isinstance(parameter, Parameter):
        raise ValueError(f"{op}: {type(module).__name__} has no parameter {name!r}")
    if parameter.data is None:
        raise ValueError(f"{op}: {name} must have a shape, got an UninitializedParameter; {HOW_TO_INITIALIZE}")
    return parameter


def _require_like(expected: Array, made: Array) -> None:
    """Refuse what cannot stand in the place of an array."""
    got = made.shape, made.dtype
    if got != (expected.shape, expected.dtype):
        shape, dtype = expected.shape, expected.dtype
        raise ValueError(f"a parametrization must keep the parameter's shape {shape} and dtype {dtype}, got {got[0]} and {got[1]}")
