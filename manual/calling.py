"""How a module calls its operation: arguments in the operation's order, gradients to those who own them."""

from collections.abc import Callable, Iterable
from inspect import signature
from types import NoneType
from typing import Any, NamedTuple, get_args

from manual.contract import Backward, needed
from manual.forks import RenewedLock
from manual.parameter import Buffer, Parameter

INPUT: Any = object()  # marks, among the arguments of an operation, what its module does not own


class Input(NamedTuple):
    """Marks an input that may be `None`: it keeps its place among those for which a backward has a need and a gradient."""

    data: Any


_accumulating = RenewedLock()


def array_names(forward: Callable[..., Any]) -> list[str]:
    """The arguments of a module's forward that are arrays, and not options: for each of them its backward has a gradient."""
    options = {bool, int, float, str, NoneType, tuple[int, ...]}
    parameters = signature(forward).parameters.values()
    return [p.name for p in parameters if p.kind != p.VAR_KEYWORD and not {*(get_args(p.annotation) or (p.annotation,))} <= options]


def accumulate(gradients: Iterable[tuple[Parameter, Any]]) -> None:
    """Add to each of these parameters, if it learns, the gradient beside it."""
    with _accumulating.lock:
        for parameter, grad in gradients:
            if parameter.requires_grad:  # never added in place: others may hold the first gradient too
                parameter.grad = grad if parameter.grad is None else parameter.grad + grad


def call(op: Callable[..., tuple[Any, Backward]], *arguments: Any, **constants: Any) -> tuple[Any, Backward]:
    """Run an operation on arguments in its own order, some of which the module owns.

    It owns each `Parameter`, whose `grad` the backward adds to, each list of these, and each `Buffer`; `None` stands for one that
    it lacks. All others are inputs: the backward takes a need and returns a gradient for each of them, and also for an `Input` of
    `None`.
    """
    arrays, owners = [], []
    for argument in arguments:
        owner: Any = None  # of an argument without a gradient
        if isinstance(argument, Parameter):
            argument, owner = argument.data, argument
        elif isinstance(argument, Buffer):
            argument = argument.data
        elif isinstance(argument, list) and all(isinstance(each, Parameter) for each in argument):
            argument, owner = [parameter.data for parameter in argument], argument
        elif isinstance(argument, Input):
            argument, owner = argument.data, INPUT
        elif argument is not None:
            owner = INPUT
        arrays.append(argument)
        owners.append(owner)
    output, op_backward = op(*arrays, **constants)

    def backward(grad_output, needs=None):
        of_inputs = iter(needed(op.__name__, needs, owners.count(INPUT)))
        wanted = []
        for owner in owners:
            if owner is INPUT:
                wanted.append(next(of_inputs))
            elif isinstance(owner, list):
                wanted.append(any(parameter.requires_grad for parameter in owner))
            else:
                wanted.append(owner is not None and owner.requires_grad)
        grad_inputs: list[Any] = []
        of_parameters: list[tuple[Parameter, Any]] = []
        for owner, grad in zip(owners, op_backward(grad_output, tuple(wanted))):
            if owner is INPUT:
                grad_inputs.append(grad)
            elif grad is not None:
                of_parameters += zip(owner, grad) if isinstance(owner, list) else ((owner, grad),)
        accumulate(of_parameters)
        return tuple(grad_inputs)

    return output, backward
