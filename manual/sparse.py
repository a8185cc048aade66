"""The gradient of a large table of which few rows were looked up: those rows alone."""

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_array

from manual.contract import Array

__all__ = ["RowGradient"]


@dataclass(frozen=True, eq=False)
class RowGradient:
    """The gradient of a table of this `shape`: to its row `indices[n]` belongs `rows[n]`, and zero to all that are not named.

    A row may be named several times; what belongs to it is then the sum. `+` takes another RowGradient or an array, `*` a number.
    It is no array: what cannot do without one calls `dense`.
    """

    indices: Array
    rows: Array
    shape: tuple[int, ...]

    __array_ufunc__ = None  # so that an array leaves its + to this class

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the rows."""
        return self.rows.dtype

    def dense(self) -> Array:
        """The gradient as an array."""
        return _sums(self.indices, self.rows, self.shape[0])

    def summed(self) -> "RowGradient":
        """The same gradient, with each row named once, in order."""
        indices, place = np.unique(self.indices, return_inverse=True)
        return RowGradient(indices, _sums(place, self.rows, len(indices)), self.shape)

    def astype(self, dtype: DTypeLike, copy: bool = True) -> "RowGradient":
        """The same gradient in another dtype."""
        return RowGradient(self.indices, self.rows.astype(dtype, copy=copy), self.shape)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, (RowGradient, np.ndarray)):
            return NotImplemented
        if (other.shape, other.dtype) != (self.shape, self.dtype):
            got = f"{other.dtype} of shape {other.shape}"
            raise ValueError(f"RowGradient: what is added must be {self.dtype} of shape {self.shape}, got {got}")
        if isinstance(other, np.ndarray):
            return other + self.dense()
        indices, rows = (np.concatenate(pair) for pair in ((self.indices, other.indices), (self.rows, other.rows)))
        return RowGradient(indices, rows, self.shape)

    __radd__ = __add__

    def __mul__(self, number: Any) -> "RowGradient":
        if not isinstance(number, (int, float, np.integer, np.floating)):
            return NotImplemented
        return RowGradient(self.indices, self.rows * float(number), self.shape)

    __rmul__ = __mul__

    def __neg__(self) -> "RowGradient":
        return RowGradient(self.indices, -self.rows, self.shape)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a RowGradient is no array, as it leaves out the rows that are zero; its dense() is one")


def zeros_like(grad: Any) -> Any:
    """A gradient of the same kind that is zero."""
    if isinstance(grad, RowGradient):
        return RowGradient(grad.indices[:0], grad.rows[:0], grad.shape)
    return np.zeros_like(grad)


def _sums(indices: Array, rows: Array, count: int) -> Array:
    """Σ rows[n] over indices[n] = i, for each i below `count`: Sᵀ rows, where S[n, i] is 1 for i = indices[n], else 0."""
    n = len(indices)
    return csr_array((np.ones(n, rows.dtype), indices, np.arange(n + 1)), shape=(n, count)).T @ rows
