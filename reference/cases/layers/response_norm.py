"""Cases of normalisation by the size of the neighbours."""

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.normalization import scaled
from reference.exact import each, mp


def _p_norm(x, p):
    """The p-norm along the last axis; ties share, and 0 has no slope."""
    size = abs(x)
    if np.isinf(p):
        extreme = (size.max if p > 0 else size.min)(axis=-1, keepdims=True)
        chosen = (size == extreme).astype(int)
        return (size * chosen).sum(axis=-1) / chosen.sum(axis=-1)
    if p == 0:
        return (size != 0).astype(int).sum(axis=-1)
    powers = each(lambda z: z**p if z != 0 else mp.inf if p < 0 else mp.zero)(size)
    return each(lambda total: total ** (1 / mp.mpf(p)) if 0 < total < mp.inf else mp.zero)(powers.sum(axis=-1))


def _normalize(x, p=2.0, dim=1, eps=1e-12):
    dims = tuple(range(x.ndim)) if dim in (None, ()) else tuple(np.atleast_1d(dim) % max(x.ndim, 1))
    moved = np.moveaxis(np.atleast_1d(x), dims, range(-len(dims), 0))
    rows = moved.reshape(*moved.shape[: moved.ndim - len(dims)], int(np.prod(moved.shape[moved.ndim - len(dims) :])))
    norm = np.asarray(_p_norm(rows, p))
    inverse = each(lambda n: mp.one / (n if n >= eps else mp.mpf(eps)))(norm)[..., None]
    return [np.moveaxis(t.reshape(moved.shape), range(-len(dims), 0), dims).reshape(x.shape) for t in scaled(rows, inverse)]


