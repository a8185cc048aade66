"""The mechanism of sequences: an operation on a batch of them works on parts of the batch, which several threads share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from manual.contract import Array, Backward
from manual.threads import in_threads, parts_of_batch

# (x, sizes, states, scales) to ((y, last states), backward), and that (grad_y, grad_last, needs) to the gradients of x, of the
# states, and of what all sequences share: `None` perhaps, a tuple, a list
SequencesOperation = Callable[..., tuple[Any, Backward]]


def by_sequences(
    function: SequencesOperation, x: Array, sizes: Sequence[int], states: tuple[Array, ...], scales: Any, size: int
) -> tuple[Any, Backward]:
    """Apply an operation to sequences, if all are of one length and `size` numbers are worth the threads, in parts of the batch.

    x (T · N, I) has one row for each sequence at time 0, then at time 1, and so on; states (layers, N, H); `scales`, if there are
    any, rows like those of x for each layer but the last.
    """
    steps, count = len(sizes), sizes[0]
    parts = parts_of_batch(count, size) if sizes[-1] == count else []
    if len(parts) <= 1:
        return function(x, sizes, states, scales)

    def cut(rows, part):
        width = rows.shape[-1]
        of_part = rows.reshape(steps, count, width)[:, part]
        return of_part.reshape(steps * of_part.shape[1], width)

    def join(of_parts):
        width = of_parts[0].shape[-1]
        return np.concatenate([rows.reshape(steps, len(rows) // steps, width) for rows in of_parts], axis=1).reshape(len(x), width)

    results: list[Any] = [None] * len(parts)

    def forward_part(p):
        own = [state[:, parts[p]] for state in states]
        own_scales = scales if scales is None else [cut(scale, parts[p]) for scale in scales]
        results[p] = function(cut(x, parts[p]), [own[0].shape[1]] * steps, tuple(own), own_scales)

    in_threads(forward_part, len(parts))
    outputs, backwards = zip(*results)
    y, last = zip(*outputs)

    def backward(grad_y, grad_last, needs):
        found: list[Any] = [None] * len(parts)

        def backward_part(p):
            found[p] = backwards[p](cut(grad_y, parts[p]), tuple([grad[:, parts[p]] for grad in grad_last]), needs)

        in_threads(backward_part, len(parts))
        grads_x, grads_states, grads_shared = zip(*found)
        return (
            None if grads_x[0] is None else join(grads_x),
            tuple([np.concatenate(grads, axis=1) for grads in zip(*grads_states)]),
            [sum(grads) for grads in zip(*grads_shared)],
        )

    return (join(y), tuple([np.concatenate(states, axis=1) for states in zip(*last)])), backward
