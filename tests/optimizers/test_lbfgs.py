"""L-BFGS: beside torch's on the same functions, with and without a line search; state that goes across; what is refused."""

import math
import re

import numpy as np
import pytest
import torch

import manual
from reference.optimizer_state import to_manual, to_torch
from tests.optimizers.test_sgd import words
from tests.optimizers.trajectories import of, pair

RNG = np.random.default_rng(5)
MATRIX, TARGET = RNG.standard_normal((12, 8)), RNG.standard_normal(12)


def rosenbrock(w):
    """A bent valley: its minimum is where all numbers are 1."""
    v = w[1:] - w[:-1] ** 2
    grad = np.zeros_like(w)
    grad[1:] += 20 * v
    grad[:-1] += -40 * v * w[:-1] - 2 * (1 - w[:-1])
    return float(10 * (v * v).sum() + ((1 - w[:-1]) ** 2).sum()), grad


def logistic(w):
    """A convex function that is no quadratic."""
    z = MATRIX @ w - TARGET
    return float(np.logaddexp(0, z).sum() + 0.05 * w @ w - 0.3 * z.sum()), MATRIX.T @ (1 / (1 + np.exp(-z)) - 0.3) + 0.1 * w


def quadratic(w):
    """Minimal in a single step of Newton."""
    r = MATRIX @ w - TARGET
    return float(r @ r) / 2, MATRIX.T @ r


def quartic(w):
    """Flat at its minimum, steep far from it."""
    return float(((w - 0.5) ** 4).sum()), 4 * (w - 0.5) ** 3


def wavy(w):
    """With many minima: a line search must go back and forth."""
    return float((np.sin(5 * w) + 0.5 * w * w).sum()), 5 * np.cos(5 * w) + w


def slope(w):
    """Falling for ever, and straight: a line search finds no bracket, and a cubic no minimum."""
    return float(-w.sum()), -np.ones_like(w)


FUNCTIONS = [rosenbrock, logistic, quadratic, quartic, wavy]


def closure_of(function, optimizer):
    """What computes a function of all eight numbers and their gradients, on our parameters or on torch's."""

    def closure():
        parameters = of(optimizer)
        ours = isinstance(parameters[0], manual.Parameter)
        arrays = [parameter.data if ours else parameter.detach().numpy() for parameter in parameters]
        loss, grad = function(np.concatenate([array.ravel() for array in arrays]))
        start = 0
        for parameter, array in zip(parameters, arrays, strict=True):
            part = grad[start : start + array.size].reshape(array.shape)
            parameter.grad = part.copy() if ours else torch.tensor(part)
            start += array.size
        closure.calls += 1
        return loss

    closure.calls = 0
    return closure


SHAPES = (2, 3), (), (1,)
SETTINGS = [
    {},
    {"line_search_fn": "strong_wolfe"},
    {"lr": 0.1, "max_iter": 7, "history_size": 2},
    {"lr": 0.3, "max_iter": 5, "line_search_fn": "strong_wolfe", "history_size": 3},
    {"lr": 5.0, "line_search_fn": "strong_wolfe", "max_eval": 6},
    {"lr": 0.05, "max_eval": 3},
    {"line_search_fn": "strong_wolfe", "tolerance_grad": 0.1, "tolerance_change": 0.01},
    {"lr": 0.1, "tolerance_grad": 0.5},
    {"lr": 0.02, "tolerance_change": 0.05},
    {"line_search_fn": "strong_wolfe", "max_iter": 1, "max_eval": 2},
    {"line_search_fn": "strong_wolfe", "max_iter": 3, "max_eval": 1},
    {"max_iter": 0},
    {"lr": 0.1, "max_eval": 0},
]


def lbfgs(**settings):
    return pair("LBFGS", *SHAPES, **settings)


def vector(optimizer):
    return np.concatenate([np.ravel(each.data if isinstance(each, manual.Parameter) else each.detach()) for each in of(optimizer)])


