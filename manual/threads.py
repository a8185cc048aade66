"""Large arrays, worked on part by part, in threads.

NumPy runs an operation on one core, and sends every temporary through memory. Where elements (or rows) do not depend on one
another, a large array is cut into parts whose temporaries stay in a cache, and several threads share them: NumPy lets go of the
interpreter's lock while it computes.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import Any

import numpy as np

from manual.contract import Array, Backward, cotangent, times_slope

LARGE = 1 << 20  # elements of an array that is worth the threads; below, handing the lock to and fro costs what they gain
PART = 1 << 17  # elements of a part: in smaller ones, threads wait for the lock more often than they compute

_threads = 0  # 0 until somebody asks


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
    threads = min(get_num_threads(), count)
    if threads <= 1:
        for i in range(count):
            task(i)
        return
    left = deque(range(count))

    def work() -> None:
        while left:
            try:
                i = left.popleft()
            except IndexError:  # another thread took the last one
                return
            task(i)

    helping = [_helpers(threads - 1).submit(copy_context().run, work) for _ in range(threads - 1)]  # np.errstate is in the context
    try:
        work()
    finally:
        left.clear()
        for helper in helping:
            helper.result()


def row_parts(matrix: Array) -> list[slice]:
    """The rows of a large matrix in parts, those of a smaller one as one part."""
    rows = len(matrix)
    step = max(1, PART * rows // matrix.size) if matrix.size > LARGE else max(rows, 1)
    return [slice(start, start + step) for start in range(0, rows, step)]


def pointwise(op: str, curve: Callable[[Array, Array], Array], x: Array) -> tuple[Array, Backward]:
    """Apply y = f(x) to each element, and return y and its backward, grad_x = grad_y · f′(x).

    `curve(x, y)` writes f(x) into y and returns the slope f′(x), as numbers or booleans. Made together with y, out of the same
    temporaries, a slope is cheaper than made later, and it is all that has to be kept.
    """
    x = np.asarray(x)
    if x.size <= LARGE:
        output = np.empty_like(x)
        return output, times_slope(op, curve(x, output), x.dtype)
    output = np.empty(x.shape, x.dtype)
    elements, y = x.reshape(-1), output.reshape(-1)
    parts = [slice(start, start + PART) for start in range(0, x.size, PART)]
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

        in_threads(backward_part, len(parts))
        return (grad_x.reshape(x.shape),)

    return output, backward


def by_rows(op: str, function: Callable[[Array], tuple[Array, Backward]], x: Array) -> tuple[Array, Backward]:
    """Apply an operation along the last axis to a few rows at a time."""
    rows = x.reshape(-1, x.shape[-1])
    output = np.empty(rows.shape, x.dtype)
    parts = row_parts(rows)
    backwards: list[Any] = [None] * len(parts)

    def forward_part(i: int) -> None:
        output[parts[i]], backwards[i] = function(rows[parts[i]])

    in_threads(forward_part, len(parts))

    def backward(grad_output):
        grad_rows = cotangent(op, grad_output, x.shape, x.dtype).reshape(rows.shape)
        grad_x = np.empty(rows.shape, x.dtype)

        def backward_part(i):
            (grad_x[parts[i]],) = backwards[i](grad_rows[parts[i]])

        in_threads(backward_part, len(parts))
        return (grad_x.reshape(x.shape),)

    return output.reshape(x.shape), backward
