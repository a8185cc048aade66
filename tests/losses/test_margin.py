"""Losses that ask for a margin: examples worked out by hand, the margin itself, and what is refused."""

import math
import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward
from tests.losses.known import loss_and_slopes


def test_soft_margin_by_hand():
    output, grad_x, grad_target = loss_and_slopes(
        manual.soft_margin_loss, np.array([0.0, math.log(3), math.log(3)]), np.array([1, 1, -1]), reduction="none"
    )
    np.testing.assert_allclose(output, np.log([2, 4 / 3, 4]), rtol=1e-15)
    np.testing.assert_allclose(grad_x, [-0.5, -0.25, 0.75], rtol=1e-15)
    assert grad_target is None


def test_soft_margin_neither_overflows_nor_vanishes(dtype):
    """log(1 + exp(−x)) is −x for large −x, and exp(−x) for large x; so is minus its gradient, but for 1 in place of −x."""
    x = np.array([-1e4, -100, 80], dtype)
    output, grad_x, _ = loss_and_slopes(manual.soft_margin_loss, x, np.ones(3, dtype), reduction="none")
    tolerance = {"rtol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(output, [1e4, 100, math.exp(-80)], **tolerance)
    np.testing.assert_allclose(grad_x, [-1, -1, -math.exp(-80)], **tolerance)


def test_margin_ranking_by_hand():
    """The first is in order by more than the margin, the second by exactly the margin, the third by less, the fourth not."""
    x1, x2, target = np.array([5.0, 3.0, 2.0, 1.0]), np.array([1.0, 1.0, 1.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0])
    output, *grads = loss_and_slopes(manual.margin_ranking_loss, x1, x2, target, margin=2.0, reduction="none")
    np.testing.assert_array_equal(output, [0, 0, 1, 5])
    np.testing.assert_array_equal(grads, [[0, -1, -1, -1], [0, 1, 1, 1], [0, -2, -1, 3]])
    output, *grads = loss_and_slopes(manual.margin_ranking_loss, x2, x1, -target, margin=2.0, reduction="none")
    np.testing.assert_array_equal(output, [0, 0, 1, 5])


def test_hinge_embedding_by_hand():
    x, target = np.array([0.25, 0.25, 1.0, 3.0]), np.array([1, -1, -1, -1])
    output, grad_x, grad_target = loss_and_slopes(manual.hinge_embedding_loss, x, target, reduction="none")
    np.testing.assert_array_equal(output, [0.25, 0.75, 0, 0])
    np.testing.assert_array_equal(grad_x, [1, -1, -1, 0])  # at the margin, −1
    assert grad_target is None


@pytest.mark.parametrize("name", ["soft_margin_loss", "hinge_embedding_loss"])
@pytest.mark.parametrize("kind", ["int8", "int64", "float32"])
def test_targets_of_any_kind(name, kind):
    x, target = np.array([0.5, -2.0, 3.0], "float32"), np.array([1, -1, 1], kind)
    for got in loss_and_slopes(getattr(manual, name), x, target)[:2]:
        assert got.dtype == "float32"


REDUCTION = "reduction must be 'none', 'mean' or 'sum', got 'all'"
FLOATS = np.ones((2, 3))


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
    ],
)
def test_what_torch_refuses_is_refused(name, arrays, constants, message):
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, arrays, constants)
