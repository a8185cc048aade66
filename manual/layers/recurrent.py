"""Recurrent networks: layers of cells over all times of a batch of sequences."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from manual.contract import (
    Array,
    Backward,
    cotangents,
    needed,
    require_flags,
    require_generator,
    require_integer,
    require_mask,
    require_number,
    require_shape,
)
from manual.layers.dropout import kept
from manual.layers.packed_sequence import PackedSequence, packed_in_order
from manual.layers.recurrent_arguments import (
    Batch,
    Weights,
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
from manual.sequences import by_sequences

__all__ = ["gru", "lstm", "rnn_relu", "rnn_tanh"]


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
    Shapes:    as in `lstm`; hx (layers · directions, N, H); weights W_ih (3H, I), W_hh (3H, H), b_ih, b_hh (3H);
               the output is (y, h)
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
    """Bring everything into rows, run the layers, and bring what they return into the form of x and hx."""
    batch, numbers, old, by_direction = _checked(op, gates, names, x, hx, weights, settings)
    rows = batch.rows(numbers)
    directions = 2 if settings.bidirectional else 1
    scales = _scales(op, settings, batch, rows, directions * old[0].shape[2])
    run = partial(layers, step, by_direction, directions)
    (y, new), layers_backward = by_sequences(run, rows, batch.sizes, old, scales, size=len(rows) * len(weights[0]))
    parts = tuple([batch.like_hx(state) for state in new])
    y = packed_in_order(y, np.array(x.batch_sizes), batch.order) if batch.packed else batch.like_x(y)
    output = y, parts if len(names) > 1 else parts[0]

    def backward(grad_output, needs=None):
        need_x, need_hx, need_weights = needed(op, needs, 3)
        grad_y, grad_new = cotangents(op, grad_output, output)
        if not (need_x or need_hx or need_weights):
            return None, None, None
        grad_rows = batch.rows(grad_y[0] if batch.packed else grad_y)
        of_new = [batch.states(grad) for grad in (grad_new if len(names) > 1 else (grad_new,))]
        grad_x, grad_old, grad_weights = layers_backward(grad_rows, of_new, (need_x, need_weights))
        if need_x:
            grad_x = PackedSequence(grad_x, None) if batch.packed else batch.like_x(grad_x)
        grad_hx = like_states(hx, [batch.like_hx(grad) for grad in grad_old]) if need_hx else None
        return grad_x, grad_hx, type(weights)(grad_weights) if need_weights else None

    return output, backward


def _checked(
    op: str, gates: int, names: tuple[str, ...], x: Any, hx: Any, weights: Any, settings: Settings
) -> tuple[Batch, Array, tuple[Array, ...], list[Weights]]:
    """The batch, its numbers, the states in the order of its rows, and the weights of each layer and direction."""
    has_biases, num_layers, dropout, train, bidirectional, batch_first, _, generator = settings
    require_flags(op, has_biases=has_biases, train=train, bidirectional=bidirectional, batch_first=batch_first)
    groups = require_integer(op, "num_layers", num_layers, least=1) * (2 if bidirectional else 1)
    require_number(op, "dropout", dropout, "a number from 0 to 1")
    require_generator(op, generator)
    each = 4 if has_biases else 2
    counts = [groups * each, groups * (each + 1)] if len(names) > 1 else [groups * each]  # an LSTM may have W_hr too
    require_list(op, weights, counts, f"{' or '.join(map(str, counts))} arrays, as many for each layer and direction")
    batch, numbers = batch_of(op, x, batch_first)
    states = states_of(op, hx, names)
    require_numbers(op, "x.data" if batch.packed else "x", numbers, names, states, weights)
    if numbers.shape[-1:] != weights[0].shape[1:]:
        raise ValueError(f"{op}: x must be (…, I) and weights[0] (…, I), got {numbers.shape} and {weights[0].shape}")
    by_direction = grouped(op, weights, groups, 2 if bidirectional else 1, has_biases, gates, numbers.shape[-1])
    widths = [by_direction[0].w_hh.shape[1], len(by_direction[0].w_hh) // gates][: len(names)]  # of h, and of c
    for name, state, width in zip(names_of_states(names), states, widths):
        require_shape(op, name, state, (groups, width) if batch.single else (groups, batch.count, width))
    if hx is None:
        return batch, numbers, tuple([np.zeros((groups, batch.count, width), numbers.dtype) for width in widths]), by_direction
    return batch, numbers, tuple([batch.states(state) for state in states]), by_direction


def _scales(op: str, settings: Settings, batch: Batch, rows: Array, width: int) -> list[Array] | None:
    """By what dropout multiplies what goes from each layer to the next, `None` if by nothing."""
    between, p, mask = settings.num_layers - 1, settings.dropout, settings.mask
    if mask is not None:
        require_mask(op, "mask", mask, (between, *batch.like_x(rows).shape[:-1], width))
    if not settings.train or between == 0 or (p == 0 and mask is None):
        return None
    masks = kept((between, len(rows), width), p, None, settings.generator) if mask is None else map(batch.rows, mask)
    scale = 1.0 / (1.0 - p) if p < 1 else 0.0
    return [np.multiply(each, scale, dtype=rows.dtype) for each in masks]
