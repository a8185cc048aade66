"""What all optimizers share: groups, state that is saved and loaded, and steps that are made whole or not at all."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch

import manual

MOMENTUM = {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}


def pair(*shapes, **settings):
    """Two optimizers of the same parameters, ours and torch's."""
    rng = np.random.default_rng(0)
    ours = [manual.Parameter(rng.standard_normal(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(torch.tensor(parameter.data)) for parameter in ours]
    return manual.SGD(ours, **settings), torch.optim.SGD(theirs, **settings)


def step(*optimizers, seed=1):
    """One step of each with the same random gradients."""
    for optimizer in optimizers:
        rng = np.random.default_rng(seed)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                grad = rng.standard_normal(tuple(parameter.shape))
                parameter.grad = grad if isinstance(parameter, manual.Parameter) else torch.tensor(grad)
        optimizer.step()


def values(optimizer):
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return [getattr(parameter, "data", parameter) for parameter in parameters]


def assert_equal(ours, theirs):
    """To 16 eps, where one rounding of a number below 4 is up to 1 eps and each of the few steps makes one or more."""
    for array, tensor in zip(values(ours), values(theirs), strict=True):
        np.testing.assert_allclose(array, tensor, rtol=0, atol=16 * np.finfo(float).eps)


# -- Groups


def test_a_group_can_be_added():
    """As in torch, where a layer is thawed in the middle of a training."""
    ours, theirs = pair((2, 3), **MOMENTUM)
    step(ours, theirs)
    more = np.ones(4)
    ours.add_param_group({"params": manual.Parameter(more.copy()), "lr": 0.5})
    theirs.add_param_group({"params": torch.nn.Parameter(torch.tensor(more)), "lr": 0.5})
    for seed in (2, 3):
        step(ours, theirs, seed=seed)
    assert_equal(ours, theirs)
    assert [group["lr"] for group in ours.param_groups] == [0.1, 0.5]


@pytest.mark.parametrize(
    ("group", "error", "problem"),
    [
        (lambda p: p, ValueError, "each dict in params must have the key 'params', got Parameter"),
        (lambda p: {"lr": 0.1}, ValueError, "each dict in params must have the key 'params', got lr"),
        (lambda p: {"params": [p, p]}, ValueError, "params must name each parameter once, got one twice"),
        (lambda p: {"params": [np.ones(2)]}, TypeError, "params must hold Parameters, got ndarray"),
        (lambda p: {"params": {p}}, TypeError, "params must be in an order that lasts, got a set"),
        (lambda p: {"params": p, "lr": math.inf}, ValueError, "lr must be finite, got inf"),
        (lambda p: {"params": p, "rate": 1.0}, ValueError, "unknown setting rate; expected lr, momentum"),
    ],
)
def test_a_group_that_cannot_be_added_is_not(group, error, problem):
    optimizer, _ = pair((2,))
    before = optimizer.state_dict()
    with pytest.raises(error, match=f"^SGD: {re.escape(problem)}"):
        optimizer.add_param_group(group(manual.Parameter(np.ones(2))))
    with pytest.raises(ValueError, match="got one twice"):
        optimizer.add_param_group({"params": optimizer.param_groups[0]["params"]})
    assert optimizer.state_dict() == before


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, "0.1", None, True, 1j, np.ones(1)])
@pytest.mark.parametrize("name", ["lr", "momentum", "dampening", "weight_decay"])
def test_settings_are_finite_numbers(name, value):
    """When they are given, and when a schedule has changed them: nothing is updated then."""
    message = rf"^SGD: {name} must (be a number|be finite|not be negative), got "
    with pytest.raises((TypeError, ValueError), match=message):
        manual.SGD([manual.Parameter(np.ones(2))], **{name: value})
    first, second = manual.Parameter(np.ones(2)), manual.Parameter(np.ones(2))
    optimizer = manual.SGD([{"params": first}, {"params": second}])
    optimizer.param_groups[1][name] = value
    with pytest.raises((TypeError, ValueError), match=message):
        step(optimizer)
    np.testing.assert_array_equal([first.data, second.data], 1)


@pytest.mark.parametrize("name", ["nesterov", "maximize"])
@pytest.mark.parametrize("value", ["no", 1, None])
def test_switches_are_true_or_false(name, value):
    with pytest.raises(TypeError, match=f"^SGD: {name} must be True or False, got {value!r}$"):
        manual.SGD([manual.Parameter(np.ones(2))], momentum=0.9, **{name: value})


