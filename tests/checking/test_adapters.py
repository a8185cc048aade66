"""Adapters: what a pair and a function of torch's give through `check` is what they give by themselves."""

import inspect
import re
import sys
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import rnn

import manual
from reference import check, from_jax, from_pair, from_torch
from reference.agreement import measure
from reference.cases import OPERATIONS
from reference.checking.adapters import ADAPTERS
from reference.formats import FORMATS, HALF, format_of
from reference.structure import is_float

CASES = {  # with None, nested arguments and outputs, a mask, integers in and out
    "silu": None,
    "linear": None,
    "lstm": ("no state", "no biases", "packed, in any order", "dropout, batch first"),
    "dropout": None,
    "max_pool2d": None,
    "embedding": None,
}
every_name = pytest.mark.parametrize("name", CASES)


def report_of(name, function, kind):
    """What is found on the ordinary cases, of which all that fit the format are tried."""
    report = check(name, function, kind, CASES[name], tails=False)
    assert all("tails" in one.reason or "do not fit" in one.reason for one in report.untried), report
    return report


# -- Two functions of NumPy


def pair_of(function):
    """The forward and the backward of an operation, apart."""

    def forward(*arrays, **constants):
        return function(*arrays, **constants)[0]

    def backward(grad_output, *arrays, **constants):
        return function(*arrays, **constants)[1](grad_output)

    return forward, backward


@every_name
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_pair_is_what_it_was_made_of(name, kind):
    function = OPERATIONS[name].manual
    report = report_of(name, from_pair(*pair_of(function)), kind)
    assert report.agrees, report
    assert repr(report) == repr(report_of(name, function, kind))  # NaN is not equal to itself


def silu(x):
    wide = x.astype(np.float32)
    return (wide / (1 + np.exp(-wide))).astype(x.dtype)


def grad_silu(grad_output, x):
    wide = x.astype(np.float32)
    p = 1 / (1 + np.exp(-wide))
    return (grad_output.astype(np.float32) * (p + wide * p * (1 - p))).astype(x.dtype)


@pytest.mark.parametrize("kind", HALF)
def test_a_pair_in_half_precision(kind):
    report = report_of("silu", from_pair(silu, grad_silu), kind)
    assert report.agrees, report


def test_a_pair_sees_arrays_alone():
    """Zeros stand where the cotangent is None, even for a whole tuple, except where the output holds integers."""
    seen = []

    def forward(x):
        return x, [np.argmax(x), (x.sum(), 2 * x)]

    def backward(grad_output, x):
        seen.append(grad_output)
        return np.zeros_like(x)

    x = np.ones(3, np.float32)
    output, carry_back = from_pair(forward, backward)(x)
    assert isinstance(output[1], tuple)
    assert carry_back((x, None))[0].shape == (3,)
    grad_x, (grad_place, (grad_sum, grad_twice)) = seen[0]
    assert grad_x is x
    assert grad_place is None
    assert grad_sum.shape == ()
    assert grad_twice.tolist() == [0, 0, 0]
    assert {grad_sum.dtype, grad_twice.dtype} == {np.dtype(np.float32)}


def test_too_few_gradients():
    forward, backward = pair_of(manual.linear)
    report = check("linear", from_pair(forward, lambda *given: backward(*given)[:1]))
    complaint = "backward must return a tuple of gradients, one for each of the 3 arrays, got a tuple of 1"
    assert not report.agrees
    assert any(complaint in each for each in report.complaints), report


@pytest.mark.parametrize(
    ("adapted", "expected", "got"),
    [
        (from_pair(torch.from_numpy, grad_silu), "from_pair: forward must return arrays of NumPy", "Tensor"),
        (from_pair(lambda x: {"y": x}, grad_silu), "from_pair: forward must return arrays of NumPy", "dict"),
        (from_torch(lambda x: x.numpy(force=True)), "from_torch: the function must return tensors", "ndarray"),
        (from_torch(lambda x: (x, 1.0)), "from_torch: the function must return tensors", "float"),
    ],
)
def test_what_is_no_output_is_refused(adapted, expected, got):
    with pytest.raises(TypeError, match=f"^{expected}, or a tuple of them, got {got}$"):
        adapted(np.ones(2))


# -- Functions of torch


@every_name
@pytest.mark.parametrize("kind", FORMATS)
def test_torch_is_as_far_from_the_truth_as_it_is_by_itself(name, kind):
    report = report_of(name, from_torch(OPERATIONS[name].torch), kind)
    assert report.agrees, report
    quantities = [quantity for agreement in report.agreements for quantity in agreement.quantities]
    assert quantities
    assert all(quantity.ratio == quantity.torch_ratio for quantity in quantities if quantity.torch_ratio is not None)


