"""A module is an operation that owns its parameters."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import DTypeLike

from manual.calling import call
from manual.contract import Array, Backward
from manual.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from manual.sparse import RowGradient, zeros_like
from manual.state import IncompatibleKeys, load

__all__ = ["Buffer", "Module", "Parameter", "RowGradient", "UninitializedBuffer", "UninitializedParameter"]


class Module:
    """What all modules share: calling an operation, state dicts, gradients, training mode.

    Parameters, buffers and child modules are plain attributes, registered by being set: a `Parameter` is learnt, the array of a
    `Buffer` is state without being learnt, and a `Module` is a child. Such a name takes its like, or `None`, and nothing else.
    """

    training = True
    _registered: Mapping[str, type] = {}  # the kind of each name, in order: Parameter, Buffer or Module
    _transient: frozenset[str] = frozenset()  # the buffers that are not saved

    def forward(self, *inputs: Any, **options: Any) -> tuple[Any, Backward]:
        """Return the output and its backward, `grad_inputs = backward(grad_output, needs=None)`, which returns the gradients of
        the inputs as a tuple and adds those of the parameters to their `grad`.
        """
        raise TypeError(f"{type(self).__name__} has no forward")

    def __call__(self, *inputs: Any, **options: Any) -> tuple[Any, Backward]:
        """Run `forward`, which must return an output and its backward."""
        result = self.forward(*inputs, **options)
        if type(result) is not tuple or len(result) != 2 or not callable(result[1]):
            raise without_backward(self, result)
        return result

    call = staticmethod(call)

    def __setattr__(self, name: str, value: Any) -> None:
        kind = self._registered.get(name) or next((kind for kind, types in KINDS.items() if isinstance(value, types)), None)
        if kind is None:
            object.__setattr__(self, name, value)
        else:
            self._assign(name, kind, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._registered = {other: kind for other, kind in self._registered.items() if other != name}

    def _assign(self, name: str, kind: type, value: Any) -> None:
        """Set an attribute of this kind, which is registered where it is new. Of a buffer, the attribute is the array."""
        data = value.data if kind is Buffer and isinstance(value, Buffer) else value
        if data is not None and not isinstance(data, (np.ndarray, UninitializedBuffer) if kind is Buffer else kind):
            what = "child module" if kind is Module else kind.__name__.lower()
            expected = "a NumPy array" if kind is Buffer else f"a {kind.__name__}"
            got = f"cannot assign {type(data).__name__} as {what} {name!r}"
            raise TypeError(f"{type(self).__name__}: {got} ({expected} or None expected)")
        if isinstance(value, (Buffer, UninitializedBuffer)):
            self._transient = self._transient - {name} if value.persistent else self._transient | {name}
        if name not in self._registered:
            self._registered = {**self._registered, name: kind}
        object.__setattr__(self, name, data)

    def _register(self, name: str, kind: type, value: Any) -> None:
        require_name(self, name)
        if hasattr(self, name) and self._registered.get(name) is not kind:
            raise ValueError(f"{type(self).__name__}: the attribute {name!r} exists already")
        self._assign(name, kind, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set an attribute that is learnt. `None` keeps its place."""
        self._register(name, Parameter, param)

    def register_buffer(self, name: str, tensor: Array | None, persistent: bool = True) -> None:
        """Set an attribute that belongs to the state dict (unless `persistent=False`) without being learnt.

        `None` keeps its place, but is not saved.
        """
        self._register(name, Buffer, Buffer(tensor, persistent))

    def add_module(self, name: str, module: "Module | None") -> None:
        """Set an attribute that is a child module."""
        self._register(name, Module, module)

    def _own(self, kind: type) -> Iterable[tuple[str, Any]]:
        """The attributes of one kind that are not `None`."""
        named = [(name, vars(self)[name]) for name, registered in self._registered.items() if registered is kind]
        return [(name, value) for name, value in named if value is not None]

    def _children(self) -> Iterable[tuple[str, "Module"]]:
        """The child modules, some perhaps under several names."""
        return self._own(Module)

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Every child module once, each with its name."""
        return _once(self._children())

    def children(self) -> Iterator["Module"]:
        """Every child module once."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, "Module"]]:
        """The module itself and all below it, each with its path, once or (`remove_duplicate=False`) wherever it stands."""
        every = self._paths(prefix)
        return _once(every) if remove_duplicate else every

    def _paths(self, prefix: str) -> Iterator[tuple[str, "Module"]]:
        yield prefix, self
        for name, child in self._children():
            yield from child._paths(_join(prefix, name))

    def modules(self) -> Iterator["Module"]:
        """The module itself and all below it, each once."""
        return (module for _, module in self.named_modules())

    def _named(self, kind: type, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        modules = self.named_modules(prefix, remove_duplicate) if recurse else [(prefix, self)]
        every = ((_join(path, name), value) for path, module in modules for name, value in module._own(kind))
        return _once(every) if remove_duplicate else every

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its path; the module's own come first, then (unless `recurse=False`) its children's."""
        return self._named(Parameter, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Array]]:
        """Every buffer with its path; the module's own come first, then (unless `recurse=False`) its children's."""
        return self._named(Buffer, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Array]:
        """Every buffer once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> "Module":
        """The module at a path such as `encoder.0`; the empty path is the module itself."""
        module = self
        for name in target.split(".") if target else ():
            children = dict(module._children())
            if name not in children:
                raise AttributeError(f"{type(module).__name__} has no child module {name!r}")
            module = children[name]
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as `encoder.0.weight`."""
        return self._get(Parameter, target)

    def get_buffer(self, target: str) -> Array:
        """The buffer at a path such as `encoder.1.running_mean`."""
        return self._get(Buffer, target)

    def _get(self, kind: type, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        own = dict(module._own(kind))
        if name not in own:
            raise AttributeError(f"{type(module).__name__} has no {kind.__name__.lower()} {name!r}")
        return own[name]

    def state_dict(self, *, prefix: str = "") -> dict[str, Array]:
        """The arrays of all parameters and buffers by path, as in torch the module's own arrays and not copies.

        `prefix` is put before each path as it is. What has no shape yet stands there itself.
        """
        state = {}
        for path, module in self.named_modules(remove_duplicate=False):
            for name, parameter in module._own(Parameter):
                state[prefix + _join(path, name)] = parameter if parameter.data is None else parameter.data
            for name, buffer in module._own(Buffer):
                if name not in module._transient:
                    state[prefix + _join(path, name)] = buffer
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy arrays (or CPU tensors) into the parameters and buffers; where anything does not fit, nothing is changed.

        `strict=False` passes over missing and surplus keys, which are returned; a wrong shape is an error all the same. What has no
        shape yet takes the one it is given.
        """
        keys, shaped = load(type(self).__name__, self.state_dict(), state_dict, strict)
        for path, array in shaped.items():
            parent, _, name = path.rpartition(".")
            self.get_submodule(parent).materialize(name, array)
        return keys

    def materialize(self, name: str, array: Array) -> None:
        """Give its array to a parameter or buffer of this module that had no shape yet."""
        parameter = vars(self)[name]
        if isinstance(parameter, UninitializedParameter):
            parameter.materialize(array.shape, array.dtype)
            parameter.data = array
        elif isinstance(parameter, UninitializedBuffer):
            setattr(self, name, array)

    def to(self, dtype: DTypeLike) -> Self:
        """Convert parameters, their gradients and floating-point buffers, the children's too, to float32 or float64."""
        try:
            target = np.dtype(dtype) if dtype is not None else None
        except TypeError:  # a device, perhaps
            target = None
        if target not in (np.float32, np.float64):
            raise TypeError(f"{type(self).__name__}.to: dtype must be np.float32 or np.float64, got {dtype!r}")
        for module in self.modules():
            for name, buffer in module._own(Buffer):
                if buffer.dtype.kind == "f":
                    setattr(module, name, buffer.astype(target, copy=False))
        for parameter in self.parameters():
            parameter.convert(target)
        return self

    def float(self) -> Self:
        """Convert to float32, see `to`."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Convert to float64, see `to`."""
        return self.to(np.float64)

    def half(self) -> NoReturn:
        """Refused: the formats are float32 and float64."""
        raise TypeError(f"{type(self).__name__}.half: float16 is not supported; float() converts to float32")

    def apply(self, fn: Callable[["Module"], Any]) -> Self:
        """Call a function on every module below, then on this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters: each is `None` again, or (`set_to_none=False`) zeros if one had come."""
        for parameter in self.parameters():
            parameter.grad = None if set_to_none or parameter.grad is None else zeros_like(parameter.grad)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze the parameters (`False`), so that no gradient is computed for them, or learn them again."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def learns(self) -> bool:
        """Whether any parameter here or in the children wants a gradient."""
        for value in vars(self).values():
            if isinstance(value, Parameter) and value.requires_grad:
                return True
        return any(child.learns() for _, child in self._children())

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
        """The constructor's arguments, for `repr`: each that the module keeps under its name, but for children, which follow."""
        shown = []
        for name, argument in signature(type(self).__init__).parameters.items():
            if name not in vars(self) or isinstance(vars(self)[name], Module):
                continue
            value = vars(self)[name]
            if isinstance(argument.default, bool):  # of a bias, whether there is one
                shown.append(f"{name}={value is not None and value is not False}")
            elif isinstance(value, np.ndarray):
                shown.append(f"{name}=array of shape {value.shape}")
            elif value is not None or argument.default is not None:
                shown.append(f"{name}={value!r}")
        return ", ".join(shown)

    def __repr__(self) -> str:
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self._children()]
        if lines and (extra := self.extra_repr()):
            lines.insert(0, extra)
        inside = "\n  " + "\n  ".join(lines) + "\n" if lines else self.extra_repr()
        return f"{type(self).__name__}({inside})"


# The kinds of what a module owns, and what registers itself as such
KINDS: dict[type, tuple[type, ...]] = {Parameter: (Parameter,), Buffer: (Buffer, UninitializedBuffer), Module: (Module,)}


def require_name(module: Module, name: Any) -> str:
    """Refuse, as the name of what a module owns, what would make paths ambiguous."""
    if not isinstance(name, str) or not name or "." in name:
        raise ValueError(f"{type(module).__name__}: a name must be a non-empty string without dots, got {name!r}")
    return name


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _once(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Of all that is the same object, the first."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def without_backward(module: Module, result: Any) -> TypeError:
    """The error of a forward that returns something else than an output and its backward."""
    got = f"({', '.join(type(each).__name__ for each in result)})" if type(result) is tuple else type(result).__name__
    return TypeError(f"{type(module).__name__}.forward must return (output, backward), got {got}")
