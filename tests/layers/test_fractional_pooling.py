"""Fractional max pooling: examples worked out by hand, the random samples, and what is refused."""

import re

import numpy as np
import pytest
import torch

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_fractional_max_pool_by_hand():
    """Along the columns α = (7 − 2) / 2 and u = ½: windows begin at 0, ⌊3.75⌋ − ⌊1.25⌋ = 2 and 7 − 2 = 5."""
    x = np.array([[[1.0, 0.0, 2.0, 9.0, 8.0, 0.0, 4.0]]])
    samples = np.array([[[0.5, 0.0]]])  # of the columns, of the rows
    constants = {"kernel_size": (1, 2), "output_size": (1, 3), "return_indices": True}
    (y, index), backward = manual.fractional_max_pool2d(x, _random_samples=samples, **constants)
    np.testing.assert_array_equal(y, [[[1, 9, 4]]])
    np.testing.assert_array_equal(index, [[[0, 3, 6]]])
    np.testing.assert_array_equal(backward((np.array([[[1.0, 2.0, 3.0]]]), None))[0], [[[1, 0, 0, 2, 0, 0, 3]]])


@pytest.mark.parametrize(("name", "sizes", "output_size"), [("2d", (40, 53), (23, 31)), ("3d", (9, 14, 17), (5, 8, 11))])
def test_windows_begin_where_those_of_torch_do(dtype, name, sizes, output_size):
    """On random samples, where the rounding of each format decides."""
    rng = np.random.default_rng(0)
    x = rng.permutation(6 * int(np.prod(sizes))).reshape(2, 3, *sizes).astype(dtype)
    constants = {"kernel_size": 2, "output_size": output_size, "return_indices": True}
    for _ in range(20):
        samples = rng.random((2, 3, len(sizes)), dtype)
        (_, index), _ = getattr(manual, f"fractional_max_pool{name}")(x, **constants, _random_samples=samples)
        theirs = forward(OPERATIONS[f"fractional_max_pool{name}"].torch, (x,), {**constants, "_random_samples": samples})
        np.testing.assert_array_equal(index, theirs[1])


def test_many_images_keep_the_windows_of_their_own(small_parts):
    """Other pooling takes a large array in parts."""
    rng = np.random.default_rng(0)
    x, samples = rng.standard_normal((4, 3, 9, 9)), rng.random((4, 3, 2))
    constants = {"kernel_size": 2, "output_size": 5}
    y, _ = manual.fractional_max_pool2d(x, **constants, _random_samples=samples)
    for i in range(4):
        alone, _ = manual.fractional_max_pool2d(x[i : i + 1], **constants, _random_samples=samples[i : i + 1])
        np.testing.assert_array_equal(alone, y[i : i + 1])


def test_samples_of_another_format_are_rounded_to_that_of_x():
    """With α = 1.5 and u just below ⅔, ⌊u α⌋ is 0 in float64, but 1 in float32, where u is rounded to just above."""
    samples = np.full((1, 1, 2), 2 / 3 - 1e-9)
    for dtype, expected in ((np.float32, [0, 1, 3, 4, 6]), (np.float64, [0, 2, 3, 5, 6])):
        falling = -np.arange(8, dtype=dtype).reshape(1, 1, 8)
        (_, index), _ = manual.fractional_max_pool2d(
            falling, kernel_size=(1, 2), output_size=(1, 5), return_indices=True, _random_samples=samples
        )
        np.testing.assert_array_equal(index, [[expected]])


def test_samples_are_drawn_from_the_generator():
    x = np.random.default_rng(0).standard_normal((3, 2, 9, 9))
    constants = {"kernel_size": 2, "output_size": 5}
    drawn, _ = manual.fractional_max_pool2d(x, **constants, generator=np.random.default_rng(3))
    samples = np.random.default_rng(3).random((3, 2, 2))
    given, _ = manual.fractional_max_pool2d(x, **constants, _random_samples=samples)
    of_module, _ = manual.FractionalMaxPool2d(2, 5, generator=np.random.default_rng(3))(x)
    np.testing.assert_array_equal(drawn, given)
    np.testing.assert_array_equal(of_module, given)
    assert not np.array_equal(drawn, manual.fractional_max_pool2d(x, **constants)[0])


