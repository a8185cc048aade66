"""Cases of the losses between scores and a class."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, classes, normal, probabilities, uniform
from reference.cases.losses.reduction import REDUCTIONS, reduced
from reference.exact import exactly, exp, log


def _nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    axis = 0 if x.ndim == 1 else 1
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    weights = kept * (1 if weight is None else weight[index])
    picked = np.take_along_axis(x, np.expand_dims(index, axis), axis).reshape(target.shape)
    return reduced(-weights * picked, reduction, np.sum(weights))


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Cross-entropy, as the textbook has it."""
    axis = 0 if x.ndim == 1 else 1
    count = x.shape[axis]
    log_p = x - log(exp(x).sum(axis=axis, keepdims=True))
    weight = exactly(np.ones(count)) if weight is None else weight
    per_class = weight.reshape(-1, *(1,) * (x.ndim - axis - 1))
    epsilon = exactly(label_smoothing)
    if target.shape == x.shape:
        q, total = ((1 - epsilon) * target + epsilon / count) * per_class, x.size // count
    else:
        kept = np.expand_dims(target != ignore_index, axis)
        index = np.where(kept, np.expand_dims(target, axis), 0)
        hit = np.arange(count).reshape(per_class.shape) == index
        q = kept * ((1 - epsilon) * weight[index] * hit + epsilon / count * per_class)
        total = np.sum(kept * weight[index])
    losses = -q * log_p
    return reduced([losses.take(j, axis) for j in range(count)], reduction, total)


LOST = "p rounds to 1 where the target takes nearly everything, and the digits of 1 − p and log p are gone"


def _index_cases(scores, torch_loses=""):
    """Cases of class indices, which nll_loss and cross_entropy share; `scores` draws an array of the given shape."""
    return (
        *(Case(reduction, (scores(4, 5), classes(5, 4)), {"reduction": reduction}) for reduction in REDUCTIONS),
        *(
            Case(
                f"weight and ignore_index, {reduction}",
                (scores(5, 3), [0, 1, 2, 1, 0], uniform(0.5, 2, 3)),
                {"reduction": reduction, "ignore_index": 1},
                no_grad=("grad_2",),
            )
            for reduction in REDUCTIONS
        ),
        Case("weight", (scores(4, 5), classes(5, 4), uniform(0.5, 2, 5)), no_grad=("grad_2",)),
        Case("ignore_index outside the classes", (scores(4, 3), [0, -1, 2, -1]), {"ignore_index": -1}),
        Case("the default ignore_index", (scores(4, 3), [0, -100, 2, -100])),
        Case("no batch", (scores(5), classes(5))),
        Case("no batch, none", (scores(5), classes(5)), {"reduction": "none"}),
        Case("no batch, weight", (scores(5), classes(5), uniform(0.5, 2, 5)), no_grad=("grad_2",)),
        Case(
            "no batch, ignored, weight",
            (scores(5), -100, uniform(0.5, 2, 5)),
            {"reduction": "sum"},
            zero=("grad_0",),
            no_grad=("grad_2",),
        ),
        Case("batch of 0", (scores(0, 5), classes(5, 0)), judge="torch"),
        Case("batch of 0, none", (scores(0, 5), classes(5, 0)), {"reduction": "none"}),
        Case("batch of 1", (scores(1, 5), classes(5, 1))),
        Case("N-d targets", (scores(2, 3, 2, 2), classes(3, 2, 2, 2))),
        Case("N-d targets, none", (scores(2, 3, 4), classes(3, 2, 4)), {"reduction": "none"}),
        Case("N-d targets, weight", (scores(2, 3, 4), classes(3, 2, 4), uniform(0.5, 2, 3)), no_grad=("grad_2",)),
        Case("everything ignored", (scores(3, 2), [1, 1, 1]), {"ignore_index": 1}, judge="torch", zero=("grad_0",)),
        Case("everything ignored, sum", (scores(3, 2), [1, 1, 1]), {"ignore_index": 1, "reduction": "sum"}, zero=("grad_0",)),
        Case("no weight at all", (scores(2, 2), [0, 1], [0.0, 0.0]), judge="torch", no_grad=("grad_2",)),
        Case(
            "saturated",
            ([[30.0, -30.0, 0.0], [0.0, 1000.0, -1000.0], [1000.0, -1000.0, 960.0], [-30.0, 30.0, 30.0]], [0, 1, 2, 0]),
            {"reduction": "none"},
            torch_loses=torch_loses,
        ),
        Case("extreme", ([[-1e4, 1e4, 0.0], [1e4, -1e4, 1e4], [-1e4, -1e4, 1e4]], [0, 1, 2]), {"reduction": "none"}),
    )


