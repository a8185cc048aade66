"""The hard activations: known values, kinks, limits, errors."""

import numpy as np
import pytest

import manual
from tests.activations.known import assert_known, assert_limits

X = [-4.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 7.0]


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("hardtanh", [-1, -1, -1, -0.5, 0, 0.5, 1, 1, 1], [0, 0, 0, 1, 1, 1, 0, 0, 0]),
        ("relu6", [0, 0, 0, 0, 0, 0.5, 1, 3, 6], [0, 0, 0, 0, 0, 1, 1, 1, 0]),
        ("hardshrink", [-4, -3, -1, 0, 0, 0, 1, 3, 7], [1, 1, 1, 0, 0, 0, 1, 1, 1]),
        ("softshrink", [-3.5, -2.5, -0.5, 0, 0, 0, 0.5, 2.5, 6.5], [1, 1, 1, 0, 0, 0, 1, 1, 1]),
    ],
)
def test_known_values_and_kinks(name, values, slopes, dtype):
    assert_known(name, {}, X, values, slopes, dtype)


def test_ramps():
    ramp = [0, 0, 1 / 3, 2.5 / 6, 0.5, 3.5 / 6, 2 / 3, 1, 1]
    assert_known("hardsigmoid", {}, X, ramp, [0, 0, *[1 / 6] * 5, 0, 0], rtol=1e-15)
    slopes = [0, 0, 1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6, 1, 1]
    assert_known("hardswish", {}, X, np.multiply(X, ramp), slopes, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("hardtanh", [1, -1], [0, 0]),
        ("relu6", [6, 0], [0, 0]),
        ("hardsigmoid", [1, 0], [0, 0]),
        ("hardswish", [np.inf, 0], [1, 0]),
        ("hardshrink", [np.inf, -np.inf], [1, 1]),
        ("softshrink", [np.inf, -np.inf], [1, 1]),
    ],
)
def test_limits(name, values, slopes, dtype):
    assert_limits(name, {}, values, slopes, dtype)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: manual.hardtanh(x, min_val=2.0, max_val=1.0), "hardtanh: min_val must not be above max_val, got 2.0 and 1.0"),
        (lambda x: manual.Hardtanh(1.0, 1.0), "Hardtanh: max_val must be above min_val, got 1.0 and 1.0"),
        (lambda x: manual.softshrink(x, lambd=-1.0), "softshrink: lambd must be a finite number of at least 0, got -1.0"),
        (lambda x: manual.softshrink(x, lambd=np.nan), "softshrink: lambd must be a finite number"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((2, 3)))