def test_a_single_ratio_stands_for_every_axis():
    x, samples = np.random.default_rng(0).standard_normal((1, 6, 9)), np.full((1, 1, 2), 0.5)
    for ratio in (0.5, (0.5, 0.5)):
        y, _ = manual.fractional_max_pool2d(x, kernel_size=2, output_ratio=ratio, _random_samples=samples)
        assert y.shape == (1, 3, 4)


def test_samples_of_a_module_are_part_of_its_state():
    samples = np.full((1, 1, 2), 0.25)
    ours = manual.FractionalMaxPool2d(2, 3, _random_samples=samples)
    theirs = torch.nn.FractionalMaxPool2d(2, 3, _random_samples=torch.tensor(samples))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["_random_samples"]


SAMPLES = "_random_samples must have shape (2, 1, 2), got "


@pytest.mark.parametrize(
    ("name", "shape", "constants", "message"),
    [
        ("fractional_max_pool2d", (4, 4), {}, "x must have shape (N, C, H, W) or (C, H, W), not empty, got (4, 4)"),
        ("fractional_max_pool2d", (2, 1, 4, 4), {"output_size": 4}, "output_size must be at most 3 along axis -1, got 4"),
        ("fractional_max_pool3d", (1, 4, 4, 4), {"output_size": 3}, "output_size must be at most 2 along axis -1, got 3"),
        ("fractional_max_pool2d", (2, 1, 4, 4), {"output_size": None}, "output_size or output_ratio must be given"),
        ("fractional_max_pool2d", (2, 1, 4, 4), {"_random_samples": np.zeros((1, 2))}, SAMPLES + "(1, 2)"),
        ("fractional_max_pool2d", (2, 1, 4, 4), {"_random_samples": np.zeros((1, 1, 2))}, SAMPLES + "(1, 1, 2)"),
        ("fractional_max_pool2d", (2, 1, 4, 4), {"_random_samples": np.zeros((2, 3, 2))}, SAMPLES + "(2, 3, 2)"),
        ("fractional_max_pool2d", (2, 1, 4, 4), {"_random_samples": np.zeros((2, 1, 3))}, SAMPLES + "(2, 1, 3)"),
    ],
)
def test_what_torch_refuses_is_refused(name, shape, constants, message):
    axes = int(name[-2])
    samples = np.zeros((1 if len(shape) == axes + 1 else shape[0], 1, axes))
    constants = {"kernel_size": 2, "output_size": 2, "_random_samples": samples, **constants}
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(np.zeros(shape), **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, (np.zeros(shape),), constants)


@pytest.mark.parametrize("sample", [-0.1, 1.1, np.nan])
def test_samples_that_are_no_fractions_are_refused(sample):
    """torch takes them, and reads where nothing is."""
    with pytest.raises(ValueError, match="fractional_max_pool2d: _random_samples must hold numbers from 0 to 1"):
        manual.fractional_max_pool2d(np.zeros((1, 4, 4)), kernel_size=2, output_size=2, _random_samples=np.full((1, 1, 2), sample))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({}, "output_size or output_ratio must be given, and not both, got None and None"),
        ({"output_size": 2, "output_ratio": 0.5}, "output_size or output_ratio must be given, and not both, got 2 and 0.5"),
        ({"output_ratio": 1.0}, "output_ratio must be between 0 and 1, got 1.0"),
        ({"output_ratio": (0.5, 0.0)}, "output_ratio must be between 0 and 1, got (0.5, 0.0)"),
    ],
)
def test_what_the_module_of_torch_refuses_is_refused(constants, message):
    with pytest.raises(ValueError, match=re.escape(f"FractionalMaxPool2d: {message}")):
        manual.FractionalMaxPool2d(2, **constants)
    with pytest.raises(ValueError, match="output"):
        torch.nn.FractionalMaxPool2d(2, **constants)
