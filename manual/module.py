"""A module is an operation that owns its parameters."""

import threading
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any, NamedTuple, Self

import numpy as np

from manual.contract import Array, Backward, needed

__all__ = ["Module", "Parameter"]

_accumulating = threading.Lock()
INPUT = object()  # marks, among the arguments of an operation, what its module does not own


class Parameter:
    """An array that is learnt, `data`, and the gradient that has come for it, `grad` (`None` until one comes)."""

    __slots__ = ("data", "grad", "requires_grad")

    def __init__(self, data: Array, requires_grad: bool = True) -> None:
        self.data = data
        self.grad: Array | None = None
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return f"Parameter({self.data!r})"


class Buffer(NamedTuple):
    """In a call, an array that the module owns without learning it (`None` where it has none)."""

    data: Array | None


class Module:
    """What all modules share: calling an operation, finding parameters, state dicts, training mode.

    Parameters, buffers and child modules are plain attributes, registered by being set: a `Parameter` is learnt, a `Module` is a
    child, and `register_buffer` names an array that belongs to the state but is not learnt.
    """

    __call__: Callable[..., tuple[Any, Backward]]  # calling a module is its forward, see __init_subclass__
    training = True
    _buffer_names: tuple[str, ...] = ()

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Backward]:
        """Return the output and its backward, `grad_inputs = backward(grad_output, needs=None)`, which returns the gradients of
        the inputs as a tuple and adds those of the parameters to their `grad`.
        """
        raise TypeError(f"{type(self).__name__} has no forward")

    def __init_subclass__(cls) -> None:
        cls.__call__ = cls.forward  # type: ignore[method-assign]

    @staticmethod
    def call(op: Callable[..., tuple[Any, Backward]], *arguments: Any, **constants: Any) -> tuple[Any, Backward]:
        """Run an operation on arguments in its own order, some of which the module owns.

        It owns each `Parameter`, whose `grad` the backward adds to, and each `Buffer`; `None` stands for one that it lacks. All
        others are inputs: the backward takes a need and returns a gradient for each of them.
        """
        output, op_backward = op(*[a.data if isinstance(a, (Parameter, Buffer)) else a for a in arguments], **constants)
        # Of each argument the parameter that it is, `INPUT`, or None for what has no gradient
        owners: list[Any] = [
            a if isinstance(a, Parameter) else None if a is None or isinstance(a, Buffer) else INPUT for a in arguments
        ]

        def backward(grad_output, needs=None):
            of_inputs = iter(needed(op.__name__, needs, owners.count(INPUT)))
            wanted = [next(of_inputs) if owner is INPUT else owner is not None and owner.requires_grad for owner in owners]
            grad_inputs = []
            grads = op_backward(grad_output, tuple(wanted))
            with _accumulating:
                for owner, grad in zip(owners, grads):
                    if owner is INPUT:
                        grad_inputs.append(grad)
                    elif grad is not None:  # never added in place: others may hold the first gradient too
                        owner.grad = grad if owner.grad is None else owner.grad + grad
            return tuple(grad_inputs)

        return output, backward

    def register_buffer(self, name: str, value: Array | None) -> None:
        """Set an attribute that belongs to the state dict without being learnt. `None` keeps its place, but is not saved."""
        setattr(self, name, value)
        self._buffer_names = (*self._buffer_names, name)

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The child modules, each with its name."""
        return ((name, value) for name, value in vars(self).items() if isinstance(value, Module))

    def children(self) -> Iterator["Module"]:
        """The child modules."""
        return (child for _, child in self.named_children())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, each with its path; the module's own come first, then its children's."""
        seen = set()
        for name, tensor in self._named_state(prefix and prefix + "."):
            if isinstance(tensor, Parameter) and id(tensor) not in seen:
                seen.add(id(tensor))
                yield name, tensor

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter once."""
        return (parameter for _, parameter in self.named_parameters())

    def learns(self) -> bool:
        """Whether any parameter here or in the children wants a gradient."""
        for value in vars(self).values():
            if isinstance(value, Parameter) and value.requires_grad:
                return True
        return any(child.learns() for child in self.children())

    def _named_state(self, prefix: str = "") -> Iterator[tuple[str, Parameter | Array]]:
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name in self._buffer_names:
            if (buffer := getattr(self, name)) is not None:
                yield prefix + name, buffer
        for name, child in self.named_children():
            yield from child._named_state(f"{prefix}{name}.")

    def state_dict(self) -> dict[str, Array]:
        """The arrays of all parameters and buffers by path: the module's own arrays, not copies, as in torch."""
        return {name: value.data if isinstance(value, Parameter) else value for name, value in self._named_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Copy arrays (or CPU tensors) into the parameters and buffers; where anything does not fit, nothing is changed.

        `strict=False` passes over missing and surplus keys; a wrong shape is an error all the same.
        """
        own = self.state_dict()
        new = {name: _as_numbers(value) for name, value in state_dict.items() if name in own}
        problems = []
        if strict and (missing := [name for name in own if name not in state_dict]):
            problems.append(f"missing {', '.join(missing)}")
        if strict and (surplus := [name for name in state_dict if name not in own]):
            problems.append(f"unexpected {', '.join(surplus)}")
        for name, value in new.items():
            if isinstance(value, str):
                problems.append(f"{name} must hold numbers, got {value}")
            elif value.shape != own[name].shape:
                problems.append(f"{name} must have shape {own[name].shape}, got {value.shape}")
        if problems:
            raise ValueError(f"{type(self).__name__}.load_state_dict: {'; '.join(problems)}")
        for name, value in new.items():
            np.copyto(own[name], value, casting="unsafe")

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters: back to `None`."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze the parameters (`False`), so that no gradient is computed for them, or learn them again."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and in all children."""
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and in all children."""
        return self.train(False)

    def extra_repr(self) -> str:
        """The constructor's arguments, for `repr`: each that the module keeps under its name."""
        shown = []
        for name, argument in signature(type(self).__init__).parameters.items():
            if name not in vars(self):
                continue
            value = vars(self)[name]
            if isinstance(argument.default, bool):  # of a bias, whether there is one
                shown.append(f"{name}={value is not None and value is not False}")
            elif isinstance(value, np.ndarray):
                shown.append(f"{name}=array of shape {value.shape}")
            elif value is not None:
                shown.append(f"{name}={value!r}")
        return ", ".join(shown)

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        if lines and (extra := self.extra_repr()):
            lines.insert(0, extra)
        inside = "\n  " + "\n  ".join(lines) + "\n" if lines else self.extra_repr()
        return f"{type(self).__name__}({inside})"


def _as_numbers(value: Any) -> Array | str:
    """The value as an array of real numbers, or else what it is."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return type(value).__name__
    return array if array.dtype.kind in "fiub" else str(array.dtype)
