"""The initial values: torch's distributions, from a Generator of one's own."""

import math

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
