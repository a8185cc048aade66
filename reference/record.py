"""What is measured on a case, and the rule by which it passes.

The measure is the ratio r = max |got − truth| / (u · scale), u the unit roundoff: about 1 for a perfect implementation in any
dtype. `rule` says how large it may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from reference.exact import Exact, each, mp
from reference.formats import HALF, finfo

LIMIT = 30.0  # LAPACK's threshold
# Half precision is held to less, as 30 units of bfloat16 are an eighth of a value; a single rounding at the end has an r of 1
HALF_LIMIT = 4.0
BESIDE_TORCH = 4.0  # an operation's worst r up to which there is nothing to win
TIMES_TORCH = 1.5  # above that, how many times torch's worst r it may be
ILL_CONDITIONED = 2.0  # how many times torch's r is allowed where the conditioning of a long composition forbids LIMIT


def limit_of(dtype: Any) -> float:
    """The r up to which a result in this dtype counts as right."""
    return HALF_LIMIT if str(dtype) in HALF else LIMIT


def allowed_beside(torch_ratio: float) -> float:
    """The worst r that an operation may have, given torch's worst."""
    return max(BESIDE_TORCH, TIMES_TORCH * torch_ratio)


def rule() -> str:
    """The rule in words, the same wherever it is stated."""
    return (
        f"A case passes with an r of at most {LIMIT:g}, or of {ILL_CONDITIONED:g} × torch's worst in float32 where the "
        f"conditioning of a long composition forbids that (in float64, where torch itself is the judge, twice as much). An "
        f"operation passes if its cases do, and if its worst r, where torch itself loses no digits, is at most "
        f"max({BESIDE_TORCH:g}, {TIMES_TORCH:g} × torch's worst)."
    )


@dataclass(frozen=True)
class Element:
    """One element of an array: its input or index, torch's value if there is one, the truth in ten digits, our value and its r."""

    place: str
    torch: float | None
    truth: str
    ours: float
    ratio: float


@dataclass(frozen=True)
class Quantity:
    """One output or gradient: the largest error relative to the largest true value, and the ratios r of both sides.

    `torch_ratio` is `None` where torch is the judge, so that its r says nothing, and where it does not take the dtype; `lost` is
    the element where torch is furthest off, if that is more than LIMIT, and `worst` the one where ours is, if it is wrong or asked
    for.
    """

    name: str
    error: float
    ratio: float
    torch_ratio: float | None
    lost: Element | None = None
    worst: Element | None = None


@dataclass(frozen=True)
class Agreement:
    """What was measured on one case in one dtype; it holds where there are no complaints.

    `torch_loses` is what the case says; `None` of a sweep, which goes where anybody loses digits.
    """

    operation: str
    case: str
    dtype: str
    quantities: tuple[Quantity, ...] = ()
    complaints: tuple[str, ...] = ()
    torch_loses: str | None = ""

    @property
    def is_tail(self) -> bool:
        """Whether it is a sweep, or a case in which torch itself loses digits."""
        return self.torch_loses is None or any((quantity.torch_ratio or 0) > limit_of(self.dtype) for quantity in self.quantities)


class Target:
    """The truth of one array as floats of a dtype are held against it: what rounds beyond the largest of them is infinite.

    A scale below the smallest normal number counts as that, for there the spacing of numbers no longer shrinks; one that is not
    finite, as |truth|. Truth and unit, u · scale, are held in float64: divided by a power of two that keeps the unit near 1,
    the truth in two parts. `theirs` is torch's array, if it has one.
    """

    def __init__(self, exact: Exact, dtype: Any, theirs: Any = None) -> None:
        self.theirs = theirs
        info = finfo(dtype)
        smallest, u = mp.mpf(float(info.smallest_normal)), mp.mpf(float(info.eps)) / 2
        beyond = mp.ldexp(2 - u, info.maxexp - 1)  # half a unit above the largest number

        def of_float(true: Any, scale: Any) -> Any:
            return max(scale if mp.isfinite(scale) else abs(true), smallest) if mp.isfinite(true) else mp.one

        self.truth = each(lambda true: mp.sign(true) * mp.inf if abs(true) >= beyond else true)(exact.value)
        self.finite = each(mp.isfinite)(self.truth).astype(bool)
        self.scale = each(of_float, 2)(self.truth, exact.scale)
        units = each(lambda scale: u * scale)(self.scale)
        self._exponent = each(mp.mag)(units).astype(int)
        divided = each(lambda x, e: mp.ldexp(x, -int(e)), 2)
        true = divided(self.truth, self._exponent)
        self._unit, self._high = divided(units, self._exponent).astype(float), true.astype(float)
        self._low = each(lambda x, high: x - high if mp.isfinite(x) else 0, 2)(true, self._high).astype(float)

    def ratios(self, got: Any) -> Any:
        """The ratio r of each element. Where the truth is infinite or NaN, the same is expected."""
        with np.errstate(invalid="ignore", over="ignore"):
            ratios = self._distance(got) / self._unit
        as_expected = (got == self._high) | (np.isnan(got) & np.isnan(self._high))
        return np.where(self.finite & np.isfinite(got), ratios, np.where(as_expected, 0, np.inf))

    @cached_property
    def torch_ratios(self) -> Any:
        """The ratio r of each element of torch's array."""
        return None if self.theirs is None else self.ratios(self.theirs)

    def as_floats(self) -> tuple[Any, Any]:
        """Truth and scale rounded to float64; a scale beyond its largest number counts as that."""
        return self.truth.astype(float), np.minimum(self.scale.astype(float), np.finfo(np.float64).max)

    def error(self, got: Any) -> float:
        """Max |got − truth| / max |truth| over what is finite in the truth; 0 where that is below all normal numbers."""
        true = abs(np.ldexp(self._high, self._exponent)[self.finite])
        if not true.max(initial=0) >= np.finfo(np.float64).smallest_normal:
            return 0.0
        with np.errstate(invalid="ignore", over="ignore"):
            return float(np.ldexp(self._distance(got), self._exponent)[self.finite].max() / true.max())

    def near(self, one: Any, other: Any) -> bool:
        """Whether two arrays differ by no more than LIMIT times what rounding explains."""
        if one is None or other is None:
            return one is other
        with np.errstate(invalid="ignore", over="ignore"):
            distance = abs(np.ldexp(one.astype(float), -self._exponent) - np.ldexp(other.astype(float), -self._exponent))
            same = (one == other) | (np.isnan(one) & np.isnan(other))
            return bool((same | (distance <= LIMIT * self._unit)).all())

    def _distance(self, got: Any) -> Any:
        """|got − truth|, divided by the power of two."""
        return abs(np.ldexp(got.astype(float), -self._exponent) - self._high - self._low)


