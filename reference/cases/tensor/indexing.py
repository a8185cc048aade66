"""Cases of picking elements by their places."""

from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Operation, classes, normal
from reference.oracle import to_torch

CUBE = normal(3, 4, 2)
SOME = np.array([[True, False, True, False], [False, False, True, True], [False, True, False, False]])
INTEGERS = np.arange(12).reshape(3, 4)
INDEX = np.array([[0, 2, 2], [1, 1, 0]])


def _index(x, index):
    """One item after the other; what arrays name is laid in front, or where the first of them stood."""
    items = list(index) if isinstance(index, tuple) else [index]
    items = [np.asarray(item, None if item else int) if isinstance(item, list) else item for item in items]
    items = [int(item) if isinstance(item, np.ndarray) and not item.ndim else item for item in items]
    taken = [0 if i is None or i is ... else i.ndim if isinstance(i, np.ndarray) and i.dtype == bool else 1 for i in items]
    at = next((k for k, item in enumerate(items) if item is ...), len(items))
    items[at : at + 1] = [slice(None)] * (x.ndim - sum(taken))
    spread = []  # of truth values, the places of those that are true along each axis
    for item in items:
        spread += list(np.nonzero(item)) if isinstance(item, np.ndarray) and item.dtype == bool else [item]
    axis = 0
    arrays = []
    for item in spread:
        if item is None:
            x = np.expand_dims(x, axis)
        elif isinstance(item, int):
            x, axis = x.take(item, axis), axis - 1
        elif isinstance(item, slice):
            x = x.take(range(x.shape[axis])[item], axis)
        else:
            arrays.append((axis, item))
        axis += 1
    if not arrays:
        return x
    axes = [axis for axis, _ in arrays]
    places = np.broadcast_arrays(*(item for _, item in arrays))
    adjacent = axes == list(range(axes[0], axes[0] + len(axes)))
    lines = np.moveaxis(x, axes, range(len(axes)))
    y = np.empty(places[0].shape + lines.shape[len(axes) :], dtype=object)
    for k in np.ndindex(places[0].shape):
        y[k] = lines[tuple(place[k] for place in places)]
    start = axes[0] if adjacent else 0
    return np.moveaxis(y, range(places[0].ndim), range(start, start + places[0].ndim))


def _torch_index(x, index):
    return x[tuple(map(to_torch, index)) if isinstance(index, tuple) else to_torch(index)]


def _narrow(x, dim, start, length):
    first = start if start >= 0 else start + x.shape[dim]
    return x.take(range(first, first + length), dim)


def _select(x, dim, index):
    return np.asarray(x.take(index, dim), dtype=object)


def _index_select(x, index, dim):
    y = np.atleast_1d(x).take(np.atleast_1d(index), dim)
    return y if x.ndim else y.reshape(())


def _gather(x, index, dim):
    y = np.empty(index.shape, dtype=object)
    for place in np.ndindex(index.shape):
        at = list(place)
        if at:
            at[dim] = index[place]
        y[place] = x[tuple(at)]
    return y


def _scatter_add(x, index, src, dim):
    """Terms: x, and for each element of src the one place to which it goes."""
    terms = [x]
    for place in np.ndindex(index.shape):
        at = list(place)
        if at:
            at[dim] = index[place]
        term = np.full(x.shape, 0, dtype=object)
        term[tuple(at)] = src[place]
        terms.append(term)
    return terms


def _torch(function):
    """The arrays, and then the axis."""
    return lambda x, *arrays, dim: function(x, dim, *arrays)


_larger = "its backward fails where src is larger than index"


def _of(label, index, array=CUBE, **options: Any):
    return Case(label, (array,), {"index": index}, **options)


