"""Activations made of straight pieces: their kinks, and what is not finite."""

import numpy as np

import manual


def test_relu_at_its_kink():
    """The slope at 0 is 0, of either sign, and so is the output."""
    output, backward = manual.relu(np.array([-1.0, -0.0, 0.0, 5e-324, 2.0]))
    np.testing.assert_array_equal(output, [0, 0, 0, 5e-324, 2])
    np.testing.assert_array_equal(backward(np.full(5, 3.0))[0], [0, 0, 0, 3, 3])


def test_relu_of_what_is_not_finite():
    output, _ = manual.relu(np.array([np.inf, -np.inf, np.nan]))
    np.testing.assert_array_equal(output, [np.inf, 0, np.nan])
