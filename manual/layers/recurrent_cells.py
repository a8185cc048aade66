"""Recurrent cells: one step in time, with the weights of input and state."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.calling import Input
from manual.contract import (
    Array,
    Backward,
    cotangents,
    needed,
    require_choice,
    require_dtype,
    require_flags,
    require_generator,
    require_integer,
    require_shape,
)
from manual.initialization import uniform_fan_in
from manual.layers.linear import linear
from manual.layers.recurrent_arguments import (
    grouped,
    like_states,
    names_of_states,
    require_list,
    require_numbers,
    states_of,
)
from manual.layers.recurrent_steps import gru_step, lstm_step, relu_step, tanh_step
from manual.module import Module, Parameter

__all__ = [
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "RNNCellBase",
    "gru_cell",
    "lstm_cell",
    "rnn_relu_cell",
    "rnn_tanh_cell",
]


def lstm_cell(x: Array, hx: tuple[Array, Array] | None, weights: list[Array], /) -> tuple[tuple[Array, Array], Backward]:
    """A step of long short-term memory: what the cell c remembers changes by gates alone.

    Forward:   i, f, o = σ(a) and g = tanh(a), each of its own block of a = W_ih x + b_ih + W_hh h + b_hh, in the order i, f, g, o;
               c′ = f c + i g,  h′ = o tanh c′
    Backward:  ĉ = grad_c′ + grad_h′ o sech²c′;  grad_c = ĉ f
               grad_a = (ĉ g i (1 − i),  ĉ c f (1 − f),  ĉ i sech²a_g,  grad_h′ tanh c′ o (1 − o))
               grad_x = W_ihᵀ grad_a,  grad_h = W_hhᵀ grad_a,  grad_W_ih = Σ grad_a xᵀ,  grad_W_hh = Σ grad_a hᵀ,
               grad_b_ih = grad_b_hh = Σ grad_a      (Σ over samples)
    Shapes:    x (N, I) or (I); hx (h, c), each (N, H) or (H), zeros if `None`; the output is (h′, c′);
               weights [W_ih (4H, I), W_hh (4H, H)] and perhaps [b_ih, b_hh] (4H)
    Source:    Hochreiter & Schmidhuber 1997, Long Short-Term Memory; Gers, Schmidhuber & Cummins 2000 (the gate f)
    """
    return _cell("lstm_cell", lstm_step, 4, ("h", "c"), x, hx, weights)


def gru_cell(x: Array, hx: Array | None, weights: list[Array], /) -> tuple[Array, Backward]:
    """A step of a gated recurrent unit: the gate z says how much stays, r how much counts for what is new.

    Forward:   r, z = σ(u + v), each of its own block, and n = tanh(u + r v) of the last, u = W_ih x + b_ih, v = W_hh h + b_hh;
               h′ = (1 − z) n + z h
    Backward:  ñ = grad_h′ (1 − z) sech²(u + r v);  grad_u = (ñ v r (1 − r),  grad_h′ (h − n) z (1 − z),  ñ),  grad_v the same but
               for its last block, r ñ;  grad_h = W_hhᵀ grad_v + grad_h′ z,  grad_x = W_ihᵀ grad_u,
               grad_W_ih = Σ grad_u xᵀ,  grad_W_hh = Σ grad_v hᵀ,  grad_b_ih = Σ grad_u,  grad_b_hh = Σ grad_v   (Σ over samples)
    Shapes:    x (N, I) or (I); hx (N, H) or (H), zeros if `None`, and the output the same;
               weights [W_ih (3H, I), W_hh (3H, H)] and perhaps [b_ih, b_hh] (3H)
    Source:    Cho et al. 2014, Learning Phrase Representations using RNN Encoder–Decoder; in torch's form, where r comes after W_hh
    """
    return _cell("gru_cell", gru_step, 3, ("h",), x, hx, weights)


def rnn_tanh_cell(x: Array, hx: Array | None, weights: list[Array], /) -> tuple[Array, Backward]:
    """A step of a plain recurrent network.

    Forward:   h′ = tanh(a),  a = W_ih x + b_ih + W_hh h + b_hh
    Backward:  grad_a = grad_h′ sech²a;  grad_x = W_ihᵀ grad_a,  grad_h = W_hhᵀ grad_a,  grad_W_ih = Σ grad_a xᵀ,
               grad_W_hh = Σ grad_a hᵀ,  grad_b_ih = grad_b_hh = Σ grad_a      (Σ over samples)
    Shapes:    x (N, I) or (I); hx (N, H) or (H), zeros if `None`, and the output the same;
               weights [W_ih (H, I), W_hh (H, H)] and perhaps [b_ih, b_hh] (H)
    Source:    Elman 1990, Finding Structure in Time
    """
    return _cell("rnn_tanh_cell", tanh_step, 1, ("h",), x, hx, weights)


def rnn_relu_cell(x: Array, hx: Array | None, weights: list[Array], /) -> tuple[Array, Backward]:
    """A step of a plain recurrent network whose state is never negative.

    Forward:   h′ = max(a, 0),  a = W_ih x + b_ih + W_hh h + b_hh
    Backward:  grad_a = grad_h′ where a > 0, else 0; everything else as in `rnn_tanh_cell`
    Shapes:    as in `rnn_tanh_cell`
    Kinks:     the gradient at 0 is 0
    Source:    Le, Jaitly & Hinton 2015, A Simple Way to Initialize Recurrent Networks of Rectified Linear Units
    """
    return _cell("rnn_relu_cell", relu_step, 1, ("h",), x, hx, weights)


def _cell(op: str, step: Any, gates: int, names: tuple[str, ...], x: Array, hx: Any, weights: Any) -> tuple[Any, Backward]:
    """A step after its two products: a chain of three operations."""
    require_list(op, weights, (2, 4), "2 arrays, or of 4 with biases")
    states = states_of(op, hx, names)
    require_numbers(op, "x", x, names, states, weights)
    if x.ndim not in (1, 2) or x.shape[-1:] != weights[0].shape[1:]:
        raise ValueError(f"{op}: x must have shape (N, I) or (I) and weights[0] (…, I), got {x.shape} and {weights[0].shape}")
    (own,) = grouped(op, weights, 1, 1, len(weights) == 4, gates, x.shape[-1])
    size = own.w_hh.shape[1]
    shape, rows = (*x.shape[:-1], size), (len(x) if x.ndim == 2 else 1, size)
    for name, state in zip(names_of_states(names), states):
        require_shape(op, name, state, shape)
    old = [state.reshape(rows) for state in states] or [np.zeros(rows, x.dtype)] * len(names)
    of_input, input_backward = linear(x.reshape(rows[0], x.shape[-1]), own.w_ih, own.b_ih)
    of_hidden, hidden_backward = linear(old[0], own.w_hh, own.b_hh)
    new, step_backward = step(of_input, of_hidden, *old)
    parts = tuple([state.reshape(shape) for state in new])
    output = parts if len(names) > 1 else parts[0]

    def backward(grad_output, needs=None):
        need_x, need_hx, need_weights = needed(op, needs, 3)
        grads = cotangents(op, grad_output, output)
        grads_new = [grad.reshape(rows) for grad in (grads if len(names) > 1 else (grads,))]
        grad_of_input, grad_of_hidden, *past = step_backward(*grads_new)
        grad_x, *grads_ih = input_backward(grad_of_input, (need_x, need_weights, need_weights))
        grad_h, *grads_hh = hidden_backward(grad_of_hidden, (need_hx, need_weights, need_weights))
        if need_hx:
            past[0] = grad_h if past[0] is None else grad_h + past[0]
        grad_weights = None
        if need_weights:
            grad_weights = type(weights)([grad for pair in zip(grads_ih, grads_hh) for grad in pair if grad is not None])
        return (
            grad_x.reshape(x.shape) if need_x else None,
            like_states(hx, [grad.reshape(shape) for grad in past]) if need_hx else None,
            grad_weights,
        )

    return output, backward


class RNNCellBase(Module):
    """What the cells share: the weights of `num_chunks` blocks, all from U(−1/√hidden_size, 1/√hidden_size)."""

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        op = type(self).__name__
        self.input_size = require_integer(op, "input_size", input_size, least=0)
        self.hidden_size = require_integer(op, "hidden_size", hidden_size, least=0)
        rows = require_integer(op, "num_chunks", num_chunks, least=0) * hidden_size
        require_flags(op, bias=bias)
        require_generator(op, generator)
        dtype = require_dtype(op, dtype)
        self.bias = bias
        generator = np.random.default_rng(generator)
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size), "bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in shapes.items():
            there = bias or not name.startswith("bias")
            initial = Parameter(uniform_fan_in(shape, hidden_size, dtype, generator)) if there else None
            self.register_parameter(name, initial)

    def _weights(self) -> list[Any]:
        """As the operations take them."""
        return [self.weight_ih, self.weight_hh, *([self.bias_ih, self.bias_hh] if self.bias else [])]


class RNNCell(RNNCellBase):
    """`rnn_tanh_cell` or `rnn_relu_cell` with its weights, which start from U(−1/√hidden_size, 1/√hidden_size)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        require_choice("RNNCell", "nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(input_size, hidden_size, bias, 1, dtype=dtype, generator=generator)
        self.nonlinearity = nonlinearity

    def forward(self, input: Array, hx: Array | None = None) -> tuple[Array, Backward]:
        """Take a step with `input` (N, input_size) or (input_size); `hx` (N, hidden_size) or (hidden_size) is 0 unless given."""
        op = rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell
        return self.call(op, input, Input(hx), self._weights())


class LSTMCell(RNNCellBase):
    """`lstm_cell` with its weights, which start from U(−1/√hidden_size, 1/√hidden_size)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, dtype=dtype, generator=generator)

    def forward(self, input: Array, hx: tuple[Array, Array] | None = None) -> tuple[tuple[Array, Array], Backward]:
        """Take a step with `input` (N, input_size) or (input_size); `hx` is (h, c), each (N, hidden_size) or (hidden_size), 0
        unless given.
        """
        return self.call(lstm_cell, input, Input(hx), self._weights())


class GRUCell(RNNCellBase):
    """`gru_cell` with its weights, which start from U(−1/√hidden_size, 1/√hidden_size)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, dtype=dtype, generator=generator)

    def forward(self, input: Array, hx: Array | None = None) -> tuple[Array, Backward]:
        """Take a step with `input` (N, input_size) or (input_size); `hx` (N, hidden_size) or (hidden_size) is 0 unless given."""
        return self.call(gru_cell, input, Input(hx), self._weights())
