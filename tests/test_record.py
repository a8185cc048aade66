"""The ratio r by which everything is judged."""

import numpy as np
import pytest

from reference import exact
from reference.record import Target


def test_ratios(dtype):
    """In floats they are what they are in long arithmetic, from the smallest subnormal to the largest number."""
    info, mp = np.finfo(dtype), exact.mp
    generator = np.random.default_rng(0)
    edges = np.array([info.smallest_subnormal, info.smallest_normal, 1, info.max])
    got = np.concatenate([edges, 10 ** generator.uniform(np.log10(info.smallest_subnormal), np.log10(info.max), 200)]).astype(dtype)
    true = [mp.mpf(float(x)) * (1 + mp.mpf(generator.standard_normal()) * 7 * float(info.eps)) for x in got]
    scale = [abs(x) * generator.uniform(1, 100) for x in true]
    target = Target(exact.Exact(np.array(true), np.array(scale)), dtype)
    u, smallest, largest = (mp.mpf(float(x)) for x in (info.eps / 2, info.smallest_normal, info.max))
    expected = [
        float(abs(float(x) - t) / (u * max(s, smallest))) if abs(t) <= largest else np.inf
        for x, t, s in zip(got, true, scale, strict=True)
    ]
    np.testing.assert_allclose(target.ratios(got), expected, rtol=1e-9, atol=1e-9)
    finite = [(float(x), t) for x, t in zip(got, true, strict=True) if abs(t) <= largest]
    error = max(abs(x - t) for x, t in finite) / max(abs(t) for _, t in finite)
    assert target.error(got) == pytest.approx(float(error), rel=1e-9)


def test_ratios_of_what_is_not_finite(dtype):
    """Infinity and NaN are expected where they are the truth, and infinity where the truth is beyond the largest number."""
    mp = exact.mp
    truth = np.array([mp.inf, -mp.inf, mp.nan, mp.mpf(10) ** 400, mp.one, mp.one])
    target = Target(exact.Exact(truth, abs(truth)), dtype)
    np.testing.assert_array_equal(target.ratios(np.array([np.inf, -np.inf, np.nan, np.inf, 1, 1], dtype)), 0)
    np.testing.assert_array_equal(target.ratios(np.array([-np.inf, 1, 1, 1, np.nan, np.inf], dtype)), np.inf)
    one, other = (np.array([np.inf, 0, np.nan, 0, 1, last], dtype) for last in (1, np.nan))
    assert target.near(one, one)
    assert not target.near(one, other)
