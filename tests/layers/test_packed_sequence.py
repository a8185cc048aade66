"""Packed and padded sequences: known values, adjoint pairs, there and back, what is refused."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import rnn

import manual
from manual import PackedSequence
from reference.structure import leaves

A, B, C = np.array([1.0, 2.0]), np.array([3.0]), np.array([4.0, 5.0, 6.0])
PACKED = PackedSequence(np.array([4.0, 1, 3, 5, 2, 6]), np.array([3, 2, 1]), np.array([2, 0, 1]), np.array([1, 2, 0]))


def test_packing_by_hand():
    packed, backward = manual.pack_sequence([A, B, C], enforce_sorted=False)
    for got, expected in zip(packed, PACKED, strict=True):
        np.testing.assert_array_equal(got, expected)
    (grads,) = backward(PackedSequence(10 * packed.data, None))
    for grad, array in zip(grads, (A, B, C), strict=True):
        np.testing.assert_array_equal(grad, 10 * array)


def test_padding_by_hand():
    (padded, lengths), backward = manual.pad_packed_sequence(PACKED, batch_first=True, padding_value=-1.0, total_length=4)
    np.testing.assert_array_equal(padded, [[1, 2, -1, -1], [3, -1, -1, -1], [4, 5, 6, -1]])
    np.testing.assert_array_equal(lengths, [2, 1, 3])
    (grad,) = backward((np.arange(12.0).reshape(3, 4), None))
    assert grad[1:] == (None, None, None)
    np.testing.assert_array_equal(grad.data, [8, 0, 4, 9, 1, 10])  # nothing from the padding


def test_sequences_padded_on_the_left():
    padded, backward = manual.pad_sequence([A, B], padding_side="left", padding_value=9.0)
    np.testing.assert_array_equal(padded, [[1, 9], [2, 3]])
    (grads,) = backward(np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(grads[0], [1, 3])
    np.testing.assert_array_equal(grads[1], [4])


def test_what_lies_beyond_a_sequence_gets_no_gradient():
    _, backward = manual.unpad_sequence(np.ones((3, 2)), [1, 3])
    np.testing.assert_array_equal(backward([np.ones(1), np.ones(3)])[0], [[1, 1], [0, 1], [0, 1]])
    packed, backward = manual.pack_padded_sequence(np.ones((3, 2)), [1, 3], enforce_sorted=False)
    np.testing.assert_array_equal(backward(PackedSequence(packed.data, None))[0], [[1, 1], [0, 1], [0, 1]])


lengths = st.lists(st.integers(1, 5), min_size=1, max_size=6)
several = settings(max_examples=50, deadline=None, derandomize=True)


@several
@given(lengths=lengths, batch_first=st.booleans())
def test_there_and_back(lengths, batch_first):
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((length, 2)) for length in lengths]
    padded, _ = manual.pad_sequence(sequences, batch_first=batch_first)
    ways = [
        manual.unpack_sequence(manual.pack_sequence(sequences, enforce_sorted=False)[0])[0],
        manual.unpad_sequence(padded, lengths, batch_first=batch_first)[0],
    ]
    packed, _ = manual.pack_padded_sequence(padded, lengths, batch_first=batch_first, enforce_sorted=False)
    (again, found), _ = manual.pad_packed_sequence(packed, batch_first=batch_first)
    np.testing.assert_array_equal(again, padded)
    np.testing.assert_array_equal(found, lengths)
    for way in ways:
        for got, expected in zip(way, sequences, strict=True):
            np.testing.assert_array_equal(got, expected)


def inner(one, other):
    return sum(np.vdot(a, b) for a, b in zip(leaves(one), leaves(other), strict=True) if a is not None and a.dtype.kind == "f")


@several
@given(lengths=lengths, data=st.data())
def test_each_backward_is_the_adjoint(lengths, data):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩, exactly, as all numbers are small integers."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))

    def draw(*shape):
        return rng.integers(-9, 9, shape).astype(float)

    sequences, steps, count = [draw(length, 2) for length in lengths], max(lengths), len(lengths)
    packed, _ = manual.pack_sequence(sequences, enforce_sorted=False)
    ours = {
        "pack_padded_sequence": ((draw(steps, count, 2), np.array(lengths)), {"enforce_sorted": False}),
        "unpad_sequence": ((draw(steps, count, 2), np.array(lengths)), {}),
        "pad_packed_sequence": ((packed,), {"total_length": steps + 1}),
        "unpack_sequence": ((packed,), {}),
        "pack_sequence": ((sequences,), {"enforce_sorted": False}),
        "pad_sequence": ((sequences,), {"padding_side": "left"}),
    }
    name = data.draw(st.sampled_from(sorted(ours)))
    arguments, constants = ours[name]
    output, backward = getattr(manual, name)(*arguments, **constants)

    def cotangent(part):
        if isinstance(part, (tuple, list)):
            each = [cotangent(own) for own in part]
            return PackedSequence(*each) if isinstance(part, PackedSequence) else each
        return draw(*part.shape) if part is not None and part.dtype.kind == "f" else None

    y = cotangent(output)
    grads = backward(y)
    forward = sum(np.vdot(a, b) for a, b in zip(leaves(output), leaves(y), strict=True) if b is not None)
    back = sum(np.vdot(a, b) for a, b in zip(leaves(grads), leaves(arguments), strict=True) if a is not None)
    assert forward == back


def test_lengths_in_a_list_or_an_array():
    x = np.arange(6.0).reshape(3, 2)
    for kind in (list, tuple, np.array, lambda each: np.array(each, np.uint8)):
        packed, _ = manual.pack_padded_sequence(x, kind([3, 1]))
        np.testing.assert_array_equal(packed.data, [0, 1, 2, 4])
        np.testing.assert_array_equal(manual.unpad_sequence(x, kind([3, 1]))[0][1], [1])


def test_sequences_of_one_length_stay_in_order():
    """Where torch leaves it open."""
    packed, _ = manual.pack_sequence([np.ones(1 + n % 2) for n in range(100)], enforce_sorted=False)
    np.testing.assert_array_equal(packed.sorted_indices, [*range(1, 100, 2), *range(0, 100, 2)])


def test_of_which_order_nobody_spoke():
    """Without `unsorted_indices`, as torch's constructor also takes it."""
    (padded, _), _ = manual.pad_packed_sequence(PackedSequence(*PACKED[:3]))
    np.testing.assert_array_equal(padded, manual.pad_packed_sequence(PACKED)[0][0])
    np.testing.assert_array_equal(padded, rnn.pad_packed_sequence(rnn.PackedSequence(*map(torch.tensor, PACKED[:3])))[0])


