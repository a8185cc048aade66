"""Rows of a table that is learnt, looked up by integers and reduced: the sum, the mean or the largest of each bag of them."""

from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_array

from manual.arrays import smallest
from manual.calling import Input
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_choice,
    require_flags,
    require_floats,
    require_indices,
    require_shape,
)
from manual.layers.embedding import clip_table, clipped, new_table, rows_of, settings_of, shape_of_table
from manual.module import Module, Parameter
from manual.sparse import RowGradient

__all__ = ["EmbeddingBag", "embedding_bag"]

MODES = "sum", "mean", "max"


def embedding_bag(
    x: Array,
    weight: Array,
    offsets: Array | None = None,
    per_sample_weights: Array | None = None,
    /,
    *,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Array, Backward]:
    """Sum, average or maximise the rows of a table that stand in the same bag.

    Forward:   with Bᵦ the places n of bag b where xₙ is not `padding_idx`, and W clipped to `max_norm` as in `embedding`
               sum: yᵦ = Σ sₙ W[xₙ];  mean: yᵦ = Σ W[xₙ] / |Bᵦ|;  max: yᵦ = max W[xₙ], by columns      (over n in Bᵦ)
               that is, but for max, y = S W with the sparse matrix S[b, v] = Σ sₙ or 1 / |Bᵦ| over all n in Bᵦ with xₙ = v
    Backward:  grad_W = Sᵀ g, the row of v divided by its number in x with `scale_grad_by_freq`;  grad_sₙ = ⟨gᵦ, W[xₙ]⟩
               max: gᵦ goes to the first place of the largest number      (g = grad_y); with `sparse` grad_W is a RowGradient
    Shapes:    x (N) of integers, offsets (B) where its bags start, with `include_last_offset` (B + 1), also where the last ends;
               or x (B, n), a bag in each row; weight W (V, D), per_sample_weights s of the shape of x, y (B, D)
    Corners:   a bag without places is 0; in max NaN counts if it is first in its bag, and is passed over elsewhere
    Source:    Joulin, Grave, Bojanowski & Mikolov 2016, Bag of Tricks for Efficient Text Classification
    """
    op = "embedding_bag"
    padding_idx, max_norm, norm_type = settings_of(op, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    require_flags(op, include_last_offset=include_last_offset)
    require_choice(op, "mode", mode, MODES)
    index = rows_of(op, x, weight)
    lengths = _lengths_of_bags(op, x, offsets, include_last_offset)
    if per_sample_weights is not None:
        require_floats(op, "weight per_sample_weights", weight, per_sample_weights)
        require_shape(op, "per_sample_weights", per_sample_weights, x.shape)
        if mode != "sum":
            raise ValueError(f"{op}: per_sample_weights must be None in mode {mode!r}; they are for 'sum'")
    if mode == "max" and (scale_grad_by_freq or sparse):
        raise ValueError(f"{op}: {'sparse' if sparse else 'scale_grad_by_freq'} must be False in mode 'max'")
    bag = np.repeat(np.arange(len(lengths)), lengths)  # of each place
    kept: Any = slice(None) if padding_idx is None else index != padding_idx
    index, bag = index[kept], bag[kept]
    sizes = np.bincount(bag, minlength=len(lengths))
    table, place = (weight, index) if max_norm is None else clipped(weight, index, max_norm, norm_type)[1:]
    if mode == "max":
        return _largest_of_bags(weight, index, sizes, table[place])
    if mode == "mean":
        share = 1 / sizes[bag].astype(weight.dtype)
    elif per_sample_weights is None:
        share = np.ones(len(bag), weight.dtype)
    else:
        share = per_sample_weights.reshape(-1)[kept]
    ends = np.concatenate([[0], np.cumsum(sizes)])
    output = csr_array((share, place, ends), shape=(len(sizes), len(table))) @ table

    def backward(grad_output, needs=None):
        _, need_weight, _, need_share = needed(op, needs, 4)
        grad_output = cotangent(op, grad_output, output.shape, output.dtype)
        grad_weight = grad_share = None
        if need_weight:
            scaled = share / np.bincount(index)[index].astype(share.dtype) if scale_grad_by_freq else share
            if sparse:
                grad_weight = RowGradient(index.copy(), scaled[:, None] * grad_output[bag], weight.shape)
            else:
                grad_weight = csr_array((scaled, index, ends), shape=(len(sizes), len(weight))).T @ grad_output
        if need_share and per_sample_weights is not None:
            grad_share = np.zeros(x.shape, weight.dtype)
            grad_share.reshape(-1)[kept] = np.vecdot(grad_output[bag], table[place])
        return None, grad_weight, None, grad_share

    return output, backward


def _largest_of_bags(weight: Array, index: Array, sizes: Array, rows: Array) -> tuple[Array, Backward]:
    """`embedding_bag` of mode max, from the rows of all places that are not padding, bag after bag."""
    filled = np.flatnonzero(sizes)
    first = (np.cumsum(sizes) - sizes)[filled]
    rank = np.where(np.isnan(rows), -np.inf, rows)  # NaN among numbers
    rank[first] = np.where(np.isnan(rows[first]), np.inf, rows[first])
    is_largest = rank == np.repeat(np.maximum.reduceat(rank, first), sizes[filled], axis=0)
    winner = np.minimum.reduceat(np.where(is_largest, np.arange(len(rows))[:, None], len(rows)), first)
    columns = np.arange(weight.shape[1])
    output = np.zeros((len(sizes), weight.shape[1]), weight.dtype)
    output[filled] = rows[winner, columns]

    def backward(grad_output, needs=None):
        _, need_weight, _, _ = needed("embedding_bag", needs, 4)
        grad_output = cotangent("embedding_bag", grad_output, output.shape, output.dtype)
        if not need_weight:
            return None, None, None, None
        grad_weight = np.zeros(weight.shape, weight.dtype)
        np.add.at(grad_weight, (index[winner], columns), grad_output[filled])
        return None, grad_weight, None, None

    return output, backward


class EmbeddingBag(Module):
    """`embedding_bag` with its table, which starts from N(0, 1), the padding row from 0.

    With `max_norm`, each forward also clips the rows that it looks up in the table itself.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Array | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        op = "EmbeddingBag"
        require_flags(op, include_last_offset=include_last_offset)
        require_choice(op, "mode", mode, MODES)
        table = new_table(op, num_embeddings, embedding_dim, _weight, dtype, generator)
        self.num_embeddings, self.embedding_dim, self.mode = num_embeddings, embedding_dim, mode
        self.padding_idx, self.max_norm, self.norm_type = settings_of(
            op, table, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        )
        self.scale_grad_by_freq, self.sparse, self.include_last_offset = scale_grad_by_freq, sparse, include_last_offset
        if _weight is None and self.padding_idx is not None:
            table[self.padding_idx] = 0.0
        self.weight = Parameter(table)

    def forward(
        self, input: Array, offsets: Array | None = None, per_sample_weights: Array | None = None
    ) -> tuple[Array, Backward]:
        """Reduce the bags of `input`, which begin at `offsets` or are its rows, to (B, embedding_dim)."""
        result = self.call(
            embedding_bag,
            input,
            self.weight,
            Input(offsets),
            Input(per_sample_weights),
            max_norm=self.max_norm,
            norm_type=self.norm_type,
            scale_grad_by_freq=self.scale_grad_by_freq,
            mode=self.mode,
            sparse=self.sparse,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )
        clip_table(self, input)
        return result

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Array,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A module whose table is this array itself, frozen unless `freeze=False`."""
        rows, columns = shape_of_table("EmbeddingBag", "embeddings", embeddings)
        bag = cls(
            rows, columns, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx
        )
        return bag.requires_grad_(not freeze)


def _lengths_of_bags(op: str, x: Array, offsets: Array | None, include_last_offset: bool) -> Array:
    """How many places each bag has."""
    if x.ndim == 2:
        if offsets is not None:
            raise ValueError(f"{op}: offsets must be None where the rows of x are the bags, got shape {np.shape(offsets)}")
        if not x.shape[1]:
            raise ValueError(f"{op}: x must have at least one place for each bag, got shape {x.shape}")
        return np.full(len(x), x.shape[1])
    if x.ndim != 1:
        raise ValueError(f"{op}: x must have shape (N) or (B, n), got {x.shape}")
    if offsets is None:
        raise ValueError(f"{op}: offsets must be given where x has one axis, got None")
    require_indices(op, "offsets", offsets)
    if offsets.ndim != 1:
        raise ValueError(f"{op}: offsets must have one axis, got shape {offsets.shape}")
    bounds = offsets.astype(np.intp)
    if not include_last_offset:
        bounds = np.append(bounds, len(x))
    lengths = np.diff(bounds)
    if not bounds.size or bounds[0] != 0 or bounds[-1] != len(x) or smallest(lengths) < 0:
        end = f" and end at {len(x)}, the size of x" if include_last_offset else f", up to {len(x)}, the size of x"
        raise ValueError(f"{op}: offsets must begin at 0, not decrease{end}, got {offsets}")
    return lengths
