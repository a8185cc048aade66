"""The other side: the same operations in PyTorch, and the machinery that holds both against the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference.networks.verification import verify as verify

__all__ = ["verify"]

_HOMES = {"verify": "reference.networks.verification"}  # imported on use: they need torch and rich, whose absence commands explain


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'reference' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
