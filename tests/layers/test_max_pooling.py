"""Max pooling: examples worked out by hand, ties, NaN, the padding, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

NAN, INF = np.nan, np.inf


def test_max_pool_by_hand():
    x = np.array([[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 6.0]]])
    (y, index), backward = manual.max_pool2d(x, kernel_size=2, return_indices=True)
    np.testing.assert_array_equal(y, [[[5, 7]]])
    np.testing.assert_array_equal(index, [[[1, 6]]])  # row 0, column 1; row 1, column 2 of four columns
    (grad,) = backward((np.array([[[10.0, 20.0]]]), None))
    np.testing.assert_array_equal(grad, [[[0, 10, 0, 0], [0, 0, 20, 0]]])


def test_a_cell_gets_the_gradients_of_all_windows_of_which_it_is_the_largest():
    y, backward = manual.max_pool1d(np.array([[1.0, 9.0, 2.0, 3.0]]), kernel_size=2, stride=1)
    np.testing.assert_array_equal(y, [[9, 9, 3]])
    np.testing.assert_array_equal(backward(np.array([[1.0, 2.0, 4.0]]))[0], [[0, 3, 0, 4]])


def test_of_equal_numbers_the_first_as_one_reads_is_the_largest():
    """Not the first of the columns: 7 stands in row 0, column 2, and in row 1, column 0."""
    x = np.array([[[1.0, 2.0, 7.0], [7.0, 0.0, 7.0]]])
    (_, index), _ = manual.max_pool2d(x, kernel_size=(2, 3), return_indices=True)
    assert index.item() == 2


def test_of_several_nan_the_last_is_the_largest():
    x = np.array([[[NAN, 2.0, NAN], [NAN, 9.0, 1.0]]])
    (y, index), _ = manual.max_pool2d(x, kernel_size=(2, 3), return_indices=True)
    assert np.isnan(y.item())
    assert index.item() == 3


def test_the_padding_never_wins():
    (y, index), backward = manual.max_pool1d(np.full((1, 4), -INF), kernel_size=3, stride=2, padding=1, return_indices=True)
    np.testing.assert_array_equal(y, [[-INF, -INF]])
    np.testing.assert_array_equal(index, [[0, 1]])
    np.testing.assert_array_equal(backward((np.array([[1.0, 2.0]]), None))[0], [[1, 2, 0, 0]])


def test_a_window_wholly_in_the_padding_is_minus_infinity_and_gets_no_gradient():
    """With gaps of 3, the first window sees the cells −1 and 2 of an axis of 2. (torch writes out of bounds.)"""
    x = np.array([[[5.0, 6.0], [7.0, 8.0]]])
    (y, index), backward = manual.max_pool2d(x, kernel_size=2, padding=1, dilation=3, stride=1, return_indices=True)
    assert y.item() == -INF
    assert 0 <= index.item() < 4
    np.testing.assert_array_equal(backward((np.ones((1, 1, 1)), None))[0], np.zeros((1, 2, 2)))


@pytest.mark.parametrize("where", [0, 255, 256, 299])
def test_a_window_of_more_cells_than_a_byte_can_count(where):
    x = np.zeros((1, 600))
    x[0, [where, 300 + where]] = 1.0, 2.0
    (y, index), backward = manual.max_pool1d(x, kernel_size=300, return_indices=True)
    np.testing.assert_array_equal(y, [[1, 2]])
    np.testing.assert_array_equal(index, [[where, 300 + where]])
    np.testing.assert_array_equal(np.flatnonzero(backward((y, None))[0]), [where, 300 + where])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_max_pooling_in_every_shape(data):
    """Against torch, where numbers are equal and NaN too, along axes that each have constants of their own."""
    axes = data.draw(st.integers(1, 3))
    each = st.tuples(*[st.integers(1, 3)] * axes)
    kernel, stride, dilation = data.draw(each), data.draw(each), data.draw(each)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    sizes = tuple(data.draw(st.integers((k - 1) * d + 1, 7)) for k, d in zip(kernel, dilation))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.choice([-INF, -1.0, 0.0, 1.0, NAN], (1, 2, *sizes), p=[0.3, 0.3, 0.2, 0.15, 0.05])
    constants = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    constants |= {"ceil_mode": data.draw(st.booleans()), "return_indices": True}
    theirs = forward(OPERATIONS[f"max_pool{axes}d"].torch, (x,), constants)
    (y, index), backward = getattr(manual, f"max_pool{axes}d")(x, **constants)
    np.testing.assert_array_equal(y, theirs[0])
    np.testing.assert_array_equal(index, theirs[1])
    g = rng.integers(1, 9, y.shape).astype(float)
    expected = np.zeros((2, np.prod(sizes)))
    np.add.at(expected, (np.arange(2)[:, None], index.reshape(2, -1)), g.reshape(2, -1))
    np.testing.assert_array_equal(backward((g, None))[0].reshape(2, -1), expected)


@pytest.mark.parametrize("cotangent", [np.ones((1, 2)), (np.ones((1, 2)),), (np.ones((1, 2)), np.ones((1, 2)))])
def test_the_cotangent_of_indices_is_none(cotangent):
    _, backward = manual.max_pool1d(np.ones((1, 4)), kernel_size=2, return_indices=True)
    with pytest.raises(TypeError, match=re.escape("max_pool1d: grad_output must be (grad_y, None), as indices have no gradient")):
        backward(cotangent)


@pytest.mark.parametrize(
    ("name", "shape", "constants", "message"),
    [
        ("max_pool1d", (4,), {}, "x must have shape (N, C, W) or (C, W), not empty, got (4,)"),
        ("max_pool2d", (0, 4, 4), {}, "x must have shape (N, C, H, W) or (C, H, W), not empty, got (0, 4, 4)"),
        ("max_pool2d", (2, 0, 4, 4), {}, "x must have shape (N, C, H, W) or (C, H, W), not empty, got (2, 0, 4, 4)"),
        ("max_pool3d", (1, 4, 4), {}, "x must have shape (N, C, D, H, W) or (C, D, H, W), not empty, got (1, 4, 4)"),
        ("max_pool2d", (1, 4, 4), {"kernel_size": 0}, "kernel_size must be an integer of at least 1, got 0"),
        ("max_pool2d", (1, 4, 4), {"kernel_size": (2, 2, 2)}, "kernel_size must be an integer or 2 of them, got (2, 2, 2)"),
        ("max_pool2d", (1, 4, 4), {"stride": 0}, "stride must be an integer of at least 1, got 0"),
        ("max_pool2d", (1, 4, 4), {"dilation": 0}, "dilation must be an integer of at least 1, got 0"),
        ("max_pool2d", (1, 4, 4), {"padding": -1}, "padding must be an integer of at least 0, got -1"),
        ("max_pool2d", (1, 4, 4), {"padding": 2}, "padding must be at most half of kernel_size 2, got 2"),
        ("max_pool2d", (1, 4, 4), {"padding": 2, "dilation": 3}, "padding must be at most half of kernel_size 2, got 2"),
        ("max_pool2d", (1, 4, 4), {"kernel_size": 5}, "kernel_size must fit into x of shape (1, 4, 4) with its padding, got 5"),
        ("max_pool1d", (1, 4), {"kernel_size": 9, "stride": 5, "ceil_mode": True}, "kernel_size must fit into x of shape (1, 4)"),
    ],
)
def test_what_torch_refuses_is_refused(name, shape, constants, message):
    constants = {"kernel_size": 2, **constants}
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(np.zeros(shape), **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, (np.zeros(shape),), constants)
