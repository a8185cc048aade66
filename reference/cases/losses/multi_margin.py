"""Cases of the losses that ask for a margin between the classes."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, classes, normal, uniform
from reference.cases.losses.reduction import REDUCTIONS, reduced, with_each_reduction
from reference.exact import exactly, exp, log


def _multi_margin_loss(x, target, weight=None, p=1, margin=1.0, reduction="mean"):
    rows, y = x.reshape(-1, x.shape[-1] if x.ndim else 1), target.reshape(-1)
    count = rows.shape[1]
    weights = (exactly(np.ones(count)) if weight is None else weight)[y] / count
    terms = []
    for j in range(count):
        parts = [margin, -rows[np.arange(len(y)), y], rows[:, j]]
        z = sum(parts)
        active = (y != j) & (z > 0)
        # z² = Σ parts · z: its slope 2z is a sum that can cancel
        losses = [z] if p == 1 else [part * z for part in parts]
        terms += [(active * weights * loss).reshape(target.shape) for loss in losses]
    return reduced(terms, reduction)


def _multilabel_margin_loss(x, target, reduction="mean"):
    rows, labels = x.reshape(-1, x.shape[-1] if x.ndim else 1), target.reshape(-1, x.shape[-1] if x.ndim else 1)
    samples, count = rows.shape
    terms = []
    for k in range(count):
        listed = (labels[:, : k + 1] >= 0).all(axis=1)
        for j in range(count):
            other = np.array([j not in row[: list(row).index(-1) if -1 in row else count] for row in labels], bool)
            z = 1 - rows[np.arange(samples), labels[:, k]] + rows[:, j]
            terms.append((z * (listed & other & (z > 0)) / count).reshape(x.shape[:-1]))
    return reduced(terms, reduction)


def _multilabel_soft_margin_loss(x, target, weight=None, reduction="mean"):
    axis, weight = x.ndim - 1, 1 if weight is None else weight
    parts = [weight * target * log(1 + exp(-x)), weight * (1 - target) * log(1 + exp(x))]
    return reduced([part.take(j, axis) / x.shape[-1] for part in parts for j in range(part.shape[axis])], reduction)


_UNWRITTEN = "it leaves the result over no samples unwritten"


def _filled(loss):
    """A loss of torch with NaN where torch leaves a result unwritten, in place of what memory held before, another at each run."""

    def call(x: Any, *arrays: Any, **constants: Any):
        if x.numel():
            return loss(x, *arrays, **constants)
        before = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)
        try:
            return loss(x, *arrays, **constants)
        finally:
            torch.use_deterministic_algorithms(before)

    return call


_multi_cases = (
    *(
        Case(f"p = {p}, {reduction}", (normal(4, 5), classes(5, 4)), {"p": p, "reduction": reduction})
        for p in (1, 2)
        for reduction in REDUCTIONS
    ),
    *(
        Case(
            f"p = {p}, weight and margin, {reduction}",
            (normal(4, 5), classes(5, 4), uniform(0.5, 2, 5)),
            {"p": p, "margin": 0.3, "reduction": reduction},
            no_grad=("grad_2",),
        )
        for p in (1, 2)
        for reduction in REDUCTIONS
    ),
    Case("no batch", (normal(5), classes(5))),
    Case("no batch, none", (normal(5), classes(5)), {"reduction": "none", "p": 2}),
    Case("no batch, weight", (normal(5), classes(5), uniform(0.5, 2, 5)), no_grad=("grad_2",)),
    Case("no batch, target of one axis, none", (normal(5), classes(5, 1)), {"reduction": "none"}),
    Case("batch of 1", (normal(1, 5), classes(5, 1))),
    Case("batch of 1, target of no axis", (normal(1, 5), classes(5)), {"reduction": "none"}),
    Case("batch of 0, none", (normal(0, 5), classes(5, 0)), {"reduction": "none"}),
    Case("batch of 0, sum", (normal(0, 5), classes(5, 0)), {"reduction": "sum"}, torch_loses=_UNWRITTEN),
    Case("a single number", (normal(), classes(1)), zero=("grad_0",)),
    Case("one class", (normal(3, 1), classes(1, 3)), zero=("grad_0",)),
    Case("at the margin", ([[0.0, 1.0, 2.0], [2.0, 1.0, 0.5]], [1, 0]), {"reduction": "none"}, smooth=False),
    Case("far beyond the margin", ([[30.0, -30.0, 0.0]], [0]), zero=("grad_0",)),
    Case("±10,000", ([[1e4, -1e4, 0.0], [0.0, 1e4, -1e4]], [1, 2]), {"p": 2, "reduction": "none"}),
)


def _labels(*rows: tuple[int, ...]):
    return np.array(rows)


def _listed(samples, count, labels):
    """So many different labels for each sample, then −1."""

    def draw(generator):
        target = np.full((samples, count), -1)
        target[:, :labels] = generator.permuted(np.tile(np.arange(count), (samples, 1)), axis=1)[:, :labels]
        return target

    return draw


_some_labels = _labels((3, 0, -1, 1), (1, -1, -1, -1), (0, 1, 2, -1), (-1, 2, 2, 2))

_multilabel_cases = (
    *(Case(reduction, (normal(4, 4), _some_labels), {"reduction": reduction}) for reduction in REDUCTIONS),
    Case("labels twice", (normal(2, 4), _labels((3, 3, 1, -1), (2, 2, 2, 2))), {"reduction": "none"}),
    Case("no batch", (normal(4, scale=0.3), _some_labels[0])),
    Case("no batch, none", (normal(4, scale=0.3), _some_labels[2]), {"reduction": "none"}),
    Case("batch of 1", (normal(1, 4), _some_labels[:1])),
    Case("batch of 0, none", (normal(0, 4), _some_labels[:0]), {"reduction": "none"}),
    Case("batch of 0, sum", (normal(0, 4), _some_labels[:0]), {"reduction": "sum"}, torch_loses=_UNWRITTEN),
    Case("a single number", (normal(), np.array(0)), zero=("grad_0",)),
    Case("no labels", (normal(2, 3), np.full((2, 3), -1)), zero=("grad_0",)),
    Case("every label", (normal(1, 3), _labels((2, 0, 1))), zero=("grad_0",)),
    Case("at the margin", ([[0.0, 1.0, 2.0]], _labels((1, -1, -1))), smooth=False),
    Case("±10,000", ([[1e4, -1e4, 0.0], [0.0, 1e4, -1e4]], _labels((1, -1, -1), (2, 0, -1))), {"reduction": "none"}),
)

_multilabel_soft_cases = (
    *(Case(reduction, (normal(4, 3), uniform(0, 1, 4, 3)), {"reduction": reduction}) for reduction in REDUCTIONS),
    *(
        Case(f"weight, {reduction}", (normal(4, 3), uniform(0, 1, 4, 3), uniform(0.5, 2, 3)), {"reduction": reduction})
        for reduction in REDUCTIONS
    ),
    Case("weight for each sample", (normal(4, 3), uniform(0, 1, 4, 3), uniform(0.5, 2, 4, 3))),
    Case("no batch", (normal(3), uniform(0, 1, 3))),
    Case("no batch, weight, none", (normal(3), uniform(0, 1, 3), uniform(0.5, 2, 3)), {"reduction": "none"}),
    Case("three axes", (normal(2, 3, 4), uniform(0, 1, 2, 3, 4), uniform(0.5, 2, 4)), {"reduction": "none"}),
    Case("batch of 0", (normal(0, 3), uniform(0, 1, 0, 3)), judge="torch"),
    Case("batch of 0, none", (normal(0, 3), uniform(0, 1, 0, 3)), {"reduction": "none"}),
    Case("batch of 1", (normal(1, 3), uniform(0, 1, 1, 3))),
    Case("one class", (normal(4, 1), uniform(0, 1, 4, 1))),
    Case("no class", (normal(2, 0), uniform(0, 1, 2, 0)), {"reduction": "none"}, judge="torch"),
    Case("target broadcasts", (normal(4, 3), uniform(0, 1, 3))),
    Case("x broadcasts", (normal(1, 3), uniform(0, 1, 4, 3)), {"reduction": "none"}),
    Case("x broadcasts along the classes", (normal(4, 1), uniform(0, 1, 4, 3), uniform(0.5, 2, 3)), {"reduction": "none"}),
    Case("x of fewer axes", (normal(3), uniform(0, 1, 2, 3), uniform(0.5, 2, 2, 1)), {"reduction": "none"}),
    Case("x of fewer axes, mean", (normal(3), uniform(0, 1, 4, 3))),
    Case("weight has more samples", (normal(1, 3), uniform(0, 1, 1, 3), uniform(0.5, 2, 4, 3)), {"reduction": "none"}),
    Case("hard targets", (normal(4, 2), [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])),
    Case("integer targets", (normal(4, 3), classes(2, 4, 3), uniform(0.5, 2, 3))),
    Case("integer targets, none", (normal(4, 3), classes(2, 4, 3)), {"reduction": "none"}),
    Case("at 0", ([[0.0, -0.0, 0.0, -0.0]], [[0.0, 1.0, 0.25, 0.0]]), zero=("grad_1",)),
    Case(
        "saturated",
        (
            [[-1e4, -1000.0, -30.0], [30.0, 1000.0, 1e4], [-1e4, -1000.0, -30.0], [30.0, 1000.0, 1e4]],
            [[0.0] * 3, [0.0] * 3, [1.0] * 3, [1.0] * 3],
        ),
        {"reduction": "none"},
    ),
)

OPERATIONS = (
    Operation(
        manual.multi_margin_loss,
        _filled(lambda x, target, weight=None, **constants: F.multi_margin_loss(x, target, weight=weight, **constants)),
        _multi_margin_loss,
        cases=_multi_cases,
        small=Case("64 × 128", (normal(64, 128), classes(128, 64))),
        large=Case("4096 × 1024", (normal(4096, 1024), classes(1024, 4096))),
    ),
    Operation(
        manual.multilabel_margin_loss,
        _filled(F.multilabel_margin_loss),
        _multilabel_margin_loss,
        cases=_multilabel_cases,
        small=Case("64 × 128, 3 labels each", (normal(64, 128), _listed(64, 128, 3))),
        large=Case("4096 × 1024, 3 labels each", (normal(4096, 1024), _listed(4096, 1024, 3))),
    ),
    Operation(
        manual.multilabel_soft_margin_loss,
        F.multilabel_soft_margin_loss,
        _multilabel_soft_margin_loss,
        cases=_multilabel_soft_cases,
        small=Case("64 × 128", (normal(64, 128), uniform(0, 1, 64, 128))),
        large=Case("4096 × 1024", (normal(4096, 1024), uniform(0, 1, 4096, 1024))),
    ),
)

_weight = np.array([0.5, 2.0, 1.0])


MODULES = (
    *with_each_reduction("MultiMarginLoss", normal(4, 3), classes(3, 4)),
    ModuleCase(build("MultiMarginLoss", 2, 0.5, _weight), Case("p, margin and weight", (normal(4, 3), classes(3, 4)))),
    *with_each_reduction("MultiLabelMarginLoss", normal(4, 4), _some_labels),
    *with_each_reduction("MultiLabelSoftMarginLoss", normal(4, 3), uniform(0, 1, 4, 3)),
    ModuleCase(build("MultiLabelSoftMarginLoss", _weight), Case("weight", (normal(4, 3), uniform(0, 1, 4, 3)))),
)
