"""Training side by side: a torch module and its twin from identical weights on identical batches, and how far they drift apart."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from inspect import signature
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

import manual
from manual.files import written_whole
from reference.optimizer_state import to_manual

BOUNDS = {torch.float64: 1e-8, torch.float32: 1e-3}  # of a drift, unless another is given


@dataclass
class Training:
    """What came of training side by side.

    losses    of each step, of ours and of torch's
    drift     of each parameter, after each step: the largest difference, in units of torch's largest number there
    bound     of a drift; `drifted` is the name of the first parameter beyond it, with which training ended, if there was one
    """

    bound: float
    losses: dict[str, list[float]] = field(default_factory=lambda: {"manual": [], "torch": []})
    drift: dict[str, list[float]] = field(default_factory=dict)
    drifted: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether no parameter drifted beyond the bound."""
        return self.drifted is None

    def __str__(self) -> str:
        steps = len(self.losses["torch"])
        name = self.drifted or max(self.drift, key=lambda each: self.drift[each][-1])
        drift, losses = self.drift[name][-1], f"loss {self.losses['manual'][-1]:.6g}, torch {self.losses['torch'][-1]:.6g}"
        if self.agrees:
            return f"{steps} steps: {losses}; the farthest apart is {name}, by {drift:.1e} of at most {self.bound:.0e}"
        return f"stopped after {steps} steps: {name} has drifted by {drift:.1e} of at most {self.bound:.0e}; {losses}"

    def plot(self, path: str | PathLike[str]) -> None:
        """Draw the two loss curves, and the drift of each parameter, to a .png, .pdf or .svg file."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11, 7), layout="constrained")
        losses, drift = figure.subplots(2, sharex=True)
        steps = range(1, len(self.losses["torch"]) + 1)
        for side, style in (("torch", {"linewidth": 4, "alpha": 0.4}), ("manual", {"linewidth": 1})):
            losses.plot(steps, self.losses[side], label=side, **style)
        for name, values in self.drift.items():
            emphasis = {"color": "red", "linewidth": 2} if name == self.drifted else {"linewidth": 1}
            drift.plot(steps, np.maximum(values, np.finfo(float).tiny), label=name if len(self.drift) <= 12 else None, **emphasis)
        drift.axhline(self.bound, color="black", linestyle=":")
        losses.set(ylabel="loss")
        drift.set(xlabel="step", ylabel="drift between parameters", yscale="log")
        for axes in (losses, drift):
            axes.legend(loc="best", fontsize="small") if axes.get_legend_handles_labels()[0] else None
        with written_whole(Path(path)) as file:
            figure.savefig(file, dpi=150)


def train_together(
    module: torch.nn.Module,
    batches: Iterable[Any],
    loss: torch.nn.Module,
    optimizer: torch.optim.Optimizer | Callable[[Any], torch.optim.Optimizer],
    steps: int,
    *,
    bound: float | None = None,
    plot: str | PathLike[str] | None = None,
) -> Training:
    """Train a torch module, and its twin in `manual`, from the same weights on the same batches.

    A batch is an input, or a tuple of inputs, and a target; when there are no more, they start anew. `loss` is a loss of torch.nn,
    `optimizer` one of torch.optim on the parameters of the module, or a function that makes one of them. The module is trained in
    place. Training stops where a parameter of the one side has drifted from the other's beyond the bound: 1e-8 in float64 and 1e-3
    in float32, relative to the largest number of the parameter, unless another is given.
    """
    theirs = optimizer if isinstance(optimizer, torch.optim.Optimizer) else optimizer(module.parameters())
    stream = _forever(batches)
    first = next(stream)
    net, criterion = twin(module, *_inputs(first)), twin(loss)
    parameters = dict(module.named_parameters())
    training = Training(BOUNDS[next(iter(parameters.values())).dtype] if bound is None else bound)
    training.drift = {name: [] for name in parameters}
    ours = _optimizer(theirs, parameters, net)
    for batch in _shown(islice(chain([first], stream), steps), steps):
        inputs, target = _inputs(batch), batch[1]
        theirs.zero_grad()
        value = loss(module(*inputs), target)
        value.backward()
        theirs.step()
        training.losses["torch"].append(value.item())

        ours.zero_grad()
        prediction, net_backward = net(*map(_array, inputs))
        value, loss_backward = criterion(prediction, _array(target))
        grad_prediction, *_ = loss_backward(1.0)
        net_backward(grad_prediction)
        ours.step()
        training.losses["manual"].append(float(value))

        for name, parameter in parameters.items():
            expected, found = parameter.detach().numpy(), net.get_parameter(name).data
            size = np.abs(expected).max(initial=0)
            drift = float(np.abs(found - expected).max(initial=0) / (size or 1))
            training.drift[name].append(drift)
            if training.drifted is None and not drift <= training.bound:
                training.drifted = name
        if training.drifted is not None:
            break
    if plot is not None:
        training.plot(plot)
    return training


def twin(module: torch.nn.Module, *inputs: torch.Tensor) -> Any:
    """The module in `manual`, with the same weights and in the same mode: of one of torch.nn that stands here under its name, and
    of a Sequential of these, for which the inputs that it will be called on do not matter.
    """
    made = _built(module, "")
    made.load_state_dict(module.state_dict())
    for path, each in module.named_modules():
        made.get_submodule(path).training = each.training
    for name, parameter in module.named_parameters():
        made.get_parameter(name).requires_grad = parameter.requires_grad
    return made


def _built(module: torch.nn.Module, path: str) -> Any:
    """By its attributes, which bear the names of the constructor's arguments."""
    kind = type(module)
    if kind is torch.nn.Sequential:
        children = {name: _built(child, f"{path}.{name}" if path else name) for name, child in module.named_children()}
        return manual.Sequential(children)
    namesake = getattr(manual, kind.__name__, None)
    if getattr(torch.nn, kind.__name__, None) is not kind or namesake is None:
        where = f"{path}: " if path else ""
        raise TypeError(f"twin: {where}expected a Sequential or a module of torch.nn that manual has, got {kind.__name__}")
    arguments = {}
    for name, argument in signature(namesake.__init__).parameters.items():
        if name in ("self", "generator") or not hasattr(module, name):
            continue
        value = getattr(module, name)
        if isinstance(argument.default, bool) and not isinstance(value, bool):  # of a bias, whether there is one
            value = value is not None
        arguments[name] = _array(value)
    numbers = [each for each in module.state_dict().values() if each.dtype.is_floating_point]
    if numbers and "dtype" in signature(namesake.__init__).parameters:
        arguments["dtype"] = str(numbers[0].dtype).removeprefix("torch.")
    return namesake(**arguments)


def _optimizer(theirs: torch.optim.Optimizer, parameters: dict[str, Any], net: Any) -> Any:
    """The namesake, with the same groups, settings and state."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    groups = []
    for group in theirs.param_groups:
        if any(id(parameter) not in names for parameter in group["params"]):
            raise ValueError("train_together: optimizer must be one of parameters of the module, got others")
        groups.append({"params": [net.get_parameter(names[id(parameter)]) for parameter in group["params"]]})
    ours = getattr(manual, type(theirs).__name__)(groups)
    ours.load_state_dict(to_manual(theirs.state_dict()))
    return ours


def _forever(batches: Iterable[Any]) -> Iterator[Any]:
    while True:
        nothing = True
        for batch in batches:
            nothing = False
            yield batch
        if nothing:
            raise ValueError("train_together: batches must hold at least one, and come anew each time, got none")


def _inputs(batch: Any) -> tuple[Any, ...]:
    return batch[0] if isinstance(batch[0], tuple) else (batch[0],)


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def _shown(steps: Iterable[Any], count: int) -> Iterable[Any]:
    from rich.progress import track

    return track(steps, "training side by side", count, disable=not sys.stdout.isatty())
