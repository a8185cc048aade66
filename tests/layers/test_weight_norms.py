"""Norms of weights as parametrizations: known values, beside torch over many steps, setting, removing, and what is refused."""

import copy
import re

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations, parametrize

import manual


def test_weight_normalize_by_hand():
    """v = (3, 4), g = 10: w = (6, 8). With g_w = (1, 0): grad_g = 3/5, grad_v = 2 (1 − 9/25, −12/25)."""
    output, backward = manual.weight_normalize(np.array([[10.0]]), np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(output, [[6, 8]], rtol=1e-15)
    grad_g, grad_v = backward(np.array([[1.0, 0.0]]))
    np.testing.assert_allclose(grad_g, [[0.6]], rtol=1e-15)
    np.testing.assert_allclose(grad_v, [[32 / 25, -24 / 25]], rtol=1e-15)


def test_spectral_normalize_by_hand():
    """W = diag(2, 1), u = v = (1, 0): σ = 2. A gradient along the first singular vectors is lost, as W / σ does not move there."""
    output, backward = manual.spectral_normalize(np.diag([2.0, 1.0]), *np.eye(2)[[0, 0]])
    np.testing.assert_array_equal(output, [[1, 0], [0, 0.5]])
    np.testing.assert_array_equal(backward(np.array([[3.0, 4.0], [5.0, 6.0]]))[0], [[-1.5, 2], [2.5, 3]])


def test_a_direction_of_zeros_is_nan_and_a_weight_of_zeros_too():
    output, backward = manual.weight_normalize(np.ones((2, 1)), np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert np.isnan(output[0]).all()
    np.testing.assert_allclose(output[1], [0.6, 0.8], rtol=1e-15)
    assert np.isnan(backward(np.ones((2, 2)))[1][0]).all()
    output, backward = manual.spectral_normalize(np.zeros((2, 2)), np.ones(2), np.ones(2))
    assert np.isnan(output).all()
    assert np.isnan(backward(np.ones((2, 2)))[0]).all()


LAYERS = {
    "Linear": ((4, 3), (5, 4)),
    "Conv2d": ((4, 3, 2), (2, 4, 5, 5)),
    "ConvTranspose1d": ((4, 3, 2), (2, 4, 5)),
    "LSTM": ((4, 3), (5, 2, 4)),
}
SETTINGS = [
    ("weight_norm", {}),
    ("weight_norm", {"dim": None}),
    ("weight_norm", {"dim": 1}),
    ("spectral_norm", {}),
    ("spectral_norm", {"n_power_iterations": 3, "eps": 1e-3, "dim": 1}),
]


def pair(layer, function, settings, dtype=np.float64):
    """A layer of ours and torch's with the same weights, one of which has a norm."""
    arguments, shape = LAYERS[layer]
    name = "weight_hh_l0" if layer == "LSTM" else "weight"
    ours = getattr(manual, function)(getattr(manual, layer)(*arguments, dtype=dtype), name, **settings)
    theirs = getattr(torch.nn, layer)(*arguments, dtype=getattr(torch, np.dtype(dtype).name))
    theirs = getattr(parametrizations, function)(theirs, name, **settings)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, name, np.random.default_rng(0).standard_normal((30, *shape)).astype(dtype)


def assert_alike(ours, theirs, tolerance=1e-10):
    for key, tensor in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], tensor.numpy(), rtol=tolerance, atol=tolerance, err_msg=key)


