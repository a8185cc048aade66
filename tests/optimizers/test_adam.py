"""Adam and AdamW: steps by hand, groups, kinds of arrays, state, and what is refused."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch

import manual
from tests.optimizers.test_sgd import in_torch, parameters
from tests.optimizers.trajectories import assert_near, of, pair, steps

OPTIMIZERS = {"Adam": (manual.Adam, torch.optim.Adam), "AdamW": (manual.AdamW, torch.optim.AdamW)}
EVERYTHING = {"lr": 0.05, "betas": (0.5, 0.75), "eps": 0.1, "weight_decay": 0.1, "amsgrad": True, "maximize": True}

both = pytest.mark.parametrize("name", OPTIMIZERS)


@both
def test_single_precision_stays_single(name):
    """A step moves a number by at most a few lr = 0.01; a hundred of them add up their roundings, each below 4 · 2⁻²⁴."""
    ours, theirs = pair(name, (3, 4), (5,), dtype=np.float32, lr=np.float64(0.01), weight_decay=np.float64(0.1), amsgrad=True)
    steps(100, ours, theirs)
    assert_near(ours, theirs, 1e-4)
    for state in ours.state.values():
        assert {key: array.dtype for key, array in state.items() if key != "step"} == dict.fromkeys(
            ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"), np.float32
        )


def test_two_steps_by_hand():
    """With β₁ = β₂ = 1/2 and ε = 1, of the gradients 5 and 1:

    m̂ = 5, v̂ = 25, so w ← w − 5/6 η;  m = 7/4, m̂ = 7/3, v = 27/4, v̂ = 9, so w ← w − 7/12 η
    """
    parameter = manual.Parameter(np.array([4.0]))
    optimizer = manual.Adam([parameter], lr=0.5, betas=(0.5, 0.5), eps=1.0)
    for grad, expected in ((5.0, 4 - 5 / 12), (1.0, 4 - 5 / 12 - 7 / 24)):
        parameter.grad = np.array([grad])
        optimizer.step()
        assert parameter.data == pytest.approx(expected, rel=1e-15)


def test_decay_is_decoupled():
    """Of a gradient of zero there is no step, and w ← w − η λ w all the same; Adam's own decay would be a step of η."""
    for optimizer, expected in ((manual.AdamW, 4 - 0.5 * 0.25 * 4), (manual.Adam, 4 - 0.5)):
        parameter = manual.Parameter(np.array([4.0]))
        parameter.grad = np.zeros(1)
        optimizer([parameter], lr=0.5, weight_decay=0.25).step()
        assert parameter.data == pytest.approx(expected, rel=1e-7)


def test_groups_have_settings_of_their_own():
    """And a schedule may change them between steps."""
    ours, rng = parameters((3,), (2, 2), (4,)), np.random.default_rng(2)
    theirs = in_torch(ours)

    def groups(tensors):
        return [{"params": tensors[:1], "lr": 0.01, "betas": (0.8, 0.9)}, {"params": tensors[1:], "amsgrad": True}]

    optimizers = manual.AdamW(groups(ours), lr=0.1), torch.optim.AdamW(groups(theirs), lr=0.1)
    for step in range(20):
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] *= 0.9
            if step == 3:
                optimizer.param_groups[1].update(betas=(0.5, 0.5), weight_decay=0.5)
        steps(1, *optimizers, seed=rng.integers(1 << 30))
    assert_near(*optimizers)


@both
def test_parameters_without_a_gradient_are_left_alone(name):
    """Neither decay nor mean moves them, and no step is counted; a gradient of zero does all that."""
    ours, theirs = pair(name, (3,), (3,), lr=0.1, weight_decay=0.1)
    for seed in range(6):
        if seed == 3:
            before = of(ours)[0].data.copy()
            for optimizer in (ours, theirs):
                of(optimizer)[0].grad = None
                optimizer.step()
            np.testing.assert_array_equal(of(ours)[0].data, before)
        steps(1, ours, theirs, seed=seed)
    assert_near(ours, theirs)
    assert [float(ours.state[parameter]["step"]) for parameter in of(ours)] == [6, 7]


def arrays_of_all_kinds(rng):
    yield "larger than a block", rng.standard_normal((700, 300))
    yield "nothing", rng.standard_normal((0, 3))
    yield "a single number", rng.standard_normal(())
    yield "transposed", rng.standard_normal((70, 30)).T
    yield "every second", rng.standard_normal((70, 30))[:, ::2]
    yield "reversed", rng.standard_normal(31)[::-1]
    yield "float32", rng.standard_normal((70, 30)).astype(np.float32)


@pytest.mark.parametrize("kind", [kind for kind, _ in arrays_of_all_kinds(np.random.default_rng(0))])
def test_every_kind_of_array_is_updated_in_place(kind):
    """As torch updates a copy that is in order in memory; so are gradients in any order taken, and none is changed."""
    rng = np.random.default_rng(4)
    array = dict(arrays_of_all_kinds(rng))[kind]
    ours, copied = ([manual.Parameter(each)] for each in (array, array.copy()))
    optimizer, other = manual.AdamW(ours, lr=0.1, amsgrad=True), torch.optim.AdamW(in_torch(copied), lr=0.1, amsgrad=True)
    for order in "CFC":
        grad = np.array(rng.standard_normal(array.shape), array.dtype, order=order)
        grad.flags.writeable = False
        ours[0].grad, of(other)[0].grad = grad, torch.tensor(grad)
        optimizer.step()
        other.step()
    assert ours[0].data is array
    assert_near(optimizer, other, 1e-12 if array.dtype == float else 1e-6)


