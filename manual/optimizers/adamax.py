"""Adamax: Adam by the largest gradient lately instead of the mean square."""

from typing import Any

import numpy as np

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Step against the mean gradient, divided by its largest magnitude, which is slowly forgotten.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`)
               m ← β₁ m + (1 − β₁) g,  u ← max(β₂ u, |g| + ε),  both from 0 on
               w ← w − η / (1 − β₁ᵗ) · m / u  at step t = 1, 2, …
    Settings:  η `lr`, (β₁, β₂) `betas`, ε `eps`, added to |g| before it is compared, λ `weight_decay`, `maximize`
    Source:    Kingma & Ba 2015, Adam: A Method for Stochastic Optimization
    """

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and betas that are not two numbers below 1."""
        self.require_numbers(group, "lr", "eps", "weight_decay")
        self.require_betas(group)
        self.require_bools(group, "maximize")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, beta1, beta2, eps = floats(group, "lr", "betas", "eps")
        lr /= 1 - beta1 ** self.count(parameter)
        for w, g, m, u in self.blocks(parameter, group, "exp_avg", "exp_inf"):
            m *= beta1
            m += (1 - beta1) * g
            u *= beta2
            np.maximum(u, np.abs(g) + eps, out=u)
            w -= lr * m / u
