"""Adadelta: a step for each number by how far it went lately, measured against its gradients."""

from typing import Any

import numpy as np

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Step against the gradient, times the root mean square of the last steps over that of the last gradients.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`)
               v ← ρ v + (1 − ρ) g²,  Δ = √(u + ε) / √(v + ε) · g,  u ← ρ u + (1 − ρ) Δ²,  u and v from 0 on
               w ← w − η Δ
    Settings:  η `lr`, ρ `rho`, ε `eps`, inside both roots, λ `weight_decay`, `maximize`
    Source:    Zeiler 2012, ADADELTA: An Adaptive Learning Rate Method
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and rho above 1."""
        self.require_numbers(group, "lr", "rho", "eps", "weight_decay")
        self.require_bools(group, "maximize")
        if group["rho"] > 1:
            raise ValueError(f"Adadelta: rho must be at most 1, got {group['rho']}")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, rho, eps = floats(group, "lr", "rho", "eps")
        self.count(parameter)
        for w, g, v, u in self.blocks(parameter, group, "square_avg", "acc_delta"):
            v *= rho
            v += (1 - rho) * g * g
            change = np.sqrt(u + eps) / np.sqrt(v + eps) * g
            u *= rho
            u += (1 - rho) * change * change
            w -= lr * change