# torch's LSTM asks for its weights more than once in a forward, and so takes more steps of spectral_norm than one
@pytest.mark.parametrize(
    ("layer", "function", "settings"),
    [(layer, *setting) for layer in LAYERS for setting in SETTINGS if layer != "LSTM" or setting[0] == "weight_norm"],
)
def test_thirty_steps_of_training_and_evaluation_as_torchs(layer, function, settings):
    ours, theirs, name, inputs = pair(layer, function, settings)
    sgd, theirs_sgd = manual.SGD(ours.parameters(), lr=0.05), torch.optim.SGD(theirs.parameters(), lr=0.05)
    for i, x in enumerate(inputs):
        training = i % 5 < 4
        output, backward = ours.train(training)(x)
        expected = theirs.train(training)(torch.tensor(x))
        output, expected = (each[0] if layer == "LSTM" else each for each in (output, expected))
        np.testing.assert_allclose(output, expected.detach().numpy(), rtol=1e-10, atol=1e-10)
        ours.zero_grad()
        theirs_sgd.zero_grad()
        grad = np.cos(np.arange(output.size)).reshape(output.shape)
        backward((grad, None) if layer == "LSTM" else grad)
        expected.backward(torch.tensor(grad))
        sgd.step()
        theirs_sgd.step()
        assert_alike(ours, theirs)
    for module, remove in ((ours, manual.remove_parametrizations), (theirs, parametrize.remove_parametrizations)):
        remove(module, name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_alike(ours, theirs)
    assert type(ours) is getattr(manual, layer)


def test_used_twice_gradients_add_up():
    layer = manual.weight_norm(manual.Linear(3, 3))
    x = np.random.default_rng(0).standard_normal((2, 3))
    hidden, first = layer(x)
    output, second = layer(hidden)
    (grad,) = second(np.ones_like(output))
    first(grad)
    namesake = parametrizations.weight_norm(torch.nn.Linear(3, 3).double())
    namesake.load_state_dict({key: torch.tensor(value) for key, value in layer.state_dict().items()})
    namesake(namesake(torch.tensor(x))).sum().backward()
    for name, parameter in namesake.named_parameters():
        np.testing.assert_allclose(layer.get_parameter(name).grad, parameter.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_single_precision_stays_single():
    for function in ("weight_norm", "spectral_norm"):
        ours, theirs, _, inputs = pair("Linear", function, {}, np.float32)
        output, backward = ours(inputs[0])
        backward(np.ones_like(output))
        theirs(torch.tensor(inputs[0])).sum().backward()
        assert_alike(ours, theirs, 1e-5)
        assert {output.dtype, *(p.grad.dtype for p in ours.parameters()), *(b.dtype for b in ours.buffers())} == {np.dtype("f4")}
        assert {array.dtype for array in ours.double().state_dict().values()} == {np.dtype("f8")}


def test_frozen_originals_have_no_gradient_and_their_weight_no_work():
    layer = manual.weight_norm(manual.Linear(3, 2))
    layer.parametrizations["weight"].requires_grad_(False)
    assert not layer.weight.requires_grad
    output, backward = layer(np.ones((2, 3)))
    backward(np.ones_like(output))
    assert [name for name, p in layer.named_parameters() if p.grad is not None] == ["bias"]
    assert layer.learns()


def test_a_sparse_gradient_is_carried_back_whole():
    layer = manual.weight_norm(manual.Embedding(5, 2, sparse=True))
    _, backward = layer(np.array([1, 3, 1]))
    backward(np.array([[1.0, 2], [3, 4], [5, 6]]))
    dense = manual.weight_norm(manual.Embedding(5, 2))
    dense.load_state_dict(layer.state_dict())
    dense(np.array([1, 3, 1]))[1](np.array([[1.0, 2], [3, 4], [5, 6]]))
    for one, other in zip(layer.parameters(), dense.parameters(), strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)


def test_spectral_norm_finds_the_largest_singular_value():
    linear = manual.Linear(20, 30, generator=np.random.default_rng(1))
    layer = manual.spectral_norm(linear, n_power_iterations=1000, generator=np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(layer.weight.data, 2), 1, rtol=1e-6)
    before = {key: array.copy() for key, array in layer.eval().state_dict().items()}
    assert layer.weight.data is not layer.weight.data  # computed anew
    np.testing.assert_array_equal(layer.weight.data, layer.weight.data)
    assert all(np.array_equal(before[key], array) for key, array in layer.state_dict().items())


def test_a_generator_makes_the_first_directions_repeatable():
    weight = np.random.default_rng(0).standard_normal((3, 4))
    first, second, other = (manual.Linear(4, 3) for _ in range(3))
    for layer, seed in ((first, 7), (second, 7), (other, 8)):
        layer.weight.data[...] = weight
        manual.spectral_norm(layer, generator=np.random.default_rng(seed))
    assert all(map(np.array_equal, first.buffers(), second.buffers()))
    assert not any(map(np.array_equal, first.buffers(), other.buffers()))


@pytest.mark.parametrize("training", [True, False])
def test_a_backward_keeps_its_own_vectors(training):
    """A later forward in training mode turns u and v; the backward of the first one still is that of the first."""
    layer = manual.spectral_norm(manual.Linear(4, 3)).train(training)
    x, grad = np.random.default_rng(0).standard_normal((2, 5, 4)), np.ones((5, 3))
    _, backward = layer(x[0])
    backward(grad)
    first = [p.grad for p in layer.parameters()]
    layer.train()(x[1])
    layer.zero_grad()
    backward(grad)
    for before, parameter in zip(first, layer.parameters(), strict=True):
        np.testing.assert_array_equal(before, parameter.grad)


# -- Setting and removing


def test_the_original_stays_the_parameter_that_optimizers_know():
    layer = manual.Linear(3, 2)
    weight, start = layer.weight, layer.weight.data.copy()
    manual.spectral_norm(layer)
    assert layer.parametrizations["weight"].original is weight
    assert manual.is_parametrized(layer)
    assert manual.is_parametrized(layer, "weight")
    assert not manual.is_parametrized(layer, "bias")
    assert type(layer).__name__ == "ParametrizedLinear"
    assert isinstance(layer, manual.Linear)
    normed = layer.eval().weight.data
    assert manual.remove_parametrizations(layer, "weight") is layer
    assert layer.weight is weight
    np.testing.assert_array_equal(weight.data, normed)
    assert not manual.is_parametrized(layer)
    assert vars(layer).keys() == vars(manual.Linear(3, 2)).keys() | {"training"}
    manual.remove_parametrizations(manual.spectral_norm(layer), "weight", leave_parametrized=False)
    assert layer.weight is weight
    np.testing.assert_array_equal(weight.data, normed)
    assert not np.allclose(normed, start)


def test_the_array_that_was_the_weight_is_left_alone():
    layer = manual.Linear(3, 2)
    before = layer.weight.data
    manual.weight_norm(layer)
    before[...] = 0
    assert layer.weight.data.all()


def test_two_parameters_and_one_removed():
    layer = manual.weight_norm(manual.weight_norm(manual.Linear(3, 2)), "bias", None)
    manual.remove_parametrizations(layer, "weight")
    assert manual.is_parametrized(layer, "bias")
    assert list(layer.state_dict()) == ["weight", "parametrizations.bias.original0", "parametrizations.bias.original1"]
    assert type(manual.remove_parametrizations(layer, "bias")) is manual.Linear


def test_assigning_goes_through_the_right_inverse():
    layer = manual.weight_norm(manual.Linear(2, 2))
    new = np.array([[3.0, 4.0], [6.0, 8.0]])
    layer.weight = new
    np.testing.assert_allclose(layer.weight.data, new, rtol=1e-15)
    np.testing.assert_allclose(layer.parametrizations["weight"].original0.data, [[5], [10]], rtol=1e-15)
    layer.parametrizations["weight"].original1.data[...] = 1
    np.testing.assert_array_equal(new, [[3, 4], [6, 8]])
    with pytest.raises(ValueError, match=re.escape("shape (2, 2) and dtype float64, got (3, 2) and float64")):
        layer.weight = np.ones((3, 2))
    with pytest.raises(TypeError, match="takes a NumPy array, got Parameter"):
        layer.weight = manual.Parameter(new)
    layer.other = 3
    assert layer.other == 3
    with pytest.raises(AttributeError, match="absent"):
        layer.absent  # noqa: B018


def test_a_copy_is_a_module_of_its_own():
    layer = manual.weight_norm(manual.Linear(3, 2))
    twin = copy.deepcopy(layer)
    twin.parametrizations["weight"].original0.data *= 2
    np.testing.assert_allclose(twin.weight.data, 2 * layer.weight.data, rtol=1e-15)


class Doubled(manual.Module):
    """A parametrization without an inverse."""

    def forward(self, weight):
        return 2 * weight, lambda grad_output, needs=None: (2 * grad_output,)


def test_a_parametrization_of_ones_own():
    layer = manual.register_parametrization(manual.Linear(3, 2).eval(), "weight", doubled := Doubled())
    assert not doubled.training
    original = layer.parametrizations["weight"].original
    np.testing.assert_array_equal(layer.weight.data, 2 * original.data)
    manual.register_parametrization(layer, "weight", second := Doubled())
    assert not second.training
    np.testing.assert_array_equal(layer.weight.data, 4 * original.data)
    x = np.random.default_rng(0).standard_normal((4, 3))
    output, backward = layer(x)
    backward(np.ones_like(output))
    np.testing.assert_allclose(original.grad, 4 * np.ones((2, 4)) @ x, rtol=1e-14)


class Longer(manual.Module):
    def forward(self, weight):
        return np.concatenate([weight, weight]), None


class WithoutBackward(Longer):
    def forward(self, weight):
        return np.concatenate([weight, weight]), lambda grad_output, needs=None: (grad_output,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: manual.weight_norm(3), "weight_norm: module must be a Module, got int"),
        (lambda: manual.weight_norm(manual.Linear(2, 2), "weights"), "weight_norm: Linear has no parameter 'weights'"),
        (
            lambda: manual.weight_norm(manual.BatchNorm1d(2), "running_mean"),
            "weight_norm: BatchNorm1d has no parameter 'running_mean'",
        ),
        (lambda: manual.weight_norm(manual.Linear(2, 2, bias=False), "bias"), "weight_norm: Linear has no parameter 'bias'"),
        (lambda: manual.weight_norm(manual.LazyLinear(2)), "weight_norm: weight must have a shape, got an UninitializedParameter"),
        (lambda: manual.weight_norm(manual.Linear(2, 2), dim=2), "weight_norm: dim must lie in [-2, 1]"),
        (lambda: manual.spectral_norm(manual.Linear(2, 2), dim=2), "spectral_norm: dim must lie in [-2, 1]"),
        (lambda: manual.spectral_norm(manual.ConvTranspose1d(2, 2, 1), "bias"), "spectral_norm: dim must lie in [-1, 0]"),
        (
            lambda: manual.spectral_norm(manual.ParameterList([np.array(1.0)]), "0"),
            "spectral_norm: 0 must have an axis, got shape ()",
        ),
        (lambda: manual.spectral_norm(manual.Linear(2, 2), eps=-1), "spectral_norm: eps must be a number of at least 0, got -1"),
        (
            lambda: manual.spectral_norm(manual.Linear(2, 2), n_power_iterations=0),
            "spectral_norm: n_power_iterations must be an integer of at least 1, got 0",
        ),
        (
            lambda: manual.spectral_norm(manual.Linear(2, 2), generator=1),
            "spectral_norm: generator must be a numpy.random.Generator",
        ),
        (
            lambda: manual.register_parametrization(manual.Linear(2, 2), "weight", np.exp),
            "register_parametrization: parametrization must be a Module, got ufunc",
        ),
        (
            lambda: manual.register_parametrization(manual.Linear(2, 2), "weight", WithoutBackward()),
            "a parametrization must keep the parameter's shape (2, 2) and dtype float64, got (4, 2) and float64",
        ),
        (
            lambda: manual.remove_parametrizations(manual.Linear(2, 2), "weight"),
            "remove_parametrizations: Linear has no parametrized 'weight'",
        ),
        (
            lambda: manual.remove_parametrizations(manual.weight_norm(manual.Linear(2, 2)), "bias"),
            "remove_parametrizations: ParametrizedLinear has no parametrized 'bias'",
        ),
        (
            lambda: manual.remove_parametrizations(manual.weight_norm(manual.Linear(2, 2)), "weight", leave_parametrized=False),
            "remove_parametrizations: leave_parametrized must be True where weight is made of several parameters, got False",
        ),
        (
            lambda: manual.spectral_normalize(np.ones(3), np.ones(3), np.ones(1)),
            "spectral_normalize: weight must have at least 2 axes, got shape (3,)",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        call()


def test_a_refused_parametrization_leaves_the_module_as_it_was():
    layer = manual.Linear(2, 2)
    weight = layer.weight
    for wrong in (WithoutBackward(), Longer()):
        with pytest.raises((TypeError, ValueError)):
            manual.register_parametrization(layer, "weight", wrong)
        assert layer.weight is weight
        assert type(layer) is manual.Linear
    manual.spectral_norm(layer)
    with pytest.raises(ValueError, match="a parametrization must keep"):
        manual.register_parametrization(layer, "weight", WithoutBackward())
    assert len(layer.parametrizations["weight"]) == 1
