"""Recurrent cells: known values, what saturates, kinks, initial weights, what is refused."""

import re

import numpy as np
import pytest
import torch

import manual
from manual.layers.recurrent_steps import gate, slope
from reference.cases import OPERATIONS
from reference.oracle import forward

HALF = np.log(3.0)  # σ(log 3) = ¾, tanh(log 3) = ⅘


def test_lstm_by_hand():
    """Gates i = ¾, f = ¼, o = ½ and g = ⅘; c′ = ¼ · 2 + ¾ · ⅘ = 1.1."""
    biases = np.array([HALF, -HALF, HALF, 0.0])
    weights = [np.zeros((4, 1)), np.zeros((4, 1)), biases, np.zeros(4)]
    (h, c), backward = manual.lstm_cell(np.ones((1, 1)), (np.ones((1, 1)), np.full((1, 1), 2.0)), weights)
    np.testing.assert_allclose(c, [[1.1]], rtol=1e-15)
    np.testing.assert_allclose(h, [[0.5 * np.tanh(1.1)]], rtol=1e-15)
    _, (grad_h, grad_c), grads = backward((None, np.ones((1, 1))))
    np.testing.assert_array_equal(grad_h, [[0]])
    np.testing.assert_allclose(grad_c, [[0.25]], rtol=1e-15)  # f
    np.testing.assert_allclose(grads[2], [0.8 * 3 / 16, 2 * 3 / 16, 0.75 * 0.36, 0], rtol=1e-15)
    np.testing.assert_array_equal(grads[3], grads[2])
    assert grads[3] is not grads[2]
    (grad_x, _, grads) = backward((np.ones((1, 1)), None))
    np.testing.assert_allclose(grads[2][3], np.tanh(1.1) / 4, rtol=1e-15)
    np.testing.assert_array_equal(grad_x, [[0]])


def test_gru_by_hand():
    """Gates r = ¾, z = ¼; n = tanh(0 + ¾ · (4/3) log 3) = ⅘; h′ = ¾ · ⅘ + ¼ · 2."""
    weights = [np.zeros((3, 1)), np.zeros((3, 1)), np.array([HALF, -HALF, 0.0]), np.array([0.0, 0.0, HALF * 4 / 3])]
    h, backward = manual.gru_cell(np.ones((1, 1)), np.full((1, 1), 2.0), weights)
    np.testing.assert_allclose(h, [[1.1]], rtol=1e-15)
    _, grad_h, grads = backward(np.ones((1, 1)))
    np.testing.assert_allclose(grad_h, [[0.25]], rtol=1e-15)
    n = 0.75 * 0.36
    np.testing.assert_allclose(grads[2], [n * HALF * 4 / 3 * 3 / 16, 1.2 * 3 / 16, n], rtol=1e-15)
    np.testing.assert_allclose(grads[3], [*grads[2][:2], 0.75 * n], rtol=1e-15)  # r lies between


def test_plain_cells_by_hand():
    x, h = np.array([[1.0]]), np.array([[2.0]])
    weights = [np.array([[HALF]]), np.array([[0.0]])]
    y, backward = manual.rnn_tanh_cell(x, h, weights)
    np.testing.assert_allclose(y, [[0.8]], rtol=1e-15)
    grad_x, grad_h, (grad_ih, grad_hh) = backward(np.array([[1.0]]))
    np.testing.assert_allclose(grad_x, [[0.36 * HALF]], rtol=1e-15)
    np.testing.assert_array_equal(grad_h, [[0]])
    np.testing.assert_allclose([grad_ih[0, 0], grad_hh[0, 0]], [0.36, 0.72], rtol=1e-15)


def test_relu_at_its_kink():
    """At 0 the gradient is 0, below and above as it should be; as in torch."""
    x = np.array([[-1.0], [0.0], [1.0]])
    weights = [np.ones((1, 1)), np.zeros((1, 1))]
    y, backward = manual.rnn_relu_cell(x, None, weights)
    np.testing.assert_array_equal(y, [[0], [0], [1]])
    np.testing.assert_array_equal(backward(np.full((3, 1), 5.0))[0], [[0], [0], [5]])
    tensor = torch.tensor(x, requires_grad=True)
    torch.rnn_relu_cell(tensor, torch.zeros(3, 1, dtype=torch.double), *map(torch.tensor, weights)).sum().backward()
    np.testing.assert_array_equal(backward(np.ones((3, 1)))[0], tensor.grad)


@pytest.mark.parametrize("name", ["lstm_cell", "gru_cell", "rnn_tanh_cell"])
def test_far_out_gates_are_open_or_closed(name, dtype):
    """Nothing overflows, and gradients are 0 and not NaN; in the middle everything is as it was."""
    gates = {"lstm_cell": 4, "gru_cell": 3, "rnn_tanh_cell": 1}[name]
    x = np.array([[-1e4], [-300.0], [0.25], [300.0], [1e4]], dtype)
    h = np.full((5, 1), 0.5, dtype)
    weights = [np.ones((gates, 1), dtype), np.ones((gates, 1), dtype)]
    with np.errstate(all="raise", under="ignore"):
        output, backward = getattr(manual, name)(x, (h, h) if name == "lstm_cell" else h, weights)
        new = output[0] if isinstance(output, tuple) else output
        grad_x, _, _ = backward((np.ones_like(h), None) if name == "lstm_cell" else np.ones_like(h))
    assert np.isfinite(new).all()
    assert abs(grad_x[[0, 1, 3, 4]]).max() < 1e-30
    middle, _ = getattr(manual, name)(x[2], (h[2], h[2]) if name == "lstm_cell" else h[2], weights)
    np.testing.assert_allclose(middle[0] if isinstance(middle, tuple) else middle, new[2], rtol=1e-6)


