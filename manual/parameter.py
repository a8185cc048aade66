"""What a module owns: arrays that are learnt, and arrays that are not."""

from typing import Any, NamedTuple

import numpy as np

from manual.contract import Array

__all__ = ["Buffer", "Parameter"]


class Parameter:
    """An array that is learnt, `data`, and the gradient that has come for it, `grad` (`None` until one comes)."""

    __slots__ = ("data", "grad", "requires_grad")

    def __init__(self, data: Array, requires_grad: bool = True) -> None:
        if not isinstance(data, np.ndarray):
            raise TypeError(f"Parameter: data must be a NumPy array, got {type(data).__name__}; np.asarray makes one")
        if data.dtype.kind != "f":
            raise TypeError(f"Parameter: data must hold floating-point numbers, got {data.dtype}")
        self.data = data
        self.grad: Array | None = None
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

    def __repr__(self) -> str:
        return f"Parameter({self.data!r})"


class Buffer(NamedTuple):
    """An array that a module owns without learning it (`None` where it has none).

    Assigned to an attribute, it registers its array there as a buffer; in `Module.call`, it marks an argument as owned.
    `persistent=False` keeps the array out of the state dict.
    """

    data: Array | None
    persistent: bool = True
