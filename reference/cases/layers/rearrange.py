"""Cases of rearranging."""

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal


def _flatten(x, start_dim=0, end_dim=-1):
    shape = list(np.atleast_1d(x).shape)
    start, end = start_dim % len(shape), end_dim % len(shape)
    while end > start:  # the last two of the axes become one
        shape[end - 1 : end + 1] = [shape[end - 1] * shape[end]]
        end -= 1
    return x.reshape(shape)


def _unflatten(x, dim, sizes):
    """Each entry along the axis finds its place among the new ones, counted as digits are, the last the fastest."""
    n = x.shape[dim]
    sizes = [n // abs(int(np.prod(sizes))) if size == -1 else size for size in sizes]
    lines = np.moveaxis(x, dim, 0)
    found = np.empty((*sizes, *lines.shape[1:]), dtype=object)
    for place, index in enumerate(np.ndindex(*sizes)):
        found[index] = lines[place]
    return np.moveaxis(found, range(len(sizes)), range(dim % x.ndim, dim % x.ndim + len(sizes)))


def _pixel_shuffle(x, upscale_factor):
    r, (channels, height, width) = upscale_factor, x.shape[-3:]
    c, h, w = np.ogrid[: channels // r**2, : r * height, : r * width]
    return x[..., r * r * c + r * (h % r) + w % r, h // r, w // r]


def _pixel_unshuffle(x, downscale_factor):
    r, (channels, height, width) = downscale_factor, x.shape[-3:]
    c, h, w = np.ogrid[: channels * r**2, : height // r, : width // r]
    return x[..., c // r**2, r * h + c // r % r, r * w + c % r]


def _channel_shuffle(x, groups):
    channels = np.arange(x.shape[1])
    return x[:, channels % groups * (x.shape[1] // groups) + channels // groups]


# Of nothing torch can shuffle pixels, or no channels, forwards alone: the tests of the chapter have them.
OPERATIONS = (
    Operation(
        manual.flatten,
        torch.flatten,
        _flatten,
        cases=(
            Case("everything", (normal(2, 3, 2),)),
            Case("all but the first axis", (normal(2, 3, 2),), {"start_dim": 1}),
            Case("all but the last axis", (normal(2, 3, 2),), {"end_dim": -2}),
            Case("axes in the midst", (normal(2, 1, 3, 2, 2),), {"start_dim": -4, "end_dim": 3}),
            Case("one axis", (normal(2, 3),), {"start_dim": 1, "end_dim": 1}),
            Case("of one axis", (normal(3),)),
            Case("a single number", (normal(),)),
            Case("batch of 0", (normal(0, 3, 2),), {"start_dim": 1}),
            Case("an axis of 0", (normal(2, 0, 2),), {"start_dim": 1}),
        ),
        small=Case("64 × 16 × 5 × 5", (normal(64, 16, 5, 5),), {"start_dim": 1}),
        large=Case("64 × 256 × 14 × 14", (normal(64, 256, 14, 14),), {"start_dim": 1}),
    ),
    Operation(
        manual.unflatten,
        torch.unflatten,
        _unflatten,
        cases=(
            Case("of one axis", (normal(6),), {"dim": 0, "sizes": (2, 3)}),
            Case("last axis", (normal(2, 6),), {"dim": -1, "sizes": [3, 2]}),
            Case("middle axis", (normal(2, 8, 2),), {"dim": 1, "sizes": (2, 2, 2)}),
            Case("a size is left to find", (normal(2, 6),), {"dim": 1, "sizes": (2, -1)}),
            Case("a size between others", (normal(12, 2),), {"dim": 0, "sizes": (1, -1, 3, 2)}),
            Case("all is left to find", (normal(2, 3),), {"dim": 0, "sizes": (-1,)}),
            Case("batch of 0", (normal(0, 6),), {"dim": 1, "sizes": (3, -1)}),
            Case("an axis of 0", (normal(2, 0),), {"dim": 1, "sizes": (3, -1, 2)}),
            Case("an axis of 0, sizes of 0", (normal(2, 0),), {"dim": 1, "sizes": (3, 0)}),
        ),
        small=Case("64 × 400", (normal(64, 400),), {"dim": 1, "sizes": (16, 5, 5)}),
        large=Case("64 × 50,176", (normal(64, 50176),), {"dim": 1, "sizes": (256, 14, 14)}),
    ),
    Operation(
        manual.pixel_shuffle,
        F.pixel_shuffle,
        _pixel_shuffle,
        cases=(
            Case("r = 2", (normal(2, 8, 2, 3),), {"upscale_factor": 2}),
            Case("r = 3", (normal(1, 9, 2, 1),), {"upscale_factor": 3}),
            Case("r = 1", (normal(1, 2, 2, 3),), {"upscale_factor": 1}),
            Case("no batch", (normal(4, 3, 2),), {"upscale_factor": 2}),
            Case("two batch axes", (normal(2, 2, 4, 1, 2),), {"upscale_factor": 2}),
        ),
        small=Case("8 × 16 × 16 × 16", (normal(8, 16, 16, 16),), {"upscale_factor": 2}),
        large=Case("16 × 256 × 64 × 64", (normal(16, 256, 64, 64),), {"upscale_factor": 2}),
    ),
    Operation(
        manual.pixel_unshuffle,
        F.pixel_unshuffle,
        _pixel_unshuffle,
        cases=(
            Case("r = 2", (normal(2, 2, 4, 6),), {"downscale_factor": 2}),
            Case("r = 3", (normal(1, 2, 6, 3),), {"downscale_factor": 3}),
            Case("r = 1", (normal(1, 2, 2, 3),), {"downscale_factor": 1}),
            Case("no batch", (normal(1, 6, 4),), {"downscale_factor": 2}),
            Case("two batch axes", (normal(2, 2, 2, 2, 4),), {"downscale_factor": 2}),
        ),
        small=Case("8 × 4 × 32 × 32", (normal(8, 4, 32, 32),), {"downscale_factor": 2}),
        large=Case("16 × 64 × 128 × 128", (normal(16, 64, 128, 128),), {"downscale_factor": 2}),
    ),
    Operation(
        manual.channel_shuffle,
        F.channel_shuffle,
        _channel_shuffle,
        cases=(
            Case("2 groups", (normal(2, 6, 2, 2),), {"groups": 2}),
            Case("3 groups, 1d", (normal(2, 6, 2),), {"groups": 3}),
            Case("3 groups, 3d", (normal(1, 6, 1, 2, 2),), {"groups": 3}),
            Case("4 groups", (normal(1, 8, 1, 3),), {"groups": 4}),
            Case("one group", (normal(2, 3, 2),), {"groups": 1}),
            Case("a group for each channel", (normal(2, 3, 2),), {"groups": 3}),
            Case("batch of 0", (normal(0, 4, 2, 2),), {"groups": 2}),
            Case("no rows", (normal(1, 4, 0, 2),), {"groups": 2}),
        ),
        small=Case("8 × 16 × 16 × 16", (normal(8, 16, 16, 16),), {"groups": 4}),
        large=Case("32 × 240 × 56 × 56", (normal(32, 240, 56, 56),), {"groups": 3}),
    ),
)

MODULES = (
    ModuleCase(build("Flatten"), Case("all but the batch", (normal(2, 3, 2),))),
    ModuleCase(build("Flatten", 0, 1), Case("the first two axes", (normal(2, 3, 2),))),
    ModuleCase(build("Flatten", end_dim=2), Case("the middle axes", (normal(2, 3, 2, 2),))),
    ModuleCase(build("Unflatten", 1, (2, 3)), Case("second axis", (normal(2, 6),))),
    ModuleCase(build("Unflatten", -1, (-1, 2)), Case("last axis", (normal(2, 6),))),
    ModuleCase(build("PixelShuffle", 2), Case("r = 2", (normal(1, 4, 2, 3),))),
    ModuleCase(build("PixelUnshuffle", 2), Case("r = 2", (normal(1, 2, 4, 2),))),
    ModuleCase(build("ChannelShuffle", 2), Case("2 groups", (normal(1, 6, 2),))),
)
