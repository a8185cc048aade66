import tracemalloc

import numpy as np
import pytest
import torch

import manual

GENERATOR = np.random.default_rng(0)
X, WEIGHT, TARGET = GENERATOR.standard_normal((5, 3)), GENERATOR.standard_normal((4, 3)), np.array([0, 1, 2, 3, 1])


def chunks(size):
    return manual.LinearCrossEntropyOptions(batch_chunk_size=size)


def test_it_is_linear_and_cross_entropy():
    scores, linear_backward = manual.linear(X, WEIGHT)
    expected, loss_backward = manual.cross_entropy(scores, TARGET)
    loss, backward = manual.linear_cross_entropy(X, WEIGHT, TARGET)
    assert loss == pytest.approx(expected, rel=1e-15)
    grad_x, grad_weight, _ = linear_backward(loss_backward(1.0)[0])
    grads = backward(1.0)
    np.testing.assert_allclose(grads[0], grad_x, rtol=1e-14)
    np.testing.assert_allclose(grads[1], grad_weight, rtol=1e-14)
    assert grads[2:] == (None, None, None)


@pytest.mark.parametrize(
    ("constants", "samples", "features", "scores"),
    [
        ({}, 4096, 64, 32000),
        ({}, 5, 3, 4),
        ({}, 1, 3, 400),
        ({"chunking_method": "aspect_ratio"}, 1000, 10, 90),
        ({"chunking_method": "aspect_ratio:4"}, 1000, 10, 90),
        ({"chunking_method": None}, 1000, 10, 90),
        ({"batch_chunk_size": 7}, 1000, 10, 90),
        ({"batch_chunk_size": 128, "chunking_method": "aspect_ratio"}, 1000, 10, 90),
    ],
)
def test_chunks_are_torchs(constants, samples, features, scores):
    theirs = torch.nn.LinearCrossEntropyOptions(**constants)._adjust(samples, features, scores, torch.float64, torch.device("cpu"))
    ours = manual.LinearCrossEntropyOptions(**constants).samples_at_once(samples, features, scores)
    assert min(ours, samples) == theirs.batch_chunk_size


def peak_memory(function):
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def test_memory():
    """Forward and backward, float32: in chunks, far less than the 64 MiB that the scores of all samples take."""
    x, weight = (GENERATOR.standard_normal((n, 32)).astype(np.float32) for n in (2048, 8192))
    target = GENERATOR.integers(0, 8192, 2048)

    def run(options):
        loss, backward = manual.linear_cross_entropy(x, weight, target, options=options)
        backward(loss)

    assert peak_memory(lambda: run(None)) > 2 * 64
    assert peak_memory(lambda: run(manual.LinearCrossEntropyOptions())) < 4


def test_backward_may_be_called_again():
    _, backward = manual.linear_cross_entropy(X, WEIGHT, TARGET, options=chunks(2))
    for first, second in zip(backward(1.0), backward(1.0), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("arrays", "constants", "complaint"),
    [
        ((X[None], WEIGHT, TARGET), {}, "expected x"),
        ((X, WEIGHT[0], TARGET), {}, "expected x"),
        ((X, WEIGHT[:, :2], TARGET), {}, "expected x"),
        ((X[0], WEIGHT.reshape(2, 2, 3), TARGET[:2]), {}, "expected x"),
        ((X, WEIGHT, TARGET[:4]), {"options": chunks(2)}, r"target must have shape \(5,\) or \(5, 4\), got \(4,\)"),
        ((X, WEIGHT, np.append(TARGET, 0)), {"options": chunks(2)}, "target must have shape"),
        ((X, WEIGHT, TARGET, np.zeros(3)), {}, r"linear_bias must have shape \(4,\), got \(3,\)"),
        ((X, WEIGHT, np.full((5, 4), 0.25)), {"ignore_index": -100}, "ignore_index must be None with class probabilities"),
        ((X, WEIGHT, TARGET), {"reduction": "median"}, "reduction must be"),
        ((X, WEIGHT, TARGET), {"label_smoothing": 2.0}, "label_smoothing must be a number from 0 to 1"),
        ((X, WEIGHT, TARGET + 1), {}, "target must hold classes from 0 to 3, got 4"),
    ],
)
def test_errors(arrays, constants, complaint):
    with pytest.raises(ValueError, match=f"^linear_cross_entropy: {complaint}"):
        manual.linear_cross_entropy(*arrays, **constants)


@pytest.mark.parametrize(
    "constants",
    [
        {"batch_chunk_size": 0},
        {"batch_chunk_size": 2.0},
        {"chunking_method": "aspect_ratio:0"},
        {"chunking_method": "aspect_ratio:"},
        {"chunking_method": "halves"},
    ],
)
def test_options_are_checked(constants):
    with pytest.raises(ValueError, match=f"LinearCrossEntropyOptions: {next(iter(constants))} must be"):
        manual.LinearCrossEntropyOptions(**constants)
    with pytest.raises(ValueError, match=r"invalid|must be"):
        torch.nn.LinearCrossEntropyOptions(**constants)


def test_options_that_disagree_are_refused():
    options = manual.LinearCrossEntropyOptions(batch_chunk_size=3, chunking_method="aspect_ratio")
    with pytest.raises(ValueError, match="batch_chunk_size is 3, but aspect_ratio makes it 4"):
        manual.linear_cross_entropy(X, WEIGHT, TARGET, options=options)


def test_module_learns_its_layer():
    loss_of = manual.LinearCrossEntropyLoss(3, 4, bias=True, dtype=np.float32, generator=np.random.default_rng(0))
    _, backward = loss_of(X.astype(np.float32), TARGET)
    grad_x, grad_target = backward(1.0, (False, False))
    assert grad_x is None
    assert grad_target is None
    assert {name: p.grad.dtype for name, p in loss_of.named_parameters()} == {
        "linear.weight": np.float32,
        "linear.bias": np.float32,
    }
    assert "(linear): Linear(in_features=3, out_features=4, bias=True)" in repr(loss_of)
    assert "num_classes=4, out_features=()" in repr(loss_of)


def test_the_parameters_gradients_have_the_shapes_of_the_linear_layer():
    """The scores of all classes and positions are outputs of one `Linear`, whose weight is a matrix."""
    loss_of = manual.LinearCrossEntropyLoss(3, 4, out_features=(2,), bias=True, generator=np.random.default_rng(0))
    _, backward = loss_of(X, np.stack((TARGET, TARGET), axis=1))
    grads = backward(1.0)
    assert [grad if grad is None else grad.shape for grad in grads] == [(5, 3), None]
    assert {name: p.grad.shape for name, p in loss_of.named_parameters()} == {"linear.weight": (8, 3), "linear.bias": (8,)}
    with pytest.raises(ValueError, match="needs must have one entry for each of 2 arguments"):
        backward(1.0, (True,))
