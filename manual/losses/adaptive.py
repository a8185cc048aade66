"""A softmax over many classes that spends its time on the frequent ones."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.activations.normalized import log_softmax
from manual.containers import ModuleList, Sequential
from manual.contract import Array, Backward, cotangent, needed, require_floats, require_indices, require_shape
from manual.layers.linear import Linear
from manual.losses.classification import cross_entropy
from manual.losses.reduction import reduce
from manual.module import Module


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probability of the target, from a softmax over frequent classes and clusters, and within each cluster over its own.

    Classes are in the order of their frequency; `cutoffs` is where each cluster begins. The head scores the classes before the
    first cutoff, the shortlist, and each cluster as a whole; the tail has a smaller network for each cluster. Only the clusters
    in which there is a target are evaluated, and only for its samples.

    Forward:   output = log p(t | head) for a target t in the shortlist, log p(cluster of t | head) + log p(t | its cluster)
               elsewhere;  loss = −Σ output / N
    Backward:  with g = grad_loss / N − grad_output for each sample, the gradients are those of cross_entropy and the linear
               layers, given g; in the tail, for the samples of each cluster
    Shapes:    input (N, in_features) or (in_features); target (N) or () of integers; output the same, loss ()
               head.weight (cutoffs[0] + clusters, in_features); tail.i.0.weight (in_features / div_value^(i + 1), in_features)
    Source:    Grave, Joulin, Cissé, Grangier & Jégou 2017, Efficient softmax approximation for GPUs
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        edges = [0, *cutoffs, n_classes]
        if len(edges) < 3 or any(low >= high for low, high in pairwise(edges)) or any(int(edge) != edge for edge in edges):
            expected = f"integers that grow, at least one, from 1 to {n_classes - 1}"
            raise ValueError(f"AdaptiveLogSoftmaxWithLoss: cutoffs must be {expected}, got {cutoffs}")
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
        surprise, head_backward = _then(cross_entropy, self.head, x, head_target, reduction="none")
        tail_backwards = []
        for i, network in enumerate(self.tail):
            members = np.flatnonzero(cluster == i + 1)
            if members.size:
                own_target = targets[members] - self.cutoffs[i]
                within, network_backward = _then(cross_entropy, network, x[members], own_target, reduction="none")
                surprise[members] += within
                tail_backwards.append((members, network_backward))
        loss, loss_backward = reduce(op, surprise, "mean")

        def backward(grads, needs=None):
            need_x, _ = needed(op, needs, 2)
            grad_output, grad_loss = grads
            grad = np.zeros_like(surprise)
            if grad_output is not None:
                grad -= cotangent(op, grad_output, shape, surprise.dtype)
            if grad_loss is not None:
                grad += loss_backward(grad_loss)
            grad_x = head_backward(grad, need_x)
            for members, network_backward in tail_backwards:
                grad_members = network_backward(grad[members], need_x)
                if need_x:
                    grad_x[members] += grad_members
            return (grad_x.reshape(input_.shape) if need_x else None), None

        return (-surprise.reshape(shape), loss), backward

    def log_prob(self, input: Array) -> tuple[Array, Backward]:
        """Return the log-probabilities (N, n_classes) of all classes for `input` (N, in_features)."""
        shortlist = self.cutoffs[0]
        log_p, head_backward = _then(log_softmax, self.head, input, dim=1)
        parts, tail_backwards = [log_p[:, :shortlist]], []
        for i, network in enumerate(self.tail):
            within, network_backward = _then(log_softmax, network, input, dim=1)
            parts.append(log_p[:, shortlist + i, None] + within)
            tail_backwards.append(network_backward)
        output = np.concatenate(parts, axis=1)

        def backward(grad_output, needs=None):
            grad_output = cotangent("log_prob", grad_output, output.shape, output.dtype)
            grad_parts = np.split(grad_output, self.cutoffs[:-1], axis=1)
            of_clusters = [grad.sum(axis=1, keepdims=True) for grad in grad_parts[1:]]
            (need_x,) = needed("log_prob", needs, 1)
            grad_x = head_backward(np.concatenate((grad_parts[0], *of_clusters), axis=1), need_x)
            for network_backward, grad in zip(tail_backwards, grad_parts[1:]):
                grad_through_network = network_backward(grad, need_x)
                if need_x:
                    grad_x += grad_through_network
            return (grad_x,)

        return output, backward

    def predict(self, input: Array) -> Array:
        """Return the most probable class for each row of `input` (N, in_features)."""
        return self.log_prob(input)[0].argmax(axis=1)


def _then(op: Any, network: Module, x: Array, *target: Array, **constants: Any) -> tuple[Array, Callable[..., Any]]:
    """What `op` makes of the scores of a network, and what carries its gradient to the network's parameters and to x."""
    scores, network_backward = network(x)
    output, op_backward = op(scores, *target, **constants)

    def backward(grad_output, need_x):
        return network_backward(op_backward(grad_output)[0], (need_x,))[0]

    return output, backward
