"""Training side by side: a torch module and its twin from identical weights on identical batches, and how far they drift apart."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import manual
from manual.commands import picture
from reference.networks.verification import Translation
from reference.optimizer_state import to_manual

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        picture.save(Path(path), 7, self._draw)

    def _draw(self, figure: Figure) -> None:
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
            if axes.get_legend_handles_labels()[0]:
                axes.legend(loc="best", fontsize="small")


def train_together(
    module: torch.nn.Module,
    batches: Iterable[Any],
    loss: Callable[[Any, Any], Any],
    optimizer: torch.optim.Optimizer | Callable[[Any], torch.optim.Optimizer],
    steps: int,
    *,
    bound: float | None = None,
    plot: str | PathLike[str] | None = None,
) -> Training:
    """Train a torch module, and its twin in `manual`, from the same weights on the same batches.

    A batch is an input, or a tuple of inputs, and a target; when there are no more, they start anew. `loss` is a loss of torch.nn,
    or any other function of the output and the target; `optimizer` is one of torch.optim on the parameters of the module, or a
    function that makes one of them. The module is trained in place. Training stops where a parameter of the one side has drifted
    from the other's beyond the bound: 1e-8 in float64 and 1e-3 in float32, relative to the largest number of the parameter, unless
    another is given.

    The twin computes in float64. It is translated on each batch, as `verify` does it, so that dropout drops what torch drops, and
    what depends on the batch may differ from one to the next.
    """
    theirs = optimizer if isinstance(optimizer, torch.optim.Optimizer) else optimizer(module.parameters())
    parameters, both = dict(module.named_parameters()), _Both(module, loss)
    own = {name: manual.Parameter(_array(p).astype(np.float64), p.requires_grad) for name, p in parameters.items()}
    ours = _optimizer(theirs, parameters, own)
    training = Training(BOUNDS[next(iter(parameters.values())).dtype] if bound is None else bound)
    training.drift = {name: [] for name in parameters}
    for inputs, target in _shown(islice(_forever(batches), steps), steps):
        arguments = (*inputs, target) if isinstance(inputs, tuple) else (inputs, target)
        training.losses["manual"].append(_descend(both, arguments, own))
        ours.step()

        theirs.zero_grad()
        value = both(*arguments)
        value.backward()
        theirs.step()
        training.losses["torch"].append(value.item())

        for name, parameter in parameters.items():
            expected = _array(parameter)
            size = np.abs(expected).max(initial=0)
            drift = float(np.abs(own[name].data - expected).max(initial=0) / (size or 1))
            training.drift[name].append(drift)
            if training.drifted is None and not drift <= training.bound:
                training.drifted = name
        if training.drifted is not None:
            break
    if plot is not None:
        training.plot(plot)
    return training


class _Both(torch.nn.Module):
    """A network and its loss as one network, whose last input is the target."""

    def __init__(self, network: torch.nn.Module, loss: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, *inputs: Any) -> Any:
        *inputs, target = inputs  # type: ignore[assignment]
        return self.loss(self.network(*inputs), target)


def _descend(both: _Both, arguments: tuple[Any, ...], own: dict[str, manual.Parameter]) -> float:
    """The loss of the twin at our own weights, which get its gradients."""
    translation = Translation(both, arguments, {})
    if translation.troubles:
        raise ValueError("\n  ".join(["train_together: the network could not be translated:", *map(str, translation.troubles)]))
    twins = translation.parameters()
    pairs = [(parameter, twins[f"network.{name}"]) for name, parameter in own.items()]
    for parameter, of_twin in pairs:
        of_twin.data = parameter.data
    (loss,), backward = translation.run()
    backward((np.ones_like(loss),))
    for parameter, of_twin in pairs:
        parameter.grad = of_twin.grad
    return float(loss)


def _optimizer(theirs: torch.optim.Optimizer, parameters: dict[str, Any], own: dict[str, manual.Parameter]) -> Any:
    """The namesake, with the same groups, settings and state."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    groups = []
    for group in theirs.param_groups:
        if any(id(parameter) not in names for parameter in group["params"]):
            raise ValueError("train_together: optimizer must be one of parameters of the module, got others")
        groups.append({"params": [own[names[id(parameter)]] for parameter in group["params"]]})
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


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def _shown(steps: Iterable[Any], count: int) -> Iterable[Any]:
    from rich.progress import track

    return track(steps, "training side by side", count, disable=not sys.stdout.isatty())
