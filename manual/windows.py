"""The sliding windows of convolution, pooling and fold, over any number of axes: how many there are, and what they see.

Written out side by side, what all windows see takes as many times the memory of the input as the kernel has cells. So the mechanism
writes out a block of them at a time: those of a few images, or of one image a few rows. Threads share the images.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from manual.contract import Array
from manual.threads import LARGE, get_num_threads, in_threads

Sizes = tuple[int, ...]

BLOCK = 1 << 18  # elements that are written out at a time: so many stay in a cache
WIDE = 1 << 9  # windows of a block at least: the product of a matrix with fewer columns is slow


def taps(kernel: Sizes, stride: Sizes, dilation: Sizes, counts: Sequence[int]) -> Iterator[tuple[Any, Any]]:
    """Each position in the kernel, and the cells of the (padded) input that all windows see there: along each axis a slice.

    There are `counts` windows along each axis; the first begins at 0.
    """
    for position in product(*map(range, kernel)):
        starts = [k * d for k, d in zip(position, dilation)]
        yield position, tuple([slice(i, i + s * (n - 1) + 1, s) for i, s, n in zip(starts, stride, counts)])


class Block(NamedTuple):
    """Some images, and of each the windows in some rows (along the first axis), with one axis for the images.

    Where the axis of the images `stands` last, what lies side by side in memory is long even if the images are small.
    """

    images: slice
    rows: slice
    stands: int

    def join(self, array: Array) -> Array:
        """An array (images, channels, …) with the axis of the images where it stands."""
        return np.moveaxis(array, 0, self.stands)

    def shape(self, sizes: Sizes) -> Sizes:
        """The same of the sizes of an image."""
        count = self.images.stop - self.images.start
        return (count, *sizes) if self.stands == 1 else (*sizes, count)

    def at(self, cells: Any) -> Any:
        """The index of these cells in all channels and images."""
        return (..., *cells) if self.stands == 1 else (slice(None), *cells)


@dataclass(frozen=True)
class Windows:
    """Windows over images (N, C, *size): along each axis `counts`, of which the first begins `before` cells ahead of the image.

    What lies outside of the image is 0.
    """

    size: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    before: Sizes
    counts: Sizes

    def gather(self, images: Array, block: Block) -> Array:
        """What the windows of a block see: (channels, *kernel, …), with the axes of the images and of the windows last."""
        size, here, there = self._seen(block.rows)
        seen = block.join(images[block.images][(..., *there)])
        if block.stands != 1 or not _is_all(here, size):  # else they are read where they are
            padded = np.zeros((len(seen), *block.shape(size)), images.dtype)
            padded[block.at(here)] = seen
            seen = padded
        counts = self._counts(block.rows)
        columns = np.empty((len(seen), *self.kernel, *block.shape(counts)), images.dtype)
        for position, cells in taps(self.kernel, self.stride, self.dilation, counts):
            columns[:, *position] = seen[block.at(cells)]
        return columns

    def scatter_add(self, columns: Array, images: Array, block: Block) -> None:
        """The transpose of `gather`: add each number of the columns to the cell from which `gather` would have taken it."""
        size, here, there = self._seen(block.rows)
        part = block.join(images[block.images][(..., *there)])
        counts = self._counts(block.rows)
        columns = columns.reshape(len(part), *self.kernel, *block.shape(counts))
        in_place = block.stands == 1 and _is_all(here, size)
        seen = part if in_place else np.zeros((len(part), *block.shape(size)), images.dtype)
        for position, cells in taps(self.kernel, self.stride, self.dilation, counts):
            seen[block.at(cells)] += columns[:, *position]
        if not in_place:
            part += seen[block.at(here)]

    def of_block(self, outputs: Array, block: Block) -> Array:
        """Of an array (N, C, *counts) of a number for each window and channel, those of a block, with the channels first."""
        return block.join(outputs[block.images, :, block.rows])

    def by_blocks(self, function: Callable[[Block], Array | None], images: int, channels: int) -> list[Array]:
        """Call a function on every block; what it returns is added up, one sum for each thread."""
        rows, *others = self.counts
        per_row, cells = math.prod(others), math.prod(self.kernel)
        row = channels * cells * per_row
        threads = min(get_num_threads(), images) if images * rows * row > LARGE else 1
        shares = [slice(images * i // threads, images * (i + 1) // threads) for i in range(threads)] if images else []
        if rows * row > BLOCK:
            step_images, step_rows = 1, max(1, BLOCK // row, math.ceil(WIDE / per_row))
        else:
            step_images, step_rows = BLOCK // (rows * row), rows
        sums: list[Array | None] = [None] * len(shares)

        def work(i):
            for start in range(shares[i].start, shares[i].stop, step_images):
                for first in range(0, rows, step_rows):
                    of_images = slice(start, min(start + step_images, shares[i].stop))
                    stands = -1 if cells > 1 and of_images.stop - start > self.counts[-1] else 1
                    part = function(Block(of_images, slice(first, min(first + step_rows, rows)), stands))
                    if part is not None:
                        sums[i] = part if sums[i] is None else np.add(sums[i], part, out=sums[i])

        in_threads(work, len(shares))
        return [each for each in sums if each is not None]

    def _counts(self, rows: slice) -> Sizes:
        return (rows.stop - rows.start, *self.counts[1:])

    def _seen(self, rows: slice) -> tuple[Sizes, Any, Any]:
        """The size of what the windows in these rows see, which part of it is in the image, and where in the image that is."""
        size, here, there = [], [], []
        axes = zip(self.size, self.kernel, self.stride, self.dilation, self.before, self._counts(rows))
        for axis, (cells, k, s, d, before, count) in enumerate(axes):
            first = (rows.start * s if axis == 0 else 0) - before
            length = (count - 1) * s + (k - 1) * d + 1
            start = min(max(first, 0), cells)
            stop = max(start, min(first + length, cells))
            size.append(length)
            here.append(slice(start - first, stop - first))
            there.append(slice(start, stop))
        return tuple(size), tuple(here), tuple(there)


def _is_all(cells: tuple[slice, ...], sizes: Sizes) -> bool:
    return all(part == slice(0, size) for part, size in zip(cells, sizes))