class Standard(Protocol):
    """What an array is held against: the truth, a `Target` or what else measures r; torch's array and the ratio r of each of its
    elements, `None` where there is none.
    """

    truth: Any
    theirs: Any
    torch_ratios: Any

    def ratios(self, got: Any) -> Any:
        """The ratio r of each element."""

    def error(self, got: Any) -> float:
        """The error relative to the largest true value."""


class Record:
    """Collects what is measured on one case, where r may be as large as `limit`. If it `keeps_worst`, each quantity names the
    element that is furthest off, which takes time.
    """

    def __init__(self, operation: str, case: str, dtype: Any, torch_loses: str | None, torch_is_judge: bool = False) -> None:
        self.operation, self.case, self.dtype = operation, case, np.dtype(dtype)
        self.torch_loses, self.torch_is_judge = torch_loses, torch_is_judge
        self.limit = LIMIT
        self.keeps_worst = False
        self.quantities: list[Quantity] = []
        self.complaints: list[str] = []

    def complain(self, complaint: str) -> None:
        """Note what is wrong."""
        self.complaints.append(complaint)

    def compare(self, name: str, ours: Any, expected: Any, x: Any = None) -> None:
        """Hold an array of ours against what is expected: a `Standard`, or what must be the same, indices or `None`; `x` is the
        input that belongs to each element, if one does.
        """
        if ours is None or expected is None:
            if ours is not expected:
                self.complain(f"{name} must be {'None' if expected is None else 'an array'}, got {type(ours).__name__}")
            return
        if not isinstance(ours, (np.ndarray, np.generic)):
            self.complain(f"{name} must be an array, got {type(ours).__name__}")
            return
        exactly = isinstance(expected, (np.ndarray, np.generic))
        dtype, shape = (expected.dtype, expected.shape) if exactly else (self.dtype, expected.truth.shape)
        if ours.dtype != dtype or ours.shape != shape:
            self.complain(f"{name} must be {dtype} of shape {shape}, got {ours.dtype} of shape {ours.shape}")
            return
        if not exactly:
            self._measure(name, ours, expected, x)
            return
        same = bool((ours == expected).all())
        self.quantities.append(Quantity(name, float(not same), 0.0 if same else np.inf, 0.0))
        if not same:
            self.complain(f"{name}: {ours.tolist()}, in truth {expected.tolist()}")

    def _measure(self, name: str, ours: Any, standard: Standard, x: Any) -> None:
        theirs, mine, torchs = standard.theirs, standard.ratios(ours), standard.torch_ratios

        def element(ratios: Any) -> Element:
            at = np.unravel_index(ratios.argmax(), ratios.shape)
            place = str([int(index) for index in at]) if x is None else f"x = {x[at]}"
            true = standard.truth[at]
            vanishes = 2 * abs(true) < float(finfo(self.dtype).smallest_subnormal)
            digits = mp.nstr(mp.zero if vanishes else true, 10)
            torch = None if theirs is None else float(theirs[at])
            return Element(place, torch, digits, float(np.asarray(ours)[at]), float(mine[at]))

        ratio = float(mine.max(initial=0))
        torch_ratio = None if torchs is None else float(torchs.max(initial=0))
        wrong = not ratio <= self.limit
        worst = element(mine) if wrong or (self.keeps_worst and mine.size) else None
        if wrong and worst:
            self.complain(
                f"{name}: r = {ratio:.3g}, allowed {self.limit:.3g}: {worst.ours:.10g} at {worst.place}, in truth {worst.truth}"
            )
        lost = element(torchs) if torch_ratio is not None and torch_ratio > LIMIT else None
        known = None if self.torch_is_judge else torch_ratio
        self.quantities.append(Quantity(name, standard.error(ours), ratio, known, lost, worst))

    def agreement(self) -> Agreement:
        """What was collected."""
        quantities, complaints = tuple(self.quantities), tuple(self.complaints)
        return Agreement(self.operation, self.case, str(self.dtype), quantities, complaints, self.torch_loses)
