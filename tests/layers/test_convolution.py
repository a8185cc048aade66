"""Convolutions: examples worked out by hand, adjoint pairs, memory, and what is refused."""

import math
import re
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

RNG = np.random.default_rng(0)


def test_a_convolution_by_hand():
    output, backward = manual.conv1d(np.array([[[1.0, 2.0, 4.0, 8.0]]]), np.array([[[1.0, -3.0]]]), np.array([10.0]))
    np.testing.assert_array_equal(output, [[[5, 0, -10]]])  # 1 − 6 + 10, 2 − 12 + 10, 4 − 24 + 10
    grad_x, grad_weight, grad_bias = backward(np.array([[[1.0, 0.0, 2.0]]]))
    np.testing.assert_array_equal(grad_x, [[[1, -3, 2, -6]]])  # the kernel at the first place, and twice at the last
    np.testing.assert_array_equal(grad_weight, [[[9, 18]]])  # 1 + 2 · 4, 2 + 2 · 8
    np.testing.assert_array_equal(grad_bias, [3])


def test_stride_dilation_and_padding_by_hand():
    """Windows begin at −1, 1 and 3, and see that cell and the next but one."""
    x, weight = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), np.array([[[1.0, 100.0]]])
    output, backward = manual.conv1d(x, weight, stride=2, dilation=2, padding=1)
    np.testing.assert_array_equal(output, [[200, 802, 8]])
    grad_x, grad_weight, grad_bias = backward(np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(grad_x, [[0, 102, 0, 203, 0]])
    np.testing.assert_array_equal(grad_weight, [[[2 * 2 + 3 * 8, 2 + 2 * 8]]])
    assert grad_bias is None


def test_same_puts_the_odd_zero_behind():
    output, _ = manual.conv1d(np.array([[1.0, 2.0, 3.0]]), np.array([[[1.0, 10.0]]]), padding="same")
    np.testing.assert_array_equal(output, [[21, 32, 3]])


def test_each_group_sees_its_own_channels():
    x = np.array([[1.0, 2.0], [10.0, 20.0]])
    output, _ = manual.conv1d(x, np.array([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), groups=2)
    np.testing.assert_array_equal(output, [[1, 2], [2, 4], [30, 60], [40, 80]])


@st.composite
def geometries(draw):
    """Shapes and constants of a convolution over one to three axes, all of them small."""
    axes = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    kernel, stride, dilation, padding = each(1, 3), each(1, 3), each(1, 2), each(0, 2)
    more = each(0, 4)  # cells beyond the least that a window needs
    size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + m for k, d, p, m in zip(kernel, dilation, padding, more))
    groups = draw(st.integers(1, 2))
    batch, inputs, outputs = draw(st.integers(0, 5)), groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    constants = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (batch, inputs, *size), (outputs, inputs // groups, *kernel), constants


def small_integers(*shape):
    """In which every order of summing gives the same."""
    return RNG.integers(-9, 10, shape).astype(float)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(geometry=geometries())
def test_in_every_shape_a_convolution_is_torchs_and_its_transpose_its_backward(geometry):
    """⟨A x, g⟩ = ⟨x, Aᵀ g⟩, where Aᵀ g comes of the backward and of the transposed convolution; the numbers are exact."""
    shape, weight_shape, constants = geometry
    axes = len(shape) - 2
    x, weight = small_integers(*shape), small_integers(*weight_shape)
    output, backward = getattr(manual, f"conv{axes}d")(x, weight, **constants)
    expected = getattr(torch.nn.functional, f"conv{axes}d")(torch.tensor(x), torch.tensor(weight), **constants)
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-9)
    g = small_integers(*output.shape)
    grad_x, grad_weight, _ = backward(g)
    assert (output * g).sum() == (x * grad_x).sum() == (weight * grad_weight).sum()
    seen = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(output.shape[2:], *of_axes(constants), weight_shape[2:])]
    unseen = tuple(n - m for n, m in zip(shape[2:], seen))
    if all(a < max(s, d) for a, s, d in zip(unseen, constants["stride"], constants["dilation"])) and min(seen) > 0:
        transposed, transposed_backward = getattr(manual, f"conv_transpose{axes}d")(g, weight, output_padding=unseen, **constants)
        np.testing.assert_array_equal(transposed, grad_x)
        np.testing.assert_array_equal(transposed_backward(x)[0], output)
        np.testing.assert_array_equal(transposed_backward(x)[1], grad_weight)