@pytest.mark.parametrize("settings", SETTINGS, ids=words)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_steps_with_torch(function, settings):
    """As many calls of the closure, the same losses and the same points, until so far out that no digits agree any more."""
    ours, theirs = lbfgs(**settings)
    mine, other = closure_of(function, ours), closure_of(function, theirs)
    for _ in range(6):
        losses = ours.step(mine), theirs.step(other)
        assert mine.calls == other.calls
        np.testing.assert_allclose(*losses, rtol=1e-9, atol=1e-9)
        if not abs(losses[0]) < 1e6:
            break
        np.testing.assert_allclose(vector(ours), vector(theirs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lr", [1.0, 0.25, 0.0])
@pytest.mark.parametrize("max_eval", [1, 2, 5, 25])
def test_down_a_straight_slope(lr, max_eval):
    """From 0, where all losses and slopes are exact: on the way out a cubic has no minimum, and the search goes on tenfold."""
    ours, theirs = lbfgs(lr=lr, line_search_fn="strong_wolfe", max_eval=max_eval, max_iter=3)
    for mine, other in zip(of(ours), of(theirs), strict=True):
        mine.data[...] = 0
        other.data.zero_()
    mine, other = closure_of(slope, ours), closure_of(slope, theirs)
    ours.step(mine)
    if lr == 0:  # all points are the same one; torch divides by its distance from itself
        np.testing.assert_array_equal(vector(ours), 0)
        return
    theirs.step(other)
    assert mine.calls == other.calls
    np.testing.assert_allclose(vector(ours), vector(theirs), rtol=1e-12)


def test_the_minimum_is_found():
    """Rosenbrock's, with Wolfe's conditions, to the tolerance of the gradient."""
    optimizer, _ = lbfgs(line_search_fn="strong_wolfe", max_iter=200, tolerance_change=0.0)
    optimizer.step(closure_of(rosenbrock, optimizer))
    np.testing.assert_allclose(vector(optimizer), 1, atol=1e-6)


def test_one_iteration_by_hand():
    """Of f = 2 w² at w = 3, g = 12: the first step goes η min(1, 1/12) against it, so w ← 3 − 12/12 = 2, where g = 8.

    Then s = −1 and y = −4, so that H = 1/4, the inverse of f″: w ← 2 − 8/4 = 0 is the minimum.
    """
    parameter = manual.Parameter(np.array([3.0]))
    optimizer = manual.LBFGS([parameter], max_iter=1)

    def closure():
        parameter.grad = 4 * parameter.data
        return float(2 * parameter.data[0] ** 2)

    assert optimizer.step(closure) == 18.0
    assert parameter.data[0] == 2.0
    assert optimizer.step(closure) == 8.0
    assert parameter.data[0] == 0.0


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_state_has_torchs_keys_and_goes_across(search):
    settings = {"lr": 0.2, "max_iter": 4, "history_size": 3, "line_search_fn": search}
    whole, theirs = lbfgs(**settings)
    mine, other = closure_of(rosenbrock, whole), closure_of(rosenbrock, theirs)
    for _ in range(3):
        whole.step(mine)
        theirs.step(other)
    ours, expected = to_torch(whole.state_dict()), theirs.state_dict()
    assert ours["param_groups"] == expected["param_groups"]
    assert ours["state"].keys() == expected["state"].keys() == {0}
    assert ours["state"][0].keys() == expected["state"][0].keys()
    for key, value in expected["state"][0].items():
        got = ours["state"][0][key]
        if isinstance(value, list):
            assert len(got) == len(value)
            for one, another in zip(got, value, strict=True):
                np.testing.assert_allclose(one, another, rtol=1e-9, atol=1e-12)
        else:
            np.testing.assert_allclose(got, value, rtol=1e-9, atol=1e-12)

    ours, back = lbfgs()
    ours.load_state_dict(to_manual(theirs.state_dict()))
    back.load_state_dict(to_torch(whole.state_dict()))
    for here, there, first, second in zip(of(ours), of(back), of(theirs), of(whole), strict=True):
        here.data[...] = first.detach().numpy()
        there.data.copy_(torch.tensor(second.data))
    pairs = [(whole, mine), (ours, closure_of(rosenbrock, ours)), (back, closure_of(rosenbrock, back))]
    for _ in range(3):
        losses = [float(optimizer.step(closure)) for optimizer, closure in pairs]
        np.testing.assert_allclose(losses[1:], losses[0], rtol=1e-8)
    np.testing.assert_allclose(vector(ours), vector(whole), rtol=1e-8)
    np.testing.assert_allclose(vector(back), vector(whole), rtol=1e-8)


def test_gradients_that_are_none_or_of_a_few_rows_count():
    """As zero, and as dense."""
    results = []
    for rows in (False, True):
        table, idle = manual.Parameter(np.ones((4, 2))), manual.Parameter(np.ones(3))
        optimizer = manual.LBFGS([table, idle], max_iter=3)

        def closure(table=table, rows=rows):
            grad = manual.RowGradient(np.array([1, 3, 1]), np.array([[1.0, 2.0]] * 3) * table.data[[1, 3, 1]], (4, 2))
            table.grad = grad if rows else grad.dense()
            return float((table.data[1] ** 2 + table.data[3] ** 2 / 2).sum())

        optimizer.step(closure)
        np.testing.assert_array_equal(idle.data, 1)
        np.testing.assert_array_equal(table.data[[0, 2]], 1)
        results.append(table.data)
    np.testing.assert_array_equal(*results)
    assert (results[0][[1, 3]] < 1).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1}, "lr must not be negative, got -1"),
        ({"lr": None}, "lr must be a number, got None"),
        ({"max_iter": -1}, "max_iter must not be negative, got -1"),
        ({"max_iter": 2.5}, "max_iter must be an integer, got 2.5"),
        ({"max_eval": True}, "max_eval must be an integer, got True"),
        ({"history_size": 0}, "history_size must be above 0, got 0"),
        ({"tolerance_grad": math.nan}, "tolerance_grad must be finite, got nan"),
        ({"tolerance_change": -1e-9}, "tolerance_change must not be negative, got -1e-09"),
        ({"line_search_fn": "armijo"}, "line_search_fn must be 'strong_wolfe' or None, got 'armijo'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises((TypeError, ValueError), match=f"^LBFGS: {re.escape(message)}$"):
        manual.LBFGS([manual.Parameter(np.ones(2))], **settings)


def test_groups_and_a_step_without_closure_are_refused_as_in_torch():
    first, second = manual.Parameter(np.ones(2)), manual.Parameter(np.ones(2))
    with pytest.raises(ValueError, match=r"^LBFGS: params must be one group, got several$"):
        manual.LBFGS([{"params": first}, {"params": second}])
    theirs = [{"params": torch.nn.Parameter(torch.ones(2))} for _ in range(2)]
    with pytest.raises(ValueError, match="parameter groups"):
        torch.optim.LBFGS(theirs)
    optimizer = manual.LBFGS([first])
    with pytest.raises(TypeError, match=r"^LBFGS: closure must be a function that computes loss and gradients, got NoneType$"):
        optimizer.step()
    assert optimizer.state == {}
    for key, value in (("d", np.ones(3)), ("old_dirs", [np.ones(3)]), ("t", np.ones(2))):
        state = {"state": {0: {key: value}}, "param_groups": optimizer.state_dict()["param_groups"]}
        with pytest.raises(ValueError, match=rf"^LBFGS.load_state_dict: {key} of parameter 0 must have shape \("):
            optimizer.load_state_dict(state)
