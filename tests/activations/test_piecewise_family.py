"""Leaky ReLUs, threshold and the hard activations: known values, kinks, limits, noise, errors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import manual
from manual.activations.piecewise import slopes

X = np.array([-4.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 7.0])


@pytest.mark.parametrize(
    ("op", "constants", "values", "gradients"),
    [
        ("leaky_relu", {"negative_slope": 0.5}, [-2, -1.5, -0.5, -0.25, 0, 0.5, 1, 3, 7], [0.5] * 5 + [1] * 4),
        ("rrelu", {"lower": 0.25, "upper": 0.75}, [-2, -1.5, -0.5, -0.25, 0, 0.5, 1, 3, 7], [0.5] * 5 + [1] * 4),
        ("threshold", {"threshold": 0.5, "value": 9}, [9, 9, 9, 9, 9, 9, 1, 3, 7], [0] * 6 + [1] * 3),
        ("hardtanh", {}, [-1, -1, -1, -0.5, 0, 0.5, 1, 1, 1], [0, 0, 0, 1, 1, 1, 0, 0, 0]),
        ("relu6", {}, [0, 0, 0, 0, 0, 0.5, 1, 3, 6], [0, 0, 0, 0, 0, 1, 1, 1, 0]),
        ("hardshrink", {}, [-4, -3, -1, 0, 0, 0, 1, 3, 7], [1, 1, 1, 0, 0, 0, 1, 1, 1]),
        ("softshrink", {}, [-3.5, -2.5, -0.5, 0, 0, 0, 0.5, 2.5, 6.5], [1, 1, 1, 0, 0, 0, 1, 1, 1]),
    ],
)
def test_known_values_and_kinks(op, constants, values, gradients):
    output, backward = getattr(manual, op)(X, **constants)
    np.testing.assert_array_equal(output, values)
    np.testing.assert_array_equal(backward(np.ones_like(X))[0], gradients)


def test_ramps():
    output, backward = manual.hardsigmoid(X)
    np.testing.assert_allclose(output, [0, 0, 1 / 3, 2.5 / 6, 0.5, 3.5 / 6, 2 / 3, 1, 1], rtol=1e-15)
    np.testing.assert_array_equal(backward(np.ones_like(X))[0], [0, 0, *[1 / 6] * 5, 0, 0])
    output, backward = manual.hardswish(X)
    np.testing.assert_allclose(output, X * manual.hardsigmoid(X)[0], rtol=1e-15)
    expected = [0, 0, 1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6, 1, 1]
    np.testing.assert_allclose(backward(np.ones_like(X))[0], expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("op", "constants", "values", "gradients"),
    [
        ("leaky_relu", {}, [np.inf, -np.inf], [1, 0.01]),
        ("threshold", {"threshold": 0.5, "value": -np.inf}, [np.inf, -np.inf], [1, 0]),
        ("threshold", {"threshold": np.inf, "value": 2.0}, [2, 2], [0, 0]),
        ("hardtanh", {}, [1, -1], [0, 0]),
        ("relu6", {}, [6, 0], [0, 0]),
        ("hardsigmoid", {}, [1, 0], [0, 0]),
        ("hardswish", {}, [np.inf, 0], [1, 0]),
        ("hardshrink", {}, [np.inf, -np.inf], [1, 1]),
        ("softshrink", {}, [np.inf, -np.inf], [1, 1]),
    ],
)
def test_limits_at_infinity(op, constants, values, gradients, dtype):
    output, backward = getattr(manual, op)(np.array([np.inf, -np.inf], dtype), **constants)
    np.testing.assert_array_equal(output, np.array(values, dtype))
    np.testing.assert_array_equal(backward(np.ones(2, dtype))[0], np.array(gradients, dtype))


@pytest.mark.parametrize(
    "op", ["leaky_relu", "rrelu", "threshold", "hardtanh", "relu6", "hardsigmoid", "hardswish", "hardshrink", "softshrink"]
)
def test_nan_stays(op):
    constants = {"threshold": 0.5, "value": 2.0} if op == "threshold" else {}
    assert np.isnan(getattr(manual, op)(np.array([np.nan]), **constants)[0]).all()


def test_slopes_are_exact():
    assert slopes(np.array([2.0, -2.0], np.float32), 1e30).tolist() == [1.0, float(np.float32(1e30))]


def test_prelu_at_the_kink():
    output, backward = manual.prelu(np.array([0.0, -0.0]), np.array([0.25]))
    grad_x, grad_weight = backward(np.array([1.0, 1.0]))
    assert output.tolist() == [0, 0]
    assert grad_x.tolist() == [0.25, 0.25]
    assert grad_weight.tolist() == [0.0]


@pytest.mark.parametrize("training", [False, True])
def test_rrelu_draws_as_torch_does(training):
    """The slopes of negative numbers fill [lower, upper] in training, and are their mean in evaluation, on both sides."""
    x = -np.ones(100_000)
    module = manual.RReLU(0.25, 0.75, generator=np.random.default_rng(0)).train(training)
    output, backward = module(x)
    torch.manual_seed(0)
    theirs = -F.rrelu(torch.tensor(x), 0.25, 0.75, training=training).numpy()
    for drawn in (-output, backward(np.ones_like(x))[0], theirs):
        assert drawn.min() >= 0.25
        assert drawn.max() <= 0.75
        assert drawn.mean() == pytest.approx(0.5, abs=0.003)
        assert drawn.std() == pytest.approx(0.5 / np.sqrt(12) if training else 0, abs=0.003)
    assert (manual.rrelu(np.ones(5), training=True)[0] == 1).all()  # fresh noise; what is positive stays


def test_prelu_module_starts_at_init():
    module = manual.PReLU(3, 0.5, dtype=np.float32)
    assert module.weight.data.dtype == np.float32
    assert module.weight.data.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: manual.hardtanh(x, min_val=2.0, max_val=1.0), "hardtanh: min_val must not be above max_val, got 2.0 and 1.0"),
        (lambda x: manual.Hardtanh(1.0, 1.0), "Hardtanh: max_val must be above min_val, got 1.0 and 1.0"),
        (lambda x: manual.softshrink(x, lambd=-1.0), "softshrink: lambd must be finite and not negative, got -1.0"),
        (lambda x: manual.softshrink(x, lambd=np.nan), "softshrink: lambd must be finite"),
        (lambda x: manual.prelu(x, np.ones(2)), r"prelu: weight must have shape \(1,\) or \(3,\) .* got \(2,\)"),
        (lambda x: manual.prelu(x, np.ones((1, 1))), r"prelu: weight must have shape"),
        (lambda x: manual.prelu(x[0], np.ones(3)), r"prelu: weight must have shape"),
        (lambda x: manual.rrelu(x, lower=0.5, upper=0.25), "rrelu: lower and upper must be finite, lower not above upper"),
        (lambda x: manual.rrelu(x, upper=np.inf), "rrelu: lower and upper must be finite"),
        (lambda x: manual.rrelu(x, training=True, noise=np.ones(3)), r"rrelu: noise must have shape \(2, 3\), got \(3,\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (manual.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (manual.PReLU(3), "PReLU(num_parameters=3)"),
        (manual.RReLU(0.25, 0.5), "RReLU(lower=0.25, upper=0.5)"),
        (manual.Threshold(0.1, 5), "Threshold(threshold=0.1, value=5)"),
        (manual.Hardtanh(), "Hardtanh(min_val=-1.0, max_val=1.0)"),
        (manual.Hardshrink(), "Hardshrink(0.5)"),
        (manual.Softshrink(), "Softshrink(0.5)"),
    ],
)
def test_repr(module, text):
    assert repr(module) == text
