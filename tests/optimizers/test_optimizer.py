"""What all optimizers share: groups, state that is saved and loaded, and steps that are made whole or not at all."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch

import manual
from tests.optimizers import trajectories
from tests.optimizers.trajectories import TRAJECTORIES

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


# -- Closures and names


@pytest.mark.parametrize("name", [name for name in TRAJECTORIES if name != "SparseAdam"])
def test_a_closure_computes_loss_and_gradients(name):
    """Once, before the step; what it returns is returned. A step without a closure returns nothing."""
    optimizer, _ = trajectories.pair(name)
    plain, _ = trajectories.pair(name)
    grads = [np.ones(parameter.shape) for parameter in trajectories.of(optimizer)]
    calls = []

    def closure():
        for parameter, grad in zip(trajectories.of(optimizer), grads, strict=True):
            parameter.grad = grad
        calls.append(None)
        return loss

    loss = object()
    assert optimizer.step(closure) is loss
    assert len(calls) == 1
    for parameter, grad in zip(trajectories.of(plain), grads, strict=True):
        parameter.grad = grad
    assert plain.step() is None
    for one, other in zip(trajectories.of(optimizer), trajectories.of(plain), strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_names_are_kept_as_in_torch():
    ours, theirs = (nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)) for nn in (manual, torch.nn))
    optimizers = [library.SGD(net.named_parameters(), lr=0.1) for library, net in ((manual, ours), (torch.optim, theirs))]
    for optimizer, nn, one in zip(optimizers, (manual, torch.nn), (np.ones(2), torch.ones(2)), strict=True):
        optimizer.add_param_group({"params": [("scale", nn.Parameter(one))], "lr": 0.5})
    mine, other = (optimizer.state_dict() for optimizer in optimizers)
    for group, expected in zip(mine["param_groups"], other["param_groups"], strict=True):
        assert group["param_names"] == expected["param_names"]
    assert [group["params"] for group in mine["param_groups"]] == [[0, 1, 2, 3], [4]]
    without = r"    (differentiable|foreach|fused): .*\n"
    assert repr(optimizers[0]).replace("0.0", "0") == re.sub(without, "", repr(optimizers[1])).replace("0.0", "0")
    step(optimizers[0])


def test_names_of_a_state_dict_replace_the_own_ones_and_stay_where_it_has_none():
    def of(name):
        layer = manual.Linear(2, 2)
        return manual.SGD([(f"{name}.{key}", parameter) for key, parameter in layer.named_parameters()])

    first, second, without = of("first"), of("second"), manual.SGD(manual.Linear(2, 2).parameters())
    first.load_state_dict(without.state_dict())
    assert first.param_groups[0]["param_names"] == ["first.weight", "first.bias"]
    first.load_state_dict(second.state_dict())
    without.load_state_dict(second.state_dict())
    for optimizer in (first, without):
        assert optimizer.param_groups[0]["param_names"] == ["second.weight", "second.bias"]


def test_names_are_for_all_parameters_or_none():
    named, other = ("first", manual.Parameter(np.ones(2))), manual.Parameter(np.ones(2))
    with pytest.raises(ValueError, match=r"^SGD: params must all have names or none, got 1 names for 2 parameters$"):
        manual.SGD([named, other])
    for given, added in ((named, other), (other, named)):
        optimizer = manual.SGD([given])
        with pytest.raises(ValueError, match=r"^SGD: the groups must all have names or none$"):
            optimizer.add_param_group({"params": [added]})
        assert len(optimizer.param_groups) == 1
    with pytest.raises(TypeError, match=r"^SGD: params must hold Parameters, got tuple$"):
        manual.SGD([("first", other, 1)])
    with pytest.raises(ValueError, match=r"^SGD: param_names must be 1 names, got 2$"):
        manual.SGD([{"params": [other], "param_names": ["first", "second"]}])


# -- Settings

WRONG = [  # as torch refuses them, and with what words we do
    ("ASGD", {"lr": -1}, "lr must not be negative, got -1"),
    ("ASGD", {"weight_decay": -1}, "weight_decay must not be negative, got -1"),
    ("Adadelta", {"lr": -1}, "lr must not be negative, got -1"),
    ("Adadelta", {"rho": -0.1}, "rho must not be negative, got -0.1"),
    ("Adadelta", {"rho": 1.1}, "rho must be at most 1, got 1.1"),
    ("Adadelta", {"eps": -1}, "eps must not be negative, got -1"),
    ("Adadelta", {"weight_decay": -1}, "weight_decay must not be negative, got -1"),
    ("Adafactor", {"lr": -1}, "lr must not be negative, got -1"),
    ("Adafactor", {"beta2_decay": 0.1}, "beta2_decay must not be positive, got 0.1"),
    ("Adafactor", {"eps": (-1, 1)}, "eps[0] must not be negative, got -1"),
    ("Adafactor", {"eps": (None, -1)}, "eps[1] must not be negative, got -1"),
    ("Adafactor", {"d": 0.9}, "d must be at least 1, got 0.9"),
    ("Adafactor", {"weight_decay": -1}, "weight_decay must not be negative, got -1"),
    ("Adagrad", {"lr": -1}, "lr must not be negative, got -1"),
    ("Adagrad", {"lr_decay": -1}, "lr_decay must not be negative, got -1"),
    ("Adagrad", {"weight_decay": -1}, "weight_decay must not be negative, got -1"),
    ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value must not be negative, got -1"),
    ("Adagrad", {"eps": -1}, "eps must not be negative, got -1"),
    *(
        (name, settings, message)
        for name in ("Adamax", "NAdam", "RAdam")
        for settings, message in [
            ({"lr": -1}, "lr must not be negative, got -1"),
            ({"eps": -1}, "eps must not be negative, got -1"),
            ({"weight_decay": -1}, "weight_decay must not be negative, got -1"),
            ({"betas": (1.0, 0.9)}, "betas[0] must be below 1, got 1.0"),
            ({"betas": (0.9, -0.1)}, "betas[1] must not be negative, got -0.1"),
        ]
    ),
    ("NAdam", {"momentum_decay": -1}, "momentum_decay must not be negative, got -1"),
    ("Muon", {"lr": -1}, "lr must not be negative, got -1"),
    ("Muon", {"momentum": -1}, "momentum must not be negative, got -1"),
    ("Muon", {"weight_decay": -1}, "weight_decay must not be negative, got -1"),
    ("Muon", {"adjust_lr_fn": "mine"}, "adjust_lr_fn must be 'original', 'match_rms_adamw' or None, got 'mine'"),
    ("RMSprop", {"lr": -1}, "lr must not be negative, got -1"),
    ("RMSprop", {"eps": -1}, "eps must not be negative, got -1"),
    ("RMSprop", {"momentum": -1}, "momentum must not be negative, got -1"),
    ("RMSprop", {"weight_decay": -1}, "weight_decay must not be negative, got -1"),
    ("RMSprop", {"alpha": -1}, "alpha must not be negative, got -1"),
    ("Rprop", {"lr": -1}, "lr must not be negative, got -1"),
    ("Rprop", {"etas": (0.0, 1.2)}, "etas must be a number between 0 and 1 and one above 1, got (0.0, 1.2)"),
    ("Rprop", {"etas": (1.0, 1.2)}, "etas must be a number between 0 and 1 and one above 1, got (1.0, 1.2)"),
    ("Rprop", {"etas": (0.5, 1.0)}, "etas must be a number between 0 and 1 and one above 1, got (0.5, 1.0)"),
    ("SparseAdam", {"lr": 0}, "lr must be above 0, got 0"),
    ("SparseAdam", {"lr": -1}, "lr must not be negative, got -1"),
    ("SparseAdam", {"eps": 0}, "eps must be above 0, got 0"),
    ("SparseAdam", {"betas": (0.9, 1.0)}, "betas[1] must be below 1, got 1.0"),
]
OF_ANOTHER_KIND = [  # which torch finds out later, or never
    ("ASGD", {"t0": "5"}, "t0 must be a number, got '5'"),
    ("ASGD", {"lambd": math.inf}, "lambd must be finite, got inf"),
    ("ASGD", {"alpha": None}, "alpha must be a number, got None"),
    ("ASGD", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("Adadelta", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("Adafactor", {"eps": 1e-3}, "eps must be two numbers, got 0.001"),
    ("Adafactor", {"eps": (1e-3, None)}, "eps[1] must be a number, got None"),
    ("Adafactor", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("Adagrad", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("Adamax", {"betas": 0.9}, "betas must be two numbers, got 0.9"),
    ("Adamax", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("NAdam", {"decoupled_weight_decay": None}, "decoupled_weight_decay must be True or False, got None"),
    ("NAdam", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("RAdam", {"decoupled_weight_decay": None}, "decoupled_weight_decay must be True or False, got None"),
    ("RAdam", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("Muon", {"ns_steps": 2.5}, "ns_steps must be an integer, got 2.5"),
    ("Muon", {"ns_steps": -1}, "ns_steps must not be negative, got -1"),
    ("Muon", {"ns_steps": 100}, "ns_steps must be below 100, got 100"),
    ("Muon", {"ns_coefficients": (1.0, 2.0)}, "ns_coefficients must be three numbers, got (1.0, 2.0)"),
    ("Muon", {"eps": -1.0}, "eps must not be negative, got -1.0"),
    ("Muon", {"nesterov": 1}, "nesterov must be True or False, got 1"),
    ("RMSprop", {"centered": "yes"}, "centered must be True or False, got 'yes'"),
    ("RMSprop", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("Rprop", {"step_sizes": 1.0}, "step_sizes must be two numbers, got 1.0"),
    ("Rprop", {"maximize": 1}, "maximize must be True or False, got 1"),
    ("SparseAdam", {"maximize": 1}, "maximize must be True or False, got 1"),
]


@pytest.mark.parametrize(("name", "settings", "message"), WRONG + OF_ANOTHER_KIND)
def test_settings_that_make_no_sense_are_refused(name, settings, message):
    """When they are given, and when a schedule has changed them: nothing is updated then."""
    shape = trajectories.shapes_of(name)[0]
    parameter = manual.Parameter(np.ones(shape))
    optimizer = getattr(manual, name)([parameter])
    with pytest.raises((TypeError, ValueError), match=f"^{name}: {re.escape(message)}$"):
        getattr(manual, name)([parameter], **settings)
    if (name, settings, message) in WRONG:
        with pytest.raises(ValueError):  # noqa: PT011 (torch's words are its own)
            getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(shape))], **settings)
    parameter.grad = np.ones(shape)
    optimizer.param_groups[0].update(settings)
    with pytest.raises((TypeError, ValueError), match=f"^{name}: {re.escape(message)}$"):
        optimizer.step()
    np.testing.assert_array_equal(parameter.data, 1)


def test_muon_takes_matrices_alone():
    for shape in ((3,), (2, 2, 2), ()):
        with pytest.raises(ValueError, match=rf"^Muon: params must have two axes, got one of shape {re.escape(str(shape))}$"):
            manual.Muon([manual.Parameter(np.ones(shape))])
        with pytest.raises(ValueError, match="2D"):
            torch.optim.Muon([torch.nn.Parameter(torch.ones(shape))])


def test_a_variance_that_rounding_makes_negative_counts_as_zero():
    """Of a gradient that stays the same, v − m² is 0 in the end; torch may take the root of a number below."""
    parameter = manual.Parameter(np.ones(50))
    optimizer = manual.RMSprop([parameter], centered=True, alpha=0.5, lr=1e-12)
    for _ in range(200):
        parameter.grad = np.linspace(0.1, 3, 50)
        optimizer.step()
    assert np.isfinite(parameter.data).all()


def test_a_setting_may_be_turned_on_midway():
    """What it needs is remembered from then on, from 0."""
    parameter = manual.Parameter(np.ones(3))
    for name, change in (("RMSprop", {"centered": True, "momentum": 0.5}), ("Adam", {"amsgrad": True})):
        optimizer = getattr(manual, name)([parameter])
        for _ in range(2):
            parameter.grad = np.ones(3)
            optimizer.step()
            optimizer.param_groups[0].update(change)
        assert np.isfinite(parameter.data).all()


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
