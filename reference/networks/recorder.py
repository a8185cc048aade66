"""Recording: a network of torch runs once, and every function that it calls leaves a step in a graph of `manual`.

Torch itself computes; the recorder watches. A tensor is known by its identity: an input, a parameter, a buffer, or the output of
a step. What is not known, and what holds no floating-point numbers (indices, masks, comparisons), is a constant with the numbers
that it has. So sizes, branches and loops are simply followed, on the inputs given.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import manual
from manual.graph import Value
from reference.networks import rules
from reference.networks.modules import Twins
from reference.networks.rules import Untranslated

TORCH = Path(torch.__file__).parent
HERE = Path(__file__).parent

# What makes a new tensor of a shape and dtype alone
CREATORS = """
    bernoulli empty_like full_like multinomial new_empty new_full new_ones new_tensor new_zeros normal ones_like rand_like
    randint_like randn_like zeros_like
"""
# What makes Python's numbers of a tensor's
NUMBERS = """
    __bool__ __complex__ __contains__ __float__ __index__ __int__ allclose equal is_nonzero item numpy tolist __array__
"""


class Trouble(NamedTuple):
    """What could not be translated, and where: the path of the module, and the file and line."""

    what: str
    module: str
    line: str

    def __str__(self) -> str:
        return f"{self.module or 'the network'}, {self.line}: {self.what}"


@dataclass
class Call:
    """One call of a function of torch, as its rule sees it."""

    recorder: Recorder
    function: Callable[..., Any]
    output: Any
    random: Tensor | None  # the state from which it drew, if it drew

    def step(self, operation: Callable[..., Any], *arguments: Any, **constants: Any) -> Value:
        """A step of the graph."""
        return self.recorder.step(operation, *arguments, **constants)

    def tensor(self, value: Any) -> Tensor:
        """What torch has for a value of the graph, a parameter or a constant."""
        return self.recorder.tensors[id(value)] if id(value) in self.recorder.tensors else torch.as_tensor(value)

    def redraw(self, draw: Callable[[], Tensor]) -> Any:
        """What a function draws from the state from which this call drew."""
        if self.random is None:
            raise Untranslated("expected to draw random numbers")
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.random)
            return draw().numpy()

    def __post_init__(self) -> None:
        self.drew = self.random is not None


@dataclass
class Recorder(TorchFunctionMode):
    """Watches a copy of a network run, in float64; `own` is the precision that the user's network has."""

    network: nn.Module
    own: torch.dtype
    graph: manual.Graph = field(default_factory=manual.Graph)
    troubles: list[Trouble] = field(default_factory=list)
