"""GLU: a known value, and errors."""

import numpy as np
import pytest

import manual


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
