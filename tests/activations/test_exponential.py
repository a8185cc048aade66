"""ELU, SELU and CELU: known values, kinks, limits, errors."""

import numpy as np
import pytest

import manual


@pytest.mark.parametrize(
    ("op", "constants", "at_zero", "lowest"),
    [
        ("elu", {}, 1.0, -1.0),
        ("elu", {"alpha": 2.0}, 2.0, -2.0),
        ("selu", {}, 1.7580993408473766, -1.7580993408473766),
        ("celu", {"alpha": 2.0}, 1.0, -2.0),
    ],
)
def test_kink_and_limits(op, constants, at_zero, lowest, dtype):
    output, backward = getattr(manual, op)(np.array([0.0, -0.0, np.inf, -np.inf, -10000.0], dtype), **constants)
    np.testing.assert_allclose(output, np.array([0, 0, np.inf, lowest, lowest], dtype), rtol=np.finfo(dtype).eps)
    grad = backward(np.ones(5, dtype))[0]
    above = 1.0507009873554805 if op == "selu" else 1.0
    np.testing.assert_allclose(grad, np.array([at_zero, at_zero, above, 0, 0], dtype), rtol=np.finfo(dtype).eps)
    assert np.isnan(getattr(manual, op)(np.array([np.nan], dtype), **constants)[0]).all()


def test_known_values():
    x = np.array([-1.0, 2.0])
    np.testing.assert_allclose(manual.elu(x, alpha=0.5)[0], [-0.31606027941427883, 2], rtol=1e-15)
    np.testing.assert_allclose(manual.selu(x)[0], [-1.1113307378125625, 2.101401974710961], rtol=1e-15)
    np.testing.assert_allclose(manual.celu(x, alpha=0.5)[0], [-0.43233235838169365, 2], rtol=1e-15)


def test_celu_refuses_alpha_0():
    with pytest.raises(ValueError, match="celu: alpha must not be 0"):
        manual.celu(np.zeros(3), alpha=0.0)


def test_repr():
    assert repr(manual.ELU(2.0)) == "ELU(alpha=2.0)"
    assert repr(manual.CELU(2.0)) == "CELU(alpha=2.0)"
