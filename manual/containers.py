"""Modules that hold modules."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Self, overload

from manual.arrays import read_only
from manual.calling import array_names
from manual.contract import Backward, needed
from manual.module import Module, require_name, without_backward

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class Container(Module):
    """Keeps all its child modules, those set as attributes too, in one dictionary, in order."""

    _modules: dict[str, Module]

    def _children(self) -> Iterable[tuple[str, Module]]:
        return self._modules.items()

    def add_module(self, name: str, module: Module | None) -> None:
        """Set a module under this name: in its place, or at the end where the name is new."""
        self._modules[require_name(self, name)] = _require_module(self, module)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module) or name in vars(self).get("_modules", ()):
            self.add_module(name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __getattr__(self, name: str) -> Any:  # asked for what is no plain attribute
        try:
            return vars(self)["_modules"][name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}", name=name, obj=self) from None

    def __len__(self) -> int:
        return len(self._modules)


class _Sequence(Container):
    """What `ModuleList` and `Sequential` share: modules in order, named by their positions."""

    def append(self, module: Module) -> Self:
        """Add a module at the end, named by its position."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end, named by their positions. If one of them is not a module, none is added."""
        for module in [_require_module(self, module) for module in modules]:
            self._modules[str(len(self))] = module
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Insert a module before position `index`, and name all modules by their positions."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"{type(self).__name__}: index must lie in [{-len(self)}, {len(self)}], got {index}")
        modules = list(self)
        modules.insert(index, _require_module(self, module))
        return self._number(modules)

    def pop(self, index: int = -1) -> Module:
        """Remove a module and return it."""
        module = list(self)[index]
        del self[index]
        return module

    def _number(self, modules: list[Module]) -> Self:
        self._modules = {str(position): module for position, module in enumerate(modules)}
        return self

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __setitem__(self, index: int, module: Module) -> None:
        self._modules[list(self._modules)[index]] = _require_module(self, module)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._number(modules)


class ModuleList(_Sequence):
    """A list of modules, registered under their positions. It has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self._modules = {}
        self.extend(modules or ())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> "ModuleList": ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return type(self)().extend(list(self)[index])
        return list(self)[index]

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)


class Sequential(_Sequence):
    """Modules one after another: each takes the output of the one before, as its first input.

    Forward:   y = fₙ(… f₂(f₁(x)))
    Backward:  the chain rule, last module first: grad_x = J₁ᵀ J₂ᵀ … Jₙᵀ grad_y

    The modules are named by their positions or, where one dict is given in their place, by its keys.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else None
        self._modules = {}
        for name, module in named.items() if named is not None else enumerate(modules):
            self._modules[require_name(self, str(name))] = _require_module(self, module)

    def forward(self, input: Any) -> tuple[Any, Backward]:
        """Run the modules in order. Without any, the output is the input, read-only."""
        modules = list(self._modules.values())
        if not modules:
            input = read_only(input)
        backwards = []
        for module in modules:
            result = module.forward(input)
            try:
                input, module_backward = result
                if not callable(module_backward):
                    raise TypeError
            except (TypeError, ValueError):
                raise without_backward(module, result) from None
            backwards.append(module_backward)

        def backward(grad_output, needs=None):
            (wanted,) = needed("Sequential", needs, 1)
            stop = 0
            while not wanted and stop < len(modules) and not modules[stop].learns():
                stop += 1  # before the first module that learns, nobody needs a gradient
            for i in range(len(modules) - 1, stop, -1):
                grad_output, *_ = backwards[i](grad_output)
            if stop < len(modules):
                grad_output, *_ = backwards[stop](grad_output, None if wanted else (False,) * _inputs(modules[stop]))
            return (grad_output if wanted else None,)

        return input, backward

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        return list(self)[index]

    def __add__(self, other: "Sequential") -> "Sequential":
        return Sequential(*self, *other) if isinstance(other, Sequential) else NotImplemented

    def __iadd__(self, other: "Sequential") -> Self:
        return self.extend(other) if isinstance(other, Sequential) else NotImplemented


def _inputs(module: Module) -> int:
    """For how many inputs its backward has needs."""
    method = type(module).forward
    own = vars(module).get("forward", method)
    return _arrays(method) - 1 if own is method else _arrays(own)  # of a method, the module itself is no input


_arrays = lru_cache(lambda forward: len(array_names(forward)))


class ModuleDict(Container):
    """A dictionary of modules, registered under their keys. It has no forward of its own."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        self._modules = {}
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Set several modules. If one of them does not fit, none is set."""
        added = dict(modules)
        for name, module in added.items():
            require_name(self, name)
            _require_module(self, module)
        self._modules.update(added)

    def keys(self) -> Iterable[str]:
        """The keys."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """The keys and modules."""
        return self._modules.items()

    def pop(self, key: str) -> Module:
        """Remove a module and return it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]


def _require_module(container: Module, module: Any) -> Module:
    if not isinstance(module, Module):
        raise TypeError(f"{type(container).__name__}: expected a Module, got {type(module).__name__}")
    return module
