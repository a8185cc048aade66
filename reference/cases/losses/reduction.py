"""The reductions, for definitions and cases."""

from typing import Any

import numpy as np

from reference.case import Case, ModuleCase, build

REDUCTIONS = ("none", "mean", "sum")


def reduced(terms: Any, reduction: str, total: Any = None) -> list[Any]:
    """The terms of the reduced loss, of a loss or a list of terms that are one together: each by itself where losses are summed,
    or averaged over `total` (their number).
    """
    terms = terms if isinstance(terms, list) else [terms]
    terms = list(np.broadcast_arrays(*(np.asarray(term, dtype=object) for term in terms)))
    if reduction == "none":
        return terms
    divisor = 1 if reduction == "sum" else (terms[0].size if total is None else total)
    return [loss / divisor for term in terms for loss in term.flat]


def with_each_reduction(name: str, *inputs: Any) -> tuple[ModuleCase, ...]:
    """A module with each of the reductions."""
    return tuple(ModuleCase(build(name, reduction=reduction), Case(reduction, inputs)) for reduction in REDUCTIONS)
