"""Losses between numbers: examples worked out by hand, their kinks, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward
from tests.losses.known import loss_and_slopes

X, TARGET, WEIGHT = np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 0.0]), np.array([1.0, 2.0, 3.0])
NEAR_AND_FAR = np.array([0.5, 2.0, -4.0, 7.0]), np.array([0.0, 4.0, 0.0, 7.0])


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
    got, *grads = loss_and_slopes(loss, X, TARGET, reduction=reduction)
    np.testing.assert_allclose(got, output, rtol=1e-15)
    np.testing.assert_allclose(grads[0], grad_x, rtol=1e-15)
    np.testing.assert_allclose(grads[1], np.negative(grad_x), rtol=1e-15)
    assert grads[2] is None


@pytest.mark.parametrize(
    ("loss", "constants", "output", "grad_x"),
    [
        (manual.smooth_l1_loss, {}, [0.125, 1.5, 3.5, 0], [0.5, -1, -1, 0]),
        (manual.smooth_l1_loss, {"beta": 4.0}, [1 / 32, 0.5, 2, 0], [0.125, -0.5, -1, 0]),
        (manual.smooth_l1_loss, {"beta": 0.0}, [0.5, 2, 4, 0], [1, -1, -1, 0]),
        (manual.smooth_l1_loss, {"beta": np.inf}, [0, 0, 0, 0], [0, 0, 0, 0]),
        (manual.huber_loss, {}, [0.125, 1.5, 3.5, 0], [0.5, -1, -1, 0]),
        (manual.huber_loss, {"delta": 4.0}, [0.125, 2, 8, 0], [0.5, -2, -4, 0]),
        (manual.huber_loss, {"delta": np.inf}, [0.125, 2, 8, 0], [0.5, -2, -4, 0]),
    ],
)
def test_squared_near_the_target_and_absolute_far_from_it(loss, constants, output, grad_x):
    got, *grads = loss_and_slopes(loss, *NEAR_AND_FAR, reduction="none", **constants)
    np.testing.assert_array_equal(got, output)
    np.testing.assert_array_equal(grads[0], grad_x)
    np.testing.assert_array_equal(grads[1], np.negative(grad_x))


@pytest.mark.parametrize("name", ["smooth_l1_loss", "huber_loss"])
def test_an_infinite_difference_pulls_no_harder_than_any_other(name):
    output, grad_x, *_ = loss_and_slopes(getattr(manual, name), np.array([np.inf, -np.inf]), np.zeros(2), reduction="none")
    np.testing.assert_array_equal(output, [np.inf, np.inf])
    np.testing.assert_array_equal(grad_x, [1, -1])


@pytest.mark.parametrize(
    ("loss", "output", "grad_x", "grad_weight"),
    [
        (manual.mse_loss, 35 / 6, [0, -8 / 6, 18 / 6], [-35 / 36, -11 / 36, 19 / 36]),
        (manual.l1_loss, 13 / 6, [0, -2 / 6, 3 / 6], [-13 / 36, -1 / 36, 5 / 36]),
    ],
)
def test_a_weighted_mean_is_divided_by_the_weights(loss, output, grad_x, grad_weight):
    """L = Σ w ℓ / Σ w, so that a weight also counts below the line: ∂L/∂w = (ℓ − L) / Σ w."""
    got, *grads = loss_and_slopes(loss, X, TARGET, WEIGHT)
    np.testing.assert_allclose(got, output, rtol=1e-15)
    np.testing.assert_allclose(grads[0], grad_x, rtol=1e-15)
    np.testing.assert_allclose(grads[2], grad_weight, rtol=1e-14)  # ℓ − L loses a digit


def test_a_weighted_huber_loss_is_averaged_over_its_elements():
    """Unlike the weighted mse_loss and l1_loss, whose mean is divided by the weights."""
    output, grad_x, _, grad_weight = loss_and_slopes(manual.huber_loss, *NEAR_AND_FAR, np.array([8.0, 2.0, 2.0, 5.0]))
    assert output == 11 / 4
    np.testing.assert_array_equal(grad_x, [1, -0.5, -0.5, 0])
    np.testing.assert_array_equal(grad_weight, np.array([0.125, 1.5, 3.5, 0]) / 4)


@pytest.mark.parametrize("loss", [manual.mse_loss, manual.l1_loss])
def test_weights_that_sum_to_nothing(loss):
    output, backward = loss(X, TARGET, np.zeros(3))
    assert np.isnan(output)
    assert np.isnan(backward(2.0)[0]).all()


def test_a_target_for_all_samples_gathers_their_gradients():
    _, backward = manual.mse_loss(np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2), reduction="none")
    np.testing.assert_array_equal(backward(np.array([[1.0, -2.0], [3.0, 0.5]]))[1], [-2 * 1 - 6 * 3, 4 * 2 - 8 * 0.5])


SHAPES = "expected shapes that broadcast together, got x (2, 3), target (2,)"
REDUCTION = "reduction must be 'none', 'mean' or 'sum', got 'all'"


@pytest.mark.parametrize(
    ("name", "shapes", "constants", "message"),
    [
        *(
            (name, shapes, {}, message)
            for name in ("mse_loss", "l1_loss")
            for shapes, message in (
                ([(2, 3), (2,)], SHAPES),
                ([(2, 3), (2, 3), (3,)], "weight must have shape (2, 3), got (3,)"),
                ([(3,), (2, 3), (2, 3)], "weight must have shape (3,), got (2, 3)"),
            )
        ),
        ("smooth_l1_loss", [(2, 3), (2,)], {}, SHAPES),
        ("smooth_l1_loss", [(3,), (3,)], {"beta": -1.0}, "beta must be a number of at least 0, got -1.0"),
        ("smooth_l1_loss", [(3,), (3,)], {"reduction": "all"}, REDUCTION),
        ("huber_loss", [(2, 3), (2,)], {}, SHAPES),
        ("huber_loss", [(2, 3), (2, 3), (3,)], {}, "weight must have shape (2, 3), got (3,)"),
        ("huber_loss", [(3,), (3,)], {"delta": 0.0}, "delta must be a positive number, got 0.0"),
        ("huber_loss", [(3,), (3,)], {"delta": -1.0}, "delta must be a positive number, got -1.0"),
        ("huber_loss", [(3,), (3,)], {"delta": np.nan}, "delta must be a positive number, got nan"),
        ("huber_loss", [(3,), (3,)], {"reduction": "all"}, REDUCTION),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size")  # torch's, where shapes are broadcast
def test_what_torch_refuses_is_refused(name, shapes, constants, message):
    arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, arrays, constants)
