"""The sliding windows of convolution, pooling and fold, over any number of axes: how many there are, and what they see.

Written out side by side, what all windows see takes as many times the memory of the input as the kernel has cells. So the mechanism
writes out a block of them at a time: those of a few images, or a few rows of one image. Threads share the images.

NumPy is fast where what lies side by side in memory is long. The rows of small images are short, so many of them lie in memory as
(C, H, W, N), the images last. So do the outputs, and the next layer finds them in that order.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from manual.contract import Array
from manual.threads import LARGE, get_num_threads, in_threads

Sizes = tuple[int, ...]

BLOCK = 1 << 18  # elements that are written out at a time: so many stay in a cache
BLOCK_OF_SMALL = 1 << 20  # the same of small images, of which few calls for many elements are faster
MANY, FEW = 16, 4  # images at least that come last; how many times as many channels as theirs their outputs then have
WIDE = 1 << 9  # windows of a block at least: the product of a matrix with fewer columns is slow


def come_last(images: Array, channels: int, size: Sizes) -> bool:
    """Whether images (N, C, …), to be windowed at this size and mapped to so many channels, are to lie in memory as (C, …, N).

    It pays for many small ones, in all little enough to be one part to every mechanism. To bring them into that order takes as long
    as it gains, so they lie so already, or have few channels, as at the entrance of a network.
    """
    many = len(images) >= MANY and len(images) > size[-1]
    in_order = images.strides[0] == images.itemsize or FEW * images.shape[1] <= channels
    return many and in_order and len(images) * max(images.shape[1], channels) * math.prod(size) <= LARGE


def taps(kernel: Sizes, stride: Sizes, dilation: Sizes, counts: Sequence[int]) -> Iterator[tuple[Any, Any]]:
    """Each position in the kernel, and the cells of the (padded) input that all windows see there: along each axis a slice.

    There are `counts` windows along each axis; the first begins at 0.
    """
    for position in product(*map(range, kernel)):
        starts = [k * d for k, d in zip(position, dilation)]
        yield position, tuple([slice(i, i + s * (n - 1) + 1, s) for i, s, n in zip(starts, stride, counts)])


class Block(NamedTuple):
    """Some images, and of each the windows in some rows (along the first axis)."""

    images: slice
    rows: slice


@dataclass(frozen=True)
class Windows:
    """Windows over images (N, C, *size): along each axis `counts`, of which the first begins `before` cells ahead of the image.

    What lies outside of the image is 0. Images come last in memory if `images_last`.
    """

    size: Sizes
    kernel: Sizes
    stride: Sizes
    dilation: Sizes
    before: Sizes
    counts: Sizes
    images_last: bool = False

    def turned(self) -> "Windows":
        """Where the stride is 1: the windows over these windows, each of which holds those that see one cell of the image."""
        before = tuple([d * (k - 1) - b for k, d, b in zip(self.kernel, self.dilation, self.before)])
        return replace(self, size=self.counts, before=before, counts=self.size)

    def zeros(self, images: int, channels: int, sizes: Sizes, dtype: Any) -> Array:
        """Images (N, C, *sizes) of zeros, in the order that they are to have in memory."""
        if self.images_last:
            return np.moveaxis(np.zeros((channels, *sizes, images), dtype), -1, 0)
        return np.zeros((images, channels, *sizes), dtype)

    def gather(self, images: Array, block: Block, shifts: int = 0) -> Iterator[Array]:
        """What the windows of a block see: (channels, *kernel, …), with the axes of the images and of the windows last.

        Along the first axes of the kernel, so many as `shifts`, it is not written out. Each position there has an array of its own,
        (channels, *kernel[shifts:], …), and all of these share their memory: each begins some rows further on than the one before.
        """
        size, here, there = self._seen(block.rows)
        seen = self._join(images[block.images][(..., *there)])
        if self.images_last or not _is_all(here, size):  # else they are read where they are
            padded = np.zeros((len(seen), *self._shape(block, size)), images.dtype)
            padded[self._at(here)] = seen
            seen = padded
        counts, kernel = self._counts(block.rows), self.kernel[shifts:]
        columns = np.empty((len(seen), *kernel, *self._shape(block, size[:shifts] + counts[shifts:])), images.dtype)
        whole = (slice(None),) * shifts
        for position, cells in taps(kernel, self.stride[shifts:], self.dilation[shifts:], counts[shifts:]):
            columns[:, *position] = seen[self._at(whole + cells)]
        before = (slice(None),) * (columns.ndim - len(counts) - self.images_last)
        for _, cells in taps(self.kernel[:shifts], self.stride[:shifts], self.dilation[:shifts], counts[:shifts]):
            yield columns[before + cells]

    def scatter_add(self, columns: Array, images: Array, block: Block) -> None:
        """The transpose of `gather`: add each number of all columns to the cell from which `gather` would have taken it."""
        size, here, there = self._seen(block.rows)
        part = self._join(images[block.images][(..., *there)])
        counts = self._counts(block.rows)
        columns = columns.reshape(len(part), *self.kernel, *self._shape(block, counts))
        in_place = not self.images_last and _is_all(here, size)
        seen = part if in_place else np.zeros((len(part), *self._shape(block, size)), images.dtype)
        for position, cells in taps(self.kernel, self.stride, self.dilation, counts):
            seen[self._at(cells)] += columns[:, *position]
        if not in_place:
            part += seen[self._at(here)]

    def of_block(self, outputs: Array, block: Block) -> Array:
        """Of an array (N, C, *counts) of a number for each window and channel, those of a block, with the channels first."""
        return self._join(outputs[block.images, :, block.rows])

    def by_blocks(self, function: Callable[[Block], Array | None], images: int, height: int) -> list[Array]:
        """Call a function on every block; what it returns is added up, one sum for each thread.

        The `height` is how many numbers of each window are written out.
        """
        rows, *others = self.counts
        per_row = math.prod(others)
        row = height * per_row
        threads = min(get_num_threads(), images) if images * rows * row > LARGE else 1
        shares = [slice(images * i // threads, images * (i + 1) // threads) for i in range(threads)] if images else []
        if self.images_last:
            step_images = min(max(BLOCK_OF_SMALL // row, MANY), math.ceil(images / threads))
            step_rows = math.ceil(rows / math.ceil(rows * row * step_images / BLOCK_OF_SMALL))
        elif rows * row > BLOCK:
            step_images, step_rows = 1, max(1, BLOCK // row, math.ceil(WIDE / per_row))
        else:
            step_images, step_rows = BLOCK // (rows * row), rows
        sums: list[Array | None] = [None] * len(shares)

        def work(i):
            for start in range(shares[i].start, shares[i].stop, step_images):
                for first in range(0, rows, step_rows):
                    of_images = slice(start, min(start + step_images, shares[i].stop))
                    part = function(Block(of_images, slice(first, min(first + step_rows, rows))))
                    if part is not None:
                        sums[i] = part if sums[i] is None else np.add(sums[i], part, out=sums[i])

        in_threads(work, len(shares))
        return [each for each in sums if each is not None]

    def _join(self, array: Array) -> Array:
        """An array (images, channels, …) with the axis of the images second or last."""
        return np.moveaxis(array, 0, -1 if self.images_last else 1)

    def _shape(self, block: Block, sizes: Sizes) -> Sizes:
        """The same of the sizes of an image."""
        count = block.images.stop - block.images.start
        return (*sizes, count) if self.images_last else (count, *sizes)

    def _at(self, cells: Any) -> Any:
        """The index of these cells in all channels and images."""
        return (slice(None), *cells) if self.images_last else (..., *cells)

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