def of_axes(constants):
    return constants["stride"], constants["padding"], constants["dilation"]


def peak_memory(function):
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


@pytest.mark.parametrize(("batch", "size"), [(32, 32), (1, 256)], ids=["many images", "a large image"])
def test_memory(batch, size):
    """Forward and backward, float32, of 3×3: output and gradients, and little beside them; all windows at once take 9 times x."""
    x, weight = RNG.standard_normal((batch, 32, size, size), np.float32), RNG.standard_normal((64, 32, 3, 3), np.float32)
    grad_output = RNG.standard_normal((batch, 64, size, size), np.float32)

    def run():
        _, backward = manual.conv2d(x, weight, padding=1)
        backward(grad_output)

    returned = (grad_output.nbytes + x.nbytes + weight.nbytes) / 2**20
    with threadpool_limits(1, "blas"):  # whose threads, where other processes take their cores, wait for one another for seconds
        run()  # makes what is kept from call to call
        assert peak_memory(run) < 1.5 * returned
    assert 9 * x.nbytes / 2**20 > 2 * returned


def test_no_gradient_is_made_that_nobody_needs(monkeypatch):
    _, backward = manual.conv2d(RNG.standard_normal((1, 2, 4, 4)), RNG.standard_normal((3, 2, 2, 2)))
    monkeypatch.setattr("manual.layers.convolution.spread", None)
    assert backward(np.ones((1, 3, 3, 3)), (False, True, True))[0] is None
    monkeypatch.setattr("manual.layers.convolution.correlate", None)
    assert backward(np.ones((1, 3, 3, 3)), (False, False, True))[:2] == (None, None)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_a_module_leaves_out_the_gradient_of_its_input(mode):
    module = manual.Conv2d(2, 3, 3, padding=1, padding_mode=mode)
    output, backward = module(RNG.standard_normal((1, 2, 4, 4)))
    assert backward(output, (False,)) == (None,)
    assert module.weight.grad.shape == (3, 2, 3, 3)
    assert module.bias.grad.shape == (3,)


@pytest.mark.parametrize(("name", "shape"), [("Conv2d", (40, 30, 3, 5)), ("ConvTranspose2d", (60, 20, 3, 5))])
def test_parameters_start_as_torchs(name, shape):
    """Uniformly within ±1/√n, n = (second axis of the weight) · (cells of the kernel)."""
    arguments = (60, 40, (3, 5)), {"groups": 2}
    ours = getattr(manual, name)(*arguments[0], **arguments[1], generator=np.random.default_rng(0))
    theirs = getattr(torch.nn, name)(*arguments[0], **arguments[1])
    assert {key: value.shape for key, value in ours.state_dict().items()} == {
        key: tuple(value.shape) for key, value in theirs.state_dict().items()
    }
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    assert ours.weight.shape == shape
    for parameter, other in ((ours.weight.data, theirs.weight), (ours.bias.data, theirs.bias)):
        assert 0.5 * bound < np.abs(parameter).max() <= bound
        assert 0.5 * bound < other.abs().max() <= bound * (1 + 1e-6)


X, W = (2, 4, 5, 5), (6, 2, 3, 3)


