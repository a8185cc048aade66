"""Cases of sequences of different lengths."""

from typing import Any

import numpy as np
from torch.nn.utils import rnn

import manual
from manual import PackedSequence
from reference.case import Case, Operation, normal
from reference.cases.layers.recurrent import FALLING, MIXED, packed

# -- By the textbook


def _order(lengths, enforce_sorted=True):
    return list(range(len(lengths))) if enforce_sorted else sorted(range(len(lengths)), key=lambda n: -lengths[n])


def _pack(sequences, enforce_sorted=True):
    """Time after time what those have that are long enough."""
    order = _order([len(each) for each in sequences], enforce_sorted)
    steps = max(len(each) for each in sequences)
    return PackedSequence(np.array([sequences[n][t] for t in range(steps) for n in order if t < len(sequences[n])]), None)


def _unpack(packed_sequences):
    """The sequences in the order of the batch."""
    data, sizes, order, _ = packed_sequences
    starts = np.cumsum(sizes) - sizes
    found = [data[starts[sizes > place] + place] for place in range(sizes[0])]
    return found if order is None else [found[list(order).index(n)] for n in range(len(order))]


def _pad(sequences, batch_first=False, padding_value=0.0, padding_side="right", steps=0):
    steps = max(steps, *(len(each) for each in sequences))
    shape = sequences[0].shape[1:]
    padded = []
    for each in sequences:
        padding = np.full((steps - len(each), *shape), padding_value, dtype=object)
        padded.append(np.concatenate([each, padding] if padding_side == "right" else [padding, each]))
    y = np.array(padded, dtype=object).reshape(len(sequences), steps, *shape)
    return y if batch_first else y.swapaxes(0, 1)


def _unpad(x, lengths, batch_first=False):
    return tuple(each[:length] for each, length in zip(x if batch_first else x.swapaxes(0, 1), lengths))


def _pack_padded(x, lengths, batch_first=False, enforce_sorted=True):
    return _pack(_unpad(x, lengths, batch_first), enforce_sorted)


def _pad_packed(sequence, batch_first=False, padding_value=0.0, total_length=None):
    return _pad(_unpack(sequence), batch_first, padding_value, steps=total_length or 0), None


# -- Torch


def _to_ours(function: Any) -> Any:
    """What torch packs, as a packed sequence of ours."""
    return lambda *arguments, **constants: PackedSequence(*function(*arguments, **constants))


def _from_ours(function: Any) -> Any:
    return lambda sequence, **constants: function(rnn.PackedSequence(*sequence), **constants)


def _unpadded(x: Any, lengths: Any, **constants: Any) -> Any:
    """Torch's function transposes its argument in place."""
    return rnn.unpad_sequence(x.clone(), lengths, **constants)


def _several(*lengths: int, rest: tuple[int, ...] = (2,)) -> list[Any]:
    return [normal(length, *rest) for length in lengths]


_unsorted = {"enforce_sorted": False}

