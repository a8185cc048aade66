"""Normalisation by length and by neighbouring channels: known values, windows, and what is refused."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from manual.layers.response_norm import _window_sums
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_normalize_by_hand():
    """‖(3, 4)‖ = 5; with g = (1, 0), Σ g y = 3/5 and grad = (1 − 9/25, −12/25) / 5."""
    output, backward = manual.normalize(np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(output, [[3 / 5, 4 / 5]], rtol=1e-15)
    np.testing.assert_allclose(backward(np.array([[1.0, 0.0]]))[0], [[16 / 125, -12 / 125]], rtol=1e-15)


def test_normalize_by_the_largest_by_hand():
    """‖(1, −4)‖∞ = 4; with g = (0, 1), Σ g y = −1, and the slope of the norm is (0, −1)."""
    output, backward = manual.normalize(np.array([[1.0, -4.0]]), p=np.inf)
    np.testing.assert_array_equal(output, [[0.25, -1]])
    np.testing.assert_array_equal(backward(np.array([[0.0, 1.0]]))[0], [[0, 0]])
    np.testing.assert_array_equal(backward(np.array([[1.0, 0.0]]))[0], [[0.25, 0.0625]])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    x=st.lists(st.integers(1, 99).map(float), min_size=2, max_size=5).map(np.array),
    p=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, np.inf]),
)
def test_the_length_is_of_no_account(x, p):
    """Norms grow as x does (that with p = 0, a count, does not), so the gradient along x is 0."""
    output, backward = manual.normalize(x, p=p, dim=0)
    g = np.cos(np.arange(len(x)))
    if p == 0:
        np.testing.assert_allclose(output, x / len(x), rtol=1e-15)
        np.testing.assert_allclose(backward(g)[0], g / len(x), rtol=1e-15)
    else:
        np.testing.assert_allclose(manual.normalize(4 * x, p=p, dim=0)[0], output, rtol=1e-13)
        assert abs(backward(g)[0] @ x) <= 1e-14 * len(x) ** 2 * np.abs(output).max() ** 2


@pytest.mark.parametrize(
    ("dim", "message"), [(2, "dim must lie in [-2, 1]"), ((0, -3), "dim must lie in"), ((1, -1), "each axis once")]
)
def test_axes_that_are_not_there_are_refused_as_in_torch(dim, message):
    with pytest.raises(ValueError, match=re.escape("normalize: dim must ") + ".*" + re.escape(message.removeprefix("dim must "))):
        manual.normalize(np.ones((2, 3)), dim=dim)
    with pytest.raises((IndexError, RuntimeError)):
        forward(OPERATIONS["normalize"].torch, (np.ones((2, 3)),), {"dim": dim})


def test_local_response_norm_by_hand():
    """Windows of two reach one channel down: s = 1 + Σ x² is 2, 6 and 14."""
    x = np.array([[[1.0], [2.0], [3.0]]])
    output, _ = manual.local_response_norm(x, size=2, alpha=2.0, beta=1.0, k=1.0)
    np.testing.assert_allclose(output, x / np.array([[[2.0], [6.0], [14.0]]]), rtol=1e-15)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("channels", [1, 2, 5, 9])
def test_cross_map_response_norm_is_torchs(size, channels):
    """Its forward always; its backward, none for 1, where all channels lie in all windows, of its forward and of its own."""
    x, g = np.random.default_rng(size).standard_normal((2, 2, channels, 2, 1))
    output, backward = manual.CrossMapLRN2d(size, 0.5, 0.7, 2.0)(x)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.CrossMapLRN2d(size, 0.5, 0.7, 2.0)(tensor)
    np.testing.assert_allclose(output, theirs.detach(), rtol=1e-13)
    if size == 1:
        return
    theirs.backward(torch.tensor(g))
    forward_reach, start = int((size - 1) / 2 + 1), int(size - (size - 1) / 2)
    right = channels <= forward_reach and channels <= start + 1 and channels <= size - start
    (grad,) = backward(g)
    assert np.allclose(grad, tensor.grad, rtol=1e-12) == right


sizes = st.integers(0, 4)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(channels=st.integers(1, 5), before=sizes, after=sizes)
def test_windows_and_their_transpose(channels, before, after):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩, where the transpose looks as far the other way. The numbers are integers, whose sums are exact."""
    x, y = np.random.default_rng(channels).integers(-9, 10, (2, 2, channels, 3)).astype(float)
    of_x, of_y = _window_sums(x, before=before, after=after), _window_sums(y, before=after, after=before)
    assert np.vdot(of_x, y) == np.vdot(x, of_y)
    expected = [x[:, max(c - before, 0) : c + after + 1].sum(axis=1) for c in range(channels)]
    np.testing.assert_array_equal(of_x, np.stack(expected, axis=1))


def test_nan_stays_in_its_windows():
    x = np.ones((1, 5, 2))
    x[0, 1, 0] = np.nan
    output, _ = manual.local_response_norm(x, size=3)
    np.testing.assert_array_equal(np.isnan(output[0]), [[1, 0], [1, 0], [1, 0], [0, 0], [0, 0]])


@pytest.mark.parametrize("size", [0, -1, 2.0, True])
def test_a_size_that_is_none_is_refused(size):
    x = np.ones((2, 3, 4, 1))
    for build in (
        lambda: manual.local_response_norm(x, size=size),
        lambda: manual.LocalResponseNorm(size),
        lambda: manual.CrossMapLRN2d(size),
    ):
        with pytest.raises((TypeError, ValueError), match="size must be an integer of at least 1"):
            build()


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [("LocalResponseNorm", (2, 3), "(N, C, L, ...)"), ("CrossMapLRN2d", (2, 3, 4), "(N, C, H, W)")],
)
def test_inputs_of_other_dimensions_are_refused_as_in_torch(name, shape, expected):
    with pytest.raises(ValueError, match=re.escape(f"must have shape {expected}, got {shape}")):
        getattr(manual, name)(2)(np.ones(shape))
    with pytest.raises(ValueError, match="xpected"):
        getattr(torch.nn, name)(2)(torch.ones(shape))
