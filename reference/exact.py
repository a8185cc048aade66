"""The truth: textbook formulas on dual numbers, in arithmetic so long that rounding plays no part.

A dual number carries its partial derivatives by the elements of the inputs on which it depends, and every operation carries them
on by the chain rule, forwards. So one pass of a formula gives the value, the whole Jacobian, and with it what one unit of rounding
can do. With PRECISION bits, more than the whole exponent range of float64, no cancellation in a formula can reach the digits that
a float64 holds: formulas are written as the textbook has them, not as a floating-point program must.

Definitions are NumPy on arrays of such numbers, with the functions below. They compare by value, and so a formula with a kink has
the derivative of the branch it takes.
Source: Griewank & Walther 2008, Evaluating Derivatives, chapter 3
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import lru_cache, reduce
from operator import add
from typing import Any, NamedTuple

import mpmath
import numpy as np

from reference import structure

PRECISION = 1280
mp = mpmath.MPContext()
mp.prec = PRECISION
PI = +mp.pi


def _of_numbers(operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """An operator of two numbers; it leaves arrays to NumPy, which comes back with each element."""
    return lambda self, other: NotImplemented if isinstance(other, np.ndarray) else operator(self, other)


class Dual:
    """A number and its partial derivatives, by the number of the input element; those that are zero need not be there."""

    __slots__ = ("partials", "value")

    def __init__(self, value: Any, partials: dict[int, Any]) -> None:
        self.value, self.partials = value, partials

    @_of_numbers
    def __add__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value + other, self.partials)
        return _chain(self.value + other.value, (1, self), (1, other))

    @_of_numbers
    def __sub__(self, other: Any) -> Dual:
        return _chain(self.value - _value(other), (1, self), (-1, other))

    @_of_numbers
    def __rsub__(self, other: Any) -> Dual:
        return _chain(other - self.value, (-1, self))

    @_of_numbers
    def __mul__(self, other: Any) -> Dual:
        return _chain(self.value * _value(other), (_value(other), self), (self.value, other))

    @_of_numbers
    def __truediv__(self, other: Any) -> Dual:
        quotient = self.value / _value(other)
        return _chain(quotient, (mp.one / _value(other), self), (-quotient / _value(other), other))

    @_of_numbers
    def __rtruediv__(self, other: Any) -> Dual:
        quotient = other / self.value
        return _chain(quotient, (-quotient / self.value, self))

    def __pow__(self, n: Any) -> Dual:
        return _chain(self.value**n, (n * self.value ** (n - 1) if _moves(self) else 0, self))

    def __neg__(self) -> Dual:
        return _chain(-self.value, (-1, self))

    def __abs__(self) -> Dual:
        return _chain(abs(self.value), (mp.sign(self.value), self))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _value(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _value(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _value(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _value(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _value(other))

    __radd__, __rmul__, __hash__ = __add__, __mul__, None  # type: ignore[assignment]


def _value(z: Any) -> Any:
    return z.value if isinstance(z, Dual) else z


def _moves(z: Any) -> bool:
    return isinstance(z, Dual) and any(z.partials.values())


def _chain(value: Any, *parts: tuple[Any, Any]) -> Dual:
    """The chain rule: a value, and of each number from which it came, the derivative by that number. A zero leads nowhere."""
    partials: dict[int, Any] = {}
    for derivative, z in parts:
        if isinstance(z, Dual) and derivative:
            partials = _sum(partials, z.partials if derivative == 1 else _scaled(z.partials, derivative))
    return Dual(value, partials)


def _scaled(partials: dict[int, Any], factor: Any) -> dict[int, Any]:
    return {element: factor * partial for element, partial in partials.items()}


def _sum(one: dict[int, Any], other: dict[int, Any]) -> dict[int, Any]:
    if not one:
        return other
    total = dict(one)
    for element, partial in other.items():
        total[element] = total[element] + partial if element in total else partial
    return total


def each(function: Callable[..., Any], arguments: int = 1) -> Callable[..., Any]:
    """Apply a function of numbers element by element."""
    ufunc = np.frompyfunc(function, arguments, 1)

    def apply(*arrays: Any) -> Any:
        with np.errstate(invalid="ignore"):  # NaN is an answer like any other here
            return np.asarray(ufunc(*arrays), dtype=object)

    return apply


def lift(value: Callable[..., Any], *derivatives: Callable[..., Any]) -> Callable[..., Any]:
    """A function with its derivatives given: those of mpmath, and where a convention differs from what differentiation would find.

    The function and its partial derivatives take mp numbers, element by element.
    """

    def apply(*arguments: Any) -> Any:
        values = [_value(z) for z in arguments]
        slopes = [(slope(*values), z) for slope, z in zip(derivatives, arguments, strict=True) if _moves(z)]
        return _chain(value(*values), *slopes) if slopes else value(*values)

    return each(apply, len(derivatives))


exactly = each(lambda x: mp.mpf(float(x)))
detach = each(_value)  # the number alone, through which no derivative goes


def parts(function: Callable[..., Any], x: Any, axis: int = -1) -> list[Any]:
    """Terms of value 0, one for each entry of x along an axis, that together have the derivative of f(x), an array or terms.

    Where one input reaches several entries, its derivative is a sum over them, which can cancel: so each counts as a term.
    """
    terms = []
    for j in range(x.shape[axis]):
        moved, entry = detach(x), (*(slice(None),) * (axis % x.ndim), j)
        moved[entry] = x[entry]
        found = function(moved)
        terms += [term - detach(term) for term in (found if isinstance(found, list) else [found])]
    return terms


_cached = lru_cache(maxsize=1 << 14)  # a value is wanted again for its derivative, and by another function of the same numbers


@_cached
def _exp(x: Any) -> Any:
    if x < -(2**20):
        return mp.zero  # no float tells it from 0
    if not 2**20 < x < mp.inf:
        return mp.exp(x)
    # mpmath would take the power of e, one digit of x after the other: exp(x) = 2ⁿ exp(x − n log 2) has no powers
    with mp.workprec(PRECISION + mp.mag(x)):
        n = int(x / mp.ln2)
        return mp.ldexp(mp.exp(x - n * mp.ln2), n)


@_cached
def _erfc(x: Any) -> Any:
    return mp.erfc(x) if not x > 2**10 else mp.zero


exp = lift(_exp, _exp)
log = lift(mp.log, lambda x: 1 / x)
sqrt = lift(mp.sqrt, lambda x: 1 / (2 * mp.sqrt(x)))
tanh = lift(mp.tanh, lambda x: 1 - mp.tanh(x) ** 2)
erfc = lift(_erfc, lambda x: -2 / mp.sqrt(PI) * _exp(-x * x))


class Exact(NamedTuple):
    """An array as it is, and the scale of each element: what one unit of relative rounding can move it by."""

    value: Any
    scale: Any


def evaluate(
    definition: Callable[..., Any],
    arguments: tuple[Any, ...],
    constants: dict[str, Any],
    grad_output: Any,
    wanted: Container[str],
    slope_terms: Callable[..., Any] | None = None,
) -> dict[str, Exact]:
    """Evaluate a definition and its Jacobian J on these arguments: each output, and each gradient that is wanted, by name.

    The scale of a gradient is |J|ᵀ|g|, that of an output |y| + |J||x|. For each output a definition may return a list of terms
    y = Σ yₖ, where J itself is a sum that can cancel: then the scale is Σₖ |Jₖ|ᵀ|g|, the sum of what cancels.
    """
    leaves = {name: _exact(leaf) for name, leaf in structure.named_gradients(arguments).items()}
    numbers: list[Any] = []  # every input element by which to differentiate
    places: dict[str, Any] = {}
    for name in [name for name in leaves if name in wanted]:
        places[name] = np.arange(len(numbers), len(numbers) + leaves[name].size).reshape(leaves[name].shape)
        numbers += leaves[name].flat
        leaves[name] = each(lambda x, i: Dual(x, {i: mp.one}), 2)(leaves[name], places[name])
    with np.errstate(invalid="ignore"):  # NaN is an answer like any other here
        outputs = _named_terms(definition(*structure.rebuild(arguments, leaves.values()), **constants), "output")

    truth: dict[str, Exact] = {}
    grads, scales = [mp.zero] * len(numbers), [mp.zero] * len(numbers)
    cotangents = structure.named(grad_output, "output")
    for name, terms in outputs.items():
        if (g := cotangents[name]) is None:  # indices, or nothing
            continue
        arrays = np.broadcast_arrays(*(np.asarray(term, dtype=object) for term in terms or [0]))
        values = []
        for of_element, weight in zip(zip(*(array.flat for array in arrays)), exactly(g).flat, strict=True):
            duals = [_dual(term) for term in of_element]
            total, size = reduce(add, duals), reduce(add, map(_magnitude, duals))
            for i, slope in total.partials.items():
                grads[i] += weight * slope
                scales[i] += abs(weight) * size.partials[i]
            values.append((total.value, size.value + sum(slope * abs(numbers[i]) for i, slope in size.partials.items())))
        truth[name] = Exact(*(_filled(g.shape, (pair[i] for pair in values)) for i in range(2)))
    for name, place in places.items():
        truth[name] = Exact(*(_filled(place.shape, (part[i] for i in place.flat)) for part in (grads, scales)))
    if slope_terms:
        size = sum(abs(term) for term in slope_terms(*map(_exact, arguments), **constants))
        truth["grad_0"] = Exact(truth["grad_0"].value, np.asarray(size * abs(exactly(grad_output)), dtype=object))
    return truth


def _exact(leaf: Any) -> Any:
    return exactly(leaf) if structure.is_float(leaf) else leaf


def _named_terms(output: Any, name: str) -> dict[str, list[Any]]:
    if isinstance(output, tuple):
        return {key: terms for i, part in enumerate(output) for key, terms in _named_terms(part, f"{name}.{i}").items()}
    return {name: output} if isinstance(output, list) else {name: [output]}


def _dual(z: Any) -> Dual:
    return z if isinstance(z, Dual) else Dual(mp.mpf(z), {})


def _magnitude(z: Dual) -> Dual:
    return Dual(abs(z.value), {element: abs(partial) for element, partial in z.partials.items()})


def _filled(shape: tuple[int, ...], numbers: Iterable[Any]) -> Any:
    array = np.empty(shape, dtype=object)
    array.reshape(-1)[:] = list(numbers)
    return array
