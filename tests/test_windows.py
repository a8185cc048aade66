"""Sliding windows: blocks of any size and any number of threads give what the whole gives; BLAS gets back its threads."""

import threading

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import manual
from manual import windows
from manual.threads import _blas_setting, in_threads
from manual.windows import LARGE, Block, Windows, come_last, taps

RNG = np.random.default_rng(0)


def small_integers(*shape):
    return RNG.integers(-9, 10, shape).astype(float)


def some_windows(images_last=False):
    return Windows(
        size=(7, 5), kernel=(3, 2), stride=(2, 1), dilation=(1, 2), before=(2, 1), counts=(5, 5), images_last=images_last
    )


@pytest.mark.parametrize("images_last", [False, True])
@pytest.mark.parametrize("rows", [slice(0, 5), slice(0, 1), slice(2, 4), slice(4, 5)])
@pytest.mark.parametrize("shifts", [0, 1, 2])
def test_windows_see_what_is_there(images_last, rows, shifts):
    """Each column holds x(s i + d k − p), or 0 outside of the image."""
    over, images = some_windows(images_last), small_integers(3, 2, 7, 5)
    outside = np.pad(images[1:3], ((0, 0), (0, 0), (2, 9), (1, 9)))
    gathered = over.gather(images, Block(slice(1, 3), rows), shifts)
    for first, columns in zip(np.ndindex(over.kernel[:shifts]), gathered, strict=True):
        by_image = np.moveaxis(columns, -1 if images_last else 3 - shifts, 0)  # (images, channels, *kernel[shifts:], *counts)
        assert by_image.shape == (2, 2, *over.kernel[shifts:], rows.stop - rows.start, 5)
        for *last, i, j in np.ndindex(by_image.shape[2:]):
            k, m = (*first, *last)
            np.testing.assert_array_equal(by_image[:, :, *last, i, j], outside[:, :, 2 * (rows.start + i) + k, j + 2 * m])


@pytest.mark.parametrize("images_last", [False, True])
@pytest.mark.parametrize("rows", [slice(0, 5), slice(0, 1), slice(2, 4), slice(4, 5)])
def test_what_is_added_goes_back_where_it_came_from(images_last, rows):
    over, images = some_windows(images_last), small_integers(3, 2, 7, 5)
    block = Block(slice(1, 3), rows)
    (columns,) = over.gather(images, block)
    added, weights = np.ones_like(images), small_integers(*columns.shape)
    over.scatter_add(weights, added, block)
    assert ((added - 1) * images).sum() == (weights * columns).sum()
    assert (added[0] == 1).all()


def test_windows_over_windows():
    """Turned round, they see which windows see a cell: the same pairs of window and cell, at the opposite end of the kernel."""
    over = Windows(size=(6, 5), kernel=(3, 2), stride=(1, 1), dilation=(1, 2), before=(2, 1), counts=(5, 4))
    pairs = {(i, j, k, m, i + k - 2, j + 2 * m - 1) for i, j, k, m in np.ndindex(5, 4, 3, 2)}
    turned = over.turned()
    turned_pairs = {
        (a + k - turned.before[0], b + 2 * m - turned.before[1], 2 - k, 1 - m, a, b) for a, b, k, m in np.ndindex(6, 5, 3, 2)
    }

    def inside(pairs):
        return {pair for pair in pairs if 0 <= pair[0] < 5 and 0 <= pair[1] < 4 and 0 <= pair[4] < 6 and 0 <= pair[5] < 5}

    assert inside(turned_pairs) == inside(pairs)
    assert turned.turned() == over


