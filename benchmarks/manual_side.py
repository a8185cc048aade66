"""The workloads in `manual`. The process that imports this never imports torch."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

import manual
from benchmarks.workloads import ForwardBackward, TrainingStep
from manual.contract import Array

# NumPy's BLAS, and the processor for which its kernels were written
BLAS = ", ".join(f"{pool['internal_api']} for {pool['architecture']}" for pool in threadpool_info() if "architecture" in pool)
VERSION = f"NumPy {np.__version__} ({BLAS})" if BLAS else f"NumPy {np.__version__}"

Call = Callable[[], Any]
Results = dict[str, Array]


def threads() -> int:
    """The threads of the BLAS beneath NumPy; 1 where it shows none."""
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss, each gradient and each update."""
    net = step.net.construct(manual, lambda argument: argument)
    net.load_state_dict(step.state)
    criterion = getattr(manual, step.criterion)()
    optimizer = manual.SGD(net.parameters(), lr=step.lr)

    def call() -> Any:
        optimizer.zero_grad()
        prediction, net_backward = net(step.x)
        loss, loss_backward = criterion(prediction, step.target)
        grad_prediction, _ = loss_backward(1.0, (True, False))
        net_backward(grad_prediction, (False,))
        optimizer.step()
        return loss

    def results() -> Results:
        found = {"loss": call()}
        for name, parameter in net.named_parameters():
            found[f"gradient of {name}"] = parameter.grad
            found[f"update of {name}"] = parameter.data - step.state[name]
        return found

    return call, results


def forward_backward(workload: ForwardBackward) -> tuple[Call, Callable[[], Results]]:
    """The operation forward and backward, and what that yields."""
    operation = getattr(manual, workload.operation)
    arrays, constants = workload.arrays, workload.constants
    grad_output = workload.grad_output(operation(*arrays, **constants)[0])
    positions = sum(parameter.kind is parameter.POSITIONAL_ONLY for parameter in signature(operation).parameters.values())
    unused = (False,) * (positions - len(arrays))
    needs = (workload.needs + unused,) if positions > 1 else ()  # an operation of one array has no `needs`

    def call() -> Any:
        output, backward = operation(*arrays, **constants)
        return output, backward(grad_output, *needs)

    def results() -> Results:
        output, grads = call()
        wanted = {f"gradient {i}": grad for i, (grad, needed) in enumerate(zip(grads, workload.needs)) if needed}
        return {"output": output, **wanted}

    return call, results


def matrix_products(step: TrainingStep) -> Call:
    """The matrix products of a training step alone, into arrays that are there already: what no step can do without.

    For each layer X Wᵀ, Gᵀ X and, except for the first, G W. Numbers of the right shapes do for the gradients G.
    """
    x = step.x
    forward, backward = [], []
    for name, weight in step.state.items():
        if not name.endswith("weight"):
            continue
        y = x @ weight.T
        forward.append((x, weight.T, np.empty_like(y)))
        if backward:
            backward.append((y, weight, np.empty_like(x)))
        backward.append((y.T, x, np.empty_like(weight)))
        x = y
    products = forward + backward[::-1]

    def call() -> None:
        for left, right, out in products:
            np.matmul(left, right, out=out)

    return call
