"""Parts are views, and what is refused."""

import numpy as np
import pytest

from manual import tensor

X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("name", "constants"), [("split", {"split_size_or_sections": 2}), ("chunk", {"chunks": 2}), ("unbind", {"dim": 1})]
)
def test_parts_share_memory_and_cannot_be_changed(name, constants):
    output, _ = getattr(tensor, name)(X, **constants)
    assert isinstance(output, tuple)
    for part in output:
        assert np.shares_memory(part, X)
        assert not part.flags.writeable


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.cat([]), "tensor.cat: tensors must be a list of NumPy arrays, got []"),
        (lambda: tensor.cat(X), "tensor.cat: tensors must be a list of NumPy arrays"),
        (lambda: tensor.cat([X, X[0]]), "tensor.cat: tensors must differ in shape along dim 0 alone, got (3, 4), (4,)"),
        (lambda: tensor.cat([X, X.T]), "tensor.cat: tensors must differ in shape along dim 0 alone"),
        (lambda: tensor.cat([np.array(1.0)]), "tensor.cat: tensors must have at least one axis"),
        (lambda: tensor.cat([X, X.astype("f")]), "tensor.cat: tensors[1] must have the dtype of tensors[0], float64, got float32"),
        (lambda: tensor.stack([X, X[:1]]), "tensor.stack: tensors must have one shape, got (3, 4), (1, 4)"),
        (lambda: tensor.stack([X], dim=3), "tensor.stack: dim must lie in [-3, 2]"),
        (
            lambda: tensor.split(X, split_size_or_sections=0),
            "tensor.split: split_size_or_sections must be an integer of at least 1",
        ),
        (lambda: tensor.split(X, split_size_or_sections=[1, 1]), "tensor.split: split_size_or_sections must add up to 3"),
        (
            lambda: tensor.split(X, split_size_or_sections=[4, -1]),
            "tensor.split: split_size_or_sections must be an integer of at least 0",
        ),
        (lambda: tensor.chunk(X, chunks=0), "tensor.chunk: chunks must be an integer of at least 1, got 0"),
        (lambda: tensor.unbind(np.array(1.0)), "tensor.unbind: x must have at least one axis, got a single number"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_nothing_falls_apart_into_nothing():
    output, backward = tensor.unbind(np.ones((0, 2)))
    assert output == ()
    assert backward(())[0].shape == (0, 2)


def test_parts_that_nobody_uses():
    """Their cotangent may be None."""
    _, backward = tensor.chunk(X, chunks=3)
    (grad,) = backward((None, np.ones((1, 4)), None))
    np.testing.assert_array_equal(grad, [[0] * 4, [1] * 4, [0] * 4])
