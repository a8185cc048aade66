"""Layer, group and RMS norm: known values, relations among them, constant samples, NaN, parts, and what is refused."""

import re

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


def test_layer_norm_by_hand():
    """Mean 1.5 and σ = 1.5, so x̂ = ∓1; with g = (1, 0, 0, 0), mean(g) = ¼ and mean(g x̂) = −¼."""
    output, backward = manual.layer_norm(np.array([[0.0, 0.0, 3.0, 3.0]]), normalized_shape=(4,), eps=0.0)
    np.testing.assert_array_equal(output, [[-1, -1, 1, 1]])
    (grad, *_) = backward(np.array([[1.0, 0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(grad, [[1 / 3, -1 / 3, 0, 0]], rtol=1e-15, atol=1e-16)


def test_rms_norm_by_hand():
    """The root mean square of (1, 7) is 5; with g = (1, 0), mean(g x̂) = 1/10."""
    output, backward = manual.rms_norm(np.array([[1.0, 7.0]]), np.array([2.0, 3.0]), normalized_shape=(2,), eps=0.0)
    np.testing.assert_allclose(output, [[2 / 5, 21 / 5]], rtol=1e-15)
    grad, grad_weight = backward(np.array([[0.5, 0.0]]))
    np.testing.assert_allclose(grad, [[(1 - 1 / 50) / 5, -7 / 250]], rtol=1e-15)
    np.testing.assert_allclose(grad_weight, [1 / 10, 0], rtol=1e-15)


def test_group_norm_by_hand():
    """Channels 0 and 1 are one group, of mean 1.5 and σ = 1.5; channels 2 and 3 another, of mean 15 and σ = 5."""
    x = np.array([[[0.0, 3.0], [3.0, 0.0], [10.0, 20.0], [10.0, 20.0]]])
    weight, bias = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.0, 10.0, 20.0])
    output, backward = manual.group_norm(x, weight, bias, num_groups=2, eps=0.0)
    np.testing.assert_array_equal(output, [[[-1, 1], [2, -2], [7, 13], [16, 24]]])
    _, grad_weight, grad_bias = backward(np.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]]))
    np.testing.assert_array_equal(grad_weight, [1, -1, 1, 1])
    np.testing.assert_array_equal(grad_bias, [3, 7, 11, 15])


@pytest.mark.parametrize("op", ["layer_norm", "group_norm", "batch_norm", "instance_norm"])
def test_where_all_numbers_are_the_same_the_gradient_is_without_its_mean(op, dtype):
    """The variance is 0, and grad_x = (g − mean(g)) / √eps."""
    x, g = np.full((1, 2, 4), 0.1, dtype), np.random.default_rng(0).standard_normal((1, 2, 4)).astype(dtype)
    calls = {
        "layer_norm": lambda: manual.layer_norm(x, normalized_shape=(4,), eps=0.25),
        "group_norm": lambda: manual.group_norm(x, num_groups=2, eps=0.25),
        "batch_norm": lambda: manual.batch_norm(x, None, None, training=True, eps=0.25),
        "instance_norm": lambda: manual.instance_norm(x, eps=0.25),
    }
    output, backward = calls[op]()
    np.testing.assert_array_equal(output, np.zeros_like(x))
    expected = (g.astype(float) - g.astype(float).mean(axis=-1, keepdims=True)) / 0.5
    np.testing.assert_allclose(backward(g)[0], expected, rtol=1e-5 if dtype == "float32" else 1e-14)


