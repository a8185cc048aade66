"""The workloads in `manual`. The process that imports this never imports torch."""

from collections.abc import Callable
from inspect import signature
from operator import attrgetter
from typing import Any

import numpy as np
from scipy.linalg.blas import daxpy
from threadpoolctl import threadpool_info

import manual
from benchmarks.workloads import LIBRARY, ForwardBackward, OptimizerStep, TrainingStep
from manual.contract import Array
from reference import structure

# NumPy's and SciPy's BLAS, and the processor for which its kernels were written
BLAS = {f"{pool['internal_api']} for {pool['architecture']}" for pool in threadpool_info() if "architecture" in pool}
VERSION = f"NumPy {np.__version__} ({', '.join(sorted(BLAS)) or 'BLAS unknown'})"

Call = Callable[[], Any]
Results = dict[str, Array]


def threads() -> int:
    """The threads of the BLAS beneath NumPy; 1 where it shows none."""
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def training_step(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step, and what the first one yields: the loss and each update, which is the gradient times −lr."""
    net = step.net.construct(LIBRARY, lambda argument: argument)
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
        return {"loss": call(), **step.updates(net.state_dict())}

    return call, results


def optimizer_step(step: OptimizerStep) -> tuple[Call, Callable[[], Results]]:
    """The step of an optimizer, and what the first one adds to each parameter."""
    parameters = [manual.Parameter(array.copy()) for array in step.arrays]
    for parameter, grad in zip(parameters, step.grads, strict=True):
        parameter.grad = grad
    optimizer = getattr(manual, step.optimizer)(parameters, **step.settings)

    def results() -> Results:
        optimizer.step()
        return {f"update of {i}": p.data - array for i, (p, array) in enumerate(zip(parameters, step.arrays, strict=True))}

    return optimizer.step, results


def forward_backward(workload: ForwardBackward) -> tuple[Call, Callable[[], Results]]:
    """The operation forward and backward, and what that yields."""
    operation = attrgetter(workload.operation)(manual)
    arrays, constants = workload.arrays, workload.constants
    grad_output = workload.grad_output(operation(*arrays, **constants)[0])
    positions = sum(parameter.kind is parameter.POSITIONAL_ONLY for parameter in signature(operation).parameters.values())
    needs = workload.needs + (False,) * (positions - len(arrays))

    def call() -> Any:
        output, backward = operation(*arrays, **constants)
        return output, backward(grad_output, needs)

    def results() -> Results:
        output, grads = call()
        found = structure.named(output, "output") | structure.named_gradients(grads)
        return {name: array for name, array in found.items() if array is not None}

    return call, results


def products(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
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

    return call, dict


def closures(step: TrainingStep) -> tuple[Call, Callable[[], Results]]:
    """The step on XOR once more: the functions of NumPy and BLAS that `manual` calls there, in closures and nothing else.

    No module, no check, no care for shapes, dtypes or overflow: the rest of `manual`'s time is what all these cost.
    """
    x, target, step_size = step.x, step.target, -step.lr
    state = {name: array.copy() for name, array in step.state.items()}
    flat = [array.ravel() for array in state.values()]  # views, for daxpy
    weight0, bias0, weight2, bias2 = state.values()
    ones, count = np.ones(len(x)), target.size

    def linear(x: Array, weight: Array, bias: Array) -> tuple[Array, Call]:
        output = x.dot(weight.T)
        output += bias

        def backward(grad_output: Array, need_x: bool) -> tuple[Array | None, Array, Array]:
            grad_x = grad_output.dot(weight) if need_x else None
            return grad_x, grad_output.T.dot(x), ones.dot(grad_output)

        return output, backward

    def sigmoid(x: Array) -> tuple[Array, Call]:
        z = np.exp(x)
        denominator = 1.0 + z
        output = z / denominator
        slope = output / denominator
        return output, lambda grad_output: grad_output * slope

    def mse_loss(x: Array) -> tuple[Array, Call]:
        difference = x - target
        squares, slope = difference * difference, 2.0 * difference
        return np.add.reduce(squares, axis=None) / count, lambda grad_loss: grad_loss / count * slope

    def call() -> Array:
        hidden, hidden_backward = linear(x, weight0, bias0)
        activated, activated_backward = sigmoid(hidden)
        logit, logit_backward = linear(activated, weight2, bias2)
        prediction, prediction_backward = sigmoid(logit)
        loss, loss_backward = mse_loss(prediction)
        grad_logit = prediction_backward(loss_backward(1.0))
        grad_activated, grad_weight2, grad_bias2 = logit_backward(grad_logit, True)
        _, grad_weight0, grad_bias0 = hidden_backward(activated_backward(grad_activated), False)
        for parameter, grad in zip(flat, (grad_weight0, grad_bias0, grad_weight2, grad_bias2)):
            daxpy(grad.ravel(), parameter, a=step_size)
        return loss

    def results() -> Results:
        return {"loss": call(), **step.updates(state)}

    return call, results