@pytest.mark.parametrize("dampening", [-0.3, 0.0], ids=["dampening", "nesterov"])
@pytest.mark.parametrize("kind", [np.float64, np.float32, int])
def test_numbers_of_numpy_and_integers_are_numbers(kind, dampening):
    """They do what Python's floats do, to the last bit: a parameter in float32 is updated in float32, in any memory order."""
    values = {"lr": kind(1.1), "momentum": kind(1.9), "dampening": kind(dampening), "weight_decay": kind(1.7)}
    rng = np.random.default_rng(0)
    start, grads = rng.standard_normal((2, 10), np.float32), rng.standard_normal((4, 2, 10), np.float32)
    results = []
    for settings in (values, {name: float(value) for name, value in values.items()}):
        parameter = manual.Parameter(np.asfortranarray(start)[:, ::2].copy(order="F"))
        optimizer = manual.SGD([parameter], **settings, nesterov=dampening == 0)
        for grad in grads[:, :, ::2]:
            parameter.grad = grad
            optimizer.step()
        results.append((parameter.data, optimizer.state[parameter]["momentum_buffer"]))
    for got, expected in zip(*results, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected, strict=True)


# -- A step is made whole or not at all


@pytest.mark.parametrize("settings", [{}, MOMENTUM], ids=["plain", "momentum"])
@pytest.mark.parametrize(
    ("attribute", "value", "error", "problem"),
    [
        ("data", np.float64(3), TypeError, "parameter 1 must hold a NumPy array, got float64"),
        ("data", 3.0, TypeError, "parameter 1 must hold a NumPy array, got float"),
        ("data", np.broadcast_to(np.ones(1), 3), ValueError, "parameter 1 must not be read-only"),
        ("grad", 1.0, TypeError, "the gradient of parameter 1 must be a NumPy array, got float"),
        ("grad", [1.0, 2.0, 3.0], TypeError, "the gradient of parameter 1 must be a NumPy array, got list"),
        ("grad", np.ones(1), ValueError, "the gradient of parameter 1 must have its shape, (3,), got (1,)"),
        ("grad", np.ones((2, 3)), ValueError, "the gradient of parameter 1 must have its shape, (3,), got (2, 3)"),
        ("grad", np.ones(3, np.float32), TypeError, "the gradient of parameter 1 must have its dtype, float64, got float32"),
    ],
)
def test_a_step_that_fails_changes_nothing(settings, attribute, value, error, problem):
    first, second = manual.Parameter(np.ones(2)), manual.Parameter(np.ones(3))
    optimizer = manual.SGD([{"params": first}, {"params": second}], **settings)
    first.grad, second.grad = np.ones(2), np.ones(3)
    setattr(second, attribute, value)
    if attribute == "data" and isinstance(value, np.ndarray):
        second.grad = np.ones(3, value.dtype)
    with pytest.raises(error, match=f"^SGD: {re.escape(problem)}$"):
        optimizer.step()
    np.testing.assert_array_equal(first.data, 1)
    np.testing.assert_array_equal(second.data, value if attribute == "data" else 1)
    assert optimizer.state == {}


def test_a_gradient_without_axes_may_be_a_number_of_numpy():
    """Sums make such gradients."""
    parameter = manual.Parameter(np.array(1.0))
    parameter.grad = np.ones(3).sum()
    manual.SGD([parameter], lr=0.5).step()
    np.testing.assert_array_equal(parameter.data, np.array(-0.5), strict=True)


# -- State


def test_state_has_torchs_keys_and_nesting():
    ours, theirs = pair((2, 3), (4,), **MOMENTUM)
    step(ours, theirs)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == other.keys()
    assert mine["state"].keys() == other["state"].keys() == {0, 1}
    for number, state in other["state"].items():
        assert mine["state"][number].keys() == state.keys()
        np.testing.assert_allclose(mine["state"][number]["momentum_buffer"], state["momentum_buffer"], rtol=1e-15)
    for mine_group, group in zip(mine["param_groups"], other["param_groups"], strict=True):
        assert mine_group.items() <= group.items()
        assert group.keys() - mine_group.keys() == {"foreach", "differentiable", "fused"}


def test_state_goes_from_torch_to_us():
    ours, theirs = pair((2, 3), (4,), **MOMENTUM)
    for seed in (1, 2):
        step(theirs, seed=seed)
    ours.load_state_dict(theirs.state_dict())
    for array, tensor in zip(values(ours), values(theirs), strict=True):
        array[...] = tensor.numpy()
    step(ours, theirs, seed=3)
    assert_equal(ours, theirs)


