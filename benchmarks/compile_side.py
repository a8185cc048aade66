"""Training steps in torch: loss, gradients and update compiled into one function by `torch.compile`."""

from collections.abc import Callable
from typing import Any

import torch
from torch.func import functional_call, grad_and_value

from benchmarks.torch_side import VERSION, construct, threads
from benchmarks.workloads import TrainingStep
from manual.contract import Array
from reference.oracle import to_torch

Call = Callable[[], Any]
Results = dict[str, Array]

__all__ = ["VERSION", "threads", "training_step"]


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss and each update."""
    net, criterion = construct(step)
    x, target = to_torch(step.x), to_torch(step.target)
    state = {name: to_torch(array) for name, array in step.state.items()}

    def loss_of(state: dict[str, torch.Tensor]) -> torch.Tensor:
        return criterion(functional_call(net, state, (x,)), target)

    @torch.compile(fullgraph=True)
    def update(state: dict[str, torch.Tensor]) -> torch.Tensor:
        gradients, loss = grad_and_value(loss_of)(state)
        for name, tensor in state.items():
            tensor -= step.lr * gradients[name]
        return loss

    def call() -> torch.Tensor:
        return update(state)

    def results() -> Results:
        loss = call().numpy()
        return {"loss": loss, **step.updates({name: tensor.numpy() for name, tensor in state.items()})}

    return call, results
