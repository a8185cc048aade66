"""Clipping of gradients and vectors of parameters, beside torch's; a gradient that is shared stays as it is."""

import math

import numpy as np
import pytest
import torch
from torch.nn import utils

import manual

SHAPES = (3, 4), (), (0, 2), (5,)
ORDERS = [2.0, 1, 3.5, 0, -1, math.inf, 0.5]


def parameters(scale=1.0, shapes=SHAPES, dtype=float):
    """Ours and torch's with the same gradients, and one of each without."""
    rng = np.random.default_rng(0)
    ours = [manual.Parameter(rng.standard_normal(shape).astype(dtype)) for shape in (*shapes, (2,))]
    theirs = [torch.nn.Parameter(torch.tensor(parameter.data)) for parameter in ours]
    for parameter, tensor in zip(ours[:-1], theirs[:-1], strict=True):
        parameter.grad = np.array(scale * rng.standard_normal(parameter.shape), dtype)
        tensor.grad = torch.tensor(parameter.grad)
    return ours, theirs


def assert_same(ours, theirs, tolerance=1e-13):
    for parameter, tensor in zip(ours, theirs, strict=True):
        assert (parameter.grad is None) == (tensor.grad is None)
        if parameter.grad is not None:
            assert parameter.grad.dtype == parameter.dtype
            np.testing.assert_allclose(parameter.grad, tensor.grad, rtol=tolerance)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("max_norm", [0.0, 0.5, 2, math.inf])
@pytest.mark.parametrize("norm_type", ORDERS)
def test_the_norm_is_clipped_as_in_torch(scale, max_norm, norm_type):
    shapes = [shape for shape in SHAPES if norm_type not in (math.inf, -1) or 0 not in shape]  # of which torch refuses the first
    ours, theirs = parameters(scale, shapes)
    norms = manual.clip_grad_norm_(iter(ours), max_norm, norm_type), utils.clip_grad_norm_(theirs, max_norm, norm_type)
    np.testing.assert_allclose(*norms, rtol=1e-13)
    assert_same(ours, theirs)


@pytest.mark.parametrize("norm_type", [*ORDERS, -math.inf])
def test_the_total_norm_is_torchs(norm_type):
    arrays = [np.array([[3.0, -4.0], [1.0, 2.0]]), np.array([0.5, 2.0]), np.array(-7.0)]
    got = manual.get_total_norm(arrays, norm_type)
    np.testing.assert_allclose(got, utils.get_total_norm(map(torch.tensor, arrays), norm_type), rtol=1e-14)
    np.testing.assert_allclose(manual.get_total_norm(arrays[1], norm_type), manual.get_total_norm(arrays[1:2], norm_type))


def test_norms_by_hand():
    assert manual.get_total_norm([np.array([3.0]), np.array([0.0, 4.0])]) == 5
    assert manual.get_total_norm([np.array([3.0]), np.array([0.0, 4.0])], math.inf) == 4
    assert manual.get_total_norm([]) == 0
    assert manual.get_total_norm([np.zeros((0, 3)), np.array([2.0])], math.inf) == 2
    assert manual.get_total_norm([np.ones(3, np.float32)]).dtype == np.float32
    parameter = manual.Parameter(np.zeros(2))
    parameter.grad = np.array([3.0, 4.0])
    assert manual.clip_grad_norm_(parameter, 1.0) == 5
    np.testing.assert_allclose(parameter.grad, np.array([3.0, 4.0]) / (5 + 1e-6), rtol=1e-15)


def test_a_known_norm_clips():
    for total in (5.0, np.float64(0.1), 0):
        ours, theirs = parameters()
        manual.clip_grads_with_norm_(ours, 0.5, total)
        utils.clip_grads_with_norm_(theirs, 0.5, torch.tensor(float(total)))
        assert_same(ours, theirs, 1e-6)  # torch's norm is float32 here


@pytest.mark.parametrize("clip_value", [0.0, 0.3, 5, math.inf])
def test_values_are_clipped_as_in_torch(clip_value):
    for dtype in (np.float64, np.float32):
        ours, theirs = parameters(dtype=dtype)
        ours[0].grad[0, 0] = np.nan
        theirs[0].grad[0, 0] = torch.nan
        manual.clip_grad_value_(ours, clip_value)
        utils.clip_grad_value_(theirs, clip_value)
        assert_same(ours, theirs)


def test_single_precision_stays_single():
    ours, theirs = parameters(10.0, dtype=np.float32)
    norms = manual.clip_grad_norm_(ours, np.float64(1)), utils.clip_grad_norm_(theirs, 1.0)
    np.testing.assert_allclose(*norms, rtol=1e-6)
    assert_same(ours, theirs, 1e-6)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_norms_that_are_not_finite(value):
    """As torch they make all gradients such, or are refused before anything has changed."""
    ours, theirs = parameters()
    ours[0].grad[1, 1] = value
    theirs[0].grad[1, 1] = value
    grads = [parameter.grad for parameter in ours]
    message = r"the total norm of order 2.0 must be finite, got (inf|nan); error_if_nonfinite=False takes it$"
    with pytest.raises(ValueError, match=rf"^clip_grad_norm_: {message}"):
        manual.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    with pytest.raises(ValueError, match=rf"^get_total_norm: {message}"):
        manual.get_total_norm(grads[:-1], error_if_nonfinite=True)
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_(theirs, 1.0, error_if_nonfinite=True)
    assert all(parameter.grad is grad for parameter, grad in zip(ours, grads, strict=True))
    np.testing.assert_equal(float(manual.clip_grad_norm_(ours, 1.0)), utils.clip_grad_norm_(theirs, 1.0).item())
    assert_same(ours, theirs)


