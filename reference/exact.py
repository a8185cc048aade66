"""The truth: textbook formulas in arithmetic so long that rounding plays no part, differentiated by the complex step.

A formula f is evaluated on x + ih with h = 2⁻⁵⁰⁰⁰; then f′(x) = Im f(x + ih) / h up to terms in h². With PRECISION bits, more
than the whole exponent range of float64, no cancellation in a formula can reach the digits that a float64 holds: formulas are
written as the textbook has them, not as a floating-point program must.

Sums, products and quotients of complex numbers are mpmath's own. Its powers and transcendental functions are not made for an
imaginary part as small as that: some lose it, some run out of memory over 1 + exp(−1e300). Here they carry h by their derivative.

Where a formula has a kink, it branches on the real part, and so takes the derivative of the branch it says.
Source: Squire & Trapp 1998, Using Complex Variables to Estimate Derivatives of Real Functions
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np

PRECISION = 1280
mp = mpmath.MPContext()
mp.prec = PRECISION
H = mp.mpf(2) ** -5000


def each(function: Callable[..., Any], arguments: int = 1) -> Callable[..., Any]:
    """Apply a function of mp numbers element by element."""
    ufunc = np.frompyfunc(function, arguments, 1)

    def apply(*arrays: Any) -> Any:
        with np.errstate(invalid="ignore"):  # NaN is an answer like any other here
            return np.asarray(ufunc(*arrays), dtype=object)

    return apply


def _real(z: Any) -> Any:
    return z.real if isinstance(z, mp.mpc) else z


real = each(_real)
exactly = each(lambda x: mp.mpf(float(x)))
where = np.where
einsum = np.einsum
take = np.take_along_axis
expand = np.expand_dims


def lift(value: Callable[..., Any], *derivatives: Callable[..., Any]) -> Callable[..., Any]:
    """A function with its derivatives given: those of mpmath, and where a convention differs from what differentiation would find.

    The function and its partial derivatives take mp numbers, element by element.
    """

    def apply(*arguments: Any) -> Any:
        reals = [_real(z) for z in arguments]
        step = sum(d(*reals) * z.imag for d, z in zip(derivatives, arguments, strict=True) if isinstance(z, mp.mpc) and z.imag)
        return mp.mpc(value(*reals), step) if step else value(*reals)

    return each(apply, len(derivatives))


@lru_cache(maxsize=1 << 14)  # a value is wanted again for its derivative, and by another function of the same numbers
def _exp(x: Any) -> Any:
    # The exponent of exp(−1e300) has hundreds of digits, for which mpmath takes milliseconds; no float tells it from 0
    return mp.exp(x) if not x < -(2**20) else mp.zero


def _sech_squared(x: Any) -> Any:
    e = _exp(-2 * abs(x))
    return 4 * e / (1 + e) ** 2


exp = lift(_exp, _exp)
log = lift(mp.log, lambda x: 1 / x)
tanh = lift(mp.tanh, _sech_squared)
erfc = lift(lambda x: mp.erfc(x) if not x > 2**10 else mp.zero, lambda x: -2 / mp.sqrt(mp.pi) * _exp(-x * x))


def _power(z: Any, n: Any) -> Any:
    return mp.mpc(z.real**n, n * z.real ** (n - 1) * z.imag if z.imag else 0)


mp.mpc.__pow__ = _power  # of this context alone: another's numbers have a class of their own


def absolute(x: Any) -> Any:
    """|x|, with the derivative sign(x), 0 at 0."""
    return x * np.sign(real(x))


@dataclass(frozen=True)
class Truth:
    """The output and gradients as they are, and the scale of each: what one unit of relative rounding can move it by."""

    output: Any
    output_scale: Any
    grads: tuple[Any, ...]
    grad_scales: tuple[Any, ...]


def evaluate(
    definition: Callable[..., Any],
    arrays: tuple[Any, ...],
    constants: dict[str, Any],
    grad_output: Any,
    differentiable: tuple[bool, ...],
    pointwise: bool = False,
    slope_terms: Callable[..., Any] | None = None,
) -> Truth:
    """Evaluate a definition and its Jacobian J on these arrays.

    The scale of the gradient is |J|ᵀ|g|, that of the output |y| + |J||x|. A definition may return a list of terms y = Σ yₖ, where
    J itself is a sum that can cancel: then the scale is Σₖ |Jₖ|ᵀ|g|, the sum of what cancels.
    """
    inputs = [_exact(array) for array in arrays]

    def run(position: int | None = None, moved: Any = None) -> list[Any]:
        moved_inputs = [moved if i == position else x for i, x in enumerate(inputs)]
        terms = definition(sys.modules[__name__], *moved_inputs, **constants)
        return [np.asarray(term, dtype=object) for term in (terms if isinstance(terms, list) else [terms])]

    terms = run()
    if not terms:  # a sum of nothing
        terms = [exactly(0.0)]
    output, output_scale = _total(terms), _total([abs(term) for term in terms])
    cotangent = exactly(grad_output)
    grads: list[Any] = [None] * len(arrays)
    scales: list[Any] = [None] * len(arrays)
    for position in (position for position, wanted in enumerate(differentiable) if wanted):
        x = inputs[position]
        if pointwise:
            slope = _total([_slope(term) for term in run(position, x + mp.mpc(0, H))])
            output_scale = output_scale + abs(slope * x)
            size = abs(slope)
            if slope_terms:
                size = _total([abs(term) for term in slope_terms(sys.modules[__name__], x, **constants)])
            grads[position] = np.asarray(slope * cotangent, dtype=object)
            scales[position] = np.asarray(size * abs(cotangent), dtype=object)
            continue
        grads[position], scales[position] = np.empty_like(x), np.empty_like(x)
        for index in np.ndindex(x.shape):
            moved = x.copy()
            moved[index] = mp.mpc(x[index], H)
            slopes = [_slope(term) for term in run(position, moved)]
            size = _total([abs(slope) for slope in slopes])
            output_scale = output_scale + size * abs(x[index])
            grads[position][index] = np.sum(_total(slopes) * cotangent)
            scales[position][index] = np.sum(size * abs(cotangent))
    return Truth(output, np.asarray(output_scale, dtype=object), tuple(grads), tuple(scales))


def overflowed(truth: Any, dtype: Any) -> Any:
    """The truth, infinite where it is beyond the largest number of a dtype."""
    largest = float(np.finfo(dtype).max)
    return each(lambda true: mp.sign(true) * mp.inf if abs(true) > largest else true)(truth)


_slope = each(lambda z: z.imag / H if isinstance(z, mp.mpc) else mp.zero)


def _total(terms: list[Any]) -> Any:
    return np.asarray(sum(terms[1:], start=terms[0]), dtype=object)


def _exact(array: Any) -> Any:
    return exactly(array) if array is not None and array.dtype.kind == "f" else array
