"""Large arrays go through operations part by part, in threads, and nobody can tell but by the time it takes."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import manual
from manual.threads import LARGE, PART, PART_OF_ROWS, in_threads, pointwise, row_parts
from reference.accuracy import call, constants_of
from reference.cases import OPERATIONS

POINTWISE = [(operation, constants) for operation in OPERATIONS.values() for constants in constants_of(operation)]


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = manual.get_num_threads()
    manual.set_num_threads(request.param)
    yield request.param
    manual.set_num_threads(before)


def random_pair(*shape, dtype=np.float32):
    return np.random.default_rng(0).standard_normal((2, *shape)).astype(dtype) * dtype(3)


def forward_backward(function, x, grad_output):
    output, backward = function(x)
    return output, *backward(grad_output)


def assert_parts_do_not_show(function, x, grad_output):
    """The whole gives the same as the operation on shares of it, none of which is large."""
    shares = np.s_[:5], np.s_[5 : len(x) // 2], np.s_[len(x) // 2 :]
    assert x.size > LARGE > x[shares[-1]].size
    by_share = [forward_backward(function, x[share], grad_output[share]) for share in shares]
    for got, expected in zip(forward_backward(function, x, grad_output), zip(*by_share, strict=True), strict=True):
        np.testing.assert_array_equal(got, np.concatenate(expected), strict=True)


@pytest.mark.parametrize(("pointwise", "constants"), POINTWISE, ids=[call(*each) for each in POINTWISE])
def test_elements(pointwise, constants):
    for dtype in (np.float32, np.float64):
        x, grad_output = random_pair(LARGE // 4 + 3, 4, dtype=dtype)
        x[::1000, 0] *= 1000  # far out
        with np.errstate(over="ignore"):  # celu with α < 0 grows without bounds
            assert_parts_do_not_show(lambda x: pointwise.manual(x, **dict(constants)), x, grad_output)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_rows(name):
    assert_parts_do_not_show(getattr(manual, name), *random_pair(LARGE // 1000 + 1, 1000))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_columns(name):
    # No part is a single column: that one would be contiguous, and summed in another order than strided ones, to other roundings
    x, grad_output = random_pair(1000, LARGE // 1000 + 12)
    halves = np.s_[:, :500], np.s_[:, 500:]
    by_half = [forward_backward(lambda x: getattr(manual, name)(x, dim=0), x[half], grad_output[half]) for half in halves]
    whole = forward_backward(lambda x: getattr(manual, name)(x, dim=0), x, grad_output)
    for got, expected in zip(whole, zip(*by_half, strict=True), strict=True):
        np.testing.assert_array_equal(got, np.concatenate(expected, axis=1), strict=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_rows_that_are_large_themselves(name):
    x, grad_output = random_pair(2, LARGE + 1)
    both = forward_backward(getattr(manual, name), x, grad_output)
    for row in range(2):
        alone = forward_backward(getattr(manual, name), x[row], grad_output[row])
        for got, expected in zip(both, alone, strict=True):
            np.testing.assert_array_equal(got[row], expected)


def test_cross_entropy_of_many_rows():
    x, _ = random_pair(LARGE // 1000 + 1, 1000)
    target = np.random.default_rng(1).integers(0, 1000, len(x))
    half = len(x) // 2

    def loss(share):
        return forward_backward(lambda x: manual.cross_entropy(x, target[share], reduction="none"), x[share], grad_loss[share])

    grad_loss = np.random.default_rng(2).standard_normal(len(x), dtype=np.float32)
    for i in range(2):
        np.testing.assert_array_equal(
            loss(np.s_[:])[i], np.concatenate([loss(np.s_[:half])[i], loss(np.s_[half:])[i]]), strict=True
        )


def test_any_number_of_threads_gives_the_same(threads):
    x, grad_output = random_pair(LARGE + 1)
    for got, expected in zip(
        forward_backward(manual.gelu, x, grad_output), forward_backward(manual.gelu, x[:PART], grad_output[:PART]), strict=True
    ):
        np.testing.assert_array_equal(got[:PART], expected)


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x[::-1]])
def test_any_layout(layout):
    x, grad_output = (layout(each) for each in random_pair(LARGE // 4 + 3, 4))
    x.flags.writeable = False
    contiguous = forward_backward(manual.silu, np.ascontiguousarray(x), np.ascontiguousarray(grad_output))
    for got, expected in zip(forward_backward(manual.silu, x, grad_output), contiguous, strict=True):
        np.testing.assert_array_equal(got, expected, strict=True)


def test_a_cotangent_that_does_not_fit():
    x, _ = random_pair(LARGE // 4 + 3, 4)
    _, backward = manual.tanh(x)
    with pytest.raises(ValueError, match=r"tanh: grad_output must have the shape of the output, \(262147, 4\), got \(4,\)"):
        backward(np.ones(4, np.float32))


def test_each_task_is_done_once(threads):
    done, by = [], set()

    def task(i):
        by.add(threading.get_ident())
        done.append(i)

    in_threads(task, 1000)
    assert sorted(done) == list(range(1000))
    assert len(by) <= threads
    in_threads(task, 0)


def test_an_error_in_a_part_comes_out(threads):
    def fail(x, y):
        raise FloatingPointError("in a part")

    with pytest.raises(FloatingPointError, match="in a part"):
        pointwise("fail", fail, np.zeros(LARGE + 1))


def test_numpys_error_state_holds_in_every_thread(threads):
    barrier = threading.Barrier(min(threads, 4), timeout=30)

    def divide(i):
        barrier.wait()  # so that each thread has a part
        np.ones(1000) / np.zeros(1000)

    with np.errstate(divide="ignore"):
        in_threads(divide, barrier.parties)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        in_threads(divide, barrier.parties)


def test_callers_do_not_wait_for_each_other():
    """More callers than threads, all at once."""
    x, grad_output = random_pair(LARGE + 1)
    expected = forward_backward(manual.relu, x, grad_output)
    results = [None] * 6

    def call(i):
        results[i] = forward_backward(manual.relu, x, grad_output)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(results))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    for result in results:
        for got, wanted in zip(result, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_rows_in_parts():
    assert row_parts(np.zeros((7, 3))) == [slice(0, 7)]
    assert row_parts(np.zeros((0, 3))) == []
    assert row_parts(np.broadcast_to(np.float32(0), (2, LARGE))) == [slice(0, 1), slice(1, 2)]


@pytest.mark.parametrize(("shape", "most"), [((4096, 1024), PART_OF_ROWS // 1024), ((4096 * 1024,), PART)])
def test_every_thread_has_as_many_parts_of_the_same_size(threads, shape, most):
    parts = row_parts(np.broadcast_to(np.float32(0), shape))
    rows = [np.arange(shape[0])[part] for part in parts]
    np.testing.assert_array_equal(np.concatenate(rows), np.arange(shape[0]))
    assert len(parts) % threads == 0
    assert {len(part) for part in rows[:-1]} == {len(rows[0])}
    assert 0.7 * len(rows[0]) <= len(rows[-1]) <= len(rows[0]) <= most


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_threads_must_be_a_positive_integer(threads):
    with pytest.raises(ValueError, match=f"set_num_threads: threads must be a positive integer, got {threads!r}"):
        manual.set_num_threads(threads)


@pytest.mark.parametrize(("setting", "expected"), [("3", 3), ("2,1", 2), ("", None), ("none", None)])
def test_the_number_of_threads_is_that_of_openmp(setting, expected):
    program = "import manual; print(manual.get_num_threads())"
    environment = os.environ | {"OMP_NUM_THREADS": setting}
    answer = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert int(answer.stdout) == (expected or len(os.sched_getaffinity(0)))


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
