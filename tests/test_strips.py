"""The strips of many matrices: each element is in one tile, for any number of threads; BLAS gets back its threads."""

import numpy as np
import pytest

import manual
from manual import strips
from manual.strips import Strips, at_once
from manual.threads import _blas_setting


@pytest.mark.parametrize("side", [None, 1, 2, 3, 10])
@pytest.mark.parametrize("triangular", [False, True])
@pytest.mark.parametrize("shape", [(3, 7, 5), (3, 5, 7), (1, 1, 1), (2, 4, 4)])
def test_every_element_is_in_one_tile(shape, triangular, side, monkeypatch):
    """Of a triangle, all below the diagonal, on it, and beside it what the same strip needs."""
    monkeypatch.setattr(strips, "ROWS", 2)
    monkeypatch.setattr(strips, "BLOCK", 8)
    seen = np.zeros(shape, int)
    for strip in Strips(*shape, triangular, side).of(slice(0, shape[0])):
        assert len({(heads.start, rows.start) for heads, rows, _ in strip}) == 1
        assert [columns.start for _, _, columns in strip] == list(range(0, strip[-1][2].stop, side or shape[2]))
        for tile in strip:
            seen[tile] += 1
    height = side or 2
    last = np.minimum((np.arange(shape[1]) // height + 1) * height, shape[1])
    wanted = np.arange(shape[2]) < last[:, None] if triangular else np.ones(shape[1:], bool)
    np.testing.assert_array_equal(seen, np.broadcast_to(wanted, shape))


@pytest.mark.parametrize("shape", [(2, 3, 0), (2, 0, 3), (0, 3, 2)])
def test_strips_of_nothing(shape):
    """A strip without columns has a tile all the same, as something is to be written for its rows."""
    found = list(Strips(*shape, True, None).of(slice(0, shape[0])))
    assert found == ([[(slice(0, 2), slice(0, 3), slice(0, 0))]] if shape == (2, 3, 0) else [])


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("heads", [0, 1, 4, 7])
def test_shares_are_all_the_heads_in_order(heads, threads, monkeypatch):
    assert Strips(heads, 2, 2, False, None).by_shares(lambda share: share) == [slice(0, heads)]
    monkeypatch.setattr(strips, "LARGE", 3)
    found = Strips(heads, 2, 2, False, None).by_shares(lambda share: share)
    assert [head for share in found for head in range(share.start, share.stop)] == list(range(heads))
    assert len(found) == max(min(threads, heads), 1)


def test_results_come_in_order_and_errors_come_out():
    manual_threads = manual.get_num_threads()
    manual.set_num_threads(3)
    try:
        assert at_once([lambda x, y, i=i: (i, x, y) for i in range(5)], "x", "y") == [(i, "x", "y") for i in range(5)]
        with pytest.raises(ZeroDivisionError):
            at_once([lambda: 1, lambda: 1 / 0])
    finally:
        manual.set_num_threads(manual_threads)


def test_blas_has_one_thread_meanwhile():
    setting = _blas_setting()
    if setting is None:
        pytest.skip("NumPy's BLAS is not OpenBLAS")
    get, _ = setting
    before = get()
    assert at_once([get]) == [1]
    assert get() == before