OPERATIONS = (
    Operation(
        manual.pack_padded_sequence,
        _to_ours(rnn.pack_padded_sequence),
        _pack_padded,
        cases=(
            Case("falling lengths", (normal(3, 3, 2), list(FALLING))),
            Case("any lengths", (normal(3, 4, 2), list(MIXED)), _unsorted),
            Case("batch first", (normal(3, 4, 2), [4, 4, 1]), {"batch_first": True}),
            Case("batch first, any lengths", (normal(3, 4, 2), [1, 4, 2]), {"batch_first": True, **_unsorted}),
            Case("longer than all", (normal(5, 2, 2), [3, 2])),
            Case("numbers", (normal(3, 2), [3, 1])),
            Case("matrices", (normal(3, 2, 2, 2), [2, 3]), _unsorted),
            Case("one sequence", (normal(3, 1, 2), [2])),
            Case("of one length", (normal(2, 3, 2), [2, 2, 2])),
            Case("lengths of 32 bits", (normal(3, 2, 2), np.array([3, 1], np.int32))),
        ),
        small=Case("32 wide, batch 16, 32 times", (normal(32, 16, 32), list(range(32, 0, -2)))),
        large=Case("256 wide, batch 64, 128 times", (normal(128, 64, 256), list(range(128, 0, -2)))),
    ),
    Operation(
        manual.pad_packed_sequence,
        _from_ours(rnn.pad_packed_sequence),
        _pad_packed,
        cases=(
            Case("falling lengths", (packed(2, lengths=FALLING),)),
            Case("any lengths", (packed(2, lengths=MIXED),)),
            Case("batch first", (packed(2, lengths=FALLING),), {"batch_first": True}),
            Case("batch first, any lengths", (packed(2, lengths=MIXED),), {"batch_first": True}),
            Case("padding_value", (packed(2, lengths=MIXED),), {"padding_value": -1.5}),
            Case("total_length", (packed(2, lengths=MIXED),), {"total_length": 5}),
            Case("total_length, batch first", (packed(2, lengths=FALLING),), {"total_length": 4, "batch_first": True}),
            Case("numbers", (packed(lengths=MIXED),)),
            Case("matrices", (packed(2, 2, lengths=FALLING),)),
            Case("one sequence", (packed(2, lengths=(3,)),)),
        ),
        small=Case("32 wide, batch 16, 32 times", (packed(32, lengths=tuple(range(32, 0, -2))),)),
        large=Case("256 wide, batch 64, 128 times", (packed(256, lengths=tuple(range(128, 0, -2))),)),
    ),
    Operation(
        manual.pack_sequence,
        _to_ours(rnn.pack_sequence),
        _pack,
        cases=(
            Case("falling lengths", (_several(*FALLING),)),
            Case("any lengths", (_several(*MIXED),), _unsorted),
            Case("numbers", (_several(3, 1, rest=()),)),
            Case("matrices", (_several(2, 3, rest=(2, 2)),), _unsorted),
            Case("one sequence", (_several(3),)),
            Case("a tuple of them", (tuple(_several(3, 2)),)),
        ),
        small=Case("32 wide, batch 16, 32 times", (_several(*range(32, 0, -2), rest=(32,)),)),
        large=Case("256 wide, batch 64, 128 times", (_several(*range(128, 0, -2), rest=(256,)),)),
    ),
    Operation(
        manual.unpack_sequence,
        _from_ours(rnn.unpack_sequence),
        lambda sequence: tuple(_unpack(sequence)),
        cases=(
            Case("falling lengths", (packed(2, lengths=FALLING),)),
            Case("any lengths", (packed(2, lengths=MIXED),)),
            Case("numbers", (packed(lengths=MIXED),)),
            Case("matrices", (packed(2, 2, lengths=FALLING),)),
            Case("one sequence", (packed(2, lengths=(3,)),)),
        ),
        small=Case("32 wide, batch 16, 32 times", (packed(32, lengths=tuple(range(32, 0, -2))),)),
        large=Case("256 wide, batch 64, 128 times", (packed(256, lengths=tuple(range(128, 0, -2))),)),
    ),
    Operation(
        manual.pad_sequence,
        rnn.pad_sequence,
        _pad,
        cases=(
            Case("falling lengths", (_several(*FALLING),)),
            Case("any lengths", (_several(*MIXED),)),
            Case("batch first", (_several(*MIXED),), {"batch_first": True}),
            Case("padding_value", (_several(*MIXED),), {"padding_value": -1.5}),
            Case("padding on the left", (_several(*MIXED),), {"padding_side": "left"}),
            Case("padding on the left, batch first", (_several(*MIXED),), {"padding_side": "left", "batch_first": True}),
            Case("numbers", (_several(1, 3, rest=()),)),
            Case("matrices", (_several(2, 3, rest=(2, 2)),)),
            Case("one sequence", (_several(3),)),
            Case("a sequence of nothing", (_several(2, 0),)),
            Case("a tuple of them", (tuple(_several(3, 2)),)),
        ),
        small=Case("32 wide, batch 16, 32 times", (_several(*range(32, 0, -2), rest=(32,)),)),
        large=Case("256 wide, batch 64, 128 times", (_several(*range(128, 0, -2), rest=(256,)),)),
    ),
    Operation(
        manual.unpad_sequence,
        _unpadded,
        _unpad,
        cases=(
            Case("falling lengths", (normal(3, 3, 2), list(FALLING))),
            Case("any lengths", (normal(3, 4, 2), list(MIXED))),
            Case("batch first", (normal(4, 3, 2), list(MIXED)), {"batch_first": True}),
            Case("longer than all", (normal(5, 2, 2), [1, 3])),
            Case("a length of 0", (normal(3, 2, 2), [2, 0])),
            Case("numbers", (normal(3, 2), [3, 1])),
            Case("matrices", (normal(3, 2, 2, 2), [2, 3])),
            Case("one sequence", (normal(3, 1, 2), [2])),
        ),
        small=Case("32 wide, batch 16, 32 times", (normal(32, 16, 32), list(range(32, 0, -2)))),
        large=Case("256 wide, batch 64, 128 times", (normal(128, 64, 256), list(range(128, 0, -2)))),
    ),
)

MODULES = ()
