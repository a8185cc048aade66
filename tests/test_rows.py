"""The mechanism of rows: rows to rows and rows to numbers, along any axis of any array, whole and in parts."""

import importlib
import itertools

import numpy as np
import pytest

import manual
from manual.rows import by_groups, by_rows
from manual.threads import LARGE

SHAPES = [(1,), (4,), (3, 4), (3, 1), (0, 4), (2, 3, 4), (1, 3, 1), (2, 0, 4)]
SHAPES_AND_DIMS = [(shape, dim) for shape in SHAPES for dim in range(-len(shape), len(shape)) if shape[dim]]


def integers(*shape, seed=0):
    """Whole numbers, of which every order of summing gives the same."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(float)


def weights(columns):
    return np.arange(1.0, columns + 1)


def mirrored(x, shift=None):
    """Each row to its mirror image, weighted by place, plus a number for each row: yⱼ = j xₙ₋ⱼ + s."""
    w = weights(x.shape[1])
    y = w * x[:, ::-1]
    if shift is not None:
        y += shift[:, None]

    def backward(g, needs):
        return (w * g)[:, ::-1], None if shift is None else g.sum(axis=1)

    return y, backward if shift is not None else lambda g, needs: backward(g, needs)[:1]


def weighted_sum(x, q, index):
    """Each row to a number: s Σⱼ j xⱼ qⱼ, with s a whole number that has no gradient."""
    w = weights(x.shape[1])
    assert q.shape == x.shape

    def backward(g, needs):
        scaled = (g * index)[:, None] * w
        return scaled * q if needs[0] else None, scaled * x if needs[1] else None, None

    return index * np.vecdot(x * w, q), backward


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(("shape", "dim"), [((), 0), ((), -1), *SHAPES_AND_DIMS])
def test_rows_to_rows(shape, dim):
    x, g = integers(*shape), integers(*shape, seed=1)
    output, backward = by_rows("mirrored", mirrored, x, dim=dim)
    (grad,) = backward(g)
    assert output.shape == grad.shape == shape
    lines, grad_lines = (np.moveaxis(array.reshape(shape or (1,)), dim, -1) for array in (x, g))
    w = weights(lines.shape[-1])
    for got, expected in ((output, w * lines[..., ::-1]), (grad, (w * grad_lines)[..., ::-1])):
        np.testing.assert_array_equal(got, np.moveaxis(expected, -1, dim).reshape(shape))
    assert backward(g, (False,)) == (None,)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(("shape", "dim"), SHAPES_AND_DIMS)
def test_rows_beside_numbers(shape, dim):
    """An array that lacks `dim` gives each row a number, and gets a gradient of its own shape."""
    x, g = integers(*shape), integers(*shape, seed=1)
    shift = integers(*x.sum(axis=dim).shape, seed=2)
    output, backward = by_rows("mirrored", mirrored, x, shift, dim=dim)
    grad_x, grad_shift = backward(g)
    alone, backward_alone = by_rows("mirrored", mirrored, x, dim=dim)
    np.testing.assert_array_equal(output, alone + np.expand_dims(shift, dim), strict=True)
    np.testing.assert_array_equal(grad_x, backward_alone(g)[0], strict=True)
    np.testing.assert_array_equal(grad_shift, np.asarray(g.sum(axis=dim)), strict=True)
    assert [grad is None for grad in backward(g, (True, False))] == [False, True]


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(("shape", "dim"), SHAPES_AND_DIMS)
def test_rows_to_numbers(shape, dim):
    """Of two arrays of rows, and of a whole number for each row, which has no gradient."""
    x, q = integers(*shape), integers(*shape, seed=2)
    index, g = (integers(*x.sum(axis=dim).shape, seed=seed) for seed in (3, 1))
    output, backward = by_rows("weighted_sum", weighted_sum, x, q, index.astype(int), dim=dim)
    grad_x, grad_q, grad_index = backward(g)
    w = np.moveaxis(np.broadcast_to(weights(shape[dim]), np.moveaxis(x, dim, -1).shape), -1, dim)
    np.testing.assert_array_equal(output, np.asarray(index * (w * x * q).sum(axis=dim)), strict=True)
    np.testing.assert_array_equal(grad_x, np.expand_dims(g * index, dim) * w * q, strict=True)
    np.testing.assert_array_equal(grad_q, np.expand_dims(g * index, dim) * w * x, strict=True)
    assert grad_index is None
    for needs in itertools.product((False, True), repeat=3):
        assert [grad is not None for grad in backward(g, needs)] == [*needs[:2], False]


def total(x):
    def backward(g, needs):
        assert g.shape == x.shape[:1]
        return (np.repeat(g[:, None], x.shape[1], axis=1),)

    return x.sum(axis=1), backward


def test_a_single_number_is_reduced_to_itself():
    output, backward = by_rows("total", total, np.array(3.0), dim=-1)
    (grad,) = backward(np.array(2.0))
    assert (output.shape, float(output)) == ((), 3)
    assert (grad.shape, float(grad)) == ((), 2)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 0), (2, 0, 3)])
def test_rows_without_columns_are_mapped_to_such_rows(shape, dtype):
    """The function, which may need a largest entry, is not asked."""
    x = np.zeros(shape, dtype)
    output, backward = by_rows("fail", None, x, dim=x.shape.index(0))
    assert (output.shape, output.dtype) == (shape, dtype)
    (grad,) = backward(x)
    assert (grad.shape, grad.dtype) == (shape, dtype)


@pytest.mark.parametrize("columns", [0, 4])
def test_needs_has_an_entry_for_each_array(columns):
    x = np.zeros((2, columns))
    _, backward = by_rows("op", mirrored, x, dim=1)
    for needs in ((), (True, True)):
        with pytest.raises(ValueError, match="op: needs must have one entry for each of 1 arguments, got "):
            backward(x, needs)


def test_a_cotangent_that_does_not_fit():
    _, backward = by_rows("total", total, np.zeros((2, 3)), dim=1)
    with pytest.raises(ValueError, match=r"total: grad_output must have the shape of the output, \(2,\), got \(2, 3\)"):
        backward(np.zeros((2, 3)))


# -- Large arrays


def test_several_arrays_in_parts(threads):
    x, q = integers(LARGE // 1000 + 1, 1000), integers(LARGE // 1000 + 1, 1000, seed=1)
    index, g = integers(len(x), seed=2), integers(len(x), seed=3)
    output, backward = by_rows("weighted_sum", weighted_sum, x, q, index, dim=1)
    w = weights(1000)
    np.testing.assert_array_equal(output, index * (x * q * w).sum(axis=1))
    grad_x, grad_q, grad_index = backward(g)
    np.testing.assert_array_equal(grad_x, (g * index)[:, None] * w * q)
    np.testing.assert_array_equal(grad_q, (g * index)[:, None] * w * x)
    assert grad_index is None
    assert [grad is None for grad in backward(g, (False, True, False))] == [True, False, True]


def scaled_groups(x, number, common):
    """Of each group, y = number · common · x; and, as a number, its sum. The common factor has the shape of a group."""
    of_group = number[:, None, None] if common is None else number[:, None, None] * common

    def backward(g, needs):
        grad_number = (g * x if common is None else g * x * common).sum(axis=(1, 2))
        grad_common = (g * x * number[:, None, None]).sum(axis=0)
        grads = g * of_group, grad_number, None if common is None else grad_common
        return [grad if need else None for grad, need in zip(grads, needs, strict=True)]

    return (of_group * x, x.sum(axis=(1, 2))), backward


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 2), (4, 2, 3), (0, 2, 3), (4, 0, 3)])
@pytest.mark.parametrize("with_common", [True, False])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2)])
def test_groups(shape, with_common, axes):
    """In any memory order: an output and numbers for each group, gradients for each group, and one for what all share."""
    x, g = (integers(*(shape[axis] for axis in axes), seed=seed).transpose(axes) for seed in (0, 1))
    number, common = integers(shape[0], seed=2), integers(*shape[1:], seed=3) if with_common else None
    (y, sums), backward = by_groups(scaled_groups, x, number, common, common=1)
    (expected, expected_sums), backward_expected = scaled_groups(x, number, common)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(sums, expected_sums)
    for needs in itertools.product((False, True), repeat=3):
        for got, grad in zip(backward(g, needs), backward_expected(g, needs), strict=True):
            assert (got is None) == (grad is None)
            np.testing.assert_array_equal(got, grad)


@pytest.mark.parametrize(
    ("chapter", "name", "target"),
    [
        ("losses.classification", "cross_entropy", np.array([0, 2])),
        ("losses.classification", "cross_entropy", np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])),
        ("losses.multi_margin", "multi_margin_loss", np.array([0, 2])),
        ("losses.multi_margin", "multilabel_margin_loss", np.array([[0, -1, -1], [2, 1, -1]])),
        ("activations.normalized", "softmax", None),
    ],
)
def test_rows_are_asked_for_what_is_needed_alone(monkeypatch, chapter, name, target):
    asked = []

    def spied(*arguments, **constants):
        output, backward = by_rows(*arguments, **constants)
        return output, lambda grad_output, needs=None: (asked.append(needs), backward(grad_output, needs))[1]

    monkeypatch.setattr(importlib.import_module(f"manual.{chapter}"), "by_rows", spied)
    arrays = [integers(2, 3)] + ([] if target is None else [target])
    output, backward = getattr(manual, name)(*arrays, **({} if len(arrays) == 2 else {"dim": 1}))
    count = len(backward(np.ones_like(output)))
    for need in (True, False):
        asked.clear()
        backward(np.ones_like(output), (need,) + (False,) * (count - 1))
        assert asked == [(need,) + (False,) * (len(asked[0]) - 1)]