@pytest.mark.parametrize("wide", [1, 12, 1000])
@pytest.mark.parametrize("most", [1, 100, 10000])
@pytest.mark.parametrize(
    ("images", "images_last"), [(0, False), (1, False), (2, False), (7, False), (1, True), (2, True), (7, True)]
)
def test_every_window_is_in_one_block(images, images_last, most, wide, threads, monkeypatch):
    for name, value in {"BLOCK": most, "BLOCK_OF_SMALL": most, "WIDE": wide, "LARGE": 0}.items():
        monkeypatch.setattr(windows, name, value)
    visits, lock, callers = np.zeros((images, 5), int), threading.Lock(), set()

    def visit(block):
        with lock:
            visits[block.images, block.rows] += 1
            callers.add(threading.get_ident())
        return np.array([1.0])

    sums = some_windows(images_last).by_blocks(visit, images, 12)
    assert (visits == 1).all()
    assert len(sums) == min(threads, images)
    assert len(callers) <= max(1, min(threads, images))


def test_which_images_come_last():
    small = np.zeros((16, 1, 15, 15))
    last = np.moveaxis(np.zeros((1, 15, 15, 16)), -1, 0)
    assert come_last(small, 4, (15, 15))
    assert not come_last(small, 3, (15, 15))  # few channels of outputs: the order would not pay
    assert come_last(last, 1, (15, 15))
    assert not come_last(last[:15], 1, (15, 14))  # too few images
    assert not come_last(last, 1, (15, 16))  # rows as long
    assert come_last(last, LARGE // (16 * 225), (15, 15))
    assert not come_last(last, LARGE // (16 * 225) + 1, (15, 15))  # too much in all


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_blocks_and_threads_do_not_show(axes, threads, monkeypatch):
    """The numbers are small integers, so that every order of adding gives the same."""
    op = getattr(manual, f"conv{axes}d")
    x, weight = small_integers(5, 4, *(6, 5, 4)[:axes]), small_integers(6, 2, *(3, 2, 2)[:axes])
    constants = {"stride": (2, 1, 1)[:axes], "padding": (1, 2, 0)[:axes], "groups": 2}
    whole, backward = op(x, weight, **constants)
    g = small_integers(*whole.shape)
    expected = backward(g)
    for most, wide, many in (
        (1, 1, 100),
        (100, 10, 100),
        (500, 1000, 100),
        (5000, 10000, 100),
        (1, 1, 2),
        (1000, 1, 2),
        (10**6, 1, 2),
    ):
        for name, value in {"BLOCK": most, "BLOCK_OF_SMALL": most, "MANY": many, "WIDE": wide, "LARGE": 0}.items():
            monkeypatch.setattr(windows, name, value)
        output, backward = op(x, weight, **constants)
        np.testing.assert_array_equal(output, whole)
        for got, wanted in zip(backward(g)[:2], expected[:2], strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.skipif(_blas_setting() is None, reason="BLAS is not OpenBLAS, or its setting is not to be found")
def test_blas_has_one_thread_within_threads_and_its_own_again_afterwards(threads):
    get, set_to = _blas_setting()
    before = get()
    set_to(3)
    try:
        found = []
        in_threads(lambda i: found.append(get()), 8)
        assert found == [1 if threads > 1 else 3] * 8
        assert get() == 3

        def fails(i):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            in_threads(fails, 8)
        assert get() == 3
    finally:
        set_to(before)


@pytest.mark.parametrize("kernel", [(1,), (3,), (2, 3), (1, 2)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_taps(kernel, stride, dilation, count):
    """Every position in its order, and there a cell of each window. Along a second axis the windows lie otherwise."""
    strides, dilations, counts = ((one, other)[: len(kernel)] for one, other in ((stride, 2), (dilation, 3), (count, 3)))
    seen = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]  # the cells from a window's first to its last
    x = np.random.default_rng(0).standard_normal([size + s * (n - 1) for size, s, n in zip(seen, strides, counts, strict=True)])
    windows = sliding_window_view(x, seen)[tuple(slice(None, None, step) for step in strides + dilations)]
    found = list(taps(kernel, strides, dilations, counts))
    assert [position for position, _ in found] == list(np.ndindex(kernel))
    for position, cells in found:
        np.testing.assert_array_equal(x[cells], windows[(..., *position)], strict=True)
