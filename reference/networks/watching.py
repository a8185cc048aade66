"""How a recorder sees what a network calls: its modules, and functions with a gradient of their own, are told to ask it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from reference.networks.recorder import Recorder

ONE_AT_A_TIME = threading.RLock()  # torch's modules and its random numbers are the same for all threads


@contextmanager
def watching(recorder: Recorder) -> Iterator[None]:
    """Let a recorder see all functions of torch that this thread calls, and all modules."""
    thread = threading.get_ident()

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original(module, *args, **kwargs)
        return recorder.called(original, module, args, kwargs)

    def apply(function: type, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original_apply(function, *args, **kwargs)
        return recorder.applied(original_apply, function, args, kwargs)

    with ONE_AT_A_TIME:
        original, kept = nn.Module.__call__, vars(torch.autograd.Function)["apply"]
        original_apply = kept.__func__
        nn.Module.__call__ = call  # type: ignore[method-assign]
        torch.autograd.Function.apply = classmethod(apply)  # type: ignore[assignment,method-assign]
        try:
            with recorder:
                yield
        finally:
            nn.Module.__call__ = original  # type: ignore[method-assign]
            torch.autograd.Function.apply = kept  # type: ignore[method-assign]
