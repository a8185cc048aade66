"""Integers become vectors: rows of a table that is learnt, or the unit vectors that they stand for."""

from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from manual.arrays import largest, smallest
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_dtype,
    require_flags,
    require_floats,
    require_generator,
    require_indices,
    require_integer,
    require_number,
    require_shape,
)
from manual.initialization import standard_normal
from manual.module import Module, Parameter
from manual.sparse import RowGradient

__all__ = ["Embedding", "embedding", "one_hot"]


def embedding(
    x: Array,
    weight: Array,
    /,
    *,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> tuple[Array, Backward]:
    """Look up rows of a table.

    Forward:   yₙ = W[xₙ],  with `max_norm` m a row of larger norm ‖w‖ (of order `norm_type`) as w m / (‖w‖ + 10⁻⁷)
    Backward:  grad_W[v] = Σ gₙ over all n with xₙ = v, divided by their number with `scale_grad_by_freq`; 0 for v = `padding_idx`
               (g = grad_y); with `sparse` a RowGradient
    Shapes:    x (...) of integers from 0 to V − 1, weight W (V, D), y (..., D)
    Corners:   no gradient goes through the norm: a row counts as given as it was clipped. The table is not changed here, but by the
               module. The padding row is looked up and clipped as any other
    Source:    Bengio, Ducharme, Vincent & Jauvin 2003, A Neural Probabilistic Language Model
    """
    op = "embedding"
    padding_idx, max_norm, norm_type = settings_of(op, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    index = rows_of(op, x, weight)
    table, place = (weight, index) if max_norm is None else clipped(weight, index, max_norm, norm_type)[1:]
    output = table.take(place, axis=0).reshape(*x.shape, weight.shape[1])
    shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        _, need_weight = needed(op, needs, 2)
        rows = cotangent(op, grad_output, shape, dtype).reshape(index.size, weight.shape[1])
        if not need_weight:
            return None, None
        looked_up = index
        if padding_idx is not None:
            kept = index != padding_idx
            looked_up, rows = index[kept], rows[kept]
        if scale_grad_by_freq:
            rows = rows / np.bincount(looked_up)[looked_up].astype(dtype)[:, None]
        if sparse:
            return None, RowGradient(looked_up.copy(), rows.copy(), weight.shape)
        return None, RowGradient(looked_up, rows, weight.shape).dense()

    return output, backward


class Embedding(Module):
    """`embedding` with its table, which starts from N(0, 1), the padding row from 0.

    With `max_norm`, each forward also clips the rows that it looks up in the table itself.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Array | None = None,
        _freeze: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        table = new_table("Embedding", num_embeddings, embedding_dim, _weight, dtype, generator)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = settings_of(
            "Embedding", table, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        )
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is None and self.padding_idx is not None:
            table[self.padding_idx] = 0.0
        self.weight = Parameter(table, requires_grad=not _freeze)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Look up the rows of `input` (...), which become (..., embedding_dim)."""
        result = self.call(
            embedding,
            input,
            self.weight,
            padding_idx=self.padding_idx,
            max_norm=self.max_norm,
            norm_type=self.norm_type,
            scale_grad_by_freq=self.scale_grad_by_freq,
            sparse=self.sparse,
        )
        clip_table(self, input)
        return result

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Array,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A module whose table is this array itself, frozen unless `freeze=False`."""
        rows, columns = shape_of_table("Embedding", "embeddings", embeddings)
        return cls(rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)


def one_hot(x: Array, /, *, num_classes: int = -1) -> tuple[Array, Backward]:
    """Turn classes into unit vectors.

    Forward:   yₙₖ = 1 for k = xₙ, else 0
    Backward:  there is none to have, as y holds integers: grad_y is None, and so is grad_x
    Shapes:    x (...) of integers from 0, y (..., num_classes) of int64; −1 classes are one more than the largest x
    """
    op = "one_hot"
    require_indices(op, "x", x)
    num_classes = require_integer(op, "num_classes", num_classes, least=-1)
    index = np.asarray(x)
    if not index.size and num_classes < 1:
        raise ValueError(f"{op}: num_classes must be at least 1 where x holds no class to tell it, got {num_classes}")
    count = int(largest(index)) + 1 if num_classes == -1 else num_classes
    _require_range(op, "classes", index, count)
    output = (index[..., None] == np.arange(count)).astype(np.int64)

    def backward(grad_output, needs=None):
        needed(op, needs, 1)
        if grad_output is not None:
            raise TypeError(f"{op}: grad_output must be None, as the output holds integers, got {type(grad_output).__name__}")
        return (None,)

    return output, backward


# -- What this chapter shares with that of bags: checks, and the norm of rows


def new_table(
    op: str, rows: int, columns: int, given: Array | None, dtype: DTypeLike, generator: np.random.Generator | None
) -> Array:
    """The table that is given, or a new one."""
    require_integer(op, "num_embeddings", rows, least=0)
    require_integer(op, "embedding_dim", columns, least=0)
    require_generator(op, generator)
    dtype = require_dtype(op, dtype)
    if given is None:
        return standard_normal((rows, columns), dtype, generator)
    require_floats(op, "_weight", given)
    require_shape(op, "_weight", given, (rows, columns))
    return given


def shape_of_table(op: str, name: str, table: Array) -> tuple[int, int]:
    require_floats(op, name, table)
    if table.ndim != 2:
        raise ValueError(f"{op}: {name} must have two axes, got shape {table.shape}")
    return table.shape


def settings_of(
    op: str,
    weight: Array,
    padding_idx: int | None,
    max_norm: float | None,
    norm_type: float,
    scale_grad_by_freq: bool,
    sparse: bool,
) -> tuple[int | None, float | None, float]:
    """Check the settings. Return the padding row, counted from the start, and those of the norm."""
    rows, columns = shape_of_table(op, "weight", weight)
    require_flags(op, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)
    if scale_grad_by_freq and sparse:
        raise ValueError(f"{op}: sparse must be False with scale_grad_by_freq")
    norm_type = require_number(op, "norm_type", norm_type)
    if max_norm is not None:
        max_norm = require_number(op, "max_norm", max_norm)
        if not columns and np.isinf(norm_type):
            raise ValueError(f"{op}: norm_type must be finite for a table without columns, got {norm_type}")
    if padding_idx is not None:
        padding_idx = require_integer(op, "padding_idx", padding_idx)
        if not -rows <= padding_idx < rows:
            raise ValueError(f"{op}: padding_idx must be a row of the table, from {-rows} to {rows - 1}, got {padding_idx}")
        padding_idx %= rows
    return padding_idx, max_norm, norm_type


def rows_of(op: str, x: Array, weight: Array) -> Array:
    """The rows that x names, in one axis."""
    require_indices(op, "x", x)
    index = np.asarray(x)
    _require_range(op, "rows", index, len(weight))
    return index.astype(np.intp, copy=False).reshape(-1)


def _require_range(op: str, what: str, index: Array, count: int) -> None:
    if smallest(index) < 0 or largest(index) >= count:
        wrong = index[(index < 0) | (index >= count)].flat[0]
        raise ValueError(f"{op}: x must hold {what} from 0 to {count - 1}, got {wrong}")


def clipped(weight: Array, index: Array, max_norm: float, norm_type: float) -> tuple[Array, Array, Array]:
    """Of the rows that are looked up, each once: which they are, and what they are once clipped; and where each index finds its
    own among them.
    """
    used, place = np.unique(index, return_inverse=True)
    rows = weight[used]
    with np.errstate(all="ignore"):  # rows may hold infinities and NaN, and 0 has norms of negative order
        norm = np.linalg.norm(rows, norm_type, axis=1)
        rows *= np.where(norm > max_norm, max_norm / (norm + 1e-7), 1.0)[:, None]
    return used, rows, place


def clip_table(module: Any, input: Array) -> None:
    """What a forward with `max_norm` has done to the rows that it looked up, it does to those in the table."""
    if module.max_norm is not None:
        used, rows, _ = clipped(module.weight.data, input, module.max_norm, module.norm_type)
        module.weight.data[used] = rows
