"""What is refused of indices, and what torch's backward does not do."""

import numpy as np
import pytest

from manual import tensor

X = np.arange(12.0).reshape(3, 4)
INDEX = np.array([[0, 2], [1, 1]])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (3, "index must lie within shape (3, 4)"),
        ((0, -5), "index must lie within shape (3, 4)"),
        ((0, 0, 0), "index must name at most 2 axes"),
        ((..., ...), "index must name at most 2 axes, with one Ellipsis at most"),
        (slice(None, None, -1), "index must have slices with steps of at least 1"),
        (slice(0.5), "index must be an integer, got 0.5"),
        (np.array([3]), "index must lie within shape (3, 4)"),
        ((np.array([0, 1]), np.array([0, 1, 2])), "index must lie within shape (3, 4)"),
        (np.ones((3, 3), bool), "index must lie within shape (3, 4)"),
        (np.array([0.0]), "index must hold integers or truth values in its arrays (of uint8 neither), got float64"),
        (np.array([0], np.uint8), "index must hold integers or truth values in its arrays (of uint8 neither), got uint8"),
        (True, "index must be an integer, got True"),
        ("a", "index must be an integer, got 'a'"),
    ],
)
def test_errors_of_index(index, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        tensor.index(X, index=index)
    assert str(caught.value).startswith(f"tensor.index: {message}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.select(X, dim=0, index=3), "tensor.select: index must lie in [-3, 2] for shape (3, 4), got 3"),
        (lambda: tensor.select(np.array(1.0), dim=0, index=0), "tensor.select: x must have at least one axis"),
        (lambda: tensor.narrow(X, dim=0, start=4, length=0), "tensor.narrow: start must lie in [-3, 3] for shape (3, 4), got 4"),
        (lambda: tensor.narrow(X, dim=0, start=-1, length=2), "tensor.narrow: length must be at most 1 from -1 on"),
        (lambda: tensor.index_select(X, INDEX, dim=0), "tensor.index_select: index must have one axis"),
        (lambda: tensor.index_select(X, np.array([3]), dim=0), "tensor.index_select: index must hold integers from 0 to 2, got 3"),
        (
            lambda: tensor.index_select(X, np.array([-1]), dim=0),
            "tensor.index_select: index must hold integers from 0 to 2, got -1",
        ),
        (lambda: tensor.index_select(X, np.array([0.0]), dim=0), "tensor.index_select: index must hold integer indices"),
        (lambda: tensor.gather(X, INDEX[0], dim=0), "tensor.gather: index must have as many axes as x"),
        (
            lambda: tensor.gather(X, np.zeros((4, 1), int), dim=1),
            "tensor.gather: index must have as many axes as x, none larger but dim",
        ),
        (lambda: tensor.gather(X, INDEX + 2, dim=1), "tensor.gather: index must hold integers from 0 to 3, got 2 to 4"),
        (lambda: tensor.scatter_add(X, INDEX, X[:1], dim=1), "tensor.scatter_add: src must be at least as large as index"),
        (lambda: tensor.scatter_add(X, INDEX, X.astype("f"), dim=1), "tensor.scatter_add: src must have the dtype of x"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_what_lies_beyond_the_index_is_not_added():
    """Torch's backward fails there."""
    src = np.arange(1.0, 13).reshape(3, 4)
    output, backward = tensor.scatter_add(X, INDEX, src, dim=1)
    np.testing.assert_array_equal(output - X, [[1, 0, 2, 0], [0, 11, 0, 0], [0, 0, 0, 0]])
    _, none, grad_src = backward(X)
    assert none is None
    np.testing.assert_array_equal(grad_src, [[0, 2, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0]])
