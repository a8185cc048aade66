"""Cases of the cross-entropy of a linear layer's scores."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch.nn
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, classes, normal, probabilities, uniform
from reference.cases.losses.classification import LOST, cross_entropy
from reference.cases.losses.reduction import REDUCTIONS
from reference.exact import detach, parts


def _linear_cross_entropy(
    x, linear_weight, target, linear_bias=None, weight=None, options=None, ignore_index=None, **constants: Any
):
    scores = np.tensordot(x, linear_weight, (-1, -1))
    if linear_bias is not None:
        scores = scores + linear_bias
    constants["ignore_index"] = -100 if ignore_index is None else ignore_index
    still_target, still_weight = (a if a is None or a.dtype != object else detach(a) for a in (target, weight))
    terms = cross_entropy(detach(scores), target, weight, **constants)
    return terms + parts(lambda moved: cross_entropy(moved, still_target, still_weight, **constants), scores, x.ndim - 1)


def _torch(x, linear_weight, target, linear_bias=None, weight=None, options=None, **constants: Any):
    if options is not None:
        fields = {"batch_chunk_size": options.batch_chunk_size, "chunking_method": options.chunking_method}
        options = torch.nn.LinearCrossEntropyOptions(**fields, allow_retain_graph=True)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # where it cannot take chunks, torch says that it does not
        return F.linear_cross_entropy(
            x, linear_weight, target, linear_bias=linear_bias, weight=weight, options=options, **constants
        )


def _chunks(size: int) -> dict[str, Any]:
    return {"options": manual.LinearCrossEntropyOptions(batch_chunk_size=size)}


_arrays = normal(5, 3), normal(4, 3), classes(4, 5)
_cases = (
    *(Case(reduction, _arrays, {"reduction": reduction}) for reduction in REDUCTIONS),
    *(Case(f"chunks, {reduction}", (*_arrays, normal(4)), {"reduction": reduction, **_chunks(2)}) for reduction in REDUCTIONS),
    *(
        Case(
            f"weight and ignore_index, {label}",
            (normal(5, 3), normal(3, 3), [0, 1, 2, 1, 0], normal(3), uniform(0.5, 2, 3)),
            {"ignore_index": 1, **options},
            no_grad=("grad_4",),
        )
        for label, options in (("whole", {"options": None}), ("chunks", _chunks(3)))
    ),
    Case("the default ignore_index", (normal(4, 3), normal(4, 3), [0, -100, 2, -100])),
    Case("chunking method", (normal(6, 2), normal(5, 2), classes(5, 6)), {"options": manual.LinearCrossEntropyOptions()}),
    Case("a chunk for all", _arrays, _chunks(9)),
    Case("no batch", (normal(3), normal(4, 3), classes(4), normal(4))),
    Case("at the extremes", ([[1e4], [-1e4]], [[1.0], [0.5], [-1.0]], [1, 2])),
    Case("no batch, none", (normal(3), normal(4, 3), classes(4)), {"reduction": "none"}),
    Case("no batch, probabilities", (normal(3), normal(4, 3), probabilities(4))),
    Case("batch of 0", (normal(0, 3), normal(4, 3), classes(4, 0)), zero=("grad_1",), judge="torch"),
    Case("batch of 0, none", (normal(0, 3), normal(4, 3), classes(4, 0)), {"reduction": "none", **_chunks(2)}, zero=("grad_1",)),
    Case("batch of 1", (normal(1, 3), normal(4, 3), classes(4, 1), normal(4))),
    Case("N-d targets", (normal(2, 3), normal(4, 2, 3), classes(4, 2, 2), normal(4, 2))),
    Case("N-d targets, chunks, none", (normal(3, 2), normal(3, 2, 2), classes(3, 3, 2)), {"reduction": "none", **_chunks(2)}),
    Case("smoothing", (*_arrays, normal(4)), {"label_smoothing": 0.2}),
    Case("smoothing, chunks", _arrays, {"label_smoothing": 0.2, **_chunks(2)}),
    *(
        Case(
            f"probabilities, weight and smoothing, {label}",
            (normal(3, 2), normal(3, 2), probabilities(3, 3), normal(3), uniform(0.5, 2, 3)),
            {"label_smoothing": 0.2, **options},
        )
        for label, options in (("whole", {"options": None}), ("chunks", _chunks(2)))
    ),
    Case("probabilities, N-d", (normal(2, 3), normal(3, 2, 3), probabilities(2, 3, 2, dim=1))),
    Case(
        "everything ignored", (normal(3, 2), normal(3, 2), [1, 1, 1]), {"ignore_index": 1}, judge="torch", zero=("grad_0", "grad_1")
    ),
)

OPERATIONS = (
    Operation(
        manual.linear_cross_entropy,
        _torch,
        _linear_cross_entropy,
        cases=tuple(replace(case, torch_loses=LOST) for case in _cases),
        small=Case("64 → 128, batch 64", (normal(64, 64), normal(128, 64), classes(128, 64))),
        large=Case("256 → 8192, batch 1024", (normal(1024, 256), normal(8192, 256, scale=0.1), classes(8192, 1024))),
    ),
)

_weight = np.array([0.5, 2.0, 1.0])

MODULES = (
    ModuleCase(build("LinearCrossEntropyLoss", 4, 3), Case("mean", (normal(5, 4), classes(3, 5)))),
    ModuleCase(
        build("LinearCrossEntropyLoss", 4, 3, bias=True, weight=_weight, ignore_index=1, label_smoothing=0.1, reduction="sum"),
        Case("bias, weight, ignore_index and smoothing", (normal(4, 4), [0, 1, 2, 2])),
    ),
    ModuleCase(
        build("LinearCrossEntropyLoss", 4, 3, out_features=(2,), bias=True),
        Case("N-d probabilities", (normal(3, 4), probabilities(3, 3, 2, dim=1))),
    ),
    ModuleCase(
        build("LinearCrossEntropyLoss", 4, 3, options=build("LinearCrossEntropyOptions", batch_chunk_size=2), reduction="none"),
        Case("chunks", (normal(5, 4), classes(3, 5))),
    ),
)
