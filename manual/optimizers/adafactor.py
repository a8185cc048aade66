"""Adafactor: of a matrix of squared gradients, only the means of its rows and columns."""

from typing import Any

import numpy as np

from manual.contract import Array
from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Step against the gradient, divided by the root of its mean square, which is remembered as a row times a column.

    Step:      g ← ∂L/∂w      (−∂L/∂w where `maximize`),  w ← w − η λ w first
               β = 1 − t^γ at step t = 1, 2, …
               R ← β R + (1 − β) mean g² over columns,  C ← β C + (1 − β) mean g² over rows,  V = R C / max(mean R over rows, ε₁)
               Where g has no two axes, V ← β V + (1 − β) g²
               u = g / √max(V, ε₁²),  α = max(ε₂, rms w) · min(η, 1/√t),  rms of w before its decay
               w ← w − α u / max(1, rms u / d)
    Settings:  η `lr`, γ `beta2_decay`, (ε₁, ε₂) `eps`: ε₁ a floor below V (where it is `None` the dtype's own, 2⁻⁵² or 2⁻²³)
               and ε₂ below the scale of w, d `d`, λ `weight_decay`, decoupled, `maximize`
    Source:    Shazeer & Stern 2018, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, maximize=maximize)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones (a positive `beta2_decay`), and d below 1."""
        self.require_numbers(group, "lr", "d", "weight_decay")
        self.require_numbers(group, "beta2_decay", signed=True)
        self.require_bools(group, "maximize")
        eps = group["eps"]
        if isinstance(eps, (tuple, list)) and len(eps) == 2 and eps[0] is None:
            eps = (0.0, eps[1])
        self.require_tuple({"eps": eps}, "eps", "two")
        if group["beta2_decay"] > 0:
            raise ValueError(f"Adafactor: beta2_decay must not be positive, got {group['beta2_decay']}")
        if group["d"] < 1:
            raise ValueError(f"Adafactor: d must be at least 1, got {group['d']}")

    def shape_of(self, key: str, parameter: Parameter) -> tuple[int, ...]:
        """The mean of each row, or of each column, or an array like the parameter."""
        *before, rows, columns = parameter.shape if parameter.ndim > 1 else (0, 0)
        return {"row_var": (*before, rows, 1), "col_var": (*before, 1, columns)}.get(key, parameter.shape)

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        if not parameter.size:  # of which there is no mean
            return
        lr, beta2_decay, d, decay = floats(group, "lr", "beta2_decay", "d", "weight_decay")
        eps1, eps2 = group["eps"]
        eps1 = float(np.finfo(parameter.dtype).eps) if eps1 is None else float(eps1)
        step = self.count(parameter)
        w, g = parameter.data, -parameter.grad if group["maximize"] else np.asarray(parameter.grad)
        scale = max(float(eps2), _root_mean_square(w)) * min(lr, step**-0.5)
        w *= 1 - lr * decay
        share = step**beta2_decay
        if g.ndim > 1:
            row, column = self.memory(parameter, "row_var"), self.memory(parameter, "col_var")
            row *= 1 - share
            row += share * np.mean(g * g, axis=-1, keepdims=True)
            column *= 1 - share
            column += share * np.mean(g * g, axis=-2, keepdims=True)
            square = row * column / np.maximum(np.mean(row, axis=-2, keepdims=True), eps1)
        else:
            square = self.memory(parameter, "variance")
            square *= 1 - share
            square += share * g * g
        change = g / np.sqrt(np.maximum(square, eps1 * eps1))
        w -= scale / max(1.0, _root_mean_square(change) / d) * change


def _root_mean_square(array: Array) -> float:
    return float(np.linalg.norm(array)) / array.size**0.5