def test_gates_and_slopes_keep_their_digits(dtype):
    """From where a gate is shut to where it is wide open, to six units of rounding each; 1 − σ would be off by 10⁸ of them."""
    a = np.linspace(-80, 80, 100_001).astype(dtype)
    exact = a.astype(np.longdouble)
    opened, closed = gate(a)
    truth = 1 / (1 + np.exp(-exact)), 1 / (1 + np.exp(exact))
    for got, expected in zip((opened, closed, slope(opened, closed)), (*truth, truth[0] * truth[1]), strict=True):
        assert got.dtype == dtype
        assert (abs(got - expected) <= 3 * np.finfo(dtype).eps * expected).all()


@pytest.mark.parametrize("name", ["lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"])
def test_nan_stays_in_its_sample(name):
    gates = {"lstm_cell": 4, "gru_cell": 3}.get(name, 1)
    x, h = np.array([[np.nan], [1.0]]), np.ones((2, 1))
    output, _ = getattr(manual, name)(x, (h, h) if name == "lstm_cell" else h, [np.ones((gates, 1)), np.ones((gates, 1))])
    for part in output if isinstance(output, tuple) else (output,):
        np.testing.assert_array_equal(np.isnan(part), [[True], [False]])


@pytest.mark.parametrize("build", [manual.RNNCell, manual.LSTMCell, manual.GRUCell])
def test_weights_start_within_their_bounds(build):
    rng = np.random.default_rng(0)
    cell = build(50, 25, generator=rng, dtype=np.float32)
    for parameter in cell.parameters():
        assert parameter.dtype == np.float32
        assert 0.9 / 5 < abs(parameter.data).max() <= 1 / 5
    again = build(50, 25, generator=np.random.default_rng(0), dtype=np.float32)
    np.testing.assert_array_equal(again.bias_hh.data, cell.bias_hh.data)
    assert build(2, 3, bias=False).bias_ih is None


def test_of_several_weights_the_frozen_ones_get_no_gradient():
    cell = manual.GRUCell(2, 3)
    cell.weight_hh.requires_grad = False
    output, backward = cell(np.ones((4, 2)))
    backward(output)
    assert cell.weight_hh.grad is None
    assert cell.weight_ih.grad.shape == (9, 2)
    first = cell.weight_ih.grad
    backward(output)
    np.testing.assert_array_equal(cell.weight_ih.grad, 2 * first)
    cell.requires_grad_(False)
    cell.zero_grad()
    assert backward(output)[0].shape == (4, 2)
    assert all(parameter.grad is None for parameter in cell.parameters())


X, H, W = np.ones((2, 3)), np.ones((2, 4)), [np.ones((16, 3)), np.ones((16, 4)), np.ones(16), np.ones(16)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, H, W), "lstm_cell: hx must be a tuple of arrays (h, c), got ndarray"),
        ((X, (H,), W), "lstm_cell: hx must be a tuple of arrays (h, c), got 1 of them"),
        ((X, (H, H[:1]), W), "lstm_cell: hx[1] must have shape (2, 4), got (1, 4)"),
        ((X, (H[0], H[0]), W), "lstm_cell: hx[0] must have shape (2, 4), got (4,)"),
        ((X[:, :2], (H, H), W), "lstm_cell: x must have shape (N, I) or (I) and weights[0] (…, I), got (2, 2) and (16, 3)"),
        ((X[None], (H, H), W), "lstm_cell: x must have shape (N, I) or (I)"),
        ((X, (H, H), [W[0], W[1][:8], *W[2:]]), "lstm_cell: weights[1] must have shape (16, 4), got (8, 4)"),
        ((X, (H, H), [W[0], W[2], *W[2:]]), "lstm_cell: weights[1] must have two axes, got shape (16,)"),
        ((X, (H, H), [*W[:3], W[3][:8]]), "lstm_cell: weights[3] must have shape (16,), got (8,)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        manual.lstm_cell(*arguments)
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)):
        forward(OPERATIONS["lstm_cell"].torch, arguments, {})


@pytest.mark.parametrize(("weights", "got"), [(W[:3], "3"), ([], "0"), (dict(enumerate(W)), "dict"), (W[0], "ndarray")])
def test_weights_are_a_list(weights, got):
    """Of which torch's functions know nothing: they take one weight after the other."""
    with pytest.raises(
        (TypeError, ValueError), match=f"lstm_cell: weights must be a list of 2 arrays, or of 4 with biases, got {got}$"
    ):
        manual.lstm_cell(X, (H, H), weights)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: manual.RNNCell(2, 3, nonlinearity="sigmoid"), "RNNCell: nonlinearity must be 'tanh' or 'relu', got 'sigmoid'"),
        (lambda: manual.LSTMCell(2.0, 3), "LSTMCell: input_size must be an integer of at least 0, got 2.0"),
        (lambda: manual.GRUCell(2, -3), "GRUCell: hidden_size must be an integer of at least 0, got -3"),
        (lambda: manual.GRUCell(2, 3, bias=1), "GRUCell: bias must be True or False, got 1"),
        (lambda: manual.GRUCell(2, 3, dtype=int), "GRUCell: dtype must be np.float32 or np.float64"),
        (lambda: manual.GRUCell(2, 3, generator=5), "GRUCell: generator must be a numpy.random.Generator or None, got 5"),
        (lambda: manual.RNNCellBase(2, 3, True, num_chunks=-1), "RNNCellBase: num_chunks must be an integer of at least 0, got -1"),
    ],
)
def test_constructors_refuse(build, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        build()
