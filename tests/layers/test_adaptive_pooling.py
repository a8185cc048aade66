"""Adaptive pooling: examples worked out by hand, every size, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_adaptive_pooling_by_hand():
    """Of seven cells, three bins have the cells 0 to 2, 2 to 4 and 4 to 6."""
    x = np.array([[0.0, 3.0, 6.0, 9.0, 3.0, 0.0, 0.0]])
    y, backward = manual.adaptive_avg_pool1d(x, output_size=3)
    np.testing.assert_array_equal(y, [[3, 6, 1]])
    np.testing.assert_array_equal(backward(np.array([[3.0, 6.0, 9.0]]))[0], [[1, 1, 3, 2, 5, 3, 3]])
    (y, index), backward = manual.adaptive_max_pool1d(x, output_size=3, return_indices=True)
    np.testing.assert_array_equal(y, [[6, 9, 3]])
    np.testing.assert_array_equal(index, [[2, 3, 4]])
    np.testing.assert_array_equal(backward((np.array([[1.0, 2.0, 3.0]]), None))[0], [[0, 0, 1, 2, 3, 0, 0]])


@pytest.mark.parametrize("cells", range(1, 9))
@pytest.mark.parametrize("bins", range(1, 10))
def test_every_number_of_bins(cells, bins):
    """A matrix of bins × cells, whose rows are means, gives the same, forwards and backwards."""
    x, g = np.random.default_rng(0).integers(-9, 10, (2, max(cells, bins)))[:, None].astype(float)
    x, g = x[:, :cells], g[:, :bins]
    places = np.arange(cells)
    members = [(places >= i * cells // bins) & (places < -((-i - 1) * cells // bins)) for i in range(bins)]
    matrix = np.array([member / member.sum() for member in members])
    y, backward = manual.adaptive_avg_pool1d(x, output_size=bins)
    np.testing.assert_allclose(y, x @ matrix.T, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(backward(g)[0], g @ matrix, rtol=1e-14, atol=1e-13)
    largest, _ = manual.adaptive_max_pool1d(x, output_size=bins)
    np.testing.assert_array_equal(largest, [[x[0, member].max() for member in members]])


@pytest.mark.parametrize("name", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
@pytest.mark.parametrize("sizes", [(0, 2), (3, 0), (0, 0)])
def test_an_output_of_nothing(name, sizes):
    y, backward = getattr(manual, name)(np.ones((2, 4, 5)), output_size=sizes)
    assert y.shape == (2, *sizes)
    np.testing.assert_array_equal(backward(y)[0], np.zeros((2, 4, 5)))


@pytest.mark.parametrize(
    ("name", "shape", "output_size", "message"),
    [
        ("adaptive_avg_pool1d", (4,), 2, "x must have shape (N, C, W) or (C, W), not empty, got (4,)"),
        ("adaptive_avg_pool1d", (1, 4), None, "output_size must be an integer of at least 0, got None"),
        ("adaptive_avg_pool1d", (1, 4), (None,), "output_size must be an integer of at least 0, got None"),
        ("adaptive_avg_pool2d", (1, 4, 4), None, "output_size must be an integer of at least 0, got None"),
        ("adaptive_avg_pool2d", (1, 4, 4), (2,), "output_size must be an integer or 2 of them, got (2,)"),
        ("adaptive_avg_pool2d", (1, 4, 4), (-1, 2), "output_size must be an integer of at least 0, got -1"),
        ("adaptive_avg_pool2d", (1, 1, 0, 4), 2, "x must have shape (N, C, H, W) or (C, H, W), not empty, got (1, 1, 0, 4)"),
        ("adaptive_avg_pool3d", (1, 0, 4, 4, 4), 2, "x must have shape (N, C, D, H, W) or (C, D, H, W), not empty"),
        ("adaptive_max_pool2d", (1, 0, 4, 4), 2, "x must have shape (N, C, H, W) or (C, H, W), not empty, got (1, 0, 4, 4)"),
        ("adaptive_max_pool2d", (1, 4, 4), (-1, 2), "output_size must be an integer of at least 0, got -1"),
    ],
)
def test_what_torch_refuses_is_refused(name, shape, output_size, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(np.zeros(shape), output_size=output_size)
    with pytest.raises((RuntimeError, TypeError)):
        forward(OPERATIONS[name].torch, (np.zeros(shape),), {"output_size": output_size})


@pytest.mark.parametrize(("shape", "output_size"), [((2, 0, 4), 2), ((0, 4), 3)])
def test_averages_of_no_channels(shape, output_size):
    y, _ = manual.adaptive_avg_pool1d(np.zeros(shape), output_size=output_size)
    assert y.shape == (*shape[:-1], output_size)