def test_a_gradient_may_be_left_out():
    _, backward = manual.unpack_sequence(PACKED)
    np.testing.assert_array_equal(backward([None, np.array([7.0]), None])[0].data, [0, 0, 7, 0, 0, 0])
    _, backward = manual.pad_packed_sequence(PACKED)
    np.testing.assert_array_equal(backward((None, None))[0].data, np.zeros(6))


X = np.ones((3, 2, 4))


def replaced(**fields):
    return PACKED._replace(**fields)


@pytest.mark.parametrize(
    ("call", "message", "theirs"),
    [
        (
            lambda: manual.pack_padded_sequence(X, [1, 3]),
            "pack_padded_sequence: lengths must be in the order of falling lengths unless enforce_sorted=False, got [1, 3]",
            lambda: rnn.pack_padded_sequence(torch.tensor(X), [1, 3]),
        ),
        (
            lambda: manual.pack_padded_sequence(X, [3, 0]),
            "pack_padded_sequence: lengths must have shape (2,), not empty, of integers from 1 to 3, got [3, 0]",
            lambda: rnn.pack_padded_sequence(torch.tensor(X), [3, 0]),
        ),
        (
            lambda: manual.pack_padded_sequence(X, [4, 1]),
            "pack_padded_sequence: lengths must have shape (2,), not empty, of integers from 1 to 3, got [4, 1]",
            None,  # torch packs fewer rows than its batch sizes say
        ),
        (
            lambda: manual.pack_padded_sequence(X, [3, 2, 1]),
            "pack_padded_sequence: lengths must have shape (2,), not empty, of integers from 1 to 3, got [3, 2, 1] of shape (3,)",
            lambda: rnn.pack_padded_sequence(torch.tensor(X), [3, 2, 1]),
        ),
        (
            lambda: manual.pack_padded_sequence(X[:, :, :0], [3, 1]),
            "pack_padded_sequence: x must not be empty, got shape (3, 2, 0)",
            lambda: rnn.pack_padded_sequence(torch.tensor(X[:, :, :0]), [3, 1]),
        ),
        (
            lambda: manual.pack_padded_sequence(X[0, 0], [3]),
            "pack_padded_sequence: x must have shape (T, N, *), got (4,)",
            lambda: rnn.pack_padded_sequence(torch.tensor(X[0, 0]), [3]),
        ),
        (
            lambda: manual.pack_sequence([B, A]),
            "pack_sequence: sequences must be in the order of falling lengths unless enforce_sorted=False, got [1, 2]",
            lambda: rnn.pack_sequence([torch.tensor(B), torch.tensor(A)]),
        ),
        (
            lambda: manual.pack_sequence([A, B[:0]]),
            "pack_sequence: sequences[1] must have shape (L ≥ 1, *) as sequences[0], (2,), got (0,)",
            lambda: rnn.pack_sequence([torch.tensor(A), torch.tensor(B[:0])]),
        ),
        (
            lambda: manual.pad_sequence([X, X[:, :1]]),
            "pad_sequence: sequences[1] must have shape (L, *) as sequences[0], (3, 2, 4), got (3, 1, 4)",
            None,  # torch repeats what it has
        ),
        (
            lambda: manual.pad_sequence([]),
            "pad_sequence: sequences must be a list of arrays, not empty, got list",
            lambda: rnn.pad_sequence([]),
        ),
        (
            lambda: manual.pad_sequence([A], padding_side="top"),
            "pad_sequence: padding_side must be 'right' or 'left', got 'top'",
            lambda: rnn.pad_sequence([torch.tensor(A)], padding_side="top"),
        ),
        (
            lambda: manual.pad_packed_sequence(PACKED, total_length=2),
            "pad_packed_sequence: total_length must be an integer of at least 3, got 2",
            lambda: rnn.pad_packed_sequence(rnn.PackedSequence(*map(torch.tensor, PACKED)), total_length=2),
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message, theirs):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        call()
    if theirs is not None:
        with pytest.raises((RuntimeError, ValueError, IndexError)):
            theirs()


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (X, "must be a PackedSequence, got ndarray"),
        (tuple(PACKED), "must be a PackedSequence, got tuple"),
        (
            replaced(batch_sizes=np.array([3, 3, 1])),
            "batch_sizes must be positive integers, falling, with the sum 6, as many as data",
        ),
        (replaced(batch_sizes=np.array([2, 3, 1])), "batch_sizes must be positive integers, falling"),
        (replaced(batch_sizes=np.array([4, 2, 0])), "batch_sizes must be positive integers, falling"),
        (replaced(batch_sizes=np.array([[3, 2, 1]])), "batch_sizes must be positive integers, falling"),
        (replaced(data=np.array(1.0)), "batch_sizes must be positive integers, falling"),
        (replaced(batch_sizes=None), "batch_sizes must be a NumPy array, got NoneType"),
        (replaced(batch_sizes=np.array([3.0, 2.0, 1.0])), "batch_sizes must hold integer indices, got float64"),
        (replaced(sorted_indices=np.array([0, 1, 1])), "sorted_indices must be a permutation of 0 … 2, got [0, 1, 1]"),
        (replaced(unsorted_indices=np.array([0, 1])), "unsorted_indices must be a permutation of 0 … 2, got [0, 1]"),
        (replaced(unsorted_indices=np.array([2, 0, 1])), "unsorted_indices must be the inverse of sorted_indices, got [2, 0, 1]"),
        (replaced(sorted_indices=None), "unsorted_indices must be the inverse of sorted_indices"),
    ],
)
def test_what_is_not_packed_is_refused(sequence, message):
    for name, argument in (("unpack_sequence", "packed_sequences"), ("pad_packed_sequence", "sequence")):
        with pytest.raises((TypeError, ValueError), match=re.escape(f"{name}: {argument}") + r"[ .]" + re.escape(message)):
            getattr(manual, name)(sequence)
