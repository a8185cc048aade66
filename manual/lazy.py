"""The mechanism of lazy modules: one size, that of the input, is left out of the constructor and read off the first input."""

from typing import Any

import numpy as np

from manual.contract import Array, Backward, require_floats, require_generator
from manual.forks import RenewedLock
from manual.module import Module
from manual.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

_beginning = RenewedLock()


class LazyModule(Module):
    """A module without shapes, which at its first call becomes an ordinary one, of the class `cls_to_become`.

    A lazy class derives from this one and from its namesake. Its constructor calls `postpone` with the arguments of the namesake's,
    its forward returns `begin(input, …)`:

        class LazyLinear(LazyModule, Linear):
            cls_to_become = Linear

            def __init__(self, out_features, bias=True, *, dtype=np.float64, generator=None):
                self.postpone("in_features", out_features=out_features, bias=bias, dtype=dtype, generator=generator)

            def forward(self, input):
                return self.begin(input, axis=-1)
    """

    cls_to_become: type[Module]

    def postpone(self, size: str, **arguments: Any) -> None:
        """Construct the namesake, its argument `size` being 0 for now, and leave the shapes of its parameters and buffers open."""
        require_generator(type(self).__name__, arguments.get("generator"))
        without_numbers = {name: value for name, value in arguments.items() if name != "generator"}  # what it draws is for later
        self.cls_to_become.__init__(self, **without_numbers, **{size: 0})
        for name, parameter in self._own(Parameter):
            setattr(self, name, UninitializedParameter(parameter.requires_grad, parameter.dtype))
        for name, buffer in self._own(Buffer):
            if buffer.ndim:
                setattr(self, name, UninitializedBuffer(buffer.dtype, name not in self._transient))
        self._postponed = size, arguments

    def begin(self, input: Array, *others: Any, axis: int) -> tuple[Any, Backward]:
        """Read the size off this axis of the input, become the namesake, and run its forward."""
        with _beginning.lock:
            if isinstance(self, LazyModule):  # no other thread was faster
                self._become(input, axis)
        return self.forward(input, *others)

    def _become(self, input: Array, axis: int) -> None:
        op = type(self).__name__
        size, arguments = self._postponed
        require_floats(op, "input", input)
        if not -input.ndim <= axis < input.ndim:
            raise ValueError(f"{op}: input must have an axis {axis}, which tells {size}, got shape {input.shape}")
        namesake = self.cls_to_become(**arguments, **{size: input.shape[axis]})
        initial = {name: parameter.data for name, parameter in namesake._own(Parameter)} | dict(namesake._own(Buffer))
        initial = {name: array for name, array in initial.items() if vars(self)[name] is not None}  # none may have been set
        for name, array in initial.items():
            own = vars(self)[name]
            loaded = own.data if isinstance(own, Parameter) else own
            if isinstance(loaded, np.ndarray) and loaded.shape != array.shape:
                of_input = f"for an input of shape {input.shape}"
                raise ValueError(f"{op}: {name} must have shape {array.shape} {of_input}, got {loaded.shape}")
        for name, array in initial.items():
            self.materialize(name, array.astype(vars(self)[name].dtype))
        setattr(self, size, input.shape[axis])
        del self._postponed
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
