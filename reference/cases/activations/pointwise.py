"""The cases that every pointwise activation shares."""

from collections.abc import Callable
from typing import Any

from reference.case import Case, Draw, Operation, normal, uniform


def pointwise(
    manual: Callable[..., Any],
    torch: Callable[..., Any],
    definition: Callable[..., Any],
    *cases: Case,
    constants: dict[str, Any] | None = None,
    flat: tuple[str, ...] = (),
    torch_loses: str = "",
    kinks: tuple[float, ...] = (),
    slope_terms: Callable[..., Any] | None = None,
) -> Operation:
    """An operation on each element, in its ordinary shapes, and saturated; `flat` names the cases where its slope is zero."""

    def case(label: str, array: Any, loses: str = torch_loses) -> Case:
        return Case(label, (array,), constants or {}, zero=("grad_0",) if label in flat else (), torch_loses=loses)

    def benchmark(label: str, array: Draw) -> Case:
        return Case(label, (array,), constants or {})

    shared = (
        case("ordinary", normal(4, 5)),
        case("a single number", uniform(0.55, 0.95)),
        case("three axes", normal(2, 3, 4)),
        case("batch of 0", normal(0, 5), ""),
        case("batch of 1", normal(1, 20)),
        case("wide", normal(40, scale=10.0)),
        case("±30 and ±1000", [-1000.0, -30.0, 30.0, 1000.0]),
        case("many", normal(10, 20, scale=5.0)),
        case("tiny", [-1e-30, -1e-300, 1e-300, 1e-30]),
    )
    return Operation(
        manual,
        torch,
        definition,
        cases=(*shared, *cases),
        small=benchmark("10,000 numbers", normal(100, 100)),
        large=benchmark("4 million numbers", normal(2000, 2000)),
        pointwise=True,
        kinks=kinks,
        slope_terms=slope_terms,
    )
