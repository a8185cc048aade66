"""What a module owns: arrays that are learnt, and arrays that are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import Array, require_dtype
from manual.forks import RenewedLock

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]

HOW_TO_INITIALIZE = "call the module on an input, or load a state dict, first"

_accumulating = RenewedLock()
_collection: ContextVar[dict["Parameter", Any] | None] = ContextVar("collection", default=None)


class Parameter:
    """An array that is learnt, `data`, and the gradient that has come for it, `grad`: `None` until one comes, then an array or,
    from an embedding with `sparse=True`, a `RowGradient`.
    """

    __slots__ = ("_dtype", "data", "grad", "requires_grad")  # `_dtype` is for those whose `data` is yet to come

    def __init__(self, data: Array, requires_grad: bool = True) -> None:
        if not isinstance(data, np.ndarray):
            raise TypeError(f"Parameter: data must be a NumPy array, got {type(data).__name__}; np.asarray makes one")
        if data.dtype.kind != "f":
            raise TypeError(f"Parameter: data must hold floating-point numbers, got {data.dtype}")
        self.data = data
        self.grad: Any = None
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of `data`."""
        return self.data.dtype

    @property
    def size(self) -> int:
        """The number of elements of `data`."""
        return self.data.size

    @property
    def ndim(self) -> int:
        """The number of axes of `data`."""
        return self.data.ndim

    def accumulate(self, grad: Any) -> None:
        """Add to the gradient. It is never added in place: others may hold the first one too."""
        collection = _collection.get()
        if collection is not None:
            collection[self] = collection[self] + grad if self in collection else grad
            return
        with _accumulating.lock:
            self.grad = grad if self.grad is None else self.grad + grad

    def convert(self, dtype: np.dtype[Any]) -> None:
        """Convert `data` and `grad` to another dtype."""
        self.data = self.data.astype(dtype, copy=False)
        if self.grad is not None:
            self.grad = self.grad.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"Parameter({self.data!r})"


@contextmanager
def collected() -> Iterator[dict[Parameter, Any]]:
    """Let the gradients that come for parameters in this thread wait in a dictionary."""
    gradients: dict[Parameter, Any] = {}
    token = _collection.set(gradients)
    try:
        yield gradients
    finally:
        _collection.reset(token)


class Buffer(NamedTuple):
    """An array that a module owns without learning it (`None` where it has none).

    Assigned to an attribute, it registers its array there as a buffer; in `Module.call`, it marks an argument as owned.
    `persistent=False` keeps the array out of the state dict.
    """

    data: Array | None
    persistent: bool = True


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet: its `data` is `None`, until `materialize` makes it an ordinary one."""

    __slots__ = ()
    data: Any

    def __init__(self, requires_grad: bool = True, dtype: DTypeLike = np.float64) -> None:
        self.data, self.grad, self.requires_grad = None, None, requires_grad
        self._dtype = require_dtype("UninitializedParameter", dtype)

    def materialize(self, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> None:
        """Become a `Parameter` of this shape, whose numbers are yet to be written."""
        self.data = np.empty(shape, self.dtype if dtype is None else require_dtype("UninitializedParameter", dtype))
        self.__class__ = Parameter  # type: ignore[assignment]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype that `data` will have."""
        return self._dtype

    @property
    def shape(self) -> NoReturn:
        """Refused, as are size and ndim: there is none yet."""
        raise ValueError(f"UninitializedParameter: there is no shape yet; {HOW_TO_INITIALIZE}")

    size = ndim = shape

    def convert(self, dtype: np.dtype[Any]) -> None:
        """Have another dtype in time."""
        self._dtype = dtype

    def __repr__(self) -> str:
        return "UninitializedParameter()"


class UninitializedBuffer:
    """What stands in the place of a buffer whose shape is not known yet, until an array is assigned there."""

    def __init__(self, dtype: DTypeLike = np.float64, persistent: bool = True) -> None:
        self.dtype, self.persistent = require_dtype("UninitializedBuffer", dtype), persistent

    def astype(self, dtype: DTypeLike, copy: bool = True) -> "UninitializedBuffer":
        """The same in another dtype."""
        return UninitializedBuffer(dtype, self.persistent)

    def __repr__(self) -> str:
        return "UninitializedBuffer()"
