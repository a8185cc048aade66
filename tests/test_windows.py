"""Sliding windows: what all of them see at one position in the kernel, against windows that are looked at one by one."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from manual.windows import taps


@pytest.mark.parametrize("kernel", [(1,), (3,), (2, 3), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_taps(kernel, stride, dilation, count):
    """Every position in its order, and there a cell of each window. Along a second axis the windows lie otherwise."""
    strides, dilations, counts = ((one, other)[: len(kernel)] for one, other in ((stride, 2), (dilation, 3), (count, 3)))
    seen = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]  # the cells from a window's first to its last
    x = np.random.default_rng(0).standard_normal([size + s * (n - 1) for size, s, n in zip(seen, strides, counts, strict=True)])
    windows = sliding_window_view(x, seen)[tuple(slice(None, None, step) for step in strides + dilations)]
    found = list(taps(kernel, strides, dilations, counts))
    assert [position for position, _ in found] == list(np.ndindex(kernel))
    for position, cells in found:
        np.testing.assert_array_equal(x[cells], windows[(..., *position)], strict=True)
