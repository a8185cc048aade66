"""Transposed convolutions: an example worked out by hand, sizes of outputs, and what is refused."""

import re

import numpy as np
import pytest
import torch

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

RNG = np.random.default_rng(0)


def test_a_transposed_convolution_by_hand():
    """The kernel (1, 10, 100), times 2 from the first cell on, and times 3 two cells on."""
    x, weight = np.array([[2.0, 3.0]]), np.array([[[1.0, 10.0, 100.0]]])
    output, backward = manual.conv_transpose1d(x, weight, np.array([0.5]), stride=2)
    np.testing.assert_array_equal(output, [[2.5, 20.5, 203.5, 30.5, 300.5]])
    grad_x, grad_weight, grad_bias = backward(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    np.testing.assert_array_equal(grad_x, [[321, 543]])
    np.testing.assert_array_equal(grad_weight, [[[2 * 1 + 3 * 3, 2 * 2 + 3 * 4, 2 * 3 + 3 * 5]]])
    np.testing.assert_array_equal(grad_bias, [15])


def test_padding_cuts_off_and_output_padding_adds_behind():
    x, weight, bias = np.array([[2.0, 3.0]]), np.array([[[1.0, 10.0]]]), np.array([0.5])
    output, backward = manual.conv_transpose1d(x, weight, bias, stride=3, padding=1, output_padding=2)
    np.testing.assert_array_equal(output, [[20.5, 0.5, 3.5, 30.5, 0.5]])
    np.testing.assert_array_equal(backward(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]))[2], [15])  # cells of the bias alone count


@pytest.mark.parametrize("constants", [{}, {"stride": 2}, {"stride": 2, "dilation": 3}, {"stride": (3, 2), "padding": 1}])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_output_size_is_what_torch_takes(constants, batch):
    """Every size about those that are possible gives torch's output, or is refused by both."""
    ours = manual.ConvTranspose2d(2, 1, 2, **constants)
    theirs = torch.nn.ConvTranspose2d(2, 1, 2, **constants).double()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
    x = RNG.standard_normal((*batch, 2, 3, 3))
    least = ours(x)[0].shape[-2:]
    for height in range(least[0] - 1, least[0] + 5):
        for size in ((height, least[1]), [height, least[1] + 1], (*batch, 1, height, least[1])):
            try:
                expected = theirs(torch.tensor(x), list(size))
            except ValueError:
                with pytest.raises(ValueError, match=r"^ConvTranspose2d: output_size must lie between"):
                    ours(x, output_size=size)
            else:
                np.testing.assert_allclose(ours(x, output_size=size)[0], expected.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [5, (5,), (1, 5, 5), (5.0, 5.0), "55"])
def test_an_output_size_of_another_kind_is_refused(size):
    with pytest.raises((ValueError, TypeError), match=r"^ConvTranspose2d: output_size must "):
        manual.ConvTranspose2d(2, 1, 2)(np.zeros((1, 2, 4, 4)), output_size=size)
    with pytest.raises((ValueError, TypeError)):
        torch.nn.ConvTranspose2d(2, 1, 2)(torch.zeros(1, 2, 4, 4), size)


X, W = (2, 4, 3, 3), (4, 3, 2, 2)


@pytest.mark.parametrize(
    ("shapes", "constants", "message"),
    [
        ([(4, 3), W], {}, "expected x of 4 axes, or 3 without a batch, and a weight of 4"),
        ([(2, 4, 0, 3), W], {}, "expected x of 4 axes, or 3 without a batch, and a weight of 4"),
        ([X, (3, 4, 2, 2)], {}, "x must have 3 channels for a weight (3, 4, 2, 2) and 1 groups, got (2, 4, 3, 3)"),
        ([X, W], {"groups": 3}, "groups must divide the first axis of the weight, 4, got 3"),
        ([X, W, (3,)], {"groups": 2}, "bias must have shape (6,), got (3,)"),
        ([X, W], {"stride": 0}, "stride must be an integer of at least 1, got 0"),
        ([X, W], {"dilation": 0}, "dilation must be an integer of at least 1, got 0"),
        ([X, W], {"padding": -1}, "padding must be an integer of at least 0, got -1"),
        ([X, W], {"padding": 3}, "padding must leave an output of at least 1 along each axis, got (3, 3), which leaves (-2, -2)"),
        ([X, W], {"output_padding": -1, "stride": 2}, "output_padding must be an integer of at least 0, got -1"),
        ([X, W], {"output_padding": 1}, "output_padding must be less than stride (1, 1) or dilation (1, 1), got (1, 1)"),
        (
            [X, W],
            {"output_padding": (0, 2), "stride": (3, 1), "dilation": (1, 2)},
            "output_padding must be less than stride (3, 1) or dilation (1, 2), got (0, 2)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_as_in_torch(shapes, constants, message):
    arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match="^" + re.escape(f"conv_transpose2d: {message}")):
        manual.conv_transpose2d(*arrays, **constants)
    with pytest.raises(RuntimeError):
        forward(OPERATIONS["conv_transpose2d"].torch, arrays, constants)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_is_with_zeros_alone(mode):
    with pytest.raises(ValueError, match=r"^ConvTranspose1d: padding_mode must be 'zeros', got"):
        manual.ConvTranspose1d(1, 1, 1, padding_mode=mode)
    with pytest.raises(ValueError, match="padding mode"):
        torch.nn.ConvTranspose1d(1, 1, 1, padding_mode=mode)
