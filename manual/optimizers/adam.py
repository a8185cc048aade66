"""Adam: a step for each number by the running means of its gradient and of the gradient's square."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from manual.contract import Array
from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer

__all__ = ["Adam"]

BLOCK = 1 << 16  # elements: what a step reads and writes of a block stays in the cache


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
        params: Iterable[Parameter] | Iterable[dict[str, Any]],
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
        self.require_bools(group, "amsgrad", "maximize", "decoupled_weight_decay")
        betas, name = group["betas"], type(self).__name__
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{name}: betas must be two numbers, got {betas!r}")
        for i, beta in enumerate(betas):
            self.require_numbers({f"betas[{i}]": beta}, f"betas[{i}]")
            if beta >= 1:
                raise ValueError(f"{name}: betas[{i}] must be below 1, got {beta}")

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group, parameters in self.due():
            for parameter in parameters:
                self._update(parameter, group)

    def _update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        # As Python's numbers, the settings leave float32 as it is
        lr, eps, decay, beta1, beta2 = map(float, (group["lr"], group["eps"], group["weight_decay"], *group["betas"]))
        step = self.count(parameter)
        keys = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")
        memories = [self.memory(parameter, key) for key in keys]
        root = (1 - beta2**step) ** 0.5
        for w, g, m, v, *largest in _blocks([parameter.data, np.asarray(parameter.grad), *memories]):
            if group["maximize"]:
                g = -g
            if decay and group["decoupled_weight_decay"]:
                w *= 1 - lr * decay
            elif decay:
                g = g + decay * w
            change = g - m
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
            change *= lr * root / (1 - beta1**step)
            w -= change


def _blocks(arrays: list[Array]) -> Iterable[list[Array]]:
    """The same part of each array, one after the other; arrays that are not in order in memory as they are."""
    if not all(array.flags.c_contiguous for array in arrays):
        return [arrays]
    flat = [array.reshape(-1) for array in arrays]
    return [[array[start : start + BLOCK] for array in flat] for start in range(0, flat[0].size, BLOCK)]
