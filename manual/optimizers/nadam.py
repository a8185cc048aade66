"""NAdam: Adam with Nesterov's momentum."""

from typing import Any

import numpy as np

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Step against a mean of gradients that looks one step ahead, divided by the root of the mean square.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`); with decoupled decay g leaves λ w out, and w ← w − η λ w first
               m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  both from 0 on
               μₜ = β₁ (1 − ½ · 0.96^(t ψ)),  Πₜ = μ₁ ⋯ μₜ  at step t = 1, 2, …
               w ← w − η ((1 − μₜ) / (1 − Πₜ) · g + μₜ₊₁ / (1 − Πₜ₊₁) · m) / (√v̂ + ε),  v̂ = v / (1 − β₂ᵗ)
    Settings:  η `lr`, (β₁, β₂) `betas`, ε `eps`, outside the root, λ `weight_decay`, ψ `momentum_decay`, `decoupled_weight_decay`,
               `maximize`
    Source:    Dozat 2016, Incorporating Nesterov Momentum into Adam
    """

    numbers = Optimizer.numbers | {"mu_product"}

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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
            momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
        )

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and betas that are not two numbers below 1."""
        self.require_numbers(group, "lr", "eps", "weight_decay", "momentum_decay")
        self.require_betas(group)
        self.require_bools(group, "decoupled_weight_decay", "maximize")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, beta1, beta2, eps, psi = floats(group, "lr", "betas", "eps", "momentum_decay")
        step = self.count(parameter)
        mu, next_mu = (beta1 * (1 - 0.5 * 0.96 ** (t * psi)) for t in (step, step + 1))
        product = self.number(parameter, "mu_product", 1.0)
        product *= mu
        of_grad, of_mean = float((1 - mu) / (1 - product)), float(next_mu / (1 - product * next_mu))
        for w, g, m, v in self.blocks(parameter, group, "exp_avg", "exp_avg_sq"):
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * g * g
            w -= lr * (of_grad * g + of_mean * m) / (np.sqrt(v / (1 - beta2**step)) + eps)
