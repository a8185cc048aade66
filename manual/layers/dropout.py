"""Dropout: in training, numbers or whole channels are dropped at random, and the others grow so that the mean stays."""

from typing import Any

import numpy as np

from manual.contract import Array, Backward, require_flags, require_floats, require_generator, require_mask, require_number
from manual.elementwise import elementwise
from manual.layers.rearrange import reshaped
from manual.module import Module

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
]

ALPHA = 1.7580993408473766  # −1 times the number that SELU approaches far on the left


def dropout(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = True,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """Drop each number with probability p.

    Forward:   y = s x,  s = mask / (1 − p);  in evaluation y = x
    Backward:  grad_x = s grad_y;  in evaluation grad_x = grad_y
    Shapes:    x, y (...); `mask` has the shape of x, and is drawn by `generator` unless given: True, with probability 1 − p, where
               x is kept
    Corners:   what is dropped is multiplied by 0, so that ∞ and NaN become NaN; p = 1 drops everything. In evaluation, and where p
               is 0 and no mask given, y shares the memory of x, and is read-only
    Source:    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, Dropout
    """
    require_floats("dropout", "x", x)
    return _dropout("dropout", x, x.ndim, p, training, mask, generator)


def _dropout(
    op: str, x: Array, drawn: int, p: float, training: bool, mask: Array | None, generator: np.random.Generator | None
) -> tuple[Array, Backward]:
    """Drop what is drawn along the first axes, as many as `drawn` says."""
    shape = x.shape[:drawn] + (1,) * (x.ndim - drawn)
    p = require_number(op, "p", p, "a number from 0 to 1")
    _require_dropout(op, shape, training, mask, generator)
    if not training or (p == 0 and mask is None):
        return reshaped(op, x, x.shape)
    scale = 1.0 / (1.0 - p) if p < 1 else 0.0

    def curve(x, kept):
        slope = np.multiply(kept, scale, dtype=x.dtype)
        with np.errstate(invalid="ignore"):  # ∞ · 0
            return x * slope, slope

    return elementwise(op, curve, x, kept(shape, p, mask, generator))


def kept(shape: tuple[int, ...], p: float, mask: Array | None, generator: np.random.Generator | None) -> Array:
    """The mask that is given, or one that is drawn."""
    if mask is not None:
        return mask
    return np.random.default_rng(generator).random(shape, np.float32) < 1.0 - p


def _require_dropout(op: str, shape: tuple[int, ...], training: Any, mask: Any, generator: Any) -> None:
    """The checks that all make."""
    require_flags(op, training=training)
    require_generator(op, generator)
    if mask is not None:
        require_mask(op, "mask", mask, shape)


class _Dropout(Module):
    """What the modules of this chapter share."""

    def __init__(self, p: float = 0.5, *, generator: np.random.Generator | None = None) -> None:
        require_number(type(self).__name__, "p", p, "a number from 0 to 1")
        require_generator(type(self).__name__, generator)
        self.p, self.generator = p, generator


class Dropout(_Dropout):
    """`dropout` as a module: random in training mode, drawing from `generator`."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `dropout`."""
        return dropout(input, p=self.p, training=self.training, generator=self.generator)


def dropout1d(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = True,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """Drop each channel of sequences with probability p, whole.

    Forward:   y = s x,  s = mask / (1 − p);  in evaluation y = x
    Backward:  grad_x = s grad_y;  in evaluation grad_x = grad_y
    Shapes:    x, y (N, C, L) or (C, L); `mask` (N, C, 1) or (C, 1), drawn by `generator` unless given
    Source:    Tompson, Goroshin, Jain, LeCun & Bregler 2015, Efficient Object Localization Using Convolutional Networks
    """
    require_floats("dropout1d", "x", x)
    if x.ndim not in (2, 3):
        raise ValueError(f"dropout1d: x must have shape (N, C, L) or (C, L), got {x.shape}")
    return _dropout("dropout1d", x, x.ndim - 1, p, training, mask, generator)


class Dropout1d(_Dropout):
    """`dropout1d` as a module: random in training mode, drawing from `generator`."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `dropout1d`."""
        return dropout1d(input, p=self.p, training=self.training, generator=self.generator)


def dropout2d(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = True,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """Drop each channel of images with probability p, whole.

    Forward:   y = s x,  s = mask / (1 − p);  in evaluation y = x
    Backward:  grad_x = s grad_y;  in evaluation grad_x = grad_y
    Shapes:    x, y (N, C, H, W), or (N, C, L); `mask` (N, C, 1, 1), drawn by `generator` unless given
    Corners:   three axes are (N, C, L), as in torch, and not (C, H, W); other numbers of axes, of which torch warns, are refused
    Source:    Tompson, Goroshin, Jain, LeCun & Bregler 2015, Efficient Object Localization Using Convolutional Networks
    """
    require_floats("dropout2d", "x", x)
    if x.ndim not in (3, 4):
        raise ValueError(f"dropout2d: x must have shape (N, C, H, W) or (N, C, L), got {x.shape}")
    return _dropout("dropout2d", x, 2, p, training, mask, generator)


class Dropout2d(_Dropout):
    """`dropout2d` as a module: random in training mode, drawing from `generator`."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `dropout2d`."""
        return dropout2d(input, p=self.p, training=self.training, generator=self.generator)


def dropout3d(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = True,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """Drop each channel of volumes with probability p, whole.

    Forward:   y = s x,  s = mask / (1 − p);  in evaluation y = x
    Backward:  grad_x = s grad_y;  in evaluation grad_x = grad_y
    Shapes:    x, y (N, C, D, H, W) or (C, D, H, W); `mask` (N, C, 1, 1, 1) or (C, 1, 1, 1), drawn by `generator` unless given
    Corners:   other numbers of axes, of which torch warns, are refused
    Source:    Tompson, Goroshin, Jain, LeCun & Bregler 2015, Efficient Object Localization Using Convolutional Networks
    """
    require_floats("dropout3d", "x", x)
    if x.ndim not in (4, 5):
        raise ValueError(f"dropout3d: x must have shape (N, C, D, H, W) or (C, D, H, W), got {x.shape}")
    return _dropout("dropout3d", x, x.ndim - 3, p, training, mask, generator)


class Dropout3d(_Dropout):
    """`dropout3d` as a module: random in training mode, drawing from `generator`."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `dropout3d`."""
        return dropout3d(input, p=self.p, training=self.training, generator=self.generator)


def alpha_dropout(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """Drop numbers to what SELU gives far on the left, so that mean 0 and variance 1 stay what they are.

    Forward:   y = a (x + α p) where the mask is True,  −a α (1 − p) where it is not,  a = ((1 − p) (1 + p α²))^(−½),
               α = 1.7580993408473766;  p = 1: y = 0;  in evaluation y = x
    Backward:  grad_x = a grad_y where the mask is True, else 0;  in evaluation grad_x = grad_y
    Shapes:    x, y (...); `mask` has the shape of x, and is drawn by `generator` unless given
    Corners:   what is dropped is multiplied by 0, so that ∞ and NaN become NaN. In evaluation y shares the memory of x, and is
               read-only
    Source:    Klambauer, Unterthiner, Mayr & Hochreiter 2017, Self-Normalizing Neural Networks
    """
    require_floats("alpha_dropout", "x", x)
    return _alpha_dropout("alpha_dropout", x, x.ndim, p, training, mask, generator)


def _alpha_dropout(
    op: str, x: Array, drawn: int, p: float, training: bool, mask: Array | None, generator: np.random.Generator | None
) -> tuple[Array, Backward]:
    """The same for what is drawn along the first axes."""
    shape = x.shape[:drawn] + (1,) * (x.ndim - drawn)
    p = require_number(op, "p", p, "a number from 0 to 1")
    _require_dropout(op, shape, training, mask, generator)
    if not training:
        return reshaped(op, x, x.shape)
    a = ((1.0 - p) * (1.0 + p * ALPHA**2)) ** -0.5 if p < 1 else 0.0
    shift, dropped = x.dtype.type(a * ALPHA * p), x.dtype.type(-a * ALPHA * (1.0 - p))

    def curve(x, kept):
        slope = np.multiply(kept, a, dtype=x.dtype)
        with np.errstate(invalid="ignore"):  # ∞ · 0
            y = x * slope
        y += np.where(kept, shift, dropped)
        return y, slope

    return elementwise(op, curve, x, kept(shape, p, mask, generator))


class AlphaDropout(_Dropout):
    """`alpha_dropout` as a module: random in training mode, drawing from `generator`."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `alpha_dropout`."""
        return alpha_dropout(input, p=self.p, training=self.training, generator=self.generator)


def feature_alpha_dropout(
    x: Array,
    /,
    *,
    p: float = 0.5,
    training: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[Array, Backward]:
    """`alpha_dropout` of whole channels.

    Forward:   y = a (x + α p) where the mask is True,  −a α (1 − p) where it is not,  a = ((1 − p) (1 + p α²))^(−½),
               α = 1.7580993408473766;  p = 1: y = 0;  in evaluation y = x
    Backward:  grad_x = a grad_y where the mask is True, else 0;  in evaluation grad_x = grad_y
    Shapes:    x, y (N, C, *); `mask` (N, C, 1, …, 1), drawn by `generator` unless given
    """
    require_floats("feature_alpha_dropout", "x", x)
    if x.ndim < 2:
        raise ValueError(f"feature_alpha_dropout: x must have shape (N, C, *), got {x.shape}")
    return _alpha_dropout("feature_alpha_dropout", x, 2, p, training, mask, generator)


class FeatureAlphaDropout(_Dropout):
    """`feature_alpha_dropout` as a module: random in training mode, drawing from `generator`."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `feature_alpha_dropout`."""
        return feature_alpha_dropout(input, p=self.p, training=self.training, generator=self.generator)
