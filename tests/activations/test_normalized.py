"""Softmax and its kin: known values, invariances, saturation, masks, noise, and what is refused."""

import math
import re
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


@pytest.mark.parametrize("shape", [(2, 3), ()])
@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize("op", [manual.softmax, manual.softmin, manual.gumbel_softmax])
def test_outputs_that_the_backward_reads_are_read_only(op, dim, shape):
    output, _ = op(np.zeros(shape), dim=dim)
    with pytest.raises(ValueError, match="read-only"):
        output[...] = 0


@pytest.mark.parametrize("op", [manual.log_softmax, partial(manual.gumbel_softmax, hard=True, noise=np.zeros((2, 3)))])
def test_other_outputs_may_be_changed(op):
    x, g = np.random.default_rng(0).standard_normal((2, 2, 3))
    output, backward = op(x, dim=1)
    (before,) = backward(g)
    output[:] = 7
    np.testing.assert_array_equal(backward(g)[0], before)


def test_equal_scores_share_equally():
    np.testing.assert_array_equal(manual.softmax(np.full((2, 4), 7.0), dim=1)[0], np.full((2, 4), 1 / 4))
    np.testing.assert_array_equal(manual.log_softmax(np.full(3, 7.0), dim=0)[0], np.full(3, -np.log1p(2.0)))


def test_softmax_by_hand():
    """P = (1/4, 3/4); with g = (1, 0), Σ p g = 1/4 and grad_x = (1/4 · 3/4, −3/4 · 1/4)."""
    output, backward = manual.softmax(np.array([0.0, math.log(3)]), dim=0)
    np.testing.assert_allclose(output, [1 / 4, 3 / 4], rtol=1e-15)
    np.testing.assert_allclose(backward(np.array([1.0, 0.0]))[0], [3 / 16, -3 / 16], rtol=1e-15)


def test_log_softmax_by_hand():
    """grad_x = g − p Σ g, with p = (1/4, 3/4) and g = (1, 0)."""
    output, backward = manual.log_softmax(np.array([0.0, math.log(3)]), dim=0)
    np.testing.assert_allclose(output, [math.log(1 / 4), math.log(3 / 4)], rtol=1e-15)
    np.testing.assert_allclose(backward(np.array([1.0, 0.0]))[0], [3 / 4, -3 / 4], rtol=1e-15)


# Multiples of 1/64 up to 16, so that adding an integer rounds nothing.
scores = arrays(float, array_shapes(min_dims=2, max_dims=3, max_side=5), elements=st.integers(-1024, 1024).map(lambda k: k / 64))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(x=scores, shift=st.integers(-1000, 1000), axis=st.integers(0, 1))
def test_invariants(x, shift, axis):
    """Probabilities sum to 1, a shift of all scores changes nothing, and so the gradient along it is 0."""
    g = np.sin(np.arange(x.size, dtype=float)).reshape(x.shape)
    for op, total in ((manual.softmax, lambda p: p.sum(axis)), (manual.log_softmax, lambda p: np.exp(p).sum(axis))):
        output, backward = op(x, dim=axis)
        np.testing.assert_allclose(total(output), 1, rtol=1e-14)  # |log p| < 32: the exponential makes 32 roundings of one
        np.testing.assert_array_equal(op(x + shift, dim=axis)[0], output)
        assert np.abs(backward(g)[0].sum(axis)).max() <= 1e-14  # up to 5 terms of size 5


def test_saturated(dtype):
    x = np.array([1e4, -1e4, 0.0], dtype)
    np.testing.assert_array_equal(manual.softmax(x, dim=0)[0], [1, 0, 0])
    np.testing.assert_array_equal(manual.log_softmax(x, dim=0)[0], [0, -2e4, -1e4])


def test_what_the_largest_leaves_keeps_its_digits():
    """log(1 − p) where p is nearly 1: −log(1 + e⁻⁴⁰) = −e⁻⁴⁰, which a difference of logarithms would round to 0."""
    output, backward = manual.log_softmax(np.array([0.0, -40.0]), dim=0)
    np.testing.assert_allclose(output[0], -math.exp(-40), rtol=1e-15)
    np.testing.assert_allclose(backward(np.array([1.0, 0.0]))[0], [math.exp(-40), -math.exp(-40)], rtol=1e-15)


@pytest.mark.parametrize(("op", "of_masked"), [(manual.softmax, 0), (manual.log_softmax, -np.inf)])
def test_a_score_of_minus_infinity_is_masked(op, of_masked):
    """The others are as if it were not there, and nothing comes back to it but its own gradient in log_softmax."""
    output, backward = op(np.array([1.0, -np.inf, 2.0]), dim=0)
    of_others, backward_of_others = op(np.array([1.0, 2.0]), dim=0)
    np.testing.assert_array_equal(output, np.insert(of_others, 1, of_masked))
    grad, grad_of_others = backward(np.array([1.0, 0.0, 5.0]))[0], backward_of_others(np.array([1.0, 5.0]))[0]
    np.testing.assert_allclose(grad, np.insert(grad_of_others, 1, 0), rtol=1e-15)


