"""Reading at any places: examples worked out by hand, kinks, what is no number, adjoints, and what is refused."""

import re
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import manual

MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def sample(x, places, **constants):
    """Read a row of pixels at these coordinates; the output, and the gradients of Σ y."""
    row = np.asarray(x, float)[None, None, None]
    grid = np.stack([np.asarray(places, float), np.zeros(len(places))], axis=-1)[None, None]
    output, backward = manual.grid_sample(row, grid, **constants)
    grad_x, grad_grid = backward(np.ones_like(output))
    return output.ravel(), grad_x.ravel(), grad_grid[0, 0, :, 0]


def test_a_row_by_hand():
    """Of four pixels, the coordinate 0 is the place 1.5, and 0.125 a quarter pixel more: 1.75."""
    output, grad_x, grad_grid = sample([1, 2, 4, 8], [0, 0.125])
    np.testing.assert_array_equal(output, [3, 3.5])
    np.testing.assert_array_equal(grad_x, [0, 0.75, 1.25, 0])
    np.testing.assert_array_equal(grad_grid, [4, 4])  # 2 a pixel, and two pixels for each unit of the coordinate


def test_corners_by_hand():
    """With aligned corners, −1 and 1 are the centres of the outer pixels; without, their outer edges, where half is outside."""
    np.testing.assert_array_equal(sample([1, 2, 4], [-1, 0, 1], align_corners=True)[0], [1, 2, 4])
    np.testing.assert_array_equal(sample([1, 2, 4], [-1, 0, 1], align_corners=False)[0], [0.5, 2, 2])


OUTSIDE = {True: [-3, -5 / 3, -1, 1, 5 / 3, 3], False: [-2.25, -1.25, -0.75, 0.75, 1.25, 2.25]}  # pixels −3, −1, 0, 3, 4, 6 of four


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize(
    ("padding_mode", "align_corners", "expected"),
    [
        ("zeros", True, [0, 0, 1, 8, 0, 0]),
        ("zeros", False, [0, 0, 1, 8, 0, 0]),
        ("border", True, [1, 1, 1, 8, 8, 8]),
        ("border", False, [1, 1, 1, 8, 8, 8]),
        ("reflection", True, [8, 2, 1, 8, 4, 1]),  # 3 2 1 0 1 2 3 2 1 0
        ("reflection", False, [4, 1, 1, 8, 8, 2]),  # 2 1 0 0 1 2 3 3 2 1
    ],
)
def test_what_lies_outside_by_hand(mode, padding_mode, align_corners, expected):
    constants = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    output, *_ = sample([1, 2, 4, 8], OUTSIDE[align_corners], **constants)
    np.testing.assert_allclose(output, expected, rtol=1e-14, atol=1e-14)


def test_halves_go_to_the_even_pixel():
    """Places −½, ½, 1½, 2½, 3½ of four pixels: 0, 0, 2, 2, and 4, which is outside."""
    output, grad_x, grad_grid = sample([1, 2, 4, 8], [-1, -0.5, 0, 0.5, 1], mode="nearest")
    np.testing.assert_array_equal(output, [1, 1, 4, 4, 0])
    np.testing.assert_array_equal(grad_x, [2, 0, 2, 0])
    np.testing.assert_array_equal(grad_grid, 0)


@pytest.mark.parametrize(
    ("padding_mode", "slopes"),
    [
        ("zeros", [1, 2, 4, -8, 0]),  # towards the next pixel, behind the last towards 0
        ("border", [0, 2, 4, 0, 0]),
        ("reflection", [0, 2, 4, 0, -2]),
    ],
)
def test_slopes_on_pixels(padding_mode, slopes):
    """On the pixels 0 to 3 of four with aligned corners, and at 5, where the reflection is back at 1."""
    places = np.array([0, 1, 2, 3, 5]) * 2 / 3 - 1
    exact = np.array([0, 1, 2, 3, 5.0])
    _, _, grad_grid = sample([1, 2, 4, 8], places, padding_mode=padding_mode, align_corners=True)
    on_pixel = (places + 1) * 1.5 == exact  # where rounding has not moved it
    np.testing.assert_allclose(grad_grid[on_pixel], 1.5 * np.array(slopes)[on_pixel], rtol=1e-14)
    assert on_pixel.sum() >= 3


def test_cubic_reads_repeated_edges():
    """At the outer edge, half-way between pixel 0 and its copy, the weights −3/32, 19/32, 19/32, −3/32 go to 1, 0, 0, 1."""
    output, grad_x, _ = sample([1, 2, 4, 8], [-1], mode="bicubic", padding_mode="reflection")
    np.testing.assert_allclose(output, (38 * 1 - 6 * 2) / 32, rtol=1e-15)
    np.testing.assert_allclose(grad_x, [38 / 32, -6 / 32, 0, 0], rtol=1e-15)


