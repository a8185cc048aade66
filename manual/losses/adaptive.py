"""A softmax over many classes that spends its time on the frequent ones."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.activations.normalized import log_softmax
from manual.containers import ModuleList, Sequential
from manual.contract import (
    Array,
    Backward,
    cotangent,
    needed,
    require_floats,
    require_indices,
    require_integer,
    require_number,
    require_shape,
)
from manual.layers.linear import Linear
from manual.losses.classification import cross_entropy
from manual.losses.reduction import reduce
from manual.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probability of the target, from a softmax over frequent classes and clusters, and within each cluster over its own.

    Classes are sorted by frequency, and `cutoffs` says where each cluster begins. The classes before the first cutoff are the
    shortlist. The head scores these, and each cluster as a whole; the tail has a network for each cluster, the smaller the rarer
    its classes. A cluster's network is evaluated for the samples whose target is in the cluster, and for no others.

    Forward:   output = log p(t | head) for a target t in the shortlist, log p(cluster of t | head) + log p(t | its cluster)
               elsewhere;  loss = −Σ output / N
    Backward:  each sample's output is −ℓ and the loss Σ ℓ / N, with ℓ the negative log-probability of its target, so that
               grad_ℓ = grad_loss / N − grad_output; from there back through cross_entropy and the linear layers
    Shapes:    input (N, in_features) or (in_features); target (N) or () of integers; output the same, loss ()
               head.weight (cutoffs[0] + clusters, in_features); tail.i.0.weight (in_features / div_value^(i + 1), in_features)
    Source:    Grave, Joulin, Cissé, Grangier & Jégou 2017, Efficient softmax approximation for GPUs
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Iterable[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        op = "AdaptiveLogSoftmaxWithLoss"
        require_integer(op, "in_features", in_features, least=0)
        require_integer(op, "n_classes", n_classes, least=2)
        div_value = require_number(op, "div_value", div_value, "a positive number")
        expected = f"integers that grow, at least one, from 1 to {n_classes - 1}"
        if not isinstance(cutoffs, Iterable):
            raise TypeError(f"{op}: cutoffs must be {expected}, got {cutoffs!r}")
        cutoffs = [require_integer(op, "cutoffs", cutoff) for cutoff in cutoffs]
        edges = [0, *cutoffs, n_classes]
        if len(edges) < 3 or any(low >= high for low, high in pairwise(edges)):
            raise ValueError(f"{op}: cutoffs must be {expected}, got {cutoffs}")
        self.in_features, self.n_classes, self.cutoffs, self.div_value = in_features, n_classes, edges[1:], div_value
        linear = partial(Linear, dtype=dtype, generator=generator)
        self.head = linear(in_features, self.cutoffs[0] + len(cutoffs), head_bias)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            hidden = int(in_features // div_value ** (i + 1))
            self.tail.append(Sequential(linear(in_features, hidden, False), linear(hidden, high - low, False)))

    def forward(self, input_: Array, target_: Array) -> tuple[tuple[Array, Array], Backward]:
        """Return (output, loss): the log-probability of each target, and the mean of all with the sign changed."""
        op, shape = "AdaptiveLogSoftmaxWithLoss", np.shape(target_)
        require_floats(op, "input_", input_)
        require_indices(op, "target_", target_)
        if len(shape) > 1:
            raise ValueError(f"{op}: target_ must have shape (N) or (), got {shape}")
        require_shape(op, "input_", input_, (*shape, self.in_features))
        x, targets = input_.reshape(-1, self.in_features), target_.reshape(-1)
        if targets.size and not 0 <= targets.min() <= targets.max() < self.n_classes:
            wrong = targets[(targets < 0) | (targets >= self.n_classes)][0]
            raise ValueError(f"{op}: target_ must hold classes from 0 to {self.n_classes - 1}, got {wrong}")
        cluster = np.searchsorted(self.cutoffs, targets, side="right")  # 0 is the shortlist
        head_target = np.where(cluster == 0, targets, self.cutoffs[0] + cluster - 1)
        losses, head_backward = _of_scores(cross_entropy, self.head, x, head_target, reduction="none")
        tail_backwards = []
        for i, network in enumerate(self.tail):
            members = np.flatnonzero(cluster == i + 1)
            if members.size:
                target_within = targets[members] - self.cutoffs[i]
                within, network_backward = _of_scores(cross_entropy, network, x[members], target_within, reduction="none")
                losses[members] += within
                tail_backwards.append((members, network_backward))
        loss, loss_backward = reduce(op, losses, "mean")

        def backward(grads, needs=None):
            need_x, _ = needed(op, needs, 2)
            grad_output, grad_loss = grads
            grad_losses = np.zeros_like(losses)
            if grad_output is not None:
                grad_losses -= cotangent(op, grad_output, shape, losses.dtype)
            if grad_loss is not None:
                grad_losses += loss_backward(grad_loss)
            grad_x = head_backward(grad_losses, need_x)
            for members, network_backward in tail_backwards:
                grad_members = network_backward(grad_losses[members], need_x)
                if need_x:
                    grad_x[members] += grad_members
            return (grad_x.reshape(input_.shape) if need_x else None), None

        return (-losses.reshape(shape), loss), backward

    def log_prob(self, input: Array) -> tuple[Array, Backward]:
        """Return the log-probabilities (N, n_classes) of all classes for `input` (N, in_features)."""
        shortlist = self.cutoffs[0]
        of_head, head_backward = _of_scores(log_softmax, self.head, input, dim=1)
        parts, tail_backwards = [of_head[:, :shortlist]], []
        for i, network in enumerate(self.tail):
            within, network_backward = _of_scores(log_softmax, network, input, dim=1)
            parts.append(of_head[:, shortlist + i, None] + within)
            tail_backwards.append(network_backward)
        output = np.concatenate(parts, axis=1)
        shape, dtype = output.shape, output.dtype

        def backward(grad_output, needs=None):
            (need_x,) = needed("log_prob", needs, 1)
            grad_parts = np.split(cotangent("log_prob", grad_output, shape, dtype), self.cutoffs[:-1], axis=1)
            grad_clusters = [grad.sum(axis=1, keepdims=True) for grad in grad_parts[1:]]
            grad_x = head_backward(np.concatenate((grad_parts[0], *grad_clusters), axis=1), need_x)
            for network_backward, grad in zip(tail_backwards, grad_parts[1:]):
                grad_through_network = network_backward(grad, need_x)
                if need_x:
                    grad_x += grad_through_network
            return (grad_x,)

        return output, backward

    def predict(self, input: Array) -> Array:
        """Return the most probable class for each row of `input` (N, in_features)."""
        return self.log_prob(input)[0].argmax(axis=1)


def _of_scores(op: Any, network: Module, x: Array, *target: Array, **constants: Any) -> tuple[Array, Callable[..., Any]]:
    """Apply an operation to the scores that a network gives x; its backward returns the gradient of x, if that is needed."""
    scores, network_backward = network(x)
    output, op_backward = op(scores, *target, **constants)

    def backward(grad_output, need_x):
        return network_backward(op_backward(grad_output)[0], (need_x,))[0]

    return output, backward
