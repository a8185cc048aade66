"""Order among those that tie, without order, and what is refused."""

import numpy as np
import pytest

from manual import tensor

X = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 5.0]])


def test_of_those_that_tie_come_the_first():
    (values, places), backward = tensor.topk(X, k=2)
    np.testing.assert_array_equal(values, [[3, 3], [5, 2]])
    np.testing.assert_array_equal(places, [[1, 2], [3, 0]])
    np.testing.assert_array_equal(backward((np.ones((2, 2)), None))[0], [[0, 1, 1, 0], [1, 0, 0, 1]])


def test_unsorted_they_come_in_order_all_the_same():
    sorted_, unsorted = (tensor.topk(X, k=3, sorted=flag)[0] for flag in (True, False))
    np.testing.assert_array_equal(sorted_[1], unsorted[1])


@pytest.mark.parametrize("descending", [False, True])
def test_many_that_tie_keep_their_order(descending):
    """Few enough do so in any sort."""
    x = np.tile(np.array([1.0, 0.0, 2.0]), 100)
    (_, places), _ = tensor.sort(x, descending=descending)
    for third in np.split(places, 3):
        assert (np.diff(third) > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.max(np.ones((2, 0))), "tensor.max: x must have at least one element along dim, got shape (2, 0)"),
        (lambda: tensor.min(np.ones((2, 0)), dim=1), "tensor.min: x must have at least one element along dim, got shape (2, 0)"),
        (lambda: tensor.amax(np.ones((2, 0)), dim=1), "tensor.amax: x must have at least one element along dim"),
        (lambda: tensor.argmin(np.ones(0)), "tensor.argmin: x must have at least one element along dim"),
        (lambda: tensor.max(X, keepdim=True), "tensor.max: keepdim must be False without dim"),
        (lambda: tensor.topk(X, k=5), "tensor.topk: k must be at most 4, the elements along dim, got 5"),
        (lambda: tensor.topk(np.array(1.0), k=0), "tensor.topk: k must be an integer of at least 1, got 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_none_along_another_axis_is_none():
    (values, places), _ = tensor.max(np.ones((0, 3)), dim=1)
    assert values.shape == places.shape == (0,)