def test_a_shared_gradient_is_replaced_and_not_changed():
    grad = np.full(4, 10.0)
    grad.flags.writeable = False
    for clip in (lambda p: manual.clip_grad_norm_(p, 1.0), lambda p: manual.clip_grad_value_(p, 1.0)):
        first, second = manual.Parameter(np.zeros(4)), manual.Parameter(np.zeros(4))
        first.grad = second.grad = grad
        clip([first, second])
        np.testing.assert_array_equal(grad, 10)
        np.testing.assert_array_equal(first.grad, second.grad)
        assert np.abs(first.grad).max() <= 1


def test_what_cannot_be_clipped_is_refused():
    parameter, rows = manual.Parameter(np.ones((4, 2))), manual.Parameter(np.ones((4, 2)))
    rows.grad = manual.RowGradient(np.array([1]), np.ones((1, 2)), (4, 2))
    message = r"parameters\[1\] must be a NumPy array, got RowGradient; give its dense\(\)$"
    for op, call in (
        ("clip_grad_norm_", lambda p: manual.clip_grad_norm_(p, 1.0)),
        ("clip_grad_value_", lambda p: manual.clip_grad_value_(p, 1.0)),
        ("clip_grads_with_norm_", lambda p: manual.clip_grads_with_norm_(p, 1.0, 5.0)),
    ):
        with pytest.raises(TypeError, match=rf"^{op}: the gradient of {message}"):
            call([parameter, rows])
        with pytest.raises(TypeError, match=rf"^{op}: parameters\[0\] must be a Parameter, got ndarray$"):
            call([parameter.data])
    for op, call in (
        ("clip_grad_norm_: max_norm", lambda value: manual.clip_grad_norm_(parameter, value)),
        ("clip_grad_value_: clip_value", lambda value: manual.clip_grad_value_(parameter, value)),
        ("clip_grads_with_norm_: max_norm", lambda value: manual.clip_grads_with_norm_(parameter, value, 1.0)),
    ):
        for value in (-1.0, math.nan, "1", None, True):
            with pytest.raises((TypeError, ValueError), match=rf"^{op} must be a number of at least 0, got {value!r}$"):
                call(value)
    with pytest.raises(
        TypeError, match=r"^get_total_norm: tensors\[0\] must be a NumPy array of floating-point numbers, got int64$"
    ):
        manual.get_total_norm([np.array([1])])
    with pytest.raises(TypeError, match=r"^get_total_norm: norm_type must be a number, got 'fro'$"):
        manual.get_total_norm([np.array([1.0])], "fro")
    with pytest.raises(TypeError, match=r"^get_total_norm: error_if_nonfinite must be True or False, got 1$"):
        manual.get_total_norm([np.array([1.0])], error_if_nonfinite=1)


# -- Vectors


def test_parameters_become_a_vector_and_back():
    ours, theirs = parameters()
    ours[0].data = np.asfortranarray(ours[0].data)
    vector = manual.parameters_to_vector(iter(ours))
    np.testing.assert_array_equal(vector, utils.parameters_to_vector(theirs).detach())
    arrays = [parameter.data for parameter in ours]
    manual.vector_to_parameters(2 * vector, iter(ours))
    utils.vector_to_parameters(2 * torch.tensor(vector), theirs)
    vector[:] = 0  # which nobody shares
    for parameter, array, tensor in zip(ours, arrays, theirs, strict=True):
        assert parameter.data is array
        np.testing.assert_array_equal(array, tensor.detach())


def test_a_vector_of_several_dtypes():
    """Is of the longest; each parameter keeps its own."""
    single, double = manual.Parameter(np.ones(2, np.float32)), manual.Parameter(np.ones(3))
    vector = manual.parameters_to_vector([single, double])
    assert vector.dtype == np.float64
    manual.vector_to_parameters(vector * 3, [single, double])
    np.testing.assert_array_equal(single.data, np.full(2, 3, np.float32), strict=True)


def test_vectors_that_do_not_fit_are_refused():
    ours, theirs = parameters()
    before = manual.parameters_to_vector(ours)
    for length in (len(before) - 1, len(before) + 1, 0):
        with pytest.raises(ValueError, match=rf"^vector_to_parameters: vec must have shape \({len(before)},\), got \({length},\)$"):
            manual.vector_to_parameters(np.zeros(length), ours)
    for vector in (list(before), before.astype(int)):
        with pytest.raises(TypeError, match=r"^vector_to_parameters: vec must be a NumPy array of floating-point numbers, got"):
            manual.vector_to_parameters(vector, ours)
    ours[2].data.flags.writeable = False
    with pytest.raises(ValueError, match=r"^vector_to_parameters: parameters must not be read-only$"):
        manual.vector_to_parameters(np.zeros_like(before), ours)
    np.testing.assert_array_equal(manual.parameters_to_vector(ours), before)
    with pytest.raises(ValueError, match="must hold at least one parameter, got none"):
        manual.parameters_to_vector([])
    with pytest.raises((RuntimeError, ValueError), match="non-empty"):
        utils.parameters_to_vector([])
    with pytest.raises(TypeError, match=r"^parameters_to_vector: parameters\[0\] must be a Parameter, got Tensor|Parameter$"):
        manual.parameters_to_vector(theirs)
    with pytest.raises(ValueError, match="must have a shape, got an UninitializedParameter"):
        manual.parameters_to_vector([manual.UninitializedParameter()])
