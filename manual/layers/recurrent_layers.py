"""Recurrent layers: a step taken at all times of all sequences, in either direction, layer upon layer.

Everything goes by rows, as packed sequences have them: all sequences at time 0, then all that last longer at time 1, and so on. A
padded batch is the same with as many rows at every time. So one loop serves both: at each time the first of the states take a step,
as many as there are rows, and the others stay, be it that their sequence has ended or, on the way back, that it has yet to begin.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from manual.arrays import column_sums
from manual.contract import Array, Backward
from manual.layers.linear import linear
from manual.layers.recurrent_arguments import Weights

States = tuple[Array, ...]


def over_time(step: Any, x: Array, sizes: Sequence[int], states: States, weights: Weights, reverse: bool) -> tuple[Any, Backward]:
    """A layer in one direction: return the hidden states of all times and the last states, ((R, H), (h, …)), and the backward.

    x (R, I) has `sizes[t]` rows of time t; states (N, H). The input is multiplied by its weights for all times at once, and so are
    the gradients once all are there; what must go from time to time is the product with the hidden state alone.
    """
    w_hh, b_hh, w_hr = weights.w_hh, weights.b_hh, weights.w_hr
    of_input, input_backward = linear(x, weights.w_ih, weights.b_ih)
    rows = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes))]
    times = range(len(sizes))[:: -1 if reverse else 1]
    before, after, shown, backwards = ([None] * len(sizes) for _ in range(4))
    for t in times:
        old = [state[: sizes[t]] for state in states]
        of_hidden = old[0].dot(w_hh.T)
        if b_hh is not None:
            of_hidden += b_hh
        new, backwards[t] = step(of_input[rows[t]], of_hidden, *old)
        if w_hr is not None:
            shown[t] = new[0]
            new = new[0].dot(w_hr.T), *new[1:]
        before[t], after[t] = old[0], new[0]
        states = [_joined(part, state) for part, state in zip(new, states)]
    output = np.concatenate(after)

    def backward(grad_output, grad_states, needs):
        need_x, need_weights = needs
        grads_of_input, grads_of_hidden, grads_shown = ([None] * len(sizes) for _ in range(3))
        for t in times[::-1]:
            grad_h, *grads = [grad[: sizes[t]] for grad in grad_states]
            grad_h = grads_shown[t] = grad_h + grad_output[rows[t]]
            if w_hr is not None:
                grad_h = grad_h.dot(w_hr)
            grads_of_input[t], grads_of_hidden[t], *past = backwards[t](grad_h, *grads)
            grad_h = grads_of_hidden[t].dot(w_hh)
            if past[0] is not None:
                grad_h += past[0]
            grad_states = [_joined(part, grad) for part, grad in zip((grad_h, *past[1:]), grad_states)]
        grad_of_input = np.concatenate(grads_of_input)
        grad_x, grad_w_ih, grad_b_ih = input_backward(grad_of_input, (need_x, need_weights, need_weights))
        grad_weights = None
        if need_weights:
            grad_of_hidden = np.concatenate(grads_of_hidden)
            grad_weights = [grad_w_ih, grad_of_hidden.T.dot(np.concatenate(before))]
            if b_hh is not None:
                grad_weights += [grad_b_ih, column_sums(grad_of_hidden)]
            if w_hr is not None:
                grad_weights += [np.concatenate(grads_shown).T.dot(np.concatenate(shown))]
        return grad_x, grad_states, grad_weights

    return (output, states), backward


def _joined(part: Array, whole: Array) -> Array:
    """The first states as they are now, and the others as they were."""
    return part if len(part) == len(whole) else np.concatenate((part, whole[len(part) :]))


def layers(
    step: Any, x: Array, sizes: Sequence[int], states: States, weights: Sequence[Weights], directions: int, scales: Any
) -> tuple[Any, Backward]:
    """Layer upon layer: return the hidden states of the last at all times, the last states of all, and the backward.

    The states are (layers · directions, N, H), and `weights` has as many entries. What goes from layer k to the next is multiplied
    by `scales[k]`, for dropout, unless that is `None`.
    """
    last, backwards = [], []
    for first in range(0, len(weights), directions):
        outputs = []
        for i in range(first, first + directions):
            (output, final), backward_in_time = over_time(step, x, sizes, tuple([s[i] for s in states]), weights[i], i > first)
            outputs.append(output)
            last.append(final)
            backwards.append(backward_in_time)
        x = outputs[0] if directions == 1 else np.concatenate(outputs, axis=1)
        if scales is not None and first + directions < len(weights):
            x = x * scales[first // directions]

    def backward(grad, grad_last, needs):
        need_x, need_weights = needs
        grads_states: list[Any] = [None] * len(weights)
        grads_weights: list[Any] = [None] * len(weights)
        for first in range(0, len(weights), directions)[::-1]:
            if scales is not None and first + directions < len(weights):
                grad = grad * scales[first // directions]
            of_input = []
            for i, grad_output in enumerate(np.split(grad, directions, axis=1), start=first):
                of_last = [g[i] for g in grad_last]
                grad_x, grads_states[i], grads_weights[i] = backwards[i](grad_output, of_last, (need_x or first > 0, need_weights))
                of_input.append(grad_x)
            grad = of_input[0] if directions == 1 or of_input[0] is None else of_input[0] + of_input[1]
        flat = [grad for of_direction in grads_weights for grad in of_direction] if need_weights else None
        return grad, tuple(map(np.stack, zip(*grads_states))), flat

    return (x, tuple(map(np.stack, zip(*last)))), backward
