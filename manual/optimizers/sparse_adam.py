"""Adam for the gradient of a few rows of a large table."""

from typing import Any

import numpy as np

from manual.module import Parameter, RowGradient
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """`Adam` of the rows that a RowGradient names, and of no others: theirs are left as they are, means too.

    Step:      g ← ∂L/∂w      (−∂L/∂w where `maximize`), of the rows named
               m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  both from 0 on
               w ← w − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)  at step t = 1, 2, …, which all rows count
    Settings:  η `lr`, (β₁, β₂) `betas`, ε `eps`, outside the root of the mean square that is not yet corrected, `maximize`
    Source:    Kingma & Ba 2015, Adam: A Method for Stochastic Optimization
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers above 0, and betas that are not two numbers below 1."""
        self.require_positive(group, "lr", "eps")
        self.require_betas(group)
        self.require_bools(group, "maximize")

    def takes_rows(self, group: dict[str, Any]) -> bool:
        """A gradient is a `RowGradient`."""
        return True

    def due(self) -> list[tuple[dict[str, Any], list[Parameter]]]:
        """As for every optimizer, but an array is refused."""
        due = super().due()
        for number, parameter in enumerate(self._parameters()):
            if parameter.grad is not None and not isinstance(parameter.grad, RowGradient):
                got = f"got {type(parameter.grad).__name__}; Adam takes it"
                raise TypeError(f"SparseAdam: the gradient of parameter {number} must be a RowGradient, {got}")
        return due

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, beta1, beta2, eps = floats(group, "lr", "betas", "eps")
        step = self.count(parameter)
        grad = parameter.grad.summed()
        rows, g = grad.indices, -grad.rows if group["maximize"] else grad.rows
        means, squares = self.memory(parameter, "exp_avg"), self.memory(parameter, "exp_avg_sq")
        m = beta1 * means[rows] + (1 - beta1) * g
        v = beta2 * squares[rows] + (1 - beta2) * g * g
        means[rows], squares[rows] = m, v
        scale = lr * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        parameter.data[rows] -= scale * m / (np.sqrt(v) + eps)
