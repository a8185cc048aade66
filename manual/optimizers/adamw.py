"""AdamW: Adam whose weight decay does not pass through its means."""

from collections.abc import Mapping
from typing import Any

from manual.optimizers.adam import Adam
from manual.optimizers.optimizer import Params

__all__ = ["AdamW"]


class AdamW(Adam):
    """`Adam` with decoupled weight decay: each weight shrinks by the same share, however large its gradients are.

    Step:      w ← w − η λ w, then the step of `Adam` without weight decay
    Settings:  those of `Adam`; λ `weight_decay` is 0.01 unless given
    Source:    Loshchilov & Hutter 2019, Decoupled Weight Decay Regularization
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state, those of an `Adam` too: as in torch, the decay stays decoupled."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
