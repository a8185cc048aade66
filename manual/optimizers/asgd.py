"""Averaged stochastic gradient descent."""

from typing import Any

from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Step against the gradient by less and less, and keep the mean of where that leads: `ax` in the state of each parameter.

    Step:      g ← ∂L/∂w + λ w      (−∂L/∂w + λ w where `maximize`)
               w ← w (1 − κ ηₜ) − ηₜ g,  η₁ = η,  ηₜ₊₁ = η / (1 + κ η t)^α  at step t = 1, 2, …
               a ← a + μₜ (w − a),  μₜ₊₁ = 1 / max(1, t − t₀), μ₁ = 1:  w itself for the first t₀ steps, then their mean
    Settings:  η `lr`, κ `lambd`, α `alpha`, t₀ `t0`, λ `weight_decay`, `maximize`
    Source:    Polyak & Juditsky 1992, Acceleration of Stochastic Approximation by Averaging; Bottou 2010
    """

    numbers = Optimizer.numbers | {"eta", "mu"}

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, and a negative rate or decay."""
        self.require_numbers(group, "lr", "weight_decay")
        self.require_numbers(group, "lambd", "alpha", "t0", signed=True)
        self.require_bools(group, "maximize")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        lr, lambd, alpha, t0 = floats(group, "lr", "lambd", "alpha", "t0")
        step = self.count(parameter)
        eta, mu = self.number(parameter, "eta", lr), self.number(parameter, "mu", 1.0)
        rate, share = float(eta), float(mu)
        for w, g, a in self.blocks(parameter, group, "ax"):
            w *= 1 - lambd * rate
            w -= rate * g
            if share == 1:
                a[...] = w
            else:
                a += share * (w - a)
        eta[...] = lr / (1 + lambd * lr * step) ** alpha
        mu[...] = 1 / max(1, step - t0)
