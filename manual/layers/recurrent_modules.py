"""Recurrent networks as modules: the weights of all layers, and one operation on them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.calling import Input
from manual.contract import (
    Array,
    Backward,
    require_choice,
    require_dtype,
    require_flags,
    require_generator,
    require_integer,
    require_number,
)
from manual.initialization import uniform_fan_in
from manual.layers.packed_sequence import PackedSequence
from manual.layers.recurrent import gru, lstm, rnn_relu, rnn_tanh
from manual.module import Module, Parameter

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}  # the blocks of the weights, by mode


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
        """Run over `input` (T, N, input_size), with `batch_first` (N, T, input_size), or (T, input_size), or packed; `hx` is
        (h, c), 0 unless given. Return the hidden states of the last layer at all times, and the last (h, c) of all layers.
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
