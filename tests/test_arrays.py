"""The small tools for arrays."""

import math

import numpy as np
import pytest

from manual.arrays import broadcast, column_sums, exp_range, largest, row_sums, smallest, sum_to_shape

SHAPES = [(), (1,), (3,), (1, 3), (2, 1), (2, 3), (4, 1, 3), (4, 2, 1), (4, 2, 3), (1, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_sum_to_shape_undoes_a_broadcast(shape):
    """An element gets the sum over the places to which it was copied. Integers, so that every order adds up to the same."""
    whole = np.random.default_rng(0).integers(-9, 10, (4, 2, 3)).astype(float)
    copied_from = np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), whole.shape)
    expected = [whole[copied_from == element].sum() for element in range(math.prod(shape))]
    np.testing.assert_array_equal(sum_to_shape(whole, shape), np.reshape(expected, shape), strict=True)


def test_sum_to_shape_keeps_axes_of_size_0(dtype):
    """What was repeated no times has the gradient 0; an axis of one element that stays one is not summed."""
    np.testing.assert_array_equal(sum_to_shape(np.ones((0, 3), dtype), (1, 3)), np.zeros((1, 3), dtype), strict=True)
    np.testing.assert_array_equal(sum_to_shape(np.ones((0, 3), dtype), (0, 1)), np.zeros((0, 1), dtype), strict=True)
    same = np.ones((1, 3), dtype)
    assert sum_to_shape(same, (1, 3)) is same


@pytest.mark.parametrize("shape", SHAPES)
def test_broadcast_repeats_without_copies(shape):
    x, y = np.zeros(shape), np.ones((2, 1))
    for got, expected, given in zip(broadcast("op", x=x, y=y), np.broadcast_arrays(x, y), (x, y), strict=True):
        np.testing.assert_array_equal(got, expected, strict=True)
        assert np.shares_memory(got, given)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"^op: expected shapes that broadcast together, got x \(2, 3\), target \(4,\)$"):
        broadcast("op", x=np.zeros((2, 3)), target=np.zeros(4))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (5, 3)])
def test_sums_as_products(shape, dtype):
    matrix = np.random.default_rng(0).integers(-9, 10, shape).astype(dtype)
    for each in (matrix, np.asfortranarray(matrix), matrix[::-1]):
        np.testing.assert_array_equal(column_sums(each), each.sum(axis=0), strict=True)
        np.testing.assert_array_equal(row_sums(each), each.sum(axis=1), strict=True)


def test_extremes():
    x = np.array([[3.0, -2.0], [7.0, 0.0]])
    assert (smallest(x), largest(x)) == (-2, 7)
    assert (smallest(x[:0]), largest(x[:0])) == (np.inf, -np.inf)
    x[1, 1] = np.nan  # is found, so that comparing with a limit fails
    assert np.isnan([smallest(x), largest(x)]).all()


def test_exponentials_are_normal_numbers_within_their_range(dtype):
    info, (low, high) = np.finfo(dtype), exp_range(np.dtype(dtype))
    assert (low, high) == {"float32": (-87, 87), "float64": (-708, 708)}[dtype]
    exponentials = np.exp(np.array([low, high], dtype))
    assert ((info.tiny <= exponentials) & np.isfinite(exponentials)).all()
    assert np.exp(info.dtype.type(low - 1)) < info.tiny
