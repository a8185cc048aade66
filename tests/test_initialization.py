"""The initial values: torch's distributions, from a Generator of one's own."""

import math
import re

import numpy as np
import pytest
import torch
from scipy import stats

import manual

# Each layer with its fan-in and enough weights and biases to tell one distribution from another.
LAYERS = [("Linear", (50, 5000), 50), ("Bilinear", (20, 3, 5000), 20)]


def torch_layer(name, sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(torch.nn, name)(*sizes, dtype=torch.float64)


@pytest.mark.parametrize(("name", "sizes", "fan_in"), LAYERS)
def test_values_have_torchs_distribution(name, sizes, fan_in):
    """By the tests of Kolmogorov and Smirnov, with U(−1/√fan_in, 1/√fan_in) and with torch's own draw.

    5000 values, the fewest, that were drawn from bounds off by 5 % would come out at p < 0.01, the weights at 1 %.
    """
    ours, theirs = getattr(manual, name)(*sizes, generator=np.random.default_rng(0)), torch_layer(name, sizes)
    bound = 1 / math.sqrt(fan_in)
    for parameter, tensor in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert np.abs(parameter.data).max() <= bound
        values = parameter.data.ravel()
        assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.05
        assert stats.ks_2samp(values, tensor.detach().numpy().ravel()).pvalue > 0.05


@pytest.mark.parametrize(("name", "sizes", "fan_in"), LAYERS)
def test_a_generator_repeats_the_draw_in_every_dtype(name, sizes, fan_in):
    def draw(**options):
        return getattr(manual, name)(*sizes, **options).state_dict()

    first, again, single = (draw(generator=np.random.default_rng(7), dtype=dtype) for dtype in (np.float64, np.float64, np.float32))
    for key, values in first.items():
        np.testing.assert_array_equal(again[key], values, strict=True)
        np.testing.assert_array_equal(single[key], values.astype(np.float32), strict=True)
    assert not np.isin(first["bias"], first["weight"]).any()  # drawn one after the other

    generator = np.random.default_rng(7)
    for one, other in ((draw(generator=generator), draw(generator=generator)), (draw(), draw())):
        assert not np.isin(one["weight"], other["weight"]).any()


def test_no_inputs():
    """A fan-in of 0 has no bound: the bias is 0, as in torch."""
    layer = manual.Linear(0, 3)
    assert layer.weight.data.shape == (3, 0)
    np.testing.assert_array_equal(layer.bias.data, np.zeros(3))
    np.testing.assert_array_equal(layer(np.zeros((2, 0)))[0], np.zeros((2, 3)))
    with pytest.warns(UserWarning, match="zero-element"):
        np.testing.assert_array_equal(torch.nn.Linear(0, 3).bias.detach().numpy(), layer.bias.data)


@pytest.mark.parametrize(("name", "sizes"), [("Linear", (2, 2)), ("Bilinear", (2, 2, 2))])
def test_a_dtype_of_integers_is_refused_as_in_torch(name, sizes):
    """U(−1, 1) rounded to integers would be 0 throughout."""
    with pytest.raises((TypeError, ValueError), match="dtype must"):
        getattr(manual, name)(*sizes, dtype=np.int64)
    with pytest.raises(RuntimeError):
        getattr(torch.nn, name)(*sizes, dtype=torch.int64)


# -- torch.nn.init

RANDOM = {
    "uniform_": (-0.3, 0.7),
    "normal_": (0.5, 2.0),
    "trunc_normal_": (0.5, 2.0, -1.0, 3.0),
    "xavier_uniform_": (1.5,),
    "xavier_normal_": (1.5,),
    "kaiming_uniform_": (0.5, "fan_out"),
    "kaiming_normal_": (0.0, "fan_in", "relu"),
    "orthogonal_": (2.0,),
    "sparse_": (0.3, 0.5),
}
FIXED = {"constant_": (0.3,), "ones_": (), "zeros_": (), "eye_": (), "dirac_": (2,)}


def in_torch(name, shape, arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(torch.nn.init, name)(torch.full(shape, 7.0, dtype=torch.float64), *arguments).numpy()


@pytest.mark.parametrize("shape", [(80, 60), (50, 30, 4)])
@pytest.mark.parametrize("name", RANDOM)
def test_draws_have_torchs_distribution(name, shape):
    """By the test of Kolmogorov and Smirnov of 4800 numbers or more: a deviation of 4 % would come out at p < 0.001."""
    if name == "sparse_" and len(shape) > 2:
        shape = (40, 150)
    ours = getattr(manual, name)(np.full(shape, 7.0), *RANDOM[name], generator=np.random.default_rng(0))
    theirs = in_torch(name, shape, RANDOM[name])
    assert stats.ks_2samp(ours.ravel(), theirs.ravel()).pvalue > 0.01
    np.testing.assert_allclose(ours.std(), theirs.std(), rtol=0.05)


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (4, 3, 3), (6, 2, 2, 5), (2, 3, 1, 2, 3)])
@pytest.mark.parametrize("name", FIXED)
def test_fixed_values_are_torchs(name, shape):
    if (name == "eye_" and len(shape) != 2) or (name == "dirac_" and len(shape) < 3):
        with pytest.raises(ValueError, match=rf"^{name}: tensor must have .* axes, got shape \("):
            getattr(manual, name)(np.empty(shape), *FIXED[name])
        with pytest.raises(ValueError, match="dimensions"):
            in_torch(name, shape, FIXED[name])
        return
    np.testing.assert_array_equal(getattr(manual, name)(np.full(shape, 7.0), *FIXED[name]), in_torch(name, shape, FIXED[name]))