OPERATIONS = (
    Operation(
        tensor.index,
        _torch_index,
        _index,
        cases=(
            _of("an integer", 1),
            _of("an integer from the end", (slice(None), -1)),
            _of("a slice", slice(1, 3)),
            _of("a slice with a step", (slice(None), slice(0, None, 2))),
            _of("slices from the end", (slice(-2, None), slice(None, -1), slice(0, 9))),
            _of("an empty slice", slice(2, 1), zero=("grad_0",)),
            _of("an Ellipsis", (..., 0)),
            _of("an Ellipsis between", (0, ..., slice(1))),
            _of("an Ellipsis for nothing", (0, 1, ..., 1)),
            _of("a new axis", (slice(None), None, ..., None)),
            _of("one element", (2, 0, 1)),
            _of("an array", np.array([0, 0, 2, -1])),
            _of("an array of two axes", (slice(None), np.array([[0, 3], [3, 3]]))),
            _of("a list", ([2, 0],)),
            _of("a list of truth values", (slice(None), [True, False, False, True])),
            _of("a list of nothing", ([],), zero=("grad_0",)),
            _of("an Ellipsis before an array", (..., np.array([1, 0]))),
            _of("an array of no axes beside another", (np.array(0), slice(None), np.array([1, 0, 0]))),
            _of("an array of no axes", np.array(1)),
            _of("no places", np.array([], int), zero=("grad_0",)),
            _of("arrays side by side", (slice(None), np.array([[0], [3]]), np.array([1, 0, 1]))),
            _of("arrays apart", (np.array([0, 2]), slice(1, 3), np.array([1, 1]))),
            _of("an integer beside an array", (0, slice(None), np.array([1, 0, 0]))),
            _of("a new axis between arrays", (np.array([0, 1]), None, np.array([2, 2]))),
            _of("arrays around an Ellipsis for nothing", (slice(None), np.array([0, 1]), ..., np.array([1, 0]))),
            _of("truth values", SOME),
            _of("truth values along an axis", (slice(None), np.array([True, False, True, True]))),
            _of("truth values and an integer", (SOME, 1)),
            _of("truth values and an array", (np.array([True, False, True]), np.array([0, 3]))),
            _of("nothing true", np.zeros(3, bool), zero=("grad_0",)),
            _of("all in all", (slice(0, 2), np.array([1, 1]), None, ...)),
            _of("a single number", (None, ...), normal()),
            _of("batch of 0", (slice(None), 1), normal(0, 3)),
            _of("of integers", (slice(None), np.array([0, 2])), INTEGERS),
            _of("of truth values", (slice(None), np.array([0, 2])), INTEGERS > 2),
        ),
        small=_of("64 × 64, every second row", (slice(None, None, 2),), normal(64, 64)),
        large=_of("4096 × 256, 4096 rows", (np.random.default_rng(0).integers(0, 4096, 4096),), normal(4096, 256)),
    ),
    Operation(
        tensor.select,
        torch.select,
        _select,
        cases=(
            Case("first axis", (CUBE,), {"dim": 0, "index": 2}),
            Case("last axis, from the end", (CUBE,), {"dim": -1, "index": -1}),
            Case("a vector", (normal(3),), {"dim": 0, "index": 1}),
            Case("batch of 0", (normal(0, 3),), {"dim": 1, "index": 0}),
            Case("of integers", (INTEGERS,), {"dim": 1, "index": 3}),
            Case("of truth values", (INTEGERS > 2,), {"dim": 1, "index": 3}),
        ),
        small=Case("64 × 64", (normal(64, 64),), {"dim": 1, "index": 5}),
        large=Case("64 × 256 × 256", (normal(64, 256, 256),), {"dim": 1, "index": 5}),
    ),
    Operation(
        tensor.narrow,
        torch.narrow,
        _narrow,
        cases=(
            Case("first axis", (CUBE,), {"dim": 0, "start": 1, "length": 2}),
            Case("from the end", (CUBE,), {"dim": -2, "start": -3, "length": 2}),
            Case("nothing at the end", (CUBE,), {"dim": 1, "start": 4, "length": 0}, zero=("grad_0",)),
            Case("all", (CUBE,), {"dim": 1, "start": 0, "length": 4}),
            Case("batch of 0", (normal(0, 3),), {"dim": 1, "start": 1, "length": 1}),
            Case("of integers", (INTEGERS,), {"dim": 1, "start": 1, "length": 2}),
            Case("of truth values", (INTEGERS > 2,), {"dim": 1, "start": 1, "length": 2}),
        ),
        small=Case("64 × 64", (normal(64, 64),), {"dim": 1, "start": 8, "length": 32}),
        large=Case("64 × 256 × 256", (normal(64, 256, 256),), {"dim": 1, "start": 8, "length": 128}),
    ),
    Operation(
        tensor.index_select,
        _torch(torch.index_select),
        _index_select,
        cases=(
            Case("first axis", (CUBE, np.array([2, 0, 0])), {"dim": 0}),
            Case("last axis", (CUBE, np.array([1, 1, 0])), {"dim": -1}),
            Case("one place", (CUBE, np.array(3)), {"dim": 1}),
            Case("no places", (CUBE, np.array([], int)), {"dim": 1}, zero=("grad_0",)),
            Case("a single number", (normal(), np.array([0])), {"dim": 0}),
            Case("batch of 0", (normal(0, 3), np.array([2, 2])), {"dim": 1}),
            Case("of integers", (INTEGERS, np.array([1, 1, 0])), {"dim": 1}),
            Case("of truth values", (INTEGERS > 2, np.array([1, 1, 0])), {"dim": 1}),
        ),
        small=Case("64 × 64, 64 rows", (normal(64, 64), classes(64, 64)), {"dim": 0}),
        large=Case("4096 × 256, 4096 rows", (normal(4096, 256), classes(4096, 4096)), {"dim": 0}),
    ),
    Operation(
        tensor.gather,
        _torch(torch.gather),
        _gather,
        cases=(
            Case("last axis", (normal(2, 3), INDEX), {"dim": 1}),
            Case("first axis", (normal(3, 3), INDEX), {"dim": 0}),
            Case("fewer lines", (normal(4, 3), INDEX), {"dim": -1}),
            Case("more places than elements", (normal(2, 1), np.zeros((2, 3), int)), {"dim": 1}),
            Case("more places along the last axis", (normal(2, 1), np.zeros((2, 3), int)), {"dim": -1}),
            Case("three axes", (normal(2, 3, 2), classes(3, 2, 2, 2)), {"dim": 1}),
            Case("a single number", (normal(), np.array(0)), {"dim": 0}),
            Case("no places", (normal(2, 3), np.zeros((0, 3), int)), {"dim": 0}, zero=("grad_0",)),
            Case("of integers", (INTEGERS, INDEX), {"dim": 1}),
            Case("of truth values", (INTEGERS > 2, INDEX), {"dim": 1}),
        ),
        small=Case("64 × 64", (normal(64, 64), classes(64, 64, 64)), {"dim": 1}),
        large=Case("4096 × 256", (normal(4096, 256), classes(256, 4096, 256)), {"dim": 1}),
    ),
    Operation(
        tensor.scatter_add,
        _torch(torch.scatter_add),
        _scatter_add,
        cases=(
            Case("last axis", (normal(2, 3), INDEX, normal(2, 3)), {"dim": 1}, torch_loses=_larger),
            Case("first axis", (normal(3, 3), INDEX, normal(2, 3)), {"dim": 0}, torch_loses=_larger),
            Case("fewer lines", (normal(4, 3), INDEX, normal(2, 3)), {"dim": -1}, torch_loses=_larger),
            Case("three axes", (normal(2, 3, 2), classes(3, 2, 4, 2), normal(2, 4, 2)), {"dim": 1}, torch_loses=_larger),
            Case("a single number", (normal(), np.array(0), normal()), {"dim": 0}, torch_loses=_larger),
            Case("no places", (normal(2, 3), np.zeros((0, 3), int), normal(0, 3)), {"dim": 0}, torch_loses=_larger),
        ),
        small=Case("64 × 64", (normal(64, 64), classes(64, 64, 64), normal(64, 64)), {"dim": 1}),
        large=Case("4096 × 256", (normal(4096, 256), classes(256, 4096, 256), normal(4096, 256)), {"dim": 1}),
    ),
)

MODULES = ()
