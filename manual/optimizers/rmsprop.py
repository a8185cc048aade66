"""RMSprop: a step for each number by the running mean of its squared gradient."""

from typing import Any

import numpy as np

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Step against the gradient, divided by its root mean square.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`)
               v ← α v + (1 − α) g², from 0 on;  where `centered`, also m ← α m + (1 − α) g
               d = g / (√v + ε),  g / (√(v − m²) + ε) where `centered`;  v − m² is a variance, and counts as 0 where rounding
               has made it negative
               b ← μ b + d, from 0 on
               w ← w − η d without momentum, w − η b with it
    Settings:  η `lr`, α `alpha`, ε `eps`, outside the root, λ `weight_decay`, μ `momentum`, `centered`, `maximize`
    Source:    Tieleman & Hinton 2012, Lecture 6.5: RMSprop; Graves 2013, Generating Sequences With Recurrent Neural Networks
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            alpha=alpha,
            eps=eps,
            centered=centered,
            weight_decay=weight_decay,
            maximize=maximize,
        )

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, and negative ones."""
        self.require_numbers(group, "lr", "alpha", "eps", "weight_decay", "momentum")
        self.require_bools(group, "centered", "maximize")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, alpha, eps, momentum = floats(group, "lr", "alpha", "eps", "momentum")
        self.count(parameter)
        keys = ["square_avg"]
        if momentum:
            keys.append("momentum_buffer")
        if group["centered"]:
            keys.append("grad_avg")
        for w, g, *memories in self.blocks(parameter, group, *keys):
            of = dict(zip(keys, memories))
            v = of["square_avg"]
            v *= alpha
            v += (1 - alpha) * g * g
            if group["centered"]:
                m = of["grad_avg"]
                m *= alpha
                m += (1 - alpha) * g
                v = np.maximum(v - m * m, 0)
            step = g / (np.sqrt(v) + eps)
            if momentum:
                b = of["momentum_buffer"]
                b *= momentum
                b += step
                step = b
            w -= lr * step
