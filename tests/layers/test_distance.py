"""Distances: examples worked out by hand, every axis, kinks, and what is refused."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_a_cosine_by_hand():
    """3, 4 against 0, 2: the norms are 5 and 2, the product 8."""
    output, backward = manual.cosine_similarity(np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]]))
    np.testing.assert_allclose(output, [0.8], rtol=1e-15)
    grad_x1, grad_x2 = backward(np.array([1.0]))
    np.testing.assert_allclose(grad_x1, [[-0.096, 0.072]], rtol=1e-14)  # (0, 2) / 10 − 0.8 (3, 4) / 25
    np.testing.assert_allclose(grad_x2, [[0.3, 0]], rtol=1e-14, atol=1e-16)  # (3, 4) / 10 − 0.8 (0, 2) / 4


def test_a_cosine_does_not_depend_on_lengths():
    rng = np.random.default_rng(0)
    x1, x2 = rng.standard_normal((2, 5, 3))
    output, backward = manual.cosine_similarity(x1, x2)
    np.testing.assert_allclose(manual.cosine_similarity(8 * x1, x2 / 4)[0], output, rtol=1e-15)
    grad_x1, grad_x2 = backward(rng.standard_normal(5))
    for grad, x in ((grad_x1, x1), (grad_x2, x2)):
        assert (abs((grad * x).sum(axis=1)) < 1e-15).all()  # nothing is gained along the vector itself
        assert (abs(grad).sum(axis=1) > 0.01).all()


def test_a_norm_below_eps():
    """Of a zero vector there is the first term alone, x2 / (eps ‖x2‖); below eps the clamp moves the value, not its slope."""
    _, backward = manual.cosine_similarity(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(backward(np.ones(1))[0], [[0.6e8, 0.8e8]], rtol=1e-15)
    output, backward = manual.cosine_similarity(np.array([[0.6, 0.8]]), np.array([[0.0, 2.0]]), eps=2.0)
    np.testing.assert_allclose(output, [0.4], rtol=1e-15)  # 1.6 / (2 · 2)
    np.testing.assert_allclose(backward(np.ones(1))[0], [[-0.12, 0.34]], rtol=1e-14)  # (0, 2) / 4 − 0.4 (0.6, 0.8) / (2 · 1)


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((4,), (3, 4)), ((3, 1), (4,)), ((2, 3, 4), (3, 1)), ((), ())])
def test_cosine_along_every_axis(shapes):
    rng = np.random.default_rng(0)
    x1, x2 = (np.asarray(rng.standard_normal(shape)) for shape in shapes)
    ndim = max(x1.ndim, x2.ndim, 1)
    for dim in range(-ndim, ndim):
        output, backward = manual.cosine_similarity(x1, x2, dim=dim)
        tensors = [torch.tensor(x, requires_grad=True) for x in (x1, x2)]
        theirs = F.cosine_similarity(*tensors, dim=dim)
        g = np.asarray(rng.standard_normal(output.shape))
        theirs.backward(torch.tensor(g))
        np.testing.assert_allclose(output, theirs.detach(), rtol=1e-14)
        for grad, tensor in zip(backward(g), tensors, strict=True):
            np.testing.assert_allclose(grad, tensor.grad, rtol=1e-12, atol=1e-14)


A, B = np.array([1.0, 2.0, 5.0]), np.array([3.0, 0.0, 6.0])  # the difference is −2, 2, −1


@pytest.mark.parametrize(
    ("p", "distance", "grad"),
    [
        (0, 3, [0, 0, 0]),
        (1, 5, [-1, 1, -1]),
        (2, 3, [-2 / 3, 2 / 3, -1 / 3]),
        (3, 17 ** (1 / 3), [-4 * 17 ** (-2 / 3), 4 * 17 ** (-2 / 3), -(17 ** (-2 / 3))]),
        (np.inf, 2, [-0.5, 0.5, 0]),
        (-1, 0.5, [-1 / 16, 1 / 16, -1 / 4]),  # (1/2 + 1/2 + 1)⁻¹; (|δ| / d)⁻² = (1/4)², (1/4)², (1/2)²
        (-np.inf, 1, [0, 0, -1]),
    ],
)
def test_a_distance_by_hand(p, distance, grad):
    output, backward = manual.pairwise_distance(A, B, p=p, eps=0.0)
    assert output == pytest.approx(distance, rel=1e-15)
    for found, sign in zip(backward(np.array(1.0)), (1, -1), strict=True):
        np.testing.assert_allclose(found, np.multiply(sign, grad), rtol=1e-14)
    if p >= 0:
        pairs, pairs_backward = manual.pdist(np.stack([A, B]), p=p)
        np.testing.assert_allclose(pairs, [distance], rtol=1e-15)
        expected = np.array([-1, 1, 0]) if p == np.inf else np.array(grad)  # there nothing is shared
        np.testing.assert_allclose(pairs_backward(np.ones(1))[0], [expected, -expected], rtol=1e-14)


def test_eps_keeps_equal_vectors_apart():
    output, backward = manual.pairwise_distance(np.ones((1, 4)), np.ones((1, 4)))
    np.testing.assert_allclose(output, [2e-6], rtol=1e-15)
    np.testing.assert_allclose(backward(np.ones(1))[0], np.full((1, 4), 0.5), rtol=1e-15)


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, np.inf])
def test_equal_vectors_have_no_gradient(p):
    """Nor NaN, where the distance is 0."""
    x = np.array([[1.0, 2.0], [1.0, 2.0]])
    output, backward = manual.pdist(x, p=p)
    assert (output.tolist(), backward(np.ones(1))[0].tolist()) == ([0], [[0, 0], [0, 0]])
    output, backward = manual.pairwise_distance(x[:1], x[1:], p=p, eps=0.0)
    assert (output.tolist(), backward(np.ones(1))[0].tolist()) == ([0], [[0, 0]])


def test_nan_is_not_lost():
    for p in (0.5, 1, 2, 3, 100, np.inf, -1, -np.inf):
        assert np.isnan(manual.pairwise_distance(np.array([np.nan, 1.0]), np.zeros(2), p=p)[0])


def test_pairs_come_in_order():
    """Numbers on a line, each pair with another distance."""
    x = np.array([[0.0], [1.0], [4.0], [9.0]])
    output, backward = manual.pdist(x)
    assert output.tolist() == [1, 4, 9, 3, 8, 5]
    (grad,) = backward(np.array([1.0, 10.0, 100.0, 1e3, 1e4, 1e5]))
    assert grad.ravel().tolist() == [-111, 1 - 11_000, 1010 - 1e5, 100 + 1e4 + 1e5]


def test_far_from_0_no_digits_are_lost():
    """As they would be in |x|² + |y|² − 2 x · y."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 16, (40, 8)) / 16
    near, near_backward = manual.pdist(x.astype(np.float32))
    far, far_backward = manual.pdist((1000 + x).astype(np.float32))
    np.testing.assert_array_equal(far, near)
    np.testing.assert_array_equal(far_backward(near)[0], near_backward(near)[0])


