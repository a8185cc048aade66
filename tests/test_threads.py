"""Large arrays go through operations part by part, in threads, and nobody can tell but by the time it takes."""

import os
import subprocess
import sys
import threading
from unittest import mock

import numpy as np
import pytest

import manual
from manual import threads as threads_module
from manual.threads import LARGE, PART, PART_OF_ROWS, in_threads, parts_of_elements, parts_of_rows
from reference import structure
from tests.test_fuzz import cotangent_like


def run(operation, case, dtype):
    """The output, and the gradients of a random cotangent."""
    output, backward = operation.manual(*case.build(operation.name, dtype), **case.constants)
    grads = backward(cotangent_like(output, 0))
    return [*structure.leaves(output), *map(structure.dense, structure.leaves(grads))]


def test_parts_do_not_show(operation, request):
    """Every case in parts of three elements gives what it gives as a whole, but for the order in which sums are rounded."""
    cases = [(case, dtype) for case in operation.cases for dtype in (np.float32, np.float64)]
    whole = [run(operation, *each) for each in cases]
    request.getfixturevalue("small_parts")
    for (case, dtype), wanted in zip(cases, whole, strict=True):
        for got, expected in zip(run(operation, case, dtype), wanted, strict=True):
            assert (got is None) == (expected is None), case.label
            if expected is not None:
                room = 16 * np.finfo(dtype).eps * np.abs(expected[np.isfinite(expected)]).max(initial=0)
                np.testing.assert_allclose(got, expected, rtol=0, atol=room, strict=True, err_msg=case.label)


# -- Large arrays: bit for bit the same as shares of them that are not large


def forward_backward(function, x, grad_output):
    output, backward = function(x)
    return output, *backward(grad_output)