samples = arrays(float, array_shapes(min_dims=3, max_dims=5, min_side=1, max_side=4), elements=st.integers(-99, 99).map(float))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(x=samples)
def test_norms_of_the_same_groups_are_the_same(x):
    """One group is a layer, a group for each channel an instance, and an instance is a batch of one; NumPy agrees."""
    rest = tuple(range(2, x.ndim))
    values, g = x[0, 0].size, np.sin(np.arange(x.size, dtype=float)).reshape(x.shape)

    def same(one, other, axes):
        (output, backward), (expected, backward_expected) = one, other
        np.testing.assert_allclose(output, expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(backward(g)[0], backward_expected(g)[0], rtol=1e-12, atol=1e-12)
        by_name = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(output, by_name, rtol=1e-11, atol=1e-11)

    if x.size > 1:
        one_group = manual.group_norm(x, num_groups=1)
        same(one_group, manual.layer_norm(x, normalized_shape=x.shape[1:]), (1, *rest))
    if values > 1:
        instances = manual.instance_norm(x)
        same(instances, manual.group_norm(x, num_groups=x.shape[1]), rest)
        alone = [manual.batch_norm(sample[None], None, None, training=True) for sample in x]

        def backward(g):
            return (np.concatenate([each(part[None])[0] for (_, each), part in zip(alone, g, strict=True)]),)

        same(instances, (np.concatenate([output for output, _ in alone]), backward), rest)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(x=samples, shift=st.integers(-1000, 1000))
def test_a_shift_changes_nothing(x, shift):
    """So the gradient along it is 0."""
    size, g = x.shape[-1], np.sin(np.arange(x.size, dtype=float)).reshape(x.shape)
    output, backward = manual.layer_norm(x, normalized_shape=(size,))
    np.testing.assert_allclose(manual.layer_norm(x + shift, normalized_shape=(size,))[0], output, rtol=1e-9, atol=1e-9)
    (grad, *_) = backward(g)
    room = 1e-14 * (np.abs(grad).sum(axis=-1) + 1 / np.sqrt(x.var(axis=-1) + 1e-5))
    assert (np.abs(grad.sum(axis=-1)) <= room).all()


def test_far_from_zero(dtype):
    """A million times the spread in float64, a thousand times in float32: as if the numbers were not far at all."""
    x = np.arange(64.0) % 7 / 8  # with so few digits that the sum is exact
    far = (x + (1024.0 if dtype == "float32" else 2.0**20)).astype(dtype)
    output, backward = manual.layer_norm(far, normalized_shape=(64,))
    near, backward_near = manual.layer_norm(x.astype(dtype), normalized_shape=(64,))
    g = np.random.default_rng(0).standard_normal(64).astype(dtype)
    room = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(output, near, rtol=room, atol=room)
    np.testing.assert_allclose(backward(g)[0], backward_near(g)[0], rtol=room, atol=8 * room)


def test_nan_stays_in_its_group():
    x = np.arange(24.0).reshape(2, 4, 3)
    x[0, 1, 2] = np.nan
    np.testing.assert_array_equal(np.isnan(manual.layer_norm(x, normalized_shape=(3,))[0]).any(axis=2), [[0, 1, 0, 0], [0] * 4])
    np.testing.assert_array_equal(np.isnan(manual.rms_norm(x, normalized_shape=(3,))[0]).any(axis=2), [[0, 1, 0, 0], [0] * 4])
    np.testing.assert_array_equal(np.isnan(manual.group_norm(x, num_groups=2)[0]).any(axis=2), [[1, 1, 0, 0], [0] * 4])


@pytest.mark.parametrize("module", [manual.LayerNorm(3), manual.RMSNorm(3), manual.GroupNorm(1, 3)])
def test_weights_start_from_1_and_biases_from_0(module):
    np.testing.assert_array_equal(module.weight.data, np.ones(3))
    assert module.bias is None or not module.bias.data.any()


NORMS = {
    "layer_norm": lambda x, w, b: manual.layer_norm(x, w, b, normalized_shape=w.shape),
    "rms_norm": lambda x, w, b: manual.rms_norm(x, w, normalized_shape=w.shape),
    "group_norm": lambda x, w, b: manual.group_norm(x, w, b, num_groups=2),
    "batch_norm": lambda x, w, b: manual.batch_norm(x, None, None, w, b, training=True),
    "batch_norm, evaluation": lambda x, w, b: manual.batch_norm(x, b, w**2, w, b),
    "instance_norm": lambda x, w, b: manual.instance_norm(x, None, None, w, b),
    "local_response_norm": lambda x, w, b: manual.local_response_norm(x, size=3, alpha=0.5),
    "normalize": lambda x, w, b: manual.normalize(x),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.usefixtures("threads")
def test_parts_are_as_the_whole(norm, request):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 5, 4, 4)) if norm in ("layer_norm", "rms_norm") else rng.standard_normal((2, 5, 4, 3))
    w, b = rng.standard_normal((2, 4))
    output, backward = NORMS[norm](x, w, b)
    whole = [output, *backward(g)]
    request.getfixturevalue("small_parts")
    output, backward = NORMS[norm](x, w, b)
    for got, expected in zip([output, *backward(g)], whole, strict=True):
        assert (got is None) == (expected is None)
        if got is not None:
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    only = backward(g, (False,) * (len(whole) - 2) + (True,))
    assert [grad is None for grad in only[:-1]] == [True] * (len(whole) - 2)


_last = "normalized_shape must be the shape of the last axes of x, "


