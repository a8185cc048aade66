"""Recording: a network of torch runs once, and what it calls leaves steps in a graph of `manual`.

Torch itself computes; the recorder watches. A tensor is known by its identity: an input, a parameter, a buffer, or the output of a
step. Any other, and whatever holds no floating-point numbers (indices, masks, comparisons), is a constant, with the numbers that it
has. So shapes, branches and loops are simply followed, on the inputs given.

The network is a copy in float64, and does not notice: it is told that its numbers are of its own precision.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import manual
import manual.tensor
from manual.graph import Value
from manual.trees import leaves, like
from reference.networks.modules import Twins
from reference.networks.names import ACTIVATIONS, CASTS, CREATORS, HOOKS, IN_FULL, NUMBERS, SYNONYMS, hardsigmoid
from reference.networks.operations import UntranslatedError, operations, translate
from reference.networks.rules import RULES, name_of

TORCH, HERE = str(Path(torch.__file__).parent), str(Path(__file__).parent)


class Trouble(NamedTuple):
    """What could not be translated, and where: the path of the module, and the file and line."""

    what: str
    module: str
    line: str

    def __str__(self) -> str:
        return f"{self.module or 'the network itself'} ({self.line}): {self.what}"


@dataclass
class Call:
    """A call of a function of torch, as its rule sees it: with what it was called, and its output."""

    recorder: Recorder
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    random: Tensor | None  # the state from which it drew, if it drew

    def step(self, operation: Callable[..., Any], *arguments: Any, **constants: Any) -> Value:
        """A step of the graph."""
        return self.recorder.step(operation, *arguments, **constants)

    def redraw(self, draw: Callable[[], Tensor]) -> Any:
        """What is drawn from the state from which this call drew."""
        after = torch.get_rng_state()
        torch.set_rng_state(self.random)  # type: ignore[arg-type]
        try:
            return draw().numpy()
        finally:
            torch.set_rng_state(after)


class Recorder(TorchFunctionMode):
    """Watches a network run, which is a copy in float64; `own` is the precision that the user's has."""

    def __init__(self, network: nn.Module, own: torch.dtype) -> None:
        super().__init__()
        self.own, self.graph = own, manual.Graph()
        self.step_of_graph = self.graph.step  # the network may have a module of this name
        self.twins = Twins(network, self.graph)
        self.troubles: list[Trouble] = []
        self.known: dict[int, tuple[Tensor, Any]] = {}  # by identity, and kept alive: what stands for it in the graph
        self.parameters = {id(p): (p, p._version) for p in network.parameters()}
        self.names = {id(t): n for n, t in [*network.named_parameters(), *network.named_buffers()]}
        self.sharing: dict[int, list[Tensor]] = {}  # by the memory in which they lie, the known ones
        self.data: dict[int, Tensor] = {}  # constants here that other inputs would change: masks and indices made of them
        self.stale: dict[int, str] = {}  # what was overwritten, and where
        self.written: dict[int, str] = {}  # memory into which something known was written, and where
        self.modules: list[str] = [""]  # the paths of those that are running
        self.stopped_in = ""  # the module that raised an error
        self.silent = False

    # -- What is known

    def know(self, tensor: Tensor, value: Any) -> None:
        """From now on, this tensor stands for a value of the graph, or for a constant."""
        self.known[id(tensor)] = tensor, value
        self.stale.pop(id(tensor), None)
        self.sharing.setdefault(_memory(tensor), []).append(tensor)

    def bind(self, output: Any, tree: Any) -> None:
        """The same for all tensors of an output that hold floating-point numbers."""
        if isinstance(output, Tensor):
            if output.is_floating_point() and tree is not None:
                self.know(output, tree)
        elif isinstance(output, (tuple, list)):
            for i, part in enumerate(output):
                if part is not None:
                    self.bind(part, None if tree is None else tree[i])

    def is_value(self, tensor: Tensor) -> bool:
        """Whether a tensor holds numbers that the graph computes, takes or learns."""
        if not tensor.is_floating_point():
            return False
        return id(tensor) in self.parameters or (id(tensor) in self.known and not isinstance(self.known[id(tensor)][1], np.ndarray))

    def value(self, tensor: Tensor, whole: bool = False) -> Any:
        """What stands for a tensor: a value, a parameter or an array. Integers are arrays, unless a `whole` module takes them."""
        if id(tensor) in self.stale:
            self.trouble(f"reads what was overwritten in place at {self.stale[id(tensor)]}")
        if id(tensor) in self.known and (whole or tensor.is_floating_point()):
            return self.known[id(tensor)][1]
        if id(tensor) in self.parameters:
            if tensor._version != self.parameters[id(tensor)][1]:
                self.trouble(f"reads the parameter {self.names[id(tensor)]}, which was changed in place")
            return self.twins.parameters[id(tensor)]
        if id(tensor) in self.twins.buffers:
            array, version = self.twins.buffers[id(tensor)]
            if tensor._version == version:
                return array
        if tensor.is_complex():
            raise UntranslatedError("complex numbers have no counterpart")
        if not self.troubles:  # or else it may come from there
            if _memory(tensor) in self.written:
                self.trouble(f"reads what was written through a view at {self.written[_memory(tensor)]}")
            elif tensor.requires_grad:
                origin = type(tensor.grad_fn).__name__ if tensor.grad_fn else "a parameter that the network does not have"
                self.trouble(f"reads a tensor of unknown origin ({origin})")
        array = tensor.detach().numpy()
        return array.astype(np.float64) if array.dtype.kind == "f" else array.copy()

    def converted(self, tree: Any, whole: bool = False) -> Any:
        """Arguments of torch as those of `manual`."""
        if isinstance(tree, Tensor):
            return self.value(tree, whole)
        if isinstance(tree, torch.Size):
            return tuple(tree)
        if isinstance(tree, nn.utils.rnn.PackedSequence):
            return manual.PackedSequence(*[self.converted(part, whole) for part in tree])
        if isinstance(tree, (tuple, list)):
            return like(tree, [self.converted(part, whole) for part in tree])
        if isinstance(tree, dict):
            return {key: self.converted(part, whole) for key, part in tree.items()}
        if isinstance(tree, torch.dtype):
            if tree.is_floating_point and tree != torch.float64:
                raise UntranslatedError(f"a cast to {tree}")
            return np.dtype(str(tree).removeprefix("torch."))
        return tree

    # -- Where we are

    def place(self) -> str:
        """The file and line of the user's that is running."""
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith((TORCH, HERE)):
            frame = frame.f_back
        return f"{shown_path(frame.f_code.co_filename)}:{frame.f_lineno}"

    def is_called_by_torch(self) -> bool:
        """Whether torch's own modules ask, and not the user's."""
        frame = sys._getframe(1)
        while frame.f_code.co_filename.startswith(HERE) or Path(frame.f_code.co_filename).name in ("overrides.py", "_tensor.py"):
            frame = frame.f_back  # type: ignore[assignment]
        return frame.f_code.co_filename.startswith(TORCH)

    def trouble(self, what: str) -> None:
        """Note what could not be translated, once for a place."""
        trouble = Trouble(what, self.modules[-1], self.place())
        if trouble not in self.troubles:
            self.troubles.append(trouble)

    def step(self, operation: Callable[..., Any], *arguments: Any, **constants: Any) -> Value:
        """A step of the graph, which remembers where it comes from."""
        value = self.step_of_graph(operation, *arguments, **constants)
        where = ", ".join(filter(None, (self.modules[-1], self.place())))
        self.graph.nodes[-1] = self.graph.nodes[-1]._replace(note=where)  # type: ignore[union-attr]
        return value

    # -- Functions

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let torch compute, and record it."""
        kwargs = kwargs or {}
        function = IN_FULL.get(function, function)
        if self.silent:
            return function(*args, **kwargs)
        name = name_of(function)
        if name == "get_dtype":
            dtype = function(*args, **kwargs)
            return self.own if dtype == torch.float64 else dtype
        tensors = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if not any(map(self.is_value, tensors)):
            output = self.in_float64(function(*self.native(args), **self.native(kwargs)))
            if any(id(tensor) in self.data or id(tensor) in self.known for tensor in tensors):
                self.note(name, output)
            return output
        if name in CASTS:
            return self.cast(name, function, args, kwargs)
        args, kwargs = self.native(args), self.native(kwargs)
        return self.computed(name, function, args, kwargs, tensors)

    def native(self, tree: Any) -> Any:
        """Arguments in which the network's own precision is float64."""
        if isinstance(tree, (tuple, list)) and any(leaf is self.own for leaf in _leaves(tree)):
            return like(tree, [self.native(part) for part in tree])
        if isinstance(tree, dict):
            return {key: self.native(part) for key, part in tree.items()}
        return torch.float64 if tree is self.own else tree

    def in_float64(self, output: Any) -> Any:
        """A constant that torch made, in float64 where it holds floating-point numbers."""
        if isinstance(output, Tensor):
            return output.double() if output.is_floating_point() and output.dtype != torch.float64 else output
        if type(output) in (tuple, list):
            return type(output)([self.in_float64(part) for part in output])
        return output

    def cast(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        """Casts to the network's own precision, and to where it lies, change nothing; those to another are listed."""
        others = [leaf for leaf in _leaves((args[1:], kwargs)) if isinstance(leaf, (torch.dtype, Tensor))]
        target = CASTS[name] or next((self.own if isinstance(leaf, Tensor) else leaf for leaf in others), self.own)
        if not target.is_floating_point:
            return function(*args, **kwargs)
        if target != self.own:
            self.trouble(f"a cast to another precision, {target}")
        if kwargs.get("copy"):
            copy = args[0].clone()
            self.know(copy, self.value(args[0]))
            return copy
        return args[0]

    def computed(self, name: str, function: Any, args: Any, kwargs: Any, tensors: list[Tensor]) -> Any:
        """Let torch compute from values, and record the step that does the same."""
        plain = name.removesuffix("_") if not name.endswith("__") else name
        original = F.hardsigmoid if function is hardsigmoid else function
        operation = operations().get(original) or operations().get(plain if plain in ACTIVATIONS else None)
        rule = RULES.get(name) or RULES.get(plain)
        given: Any = None
        problem: str | None = None
        if name not in CREATORS and name not in NUMBERS and (operation or rule):
            try:  # before torch overwrites anything
                given = self.converted(args, operation is not None), self.converted(kwargs, operation is not None)
            except UntranslatedError as untranslated:
                problem = str(untranslated)
        if name in NUMBERS and args:  # torch warns of numbers that a gradient leads to, which may not in the user's own run
            args = (args[0].detach(), *args[1:])
        versions, random = [tensor._version for tensor in tensors], torch.get_rng_state()
        output = self.silently(function, *args, **kwargs)
        drew = random if not torch.equal(random, torch.get_rng_state()) else None
        found = [leaf for leaf in _leaves(output) if isinstance(leaf, Tensor)]
        overwritten = [tensor for tensor, version in zip(tensors, versions) if tensor._version != version]
        if name == "__setitem__":
            self.trouble("item assignment has no counterpart")
            for tensor in overwritten:
                self.overwrite(tensor)
                self.know(tensor, self.stand_ins(tensor))
            return output
        if not found or name in HOOKS or (name in CREATORS and not overwritten):
            output = self.in_float64(output)
            self.note(name, output)
            return output
        if not any(leaf.is_floating_point() or leaf.is_complex() for leaf in found) and not overwritten:
            self.note(name, output)
            return output
        tree = None
        if not torch.is_grad_enabled():
            problem = f"{name} under no_grad; detach() has a counterpart"
        elif torch.is_autocast_enabled("cpu"):
            problem = f"{name} under autocast, which casts to another precision"
        elif "out" in kwargs and kwargs["out"] is not None:
            problem = f"{name} with out=, which overwrites an argument"
        elif problem is None and given is None:
            problem = f"{name} has no counterpart"
        elif problem is None:
            call = Call(self, function, args, kwargs, output, drew)
            named = {SYNONYMS.get(key, key): value for key, value in given[1].items() if key != "out"}
            try:
                tree = translate(call, operation, *given) if operation else rule(call, *given[0], **named)  # type: ignore[misc]
            except (UntranslatedError, TypeError, ValueError) as error:
                problem = f"{name}: {error}"
        for tensor in overwritten:
            self.overwrite(tensor)
        if problem:
            self.trouble(problem)
            tree = self.stand_ins(output)
        self.bind(output, tree)
        return output

    def silently(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function without recording what it calls."""
        before, self.silent = self.silent, True
        try:
            return function(*args, **kwargs)
        finally:
            self.silent = before

    def stand_ins(self, output: Any) -> Any:
        """What stands for an output that could not be translated, so that what comes after it is looked at as well."""
        if isinstance(output, Tensor):
            return self.step(manual.tensor.detach, output.detach().numpy()) if output.is_floating_point() else None
        return [self.stand_ins(part) for part in output] if isinstance(output, (tuple, list)) else None

    def note(self, name: str, output: Any) -> None:
        """Mind what is made of data and holds no floating-point numbers, and list what makes Python's numbers of it."""
        if name in HOOKS:
            self.trouble(f"{name} has no counterpart")
        elif name in NUMBERS and not self.is_called_by_torch():
            self.trouble(f"{name} makes a number of a tensor: what follows may depend on the data")
        elif name not in CREATORS:
            self.data |= {id(leaf): leaf for leaf in _leaves(output) if isinstance(leaf, Tensor)}

    def overwrite(self, tensor: Tensor) -> None:
        """A tensor was overwritten: whatever lies in the same memory has other numbers now, and must not be read again."""
        if id(tensor) in self.twins.buffers:  # running statistics: from now on it is a constant
            return
        place = self.place()
        for other in self.sharing.get(_memory(tensor), ()):
            if other is tensor or _overlap(other, tensor):
                self.stale[id(other)] = place
        self.written[_memory(tensor)] = place

    # -- Functions with a gradient of the user's own, and modules

    def applied(self, original: Callable[..., Any], function: type, args: Any, kwargs: Any) -> Any:
        """Let a subclass of torch.autograd.Function compute, which hooks on gradients of modules use as well."""
        output = self.silently(original, function, *args, **kwargs)
        if not self.silent:
            self.trouble(f"{function.__name__}, a torch.autograd.Function, has no counterpart")
            self.bind(output, self.stand_ins(output))
        return output

    def called(self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any) -> Any:
        """Let a module run: whole, where it has a twin, or function by function."""
        self.modules.append(self.twins.paths.get(id(module), self.modules[-1]))
        try:
            twin = None if self.silent else self.twins.of(module)
            tensors = [leaf for leaf in _leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            if twin is None or not (any(map(self.is_value, tensors)) or next(module.parameters(), None) is not None):
                return original(module, *args, **kwargs)
            problem: str | None = None
            given: Any = ((), {})
            try:
                given = self.converted(args, True), self.converted(kwargs, True)
            except UntranslatedError as untranslated:
                problem = str(untranslated)
            versions = [tensor._version for tensor in tensors]
            output = self.silently(original, module, *args, **kwargs)
            if not torch.is_grad_enabled():
                problem = f"{type(module).__name__} under no_grad; detach() has a counterpart"
            value: Any = None
            if problem is None:
                try:
                    value = self.step(twin, *given[0], **given[1])
                except (TypeError, ValueError) as error:
                    problem = f"{type(module).__name__}: {error}"
            if problem:
                self.trouble(problem)
            for tensor, version in zip(tensors, versions):
                if tensor._version != version:
                    self.overwrite(tensor)
            self.bind(output, self.stand_ins(output) if problem else value)
            return output
        except Exception:
            self.stopped_in = self.stopped_in or self.modules[-1]
            raise
        finally:
            self.modules.pop()


def shown_path(file: str) -> str:
    """A path from where we are, if it lies there."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _leaves(tree: Any) -> Iterator[Any]:
    """The leaves of arguments and outputs; the ends of a slice may be tensors too."""
    for leaf in leaves(tree):
        yield from (leaf.start, leaf.stop, leaf.step) if isinstance(leaf, slice) else (leaf,)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _overlap(one: Tensor, other: Tensor) -> bool:
    try:
        return np.shares_memory(one.detach().numpy(), other.detach().numpy(), max_work=100_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
