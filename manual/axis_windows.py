"""Windows along one axis, for what is pooled axis by axis: sliding ones, and those that adaptive pooling makes of two sizes."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from manual.contract import Array
from manual.threads import in_threads, parts_of_rows

Sizes = tuple[int, ...]
Pooling = Callable[[Array], tuple[tuple[Array, ...], Callable[[Array], Array]]]


class AxisWindows(NamedTuple):
    """The windows along one axis of an array, for what is pooled axis by axis.

    axis      the axis, counted from the end
    start     the first cell of each window, below 0 in the padding, as an array that broadcasts against what is pooled
    dilation  the distance from one cell of a window to its next
    size      how many cells each window has, as an array like `start`: those in the padding count
    taps      for each position in the window: the windows that have a cell there, and these cells, as indices of whole arrays
    add       add(array, cells, numbers) adds the numbers to these cells of an array of zeros
    """

    axis: int
    start: Array
    dilation: int
    size: Any
    taps: list[tuple[Any, Any]]
    add: Callable[[Array, Any, Array], None]

    def pooled(self, shape: Sizes) -> Sizes:
        """The shape of what is pooled along the axis."""
        return (*shape[: self.axis], self.start.shape[self.axis], *shape[len(shape) + self.axis + 1 :])


def sliding(axis: int, cells: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> AxisWindows:
    """So many windows that slide along an axis of so many cells, with padding on both sides."""
    behind = (slice(None),) * (-axis - 1)
    start = np.arange(count) * stride - padding
    taps = []
    for k in range(kernel):
        offset = k * dilation - padding
        first = max(-(offset // stride), 0)
        end = max(first, min(count, (cells - 1 - offset) // stride + 1))
        seen = slice(first * stride + offset, max(end * stride + offset - stride + 1, 0), stride)
        taps.append(((..., slice(first, end), *behind), (..., seen, *behind)))
    size = np.minimum(start + kernel * dilation, cells + padding) - start
    apart = stride > (kernel - 1) * dilation
    along = (count, *(1,) * len(behind))
    return AxisWindows(axis, start.reshape(along), dilation, size.reshape(along), taps, put if apart else add)


def add(array: Array, cells: Any, numbers: Array) -> None:
    """Add to cells of which each is there once."""
    array[cells] += numbers


def put(array: Array, cells: Any, numbers: Array) -> None:
    """Add to cells that hold 0 as yet."""
    array[cells] = numbers


def add_each(array: Array, cells: Any, numbers: Array) -> None:
    """Add to cells of which some are there several times."""
    np.add.at(array, cells, numbers)


def by_images(function: Pooling, x: Array, axes: int) -> tuple[tuple[Array, ...], Callable[[Array], Array]]:
    """Apply to x what treats every image, of so many axes, by itself; the images of a large x in parts, which threads share.

    `outputs, backward = function(images)`, and `backward(grad)` takes the gradient of the first output to the images.
    """
    images, sizes = math.prod(x.shape[:-axes]), x.shape[-axes:]
    parts = parts_of_rows(images, math.prod(sizes))
    if len(parts) <= 1:
        return function(x)
    flat = x.reshape(images, *sizes)
    found: list[Any] = [None] * len(parts)

    def forward_part(p):
        found[p] = function(flat[parts[p]])

    in_threads(forward_part, len(parts))
    joined = [np.concatenate(of_parts) for of_parts in zip(*[outputs for outputs, _ in found])]
    outputs = tuple([output.reshape(*x.shape[:-axes], *output.shape[1:]) for output in joined])

    def backward(grad):
        grad_images = grad.reshape(images, *grad.shape[-axes:])
        grad_x = np.empty(flat.shape, x.dtype)

        def backward_part(p):
            grad_x[parts[p]] = found[p][1](grad_images[parts[p]])

        in_threads(backward_part, len(parts))
        return grad_x.reshape(x.shape)

    return outputs, backward
