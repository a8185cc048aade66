"""Cases of dropout."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.exact import mp

ALPHA = mp.mpf(1.7580993408473766)


def _dropout(x, p=0.5, training=True, mask=None):
    return x * (mask / (1 - mp.mpf(p)) if p < 1 else 0) if training and mask is not None else x  # without one, p is 0


def _alpha_dropout(x, p=0.5, training=False, mask=None):
    if not training or mask is None:
        return x
    a = ((1 - mp.mpf(p)) * (1 + p * ALPHA**2)) ** -mp.mpf("0.5") if p < 1 else mp.zero
    return np.where(mask, a * (x + ALPHA * p), 0 * x - a * ALPHA * (1 - p))


Dropout = Callable[..., torch.Tensor]


def _replayed(function: Dropout) -> Dropout:
    """Torch's function, which draws the same mask each time: the one that the case gives to `manual`."""

    def replay(x: torch.Tensor, p: float = 0.5, training: bool = True, mask: Any = None) -> torch.Tensor:
        if mask is None:
            return function(x, p, training)
        with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):  # dropout2d warns of three axes
            torch.manual_seed(3)
            return function(x.contiguous(), p, training)  # it draws in the order of the memory

    return replay


def _drawn(function: Dropout, shape: tuple[int, ...], drawn: int, p: float) -> Any:
    """The mask that torch draws, along the first axes alone: where ones are kept, they stay above 0."""
    kept = _replayed(function)(torch.ones(shape), p, mask=True).numpy() > 0
    return kept[(slice(None),) * drawn + (slice(1),) * (len(shape) - drawn)]


Shape = tuple[tuple[int, ...], int]  # of x, and the number of axes along which is drawn


def _operation(ours: Any, theirs: Dropout, definition: Any, small: Any, large: Any, **shapes: Shape) -> Operation:
    """The first of the shapes is that of all cases which are not about shapes."""
    first = next(iter(shapes.values()))

    def case(label: str, array: Any, p: float, shape: Shape = first, **about: Any) -> Case:
        return Case(label, (array,), {"p": p, "training": True, "mask": _drawn(theirs, *shape, p)}, **about)

    ordinary = normal(*first[0])
    wild = np.ones(first[0])
    wild.flat[::3], wild.flat[1::3] = np.inf, np.nan
    timed = {"p": 1e-12, "training": True}  # all is drawn, and nothing dropped
    return Operation(
        ours,
        _replayed(theirs),
        definition,
        cases=(
            *(case(label.replace("_", " "), normal(*shape[0]), 0.5, shape) for label, shape in shapes.items()),
            *(case(f"p = {p}", ordinary, p) for p in (0.0, 0.1, 0.75)),
            case("p = 1", ordinary, 1, zero=("grad_0",)),
            case("∞ and NaN", wild, 0.5, judge="torch", smooth=False),
            case("∞ and NaN, p = 1", wild, 1.0, zero=("grad_0",), judge="torch", smooth=False),
            Case("p = 0, no mask", (ordinary,), {"p": 0.0, "training": True}),
            Case("evaluation", (ordinary,), {"training": False}),
            Case("evaluation, ∞ and NaN", (wild,), {"p": 0.9, "training": False}, judge="torch", smooth=False),
        ),
        small=Case(" × ".join(map(str, small)), (normal(*small),), timed),
        large=Case(" × ".join(map(str, large)), (normal(*large),), timed),
    )


_any: dict[str, Shape] = {
    "two_axes": ((4, 6), 2),
    "one_axis": ((8,), 1),
    "four_axes": ((2, 3, 2, 2), 4),
    "a_single_number": ((), 0),
    "batch_of_0": ((0, 3), 2),
    "batch_of_1": ((1, 6), 2),
}
_sequences: dict[str, Shape] = {"batch": ((3, 4, 2), 2), "no_batch": ((8, 3), 1), "batch_of_0": ((0, 3, 2), 2)}
_images: dict[str, Shape] = {"batch": ((3, 4, 2, 1), 2), "three_axes": ((3, 4, 2), 2), "batch_of_0": ((0, 3, 2, 2), 2)}
_volumes: dict[str, Shape] = {"batch": ((3, 4, 2, 1, 2), 2), "no_batch": ((8, 1, 2, 2), 1), "batch_of_0": ((0, 3, 2, 2, 1), 2)}
_features: dict[str, Shape] = {"images": ((3, 4, 2, 1), 2), "two_axes": ((3, 5), 2), "batch_of_0": ((0, 3, 2), 2)}

OPERATIONS = (
    _operation(manual.dropout, F.dropout, _dropout, (64, 128), (4096, 1024), **_any),
    _operation(manual.dropout1d, F.dropout1d, _dropout, (64, 16, 32), (64, 64, 1024), **_sequences),
    _operation(manual.dropout2d, F.dropout2d, _dropout, (16, 16, 8, 8), (64, 64, 32, 32), **_images),
    _operation(manual.dropout3d, F.dropout3d, _dropout, (8, 16, 4, 4, 4), (32, 32, 16, 16, 16), **_volumes),
    _operation(manual.alpha_dropout, F.alpha_dropout, _alpha_dropout, (64, 128), (4096, 1024), **_any),
    _operation(
        manual.feature_alpha_dropout, F.feature_alpha_dropout, _alpha_dropout, (16, 16, 8, 8), (64, 64, 32, 32), **_features
    ),
)

# In training a module draws by itself: nothing and everything can be dropped in one way alone, the rest is in the tests
_SHAPES = {
    "Dropout": (4, 3),
    "Dropout1d": (2, 3, 2),
    "Dropout2d": (2, 3, 2, 2),
    "Dropout3d": (1, 3, 2, 1, 2),
    "AlphaDropout": (4, 3),
    "FeatureAlphaDropout": (2, 3, 2),
}

MODULES = (
    *(ModuleCase(build(name, 0.0), Case("p = 0.0", (normal(*shape),))) for name, shape in _SHAPES.items()),
    *(ModuleCase(build(name, 1.0), Case("p = 1.0", (normal(*shape),), zero=("grad_0",))) for name, shape in _SHAPES.items()),
    *(ModuleCase(build(name), Case("evaluation", (normal(*shape),)), training=False) for name, shape in _SHAPES.items()),
)
