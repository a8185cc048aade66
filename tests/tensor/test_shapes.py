"""Views are read-only, and what is refused."""

import numpy as np
import pytest

from manual import tensor

X = np.arange(6.0).reshape(2, 3)
VIEWS = {
    "reshape": {"shape": (3, 2)},
    "squeeze": {},
    "unsqueeze": {"dim": 0},
    "transpose": {"dim0": 0, "dim1": 1},
    "permute": {"dims": (1, 0)},
    "expand": {"size": (4, 2, 3)},
    "detach": {},
    "select": {"dim": 0, "index": 1},
    "narrow": {"dim": 0, "start": 0, "length": 1},
    "index": {"index": (slice(None), None, 0)},
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_cannot_be_changed(name):
    output, _ = getattr(tensor, name)(X, **VIEWS[name])
    assert np.shares_memory(output, X)
    assert not output.flags.writeable


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.reshape(X, shape=(4, -1)), "tensor.reshape: shape must hold 6 elements, with one -1 at most, got (4, -1)"),
        (lambda: tensor.reshape(X, shape=(5,)), "tensor.reshape: shape must hold 6 elements"),
        (lambda: tensor.reshape(X, shape=(-1, -1)), "tensor.reshape: shape must hold 6 elements"),
        (lambda: tensor.reshape(np.ones((0, 3)), shape=(-1, 0)), "tensor.reshape: shape must hold 0 elements"),
        (lambda: tensor.reshape(X, shape=6), "tensor.reshape: shape must be a tuple of integers, got 6"),
        (lambda: tensor.squeeze(X, dim=(0, 0)), "tensor.squeeze: dim must name each axis once"),
        (lambda: tensor.unsqueeze(X, dim=3), "tensor.unsqueeze: dim must lie in [-3, 2]"),
        (lambda: tensor.transpose(X, dim0=0, dim1=2), "tensor.transpose: dim1 must lie in [-2, 1]"),
        (lambda: tensor.permute(X, dims=(0,)), "tensor.permute: dims must name each of 2 axes, got (0,)"),
        (lambda: tensor.permute(X, dims=(0, 0)), "tensor.permute: dims must name each axis once"),
        (lambda: tensor.expand(X, size=(2, 4)), "tensor.expand: size must be that of each axis of more than one element"),
        (lambda: tensor.expand(X, size=(3,)), "tensor.expand: size must have a number for each of 2 axes"),
        (
            lambda: tensor.expand(X, size=(-1, 2, 3)),
            "tensor.expand: size must have a number for each of 2 axes, and those in front",
        ),
        (lambda: tensor.repeat(X, repeats=(2,)), "tensor.repeat: repeats must have a number for each of 2 axes, got (2,)"),
        (lambda: tensor.repeat(X, repeats=(-1, 1)), "tensor.repeat: repeats must be an integer of at least 0, got -1"),
        (lambda: tensor.flip(X, dims=(1, 1)), "tensor.flip: dims must name each axis once"),
        (lambda: tensor.roll(X, shifts=(1, 2), dims=0), "tensor.roll: shifts must be as many as dims, got (1, 2) and 0"),
        (lambda: tensor.roll(X, shifts=(1, 2)), "tensor.roll: shifts must be as many as dims"),
        (lambda: tensor.roll(np.array(1.0), shifts=1, dims=0), "tensor.roll: dims must be () for a single number, got 0"),
        (lambda: tensor.tril(X[0]), "tensor.tril: x must have at least two axes, got shape (3,)"),
        (lambda: tensor.triu(X, diagonal=0.5), "tensor.triu: diagonal must be an integer, got 0.5"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("x", [np.arange(6).reshape(2, 3), np.ones((2, 3), bool)])
def test_integers_and_truth_values_take_no_cotangent(name, x):
    output, backward = getattr(tensor, name)(x, **VIEWS[name])
    assert output.dtype == x.dtype
    assert backward(None) == (None,)
    with pytest.raises(TypeError, match=f"{name}: grad_output must be None where the output holds no numbers"):
        backward(np.ones(output.shape))
