import numpy as np
import pytest
import torch

import manual

X, TARGET = np.random.default_rng(0).standard_normal((6, 8)), np.array([0, 7, 2, 3, 9, 5])


@pytest.fixture
def pair():
    ours = manual.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], div_value=2.0, head_bias=True, generator=np.random.default_rng(0))
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], div_value=2.0, head_bias=True, dtype=torch.float64)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
    return ours, theirs


def test_forward_is_a_part_of_log_prob(pair):
    ours, _ = pair
    (output, loss), _ = ours(X, TARGET)
    log_p, _ = ours.log_prob(X)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(output, log_p[np.arange(6), TARGET], rtol=1e-14)
    assert loss == pytest.approx(-output.mean(), rel=1e-15)


def test_log_prob_and_its_gradients_are_torchs(pair):
    ours, theirs = pair
    grad_output = np.random.default_rng(1).standard_normal((6, 10))
    output, backward = ours.log_prob(X)
    (grad_x,) = backward(grad_output)
    x = torch.tensor(X, requires_grad=True)
    expected = theirs.log_prob(x)
    expected.backward(torch.tensor(grad_output))
    np.testing.assert_allclose(output, expected.detach(), rtol=1e-13)
    np.testing.assert_allclose(grad_x, x.grad, rtol=1e-12, atol=1e-14)
    for (name, parameter), (_, tensor) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_allclose(parameter.grad, tensor.grad, rtol=1e-12, atol=1e-14, err_msg=name)


def test_predict_is_torchs(pair):
    ours, theirs = pair
    x = np.random.default_rng(2).standard_normal((200, 8)) * 5
    predicted = ours.predict(x)
    np.testing.assert_array_equal(predicted, theirs.predict(torch.tensor(x)))
    assert {0, 1, 2} < set(predicted)  # from the shortlist and from the clusters


@pytest.mark.parametrize("missing", [0, 1])
def test_none_stands_for_a_gradient_of_zero(pair, missing):
    ours, _ = pair
    (output, loss), backward = ours(X, TARGET)
    grads = [np.random.default_rng(3).standard_normal(output.shape), 2.0]
    given, zero = list(grads), list(grads)
    given[missing] = None
    zero[missing] = np.zeros_like((output, loss)[missing])
    (grad_x, grad_target), (expected, _) = backward(tuple(given)), backward(tuple(zero))
    np.testing.assert_array_equal(grad_x, expected)
    assert grad_x.any()
    assert grad_target is None


def test_what_is_not_needed_is_none_and_the_parameters_learn_all_the_same(pair):
    ours, _ = pair
    _, backward = ours(X, TARGET)
    backward((None, 1.0))
    expected = {name: parameter.grad for name, parameter in ours.named_parameters()}
    ours.zero_grad()
    assert backward((None, 1.0), (False, False)) == (None, None)
    for name, parameter in ours.named_parameters():
        np.testing.assert_array_equal(parameter.grad, expected[name])
    with pytest.raises(ValueError, match="AdaptiveLogSoftmaxWithLoss: needs must have one entry for each of 2 arguments"):
        backward((None, 1.0), (False,))
    _, backward = ours.log_prob(X)
    assert backward(np.ones((6, 10)), (False,)) == (None,)


def test_clusters_without_a_target_are_left_alone(pair):
    ours, _ = pair
    _, backward = ours(X, np.array([0, 1, 2, 3, 4, 5]))
    backward((None, 1.0))
    without = {name for name, parameter in ours.named_parameters() if parameter.grad is None}
    assert without == {"tail.1.0.weight", "tail.1.1.weight"}


@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(pair, batch):
    ours, theirs = pair
    (output, loss), backward = ours(X[:batch], TARGET[:batch])
    expected = theirs(torch.tensor(X[:batch]), torch.tensor(TARGET[:batch]))
    np.testing.assert_allclose(output, expected.output.detach(), rtol=1e-14)
    np.testing.assert_allclose(loss, expected.loss.detach(), rtol=1e-14)
    assert backward((None, 1.0))[0].shape == (batch, 8)


def test_float32_stays_and_a_generator_repeats_the_draw():
    draws = [manual.AdaptiveLogSoftmaxWithLoss(8, 10, [3], dtype=np.float32, generator=np.random.default_rng(0)) for _ in range(2)]
    for name, value in draws[0].state_dict().items():
        np.testing.assert_array_equal(value, draws[1].state_dict()[name], strict=True)
    (output, loss), backward = draws[0](X.astype(np.float32), TARGET)
    assert output.dtype == loss.dtype == backward((output, 1.0))[0].dtype == draws[0].head.weight.grad.dtype == np.float32


@pytest.mark.parametrize("cutoffs", [[], [0, 3], [3, 3], [6, 3], [3, 10], [2.5]])
def test_cutoffs_are_checked(cutoffs):
    with pytest.raises((ValueError, TypeError), match="AdaptiveLogSoftmaxWithLoss: cutoffs must be"):
        manual.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs)
    with pytest.raises(ValueError, match="cutoffs should be a sequence"):
        torch.nn.AdaptiveLogSoftmaxWithLoss(8, 10, cutoffs)


@pytest.mark.parametrize(
    ("x", "target", "error", "complaint"),
    [
        (X, TARGET + 1, ValueError, "target_ must hold classes from 0 to 9, got 10"),
        (X, TARGET - 1, ValueError, "target_ must hold classes from 0 to 9, got -1"),
        (X, TARGET[:5], ValueError, r"input_ must have shape \(5, 8\), got \(6, 8\)"),
        (X[0], TARGET, ValueError, "input_ must have shape"),
        (X[:, :7], TARGET, ValueError, "input_ must have shape"),
        (X, TARGET[None], ValueError, r"target_ must have shape \(N\) or \(\), got \(1, 6\)"),
        (X, TARGET.astype(float), TypeError, "target_ must hold integer indices"),
        (X.tolist(), TARGET, TypeError, "input_ must be a NumPy array"),
    ],
)
def test_errors(pair, x, target, error, complaint):
    with pytest.raises(error, match=f"AdaptiveLogSoftmaxWithLoss: {complaint}"):
        pair[0](x, target)
