"""Known values, dtypes beside plain numbers, and what is refused."""

import numpy as np
import pytest

from manual import tensor

X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def test_a_sum_goes_back_to_both():
    output, backward = tensor.add(X, np.array([10.0, 20.0, 30.0]), alpha=2)
    np.testing.assert_array_equal(output, [[21, 38, 63], [24, 45, 54]])
    g = np.arange(1.0, 7.0).reshape(2, 3)
    grad_x, grad_other = backward(g)
    np.testing.assert_array_equal(grad_x, g)
    np.testing.assert_array_equal(grad_other, [10, 14, 18])


@pytest.mark.parametrize("op", [tensor.add, tensor.subtract, tensor.multiply, tensor.divide, tensor.pow])
@pytest.mark.parametrize("number", [2, 0.1, -3.0])
def test_a_plain_number_is_a_constant(op, number):
    """Its gradient is None, and float32 stays float32, forwards and backwards."""
    x = np.abs(X).astype(np.float32)
    for arguments, position in (((x, number), 0), ((number, x), 1)):
        with np.errstate(invalid="ignore"):
            output, backward = op(*arguments)
            grads = backward(np.ones_like(output))
        assert output.dtype == np.float32
        assert grads[1 - position] is None
        assert (grads[position].dtype, grads[position].shape) == (np.float32, x.shape)


def test_numbers_alone_are_refused():
    with pytest.raises(TypeError, match=r"tensor\.add: x must be a NumPy array where all others are numbers, got 1"):
        tensor.add(1, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.add(X, np.ones(2)), "tensor.add: expected shapes that broadcast together, got x (2, 3), other (2,)"),
        (lambda: tensor.maximum(X, np.ones(2)), "tensor.maximum: expected shapes that broadcast together"),
        (lambda: tensor.maximum(X, 2.0), "tensor.maximum: other must be a NumPy array, got float"),
        (lambda: tensor.divide(X, 2.0, rounding_mode="up"), "tensor.divide: rounding_mode must be"),
        (lambda: tensor.clamp(X), "tensor.clamp: min and max must not both be None"),
        (lambda: tensor.clamp(X, 0.0, np.ones(3)), "tensor.clamp: min and max must both be numbers or both arrays"),
        (lambda: tensor.clamp(X, np.ones(2)), "tensor.clamp: expected shapes that broadcast together"),
        (lambda: tensor.pow(X, 10**400), "tensor.pow: exponent must be a number"),
        (lambda: tensor.add(X, True), "tensor.add: other must be a NumPy array, got bool"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_x_may_be_repeated_between_bounds():
    """Torch's backward fails there."""
    output, backward = tensor.clamp(np.array([[0.5], [3.0]]), np.zeros((2, 2, 4)), np.ones(4))
    grad_x, grad_low, grad_high = backward(np.arange(16.0).reshape(output.shape))
    np.testing.assert_array_equal(grad_x, [[0 + 1 + 2 + 3 + 8 + 9 + 10 + 11], [0]])
    assert not grad_low.any()
    np.testing.assert_array_equal(grad_high, [4 + 12, 5 + 13, 6 + 14, 7 + 15])
