"""Sequences of different lengths in one array: padded to the same length, or packed without padding.

Packing and padding move numbers and compute nothing, so each backward moves them back. What stands in the padding, or lies beyond
the end of its sequence, gets a gradient of 0.
"""

from typing import Any, NamedTuple

import numpy as np

from manual.contract import (
    Array,
    Backward,
    cotangent,
    cotangents,
    needed,
    require_choice,
    require_flags,
    require_floats,
    require_indices,
    require_integer,
    require_number,
)

__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence(NamedTuple):
    """Sequences without padding: what all have at the first time, then what those that are longer have at the second, and so on.

    data              (Σ lengths, *): at each time the sequences in the order of their lengths, the longest first
    batch_sizes       (T): how many sequences there are at each time
    sorted_indices    (N): which sequence of the batch comes first, second, …; `None` where the batch is in that order itself
    unsorted_indices  (N): the inverse of that permutation

    As a gradient it has that of `data`, and `None` beside it.
    """

    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None


def times_and_places(batch_sizes: Array) -> tuple[Array, Array]:
    """Of each row of packed data, its time, and how many sequences stand before its own."""
    time = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    before = np.cumsum(batch_sizes) - batch_sizes
    return time, np.arange(len(time)) - before[time]


def _times_and_sequences(batch_sizes: Array, order: Array | None) -> tuple[Array, Array]:
    """Of each row of packed data, its time, and to which sequence of the batch it belongs."""
    time, place = times_and_places(batch_sizes)
    return time, place if order is None else order[place]


def pack_padded_sequence(
    x: Array, lengths: Any, /, *, batch_first: bool = False, enforce_sorted: bool = True
) -> tuple[PackedSequence, Backward]:
    """Pack sequences that were padded to the same length.

    Forward:   data = x[t, n] of all times t < lengths[n], row after row
    Backward:  grad_x[t, n] = the row of grad_data that came from there, 0 where t ≥ lengths[n]
    Shapes:    x (T, N, *), or (N, T, *) with `batch_first`; lengths (N) of integers from 1 to T, an array or a list;
               data (Σ lengths, *). Falling lengths are required, unless `enforce_sorted=False`
    """
    op = "pack_padded_sequence"
    require_floats(op, "x", x)
    require_flags(op, batch_first=batch_first, enforce_sorted=enforce_sorted)
    _require_padded(op, x)
    if x.size == 0:
        raise ValueError(f"{op}: x must not be empty, got shape {x.shape}")
    steps, count = _steps_and_count(x, batch_first)
    lengths = _require_lengths(op, lengths, count, 1, steps)
    order = _order_of(op, "lengths", lengths, enforce_sorted)
    batch_sizes = _batch_sizes(lengths)
    time, sequence = _times_and_sequences(batch_sizes, order)
    place = (sequence, time) if batch_first else (time, sequence)
    output = packed_in_order(x[place], batch_sizes, order)

    def backward(grad_output, needs=None):
        need_x, _ = needed(op, needs, 2)
        grad_data, *_ = cotangents(op, grad_output, output)
        if not need_x:
            return None, None
        grad_x = np.zeros(x.shape, x.dtype)
        grad_x[place] = grad_data
        return grad_x, None

    return output, backward


