"""Linear maps: examples worked out by hand, every shape, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward


def test_linear_by_hand():
    weight = np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]])
    output, backward = manual.linear(np.array([[1.0, 2.0, 3.0]]), weight, np.array([10.0, 20.0]))
    np.testing.assert_array_equal(output, [[8, 24]])  # 1 − 3 + 10, 2 + 2 + 20
    grad_x, grad_weight, grad_bias = backward(np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(grad_x, [[5, 2, -1]])  # the first row of the weight and twice the second
    np.testing.assert_array_equal(grad_weight, [[1, 2, 3], [2, 4, 6]])
    np.testing.assert_array_equal(grad_bias, [1, 2])


sizes = st.integers(0, 3)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(batch=st.lists(sizes, max_size=3), inputs=sizes, outputs=sizes, seed=st.integers(0, 99))
def test_linear_in_every_shape(batch, inputs, outputs, seed):
    """Against einsum. The numbers are small integers, so that every order of summing gives the same."""
    rng, n = np.random.default_rng(seed), "abc"[: len(batch)]
    shapes = (*batch, inputs), (outputs, inputs), (outputs,), (*batch, outputs)
    x, weight, bias, g = (rng.integers(-9, 10, shape).astype(float) for shape in shapes)
    output, backward = manual.linear(x, weight, bias)
    grad_x, grad_weight, grad_bias = backward(g)
    np.testing.assert_array_equal(output, np.einsum(f"{n}j,ij->{n}i", x, weight) + bias)
    np.testing.assert_array_equal(grad_x, np.einsum(f"{n}i,ij->{n}j", g, weight))
    np.testing.assert_array_equal(grad_weight, np.einsum(f"{n}i,{n}j->ij", g, x))
    np.testing.assert_array_equal(grad_bias, np.einsum(f"{n}i->i", g))


def test_a_bilinear_form_with_the_identity_is_the_dot_product():
    x1, x2 = np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]])
    output, backward = manual.bilinear(x1, x2, np.eye(2)[None])
    np.testing.assert_array_equal(output, [[13]])
    grad_x1, grad_x2, grad_weight, grad_bias = backward(np.array([[1.0]]))
    np.testing.assert_array_equal(grad_x1, x2)
    np.testing.assert_array_equal(grad_x2, x1)
    np.testing.assert_array_equal(grad_weight, [[[3, 5], [6, 10]]])  # x₁ x₂ᵀ
    assert grad_bias is None


def test_a_bilinear_form_is_not_symmetric():
    """x₁ᵀ A x₂ picks A₀₁ for the unit vectors e₀ and e₁, A₁₀ for e₁ and e₀."""
    weight = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    first, second = np.eye(2)
    assert manual.bilinear(first, second, weight, np.array([10.0]))[0] == 12
    assert manual.bilinear(second, first, weight, np.array([10.0]))[0] == 13


@settings(max_examples=50, deadline=None, derandomize=True)
@given(batch=st.lists(sizes, max_size=3), in1=sizes, in2=sizes, outputs=sizes, seed=st.integers(0, 99))
def test_bilinear_in_every_shape(batch, in1, in2, outputs, seed):
    rng, n = np.random.default_rng(seed), "abc"[: len(batch)]
    shapes = (*batch, in1), (*batch, in2), (outputs, in1, in2), (outputs,), (*batch, outputs)
    x1, x2, weight, bias, g = (rng.integers(-9, 10, shape).astype(float) for shape in shapes)
    output, backward = manual.bilinear(x1, x2, weight, bias)
    grad_x1, grad_x2, grad_weight, grad_bias = backward(g)
    np.testing.assert_array_equal(output, np.einsum(f"{n}i,kij,{n}j->{n}k", x1, weight, x2) + bias)
    np.testing.assert_array_equal(grad_x1, np.einsum(f"{n}k,kij,{n}j->{n}i", g, weight, x2))
    np.testing.assert_array_equal(grad_x2, np.einsum(f"{n}k,kij,{n}i->{n}j", g, weight, x1))
    np.testing.assert_array_equal(grad_weight, np.einsum(f"{n}k,{n}i,{n}j->kij", g, x1, x2))
    np.testing.assert_array_equal(grad_bias, np.einsum(f"{n}k->k", g))


def test_identity_gives_back_what_it_gets():
    x, g = np.random.default_rng(0).standard_normal((2, 3))
    output, backward = manual.Identity("any", arguments=True)(x)
    np.testing.assert_array_equal(output, x)
    assert np.shares_memory(output, x)
    assert (output.flags.writeable, x.flags.writeable) == (False, True)
    assert backward(g)[0] is g
    assert backward(g, (False,)) == (None,)


_linear_takes = "linear: expected x (..., in_features), weight (out_features, in_features) or (in_features), "
_linear_takes += "and a bias that broadcasts to the output, got "
_vector_takes = "linear: a weight (in_features) takes no bias but a number, and none with a matrix x, got "
_bilinear_takes = "bilinear: expected x1 (..., in1), x2 (..., in2) and weight (out, in1, in2), got "


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        ("linear", [(5, 3), (4, 2)], _linear_takes + "(5, 3), (4, 2) and no bias"),
        ("linear", [(), (4, 2)], _linear_takes + "(), (4, 2) and no bias"),
        ("linear", [(2, 5, 3), (4, 2), (4,)], _linear_takes + "(2, 5, 3), (4, 2) and (4,)"),
        ("linear", [(5, 3), (4, 3, 1)], _linear_takes + "(5, 3), (4, 3, 1) and no bias"),
        ("linear", [(5, 3), ()], _linear_takes + "(5, 3), () and no bias"),
        ("linear", [(5, 3), (2,)], _linear_takes + "(5, 3), (2,) and no bias"),
        ("linear", [(5, 3), (4, 3), (3,)], _linear_takes + "(5, 3), (4, 3) and (3,)"),
        ("linear", [(5, 3), (4, 3), (2, 5, 4)], _linear_takes + "(5, 3), (4, 3) and (2, 5, 4)"),
        ("linear", [(2, 5, 3), (4, 3), (3,)], "linear: expected shapes that broadcast together, got output (2, 5, 4), bias (3,)"),
        ("bilinear", [(5, 3), (4, 2), (4, 3, 2)], _bilinear_takes + "(5, 3), (4, 2) and (4, 3, 2)"),
        ("linear", [(5, 3), (3,), ()], _vector_takes + "()"),
        ("linear", [(2, 5, 3), (3,), (1,)], _vector_takes + "(1,)"),
        ("linear", [(3,), (3,), (1,)], _vector_takes + "(1,)"),
        ("bilinear", [(5, 3), (5, 2), (4, 2, 3)], _bilinear_takes + "(5, 3), (5, 2) and (4, 2, 3)"),
        ("bilinear", [(5, 3), (5, 2), (3, 2)], _bilinear_takes + "(5, 3), (5, 2) and (3, 2)"),
        ("bilinear", [(), (), (4, 3, 2)], _bilinear_takes + "(), () and (4, 3, 2)"),
        ("bilinear", [(5, 3), (5, 2), (4, 3, 2), (1,)], "bilinear: bias must have shape (4,), got (1,)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_as_in_torch(name, shapes, message):
    arrays = tuple(np.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(manual, name)(*arrays)
    with pytest.raises((RuntimeError, IndexError)):
        forward(OPERATIONS[name].torch, arrays, {})
