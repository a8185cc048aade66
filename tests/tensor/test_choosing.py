"""What is refused of conditions, masks and values."""

import numpy as np
import pytest

from manual import tensor

X, MASK = np.ones((2, 3)), np.array([True, False, True])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.where(X, X, X), "tensor.where: condition must hold True and False, got float64"),
        (lambda: tensor.where(MASK, 1.0, 2.0), "tensor.where: x must be a NumPy array where all others are numbers"),
        (lambda: tensor.where(MASK, X, X.astype("f")), "tensor.where: other must have the dtype of x, float64, got float32"),
        (lambda: tensor.where(MASK[:2], X, X), "tensor.where: expected shapes that broadcast together"),
        (lambda: tensor.where(MASK, np.ones(3, int), 0.5), "tensor.where: other must be a number that int64 holds, got 0.5"),
        (lambda: tensor.masked_fill(X, X, 0.0), "tensor.masked_fill: mask must hold True and False, got float64"),
        (lambda: tensor.masked_fill(X, MASK, np.ones(1)), "tensor.masked_fill: value must have shape (), got (1,)"),
        (lambda: tensor.masked_fill(X, MASK[:2], 0.0), "tensor.masked_fill: expected shapes that broadcast together"),
        (lambda: tensor.eq(2.0, X), "tensor.eq: x must be a NumPy array, got float"),
        (lambda: tensor.lt(X, np.ones(2)), "tensor.lt: expected shapes that broadcast together"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_a_comparison_takes_no_cotangent():
    _, backward = tensor.eq(X, 1.0)
    assert backward(None) == (None, None)
    with pytest.raises(TypeError, match=r"tensor\.eq: grad_output must be None where the output holds no numbers, got ndarray"):
        backward(X)
