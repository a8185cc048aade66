"""Padding: examples worked out by hand, every number of cells, the adjoint, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

MODES = "constant", "reflect", "replicate", "circular"
ROW = np.array([[1.0, 2.0, 3.0, 4.0]])


@pytest.mark.parametrize(
    ("mode", "pad", "output", "grad"),  # the gradient of 1, 10, 100, …
    [
        ("constant", (1, 2), [0, 1, 2, 3, 4, 0, 0], [10, 100, 1000, 10_000]),
        ("constant", (-1, 2), [2, 3, 4, 0, 0], [0, 1, 10, 100]),
        ("constant", (-4, 1), [0], [0, 0, 0, 0]),
        ("reflect", (1, 2), [2, 1, 2, 3, 4, 3, 2], [10, 1_000_101, 101_000, 10_000]),
        ("reflect", (-3, 2), [4, 3, 2], [0, 100, 10, 1]),  # what is cut off is mirrored nevertheless
        ("replicate", (1, 2), [1, 1, 2, 3, 4, 4, 4], [11, 100, 1000, 1_110_000]),
        ("replicate", (-5, 2), [4], [0, 0, 0, 1]),
        ("circular", (1, 2), [4, 1, 2, 3, 4, 1, 2], [100_010, 1_000_100, 1000, 10_001]),
        ("circular", (-2, 1), [3, 4, 3], [0, 0, 101, 10]),  # goes round what is left
        ("circular", (4, 0), [1, 2, 3, 4, 1, 2, 3, 4], [10_001, 100_010, 1_000_100, 10_001_000]),
    ],
)
def test_a_row_by_hand(mode, pad, output, grad):
    found, backward = manual.pad(ROW, pad=pad, mode=mode)
    np.testing.assert_array_equal(found, [output])
    np.testing.assert_array_equal(backward(10.0 ** np.arange(len(output))[None])[0], [grad])


def test_the_last_axis_comes_first():
    output, _ = manual.pad(np.ones((1, 1)), pad=(1, 0, 0, 2), value=7.0)
    np.testing.assert_array_equal(output, [[7, 1], [7, 7], [7, 7]])


def test_corners_are_padded_along_both_axes():
    x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    for mode, expected in (
        ("reflect", [[4, 3, 4], [2, 1, 2], [4, 3, 4]]),
        ("replicate", [[1, 1, 2], [1, 1, 2], [3, 3, 4]]),
        ("circular", [[4, 3, 4], [2, 1, 2], [4, 3, 4]]),
    ):
        np.testing.assert_array_equal(manual.pad(x, pad=(1, 0, 1, 0), mode=mode)[0], [expected])


def test_what_was_cut_off_gets_no_gradient_however_large_the_others():
    _, backward = manual.pad(ROW, pad=(-1, 1))
    np.testing.assert_array_equal(backward(np.array([[np.inf, np.nan, 3.0, np.inf]]))[0], [[0, np.inf, np.nan, 3]])


counts = st.tuples(st.integers(-4, 4), st.integers(-4, 4))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    mode=st.sampled_from(MODES),
    pads=st.lists(counts, min_size=1, max_size=3),
    sizes=st.lists(st.integers(0, 4), min_size=5, max_size=5),
    more=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_every_number_of_cells(mode, pads, sizes, more, seed):
    """What torch refuses is refused; else outputs are torch's, and ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, on small integers exactly."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, sizes[: more + len(pads)]).astype(float)
    for n, (before, after) in zip(x.shape[::-1], pads):  # else torch shows memory of nobody, or counts less than no cells
        assume(n + before + after >= 0)
        left = n + min(before, 0) + min(after, 0)
        assume(mode != "circular" or (x.size and left > 0 and (left == n or max(before, after) <= left)))
    constants = {"pad": tuple(count for pair in pads for count in pair), "mode": mode}
    try:
        expected = forward(OPERATIONS["pad"].torch, (x,), constants)
    except (RuntimeError, NotImplementedError):
        with pytest.raises(ValueError, match=r"^pad: "):
            manual.pad(x, **constants)
        return
    output, backward = manual.pad(x, **constants)
    np.testing.assert_array_equal(output, expected)
    y = rng.integers(-9, 10, output.shape).astype(float)
    assert (output * y).sum() == (x * backward(y)[0]).sum()


X = np.zeros((2, 3, 4))


