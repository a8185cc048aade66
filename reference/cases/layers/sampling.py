"""Cases of reading at any places."""

import warnings
from itertools import product
from math import prod

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, normal
from reference.cases.layers.upsampling import cubic
from reference.exact import Dual, mp

MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Each pixel that a place reads makes a term. Its weight, and the slope of that, are differences of places, which cancel: one
    unit of rounding moves them by some n units, however small they are. Two terms that cancel say so.
    """
    batch, channels, *sizes = x.shape
    shape = (batch, channels, *grid.shape[1:-1])
    count = {"bilinear": 2, "nearest": 1, "bicubic": 4}[mode] ** len(sizes)
    terms = [np.zeros(shape, dtype=object) for _ in range(3 * count)]
    for image, *at in np.ndindex(batch, *grid.shape[1:-1]):
        coordinates = grid[image, *at][::-1]
        moved = sum(c - _number(c) for c in coordinates) * max(sizes)
        axes = [_read(c, n, mode, padding_mode, align_corners) for c, n in zip(coordinates, sizes)]
        for k, picks in enumerate(product(*axes)):
            pixel, weights, blurs = zip(*picks)
            if None in pixel:
                continue
            blur = sum(b * prod(abs(_number(w)) for j, w in enumerate(weights) if j != i) for i, b in enumerate(blurs))
            for channel in range(channels):
                value = x[image, channel, *pixel]
                here = (image, channel, *at)
                terms[3 * k][here] = prod(weights[1:], start=weights[0]) * value
                terms[3 * k + 1][here] = blur * value * (1 + moved)
                terms[3 * k + 2][here] = -terms[3 * k + 1][here]
    return terms


def _read(c, n, mode, padding_mode, align_corners):
    """The pixels of an axis that a coordinate reads (None outside), their weights, and the units by which these are uncertain."""
    p = (c + 1) * (n - 1) / 2 if align_corners else ((c + 1) * n - 1) / 2

    def padded(p):
        return p if padding_mode == "zeros" else _padded(p, n, padding_mode, align_corners)

    if mode == "nearest":
        read = [(int(mp.nint(_number(padded(p)))), mp.one, mp.zero)]
    elif mode == "bilinear":
        p = padded(p)
        first = int(mp.floor(_number(p)))
        read = [(first, first + 1 - p, mp.mpf(n)), (first + 1, p - first, mp.mpf(n))]
    else:
        first = int(mp.floor(_number(p)))
        pixels = range(first - 1, first + 3)
        read = [(int(padded(mp.mpf(j))), cubic(abs(p - j), mp.mpf(-0.75)), mp.mpf(n)) for j in pixels]
    return [(j if 0 <= j < n else None, weight, blur) for j, weight, blur in read]


def _padded(p, n, padding_mode, align_corners):
    if padding_mode == "reflection" and not (n == 1 and align_corners):
        low, high = (0, n - 1) if align_corners else (mp.mpf(-0.5), n - mp.mpf(0.5))
        while not low <= p <= high:
            p = 2 * low - p if p < low else 2 * high - p
    return mp.zero if p <= 0 else mp.mpf(n - 1) if p >= n - 1 else p


def _number(z):
    return z.value if isinstance(z, Dual) else z


def _affine_grid(theta, size, align_corners=None):
    batch, _, *sizes = size
    grid = np.empty((batch, *sizes, len(sizes)), dtype=object)
    for image, *at in np.ndindex(batch, *sizes):
        place = [mp.mpf(2 * i + 1 - n) / (max(n - 1, 1) if align_corners else n) for i, n in zip(reversed(at), reversed(sizes))]
        grid[image, *at] = theta[image] @ np.array([*place, mp.one], dtype=object)
    return grid


def _torchs_affine_grid(theta, size, align_corners):
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # that a single row was once elsewhere
        return F.affine_grid(theta, size, align_corners=align_corners)


def places(shape, sizes, align_corners, beyond=1):
    """Coordinates of random places, up to so many pixels beyond the edges, none of them near a pixel or halfway between two."""

    def draw(generator):
        coordinates = []
        for n in reversed(sizes):
            p = generator.integers(-beyond, n + beyond - 1, shape) + generator.uniform(0.1, 0.4, shape)
            p += generator.choice([0, 0.5], shape)
            coordinates.append(2 * p / max(n - 1, 1) - 1 if align_corners else (2 * p + 1) / n - 1)
        return np.stack(coordinates, axis=-1)

    return draw


def _sampling_cases():
    for mode, padding_mode, align_corners in product(MODES, PADDINGS, (False, True)):
        constants = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
        label = f"{mode}, {padding_mode}{', corners' * align_corners}"
        zero = ("grad_1",) * (mode == "nearest")  # in steps
        yield Case(label, (normal(2, 2, 3, 4), places((2, 2, 3), (3, 4), align_corners)), constants, zero)
        yield Case(f"{label}, one row", (normal(1, 1, 1, 3), places((1, 3, 3), (1, 3), align_corners)), constants, zero)
        if padding_mode == "reflection":
            far = places((1, 2, 2), (3, 2), align_corners, 9)
            yield Case(f"{label}, far beyond", (normal(1, 1, 3, 2), far), constants, zero)
        if mode != "bicubic":
            volume = normal(1, 1, 2, 3, 2), places((1, 2, 2, 2), (2, 3, 2), align_corners)
            yield Case(f"{label}, volume", volume, constants, zero)
        # Pixels, halves between them and folds: of three aligned pixels, p = c + 1; of four that are not, p = 2 c + 1.5
        across = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0) if align_corners else (-1.25, -1.0, -0.75, -0.25, 0.0, 0.25, 0.75, 1.0)
        grid = [[[[c, down] for c in across] for down in (0.0, 0.25)]]
        x = normal(1, 1, 3, 3) if align_corners else normal(1, 1, 4, 4)
        yield Case(f"{label}, on pixels and edges", (x, grid), constants, zero, smooth=False)
    corners = {"align_corners": False}
    yield Case("batch of 0", (normal(0, 2, 3, 3), normal(0, 2, 2, 2)), corners)
    yield Case("no channels", (normal(2, 0, 3, 3), normal(2, 2, 2, 2)), corners, zero=("grad_1",))
    yield Case("no places", (normal(2, 2, 3, 3), normal(2, 0, 2, 2)), corners, zero=("grad_0",))


OPERATIONS = (
    Operation(
        manual.grid_sample,
        F.grid_sample,
        _grid_sample,
        cases=tuple(_sampling_cases()),
        small=Case(
            "(2, 16, 16, 16), bilinear",
            (normal(2, 16, 16, 16), places((2, 16, 16), (16, 16), False)),
            {"align_corners": False},
        ),
        large=Case(
            "(16, 64, 32, 32), bilinear",
            (normal(16, 64, 32, 32), places((16, 32, 32), (32, 32), False)),
            {"align_corners": False},
        ),
    ),
    Operation(
        manual.affine_grid,
        _torchs_affine_grid,
        _affine_grid,
        cases=(
            *(
                Case(f"{what}{', corners' * corners}", (normal(*shape),), {"size": size, "align_corners": corners})
                for what, shape, size in (
                    ("images", (2, 2, 3), (2, 3, 4, 3)),
                    ("volumes", (2, 3, 4), (2, 1, 2, 3, 4)),
                    ("an image", (1, 2, 3), (1, 1, 5, 2)),
                )
                for corners in (False, True)
            ),
            Case("one row", (normal(2, 2, 3),), {"size": (2, 1, 1, 3), "align_corners": False}),
            Case("one row, corners", (normal(2, 2, 3),), {"size": (2, 1, 1, 3), "align_corners": True}),
            Case("one pixel", (normal(2, 2, 3),), {"size": (2, 1, 1, 1), "align_corners": False}),
        ),
        small=Case("(2, 1, 16, 16)", (normal(2, 2, 3),), {"size": (2, 1, 16, 16), "align_corners": False}),
        large=Case("(64, 1, 128, 128)", (normal(64, 2, 3),), {"size": (64, 1, 128, 128), "align_corners": False}),
    ),
)

MODULES: tuple[ModuleCase, ...] = ()