@pytest.mark.parametrize(
    ("shapes", "constants", "message"),
    [
        ([(4, 5), W], {"groups": 2}, "expected x of 4 axes, or 3 without a batch, and a weight of 4"),
        ([(1, *X), W], {"groups": 2}, "expected x of 4 axes, or 3 without a batch, and a weight of 4"),
        ([X, (6, 2, 3)], {"groups": 2}, "expected x of 4 axes, or 3 without a batch, and a weight of 4"),
        ([(2, 4, 0, 5), W], {"groups": 2, "padding": 2}, "expected x of 4 axes"),
        ([X, (0, 2, 3, 3)], {"groups": 2}, "expected x of 4 axes"),
        ([X, (6, 2, 0, 3)], {"groups": 2}, "expected x of 4 axes"),
        ([X, W], {}, "x must have 2 channels for a weight (6, 2, 3, 3) and 1 groups, got (2, 4, 5, 5)"),
        ([X, (5, 2, 3, 3)], {"groups": 2}, "groups must divide the first axis of the weight, 5, got 2"),
        ([X, W], {"groups": 0}, "groups must be an integer of at least 1, got 0"),
        ([X, W, (1,)], {"groups": 2}, "bias must have shape (6,), got (1,)"),
        ([X, W], {"groups": 2, "stride": 0}, "stride must be an integer of at least 1, got 0"),
        ([X, W], {"groups": 2, "stride": (1, 2, 3)}, "stride must be an integer or 2 of them, got (1, 2, 3)"),
        ([X, W], {"groups": 2, "dilation": 0}, "dilation must be an integer of at least 1, got 0"),
        ([X, W], {"groups": 2, "padding": -1}, "padding must be an integer of at least 0, got -1"),
        ([X, W], {"groups": 2, "padding": "full"}, "padding must be 'valid' or 'same', got 'full'"),
        ([X, W], {"groups": 2, "padding": "same", "stride": (1, 2)}, "padding must not be 'same' with a stride, got stride (1, 2)"),
        ([X, (6, 2, 3, 6)], {"groups": 2}, "the kernel must fit into the padded input, (5, 5), got one that spans (3, 6)"),
        ([X, W], {"groups": 2, "dilation": 3}, "the kernel must fit into the padded input, (5, 5), got one that spans (7, 7)"),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(shapes, constants, message):
    arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises((ValueError, TypeError), match="^" + re.escape(f"conv2d: {message}")):
        manual.conv2d(*arrays, **constants)
    with pytest.raises(RuntimeError):
        forward(OPERATIONS["conv2d"].torch, arrays, constants)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"groups": 0}, "groups must be an integer of at least 1, got 0"),
        ({"groups": 2}, "in_channels must be a multiple of groups, 2, got 3"),
        ({"in_channels": 4, "out_channels": 3, "groups": 2}, "out_channels must be a multiple of groups, 2, got 3"),
        ({"padding": "same", "stride": 2}, "padding must not be 'same' with a stride, got stride (2, 2)"),
        ({"padding": "full"}, "padding must be 'valid' or 'same', got 'full'"),
        ({"padding_mode": "mirror"}, "padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', got 'mirror'"),
        ({"in_channels": -1}, "in_channels must be an integer of at least 0, got -1"),
    ],
)
def test_modules_that_cannot_be_are_refused_as_in_torch(constants, message):
    arguments = {"in_channels": 3, "out_channels": 4, "kernel_size": 2, **constants}
    with pytest.raises(ValueError, match="^" + re.escape(f"Conv2d: {message}")):
        manual.Conv2d(**arguments)
    with pytest.raises((ValueError, RuntimeError)):
        torch.nn.Conv2d(**arguments)


@pytest.mark.parametrize(
    "constants",
    [{"kernel_size": 0}, {"stride": 0}, {"dilation": 0}, {"padding": -1}, {"out_channels": 0}, {"kernel_size": (1, 2, 3)}],
)
def test_modules_that_could_not_be_called_are_refused_at_once(constants):
    """Torch constructs them, and refuses the first input."""
    arguments = {"in_channels": 3, "out_channels": 4, "kernel_size": 2, **constants}
    with pytest.raises(ValueError, match=f"^Conv2d: {next(iter(constants))} must be an integer"):
        manual.Conv2d(**arguments)


@pytest.mark.parametrize("constants", [{"bias": None}, {"generator": 5}, {"dtype": np.float16}])
def test_modules_take_arguments_of_the_right_kind(constants):
    with pytest.raises(TypeError, match=f"^Conv1d: {next(iter(constants))} must be"):
        manual.Conv1d(1, 1, 1, **constants)


def test_looks():
    assert repr(manual.Conv1d(3, 4, 3, stride=2)) == (
        "Conv1d(in_channels=3, out_channels=4, kernel_size=(3,), stride=(2,), padding=(0,), dilation=(1,), groups=1, bias=True, "
        "padding_mode='zeros')"
    )
