"""The other side: the same operations in PyTorch, and the machinery that holds both against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference.checking.adapters import from_jax as from_jax
    from reference.checking.adapters import from_pair as from_pair
    from reference.checking.adapters import from_torch as from_torch
    from reference.checking.check import check as check
    from reference.exchange.export import export as export
    from reference.exchange.judge import judge as judge
    from reference.networks.verification import verify as verify
    from reference.training import train_together as train_together

__all__ = ["check", "export", "from_jax", "from_pair", "from_torch", "judge", "train_together", "verify"]

# Imported on use: they need torch and rich, which not every process may load, and whose absence commands explain
_HOMES = {
    **dict.fromkeys(("from_jax", "from_pair", "from_torch"), "reference.checking.adapters"),
    "check": "reference.checking.check",
    "export": "reference.exchange.export",
    "judge": "reference.exchange.judge",
    "train_together": "reference.training",
    "verify": "reference.networks.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'reference' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