def test_a_gradient_of_a_few_rows_is_refused_as_in_torch():
    layer = manual.Embedding(5, 2, sparse=True)
    optimizer = manual.Adam([manual.Parameter(np.ones(2)), layer.weight])
    _, backward = layer(np.array([1, 3]))
    backward(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"^Adam: the gradient of parameter 1 must be a NumPy array, got RowGradient;"):
        optimizer.step()
    assert optimizer.state == {}
    theirs = torch.nn.Embedding(5, 2, sparse=True)
    theirs(torch.tensor([1, 3])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        torch.optim.Adam(theirs.parameters()).step()


# -- State


def test_a_training_is_taken_up_where_it_was_left():
    whole, _ = pair("Adam", (2, 3), (4,), **EVERYTHING)
    parts, _ = pair("Adam", (2, 3), (4,))
    steps(3, whole)
    saved = pickle.loads(pickle.dumps(whole.state_dict()))
    for parameter, other in zip(of(parts), of(whole), strict=True):
        parameter.data[...] = other.data
    parts.load_state_dict(saved)
    for state in saved["state"].values():  # loading has copied it
        for array in state.values():
            array[...] = 9
    steps(3, whole, parts, seed=2)
    for parameter, other in zip(of(parts), of(whole), strict=True):
        np.testing.assert_array_equal(parameter.data, other.data)


def test_the_state_of_an_adam_is_decoupled_in_an_adamw():
    for library, optim in ((manual, manual), (torch.nn, torch.optim)):
        parameter = library.Parameter(np.ones(2)) if library is manual else library.Parameter(torch.ones(2))
        optimizer = optim.AdamW([parameter])
        optimizer.load_state_dict(optim.Adam([parameter], weight_decay=0.5).state_dict())
        (group,) = optimizer.param_groups
        assert (group["weight_decay"], group["decoupled_weight_decay"]) == (0.5, True)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("step", np.ones(3), "step of parameter 0 must have shape (), got (3,)"),
        ("exp_avg", np.ones(3), "exp_avg of parameter 0 must have shape (2, 3), got (3,)"),
        ("exp_avg_sq", "x", "exp_avg_sq of parameter 0 must hold numbers, got <U1"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(key, value, problem):
    optimizer, _ = pair("Adam", (2, 3))
    steps(1, optimizer)
    before = copy.deepcopy(optimizer.state_dict())
    state = copy.deepcopy(before)
    state["state"][0][key] = value
    with pytest.raises((TypeError, ValueError), match=f"^Adam.load_state_dict: {re.escape(problem)}"):
        optimizer.load_state_dict(state)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_the_means_go_on_when_the_module_is_converted():
    ours, theirs = pair("AdamW", (2, 3), lr=0.1)
    steps(2, ours, theirs)
    (parameter,), (tensor,) = of(ours), of(theirs)
    parameter.convert(np.dtype(np.float32))
    tensor.data = tensor.data.float()
    theirs.load_state_dict(theirs.state_dict())  # which converts torch's
    steps(2, ours, theirs, seed=2)
    assert_near(ours, theirs, 1e-6)
    assert ours.state[parameter]["exp_avg"].dtype == np.float32


# -- Refusals


@both
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -0.1}, "lr must not be negative, got -0.1"),
        ({"eps": -1e-8}, "eps must not be negative, got -1e-08"),
        ({"weight_decay": -1}, "weight_decay must not be negative, got -1"),
        ({"betas": (1.0, 0.9)}, "betas[0] must be below 1, got 1.0"),
        ({"betas": (0.9, 1.0)}, "betas[1] must be below 1, got 1.0"),
        ({"betas": (-0.1, 0.9)}, "betas[0] must not be negative, got -0.1"),
        ({"betas": (0.9, -0.1)}, "betas[1] must not be negative, got -0.1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_as_in_torch(name, settings, message):
    """For all parameters, or for one group; just beside them they are taken."""
    ours, (mine, other) = parameters((2,)), OPTIMIZERS[name]
    for params, others in ((ours, settings), ([{"params": ours, **settings}], {})):
        with pytest.raises(ValueError, match=f"^{name}: {re.escape(message)}$"):
            mine(params, **others)
    with pytest.raises(ValueError, match="Invalid"):
        other(in_torch(ours), **settings)
    mine(ours, lr=0.0, eps=0.0, weight_decay=0.0, betas=(0.0, math.nextafter(1, 0)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": "0.1"}, "lr must be a number, got '0.1'"),
        ({"eps": math.inf}, "eps must be finite, got inf"),
        ({"betas": 0.9}, "betas must be two numbers, got 0.9"),
        ({"betas": (0.9, 0.9, 0.9)}, "betas must be two numbers, got (0.9, 0.9, 0.9)"),
        ({"betas": (0.9, None)}, "betas[1] must be a number, got None"),
        ({"betas": (math.nan, 0.9)}, "betas[0] must be finite, got nan"),
        ({"amsgrad": 1}, "amsgrad must be True or False, got 1"),
        ({"maximize": None}, "maximize must be True or False, got None"),
        ({"decoupled_weight_decay": "no"}, "decoupled_weight_decay must be True or False, got 'no'"),
    ],
)
def test_settings_of_another_kind_are_refused(settings, message):
    """When they are given, and when a schedule has changed them: nothing is updated then."""
    ours = parameters((2,))
    with pytest.raises((TypeError, ValueError), match=f"^Adam: {re.escape(message)}$"):
        manual.Adam(ours, **settings)
    first, second = parameters((2,), (2,))
    optimizer = manual.Adam([{"params": first}, {"params": second}])
    first.grad = second.grad = np.ones(2)
    before = first.data.copy()
    optimizer.param_groups[1].update(settings)
    with pytest.raises((TypeError, ValueError), match=f"^Adam: {re.escape(message)}$"):
        optimizer.step()
    np.testing.assert_array_equal(first.data, before)
