"""Adam: a step for each number by the running means of its gradient and of the gradient's square."""

from typing import Any

import numpy as np

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["Adam"]


class Adam(Optimizer):
    """Step against the mean gradient, divided by the root of its mean square.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`); with decoupled decay g leaves λ w out, and w ← w − η λ w first
               m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  both from 0 on
               w ← w − η m̂ / (√v̂ + ε),  m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ) at step t = 1, 2, …
               With `amsgrad`, v̂ = max v / (1 − β₂ᵗ), the largest v so far
               Computed as w ← w − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε √(1 − β₂ᵗ))
    Settings:  η `lr`, (β₁, β₂) `betas`, ε `eps`, outside the root, λ `weight_decay`, `amsgrad`, `maximize`,
               `decoupled_weight_decay`
    Source:    Kingma & Ba 2015, Adam: A Method for Stochastic Optimization; Reddi, Kale & Kumar 2018, On the Convergence of Adam
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
            decoupled_weight_decay=decoupled_weight_decay,
        )

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and betas that are not two numbers below 1."""
        self.require_numbers(group, "lr", "eps", "weight_decay")
        self.require_betas(group)
        self.require_bools(group, "amsgrad", "maximize", "decoupled_weight_decay")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, beta1, beta2, eps = floats(group, "lr", "betas", "eps")
        step = self.count(parameter)
        keys = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")
        root = (1 - beta2**step) ** 0.5
        scale = lr * root / (1 - beta1**step)
        change = np.empty(0, parameter.dtype)
        for w, g, m, v, *largest in self.blocks(parameter, group, *keys):
            if change.shape != w.shape:
                change = np.empty_like(w)  # blocks are of one size, but for the last
            np.subtract(g, m, out=change)
            change *= 1 - beta1
            m += change
            v *= beta2
            np.multiply(g, g, out=change)
            change *= 1 - beta2
            v += change
            for highest in largest:
                v = np.maximum(highest, v, out=highest)
            np.sqrt(v, out=change)
            change += eps * root
            np.divide(m, change, out=change)
            change *= scale
            w -= change
