"""RAdam: Adam that trusts its mean square only once it has seen enough of it."""

from typing import Any

import numpy as np

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Step against the mean gradient, which is divided by the root of the mean square once that varies little enough.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`); with decoupled decay g leaves λ w out, and w ← w − η λ w first
               m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  both from 0 on
               ρ∞ = 2 / (1 − β₂) − 1,  ρₜ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)  at step t = 1, 2, …
               w ← w − η m̂,  m̂ = m / (1 − β₁ᵗ)                         where ρₜ ≤ 5
               w ← w − η r m̂ √(1 − β₂ᵗ) / (√v + ε)                      where ρₜ > 5,
               r = √((ρₜ − 4) (ρₜ − 2) ρ∞ / ((ρ∞ − 4) (ρ∞ − 2) ρₜ))
    Settings:  η `lr`, (β₁, β₂) `betas`, ε `eps`, outside the root of the mean square that is not yet corrected, λ `weight_decay`,
               `decoupled_weight_decay`, `maximize`
    Source:    Liu, Jiang, He, Chen, Liu, Gao & Han 2020, On the Variance of the Adaptive Learning Rate and Beyond
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
        )

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and betas that are not two numbers below 1."""
        self.require_numbers(group, "lr", "eps", "weight_decay")
        self.require_betas(group)
        self.require_bools(group, "decoupled_weight_decay", "maximize")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, beta1, beta2, eps = floats(group, "lr", "betas", "eps")
        step = self.count(parameter)
        correction = 1 - beta2**step
        limit = 2 / (1 - beta2) - 1
        rho = limit - 2 * step * beta2**step / correction
        scale = lr / (1 - beta1**step)
        if rho > 5:
            rectified = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
            scale *= (rectified * correction) ** 0.5
        for w, g, m, v in self.blocks(parameter, group, "exp_avg", "exp_avg_sq"):
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * g * g
            w -= scale * (m / (np.sqrt(v) + eps) if rho > 5 else m)
