"""The cases that every pointwise activation shares."""

from collections.abc import Callable
from typing import Any

from reference.case import Case, Operation, normal


def pointwise(
    manual: Callable[..., Any],
    torch: Callable[..., Any],
    definition: Callable[..., Any],
    *cases: Case,
    torch_loses: str = "",
    kinks: tuple[float, ...] = (),
    slope_terms: Callable[..., Any] | None = None,
) -> Operation:
    """An operation on each element, in its ordinary shapes, and saturated."""
    shared = (
        Case("ordinary", (normal(4, 5),), torch_loses=torch_loses),
        Case("a single number", (normal(),), torch_loses=torch_loses),
        Case("three axes", (normal(2, 3, 4),), torch_loses=torch_loses),
        Case("batch of 0", (normal(0, 5),)),
        Case("batch of 1", (normal(1, 5),), torch_loses=torch_loses),
        Case("wide", (normal(40, scale=10.0),), torch_loses=torch_loses),
        Case("±30 and ±1000", ([-1000.0, -30.0, 30.0, 1000.0],), torch_loses=torch_loses),
        Case("many", (normal(40, 50, scale=5.0),), torch_loses=torch_loses),
        Case("tiny", ([-1e-30, -1e-300, 1e-300, 1e-30],)),
    )
    return Operation(
        manual,
        torch,
        definition,
        cases=(*shared, *cases),
        small=Case("10,000 numbers", (normal(100, 100),)),
        large=Case("4 million numbers", (normal(2000, 2000),)),
        pointwise=True,
        kinks=kinks,
        slope_terms=slope_terms,
    )
