"""Values and slopes of an activation, held against what is known of them."""

import numpy as np

import manual


def value_and_slope(activation, x, **constants):
    """The output, and the gradient divided by its cotangent: random powers of two, which round nothing."""
    output, backward = activation(x, **constants)
    generator = np.random.default_rng(0)
    grad_output = (generator.choice([-1, 1], x.shape) * 2.0 ** generator.integers(-3, 4, x.shape)).astype(x.dtype)
    return output, backward(grad_output)[0] / grad_output


def assert_known(name, constants, x, values, slopes, dtype=float, rtol=0.0):
    """At the numbers x the activation takes these values and has these slopes, to a relative error of `rtol`."""
    got = value_and_slope(getattr(manual, name), np.array(x, dtype), **constants)
    for have, want in zip(got, (values, slopes), strict=True):
        np.testing.assert_allclose(have, np.array(want, dtype), rtol=rtol, atol=0)
        assert have.dtype == dtype


def assert_limits(name, constants, values, slopes, dtype):
    """At ∞ and −∞ as given; the largest and the lowest number have finite values and the same slopes. Nothing overflows."""
    assert_known(name, constants, [np.inf, -np.inf], values, slopes, dtype)
    largest = np.finfo(dtype).max
    output, slope = value_and_slope(getattr(manual, name), np.array([largest, -largest]), **constants)
    assert np.isfinite(output).all()
    np.testing.assert_array_equal(slope, np.array(slopes, dtype))
