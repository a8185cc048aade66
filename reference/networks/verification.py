"""Verifying a network: its twin in `manual`, recorded while it runs, beside autograd."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

import manual
from manual.contract import Backward
from manual.trees import like
from reference.networks.modules import running
from reference.networks.recorder import HERE, TORCH, Recorder, Trouble, shown_path
from reference.networks.watching import ONE_AT_A_TIME, watching
from reference.report import short
from reference.tables import as_text, new_table

TOLERANCE = 1e-9  # of the largest value of a kind

OUTPUT, INPUT, PARAMETER, BUFFER = KINDS = ("output", "input gradient", "parameter gradient", "running statistic")


@dataclasses.dataclass(frozen=True)
class Quantity:
    """An output, a gradient or a running statistic on both sides; `None` is a gradient that nothing leads to."""

    name: str
    kind: str
    ours: Any
    torch: Any
    scale: float  # the largest value of this kind in the network

    @cached_property
    def error(self) -> float:
        """The largest difference, in units of the scale."""
        if self.ours is None and self.torch is None:
            return 0.0
        if self.torch is None:  # zeros will do, but not for a parameter: a step of an optimizer passes over one without a gradient
            return np.inf if self.kind == PARAMETER or self.ours.any() else 0.0
        ours = np.zeros_like(self.torch) if self.ours is None else np.asarray(self.ours)
        if ours.shape != self.torch.shape:
            return np.inf
        same = (
            (ours == self.torch) | (np.isnan(ours) & np.isnan(self.torch)) if self.torch.dtype.kind == "f" else ours == self.torch
        )
        if same.all():
            return 0.0
        with np.errstate(invalid="ignore"):
            difference = np.abs(np.where(same, 0.0, np.subtract(ours, self.torch, dtype=np.float64)))
        worst = float(difference.max())
        return np.inf if np.isnan(worst) or self.scale == 0 else worst / self.scale

    @property
    def agrees(self) -> bool:
        """The verdict."""
        return self.error <= TOLERANCE


@dataclasses.dataclass(frozen=True)
class Report:
    """How well a network and its twin agree, or what could not be translated."""

    network: str
    quantities: tuple[Quantity, ...]
    troubles: tuple[Trouble, ...] = ()
    graph: manual.Graph | None = None

    @property
    def agrees(self) -> bool:
        """Whether everything was translated, and every output and gradient is within 1e-9 of the largest value of its kind."""
        return not self.troubles and all(quantity.agrees for quantity in self.quantities)

    @property
    def disagreeing(self) -> list[Quantity]:
        """What does not agree, the worst first."""
        return sorted((q for q in self.quantities if not q.agrees), key=lambda quantity: -quantity.error)

    def of(self, kind: str) -> list[Quantity]:
        """The quantities of a kind, the worst first."""
        return sorted((q for q in self.quantities if q.kind == kind), key=lambda quantity: -quantity.error)

    def __str__(self) -> str:
        return as_text(100, self._print)

    def _print(self, console: Console) -> None:
        if self.troubles:
            console.print(f"{self.network}: could not be translated", soft_wrap=True)
            for trouble in self.troubles:
                console.print(f"  {trouble}", soft_wrap=True)
            return
        table = new_table()
        table.add_column("")
        for name in ("count", "largest", "worst error"):
            table.add_column(name, justify="right")
        table.add_column("of", overflow="fold")
        table.add_column("")
        for kind in KINDS:
            if found := self.of(kind):
                worst = found[0]
                mark = "✓" if worst.agrees else "✗"
                table.add_row(f"{kind}s", str(len(found)), short(worst.scale), short(worst.error), worst.name, mark)
        console.print(table)
        wrong = self.disagreeing
        for quantity in wrong:
            console.print(f"✗ {quantity.kind} {quantity.name}: {short(quantity.error)} of the largest", soft_wrap=True)
        unused = [q.name for q in self.quantities if q.ours is None and q.torch is None]
        if unused:
            console.print(f"No gradient on either side: {', '.join(unused)}", soft_wrap=True)
        verdict = f"{len(wrong)} of {len(self.quantities)} disagree" if wrong else f"all {len(self.quantities)} agree"
        console.print(f"{self.network}: {verdict}, within {TOLERANCE:g} of the largest of each kind", soft_wrap=True)


def verify(module: nn.Module, /, *inputs: Any, train: bool | None = None, seed: int = 0, **keywords: Any) -> Report:
    """Build the twin of a network of torch in `manual`, and compare outputs and gradients on these inputs.

    The network is copied and runs once, in float64, in its own mode unless `train` is given; what it calls becomes a graph of
    `manual` on the same weights. Both then carry a random cotangent, drawn from `seed`, back from every floating-point output.
    Inputs may be nested tuples, lists and dicts of tensors and of anything else, and come by keyword as well. The network and the
    random state are left as they were.
    """
    return Translation(module, inputs, keywords, train).report(seed)


class Translation:
    """A network, its twin as a graph, and what both are run on."""

    def __init__(self, module: nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any], train: bool | None = None) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"verify: module must be a torch.nn.Module, got {type(module).__name__}")
        self.name = type(module).__name__
        own = _own_precision(module, (inputs, keywords))
        self.troubles: list[Trouble] = []
        with _state_kept():
            network = _copied(module).cpu().double()
            if train is not None:
                network.train(train)
            self.recorder = Recorder(network, own)
            self.network = network
            self.leaves: dict[str, Tensor] = {}  # the inputs by name
            self.outputs: dict[str, Tensor] = {}
            taken: dict[int, Tensor] = {}
            given = _inputs_by_name(module, inputs, keywords)
            arguments = {name: self._taken(name, argument, taken) for name, argument in given.items()}
            positional = [arguments[name] for name in list(given)[: len(inputs)]]
            named = {name: arguments[name] for name in keywords}
            with torch.enable_grad():
                self._run(positional, named)

    def _run(self, positional: list[Any], named: dict[str, Any]) -> None:
        recorder = self.recorder
        try:
            with watching(recorder):
                output = self.network(*positional, **named)
        except Exception as error:
            recorder.troubles = [_where_stopped(error, recorder)]
        else:
            values = []
            for name, leaf in _named(output, "output"):
                if isinstance(leaf, Tensor):
                    self.outputs[name] = leaf
                    values.append(recorder.value(leaf))
            manual.Graph.output(recorder.graph, tuple(values))
        self.troubles = recorder.troubles

    def _taken(self, name: str, argument: Any, taken: dict[int, Tensor]) -> Any:
        """An argument in float64, of copies; each tensor of it becomes an input of the graph."""

        def each(name: str, leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            if id(leaf) not in taken:
                own = leaf.detach().cpu().clone()
                own = own.double().requires_grad_() if own.is_floating_point() else own
                self.leaves[name] = own
                taken[id(leaf)] = own.clone()  # so that the network may change it in place
                label = "".join(c if c.isalnum() else "_" for c in name)
                self.recorder.know(taken[id(leaf)], manual.Graph.input(self.recorder.graph, label))
            return taken[id(leaf)]

        return _mapped(each, name, argument)

    def parameters(self) -> dict[str, manual.Parameter]:
        """Those of the twin, by the names that they have in the network."""
        return {name: self.recorder.twins.parameters[id(parameter)] for name, parameter in self.network.named_parameters()}

    def run(self) -> tuple[tuple[Any, ...], Backward]:
        """The outputs of the twin, whose parameters have no gradient yet, and its backward."""
        for parameter in self.parameters().values():
            parameter.grad = None
        return manual.Graph.__call__(self.recorder.graph, *[leaf.detach().numpy().copy() for leaf in self.leaves.values()])

    def report(self, seed: int = 0) -> Report:
        """Run the twin, and compare."""
        if self.troubles:
            return Report(self.name, (), tuple(self.troubles), self.recorder.graph)
        draw = np.random.default_rng(seed)
        theirs = list(self.outputs.values())
        cotangents = [draw.standard_normal(tuple(t.shape)) if t.is_floating_point() else None for t in theirs]
        parameters = self.parameters()
        buffers = [(buffer, buffer.copy()) for buffer in manual.Module.buffers(self.recorder.graph)]
        try:
            outputs, backward = self.run()
            grads = backward(tuple(np.asarray(g) if g is not None else None for g in cotangents))
        except Exception as error:
            problem = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
            return Report(self.name, (), (Trouble(problem, "", "the twin"),), self.recorder.graph)
        wanted = {name: leaf for name, leaf in self.leaves.items() if leaf.requires_grad}
        named = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        found: list[tuple[str, str, Any, Any]] = [
            (name, OUTPUT, o, _array(t)) for (name, t), o in zip(self.outputs.items(), outputs)
        ]
        try:
            theirs_grads = _gradients(theirs, cotangents, [*wanted.values(), *named.values()])
        except RuntimeError as error:
            return Report(self.name, (), (Trouble(f"torch has no gradient: {error}", "", "autograd"),), self.recorder.graph)
        ours_grads = dict(zip(self.leaves, grads))
        ours = [ours_grads[name] for name in wanted] + [parameters[name].grad for name in named]
        for name, kind, our, their in zip(
            [*wanted, *named], [INPUT] * len(wanted) + [PARAMETER] * len(named), ours, theirs_grads, strict=True
        ):
            found.append((name, kind, our.dense() if isinstance(our, manual.RowGradient) else our, _array(their)))
        found += [(name, BUFFER, our.copy(), their) for name, our, their in running(self.recorder.twins)]
        for buffer, before in buffers:  # another report begins where this one began
            buffer[...] = before
        scales = {kind: _largest(their for _, other, _, their in found if other == kind) for kind in KINDS}
        return Report(self.name, tuple(Quantity(*each, scales[each[1]]) for each in found), (), self.recorder.graph)


def _copied(module: nn.Module) -> nn.Module:
    try:
        network = copy.deepcopy(module)
    except Exception as error:
        raise TypeError(f"verify: the module could not be copied: {error}") from error
    for each in network.modules():
        if isinstance(each, nn.TransformerDecoderLayer) and "activation" in each._modules:
            vars(each).pop("activation", None)  # torch hides a module of that name behind relu when it copies the layer
    return network


def _gradients(outputs: list[Tensor], cotangents: list[Any], leaves: list[Tensor]) -> list[Tensor | None]:
    pairs = [(t, torch.as_tensor(g)) for t, g in zip(outputs, cotangents) if g is not None and t.requires_grad]
    if not (pairs and leaves):
        return [None] * len(leaves)
    return list(torch.autograd.grad([t for t, _ in pairs], leaves, [g for _, g in pairs], retain_graph=True, allow_unused=True))


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().to_dense().numpy().copy()


def _largest(arrays: Iterator[Any]) -> float:
    """The largest finite value."""
    found = (np.abs(array[np.isfinite(array)]).max(initial=0) for array in arrays if array is not None)
    return float(max(found, default=0.0))


def _own_precision(module: nn.Module, arguments: Any) -> torch.dtype:
    """That of the parameters, or else of the inputs."""
    tensors = [*module.parameters(), *(leaf for _, leaf in _named(arguments, "") if isinstance(leaf, Tensor))]
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.get_default_dtype())


def _inputs_by_name(module: nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of forward by their names."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = names[: len(inputs)] + [f"input{i}" for i in range(len(names), len(inputs))]
    return dict(zip(names, inputs)) | dict(keywords)


def _fields(tree: Any) -> dict[Any, Any] | None:
    if isinstance(tree, Mapping):
        return dict(tree)
    if isinstance(tree, (tuple, list)):
        return dict(enumerate(tree))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
    return None


def _named(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The leaves by their paths."""
    fields = _fields(tree)
    if fields is None:
        yield name, tree
    else:
        for key, part in fields.items():
            yield from _named(part, f"{name}.{key}")


