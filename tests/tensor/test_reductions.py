"""The keyword `dtype`, and what is refused."""

import numpy as np
import pytest
import torch

from manual import tensor

X = np.arange(6.0).reshape(2, 3) + 0.25


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "cumsum", "norm"])
@pytest.mark.parametrize(("given", "asked"), [("float32", "float64"), ("float64", "float32")])
@pytest.mark.parametrize("p", [2, "nuc"])
def test_x_is_cast_first(name, given, asked, p):
    """The output has the dtype asked for, the gradient that of x; both are torch's."""
    x = X.astype(given)
    if name == "norm" and asked == "float32":  # torch refuses it as well
        with pytest.raises(ValueError, match=r"tensor\.norm: dtype must be able to hold what x holds, float64, got float32"):
            tensor.norm(x, p=p, dtype=asked)
        return
    constants = {"dim": (0, 1), "p": p} if name == "norm" else {"dim": 1}
    output, backward = getattr(tensor, name)(x, **constants, dtype=asked)
    given_to_torch = torch.tensor(x, requires_grad=True)
    theirs = getattr(torch, name)(given_to_torch, **constants, dtype=getattr(torch, asked))
    g = np.asarray(np.random.default_rng(0).standard_normal(theirs.shape), asked)
    (grad,) = backward(g)
    theirs.backward(torch.tensor(g))
    assert (output.dtype, grad.dtype) == (np.dtype(asked), np.dtype(given))
    np.testing.assert_allclose(output, theirs.detach(), rtol=1e-6)
    np.testing.assert_allclose(grad, given_to_torch.grad, rtol=1e-5)


def test_no_axes_are_all():
    """Torch's variance forgets it in its backward: there, grad_x is infinite."""
    (grad,), (of_all,) = (tensor.var(X, dim=dim)[1](1.0) for dim in ((), None))
    np.testing.assert_array_equal(grad, of_all)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.sum(X, dim=2), "tensor.sum: dim must lie in [-2, 1] for an input of shape (2, 3), got 2"),
        (lambda: tensor.sum(X, dim=(0, -2)), "tensor.sum: dim must name each axis once, got (0, -2)"),
        (lambda: tensor.prod(X, dim=(0, 1)), "tensor.prod: dim must be an integer, got (0, 1)"),
        (lambda: tensor.logsumexp(X, dim=None), "tensor.logsumexp: dim must be an integer, got None"),
        (lambda: tensor.mean(X, dtype=np.int64), "tensor.mean: dtype must"),
        (lambda: tensor.norm(X, p="two"), "tensor.norm: p must be"),
        (lambda: tensor.norm(X, p="nuc", dim=0), "tensor.norm: dim must name two axes where p is 'nuc', got 1 of them"),
        (lambda: tensor.norm(np.ones(0), p=np.inf), "tensor.norm: p must be at least 0 and finite for a norm of no numbers"),
        (lambda: tensor.norm(np.ones(0), p=-1), "tensor.norm: p must be at least 0 and finite for a norm of no numbers"),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)
