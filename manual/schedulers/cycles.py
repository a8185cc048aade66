"""Schedules that go up and down, some of them with the momentum the other way round."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from manual.contract import require_choice, require_flags, require_integer, require_number
from manual.optimizers.optimizer import Optimizer
from manual.schedulers.functions import attributes_of
from manual.schedulers.scheduler import LRScheduler, for_each_group, require_keys, require_optimizer

__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Goes down by half a wave of the cosine, again and again.

    Rate:      η(e) = η_min + (η₀ − η_min) (1 + cos(π c / T)) / 2,  c the epochs since the last restart
               T = T₀ up to the first restart, and `T_mult` times as long after each
    Settings:  T₀ `T_0`, `T_mult`, η_min `eta_min`
    Source:    Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        name = "CosineAnnealingWarmRestarts"
        self.T_0 = self.T_i = require_integer(name, "T_0", T_0, 1)
        self.T_mult = require_integer(name, "T_mult", T_mult, 1)
        self.eta_min = require_number(name, "eta_min", eta_min, "a finite number")
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates at epoch `last_epoch`."""
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (first - self.eta_min) * share for first in self.base_lrs]

    def _begin(self) -> None:
        self._step_count, self._is_initial = 0, False
        self.step()

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to any, which need not be whole."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = require_number("CosineAnnealingWarmRestarts", "epoch", epoch or 0, "a finite number of at least 0")
            self.T_cur, self.T_i = epoch, self.T_0
            if self.T_mult == 1:
                self.T_cur %= self.T_0
            while self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())


class MomentumLR(LRScheduler):
    """What schedules share that move the momentum against the rate, or β₁ where the optimizer has `betas`."""

    def _begin_momentum(self, optimizer: Optimizer, base: Any, most: Any, fresh: bool) -> tuple[list[float], list[float]]:
        """The least and the greatest momentum of each group, which they learn where the training is a new one."""
        name = type(self).__name__
        if not optimizer.defaults.keys() & {"momentum", "betas"}:
            got = type(optimizer).__name__
            raise ValueError(f"{name}: cycle_momentum must be False for an optimizer without momentum or betas, got {got}")
        self.use_beta1 = "betas" in optimizer.defaults
        least = for_each_group(name, "base_momentum", base, optimizer)
        greatest = for_each_group(name, "max_momentum", most, optimizer)
        if fresh:
            for group, low, high in zip(optimizer.param_groups, least, greatest, strict=True):
                group.update(max_momentum=high, base_momentum=low)
            self._set_momentum(optimizer, greatest)
        return least, greatest

    def _set_momentum(self, optimizer: Optimizer, momenta: list[float]) -> None:
        for group, momentum in zip(optimizer.param_groups, momenta, strict=True):
            if self.use_beta1:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


