"""Losses that ask for a margin: examples worked out by hand, the margin itself, and what is refused."""

import math
import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def loss_and_gradients(loss, *arrays, **constants):
    output, backward = loss(*arrays, **constants)
    return output, *backward(np.ones_like(output))


def test_soft_margin_by_hand():
    output, grad_x, grad_target = loss_and_gradients(
        manual.soft_margin_loss, np.array([0.0, math.log(3), math.log(3)]), np.array([1, 1, -1]), reduction="none"
    )
    np.testing.assert_allclose(output, np.log([2, 4 / 3, 4]), rtol=1e-15)
    np.testing.assert_allclose(grad_x, [-0.5, -0.25, 0.75], rtol=1e-15)
    assert grad_target is None


def test_soft_margin_neither_overflows_nor_vanishes(dtype):
    """log(1 + exp(−x)) is −x for large −x, and exp(−x) for large x; so is minus its gradient, but for 1 in place of −x."""
    x = np.array([-1e4, -100, 80], dtype)
    output, grad_x, _ = loss_and_gradients(manual.soft_margin_loss, x, np.ones(3, dtype), reduction="none")
    tolerance = {"rtol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(output, [1e4, 100, math.exp(-80)], **tolerance)
    np.testing.assert_allclose(grad_x, [-1, -1, -math.exp(-80)], **tolerance)


def test_margin_ranking_by_hand():
    """The first is in order by more than the margin, the second by exactly the margin, the third by less, the fourth not."""
    x1, x2, target = np.array([5.0, 3.0, 2.0, 1.0]), np.array([1.0, 1.0, 1.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0])
    output, *grads = loss_and_gradients(manual.margin_ranking_loss, x1, x2, target, margin=2.0, reduction="none")
    np.testing.assert_array_equal(output, [0, 0, 1, 5])
    np.testing.assert_array_equal(grads, [[0, -1, -1, -1], [0, 1, 1, 1], [0, -2, -1, 3]])
    output, *grads = loss_and_gradients(manual.margin_ranking_loss, x2, x1, -target, margin=2.0, reduction="none")
    np.testing.assert_array_equal(output, [0, 0, 1, 5])


def test_hinge_embedding_by_hand():
    x, target = np.array([0.25, 0.25, 1.0, 3.0]), np.array([1, -1, -1, -1])
    output, grad_x, grad_target = loss_and_gradients(manual.hinge_embedding_loss, x, target, reduction="none")
    np.testing.assert_array_equal(output, [0.25, 0.75, 0, 0])
    np.testing.assert_array_equal(grad_x, [1, -1, -1, 0])  # at the margin, −1
    assert grad_target is None


@pytest.mark.parametrize("name", ["soft_margin_loss", "hinge_embedding_loss"])
@pytest.mark.parametrize("kind", ["int8", "int64", "float32"])
def test_targets_of_any_kind(name, kind):
    x, target = np.array([0.5, -2.0, 3.0], "float32"), np.array([1, -1, 1], kind)
    for got in loss_and_gradients(getattr(manual, name), x, target)[:2]:
        assert got.dtype == "float32"


def test_multi_margin_by_hand():
    """0.75 below the target at 2 is beyond the margin, 1 exactly at it, 1.5 and 3 within."""
    x, target = np.array([[2.0, 0.75, 1.0, 1.5, 3.0]]), np.array([0])
    output, grad_x, *_ = loss_and_gradients(manual.multi_margin_loss, x, target)
    assert output == 0.5
    np.testing.assert_allclose(grad_x, [[-0.4, 0, 0, 0.2, 0.2]], rtol=1e-15)
    output, grad_x, *_ = loss_and_gradients(manual.multi_margin_loss, x, target, np.array([2.0, 1, 1, 1, 1]), p=2)
    assert output == pytest.approx(2 * (0.25 + 4) / 5, rel=1e-15)
    np.testing.assert_allclose(grad_x, np.array([[-2 * 2.5, 0, 0, 2 * 0.5, 2 * 2]]) * 2 / 5, rtol=1e-15)


def test_multilabel_margin_by_hand():
    """Torch's example: 0.1 and 0.8 should exceed 0.2 and 0.4; what follows −1 is no target."""
    x, target = np.array([0.1, 0.2, 0.4, 0.8]), np.array([3, 0, -1, 1])
    output, grad_x, _ = loss_and_gradients(manual.multilabel_margin_loss, x, target)
    np.testing.assert_allclose(output, (1 - (0.1 - 0.2) + 1 - (0.1 - 0.4) + 1 - (0.8 - 0.2) + 1 - (0.8 - 0.4)) / 4, rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [-0.5, 0.5, 0.5, -0.5])


def test_a_label_given_twice_counts_twice():
    x = np.array([[0.0, 0.5, 0.25]])
    once, grad_once, _ = loss_and_gradients(manual.multilabel_margin_loss, x, np.array([[0, -1, -1]]))
    twice, grad_twice, _ = loss_and_gradients(manual.multilabel_margin_loss, x, np.array([[0, 0, -1]]))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-15)
    np.testing.assert_allclose(grad_twice, 2 * grad_once, rtol=1e-15)


