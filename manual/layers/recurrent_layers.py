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
    taken: list[Any] = [None] * len(sizes)  # of each step: h before it, after it, and after the projection; its backward
    for t in times:
        old = [state[: sizes[t]] for state in states]
        of_hidden = old[0].dot(w_hh.T)
        if b_hh is not None:
            of_hidden += b_hh
        (h, *c), step_backward = step(of_input[rows[t]], of_hidden, *old)
        shown = h if w_hr is None else h.dot(w_hr.T)
        taken[t] = old[0], h, shown, step_backward
        states = tuple([_joined(new, state) for new, state in zip((shown, *c), states)])
    output = np.concatenate([shown for _, _, shown, _ in taken])

    def backward(grad_output, grad_states, needs):
        need_x, need_weights = needs
        grads: list[Any] = [None] * len(sizes)  # of each step: of what came from the input, from the state, and of what is shown
        for t in times[::-1]:
            grad_shown, *grad_c = [grad[: sizes[t]] for grad in grad_states]
            grad_shown = grad_shown + grad_output[rows[t]]
            grad_h = grad_shown if w_hr is None else grad_shown.dot(w_hr)
            grad_of_input, grad_of_hidden, past, *grad_c = taken[t][-1](grad_h, *grad_c)
            grads[t] = grad_of_input, grad_of_hidden, grad_shown
            grad_h = grad_of_hidden.dot(w_hh)
            if past is not None:
                grad_h += past
            grad_states = [_joined(new, grad) for new, grad in zip((grad_h, *grad_c), grad_states)]
        grad_of_input = np.concatenate([each for each, _, _ in grads])
        grad_x, grad_w_ih, grad_b_ih = input_backward(grad_of_input, (need_x, need_weights, need_weights))
        grad_weights: list[Any] = []
        if need_weights:
            grad_of_hidden = np.concatenate([each for _, each, _ in grads])
            grad_weights += [grad_w_ih, grad_of_hidden.T.dot(np.concatenate([before for before, *_ in taken]))]
            if b_hh is not None:
                grad_weights += [grad_b_ih, column_sums(grad_of_hidden)]
            if w_hr is not None:
                grad_shown = np.concatenate([each for _, _, each in grads])
                grad_weights += [grad_shown.T.dot(np.concatenate([h for _, h, _, _ in taken]))]
        return grad_x, grad_states, grad_weights

    return (output, states), backward


def _joined(part: Array, whole: Array) -> Array:
    """The first states as they are now, and the others as they were."""
    return part if len(part) == len(whole) else np.concatenate((part, whole[len(part) :]))


def layers(
    step: Any, weights: Sequence[Weights], directions: int, x: Array, sizes: Sequence[int], states: States, scales: Any
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
        x = np.concatenate(outputs, axis=1)
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
            grad = None if of_input[0] is None else sum(of_input)
        return grad, tuple(map(np.stack, zip(*grads_states))), [grad for of_direction in grads_weights for grad in of_direction]

    return (x, tuple(map(np.stack, zip(*last)))), backward
