"""Fold, unfold and conv_tbc: examples worked out by hand, adjoint pairs, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

RNG = np.random.default_rng(0)


def test_unfold_by_hand():
    output, backward = manual.unfold(np.arange(1.0, 7.0).reshape(1, 2, 3), kernel_size=2)
    np.testing.assert_array_equal(output, [[1, 2], [2, 3], [4, 5], [5, 6]])
    (grad_x,) = backward(np.array([[1.0, 10.0], [100.0, 1000.0], [0.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(grad_x, [[[1, 110, 1000], [0, 0, 2]]])


def test_fold_counts_by_how_many_windows_a_cell_is_seen():
    ones = np.ones((4, 4))
    output, _ = manual.fold(ones, output_size=3, kernel_size=2)
    np.testing.assert_array_equal(output, [[[1, 2, 1], [2, 4, 2], [1, 2, 1]]])


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(kernel=pairs, dilation=pairs, stride=pairs, padding=st.tuples(st.integers(0, 2), st.integers(0, 2)), more=pairs)
def test_fold_is_the_transpose_of_unfold(kernel, dilation, stride, padding, more):
    """⟨unfold x, y⟩ = ⟨x, fold y⟩, exactly, as the numbers are small integers."""
    size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + m for k, d, p, m in zip(kernel, dilation, padding, more))
    constants = {"kernel_size": kernel, "dilation": dilation, "padding": padding, "stride": stride}
    x = RNG.integers(-9, 10, (2, 2, *size)).astype(float)
    columns, unfold_backward = manual.unfold(x, **constants)
    y = RNG.integers(-9, 10, columns.shape).astype(float)
    folded, fold_backward = manual.fold(y, output_size=size, **constants)
    assert (columns * y).sum() == (x * folded).sum()
    np.testing.assert_array_equal(unfold_backward(y)[0], folded)
    np.testing.assert_array_equal(fold_backward(x)[0], columns)


def test_conv_tbc_is_conv1d_with_time_first():
    x, weight, bias, g = (RNG.integers(-9, 10, shape).astype(float) for shape in ((5, 2, 3), (2, 3, 4), (4,), (6, 2, 4)))
    output, backward = manual.conv_tbc(x, weight, bias, pad=1)
    expected, backward_expected = manual.conv1d(x.transpose(1, 2, 0), weight.transpose(2, 1, 0), bias, padding=1)
    np.testing.assert_array_equal(output, expected.transpose(2, 0, 1))
    grad_x, grad_weight, grad_bias = backward_expected(g.transpose(1, 2, 0))
    for got, wanted in zip(backward(g), (grad_x.transpose(2, 0, 1), grad_weight.transpose(2, 1, 0), grad_bias), strict=True):
        np.testing.assert_array_equal(got, wanted)


IMAGE, COLUMNS = (2, 3, 4, 4), (2, 12, 9)


@pytest.mark.parametrize(
    ("name", "shapes", "constants", "message"),
    [
        ("unfold", [(4, 4)], {"kernel_size": 2}, "x must be (N, C, H, W) or (C, H, W), and only N may be 0, got (4, 4)"),
        ("unfold", [(2, 0, 4, 4)], {"kernel_size": 2}, "x must be (N, C, H, W) or (C, H, W), and only N may be 0"),
        ("unfold", [(2, 3, 0, 4)], {"kernel_size": 2, "padding": 2}, "x must be (N, C, H, W) or (C, H, W), and only N may be 0"),
        ("unfold", [IMAGE], {"kernel_size": 5}, "kernel_size must fit into the padded image, (4, 4), got one that spans (5, 5)"),
        ("unfold", [IMAGE], {"kernel_size": (2,)}, "kernel_size must be an integer or 2 of them, got (2,)"),
        ("unfold", [IMAGE], {"kernel_size": 0}, "kernel_size must be an integer of at least 1, got 0"),
        ("unfold", [IMAGE], {"kernel_size": 2, "stride": 0}, "stride must be an integer of at least 1, got 0"),
        ("unfold", [IMAGE], {"kernel_size": 2, "dilation": 0}, "dilation must be an integer of at least 1, got 0"),
        ("unfold", [IMAGE], {"kernel_size": 2, "padding": -1}, "padding must be an integer of at least 0, got -1"),
        ("fold", [(12,)], {"output_size": 4, "kernel_size": 2}, "x must be (N, C · K, L) or (C · K, L), and only N may be 0"),
        ("fold", [(2, 0, 9)], {"output_size": 4, "kernel_size": 2}, "x must be (N, C · K, L) or (C · K, L), and only N may be 0"),
        (
            "fold",
            [(2, 11, 9)],
            {"output_size": 4, "kernel_size": 2},
            "x must have a multiple of 4 rows and 9 columns for an output (4, 4), got (2, 11, 9)",
        ),
        (
            "fold",
            [(2, 12, 8)],
            {"output_size": 4, "kernel_size": 2},
            "x must have a multiple of 4 rows and 9 columns for an output (4, 4), got (2, 12, 8)",
        ),
        (
            "fold",
            [COLUMNS],
            {"output_size": (0, 4), "kernel_size": 2, "padding": 2},
            "output_size must be an integer of at least 1, got 0",
        ),
        ("fold", [COLUMNS], {"output_size": (4,), "kernel_size": 2}, "output_size must be an integer or 2 of them, got (4,)"),
        ("conv_tbc", [(5, 2), (2, 3, 4), (4,)], {}, "expected x (T, N, in) and weight (K, in, out), and only N may be 0"),
        ("conv_tbc", [(5, 2, 2), (2, 3, 4), (4,)], {}, "expected x (T, N, in) and weight (K, in, out), and only N may be 0"),
        ("conv_tbc", [(5, 2, 3), (2, 3, 4), (3,)], {}, "bias must have shape (4,), got (3,)"),
        ("conv_tbc", [(1, 2, 3), (3, 3, 4), (4,)], {}, "the kernel must fit into the padded input, (1,), got one that spans (3,)"),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(name, shapes, constants, message):
    arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match="^" + re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, IndexError)):
        forward(OPERATIONS[name].torch, arrays, constants)


def test_conv_tbc_does_not_cut_off():
    """A negative pad, of which torch says nothing, is refused."""
    with pytest.raises(ValueError, match=r"^conv_tbc: pad must be an integer of at least 0, got -1"):
        manual.conv_tbc(np.zeros((5, 2, 3)), np.zeros((2, 3, 4)), np.zeros(4), pad=-1)
