"""Sigmoid and tanh: known values, the digits of their tails, and what is not finite."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual


def value_and_slope(activation, x):
    output, backward = activation(x)
    (slope,) = backward(np.ones_like(x))
    return output, slope


@pytest.mark.parametrize(
    ("activation", "x", "value", "slope"),
    [
        (manual.sigmoid, 0.0, 1 / 2, 1 / 4),
        (manual.sigmoid, math.log(3), 3 / 4, 3 / 16),
        (manual.sigmoid, -math.log(3), 1 / 4, 3 / 16),
        (manual.tanh, 0.0, 0.0, 1.0),
        (manual.tanh, math.log(2), 3 / 5, 16 / 25),
        (manual.tanh, -math.log(2), -3 / 5, 16 / 25),
    ],
)
def test_known_values(activation, x, value, slope):
    np.testing.assert_allclose(value_and_slope(activation, np.array([x])), [[value], [slope]], rtol=1e-15)


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("x", [9.0, 20.0, 43.0])
def test_slopes_keep_their_digits_in_the_tails(x, count):
    """sech²x = 1 − tanh²x has none left as a difference. 1e−15 is 4.5 eps, and a slope takes about as many roundings."""
    x_array = np.full(count, x)
    with mpmath.workdps(50):
        sigmoid_slope, tanh_slope = float(mpmath.sech(mpmath.mpf(x) / 2) ** 2 / 4), float(mpmath.sech(x) ** 2)
    np.testing.assert_allclose(value_and_slope(manual.sigmoid, x_array)[1], sigmoid_slope, rtol=1e-15)
    np.testing.assert_allclose(value_and_slope(manual.sigmoid, -x_array)[1], sigmoid_slope, rtol=1e-15)
    np.testing.assert_allclose(value_and_slope(manual.tanh, x_array)[1], tanh_slope, rtol=1e-15)


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("large", [1e4, np.inf])
@pytest.mark.parametrize(("activation", "lowest"), [(manual.sigmoid, 0), (manual.tanh, -1)])
def test_saturated(activation, lowest, large, dtype, count):
    output, slope = value_and_slope(activation, np.tile(np.array([-large, large], dtype), count))
    np.testing.assert_array_equal(output, np.tile([lowest, 1], count))
    np.testing.assert_array_equal(slope, np.zeros(2 * count))


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("activation", [manual.sigmoid, manual.tanh])
def test_nan_stays_where_it_is(activation, count):
    x = np.zeros(count + 1)
    x[0] = np.nan
    for result in value_and_slope(activation, x):
        np.testing.assert_array_equal(np.isnan(result), np.isnan(x))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(-800, 800), min_size=1))
def test_symmetry(numbers):
    """Tanh is odd and its slope even, to the last bit; σ(x) + σ(−x) = 1 but for the rounding of the sum; σ′ is even but for that of
    exp(x) and exp(−x), of three sums, quotients and products: 3.1 eps at the most over two million numbers.
    """
    x = np.array(numbers)
    np.testing.assert_array_equal(manual.tanh(x)[0], -manual.tanh(-x)[0])
    np.testing.assert_array_equal(value_and_slope(manual.tanh, x)[1], value_and_slope(manual.tanh, -x)[1])
    eps = np.finfo(float).eps
    np.testing.assert_allclose(manual.sigmoid(x)[0] + manual.sigmoid(-x)[0], 1, rtol=2 * eps)
    slope, mirrored = (value_and_slope(manual.sigmoid, each)[1] for each in (x, -x))
    np.testing.assert_allclose(slope, mirrored, rtol=4 * eps, atol=np.finfo(float).smallest_subnormal)