@pytest.mark.parametrize(
    ("name", "shapes", "constants", "message"),
    [
        ("layer_norm", [(2, 3)], {"normalized_shape": (2,)}, _last + "(2, 3), got (2,)"),
        ("layer_norm", [(3,)], {"normalized_shape": (2, 3)}, _last + "(3,), got (2, 3)"),
        ("layer_norm", [()], {"normalized_shape": (1,)}, _last + "(), got (1,)"),
        ("layer_norm", [(2, 3)], {"normalized_shape": ()}, "normalized_shape must have at least one axis, got ()"),
        ("layer_norm", [(2, 3)], {"normalized_shape": 3}, "normalized_shape must be a tuple of integers, got 3"),
        ("layer_norm", [(2, 3), (1,)], {"normalized_shape": (3,)}, "weight must have shape (3,), got (1,)"),
        ("layer_norm", [(2, 3), (3,), (2, 3)], {"normalized_shape": (3,)}, "bias must have shape (3,), got (2, 3)"),
        ("rms_norm", [(2, 3)], {"normalized_shape": (2,)}, _last + "(2, 3), got (2,)"),
        ("rms_norm", [(2, 3)], {"normalized_shape": []}, "normalized_shape must have at least one axis, got []"),
        ("rms_norm", [(2, 3), (1, 3)], {"normalized_shape": (3,)}, "weight must have shape (3,), got (1, 3)"),
        ("group_norm", [(4,)], {"num_groups": 2}, "x must have shape (N, C, ...), got (4,)"),
        ("group_norm", [(2, 4)], {"num_groups": 3}, "num_groups must divide the number of channels, 4, got 3"),
        ("group_norm", [(2, 4)], {"num_groups": 0}, "num_groups must be an integer of at least 1, got 0"),
        ("group_norm", [(1, 4)], {"num_groups": 4}, "x must have more than one value in each group, got (1, 4) and 4 groups"),
        ("group_norm", [(2, 4), (2,)], {"num_groups": 2}, "weight must have shape (4,), got (2,)"),
        ("group_norm", [(2, 4), (4,), (1,)], {"num_groups": 2}, "bias must have shape (4,), got (1,)"),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(name, shapes, constants, message):
    given_arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises((TypeError, ValueError), match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*given_arrays, **constants)
    with pytest.raises((RuntimeError, TypeError, ValueError, ZeroDivisionError)):
        forward(OPERATIONS[name].torch, given_arrays, constants)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "group_norm"])
def test_an_eps_below_0_is_refused(name):
    constants = {"num_groups": 1} if name == "group_norm" else {"normalized_shape": (3,)}
    with pytest.raises(ValueError, match=f"{name}: eps must be a number of at least 0, got -0.5"):
        getattr(manual, name)(np.ones((2, 3)), eps=-0.5, **constants)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: manual.LayerNorm(-1), "LayerNorm: normalized_shape must be an integer of at least 0, got -1"),
        (lambda: manual.LayerNorm(()), "LayerNorm: normalized_shape must have at least one axis"),
        (lambda: manual.LayerNorm(3, -1.0), "LayerNorm: eps must be a number of at least 0"),
        (lambda: manual.LayerNorm(3, bias=1), "LayerNorm: bias must be True or False"),
        (lambda: manual.LayerNorm(3, dtype=int), "LayerNorm: dtype must be np.float32 or np.float64"),
        (lambda: manual.RMSNorm(2.5), "RMSNorm: normalized_shape must be an integer of at least 0, got 2.5"),
        (lambda: manual.RMSNorm(3, "a"), "RMSNorm: eps must be a number of at least 0"),
        (lambda: manual.RMSNorm(3, elementwise_affine=None), "RMSNorm: elementwise_affine must be True or False"),
        (lambda: manual.GroupNorm(3, 4), "GroupNorm: num_groups must divide num_channels, 4, got 3"),
        (lambda: manual.GroupNorm(0, 4), "GroupNorm: num_groups must be an integer of at least 1, got 0"),
        (lambda: manual.GroupNorm(1, -1), "GroupNorm: num_channels must be an integer of at least 0, got -1"),
        (lambda: manual.GroupNorm(1, 4, affine=0), "GroupNorm: affine must be True or False"),
    ],
)
def test_constructors_refuse(build, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        build()


def test_without_eps_it_is_that_of_the_dtype(dtype):
    x = np.full((1, 2), 1e-4, dtype)
    output, _ = manual.rms_norm(x, normalized_shape=(2,))
    theirs = F.rms_norm(torch.tensor(x), (2,))
    np.testing.assert_allclose(output, theirs, rtol=1e-6)
    assert 0.2 < output[0, 0] < 0.3 or dtype == "float64"
