"""Recurrent networks: known values, sequences of different lengths, dropout, parts, what is refused."""

import re

import numpy as np
import pytest

import manual
from manual import PackedSequence
from reference.cases import OPERATIONS
from reference.oracle import forward
from reference.structure import leaves

NAMES = ("lstm", "gru", "rnn_tanh", "rnn_relu")
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def weights_of(name, rng, inputs=2, hidden=3, layers=1, directions=1):
    rows, found = GATES[name] * hidden, []
    for layer in range(layers):
        for _ in range(directions):
            shapes = (rows, hidden * directions if layer else inputs), (rows, hidden), (rows,), (rows,)
            found += [rng.standard_normal(shape) for shape in shapes]
    return found


def state_of(name, *arrays):
    return arrays if name == "lstm" else arrays[0]


def test_a_plain_network_by_hand():
    """The state is doubled and x added, for three times: 1, 2 + 10, 24 + 100; the gradient of the last goes back as 4, 2, 1."""
    x, weights = np.array([[1.0], [10.0], [100.0]]), [np.ones((1, 1)), np.full((1, 1), 2.0)]
    (y, h), backward = manual.rnn_relu(x, None, weights, has_biases=False)
    np.testing.assert_array_equal(y, [[1], [12], [124]])
    np.testing.assert_array_equal(h, [[124]])
    grad_x, grad_hx, (grad_ih, grad_hh) = backward((None, np.ones((1, 1))))
    np.testing.assert_array_equal(grad_x, [[4], [2], [1]])
    assert grad_hx is None
    np.testing.assert_array_equal(grad_ih, [[4 * 1 + 2 * 10 + 1 * 100]])
    np.testing.assert_array_equal(grad_hh, [[2 * 1 + 1 * 12]])


@pytest.mark.parametrize("name", NAMES)
def test_the_other_direction_is_the_sequence_reversed(name):
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((5, 2, 2)), weights_of(name, rng, directions=2)
    (y, _), _ = getattr(manual, name)(x, None, weights, bidirectional=True)
    for half, own, order in ((y[:, :, :3], weights[:4], 1), (y[:, :, 3:], weights[4:], -1)):
        (alone, _), _ = getattr(manual, name)(x[::order], None, own)
        np.testing.assert_array_equal(half, alone[::order])


