"""XOR as the article does it whose program this project grew from: NumPy, in line, by the delta rule.

Its formulas, δ = (y − ŷ) ŷ (1 − ŷ) and W ← W + η aᵀδ, descend half the sum of squares; with η = 2 lr / n they descend the mean,
as on the other sides.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.manual_side import VERSION, threads
from benchmarks.workloads import TrainingStep
from manual.contract import Array

Call = Callable[[], Any]
Results = dict[str, Array]


__all__ = ["VERSION", "threads", "training_step"]


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss and each update."""
    x, y, lr = step.x, step.target, 2 * step.lr / len(step.x)
    hidden_weights, output_weights = (step.state[name].T.copy() for name in ("0.weight", "2.weight"))
    hidden_bias, output_bias = (step.state[name][None].copy() for name in ("0.bias", "2.bias"))

    def sigmoid(x: Array) -> Array:
        return 1 / (1 + np.exp(-x))

    def sigmoid_derivative(y: Array) -> Array:
        return y * (1 - y)

    def call() -> Any:
        nonlocal hidden_weights, hidden_bias, output_weights, output_bias
        hidden = sigmoid(np.dot(x, hidden_weights) + hidden_bias)
        predicted = sigmoid(np.dot(hidden, output_weights) + output_bias)
        error = y - predicted
        loss = np.mean(error**2)
        predicted_delta = error * sigmoid_derivative(predicted)
        hidden_delta = predicted_delta.dot(output_weights.T) * sigmoid_derivative(hidden)
        output_weights += hidden.T.dot(predicted_delta) * lr
        output_bias += np.sum(predicted_delta, axis=0, keepdims=True) * lr
        hidden_weights += x.T.dot(hidden_delta) * lr
        hidden_bias += np.sum(hidden_delta, axis=0, keepdims=True) * lr
        return loss

    def results() -> Results:
        loss = call()
        state = {"0.weight": hidden_weights.T, "0.bias": hidden_bias[0], "2.weight": output_weights.T, "2.bias": output_bias[0]}
        return {"loss": loss, **step.updates(state)}

    return call, results
