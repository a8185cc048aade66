"""What all modules share: state dicts, modes, copies, forward."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch

import manual


def network(library=manual):
    """Two layers, one of them nested, the last without a bias."""
    return library.Sequential(
        library.Sequential(library.Linear(3, 4), library.Tanh()), library.Linear(4, 2, bias=False), library.Softmax(dim=1)
    )


def snapshot(module):
    return {name: array.copy() for name, array in module.state_dict().items()}


def assert_state(module, expected):
    assert list(module.state_dict()) == list(expected)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, expected[name], strict=True, err_msg=name)


def run(module, *inputs):
    """One forward, and one backward of random whole numbers: their gradients add up to the same in every order."""
    output, backward = module(*inputs)
    return backward(cotangent_of(output))


def cotangent_of(output):
    if isinstance(output, tuple):
        return tuple(cotangent_of(each) for each in output)
    if output is None or output.dtype.kind != "f":
        return None
    return np.random.default_rng(0).integers(1, 9, np.shape(output)).astype(output.dtype)


# -- State dicts


def test_state_goes_to_torch_and_back_unchanged():
    ours, theirs = network(), network(torch.nn).double()
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    assert_state(ours, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()})
    fresh = network()
    fresh.load_state_dict(theirs.state_dict())
    assert_state(fresh, ours.state_dict())


def test_parameters_come_in_torchs_order():
    assert [name for name, _ in network().named_parameters()] == [name for name, _ in network(torch.nn).named_parameters()]
    ours, theirs = manual.Linear(3, 4), torch.nn.Linear(3, 4)
    assert [n for n, _ in ours.named_parameters("layer")] == [n for n, _ in theirs.named_parameters("layer")]


def test_a_shared_parameter_is_one_parameter_with_two_names():
    def shared(library):
        first, last = library.Linear(2, 2), library.Linear(2, 2, bias=False)
        last.weight = first.weight
        return library.Sequential(first, last, first)

    ours, theirs = shared(manual), shared(torch.nn)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_the_state_dict_holds_the_arrays_themselves():
    layer = manual.Linear(2, 2)
    assert layer.state_dict()["weight"] is layer.weight.data


def test_loading_copies():
    layer, weight = manual.Linear(2, 1, bias=False), np.array([[1.0, 2.0]])
    before = layer.weight.data
    layer.load_state_dict({"weight": weight})
    weight[:] = 0
    np.testing.assert_array_equal(layer.weight.data, [[1, 2]])
    assert layer.weight.data is before


@pytest.mark.parametrize("given", [np.float32, np.float64, np.int64])
def test_loading_keeps_the_dtype(dtype, given):
    layer = manual.Linear(2, 1, bias=False, dtype=dtype)
    layer.load_state_dict({"weight": np.array([[1, 2]], given)})
    np.testing.assert_array_equal(layer.weight.data, np.array([[1, 2]], dtype), strict=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"0.0.bias": None}, "missing 0.0.bias"),
        ({"0.0.bias": None, "1.weight": None}, "missing 0.0.bias, 1.weight"),
        ({"1.bias": np.ones(2)}, "unexpected 1.bias"),
        ({"1.weight": np.ones((4, 2))}, "1.weight must have shape (2, 4), got (4, 2)"),
        ({"0.0.bias": np.array(1.0)}, "0.0.bias must have shape (4,), got ()"),
        ({"0.0.bias": np.array(list("abcd"))}, "0.0.bias must hold numbers, got <U1"),
        ({"0.0.bias": np.ones(4, complex)}, "0.0.bias must hold numbers, got complex128"),
        ({"0.0.bias": [1.0, [2.0], 3.0, 4.0]}, "0.0.bias must hold numbers"),
        ({"0.0.weight": None, "0.0.bias": np.ones(3), "x": 1}, "missing 0.0.weight; unexpected x; 0.0.bias must have shape (4,)"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changes(change, problem):
    net = network()
    before = snapshot(net)
    state = {**{name: array + 1 for name, array in before.items()}, **change}
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        net.load_state_dict(state)
    assert str(caught.value).startswith("Sequential.load_state_dict: ")
    assert_state(net, before)


def test_not_strict_takes_what_it_finds_but_no_wrong_shape():
    net = network()
    before = snapshot(net)
    net.load_state_dict({"0.0.bias": np.ones(4), "head": np.ones(2)}, strict=False)
    assert_state(net, {**before, "0.0.bias": np.ones(4)})
    with pytest.raises(ValueError, match=re.escape("0.0.bias must have shape (4,), got (3,)")):
        net.load_state_dict({"0.0.bias": np.ones(3)}, strict=False)


def test_buffers_are_state_but_not_learnt():
    weight = np.array([1.0, 2.0])
    assert_state(manual.BCELoss(weight), {"weight": weight})
    assert_state(manual.BCEWithLogitsLoss(pos_weight=weight), {"pos_weight": weight})
    assert manual.BCELoss().state_dict() == {}
    assert list(manual.BCELoss(weight).parameters()) == []


def test_a_loaded_buffer_is_used():
    criterion = manual.BCEWithLogitsLoss(np.ones(2), reduction="sum")
    criterion.load_state_dict({"weight": torch.tensor([3.0, 0.0])})
    _, backward = criterion(np.zeros(2), np.zeros(2))
    np.testing.assert_array_equal(backward(2.0)[0], [3, 0])


# -- Modes, copies, modules of one's own


def test_modes_reach_all_children():
    net = network()
    modules = [net, *net, *net[0]]
    assert all(module.training for module in modules)
    assert net.eval() is net
    assert not any(module.training for module in modules)
    net[0].train()
    assert [module.training for module in modules] == [False, True, False, False, True, True]
    assert net.train() is net
    assert all(module.training for module in modules)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["deepcopy", "pickle"])
def test_a_copy_is_equal_and_independent(copied):
    net = network().eval()
    net.append(manual.ModuleDict({"loss": manual.BCELoss(np.ones(2))}))
    net[1].requires_grad_(False)
    before = snapshot(net)
    twin = copied(net)
    assert_state(twin, before)
    assert not twin[0][0].training
    assert not twin[1].weight.requires_grad
    for array in twin.state_dict().values():
        array += 1
    assert_state(net, before)
    run(twin[0], np.ones((1, 3)))
    assert net[0][0].weight.grad is None


def test_a_copy_shares_what_the_original_shares():
    layer = manual.Linear(2, 2)
    twin = copy.deepcopy(manual.Sequential(layer, manual.Tanh(), layer))
    assert twin[0] is twin[2]


def test_a_module_of_ones_own_runs_by_being_called():
    class Doubled(manual.Module):
        def __init__(self):
            self.inner = manual.Linear(2, 1, bias=False)

        def forward(self, input):
            output, inner_backward = self.inner(input)
            return 2 * output, lambda grad_output: inner_backward(2 * grad_output)

    module = Doubled()
    module.load_state_dict({"inner.weight": [[3.0, 5.0]]})
    output, backward = module(np.ones((1, 2)))
    assert output == 16
    np.testing.assert_array_equal(backward(np.full((1, 1), -1.5))[0], [[-9, -15]])
    np.testing.assert_array_equal(module.inner.weight.grad, [[-3, -3]])
    assert repr(module) == "Doubled(\n  (inner): Linear(in_features=2, out_features=1, bias=False)\n)"


def test_a_module_without_forward_says_so():
    class Empty(manual.Module):
        pass

    with pytest.raises(TypeError, match="Empty has no forward"):
        Empty()(np.ones(1))
