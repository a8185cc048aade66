import numpy as np
import pytest
import torch

import manual

SCORES = np.random.default_rng(0).standard_normal((5, 2, 3))
ARGUMENTS = np.array([[1, 2], [2, 2]]), (5, 4), (2, 2)


def test_a_loss_by_hand():
    """Three paths spell the label 1 in two steps: 1 1, 1 blank, blank 1."""
    p = np.array([[0.5, 0.5], [0.75, 0.25]])
    loss, backward = manual.ctc_loss(np.log(p), np.array([1]), 2, 1, reduction="none")
    likelihood = 0.5 * 0.25 + 0.5 * 0.75 + 0.5 * 0.25
    np.testing.assert_allclose(loss, -np.log(likelihood), rtol=1e-15)
    grad = backward(1.0)[0]
    np.testing.assert_allclose(grad, -np.array([[0.125, 0.5], [0.375, 0.25]]) / likelihood, rtol=1e-15)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_behind_log_softmax_the_gradient_is_torchs(reduction, dtype):
    """torch's gradient of log_probs differs by a term that log_softmax removes."""
    scores = SCORES.astype(dtype)
    log_probs, softmax_backward = manual.log_softmax(scores, dim=2)
    loss, backward = manual.ctc_loss(log_probs, *ARGUMENTS, reduction=reduction)
    grad_output = np.random.default_rng(1).standard_normal(loss.shape).astype(dtype)
    (grad,) = softmax_backward(backward(grad_output)[0])
    theirs = torch.tensor(scores, requires_grad=True)
    targets, input_lengths, target_lengths = map(torch.tensor, ARGUMENTS)
    output = torch.nn.functional.ctc_loss(theirs.log_softmax(2), targets, input_lengths, target_lengths, reduction=reduction)
    (expected,) = torch.autograd.grad(output, theirs, torch.tensor(grad_output))
    u = np.finfo(dtype).eps / 2
    np.testing.assert_allclose(loss, output.detach(), rtol=10 * u)
    np.testing.assert_allclose(grad, expected, atol=30 * u * abs(grad_output).max())


def test_the_gradient_sums_to_minus_one_at_each_time():
    """At each time each sequence is in some state."""
    _, backward = manual.ctc_loss(SCORES, *ARGUMENTS, reduction="sum")
    expected = -(np.arange(5)[:, None] < [5, 4]).astype(float)
    np.testing.assert_allclose(backward(1.0)[0].sum(axis=2), expected, rtol=1e-14)


def test_long_sequences_do_not_underflow():
    """2000 steps at even odds: a likelihood of about 1e-950."""
    log_probs = np.full((2000, 1, 3), -np.log(3))
    loss, backward = manual.ctc_loss(log_probs, np.ones((1, 1), int), [2000], [1])
    paths = 2000 * 2001 / 2  # a label's run is given by its first and last step
    np.testing.assert_allclose(loss, 2000 * np.log(3) - np.log(paths), rtol=1e-14)
    run = np.arange(1, 2001) * np.arange(2000, 0, -1) / paths  # how many runs cover each step
    np.testing.assert_allclose(backward(1.0)[0][:, 0], -np.stack((1 - run, run, 0 * run), axis=1), rtol=1e-11, atol=1e-16)


def test_what_is_padded_or_impossible_by_log_0_has_no_influence():
    log_probs = SCORES.copy()
    log_probs[4, 1] = np.nan  # beyond the length of the second sequence
    log_probs[2, 0, 1] = -np.inf
    loss, backward = manual.ctc_loss(log_probs, *ARGUMENTS, reduction="none")
    grad = backward(np.ones(2))[0]
    assert np.isfinite(loss).all()
    assert grad[2, 0, 1] == 0
    assert np.isfinite(grad).all()
    log_probs[1:4] = -np.inf
    loss, backward = manual.ctc_loss(log_probs, *ARGUMENTS, reduction="none")
    assert np.isposinf(loss).all()
    np.testing.assert_array_equal(np.isnan(backward(np.ones(2))[0]).all(axis=2), np.arange(5)[:, None] < [5, 4])


