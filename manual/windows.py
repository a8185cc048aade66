"""The sliding windows of convolution, pooling and fold, over any number of axes: how many there are, and what they see."""

from collections.abc import Iterator, Sequence
from itertools import product

Sizes = tuple[int, ...]


def taps(kernel: Sizes, stride: Sizes, dilation: Sizes, counts: Sequence[int]) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
    """Each position in the kernel, and the cells of the (padded) input that all windows see there: along each axis a slice.

    There are `counts` windows along each axis; the first begins at 0.
    """
    for position in product(*map(range, kernel)):
        starts = [k * d for k, d in zip(position, dilation)]
        yield position, tuple([slice(i, i + s * (n - 1) + 1, s) for i, s, n in zip(starts, stride, counts)])