@pytest.mark.parametrize(
    ("x", "constants", "message"),
    [
        (X, {"pad": (1,)}, "pad must hold two integers for each axis to pad, got (1,)"),
        (X, {"pad": 1}, "pad must hold two integers for each axis to pad, got 1"),
        (X, {"pad": (1, 1.0)}, "pad must be an integer, got 1.0"),
        (X, {"pad": (1,) * 8}, "pad must be for no more than the axes of x, got (1, 1, 1, 1, 1, 1, 1, 1) for shape (2, 3, 4)"),
        (X, {"pad": (-3, -2)}, "pad must cut off no more than there is, got (-3, -2) for shape (2, 3, 4)"),
        (X, {"pad": (-5, 3)}, "pad must cut off no more than there is, got (-5, 3) for shape (2, 3, 4)"),
        (X, {"pad": (1, 1), "mode": "reflex"}, "mode must be 'constant', 'reflect', 'replicate' or 'circular', got 'reflex'"),
        (X, {"pad": (1, 1), "value": "0"}, "value must be a number, got '0'"),
        (X, {"pad": (1, 1), "mode": "reflect", "value": 1}, "value must be None or 0 where mode is 'reflect', got 1"),
        (X.astype("f"), {"pad": (1, 1), "value": -1e39}, "value must be a number that float32 can hold, got -1e+39"),
        (X, {"pad": (), "mode": "circular"}, "pad must be for the last 1 to 3 axes of x, before which are channels and perhaps"),
        (X[0, 0], {"pad": (1, 1), "mode": "reflect"}, "pad must be for the last 1 to 3 axes of x"),
        (X[None], {"pad": (1, 1), "mode": "replicate"}, "pad must be for the last 1 to 3 axes of x"),
        (np.zeros((1,) * 6), {"pad": (1,) * 8, "mode": "circular"}, "pad must be for the last 1 to 3 axes of x"),
        (X, {"pad": (4, 0), "mode": "reflect"}, "pad must be smaller than the axis, got (4, 0) for shape (2, 3, 4)"),
        (X, {"pad": (0, 4), "mode": "reflect"}, "pad must be smaller than the axis, got (0, 4) for shape (2, 3, 4)"),
        (X, {"pad": (-2, -2), "mode": "reflect"}, "pad must leave at least one cell, got (-2, -2) for shape (2, 3, 4)"),
        (X, {"pad": (-4, 0), "mode": "replicate"}, "pad must leave at least one cell, got (-4, 0) for shape (2, 3, 4)"),
        (X, {"pad": (5, 0), "mode": "circular"}, "pad must go round once at most what is left of an axis, got (5, 0) for"),
        (ROW, {"pad": (-1, 4), "mode": "circular"}, "pad must go round once at most what is left of an axis, got (-1, 4) for"),
        (X, {"pad": (-2, -3), "mode": "circular"}, "pad must cut off no more than there is, got (-2, -3) for"),
        (X, {"pad": (-2, -3), "mode": "replicate"}, "pad must cut off no more than there is, got (-2, -3) for"),
        (
            X[:, :0],
            {"pad": (1, 1), "mode": "reflect"},
            "x must have no empty axis but that of the batch where mode is 'reflect', got",
        ),
        (X[0, :0], {"pad": (1, 1), "mode": "replicate"}, "x must have no empty axis but that of the batch where mode is"),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(x, constants, message):
    with pytest.raises((TypeError, ValueError), match="^" + re.escape("pad: " + message)):
        manual.pad(x, **constants)
    with pytest.raises((RuntimeError, TypeError, NotImplementedError)):
        forward(OPERATIONS["pad"].torch, (x,), constants)


def test_circular_padding_of_nothing_is_refused():
    """Torch returns what happens to be in the memory."""
    with pytest.raises(ValueError, match=r"pad: pad must go round once at most what is left of an axis, got \(-4, 3\)"):
        manual.pad(ROW, pad=(-4, 3), mode="circular")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: manual.ZeroPad1d((1, 2, 3, 4)), "ZeroPad1d: padding must be an integer or 2 of them, got (1, 2, 3, 4)"),
        (lambda: manual.CircularPad2d((1,)), "CircularPad2d: padding must be an integer or 4 of them, got (1,)"),
        (lambda: manual.ReflectionPad3d(1.0), "ReflectionPad3d: padding must be an integer, got 1.0"),
        (lambda: manual.ConstantPad2d(1, None), "ConstantPad2d: value must be a number, got None"),
    ],
)
def test_constructors_refuse(call, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        call()
