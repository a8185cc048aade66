"""Losses of likelihood: examples worked out by hand, corners, and what is refused."""

import math
import re

import numpy as np
import pytest
from scipy.stats import norm

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward
from tests.losses.known import loss_and_slopes


def test_poisson_by_hand():
    """At a log-rate of 0 the loss is 1, and the gradient 1 − t."""
    output, grad_x, grad_target = loss_and_slopes(manual.poisson_nll_loss, np.zeros(3), np.array([0.0, 1.0, 3.0]), reduction="none")
    np.testing.assert_array_equal(output, [1, 1, 1])
    np.testing.assert_array_equal(grad_x, [1, 0, -2])
    np.testing.assert_array_equal(grad_target, [0, 0, 0])


def test_poisson_is_lowest_where_the_rate_is_the_count():
    counts = np.array([0.5, 1.0, 40.0])
    for x, constants in ((np.log(counts), {}), (counts, {"log_input": False, "eps": 0.0})):
        _, grad_x, _ = loss_and_slopes(manual.poisson_nll_loss, x, counts, reduction="none", **constants)
        np.testing.assert_allclose(grad_x, 0, atol=1e-14)


def test_stirlings_term_is_the_logarithm_of_the_factorial():
    counts = np.array([0.0, 1.0, 2.0, 20.0, 200.0])
    without, with_term = (manual.poisson_nll_loss(np.zeros(5), counts, full=full, reduction="none")[0] for full in (False, True))
    expected = [math.lgamma(count + 1) for count in counts]
    np.testing.assert_array_equal((with_term - without)[:2], expected[:2])
    np.testing.assert_allclose((with_term - without)[2:], expected[2:], rtol=0.07)
    np.testing.assert_allclose((with_term - without)[4:], expected[4:], rtol=1e-6)


def test_the_logarithm_of_a_rate_of_0_is_that_of_eps(dtype):
    output, grad_x, grad_target = loss_and_slopes(
        manual.poisson_nll_loss, np.zeros(2, dtype), np.array([0.0, 1.0], dtype), log_input=False, reduction="none"
    )
    tolerance = {"rtol": 2 * np.finfo(dtype).eps}
    np.testing.assert_allclose(output, [0, -math.log(1e-8)], **tolerance)
    np.testing.assert_allclose(grad_x, [1, 1 - 1e8], **tolerance)
    np.testing.assert_allclose(grad_target, [-math.log(1e-8)] * 2, **tolerance)


def test_gaussian_by_hand():
    """d = 2 and v = 4: ½ (log 4 + 1), whatever v would be, for which the loss is stationary at d² = v."""
    output, grad_x, grad_target, grad_var = loss_and_slopes(
        manual.gaussian_nll_loss, np.array([3.0]), np.array([1.0]), np.array([4.0])
    )
    np.testing.assert_allclose(output, math.log(2) + 0.5, rtol=1e-15)
    np.testing.assert_array_equal([grad_x, grad_target, grad_var], [[0.5], [-0.5], [0]])


def test_full_gaussian_is_minus_the_log_of_the_density():
    rng = np.random.default_rng(1)
    x, target, var = rng.standard_normal(5), rng.standard_normal(5), rng.uniform(0.5, 2, 5)
    output, _ = manual.gaussian_nll_loss(x, target, var, full=True, reduction="none")
    np.testing.assert_allclose(output, -norm.logpdf(target, x, np.sqrt(var)), rtol=1e-14)


def test_a_variance_may_be_a_number(dtype):
    rng = np.random.default_rng(2)
    x, target = rng.standard_normal((4, 3)).astype(dtype), rng.standard_normal((4, 3)).astype(dtype)
    got = loss_and_slopes(manual.gaussian_nll_loss, x, target, 0.7, reduction="none")
    expected = loss_and_slopes(manual.gaussian_nll_loss, x, target, np.full((4, 3), 0.7, dtype), reduction="none")
    for a, b in zip(got[:3], expected[:3], strict=True):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, b)
    assert got[3] is None


def test_a_variance_below_eps_counts_as_eps_and_still_has_a_gradient():
    output, _, _, grad_var = loss_and_slopes(
        manual.gaussian_nll_loss, np.ones(2), np.ones(2), np.array([0.0, 0.25]), eps=0.5, reduction="none"
    )
    np.testing.assert_allclose(output, [0.5 * math.log(0.5)] * 2, rtol=1e-15)
    np.testing.assert_array_equal(grad_var, [1, 1])  # ½ / v


def test_a_square_variance_without_the_last_axis_belongs_to_the_rows():
    x, target, var = np.zeros((2, 2)), np.ones((2, 2)), np.array([1.0, 4.0])
    _, grad_x, *_ = loss_and_slopes(manual.gaussian_nll_loss, x, target, var, reduction="none")
    np.testing.assert_array_equal(grad_x, [[-1, -1], [-0.25, -0.25]])


