"""Cases of the losses that draw together what is alike."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from manual.arrays import sum_to_shape
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.distance import distance
from reference.cases.losses.reduction import REDUCTIONS, reduced
from reference.exact import detach


def _cosine_embedding_loss(x1, x2, target, margin=0.0, reduction="mean"):
    products = x1 * x2
    inverse = (((x1**2).sum(-1) + 1e-12) * ((x2**2).sum(-1) + 1e-12)) ** -0.5
    unlike = (target == -1) & (products.sum(-1) * inverse >= margin)
    sign = unlike * 1 - (target == 1)
    terms = [(target == 1) * 1 - unlike * margin]
    for k in range(products.shape[-1]):
        product = products[..., k]
        # The product rule's two terms, which cancel: what moves the dot product, and what moves the norms
        terms += [sign * product * detach(inverse), sign * detach(product) * (inverse - detach(inverse))]
    return reduced(terms, reduction)


def _triplet(distance, anchor, positive, negative, margin, swap, reduction):
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        between = distance(positive, negative)
        closer = sum(far) < sum(between)
        far = [np.where(closer, *pair) for pair in zip(far, between)]
    active = margin + sum(near) - sum(far) >= 0
    return reduced([active * term for term in (margin, *near, *(-term for term in far))], reduction)


def _triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    return _triplet(partial(distance, p=p, eps=eps), anchor, positive, negative, margin, swap, reduction)


def _triplet_margin_with_distance_loss(
    anchor, positive, negative, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    if distance_function is None:
        return _triplet_margin_loss(anchor, positive, negative, margin=margin, swap=swap, reduction=reduction)
    return _triplet(distance_function.definition, anchor, positive, negative, margin, swap, reduction)


@dataclass(frozen=True)
class Distance:
    """A distance on three sides: arrays go to `manual`, tensors to torch, and the definition gives its terms."""

    manual: Callable[..., Any]
    torch: Callable[..., Any]
    definition: Callable[..., Any]

    def __call__(self, a: Any, b: Any) -> Any:
        """The distance of a from b."""
        return self.torch(a, b) if isinstance(a, torch.Tensor) else self.manual(a, b)


def _weighted_squares(a, b):
    difference = a - b
    weights = np.arange(1, a.shape[-1] + 1).astype(a.dtype)

    def backward(grad_output, needs=None):
        grad = 2 * weights * difference * grad_output[..., None]
        need_a, need_b = needs or (True, True)
        return sum_to_shape(grad, a.shape) if need_a else None, (sum_to_shape(-grad, b.shape) if need_b else None)

    return (weights * difference**2).sum(axis=-1), backward


_SQUARES = Distance(
    _weighted_squares,
    lambda a, b: (torch.arange(1, a.shape[-1] + 1, dtype=a.dtype) * (a - b) ** 2).sum(dim=-1),
    lambda a, b: [(k + 1) * (a[..., k] - b[..., k]) ** 2 for k in range(a.shape[-1])],
)


def _signs(*shape: int):
    return lambda generator: generator.choice([-1, 1], shape)


_FLOAT_EPS = "its 1e−12 is rounded to float32"

_mixed = np.array([1, -1, 1, -1])

_cosine_cases = (
    *(
        Case(f"{reduction}, margin {margin}", (normal(4, 3), normal(4, 3), _mixed), {"reduction": reduction, "margin": margin})
        for reduction in REDUCTIONS
        for margin in (-0.9, 0.0, 0.3)
    ),
    Case("float target", (normal(2, 3), normal(2, 3), [1.0, -1.0]), no_grad=("grad_2",)),
    Case("no pair", (normal(3), normal(3), np.array(1))),
    Case("one pair, none", (normal(3), normal(3), np.array(-1)), {"reduction": "none", "margin": -1.0}),
    Case("batch of 0", (normal(0, 3), normal(0, 3), _mixed[:0]), judge="torch"),
    Case("batch of 0, none", (normal(0, 3), normal(0, 3), _mixed[:0]), {"reduction": "none"}),
    Case("batch of 1", (normal(1, 3), normal(1, 3), _mixed[:1])),
    Case("one number each", (normal(4, 1), normal(4, 1), _mixed), {"reduction": "none", "margin": -1.5}),
    Case("one target for all, none", (normal(4, 3), normal(4, 3), _mixed[:1]), {"reduction": "none"}),
    Case("x1 broadcasts", (normal(1, 3), normal(4, 3), _mixed), {"margin": -1.0}),
    Case("x2 broadcasts, none", (normal(4, 3), normal(1, 3), _mixed), {"reduction": "none", "margin": -1.0}),
    Case("both broadcast, none", (normal(1, 3), normal(1, 3), _mixed), {"reduction": "none", "margin": -1.0}),
    Case("x1 of one number broadcasts", (normal(4, 1), normal(4, 3), _mixed), {"margin": -1.0}),
    Case("targets that are no sign", (normal(3, 3), normal(3, 3), np.array([0, 2, 1])), {"reduction": "none"}),
    Case("at the margin", ([[1.0, 0.0], [0.0, 2.0]], [[0.0, 1.0], [1.0, 0.0]], np.array([-1, -1])), smooth=False),
    Case("within the margin", ([[1.0, 0.0]], [[0.0, 1.0]], np.array([-1])), {"margin": 0.5}, zero=("grad_0", "grad_1")),
    Case("nearly parallel", ([[1.0, 2.0, 3.0]], [[1.0001, 2.0, 3.0]], np.array([1]))),
    Case(
        "against a zero vector",
        ([[0.0, 0.0], [0.5, 0.25]], [[3.0, 4.0], [1.0, -2.0]], np.array([1, 1])),
        {"reduction": "none"},
        torch_loses=_FLOAT_EPS,
    ),
    Case("tiny", ([[1e-7, 2e-7]], [[1e-6, -3e-7]], np.array([1])), torch_loses=_FLOAT_EPS),
    Case("±10,000", ([[1e4, -1e4, 0.5]], [[1e4, 1e4, -0.5]], np.array([1]))),
)

_triples = (normal(4, 3), normal(4, 3, scale=3.0), normal(4, 3))


def _triplet_cases(*others: Case, **constants: Any):
    wide = {"margin": 100.0, **constants}
    return (
        *(Case(reduction, _triples, {"reduction": reduction, **constants}) for reduction in REDUCTIONS),
        *(Case(f"margin, {reduction}", _triples, {"reduction": reduction, **wide}) for reduction in REDUCTIONS),
        *(Case(f"swap, {reduction}", _triples, {"reduction": reduction, "swap": True, **wide}) for reduction in REDUCTIONS),
        Case(
            "swap, one beyond the margin",
            ([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]], [[0.1, 0.0], [2.0, 0.0], [0.5, 0.5]], [[5.0, 1.0], [0.5, 3.0], [0.6, 0.0]]),
            {"swap": True, **constants},
        ),
        Case("no batch", (normal(3), normal(3), normal(3)), wide),
        Case("three axes", (normal(2, 3, 4), normal(2, 3, 4), normal(2, 3, 4)), {"reduction": "none", **wide}),
        Case("batch of 0", (normal(0, 3), normal(0, 3), normal(0, 3)), constants, judge="torch"),
        Case("batch of 0, none", (normal(0, 3), normal(0, 3), normal(0, 3)), {"reduction": "none", **constants}),
        Case("batch of 1", (normal(1, 3), normal(1, 3), normal(1, 3)), wide),
        Case("anchor broadcasts", (normal(1, 3), normal(4, 3), normal(4, 3)), wide),
        Case("positive broadcasts, swap", (normal(4, 3), normal(1, 3), normal(4, 3)), {"swap": True, **wide}),
        Case("negative alone has a batch, swap", (normal(1, 3), normal(1, 3), normal(4, 3)), {"swap": True, **wide}),
        Case("positive alone has a batch, none", (normal(1, 3), normal(4, 3), normal(1, 3)), {"reduction": "none", **wide}),
        Case("±10,000", ([[1e4, -1e4]], [[-1e4, 1e4]], [[0.0, 1e4]]), constants),
        Case(
            "eps makes the difference 0",
            ([[-1e-6, -1e-6]], [[0.0, 0.0]], [[0.5, 0.25]]),
            wide,
            zero=() if "distance_function" in constants else ("grad_1",),
            judge="torch",
            smooth=False,
        ),
        *others,
    )


def _tie(**constants: Any):
    """A negative as far from the anchor as from the positive."""
    arrays = ([[0.0, 0.0]], [[2.0, 0.0]], [[1.0, 1.0]])
    return Case("a tie, swap", arrays, {"swap": True, **constants}, judge="torch", smooth=False)


_nothing_added: dict[str, Any] = {"eps": 0.0, "reduction": "none"}
_margin_cases = _triplet_cases(
    Case("no features, p = 1", (normal(3, 0), normal(3, 0), normal(3, 0)), {"p": 1.0}, zero=("grad_0", "grad_1", "grad_2")),
    *(Case(f"p = {p}", _triples, {"p": p, "margin": 20.0, "reduction": "none"}) for p in (0.5, 1, 1.5, 2, 3, 4, 4.5, np.inf)),
    *(Case(f"p = {p}, swap", _triples, {"p": p, "margin": 20.0, "swap": True}) for p in (1, 3, np.inf)),
    Case("eps", _triples, {"eps": 1e-3, "margin": 20.0, "reduction": "none"}),
    Case("eps, p = 3", _triples, {"eps": 1e-3, "p": 3.0, "margin": 20.0}),
    Case("single numbers", (np.array(0.5), np.array(0.0), np.array(1.0)), {"margin": 20.0}),
    Case("anchor of one number broadcasts", (normal(4, 1), normal(4, 3), normal(4, 3)), {"margin": 20.0}),
    Case("no features", (normal(2, 0), normal(2, 0), normal(2, 0)), {"reduction": "none"}),
    Case("at the margin", ([[0.0, 0.0]], [[0.0, 1.0]], [[2.0, 0.0]]), _nothing_added, smooth=False),
    _tie(**_nothing_added),
    Case(
        "a tie, p = ∞",
        ([[1.0, 2.0]], [[3.0, 4.0]], [[1.0, 4.0]]),
        {"p": np.inf, "margin": 5.0, **_nothing_added},
        judge="torch",
        smooth=False,
    ),
    *(
        Case(
            f"anchor on positive, p = {p}",
            ([[1.0, 2.0]], [[1.0, 2.0]], [[1.5, 2.75]]),
            {"p": p, "margin": 4.0, **_nothing_added},
            zero=("grad_1",),
            smooth=False,
        )
        for p in (1, 1.5, 2, 3, np.inf)
    ),
    Case(
        "p = 300, one anchor on positive",
        ([[12.0, 9.0, 6.0], [1.0, 2.0, 3.0]], [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], [[0.0, 0.0, -6.0], [2.0, 1.0, 2.0]]),
        {"p": 300.0, "margin": 4.0, **_nothing_added},
        smooth=False,
        torch_loses="the 300th power overflows",
    ),
    Case(
        "half on positive, p = 0.5",
        ([[1.0, 2.0]], [[1.0, 2.5]], [[1.5, 2.5]]),
        {"p": 0.5, "margin": 4.0, **_nothing_added},
        smooth=False,
    ),
    Case(
        "far apart, p = 3",
        ([[1e13, 2e13]], [[-1e13, 3e13]], [[2e13, 2e13]]),
        {"p": 3.0, **_nothing_added},
        torch_loses="the third power overflows",
    ),
)

_distance_cases = _triplet_cases(
    *(
        Case(c.label + ", squares", c.arrays, c.constants, c.zero, c.no_grad, c.judge, c.smooth)
        for c in _triplet_cases(distance_function=_SQUARES)
    ),
    _tie(distance_function=_SQUARES, margin=9.0),
    Case("at the margin", ([[0.0, 0.0]], [[0.0, 1.0]], [[2.0, 0.0]]), {"distance_function": _SQUARES, "margin": 2.0}, smooth=False),
)


OPERATIONS = (
    Operation(
        manual.cosine_embedding_loss,
        F.cosine_embedding_loss,
        _cosine_embedding_loss,
        cases=_cosine_cases,
        small=Case("64 × 128", (normal(64, 128), normal(64, 128), _signs(64))),
        large=Case("4096 × 1024", (normal(4096, 1024), normal(4096, 1024), _signs(4096))),
    ),
    Operation(
        manual.triplet_margin_loss,
        F.triplet_margin_loss,
        _triplet_margin_loss,
        cases=_margin_cases,
        small=Case("64 × 128", (normal(64, 128), normal(64, 128), normal(64, 128))),
        large=Case("4096 × 1024", (normal(4096, 1024), normal(4096, 1024), normal(4096, 1024))),
    ),
    Operation(
        manual.triplet_margin_with_distance_loss,
        F.triplet_margin_with_distance_loss,
        _triplet_margin_with_distance_loss,
        cases=_distance_cases,
        small=Case("64 × 128", (normal(64, 128), normal(64, 128), normal(64, 128))),
        large=Case("4096 × 1024", (normal(4096, 1024), normal(4096, 1024), normal(4096, 1024))),
    ),
)

MODULES = (
    *(
        ModuleCase(build("CosineEmbeddingLoss", reduction=reduction), Case(reduction, (normal(4, 3), normal(4, 3), _mixed)))
        for reduction in REDUCTIONS
    ),
    ModuleCase(build("CosineEmbeddingLoss", -0.5), Case("margin", (normal(4, 3), normal(4, 3), _mixed))),
    *(ModuleCase(build("TripletMarginLoss", reduction=reduction), Case(reduction, _triples)) for reduction in REDUCTIONS),
    ModuleCase(
        build("TripletMarginLoss", 9.0, 3, 1e-3, True), Case("margin, p, eps and swap", (normal(4, 3), normal(4, 3), normal(4, 3)))
    ),
    *(
        ModuleCase(build("TripletMarginWithDistanceLoss", reduction=reduction), Case(reduction, _triples))
        for reduction in REDUCTIONS
    ),
    ModuleCase(
        build("TripletMarginWithDistanceLoss", distance_function=_SQUARES, margin=9.0, swap=True),
        Case("distance, margin and swap", _triples),
    ),
)