def _mapped(function: Any, name: str, tree: Any) -> Any:
    """The same tree with a function of the name and the value of each leaf."""
    fields = _fields(tree)
    if fields is None:
        return function(name, tree)
    new = {key: _mapped(function, f"{name}.{key}", part) for key, part in fields.items()}
    if isinstance(tree, (tuple, list)):
        return like(tree, list(new.values()))
    other = copy.copy(tree)
    for key, part in new.items():
        if isinstance(tree, Mapping):
            other[key] = part
        else:
            setattr(other, key, part)
    return other


def _where_stopped(error: Exception, recorder: Recorder) -> Trouble:
    """The place in the user's code from which an error came."""
    frames, traceback = [], error.__traceback__
    while traceback is not None:
        frames.append((traceback.tb_frame.f_code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    users = [frame for frame in frames if not frame[0].startswith((HERE, TORCH))]
    file, line = (users or frames)[-1]
    return Trouble(f"the network stopped: {type(error).__name__}: {error}", recorder.stopped_in, f"{shown_path(file)}:{line}")


@contextmanager
def _state_kept() -> Iterator[None]:
    """Leave the states of all random numbers as they were, and let nobody else who verifies draw from them meanwhile."""
    with ONE_AT_A_TIME:
        states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
        try:
            yield
        finally:
            torch.set_rng_state(states[0])
            np.random.set_state(states[1])  # noqa: NPY002
            random.setstate(states[2])
