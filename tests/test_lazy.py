"""Lazy modules: without shapes until the first call or a state dict tells them, then what their namesakes are."""

import copy
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import manual
from manual.lazy import LazyModule

HOW = "call the module on an input, or load a state dict, first"


def lazy(library=manual):
    return library.Sequential(library.LazyLinear(4), library.Tanh(), library.LazyLinear(2, bias=False))


class Scaled(manual.Module):
    """Of what chapters to come have: a buffer of the input's size, one of none, a choice of the constructor."""

    def __init__(self, size, start=2.0, *, dtype=np.float64):
        self.size, self.start = size, start
        self.weight = manual.Parameter(np.full(size, start, dtype))
        self.mean = manual.Buffer(np.full(size, 3.0, dtype))
        self.steps = manual.Buffer(np.array(7))
        self.hidden = manual.Buffer(np.ones(size, dtype), persistent=False)
        self.register_buffer("missing", None)

    def forward(self, input, times=1):
        def scale(x, weight, mean, /):
            slopes = times * weight, times * x
            return slopes[0] * x + mean, lambda grad_output, needs: (*(grad_output * slope for slope in slopes), None)

        return self.call(scale, input, self.weight, manual.Buffer(self.mean))


class LazyScaled(LazyModule, Scaled):
    cls_to_become = Scaled

    def __init__(self, start=2.0, *, dtype=np.float64):
        self.postpone("size", start=start, dtype=dtype)

    def forward(self, input, times=1):
        return self.begin(input, times, axis=0)


def test_the_first_call_tells_the_shapes(dtype):
    """And gives what the ordinary module gives, which draws the same numbers."""
    module = manual.LazyLinear(4, dtype=dtype, generator=np.random.default_rng(3))
    weight = module.weight
    ordinary = manual.Linear(3, 4, dtype=dtype, generator=np.random.default_rng(3))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(dtype)
    assert isinstance(module, manual.Linear)
    output, backward = module(x)
    np.testing.assert_array_equal(output, ordinary(x)[0], strict=True)
    assert type(module) is manual.Linear
    assert vars(module).keys() == vars(ordinary).keys()
    assert (module.in_features, module.out_features) == (3, 4)
    assert repr(module) == repr(ordinary)
    assert module.weight is weight
    assert type(weight) is manual.Parameter
    for name, parameter in ordinary.named_parameters():
        np.testing.assert_array_equal(module.get_parameter(name).data, parameter.data, strict=True)
    assert backward(output)[0].shape == (5, 3)
    assert weight.grad.shape == (4, 3)
    np.testing.assert_array_equal(module(x)[0], output)


def test_networks_take_shape_from_the_first_input_on():
    ours, theirs = lazy(), lazy(torch.nn)
    assert [type(module).__name__ for module in ours] == [type(module).__name__ for module in theirs]
    ours(np.ones((1, 3)))
    theirs(torch.ones(1, 3))
    assert [type(module).__name__ for module in ours] == [type(module).__name__ for module in theirs]
    assert {name: array.shape for name, array in ours.state_dict().items()} == {
        name: tuple(tensor.shape) for name, tensor in theirs.state_dict().items()
    }


def test_before_there_are_shapes():
    module = manual.LazyLinear(4)
    assert [name for name, _ in module.named_parameters()] == list(module.state_dict()) == ["weight", "bias"]
    assert module.weight.data is module.weight.grad is None
    assert repr(module) == "LazyLinear(out_features=4, bias=True)"
    assert repr(module.weight) == "UninitializedParameter()"
    assert type(module.state_dict()["bias"]) is manual.UninitializedParameter
    for name in ("shape", "size", "ndim"):
        with pytest.raises(ValueError, match=f"there is no shape yet; {HOW}"):
            getattr(module.weight, name)
    module.zero_grad()
    assert module.learns()
    assert module.weight.dtype == np.float64


def test_optimizers_refuse_it_until_then():
    net = lazy()
    with pytest.raises(ValueError, match=f"^SGD: params must have shapes, got an UninitializedParameter; {HOW}"):
        manual.SGD(net.parameters())
    net(np.ones((1, 3)))
    manual.SGD(net.parameters())


