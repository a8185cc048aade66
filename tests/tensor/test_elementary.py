"""Large arrays, which threads share, and outputs that the backward reads."""

import numpy as np
import pytest

from manual import tensor

FUNCTIONS = ["abs", "cos", "erf", "exp", "log", "log1p", "rsqrt", "sin", "sqrt"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parts_of_a_large_array(name, small_parts, threads):
    rng = np.random.default_rng(0)
    x, g = rng.uniform(0.1, 4, (4, 5)), rng.standard_normal((4, 5))
    output, backward = getattr(tensor, name)(x)
    for k in range(4):
        row, row_backward = getattr(tensor, name)(x[k, :3])  # three elements are one part
        np.testing.assert_array_equal(output[k, :3], row)
        np.testing.assert_array_equal(backward(g)[0][k, :3], row_backward(g[k, :3])[0])


@pytest.mark.parametrize("shape", [(), (3,), (4, 5)])
def test_an_exponential_that_its_backward_reads_cannot_be_changed(shape, parts):
    output, _ = tensor.exp(np.zeros(shape))
    while isinstance(output, np.ndarray):
        assert not output.flags.writeable
        output = output.base
