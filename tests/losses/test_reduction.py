"""What all losses share: none, mean and sum, and the gradient that a scalar takes."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

LOSSES = ("mse_loss", "l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "nll_loss", "cross_entropy")


def arguments(name, samples, dtype=float):
    """A prediction and a target of this many samples."""
    x = np.random.default_rng(5).uniform(0.1, 0.9, (samples, 3)).astype(dtype)
    return (x, np.arange(samples) % 3) if name in ("nll_loss", "cross_entropy") else (x, x[:, ::-1].copy())


@pytest.mark.parametrize("name", LOSSES)
def test_the_reductions_of_the_same_losses(name):
    loss = getattr(manual, name)
    none, total, mean = (loss(*arguments(name, 4), reduction=reduction)[0] for reduction in ("none", "sum", "mean"))
    np.testing.assert_allclose(total, none.sum(), rtol=1e-15)
    np.testing.assert_allclose(mean, none.mean(), rtol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_no_samples(name):
    """The mean of nothing is NaN, its sum 0; neither leaves a gradient."""
    loss, (x, target) = getattr(manual, name), arguments(name, 0)
    for reduction, expected in (("mean", np.nan), ("sum", 0)):
        output, backward = loss(x, target, reduction=reduction)
        np.testing.assert_array_equal(output, expected)
        assert backward(1.0)[0].shape == (0, 3)
    assert loss(x, target, reduction="none")[0].size == 0


@pytest.mark.parametrize("name", LOSSES)
def test_a_plain_number_is_a_gradient_for_a_scalar_alone(name):
    loss, inputs = getattr(manual, name), arguments(name, 4, np.float32)
    _, backward = loss(*inputs)
    for number in (2, 2.0):
        np.testing.assert_array_equal(backward(number)[0], backward(np.float32(2))[0], strict=True)
    _, backward = loss(*inputs, reduction="none")
    with pytest.raises(TypeError, match=rf"{name}: grad_output must be a NumPy array of shape \(4.*\), got float"):
        backward(1.0)


@pytest.mark.parametrize("reduction", ["average", "Mean", None])
@pytest.mark.parametrize("name", LOSSES)
def test_an_unknown_reduction_is_refused_as_in_torch(name, reduction):
    message = f"{name}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(manual, name)(*arguments(name, 4), reduction=reduction)
    with pytest.raises(ValueError, match="is not a valid value for reduction"):
        forward(OPERATIONS[name].torch, arguments(name, 4), {"reduction": reduction})
