"""How a module calls its operation: arguments in their places, gradients that add up, and what nobody needs."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import manual
from manual.calling import array_names
from manual.module import Buffer
from reference import structure
from tests.test_module import cotangent_of, network, run
from tests.test_repr import BUILT, build

# -- Calling an operation


def weighted(x, scale, target, shift, weight, /, *, power):
    """Σ scale · xᵖ + Σ shift + Σ weight · target: a module may own the second and the fourth argument, and the last."""
    output = (scale * x**power).sum() + shift.sum() + (0 if weight is None else (weight * target).sum())

    def backward(grad_output, needs):
        slopes = scale * power * x ** (power - 1), x**power, weight, np.ones_like(shift), None if weight is None else target
        return tuple(grad_output * slope if need and slope is not None else None for slope, need in zip(slopes, needs, strict=True))

    return output, backward


class Weighted(manual.Module):
    """Owns the second and fourth argument of `weighted` as parameters and the last, which it may lack, as a buffer."""

    def __init__(self, weight=None, kind=manual.Parameter):
        self.scale, self.shift = kind(np.array([2.0, 3.0])), kind(np.array([5.0, 7.0]))
        self.register_buffer("weight", weight)

    def forward(self, x, target):
        return self.call(weighted, x, self.scale, target, self.shift, Buffer(self.weight), power=2)


X, TARGET, WEIGHT = np.array([1.0, -2.0]), np.array([4.0, 6.0]), np.array([0.5, 0.25])


def test_a_call_takes_arguments_in_the_operations_order():
    """Parameters stand between inputs, a buffer behind them: gradients go to each in its place."""
    module = Weighted(WEIGHT)
    output, backward = module(X, TARGET)
    assert output == 2 * 1 + 3 * 4 + 12 + 3.5
    grad_x, grad_target = backward(np.array(3.0))
    np.testing.assert_array_equal(grad_x, [12, -36])  # 3 · 2 scale x
    np.testing.assert_array_equal(grad_target, 3 * WEIGHT)
    np.testing.assert_array_equal(module.scale.grad, [3, 12])
    np.testing.assert_array_equal(module.shift.grad, [3, 3])


def test_a_buffer_that_is_missing_keeps_its_place():
    output, backward = Weighted()(X, TARGET)
    assert output == 26
    grad_x, grad_target = backward(np.array(3.0))
    np.testing.assert_array_equal(grad_x, [12, -36])
    assert grad_target is None


@pytest.mark.parametrize("frozen", [(), ("scale",), ("shift",), ("scale", "shift")])
@pytest.mark.parametrize("needs", [None, (True, True), (False, True), (True, False), (False, False)])
def test_an_operation_is_asked_for_what_is_needed_alone(needs, frozen):
    asked = []

    def spied(*arrays, **constants):
        output, backward = weighted(*arrays, **constants)
        return output, lambda grad_output, needs: (asked.append(needs), backward(grad_output, needs))[1]

    module = Weighted(WEIGHT)
    for name in frozen:
        getattr(module, name).requires_grad = False
    _, backward = module.call(spied, X, module.scale, TARGET, module.shift, Buffer(WEIGHT), power=2)
    grads = backward(np.array(3.0), needs)
    need_x, need_target = needs or (True, True)
    assert asked == [(need_x, "scale" not in frozen, need_target, "shift" not in frozen, False)]
    assert [grad is not None for grad in grads] == [need_x, need_target]
    for name in ("scale", "shift"):
        assert (getattr(module, name).grad is None) == (name in frozen)


def test_freezing_between_forward_and_backward_counts():
    module = Weighted(WEIGHT)
    _, backward = module(X, TARGET)
    module.requires_grad_(False)
    backward(np.array(3.0))
    assert module.scale.grad is None
    module.requires_grad_()
    backward(np.array(3.0))
    np.testing.assert_array_equal(module.scale.grad, [3, 12])


def test_subclasses_of_parameter_count():
    """In calls, state dicts, lists of parameters and optimizers."""

    class Tagged(manual.Parameter):
        pass

    module = Weighted(WEIGHT, kind=Tagged)
    assert [name for name, _ in module.named_parameters()] == ["scale", "shift"]
    assert list(module.state_dict()) == ["scale", "shift", "weight"]
    assert module.learns()
    _, backward = module(X, TARGET)
    assert len(backward(np.array(3.0))) == 2
    np.testing.assert_array_equal(module.scale.grad, [3, 12])
    manual.SGD(module.parameters(), lr=1.0).step()
    np.testing.assert_array_equal(module.scale.data, [-1, -9])
    module.zero_grad()
    assert module.shift.grad is None


# -- Gradients


def test_gradients_add_up_until_they_are_forgotten():
    layer, x, g = manual.Linear(3, 2), np.arange(6.0).reshape(2, 3), np.array([[1.0, -2.0], [3.0, 5.0]])
    assert layer.weight.grad is None
    _, backward = layer(x)
    for times in (1, 2):
        backward(g)
        np.testing.assert_array_equal(layer.weight.grad, times * np.array([[9, 13, 17], [15, 18, 21]]))
        np.testing.assert_array_equal(layer.bias.grad, times * np.array([4, 3]))
    layer.zero_grad()
    assert layer.weight.grad is None
    assert layer.bias.grad is None


def test_a_module_used_twice_learns_from_both_uses():
    """y = w (w x), so ∂y/∂w = 2 w x."""
    layer = manual.Linear(1, 1, bias=False)
    layer.load_state_dict({"weight": [[3.0]]})
    output, backward = manual.Sequential(layer, layer)(np.array([[5.0]]))
    assert output == 45
    backward(np.full((1, 1), 2.0))
    np.testing.assert_array_equal(layer.weight.grad, [[60]])


def test_adding_leaves_the_gradients_that_others_hold():
    layer, x = manual.Linear(3, 2), np.ones((2, 3))
    run(layer, x)
    first = layer.weight.grad
    before = first.copy()
    run(layer, x)
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(layer.weight.grad, 2 * before)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)])
def test_the_array_of_a_gradient_handed_in_can_be_used_again(shape):
    layer = manual.Linear(3, 2)
    output, backward = layer(np.ones(shape))
    grad_output = cotangent_of(output)
    backward(grad_output)
    before = [parameter.grad.copy() for parameter in layer.parameters()]
    grad_output[:] = 7
    for parameter, grad in zip(layer.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


def test_a_backward_remembers_its_own_input():
    """Two forwards, then two backwards in either order: each carries its gradient through its own input."""
    layer = manual.Linear(1, 1, bias=False)
    first, second = (layer(np.array([[x]]))[1] for x in (2.0, 10.0))
    first(np.full((1, 1), 3.0))
    np.testing.assert_array_equal(layer.weight.grad, [[6]])
    second(np.full((1, 1), -1.0))
    np.testing.assert_array_equal(layer.weight.grad, [[-4]])


def test_float32_stays_float32():
    net, criterion = manual.Sequential(manual.Linear(3, 2, dtype=np.float32), manual.Sigmoid()), manual.MSELoss()
    output, net_backward = net(np.ones((4, 3), np.float32))
    loss, loss_backward = criterion(output, np.zeros((4, 2), np.float32))
    grad_output, grad_target = loss_backward(1.0)
    (grad_x,) = net_backward(grad_output)
    grads = [parameter.grad for parameter in net.parameters()]
    assert {array.dtype for array in (output, loss, grad_output, grad_target, grad_x, *grads)} == {np.dtype(np.float32)}


def test_threads_lose_no_gradient():
    """Eight threads call one backward 50 times each. The gradients are integers, so that every order adds up to the same.

    The layer is so large that NumPy lets other threads run while it adds; without a lock, most of the sum would be lost.
    """
    layer = manual.Linear(200, 100)
    x = np.arange(400.0).reshape(2, 200)
    output, backward = layer(x)
    g = cotangent_of(output)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: backward(g), range(400)))
    np.testing.assert_array_equal(layer.weight.grad, 400 * g.T @ x)
    np.testing.assert_array_equal(layer.bias.grad, 400 * g.sum(axis=0))


# -- What nobody needs


class Probe(manual.Module):
    """Passes everything through, and notes the `needs` of each backward."""

    def __init__(self):
        self.calls = []

    def forward(self, input):
        def backward(grad_output, needs=None):
            self.calls.append(needs)
            return (grad_output if needs is None or needs[0] else None,)

        return input, backward


def test_frozen_parameters_get_no_gradient():
    net = network()
    assert net[0].requires_grad_(False) is net[0]
    (grad_x,) = run(net, np.ones((2, 3)))
    assert grad_x.shape == (2, 3)
    assert net[0][0].weight.grad is None
    assert net[0][0].bias.grad is None
    assert net[1].weight.grad is not None
    net.requires_grad_()
    run(net, np.ones((2, 3)))
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_a_gradient_goes_no_further_than_the_first_module_that_learns():
    below, above = Probe(), Probe()
    net = manual.Sequential(below, manual.Linear(2, 2), above, manual.Linear(2, 2))
    output, backward = net(np.ones((1, 2)))
    assert backward(output, (False,)) == (None,)
    assert (below.calls, above.calls) == ([], [None])
    assert all(parameter.grad is not None for parameter in net.parameters())

    net.requires_grad_(False)
    assert backward(output, (False,)) == (None,)
    assert (below.calls, above.calls) == ([], [None])
    assert backward(output)[0].shape == (1, 2)
    assert (below.calls, above.calls) == ([None], [None, None])


@pytest.mark.parametrize("case", BUILT)
def test_what_is_needed_of_a_module(case):
    """Whatever else is needed, a gradient is the same, and `None` where it is not: with and without parameters."""
    output, backward = build(case)(*case.inputs.build(case.name, np.float64))
    everything = backward(cotangent_of(output))
    for needs in itertools.product((True, False), repeat=len(everything)):
        for grad, all_along, need in zip(backward(cotangent_of(output), needs), everything, needs, strict=True):
            for got, expected in zip(structure.leaves(grad), structure.leaves(all_along if need else None), strict=True):
                np.testing.assert_array_equal(got, expected, strict=expected is not None)


@pytest.mark.parametrize("case", BUILT)
def test_needs_has_one_entry_for_each_input(case):
    inputs = case.inputs.build(case.name, np.float64)
    module = build(case)
    count = len(array_names(module.forward))
    output, backward = module(*inputs)
    for needs in ((), (True,) * (count + 1), (False,) * (count + 1)):
        expected = f"needs must have one entry for each of {count} arguments, got {needs}"
        with pytest.raises(ValueError, match=re.escape(expected)):
            backward(cotangent_of(output), needs)
