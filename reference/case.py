"""What a case is: one operation on certain arrays, or one module on certain inputs."""

from __future__ import annotations

import math
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

import manual
from manual.trees import like

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Number:
    """A plain number where an array might stand: a constant, without a gradient."""

    value: float


@dataclass(frozen=True, eq=False)
class Case:
    """Arguments for an operation.

    `arrays` holds one entry for each positional argument: a function that draws an array, numbers as nested lists (floating-point
    ones take the dtype under test), an integer array, a `Number` that stays one, or `None`; a tuple of these where the argument
    is a tuple of arrays, and a list with functions in it where it is a list of arrays.

    zero         names of gradients that are zero, and should be: `grad_1`, `grad_2.0`; any other zero gradient is an error
    no_grad      names of gradients of floating-point arrays that torch does not offer; `manual` returns None there
    judge        what the truth is: "definition"; "float64" for a long composition, which is held against torch in float64, with
                 the largest |J|ᵀ|g| of each array; or "torch" for conventions that no formula gives (NaN of an empty mean, …)
    smooth       whether differences tell the derivative: False at a kink, or where a step would leave the domain
    torch_loses  why torch's own error is large here, where it is; without that, a torch that is far from the truth fails the case
    ill_conditioned  why the conditioning of a long composition, judged by float64, forbids r ≤ 30, where it does: then
                 r ≤ 2 × torch's worst r passes, as measured in float32, and twice that in float64, where the judge errs as well
    """

    label: str
    arrays: tuple[Any, ...]
    constants: dict[str, Any] = field(default_factory=dict)
    zero: tuple[str, ...] = ()
    no_grad: tuple[str, ...] = ()
    judge: str = "definition"
    smooth: bool = True
    torch_loses: str = ""
    ill_conditioned: str = ""

    def build(self, name: str, dtype: Any, seed: int = 0) -> tuple[Any, ...]:
        """The arrays in the dtype under test; the same ones at every call with a seed."""
        return _build(self.arrays, generator(name, self.label, seed), dtype)


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation on three sides, and the cases on which they must agree.

    definition(*arrays, **constants) is the textbook formula of the forward pass, written for the exact arithmetic of
    `reference.exact`. Its derivative is taken by the machine, so it is a witness of its own.
    `small` and `large` are what the benchmark runs.

    Of a pointwise operation (of one array, each element by itself):
    kinks        where its formula changes
    above        the number above which it has a value and a slope: sweeps stay there
    slope_terms  slope_terms(x, **constants) gives the terms whose sum is the derivative, for a derivative with a zero, where
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
    above: float = -math.inf
    slope_terms: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        """The name of the operation, on both sides; within a namespace of its own with that, as tensor.sum."""
        return f"tensor.{self.manual.__name__}" if self.chapter.startswith("tensor/") else self.manual.__name__

    @property
    def chapter(self) -> str:
        """The chapter of `manual` in which it stands, as layers/linear."""
        return "/".join(self.manual.__module__.split(".")[1:])


class Library(SimpleNamespace):
    """Where classes are found by name, as in `manual` and `torch.nn`; like these it can be a key."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # a SimpleNamespace has none


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
        with warnings.catch_warnings():
            for category in (FutureWarning, UserWarning):  # torch warns of names it no longer advises, of fast paths it cannot take
                warnings.simplefilter("ignore", category)
            return getattr(library, self.name)(*(each(argument) for argument in self.args), **kwargs)


def build(name: str, *args: Any, **kwargs: Any) -> Build:
    """`build("Linear", 3, 4)` is manual.Linear(3, 4) on one side and torch.nn.Linear(3, 4) on the other."""
    return Build(name, args, kwargs)


@dataclass(frozen=True, eq=False)
class ModuleCase:
    """A module and its inputs, which are given as for a `Case`: arrays by position, options of `forward` as constants.

    `keywords` are the arrays that are given by keyword (masks); `torch` makes of torch's module the function that ours is held
    against, where that is not the module itself; `training` is the mode of both; `scale` the standard deviation of the parameters.
    """

    module: Build
    inputs: Case
    keywords: dict[str, Any] = field(default_factory=dict)
    torch: Callable[[Any], Callable[..., Any]] = lambda module: module
    training: bool = True
    scale: float = 1.0

    @property
    def name(self) -> str:
        """The name of the module, on both sides."""
        return self.module.name

    @property
    def chapter(self) -> str:
        """The chapter of `manual` in which it stands."""
        return "/".join(getattr(manual, self.name).__module__.split(".")[1:])

    def build(self, names: list[str], dtype: Any, seed: int = 0) -> tuple[Any, ...]:
        """An array for each of forward's arguments of these names, `None` where it is not given."""
        given = dict(zip(names, self.inputs.build(self.name, dtype, seed)))
        draw = generator(self.name, self.inputs.label, seed, "keywords")
        given |= {name: _build(spec, draw, dtype) for name, spec in self.keywords.items()}
        return tuple(given.get(name) for name in names)

    def call(self, function: Callable[..., Any], names: list[str], *arguments: Any) -> Any:
        """Call a forward with these arguments, by position or by keyword as the case says."""
        keywords = {name: arguments[names.index(name)] for name in self.keywords}
        return function(*arguments[: len(self.inputs.arrays)], **keywords, **self.inputs.constants)


def generator(*names: Any) -> np.random.Generator:
    """Random numbers for what bears these names, always the same ones."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


def _build(spec: Any, draw: np.random.Generator, dtype: Any) -> Any:
    if spec is None:
        return None
    if isinstance(spec, Number):
        return spec.value
    if isinstance(spec, tuple) or (isinstance(spec, list) and any(map(callable, spec))):
        return like(spec, [_build(part, draw, dtype) for part in spec])
    array = np.asarray(spec(draw) if callable(spec) else spec)
    return array.astype(dtype) if array.dtype.kind == "f" else array


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Normal numbers of the given standard deviation."""
    return lambda generator: scale * generator.standard_normal(shape)


def offset(mean: float, *shape: int) -> Draw:
    """Normal numbers around a mean."""
    return lambda generator: mean + generator.standard_normal(shape)


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