def layer_norm(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def test_layer_norm_of_torch_agrees_and_its_tail_is_named():
    assert check("layer_norm", from_torch(layer_norm), tails=False).agrees
    report = check("layer_norm", from_torch(layer_norm))
    assert not report.untried
    assert all(agreement.is_tail for agreement in report.agreements if agreement.complaints)
    points = [re.match(r"(.*): grad_0: r = .*, allowed 30: .* at \[\d, \d\], in truth -?\d", each) for each in report.complaints]
    assert {point[1] for point in points if point} == {"one feature", "far from 0", "far from 0, no weight"}


class SiLU(torch.autograd.Function):
    """By hand, as people write it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad_output):
        if torch._C._autograd._get_current_graph_task_keep_graph():  # a function that torch.compile made refuses this
            raise RuntimeError("what was saved may be overwritten, and must not be kept")
        (x,) = ctx.saved_tensors
        p = torch.sigmoid(x)
        return grad_output * (p + x * p * (1 - p))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_function_with_a_backward_by_hand(kind):
    report = report_of("silu", from_torch(SiLU.apply), kind)
    assert report.agrees, report


def test_a_backward_by_hand_that_is_wrong(monkeypatch):
    right = SiLU.backward
    monkeypatch.setattr(SiLU, "backward", staticmethod(lambda ctx, grad_output: 1.001 * right(ctx, grad_output)))
    report = report_of("silu", from_torch(SiLU.apply), "float32")
    assert not report.agrees
    assert all("grad_0" in complaint for complaint in report.complaints)


@pytest.mark.slow
def test_a_compiled_function():
    compiled = torch.compile(lambda x: x * torch.sigmoid(x), backend="eager", dynamic=True)
    report = report_of("silu", from_torch(compiled), "float32")
    assert report.agrees, report
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    _, backward = from_torch(compiled)(x)
    np.testing.assert_array_equal(*backward(x), *backward(x))


def test_each_backward_is_the_same_and_runs_the_forward_anew():
    calls = []

    def function(x, y):
        calls.append(x)
        return x * y, x.sum()

    x, y = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    _, backward = from_torch(function)(x, y)
    found = [backward(cotangent) for cotangent in ((x, np.array(0.5)), (None, np.array(0.5)), (x, None), (x, np.array(0.5)))]
    assert [[grad.tolist() for grad in grads] for grads in found] == [
        [[3.5, 10.5], [1.0, 4.0]],
        [[0.5, 0.5], [0.0, 0.0]],
        [[3.0, 10.0], [1.0, 4.0]],
        [[3.5, 10.5], [1.0, 4.0]],
    ]
    assert len(calls) == 4


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_none_for_a_state_is_zeros(name):
    operation = OPERATIONS[name]
    case = next(case for case in operation.cases if case.label == "packed, in any order")
    for function in (from_torch(operation.torch), from_pair(*pair_of(operation.manual))):
        assert measure(operation, case, "float32", function).complaints == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_tensors_have_the_dtypes_of_their_arrays(kind):
    dtype, seen = getattr(torch, kind), {}

    def function(x, index, nested, number, nothing, *, mask, noise, choices, dim):
        seen.update(locals())
        return x[index] * nested[1][0]

    numbers = np.ones(3, format_of(kind))
    nested = [np.ones(2, np.float32), (numbers[0:1],)]
    constants = {"mask": numbers > 0, "noise": numbers, "choices": {"a": [numbers, ...]}, "dim": (0, 1)}
    output, backward = from_torch(function)(numbers, np.array([2, 0]), nested, 2.0, None, **constants)
    grads = backward(output)
    assert seen["x"].dtype == seen["noise"].dtype == seen["choices"]["a"][0].dtype == dtype
    assert (seen["x"].requires_grad, seen["index"].requires_grad, seen["noise"].requires_grad) == (True, False, False)
    assert (seen["index"].dtype, seen["mask"].dtype, seen["nested"][0].dtype) == (torch.int64, torch.bool, torch.float32)
    assert (seen["number"], seen["nothing"], seen["choices"]["a"][1], seen["dim"]) == (2.0, None, ..., (0, 1))
    assert [type(seen["nested"]), type(seen["nested"][1])] == [list, tuple]
    grad_x, grad_index, (grad_first, (grad_second,)), grad_number, grad_nothing = grads
    assert grad_x.tolist() == [1, 0, 1]
    assert grad_second.tolist() == [2]
    assert grad_first.tolist() == [0, 0]  # it leads nowhere
    assert grad_index is grad_number is grad_nothing is None
    assert [grad_x.dtype, grad_second.dtype, grad_first.dtype] == [numbers.dtype, numbers.dtype, np.float32]


def test_tensors_are_on_the_device():
    """On that without memory, so that this holds everywhere; the results cannot come back from there."""
    seen = []

    def function(x, states, *, mask):
        seen.extend([x, *states, mask])
        return x

    adapted = from_torch(function, device="meta")
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        adapted(np.ones(2), (np.ones(2), np.arange(2)), mask=np.ones(2) > 0)
    assert [tensor.device.type for tensor in seen] == ["meta"] * 4


def test_a_packed_sequence_comes_back_in_plain_tuples():
    def double(sequence):
        return rnn.PackedSequence(2 * sequence.data, sequence.batch_sizes)

    numbers = np.array([[1.0], [2.0], [3.0]])
    output, backward = from_torch(double)(manual.PackedSequence(numbers, np.array([2, 1])))
    assert [type(output), *map(type, output)] == [tuple, np.ndarray, np.ndarray, type(None), type(None)]
    (grad,) = backward((numbers, None, None, None))
    assert isinstance(grad, manual.PackedSequence)
    np.testing.assert_array_equal(grad.data, 2 * numbers)
    assert grad.batch_sizes is None


@pytest.mark.parametrize(
    ("name", "labels", "without"),
    [
        ("cross_entropy", ["weight", "weight and ignore_index, mean"], {"grad_2"}),
        ("batch_norm", ["batch of 5"], {"grad_1", "grad_2"}),
        ("binary_cross_entropy_with_logits", ["weight and pos_weight, mean"], {"grad_2", "grad_3"}),
    ],
)
def test_what_torch_refuses_to_differentiate_by_has_no_gradient(name, labels, without):
    operation = OPERATIONS[name]
    assert check(name, from_torch(operation.torch), cases=labels).agrees
    for case in operation.cases:
        if case.label in labels:
            arguments = case.build(name, np.float32)
            output, backward = from_torch(operation.torch)(*arguments, **case.constants)
            grads = backward(np.random.default_rng(0).standard_normal(output.shape).astype(output.dtype))
            floats = [i for i, each in enumerate(arguments) if is_float(each)]
            assert {f"grad_{i}" for i in floats if grads[i] is None} == without


@pytest.mark.parametrize(
    "adapted", [from_torch(lambda x: F.silu(x).double()), from_pair(lambda x: silu(x).astype(float), grad_silu)]
)
def test_another_dtype_is_a_complaint(adapted):
    report = check("silu", adapted, cases="ordinary")
    assert report.complaints[0] == "ordinary: output must be float32 of shape (4, 5), got float64 of shape (4, 5)"


def test_an_output_without_its_indices_is_a_complaint():
    def function(x, *, return_indices, **constants):
        return F.max_pool1d(x, **constants)

    report = check("max_pool1d", from_torch(function), cases="indices")
    assert {"indices: output.0 is missing", "indices: output.1 is missing"} <= set(report.complaints), report


def test_another_error_of_torch_is_raised():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        from_torch(F.linear)(np.ones((2, 3)), np.ones((2, 4)))


# -- What they have in common


def plain(x, weight=None, /, *, dim=-1, **others):
    """A docstring."""


every_adapter = pytest.mark.parametrize("adapter", [from_torch, partial(from_pair, backward=silu)], ids=["torch", "pair"])


@every_adapter
def test_the_signature_is_the_functions_own(adapter):
    adapted = adapter(plain)
    assert inspect.signature(adapted) == inspect.signature(plain)
    assert (adapted.__name__, adapted.__doc__, adapted.__wrapped__) == ("plain", "A docstring.", plain)
    assert str(inspect.signature(adapter(partial(plain, dim=0)))) == "(x, weight=None, /, *, dim=0, **others)"


@every_adapter
def test_a_builtin_has_no_signature_to_show(adapter):
    with pytest.raises(ValueError, match="no signature found"):
        inspect.signature(torch.conv2d)
    assert list(inspect.signature(adapter(torch.conv2d)).parameters) == ["arrays", "constants"]


@every_adapter
def test_what_is_no_function_is_refused(adapter):
    with pytest.raises(TypeError, match="is not a callable object"):
        adapter(None)


def test_a_module_is_a_function_too():
    module = torch.nn.Linear(2, 3)
    adapted = from_torch(module)
    assert not vars(adapted).keys() & vars(module).keys()
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(adapted(x)[0], module(torch.ones(1, 2)).numpy(force=True))


def test_adapters_by_name():
    assert ADAPTERS["plain"](silu) is silu
    assert ADAPTERS["pair"]((silu, grad_silu))(np.zeros(1))[1](np.ones(1))[0].tolist() == [0.5]
    with pytest.raises(TypeError, match=r"a pair must be a tuple \(forward, backward\), got function"):
        ADAPTERS["pair"](silu)
    assert ADAPTERS["torch"] is from_torch
    assert ADAPTERS["jax"] is from_jax


def test_without_jax(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ModuleNotFoundError, match=r"from_jax: jax is missing; install it with: python -m pip install .*\[peers\]"):
        from_jax(plain)