@pytest.mark.parametrize("start", [2.0, 5.0])
def test_buffers_and_other_arguments(start):
    module = LazyScaled(start)
    assert type(module.mean) is manual.UninitializedBuffer
    assert repr(module.mean) == "UninitializedBuffer()"
    assert list(module.state_dict()) == ["weight", "mean", "steps"]
    assert [name for name, _ in module.named_buffers()] == ["mean", "steps", "hidden"]
    module.float()
    output, backward = module(np.ones(3, np.float32), 10)
    np.testing.assert_array_equal(output, np.full(3, 10 * start + 3, np.float32), strict=True)
    np.testing.assert_array_equal(backward(output)[0], 10 * start * output)
    assert type(module) is Scaled
    assert module.start == start
    np.testing.assert_array_equal(module.mean, np.full(3, 3, np.float32), strict=True)
    np.testing.assert_array_equal(module.hidden, np.ones(3, np.float32), strict=True)
    assert list(module.state_dict()) == ["weight", "mean", "steps"]


def test_what_is_set_before_the_first_call_stays():
    module = manual.LazyLinear(4).eval().requires_grad_(False).float()
    module.bias = None
    module.note = "mine"
    output, _ = module(np.ones((2, 3), np.float32))
    assert output.dtype == module.weight.dtype == np.float32
    assert not module.weight.requires_grad
    assert not module.training
    assert module.bias is None
    assert module.note == "mine"
    other = manual.LazyLinear(2, bias=False)
    other.weight = manual.Parameter(np.ones((2, 3)))
    np.testing.assert_array_equal(other(np.eye(3))[0], 1)


# -- State dicts


def test_a_state_dict_tells_the_shapes_as_in_torch():
    ours, theirs = lazy(), lazy(torch.nn).double()
    state = manual.Sequential(manual.Linear(3, 4), manual.Tanh(), manual.Linear(4, 2, bias=False)).state_dict()
    ours.load_state_dict(state)
    theirs.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    assert [type(module).__name__ for module in ours] == [type(module).__name__ for module in theirs]  # until they are called
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, state[name], strict=True)
        assert array is not state[name]
        assert type(ours.get_parameter(name)) is manual.Parameter
    x = np.random.default_rng(0).standard_normal((5, 3))
    output, _ = ours(x)
    np.testing.assert_allclose(output, theirs(torch.tensor(x)).detach(), rtol=1e-12)
    assert [type(module).__name__ for module in ours] == ["Linear", "Tanh", "Linear"]


def test_a_state_dict_tells_the_shapes_of_buffers():
    module = LazyScaled(dtype=np.float32)
    module.load_state_dict({"weight": [1, 2], "mean": [0, 5], "steps": 9})
    np.testing.assert_array_equal(module.mean, np.array([0, 5], np.float32), strict=True)
    np.testing.assert_array_equal(module(np.ones(2, np.float32))[0], [1, 7])
    assert module.steps == 9


def test_states_without_shapes():
    """From lazy to lazy, nothing changes; an ordinary module cannot take them, and says what to do."""
    module = manual.LazyLinear(4)
    assert module.load_state_dict(manual.LazyLinear(4).state_dict()) == ([], [])
    assert module.weight.data is None
    with pytest.raises(ValueError, match=f"weight must hold numbers, got UninitializedParameter; {HOW}, where it comes from"):
        manual.Linear(3, 4).load_state_dict(module.state_dict())


@pytest.mark.parametrize("change", [{"0.bias": None}, {"surplus": np.ones(1)}, {"2.weight": "a"}])
def test_a_state_that_does_not_fit_changes_nothing(change):
    state = {"0.weight": np.ones((4, 3)), "0.bias": np.ones(4), "2.weight": np.ones((2, 4))} | change
    net = lazy()
    with pytest.raises(ValueError, match=r"^Sequential\.load_state_dict: "):
        net.load_state_dict({name: value for name, value in state.items() if value is not None})
    assert all(parameter.data is None for parameter in net.parameters())


def test_a_state_in_part():
    """Torch has no way on from there. What was loaded is kept, what was not starts as ever."""
    module = manual.LazyLinear(4)
    assert module.load_state_dict({"bias": np.arange(4.0)}, strict=False) == (["weight"], [])
    output, _ = module(np.zeros((1, 3)))
    np.testing.assert_array_equal(output, [[0, 1, 2, 3]])
    assert module.weight.shape == (4, 3)


