"""Training steps in JAX: loss, gradients and update compiled into one function by `jax.jit`."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.workloads import TrainingStep
from manual.contract import Array

VERSION = f"JAX {jax.__version__}"
ACTIVATIONS = {"Sigmoid": jax.nn.sigmoid, "ReLU": jax.nn.relu}

Call = Callable[[], Any]
Results = dict[str, Array]


def threads() -> int:
    """The threads of XLA, which has as many as NPROC says."""
    return int(os.environ["NPROC"])


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss and each update."""
    jax.config.update("jax_enable_x64", step.x.dtype == np.float64)
    x, target = jnp.array(step.x), jnp.array(step.target)
    state = {name: jnp.array(array) for name, array in step.state.items()}

    def loss_of(state: dict[str, Any], x: Any, target: Any) -> Any:
        for position, layer in enumerate(step.net.args):
            if layer.name in ACTIVATIONS:
                x = ACTIVATIONS[layer.name](x)
            else:
                x = x @ state[f"{position}.weight"].T + state[f"{position}.bias"]
        if step.criterion == "MSELoss":
            return jnp.mean((x - target) ** 2)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), target[:, None], axis=1))

    @partial(jax.jit, donate_argnums=0)  # the new state takes the place of the old
    def update(state: dict[str, Any], x: Any, target: Any) -> tuple[dict[str, Any], Any]:
        loss, gradients = jax.value_and_grad(loss_of)(state, x, target)
        return {name: array - step.lr * gradients[name] for name, array in state.items()}, loss

    def call() -> Any:
        nonlocal state
        state, loss = update(state, x, target)
        return loss.block_until_ready()  # the loss is ready no sooner than all that was compiled with it

    def results() -> Results:
        loss = np.asarray(call())
        return {"loss": loss, **step.updates({name: np.asarray(array) for name, array in state.items()})}

    return call, results