_smoothing = {"label_smoothing": 0.2}

_cross_entropy_cases = (
    *_index_cases(normal, LOST),
    Case(
        "unlikely targets",
        ([[0.3, -14.1, 1.7], [2.3, -17.3, -1.1], [0.9, -28.7, -3.7], [-0.7, -61.3, 3.1]], [1, 1, 1, 1]),
        {"reduction": "none"},
    ),
    Case("ties", ([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]], [1, 2])),
    *(
        Case(f"smoothing, {reduction}", (normal(4, 5), classes(5, 4)), {"reduction": reduction, **_smoothing})
        for reduction in REDUCTIONS
    ),
    Case(
        "smoothing, weight and ignore_index",
        (normal(2, 3, 4), [[0, 1, 2, 1], [1, 1, 0, 2]], uniform(0.5, 2, 3)),
        {"ignore_index": 1, **_smoothing},
        no_grad=("grad_2",),
    ),
    Case("smoothing, no batch", (normal(5), classes(5)), _smoothing),
    Case("smoothing of 1", (normal(4, 3), classes(3, 4)), {"label_smoothing": 1.0}),
    Case("smoothing, saturated", ([[30.0, -30.0, 0.0], [0.0, 1000.0, -1000.0]], [0, 2]), _smoothing),
    *(
        Case(f"probabilities, {reduction}", (normal(4, 5), probabilities(4, 5)), {"reduction": reduction}, torch_loses=LOST)
        for reduction in REDUCTIONS
    ),
    *(
        Case(
            f"probabilities, weight and smoothing, {reduction}",
            (normal(4, 3), probabilities(4, 3), uniform(0.5, 2, 3)),
            {"reduction": reduction, **_smoothing},
            torch_loses=LOST,
        )
        for reduction in REDUCTIONS
    ),
    Case("probabilities, weight", (normal(4, 3), probabilities(4, 3), uniform(0.5, 2, 3)), torch_loses=LOST),
    Case("probabilities, no batch", (normal(5), probabilities(5)), torch_loses=LOST),
    Case("probabilities, N-d", (normal(2, 3, 2, 2), probabilities(2, 3, 2, 2, dim=1), uniform(0.5, 2, 3)), torch_loses=LOST),
    Case("probabilities, batch of 0", (normal(0, 5), probabilities(0, 5)), judge="torch"),
    Case(
        "probabilities, saturated",
        ([[30.0, -30.0, 0.0], [0.0, 1000.0, -1000.0]], [[1.0, 0.0, 0.0], [0.0, 0.75, 0.25]]),
        torch_loses=LOST,
    ),
)

OPERATIONS = (
    Operation(
        manual.nll_loss,
        F.nll_loss,
        _nll_loss,
        cases=_index_cases(normal),
        small=Case("64 × 128", (normal(64, 128), classes(128, 64))),
        large=Case("4096 × 1024", (normal(4096, 1024), classes(1024, 4096))),
    ),
    Operation(
        manual.cross_entropy,
        F.cross_entropy,
        cross_entropy,
        cases=_cross_entropy_cases,
        small=Case("64 × 128", (normal(64, 128), classes(128, 64))),
        large=Case("4096 × 1024", (normal(4096, 1024), classes(1024, 4096))),
    ),
)

_weight = np.array([0.5, 2.0, 1.0])

MODULES = (
    ModuleCase(build("NLLLoss", reduction="none"), Case("none", (normal(4, 3), classes(3, 4)))),
    ModuleCase(build("NLLLoss", _weight, ignore_index=1), Case("weight and ignore_index", (normal(4, 3), [0, 1, 2, 2]))),
    ModuleCase(build("NLLLoss2d", _weight), Case("images", (normal(2, 3, 2, 2), classes(3, 2, 2, 2)))),
    ModuleCase(build("CrossEntropyLoss", reduction="sum"), Case("sum", (normal(4, 3), classes(3, 4)))),
    ModuleCase(
        build("CrossEntropyLoss", _weight, ignore_index=1, label_smoothing=0.1),
        Case("weight, ignore_index and smoothing", (normal(4, 3), [0, 1, 2, 2])),
    ),
    ModuleCase(build("CrossEntropyLoss", _weight), Case("probabilities", (normal(4, 3), probabilities(4, 3)))),
)
