"""Resizing: examples worked out by hand, torch's pixels and places, what is no number, adjoints, and what is refused."""

import re
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import manual

KERNELS = {3: ("linear",), 4: ("bilinear", "bicubic"), 5: ("trilinear",)}
SMOOTH = [("linear", 3), ("bilinear", 4), ("bicubic", 4), ("trilinear", 5)]


def line(*numbers):
    return np.array(numbers, float)[None, None]


@pytest.mark.parametrize(
    ("constants", "expected"),
    [
        ({"scale_factor": 2}, [4, 4, 8, 8, 0, 0]),
        ({"size": 2}, [4, 8]),  # ⌊0 · 1.5⌋ and ⌊1 · 1.5⌋
        ({"size": 2, "mode": "nearest-exact"}, [4, 0]),  # ⌊0.5 · 1.5⌋ and ⌊1.5 · 1.5⌋
        ({"size": 6, "mode": "linear"}, [4, 5, 7, 6, 2, 0]),  # a quarter of the way, and three
        ({"size": 5, "mode": "linear", "align_corners": True}, [4, 6, 8, 4, 0]),
        ({"size": 2, "mode": "linear"}, [5, 2]),  # at ¼ and 1¾
        ({"size": 2, "mode": "area"}, [6, 4]),  # the one in the middle counts for both
        ({"size": 4, "mode": "area"}, [4, 6, 4, 0]),
        ({"size": 1, "mode": "area"}, [4]),
        ({"size": 0, "mode": "area"}, []),
        ({"scale_factor": 0.1, "mode": "area"}, []),
    ],
)
def test_a_line_by_hand(constants, expected):
    output, _ = manual.interpolate(line(4, 8, 0), **constants)
    np.testing.assert_allclose(output, line(*expected), rtol=1e-15)


@pytest.mark.parametrize("mode", ["nearest", "linear", "area"])
def test_the_gradient_by_hand(mode):
    """Twice as large: linear gives each output by quarters to the two inputs beside it, at the edges all to the one."""
    _, backward = manual.interpolate(line(4, 8, 0), size=6, mode=mode)
    (grad,) = backward(line(1, 2, 4, 8, 16, 32))
    linear = [1 + 1.5 + 1, 0.5 + 3 + 6 + 4, 2 + 12 + 32]
    np.testing.assert_array_equal(grad, line(*(linear if mode == "linear" else (3, 12, 48))))


def test_cubic_convolution_by_hand():
    """Half-way between pixels, with a = −¾, the weights are −3/32, 19/32, 19/32, −3/32."""
    output, backward = manual.interpolate(np.array([[[[3.0], [5.0], [11.0], [2.0]]]]), size=(1, 1), mode="bicubic")
    np.testing.assert_allclose(output, (19 * 16 - 3 * 5) / 32, rtol=1e-15)
    np.testing.assert_allclose(backward(np.full((1, 1, 1, 1), 32.0))[0].ravel(), [-3, 19, 19, -3], rtol=1e-15)


def test_antialias_by_hand():
    """Half as large, the triangle reaches over four inputs: 1, 3, 3, 1; at the edges what lies outside is left out."""
    x = np.array([3.0, 5.0, 11.0, 2.0])[None, None, :, None] * np.ones(2)
    output, _ = manual.interpolate(x, size=(2, 2), mode="bilinear", antialias=True)
    np.testing.assert_allclose(output[0, 0, :, 0], [(3 * 3 + 3 * 5 + 11) / 7, (5 + 3 * 11 + 3 * 2) / 7], rtol=1e-15)


def test_antialias_to_a_single_column():
    """As wide as without a width: torch writes the first row into all."""
    x = np.arange(7.0)[None, None, :, None]
    one, two = (manual.interpolate(x.repeat(width, 3), size=(3, width), mode="bilinear", antialias=True)[0] for width in (1, 2))
    np.testing.assert_allclose(one[..., 0], two[..., 0], rtol=1e-15)
    np.testing.assert_allclose(one.ravel(), [6 / 7, 3, 36 / 7], rtol=1e-14)
    theirs = F.interpolate(torch.tensor(x), size=(3, 1), mode="bilinear", antialias=True)
    np.testing.assert_allclose(theirs.ravel(), [6 / 7] * 3, rtol=1e-14)


