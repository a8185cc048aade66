"""Cases of shapes."""

from typing import Any

import numpy as np
import torch

from manual import tensor
from reference.case import Case, Operation, normal

CUBE = normal(2, 3, 2)
INTEGERS = np.arange(6).reshape(2, 3)


def _reshape(x, shape):
    """The numbers one after the other, as their places count."""
    known = -int(np.prod(shape)) if -1 in shape else 1
    sizes = [x.size // known if size == -1 else size for size in shape]
    y = np.empty(sizes, dtype=object)
    for place, number in zip(np.ndindex(*sizes), x.flat, strict=True):
        y[place] = number
    return y


def _squeeze(x, dim=None):
    axes = range(x.ndim) if dim is None else [axis % x.ndim for axis in np.atleast_1d(dim)] if x.ndim else []
    return _reshape(x, [size for axis, size in enumerate(x.shape) if size != 1 or axis not in axes])


def _unsqueeze(x, dim):
    return np.expand_dims(x, dim)


def _transpose(x, dim0, dim1):
    axes = list(range(x.ndim))
    if axes:
        axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return np.moveaxis(x, axes, range(x.ndim))


def _permute(x, dims):
    return np.moveaxis(x, dims, range(len(dims)))


def _expand(x, size):
    wide = x.reshape((1,) * (len(size) - x.ndim) + x.shape)
    sizes = [own if wanted == -1 else wanted for own, wanted in zip(wide.shape, size)]
    y = np.empty(sizes, dtype=object)
    for place in np.ndindex(*sizes):
        y[place] = wide[tuple(min(i, n - 1) for i, n in zip(place, wide.shape))]
    return y


def _repeat(x, repeats):
    wide = x.reshape((1,) * (len(repeats) - x.ndim) + x.shape)
    for axis, times in enumerate(repeats):
        wide = np.concatenate([wide] * times, axis) if times else wide.take([], axis)
    return wide


def _detach(x):
    return x


def _benchmark(constants, small=(8, 16, 16), large=(64, 256, 256), **options: Any):
    return {
        "small": Case(" × ".join(map(str, small)), (normal(*small),), constants, **options),
        "large": Case(" × ".join(map(str, large)), (normal(*large),), constants, **options),
    }


OPERATIONS = (
    Operation(
        tensor.reshape,
        torch.reshape,
        _reshape,
        cases=(
            Case("other axes", (CUBE,), {"shape": (3, 4)}),
            Case("a size is left to find", (CUBE,), {"shape": (2, -1)}),
            Case("all is left to find", (CUBE,), {"shape": [-1]}),
            Case("more axes", (normal(6),), {"shape": (1, 2, -1, 1)}),
            Case("no axes", (normal(1, 1),), {"shape": ()}),
            Case("a single number", (normal(),), {"shape": (1, -1)}),
            Case("batch of 0", (normal(0, 3),), {"shape": (3, -1)}),
            Case("integers", (INTEGERS,), {"shape": (3, 2)}),
            Case("truth values", (INTEGERS > 2,), {"shape": (3, 2)}),
        ),
        **_benchmark({"shape": (-1,)}),
    ),
    Operation(
        tensor.squeeze,
        torch.squeeze,
        _squeeze,
        cases=(
            Case("all there are", (normal(1, 3, 1, 2),)),
            Case("one axis", (normal(1, 3, 1),), {"dim": 0}),
            Case("the last axis", (normal(1, 3, 1),), {"dim": -1}),
            Case("several axes", (normal(1, 3, 1),), {"dim": (0, 1, -1)}),
            Case("an axis of more elements", (normal(2, 3),), {"dim": 1}),
            Case("a single number", (normal(),), {"dim": 0}),
            Case("batch of 0", (normal(0, 1),)),
            Case("integers", (np.array([[1], [2]]),)),
            Case("truth values", (np.array([[True], [False]]),)),
        ),
        **_benchmark({"dim": 0}, (1, 100, 100), (1, 2000, 2000)),
    ),
    Operation(
        tensor.unsqueeze,
        torch.unsqueeze,
        _unsqueeze,
        cases=(
            Case("in front", (normal(2, 3),), {"dim": 0}),
            Case("between", (normal(2, 3),), {"dim": 1}),
            Case("behind", (normal(2, 3),), {"dim": -1}),
            Case("in front, from the end", (normal(2, 3),), {"dim": -3}),
            Case("a single number", (normal(),), {"dim": 0}),
            Case("batch of 0", (normal(0, 3),), {"dim": 1}),
            Case("integers", (INTEGERS,), {"dim": 1}),
            Case("truth values", (INTEGERS > 2,), {"dim": 1}),
        ),
        **_benchmark({"dim": 1}),
    ),
    Operation(
        tensor.transpose,
        torch.transpose,
        _transpose,
        cases=(
            Case("a matrix", (normal(2, 3),), {"dim0": 0, "dim1": 1}),
            Case("outer axes", (CUBE,), {"dim0": -1, "dim1": 0}),
            Case("inner axes", (normal(2, 2, 3),), {"dim0": 1, "dim1": 2}),
            Case("an axis with itself", (normal(2, 3),), {"dim0": 1, "dim1": -1}),
            Case("a single number", (normal(),), {"dim0": 0, "dim1": -1}),
            Case("batch of 0", (normal(0, 3),), {"dim0": 0, "dim1": 1}),
            Case("integers", (INTEGERS,), {"dim0": 0, "dim1": 1}),
            Case("truth values", (INTEGERS > 2,), {"dim0": 0, "dim1": 1}),
        ),
        **_benchmark({"dim0": 1, "dim1": 2}),
    ),
    Operation(
        tensor.permute,
        torch.permute,
        _permute,
        cases=(
            Case("three axes", (normal(2, 3, 4),), {"dims": (2, 0, 1)}),
            Case("from the end", (normal(2, 3, 4),), {"dims": [-2, 2, -3]}),
            Case("four axes", (normal(2, 3, 1, 2),), {"dims": (3, 1, 0, 2)}),
            Case("a single number", (normal(),), {"dims": ()}),
            Case("batch of 0", (normal(0, 3),), {"dims": (1, 0)}),
            Case("integers", (INTEGERS,), {"dims": (1, 0)}),
            Case("truth values", (INTEGERS > 2,), {"dims": (1, 0)}),
        ),
        **_benchmark({"dims": (2, 0, 1)}),
    ),
    Operation(
        tensor.expand,
        lambda x, size: x.expand(size),
        _expand,
        cases=(
            Case("a row", (normal(1, 3),), {"size": (2, 3)}),
            Case("a column", (normal(2, 1),), {"size": (-1, 3)}),
            Case("axes in front", (normal(3),), {"size": (2, 2, -1)}),
            Case("both", (normal(3, 1),), {"size": [2, 3, 2]}),
            Case("as it is", (normal(2, 3),), {"size": (2, -1)}),
            Case("a single number", (normal(),), {"size": (2, 2)}),
            Case("to none", (normal(1, 2),), {"size": (0, 2)}, zero=("grad_0",)),
            Case("batch of 0", (normal(0, 1),), {"size": (0, 3)}),
            Case("integers", (INTEGERS,), {"size": (2, 2, 3)}),
            Case("truth values", (INTEGERS > 2,), {"size": (2, 2, 3)}),
        ),
        **_benchmark({"size": (-1, 16, 16)}, (8, 1, 16), (8, 1, 16)),
    ),
    Operation(
        tensor.repeat,
        lambda x, repeats: x.repeat(repeats),
        _repeat,
        cases=(
            Case("rows", (normal(2, 3),), {"repeats": (2, 1)}),
            Case("both axes", (normal(2, 2),), {"repeats": [2, 3]}),
            Case("axes in front", (normal(2, 2),), {"repeats": (2, 1, 2)}),
            Case("once", (normal(2, 3),), {"repeats": (1, 1)}),
            Case("no copy", (normal(2, 3),), {"repeats": (0, 2)}, zero=("grad_0",)),
            Case("a single number", (normal(),), {"repeats": (3,)}),
            Case("batch of 0", (normal(0, 2),), {"repeats": (2, 2)}),
            Case("integers", (INTEGERS,), {"repeats": (1, 2)}),
            Case("truth values", (INTEGERS > 2,), {"repeats": (1, 2)}),
        ),
        **_benchmark({"repeats": (1, 2, 2)}, (8, 16, 16), (16, 256, 256)),
    ),
    Operation(
        tensor.detach,
        torch.detach,
        _detach,
        cases=(
            Case("ordinary", (normal(2, 3),), no_grad=("grad_0",), smooth=False),
            Case("a single number", (normal(),), no_grad=("grad_0",), smooth=False),
            Case("integers", (INTEGERS,)),
            Case("truth values", (INTEGERS > 2,)),
        ),
        **_benchmark({}, no_grad=("grad_0",)),
    ),
)

MODULES = ()
