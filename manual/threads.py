"""Threads that share the parts of a large array.

NumPy lets go of the interpreter's lock while it computes, so that threads can work on parts of one array at the same time. The
mechanisms alone use them; how many there are is for the user to say.
"""

import ctypes
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import cache, lru_cache
from importlib import import_module

import numpy as np

__all__ = ["get_num_threads", "set_num_threads"]

LARGE = 1 << 20  # elements of an array that is worth the threads; below, handing the lock to and fro costs what they gain
# Elements of a part: in smaller ones, threads wait for the lock more often than they compute. Functions of rows hold it longer.
PART, PART_OF_ROWS = 1 << 17, 1 << 19
FEWEST = 8  # samples of a part of a batch: products of matrices with fewer rows are slow
ALIGNED = 1024  # elements: parts begin at a multiple of it, as vector instructions like it
BUFFER = 512  # elements: where rows are shorter than its buffer, NumPy copies a column into it before it combines them

_threads = 0  # 0 until somebody sets it

_setting_blas = threading.Lock()
_without_blas_threads = 0  # how many callers want BLAS without threads of its own
_blas_threads = 1  # how many it has otherwise


def get_num_threads() -> int:
    """How many threads work on a large array: OMP_NUM_THREADS, as for torch and BLAS, or else one for each core."""
    return _threads or _default_threads()


def set_num_threads(threads: int) -> None:
    """Let so many threads work on a large array."""
    global _threads
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"set_num_threads: threads must be a positive integer, got {threads!r}")
    _threads = threads


@cache
def _default_threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _helpers(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "manual")


def _start_anew() -> None:
    """In the child of a fork, which the threads of its parent do not survive."""
    global _setting_blas, _without_blas_threads
    _helpers.cache_clear()
    setting = _blas_setting()
    if _without_blas_threads and setting is not None:
        setting[1](_blas_threads)
    _setting_blas, _without_blas_threads = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


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

    with blas_in_one_thread(), np.errstate():  # at its end NumPy's settings are again what they were, the size of its buffer too
        np.setbufsize(BUFFER)
        helping: list[Future[None]] = []
        with suppress(RuntimeError):  # no thread is to be had, as while the interpreter exits: the caller does it all
            for _ in range(threads - 1):
                helper = _helpers(threads - 1).submit(copy_context().run, work)
                helping.append(helper)
        try:
            work()
        finally:
            left.clear()
            for helper in helping:
                helper.result()


@contextmanager
def blas_in_one_thread() -> Iterator[None]:
    """Let BLAS work in the thread that calls it, where several do: its own threads would only be in their way.

    BLAS has one setting for all: the first to come changes it, and the last to go restores it.
    """
    global _without_blas_threads, _blas_threads
    setting = _blas_setting()
    if setting is None:
        yield
        return
    get, set_to = setting
    with _setting_blas:
        if _without_blas_threads == 0:
            _blas_threads = get()
            set_to(1)
        _without_blas_threads += 1
    try:
        yield
    finally:
        with _setting_blas:
            _without_blas_threads -= 1
            if _without_blas_threads == 0:
                set_to(_blas_threads)


@cache
def _blas_setting() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How many threads BLAS uses, and how to say so, if it is OpenBLAS, as in NumPy's wheels."""
    library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("", "")):
        with suppress(AttributeError):
            get, set_to = (getattr(library, f"{prefix}openblas_{verb}_num_threads{suffix}") for verb in ("get", "set"))
            return get, set_to
    return None


def parts_of_elements(size: int) -> list[slice]:
    """The elements of a large array in parts that are equal, or nearly so: as many for each thread, so that all end together."""
    return _parts(size, math.ceil(size / _count(size, PART) / ALIGNED) * ALIGNED)


def parts_of_rows(rows: int, columns: int) -> list[slice]:
    """The rows of a matrix in such parts; those of a small matrix as one part."""
    size = rows * columns
    return _parts(rows, math.ceil(rows / _count(size, PART_OF_ROWS)) if size > LARGE else rows)


def parts_of_batch(count: int, size: int) -> list[slice]:
    """The samples of a batch in parts, one for each thread, if `size` numbers are worth it, and none with too few samples."""
    threads = min(get_num_threads(), count // FEWEST) if size > LARGE else 1
    return _parts(count, math.ceil(count / max(threads, 1)))


def _count(size: int, most: int) -> int:
    threads = get_num_threads()
    return math.ceil(size / most / threads) * threads


def _parts(size: int, step: int) -> list[slice]:
    return [slice(start, start + step) for start in range(0, size, step)] if size else []