# -- Torch's pixels and places

FACTORS = (0.3, 0.5, 2 / 3, 0.7, 1.01, 1.1, 4 / 3, 1.5, 1.9999, 2, 2.5, 3.7)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_pixels_are_torchs(mode, dtype):
    """Where the product comes close to an integer, its rounding decides: of all these sizes and factors not one is another."""
    for n in (*range(1, 40), 50, 97, 1001):
        x = np.arange(n, dtype=dtype)[None, None]
        sizes = [{"size": m} for m in (*range(1, 70), 999)]
        for constants in sizes + [{"scale_factor": factor} for factor in FACTORS if int(n * factor)]:
            output, _ = manual.interpolate(x, mode=mode, **constants)
            theirs = F.interpolate(torch.tensor(x), mode=mode, **constants)
            np.testing.assert_array_equal(output, theirs, err_msg=f"{n}, {constants}")


def test_a_plain_floor_would_take_other_pixels():
    """In double precision 7 · (3 / 7) is just below 3 for some such sizes; single precision, to which torch rounds it, has 3."""
    differ = 0
    for n, m in product(range(1, 40), range(1, 70)):
        output, _ = manual.interpolate(np.arange(float(n))[None, None], size=m)
        np.testing.assert_array_equal(output[0, 0], np.arange(m) * n // m)
        differ += not np.array_equal(output[0, 0], np.floor(np.arange(m) * (n / m)))
    assert differ > 0


@pytest.mark.parametrize(
    ("mode", "antialias"), [("bilinear", False), ("bicubic", False), *product(("bilinear", "bicubic"), [True]), ("lanczos", True)]
)
@pytest.mark.parametrize("align_corners", [None, True])
def test_weights_are_torchs(mode, antialias, align_corners):
    """Larger, smaller and by factors. Not a width of one, nor a factor near one, where torch's forward and backward differ."""
    constants = {"mode": mode, "antialias": antialias, "align_corners": align_corners if mode != "lanczos" else None}
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 5, 8, 13):
        x = rng.standard_normal((1, 1, n, 3))
        sizes = [{"size": (m, 2)} for m in (1, 2, 3, 4, 7, 12, 20)]
        for given_by in sizes + [{"scale_factor": (f, 2.0)} for f in FACTORS if int(n * f) not in (0, n)]:
            output, backward = manual.interpolate(x, **constants, **given_by)
            tensor = torch.tensor(x, requires_grad=True)
            theirs = F.interpolate(tensor, **constants, **given_by)
            g = rng.standard_normal(output.shape)
            theirs.backward(torch.tensor(g))
            np.testing.assert_allclose(output, theirs.detach(), rtol=1e-12, atol=1e-13, err_msg=f"{n}, {given_by}")
            np.testing.assert_allclose(backward(g)[0], tensor.grad, rtol=1e-12, atol=1e-13, err_msg=f"{n}, {given_by}")


@pytest.mark.parametrize(
    ("mode", "shape", "antialias", "moves"),
    [
        ("nearest", (1, 1, 50), False, True),
        ("linear", (1, 1, 50), False, False),
        ("bicubic", (1, 1, 50, 50), False, True),
        ("bilinear", (1, 1, 50, 50), True, False),
    ],
)
def test_a_factor_that_leaves_the_size(mode, shape, antialias, moves):
    """The forward is torch's, be it moved or not; the backward is its transpose, which torch's is not for three of the four."""
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, *shape))
    constants = {"scale_factor": 1.01, "mode": mode, "antialias": antialias}
    output, backward = manual.interpolate(x, **constants)
    np.testing.assert_allclose(output, F.interpolate(torch.tensor(x), **constants), rtol=1e-12, atol=1e-13)
    assert np.array_equal(output, x) != moves
    np.testing.assert_allclose(np.vdot(output, g), np.vdot(x, backward(g)[0]), rtol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "linear", "area"])
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_no_number_stays_where_it_is(mode, odd):
    """It reaches the outputs that read it, and nothing else."""
    output, _ = manual.interpolate(line(1, 2, odd, 4, 5), size=10, mode=mode)
    assert (np.flatnonzero(~np.isfinite(output)) == ([3, 4, 5, 6] if mode == "linear" else [4, 5])).all()


