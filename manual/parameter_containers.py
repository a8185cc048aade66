"""Modules that hold parameters: a list and a dictionary of them."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self, overload

import numpy as np

from manual.module import Module, Parameter, UninitializedParameter, require_name

__all__ = ["ParameterDict", "ParameterList"]


class ParameterList(Module):
    """A list of parameters, named by their positions; arrays become parameters, anything else is kept as it is."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self._size = 0
        self.extend(values if values is not None else ())

    def append(self, value: Any) -> Self:
        """Add a value at the end."""
        setattr(self, str(self._size), _as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several values at the end."""
        if isinstance(values, np.ndarray) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList.extend: values must be several, as a list is, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def _name(self, index: int) -> str:
        return str(range(self._size)[index])

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(self._size))

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> "ParameterList": ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._name(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name(index), _as_parameter(value))

    def __repr__(self) -> str:
        return _shown(self, enumerate(self))


class ParameterDict(Module, MutableMapping[str, Any]):
    """A dictionary of parameters, named by their keys; arrays become parameters, anything else is kept as it is."""

    __eq__, __hash__ = Module.__eq__, Module.__hash__  # it is itself, as every module, and not what it holds

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        self._keys: dict[str, None] = {}
        self.update(parameters if parameters is not None else {})

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:  # type: ignore[override]
        """Set several values; those of a plain dict in the order of its keys, as in torch. If a key does not fit, none is set."""
        added = dict(parameters)
        for key in added:
            self._require_key(key)
        in_order = isinstance(parameters, (OrderedDict, ParameterDict)) or not isinstance(parameters, Mapping)
        for key in added if in_order else sorted(added):
            self[key] = added[key]

    def _require_key(self, key: Any) -> None:
        if require_name(self, key) not in self._keys and hasattr(self, key):
            raise ValueError(f"ParameterDict: the attribute {key!r} exists already")

    def copy(self) -> "ParameterDict":
        """A dictionary of the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> "ParameterDict":
        """A dictionary with this value under each of these keys."""
        return ParameterDict([(key, default) for key in keys])

    def popitem(self) -> tuple[str, Any]:
        """Remove the last key, and return it with its value."""
        if not self._keys:
            raise KeyError("popitem(): dictionary is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._require_key(key)
        setattr(self, key, _as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __or__(self, other: Mapping[str, Any]) -> "ParameterDict":
        copy = self.copy()
        copy.update(other)
        return copy

    def __ror__(self, other: Mapping[str, Any]) -> "ParameterDict":
        copy = ParameterDict(OrderedDict(other))
        copy.update(self)
        return copy

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return _shown(self, self.items())


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, np.ndarray) else value


def _shown(container: Module, items: Iterable[tuple[Any, Any]]) -> str:
    lines = []
    for key, value in items:
        shown = f"Object of type: {type(value).__name__}"
        if isinstance(value, UninitializedParameter):
            shown = "Parameter without a shape yet"
        elif isinstance(value, Parameter):
            shown = f"Parameter of {value.dtype} and shape {value.shape}"
        lines.append(f"  ({key}): {shown}\n")
    inside = "\n" + "".join(lines) if lines else ""
    return f"{type(container).__name__}({inside})"