def test_divergence_by_hand():
    x, target = np.log([0.25, 0.75]), np.array([0.5, 0.5])
    output, grad_x, grad_target = loss_and_slopes(manual.kl_div, x, target, reduction="sum")
    np.testing.assert_allclose(output, 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75), rtol=1e-14)
    np.testing.assert_array_equal(grad_x, [-0.5, -0.5])
    np.testing.assert_allclose(grad_target, [1 + math.log(2), 1 + math.log(2 / 3)], rtol=1e-15)


def test_a_distribution_does_not_diverge_from_itself():
    log_p = manual.log_softmax(np.random.default_rng(3).standard_normal((4, 5)), dim=1)[0]
    for log_target in (False, True):
        target = log_p if log_target else np.exp(log_p)
        output, _ = manual.kl_div(log_p, target, log_target=log_target, reduction="batchmean")
        np.testing.assert_allclose(output, 0, atol=1e-15)


def test_batchmean_divides_by_the_samples_and_mean_by_the_elements():
    x, target = np.full((2, 4), -1.0), np.full((2, 4), 1.0)
    assert manual.kl_div(x, target, reduction="batchmean")[0] == 4
    assert manual.kl_div(x, target, reduction="mean")[0] == 1


def test_divergence_from_a_target_of_0_or_less(dtype):
    """At 0 the loss and the gradient of x are 0, that of the target is NaN as in torch; below, the loss is NaN too."""
    x, target = np.array([-1.0, -1.0, -1.0], dtype), np.array([0.0, -0.5, 1.0], dtype)
    output, grad_x, grad_target = loss_and_slopes(manual.kl_div, x, target, reduction="none")
    np.testing.assert_array_equal(output, [0, np.nan, 1])
    np.testing.assert_array_equal(grad_x, [0, 0.5, -1])
    np.testing.assert_array_equal(grad_target, [np.nan, np.nan, 2])


SHAPES = "expected shapes that broadcast together, got x (2, 3), target (2,)"
REDUCTION = "reduction must be 'none', 'mean' or 'sum', got 'all'"
VAR = "var must have the shape of x, (2, 3), with one axis of 1 or without the last, got"


@pytest.mark.parametrize(
    ("name", "shapes", "constants", "message"),
    [
        ("poisson_nll_loss", [(2, 3), (2,)], {}, SHAPES),
        ("poisson_nll_loss", [(3,), (3,)], {"reduction": "all"}, REDUCTION),
        ("gaussian_nll_loss", [(2, 3), (2,), (2, 3)], {}, f"{SHAPES}, var (2, 3)"),
        ("gaussian_nll_loss", [(2, 3), (2, 3), (3,)], {}, f"{VAR} (3,)"),
        ("gaussian_nll_loss", [(2, 3), (2, 3), ()], {}, f"{VAR} ()"),
        ("gaussian_nll_loss", [(2, 3), (2, 3), (1, 1)], {}, f"{VAR} (1, 1)"),
        ("gaussian_nll_loss", [(2, 3), (2, 3), (2, 2)], {}, f"{VAR} (2, 2)"),
        ("gaussian_nll_loss", [(3,), (3,), (3,)], {"reduction": "all"}, REDUCTION),
        ("kl_div", [(2, 3), (2,)], {}, SHAPES),
        ("kl_div", [(3,), (3,)], {"reduction": "all"}, "reduction must be 'none', 'mean', 'sum' or 'batchmean', got 'all'"),
    ],
)
def test_what_torch_refuses_is_refused(name, shapes, constants, message):
    arrays = tuple(np.ones(shape) for shape in shapes)
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, ValueError)):
        forward(OPERATIONS[name].torch, arrays, constants)


@pytest.mark.parametrize("var", [np.array([1.0, -1e-9]), -0.5])
def test_negative_variances_are_refused(var):
    with pytest.raises(ValueError, match="gaussian_nll_loss: var must not be negative, got -"):
        manual.gaussian_nll_loss(np.zeros(2), np.zeros(2), var)


def test_a_variance_that_is_a_whole_number_is_refused_as_in_torch():
    with pytest.raises(TypeError, match="gaussian_nll_loss: var must be a NumPy array, got int"):
        manual.gaussian_nll_loss(np.zeros(2), np.zeros(2), 1)
    with pytest.raises(TypeError):
        forward(OPERATIONS["gaussian_nll_loss"].torch, (np.zeros(2), np.zeros(2), 1), {})


def test_kl_div_to_the_ends_of_float32():
    """Where t = 0 the loss is 0, be x as large as a float can be; the logarithm of the smallest t is taken in full."""
    x, target = np.array([1e38, -3e38, 0.0], np.float32), np.array([0.0, 0.0, 1e-44], np.float32)
    output, _, grad_target = loss_and_slopes(manual.kl_div, x, target, reduction="none")
    np.testing.assert_array_equal(output[:2], 0)
    np.testing.assert_allclose(grad_target[2], 1 + math.log(float(target[2])), rtol=1e-6)
