"""Recurrent modules: names and initial values of their weights, several lengths, what constructors refuse."""

import re

import numpy as np
import pytest
import torch

import manual


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("RNN", (2, 3), {}),
        ("RNN", (2, 3, 2, "relu", False), {}),
        ("GRU", (2, 3, 2), {"bidirectional": True}),
        ("LSTM", (2, 3, 2), {"bidirectional": True, "proj_size": 1}),
        ("LSTM", (2, 3, 3), {"bias": False, "proj_size": 2}),
        ("RNNBase", ("GRU", 2, 3), {}),
    ],
)
def test_state_dicts_are_torchs(name, arguments, options):
    ours, theirs = getattr(manual, name)(*arguments, **options), getattr(torch.nn, name)(*arguments, **options)
    found = {key: array.shape for key, array in ours.state_dict().items()}
    assert found == {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    assert list(found) == list(theirs.state_dict())
    shapes = [[parameter.shape for parameter in group] for group in ours.all_weights]
    assert shapes == [[tuple(parameter.shape) for parameter in group] for group in theirs.all_weights]
    assert ours.mode == theirs.mode
    ours.load_state_dict(theirs.state_dict())


@pytest.mark.parametrize("build", [manual.RNN, manual.LSTM, manual.GRU])
def test_weights_start_within_their_bounds(build):
    net = build(50, 25, 2, dtype=np.float32, generator=np.random.default_rng(0))
    for parameter in net.parameters():
        assert parameter.dtype == np.float32
        assert 0.85 / 5 < abs(parameter.data).max() <= 1 / 5
    again = build(50, 25, 2, dtype=np.float32, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(again.weight_hh_l1.data, net.weight_hh_l1.data)


def test_training_on_sequences_of_different_lengths():
    """Pack, run, unpack: the pattern of torch's documentation, gradients of everything beside torch's."""
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((length, 2)) for length in (3, 5, 1)]
    net = manual.GRU(2, 3, bidirectional=True, generator=rng)
    packed, pack_backward = manual.pack_sequence(sequences, enforce_sorted=False)
    (y, _), net_backward = net(packed)
    (padded, lengths), pad_backward = manual.pad_packed_sequence(y)
    g = rng.standard_normal(padded.shape)
    (grad_y,) = pad_backward((g, None))
    grad_packed, _ = net_backward((grad_y, None))
    (grads,) = pack_backward(grad_packed)

    theirs = torch.nn.GRU(2, 3, bidirectional=True).double()
    theirs.load_state_dict({name: torch.tensor(array) for name, array in net.state_dict().items()})
    tensors = [torch.tensor(sequence, requires_grad=True) for sequence in sequences]
    rnn = torch.nn.utils.rnn
    expected, expected_lengths = rnn.pad_packed_sequence(theirs(rnn.pack_sequence(tensors, enforce_sorted=False))[0])
    expected.backward(torch.tensor(g))
    np.testing.assert_allclose(padded, expected.detach(), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(lengths, expected_lengths)
    for grad, tensor in zip(grads, tensors, strict=True):
        np.testing.assert_allclose(grad, tensor.grad, rtol=1e-11, atol=1e-14)
    for (name, parameter), other in zip(net.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(parameter.grad, other.grad, rtol=1e-11, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda nn: nn.RNN(2, 3, nonlinearity="gelu"), "RNN: nonlinearity must be 'tanh' or 'relu', got 'gelu'"),
        (lambda nn: nn.RNNBase("MLP", 2, 3), "RNNBase: mode must be 'LSTM', 'GRU', 'RNN_TANH' or 'RNN_RELU', got 'MLP'"),
        (lambda nn: nn.LSTM(0, 3), "LSTM: input_size must be an integer of at least 1, got 0"),
        (lambda nn: nn.LSTM(2, 0), "LSTM: hidden_size must be an integer of at least 1, got 0"),
        (lambda nn: nn.LSTM(2, 3.0), "LSTM: hidden_size must be an integer of at least 1, got 3.0"),
        (lambda nn: nn.GRU(2, 3, 0), "GRU: num_layers must be an integer of at least 1, got 0"),
        (lambda nn: nn.GRU(2, 3, bias=1), "GRU: bias must be True or False, got 1"),
        (lambda nn: nn.GRU(2, 3, batch_first=None), "GRU: batch_first must be True or False, got None"),
        (lambda nn: nn.GRU(2, 3, dropout=1.5), "GRU: dropout must be a number from 0 to 1, got 1.5"),
        (lambda nn: nn.GRU(2, 3, dropout=True), "GRU: dropout must be a number from 0 to 1, got True"),
        (lambda nn: nn.LSTM(2, 3, proj_size=-1), "LSTM: proj_size must be an integer of at least 0, got -1"),
        (lambda nn: nn.LSTM(2, 3, proj_size=3), "LSTM: proj_size must be less than hidden_size, and 0 except in an LSTM, got 3"),
    ],
)
def test_constructors_refuse_what_torchs_refuse(build, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        build(manual)
    with pytest.raises((TypeError, ValueError)):
        build(torch.nn)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: manual.RNNBase("GRU", 2, 3, proj_size=1), "RNNBase: proj_size must be less than hidden_size, and 0 except in"),
        (lambda: manual.GRU(2, 3, bidirectional=1), "GRU: bidirectional must be True or False, got 1"),
        (lambda: manual.GRU(2, 3, dtype=int), "GRU: dtype must be np.float32 or np.float64"),
        (lambda: manual.GRU(2, 3, generator=5), "GRU: generator must be a numpy.random.Generator or None, got 5"),
    ],
)
def test_constructors_refuse(build, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        build()


def test_a_base_alone_has_no_forward():
    with pytest.raises(TypeError, match="RNNBase has no forward"):
        manual.RNNBase("LSTM", 2, 3)(np.ones((3, 2)))
