"""The truth: dual numbers against differences in long arithmetic, and the scales against the Jacobian."""

import operator

import mpmath
import numpy as np
import pytest

from reference import exact
from reference.exact import Dual, evaluate, mp

X = [-2.5, -1.0, 0.3, 0.75, 4.0]


def number(value):
    return mp.mpf(value)


def dual(value):
    return Dual(number(value), {0: mp.one})


FUNCTIONS = {
    "x + 2": lambda x: x + 2,
    "2 + x": lambda x: 2 + x,
    "x - 0.5": lambda x: x - 0.5,
    "0.5 - x": lambda x: 0.5 - x,
    "x x": lambda x: x * x,
    "3 x": lambda x: 3 * x,
    "x / 7": lambda x: x / 7,
    "7 / x": lambda x: 7 / x,
    "x / (1 + x x)": lambda x: x / (1 + x * x),
    "-x": operator.neg,
    "abs": abs,
    "x ** 3": lambda x: x**3,
    "x ** -2": lambda x: x**-2,
    "|x| ** 0.3": lambda x: abs(x) ** number(0.3),
    "exp": lambda x: exact.exp(x)[()],
    "log |x|": lambda x: exact.log(abs(x))[()],
    "sqrt |x|": lambda x: exact.sqrt(abs(x))[()],
    "tanh": lambda x: exact.tanh(x)[()],
    "erfc": lambda x: exact.erfc(x)[()],
    "x detach x": lambda x: x * exact.detach(abs(x))[()] + (x - exact.detach(x)[()]) * 0,
}


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "x detach x"])
@pytest.mark.parametrize("x", X)
def test_derivatives(name, x):
    """Central differences, extrapolated: 1280 bits leave them forty digits."""
    function = FUNCTIONS[name]
    found = function(dual(x))
    assert found.value == function(number(x))
    h = mp.ldexp(1, -200)
    slope = (function(number(x) + h) - function(number(x) - h)) / (2 * h)
    assert mp.almosteq(found.partials[0], slope, rel_eps=1e-40, abs_eps=1e-40)


def test_a_detached_number_has_no_derivative():
    found = FUNCTIONS["x detach x"](dual(3))
    assert (found.value, found.partials[0]) == (9, 3)


def test_a_number_by_itself_stays_one():
    """Without a derivative to carry, the functions give numbers."""
    assert isinstance(exact.exp(number(1))[()], type(mp.one))


def test_arrays_and_numbers_mix():
    """In either order, with arrays of axes and without."""
    x = np.array([dual(1), dual(2)], dtype=object)
    for array, other in (
        (x, x[0]),
        (x, np.array(x[0], dtype=object)),
        (x, np.array([1, 2])),
        (x, np.float32(0.5)),
        (x, np.int64(2)),
    ):
        for function in (operator.add, operator.sub, operator.mul, operator.truediv):
            for pair in ((array, other), (other, array)):
                assert all(isinstance(z, Dual) and not isinstance(z.value, Dual) for z in function(*pair))


def test_comparisons_look_at_the_value():
    x = np.array([dual(-1), dual(0), dual(2)], dtype=object)
    np.testing.assert_array_equal(x > 0, [False, False, True])
    np.testing.assert_array_equal(x >= dual(0), [False, True, True])
    np.testing.assert_array_equal(x < 0.5, [True, True, False])
    np.testing.assert_array_equal(x <= -1, [True, False, False])
    np.testing.assert_array_equal(x == 0, [False, True, False])
    assert x.argmax() == 2
    assert [z.value for z in np.where(x > 0, x, 0 * x)] == [0, 0, 2]


def test_the_derivative_of_a_kink_is_that_of_the_branch():
    assert not abs(dual(0)).partials
    assert np.maximum(dual(-1), dual(0)).partials == {0: 1}


