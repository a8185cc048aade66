"""Pointwise functions are right to the last digits wherever their result can be represented; losses stay finite at the extremes."""

import dataclasses

import numpy as np
import pytest

from manual.activations import gated
from manual.elementwise import elementwise
from reference import accuracy, oracle
from reference.cases import OPERATIONS

FUNCTIONS = [
    pytest.param(operation, constants, id=accuracy.call(operation, constants))
    for operation in OPERATIONS.values()
    for constants in accuracy.constants_of(operation)
]
LOSSES = [
    pytest.param(operation, id=operation.name) for operation in OPERATIONS.values() if operation.chapter.startswith("losses/")
]

every_function = pytest.mark.parametrize(("pointwise", "constants"), FUNCTIONS)


def in_pieces(function):
    """The function on 64 numbers at a time: small arrays may take another path."""

    def pieces(x, **constants):
        outputs, backwards = zip(*(function(x[start : start + 64], **constants) for start in range(0, x.size, 64)), strict=True)

        def backward(grad_output):
            grads = [
                backward(grad_output[start : start + 64])[0]
                for start, backward in zip(range(0, x.size, 64), backwards, strict=True)
            ]
            return (np.concatenate(grads),)

        return np.concatenate(outputs), backward

    return pieces


def test_a_sweep_climbs_from_its_grid(monkeypatch):
    """A GELU whose lower limit lies too low is off by 31 units between the points of the grid, and by 21 on them."""

    def gelu(x):
        return elementwise("gelu", gated._gelu, x, within=(-4.8, 14.0), beyond=gated._gelu_far)

    (complaint,) = accuracy.sweep(dataclasses.replace(OPERATIONS["gelu"], manual=gelu), (), "float64").complaints
    assert complaint.startswith("output: r = 3")
    monkeypatch.setattr(accuracy, "STEPS", ())
    assert accuracy.sweep(dataclasses.replace(OPERATIONS["gelu"], manual=gelu), (), "float64").complaints == ()


@every_function
@pytest.mark.parametrize("size", ["whole", "in pieces"])
def test_every_magnitude(pointwise, constants, dtype, size):
    function = in_pieces(pointwise.manual) if size == "in pieces" else None
    assert accuracy.sweep(pointwise, constants, dtype, function).complaints == ()


@every_function
def test_every_float16_value(pointwise, constants, dtype):
    """No NaN and no infinity where the truth is finite: where torch's value in float64 lies in the range of the dtype."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = values[np.isfinite(values)].astype(dtype)
    assert x.size == 63_488
    grad_output = np.random.default_rng(0).uniform(1, 2, x.shape).astype(dtype)
    with np.errstate(over="ignore"):  # with a negative alpha, celu does overflow
        output, backward = pointwise.manual(x, **dict(constants))
        (grad,) = backward(grad_output)
    wide = x.astype(np.float64)
    theirs = oracle.Call(pointwise.torch, (wide,), dict(constants), {"grad_0"}).results(grad_output.astype(np.float64))
    for ours, wide in ((output, theirs["output"]), (grad, theirs["grad_0"])):
        assert np.isfinite(ours[np.abs(wide) <= np.finfo(dtype).max]).all()


@every_function
def test_nan(pointwise, constants, dtype):
    """NaN stays NaN; its gradient is NaN, or what torch gives where a function is made of straight pieces."""
    x, grad_output = np.full(3, np.nan, dtype), np.array([-2.0, 0.5, 3.0], dtype)
    output, backward = pointwise.manual(x, **dict(constants))
    (grad,) = backward(grad_output)
    torch_grad = oracle.Call(pointwise.torch, (x,), dict(constants), {"grad_0"}).results(grad_output)["grad_0"]
    assert np.isnan(output).all()
    assert (np.isnan(grad) | (grad == torch_grad)).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_a_case_at_the_extremes(loss):
    """Predictions of 1e4 and more, or probabilities of 0 and 1: that it is right there, `test_agreement` says."""
    predictions = [case.build(loss.name, np.float64)[0] for case in loss.cases]
    assert any(np.abs(x).max(initial=0) >= 1e4 or {0.0, 1.0} <= set(x.flat) for x in predictions)