@pytest.mark.parametrize(("mode", "padding_mode"), [*product(MODES, PADDINGS)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_random_places_are_torchs(mode, padding_mode, align_corners, dtype):
    """Near and far, in one dimension of a single pixel too."""
    rng = np.random.default_rng(0)
    constants = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    for shape, far in product(((2, 3, 4, 5), (1, 2, 1, 4), (1, 1, 1, 1), (1, 2, 3, 1, 4)), (1, 8)):
        if len(shape) == 5 and mode == "bicubic":
            continue
        x = rng.standard_normal(shape).astype(dtype)
        grid = rng.uniform(-far, far, (shape[0], *(6, 5, 2)[: len(shape) - 2], len(shape) - 2)).astype(dtype)
        output, backward = manual.grid_sample(x, grid, **constants)
        tensors = [torch.tensor(array, requires_grad=True) for array in (x, grid)]
        theirs = F.grid_sample(*tensors, **constants)
        g = rng.standard_normal(output.shape).astype(dtype)
        theirs.backward(torch.tensor(g))
        tolerance = {"rtol": 1e-9, "atol": 1e-11} if dtype == "float64" else {"rtol": 2e-3, "atol": 1e-3}
        np.testing.assert_allclose(output, theirs.detach(), **tolerance)
        for grad, tensor in zip(backward(g), tensors, strict=True):
            np.testing.assert_allclose(grad, tensor.grad, **tolerance)


# -- What is no number, or far away: torch's backward may crash there, and is not called


@pytest.mark.parametrize("place", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize(("mode", "padding_mode"), [*product(MODES, PADDINGS)])
def test_no_place_leads_out_of_the_memory(mode, padding_mode, place):
    """Whatever the place, others are read as ever, and nothing warns."""
    constants = {"mode": mode, "padding_mode": padding_mode}
    output, _, grad_grid = sample([1, 2, 4, 8], [0.1, place], **constants)
    alone, _, grad_alone = sample([1, 2, 4, 8], [0.1], **constants)
    assert (output[0], grad_grid[0]) == (alone[0], grad_alone[0])
    if abs(place) == 1e30:
        assert output[1] == {"zeros": 0, "border": 8 if place > 0 else 1}.get(padding_mode, output[1])
        assert 1 - 1 <= output[1] <= 8 or mode == "bicubic"


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_a_place_that_is_nan(mode):
    """It is pixel 0, without a slope, unless zeros lie outside: then the output is NaN, and no pixel gets a gradient from it."""
    for padding_mode in ("border", "reflection"):
        output, grad_x, grad_grid = sample([1, 2, 4, 8], [np.nan], mode=mode, padding_mode=padding_mode)
        assert (output[0], grad_grid[0]) == (1, 0)
        np.testing.assert_array_equal(grad_x, [1, 0, 0, 0])
    output, grad_x, grad_grid = sample([1, 2, 4, 8], [np.nan], mode=mode)
    np.testing.assert_array_equal(output, [np.nan if mode == "bilinear" else 0])
    np.testing.assert_array_equal(grad_x, 0)
    np.testing.assert_array_equal(grad_grid, 0)


def test_what_is_outside_is_zero_whatever_is_inside():
    """Pixels that are NaN or infinite do not reach beyond the edges."""
    output, _, grad_grid = sample([np.nan, 2, 4, np.inf], [-3, 3])
    np.testing.assert_array_equal(output, 0)
    np.testing.assert_array_equal(grad_grid, 0)


# -- Adjoints


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_backward_is_the_transpose(data):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for every grid, mode and padding."""
    mode, axes = data.draw(st.sampled_from([("bilinear", 2), ("bilinear", 3), ("nearest", 2), ("nearest", 3), ("bicubic", 2)]))
    sizes, places = (tuple(data.draw(st.lists(st.integers(1, 5), min_size=axes, max_size=axes))) for _ in range(2))
    batch, channels = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    constants = {"mode": mode, "padding_mode": data.draw(st.sampled_from(PADDINGS)), "align_corners": data.draw(st.booleans())}
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, grid = rng.standard_normal((batch, channels, *sizes)), rng.uniform(-2, 2, (batch, *places, axes))
    output, backward = manual.grid_sample(x, grid, **constants)
    y = rng.standard_normal(output.shape)
    grad, _ = backward(y, (True, False))
    room = 1e-13 * (np.vdot(abs(output), abs(y)) + np.vdot(abs(x), abs(grad)) + 1)
    assert abs(np.vdot(output, y) - np.vdot(x, grad)) <= room


def test_the_grid_of_a_transform_by_hand():
    """Two pixels across, one down: x doubled, and moved by 1; y is that of the only row, 0, moved by 3."""
    theta = np.array([[[2.0, 0.0, 1.0], [0.0, 1.0, 3.0]]])
    for align_corners, edge in ((False, 0.5), (True, 1.0)):
        grid, backward = manual.affine_grid(theta, size=(1, 1, 1, 2), align_corners=align_corners)
        np.testing.assert_array_equal(grid, [[[[1 - 2 * edge, 3], [1 + 2 * edge, 3]]]])
        (grad,) = backward(np.array([[[[1.0, 2.0], [10.0, 20.0]]]]))
        np.testing.assert_array_equal(grad, [[[9 * edge, 0, 11], [18 * edge, 0, 22]]])


@pytest.mark.parametrize("size", [(1, 1, 4, 3), (1, 2, 3, 4, 2)])
@pytest.mark.parametrize("align_corners", [False, True])
def test_the_identity_reads_every_pixel_where_it_is(size, align_corners):
    x = np.random.default_rng(0).standard_normal(size)
    axes = len(size) - 2
    grid, _ = manual.affine_grid(np.eye(axes, axes + 1)[None], size=size, align_corners=align_corners)
    output, _ = manual.grid_sample(x, grid, align_corners=align_corners)
    np.testing.assert_allclose(output, x, atol=1e-14)


@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 1, 2, 3, 4)])
def test_a_transform_and_its_gradient_are_adjoint(size):
    rng = np.random.default_rng(0)
    axes = len(size) - 2
    theta = rng.standard_normal((2, axes, axes + 1))
    grid, backward = manual.affine_grid(theta, size=size)
    y = rng.standard_normal(grid.shape)
    np.testing.assert_allclose(np.vdot(grid, y), np.vdot(theta, backward(y)[0]), rtol=1e-12)


# -- What is refused


@pytest.mark.parametrize(
    ("x", "grid", "constants", "message"),
    [
        ((2, 3, 4), (2, 5, 1), {}, "x must have shape (N, C, H, W) or (N, C, D, H, W), of at least one pixel, got (2, 3, 4)"),
        (
            (2, 3, 0, 4),
            (2, 5, 5, 2),
            {},
            "x must have shape (N, C, H, W) or (N, C, D, H, W), of at least one pixel, got (2, 3, 0, 4)",
        ),
        ((2, 3, 4, 4), (1, 5, 5, 2), {}, "grid must have shape (2, h, w, 2) for an x of shape (2, 3, 4, 4), got (1, 5, 5, 2)"),
        ((2, 3, 4, 4), (2, 5, 5, 3), {}, "grid must have shape (2, h, w, 2) for an x of shape (2, 3, 4, 4), got (2, 5, 5, 3)"),
        (
            (2, 3, 4, 4),
            (2, 5, 5, 5, 2),
            {},
            "grid must have shape (2, h, w, 2) for an x of shape (2, 3, 4, 4), got (2, 5, 5, 5, 2)",
        ),
        (
            (1, 1, 2, 2, 2),
            (1, 5, 5, 3),
            {},
            "grid must have shape (1, d, h, w, 3) for an x of shape (1, 1, 2, 2, 2), got (1, 5, 5, 3)",
        ),
        (
            (1, 1, 2, 2, 2),
            (1, 1, 5, 5, 3),
            {"mode": "bicubic"},
            "mode must be 'bilinear' or 'nearest' for an x of five axes, got 'bicubic'",
        ),
        ((1, 1, 2, 2), (1, 5, 5, 2), {"mode": "area"}, "mode must be 'bilinear', 'nearest' or 'bicubic', got 'area'"),
        (
            (1, 1, 2, 2),
            (1, 5, 5, 2),
            {"padding_mode": "reflect"},
            "padding_mode must be 'zeros', 'border' or 'reflection', got 'reflect'",
        ),
    ],
)
def test_what_torch_refuses_is_refused(x, grid, constants, message):
    with pytest.raises(ValueError, match=re.escape(f"grid_sample: {message}")):
        manual.grid_sample(np.zeros(x), np.zeros(grid), **constants)
    with pytest.raises((ValueError, RuntimeError)):
        F.grid_sample(torch.zeros(x), torch.zeros(grid), align_corners=False, **constants)


@pytest.mark.parametrize(
    ("theta", "size", "error", "message"),
    [
        ((2, 2, 3), (2, 1, 4), ValueError, "size must be (N, C, H, W) or (N, C, D, H, W), got (2, 1, 4)"),
        ((2, 2, 3), 4, TypeError, "size must be a tuple of integers, (N, C, H, W) or (N, C, D, H, W), got 4"),
        ((2, 2, 3), (2, 1, 0, 4), ValueError, "size must be an integer of at least 1, got 0"),
        ((0, 2, 3), (0, 1, 2, 4), ValueError, "size must be an integer of at least 1, got 0"),
        ((2, 2, 3), (2, 1, 4.0, 4), TypeError, "size must be an integer of at least 1, got 4.0"),
        ((2, 2, 3), (2, 1, 4, 4, 4), ValueError, "theta must have shape (2, 3, 4), got (2, 2, 3)"),
        ((1, 2, 3), (2, 1, 4, 4), ValueError, "theta must have shape (2, 2, 3), got (1, 2, 3)"),
        ((2, 3), (2, 1, 4, 4), ValueError, "theta must have shape (2, 2, 3), got (2, 3)"),
    ],
)
def test_grids_that_torch_refuses_are_refused(theta, size, error, message):
    with pytest.raises(error, match=re.escape(f"affine_grid: {message}")):
        manual.affine_grid(np.zeros(theta), size=size)
    with pytest.raises((ValueError, TypeError, RuntimeError, NotImplementedError)):
        F.affine_grid(torch.zeros(theta), size, align_corners=False)
