"""Training steps in HIPS autograd: NumPy again, with its backward found by tracing."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad
from autograd.scipy.special import logsumexp

from benchmarks.manual_side import VERSION as NUMPY
from benchmarks.manual_side import threads
from benchmarks.workloads import TrainingStep
from manual.contract import Array

VERSION = f"autograd {version('autograd')} on {NUMPY}"
ACTIVATIONS = {"Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "ReLU": lambda x: np.maximum(x, 0)}

Call = Callable[[], Any]
Results = dict[str, Array]

__all__ = ["VERSION", "threads", "training_step"]


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss and each update."""
    state = {name: array.copy() for name, array in step.state.items()}
    *_, last_bias = state.values()
    one_hot = np.eye(len(last_bias), dtype=step.x.dtype)[step.target] if step.criterion == "CrossEntropyLoss" else None

    def loss_of(state: dict[str, Array]) -> Any:
        x = step.x
        for position, layer in enumerate(step.net.args):
            if layer.name in ACTIVATIONS:
                x = ACTIVATIONS[layer.name](x)
            else:
                x = np.dot(x, state[f"{position}.weight"].T) + state[f"{position}.bias"]
        if one_hot is None:
            return np.mean((x - step.target) ** 2)
        return np.mean(logsumexp(x, axis=1) - np.sum(x * one_hot, axis=1))

    loss_and_gradients = value_and_grad(loss_of)

    def call() -> Any:
        loss, gradients = loss_and_gradients(state)
        for name, array in state.items():
            array -= step.lr * gradients[name]
        return loss

    def results() -> Results:
        return {"loss": call(), **step.updates(state)}

    return call, results
