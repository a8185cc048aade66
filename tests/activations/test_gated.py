"""SiLU, Mish, GELU and GLU: known values, limits, errors, and the fraction that stands for the normal distribution in GELU."""

import mpmath
import numpy as np
import pytest

import manual
from manual.activations.gated import MILLS
from tests.activations.known import assert_known, assert_limits


@pytest.mark.parametrize(
    ("name", "constants", "x", "value", "slope"),
    [
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
def test_known_values(name, constants, x, value, slope):
    assert_known(name, constants, [x], [value], [slope], rtol=1e-14)


@pytest.mark.parametrize(("name", "constants"), [("silu", {}), ("mish", {}), ("gelu", {}), ("gelu", {"approximate": "tanh"})])
def test_limits(name, constants, dtype):
    assert_limits(name, constants, [np.inf, 0], [1, 0], dtype)


def test_glu_by_hand():
    output, backward = manual.glu(np.array([2.0, -3.0, 0.0, 0.0]))
    assert output.tolist() == [1, -1.5]
    assert backward(np.array([1.0, -2.0]))[0].tolist() == [0.5, -1, 0.5, 1.5]


@pytest.mark.parametrize(("shape", "dim"), [((4, 3), -1), ((3, 4), 0), ((), -1)])
def test_an_odd_axis_is_refused(shape, dim):
    with pytest.raises(ValueError, match="glu: the size along dim must be even"):
        manual.glu(np.zeros(shape), dim=dim)


def test_a_missing_axis_is_refused():
    with pytest.raises(ValueError, match="glu: dim must lie in"):
        manual.glu(np.zeros((2, 2)), dim=2)


def test_an_unknown_approximation_is_refused():
    with pytest.raises(ValueError, match="gelu: approximate must be 'none' or 'tanh', got 'erf'"):
        manual.gelu(np.zeros(3), approximate="erf")


def test_the_continued_fraction_is_as_close_as_it_says():
    """φ(t) / Φ(−t) to a relative 1.6e−7 for 0 ≤ t ≤ 4.8, three units of single precision."""
    coefficients = [float(c) for c in np.array(MILLS, np.float32)]
    with mpmath.workdps(40):
        for t in mpmath.linspace(0, 4.8, 481):
            fraction = t + coefficients[0]
            for a, b in zip(coefficients[1::2], coefficients[2::2], strict=True):
                fraction = t + b + a / fraction
            truth = mpmath.npdf(t) / mpmath.ncdf(-t)
            assert abs(fraction / truth - 1) < 1.6e-7