def test_impossible_labels_tell_of_themselves_or_are_passed_over():
    arguments = np.array([[1, 1], [2, 0]]), [2, 2], [2, 1]
    loss, backward = manual.ctc_loss(SCORES, *arguments)
    assert np.isposinf(loss)
    grad = backward(1.0)[0]
    assert np.isnan(grad[:2, 0]).all()
    assert np.isfinite(grad[:, 1]).all()
    assert not grad[2:].any()
    loss, backward = manual.ctc_loss(SCORES, *arguments, zero_infinity=True)
    alone, _ = manual.ctc_loss(SCORES[:, 1:], np.array([[2]]), [2], [1])
    np.testing.assert_allclose(loss, alone / 2, rtol=1e-15)
    grad = backward(1.0)[0]
    assert not grad[:, 0].any()
    assert np.isfinite(grad).all()


def test_lengths_may_be_tuples_lists_arrays_or_numbers():
    targets = np.array([1, 2])
    expected, _ = manual.ctc_loss(SCORES[:, 0], targets, 5, 2)
    for input_lengths, target_lengths in (((5,), (2,)), ([5], [2]), (np.array([5], np.int32), np.array(2, np.uint8))):
        assert manual.ctc_loss(SCORES[:, 0], targets, input_lengths, target_lengths)[0] == expected


@pytest.mark.parametrize(
    ("position", "wrong", "constants", "error", "complaint"),
    [
        (0, SCORES[:0], {}, ValueError, r"log_probs must have shape \(T, N, C\) or \(T, C\), without a 0, got \(0, 2, 3\)"),
        (0, SCORES[None], {}, ValueError, "log_probs must have shape"),
        (1, [[1, 2], [2, 2]], {}, TypeError, "targets must be a NumPy array"),
        (1, np.array([[1.0, 2.0], [2.0, 2.0]]), {}, TypeError, "targets must hold integer indices"),
        (1, np.array([[1, 2]]), {}, ValueError, r"targets must have shape \(2, S\) with S of at least 2, or \(4\), got \(1, 2\)"),
        (1, np.array([[1], [2]]), {}, ValueError, "targets must have shape"),
        (1, np.array([1, 2, 2]), {}, ValueError, r"targets must have shape \(4,\), got \(3,\)"),
        (1, np.array([[1, 3], [2, 2]]), {}, ValueError, "targets must be classes from 0 to 2 but for the blank, 0, got 3"),
        (1, np.array([[1, -1], [2, 2]]), {}, ValueError, "targets must be classes .* got -1"),
        (1, np.array([[1, 0], [2, 2]]), {}, ValueError, "targets must be classes .* got 0"),
        (2, (5, 6), {}, ValueError, r"input_lengths must be from 0 to 5, got \[5, 6\]"),
        (2, (5, -1), {}, ValueError, "input_lengths must be from 0 to 5"),
        (2, (5, 5, 5), {}, ValueError, r"input_lengths must have shape \(2,\), got \(3,\)"),
        (2, 5, {}, ValueError, r"input_lengths must have shape \(2,\), got \(\)"),
        (2, (5.0, 5.0), {}, TypeError, "input_lengths must be an integer, got 5.0"),
        (3, (2, -1), {}, ValueError, r"target_lengths must be from 0 to 4, got \[2, -1\]"),
        (3, (2, 2, 2), {}, ValueError, "target_lengths must have shape"),
        (None, None, {"blank": 3}, ValueError, "blank must be a class from 0 to 2, got 3"),
        (None, None, {"blank": -1}, ValueError, "blank must be a class"),
        (None, None, {"reduction": "median"}, ValueError, "reduction must be"),
    ],
)
def test_errors(position, wrong, constants, error, complaint):
    arguments = [wrong if i == position else argument for i, argument in enumerate((SCORES, *ARGUMENTS))]
    with pytest.raises(error, match=f"ctc_loss: {complaint}"):
        manual.ctc_loss(*arguments, **constants)
