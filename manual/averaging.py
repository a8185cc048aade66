"""The mean of a network's weights along its training, and the rate at which it is taken."""

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import numpy as np

from manual.contract import Array, Backward, require_choice, require_flags, require_integer, require_number
from manual.layers.batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from manual.module import Buffer, Module
from manual.optimizers.optimizer import Optimizer
from manual.schedulers.scheduler import LRScheduler, for_each_group, require_optimizer

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Array, Array, int], Array]
MultiAverage = Callable[[list[Array], list[Array], int], None]


def get_swa_avg_fn() -> Average:
    """Of equal weights: a ← a + (w − a) / (n + 1), where a is the mean of n."""

    def swa_update(averaged_param: Array, current_param: Array, num_averaged: int) -> Array:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Of weights that fade: a ← β a + (1 − β) w, β `decay`."""
    decay = require_number("get_ema_avg_fn", "decay", decay, "a number from 0 to 1")

    def ema_update(ema_param: Array, current_param: Array, num_averaged: int) -> Array:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_multi_avg_fn() -> MultiAverage:
    """`get_swa_avg_fn` of a list of arrays, which are updated in place."""
    return _of_many(get_swa_avg_fn())


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """`get_ema_avg_fn` of a list of arrays, which are updated in place."""
    return _of_many(get_ema_avg_fn(require_number("get_ema_multi_avg_fn", "decay", decay, "a number from 0 to 1")))


def _of_many(average: Average) -> MultiAverage:
    def update(averaged_params: list[Array], current_params: list[Array], num_averaged: int) -> None:
        for averaged, current in zip(averaged_params, current_params, strict=True):
            # Integers, such as a number of batches, lose what comes after the point
            np.copyto(averaged, average(averaged, current, num_averaged), casting="unsafe")

    return update


class AveragedModel(Module):
    """A copy of a model, whose parameters are the mean of those that the model had whenever `update_parameters` was called.

    Forward:   as the model
    Average:   a ← w at first, then a + (w − a) / (n + 1) of n so far, or what `avg_fn(a, w, n)` returns, or `multi_avg_fn` makes of
               lists of arrays in place
    Settings:  with `use_buffers` buffers are averaged as well; otherwise they are those of the last model
    Source:    Izmailov, Podoprikhin, Garipov, Vetrov & Wilson 2018, Averaging Weights Leads to Wider Optima
    """

    def __init__(
        self, model: Module, avg_fn: Average | None = None, multi_avg_fn: MultiAverage | None = None, use_buffers: bool = False
    ) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"AveragedModel: model must be a Module, got {type(model).__name__}")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: either avg_fn or multi_avg_fn must be None, got both")
        for name, function in (("avg_fn", avg_fn), ("multi_avg_fn", multi_avg_fn)):
            if function is not None and not callable(function):
                raise TypeError(f"AveragedModel: {name} must be a function or None, got {type(function).__name__}")
        require_flags("AveragedModel", use_buffers=use_buffers)
        self.module = deepcopy(model)
        self.n_averaged = Buffer(np.array(0))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, Backward]:
        """As the model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take what a model has now into the mean."""
        averaged, current = _arrays(self.module, self.use_buffers), _arrays(model, self.use_buffers)
        if [array.shape for array in averaged] != [array.shape for array in current]:
            raise ValueError("AveragedModel: model must have the parameters of the first one, got others")
        n: Any = self.n_averaged
        if n == 0:
            _copy(averaged, current)
        elif self.multi_avg_fn is not None:
            self.multi_avg_fn(averaged, current, int(n))
        else:
            _of_many(self.avg_fn or get_swa_avg_fn())(averaged, current, int(n))
        if not self.use_buffers:
            _copy(list(self.module.buffers()), list(model.buffers()))
        n += 1


def _arrays(model: Module, use_buffers: bool) -> list[Array]:
    return [*(parameter.data for parameter in model.parameters()), *(model.buffers() if use_buffers else ())]


def _copy(targets: list[Array], sources: list[Array]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target[...] = source


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Let a model's batch norms have the statistics of these batches: forgotten first, then the mean over all.

    The batches are arrays, or lists and tuples whose first entry is one. The mode of the model and each `momentum` are restored.
    """
    norms = [module for module in model.modules() if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d))]
    if not norms:
        return
    momenta, modes = [norm.momentum for norm in norms], [(module, module.training) for module in model.modules()]
    try:
        model.train()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode


class SWALR(LRScheduler):
    """Goes from any rate to that at which weights are averaged.

    Rate:      η ← (1 − α) η₀ + α η_swa, η₀ the rate without this schedule: (η − α′ η_swa) / (1 − α′), α′ the α of the epoch before
               α = (1 − cos(π p)) / 2, or p if "linear", p = min(1, e / T) at epoch e
    Settings:  η_swa `swa_lr`, for all groups or a list, T `anneal_epochs`, `anneal_strategy`
    Source:    Izmailov, Podoprikhin, Garipov, Vetrov & Wilson 2018, Averaging Weights Leads to Wider Optima
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = for_each_group("SWALR", "swa_lr", swa_lr, require_optimizer(self, optimizer))
        require_choice("SWALR", "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.anneal_epochs = require_integer("SWALR", "anneal_epochs", anneal_epochs, 0)
        self._anneal_strategy = anneal_strategy
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates at the epoch that is reached."""
        epoch = self._step_count - 1
        if self.anneal_epochs == 0:
            epoch = max(1, epoch)
        before, now = self._share(epoch - 1), self._share(epoch)
        rates = []
        for group in self.optimizer.param_groups:
            swa = group["swa_lr"]
            without = swa if before == 1 else (group["lr"] - before * swa) / (1 - before)
            rates.append(swa * now + without * (1 - now))
        return rates

    def _share(self, epoch: int) -> float:
        """α."""
        p = max(0.0, min(1.0, epoch / max(1, self.anneal_epochs)))
        return p if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * p)) / 2
