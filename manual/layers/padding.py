"""Padding: cells added around an array, or cut off at its edges."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from manual.arrays import sum_to_shape
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_choice,
    require_floats,
    require_integers,
    require_number,
)
from manual.module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "pad",
]

MODES = "constant", "reflect", "replicate", "circular"
CUT_LAST = "reflect", "replicate"  # they look at what is cut off as well
Pads = list[tuple[int, int]]  # for each axis, how many cells are added before and after; a negative number of them is cut off
Border = tuple[tuple[slice, ...], tuple[slice, ...]]


def pad(x: Array, /, *, pad: tuple[int, ...], mode: str = "constant", value: float | None = None) -> tuple[Array, Backward]:
    """Add cells before and after each axis, or cut them off where their number is negative.

    Forward:   along each axis yⱼ = xₛ, with s = j − before where that lies within x;  outside, with n cells in x,
               constant: y = value;  reflect: s is mirrored at 0 and at n − 1;  replicate: s = 0 or n − 1;  circular: s mod n
    Backward:  grad_xₛ = Σⱼ grad_yⱼ over all j that show xₛ; 0 for cells that are cut off and shown nowhere
    Shapes:    x (...), y: each axis longer by before + after, which `pad` holds for the last axis first, then the one before it, …
               constant: for as many axes as there are in `pad`; else for 1 to 3, with x (N, C, ...) or (C, ...)
    Corners:   reflect and replicate look at what is cut off as well; circular goes round what is left
    """
    require_floats("pad", "x", x)
    require_choice("pad", "mode", mode, MODES)
    value = 0.0 if value is None else require_number("pad", "value", value)
    _require_pads(x, pad, mode, value)
    pads = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[::-2]))  # axis by axis, the first one first
    grown = [(max(before, 0), max(after, 0)) for before, after in pads]
    everything = (slice(None),) * x.ndim
    taken = everything if mode in CUT_LAST else _cut(x.shape, pads)
    inner = x[taken]
    shape = tuple([before + n + after for n, (before, after) in zip(inner.shape, grown)])
    shown = _cut(shape, pads) if mode in CUT_LAST else everything
    inside = tuple([slice(before, before + n) for n, (before, _) in zip(inner.shape, grown)])
    borders = [] if mode == "constant" else list(_borders(inner.shape, grown, mode))

    padded = np.full(shape, value, x.dtype) if mode == "constant" else np.empty(shape, x.dtype)
    padded[inside] = inner
    for border, source in borders:  # axis by axis, so that a corner repeats what the border of an earlier axis holds
        padded[border] = padded[source]
    output = padded[shown]
    x_shape, output_shape, dtype = x.shape, output.shape, x.dtype

    def backward(grad_output, needs=None):
        if not needed("pad", needs, 1)[0]:
            return (None,)
        grad_padded = cotangent("pad", grad_output, output_shape, dtype)
        if mode != "constant":
            grad_padded = _within(shape, shown, grad_padded)
            for border, source in reversed(borders):
                grad_source = grad_padded[source]
                grad_source += sum_to_shape(grad_padded[border], grad_source.shape)
        return (_within(x_shape, taken, grad_padded[inside]),)

    return output, backward


def _within(shape: tuple[int, ...], place: tuple[slice, ...], array: Array) -> Array:
    """Zeros, and in their midst an array."""
    whole = np.zeros(shape, array.dtype)
    whole[place] = array
    return whole


def _cut(shape: tuple[int, ...], pads: Pads) -> tuple[slice, ...]:
    """What is left of each axis where as many cells are cut off as pads are negative."""
    return tuple([slice(max(-before, 0), n + min(after, 0)) for n, (before, after) in zip(shape, pads)])


def _borders(shape: tuple[int, ...], grown: Pads, mode: str) -> Iterator[Border]:
    """The borders of each axis, and of each the cells that it repeats."""
    for axis, (n, (before, after)) in enumerate(zip(shape, grown)):
        along = (slice(None),) * axis
        for border, source in _borders_of_axis(before, before + n, after, mode):
            yield (*along, border), (*along, source)


def _borders_of_axis(before: int, end: int, after: int, mode: str) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The border before and the one after the cells from `before` to `end`, and of each the cells that it repeats."""
    left, right = slice(0, before), slice(end, end + after)
    if mode == "replicate":
        return (left, slice(before, before + 1)), (right, slice(end - 1, end))
    if mode == "circular":
        return (left, slice(end - before, end)), (right, slice(before, before + after))
    # Mirrored: one of the two is read backwards
    return (left, slice(2 * before, before, -1)), (slice(None, end - 1, -1), slice(end - 1 - after, end - 1))


