"""Losses between a prediction and one of two classes: examples worked out by hand, saturation, and what is refused."""

import math
import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward
from tests.losses.known import loss_and_slopes

LOG_2 = math.log(2)


def test_binary_cross_entropy_of_one_half():
    """log 2 whatever the target; (x − t) / (x (1 − x)) = ±2."""
    output, grad_x, grad_target, _ = loss_and_slopes(
        manual.binary_cross_entropy, np.full(3, 0.5), np.array([0.0, 0.5, 1.0]), reduction="none"
    )
    np.testing.assert_allclose(output, LOG_2, rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [2, 0, -2])
    np.testing.assert_array_equal(grad_target, [0, 0, 0])


def test_binary_cross_entropy_at_0_and_1(dtype):
    """No logarithm of the loss is below −100, no denominator of the gradient below 1e−12; the target's gradient is infinite."""
    x, target = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]], dtype)
    output, grad_x, grad_target, _ = loss_and_slopes(manual.binary_cross_entropy, x, target, reduction="none")
    np.testing.assert_array_equal(output, [0, 100, 100, 0])
    np.testing.assert_allclose(grad_x, [0, -1e12, 1e12, 0], rtol=np.finfo(dtype).eps)
    np.testing.assert_array_equal(grad_target, [np.inf, np.inf, -np.inf, -np.inf])


def test_binary_cross_entropy_with_logits_of_0():
    """σ(0) = 1/2: the loss is log 2, the gradient 1/2 − t; that of the target is −x."""
    x, target = np.zeros(3), np.array([0.0, 0.5, 1.0])
    output, grad_x, grad_target, *_ = loss_and_slopes(manual.binary_cross_entropy_with_logits, x, target, reduction="none")
    np.testing.assert_allclose(output, LOG_2, rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [0.5, 0, -0.5])
    np.testing.assert_array_equal(grad_target, [0, 0, 0])


def test_pos_weight_counts_for_the_positive_part_alone():
    x, target, pos_weight = np.zeros(2), np.array([0.0, 1.0]), np.array([3.0])
    output, grad_x, grad_target, *_ = loss_and_slopes(
        manual.binary_cross_entropy_with_logits, x, target, None, pos_weight, reduction="none"
    )
    np.testing.assert_allclose(output, [LOG_2, 3 * LOG_2], rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [0.5, -1.5])
    np.testing.assert_allclose(grad_target, [2 * LOG_2, 2 * LOG_2], rtol=1e-15)


def test_logits_saturate_without_overflow(dtype):
    x, target = np.array([[-1e4, -1e4, 1e4, 1e4], [0.0, 1.0, 0.0, 1.0]], dtype)
    output, grad_x, grad_target, *_ = loss_and_slopes(manual.binary_cross_entropy_with_logits, x, target, reduction="none")
    np.testing.assert_array_equal(output, [0, 1e4, 1e4, 0])
    np.testing.assert_array_equal(grad_x, [0, -1, 1, 0])
    np.testing.assert_array_equal(grad_target, [1e4, 1e4, -1e4, -1e4])


BCE, LOGITS = "binary_cross_entropy", "binary_cross_entropy_with_logits"
Z23, P23 = np.zeros((2, 3)), np.full((2, 3), 0.5)

REFUSED = [
    (BCE, (np.array([0.5, 1.5]), np.ones(2)), {}, "x must hold probabilities between 0 and 1, got values from 0.5 to 1.5"),
    (BCE, (np.array([-0.5, 0.5]), np.ones(2)), {}, "x must hold probabilities between 0 and 1, got values from -0.5 to 0.5"),
    (BCE, (np.array([np.nan, 0.5]), np.ones(2)), {}, "x must hold probabilities between 0 and 1, got values from nan to nan"),
    (BCE, (P23, np.ones(3)), {}, "target must have shape (2, 3), got (3,)"),
    (BCE, (P23, P23, np.ones(2)), {}, "expected shapes that broadcast together, got x (2, 3), weight (2,)"),
    (BCE, (P23, P23, np.ones((4, 2, 3))), {}, "weight must broadcast to the shape of x, (2, 3), got (4, 2, 3)"),
    (LOGITS, (Z23, np.ones(3)), {}, "target must have shape (2, 3), got (3,)"),
    (LOGITS, (Z23, Z23, np.ones(2)), {}, "expected shapes that broadcast together, got x (2, 3), weight (2,)"),
    (LOGITS, (Z23, Z23, np.ones((4, 2, 3))), {}, "weight must broadcast to the shape of x, (2, 3), got (4, 2, 3)"),
    (LOGITS, (Z23, Z23, None, np.ones(2)), {}, "expected shapes that broadcast together, got x (2, 3), pos_weight (2,)"),
    (LOGITS, (Z23, Z23, None, np.ones((4, 2, 3))), {}, "pos_weight must broadcast to the shape of x, (2, 3), got (4, 2, 3)"),
]


@pytest.mark.parametrize(("name", "arrays", "constants", "message"), REFUSED)
def test_what_does_not_fit_is_refused_as_in_torch(name, arrays, constants, message):
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, arrays, constants)