class CyclicLR(MomentumLR):
    """Goes up and down between two rates on straight lines.

    Rate:      η(e) = η_low + (η_high − η_low) h s,  momentum = μ_high − (μ_high − μ_low) h s
               h goes from 0 to 1 in `step_size_up` epochs, and back in `step_size_down`; c = 1, 2, … is the cycle
               s = 1 in mode "triangular", 2^(1−c) in "triangular2", γᵉ in "exp_range";  or `scale_fn` of c, of e where
               `scale_mode` is "iterations"
    Settings:  η_low `base_lr`, η_high `max_lr`, μ_low `base_momentum`, μ_high `max_momentum`, each for all groups or a list,
               `step_size_up`, `step_size_down` (the same unless given), `mode`, γ `gamma`, `scale_fn`, `scale_mode`,
               `cycle_momentum`
    Source:    Smith 2017, Cyclical Learning Rates for Training Neural Networks
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        name = "CyclicLR"
        base_lrs = for_each_group(name, "base_lr", base_lr, require_optimizer(self, optimizer))
        self.max_lrs = for_each_group(name, "max_lr", max_lr, optimizer)
        up = require_number(name, "step_size_up", step_size_up, "a positive number")
        down = up if step_size_down is None else require_number(name, "step_size_down", step_size_down, "a positive number")
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        if scale_fn is None:
            require_choice(name, "mode", mode, ("triangular", "triangular2", "exp_range"))
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        elif not callable(scale_fn):
            raise TypeError(f"CyclicLR: scale_fn must be a function, got {type(scale_fn).__name__}")
        require_choice(name, "scale_mode", scale_mode, ("cycle", "iterations"))
        self.mode, self.scale_mode, self._scale_fn_custom = mode, scale_mode, scale_fn
        self.gamma = require_number(name, "gamma", gamma, "a finite number")
        require_flags(name, cycle_momentum=cycle_momentum)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            momenta = self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch == -1)
            self.base_momentums, self.max_momentums = momenta
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """s, of the number of the cycle or of the epoch."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return {"triangular": 1.0, "triangular2": 2.0 ** (1 - x), "exp_range": self.gamma**x}[self.mode]

    def get_lr(self) -> list[float]:
        """The rates at epoch `last_epoch`; the momentum is set as well."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            pairs = zip(self.base_momentums, self.max_momentums, strict=True)
            self._set_momentum(self.optimizer, [high - (high - low) * height for low, high in pairs])
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and a plain function."""
        state = super().state_dict()
        return {**state, "_scale_fn_custom": attributes_of(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state; a function stays, and takes over what its like kept."""
        require_keys(self, state_dict)
        if state_dict["_scale_fn_custom"] is not None:
            vars(self._scale_fn_custom).update(state_dict["_scale_fn_custom"])
        super().load_state_dict({**state_dict, "_scale_fn_custom": self._scale_fn_custom})


class OneCycleLR(MomentumLR):
    """Goes up once, and then down to next to nothing: the momentum goes down and up.

    Rate:      η_max / `div_factor` at first, η_max after `pct_start` of all steps, and at last η_max / `div_factor` /
               `final_div_factor`; with `three_phase` it is back where it started after twice `pct_start`
               In between, with p from 0 to 1 on the way from a to b: a + (b − a) (1 − cos(π p)) / 2, or a + (b − a) p if "linear"
               The momentum from μ_max to μ_base and back by the same curves
    Settings:  η_max `max_lr`, μ_base `base_momentum`, μ_max `max_momentum`, each for all groups or a list, `total_steps` or
               `epochs` times `steps_per_epoch`, `pct_start`, `anneal_strategy`, `cycle_momentum`, `div_factor`, `final_div_factor`,
               `three_phase`
    Source:    Smith & Topin 2019, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        name = "OneCycleLR"
        require_optimizer(self, optimizer)
        if total_steps is not None:
            self.total_steps = require_integer(name, "total_steps", total_steps, 1)
        elif epochs is None or steps_per_epoch is None:
            raise ValueError("OneCycleLR: total_steps must be given, or epochs and steps_per_epoch")
        else:
            count = require_integer(name, "epochs", epochs, 1), require_integer(name, "steps_per_epoch", steps_per_epoch, 1)
            self.total_steps = math.prod(count)
        up = require_number(name, "pct_start", pct_start, "a number from 0 to 1") * self.total_steps
        require_choice(name, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        require_flags(name, three_phase=three_phase)
        legs = [(up - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            legs.append((2 * up - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"))
            legs.append((self.total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
        else:
            legs.append((self.total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"))
        keys = "end_step", "start_lr", "end_lr", "start_momentum", "end_momentum"
        self._schedule_phases: list[dict[str, Any]] = [dict(zip(keys, leg, strict=True)) for leg in legs]
        self._anneal_func_type = anneal_strategy
        max_lrs = for_each_group(name, "max_lr", max_lr, optimizer)
        div_factor = require_number(name, "div_factor", div_factor, "a positive number")
        final_div_factor = require_number(name, "final_div_factor", final_div_factor, "a positive number")
        require_flags(name, cycle_momentum=cycle_momentum)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch == -1)
        if last_epoch == -1:
            for group, most in zip(optimizer.param_groups, max_lrs, strict=True):
                first = most / div_factor
                group.update(initial_lr=first, max_lr=most, min_lr=first / final_div_factor)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates at step `last_epoch`; the momentum is set as well."""
        step, start = self.last_epoch, 0.0
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: there must be no more than total_steps = {self.total_steps} steps, got {step}")
        for phase in self._schedule_phases[:-1]:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = self._schedule_phases[-1]
        share = (step - start) / (phase["end_step"] - start)
        if self._anneal_func_type == "cos":
            share = (1 - math.cos(math.pi * share)) / 2

        def between(what: str) -> list[float]:
            first, last = phase[f"start_{what}"], phase[f"end_{what}"]
            return [group[first] + (group[last] - group[first]) * share for group in self.optimizer.param_groups]

        if self.cycle_momentum:
            self._set_momentum(self.optimizer, between("momentum"))
        return between("lr")
