"""GLU: a known value, and errors. GELU: the continued fraction that stands for the normal distribution in single precision."""

import mpmath
import numpy as np
import pytest

import manual
from manual.activations.gated import MILLS


def test_known_values():
    output, backward = manual.glu(np.array([2.0, -3.0, 0.0, 0.0]))
    assert output.tolist() == [1.0, -1.5]
    assert backward(np.array([1.0, 1.0]))[0].tolist() == [0.5, 0.5, 0.5, -0.75]


@pytest.mark.parametrize(("shape", "dim"), [((4, 3), -1), ((3, 4), 0), ((), -1)])
def test_an_odd_axis_is_refused(shape, dim):
    with pytest.raises(ValueError, match="glu: the size along dim must be even"):
        manual.glu(np.zeros(shape), dim=dim)


def test_a_missing_axis_is_refused():
    with pytest.raises(ValueError, match="glu: dim must lie in"):
        manual.glu(np.zeros((2, 2)), dim=2)


def test_repr():
    assert repr(manual.GLU(0)) == "GLU(dim=0)"


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
