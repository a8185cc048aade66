"""The mechanism of batches: a whole network takes a batch in parts, which threads share, from its first operation to its last."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from manual.contract import Array, Backward, cotangent, needed
from manual.module import Module
from manual.parameter import collected
from manual.threads import get_num_threads, in_threads

LARGE = 1 << 17  # numbers between two layers that are worth the parts; with fewer, threads wait for each other's lock
PART = 1 << 16  # numbers of a part: what one layer makes of so many stays in a cache


def by_batch(module: Module, forward: Callable[[Array], tuple[Array, Backward]], x: Array, size: int) -> tuple[Array, Backward]:
    """Apply a module's forward to parts of x, cut along its first axis, if the `size` numbers between two layers are worth it.

    `output, backward = forward(x)` has an entry for each of x. A module with buffers takes x whole: a forward may change them, as
    those of a spectral norm of weights, and would do so once for each part. What the parts find for parameters is added in the
    order of the parts, and not of the threads, so that a sum is always rounded alike.
    """
    threads = get_num_threads()
    count = min(max(size // PART // threads, 1) * threads, len(x)) if size > LARGE and threads > 1 else 1
    if count <= 1 or next(module.buffers(), None) is not None:
        return forward(x)
    bounds = [len(x) * i // count for i in range(count + 1)]
    parts = [slice(*bound) for bound in pairwise(bounds)]
    results: list[Any] = [None] * count

    def forward_part(p):
        results[p] = forward(x[parts[p]])

    in_threads(forward_part, count)
    outputs, backwards = zip(*results)
    output = np.concatenate(outputs)
    name, shape, dtype = type(module).__name__, output.shape, output.dtype

    def backward(grad_output, needs=None):
        needs = needed(name, needs, 1)
        grad_output = cotangent(name, grad_output, shape, dtype)
        found: list[Any] = [None] * count

        def backward_part(p):
            with collected() as gradients:
                found[p] = *backwards[p](grad_output[parts[p]], needs), gradients

        in_threads(backward_part, count)
        grads, collections = zip(*found)
        for gradients in collections:
            for parameter, grad in gradients.items():
                parameter.accumulate(grad)
        return (None if grads[0] is None else np.concatenate(grads),)

    return output, backward
