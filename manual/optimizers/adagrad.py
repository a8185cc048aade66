"""Adagrad: a step for each number by all its gradients so far."""

from typing import Any

import numpy as np

from manual.module import Parameter, RowGradient
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Step against the gradient, divided by the root of the sum of its squares so far.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`)
               s ← s + g², from s₀ on
               w ← w − η / (1 + (t − 1) δ) · g / (√s + ε)  at step t = 1, 2, …
               Of a RowGradient g, only the rows that it names have a step
    Settings:  η `lr`, δ `lr_decay`, λ `weight_decay`, s₀ `initial_accumulator_value` (of the constructor, not of a group), ε `eps`,
               outside the root, `maximize`
    Source:    Duchi, Hazan & Singer 2011, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            eps=eps,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            maximize=maximize,
        )
        for parameter in self._parameters():  # as in torch there is state before the first step
            self.number(parameter, "step")
            self.memory(parameter, "sum", initial_accumulator_value)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, and negative ones."""
        self.require_numbers(group, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        self.require_bools(group, "maximize")

    def takes_rows(self, group: dict[str, Any]) -> bool:
        """As in torch: unless there is weight decay, which moves every row."""
        return not group["weight_decay"]

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, lr_decay, eps = floats(group, "lr", "lr_decay", "eps")
        lr /= 1 + (self.count(parameter) - 1) * lr_decay
        initial = float(self.defaults["initial_accumulator_value"])
        if isinstance(parameter.grad, RowGradient):
            grad, memory = parameter.grad.summed(), self.memory(parameter, "sum", initial)
            memory[grad.indices] += grad.rows * grad.rows
            step = lr * grad.rows / (np.sqrt(memory[grad.indices]) + eps)
            parameter.data[grad.indices] += step if group["maximize"] else -step
            return
        for w, g, s in self.blocks(parameter, group, "sum", sum=initial):
            s += g * g
            w -= lr * g / (np.sqrt(s) + eps)
