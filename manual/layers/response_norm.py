"""Normalisation by the size of the neighbours: of a vector by its length, of a channel by the channels beside it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_axis,
    require_floats,
    require_integer,
    require_number,
)
from manual.layers.distance import norm
from manual.module import Module
from manual.rows import by_groups, by_rows

__all__ = ["CrossMapLRN2d", "LocalResponseNorm", "local_response_norm", "normalize"]


def normalize(x: Array, /, *, p: float = 2.0, dim: int | tuple[int, ...] | None = 1, eps: float = 1e-12) -> tuple[Array, Backward]:
    """Divide vectors by their p-norm.

    Forward:   y = x / m,  m = max(n, eps),  n = ‖x‖ₚ = (Σ |x|ᵖ)^(1/p)
    Backward:  grad_x = (g − s Σ g · y) / m      (g = grad_y), with s = ∂n/∂x where n ≥ eps, else 0:
               s = sign(x) (|x| / n)ᵖ⁻¹;  p = ±∞: sign(x), shared by all |x| = n, else 0;  p = 0, which counts x ≠ 0: 0
    Shapes:    x, y (...); the sums run along `dim`, one axis or several, or (`None` or none) along all
    Kinks:     at n = eps the slope s counts; at x = 0 it is 0
    """
    op = "normalize"
    require_floats(op, "x", x)
    p, eps = require_number(op, "p", p), require_number(op, "eps", eps)
    lines = x.reshape(x.shape or (1,))
    axes = _require_axes(op, lines, dim)
    others = [axis for axis in range(lines.ndim) if axis not in axes]
    order = *others, *axes
    moved = lines.transpose(order)
    rows = math.prod(moved.shape[: len(others)]), math.prod(moved.shape[len(others) :])

    def back(array):
        return array.reshape(moved.shape).transpose(np.argsort(order)).reshape(x.shape)

    output, rows_backward = by_rows(op, partial(_normalize, p=p, eps=eps), moved.reshape(rows), dim=1)

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        grad_output = cotangent(op, grad_output, x.shape, x.dtype).reshape(lines.shape)
        (grad,) = rows_backward(grad_output.transpose(order).reshape(rows))
        return (back(grad),)

    return back(output), backward


def _normalize(x, *, p, eps):
    n, norm_backward = norm(x, p)
    length = np.maximum(n, eps)[:, None]
    y = x / length
    y.flags.writeable = False
    free = n >= eps

    def backward(g, needs):
        grad = g - norm_backward(np.vecdot(g, y) * free)
        grad /= length
        return (grad,)

    return y, backward


def _require_axes(op: str, x: Array, dim: Any) -> tuple[int, ...]:
    """The axes that `dim` names, counted from the front: all of them where it names none."""
    if not isinstance(dim, (tuple, list)):
        dim = () if dim is None else (dim,)
    if not dim:
        return tuple(range(x.ndim))
    axes = tuple([require_axis(op, x, axis) % x.ndim for axis in dim])
    if len(set(axes)) < len(axes):
        raise ValueError(f"{op}: dim must name each axis once, got {dim}")
    return axes


def local_response_norm(
    x: Array, /, *, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> tuple[Array, Backward]:
    """Divide each channel by what it and its neighbours respond at the same place.

    Forward:   y = x s^−β,  s = k + α / n Σ x²      (n = size; Σ over channels from c − n//2 to c + (n − 1)//2, as far as there are)
    Backward:  grad_x = g s^−β − 2 α β / n · x Σ' g x s^(−β−1)      (g = grad_y; Σ' over the channels in whose windows c lies)
    Shapes:    x, y (N, C, L, ...)
    Source:    Krizhevsky, Sutskever & Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks
    """
    op = "local_response_norm"
    require_floats(op, "x", x)
    size, alpha, beta, k = _require_response(op, size, alpha, beta, k)
    if x.ndim < 3:
        raise ValueError(f"{op}: x must have shape (N, C, L, ...), got {x.shape}")
    before, after = size // 2, (size - 1) // 2
    sums = partial(_window_sums, before=before, after=after)
    transposed = partial(_window_sums, before=after, after=before)
    return _by_response(op, x, sums, transposed, alpha / size, beta, k)


def _window_sums(z: Array, *, before: int, after: int) -> Array:
    """Σ over the channels from c − before to c + after of z (N, C, ...), as far as there are."""
    sums = z.copy()
    for i in range(1, before + 1):
        sums[:, i:] += z[:, :-i]
    for i in range(1, after + 1):
        sums[:, :-i] += z[:, i:]
    return sums


def _by_response(
    op: str,
    x: Array,
    sums: Callable[[Array], Array],
    transposed: Callable[[Array], Array],
    alpha: float,
    beta: float,
    k: float,
) -> tuple[Array, Backward]:
    """With s = k + α sums(x²), y = x s^−β;  grad_x = g s^−β − 2 α β x sums'(g x s^(−β−1)), sums' being `transposed`."""

    def respond(x):
        s = sums(x * x)
        s *= alpha
        s += k
        factor = s**-beta

        def backward(g, needs):
            grad = g * factor
            through = transposed(grad * x / s)
            through *= x
            through *= 2.0 * alpha * beta
            grad -= through
            return (grad,)

        return (x * factor,), backward

    (output,), samples_backward = by_groups(respond, x)

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        return samples_backward(cotangent(op, grad_output, x.shape, x.dtype), (True,))

    return output, backward


def _require_response(op: str, size: Any, alpha: Any, beta: Any, k: Any) -> tuple[Any, ...]:
    numbers = [require_number(op, name, value) for name, value in (("alpha", alpha), ("beta", beta), ("k", k))]
    return require_integer(op, "size", size, least=1), *numbers


class LocalResponseNorm(Module):
    """`local_response_norm` as a module."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size, self.alpha, self.beta, self.k = _require_response("LocalResponseNorm", size, alpha, beta, k)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Divide the channels of `input` (N, C, L, ...)."""
        return local_response_norm(input, size=self.size, alpha=self.alpha, beta=self.beta, k=self.k)


def _cross_map_lrn2d(x: Array, /, *, size: int, alpha: float, beta: float, k: float) -> tuple[Array, Backward]:
    """`local_response_norm` with other windows: from c − r to c + r with r = (n − 1) // 2, and channel 0, which never leaves."""
    op = "CrossMapLRN2d"
    require_floats(op, "input", x)
    if x.ndim != 4:
        raise ValueError(f"{op}: input must have shape (N, C, H, W), got {x.shape}")
    reach = (size - 1) // 2

    def sums(z):
        total = _window_sums(z, before=reach, after=reach)
        total[:, reach + 1 :] += z[:, :1]
        return total

    def transposed(z):
        total = _window_sums(z, before=reach, after=reach)
        total[:, 0] += np.add.reduce(z[:, reach + 1 :], axis=1)
        return total

    return _by_response(op, x, sums, transposed, alpha / size, beta, k)


class CrossMapLRN2d(Module):
    """The response normalisation of Lua Torch, on images (N, C, H, W): `local_response_norm` but for its windows.

    They reach from c − r to c + r with r = (size − 1) // 2, and to channel 0 besides. The backward is that of this forward; torch's
    adds over other windows than its forward does, and is right only where all channels lie in all of them.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        self.size, self.alpha, self.beta, self.k = _require_response("CrossMapLRN2d", size, alpha, beta, k)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Divide the channels of `input` (N, C, H, W)."""
        return _cross_map_lrn2d(input, size=self.size, alpha=self.alpha, beta=self.beta, k=self.k)
