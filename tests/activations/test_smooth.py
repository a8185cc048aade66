"""Sigmoid, tanh and their kin: known values, the digits of their tails, limits, symmetries, errors."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from tests.activations.known import assert_known, assert_limits, value_and_slope


@pytest.mark.parametrize(
    ("name", "constants", "x", "value", "slope"),
    [
        ("sigmoid", {}, 0.0, 1 / 2, 1 / 4),
        ("sigmoid", {}, math.log(3), 3 / 4, 3 / 16),
        ("sigmoid", {}, -math.log(3), 1 / 4, 3 / 16),
        ("tanh", {}, 0.0, 0.0, 1.0),
        ("tanh", {}, math.log(2), 3 / 5, 16 / 25),
        ("tanh", {}, -math.log(2), -3 / 5, 16 / 25),
        ("softsign", {}, 3.0, 0.75, 1 / 16),
        ("tanhshrink", {}, 0.0, 0.0, 0.0),
        ("tanhshrink", {}, 1.0, 0.2384058440442351, 0.5800256583859739),
        ("logsigmoid", {}, 0.0, -math.log(2), 0.5),
        ("softplus", {}, 0.0, math.log(2), 0.5),
        ("softplus", {"beta": 2.0}, 0.0, math.log(2) / 2, 0.5),
        ("softplus", {}, 20.0, 20.000000002061153, 0.9999999979388463),
        ("softplus", {}, 20.5, 20.5, 1.0),
        ("softplus", {"threshold": -1.0}, -0.5, -0.5, 1.0),
        ("softplus", {"beta": 2.0, "threshold": -50.0}, -25.0, math.log1p(math.exp(-50)) / 2, 1 / (1 + math.exp(50))),
        ("softplus", {"beta": 2.0, "threshold": -50.0}, -24.5, -24.5, 1.0),
    ],
)
def test_known_values(name, constants, x, value, slope):
    assert_known(name, constants, [x], [value], [slope], rtol=1e-15)


def test_tanh_of_the_largest_numbers(dtype):
    """Twice the number overflows, tanh does not, nor is there a warning."""
    largest = np.finfo(dtype).max
    value, slope = value_and_slope(manual.tanh, np.array([-largest, largest], dtype))
    assert (value.tolist(), slope.tolist()) == ([-1.0, 1.0], [0.0, 0.0])


def test_tanhshrink_keeps_its_digits_near_zero():
    """X³/3 − 2x⁵/15 and x² − 2x⁴/3, to the digits that are written here."""
    assert_known("tanhshrink", {}, [1e-5], [3.3333333332e-16], [9.99999999933333e-11], rtol=1e-14)


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


@pytest.mark.parametrize(
    ("name", "constants", "values", "slopes"),
    [
        ("sigmoid", {}, [1, 0], [0, 0]),
        ("softsign", {}, [1, -1], [0, 0]),
        ("tanhshrink", {}, [np.inf, -np.inf], [1, 1]),
        ("logsigmoid", {}, [0, -np.inf], [0, 1]),
        ("softplus", {}, [np.inf, 0], [1, 0]),
        ("softplus", {"beta": 3.0}, [np.inf, 0], [1, 0]),
    ],
)
def test_limits(name, constants, values, slopes, dtype):
    assert_limits(name, constants, values, slopes, dtype)


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("large", [1e4, np.inf])
@pytest.mark.parametrize(("name", "lowest"), [("sigmoid", 0), ("tanh", -1)])
def test_saturated(name, lowest, large, dtype, count):
    assert_known(name, {}, np.tile([-large, large], count), np.tile([lowest, 1], count), np.zeros(2 * count), dtype)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(-800, 800), min_size=1))
def test_symmetry(numbers):
    """Tanh is odd and its slope even, to the last bit; σ(x) + σ(−x) = 1 but for the rounding of the sum; σ′ is even but for that of
    exp(x) and exp(−x), of three sums, quotients and products: 3.1 eps at the most over two million numbers. Subnormal slopes lose
    up to three bits to a cotangent of 1/8.
    """
    x = np.array(numbers)
    np.testing.assert_array_equal(manual.tanh(x)[0], -manual.tanh(-x)[0])
    np.testing.assert_array_equal(value_and_slope(manual.tanh, x)[1], value_and_slope(manual.tanh, -x)[1])
    eps = np.finfo(float).eps
    np.testing.assert_allclose(manual.sigmoid(x)[0] + manual.sigmoid(-x)[0], 1, rtol=2 * eps)
    slope, mirrored = (value_and_slope(manual.sigmoid, each)[1] for each in (x, -x))
    np.testing.assert_allclose(slope, mirrored, rtol=4 * eps, atol=8 * np.finfo(float).smallest_subnormal)


def test_a_softplus_that_does_not_bend_is_refused():
    with pytest.raises(ValueError, match=r"softplus: beta must be a finite number other than 0, got 0.0"):
        manual.softplus(np.zeros(3), beta=0.0)
