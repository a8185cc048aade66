"""Recurrent networks: layers of cells over all times of a batch of sequences."""

from collections.abc import Iterator
from typing import Any, NamedTuple

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
    require_mask,
    require_number,
    require_shape,
)
from manual.initialization import uniform_fan_in
from manual.layers.dropout import kept
from manual.layers.packed_sequence import PackedSequence
from manual.layers.recurrent_arguments import (
    batch_of,
    grouped,
    like_states,
    names_of_states,
    require_list,
    require_numbers,
    states_of,
)
from manual.layers.recurrent_layers import layers
from manual.layers.recurrent_steps import gru_step, lstm_step, relu_step, tanh_step
from manual.module import Module, Parameter

__all__ = ["GRU", "LSTM", "RNN", "RNNBase", "gru", "lstm", "rnn_relu", "rnn_tanh"]


class Settings(NamedTuple):
    """The constants that all operations of this chapter take."""

    has_biases: bool
    num_layers: int
    dropout: float
    train: bool
    bidirectional: bool
    batch_first: bool
    mask: Array | None
    generator: np.random.Generator | None


def lstm(
    x: Array | PackedSequence,
    hx: tuple[Array, Array] | None,
    weights: list[Array],
    /,
    *,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[tuple[Any, tuple[Array, Array]], Backward]:
    """Long short-term memory over sequences.

    Forward:   hₜ, cₜ = lstm_cell(xₜ, (hₜ₋₁, cₜ₋₁)) for t = 1, 2, …;  in the other direction, if `bidirectional`, from hₜ₊₁, cₜ₊₁;
               yₜ = hₜ, both directions side by side; with W_hr, hₜ = W_hr (o tanh cₜ).
               The next layer has y for its x, in training with each number dropped with probability `dropout`
    Backward:  back through time: the gradient of hₜ is that of yₜ plus what the step after it sends back; each step goes back as
               lstm_cell does; grad_W_ih = Σₜ grad_aₜ xₜᵀ,  grad_W_hh = Σₜ grad_aₜ hₜ₋₁ᵀ,  grad_b = Σₜ grad_aₜ
    Shapes:    x (T, N, I), with `batch_first` (N, T, I); without a batch (T, I); or a PackedSequence.
               hx (h, c), each (layers · directions, N, H), h with W_hr (…, P); without a batch no N; zeros if `None`.
               weights as a state dict has them, for each layer, and in it for each direction: W_ih (4H, I), W_hh (4H, H), if
               `has_biases` b_ih, b_hh (4H), and perhaps W_hr (P, H).
               The output is (y, (h, c)): y as x is, of width directions · H; h and c after the last step, as hx is.
               `mask` (layers − 1, *shape of y) is what dropout keeps, drawn by `generator` unless given
    Source:    Hochreiter & Schmidhuber 1997, Long Short-Term Memory; Sak, Senior & Beaufays 2014 (W_hr)
    """
    settings = Settings(has_biases, num_layers, dropout, train, bidirectional, batch_first, mask, generator)
    return _recurrent("lstm", lstm_step, 4, ("h", "c"), x, hx, weights, settings)


def gru(
    x: Array | PackedSequence,
    hx: Array | None,
    weights: list[Array],
    /,
    *,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[tuple[Any, Array], Backward]:
    """Gated recurrent units over sequences.

    Forward:   hₜ = gru_cell(xₜ, hₜ₋₁), yₜ = hₜ; directions, layers and dropout as in `lstm`
    Backward:  back through time, each step as gru_cell goes back
    Shapes:    as in `lstm`; hx (layers · directions, N, H); weights W_ih (3H, I), W_hh (3H, H), b_ih, b_hh (3H); the output is (y, h)
    Source:    Cho et al. 2014, Learning Phrase Representations using RNN Encoder–Decoder
    """
    settings = Settings(has_biases, num_layers, dropout, train, bidirectional, batch_first, mask, generator)
    return _recurrent("gru", gru_step, 3, ("h",), x, hx, weights, settings)


def rnn_tanh(
    x: Array | PackedSequence,
    hx: Array | None,
    weights: list[Array],
    /,
    *,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[tuple[Any, Array], Backward]:
    """A plain recurrent network over sequences.

    Forward:   hₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), yₜ = hₜ; directions, layers and dropout as in `lstm`
    Backward:  back through time, each step as rnn_tanh_cell goes back
    Shapes:    as in `lstm`; hx (layers · directions, N, H); weights W_ih (H, I), W_hh (H, H), b_ih, b_hh (H); the output is (y, h)
    Source:    Elman 1990, Finding Structure in Time
    """
    settings = Settings(has_biases, num_layers, dropout, train, bidirectional, batch_first, mask, generator)
    return _recurrent("rnn_tanh", tanh_step, 1, ("h",), x, hx, weights, settings)


def rnn_relu(
    x: Array | PackedSequence,
    hx: Array | None,
    weights: list[Array],
    /,
    *,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    mask: Array | None = None,
    generator: np.random.Generator | None = None,
) -> tuple[tuple[Any, Array], Backward]:
    """A plain recurrent network over sequences, whose states are never negative.

    Forward:   hₜ = max(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh, 0), yₜ = hₜ; directions, layers and dropout as in `lstm`
    Backward:  back through time, each step as rnn_relu_cell goes back
    Shapes:    as in `rnn_tanh`
    Kinks:     the gradient at 0 is 0
    Source:    Le, Jaitly & Hinton 2015, A Simple Way to Initialize Recurrent Networks of Rectified Linear Units
    """
    settings = Settings(has_biases, num_layers, dropout, train, bidirectional, batch_first, mask, generator)
    return _recurrent("rnn_relu", relu_step, 1, ("h",), x, hx, weights, settings)


def _recurrent(
    op: str, step: Any, gates: int, names: tuple[str, ...], x: Any, hx: Any, weights: Any, settings: Settings
) -> tuple[Any, Backward]:
    """Check everything, bring it into rows, and run the layers."""
    has_biases, num_layers, dropout, train, bidirectional, batch_first, mask, generator = settings
    require_flags(op, has_biases=has_biases, train=train, bidirectional=bidirectional, batch_first=batch_first)
    num_layers = require_integer(op, "num_layers", num_layers, least=1)
    dropout = require_number(op, "dropout", dropout, "a number from 0 to 1")
    require_generator(op, generator)
    directions, each = 2 if bidirectional else 1, 4 if has_biases else 2
    groups = num_layers * directions
    counts = [groups * each, groups * (each + 1)] if len(names) == 2 else [groups * each]  # the last is with W_hr
    require_list(op, weights, counts, f"{' or '.join(map(str, counts))} arrays, {each} for each layer and direction")
    batch, numbers = batch_of(op, x, batch_first)
    states = states_of(op, hx, names)
    require_numbers(op, "x.data" if batch.packed else "x", numbers, names, states, weights)
    if numbers.shape[-1:] != weights[0].shape[1:]:
        raise ValueError(f"{op}: x must be (…, I) and weights[0] (…, I), got {numbers.shape} and {weights[0].shape}")
    by_direction = grouped(op, weights, len(weights) // groups, directions, has_biases, gates, numbers.shape[-1])
    widths = [by_direction[0].w_hh.shape[1], len(by_direction[0].w_hh) // gates][: len(names)]  # of h, and of c
    shapes = [(groups, width) if batch.single else (groups, batch.count, width) for width in widths]
    for name, state, shape in zip(names_of_states(names), states, shapes):
        require_shape(op, name, state, shape)
    old = [batch.states(state) for state in states]
    old = old or [np.zeros((groups, batch.count, width), numbers.dtype) for width in widths]

    rows = batch.rows(numbers)
    of_y = (*(batch.like_x(rows).shape[:-1]), directions * widths[0])
    if mask is not None:
        require_mask(op, "mask", mask, (num_layers - 1, *of_y))
    scales = None
    if train and num_layers > 1 and (dropout > 0 or mask is not None):
        of_rows = num_layers - 1, len(rows), of_y[-1]
        masks = kept(of_rows, dropout, None, generator) if mask is None else [batch.rows(each) for each in mask]
        scales = [np.multiply(each, 1.0 / (1.0 - dropout) if dropout < 1 else 0.0, dtype=rows.dtype) for each in masks]

    (y, new), layers_backward = layers(step, rows, batch.sizes, tuple(old), by_direction, directions, scales)
    parts = [batch.like_hx(state) for state in new]
    output_x = batch.like_x(y)
    if batch.packed:
        unsorted = None if batch.order is None else np.argsort(batch.order)
        output_x = PackedSequence(y, x.batch_sizes.copy(), None if batch.order is None else batch.order.copy(), unsorted)
    output = output_x, tuple(parts) if len(names) == 2 else parts[0]

    def backward(grad_output, needs=None):
        need_x, need_hx, need_weights = needed(op, needs, 3)
        grad_y, grad_new = cotangents(op, grad_output, output)
        if not (need_x or need_hx or need_weights):
            return None, None, None
        grad_rows = batch.rows(grad_y[0] if batch.packed else grad_y)
        of_new = [batch.states(grad) for grad in (grad_new if len(names) == 2 else (grad_new,))]
        grad_rows, grad_old, grad_weights = layers_backward(grad_rows, of_new, (need_x, need_weights))
        grad_x = None
        if need_x:
            grad_x = PackedSequence(grad_rows, None) if batch.packed else batch.like_x(grad_rows)
        grad_hx = like_states(hx, [batch.like_hx(grad) for grad in grad_old]) if need_hx else None
        return grad_x, grad_hx, type(weights)(grad_weights) if need_weights else None

    return output, backward


class RNNBase(Module):
    """What the modules of this chapter share: `mode` is LSTM, GRU, RNN_TANH or RNN_RELU.

    All weights start from U(−1/√hidden_size, 1/√hidden_size). They are drawn by `generator`, and so is, in training, what dropout
    keeps of what goes from one layer to the next; of the last layer nothing is dropped.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        op = type(self).__name__
        require_choice(op, "mode", mode, tuple(GATES))
        self.mode = mode
        self.input_size = require_integer(op, "input_size", input_size, least=1)
        self.hidden_size = require_integer(op, "hidden_size", hidden_size, least=1)
        self.num_layers = require_integer(op, "num_layers", num_layers, least=1)
        require_flags(op, bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = require_number(op, "dropout", dropout, "a number from 0 to 1")
        self.proj_size = require_integer(op, "proj_size", proj_size, least=0)
        if proj_size >= hidden_size or (proj_size and mode != "LSTM"):
            raise ValueError(f"{op}: proj_size must be less than hidden_size, and 0 except in an LSTM, got {proj_size}")
        require_generator(op, generator)
        dtype = require_dtype(op, dtype)
        self.generator = generator
        draw = np.random.default_rng(generator)
        for name, shape in self._shapes():
            setattr(self, name, Parameter(uniform_fan_in(shape, hidden_size, dtype, draw)))

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The name and the shape of each weight."""
        rows, out = GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        for layer in range(self.num_layers):
            for suffix in suffixes:
                end = f"_l{layer}{suffix}"
                yield "weight_ih" + end, (rows, len(suffixes) * out if layer else self.input_size)
                yield "weight_hh" + end, (rows, out)
                if self.bias:
                    yield "bias_ih" + end, (rows,)
                    yield "bias_hh" + end, (rows,)
                if self.proj_size:
                    yield "weight_hr" + end, (out, self.hidden_size)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each layer in each direction."""
        flat = [getattr(self, name) for name, _ in self._shapes()]
        groups = self.num_layers * (2 if self.bidirectional else 1)
        each = len(flat) // groups
        return [flat[i * each : (i + 1) * each] for i in range(groups)]

    def _run(self, op: Any, input: Any, hx: Any) -> tuple[Any, Backward]:
        weights = [getattr(self, name) for name, _ in self._shapes()]
        return self.call(
            op,
            input,
            Input(hx),
            weights,
            has_biases=self.bias,
            num_layers=self.num_layers,
            dropout=self.dropout,
            train=self.training,
            bidirectional=self.bidirectional,
            batch_first=self.batch_first,
            generator=self.generator,
        )


GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}  # the blocks of the weights, by mode


class RNN(RNNBase):
    """`rnn_tanh` or `rnn_relu` with its weights."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        require_choice("RNN", "nonlinearity", nonlinearity, ("tanh", "relu"))
        mode = "RNN_" + nonlinearity.upper()
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype, generator=generator
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: Array | PackedSequence, hx: Array | None = None) -> tuple[tuple[Any, Array], Backward]:
        """Run over `input` (T, N, input_size), with `batch_first` (N, T, input_size), or (T, input_size), or packed; `hx` is 0
        unless given. Return the hidden states of the last layer at all times, and the last ones of all layers.
        """
        return self._run(rnn_tanh if self.nonlinearity == "tanh" else rnn_relu, input, hx)


class LSTM(RNNBase):
    """`lstm` with its weights; with `proj_size`, hidden states are projected to that size."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        sizes = input_size, hidden_size, num_layers
        super().__init__("LSTM", *sizes, bias, batch_first, dropout, bidirectional, proj_size, dtype=dtype, generator=generator)

    def forward(
        self, input: Array | PackedSequence, hx: tuple[Array, Array] | None = None
    ) -> tuple[tuple[Any, tuple[Array, Array]], Backward]:
        """Run over `input` (T, N, input_size), with `batch_first` (N, T, input_size), or (T, input_size), or packed; `hx` is (h, c),
        0 unless given. Return the hidden states of the last layer at all times, and (h, c) after the last time, of all layers.
        """
        return self._run(lstm, input, hx)


class GRU(RNNBase):
    """`gru` with its weights."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        sizes = input_size, hidden_size, num_layers
        super().__init__("GRU", *sizes, bias, batch_first, dropout, bidirectional, dtype=dtype, generator=generator)

    def forward(self, input: Array | PackedSequence, hx: Array | None = None) -> tuple[tuple[Any, Array], Backward]:
        """Run over `input` (T, N, input_size), with `batch_first` (N, T, input_size), or (T, input_size), or packed; `hx` is 0
        unless given. Return the hidden states of the last layer at all times, and the last ones of all layers.
        """
        return self._run(gru, input, hx)
