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

from manual.contract import Array, Backward, cotangent

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


def by_parts(op: str, function: Callable[[Array], tuple[Array, Backward]], x: Array, width: int = 1) -> tuple[Array, Backward]:
    """Apply an operation of one array to its parts, each of whole rows of `width` elements that belong together."""
    rows = x.reshape(-1, width) if width > 1 else x.reshape(-1)
    output = np.empty(rows.shape, x.dtype)
    step = max(1, PART // width)
    parts = [slice(start, start + step) for start in range(0, len(rows), step)]
    backwards: list[Any] = [None] * len(parts)

    def forward_part(i: int) -> None:
        output[parts[i]], backwards[i] = function(rows[parts[i]])

    in_threads(forward_part, len(parts))

    def backward(grad_output):
        grad_output = cotangent(op, grad_output, x.shape, x.dtype).reshape(rows.shape)
        grad_x = np.empty(rows.shape, x.dtype)

        def backward_part(i):
            (grad_x[parts[i]],) = backwards[i](grad_output[parts[i]])

        in_threads(backward_part, len(parts))
        return (grad_x.reshape(x.shape),)

    return output.reshape(x.shape), backward
