"""Average pooling and p-norms: examples worked out by hand, divisors, adjoints, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_avg_pool_by_hand():
    y, backward = manual.avg_pool2d(np.array([[[1.0, 5.0, 2.0, 0.0], [3.0, 3.0, 6.0, 4.0]]]), kernel_size=2)
    np.testing.assert_array_equal(y, [[[3, 3]]])
    np.testing.assert_array_equal(backward(np.array([[[4.0, 8.0]]]))[0], [[[1, 1, 2, 2], [1, 1, 2, 2]]])


@pytest.mark.parametrize(
    ("constants", "expected"),
    [
        ({}, [3 / 3, 6 / 3, 3 / 2]),  # the last window reaches one cell beyond the padding, which does not count
        ({"count_include_pad": False}, [3 / 2, 6 / 3, 3 / 1]),
    ],
)
def test_what_the_sum_is_divided_by(constants, expected):
    """The windows of 3 begin at −1, 1 and 4 − 1 = 3, in an axis of 4 with a cell of padding on both sides."""
    x = np.array([[1.0, 2.0, 1.0, 3.0]])
    y, _ = manual.avg_pool1d(x, kernel_size=3, stride=2, padding=1, ceil_mode=True, **constants)
    np.testing.assert_array_equal(y, [[1, 2, 1.5]] if not constants else [[1.5, 2, 3]])
    np.testing.assert_array_equal(y, [expected])


def test_a_divisor_of_ones_own_beats_all():
    x = np.ones((1, 4, 4))
    y, _ = manual.avg_pool2d(x, kernel_size=3, padding=1, stride=2, count_include_pad=False, divisor_override=-2)
    np.testing.assert_array_equal(y, [[[-2, -3], [-3, -4.5]]])


POOLS = [
    ("avg_pool1d", (2, 9), {"kernel_size": 4, "stride": 3, "padding": 2, "ceil_mode": True, "count_include_pad": False}),
    ("avg_pool2d", (2, 3, 7, 6), {"kernel_size": (2, 3), "stride": (3, 1), "padding": (1, 0), "ceil_mode": True}),
    ("avg_pool3d", (2, 4, 5, 6), {"kernel_size": 2, "divisor_override": 3}),
    ("adaptive_avg_pool1d", (2, 7), {"output_size": 3}),
    ("adaptive_avg_pool2d", (2, 5, 3), {"output_size": (2, 7)}),
    ("adaptive_avg_pool3d", (2, 5, 3, 4), {"output_size": (2, None, 3)}),
]


@pytest.mark.parametrize(("name", "shape", "constants"), POOLS)
def test_the_backward_is_the_adjoint(name, shape, constants):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    pooled, backward = getattr(manual, name)(x, **constants)
    y = rng.standard_normal(pooled.shape)
    np.testing.assert_allclose(np.vdot(pooled, y), np.vdot(x, backward(y)[0]), rtol=1e-13)


@pytest.mark.parametrize("name", ["avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"])
@pytest.mark.parametrize("return_indices", [False, True])
def test_images_in_parts(name, return_indices, threads, request):
    """A large array is pooled some images at a time, to the same numbers."""
    constants = {"output_size": (3, 2)} if "adaptive" in name else {"kernel_size": 3, "padding": 1, "stride": 2}
    if "max" in name:
        constants["return_indices"] = return_indices
    rng = np.random.default_rng(0)
    x = np.moveaxis(rng.standard_normal((7, 5, 3, 6)), 0, 3)
    whole, backward = getattr(manual, name)(x, **constants)
    request.getfixturevalue("small_parts")
    in_parts, backward_of_parts = getattr(manual, name)(x, **constants)
    np.testing.assert_array_equal(np.array(in_parts), np.array(whole))
    g = rng.standard_normal((5, 3, 3, 2 if "adaptive" in name else 4))
    cotangent = (g, None) if "max" in name and return_indices else g
    np.testing.assert_array_equal(backward_of_parts(cotangent)[0], backward(cotangent)[0])


def test_lp_pool_by_hand():
    """(3² + 4²)^½ = 5, and its gradient x / 5."""
    y, backward = manual.lp_pool1d(np.array([[3.0, -4.0]]), norm_type=2.0, kernel_size=2)
    np.testing.assert_allclose(y, [[5]], rtol=1e-15)
    np.testing.assert_allclose(backward(np.array([[10.0]]))[0], [[6, -8]], rtol=1e-15)


def test_lp_pool_of_a_window_cut_short_is_as_if_the_others_were_like_it():
    y, _ = manual.lp_pool1d(np.array([[1.0, 1.0, 1.0, 2.0]]), norm_type=2.0, kernel_size=3, ceil_mode=True)
    np.testing.assert_allclose(y, [[np.sqrt(3), np.sqrt(3 * 4)]], rtol=1e-15)


def test_lp_pool_takes_no_absolute_values():
    y, backward = manual.lp_pool1d(np.array([[-1.0, -2.0]]), norm_type=1.0, kernel_size=2)
    assert y.item() == -3
    np.testing.assert_array_equal(backward(np.ones((1, 1)))[0], [[1, 1]])
    y, backward = manual.lp_pool1d(np.array([[-1.0, -2.0]]), norm_type=3.0, kernel_size=2)
    assert np.isnan(y.item())
    assert np.isnan(backward(np.ones((1, 1)))[0]).all()


@pytest.mark.parametrize(("norm_type", "largest", "expected"), [(np.inf, 3, [[0, 0, -1, 0]]), (-np.inf, 1, [[1, 0, 0, 0]])])
def test_infinite_norms_are_the_largest_and_the_smallest_size(norm_type, largest, expected):
    y, backward = manual.lp_pool1d(np.array([[1.0, -2.0, -3.0, 1.0]]), norm_type=norm_type, kernel_size=4)
    assert y.item() == largest
    np.testing.assert_array_equal(backward(np.ones((1, 1)))[0], expected)
    assert backward(np.ones((1, 1)), (False,)) == (None,)


@pytest.mark.parametrize("norm_type", [np.inf, -np.inf])
def test_infinite_norms_of_nan(norm_type):
    """NaN out, but a gradient of 0, as in torch."""
    y, backward = manual.lp_pool1d(np.array([[1.0, np.nan]]), norm_type=norm_type, kernel_size=2)
    assert np.isnan(y.item())
    np.testing.assert_array_equal(backward(np.ones((1, 1)))[0], [[0, 0]])


@pytest.mark.parametrize(
    ("name", "shape", "constants", "message"),
    [
        ("avg_pool1d", (4,), {}, "x must have shape (N, C, W) or (C, W), not empty, got (4,)"),
        ("avg_pool2d", (1, 4, 4), {"divisor_override": 0}, "divisor_override must be an integer other than 0, got 0"),
        ("avg_pool2d", (1, 4, 4), {"padding": 2}, "padding must be at most half of kernel_size 2, got 2"),
        ("avg_pool2d", (1, 4, 4), {"stride": 0}, "stride must be an integer of at least 1, got 0"),
        ("avg_pool3d", (1, 4, 1, 4), {"padding": 1}, "kernel_size must be at most the size of x, (4, 1, 4), got 2"),
        ("lp_pool3d", (1, 4, 1, 4), {"norm_type": 2.0, "ceil_mode": True}, "kernel_size must be at most the size of x"),
        ("lp_pool1d", (1, 4), {"norm_type": 0.0}, "norm_type must be a number other than 0, got 0"),
        ("lp_pool2d", (1, 4, 4), {"norm_type": 2.0, "kernel_size": 5}, "kernel_size must fit into x of shape (1, 4, 4)"),
    ],
)
def test_what_torch_refuses_is_refused(name, shape, constants, message):
    constants = {"kernel_size": 2, **constants}
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(np.zeros(shape), **constants)
    with pytest.raises((RuntimeError, ZeroDivisionError)):
        forward(OPERATIONS[name].torch, (np.zeros(shape),), constants)
