"""Cases of resizing."""

import warnings
from typing import Any

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.exact import PI, mp


def _interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False):
    count = x.ndim - 2
    factors = scale_factor if isinstance(scale_factor, tuple) else (scale_factor,) * count
    sizes = size if isinstance(size, tuple) else (size,) * count
    if size is None:
        sizes = [int(n * factor) for n, factor in zip(x.shape[2:], factors)]
    if recompute_scale_factor or mode == "area":
        factors = (None,) * count
    for axis, (n, m, factor) in enumerate(zip(x.shape[2:], sizes, factors), start=2):
        matrix = np.zeros((m, n), dtype=object)
        for i in range(m):
            for j, weight in _row(i, n, m, factor, mode, align_corners, antialias):
                matrix[i, j] += weight
        x = np.moveaxis(np.tensordot(x, matrix, (axis, 1)), -1, axis)
    return x


def _row(i, n, m, factor, mode, align_corners, antialias):
    """Output i of m: of n inputs those that it reads, and their weights."""
    if mode == "area":
        read = [j for j in range(n) if j * m < (i + 1) * n and (j + 1) * m > i * n]
        return [(j, mp.one / len(read)) for j in read]
    if n == m and (antialias or mode == "linear"):
        return [(i, 1)]

    def scaled(k):
        return mp.mpf(k) * n / m if factor is None else mp.mpf(k) / mp.mpf(factor)

    if mode == "nearest":
        return [(min(int(mp.floor(scaled(i))), n - 1), 1)]
    if mode == "nearest-exact":
        return [(min(int(mp.floor(scaled(i + 0.5))), n - 1), 1)]
    ratio = scaled(1) if not align_corners else mp.mpf(n - 1) / (m - 1) if m > 1 else mp.zero
    stretch = max(ratio, 1) if antialias else 1
    place = i * ratio if align_corners and not antialias else (i + 0.5) * ratio - 0.5
    if mode == "bicubic":
        a = mp.mpf(-0.5 if antialias else -0.75)
        reach, kernel = 2, lambda d: cubic(d, a)
    elif mode == "lanczos":
        reach, kernel = 3, lambda d: _sinc(d) * _sinc(d / 3)
    else:
        reach, kernel = 1, lambda d: 1 - d
    read = [j for j in range(-3, n + 3) if abs(j - place) < reach * stretch and (not antialias or 0 <= j < n)]
    weights = [kernel(abs(j - place) / stretch) for j in read]
    total = sum(weights) if antialias else 1
    return [(min(max(j, 0), n - 1), weight / total) for j, weight in zip(read, weights)]


def cubic(d, a):
    """The kernel of cubic convolution at a distance."""
    return (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a


def _sinc(d):
    return mp.sin(PI * d) / (PI * d) if d else mp.one


def _upsample(x, **constants: Any):
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that it is an old name
        return F.upsample(x, **constants)


_SHAPES = {3: (2, 2, 4), 4: (1, 2, 4, 3), 5: (1, 1, 2, 4, 3)}
_LARGER, _SMALLER = {3: 7, 4: (5, 6), 5: (3, 5, 4)}, {3: 3, 4: (3, 2), 5: (1, 3, 2)}
_AXES = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5, "lanczos": 4}
_OWN_PLACES = "its backward takes an axis of equal size for one that stays, its forward does not"
_WEIGHTS = "its weights are right to a unit of 1, not of themselves"
_ONE_COLUMN = "its forward writes the first row of a single column into all"
_STAYS = "its forward takes an axis of equal size for one that stays, its backward does not"


def _sizes(mode, axes, label="", **constants: Any):
    """Larger, smaller, by a factor, and by the factor that the sizes have."""
    x, constants = (normal(*_SHAPES[axes]),), {"mode": mode, **constants}
    what = f"{mode}, {axes - 2} axes{label}"
    factors = (2.5, 0.7, 1.7)[: axes - 2]
    loses = _WEIGHTS if mode == "bicubic" else ""
    yield Case(f"{what}, larger", x, {**constants, "size": _LARGER[axes]}, torch_loses=loses)
    yield Case(f"{what}, smaller", x, {**constants, "size": _SMALLER[axes]}, torch_loses=loses)
    yield Case(f"{what}, twice as large", x, {**constants, "scale_factor": 2}, torch_loses=loses)
    yield Case(f"{what}, by factors", x, {**constants, "scale_factor": factors}, torch_loses=loses)


_antialiased = [
    *(
        Case(f"{mode}, antialias, {what}", (normal(*shape),), {"mode": mode, "antialias": True, **constants}, torch_loses=_WEIGHTS)
        for mode in ("bilinear", "bicubic", "lanczos")
        for what, shape, constants in (
            ("larger", (1, 2, 3, 2), {"size": (5, 3)}),
            ("smaller", (1, 1, 7, 5), {"size": (3, 2)}),
            ("batch of 0", (0, 1, 5, 3), {"size": 2}),
            ("by factors", (1, 1, 5, 2), {"scale_factor": (0.4, 1.7)}),
            ("by recomputed factors", (1, 1, 7, 2), {"scale_factor": (0.4, 1.7), "recompute_scale_factor": True}),
        )
    ),
    *(
        Case(
            f"{mode}, antialias, corners, {what}",
            (normal(*shape),),
            {"mode": mode, "antialias": True, "align_corners": True, **constants},
            torch_loses=_WEIGHTS,
        )
        for mode in ("bilinear", "bicubic")
        for what, shape, constants in (
            ("larger", (1, 2, 3, 2), {"size": (5, 3)}),
            ("smaller", (1, 1, 7, 5), {"size": (3, 2)}),
            ("a single row", (1, 1, 4, 2), {"size": (1, 3)}),
        )
    ),
    *(
        Case(f"{mode}, antialias, one column", (normal(1, 1, 6, 1),), {**constants, "size": (3, 1)}, torch_loses=_ONE_COLUMN)
        for mode in ("bilinear", "bicubic", "lanczos")
        for constants in ({"mode": mode, "antialias": True},)
    ),
    *(
        Case(
            f"{mode}, antialias, a factor and the same size",
            (normal(1, 1, 3, 4),),
            {"mode": mode, "antialias": True, "scale_factor": (0.7, 1.2)},
            torch_loses=_STAYS,
        )
        for mode in ("bilinear", "bicubic", "lanczos")
    ),
]

