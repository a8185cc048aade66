"""What a case is: one operation on certain arrays, or one module on certain inputs."""

from __future__ import annotations

import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import manual

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True, eq=False)
class Case:
    """Arguments for an operation.

    `arrays` holds one entry for each positional array: a function that draws it, numbers as nested lists (floating-point ones
    take the dtype under test), an integer array, or `None`.

    zero         positions whose gradient is zero, and should be; any other zero gradient is an error of the case
    no_grad      positions of floating-point arrays for which torch offers no gradient; `manual` returns None there
    judge        what the truth is: "definition", or "torch" for conventions that no formula gives (NaN of an empty mean, …)
    smooth       whether differences tell the derivative: False at a kink, or where a step would leave the domain
    torch_loses  why torch's own error is large here, where it is; without that, a torch that is far from the truth fails the case
    """

    label: str
    arrays: tuple[Any, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    zero: tuple[int, ...] = ()
    no_grad: tuple[int, ...] = ()
    judge: str = "definition"
    smooth: bool = True
    torch_loses: str = ""

    def build(self, seed: str, dtype: Any) -> tuple[Any, ...]:
        """The arrays in the dtype under test; the same ones at every call."""
        generator = np.random.default_rng(zlib.crc32(f"{seed}/{self.label}".encode()))
        return tuple(_build(spec, generator, dtype) for spec in self.arrays)


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation on three sides, and the cases on which they must agree.

    definition(m, *arrays, **constants) is the textbook formula of the forward pass, written for exact arithmetic: `m` holds the
    functions of `reference.exact`. Its derivative is taken by the machine, so it is a witness of its own.
    `small` and `large` are what the benchmark runs.

    Of a pointwise operation (of one array, each element by itself):
    kinks        where its formula changes
    slope_terms  slope_terms(m, x, **constants) gives the terms whose sum is the derivative, for a derivative with a zero, where
                 they cancel: one unit of rounding then moves it by u times the sum of their sizes
    """

    manual: Callable[..., Any]
    torch: Callable[..., Any]
    definition: Callable[..., Any]
    cases: tuple[Case, ...]
    small: Case
    large: Case
    pointwise: bool = False
    kinks: tuple[float, ...] = ()
    slope_terms: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        """The name of the operation, on both sides."""
        return self.manual.__name__

    @property
    def chapter(self) -> str:
        """The chapter of `manual` in which it stands, as layers/linear."""
        return "/".join(self.manual.__module__.split(".")[1:])


@dataclass(frozen=True)
class Build:
    """How to construct a module, in either library: its class name and the constructor's arguments."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def construct(self, library: Any, convert: Callable[[Any], Any]) -> Any:
        """The module, from `manual` or `torch.nn`; `convert` turns an argument into what that library takes."""

        def each(argument: Any) -> Any:
            if isinstance(argument, Build):
                return argument.construct(library, convert)
            if isinstance(argument, dict):
                return OrderedDict((key, each(value)) for key, value in argument.items())
            if isinstance(argument, list):
                return [each(value) for value in argument]
            return convert(argument)

        kwargs = {name: each(value) for name, value in self.kwargs.items()}
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # torch warns of the names it no longer advises
            return getattr(library, self.name)(*(each(argument) for argument in self.args), **kwargs)


def build(name: str, *args: Any, **kwargs: Any) -> Build:
    """`build("Linear", 3, 4)` is manual.Linear(3, 4) on one side and torch.nn.Linear(3, 4) on the other."""
    return Build(name, args, kwargs)


@dataclass(frozen=True, eq=False)
class ModuleCase:
    """A module and its inputs, which are given as for a `Case`.

    `torch` makes of torch's module the function that ours is held against, where that is not the module itself.
    """

    module: Build
    inputs: Case
    label: str = ""
    torch: Callable[[Any], Callable[..., Any]] = lambda module: module

    @property
    def name(self) -> str:
        """The name of the module, on both sides."""
        return self.module.name

    @property
    def chapter(self) -> str:
        """The chapter of `manual` in which it stands."""
        return "/".join(getattr(manual, self.name).__module__.split(".")[1:])


def _build(spec: Any, generator: np.random.Generator, dtype: Any) -> Any:
    if spec is None:
        return None
    if isinstance(spec, tuple):
        return tuple(_build(part, generator, dtype) for part in spec)
    array = np.asarray(spec(generator) if callable(spec) else spec)
    return array.astype(dtype) if array.dtype.kind == "f" else array


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Normal numbers of the given standard deviation."""
    return lambda generator: scale * generator.standard_normal(shape)


def uniform(low: float, high: float, *shape: int) -> Draw:
    """Uniform numbers in [low, high)."""
    return lambda generator: generator.uniform(low, high, shape)


def classes(count: int, *shape: int) -> Draw:
    """Class indices below `count`."""
    return lambda generator: generator.integers(0, count, shape)


def probabilities(*shape: int, dim: int = -1) -> Draw:
    """Positive numbers that sum to 1 along `dim`."""

    def draw(generator: np.random.Generator) -> Any:
        positive = generator.uniform(0.05, 1, shape)
        return positive / positive.sum(axis=dim, keepdims=True)

    return draw