@pytest.mark.parametrize(("loaded", "expected"), [((4, 2), (4, 3)), ((5, 3), (4, 3))])
def test_a_state_that_the_first_input_contradicts(loaded, expected):
    module = manual.LazyLinear(4, bias=False)
    module.load_state_dict({"weight": np.ones(loaded)})
    message = f"LazyLinear: weight must have shape {expected} for an input of shape (5, 3), got {loaded}"
    with pytest.raises(ValueError, match=re.escape(message)):
        module(np.ones((5, 3)))
    assert type(module) is manual.LazyLinear


# -- Copies, threads, processes, errors


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["deepcopy", "pickle"])
def test_a_copy_takes_a_shape_of_its_own(copied):
    net = manual.Sequential(lazy(), manual.LazyLinear(1, generator=np.random.default_rng(0)))
    twin = copied(net)
    twin(np.ones((1, 3)))
    net(np.ones((1, 5)))
    assert [parameter.shape for parameter in twin.parameters()] == [(4, 3), (4,), (2, 4), (1, 2), (1,)]
    assert [parameter.shape for parameter in net.parameters()] == [(4, 5), (4,), (2, 4), (1, 2), (1,)]


def test_of_several_first_calls_at_once_one_tells_the_shapes():
    x = np.ones((2, 3))
    for _ in range(20):
        module = manual.LazyLinear(4)
        with ThreadPoolExecutor(8) as pool:
            outputs = [output for output, _ in pool.map(lambda _, module=module: module(x), range(8))]
        assert all((output == outputs[0]).all() for output in outputs)


@pytest.mark.skipif(not hasattr(sys, "getswitchinterval") or sys.platform == "win32", reason="needs fork")
def test_a_process_forked_during_a_first_call_can_make_its_own():
    program = """
import os, numpy as np, manual
from manual import lazy
with lazy._beginning.lock:
    child = os.fork()
    if not child:
        manual.LazyLinear(2)(np.ones((1, 3)))
        os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones((), float), "input must have an axis -1, which tells in_features, got shape ()"),
        (np.ones((2, 3), int), "input must hold floating-point numbers, got int64"),
        ([[1.0]], "input must be a NumPy array, got list"),
        (None, "input must be a NumPy array, got NoneType"),
    ],
)
def test_a_first_input_without_a_size_is_refused_and_the_next_one_taken(wrong, message):
    module = manual.LazyLinear(4)
    with pytest.raises((TypeError, ValueError), match=re.escape(f"LazyLinear: {message}")):
        module(wrong)
    assert type(module) is manual.LazyLinear
    assert module(np.ones((2, 3)))[0].shape == (2, 4)


def test_arguments_are_checked_at_once():
    for arguments, options in (((-1,), {}), ((1.5,), {}), ((2,), {"dtype": np.float16}), ((2,), {"generator": 3})):
        with pytest.raises((TypeError, ValueError)):
            manual.LazyLinear(*arguments, **options)
    for kind in (manual.UninitializedParameter, manual.UninitializedBuffer):
        with pytest.raises(TypeError, match=f"{kind.__name__}: dtype must be np.float32 or np.float64"):
            kind(dtype=np.float16)


def test_a_parameter_of_ones_own_can_be_given_its_shape():
    parameter = manual.UninitializedParameter(requires_grad=False, dtype=np.float32)
    parameter.materialize((2, 3))
    assert type(parameter) is manual.Parameter
    assert (parameter.shape, parameter.dtype, parameter.requires_grad) == ((2, 3), np.float32, False)
    other = manual.UninitializedParameter()
    other.materialize((2,), np.float32)
    assert other.dtype == np.float32


@pytest.mark.parametrize(("axes", "sizes"), [(1, (5,)), (2, (5, 4)), (3, (5, 4, 3))])
def test_channels_without_a_batch(axes, sizes):
    """Where torch's instance norms take the axis of the cells for that of the channels."""
    x = np.random.default_rng(0).standard_normal((2, *sizes))
    module = getattr(manual, f"LazyInstanceNorm{axes}d")()
    np.testing.assert_array_equal(module(x)[0], getattr(manual, f"InstanceNorm{axes}d")(2, affine=True)(x)[0])
    assert module.num_features == 2
    assert getattr(manual, f"LazyConv{axes}d")(3, 2)(x)[0].shape == (3, *(size - 1 for size in sizes))


def test_sizes_of_the_output_are_handed_on():
    module = manual.LazyConvTranspose2d(3, 2, stride=2)
    assert module(np.ones((1, 2, 4, 4)), (9, 8))[0].shape == (1, 3, 9, 8)
    assert type(module) is manual.ConvTranspose2d