_plain = [
    *(case for axes in (3, 4, 5) for case in _sizes("nearest", axes)),
    *(case for axes in (3, 4) for case in _sizes("nearest-exact", axes)),
    *(case for axes in (3, 4, 5) for case in _sizes("area", axes)),
    *(case for mode in ("linear", "bilinear", "bicubic", "trilinear") for case in _sizes(mode, _AXES[mode])),
    *(
        case
        for mode in ("linear", "bilinear", "bicubic", "trilinear")
        for case in _sizes(mode, _AXES[mode], ", corners", align_corners=True)
    ),
    Case("corners not aligned, and said so", (normal(1, 1, 4),), {"mode": "linear", "size": 7, "align_corners": False}),
    Case("a single output, corners", (normal(1, 2, 4),), {"mode": "linear", "size": 1, "align_corners": True}),
    Case("a single input", (normal(2, 2, 1, 1),), {"mode": "bicubic", "size": (2, 3)}),
    *(Case(f"{mode}, the same size", (normal(2, 1, 3),), {"mode": mode, "size": 3}) for mode in ("nearest", "linear", "area")),
    Case("nearest, just below a pixel", (normal(1, 2, 5),), {"scale_factor": 0.5001}),  # 1 / 0.5001 is 1.9996
    Case("nearest-exact, just below a pixel", (normal(1, 2, 5),), {"scale_factor": 0.25004, "mode": "nearest-exact"}),
    Case("linear, a factor and the same size", (normal(1, 2, 4),), {"mode": "linear", "scale_factor": 1.2}),
    Case("nearest, a factor and the same size", (normal(1, 2, 4),), {"scale_factor": 1.2}, torch_loses=_OWN_PLACES),
    Case(
        "bicubic, a factor and the same size",
        (normal(1, 1, 4, 3),),
        {"mode": "bicubic", "scale_factor": 1.2},
        torch_loses=_OWN_PLACES,
    ),
    *(Case(f"{mode}, batch of 0", (normal(0, 2, 4),), {"mode": mode, "size": 3}) for mode in ("nearest", "linear", "area")),
]


def _cases(more):
    return (Case("nearest", (normal(2, 3, 4),), {"size": 6}), *_plain, *more)


_recomputed = [
    Case(
        f"{mode}, a recomputed factor",
        (normal(*_SHAPES[axes]),),
        {"mode": mode, "scale_factor": 2.6, "recompute_scale_factor": True},
        torch_loses=_WEIGHTS if mode == "bicubic" else "",
    )
    for mode, axes in {**_AXES, "nearest": 3, "nearest-exact": 4, "area": 3}.items()
    if mode != "lanczos"
]
_not_recomputed = [
    Case("a factor that is not recomputed", (normal(1, 1, 4),), {"scale_factor": 2.6, "recompute_scale_factor": False}),
    Case("a size, nothing recomputed", (normal(1, 1, 4),), {"size": 7, "recompute_scale_factor": False}),
]

_SMALL = Case("(2, 16, 16, 16) twice as large, bilinear", (normal(2, 16, 16, 16),), {"scale_factor": 2, "mode": "bilinear"})
_LARGE = Case("(16, 64, 32, 32) twice as large, bilinear", (normal(16, 64, 32, 32),), {"scale_factor": 2, "mode": "bilinear"})

OPERATIONS = (
    Operation(
        manual.interpolate,
        F.interpolate,
        _interpolate,
        cases=_cases([*_recomputed, *_not_recomputed, *_antialiased]),
        small=_SMALL,
        large=_LARGE,
    ),
    Operation(manual.upsample, _upsample, _interpolate, cases=_cases([]), small=_SMALL, large=_LARGE),
)

MODULES = (
    ModuleCase(build("Upsample", scale_factor=2), Case("by a factor", (normal(2, 2, 3),))),
    ModuleCase(build("Upsample", 5, mode="nearest-exact"), Case("to a size", (normal(2, 2, 3),))),
    ModuleCase(build("Upsample", size=(5, 2), mode="bicubic"), Case("two axes", (normal(2, 2, 3, 4),))),
    ModuleCase(
        build("Upsample", scale_factor=(1.5, 0.5, 3.0), mode="trilinear", align_corners=True),
        Case("corners", (normal(1, 2, 2, 3, 2),)),
    ),
    ModuleCase(
        build("Upsample", scale_factor=2.6, mode="linear", recompute_scale_factor=True), Case("recomputed", (normal(1, 2, 4),))
    ),
    ModuleCase(build("UpsamplingNearest2d", scale_factor=2), Case("by a factor", (normal(2, 2, 3, 2),))),
    ModuleCase(build("UpsamplingNearest2d", (2, 5)), Case("to a size", (normal(2, 2, 3, 2),))),
    ModuleCase(build("UpsamplingBilinear2d", scale_factor=(2.0, 1.5)), Case("by factors", (normal(2, 2, 3, 2),))),
    ModuleCase(build("UpsamplingBilinear2d", 4), Case("to a size", (normal(2, 2, 3, 2),))),
)
