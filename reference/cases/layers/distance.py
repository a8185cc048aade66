"""Cases of distances."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.exact import detach, each, mp, parts


def _cosine_similarity(x1, x2, dim=1, eps=1e-8):
    x1, x2 = (np.moveaxis(np.atleast_1d(x), dim, -1) for x in np.broadcast_arrays(x1, x2))
    inverse = 1 / (_clamped(x1, eps) * _clamped(x2, eps))
    # The product rule's two terms, which cancel: what moves the dot product, and what moves the norms
    terms = [x1[..., k] * x2[..., k] * detach(inverse) for k in range(x1.shape[-1])] or [0 * inverse]
    return terms + [detach(x1[..., k] * x2[..., k]) * (inverse - detach(inverse)) for k in range(x1.shape[-1])]


def _clamped(x, eps):
    """The norm, at least eps, with the derivative of the norm."""
    norm = np.asarray((x**2).sum(axis=-1)) ** mp.mpf("0.5")
    return np.maximum(detach(norm), eps) + (norm - detach(norm))


def norm(x, p):
    """The textbook norm along the last axis."""
    size = abs(x)
    if p == 0:
        return (size > 0).sum(axis=-1) + 0 * size.sum(axis=-1)
    if np.isinf(p):
        extreme = size.argmax(axis=-1, keepdims=True) if p > 0 else size.argmin(axis=-1, keepdims=True)
        return np.asarray(np.take_along_axis(size, extreme, -1)[..., 0])
    return np.asarray((size**p).sum(axis=-1)) ** (1 / mp.mpf(p))


def distance(a, b, p, eps):
    """Terms of the norm of the difference: for each entry two, as it is a sum itself, of a − b and eps, which can cancel."""
    apart = np.atleast_1d(a - b)
    difference = apart + eps
    terms = [norm(detach(difference), p)]
    for k, term in enumerate(parts(lambda moved: norm(moved, p), difference)):
        share = _ratio(detach(apart[..., k]), detach(difference[..., k]))
        terms += [term * share, term * (1 - share)]
    return terms


_ratio = each(lambda part, whole: part / whole if whole else mp.one, 2)


def _pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    terms = distance(x1, x2, p, eps)
    return [np.asarray(term)[..., None] for term in terms] if keepdim and (x1.ndim or x2.ndim) else terms


def _pdist(x, p=2.0):
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))]
    found = np.empty(len(pairs), dtype=object)
    found[:] = [np.asarray(norm(x[i] - x[j], p)).item() for i, j in pairs]
    return found


_pair = normal(4, 3), normal(4, 3)

_cosine_cases = (
    Case("batch of 4", _pair),
    Case("first axis", _pair, {"dim": 0}),
    Case("middle axis", (normal(2, 3, 2), normal(2, 3, 2)), {"dim": -2}),
    Case("no batch", (normal(3), normal(3)), {"dim": 0}),
    Case("batch of 0", (normal(0, 3), normal(0, 3))),
    Case("batch of 1", (normal(1, 3), normal(1, 3)), {"dim": -1}),
    Case("an axis of 0", (normal(2, 0), normal(2, 0))),
    Case("one for all", (normal(4, 3), normal(3)), {"dim": -1}),
    Case("all pairs", (normal(3, 1, 2), normal(1, 4, 2)), {"dim": 2}),
    # Of these the gradient would be zero, but for the clamp
    Case("single numbers", (normal(), normal()), {"dim": 0, "eps": 5.0}, smooth=False),
    Case("x1 is repeated along the axis", (normal(4, 1), normal(4, 3)), {"eps": 5.0}, smooth=False),
    Case("x2 has one axis more, the axis", (normal(3), normal(2, 3)), {"dim": 0, "eps": 5.0}, smooth=False),
    Case("at the clamp", ([[3.0, 4.0]], [[1.0, 2.0]]), {"eps": 5.0}, smooth=False),
    Case("both clamped", ([[3.0, 4.0]], [[1.0, 2.0]]), {"eps": 10.0}, smooth=False),
    Case("one clamped", ([[3.0, 4.0], [0.25, -0.5]], [[1.0, 2.0], [2.0, 2.0]]), {"eps": 1.0}, smooth=False),
    Case("no clamp", _pair, {"eps": 0.0}),
    Case("a zero vector", ([[0.0, 0.0]], [[1.0, 2.0]]), {"eps": 0.5}, zero=("grad_1",), smooth=False),
    Case("two zero vectors", ([[0.0, 0.0]], [[0.0, 0.0]]), zero=("grad_0", "grad_1"), smooth=False),
    Case("nearly parallel", ([[1.0, 2.0, 3.0]], [[1.0001, 2.0, 3.0]])),
    Case("±10,000", ([[1e4, -1e4, 0.5]], [[1e4, 5e3, -0.5]])),
)

_ALL_P = 0, 0.5, 1, 1.5, 2, 3, 4.5, np.inf

_pairwise_cases = (
    *(Case(f"p = {p}", _pair, {"p": p}, zero=() if p else ("grad_0", "grad_1")) for p in (*_ALL_P, -1, -2.5, -np.inf)),
    Case("an axis is kept", _pair, {"keepdim": True}),
    Case("an axis is kept, p = 3", (normal(2, 2, 3), normal(2, 2, 3)), {"keepdim": True, "p": 3.0}),
    Case("eps", _pair, {"eps": 0.25}),
    Case("eps below 0, p = 1", _pair, {"eps": -0.25, "p": 1}),
    Case("no batch", (normal(3), normal(3))),
    Case("no batch, an axis is kept", (normal(3), normal(3)), {"keepdim": True}),
    Case("single numbers", (normal(), normal()), {"keepdim": True}),
    Case("a single number and a vector", (normal(), normal(3)), {"keepdim": True, "p": 1.5}),
    Case("a vector and a single number", (normal(3), normal()), {"keepdim": True}),
    Case("batch of 0", (normal(0, 3), normal(0, 3)), {"p": 3.0}),
    Case("batch of 1", (normal(1, 3), normal(1, 3))),
    Case("no numbers", (normal(2, 0), normal(2, 0))),
    Case("one for all", (normal(4, 3), normal(3))),
    Case("all pairs", (normal(3, 1, 2), normal(4, 2)), {"p": 3}),
    Case("x1 is repeated within each vector", (normal(4, 1), normal(4, 3))),
    Case("eps makes the difference 0", ([[-0.5, -0.5]], [[0.0, 0.0]]), {"eps": 0.5}, zero=("grad_0", "grad_1"), smooth=False),
    *(
        Case(f"the same twice, p = {p}", ([[1.0, 2.0], [3.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]), {"p": p, "eps": 0.0}, smooth=False)
        for p in (0.5, 1, 1.5, 2, 3, np.inf)
    ),
    *(
        Case(
            f"a difference of 0, p = {p}",
            ([[1.0, 2.0], [3.0, 1.0]], [[1.0, 2.5], [2.0, 2.0]]),
            {"p": p, "eps": 0.0},
            judge="torch",
            smooth=False,
        )
        for p in (-1, -2.5, -np.inf)
    ),
    Case("all 0, p = -1", ([[1.0, 2.0]], [[1.0, 2.0]]), {"p": -1, "eps": 0.0}, ("grad_0", "grad_1"), judge="torch", smooth=False),
    *(
        Case(f"a tie, p = {p}", ([[1.0, 2.0, 5.0]], [[2.0, 1.0, 5.5]]), {"p": p, "eps": 0.0}, judge="torch", smooth=False)
        for p in (np.inf, -np.inf)
    ),
    Case("ties everywhere, p = -∞", ([[1.0, 2.0]], [[2.0, 1.0]]), {"p": -np.inf, "eps": 0.0}, judge="torch", smooth=False),
    Case("near each other", ([[1000.0, 2000.0]], [[1000.5, 1999.75]]), smooth=False),
    Case("far apart, p = 3", ([[1e13, 2e13]], [[-1e13, 3e13]]), {"p": 3.0}, torch_loses="the third power overflows"),
    Case(
        "p = 300",
        ([[12.0, 9.0, 6.0]], [[0.0, 0.0, -6.0]]),
        {"p": 300.0, "eps": 0.0},
        smooth=False,
        torch_loses="the 300th power overflows",
    ),
    Case("tiny, p = -3", ([[1e-13, 2e-13]], [[-1e-13, 3e-13]]), {"p": -3.0, "eps": 0.0}, torch_loses="the power overflows"),
)

_pdist_cases = (
    *(Case(f"p = {p}", (normal(4, 3),), {"p": p}, zero=() if p else ("grad_0",)) for p in _ALL_P),
    Case("as a rule", (normal(5, 2),)),
    Case("two vectors", (normal(2, 3),)),
    Case("one vector", (normal(1, 3),), zero=("grad_0",)),
    Case("no numbers", (normal(3, 0),)),
    Case("single numbers", (normal(4, 1),), {"p": 3}),
    *(
        Case(f"the same twice, p = {p}", ([[1.0, 2.0], [1.0, 2.0], [2.0, 2.0], [3.0, 4.5]],), {"p": p}, smooth=False)
        for p in (0.5, 1, 1.5, 2, 3, np.inf)
    ),
    Case("a tie, p = ∞", ([[1.0, 2.0, 5.0], [2.0, 1.0, 5.5]],), {"p": np.inf}, judge="torch", smooth=False),
    Case("near each other", ([[1000.0, 2000.0], [1000.5, 1999.75], [1001.0, 2000.0]],), smooth=False),
    Case("far apart, p = 3", ([[1e13, 2e13], [-1e13, 3e13]],), {"p": 3.0}, torch_loses="the third power overflows"),
)

OPERATIONS = (
    Operation(
        manual.cosine_similarity,
        F.cosine_similarity,
        _cosine_similarity,
        cases=_cosine_cases,
        small=Case("64 × 128", (normal(64, 128), normal(64, 128))),
        large=Case("4096 × 1024", (normal(4096, 1024), normal(4096, 1024))),
    ),
    Operation(
        manual.pairwise_distance,
        F.pairwise_distance,
        _pairwise_distance,
        cases=_pairwise_cases,
        small=Case("64 × 128", (normal(64, 128), normal(64, 128))),
        large=Case("4096 × 1024", (normal(4096, 1024), normal(4096, 1024))),
    ),
    Operation(
        manual.pdist,
        F.pdist,
        _pdist,
        cases=_pdist_cases,
        small=Case("32 × 16", (normal(32, 16),)),
        large=Case("512 × 64", (normal(512, 64),)),
    ),
)

MODULES = (
    ModuleCase(build("CosineSimilarity"), Case("batch of 4", _pair)),
    ModuleCase(build("CosineSimilarity", 0, 5.0), Case("first axis, clamped", _pair)),
    ModuleCase(build("PairwiseDistance"), Case("batch of 4", _pair)),
    ModuleCase(build("PairwiseDistance", 3, eps=0.25, keepdim=True), Case("p, eps and keepdim", _pair)),
)