def _local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    sums = [
        sum(x[:, j] ** 2 for j in range(max(c - size // 2, 0), min(c + (size - 1) // 2, x.shape[1] - 1) + 1))
        for c in range(x.shape[1])
    ]
    if not sums:
        return x
    return scaled(x, (k + alpha * np.stack(sums, axis=1) / size) ** -mp.mpf(beta))


_normalize_cases = (
    *(Case(f"p = {p}", (normal(2, 4),), {"p": p}) for p in (2, 1, 3, 1.5, 0.5, np.inf, -np.inf, -1.0, 0.0)),
    Case("along the first axis", (normal(3, 2),), {"dim": 0}),
    Case("along a middle axis", (normal(2, 3, 2),)),
    Case("along the first of three axes", (normal(2, 3, 2),), {"dim": 0}),
    Case("from the end", (normal(2, 3, 2),), {"dim": -1, "p": 3.0}),
    Case("two axes", (normal(2, 3, 2),), {"dim": (0, -1)}),
    Case("two axes in another order", (normal(2, 3, 2),), {"dim": [2, 1], "p": 1.0}),
    Case("all axes", (normal(2, 3),), {"dim": None}),
    Case("no axis, which is all", (normal(2, 3),), {"dim": ()}),
    Case("one vector", (normal(3),), {"dim": 0}),
    Case("one number", (normal(),), {"dim": 0}, zero=("grad_0",)),
    Case("vectors of one number", (normal(3, 1),), zero=("grad_0",)),
    Case("batch of 0", (normal(0, 3),)),
    Case("no features", (normal(2, 0),)),
    Case("shorter than eps", (normal(2, 3, scale=0.01),), {"eps": 0.5}),
    *(Case(f"shorter than eps, p = {p}", (normal(2, 3, scale=0.01),), {"eps": 0.5, "p": p}) for p in (1.0, 3.0, np.inf, 0.0)),
    Case("as long as eps", ([[3.0, 4.0]],), {"eps": 5.0}, smooth=False),
    Case("eps below 0", (normal(2, 3),), {"eps": -1.0}),
    *(
        Case(f"zeros, p = {p}", ([[0.0, 0.0], [0.5, 0.0]],), {"p": p, "eps": 0.25}, smooth=False)
        for p in (1.0, 1.5, 2.0, 3.0, np.inf)
    ),
    Case("zeros, p = 0.5", ([[0.0, 0.0], [0.5, 0.0]],), {"p": 0.5, "eps": 0.25}, smooth=False),
    Case("zeros, p = -1", ([[0.0, 0.0], [0.5, 0.0]],), {"p": -1.0, "eps": 0.25}, smooth=False),
    Case("ties, p = ∞", ([[3.0, -3.0, 1.0]],), {"p": np.inf}, smooth=False),
    Case("ties, p = −∞", ([[3.0, -1.0, 1.0]],), {"p": -np.inf}, smooth=False),
    Case("large, p = 3", ([[1e13, -2e13]],), {"p": 3.0}, torch_loses="the third power overflows"),
)

_strong: dict = {"alpha": 0.5, "beta": 0.7, "k": 2.0}
_local_cases = (
    *(Case(f"size {size}", (normal(2, 4, 2),), {"size": size, **_strong}) for size in (1, 2, 3, 4, 5, 9)),
    Case("defaults", (normal(2, 4, 2),), {"size": 3}),
    Case("images", (normal(1, 3, 2, 2),), {"size": 2, **_strong}),
    Case("volumes", (normal(1, 2, 1, 2, 2),), {"size": 3, **_strong}),
    Case("one channel", (normal(2, 1, 3),), {"size": 3, **_strong}),
    Case("k = 0", (normal(2, 3, 2),), {"size": 3, "k": 0.0, "alpha": 2.0, "beta": 0.5}),
    Case("β below 0", (normal(2, 3, 2),), {"size": 3, "beta": -1.25, "alpha": 0.5}),
    Case("batch of 0", (normal(0, 3, 2),), {"size": 3}),
    Case("no channels", (normal(2, 0, 2),), {"size": 3}),
    Case("no cells", (normal(2, 3, 0),), {"size": 3}),
)

OPERATIONS = (
    Operation(
        manual.normalize,
        F.normalize,
        _normalize,
        cases=_normalize_cases,
        small=Case("64 × 128", (normal(64, 128),)),
        large=Case("4096 × 1024", (normal(4096, 1024),)),
    ),
    Operation(
        manual.local_response_norm,
        F.local_response_norm,
        _local_response_norm,
        cases=_local_cases,
        small=Case("8 × 16 × 8 × 8", (normal(8, 16, 8, 8),), {"size": 5}),
        large=Case("32 × 64 × 28 × 28", (normal(32, 64, 28, 28),), {"size": 5}),
    ),
)


def _cross_map(module):
    """What torch's module computes, left to autograd: its own backward adds over other windows than its forward."""

    def respond(x):
        reach, channel = int((module.size - 1) / 2 + 1), torch.arange(x.shape[1])
        window = ((channel[:, None] - channel).abs() < reach) | (channel == 0)
        sums = torch.einsum("cd,ndhw->nchw", window.to(x.dtype), x**2)
        return x * (module.k + module.alpha / module.size * sums) ** -module.beta

    return respond


MODULES = (
    ModuleCase(build("LocalResponseNorm", 3), Case("defaults", (normal(2, 4, 2),))),
    ModuleCase(build("LocalResponseNorm", 2, **_strong), Case("alpha, beta and k", (normal(2, 4, 2),))),
    ModuleCase(build("CrossMapLRN2d", 3), Case("defaults", (normal(2, 4, 2, 1),)), torch=_cross_map),
    *(
        ModuleCase(build("CrossMapLRN2d", size, **_strong), Case(f"size {size}", (normal(2, 5, 2, 1),)), torch=_cross_map)
        for size in (1, 2, 3, 4, 5, 11)
    ),
    ModuleCase(build("CrossMapLRN2d", 5, **_strong), Case("all channels in all windows", (normal(2, 2, 2, 1),))),
)
