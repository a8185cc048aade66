"""Margins between the scores of classes: examples worked out by hand, saturation, and what is refused."""

import math
import re

import numpy as np
import pytest
import torch

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward
from tests.losses.known import loss_and_slopes


def test_multi_margin_by_hand():
    """0.75 below the target at 2 is beyond the margin, 1 exactly at it, 1.5 and 3 within."""
    x, target = np.array([[2.0, 0.75, 1.0, 1.5, 3.0]]), np.array([0])
    output, grad_x, *_ = loss_and_slopes(manual.multi_margin_loss, x, target)
    assert output == 0.5
    np.testing.assert_allclose(grad_x, [[-0.4, 0, 0, 0.2, 0.2]], rtol=1e-15)
    output, grad_x, *_ = loss_and_slopes(manual.multi_margin_loss, x, target, np.array([2.0, 1, 1, 1, 1]), p=2)
    assert output == pytest.approx(2 * (0.25 + 4) / 5, rel=1e-15)
    np.testing.assert_allclose(grad_x, np.array([[-2 * 2.5, 0, 0, 2 * 0.5, 2 * 2]]) * 2 / 5, rtol=1e-15)


def test_multilabel_margin_by_hand():
    """Torch's example: 0.1 and 0.8 should exceed 0.2 and 0.4; what follows −1 is no target."""
    x, target = np.array([0.1, 0.2, 0.4, 0.8]), np.array([3, 0, -1, 1])
    output, grad_x, _ = loss_and_slopes(manual.multilabel_margin_loss, x, target)
    np.testing.assert_allclose(output, (1 - (0.1 - 0.2) + 1 - (0.1 - 0.4) + 1 - (0.8 - 0.2) + 1 - (0.8 - 0.4)) / 4, rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [-0.5, 0.5, 0.5, -0.5])


def test_a_label_given_twice_counts_twice():
    x = np.array([[0.0, 0.5, 0.25]])
    once, grad_once, _ = loss_and_slopes(manual.multilabel_margin_loss, x, np.array([[0, -1, -1]]))
    twice, grad_twice, _ = loss_and_slopes(manual.multilabel_margin_loss, x, np.array([[0, 0, -1]]))
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
    output, grad_x, grad_target, _ = loss_and_slopes(manual.multilabel_soft_margin_loss, x, target, weight)
    expected, backward = manual.binary_cross_entropy_with_logits(x, target, weight)
    np.testing.assert_allclose(output, expected, rtol=1e-14)
    for got, other in zip((grad_x, grad_target), backward(1.0)):
        np.testing.assert_allclose(got, other, rtol=1e-13)


def test_multilabel_soft_margin_at_zeros_of_both_signs():
    x, target = np.array([[0.0, -0.0]]), np.array([[0.25, 0.25]])
    output, grad_x, *_ = loss_and_slopes(manual.multilabel_soft_margin_loss, x, target)
    np.testing.assert_allclose(output, math.log(2), rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [[0.125, 0.125]])


def test_multilabel_soft_margin_saturates_without_overflow(dtype):
    x, target = np.array([[-1e4, 1e4, -1e4, 1e4]], dtype).T, np.array([[0.0, 0.0, 1.0, 1.0]], dtype).T
    output, grad_x, *_ = loss_and_slopes(manual.multilabel_soft_margin_loss, x, target, reduction="none")
    np.testing.assert_array_equal(output, [0, 1e4, 1e4, 0])
    np.testing.assert_array_equal(grad_x.ravel(), [0, 1, -1, 0])


REDUCTION = "reduction must be 'none', 'mean' or 'sum', got 'all'"
FLOATS = np.ones((2, 3))
INTEGERS = np.ones((2, 3), int)
CLASSES = np.array([0, 2])


@pytest.mark.parametrize(
    ("name", "arrays", "constants", "message"),
    [
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


@pytest.mark.parametrize("which", ["multi_margin_loss", "multilabel_margin_loss"])
def test_what_torch_leaves_unwritten_is_nan(which):
    """Otherwise it is what memory held a moment ago."""
    operation = OPERATIONS[which]
    (case,) = (case for case in operation.cases if case.label == "batch of 0, sum")
    for number in (7.0, -3.0):
        memory = [torch.full((size,), number) for size in range(1, 64) for _ in range(20)]
        del memory
        assert np.isnan(forward(operation.torch, case.build(which, "float32"), case.constants))
    assert not torch.are_deterministic_algorithms_enabled()
