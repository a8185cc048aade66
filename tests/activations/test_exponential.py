"""ELU, SELU and CELU: known values, kinks, limits, errors."""

import numpy as np
import pytest

import manual
from tests.activations.known import assert_known, assert_limits


@pytest.mark.parametrize(
    ("name", "constants", "at_zero", "lowest"),
    [
        ("elu", {}, 1.0, -1.0),
        ("elu", {"alpha": 2.0}, 2.0, -2.0),
        ("selu", {}, 1.7580993408473766, -1.7580993408473766),
        ("celu", {"alpha": 2.0}, 1.0, -2.0),
    ],
)
def test_kink_and_limits(name, constants, at_zero, lowest, dtype):
    above = 1.0507009873554805 if name == "selu" else 1.0
    x, values = [0.0, -0.0, np.inf, -np.inf, -10000.0], [0, 0, np.inf, lowest, lowest]
    assert_known(name, constants, x, values, [at_zero, at_zero, above, 0, 0], dtype, rtol=np.finfo(dtype).eps)


@pytest.mark.parametrize(("name", "constants"), [("elu", {}), ("celu", {}), ("celu", {"alpha": 0.5})])
def test_limits(name, constants, dtype):
    assert_limits(name, constants, [np.inf, -constants.get("alpha", 1.0)], [1, 0], dtype)


@pytest.mark.parametrize(
    ("name", "constants", "values", "slopes"),
    [
        ("elu", {"alpha": 0.5}, [-0.31606027941427883, 2], [0.18393972058572117, 1]),
        ("selu", {}, [-1.1113307378125625, 2.101401974710961], [0.6467686030348141, 1.0507009873554805]),
        ("celu", {"alpha": 0.5}, [-0.43233235838169365, 2], [0.1353352832366127, 1]),
    ],
)
def test_known_values(name, constants, values, slopes):
    assert_known(name, constants, [-1.0, 2.0], values, slopes, rtol=1e-15)


def test_celu_refuses_alpha_0():
    with pytest.raises(ValueError, match="celu: alpha must be a number other than 0"):
        manual.celu(np.zeros(3), alpha=0.0)


@pytest.mark.parametrize("alpha", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("op", [manual.elu, manual.celu])
def test_an_alpha_that_is_not_finite_reaches_what_is_negative_alone(op, alpha, dtype):
    """What is positive stays as it is, and so does its gradient; 0 stays 0, as in torch."""
    x, g = np.array([0.0, 0.5, 2.0, np.inf], dtype), np.array([1.0, -2.0, 3.0, 0.5], dtype)
    output, backward = op(x, alpha=alpha)
    np.testing.assert_array_equal(output, x, strict=True)
    np.testing.assert_array_equal(backward(g)[0][1:], g[1:], strict=True)
