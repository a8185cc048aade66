"""Max unpooling: what was pooled goes back, the sizes it may have, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_max_unpool_by_hand():
    y, backward = manual.max_unpool1d(np.array([[7.0, 8.0]]), np.array([[1, 2]]), kernel_size=2)
    np.testing.assert_array_equal(y, [[0, 7, 8, 0]])
    grad_x, grad_indices = backward(np.array([[1.0, 2.0, 3.0, 4.0]]))
    np.testing.assert_array_equal(grad_x, [[2, 3]])
    assert grad_indices is None


def test_of_several_numbers_for_a_cell_the_last_is_kept_and_each_gets_the_gradient():
    y, backward = manual.max_unpool1d(np.array([[7.0, 8.0, 9.0]]), np.array([[4, 4, 0]]), kernel_size=2)
    np.testing.assert_array_equal(y, [[9, 0, 0, 0, 8, 0]])
    np.testing.assert_array_equal(backward(np.arange(6.0)[None])[0], [[4, 4, 0]])


@pytest.mark.parametrize(("name", "sizes"), [("1d", (9,)), ("2d", (5, 7)), ("3d", (4, 5, 3))])
def test_unpooling_is_the_adjoint_of_pooling(name, sizes):
    """With the places of the largest held fast, pooling picks cells and unpooling puts them back: ⟨P x, y⟩ = ⟨x, Pᵀ y⟩."""
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * int(np.prod(sizes))).reshape(2, *sizes).astype(float)
    (pooled, index), backward = getattr(manual, f"max_pool{name}")(x, kernel_size=2, return_indices=True)
    y = rng.integers(-9, 10, pooled.shape).astype(float)
    unpooled, unpool_backward = getattr(manual, f"max_unpool{name}")(y, index, kernel_size=2, output_size=sizes)
    assert np.vdot(pooled, y) == np.vdot(x, unpooled)
    np.testing.assert_array_equal(backward((y, None))[0], unpooled)
    np.testing.assert_array_equal(unpool_backward(x)[0], pooled)


@pytest.mark.parametrize(
    ("name", "shape", "constants", "message"),
    [
        ("max_unpool1d", (2,), {}, "x must have shape (N, C, W) or (C, W), not empty, got (2,)"),
        ("max_unpool2d", (1, 0, 2, 2), {}, "x must have shape (N, C, H, W) or (C, H, W), not empty, got (1, 0, 2, 2)"),
        ("max_unpool2d", (1, 2, 2), {"output_size": (6, 5)}, "output_size must differ from [4, 4] by less than the stride (2, 2)"),
        ("max_unpool2d", (1, 2, 2), {"output_size": (1, 5, 5)}, "output_size must be a tuple of 2 or 4 integers, got (1, 5, 5)"),
        ("max_unpool2d", (1, 2, 2), {"output_size": 5}, "output_size must be a tuple of 2 or 4 integers, got 5"),
        ("max_unpool3d", (1, 2, 2, 2), {"stride": 0}, "stride must be an integer of at least 1, got 0"),
        ("max_unpool2d", (1, 2, 2), {"padding": 3}, "padding must leave an output, got 3"),
    ],
)
def test_what_torch_refuses_is_refused(name, shape, constants, message):
    arrays, constants = (np.zeros(shape), np.zeros(shape, int)), {"kernel_size": 2, **constants}
    with pytest.raises((TypeError, ValueError), match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        forward(OPERATIONS[name].torch, arrays, constants)


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_outside_of_the_output_is_refused(index):
    arrays = np.zeros((1, 2)), np.array([[0, index]])
    with pytest.raises(ValueError, match=re.escape("max_unpool1d: indices must lie in [0, 4) for an output of [4], got ")):
        manual.max_unpool1d(*arrays, kernel_size=2)
    with pytest.raises(RuntimeError):
        forward(OPERATIONS["max_unpool1d"].torch, arrays, {"kernel_size": 2})


def test_indices_must_have_the_shape_of_x():
    with pytest.raises(ValueError, match=re.escape("max_unpool1d: indices must have shape (1, 2), got (2,)")):
        manual.max_unpool1d(np.zeros((1, 2)), np.zeros(2, int), kernel_size=2)


@pytest.mark.parametrize("kind", [np.uint64, np.uint8, np.int32])
def test_indices_of_every_kind(kind):
    """Also of the one which NumPy adds to others only as floats."""
    output, backward = manual.max_unpool1d(np.array([[3.0, 5.0], [7.0, 9.0]]), np.array([[1, 2], [0, 3]], kind), kernel_size=2)
    np.testing.assert_array_equal(output, [[0, 3, 5, 0], [7, 0, 0, 9]])
    np.testing.assert_array_equal(backward(np.arange(8.0).reshape(2, 4))[0], [[1, 2], [4, 7]])
