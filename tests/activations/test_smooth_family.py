"""Softsign, tanhshrink, log-sigmoid, softplus and the gates: known values, limits, errors."""

import numpy as np
import pytest

import manual


@pytest.mark.parametrize(
    ("op", "constants", "x", "value", "gradient"),
    [
        ("softsign", {}, 3.0, 0.75, 1 / 16),
        ("tanhshrink", {}, 0.0, 0.0, 0.0),
        ("tanhshrink", {}, 1.0, 0.2384058440442351, 0.5800256583859739),
        ("tanhshrink", {}, 1e-5, 3.3333333332e-16, 9.99999999933333e-11),  # x³/3 − 2x⁵/15, x² − 2x⁴/3
        ("logsigmoid", {}, 0.0, -np.log(2), 0.5),
        ("softplus", {}, 0.0, np.log(2), 0.5),
        ("softplus", {"beta": 2.0}, 0.0, np.log(2) / 2, 0.5),
        ("softplus", {}, 20.0, 20.000000002061153, 0.9999999979388463),
        ("softplus", {}, 20.5, 20.5, 1.0),
        ("softplus", {"threshold": -1.0}, -0.5, -0.5, 1.0),
        ("silu", {}, 0.0, 0.0, 0.5),
        ("silu", {}, 1.0, 0.7310585786300049, 0.9276705118714869),
        ("mish", {}, 0.0, 0.0, 0.6),
        ("mish", {}, 1.0, 0.8650983882673103, 1.0490362200997922),
        ("gelu", {}, 0.0, 0.0, 0.5),
        ("gelu", {}, 1.0, 0.841344746068543, 1.0833154705876864),
        ("gelu", {"approximate": "tanh"}, 0.0, 0.0, 0.5),
        ("gelu", {"approximate": "tanh"}, 1.0, 0.841191990608277, 1.0829640838457826),
    ],
)
def test_known_values(op, constants, x, value, gradient):
    output, backward = getattr(manual, op)(np.array([x]), **constants)
    np.testing.assert_allclose(output, [value], rtol=1e-14)
    np.testing.assert_allclose(backward(np.ones(1))[0], [gradient], rtol=1e-14)


@pytest.mark.parametrize(
    ("op", "constants", "values", "gradients"),
    [
        ("softsign", {}, [1, -1], [0, 0]),
        ("tanhshrink", {}, [np.inf, -np.inf], [1, 1]),
        ("logsigmoid", {}, [0, -np.inf], [0, 1]),
        ("softplus", {}, [np.inf, 0], [1, 0]),
        ("softplus", {"beta": 3.0}, [np.inf, 0], [1, 0]),
        ("silu", {}, [np.inf, 0], [1, 0]),
        ("mish", {}, [np.inf, 0], [1, 0]),
        ("gelu", {}, [np.inf, 0], [1, 0]),
        ("gelu", {"approximate": "tanh"}, [np.inf, 0], [1, 0]),
    ],
)
def test_limits_and_overflow(op, constants, values, gradients, dtype):
    """±∞ give the limits, NaN stays NaN, and nothing overflows on the way there."""
    function = getattr(manual, op)
    output, backward = function(np.array([np.inf, -np.inf], dtype), **constants)
    np.testing.assert_array_equal(output, np.array(values, dtype))
    np.testing.assert_array_equal(backward(np.ones(2, dtype))[0], np.array(gradients, dtype))
    output, backward = function(np.array([np.nan], dtype), **constants)
    assert np.isnan([output[0], backward(np.ones(1, dtype))[0][0]]).all()
    largest = np.finfo(dtype).max
    output, backward = function(np.array([largest, -largest], dtype), **constants)
    assert np.isfinite(output).all()
    np.testing.assert_array_equal(backward(np.ones(2, dtype))[0], np.array(gradients, dtype))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: manual.gelu(x, approximate="erf"), "gelu: approximate must be 'none' or 'tanh', got 'erf'"),
        (lambda x: manual.softplus(x, beta=0.0), "softplus: beta must be finite and not 0, got 0.0"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros(3))


def test_repr():
    assert repr(manual.Softplus()) == "Softplus(beta=1.0, threshold=20.0)"
    assert repr(manual.GELU("tanh")) == "GELU(approximate='tanh')"
