"""Calling a module is running its forward, whoever calls and whoever has patched it."""

import re

import numpy as np
import pytest

import manual


class Own(manual.Module):
    """A module of one's own, whose forward returns what it is told."""

    def __init__(self, result=None):
        self.result = result

    def forward(self, input):
        return self.result


def doubled(input):
    return 2 * input, lambda grad_output, needs=None: (2 * grad_output,)


CALLS = {"itself": lambda module, x: module(x), "in a Sequential": lambda module, x: manual.Sequential(module)(x)}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_patch_means_the_same_to_all(call, monkeypatch):
    x, layer = np.ones((1, 2)), manual.Linear(2, 2)
    monkeypatch.setattr(manual.Linear, "forward", lambda self, input: doubled(input))
    np.testing.assert_array_equal(call(layer, x)[0], 2 * x)
    layer.forward = lambda input: doubled(2 * input)
    np.testing.assert_array_equal(call(layer, x)[0], 4 * x)
    monkeypatch.undo()
    np.testing.assert_array_equal(call(layer, x)[0], 4 * x)
    del layer.forward
    np.testing.assert_array_equal(call(layer, x)[0], manual.linear(x, layer.weight.data, layer.bias.data)[0])


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("result", "got"),
    [
        (None, "NoneType"),
        (np.ones(3), "ndarray"),
        (np.ones((2, 3)), "ndarray"),  # two rows can be told apart from a pair
        ((np.ones(3),), "(ndarray)"),
        ((np.ones(3), np.ones(3)), "(ndarray, ndarray)"),
        ((np.ones(3), doubled, doubled), "(ndarray, function, function)"),
        ((), "()"),
    ],
)
def test_a_forward_without_backward_is_told_so(call, result, got):
    with pytest.raises(TypeError, match=re.escape(f"Own.forward must return (output, backward), got {got}") + "$"):
        call(Own(result), np.ones(3))


def test_an_error_within_forward_comes_out_as_it_is():
    class Failing(manual.Module):
        def forward(self, input):
            raise ValueError("too many values to unpack")

    for call in CALLS.values():
        with pytest.raises(ValueError, match=r"^too many values to unpack$"):
            call(Failing(), np.ones(3))
        with pytest.raises(TypeError, match=r"forward\(\) missing 1 required positional argument: 'target'"):
            call(manual.MSELoss(), np.ones(3))
