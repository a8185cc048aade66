"""The elementwise mechanism: limits and what lies beyond, several arrays, slopes of every kind, reductions, parts."""

import math

import numpy as np
import pytest
import torch

import manual
from manual.elementwise import elementwise
from manual.threads import LARGE
from reference import oracle
from reference.accuracy import call, constants_of
from reference.cases import OPERATIONS

POINTWISE = [(operation, constants) for operation in OPERATIONS.values() for constants in constants_of(operation)]


def integers(*shape, seed=0, dtype=float):
    """Whole numbers, of which every order of summing gives the same."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


def square(x, out=None):
    assert x.ndim > 0  # a curve may write into its arrays by places
    return np.multiply(x, x, out=out), 2 * x


# -- Limits


LOW, HIGH = -2.0, 3.0


def limited(x, low=LOW, high=HIGH):
    """The square within its limits, and minus 7 times x beyond; with what each of both curves saw."""
    seen, seen_far = [], []

    def curve(x, out=None):
        seen.append(x.copy())
        return square(x, out)

    def far(x):
        seen_far.append(x.copy())
        return -7 * x, np.full_like(x, -7)

    return elementwise("square", curve, x, within=(low, high), beyond=far), seen, seen_far


def around_the_limits(dtype):
    """Numbers within the limits, those at both and next to them, and others beyond; NaN among them."""
    low, high, inf = (np.array(number, dtype) for number in (LOW, HIGH, np.inf))
    within = [low, np.nextafter(low, inf), 0, np.nextafter(high, -inf), high]
    beyond = [-inf, -1e4, np.nextafter(low, -inf), np.nextafter(high, inf), 1e4, inf]
    return np.array([np.nan, *within], dtype), np.array(beyond, dtype)


@pytest.mark.usefixtures("parts")
def test_elements_beyond_the_limits_take_the_other_curve(dtype):
    within, beyond = around_the_limits(dtype)
    x = np.random.default_rng(0).permutation(np.concatenate([within, beyond]))
    far = np.isin(x, beyond)
    (output, backward), seen, seen_far = limited(x)
    grad_output = integers(x.size, seed=1, dtype=dtype) + np.array(0.5, dtype)
    (grad,) = backward(grad_output)
    np.testing.assert_array_equal(output, np.where(far, -7 * x, x * x), strict=True)
    np.testing.assert_array_equal(grad, grad_output * np.where(far, np.array(-7, dtype), 2 * x), strict=True)
    # Nothing else is given to either: clipped numbers and NaN to the one, to the other a longer format of the far ones alone.
    longer = np.float64 if dtype == "float32" else np.longdouble
    for parts_seen, expected in ((seen, x.clip(LOW, HIGH)), (seen_far, x[far].astype(longer))):
        np.testing.assert_array_equal(np.sort(np.concatenate(parts_seen)), np.sort(expected), strict=True)


def test_without_anything_beyond_the_other_curve_is_not_called(dtype):
    within, _ = around_the_limits(dtype)
    for x in (within[1:], within[:0], within[1]):
        (output, _), (seen,), seen_far = limited(x)
        np.testing.assert_array_equal(output, x * x)
        np.testing.assert_array_equal(seen, x.reshape(seen.shape))
        assert seen_far == []


@pytest.mark.parametrize(("low", "high", "far"), [(-math.inf, HIGH, [4.0]), (LOW, math.inf, [-3.0])])
def test_a_limit_may_be_infinite(low, high, far):
    x = np.array([-3.0, 0.0, 4.0])
    (output, _), _, (seen_far,) = limited(x, low, high)
    np.testing.assert_array_equal(output, [-7 * each if each in far else each * each for each in x])
    np.testing.assert_array_equal(seen_far, far)


def test_nan_beside_what_is_far(dtype):
    """NaN takes the curve, whose slope at NaN is NaN here; a NaN between far elements hides none of them."""
    x = np.array([9.0, np.nan, -9.0], dtype)
    (output, backward), _, _ = limited(x)
    np.testing.assert_array_equal(output, [-63, np.nan, 63])
    np.testing.assert_array_equal(backward(np.array([1, 2, 3], dtype))[0], [-7, np.nan, -21])


def test_the_input_stays_as_it_was():
    x = np.array([-1e4, 1.0, 1e4])
    before = x.copy()
    limited(x)
    np.testing.assert_array_equal(x, before)


# -- Several arrays, and slopes of every kind


def weighted(x, weight, shift):
    """Y = w x + 3 s² (s = 0 where it is missing), with an array, a function, and a function or nothing as slopes."""
    assert x.ndim > 0
    if shift is None:
        return weight * x, weight, lambda: x, None
    return weight * x + 3 * shift * shift, weight, lambda: x, lambda: 6 * shift


SHAPES = [
    ((2, 3), (2, 3), (2, 3)),
    ((2, 3), (3,), ()),
    ((3,), (2, 1), None),
    ((2, 1), (1, 3), (4, 1, 1)),
    ((), (2, 2), (1,)),
    ((), (), ()),
    ((), (), None),
    ((1,), (1, 1), None),
    ((0, 3), (3,), (1, 1)),
    ((4, 0), (), None),
    ((1, 3), (0, 1), (3,)),
]


def expected_gradients(arrays, grad_y):
    """By the textbook: each product summed over the axes along which its array was repeated."""
    x, weight, shift = arrays
    slopes = weight, x, None if shift is None else 6 * shift
    for array, slope in zip(arrays, slopes, strict=True):
        if array is None:
            yield None
            continue
        product = np.broadcast_to(grad_y * slope, grad_y.shape)
        repeated = np.broadcast_to(np.arange(array.size).reshape(array.shape), grad_y.shape)
        yield np.array([product[repeated == i].sum() for i in range(array.size)]).reshape(array.shape)


def assert_gradients(got, expected):
    assert len(got) == len(expected)
    for grad, want in zip(got, expected, strict=True):
        if want is None:
            assert grad is None
        else:
            np.testing.assert_array_equal(grad, want, strict=True)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(("reduction", "total"), [("none", None), ("sum", None), ("mean", None), ("mean", 8)])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_several_arrays(shapes, reduction, total):
    """Broadcast to one another, `None` among them, reduced or not. All numbers are whole: nothing but the mean is rounded."""
    arrays = [None if shape is None else integers(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    x, weight, shift = arrays
    y = np.asarray(weight * x + (0 if shift is None else 3 * shift * shift))
    divisor = (total or y.size or math.nan) if reduction == "mean" else 1
    expected = y if reduction == "none" else np.asarray(y.sum() / divisor)
    output, backward = elementwise("weighted", weighted, *arrays, reduction=reduction, total=total)
    np.testing.assert_array_equal(output, expected)
    assert output.shape == expected.shape
    grad_y = np.broadcast_to(integers(*expected.shape, seed=9), y.shape)
    grad_output = np.asarray(integers(*expected.shape, seed=9) * divisor)
    gradients = list(expected_gradients(arrays, grad_y))
    assert_gradients(backward(grad_output), gradients)
    for needs in ((True, False, False), (False, True, False), (False, False, True), (False, False, False)):
        again = backward(grad_output, needs)
        assert [grad is not None for grad in again] == [need and want is not None for need, want in zip(needs, gradients)]


@pytest.mark.parametrize(
    ("slope", "expected"),
    [
        (np.array([True, False, True, True]), [1, 0, 1, 1]),
        (np.array([1, 2, 3, 4], np.int8), [1, 2, 3, 4]),
        (lambda: np.array([1, 2, 3, 4], np.int8), [1, 2, 3, 4]),
        (lambda: np.array([True, False, True, True]), [1, 0, 1, 1]),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_kinds_of_slopes(slope, expected, others, reduction, dtype):
    """Of an array alone, or beside another that has no slope. Booleans and small integers do not change the dtype."""
    x, grad_output = integers(2, 4, dtype=dtype)
    if reduction == "sum":
        grad_output = grad_output[0]

    def curve(x, *others):
        return x, slope, *[None for _ in others]

    _, backward = elementwise("op", curve, x, *[x] * others, reduction=reduction)
    grad, *of_others = backward(grad_output)
    np.testing.assert_array_equal(grad, np.broadcast_to(grad_output * np.array(expected), x.shape))
    assert (grad.shape, grad.dtype) == (x.shape, dtype)
    assert of_others == [None] * others


@pytest.mark.parametrize("size", [5, LARGE + 1])
def test_a_slope_that_is_a_function_is_made_when_it_is_asked_for(size):
    calls = []

    def curve(x, y):
        return x * y, lambda: (calls.append("x"), y)[1], lambda: (calls.append("y"), x)[1]

    x, y, grad_output = integers(3, size)
    _, backward = elementwise("product", curve, x, y)
    assert calls == []
    grads = backward(grad_output, (False, True))
    assert set(calls) == {"y"}
    assert_gradients(grads, (None, grad_output * x))


# -- One array


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3), (2, 3)])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.usefixtures("parts")
def test_one_array(shape, reduction, dtype):
    x = integers(*shape, dtype=dtype)
    output, backward = elementwise("square", square, x, reduction=reduction)
    divisor = (x.size or math.nan) if reduction == "mean" else 1
    expected = x * x if reduction == "none" else np.sum(x * x) / divisor
    np.testing.assert_array_equal(output, np.asarray(expected, dtype))
    assert isinstance(output, (np.ndarray, np.floating))
    assert output.dtype == dtype
    grad_output = integers(*output.shape, seed=1, dtype=dtype)
    (grad,) = backward(grad_output)
    np.testing.assert_allclose(grad, np.asarray(2 * x * (grad_output / divisor), dtype), rtol=4 * np.finfo(dtype).eps, strict=True)
    assert backward(grad_output, (False,)) == (None,)


def test_an_unknown_reduction_is_refused():
    for arrays in ([np.zeros(3)], [np.zeros(3), np.zeros(3)]):
        with pytest.raises(ValueError, match="op: reduction must be 'none', 'mean' or 'sum', got 'all'"):
            elementwise("op", lambda x, *_: (x, 1.0), *arrays, reduction="all")


@pytest.mark.parametrize("size", [1, 5, LARGE + 1])
@pytest.mark.parametrize("count", [1, 2])
def test_needs_has_an_entry_for_each_array(count, size):
    x = np.zeros(size, np.float32)
    _, backward = elementwise("op", lambda *arrays, out=None: (arrays[0], *[1.0] * count), *[x] * count)
    for needs in ((), (True,) * (count + 1), (False,) * (count - 1)):
        with pytest.raises(ValueError, match=f"op: needs must have one entry for each of {count} arguments, got "):
            backward(x, needs)
    assert backward(x, (False,) * count) == (None,) * count


@pytest.mark.parametrize("size", [5, LARGE + 1])
def test_a_cotangent_that_does_not_fit(size):
    x = np.zeros((size, 2), np.float32)
    _, backward = manual.tanh(x)
    with pytest.raises(ValueError, match=rf"tanh: grad_output must have the shape of the output, \({size}, 2\), got \(2,\)"):
        backward(np.ones(2, np.float32))


# -- Large arrays


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_several_large_arrays(threads, reduction):
    """Broadcast and reduced: whole numbers, whose sums do not depend on how they are shared."""
    arrays = integers(LARGE // 4 + 3, 4), integers(4, seed=1), None
    output, backward = elementwise("weighted", weighted, *arrays, reduction=reduction)
    y = arrays[0] * arrays[1]
    divisor = y.size if reduction == "mean" else 1
    np.testing.assert_array_equal(output, y if reduction == "none" else y.sum() / divisor)
    grad_output = np.asarray(integers(*output.shape, seed=2) * divisor)  # the quotient is whole too
    grad_y = np.broadcast_to(grad_output / divisor, y.shape)
    assert_gradients(backward(grad_output), [grad_y * arrays[1], (grad_y * arrays[0]).sum(axis=0), None])


def test_an_error_in_a_part_comes_out(threads):
    def fail(x, out=None):
        raise FloatingPointError("in a part")

    with pytest.raises(FloatingPointError, match="in a part"):
        elementwise("fail", fail, np.zeros(LARGE + 1))


# -- Every operation on numbers


def forward_backward(function, x, grad_output):
    output, backward = function(x)
    return output, *backward(grad_output)


@pytest.mark.parametrize(("pointwise", "constants"), POINTWISE, ids=[call(*each) for each in POINTWISE])
def test_nan_stays_where_it_is(pointwise, constants, dtype):
    """Where the input is NaN so is the output, and the gradient where torch's is. All other elements, far ones too, are as ever."""
    x = np.array([-1000.0, -1.0, 0.0, 1.0, 1000.0], dtype)
    g = integers(6, seed=1, dtype=dtype)
    with_nan, g_without = np.insert(x, 2, np.nan), np.delete(g, 2)
    with np.errstate(over="ignore", invalid="ignore"):  # celu with α < 0 grows without bounds; 0 · ∞ where a slope is infinite
        got, expected = (
            forward_backward(lambda x: pointwise.manual(x, **dict(constants)), *each) for each in ((with_nan, g), (x, g_without))
        )
    for have, want in zip(got, expected, strict=True):
        np.testing.assert_array_equal(np.delete(have, 2), want)
    output, grad = got
    tensor = torch.tensor(with_nan, requires_grad=True)
    pointwise.torch(tensor, **dict(constants)).backward(torch.tensor(g))
    assert np.isnan(output[2])
    assert np.isnan(grad[2]) or not tensor.grad[2].isnan()


