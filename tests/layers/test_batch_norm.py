"""Batch and instance norm: known values, training beside torch, running statistics, and what is refused."""

import re

import numpy as np
import pytest
import torch

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

COLUMN = np.array([[0.0], [0.0], [3.0], [3.0]])


def test_batch_norm_by_hand():
    """Mean 1.5 and σ = 1.5, so x̂ = ∓1; with g = (1, 0, 0, 0), mean(g) = ¼ and mean(g x̂) = −¼."""
    output, backward = manual.batch_norm(COLUMN, None, None, np.array([2.0]), np.array([5.0]), training=True, eps=1e-300)
    np.testing.assert_array_equal(output, [[3], [3], [7], [7]])
    grad, grad_mean, grad_var, grad_weight, grad_bias = backward(np.array([[1.0], [0.0], [0.0], [0.0]]))
    np.testing.assert_allclose(grad, [[2 / 3], [-2 / 3], [0], [0]], rtol=1e-15, atol=1e-16)
    assert (grad_mean, grad_var, grad_weight, grad_bias) == (None, None, [-1], [1])


def test_given_statistics_by_hand():
    """(x − 1) / 2 · 3 + 5, and the slope is 3/2."""
    mean, var, weight, bias = (np.array([value]) for value in (1.0, 4.0, 3.0, 5.0))
    for op in (manual.batch_norm, lambda *arrays, eps: manual.instance_norm(*arrays, use_input_stats=False, eps=eps)):
        output, backward = op(COLUMN, mean, var, weight, bias, eps=0.0)
        np.testing.assert_array_equal(output, [[3.5], [3.5], [8], [8]])
        grad, _, _, grad_weight, grad_bias = backward(np.array([[2.0], [0.0], [0.0], [1.0]]))
        np.testing.assert_array_equal(grad, [[3], [0], [0], [1.5]])
        assert (grad_weight, grad_bias) == ([2 * -0.5 + 1], [3])


def test_running_statistics_by_hand():
    """The batch has mean 1.5 and the unbiased variance 3; each moves a tenth of the way."""
    norm = manual.BatchNorm1d(1)
    norm(COLUMN)
    np.testing.assert_allclose(norm.running_mean, [0.15], rtol=1e-15)
    np.testing.assert_allclose(norm.running_var, [0.9 + 0.3], rtol=1e-15)
    assert norm.num_batches_tracked == 1


def test_instances_by_hand():
    """Two samples of means 1 and 3, and unbiased variances 2 and 8: their means move the running statistics."""
    norm = manual.InstanceNorm1d(1, momentum=0.5, track_running_stats=True)
    norm(np.array([[[0.0, 2.0]], [[1.0, 5.0]]]))
    np.testing.assert_allclose(norm.running_mean, [1], rtol=1e-15)
    np.testing.assert_allclose(norm.running_var, [3], rtol=1e-15)
    assert norm.num_batches_tracked == 0  # torch does not count either


def test_instances_of_an_empty_batch():
    """torch's forward is empty as well, and its backward fails."""
    output, backward = manual.instance_norm(np.ones((0, 2, 3)), None, None, np.ones(2), np.ones(2))
    grad, _, _, grad_weight, grad_bias = backward(output)
    assert output.shape == grad.shape == (0, 2, 3)
    np.testing.assert_array_equal([grad_weight, grad_bias], np.zeros((2, 2)))


def test_an_empty_batch_has_no_statistics_of_instances():
    """They stay, where torch's become NaN."""
    norm = manual.InstanceNorm1d(2, track_running_stats=True)
    norm(np.ones((0, 2, 3)))
    np.testing.assert_array_equal([norm.running_mean, norm.running_var], [[0, 0], [1, 1]])


