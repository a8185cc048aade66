"""Losses of similarity: examples worked out by hand, kinks, distances of one's own, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward
from tests.losses.known import loss_and_slopes

TRIPLETS = ["triplet_margin_loss", "triplet_margin_with_distance_loss"]


def test_cosine_embedding_by_hand():
    """The cosine of (3, 4) and (4, 3) is 24 / 25."""
    x1, x2 = np.array([[3.0, 4.0]] * 3), np.array([[4.0, 3.0]] * 3)
    output, grad_x1, grad_x2, grad_target = loss_and_slopes(
        manual.cosine_embedding_loss, x1, x2, np.array([1, -1, 0]), margin=0.5, reduction="none"
    )
    np.testing.assert_allclose(output, [0.04, 0.46, 0], rtol=1e-12)
    slope = (np.array([4.0, 3.0]) - 0.96 * np.array([3.0, 4.0])) / 25
    np.testing.assert_allclose(grad_x1, [-slope, slope, 0 * slope], rtol=1e-10)
    np.testing.assert_allclose(grad_x2, [-slope[::-1], slope[::-1], 0 * slope], rtol=1e-10)
    assert grad_target is None


def test_a_cosine_at_the_margin_has_a_gradient():
    x1, x2, target = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([-1])
    output, grad_x1, *_ = loss_and_slopes(manual.cosine_embedding_loss, x1, x2, target)
    assert output == 0
    np.testing.assert_allclose(grad_x1, [[0, 1]], rtol=1e-11)


def test_the_length_of_a_vector_does_not_matter(dtype):
    """Up to lengths whose squares overflow when multiplied with one another."""
    for length in (1e4, 1e10, 1e15):
        x1, x2 = np.array([length, 2 * length], dtype), np.array([2 * length, length], dtype)
        output, _ = manual.cosine_embedding_loss(x1, x2, np.array(1))
        np.testing.assert_allclose(output, 0.2, rtol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("p", "near", "far"), [(1, 7, 2), (2, 5, 2), (np.inf, 4, 2)])
def test_triplet_by_hand(p, near, far):
    """From (0, 0), (3, 4) is as far as p says, and (0, 2) is at 2."""
    arrays = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[0.0, 2.0]])
    output, grad_anchor, grad_positive, grad_negative = loss_and_slopes(manual.triplet_margin_loss, *arrays, p=p, eps=0.0)
    assert output == 1 + near - far
    slope = {1: [1, 1], 2: [0.6, 0.8], np.inf: [0, 1]}[p]
    np.testing.assert_allclose(grad_positive, [slope])
    np.testing.assert_array_equal(grad_negative, [[0, -1]])
    np.testing.assert_allclose(grad_anchor, -grad_positive - grad_negative)


@pytest.mark.parametrize("name", TRIPLETS)
def test_swapped_with_the_nearer_of_the_two(name):
    """The negative at 3 is nearer to the positive at 2 than to the anchor at 0."""
    arrays = np.array([[0.0]]), np.array([[2.0]]), np.array([[3.0]])
    loss = getattr(manual, name)
    np.testing.assert_allclose(loss(*arrays, margin=3.0)[0], 3 + 2 - 3, atol=1e-5)
    output, *grads = loss_and_slopes(loss, *arrays, margin=3.0, swap=True)
    np.testing.assert_allclose(output, 3 + 2 - 1, atol=1e-5)
    np.testing.assert_allclose(np.ravel(grads), [-1, 2, -1], rtol=1e-15)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, np.inf])
def test_no_distance_no_gradient(p):
    point = np.array([[1.0, 2.0]])
    output, *grads = loss_and_slopes(manual.triplet_margin_loss, point, point, point, p=p, eps=0.0)
    assert output == 1
    np.testing.assert_array_equal(grads, np.zeros((3, 1, 2)))


def test_the_euclidean_distance_is_the_default():
    arrays = np.random.default_rng(4).standard_normal((3, 5, 2))
    for constants in ({}, {"swap": True}, {"margin": 3.0, "reduction": "sum"}):
        for one, other in zip(
            loss_and_slopes(manual.triplet_margin_loss, *arrays, **constants),
            loss_and_slopes(manual.triplet_margin_with_distance_loss, *arrays, **constants),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)


def test_an_operation_as_distance():
    """The mean squared error of scalars makes a distance as it stands, once the weight's place is hidden."""

    def distance(a, b):
        output, backward = manual.mse_loss(a, b, reduction="none")
        return output, lambda grad_output, needs: backward(grad_output, (*needs, False))[:2]

    arrays = np.array([0.0]), np.array([2.0]), np.array([1.0])
    output, *grads = loss_and_slopes(manual.triplet_margin_with_distance_loss, *arrays, distance_function=distance)
    assert output == 1 + 4 - 1
    np.testing.assert_array_equal(np.ravel(grads), [-4 + 2, 4, -2])


VECTORS = np.ones((2, 3))
SIGNS = np.ones(2, int)
COSINE = "expected x1 and x2 (N, D) with target (N), or (D) with (), got"
AXES = "expected as many axes in anchor, positive and negative, got (2, 3), (3,) and (2, 3)"


@pytest.mark.parametrize(
    ("name", "arrays", "constants", "message"),
    [
        ("cosine_embedding_loss", (VECTORS, VECTORS, np.array(1)), {}, f"{COSINE} (2, 3), (2, 3) and ()"),
        ("cosine_embedding_loss", (VECTORS[0], VECTORS[0], SIGNS), {}, f"{COSINE} (3,), (3,) and (2,)"),
        ("cosine_embedding_loss", (VECTORS, VECTORS[0], SIGNS), {}, f"{COSINE} (2, 3), (3,) and (2,)"),
        ("cosine_embedding_loss", (VECTORS[None], VECTORS[None], SIGNS[None]), {}, f"{COSINE} (1, 2, 3), (1, 2, 3) and (1, 2)"),
        ("cosine_embedding_loss", (VECTORS, VECTORS, np.ones(3, int)), {}, "expected shapes that broadcast together"),
        ("cosine_embedding_loss", (VECTORS, VECTORS, SIGNS), {"reduction": "all"}, "reduction must be 'none', 'mean' or 'sum'"),
        *(
            (name, arrays, constants, message)
            for name in TRIPLETS
            for arrays, constants, message in [
                ((VECTORS, VECTORS[0], VECTORS), {}, AXES),
                ((VECTORS, VECTORS[:, :2], VECTORS), {}, "expected shapes that broadcast together"),
                ((VECTORS, VECTORS, VECTORS), {"margin": 0.0}, "margin must be a positive number, got 0.0"),
                ((VECTORS, VECTORS, VECTORS), {"margin": -1.0}, "margin must be a positive number, got -1.0"),
                ((VECTORS, VECTORS, VECTORS), {"reduction": "all"}, "reduction must be 'none', 'mean' or 'sum', got 'all'"),
            ]
        ),
    ],
)
def test_what_torch_refuses_is_refused(name, arrays, constants, message):
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, arrays, constants)


@pytest.mark.parametrize("p", [0, -1, -np.inf, np.nan])
def test_a_norm_has_a_positive_power(p):
    """Torch takes others, which measure no distance, and gives no gradient for p = 0."""
    with pytest.raises(ValueError, match="triplet_margin_loss: p must be a positive number, got"):
        manual.triplet_margin_loss(VECTORS, VECTORS, VECTORS, p=p)
