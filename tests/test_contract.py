"""What every operation promises: structure, dtype, purity, re-entrancy, `needs`, linearity of the backward in its cotangent."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reference.agreement import differentiable, reference


def prepare(operation, case, dtype=np.float64):
    arrays = case.build(operation.name, dtype)
    grad_output = reference(operation, case, dtype)[0]
    return arrays, grad_output


def copies(arrays):
    return [None if array is None else np.array(array) for array in arrays]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)


def test_structure(operation, case, dtype):
    arrays, grad_output = prepare(operation, case, dtype)
    output, backward = operation.manual(*arrays, **case.constants)
    assert output.dtype == dtype
    assert output.shape == grad_output.shape
    grads = backward(grad_output)
    assert isinstance(grads, tuple)
    for array, grad, wanted in zip(arrays, grads, differentiable(case, arrays), strict=False):
        assert (grad is not None) == wanted
        if wanted:
            assert (grad.shape, grad.dtype) == (array.shape, array.dtype)
    assert all(grad is None for grad in grads[len(arrays) :])


def test_purity(operation, case):
    """Nothing given or returned is changed, and what a caller does to the gradients does not reach the next call."""
    arrays, grad_output = prepare(operation, case)
    before = copies([*arrays, grad_output])
    output, backward = operation.manual(*arrays, **case.constants)
    kept = np.array(output)
    first = backward(grad_output)
    expected = copies(first)
    for grad in first:
        if grad is not None and grad.ndim:
            assert not np.shares_memory(grad, grad_output)
            grad += 1
    assert_same(backward(grad_output), expected)
    np.testing.assert_array_equal(output, kept)
    assert_same([*arrays, grad_output], before)


def test_output_is_new(operation, case):
    arrays, _ = prepare(operation, case)
    output, _ = operation.manual(*arrays, **case.constants)
    assert not any(array is not None and np.shares_memory(output, array) for array in arrays)


def test_threads(operation, case):
    """From eight threads at once, two forwards and backwards interleaved, the answers are those of one thread."""
    arrays, grad_output = prepare(operation, case)
    _, backward = operation.manual(*arrays, **case.constants)
    expected = backward(grad_output)
    with ThreadPoolExecutor(8) as pool:
        for grads in pool.map(lambda _: backward(grad_output), range(16)):
            assert_same(grads, expected)


def test_needs(operation, case):
    """What is not needed is None, what is needed is the same as ever."""
    arrays, grad_output = prepare(operation, case)
    _, backward = operation.manual(*arrays, **case.constants)
    everything = backward(grad_output)
    if len(everything) == 1:
        with pytest.raises(TypeError):
            backward(grad_output, (True,))
        return
    for needs in itertools.product((False, True), repeat=len(everything)):
        expected = [grad if need else None for grad, need in zip(everything, needs, strict=True)]
        grads = backward(grad_output, needs)
        assert len(grads) == len(expected)
        for got, want in zip(grads, expected, strict=True):
            assert (got is None) == (want is None)
            if want is not None:
                np.testing.assert_allclose(got, want, rtol=1e-13, atol=0)


def test_linearity(operation, case):
    """backward(2 g + h) = 2 backward(g) + backward(h), to the rounding that each side has; backward(0) = 0."""
    arrays, g = prepare(operation, case)
    _, backward = operation.manual(*arrays, **case.constants)
    h = np.asarray(np.random.default_rng(3).standard_normal(g.shape))
    scales = reference(operation, case, np.float64)[2].grad_scales
    with np.errstate(invalid="ignore"):  # 0 · ∞ where a slope is infinite
        grads = [backward(cotangent) for cotangent in (np.asarray(2 * g + h), g, h, np.zeros_like(g))]
    for both, of_g, of_h, of_zero, scale in zip(*grads, scales, strict=False):
        if both is None or not np.isfinite(both).all():  # an infinite slope: ∞ − ∞ says nothing
            continue
        assert not of_zero.any()
        room = 1e-13 * (np.abs(both) + 2 * np.abs(of_g) + np.abs(of_h) + scale.astype(float).max(initial=0))
        assert (np.abs(both - 2 * of_g - of_h) <= room).all()


def test_cotangent_is_checked(operation):
    """A cotangent of another shape, dtype or kind is refused by name."""
    case = operation.cases[0]
    arrays, grad_output = prepare(operation, case)
    _, backward = operation.manual(*arrays, **case.constants)
    with pytest.raises(ValueError, match=f"{operation.name}: grad_output must have the shape"):
        backward(np.zeros((*grad_output.shape, 7)))
    with pytest.raises(TypeError, match=f"{operation.name}: grad_output must have the dtype"):
        backward(grad_output.astype(np.float32))
    with pytest.raises(TypeError, match=f"{operation.name}: grad_output must be a NumPy array"):
        backward("gradient")


def test_floats_are_required(operation):
    """Integers, lists and mixed dtypes are refused, naming operation and argument, in every place that takes floats."""
    case = operation.cases[0]
    arrays, _ = prepare(operation, case)
    for position, wanted in enumerate(differentiable(case, arrays)):
        if not wanted:
            continue
        before, after = arrays[:position], arrays[position + 1 :]
        with pytest.raises(TypeError, match=f"{operation.name}: .* must be a NumPy array, got list"):
            operation.manual(*before, arrays[position].tolist(), *after, **case.constants)
        with pytest.raises(TypeError, match=f"{operation.name}: .* must hold floating-point numbers, got int64"):
            operation.manual(*before, arrays[position].astype(np.int64), *after, **case.constants)
        if sum(differentiable(case, arrays)) > 1:
            with pytest.raises(TypeError, match=f"{operation.name}: .* must have the dtype of .*, got float"):
                operation.manual(*before, arrays[position].astype(np.float32), *after, **case.constants)
