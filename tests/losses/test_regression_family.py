"""Smooth L1 and Huber: examples worked out by hand, the switch, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

X, TARGET = np.array([0.5, 2.0, -4.0, 7.0]), np.array([0.0, 4.0, 0.0, 7.0])


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
def test_by_hand(loss, constants, output, grad_x):
    got, backward = loss(X, TARGET, reduction="none", **constants)
    np.testing.assert_array_equal(got, output)
    grads = backward(np.ones_like(got))
    np.testing.assert_array_equal(grads[0], grad_x)
    np.testing.assert_array_equal(grads[1], np.negative(grad_x))


def test_a_weighted_huber_loss_is_averaged_over_its_elements():
    """Unlike the weighted mse_loss and l1_loss, whose mean is divided by the weights."""
    output, backward = manual.huber_loss(X, TARGET, np.array([8.0, 2.0, 2.0, 5.0]))
    assert output == 11 / 4
    grad_x, _, grad_weight = backward(1.0)
    np.testing.assert_array_equal(grad_x, [1, -0.5, -0.5, 0])
    np.testing.assert_array_equal(grad_weight, np.array([0.125, 1.5, 3.5, 0]) / 4)


@pytest.mark.parametrize("name", ["smooth_l1_loss", "huber_loss"])
def test_an_infinite_difference_pulls_no_harder_than_any_other(name):
    output, backward = getattr(manual, name)(np.array([np.inf, -np.inf]), np.zeros(2), reduction="none")
    np.testing.assert_array_equal(output, [np.inf, np.inf])
    np.testing.assert_array_equal(backward(np.ones(2))[0], [1, -1])


REFUSED = [
    ("smooth_l1_loss", [(2, 3), (2,)], {}, "expected x and target of shapes that broadcast together, got (2, 3) and (2,)"),
    ("smooth_l1_loss", [(3,), (3,)], {"beta": -1.0}, "beta must not be negative, got -1.0"),
    ("smooth_l1_loss", [(3,), (3,)], {"reduction": "all"}, "reduction must be 'none', 'mean' or 'sum', got 'all'"),
    ("huber_loss", [(2, 3), (2,)], {}, "expected x and target of shapes that broadcast together, got (2, 3) and (2,)"),
    ("huber_loss", [(2, 3), (2, 3), (3,)], {}, "weight must have shape (2, 3), got (3,)"),
    ("huber_loss", [(3,), (3,)], {"delta": 0.0}, "delta must be positive, got 0.0"),
    ("huber_loss", [(3,), (3,)], {"delta": -1.0}, "delta must be positive, got -1.0"),
    ("huber_loss", [(3,), (3,)], {"delta": np.nan}, "delta must be positive, got nan"),
    ("huber_loss", [(3,), (3,)], {"reduction": "all"}, "reduction must be 'none', 'mean' or 'sum', got 'all'"),
]


@pytest.mark.parametrize(("name", "shapes", "constants", "message"), REFUSED)
def test_what_torch_refuses_is_refused(name, shapes, constants, message):
    arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, arrays, constants)
