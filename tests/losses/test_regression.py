"""Losses between numbers: examples worked out by hand, their kinks, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

X, TARGET, WEIGHT = np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 0.0]), np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("loss", "reduction", "output", "grad_x"),
    [
        (manual.mse_loss, "none", [0, 4, 9], [0, -4, 6]),
        (manual.mse_loss, "sum", 13, [0, -4, 6]),
        (manual.mse_loss, "mean", 13 / 3, [0, -4 / 3, 2]),
        (manual.l1_loss, "none", [0, 2, 3], [0, -1, 1]),  # its kink, x = target: 0
        (manual.l1_loss, "sum", 5, [0, -1, 1]),
        (manual.l1_loss, "mean", 5 / 3, [0, -1 / 3, 1 / 3]),
    ],
)
def test_by_hand(loss, reduction, output, grad_x):
    got, backward = loss(X, TARGET, reduction=reduction)
    np.testing.assert_allclose(got, output, rtol=1e-15)
    grads = backward(np.ones_like(got))
    np.testing.assert_allclose(grads[0], grad_x, rtol=1e-15)
    np.testing.assert_allclose(grads[1], np.negative(grad_x), rtol=1e-15)
    assert grads[2] is None


@pytest.mark.parametrize(
    ("loss", "output", "grad_x", "grad_weight"),
    [
        (manual.mse_loss, 35 / 6, [0, -8 / 6, 18 / 6], [-35 / 36, -11 / 36, 19 / 36]),
        (manual.l1_loss, 13 / 6, [0, -2 / 6, 3 / 6], [-13 / 36, -1 / 36, 5 / 36]),
    ],
)
def test_a_weighted_mean_is_divided_by_the_weights(loss, output, grad_x, grad_weight):
    """L = Σ w ℓ / Σ w, so that a weight also counts below the line: ∂L/∂w = (ℓ − L) / Σ w."""
    got, backward = loss(X, TARGET, WEIGHT)
    np.testing.assert_allclose(got, output, rtol=1e-15)
    grads = backward(1.0)
    np.testing.assert_allclose(grads[0], grad_x, rtol=1e-15)
    np.testing.assert_allclose(grads[2], grad_weight, rtol=1e-14)  # ℓ − L loses a digit


@pytest.mark.parametrize("loss", [manual.mse_loss, manual.l1_loss])
def test_weights_that_sum_to_nothing(loss):
    output, backward = loss(X, TARGET, np.zeros(3))
    assert np.isnan(output)
    assert np.isnan(backward(1.0)[0]).all()


def test_a_target_for_all_samples_gathers_their_gradients():
    _, backward = manual.mse_loss(np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2), reduction="sum")
    np.testing.assert_array_equal(backward(1.0)[1], [-8, -12])


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 3), (2,)], "expected x and target of shapes that broadcast together, got (2, 3) and (2,)"),
        ([(2, 3), (2, 3), (3,)], "weight must have shape (2, 3), got (3,)"),
        ([(3,), (2, 3), (2, 3)], "weight must have shape (3,), got (2, 3)"),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")  # torch's, where shapes are broadcast
def test_shapes_that_do_not_fit_are_refused_as_in_torch(name, shapes, message):
    arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, arrays, {})
