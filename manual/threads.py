"""Large arrays, worked on part by part, in threads.

NumPy runs an operation on one core, and sends every temporary through memory. Where elements (or rows) do not depend on one
another, a large array is cut into parts whose temporaries stay in a cache, and several threads share them: NumPy lets go of the
interpreter's lock while it computes.
"""

import math
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import Any

import numpy as np

from manual.contract import Array, Backward, as_rows, cotangent, times_slope

LARGE = 1 << 20  # elements of an array that is worth the threads; below, handing the lock to and fro costs what they gain
# Elements of a part: in smaller ones, threads wait for the lock more often than they compute. Functions of rows hold it longer.
PART, PART_OF_ROWS = 1 << 17, 1 << 19
ALIGNED = 1024  # elements: parts of one axis begin at a multiple of it, as vector instructions like it
BUFFER = 512  # elements: where rows are shorter than its buffer, NumPy copies a column into it before it combines them

_threads = 0  # 0 until somebody sets it


def get_num_threads() -> int:
    """How many threads work on a large array: OMP_NUM_THREADS, as for torch and BLAS, or else one for each core."""
    return _threads or _default_threads()


def set_num_threads(threads: int) -> None:
    """Let so many threads work on a large array."""
    global _threads
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"set_num_threads: threads must be a positive integer, got {threads!r}")
    _threads = threads


@lru_cache(maxsize=1)
def _default_threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _helpers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "manual")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork


def in_threads(task: Callable[[int], None], count: int) -> None:
    """Call task(0) … task(count − 1), in any order; the calling thread does its share, so no number of callers can block."""
    threads = min(get_num_threads(), count) if count > 1 else 1
    if threads == 1:
        for i in range(count):
            task(i)
        return
    left = deque(range(count))

    def work() -> None:
        while True:
            try:
                i = left.popleft()
            except IndexError:  # nothing is left
                return
            task(i)

    with np.errstate():  # which also brings the buffer's size back
        np.setbufsize(BUFFER)
        helping = [_helpers(threads - 1).submit(copy_context().run, work) for _ in range(threads - 1)]
        try:
            work()
        finally:
            left.clear()
            for helper in helping:
                helper.result()


def row_parts(array: Array) -> list[slice]:
    """The rows of a large array, or the elements where it has one axis, in parts; those of a smaller one as one part.

    The parts are equal, or nearly so, and as many for each thread, so that all threads end at the same time.
    """
    rows = len(array)
    if array.size <= LARGE:
        return [slice(0, rows)] if rows else []
    threads = get_num_threads()
    count = math.ceil(array.size / (PART if array.ndim == 1 else PART_OF_ROWS) / threads) * threads
    step = math.ceil(rows / count)
    if array.ndim == 1:
        step = math.ceil(step / ALIGNED) * ALIGNED
    return [slice(start, start + step) for start in range(0, rows, step)]


def pointwise(op: str, curve: Callable[[Array, Array], Array], x: Array, divisor: float = 1.0) -> tuple[Array, Backward]:
    """Apply y = f(x) to each element, and return y and its backward, grad_x = grad_y · f′(x).

    `curve(x, y)` writes f(x) into y and returns the slope, f′(x) · divisor, as numbers or booleans. Made together with y, out of
    the same temporaries, a slope is cheaper than made later, and it is all that has to be kept; booleans are a quarter of it.
    """
    x = np.asarray(x)
    if x.size <= LARGE:
        output = np.empty_like(x)
        return output, times_slope(op, curve(x, output), x.dtype, divisor)
    output = np.empty(x.shape, x.dtype)
    elements, y = x.reshape(-1), output.reshape(-1)
    parts = row_parts(elements)
    slopes: list[Any] = [None] * len(parts)

    def forward_part(i: int) -> None:
        slopes[i] = curve(elements[parts[i]], y[parts[i]])

    in_threads(forward_part, len(parts))

    def backward(grad_output):
        grad_y = cotangent(op, grad_output, x.shape, x.dtype).reshape(-1)
        grad_x = np.empty(x.size, x.dtype)

        def backward_part(i):
            part = parts[i]
            np.multiply(grad_y[part], slopes[i].astype(x.dtype, copy=False), out=grad_x[part])
            if divisor != 1.0:
                grad_x[part] /= divisor

        in_threads(backward_part, len(parts))
        return (grad_x.reshape(x.shape),)

    return output, backward


def by_rows(
    op: str, function: Callable[[Array, Array], Callable[[Array, Array], None]], x: Array, dim: int
) -> tuple[Array, Backward]:
    """Apply a function of the rows of a matrix to the lines of x along `dim`.

    `function(rows, output)` fills an output of the same shape, and returns what carries a gradient back, `backward(grad_output,
    grad_rows)`, which fills the gradient of the rows.
    """
    rows, back = as_rows(x, dim)
    parts = row_parts(rows)
    output = np.empty(rows.shape, rows.dtype)
    backwards: list[Any] = [None] * len(parts)

    def forward_part(i: int) -> None:
        backwards[i] = function(rows[parts[i]], output[parts[i]])

    in_threads(forward_part, len(parts))

    def backward(grad_output):
        grad_output, _ = as_rows(cotangent(op, grad_output, x.shape, x.dtype), dim)
        grad_rows = np.empty(rows.shape, rows.dtype)
        in_threads(lambda i: backwards[i](grad_output[parts[i]], grad_rows[parts[i]]), len(parts))
        return (back(grad_rows),)

    return back(output), backward