KINDS = {
    "batch norm": ("BatchNorm1d", (3,), {}, (6, 3)),
    "sequences": ("BatchNorm1d", (3,), {}, (4, 3, 2)),
    "images": ("BatchNorm2d", (3,), {"momentum": 0.3}, (2, 3, 2, 2)),
    "volumes": ("BatchNorm3d", (2,), {"eps": 1e-2}, (2, 2, 2, 1, 2)),
    "cumulative": ("BatchNorm1d", (3,), {"momentum": None}, (6, 3)),
    "not affine": ("BatchNorm1d", (3,), {"affine": False}, (6, 3)),
    "no bias": ("BatchNorm1d", (3,), {"bias": False}, (6, 3)),
    "not tracked": ("BatchNorm1d", (3,), {"track_running_stats": False}, (6, 3)),
    "instances": ("InstanceNorm1d", (3,), {"affine": True, "track_running_stats": True}, (2, 3, 4)),
    "instances, images": ("InstanceNorm2d", (3,), {"track_running_stats": True}, (2, 3, 2, 2)),
    "one instance": ("InstanceNorm1d", (3,), {"track_running_stats": True, "affine": True}, (3, 5)),
    "instances, momentum=None": ("InstanceNorm1d", (3,), {"track_running_stats": True, "momentum": None}, (2, 3, 4)),
    "instances, not tracked": ("InstanceNorm1d", (3,), {}, (2, 3, 4)),
}


def assert_same_state(ours, theirs):
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    for name, array in ours.state_dict().items():
        np.testing.assert_allclose(array, expected[name].numpy(), rtol=1e-13, atol=1e-14, err_msg=name)
        assert array.dtype == expected[name].numpy().dtype


