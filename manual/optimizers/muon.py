"""Muon: momentum whose matrix is made orthogonal before it is a step."""

from typing import Any

import numpy as np

from manual.contract import Array
from manual.module import Parameter
from manual.optimizers.optimizer import Optimizer, Params, floats

__all__ = ["Muon"]


NAMES = (None, "original", "match_rms_adamw")


class Muon(Optimizer):
    """Step against the momentum of a matrix, with all its singular values brought close to 1.

    Step:      b ← μ b + (1 − μ) ∂L/∂w, from 0 on
               X = b, or with Nesterov's (1 − μ) ∂L/∂w + μ b
               X ← X / max(‖X‖, ε), the Frobenius norm;  then `ns_steps` times A = X Xᵀ, X ← a X + (b A + c A²) X, of Xᵀ where X
               has more rows than columns: each singular value s goes to a s + b s³ + c s⁵
               w ← w (1 − η λ) − η f X,  f = √max(1, rows / columns), or 0.2 √max(rows, columns) with "match_rms_adamw"
               Computed in the dtype of w; torch computes X in bfloat16
    Settings:  η `lr`, λ `weight_decay`, decoupled, μ `momentum`, `nesterov`, (a, b, c) `ns_coefficients`, ε `eps`, a floor below
               the norm, `ns_steps`, f `adjust_lr_fn`. Parameters are matrices
    Source:    Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks; Liu et al. 2025, Muon is Scalable
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_coefficients=ns_coefficients,
            eps=eps,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        )

    def check(self, group: dict[str, Any]) -> None:
        """Refuse what are no numbers, negative ones, a hundred iterations or more, and an unknown adjustment."""
        self.require_numbers(group, "lr", "weight_decay", "momentum", "eps")
        self.require_bools(group, "nesterov")
        self.require_tuple(group, "ns_coefficients", "three", signed=True)
        self.require_integers(group, "ns_steps")
        if group["ns_steps"] >= 100:
            raise ValueError(f"Muon: ns_steps must be below 100, got {group['ns_steps']}")
        if group["adjust_lr_fn"] not in NAMES:
            expected = "'original', 'match_rms_adamw' or None"
            raise ValueError(f"Muon: adjust_lr_fn must be {expected}, got {group['adjust_lr_fn']!r}")

    def check_parameter(self, parameter: Parameter) -> None:
        """Refuse what is no matrix."""
        if parameter.ndim != 2:
            raise ValueError(f"Muon: params must have two axes, got one of shape {parameter.shape}")

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        if not parameter.size:
            return
        lr, decay, momentum, eps = floats(group, "lr", "weight_decay", "momentum", "eps")
        w, grad, buffer = parameter.data, parameter.grad, self.memory(parameter, "momentum_buffer")
        buffer *= momentum
        buffer += (1 - momentum) * grad
        change = (1 - momentum) * grad + momentum * buffer if group["nesterov"] else buffer
        rows, columns = w.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            adjusted = lr * 0.2 * max(rows, columns) ** 0.5
        else:
            adjusted = lr * max(1.0, rows / columns) ** 0.5
        w *= 1 - lr * decay
        w -= adjusted * _orthogonal(change, floats(group, "ns_coefficients"), group["ns_steps"], eps)


def _orthogonal(matrix: Array, coefficients: list[float], steps: int, eps: float) -> Array:
    """The matrix with singular values near 1, by Newton and Schulz's iteration."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / max(float(np.linalg.norm(x)), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