@pytest.mark.parametrize("kind", ["int8", "int32", "int64"])
def test_classes_of_any_integer_kind(kind):
    x = np.array([[0.0, 0.5, 0.25]])
    assert manual.multi_margin_loss(x, np.array([2], kind))[0] == manual.multi_margin_loss(x, np.array([2]))[0]
    labels = np.array([[2, -1, -1]])
    assert manual.multilabel_margin_loss(x, labels.astype(kind))[0] == manual.multilabel_margin_loss(x, labels)[0]


def test_the_mean_over_no_samples_is_nan():
    """As of every other loss; torch leaves these two unwritten."""
    x = np.zeros((0, 3))
    assert np.isnan(manual.multi_margin_loss(x, np.zeros(0, int))[0])
    assert np.isnan(manual.multilabel_margin_loss(x, np.zeros((0, 3), int))[0])


def test_multilabel_soft_margin_is_the_cross_entropy_of_each_class():
    rng = np.random.default_rng(5)
    x, target, weight = rng.standard_normal((4, 3)), rng.uniform(0, 1, (4, 3)), rng.uniform(0.5, 2, 3)
    output, grad_x, grad_target, _ = loss_and_gradients(manual.multilabel_soft_margin_loss, x, target, weight)
    expected, backward = manual.binary_cross_entropy_with_logits(x, target, weight)
    np.testing.assert_allclose(output, expected, rtol=1e-14)
    for got, other in zip((grad_x, grad_target), backward(1.0)):
        np.testing.assert_allclose(got, other, rtol=1e-13)


def test_multilabel_soft_margin_at_zeros_of_both_signs():
    x, target = np.array([[0.0, -0.0]]), np.array([[0.25, 0.25]])
    output, grad_x, *_ = loss_and_gradients(manual.multilabel_soft_margin_loss, x, target)
    np.testing.assert_allclose(output, math.log(2), rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [[0.125, 0.125]])


def test_multilabel_soft_margin_saturates_without_overflow(dtype):
    x, target = np.array([[-1e4, 1e4, -1e4, 1e4]], dtype).T, np.array([[0.0, 0.0, 1.0, 1.0]], dtype).T
    output, grad_x, *_ = loss_and_gradients(manual.multilabel_soft_margin_loss, x, target, reduction="none")
    np.testing.assert_array_equal(output, [0, 1e4, 1e4, 0])
    np.testing.assert_array_equal(grad_x.ravel(), [0, 1, -1, 0])


REDUCTION = "reduction must be 'none', 'mean' or 'sum', got 'all'"
FLOATS = np.ones((2, 3))
INTEGERS = np.ones((2, 3), int)
CLASSES = np.array([0, 2])


