"""Stochastic gradient descent."""

from typing import Any

import numpy as np
from scipy.linalg.blas import daxpy, saxpy

from manual.contract import Array
from manual.module import Parameter, RowGradient
from manual.optimizers.optimizer import Optimizer, Params

__all__ = ["SGD"]

AXPY = {np.dtype(np.float32): saxpy, np.dtype(np.float64): daxpy}
PIECE = 8192  # elements: OpenBLAS starts no threads for 10,000 or fewer


class SGD(Optimizer):
    """Step against the gradient, with momentum.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`)
               b ← g at the first step, then μ b + (1 − τ) g
               w ← w − η d,  d = g without momentum, b with it, g + μ b with Nesterov's
               Of a RowGradient g, b is one too: no row is touched that no gradient has named
    Settings:  η `lr`, μ `momentum`, τ `dampening`, λ `weight_decay`, `nesterov`, `maximize`
    Source:    Robbins & Monro 1951; Polyak 1964; Nesterov 1983; Sutskever, Martens, Dahl & Hinton 2013
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and Nesterov's momentum without momentum or with dampening."""
        self.require_numbers(group, "lr", "momentum", "weight_decay")
        self.require_numbers(group, "dampening", signed=True)
        self.require_bools(group, "nesterov", "maximize")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov needs momentum above 0 and dampening 0, "
                f"got momentum {group['momentum']} and dampening {group['dampening']}"
            )

    def takes_rows(self, group: dict[str, Any]) -> bool:
        """As in torch: unless there is weight decay, which moves every row."""
        return not group["weight_decay"]

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        direction: Any = parameter.grad
        if group["momentum"] or group["weight_decay"] or group["maximize"]:
            direction = self._direction(parameter, direction, group)
        _add_multiple(parameter.data, -float(group["lr"]), direction)

    def _direction(self, parameter: Parameter, grad: Any, group: dict[str, Any]) -> Any:
        # As Python's numbers, the settings leave float32 as it is
        momentum, damped, weight_decay = float(group["momentum"]), 1 - float(group["dampening"]), float(group["weight_decay"])
        if group["maximize"]:
            grad = -grad
        if weight_decay:
            grad = grad + weight_decay * parameter.data
        if not momentum:
            return grad
        state = self.state.setdefault(parameter, {})
        buffer = state.get("momentum_buffer")
        if isinstance(grad, RowGradient) or isinstance(buffer, RowGradient):
            buffer = grad if buffer is None else momentum * buffer.astype(grad.dtype, copy=False) + damped * grad
            buffer = state["momentum_buffer"] = buffer.summed() if isinstance(buffer, RowGradient) else buffer
        elif buffer is None:
            buffer = state["momentum_buffer"] = np.array(grad)
        else:
            if buffer.dtype != grad.dtype:  # since the module was converted
                buffer = state["momentum_buffer"] = buffer.astype(grad.dtype)
            buffer *= momentum
            buffer += damped * grad
        return grad + momentum * buffer if group["nesterov"] else buffer


def _add_multiple(w: Array, scale: float, direction: Any) -> None:
    """Add scale · direction, of the same shape and dtype, to w in place: in one pass by BLAS's axpy, where w allows it.

    SciPy brings a BLAS of its own, beside NumPy's. While the threads of one wait for more work, they slow down those of the other.
    So axpy gets pieces that are too small to start threads for.
    """
    if isinstance(direction, RowGradient):
        direction = direction.summed()
        w[direction.indices] += direction.rows * scale
        return
    axpy = AXPY.get(w.dtype)
    if axpy is None or not (w.size and w.flags.carray):
        w += direction * scale
        return
    w, direction, size = w.ravel(), direction.ravel(), w.size
    if size <= PIECE:
        axpy(direction, w, a=scale)
        return
    for start in range(0, size, PIECE):
        axpy(direction, w, min(PIECE, size - start), scale, start, 1, start, 1)