def test_nan_spreads_along_its_axis_alone():
    x = np.array([[0.0, np.nan], [0.0, 0.0]])
    np.testing.assert_array_equal(manual.softmax(x, dim=1)[0], [[np.nan, np.nan], [0.5, 0.5]])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim", "allowed"), [((2, 3), 2, "[-2, 1]"), ((2, 3), -3, "[-2, 1]"), ((), 1, "[-1, 0]")])
def test_a_dim_out_of_range_is_refused_as_in_torch(name, shape, dim, allowed):
    message = f"{name}: dim must lie in {allowed} for an input of shape {shape}, got {dim}"
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(manual, name)(np.zeros(shape), dim=dim)
    with pytest.raises(IndexError):
        forward(OPERATIONS[name].torch, (np.zeros(shape),), {"dim": dim})


def test_softmin_is_softmax_of_the_negative():
    x = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_array_equal(manual.softmin(x, dim=0)[0], manual.softmax(-x, dim=0)[0])


@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 2, 3, 4, 5)])
def test_softmax2d_refuses_what_is_no_image(shape):
    with pytest.raises(ValueError, match=r"Softmax2d: expected an input \(N, C, H, W\)"):
        manual.Softmax2d()(np.zeros(shape))


def test_gumbel_softmax_draws_as_torch_does():
    """Each class is drawn as often as its probability says, on both sides."""
    p = np.array([0.1, 0.2, 0.7])
    logits = np.broadcast_to(np.log(p), (100_000, 3))
    ours, _ = manual.gumbel_softmax(logits, hard=True, generator=np.random.default_rng(0))
    torch.manual_seed(0)
    theirs = F.gumbel_softmax(torch.tensor(logits), hard=True).numpy()
    for drawn in (ours, theirs):
        np.testing.assert_allclose(drawn.mean(axis=0), p, atol=0.005)


def test_gumbel_softmax_is_straight_through():
    generator = np.random.default_rng(1)
    x, noise, g = generator.standard_normal((3, 4, 5))
    soft, soft_backward = manual.gumbel_softmax(x, noise=noise, tau=0.7)
    hard, hard_backward = manual.gumbel_softmax(x, noise=noise, tau=0.7, hard=True)
    np.testing.assert_array_equal(hard, soft == soft.max(axis=1, keepdims=True))
    np.testing.assert_array_equal(hard_backward(g)[0], soft_backward(g)[0])


@pytest.mark.parametrize("hard", [False, True])
def test_nan_among_the_scores_is_seen(hard):
    """In its row, and there alone, all entries are NaN, in torch too."""
    x = np.array([[0.0, np.nan, 1.0], [0.0, 1.0, 2.0]])
    output, backward = manual.gumbel_softmax(x, hard=hard, noise=np.zeros((2, 3)))
    grad = backward(np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]))[0]
    for result in (output, grad, F.gumbel_softmax(torch.tensor(x), hard=hard).numpy()):
        np.testing.assert_array_equal(np.isnan(result), [[True] * 3, [False] * 3])


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("of_input", [np.float32, np.float64])
@pytest.mark.parametrize("asked", [np.float32, "float64", float, None])
def test_dtype_casts_first(name, of_input, asked):
    """The output has the dtype that was asked for, the gradient that of the input; both as in torch."""
    x, g = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(of_input)
    output, backward = getattr(manual, name)(x, dim=1, dtype=asked)
    to_torch = None if asked is None else getattr(torch, np.dtype(asked).name)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = getattr(F, name)(tensor, dim=1, dtype=to_torch)
    g = g.astype(output.dtype)
    theirs.backward(torch.tensor(g))
    (grad,) = backward(g)
    room = 8 * max(np.finfo(x.dtype).eps, np.finfo(g.dtype).eps)
    for ours, expected in ((output, theirs.detach().numpy()), (grad, tensor.grad.numpy())):
        assert ours.dtype == expected.dtype
        np.testing.assert_allclose(ours, expected, rtol=room, atol=room / 8)
    assert backward(g, (False,)) == (None,)


def test_what_float32_cannot_hold_is_infinite_there():
    np.testing.assert_array_equal(manual.log_softmax(np.array([-1e300, 0.0]), dim=0, dtype=np.float32)[0], [-np.inf, 0])


def test_gumbel_softmax_draws_anew_in_the_dtype_of_the_logits():
    x = np.zeros((2, 3), np.float32)
    first, second = manual.gumbel_softmax(x)[0], manual.gumbel_softmax(x)[0]
    assert first.dtype == np.float32
    assert (first != second).all()


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"tau": 0.0}, "gumbel_softmax: tau must be a number other than 0"),
        ({"dim": 2}, "gumbel_softmax: dim must lie in"),
        ({"noise": np.zeros(3)}, r"gumbel_softmax: noise must have shape \(2, 3\), got \(3,\)"),
    ],
)
def test_a_gumbel_softmax_without_sense_is_refused(constants, message):
    with pytest.raises(ValueError, match=message):
        manual.gumbel_softmax(np.zeros((2, 3)), **constants)
