"""The article's program: XOR, a 2-2-1 network of sigmoids, 10,000 full-batch updates from the weights of seed 42."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import manual
from manual.commands.xor import LOSSES, X, Y, network, train

EPOCHS = 10_000
# The epochs at which gradients are compared: each one until past the plateau, where they nearly cancel, then every tenth.
COMPARED = {*range(1000), *range(1000, EPOCHS, 10)}
OUTPUTS = [0.06029012305123665, 0.9444722199003842, 0.9443669994791755, 0.05997169269714798]  # what the article's program prints


@pytest.fixture(scope="module")
def trained():
    """The network after the article's run through the public modules, and the outputs of its last forward pass."""
    net = network()
    criterion, scale, _ = LOSSES["half-sum-of-squares"]
    outputs, _ = train(net, criterion, scale, manual.SGD(net.parameters(), lr=0.1), range(EPOCHS))
    return net, outputs


def article():
    """The article's program in plain NumPy, which shares nothing with `manual`: its outputs and weights."""

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    np.random.seed(42)  # noqa: NPY002  (the article's own words, so that `network` is held against them)
    hidden_weights, output_weights = np.random.rand(2, 2), np.random.rand(2, 1)  # noqa: NPY002
    hidden_bias, output_bias = np.random.rand(1, 2), np.random.rand(1, 1)  # noqa: NPY002
    for _ in range(EPOCHS):
        hidden = sigmoid(X @ hidden_weights + hidden_bias)
        output = sigmoid(hidden @ output_weights + output_bias)
        output_delta = (Y - output) * output * (1 - output)
        hidden_delta = output_delta @ output_weights.T * hidden * (1 - hidden)
        output_weights += 0.1 * hidden.T @ output_delta
        output_bias += 0.1 * output_delta.sum(axis=0, keepdims=True)
        hidden_weights += 0.1 * X.T @ hidden_delta
        hidden_bias += 0.1 * hidden_delta.sum(axis=0, keepdims=True)
    return output, {"0.weight": hidden_weights.T, "0.bias": hidden_bias[0], "2.weight": output_weights.T, "2.bias": output_bias[0]}


def test_outputs_of_the_last_epoch(trained):
    _, outputs = trained
    np.testing.assert_allclose(outputs[:, 0], OUTPUTS, rtol=0, atol=1e-9)


def test_plain_numpy_ends_in_the_same_weights(trained):
    net, outputs = trained
    article_outputs, weights = article()
    np.testing.assert_allclose(outputs, article_outputs, rtol=0, atol=1e-12)
    assert net.state_dict().keys() == weights.keys()
    for name, weight in net.state_dict().items():
        np.testing.assert_allclose(weight, weights[name], rtol=1e-12, atol=0, err_msg=name)


@pytest.mark.slow
def test_gradients_equal_autograds_along_the_way():
    """Both sides differentiate at the same weights, 1,900 times: the tensors are views of the arrays that SGD updates in place.

    They differ by rounding: by 7e-16 of the largest ∂L/∂ŷ at most, three units in the last place of the terms that a gradient sums
    over the samples. On the plateau at epoch 885 these terms nearly cancel, which makes 4e-14 of the gradient out of it. Some of it
    is torch's, whose σ′ = y (1 − y) loses digits where y nears 1.
    """
    net = network()
    criterion = manual.MSELoss(reduction="sum")
    optimizer = manual.SGD(net.parameters(), lr=0.1)
    parameters = list(net.parameters())
    tensors = [torch.from_numpy(parameter.data).requires_grad_() for parameter in parameters]
    hidden_weight, hidden_bias, output_weight, output_bias = tensors
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    of_terms, of_gradient = [], []
    for epoch in range(EPOCHS):
        output, net_backward = net(X)
        _, loss_backward = criterion(output, Y)
        grad_output, _ = loss_backward(0.5)
        optimizer.zero_grad()
        net_backward(grad_output)
        if epoch in COMPARED:
            hidden = torch.sigmoid(F.linear(x, hidden_weight, hidden_bias))
            loss = F.mse_loss(torch.sigmoid(F.linear(hidden, output_weight, output_bias)), y, reduction="sum") / 2
            for parameter, expected in zip(parameters, torch.autograd.grad(loss, tensors), strict=True):
                expected = expected.numpy()
                difference = np.abs(parameter.grad - expected).max()
                of_terms.append(difference / np.abs(grad_output).max())
                of_gradient.append(difference / np.abs(expected).max())
        optimizer.step()

    np.testing.assert_allclose(output[:, 0], OUTPUTS, rtol=0, atol=1e-9)  # the tensors followed the run to its end
    assert max(of_terms) <= 16 * np.finfo(float).eps
    assert max(of_gradient) <= 1e-12


def test_the_mean_takes_the_same_steps_at_twice_the_rate():
    """1/n Σ(y − ŷ)² of four samples is half of ½ Σ(y − ŷ)², and so is its gradient."""
    outputs = []
    for loss, lr in (("half-sum-of-squares", 0.1), ("mse", 0.2)):
        net = network()
        criterion, scale, _ = LOSSES[loss]
        outputs.append(train(net, criterion, scale, manual.SGD(net.parameters(), lr), range(1000))[0])
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-12)