def _require_pads(x: Array, pad: Any, mode: str, value: float) -> None:
    """Refuse what torch refuses."""
    if not isinstance(pad, (tuple, list)) or len(pad) % 2:
        raise TypeError(f"pad: pad must hold two integers for each axis to pad, got {pad!r}")
    require_integers("pad", "pad", pad, len(pad))
    if float(np.finfo(x.dtype).max) < abs(value) < np.inf:
        raise ValueError(f"pad: value must be a number that {x.dtype} can hold, got {value}")
    axes = len(pad) // 2
    if mode == "constant":
        if axes > x.ndim:
            raise ValueError(f"pad: pad must be for no more than the axes of x, got {pad} for shape {x.shape}")
    else:
        if not 1 <= axes <= 3 or x.ndim not in (axes + 1, axes + 2):
            raise ValueError(
                "pad: pad must be for the last 1 to 3 axes of x, before which are channels and perhaps a batch, "
                f"where mode is {mode!r}, got {pad} for shape {x.shape}"
            )
        if mode != "circular" and 0 in x.shape[-axes - 1 :]:
            raise ValueError(f"pad: x must have no empty axis but that of the batch where mode is {mode!r}, got shape {x.shape}")
        if value != 0:
            raise ValueError(f"pad: value must be None or 0 where mode is {mode!r}, got {value}")
    triples = list(zip(x.shape[::-1], pad[::2], pad[1::2]))
    lost = [before + after if mode in CUT_LAST else min(before, 0) + min(after, 0) for _, before, after in triples]
    left = [n + more for (n, _, _), more in zip(triples, lost)]
    if min(left, default=0) < 0:
        raise _misfit("cut off no more than there is", x, pad)
    if mode in CUT_LAST and not any(left):
        raise _misfit("leave at least one cell", x, pad)
    if mode == "reflect" and any(max(before, after) >= n for n, before, after in triples):
        raise _misfit("be smaller than the axis", x, pad)
    if mode == "circular" and any(max(before, after) > rest for rest, (_, before, after) in zip(left, triples)):
        raise _misfit("go round once at most what is left of an axis", x, pad)


def _misfit(expected: str, x: Array, pad: Any) -> ValueError:
    return ValueError(f"pad: pad must {expected}, got {pad} for shape {x.shape}")


class _Padding(Module):
    """`pad` of the last axes in one of its modes."""

    axes: int
    mode = "constant"
    value: float | None = None

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        self.padding = require_integers(type(self).__name__, "padding", padding, 2 * self.axes, stretch=False)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Add `padding` to the last axes, or cut it off."""
        return pad(input, pad=self.padding, mode=self.mode, value=self.value)


class ConstantPad1d(_Padding):
    """`pad` of the last axis with a value."""

    axes = 1

    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = require_number(type(self).__name__, "value", value)


class ConstantPad2d(ConstantPad1d):
    """`pad` of the last two axes with a value."""

    axes = 2


class ConstantPad3d(ConstantPad1d):
    """`pad` of the last three axes with a value."""

    axes = 3


class ZeroPad1d(_Padding):
    """`pad` of the last axis with zeros."""

    axes = 1


class ZeroPad2d(_Padding):
    """`pad` of the last two axes with zeros."""

    axes = 2


class ZeroPad3d(_Padding):
    """`pad` of the last three axes with zeros."""

    axes = 3


class ReflectionPad1d(_Padding):
    """`pad` of the last axis mirrored at the edges."""

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Padding):
    """`pad` of the last two axes mirrored at the edges."""

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Padding):
    """`pad` of the last three axes mirrored at the edges."""

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Padding):
    """`pad` of the last axis with the cell at the edge."""

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Padding):
    """`pad` of the last two axes with the cells at the edges."""

    axes = 2
    mode = "replicate"


class ReplicationPad3d(_Padding):
    """`pad` of the last three axes with the cells at the edges."""

    axes = 3
    mode = "replicate"


class CircularPad1d(_Padding):
    """`pad` of the last axis as if it were a ring."""

    axes = 1
    mode = "circular"


class CircularPad2d(_Padding):
    """`pad` of the last two axes as if they were rings."""

    axes = 2
    mode = "circular"


class CircularPad3d(_Padding):
    """`pad` of the last three axes as if they were rings."""

    axes = 3
    mode = "circular"
