"""Loading, converting and forgetting: a module's state changes as it is told, or not at all."""

import re
import warnings

import numpy as np
import pytest
import torch

import manual


class Normalised(manual.Module):
    """Parameters, buffers of floats and of integers, one that is not saved, and a child."""

    def __init__(self):
        self.scale = manual.Parameter(np.ones(3))
        self.mean = manual.Buffer(np.zeros(3))
        self.count = manual.Buffer(np.array(7))
        self.noise = manual.Buffer(np.ones(2), persistent=False)
        self.inner = manual.Linear(3, 2)


def snapshot(module):
    return {name: array.copy() for name, array in module.state_dict().items()}


def assert_state(module, expected):
    assert list(module.state_dict()) == list(expected)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, expected[name], strict=True, err_msg=name)


# -- Loading


def test_loading_says_what_was_missing_and_what_was_not_expected():
    ours, theirs = manual.Linear(2, 2), torch.nn.Linear(2, 2)
    assert ours.load_state_dict(ours.state_dict()) == theirs.load_state_dict(theirs.state_dict()) == ([], [])
    found = ours.load_state_dict({"weight": np.ones((2, 2)), "head": np.ones(1)}, strict=False)
    assert found == theirs.load_state_dict({"weight": torch.ones(2, 2), "head": torch.ones(1)}, strict=False)
    assert (found.missing_keys, found.unexpected_keys) == (["bias"], ["head"])


def test_a_buffer_that_is_not_saved_is_not_missed():
    module = Normalised()
    assert module.load_state_dict(module.state_dict()) == ([], [])
    with pytest.raises(ValueError, match="unexpected noise"):
        module.load_state_dict({**module.state_dict(), "noise": np.ones(2)})


class Unanswering:
    def __array__(self, *_, **__):
        raise RuntimeError("not today")


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (3, np.ones(3), "the key 3 must be a string"),
        (("inner", "bias"), np.ones(2), "the key ('inner', 'bias') must be a string"),
        ("inner.bias", Unanswering(), "inner.bias must hold numbers, got Unanswering (not today)"),
        ("inner.bias", torch.ones(2, requires_grad=True), "inner.bias must hold numbers, got Tensor (Can't call numpy()"),
        ("inner.bias", manual.Parameter(np.ones(2)), "inner.bias must hold numbers, got Parameter"),
        ("inner.bias", None, "inner.bias must hold numbers, got NoneType"),
        ("inner.bias", np.ones((2, 1)), "inner.bias must have shape (2,), got (2, 1)"),
    ],
)
def test_whatever_fails_nothing_changes_and_the_key_is_named(name, value, problem, strict):
    module = Normalised()
    before = snapshot(module)
    state = {**{key: array + 1 for key, array in before.items()}, name: value}
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        module.load_state_dict(state, strict)
    assert str(caught.value).startswith("Normalised.load_state_dict: ")
    assert_state(module, before)


def test_an_array_that_cannot_be_written_is_found_before_anything_is():
    module = Normalised()
    before = snapshot(module)
    for broken in (np.broadcast_to(np.zeros(1), 2), module.inner.bias.data.sum()):
        module.inner.bias.data = broken
        with pytest.raises(ValueError, match=r"load_state_dict: inner\.bias must be an array that can be written to$"):
            module.load_state_dict({name: array + 1 for name, array in before.items()})
        for name in ("scale", "mean", "count", "inner.weight"):
            np.testing.assert_array_equal(module.state_dict()[name], before[name])


@pytest.mark.parametrize("state", [None, 3, [("weight", np.ones(1))], "weight"])
def test_a_state_that_is_no_mapping(state):
    with pytest.raises(TypeError, match=r"Linear\.load_state_dict: state_dict must be a mapping of names to arrays"):
        manual.Linear(1, 1).load_state_dict(state)


def test_a_state_may_be_made_of_the_modules_own_arrays():
    """Two layers change places: what is read has not been written yet."""
    net = manual.Sequential(manual.Linear(2, 2), manual.Linear(2, 2))
    before = snapshot(net)
    other = {"0": "1", "1": "0"}
    net.load_state_dict({other[name[0]] + name[1:]: array for name, array in net.state_dict().items()})
    assert_state(net, {name: before[other[name[0]] + name[1:]] for name in before})


def test_what_is_too_large_becomes_infinite_as_in_torch():
    ours, theirs = manual.Linear(1, 1, dtype=np.float32), torch.nn.Linear(1, 1)
    state = {"weight": np.array([[1e300]]), "bias": np.array([-1e39])}
    ours.load_state_dict(state)
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    assert_state(ours, {name: tensor.numpy() for name, tensor in theirs.state_dict().items()})


# -- Formats