def test_pairs_of_nothing():
    """Torch's backward reads memory that is not its own."""
    output, backward = manual.pdist(np.zeros((0, 3)))
    assert (output.shape, backward(output)[0].shape) == ((0,), (0, 3))


X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("name", "arrays", "constants", "message"),
    [
        ("cosine_similarity", (X, X), {"dim": 2}, "dim must lie in [-2, 1] for an input of shape (2, 3), got 2"),
        ("cosine_similarity", (X[0], X[0]), {}, "dim must lie in [-1, 0] for an input of shape (3,), got 1"),
        ("cosine_similarity", (X, X[:, :2]), {}, "expected shapes that broadcast together, got x1 (2, 3), x2 (2, 2)"),
        ("cosine_similarity", (X, X), {"eps": -1.0}, "eps must be a number of at least 0, got -1.0"),
        ("pairwise_distance", (X, X[:, :2]), {}, "expected shapes that broadcast together, got x1 (2, 3), x2 (2, 2)"),
        (
            "pairwise_distance",
            (X[:, :0], X[:, :0]),
            {"p": np.inf},
            "p must be a number that there is a norm for, got inf for 0 numbers",
        ),
        (
            "pairwise_distance",
            (X[:, :0], X[:, :0]),
            {"p": -1},
            "p must be a number that there is a norm for, got -1.0 for 0 numbers",
        ),
        ("pdist", (X[0],), {}, "x must have shape (N, D), got (3,)"),
        ("pdist", (X[None],), {}, "x must have shape (N, D), got (1, 2, 3)"),
        ("pdist", (X,), {"p": -1}, "p must be a number of at least 0, got -1"),
        ("pdist", (X,), {"p": np.nan}, "p must be a number of at least 0, got nan"),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(name, arrays, constants, message):
    with pytest.raises(ValueError, match="^" + re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, IndexError)):
        forward(OPERATIONS[name].torch, arrays, constants)


def test_a_norm_of_order_nan_is_refused():
    """Torch returns NaN."""
    with pytest.raises(ValueError, match="pairwise_distance: p must be a number that there is a norm for, got nan"):
        manual.pairwise_distance(X, X, p=np.nan)