# -- Cotangents that are not finite


MASKED = [
    ("relu", {}),
    ("relu6", {}),
    ("threshold", {"threshold": 0.25, "value": 1.0}),
    ("hardtanh", {}),
    ("hardshrink", {}),
    ("hardshrink", {"lambd": np.inf}),
    ("softshrink", {}),
]


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize(("name", "constants"), MASKED)
@pytest.mark.parametrize("infinite", [np.inf, -np.inf, np.nan])
def test_a_mask_stops_what_is_not_finite(name, constants, infinite, dtype):
    """Where the slope is 0, so is the gradient, whatever comes back; elsewhere that comes through. As in torch."""
    x = np.array([-np.inf, -9.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 3.0, 6.0, 9.0, np.inf], dtype)
    g = np.full_like(x, infinite)
    theirs = oracle.Call(OPERATIONS[name].torch, (x,), constants, {"grad_0"}).results(g)
    output, backward = getattr(manual, name)(x, **constants)
    np.testing.assert_array_equal(output, theirs["output"], strict=True)
    np.testing.assert_array_equal(backward(g)[0], theirs["grad_0"], strict=True)
    (of_zero_axes,) = getattr(manual, name)(x[1], **constants)[1](g[1])
    np.testing.assert_array_equal(of_zero_axes, theirs["grad_0"][1], strict=True)