@pytest.mark.parametrize("convert", [lambda m: m.to(np.float32), lambda m: m.to("float32"), lambda m: m.float()])
def test_a_module_is_converted_whole(convert):
    module = Normalised()
    module.inner.weight.grad = np.ones((2, 3))
    parameters, count = list(module.parameters()), module.count
    values = snapshot(module)
    assert convert(module) is module
    assert list(module.parameters()) == parameters
    assert module.count is count
    assert {array.dtype for array in (*module.state_dict().values(), module.noise)} == {np.dtype("f4"), count.dtype}
    assert module.inner.weight.grad.dtype == np.float32
    assert module.scale.grad is None
    output, backward = module.inner(np.ones((1, 3), np.float32))
    backward(np.ones_like(output))
    assert module.inner.weight.grad.dtype == np.float32
    module.double()
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, values[name].astype(np.float32).astype(values[name].dtype), strict=True)


def test_what_has_the_format_already_is_not_copied():
    module = Normalised()
    before = module.state_dict()
    after = module.to(np.float64).state_dict()
    assert all(after[name] is before[name] for name in before)


def test_a_shared_parameter_stays_shared():
    net = manual.Sequential(manual.Linear(2, 2), manual.Linear(2, 2))
    net[1].weight = net[0].weight
    net.float()
    assert net[0].weight is net[1].weight
    assert net[0].weight.dtype == np.float32


@pytest.mark.parametrize("other", [np.float16, np.longdouble, np.int64, complex, ">f8", "cpu", None, "half", np.ones(3)])
def test_other_formats_are_refused(other):
    module = Normalised()
    with pytest.raises(TypeError, match=r"^Normalised\.to: dtype must be np\.float32 or np\.float64, got "):
        module.to(other)
    assert {array.dtype.kind for array in module.state_dict().values()} == {"f", "i"}


def test_half_is_refused():
    with pytest.raises(TypeError, match=r"^Linear.half: float16 is not supported; float\(\) converts to float32$"):
        manual.Linear(2, 2).half()


def test_a_mismatch_says_how_to_convert():
    """Both ways that it names work."""
    layer, x = manual.Linear(2, 2), np.ones((1, 2), np.float32)
    message = "linear: weight must have the dtype of x, float32, got float64; convert it: "
    message += "weight.astype(np.float32), or the module that it belongs to: module.to(np.float32)"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        layer(x)
    manual.linear(x, *(parameter.data.astype(np.float32) for parameter in layer.parameters()))
    layer.to(np.float32)(x)


@pytest.mark.parametrize("x", [[[1.0, 2.0]], torch.ones(1, 2)])
def test_what_is_no_array_is_told_how_to_become_one(x):
    kind = type(x).__name__
    with pytest.raises(TypeError, match=rf"^linear: x must be a NumPy array, got {kind}; convert it: np\.asarray\(x\)$"):
        manual.Linear(2, 2, dtype=np.float32)(x)
    manual.Linear(2, 2, dtype=np.float32)(np.asarray(x, np.float32))


# -- Parameters and their gradients


def test_a_parameter_tells_what_its_array_is():
    parameter = manual.Parameter(np.ones((2, 3), np.float32))
    assert (parameter.shape, parameter.dtype, parameter.size, parameter.ndim) == ((2, 3), np.float32, 6, 2)
    parameter.data = np.ones(4)
    assert (parameter.shape, parameter.dtype, parameter.size, parameter.ndim) == ((4,), np.float64, 4, 1)


@pytest.mark.parametrize("data", [[1.0, 2.0], 3.0, np.float64(3), None, torch.ones(2)])
def test_a_parameter_is_an_array(data):
    with pytest.raises(TypeError, match=r"^Parameter: data must be a NumPy array, got "):
        manual.Parameter(data)


@pytest.mark.parametrize("dtype_of_integers", [np.int64, np.uint8, bool])
def test_a_parameter_holds_floating_point_numbers(dtype_of_integers):
    with pytest.raises(TypeError, match=r"^Parameter: data must hold floating-point numbers, got "):
        manual.Parameter(np.ones(2, dtype_of_integers))
    with pytest.raises(RuntimeError, match="floating point"):
        torch.nn.Parameter(torch.ones(2, dtype=torch.int64))


@pytest.mark.parametrize("of", ["module", "optimizer"])
def test_gradients_are_forgotten_or_zeroed(of):
    layer = manual.Linear(2, 2)
    zero_grad = layer.zero_grad if of == "module" else manual.SGD(layer.parameters()).zero_grad
    grad = layer.weight.grad = np.ones((2, 2))
    zero_grad(set_to_none=False)
    np.testing.assert_array_equal(layer.weight.grad, np.zeros((2, 2)), strict=True)
    assert layer.bias.grad is None
    np.testing.assert_array_equal(grad, 1)  # who holds the old gradient keeps it
    zero_grad(set_to_none=True)
    assert layer.weight.grad is None
    layer.weight.grad = grad
    zero_grad()
    assert layer.weight.grad is None


def test_no_warning_where_all_is_well():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Normalised().float().load_state_dict(Normalised().state_dict())
    assert not caught
