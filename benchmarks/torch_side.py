"""The workloads in torch eager, step by step as on the other side. NumPy only carries the numbers in and out."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from benchmarks.workloads import ForwardBackward, TrainingStep
from manual.contract import Array
from reference.cases import OPERATIONS
from reference.oracle import to_torch

VERSION = f"torch {torch.__version__}"


class Residual(torch.nn.Module):
    """A block that adds something to its input."""

    def __init__(self, *body: torch.nn.Module) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(*body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Y = relu(x + body(x))."""
        return torch.relu(x + self.body(x))


LIBRARY = SimpleNamespace(**vars(torch.nn), Residual=Residual)

Call = Callable[[], Any]
Results = dict[str, Array]


def threads() -> int:
    """The threads of torch's operations."""
    return torch.get_num_threads()


def construct(step: TrainingStep) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The network, as it stands before the first step, and the loss."""
    net = step.net.construct(LIBRARY, lambda argument: getattr(torch, argument) if isinstance(argument, str) else argument)
    net.load_state_dict({name: to_torch(array) for name, array in step.state.items()})
    return net, getattr(torch.nn, step.criterion)()


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss and each update."""
    net, criterion = construct(step)
    optimizer = torch.optim.SGD(net.parameters(), lr=step.lr)
    x, target = to_torch(step.x), to_torch(step.target)

    def call() -> torch.Tensor:
        optimizer.zero_grad()
        loss = criterion(net(x), target)
        loss.backward()
        optimizer.step()
        return loss

    def results() -> Results:
        loss = call().detach().numpy()
        return {"loss": loss, **step.updates({name: tensor.numpy() for name, tensor in net.state_dict().items()})}

    return call, results


def forward_backward(workload: ForwardBackward) -> tuple[Call, Callable[[], Results]]:
    """The operation forward and backward, and what that yields."""
    operation = OPERATIONS[workload.operation].torch
    constants = workload.constants
    tensors = [to_torch(array, needed) for array, needed in zip(workload.arrays, workload.needs, strict=True)]
    wanted = {f"gradient {i}": tensors[i] for i, needed in enumerate(workload.needs) if needed}
    leaves = list(wanted.values())
    grad_output = to_torch(workload.grad_output(operation(*tensors, **constants).detach().numpy()))

    def call() -> Any:
        output = operation(*tensors, **constants)
        return output, torch.autograd.grad(output, leaves, grad_output) if leaves else ()

    def results() -> Results:
        output, grads = call()
        named = {name: grad.numpy() for name, grad in zip(wanted, grads, strict=True)}
        return {"output": output.detach().numpy(), **named}

    return call, results
