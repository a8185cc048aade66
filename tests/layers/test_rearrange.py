"""Rearranging: examples worked out by hand, every shape, the adjoint, and what is refused."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_flatten_and_unflatten_by_hand():
    x = np.arange(12.0).reshape(2, 3, 2)
    flat, backward = manual.flatten(x, start_dim=1)
    np.testing.assert_array_equal(flat, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
    np.testing.assert_array_equal(backward(2 * flat)[0], 2 * x)
    whole, backward = manual.unflatten(flat, dim=1, sizes=(-1, 2))
    np.testing.assert_array_equal(whole, x)
    np.testing.assert_array_equal(backward(2 * x)[0], 2 * flat)


def test_pixels_by_hand():
    """Four channels of two pixels are one image of two rows and four columns."""
    coarse = np.array([[[0.0, 1.0]], [[2.0, 3.0]], [[4.0, 5.0]], [[6.0, 7.0]]])
    fine = np.array([[[0.0, 2.0, 1.0, 3.0], [4.0, 6.0, 5.0, 7.0]]])
    np.testing.assert_array_equal(manual.pixel_shuffle(coarse, upscale_factor=2)[0], fine)
    np.testing.assert_array_equal(manual.pixel_unshuffle(fine, downscale_factor=2)[0], coarse)
    np.testing.assert_array_equal(manual.pixel_shuffle(coarse, upscale_factor=2)[1](fine)[0], coarse)
    np.testing.assert_array_equal(manual.pixel_unshuffle(fine, downscale_factor=2)[1](coarse)[0], fine)


def test_channels_by_hand():
    """Three groups of two channels."""
    output, backward = manual.channel_shuffle(np.arange(6.0).reshape(1, 6, 1), groups=3)
    np.testing.assert_array_equal(output.ravel(), [0, 2, 4, 1, 3, 5])
    np.testing.assert_array_equal(backward(output)[0].ravel(), np.arange(6))


@pytest.mark.parametrize(
    ("coarse", "fine"), [((0, 4, 3, 2), (0, 1, 6, 4)), ((1, 4, 0, 2), (1, 1, 0, 4)), ((1, 0, 2, 2), (1, 0, 4, 4))]
)
def test_pixels_of_nothing(coarse, fine):
    """Torch's backwards fail of them."""
    output, backward = manual.pixel_shuffle(np.zeros(coarse), upscale_factor=2)
    assert (output.shape, backward(output)[0].shape) == (fine, coarse)
    output, backward = manual.pixel_unshuffle(np.zeros(fine), downscale_factor=2)
    assert (output.shape, backward(output)[0].shape) == (coarse, fine)


sizes = st.integers(0, 3)
factors = st.integers(1, 3)