def test_a_long_line():
    """A hundred thousand samples: no matrix of all by all."""
    x = np.arange(1e5)[None, None]
    output, backward = manual.interpolate(x, size=250_001, mode="linear", align_corners=True)
    np.testing.assert_allclose(output[0, 0], np.linspace(0, 1e5 - 1, 250_001), rtol=1e-13)
    np.testing.assert_allclose(backward(np.ones_like(output))[0].sum(), 250_001, rtol=1e-12)


# -- Adjoints


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_backward_is_the_transpose(data):
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for every mode, size and factor, also where torch's backward is another."""
    mode, ndim = data.draw(st.sampled_from([*SMOOTH, *product(("nearest", "nearest-exact", "area"), (3, 4, 5)), ("lanczos", 4)]))
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=ndim, max_size=ndim)))
    constants = {"mode": mode}
    if mode in ("bilinear", "bicubic", "lanczos"):
        constants["antialias"] = mode == "lanczos" or data.draw(st.booleans())
    if (mode, ndim) in SMOOTH:
        constants["align_corners"] = data.draw(st.booleans())
    if data.draw(st.booleans()):
        constants["size"] = tuple(data.draw(st.lists(st.integers(1, 9), min_size=ndim - 2, max_size=ndim - 2)))
    else:
        constants["scale_factor"] = data.draw(st.floats(1, 3))
        constants["recompute_scale_factor"] = data.draw(st.sampled_from([None, False, True]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = rng.standard_normal(shape)
    output, backward = manual.interpolate(x, **constants)
    y = rng.standard_normal(output.shape)
    (grad,) = backward(y)
    room = 1e-14 * np.sum(abs(output)) * np.abs(y).max() * 10
    assert abs(np.vdot(output, y) - np.vdot(x, grad)) <= room + 1e-13 * np.vdot(abs(x), abs(grad))


@pytest.mark.parametrize(("mode", "ndim"), [*SMOOTH, ("nearest", 4), ("nearest-exact", 3), ("area", 5)])
def test_what_is_constant_stays_so(mode, ndim):
    for size in (1, 2, 5, 7):
        output, _ = manual.interpolate(np.full((1, 1, *(4, 3, 2)[: ndim - 2]), 3.0), size=size, mode=mode)
        np.testing.assert_allclose(output, 3, rtol=1e-15)


def test_upsample_is_an_older_name():
    x = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    for constants in (
        {"size": 5},
        {"scale_factor": 1.7, "mode": "bicubic"},
        {"size": (2, 3), "mode": "bilinear", "align_corners": True},
    ):
        np.testing.assert_array_equal(manual.upsample(x, **constants)[0], manual.interpolate(x, **constants)[0])
    with pytest.raises(ValueError, match="upsample: size must be given"):
        manual.upsample(x)


# -- What is refused


@pytest.mark.parametrize(
    ("shape", "constants", "message"),
    [
        ((2, 2, 4), {}, "size must be given, or scale_factor"),
        ((2, 2, 4), {"size": 3, "scale_factor": 2.0}, "scale_factor must be None where size is given, got 2.0"),
        ((2, 2, 4), {"size": 3, "recompute_scale_factor": True}, "recompute_scale_factor must not be True where size is given"),
        ((2, 2, 4), {"size": 0}, "size must be an integer of at least 1, got 0"),
        ((2, 2, 4), {"size": -1, "mode": "area"}, "size must be an integer of at least 0, got -1"),
        ((2, 2, 4, 4), {"size": (3,)}, "size must be an integer or 2 of them, got (3,)"),
        ((2, 2, 4, 4), {"size": (3, 3, 3)}, "size must be an integer or 2 of them, got (3, 3, 3)"),
        ((2, 2, 4, 4), {"scale_factor": (2.0,)}, "scale_factor must be a number or 2 of them, got (2.0,)"),
        ((2, 2, 4), {"scale_factor": 0.2}, "scale_factor must leave at least one pixel along each axis of (4,), got 0.2"),
        ((2, 2, 4), {"scale_factor": 0.0}, "scale_factor must leave at least one pixel along each axis of (4,), got 0.0"),
        ((2, 2, 4), {"scale_factor": -1.0}, "scale_factor must be a finite number of at least 0, got -1.0"),
        ((2, 2, 4), {"scale_factor": np.inf}, "scale_factor must be a finite number of at least 0, got inf"),
        ((2, 2, 4), {"size": 3, "align_corners": True}, "align_corners must be None in mode 'nearest', got True"),
        ((2, 2, 4), {"size": 3, "mode": "area", "align_corners": False}, "align_corners must be None in mode 'area', got False"),
        ((2, 2, 4), {"size": 3, "mode": "linear", "antialias": True}, "antialias must be False in mode 'linear', got True"),
        ((2, 2, 4, 4), {"size": 3, "mode": "nearest", "antialias": True}, "antialias must be False in mode 'nearest', got True"),
        ((2, 2, 4, 4), {"size": 3, "mode": "lanczos"}, "antialias must be True in mode 'lanczos', got False"),
        (
            (2, 2, 4, 4),
            {"size": 3, "mode": "lanczos", "antialias": True, "align_corners": True},
            "align_corners must not be True in mode 'lanczos'",
        ),
        ((2, 4), {"size": 3}, "x must have shape (N, C, W) or (N, C, H, W) or (N, C, D, H, W) in mode 'nearest', got (2, 4)"),
        (
            (1,) * 6,
            {"size": 3, "mode": "area"},
            "x must have shape (N, C, W) or (N, C, H, W) or (N, C, D, H, W) in mode 'area', got",
        ),
        ((2, 2, 4), {"size": 3, "mode": "bilinear"}, "x must have shape (N, C, H, W) in mode 'bilinear', got (2, 2, 4)"),
        ((2, 2, 4, 4), {"size": 3, "mode": "linear"}, "x must have shape (N, C, W) in mode 'linear', got (2, 2, 4, 4)"),
        ((2, 2, 4, 4), {"size": 3, "mode": "trilinear"}, "x must have shape (N, C, D, H, W) in mode 'trilinear', got (2, 2, 4, 4)"),
        ((1, 1, 2, 2, 2), {"size": 3, "mode": "bicubic"}, "x must have shape (N, C, H, W) in mode 'bicubic', got (1, 1, 2, 2, 2)"),
        ((2, 0, 4), {"size": 3}, "x must not be empty but for its batch, got shape (2, 0, 4)"),
        ((2, 2, 0), {"size": 3, "mode": "area"}, "x must not be empty but for its batch, got shape (2, 2, 0)"),
        ((1, 0, 2, 2, 2), {"size": 3, "mode": "area"}, "x must not be empty but for its batch, got shape (1, 0, 2, 2, 2)"),
    ],
)
def test_what_torch_refuses_is_refused(shape, constants, message):
    with pytest.raises(ValueError, match=re.escape(f"interpolate: {message}")):
        manual.interpolate(np.zeros(shape), **constants)
    with pytest.raises((ValueError, RuntimeError, NotImplementedError, OverflowError)):
        F.interpolate(torch.zeros(shape, dtype=torch.float64), **constants)


def test_area_without_channels():
    """Of one and two axes torch takes it, and so its output, which its backward then refuses."""
    for shape in ((2, 0, 4), (2, 0, 4, 3)):
        output, backward = manual.interpolate(np.zeros(shape), size=2, mode="area")
        assert output.shape == tuple(F.interpolate(torch.zeros(shape), size=2, mode="area").shape)
        assert backward(output)[0].shape == shape


def test_area_without_outputs():
    _, backward = manual.interpolate(line(1, 2, 3), size=0, mode="area")
    np.testing.assert_array_equal(backward(np.zeros((1, 1, 0)))[0], np.zeros((1, 1, 3)))


def test_modules_keep_what_they_are_given():
    assert repr(manual.Upsample(scale_factor=2.0)) == repr(torch.nn.Upsample(scale_factor=2.0))
    assert repr(manual.Upsample(5, mode="bilinear")) == repr(torch.nn.Upsample(5, mode="bilinear"))
    assert isinstance(manual.UpsamplingNearest2d(2), manual.Upsample)
    with pytest.raises(ValueError, match="interpolate: size must be given"):
        manual.Upsample()(np.zeros((1, 1, 3)))
