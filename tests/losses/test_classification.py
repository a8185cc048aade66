"""Losses between a prediction and a class: examples worked out by hand, corners, saturation, and what is refused."""

import math
import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward
from tests.losses.known import loss_and_slopes

LOG_2 = math.log(2)


def test_nll_loss_picks_one_entry_of_each_sample():
    x, target = np.array([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]]), np.array([2, 0])
    output, grad_x, *_ = loss_and_slopes(manual.nll_loss, x, target, reduction="none")
    np.testing.assert_array_equal(output, [3, 4])
    np.testing.assert_array_equal(grad_x, [[0, 0, -1], [-1, 0, 0]])


def test_the_mean_is_divided_by_the_weights_of_the_targets():
    """(3 · 3 + 1 · 4) / (3 + 1)"""
    x, target = np.array([[-1.0, -2.0, -3.0], [-4.0, -5.0, -6.0]]), np.array([2, 0])
    output, grad_x, *_ = loss_and_slopes(manual.nll_loss, x, target, np.array([1.0, 2.0, 3.0]))
    assert output == 13 / 4
    np.testing.assert_array_equal(grad_x, [[0, 0, -3 / 4], [-1 / 4, 0, 0]])


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_cross_entropy_of_equal_scores(classes):
    """log C; the gradient is p − 1 at the target, p = 1/C elsewhere."""
    output, grad_x, *_ = loss_and_slopes(manual.cross_entropy, np.full((1, classes), 5.0), np.array([0]))
    np.testing.assert_allclose(output, math.log(classes), rtol=1e-15)
    np.testing.assert_allclose(grad_x, [[1 / classes - 1] + [1 / classes] * (classes - 1)], rtol=1e-15)


def test_scores_saturate_without_overflow(dtype):
    x = np.array([[1e4, -1e4], [1e4, -1e4]], dtype)
    output, grad_x, *_ = loss_and_slopes(manual.cross_entropy, x, np.array([0, 1]), reduction="none")
    np.testing.assert_array_equal(output, [0, 2e4])
    np.testing.assert_array_equal(grad_x, [[0, 0], [1, -1]])


def test_classes_are_probabilities_of_0_and_1():
    rng = np.random.default_rng(6)
    x, target, weight = rng.standard_normal((4, 3)), np.array([2, 0, 1, 1]), rng.uniform(0.5, 2, 3)
    for label_smoothing in (0.0, 0.25):
        constants = {"reduction": "sum", "label_smoothing": label_smoothing}
        of_classes = loss_and_slopes(manual.cross_entropy, x, target, weight, **constants)
        of_probabilities = loss_and_slopes(manual.cross_entropy, x, np.eye(3)[target], weight, **constants)
        for one, other in zip(of_classes[:2], of_probabilities[:2], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13)


def test_the_mean_over_probabilities_is_divided_by_the_samples():
    """A weight of 2 for every class leaves the mean over classes as it is, and doubles that over probabilities."""
    x, target, weight = np.zeros((4, 3)), np.array([2, 0, 1, 1]), np.full(3, 2.0)
    np.testing.assert_allclose(manual.cross_entropy(x, target, weight)[0], math.log(3), rtol=1e-15)
    np.testing.assert_allclose(manual.cross_entropy(x, np.eye(3)[target], weight)[0], 2 * math.log(3), rtol=1e-15)


def test_a_smoothing_of_1_forgets_the_target():
    x = np.array([[0.3, -1.0, 2.0]])
    losses = [manual.cross_entropy(x, np.array([target]), label_smoothing=1.0)[0] for target in range(3)]
    np.testing.assert_array_equal(losses, [losses[0]] * 3)
    np.testing.assert_allclose(losses[0], -manual.log_softmax(x, dim=1)[0].mean(), rtol=1e-15)


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "int64"])
def test_classes_of_any_integer_kind(kind):
    x, target = np.random.default_rng(7).standard_normal((3, 4)), np.array([0, 3, 1])
    for loss in (manual.nll_loss, manual.cross_entropy):
        output, grad_x, *_ = loss_and_slopes(loss, x, target.astype(kind))
        expected, expected_grad, *_ = loss_and_slopes(loss, x, target)
        assert output == expected
        np.testing.assert_array_equal(grad_x, expected_grad)


@pytest.mark.parametrize("loss", [manual.nll_loss, manual.cross_entropy])
def test_ignored_samples_might_as_well_not_be_there(loss):
    x = np.random.default_rng(8).standard_normal((3, 4))
    output, grad_x, *_ = loss_and_slopes(loss, x, np.array([1, -100, 2]))
    of_others, grad_of_others, *_ = loss_and_slopes(loss, x[::2], np.array([1, 2]))
    assert output == of_others
    np.testing.assert_array_equal(grad_x, [grad_of_others[0], [0, 0, 0, 0], grad_of_others[1]])


