"""The reductions, for definitions."""

from typing import Any

import numpy as np

REDUCTIONS = ("none", "mean", "sum")


def reduced(losses: Any, reduction: str, total: Any = None) -> list[Any]:
    """The terms of the reduced loss: each loss by itself where they are summed, or averaged over `total` (their number)."""
    losses = np.asarray(losses)
    if reduction == "none":
        return [losses]
    divisor = 1 if reduction == "sum" else (losses.size if total is None else total)
    return [loss / divisor for loss in losses.flat]
