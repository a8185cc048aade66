"""A schedule that looks at how the training goes."""

import math

from manual.contract import require_choice, require_integer, require_number
from manual.optimizers.optimizer import Optimizer
from manual.schedulers.scheduler import LRScheduler, for_each_group, require_optimizer

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Falls by a factor when a metric has not got better for a while.

    Rate:      η ← max(f η, η_min) after more than `patience` epochs in a row that were not better, unless that is less than ε away
               For `cooldown` epochs afterwards none counts as bad
               Better than the best is a < (1 − θ) best, a < best − θ with threshold_mode "abs"; in mode "max" a > (1 + θ) best,
               a > best + θ
    Settings:  `mode`, f `factor`, `patience`, θ `threshold`, `threshold_mode`, `cooldown`, η_min `min_lr`, for all groups
               or a list, ε `eps`
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        self.optimizer = require_optimizer(self, optimizer)
        self.factor = require_number(name, "factor", factor, "a finite number")
        if self.factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        self.min_lrs = for_each_group(name, "min_lr", min_lr, optimizer)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else self.min_lrs[0]
        self.patience = require_integer(name, "patience", patience, 0)
        self.cooldown = require_integer(name, "cooldown", cooldown, 0)
        self.eps = require_number(name, "eps", eps, "a finite number")
        require_choice(name, "mode", mode, ("min", "max"))
        require_choice(name, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.mode, self.threshold_mode = mode, threshold_mode
        self.threshold = require_number(name, "threshold", threshold, "a finite number")
        self.mode_worse = self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = self._rates()

    @property
    def in_cooldown(self) -> bool:
        """Whether epochs that are not better do not count."""
        return self.cooldown_counter > 0

    def step(self, metrics: float) -> None:  # type: ignore[override]
        """Go to the next epoch, by the metric of the one that is over."""
        current = float(metrics)
        self.last_epoch += 1
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._rates()

    def _is_better(self, current: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        relative = self.threshold_mode == "rel"
        bound = self.best * (1 + sign * self.threshold) if relative else self.best + sign * self.threshold
        return current > bound if self.mode == "max" else current < bound

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(self.min_lrs) != len(groups):  # some were added since
            if self.default_min_lr is None:
                raise ValueError(
                    f"ReduceLROnPlateau: min_lrs must have one for each of {len(groups)} groups, got {len(self.min_lrs)}"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            reduced = max(group["lr"] * self.factor, least)
            if group["lr"] - reduced > self.eps:
                group["lr"] = reduced
