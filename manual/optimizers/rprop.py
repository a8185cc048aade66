"""Rprop: the sign of the gradient alone, with a step size of its own for each number."""

from typing import Any

import numpy as np

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Step against the sign of the gradient; the step grows while the sign stays, and shrinks when it changes.

    Step:      g ← ∂L/∂w      (−∂L/∂w where `maximize`)
               s ← s η₊ where g p > 0,  s η₋ where g p < 0,  s elsewhere;  from η on, and kept within [s₋, s₊]
               g ← 0 where g p < 0:  after a change of sign there is one step of rest
               w ← w − s sign g,  p ← g, from 0 on
    Settings:  η `lr`, (η₋, η₊) `etas`, (s₋, s₊) `step_sizes`, `maximize`
    Source:    Riedmiller & Braun 1993, A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, etas=etas, step_sizes=step_sizes, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, and etas that do not lie on either side of 1."""
        self.require_numbers(group, "lr")
        self.require_bools(group, "maximize")
        self.require_tuple(group, "step_sizes", "two")
        smaller, larger = self.require_tuple(group, "etas", "two")
        if not 0 < smaller < 1 < larger:
            raise ValueError(f"Rprop: etas must be a number between 0 and 1 and one above 1, got {group['etas']}")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, smaller, larger, least, most = floats(group, "lr", "etas", "step_sizes")
        self.count(parameter)
        for w, g, p, s in self.blocks(parameter, group, "prev", "step_size", step_size=lr):
            agreement = np.sign(g * p)
            s[agreement > 0] *= larger
            s[agreement < 0] *= smaller
            np.clip(s, least, most, out=s)
            p[...] = np.where(agreement < 0, 0, g)
            w -= s * np.sign(p)
