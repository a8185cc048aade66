"""The other side: the same operations in PyTorch, and the machinery that holds both against the truth."""

from importlib import import_module
from typing import Any

ENTRANCES = {"train_together": "reference.training"}  # imported on use: with them comes torch, which not every process may load


def __getattr__(name: str) -> Any:
    if name in ENTRANCES:
        return getattr(import_module(ENTRANCES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
