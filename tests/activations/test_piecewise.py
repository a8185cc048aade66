"""ReLU, its leaky forms and threshold: known values, kinks, limits, noise, errors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import manual
from manual.activations.piecewise import slopes
from tests.activations.known import assert_known, assert_limits

X = [-4.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 7.0]


@pytest.mark.parametrize(
    ("name", "constants", "values", "slopes"),
    [
        ("relu", {}, [0, 0, 0, 0, 0, 0.5, 1, 3, 7], [0] * 5 + [1] * 4),
        ("leaky_relu", {"negative_slope": 0.5}, [-2, -1.5, -0.5, -0.25, 0, 0.5, 1, 3, 7], [0.5] * 5 + [1] * 4),
        ("rrelu", {"lower": 0.25, "upper": 0.75}, [-2, -1.5, -0.5, -0.25, 0, 0.5, 1, 3, 7], [0.5] * 5 + [1] * 4),
        ("threshold", {"threshold": 0.5, "value": 9}, [9, 9, 9, 9, 9, 9, 1, 3, 7], [0] * 6 + [1] * 3),
    ],
)
def test_known_values_and_kinks(name, constants, values, slopes, dtype):
    assert_known(name, constants, X, values, slopes, dtype)


@pytest.mark.parametrize(
    ("name", "constants", "values", "slopes"),
    [
        ("relu", {}, [np.inf, 0], [1, 0]),
        ("leaky_relu", {}, [np.inf, -np.inf], [1, 0.01]),
        ("leaky_relu", {"negative_slope": 0}, [np.inf, 0], [1, 0]),
        ("threshold", {"threshold": 0.5, "value": 2.0}, [np.inf, 2], [1, 0]),
    ],
)
def test_limits(name, constants, values, slopes, dtype):
    assert_limits(name, constants, values, slopes, dtype)


def test_a_threshold_or_its_value_may_be_infinite(dtype):
    assert_known("threshold", {"threshold": 0.5, "value": -np.inf}, [np.inf, -np.inf], [np.inf, -np.inf], [1, 0], dtype)
    assert_known("threshold", {"threshold": np.inf, "value": 2.0}, [np.inf, -np.inf], [2, 2], [0, 0], dtype)


def test_relu_next_to_its_kink(dtype):
    """The slope at 0 is 0, of either sign; the smallest number above it has the slope 1."""
    least = np.finfo(dtype).smallest_subnormal
    assert_known("relu", {}, [-least, -0.0, 0.0, least], [0, 0, 0, least], [0, 0, 0, 1], dtype)


def test_slopes_are_exact():
    assert slopes(np.array([2.0, -2.0], np.float32), 1e30, True).tolist() == [1.0, float(np.float32(1e30))]
    assert slopes(np.array([2.0, 0.0, -2.0], np.float32), np.inf, False).tolist() == [1.0, np.inf, np.inf]


@pytest.mark.parametrize("slope", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, slope: manual.leaky_relu(x, negative_slope=slope),
        lambda x, slope: manual.prelu(x, np.array([slope], x.dtype)),
        lambda x, slope: manual.prelu(x, np.array([0.5, slope], x.dtype)),
        lambda x, slope: manual.rrelu(x, training=True, noise=np.full_like(x, slope)),
    ],
)
def test_a_slope_that_is_not_finite_reaches_what_is_negative_alone(function, slope, dtype):
    """What is positive stays as it is, and so does its gradient."""
    x, g = np.array([[3.0, 2.0], [np.inf, -1.0]], dtype), np.array([[2.0, -1.0], [4.0, 1.0]], dtype)
    output, backward = function(x, slope)
    expected = np.array([[3.0, 2.0], [np.inf, -slope]], dtype)
    np.testing.assert_array_equal(output, expected, strict=True)
    np.testing.assert_array_equal(backward(g)[0], np.array([[2.0, -1.0], [4.0, slope]], dtype), strict=True)


def test_prelu_at_the_kink():
    output, backward = manual.prelu(np.array([0.0, -0.0]), np.array([0.25]))
    grad_x, grad_weight = backward(np.array([2.0, -4.0]))
    assert output.tolist() == [0, 0]
    assert grad_x.tolist() == [0.5, -1]
    assert grad_weight.tolist() == [0]


def test_prelu_has_a_slope_for_each_channel():
    """Channel 0 holds −1 and 2, channel 1 holds −3 and −5."""
    output, backward = manual.prelu(np.array([[-1.0, -3.0], [2.0, -5.0]]), np.array([0.25, 0.5]))
    assert output.tolist() == [[-0.25, -1.5], [2, -2.5]]
    grad_x, grad_weight = backward(np.array([[4.0, 2.0], [3.0, -1.0]]))
    assert grad_x.tolist() == [[1, 1], [3, -0.5]]
    assert grad_weight.tolist() == [-4, -1]  # −1 · 4;  −3 · 2 + −5 · −1


@pytest.mark.parametrize("training", [False, True])
def test_rrelu_draws_as_torch_does(training):
    """The slopes of negative numbers fill [lower, upper] in training, and are their mean in evaluation, on both sides."""
    x = -np.ones(100_000)
    module = manual.RReLU(0.25, 0.75, generator=np.random.default_rng(0)).train(training)
    output, backward = module(x)
    torch.manual_seed(0)
    theirs = -F.rrelu(torch.tensor(x), 0.25, 0.75, training=training).numpy()
    for drawn in (-output, theirs):
        assert drawn.min() >= 0.25
        assert drawn.max() <= 0.75
        assert drawn.mean() == pytest.approx(0.5, abs=0.003)
        assert drawn.std() == pytest.approx(0.5 / np.sqrt(12) if training else 0, abs=0.003)
    g = np.random.default_rng(1).standard_normal(x.shape)
    np.testing.assert_array_equal(backward(g)[0], -output * g)  # the slopes of the forward pass
    assert (manual.rrelu(np.ones(5), training=True)[0] == 1).all()  # fresh noise; what is positive stays


def test_prelu_module_starts_at_init():
    module = manual.PReLU(3, 0.5, dtype=np.float32)
    assert module.weight.data.dtype == np.float32
    assert module.weight.data.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: manual.prelu(x, np.ones(2)), r"prelu: weight must have shape \(1,\) or \(3,\) .* got \(2,\)"),
        (lambda x: manual.prelu(x, np.ones((1, 1))), r"prelu: weight must have shape"),
        (lambda x: manual.prelu(x[0], np.ones(3)), r"prelu: weight must have shape"),
        (lambda x: manual.rrelu(x, lower=0.5, upper=0.25), "rrelu: lower must not be above upper"),
        (lambda x: manual.rrelu(x, upper=np.inf), "rrelu: upper must be a finite number"),
        (lambda x: manual.rrelu(x, training=True, noise=np.ones(3)), r"rrelu: noise must have shape \(2, 3\), got \(3,\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((2, 3)))