def test_state_goes_from_us_to_torch():
    ours, theirs = pair((2, 3), (4,), **MOMENTUM)
    for seed in (1, 2):
        step(ours, seed=seed)
    state = ours.state_dict()
    state["state"] = {n: {k: torch.tensor(v) for k, v in each.items()} for n, each in state["state"].items()}
    theirs.load_state_dict(state)
    for array, tensor in zip(values(ours), values(theirs), strict=True):
        tensor.copy_(torch.tensor(array))
    step(ours, theirs, seed=3)
    assert_equal(ours, theirs)


def test_a_training_is_taken_up_where_it_was_left():
    whole, _ = pair((2, 3), (4,), **MOMENTUM)
    parts, _ = pair((2, 3), (4,), lr=5.0)
    for seed in (1, 2):
        step(whole, seed=seed)
    saved = pickle.loads(pickle.dumps(whole.state_dict()))
    for array, value in zip(values(parts), values(whole), strict=True):
        array[...] = value
    parts.load_state_dict(saved)
    saved["state"][0]["momentum_buffer"][:] = 9  # loading has copied it
    step(whole, parts, seed=3)
    for array, value in zip(values(parts), values(whole), strict=True):
        np.testing.assert_array_equal(array, value)
    assert [group["lr"] for group in parts.param_groups] == [0.1]


def test_the_number_of_a_parameter_counts_all_groups():
    first, second, third = (manual.Parameter(np.ones(2)) for _ in range(3))
    optimizer = manual.SGD([{"params": [first, second]}, {"params": third}], lr=0.1, momentum=0.5)
    third.grad = np.ones(2)
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0, 1], [2]]
    assert list(state["state"]) == [2]
    assert state["state"][2]["momentum_buffer"] is optimizer.state[third]["momentum_buffer"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda s: s["state"][1].update(momentum_buffer=np.ones(5)),
            "momentum_buffer of parameter 1 must have shape (4,), got (5,)",
        ),
        (lambda s: s["state"][1].update(momentum_buffer="x"), "momentum_buffer of parameter 1 must hold numbers, got <U1"),
        (lambda s: s["state"].update({7: {}}), "no group has a parameter 7, for which there is state"),
        (lambda s: s["param_groups"].append(s["param_groups"][0]), "the groups must have [2] parameters, got [2, 2]"),
        (lambda s: s["param_groups"][0].update(params=[0]), "the groups must have [2] parameters, got [1]"),
        (lambda s: s["param_groups"][0].update(lr=math.nan), "lr must be finite, got nan"),
        (lambda s: s["param_groups"][0].update(betas=(0.9, 0.99)), "unknown setting betas"),
        (lambda s: s.pop("state"), "state_dict must have the keys 'state' and 'param_groups', got "),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, problem):
    optimizer, _ = pair((2, 3), (4,), **MOMENTUM)
    step(optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    state = copy.deepcopy(before)
    state["param_groups"][0]["lr"] = 7.0
    state["state"][0]["momentum_buffer"] += 1
    change(state)
    with pytest.raises((TypeError, ValueError), match=rf"^SGD(\.load_state_dict)?: .*{re.escape(problem)}"):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_momentum_goes_on_when_the_module_is_converted():
    layer = manual.Linear(2, 2)
    optimizer = manual.SGD(layer.parameters(), lr=0.1, momentum=0.5)
    expected = layer.weight.data - 0.1 - 0.1 * 1.5
    for _ in range(2):
        layer.weight.grad = np.ones((2, 2), layer.weight.dtype)
        optimizer.step()
        layer.float()
    np.testing.assert_allclose(layer.weight.data, expected, rtol=0, atol=4 * np.finfo(np.float32).eps)
    assert optimizer.state[layer.weight]["momentum_buffer"].dtype == np.float32


# -- Looks and copies


def test_it_looks_like_torchs():
    ours, theirs = pair((2,), **MOMENTUM)
    ours.add_param_group({"params": manual.Parameter(np.ones(2)), "lr": 0.5})
    theirs.add_param_group({"params": torch.nn.Parameter(torch.ones(2)), "lr": 0.5})
    without = r"    (differentiable|foreach|fused): .*\n"
    assert repr(ours) == re.sub(without, "", repr(theirs))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))], ids=["deepcopy", "pickle"])
def test_a_copy_steps_its_own_parameters(copied):
    layer = manual.Linear(2, 2)
    optimizer = manual.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    step(optimizer)
    twin_layer, twin = copied((layer, optimizer))
    before = layer.weight.data.copy()
    step(twin, seed=2)
    np.testing.assert_array_equal(layer.weight.data, before)
    step(optimizer, seed=2)
    np.testing.assert_array_equal(twin_layer.weight.data, layer.weight.data)
    assert not np.array_equal(layer.weight.data, before)