def random_pair(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal((2, *shape)).astype(dtype) * dtype(3)


def assert_same_in_shares(function, x, grad_output, shares, axis):
    """The whole gives the same, bit for bit, as the operation on shares of it."""
    whole, *by_share = (forward_backward(function, x[share], grad_output[share]) for share in (np.s_[:], *shares))
    for got, expected in zip(whole, zip(*by_share, strict=True), strict=True):
        np.testing.assert_array_equal(got, np.concatenate(expected, axis=axis), strict=True)


@pytest.mark.parametrize("name", ["leaky_relu", "hardswish", "softplus", "celu", "gelu"])
def test_elements_in_parts(name, dtype):
    x, grad_output = random_pair(LARGE // 4 + 3, 4, dtype=np.dtype(dtype).type)
    x[::1000, 0] *= 1000  # far out
    shares = np.s_[:5], np.s_[5 : len(x) // 2], np.s_[len(x) // 2 :]
    assert x.size > LARGE > x[shares[-1]].size
    assert_same_in_shares(getattr(manual, name), x, grad_output, shares, 0)


def test_any_number_of_threads_gives_the_same(threads):
    """Bit for bit, elements far out among them."""
    x, grad_output = random_pair(LARGE + 1)
    x[::1000] *= 1000
    whole, start = (forward_backward(manual.gelu, x[share], grad_output[share]) for share in (np.s_[:], np.s_[:PART]))
    for got, expected in zip(whole, start, strict=True):
        np.testing.assert_array_equal(got[:PART], expected)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x[::-1]])
def test_any_layout(layout):
    x, grad_output = (layout(each) for each in random_pair(LARGE // 4 + 3, 4))
    x.flags.writeable = False
    contiguous = forward_backward(manual.silu, np.ascontiguousarray(x), np.ascontiguousarray(grad_output))
    for got, expected in zip(forward_backward(manual.silu, x, grad_output), contiguous, strict=True):
        np.testing.assert_array_equal(got, expected, strict=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_rows_in_parts(name):
    x, grad_output = random_pair(LARGE // 1000 + 1, 1000)
    assert_same_in_shares(getattr(manual, name), x, grad_output, (np.s_[:5], np.s_[5:500], np.s_[500:]), 0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_columns_in_parts(name):
    # No part is a single column: that one would be contiguous, and summed in another order than strided ones, to other roundings
    x, grad_output = random_pair(1000, LARGE // 1000 + 12)
    shares = np.s_[:, :500], np.s_[:, 500:]
    assert_same_in_shares(lambda x: getattr(manual, name)(x, dim=0), x, grad_output, shares, 1)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_rows_that_are_large_themselves(name):
    x, grad_output = random_pair(2, LARGE + 1)
    assert_same_in_shares(getattr(manual, name), x, grad_output, (np.s_[:1], np.s_[1:]), 0)


def test_rows_to_numbers_in_parts(threads):
    """Cross-entropy of many rows: the loss of each, and its gradient, bit for bit."""
    x, grad_loss = random_pair(LARGE // 1000 + 1, 1000)
    grad_loss, target = grad_loss[:, 0].copy(), np.random.default_rng(1).integers(0, 1000, len(x))

    def losses(share):
        output, backward = manual.cross_entropy(x[share], target[share], reduction="none")
        return output, backward(grad_loss[share])[0]

    for got, *expected in zip(losses(np.s_[:]), losses(np.s_[:500]), losses(np.s_[500:]), strict=True):
        np.testing.assert_array_equal(got, np.concatenate(expected), strict=True)


# -- Parts


@pytest.mark.parametrize("size", [LARGE + 1, 4096 * 1024, 4096 * 1024 + 5])
def test_every_thread_has_as_many_parts_of_the_same_size(threads, size):
    check_parts(threads, parts_of_elements(size), size, PART)


@pytest.mark.parametrize("rows", [1025, 4096, 5000])
def test_every_thread_has_as_many_parts_of_as_many_rows(threads, rows):
    check_parts(threads, parts_of_rows(rows, 1024), rows, PART_OF_ROWS // 1024)


def check_parts(threads, parts, size, most):
    ranges = [range(size)[part] for part in parts]
    assert [0, *(part.stop for part in ranges)] == [*(part.start for part in ranges), size]
    assert len(parts) % threads == 0
    assert {len(part) for part in ranges[:-1]} <= {len(ranges[0])}
    assert 0.7 * len(ranges[0]) <= len(ranges[-1]) <= len(ranges[0]) <= most


def test_parts_of_little():
    assert parts_of_rows(0, 3) == []
    assert parts_of_rows(3, 0) == [slice(0, 3)]
    assert parts_of_rows(7, 3) == [slice(0, 7)]
    assert parts_of_rows(2, LARGE) == [slice(0, 1), slice(1, 2)]


# -- Threads


def test_each_task_is_done_once(threads):
    done, by = [], set()

    def task(i):
        by.add(threading.get_ident())
        done.append(i)

    in_threads(task, 1000)
    assert sorted(done) == list(range(1000))
    assert len(by) <= threads
    in_threads(task, 0)
    assert len(done) == 1000


def test_an_error_in_a_task_comes_out(threads):
    def task(i):
        if i == 3:
            raise FloatingPointError("in a task")

    with pytest.raises(FloatingPointError, match="in a task"):
        in_threads(task, 100)


def test_numpys_error_state_holds_in_every_thread(threads):
    barrier = threading.Barrier(min(threads, 4), timeout=30)

    def divide(i):
        barrier.wait()  # so that each thread has a part
        np.ones(1000) / np.zeros(1000)

    with np.errstate(divide="ignore"):
        in_threads(divide, barrier.parties)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        in_threads(divide, barrier.parties)


def test_numpys_buffer_has_its_size_again(threads):
    with np.errstate():  # which keeps the size of the buffer, too
        np.setbufsize(4096)
        in_threads(lambda i: None, 10)
        assert np.getbufsize() == 4096


def test_callers_do_not_wait_for_each_other():
    """More callers than threads, all at once."""
    x, grad_output = np.random.default_rng(0).standard_normal((2, LARGE + 1), np.float32)

    def forward_backward():
        output, backward = manual.relu(x)
        return output, *backward(grad_output)

    expected = forward_backward()
    results = [None] * 6

    def call(i):
        results[i] = forward_backward()

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(results))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    for result in results:
        for got, wanted in zip(result, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


# -- Settings


@pytest.mark.parametrize("number", [0, -1, 1.5, "2"])
def test_threads_must_be_a_positive_integer(number):
    with pytest.raises(ValueError, match=f"set_num_threads: threads must be a positive integer, got {number!r}"):
        manual.set_num_threads(number)


@pytest.mark.parametrize(("asked", "expected"), [("3", 3), ("2,1", 2), ("1", 1)])
def test_the_number_of_threads_is_that_of_openmp(asked, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert default_threads() == expected


@pytest.mark.parametrize(("asked", "cores"), [(None, {3, 5, 7}), ("", {4}), ("none", {2, 3}), ("0", {0, 1}), ("-2", {6})])
def test_without_it_there_is_one_for_each_core_of_this_process(asked, cores, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores if process == 0 else None, raising=False)
    assert default_threads() == len(cores)


@pytest.mark.parametrize(("count", "expected"), [(6, 6), (None, 1)])
def test_where_a_process_is_not_bound_to_cores_all_of_them_count(count, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert default_threads() == expected


def default_threads():
    """The number of threads that nobody has set, as a new process has it."""
    with mock.patch.object(threads_module, "_threads", 0):
        threads_module._default_threads.cache_clear()
        try:
            return manual.get_num_threads()
        finally:
            threads_module._default_threads.cache_clear()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_after_a_fork():
    """The child has none of the threads, and starts its own."""
    program = f"""
import os, numpy as np, manual
x = np.ones({LARGE + 1})
manual.set_num_threads(2)
manual.relu(x)
child = os.fork()
if child == 0:
    os._exit(int(manual.relu(x)[0].sum() != x.size))
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=60, check=False).returncode == 0
