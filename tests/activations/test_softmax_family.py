"""Softmin, Softmax2d and gumbel_softmax: known values, noise, errors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import manual


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


def test_gumbel_softmax_draws_anew_in_the_dtype_of_the_logits():
    x = np.zeros((2, 3), np.float32)
    first, second = manual.gumbel_softmax(x)[0], manual.gumbel_softmax(x)[0]
    assert first.dtype == np.float32
    assert (first != second).all()


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"tau": 0.0}, "gumbel_softmax: tau must not be 0"),
        ({"dim": 2}, "gumbel_softmax: dim must lie in"),
        ({"noise": np.zeros(3)}, r"gumbel_softmax: noise must have shape \(2, 3\), got \(3,\)"),
    ],
)
def test_errors(constants, message):
    with pytest.raises(ValueError, match=message):
        manual.gumbel_softmax(np.zeros((2, 3)), **constants)
