"""The workloads in torch eager, step by step as on the other side. NumPy only carries the numbers in and out."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.workloads import ForwardBackward, OptimizerStep, TrainingStep
from manual.contract import Array
from reference import structure, twins
from reference.case import Library
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


LIBRARY = Library(**vars(twins.LIBRARY), Residual=Residual)

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


def optimizer_step(step: OptimizerStep) -> tuple[Call, Callable[[], Results]]:
    """The step of an optimizer, and what the first one adds to each parameter."""
    parameters = [torch.nn.Parameter(to_torch(array)) for array in step.arrays]
    for parameter, grad in zip(parameters, step.grads, strict=True):
        parameter.grad = to_torch(grad)
    optimizer = getattr(torch.optim, step.optimizer)(parameters, **step.settings)

    def results() -> Results:
        optimizer.step()
        found = [parameter.detach().numpy() - array for parameter, array in zip(parameters, step.arrays, strict=True)]
        return {f"update of {i}": update for i, update in enumerate(found)}

    return optimizer.step, results


def forward_backward(workload: ForwardBackward) -> tuple[Call, Callable[[], Results]]:
    """The operation forward and backward, and what that yields."""
    operation = OPERATIONS[workload.operation].torch
    constants = workload.constants
    arguments = [
        structure.apply(lambda leaf, needed=needed: to_torch(leaf, needed and structure.is_float(leaf)), argument)
        for argument, needed in zip(workload.arrays, workload.needs, strict=True)
    ]
    wanted = {name: leaf for name, leaf in structure.named_gradients(arguments).items() if getattr(leaf, "requires_grad", False)}

    def outputs_of(output: Any) -> list[Any]:
        return [leaf for leaf in structure.leaves(output) if leaf is not None and leaf.is_floating_point()]

    example = structure.apply(lambda leaf: leaf.detach().numpy(), operation(*arguments, **constants))
    grads_output = [to_torch(grad) for grad in structure.leaves(workload.grad_output(example)) if grad is not None]

    def call() -> Any:
        output = operation(*arguments, **constants)
        return output, torch.autograd.grad(outputs_of(output), list(wanted.values()), grads_output) if wanted else ()

    def results() -> Results:
        output, grads = call()
        named = {name: grad.numpy() for name, grad in zip(wanted, grads, strict=True)}
        outputs = {name: leaf.detach().numpy() for name, leaf in structure.named(output, "output").items() if leaf is not None}
        return {**outputs, **named}

    return call, results