@pytest.mark.parametrize("kind", KINDS)
def test_training_beside_torch(kind):
    """Steps of training and evaluation in turn: outputs, gradients, weights and running statistics agree to rounding."""
    name, args, options, shape = KINDS[kind]
    ours, theirs = getattr(manual, name)(*args, **options), getattr(torch.nn, name)(*args, **options).double()
    assert_same_state(ours, theirs)
    learns = bool(list(ours.parameters()))
    if learns:
        ours_step, theirs_step = manual.SGD(ours.parameters(), lr=0.1), torch.optim.SGD(theirs.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    for step in range(6):
        ours.train(step % 3 < 2)
        theirs.train(step % 3 < 2)
        x, g = rng.standard_normal((2, *shape)) * (step + 1) + step
        tensor = torch.tensor(x, requires_grad=True)
        output, backward = ours(x)
        expected = theirs(tensor)
        ours.zero_grad()
        theirs.zero_grad()
        (grad,) = backward(g)
        expected.backward(torch.tensor(g))
        np.testing.assert_allclose(output, expected.detach(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(grad, tensor.grad, rtol=1e-11, atol=1e-11)
        if learns:
            ours_step.step()
            theirs_step.step()
        assert_same_state(ours, theirs)


@pytest.mark.parametrize("kind", ["batch norm", "instances"])
def test_tracking_switched_off_later(kind):
    name, args, options, shape = KINDS[kind]
    ours, theirs = getattr(manual, name)(*args, **options), getattr(torch.nn, name)(*args, **options).double()
    ours.track_running_stats = theirs.track_running_stats = False
    for training in (True, False):
        x = np.random.default_rng(0).standard_normal(shape)
        np.testing.assert_allclose(ours.train(training)(x)[0], theirs.train(training)(torch.tensor(x)).detach(), rtol=1e-12)
        assert_same_state(ours, theirs)


def test_without_momentum_every_batch_counts_the_same():
    norm, batches = manual.BatchNorm1d(2, momentum=None), np.random.default_rng(0).standard_normal((5, 4, 2))
    for batch in batches:
        norm(batch)
    np.testing.assert_allclose(norm.running_mean, batches.mean(axis=(0, 1)), rtol=1e-14)
    np.testing.assert_allclose(norm.running_var, batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-14)


@pytest.mark.parametrize("kind", ["batch norm", "cumulative", "instances"])
def test_states_go_both_ways(kind):
    name, args, options, shape = KINDS[kind]
    x = np.random.default_rng(0).standard_normal(shape)
    ours, theirs = getattr(manual, name)(*args, **options), getattr(torch.nn, name)(*args, **options).double()
    theirs(torch.tensor(x))
    ours.load_state_dict(theirs.state_dict())
    assert_same_state(ours, theirs)
    ours(x + 1)
    theirs.load_state_dict({key: torch.tensor(value) for key, value in ours.state_dict().items()})
    assert_same_state(ours, theirs)
    np.testing.assert_allclose(ours.eval()(x)[0], theirs.eval()(torch.tensor(x)).detach(), rtol=1e-13, atol=1e-14)


def test_buffers_are_changed_in_place_and_the_backward_keeps_none():
    norm, x = manual.BatchNorm1d(2), np.random.default_rng(0).standard_normal((4, 2))
    mean, var, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
    norm(x)
    assert norm.running_mean is mean
    assert norm.running_var is var
    assert norm.num_batches_tracked is count
    output, backward = norm.eval()(x)
    (before,) = backward(output)
    norm.train()(5 * x)
    np.testing.assert_array_equal(backward(output)[0], before)


@pytest.mark.parametrize("momentum", [0.1, 1.0, None])
def test_an_empty_batch_is_counted_and_changes_nothing_else(momentum):
    ours, theirs = manual.BatchNorm1d(2, momentum=momentum), torch.nn.BatchNorm1d(2, momentum=momentum).double()
    ours(np.ones((0, 2)))
    theirs(torch.ones((0, 2), dtype=torch.float64))
    assert_same_state(ours, theirs)
    assert ours.num_batches_tracked == 1


@pytest.mark.parametrize("training", [True, False])
def test_the_operation_leaves_running_statistics_alone(training):
    x, mean, var = np.random.default_rng(0).standard_normal((4, 2)), np.array([1.0, 2.0]), np.array([3.0, 4.0])
    outputs = [manual.batch_norm(x, mean, var, training=training, momentum=momentum)[0] for momentum in (0.0, 1.0)]
    np.testing.assert_array_equal(*outputs)
    np.testing.assert_array_equal([mean, var], [[1, 2], [3, 4]])


def test_float32_stays_float32():
    norm = manual.BatchNorm1d(2, dtype=np.float32)
    output, backward = norm(np.ones((3, 2), np.float32))
    arrays = [output, *backward(output), *norm.buffers(), *(parameter.grad for parameter in norm.parameters())]
    assert [array.dtype for array in arrays] == [np.float32] * 4 + [np.int64] + [np.float32] * 2


def test_a_channel_with_nan_is_the_only_one():
    x = np.arange(12.0).reshape(4, 3)
    x[2, 1] = np.nan
    output, backward = manual.batch_norm(x, None, None, training=True)
    grad = backward(np.ones((4, 3)))[0]
    for array in (output, grad):
        np.testing.assert_array_equal(np.isnan(array), np.broadcast_to([False, True, False], (4, 3)))


C2 = (2,)


@pytest.mark.parametrize(
    ("name", "shapes", "constants", "message"),
    [
        ("batch_norm", [(3,), C2, C2], {}, "x must have shape (N, C, ...), got (3,)"),
        ("batch_norm", [(3, 2), None, None], {}, "running_mean must be given, or both it and its like left out with training=True"),
        ("batch_norm", [(3, 2), C2, None], {}, "running_var must be given"),
        ("batch_norm", [(3, 2), C2, None], {"training": True}, "running_var must be given"),
        ("batch_norm", [(3, 2), None, C2], {"training": True}, "running_mean must be given"),
        ("batch_norm", [(3, 2), (3,), C2], {}, "running_mean must have shape (2,), got (3,)"),
        ("batch_norm", [(3, 2), C2, (1,)], {"training": True}, "running_var must have shape (2,), got (1,)"),
        ("batch_norm", [(3, 2), C2, C2, (3,)], {}, "weight must have shape (2,), got (3,)"),
        ("batch_norm", [(3, 2), C2, C2, C2, (3,)], {}, "bias must have shape (2,), got (3,)"),
        ("batch_norm", [(1, 2), C2, C2], {"training": True}, "x must have more than one value in each channel when training"),
        (
            "batch_norm",
            [(1, 2, 1), None, None],
            {"training": True},
            "x must have more than one value in each channel when training",
        ),
        ("batch_norm", [(3, 2), C2, C2], {"training": True, "eps": 0.0}, "eps must be a positive number, got 0.0"),
        ("batch_norm", [(3, 2), C2, C2], {"eps": -1.0}, "eps must be a number of at least 0, got -1.0"),
        ("instance_norm", [(3,)], {}, "x must have shape (N, C, ...), got (3,)"),
        ("instance_norm", [(3, 2)], {}, "x must have more than one cell in each channel with use_input_stats, got (3, 2)"),
        ("instance_norm", [(3, 2, 1)], {}, "x must have more than one cell in each channel with use_input_stats, got (3, 2, 1)"),
        ("instance_norm", [(3, 2, 4)], {"use_input_stats": False}, "running_mean must be given"),
        ("instance_norm", [(3, 2, 4), C2], {}, "running_var must be given"),
        ("instance_norm", [(3, 2, 4), (3,), C2], {}, "running_mean must have shape (2,), got (3,)"),
        ("instance_norm", [(3, 2, 4), C2, C2, (1,)], {}, "weight must have shape (2,), got (1,)"),
        ("instance_norm", [(3, 2, 4), C2, C2, C2, (3,)], {}, "bias must have shape (2,), got (3,)"),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(name, shapes, constants, message):
    given = tuple(None if shape is None else np.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*given, **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, given, constants)


@pytest.mark.parametrize(
    ("name", "shape", "axes"),
    [
        ("BatchNorm1d", (2,), "2 or 3"),
        ("BatchNorm1d", (2, 3, 4, 5), "2 or 3"),
        ("BatchNorm2d", (2, 3, 4), "4"),
        ("BatchNorm3d", (2, 3, 4, 5), "5"),
        ("InstanceNorm1d", (2, 3, 4, 5), "2 or 3"),
        ("InstanceNorm2d", (2, 3), "3 or 4"),
        ("InstanceNorm3d", (2, 3, 4), "4 or 5"),
    ],
)
def test_modules_refuse_inputs_of_other_dimensions(name, shape, axes):
    with pytest.raises(ValueError, match=re.escape(f"{name}: input must have {axes} axes, got shape {shape}")):
        getattr(manual, name)(3)(np.ones(shape))
    with pytest.raises(ValueError, match="expected"):
        getattr(torch.nn, name)(3)(torch.ones(shape))


@pytest.mark.parametrize("module", [manual.BatchNorm1d(3), manual.InstanceNorm1d(3)])
def test_modules_refuse_what_is_no_array(module):
    with pytest.raises(TypeError, match="_norm: x must be a NumPy array, got list"):
        module([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: manual.BatchNorm1d(-1), "BatchNorm1d: num_features must be an integer of at least 0, got -1"),
        (lambda: manual.BatchNorm2d(3, eps=-1.0), "BatchNorm2d: eps must be a number of at least 0, got -1.0"),
        (lambda: manual.BatchNorm3d(3, momentum="a"), "BatchNorm3d: momentum must be a number, got 'a'"),
        (lambda: manual.InstanceNorm1d(3, affine=1), "InstanceNorm1d: affine must be True or False, got 1"),
        (lambda: manual.InstanceNorm2d(3, track_running_stats=None), "InstanceNorm2d: track_running_stats must be True or False"),
        (lambda: manual.InstanceNorm3d(3, bias="a"), "InstanceNorm3d: bias must be True or False"),
        (lambda: manual.BatchNorm1d(3, dtype=int), "BatchNorm1d: dtype must be np.float32 or np.float64"),
    ],
)
def test_constructors_refuse(build, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        build()
