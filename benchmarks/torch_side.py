"""The workloads in torch eager, step by step as on the other side. NumPy only carries the numbers in and out."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.workloads import ForwardBackward, TrainingStep
from manual.contract import Array
from reference.cases import OPERATIONS
from reference.oracle import to_torch

VERSION = f"torch {torch.__version__}"

Call = Callable[[], Any]
Results = dict[str, Array]


def threads() -> int:
    """The threads of torch's operations."""
    return torch.get_num_threads()


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss, each gradient and each update."""
    net = step.net.construct(torch.nn, lambda argument: getattr(torch, argument) if isinstance(argument, str) else argument)
    net.load_state_dict({name: to_torch(array) for name, array in step.state.items()})
    criterion = getattr(torch.nn, step.criterion)()
    optimizer = torch.optim.SGD(net.parameters(), lr=step.lr)
    x, target = to_torch(step.x), to_torch(step.target)

    def call() -> torch.Tensor:
        optimizer.zero_grad()
        loss = criterion(net(x), target)
        loss.backward()
        optimizer.step()
        return loss

    def results() -> Results:
        found = {"loss": call().detach().numpy()}
        for name, parameter in net.named_parameters():
            found[f"gradient of {name}"] = parameter.grad.numpy()
            found[f"update of {name}"] = parameter.detach().numpy() - step.state[name]
        return found

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
        return output, torch.autograd.grad(output, leaves, grad_output)

    def results() -> Results:
        output, grads = call()
        named = {name: grad.numpy() for name, grad in zip(wanted, grads, strict=True)}
        return {"output": output.detach().numpy(), **named}

    return call, results
