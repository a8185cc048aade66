"""Dropout: examples worked out by hand, what is drawn, corners, and what is refused."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import manual

X = np.array([1.0, 2.0, -3.0, 4.0])
MASK = np.array([True, False, True, False])
G = np.array([1.0, 10.0, 100.0, 1000.0])


def test_dropout_by_hand():
    output, backward = manual.dropout(X, p=0.75, mask=MASK)
    assert output.tolist() == [4, 0, -12, 0]
    assert backward(G)[0].tolist() == [4, 0, 400, 0]


def test_nothing_is_drawn_where_nothing_is_dropped():
    """With p = 0 and no mask; a mask that is given counts."""
    generator = np.random.default_rng(0)
    output, backward = manual.dropout(X, p=0, generator=generator)
    assert output.tolist() == X.tolist()
    assert np.shares_memory(output, X)
    assert not output.flags.writeable
    assert backward(G)[0].tolist() == G.tolist()
    assert generator.random() == np.random.default_rng(0).random()
    assert manual.dropout(X, p=0, mask=MASK)[0].tolist() == (X * MASK).tolist()


def test_channels_are_dropped_whole():
    x = np.arange(1.0, 9.0).reshape(1, 2, 4)
    mask = np.array([[[False], [True]]])
    for output, backward in (
        manual.dropout1d(x, p=0.5, mask=mask),
        manual.dropout2d(x, p=0.5, mask=mask),
    ):
        assert output.tolist() == [[[0, 0, 0, 0], [10, 12, 14, 16]]]
        assert backward(x)[0].tolist() == output.tolist()
    output, _ = manual.dropout1d(x[0], p=0.5, mask=mask[0])  # without a batch
    assert output.tolist() == [[0, 0, 0, 0], [10, 12, 14, 16]]
    volumes = x.reshape(2, 2, 2, 1)
    output, _ = manual.dropout3d(volumes, p=0.5, mask=np.array([True, False]).reshape(2, 1, 1, 1))
    assert output.ravel().tolist() == [2, 4, 6, 8, 0, 0, 0, 0]


ALPHA = 1.7580993408473766


def test_alpha_dropout_by_hand():
    """With p = ½ a = (½ + α²/4)^(−½); what is dropped becomes −a α / 2, what is kept a (x + α / 2)."""
    a = (0.5 + ALPHA**2 / 4) ** -0.5
    expected = [a * (1 + ALPHA / 2), -a * ALPHA / 2, a * (-3 + ALPHA / 2), -a * ALPHA / 2]
    output, backward = manual.alpha_dropout(X, training=True, mask=MASK)
    np.testing.assert_allclose(output, expected, rtol=1e-15)
    np.testing.assert_allclose(backward(G)[0], [a, 0, 100 * a, 0], rtol=1e-15)
    output, _ = manual.feature_alpha_dropout(X.reshape(1, 2, 2), training=True, mask=np.array([[[True], [False]]]))
    np.testing.assert_allclose(
        output.ravel(), [a * (1 + ALPHA / 2), a * (2 + ALPHA / 2), -a * ALPHA / 2, -a * ALPHA / 2], rtol=1e-15
    )


def test_alpha_is_the_limit_of_selu():
    assert manual.selu(np.array([-100.0]))[0][0] == pytest.approx(-ALPHA, rel=1e-15)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_alpha_dropout_keeps_mean_and_variance(p):
    """Exactly so on average over the masks: of x = ±1, which has mean 0 and variance 1."""
    x = np.array([1.0, -1.0])
    kept, dropped = (manual.alpha_dropout(x, p=p, training=True, mask=np.full(2, mask))[0] for mask in (True, False))
    mean = (1 - p) * kept.mean() + p * dropped.mean()
    variance = (1 - p) * (kept**2).mean() + p * (dropped**2).mean() - mean**2
    assert (mean, variance) == (pytest.approx(0, abs=1e-15), pytest.approx(1, rel=1e-14))


ALL = manual.dropout, manual.dropout1d, manual.dropout2d, manual.dropout3d, manual.alpha_dropout, manual.feature_alpha_dropout
SHAPES = [(300, 400), (30, 1000, 2), (300, 100, 1, 2), (30, 1000, 1, 2, 1), (300, 400), (30, 1000, 2)]
MODULES = ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"]
EACH = pytest.mark.parametrize(("name", "shape"), list(zip(MODULES, SHAPES, strict=True)))


def kept_of(output):
    """Of ones: what is kept is above 0; of a channel all is, or nothing."""
    kept = output > 0
    if output.ndim > 2:
        first = kept.reshape(*kept.shape[:2], -1)
        assert (first == first[:, :, :1]).all()
        return first[:, :, 0]
    return kept


@EACH
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_modules_draw_as_torch_does(name, shape, p):
    """As many are kept as torch keeps, to within the error of counting; rows and columns do not follow one another."""
    ones = np.ones(shape)
    module = getattr(manual, name)(p, generator=np.random.default_rng(0))
    output, backward = module(ones)
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(p)(torch.tensor(ones)).numpy()
    np.testing.assert_allclose(np.unique(output), np.unique(theirs), rtol=1e-14)
    for drawn in (output, theirs):
        kept = kept_of(drawn)
        error = math.sqrt(p * (1 - p) / kept.size)
        assert kept.mean() == pytest.approx(1 - p, abs=4 * error)
        both = (kept[1:] & kept[:-1]).mean(), (kept[:, 1:] & kept[:, :-1]).mean()
        assert both == pytest.approx([(1 - p) ** 2] * 2, abs=8 * error)
    np.testing.assert_array_equal(backward(ones)[0] > 0, output > 0)  # what the forward has dropped
    assert (module(ones)[0] != output).any()  # fresh ones each time


@EACH
def test_a_generator_says_what_is_drawn(name, shape):
    """The same generator, the same mask, in float32 too; without one, another each time."""
    cls, x = getattr(manual, name), np.ones(shape, np.float32)
    first, again = (cls(generator=np.random.default_rng(5))(x.astype(dtype))[0] for dtype in (np.float32, np.float64))
    np.testing.assert_array_equal(first > 0, again > 0)
    assert (cls()(x)[0] != cls()(x)[0]).any()


@EACH
def test_a_module_in_evaluation_passes_everything_on(name, shape):
    module = getattr(manual, name)(0.9).eval()
    x = np.random.default_rng(0).standard_normal(shape)
    output, backward = module(x)
    np.testing.assert_array_equal(output, x)
    assert not output.flags.writeable
    np.testing.assert_array_equal(backward(x)[0], x)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("p", [0, 1.0])
def test_nothing_and_everything_is_dropped(function, p):
    x = np.random.default_rng(0).standard_normal(SHAPES[ALL.index(function)])
    output, backward = function(x, p=p, training=True)
    np.testing.assert_array_equal(output, x if p == 0 else np.zeros_like(x))
    np.testing.assert_array_equal(backward(x)[0], x if p == 0 else np.zeros_like(x))


def test_what_is_dropped_is_multiplied():
    """∞ · 0 is NaN, which nobody is warned of; its gradient is 0."""
    x = np.array([np.inf, np.inf, np.nan, 1.0])
    for p in (0.5, 1.0):
        for function in (manual.dropout, manual.alpha_dropout):
            output, backward = function(x, p=p, training=True, mask=MASK & (p < 1))
            assert np.isnan(output).tolist() == [p == 1, True, True, False]
            assert (backward(np.ones(4))[0] == 0).tolist() == [p == 1, True, p == 1, True]


def test_in_parts_as_in_one(threads, small_parts):
    """The mask of channels is repeated over what they hold."""
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    mask = np.random.default_rng(1).random((3, 4, 1)) < 0.5
    output, backward = manual.dropout1d(x, p=0.5, mask=mask)
    np.testing.assert_array_equal(output, 2 * x * mask)
    np.testing.assert_array_equal(backward(x)[0], 2 * x * mask)


@pytest.mark.parametrize(
    ("name", "shape", "constants", "message"),
    [
        ("dropout", (2, 3), {"p": 1.5}, "p must be a number from 0 to 1, got 1.5"),
        ("dropout", (2, 3), {"p": -0.1}, "p must be a number from 0 to 1, got -0.1"),
        ("dropout", (2, 3), {"p": np.nan, "training": False}, "p must be a number from 0 to 1, got nan"),
        ("alpha_dropout", (2, 3), {"p": 2, "training": False}, "p must be a number from 0 to 1, got 2"),
        ("dropout1d", (2,), {}, "x must have shape (N, C, L) or (C, L), got (2,)"),
        ("dropout1d", (2, 3, 4, 5), {}, "x must have shape (N, C, L) or (C, L), got (2, 3, 4, 5)"),
        ("dropout2d", (3,), {}, "x must have shape (N, C, H, W) or (N, C, L), got (3,)"),
        ("dropout2d", (2, 3, 1, 1, 1), {}, "x must have shape (N, C, H, W) or (N, C, L), got (2, 3, 1, 1, 1)"),
        ("dropout3d", (2, 3, 1), {}, "x must have shape (N, C, D, H, W) or (C, D, H, W), got (2, 3, 1)"),
        ("dropout3d", (2, 3, 1, 1, 1, 1), {}, "x must have shape (N, C, D, H, W) or (C, D, H, W), got (2, 3, 1, 1, 1, 1)"),
        ("feature_alpha_dropout", (3,), {"training": True}, "x must have shape (N, C, *), got (3,)"),
    ],
)
def test_what_torch_refuses_or_warns_of_is_refused(name, shape, constants, message):
    with pytest.raises(ValueError, match="^" + re.escape(f"{name}: {message}")):
        getattr(manual, name)(np.zeros(shape), **constants)
    if math.isnan(constants.get("p", 0.5)):
        return  # torch refuses it in training alone
    with pytest.raises((ValueError, RuntimeError, UserWarning)):
        getattr(F, name)(torch.zeros(shape), **constants)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 3, 4), bool), "mask must have shape (2, 3, 1), got (2, 3, 4)"),
        (np.ones((2, 3), bool), "mask must have shape (2, 3, 1), got (2, 3)"),
        (np.ones((2, 3, 1)), "mask must hold True and False, got float64"),
        ([True], "mask must be a NumPy array, got list; convert it: np.asarray(mask)"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_masks_that_do_not_fit(mask, message, training):
    for name in ("dropout1d", "dropout2d", "feature_alpha_dropout"):
        with pytest.raises((ValueError, TypeError), match="^" + re.escape(f"{name}: {message}")):
            getattr(manual, name)(np.zeros((2, 3, 4)), mask=mask, training=training)


@pytest.mark.parametrize("name", MODULES)
def test_constructors_refuse_what_is_no_probability(name):
    for library in (manual, torch.nn):
        with pytest.raises(ValueError, match=r"1\.5"):
            getattr(library, name)(1.5)
    with pytest.raises(TypeError, match=f"{name}: p must be a number from 0 to 1, got None"):
        getattr(manual, name)(None)
    with pytest.raises(TypeError, match=f"{name}: generator must be a numpy.random.Generator or None, got 5"):
        getattr(manual, name)(generator=5)