@pytest.mark.parametrize("anything", [-np.inf, np.nan])
@pytest.mark.parametrize(
    ("loss", "constants"),
    [(manual.nll_loss, {}), (manual.cross_entropy, {}), (manual.cross_entropy, {"label_smoothing": 0.1})],
)
def test_ignored_samples_may_hold_anything(loss, constants, anything):
    """What stands in an ignored sample reaches neither the loss nor the other gradients, and raises no warning."""
    x, target = np.array([[anything, 0.0], [1.0, 2.0]]), np.array([-100, 0])
    output, grad_x, *_ = loss_and_slopes(loss, x, target, **constants)
    of_others, grad_of_others, *_ = loss_and_slopes(loss, x[1:], target[1:], **constants)
    assert output == of_others
    np.testing.assert_array_equal(grad_x[1:], grad_of_others)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_everything_ignored(label_smoothing):
    """The mean is NaN, but no gradient comes of it; the sum is 0."""
    x, target = np.zeros((2, 3)), np.array([1, 1])
    constants = {"ignore_index": 1, "label_smoothing": label_smoothing}
    mean, grad_x, *_ = loss_and_slopes(manual.cross_entropy, x, target, **constants)
    assert np.isnan(mean)
    np.testing.assert_array_equal(grad_x, np.zeros((2, 3)))
    assert manual.cross_entropy(x, target, **constants, reduction="sum")[0] == 0


def test_targets_without_weight():
    """Nothing is ignored, yet Σ w = 0: the mean is NaN, and so is the gradient."""
    x, target, weight = np.zeros((2, 3)), np.array([1, 1]), np.array([1.0, 0.0, 1.0])
    mean, grad_x, *_ = loss_and_slopes(manual.cross_entropy, x, target, weight)
    assert np.isnan(mean)
    assert np.isnan(grad_x).all()


def test_masked_classes():
    """A score of −∞ takes a class out: no share in the loss, and no gradient."""
    output, grad_x, *_ = loss_and_slopes(manual.cross_entropy, np.array([[0.0, -np.inf, 0.0]]), np.array([2]))
    np.testing.assert_allclose(output, LOG_2, rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [[0.5, 0, -0.5]])


NLL, CE = "nll_loss", "cross_entropy"
Z23, P23, I2 = np.zeros((2, 3)), np.full((2, 3), 0.5), np.array([0, 1])

REFUSED = [
    *(
        refused
        for op in (NLL, CE)
        for refused in (
            (op, (Z23, np.array([0, 3])), {}, "target must hold classes from 0 to 2, got 3"),
            (op, (Z23, np.array([-1, 0])), {}, "target must hold classes from 0 to 2, got -1"),
            (op, (Z23, np.array([0, -100])), {"ignore_index": -1}, "target must hold classes from 0 to 2, got -100"),
            (op, (Z23, np.array([0.0, 1.0])), {}, "target must hold integer indices, got float64"),
            (op, (Z23, np.array([True, False])), {}, "target must hold integer indices, got bool"),
            (op, (Z23, np.array([0, 1, 2])), {}, "target must have shape (2,), got (3,)"),
            (op, (Z23, np.array([[0], [1]])), {}, "target must have shape (2,), got (2, 1)"),
            (op, (np.zeros((2, 3, 4)), I2), {}, "target must have shape (2, 4), got (2,)"),
            (op, (np.zeros(()), np.array(0)), {}, "x must have shape (C), (N, C) or (N, C, d1, ...), got ()"),
            (op, (np.zeros((2, 0)), I2), {}, "x must have at least one class, got shape (2, 0)"),
            (op, (Z23, I2, np.ones(2)), {}, "weight must have shape (3,), got (2,)"),
            (op, (Z23, I2, np.ones((1, 3))), {}, "weight must have shape (3,), got (1, 3)"),
        )
    ),
    (CE, (Z23, I2), {"label_smoothing": 1.5}, "label_smoothing must be a number from 0 to 1, got 1.5"),
    (CE, (Z23, P23), {"ignore_index": 1}, "ignore_index is for class indices, got 1 with class probabilities"),
    (CE, (Z23, P23, np.ones(2)), {}, "weight must have shape (3,), got (2,)"),
    (CE, (Z23, P23.T), {}, "target must hold integer indices, got float64"),
    (CE, (Z23, np.zeros((2, 3), int)), {}, "target must have shape (2,), got (2, 3)"),
]


@pytest.mark.parametrize(("name", "arrays", "constants", "message"), REFUSED)
def test_what_does_not_fit_is_refused_as_in_torch(name, arrays, constants, message):
    with pytest.raises((ValueError, TypeError), match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        forward(OPERATIONS[name].torch, arrays, constants)


@pytest.mark.parametrize("label_smoothing", [-0.1, np.nan])
def test_smoothing_below_0_is_refused(label_smoothing):
    """torch takes it for none at all."""
    message = f"cross_entropy: label_smoothing must be a number from 0 to 1, got {label_smoothing}"
    with pytest.raises(ValueError, match=re.escape(message)):
        manual.cross_entropy(Z23, I2, label_smoothing=label_smoothing)