@pytest.mark.parametrize("name", RANDOM | FIXED)
def test_it_fills_in_place_and_returns(name):
    """A parameter or an array, of any strides and dtype; a generator repeats the draw."""
    arguments = (RANDOM | FIXED)[name]
    shape = (4, 6, 3) if name == "dirac_" else (4, 6)
    options = {"generator": None} if name in RANDOM else {}
    first = manual.Parameter(np.full(shape, 7.0))
    array = np.full((*shape, 2), 7.0).T[1].T
    single = np.full(shape, 7.0, np.float32)
    for target in (first, array, single):
        if options:
            options = {"generator": np.random.default_rng(3)}
        assert getattr(manual, name)(target, *arguments, **options) is target
    np.testing.assert_array_equal(first.data, array)
    np.testing.assert_allclose(single, array, rtol=1e-6, atol=1e-6)
    assert (single != 7).all()
    if name in RANDOM:
        draws = [getattr(manual, name)(np.empty(shape), *arguments) for _ in range(2)]
        assert (draws[0] != draws[1]).any()


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3), (3, 4, 2), (1, 1), (0, 3)])
def test_orthogonal(shape):
    for gain in (1, 0.5):
        matrix = manual.orthogonal_(np.empty(shape), gain).reshape(shape[0], math.prod(shape[1:]))
        gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-14)


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.0, 0), (0.3, 3), (0.31, 4), (1.0, 10)])
def test_sparse_has_so_many_zeros_in_each_column(sparsity, zeros):
    matrix = manual.sparse_(np.empty((10, 50)), sparsity, generator=np.random.default_rng(0))
    assert ((matrix == 0).sum(axis=0) == zeros).all()
    assert ((matrix == 0).sum(axis=1) < 50).all() or zeros == 10  # not always the same rows


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0, 1, -2, 2),
        (1, 2, -0.5, 0.5),
        (0, 1, 3, 9),
        (0, 1, -9, -3),
        (5, 0.5, -1, 6),
        (0, 1, 30, 31),
        (0, 1, -50, -49),
        (0, 1, 2, 2),
    ],
)
def test_truncated_normal_however_far_away(mean, std, a, b):
    values = manual.trunc_normal_(np.empty(2000), mean, std, a, b, generator=np.random.default_rng(0))
    assert ((a <= values) & (values <= b)).all()
    if a < b:
        assert stats.kstest(values, stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std).cdf).pvalue > 0.01


@pytest.mark.parametrize("param", [None, 0, 0.2, -1])
def test_gains_are_torchs(param):
    for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"):
        assert manual.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param) == 1
    for name in ("tanh", "relu", "leaky_relu", "selu"):
        assert manual.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)


def test_nothing_is_filled_where_there_is_nothing():
    for name in RANDOM:
        assert getattr(manual, name)(np.empty((0, 3)), *RANDOM[name]).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: manual.uniform_(np.empty(3), 1.0, 0.0), "uniform_: a must not be above b, got 1.0 and 0.0"),
        (lambda: manual.normal_(np.empty(3), 0, -1), "normal_: std must be a finite number of at least 0, got -1"),
        (lambda: manual.trunc_normal_(np.empty(3), 0, 0), "trunc_normal_: std must be a positive number, got 0"),
        (lambda: manual.trunc_normal_(np.empty(3), 0, 1, 2, -2), "trunc_normal_: a must not be above b, got 2.0 and -2.0"),
        (lambda: manual.constant_(np.empty(3), None), "constant_: val must be a number, got None"),
        (lambda: manual.dirac_(np.empty((3, 2, 2)), 2), "dirac_: groups must divide the 3 channels of the output, got 2"),
        (lambda: manual.xavier_uniform_(np.empty(3)), "xavier_uniform_: tensor must have at least 2 axes, got shape (3,)"),
        (lambda: manual.kaiming_normal_(np.empty(3)), "kaiming_normal_: tensor must have at least 2 axes, got shape (3,)"),
        (lambda: manual.orthogonal_(np.empty(3)), "orthogonal_: tensor must have at least 2 axes, got shape (3,)"),
        (lambda: manual.sparse_(np.empty(3), 0.1), "sparse_: tensor must have 2 axes, got shape (3,)"),
        (lambda: manual.sparse_(np.empty((3, 3)), 1.1), "sparse_: sparsity must be a number from 0 to 1, got 1.1"),
        (
            lambda: manual.kaiming_uniform_(np.empty((3, 3)), 0, "fan"),
            "kaiming_uniform_: mode must be 'fan_in' or 'fan_out', got 'fan'",
        ),
        (
            lambda: manual.ones_([1.0]),
            "ones_: tensor must be a Parameter or a NumPy array of floating-point numbers, got list",
        ),
        (
            lambda: manual.zeros_(np.empty(3, int)),
            "zeros_: tensor must be a Parameter or a NumPy array of floating-point numbers, got int64",
        ),
        (lambda: manual.ones_(np.broadcast_to(np.ones(1), 3)), "ones_: tensor must not be read-only"),
        (lambda: manual.ones_(manual.UninitializedParameter()), "ones_: tensor must have a shape, got an UninitializedParameter;"),
        (lambda: manual.uniform_(np.empty(3), generator=3), "uniform_: generator must be a numpy.random.Generator or None, got 3"),
        (lambda: manual.calculate_gain("gelu"), "calculate_gain: nonlinearity must be 'linear', 'conv1d',"),
        (lambda: manual.calculate_gain("leaky_relu", True), "calculate_gain: param must be a finite number, got True"),
    ],
)
def test_what_cannot_be_filled_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        call()