@pytest.mark.parametrize("name", NAMES)
def test_packed_sequences_are_as_each_by_itself(name):
    """Outputs, last states, and the gradients of everything, in either direction, in two layers: padding plays no part."""
    rng = np.random.default_rng(0)
    lengths = (2, 4, 1, 4)
    sequences = [rng.standard_normal((length, 2)) for length in lengths]
    weights, op = weights_of(name, rng, layers=2, directions=2), getattr(manual, name)
    h, c = rng.standard_normal((2, 4, 4, 3))
    settings = {"num_layers": 2, "bidirectional": True}
    packed, pack_backward = manual.pack_sequence(sequences, enforce_sorted=False)
    (y, last), backward = op(packed, state_of(name, h, c), weights, **settings)
    g, g_last = rng.standard_normal(y.data.shape), [rng.standard_normal(part.shape) for part in leaves(last)]
    grad_packed, grad_state, grad_weights = backward((PackedSequence(g, None), state_of(name, *g_last)))
    (grads,) = pack_backward(grad_packed)
    found, _ = manual.unpack_sequence(y)
    of_each, _ = manual.unpack_sequence(y._replace(data=g))
    sums = [np.zeros_like(weight) for weight in weights]
    for n, sequence in enumerate(sequences):
        (alone, last_alone), backward_alone = op(sequence, state_of(name, h[:, n], c[:, n]), weights, **settings)
        np.testing.assert_allclose(found[n], alone, rtol=1e-12)
        for part, own in zip(leaves(last), leaves(last_alone), strict=True):
            np.testing.assert_allclose(part[:, n], own, rtol=1e-12)
        grad_x, grad_own, grads_own = backward_alone((of_each[n], state_of(name, *(part[:, n] for part in g_last))))
        np.testing.assert_allclose(grads[n], grad_x, rtol=1e-9, atol=1e-12)
        for part, own in zip(leaves(grad_state), leaves(grad_own), strict=True):
            np.testing.assert_allclose(part[:, n], own, rtol=1e-9, atol=1e-12)
        sums = [total + own for total, own in zip(sums, grads_own, strict=True)]
    for got, expected in zip(grad_weights, sums, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


def test_a_packed_sequence_comes_back_in_its_order():
    packed, _ = manual.pack_sequence([np.ones((1, 2)), np.ones((3, 2))], enforce_sorted=False)
    (y, _), _ = manual.LSTM(2, 3)(packed)
    for got, expected in zip(y[1:], packed[1:], strict=True):
        np.testing.assert_array_equal(got, expected)
        assert not np.shares_memory(got, expected)
    (y, _), _ = manual.LSTM(2, 3)(PackedSequence(*packed[:3]))
    np.testing.assert_array_equal(y.unsorted_indices, [1, 0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("threads")
def test_parts_are_as_the_whole(name, request):
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((3, 5, 2)), weights_of(name, rng, layers=2, directions=2)
    h, c = rng.standard_normal((2, 4, 5, 3))
    mask = rng.random((1, 3, 5, 6)) < 0.5
    settings = {"num_layers": 2, "bidirectional": True, "dropout": 0.5, "train": True, "mask": mask}

    def everything(needs=None):
        output, backward = getattr(manual, name)(x, state_of(name, h, c), weights, **settings)
        g = np.random.default_rng(1).standard_normal(output[0].shape)
        return [*leaves(output), *leaves(backward((g, state_of(name, c, h)), needs))]

    whole = everything()
    request.getfixturevalue("small_parts")
    for got, expected in zip(everything(), whole, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)
    *_, grad_x, grad_hx, grad_weights = everything((False, False, False))
    assert (grad_x, grad_hx, grad_weights) == (None, None, None)
    *_, grad_x, grad_hx, grad_weights = everything((True, False, False))
    np.testing.assert_allclose(grad_x, whole[3 if name == "lstm" else 2], rtol=1e-11, atol=1e-13)
    assert (grad_hx, grad_weights) == (None, None)


# -- Dropout


def test_dropout_is_drawn_between_layers():
    """A layer of ones above shows it: each number is 0 or twice what it was, about half of each; another draw at each call."""
    rng = np.random.default_rng(0)
    net = manual.RNN(2, 50, 2, "relu", dropout=0.5, generator=rng)
    assert net.generator is rng
    x = rng.random((10, 4, 2))
    first = {name: parameter.data for name, parameter in net.named_parameters() if name.endswith("l0")}
    below, _ = manual.RNN(2, 50, nonlinearity="relu"), None
    below.load_state_dict(first)
    (hidden, _), _ = below(x)
    net.weight_ih_l1.data[:] = np.eye(50)
    net.weight_hh_l1.data[:] = 0
    net.bias_ih_l1.data[:] = net.bias_hh_l1.data[:] = 0
    (y, _), _ = net(x)
    alive = hidden > 0
    kept = y[alive] > 0
    np.testing.assert_allclose(y[alive][kept], 2 * hidden[alive][kept], rtol=1e-12)
    assert 0.4 < kept.mean() < 0.6
    assert not np.array_equal(net(x)[0][0], y)
    net.eval()
    np.testing.assert_allclose(net(x)[0][0], hidden, rtol=1e-12)


def test_the_same_generator_drops_the_same():
    x = np.random.default_rng(1).standard_normal((3, 2, 2))
    outputs = [manual.GRU(2, 3, 2, dropout=0.5, generator=np.random.default_rng(0))(x)[0][0] for _ in range(2)]
    np.testing.assert_array_equal(*outputs)
    masks = [
        manual.gru(
            x,
            None,
            weights_of("gru", np.random.default_rng(0), layers=2),
            num_layers=2,
            dropout=0.5,
            train=True,
            generator=np.random.default_rng(seed),
        )[0][0]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])


def test_a_mask_without_dropout_still_counts():
    rng = np.random.default_rng(0)
    x, weights, mask = rng.standard_normal((3, 2)), weights_of("gru", rng, layers=2), np.zeros((1, 3, 3), bool)
    (y, _), _ = manual.gru(x, None, weights, num_layers=2, train=True, mask=mask)
    (blind, _), _ = manual.gru(0 * x, None, [0 * w if i < 4 else w for i, w in enumerate(weights)], num_layers=2)
    np.testing.assert_allclose(y, blind, rtol=1e-12)


# -- What is refused

X, W = np.ones((3, 2, 2)), [np.ones((12, 2)), np.ones((12, 3)), np.ones(12), np.ones(12)]
H = np.ones((1, 2, 3))


@pytest.mark.parametrize(
    ("arguments", "constants", "message"),
    [
        ((X[:0], None, W), {}, "lstm: x must have at least one time, got shape (0, 2, 2)"),
        ((X[:, :0].swapaxes(0, 1), None, W), {"batch_first": True}, None),
        ((X[0, 0], None, W), {}, "lstm: x must have shape (T, N, I) or (T, I), got (2,)"),
        ((X[0, 0], None, W), {"batch_first": True}, "lstm: x must have shape (N, T, I) or (T, I), got (2,)"),
        ((X[:, :, :1], None, W), {}, "lstm: x must be (…, I) and weights[0] (…, I), got (3, 2, 1) and (12, 2)"),
        ((X, H, W), {}, "lstm: hx must be a tuple of arrays (h, c), got ndarray"),
        ((X, (H, H[:, 0]), W), {}, "lstm: hx[1] must have shape (1, 2, 3), got (1, 3)"),
        ((X, (H[:, :1], H), W), {}, "lstm: hx[0] must have shape (1, 2, 3), got (1, 1, 3)"),
        ((X[:, 0], (H, H), W), {}, "lstm: hx[0] must have shape (1, 3), got (1, 2, 3)"),
        ((X, None, W[:2]), {}, "lstm: weights must be a list of 4 or 5 arrays, as many for each layer and direction, got 2"),
        ((X, None, W), {"num_layers": 2}, "lstm: weights must be a list of 8 or 10 arrays"),
        ((X, None, W), {"bidirectional": True}, "lstm: weights must be a list of 8 or 10 arrays"),
        ((X, None, W), {"has_biases": False}, "lstm: weights must be a list of 2 or 3 arrays"),
        ((X, None, W + W), {"num_layers": 2}, "lstm: weights[4] must have shape (12, 3), got (12, 2)"),
        ((X, None, [*W, np.ones((2, 3))]), {}, "lstm: weights[1] must have shape (12, 2), got (12, 3)"),
        ((X, None, [*W[:2], W[2][:3], W[3]]), {}, "lstm: weights[2] must have shape (12,), got (3,)"),
        ((X, None, W), {"num_layers": 0}, "lstm: num_layers must be an integer of at least 1, got 0"),
        ((X, None, W), {"dropout": 1.5}, "lstm: dropout must be a number from 0 to 1, got 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, constants, message):
    if message is None:  # an empty batch is none of it
        assert manual.lstm(*arguments, **constants)[0][0].shape == (0, 3, 3)
        return
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        manual.lstm(*arguments, **constants)
    with pytest.raises((RuntimeError, TypeError, ValueError, IndexError)):
        forward(OPERATIONS["lstm"].torch, arguments, constants)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((1, 3, 2, 2), bool), "gru: mask must have shape (1, 3, 2, 3), got (1, 3, 2, 2)"),
        (np.ones((1, 3, 2, 3)), "gru: mask must hold True and False, got float64"),
    ],
)
def test_masks_of_another_kind_are_refused(mask, message):
    weights = weights_of("gru", np.random.default_rng(0), layers=2)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        manual.gru(X, None, weights, num_layers=2, mask=mask)


def test_the_state_of_the_others_is_no_tuple():
    weights = weights_of("gru", np.random.default_rng(0))
    with pytest.raises(TypeError, match=re.escape("gru: hx must be a NumPy array, got tuple")):
        manual.gru(X, (H, H), weights)
    with pytest.raises(ValueError, match=re.escape("gru: weights must be a list of 4 arrays")):
        manual.gru(X, None, [*weights, np.ones((2, 3))])


def test_packed_numbers_must_be_rows():
    packed = PackedSequence(np.ones(3), np.array([2, 1]))
    with pytest.raises(ValueError, match=re.escape("lstm: x.data must have shape (Σ lengths, I), got (3,)")):
        manual.lstm(packed, None, W)


@pytest.mark.parametrize(
    ("cotangent", "message"),
    [
        (X, "grad_output must have 2 parts, as the output has, got ndarray"),
        ((None, None, None), "grad_output must have 2 parts, as the output has, got 3 parts"),
        ((None, H), "grad_output must have 2 parts, as the output has, got ndarray"),
    ],
)
def test_cotangents_of_another_structure_are_refused(cotangent, message):
    _, backward = manual.lstm(X, None, W)
    with pytest.raises(TypeError, match=re.escape(message)):
        backward(cotangent)


def test_none_stands_for_no_gradient_at_all():
    _, backward = manual.lstm(X, (H, H), W)
    grad_x, grad_hx, grads = backward((None, None))
    assert not any(array.any() for array in (grad_x, *grad_hx, *grads))
