"""What language models of today add to the Transformer: positions as rotations, and feed-forward layers with a gate.

Of the gates there is an operation, on a gate and on what it lets through, and the feed-forward layer that it makes.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.activations.gated import gelu, silu
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_choice,
    require_floats,
    require_integer,
    require_number,
    require_shape,
)
from manual.layers.linear import Linear
from manual.module import Module

__all__ = ["GeGLU", "SwiGLU", "geglu", "rotary_embedding", "swiglu"]


def rotary_embedding(x: Array, /, *, base: float = 10_000.0, offset: int = 0) -> tuple[Array, Backward]:
    """Turn each vector by its position, so that the product of two of them knows how far apart they are, and nothing else.

    Forward:   y₂ᵢ + i y₂ᵢ₊₁ = (x₂ᵢ + i x₂ᵢ₊₁) exp(i α),  α = t · base^(−2i/D), at position t = `offset`, `offset` + 1, …
               Each pair of coordinates is a complex number, and is turned by an angle of its own
    Backward:  the same turn back: g₂ᵢ + i g₂ᵢ₊₁ = (grad_y₂ᵢ + i grad_y₂ᵢ₊₁) exp(−i α)      (g = grad_x)
    Shapes:    x, y (..., T, D), positions along the last axis but one, D even
    Source:    Su, Lu, Pan, Murtadha, Wen & Liu 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding
    """
    op = "rotary_embedding"
    require_floats(op, "x", x)
    base = require_number(op, "base", base, "a positive number")
    offset = require_integer(op, "offset", offset, least=0)
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError(f"{op}: x must have shape (..., T, D) with an even D, got {x.shape}")
    shape, dtype = x.shape, x.dtype
    turn = _turns(shape[-2], shape[-1] // 2, base, offset, dtype)

    def backward(grad_output, needs=None):
        if not needed(op, needs, 1)[0]:
            return (None,)
        return (_turned(cotangent(op, grad_output, shape, dtype), turn.conj()),)

    return _turned(x, turn), backward


def _turned(x: Array, turn: Array) -> Array:
    """Multiply the pairs of the last axis, as complex numbers."""
    if x.strides[-1] != x.itemsize:  # a pair must be one number in memory
        x = x.copy()
    y = np.empty(x.shape, x.dtype)
    np.multiply(x.view(turn.dtype), turn, out=y.view(turn.dtype))
    return y


def _turns(length: int, pairs: int, base: float, offset: int, dtype: np.dtype[Any]) -> Array:
    """The turn of each pair at each position, (T, D/2). Its angle is a longer number: at position t, its rounding shows t times."""
    longer = np.float64 if dtype == np.float32 else np.longdouble
    frequency = longer(base) ** np.linspace(longer(0.0), longer(-1.0), pairs, endpoint=False)
    angle = np.arange(offset, offset + length)[:, None] * frequency
    turn = np.empty(angle.shape, np.complex64 if dtype == np.float32 else np.complex128)
    turn.real, turn.imag = np.cos(angle), np.sin(angle)
    return turn


def swiglu(gate: Array, up: Array, /) -> tuple[Array, Backward]:
    """Let through what a `silu` opens.

    Forward:   y = silu(gate) · up,  silu(x) = x σ(x)
    Backward:  grad_gate = silu′(gate) · up · grad_y,  grad_up = silu(gate) · grad_y
    Shapes:    gate, up, y (...)
    Source:    Shazeer 2020, GLU Variants Improve Transformer
    """
    return _gated("swiglu", gate, up, silu)


def geglu(gate: Array, up: Array, /, *, approximate: str = "none") -> tuple[Array, Backward]:
    """Let through what a `gelu` opens.

    Forward:   y = gelu(gate) · up,  gelu(x) = x Φ(x), or what `approximate` says
    Backward:  grad_gate = gelu′(gate) · up · grad_y,  grad_up = gelu(gate) · grad_y
    Shapes:    gate, up, y (...)
    Source:    Shazeer 2020, GLU Variants Improve Transformer
    """
    require_choice("geglu", "approximate", approximate, ("none", "tanh"))
    return _gated("geglu", gate, up, gelu, approximate=approximate)


def _gated(op: str, gate: Array, up: Array, activation: Any, **constants: Any) -> tuple[Array, Backward]:
    require_floats(op, "gate up", gate, up)
    require_shape(op, "up", up, gate.shape)
    opened, activation_backward = activation(gate, **constants)
    shape, dtype = gate.shape, gate.dtype

    def backward(grad_output, needs=None):
        need_gate, need_up = needed(op, needs, 2)
        grad_output = cotangent(op, grad_output, shape, dtype)
        (grad_gate,) = activation_backward(grad_output * up) if need_gate else (None,)
        return grad_gate, grad_output * opened if need_up else None

    return opened * up, backward


class _GatedFeedForward(Module):
    """What both feed-forward layers share: y = W_down · (activation(W_gate x) · (W_up x))."""

    def __init__(
        self,
        d_model: int,
        dim_feedforward: int,
        bias: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        name = type(self).__name__
        require_integer(name, "d_model", d_model, least=0)
        require_integer(name, "dim_feedforward", dim_feedforward, least=0)
        self.gate_proj = Linear(d_model, dim_feedforward, bias, dtype=dtype, generator=generator)
        self.up_proj = Linear(d_model, dim_feedforward, bias, dtype=dtype, generator=generator)
        self.down_proj = Linear(dim_feedforward, d_model, bias, dtype=dtype, generator=generator)

    def _gate(self, gate: Array, up: Array) -> tuple[Array, Backward]:
        raise NotImplementedError

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map `input` (..., d_model) to an output of the same shape."""
        gate, gate_backward = self.gate_proj(input)
        up, up_backward = self.up_proj(input)
        hidden, hidden_backward = self._gate(gate, up)
        output, down_backward = self.down_proj(hidden)

        def backward(grad_output, needs=None):
            needs = needed(type(self).__name__, needs, 1)
            (grad_hidden,) = down_backward(grad_output)
            grad_gate, grad_up = hidden_backward(grad_hidden)
            (from_gate,), (from_up,) = gate_backward(grad_gate, needs), up_backward(grad_up, needs)
            return (from_gate + from_up if needs[0] else None,)

        return output, backward


class SwiGLU(_GatedFeedForward):
    """The feed-forward layer of Llama: y = W_down (silu(W_gate x) · W_up x)."""

    def _gate(self, gate: Array, up: Array) -> tuple[Array, Backward]:
        return swiglu(gate, up)


class GeGLU(_GatedFeedForward):
    """The feed-forward layer of Gemma: y = W_down (gelu(W_gate x) · W_up x)."""

    def __init__(
        self,
        d_model: int,
        dim_feedforward: int,
        bias: bool = False,
        approximate: str = "none",
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        require_choice("GeGLU", "approximate", approximate, ("none", "tanh"))
        super().__init__(d_model, dim_feedforward, bias, dtype=dtype, generator=generator)
        self.approximate = approximate

    def _gate(self, gate: Array, up: Array) -> tuple[Array, Backward]:
        return geglu(gate, up, approximate=self.approximate)