def check(name, shape, seed, **constants):
    """Torch's output, and ⟨A x, y⟩ = ⟨x, Aᵀ y⟩; exactly, as the numbers are small integers."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, shape).astype(float)
    output, backward = getattr(manual, name)(x, **constants)
    if x.size or name != "pixel_unshuffle":  # of nothing torch leaves the shape as it is
        np.testing.assert_array_equal(output, forward(OPERATIONS[name].torch, (x,), constants))
    y = rng.integers(-9, 10, output.shape).astype(float)
    (grad,) = backward(y)
    assert (output * y).sum() == (x * grad).sum()
    assert grad.shape == x.shape


@settings(max_examples=60, deadline=None, derandomize=True)
@given(batch=st.lists(sizes, max_size=2), image=st.tuples(sizes, sizes, sizes), factor=factors, seed=st.integers(0, 99))
def test_pixels_of_every_shape(batch, image, factor, seed):
    channels, height, width = image
    check("pixel_shuffle", (*batch, channels * factor**2, height, width), seed, upscale_factor=factor)
    check("pixel_unshuffle", (*batch, channels, height * factor, width * factor), seed, downscale_factor=factor)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(n=sizes, groups=factors, channels=sizes, rest=st.lists(sizes, min_size=1, max_size=3), seed=st.integers(0, 99))
def test_channels_of_every_shape(n, groups, channels, rest, seed):
    check("channel_shuffle", (n, groups * channels, *rest), seed, groups=groups)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shape=st.lists(sizes, min_size=1, max_size=4), data=st.data())
def test_axes_of_every_shape(shape, data):
    start = data.draw(st.integers(0, len(shape) - 1))
    end = data.draw(st.integers(start, len(shape) - 1)) - data.draw(st.sampled_from([0, len(shape)]))
    check("flatten", shape, 0, start_dim=start, end_dim=end)
    flat = manual.flatten(np.zeros(shape), start_dim=start, end_dim=end)[0].shape
    check("unflatten", flat, 0, dim=start - data.draw(st.sampled_from([0, len(flat)])), sizes=shape[start : end % len(shape) + 1])


@pytest.mark.parametrize("x", [np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2).T])
def test_views_are_read_only_and_leave_the_input_as_it_is(x):
    """Also what could not be had as a view: a caller need not know."""
    for output, _ in (manual.flatten(x), manual.unflatten(x, dim=0, sizes=(1, 2)), manual.flatten(x, end_dim=0)):
        assert not output.flags.writeable
    assert x.flags.writeable
    np.testing.assert_array_equal(manual.flatten(x)[0], x.ravel())


X = np.zeros((2, 6, 4))


@pytest.mark.parametrize(
    ("name", "x", "constants", "message"),
    [
        ("flatten", X, {"start_dim": 3}, "start_dim must lie in [-3, 2] for an input of shape (2, 6, 4), got 3"),
        ("flatten", X, {"end_dim": -4}, "end_dim must lie in [-3, 2] for an input of shape (2, 6, 4), got -4"),
        ("flatten", X, {"start_dim": -1, "end_dim": 0}, "start_dim must not come after end_dim, got -1 and 0 for shape (2, 6, 4)"),
        ("flatten", np.zeros(()), {"end_dim": 1}, "end_dim must lie in [-1, 0] for an input of shape (), got 1"),
        ("unflatten", np.zeros(()), {"dim": 0, "sizes": (1,)}, "x must have at least one axis, got a single number"),
        ("unflatten", X, {"dim": 3, "sizes": (1,)}, "dim must lie in [-3, 2] for an input of shape (2, 6, 4), got 3"),
        ("unflatten", X, {"dim": 1, "sizes": ()}, "sizes must hold at least one integer, got ()"),
        ("unflatten", X, {"dim": 1, "sizes": 6}, "sizes must hold at least one integer, got 6"),
        ("unflatten", X, {"dim": 1, "sizes": (2, 3.0)}, "sizes must be an integer of at least -1, got 3.0"),
        ("unflatten", X, {"dim": 1, "sizes": (-2, -3)}, "sizes must be an integer of at least -1, got -2"),
        (
            "unflatten",
            X,
            {"dim": 1, "sizes": (2, 2)},
            "sizes must multiply up to 6, the size along dim, with one -1 at most, got (2, 2)",
        ),
        ("unflatten", X, {"dim": 1, "sizes": (4, -1)}, "sizes must multiply up to 6"),
        ("unflatten", X, {"dim": 1, "sizes": (-1, 6, -1)}, "sizes must multiply up to 6"),
        ("unflatten", X[:0], {"dim": 0, "sizes": (0, -1)}, "sizes must multiply up to 0"),
        ("pixel_shuffle", X, {"upscale_factor": 2}, "expected x (..., 4 C, H, W), got (2, 6, 4)"),
        ("pixel_shuffle", X[0], {"upscale_factor": 1}, "expected x (..., 1 C, H, W), got (6, 4)"),
        ("pixel_shuffle", X, {"upscale_factor": 0}, "upscale_factor must be an integer of at least 1, got 0"),
        ("pixel_unshuffle", X, {"downscale_factor": 4}, "expected x (..., C, 4 H, 4 W), got (2, 6, 4)"),
        ("pixel_unshuffle", X, {"downscale_factor": 3}, "expected x (..., C, 3 H, 3 W), got (2, 6, 4)"),
        ("pixel_unshuffle", X[0], {"downscale_factor": 2}, "expected x (..., C, 2 H, 2 W), got (6, 4)"),
        ("pixel_unshuffle", X, {"downscale_factor": -1}, "downscale_factor must be an integer of at least 1, got -1"),
        ("channel_shuffle", X, {"groups": 4}, "expected x (N, 4 K, *) of at least three axes, got (2, 6, 4)"),
        ("channel_shuffle", X[0], {"groups": 2}, "expected x (N, 2 K, *) of at least three axes, got (6, 4)"),
        ("channel_shuffle", X, {"groups": 0}, "groups must be an integer of at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(name, x, constants, message):
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(f"{name}: {message}")):
        getattr(manual, name)(x, **constants)
    with pytest.raises((RuntimeError, IndexError, TypeError)):
        forward(OPERATIONS[name].torch, (x,), constants)


@pytest.mark.parametrize("wrong", [6, "ab", [2, 3.0], None])
def test_unflatten_module_takes_integers(wrong):
    with pytest.raises(TypeError, match="Unflatten: unflattened_size must be"):
        manual.Unflatten(1, wrong)
    with pytest.raises(TypeError):
        torch.nn.Unflatten(1, wrong)