def pad_packed_sequence(
    sequence: PackedSequence,
    /,
    *,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[tuple[Array, Array], Backward]:
    """Pad packed sequences to the same length.

    Forward:   y[t, n] = the row of time t of sequence n, or `padding_value` after its end
    Backward:  grad_data = grad_y[t, n] of all times t < lengths[n], row after row
    Shapes:    data (Σ lengths, *); y (T, N, *), or (N, T, *) with `batch_first`, where T is the largest length unless
               `total_length` is given; the output is (y, lengths), in the order in which the batch was packed
    """
    op = "pad_packed_sequence"
    batch_sizes, order = require_packed(op, "sequence", sequence)
    require_flags(op, batch_first=batch_first)
    padding_value = require_number(op, "padding_value", padding_value)
    steps = len(batch_sizes)
    if total_length is not None:
        steps = require_integer(op, "total_length", total_length, least=steps)
    time, row_of = _times_and_sequences(batch_sizes, order)
    place = (row_of, time) if batch_first else (time, row_of)
    count = int(batch_sizes[0])
    data = sequence.data
    y = np.full(((count, steps) if batch_first else (steps, count)) + data.shape[1:], padding_value, data.dtype)
    y[place] = data
    output = y, np.bincount(row_of)

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        grad_y, _ = cotangents(op, grad_output, output)
        return (PackedSequence(grad_y[place], None) if need else None,)

    return output, backward


def pack_sequence(sequences: list[Array], /, *, enforce_sorted: bool = True) -> tuple[PackedSequence, Backward]:
    """Pack a list of sequences.

    Forward:   data = x[n][t] of all times t and sequences n, row after row
    Backward:  grad_x[n][t] = the row of grad_data that came from there
    Shapes:    x[n] (L, *), each of its own length L of at least 1; data (Σ L, *). Falling lengths are required, unless
               `enforce_sorted=False`
    """
    op = "pack_sequence"
    _require_sequences(op, sequences, 1)
    if sequences[0].size == 0:
        raise ValueError(f"{op}: sequences must not be empty, got shape {sequences[0].shape}")
    require_flags(op, enforce_sorted=enforce_sorted)
    lengths = np.array([len(each) for each in sequences])
    order = _order_of(op, "sequences", lengths, enforce_sorted)
    batch_sizes = _batch_sizes(lengths)
    time, sequence = _times_and_sequences(batch_sizes, order)
    ends = np.cumsum(lengths)
    row = (ends - lengths)[sequence] + time
    output = packed_in_order(np.concatenate(sequences)[row], batch_sizes, order)

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        grad_data, *_ = cotangents(op, grad_output, output)
        if not need:
            return (None,)
        grad = np.empty_like(grad_data)
        grad[row] = grad_data
        return (type(sequences)(np.split(grad, ends[:-1])),)

    return output, backward


def unpack_sequence(packed_sequences: PackedSequence, /) -> tuple[list[Array], Backward]:
    """Unpack sequences into a list.

    Forward:   y[n][t] = the row of time t of sequence n
    Backward:  grad_data = grad_y[n][t] of all times t and sequences n, row after row
    Shapes:    data (Σ L, *); y[n] (L, *), in the order in which the batch was packed
    """
    op = "unpack_sequence"
    batch_sizes, order = require_packed(op, "packed_sequences", packed_sequences)
    time, sequence = _times_and_sequences(batch_sizes, order)
    lengths = np.bincount(sequence)
    ends = np.cumsum(lengths)
    row = (ends - lengths)[sequence] + time
    rows = np.empty_like(packed_sequences.data)
    rows[row] = packed_sequences.data
    output = np.split(rows, ends[:-1])

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        grads = cotangents(op, grad_output, output)
        return (PackedSequence(np.concatenate(grads)[row], None) if need else None,)

    return output, backward


def pad_sequence(
    sequences: list[Array],
    /,
    *,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> tuple[Array, Backward]:
    """Stack sequences, padded to the length T of the longest.

    Forward:   y[t, n] = x[n][t], or `padding_value` after the end; with `padding_side="left"` the padding comes first
    Backward:  grad_x[n][t] = grad_y[t, n]
    Shapes:    x[n] (L, *), each of its own length L; y (T, N, *), or (N, T, *) with `batch_first`
    """
    op = "pad_sequence"
    _require_sequences(op, sequences, 0)
    require_flags(op, batch_first=batch_first)
    padding_value = require_number(op, "padding_value", padding_value)
    require_choice(op, "padding_side", padding_side, ("right", "left"))
    first, count = sequences[0], len(sequences)
    steps = max(len(each) for each in sequences)
    places = []
    for n, each in enumerate(sequences):
        times = slice(len(each)) if padding_side == "right" else slice(steps - len(each), steps)
        places.append((n, times) if batch_first else (times, n))
    y = np.full(((count, steps) if batch_first else (steps, count)) + first.shape[1:], padding_value, first.dtype)
    for each, place in zip(sequences, places):
        y[place] = each
    shape = y.shape

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        grad_y = cotangent(op, grad_output, shape, first.dtype)
        return (type(sequences)([grad_y[place].copy() for place in places]) if need else None,)

    return y, backward


def unpad_sequence(x: Array, lengths: Any, /, *, batch_first: bool = False) -> tuple[list[Array], Backward]:
    """Take padded sequences apart, without their padding.

    Forward:   y[n] = x[:L, n],  L = lengths[n]
    Backward:  grad_x[t, n] = grad_y[n][t], 0 where t ≥ L
    Shapes:    x (T, N, *), or (N, T, *) with `batch_first`; lengths (N) of integers from 0 to T, an array or a list; y[n] (L, *)
    """
    op = "unpad_sequence"
    require_floats(op, "x", x)
    require_flags(op, batch_first=batch_first)
    _require_padded(op, x)
    steps, count = _steps_and_count(x, batch_first)
    lengths = _require_lengths(op, lengths, count, 0, steps)
    places = [(n, slice(length)) if batch_first else (slice(length), n) for n, length in enumerate(lengths)]
    output = [x[place].copy() for place in places]

    def backward(grad_output, needs=None):
        need_x, _ = needed(op, needs, 2)
        grads = cotangents(op, grad_output, output)
        if not need_x:
            return None, None
        grad_x = np.zeros(x.shape, x.dtype)
        for grad, place in zip(grads, places):
            grad_x[place] = grad
        return grad_x, None

    return output, backward


# -- Lengths, orders, and the checks of both


def _steps_and_count(x: Array, batch_first: bool) -> tuple[int, int]:
    return (x.shape[1], x.shape[0]) if batch_first else (x.shape[0], x.shape[1])


def _batch_sizes(lengths: Array) -> Array:
    """At each time, how many sequences are longer."""
    return (lengths > np.arange(lengths.max())[:, None]).sum(axis=1)


def _order_of(op: str, name: str, lengths: Array, enforce_sorted: bool) -> Array | None:
    """The order of falling lengths, or `None` where they are required to be in that order."""
    if not enforce_sorted:
        return np.argsort(-lengths, kind="stable")
    if (np.diff(lengths) > 0).any():
        raise ValueError(
            f"{op}: {name} must be in the order of falling lengths unless enforce_sorted=False, got {lengths.tolist()}"
        )
    return None


def packed_in_order(data: Array, batch_sizes: Array, order: Array | None) -> PackedSequence:
    """A packed sequence, whose arrays nobody else has."""
    return PackedSequence(data, batch_sizes, *((None, None) if order is None else (order.copy(), np.argsort(order))))


def _require_padded(op: str, x: Array) -> None:
    if x.ndim < 2:
        raise ValueError(f"{op}: x must have shape (T, N, *), got {x.shape}")


def _require_lengths(op: str, lengths: Any, count: int, least: int, most: int) -> Array:
    """A length for each sequence, as numbers that can be subtracted."""
    if isinstance(lengths, (tuple, list)):
        lengths = np.array([require_integer(op, "lengths", each) for each in lengths], np.int64)
    require_indices(op, "lengths", lengths)
    if lengths.shape != (count,) or not count or not ((lengths >= least) & (lengths <= most)).all():
        got = f"{lengths.tolist()} of shape {lengths.shape}"
        raise ValueError(f"{op}: lengths must have shape ({count},), not empty, of integers from {least} to {most}, got {got}")
    return lengths.astype(np.int64)


def _require_sequences(op: str, sequences: Any, least: int) -> None:
    """Refuse what is not a list of arrays (L, *) that differ in L alone, none shorter than the least length."""
    if not isinstance(sequences, (list, tuple)) or not sequences:
        raise TypeError(f"{op}: sequences must be a list of arrays, not empty, got {type(sequences).__name__}")
    require_floats(op, " ".join(f"sequences[{n}]" for n in range(len(sequences))), *sequences)
    first = sequences[0]
    for n, each in enumerate(sequences):
        if each.ndim == 0 or each.shape[1:] != first.shape[1:] or len(each) < least:
            expected = f"({'L' if least == 0 else 'L ≥ 1'}, *) as sequences[0], {first.shape}"
            raise ValueError(f"{op}: sequences[{n}] must have shape {expected}, got {each.shape}")


def require_packed(op: str, name: str, sequence: Any) -> tuple[Array, Array | None]:
    """Refuse what is not packed as `pack_sequence` packs; return the batch sizes and the order, which may be `None`."""
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"{op}: {name} must be a PackedSequence, got {type(sequence).__name__}")
    data, batch_sizes, order, unsorted = sequence
    require_floats(op, f"{name}.data", data)
    require_indices(op, f"{name}.batch_sizes", batch_sizes)
    _require_falling(op, name, data, batch_sizes)
    _require_permutation(op, f"{name}.sorted_indices", order, batch_sizes[0])
    _require_permutation(op, f"{name}.unsorted_indices", unsorted, batch_sizes[0])
    if unsorted is not None and (order is None or not np.array_equal(np.argsort(order), unsorted)):
        raise ValueError(f"{op}: {name}.unsorted_indices must be the inverse of sorted_indices, got {unsorted.tolist()}")
    return batch_sizes, order


def _require_falling(op: str, name: str, data: Array, batch_sizes: Array) -> None:
    """Refuse batch sizes that are not those of so many rows."""
    falling = batch_sizes.ndim == 1 and batch_sizes.size and batch_sizes[-1] > 0 and (batch_sizes[1:] <= batch_sizes[:-1]).all()
    if not falling or data.ndim == 0 or batch_sizes.sum() != len(data):
        expected = f"positive integers, falling, with the sum {data.shape[0] if data.ndim else 1}, as many as data has rows"
        raise ValueError(f"{op}: {name}.batch_sizes must be {expected}, got {batch_sizes.tolist()}")


def _require_permutation(op: str, name: str, permutation: Any, count: int) -> None:
    """Refuse indices that are not each of the first integers once. `None` passes."""
    if permutation is not None:
        require_indices(op, name, permutation)
        if permutation.ndim != 1 or not np.array_equal(np.sort(permutation), np.arange(count)):
            raise ValueError(f"{op}: {name} must be a permutation of 0 … {count - 1}, got {permutation.tolist()}")