def test_a_zero_leads_nowhere():
    """0 · ∞ does not arise where nothing moves: √ of a sum of squares at 0."""
    squares = dual(0) ** 2 + Dual(mp.zero, {1: mp.one}) ** 2
    assert not any((squares ** number(0.5)).partials.values())
    assert exact.sqrt(squares)[()] == 0


def test_a_derivative_by_convention():
    clamp = exact.lift(lambda x, low: max(x, low), lambda x, low: 1, lambda x, low: 0)
    found = clamp(dual(-3), number(2))[()]
    assert (found.value, found.partials[0]) == (2, 1)


def test_far_out():
    """exp of what is larger than every float, and back."""
    for x in (mp.mpf(2) ** 21 + 1, mp.mpf(1e300), mp.ldexp(1, 1100)):
        assert mp.almosteq(exact.log(exact.exp(x))[()], x, rel_eps=1e-300)
        assert exact.exp(-x)[()] == 0
        assert exact.erfc(x)[()] == 0
    with mpmath.workprec(1400):
        expected = mpmath.exp(mpmath.mpf(2**20 + 3))
    assert mp.almosteq(exact.exp(mp.mpf(2**20 + 3))[()], mp.mpf(expected), rel_eps=1e-300)


def test_output_gradient_and_scales():
    """y = A x, several outputs, one of them as its terms, two without a cotangent."""
    generator = np.random.default_rng(0)
    a, x = generator.standard_normal((3, 4)), generator.standard_normal(4)
    g = generator.standard_normal(3)

    def definition(a, x):
        products = a * x
        return products.sum(-1), (list(products.T), products.sum()), None

    truth = evaluate(definition, (a, x), {}, (g, (2 * g, None), None), {"grad_0", "grad_1"})
    assert truth.keys() == {"output.0", "output.1.0", "grad_0", "grad_1"}
    for name in ("output.0", "output.1.0"):
        np.testing.assert_allclose(truth[name].value.astype(float), a @ x)
    np.testing.assert_allclose(truth["output.0"].scale.astype(float), abs(a @ x) + 2 * abs(a) @ abs(x))
    np.testing.assert_allclose(truth["output.1.0"].scale.astype(float), 3 * abs(a) @ abs(x))
    np.testing.assert_allclose(truth["grad_0"].value.astype(float), np.outer(3 * g, x))
    np.testing.assert_allclose(truth["grad_1"].value.astype(float), 3 * g @ a)
    np.testing.assert_allclose(truth["grad_1"].scale.astype(float), 3 * abs(g) @ abs(a))


def test_the_scale_is_that_of_the_terms():
    """x · 1 − x · 1 + y: nothing is left of the derivative, and what rounding may do is what the terms say."""
    x, g = np.array(3.0), np.array(2.0)
    truth = evaluate(lambda x: [x, -x, 5], (x,), {}, g, {"grad_0"})
    assert (truth["output"].value, truth["grad_0"].value) == (5, 0)
    assert (truth["output"].scale, truth["grad_0"].scale) == (3 + 3 + 5 + 2 * 3, 2 * 2)


def test_parts_tell_apart_what_cancels():
    """One input that reaches two entries: their derivatives, 1 and −1, are terms of their own."""

    def definition(x):
        pair = np.stack([x, -x])
        return [exact.detach(pair).sum(0), *exact.parts(lambda moved: moved.sum(0), pair, 0)]

    truth = evaluate(definition, (np.ones(2),), {}, np.ones(2), {"grad_0"})
    np.testing.assert_array_equal(truth["grad_0"].value, 0)
    np.testing.assert_array_equal(truth["grad_0"].scale, 2)


def test_integers_and_what_has_no_gradient_stay_constant():
    arguments = np.array([1.0, 2.0]), np.array([1, 0]), np.array([3.0, 4.0])
    truth = evaluate(lambda x, i, w: x[i] * w, arguments, {}, np.array([1.0, 1.0]), {"grad_0"})
    assert truth.keys() == {"output", "grad_0"}
    np.testing.assert_array_equal(truth["grad_0"].value, [4, 3])