@pytest.mark.parametrize(
    ("name", "arrays", "constants", "message"),
    [
        ("soft_margin_loss", (FLOATS, np.ones(2)), {}, "expected shapes that broadcast together, got x (2, 3), target (2,)"),
        ("soft_margin_loss", (np.ones(3), FLOATS), {}, "target must broadcast to the shape of x, (3,), got (2, 3)"),
        ("soft_margin_loss", (FLOATS, FLOATS), {"reduction": "all"}, REDUCTION),
        ("margin_ranking_loss", (FLOATS, FLOATS, np.ones(3)), {}, "expected as many axes in x1, x2 and target, got (2, 3), (2, 3)"),
        ("margin_ranking_loss", (FLOATS, FLOATS, np.ones((2, 2))), {}, "expected shapes that broadcast together"),
        ("margin_ranking_loss", (FLOATS, FLOATS, FLOATS), {"reduction": "all"}, REDUCTION),
        ("hinge_embedding_loss", (FLOATS, np.ones(2)), {}, "expected shapes that broadcast together, got x (2, 3), target (2,)"),
        ("hinge_embedding_loss", (FLOATS, FLOATS), {"reduction": "all"}, REDUCTION),
        ("multi_margin_loss", (FLOATS, CLASSES), {"p": 3}, "p must be 1 or 2, got 3"),
        ("multi_margin_loss", (FLOATS, CLASSES[:1]), {}, "target must have one class for each of 2 samples, got shape (1,)"),
        ("multi_margin_loss", (FLOATS, CLASSES + 1), {}, "target must hold classes from 0 to 2, got values from 1 to 3"),
        ("multi_margin_loss", (FLOATS, CLASSES - 1), {}, "target must hold classes from 0 to 2, got values from -1 to 1"),
        ("multi_margin_loss", (FLOATS, CLASSES, np.ones(2)), {}, "weight must have shape (3,), got (2,)"),
        (
            "multi_margin_loss",
            (FLOATS[None], CLASSES[None]),
            {},
            "x must have shape (C) or (N, C) with at least one class, got",
        ),
        ("multi_margin_loss", (FLOATS[:, :0], CLASSES), {}, "x must have shape (C) or (N, C) with at least one class, got (2, 0)"),
        ("multi_margin_loss", (FLOATS, CLASSES), {"reduction": "all"}, REDUCTION),
        ("multilabel_margin_loss", (FLOATS, INTEGERS[:, :2]), {}, "target must have shape (2, 3), got (2, 2)"),
        ("multilabel_margin_loss", (FLOATS, INTEGERS * 3), {}, "target must hold classes from -1 to 2, got values from 3 to 3"),
        ("multilabel_margin_loss", (FLOATS, INTEGERS * -2), {}, "target must hold classes from -1 to 2, got values from -2 to -2"),
        ("multilabel_margin_loss", (FLOATS, INTEGERS), {"reduction": "all"}, REDUCTION),
        ("multilabel_soft_margin_loss", (np.array(1.0), np.array(1.0)), {}, "x must have shape (..., C), got ()"),
        ("multilabel_soft_margin_loss", (FLOATS, np.ones(2)), {}, "expected shapes that broadcast together"),
        ("multilabel_soft_margin_loss", (FLOATS, FLOATS, np.ones(2)), {}, "expected shapes that broadcast together"),
        ("multilabel_soft_margin_loss", (FLOATS, FLOATS), {"reduction": "all"}, REDUCTION),
    ],
)
def test_what_torch_refuses_is_refused(name, arrays, constants, message):
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        forward(OPERATIONS[name].torch, arrays, constants)


@pytest.mark.parametrize(
    ("name", "target"), [("multi_margin_loss", np.array([0.0, 2.0])), ("multilabel_margin_loss", np.zeros((2, 3)))]
)
def test_classes_must_be_integers(name, target):
    with pytest.raises(TypeError, match=f"{name}: target must hold integer indices, got float64"):
        getattr(manual, name)(FLOATS, target)
    with pytest.raises(RuntimeError):
        forward(OPERATIONS[name].torch, (FLOATS, target), {})
