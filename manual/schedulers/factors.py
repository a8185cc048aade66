"""Schedules that are a factor: the rate at epoch e is the first one times f(e)."""

import math
from collections import Counter
from collections.abc import Iterable

from manual.contract import require_integer, require_number
from manual.optimizers.optimizer import Optimizer
from manual.schedulers.scheduler import LRScheduler

__all__ = ["ConstantLR", "CosineAnnealingLR", "ExponentialLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR"]


class FactorLR(LRScheduler):
    """η(e) = f(e) η₀, made step by step: η ← η f(e) / f(e − 1), so that other schedules may change η as well.

    Where f(e − 1) is 0, η ← η + η₀ f(e). Of a floor η_min, all this is said of the η − η_min above it.
    """

    eta_min = 0.0
    resumes_with_a_step = True  # torch makes the step to epoch last_epoch + 1 in some schedules, and in others leaves it out

    def share(self, epoch: int) -> float:
        """f(e), for e ≥ 0; from e = −1 a schedule goes to 0 where it stands in a chain at the head of a sequence."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """The rates at epoch `last_epoch`."""
        epoch, floor = self.last_epoch, self.eta_min
        if self._is_initial and epoch > 0 and not self.resumes_with_a_step:
            return self._rates()
        now, before = self.share(epoch), 1.0 if self._is_initial and epoch == 0 else self.share(epoch - 1)
        if now == before:
            return self._rates()
        if before == 0:
            return [rate + (first - floor) * now for rate, first in zip(self._rates(), self.base_lrs, strict=True)]
        return [floor + (rate - floor) * (now / before) for rate in self._rates()]

    def restart(self) -> None:
        """Go to epoch 0, from the rates of the beginning."""
        self.last_epoch = 0
        self._set([self.eta_min + (first - self.eta_min) * self.share(0) for first in self.base_lrs])


class StepLR(FactorLR):
    """Falls by a factor every few epochs.

    Rate:      f(e) = γ^⌊e / s⌋
    Settings:  s `step_size`, γ `gamma`
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = require_integer("StepLR", "step_size", step_size, 1)
        self.gamma = require_number("StepLR", "gamma", gamma, "a finite number")
        super().__init__(optimizer, last_epoch)

    def share(self, epoch: int) -> float:
        """f(e)."""
        return self.gamma ** (max(epoch, 0) // self.step_size)


class MultiStepLR(FactorLR):
    """Falls by a factor at each of some epochs.

    Rate:      f(e) = γⁿ, n the number of milestones up to e
    Settings:  `milestones`, in any order, one perhaps several times, γ `gamma`
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        if not isinstance(milestones, Iterable):
            raise TypeError(f"MultiStepLR: milestones must be integers, got {milestones!r}")
        self.milestones = Counter(require_integer("MultiStepLR", "milestones", each) for each in milestones)
        self.gamma = require_number("MultiStepLR", "gamma", gamma, "a finite number")
        super().__init__(optimizer, last_epoch)

    def share(self, epoch: int) -> float:
        """f(e)."""
        return self.gamma ** sum(count for milestone, count in self.milestones.items() if milestone <= epoch)


class ConstantLR(FactorLR):
    """Is smaller for the first epochs.

    Rate:      f(e) = c for e < T, then 1
    Settings:  c `factor`, T `total_iters`
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor = require_number("ConstantLR", "factor", factor, "a number from 0 to 1")
        self.total_iters = require_integer("ConstantLR", "total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def share(self, epoch: int) -> float:
        """f(e)."""
        return self.factor if 0 <= epoch < self.total_iters else 1.0


class LinearLR(FactorLR):
    """Goes from one factor to another on a straight line.

    Rate:      f(e) = a + (b − a) min(e, T) / T
    Settings:  a `start_factor`, b `end_factor`, T `total_iters`
    """

    resumes_with_a_step = False

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = require_number("LinearLR", "start_factor", start_factor, "a number from 0 to 1")
        if self.start_factor == 0:
            raise ValueError("LinearLR: start_factor must be above 0, got 0")
        self.end_factor = require_number("LinearLR", "end_factor", end_factor, "a number from 0 to 1")
        self.total_iters = require_integer("LinearLR", "total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def share(self, epoch: int) -> float:
        """f(e)."""
        if epoch < 0:
            return 1.0
        return self.start_factor + (self.end_factor - self.start_factor) * _done(epoch, self.total_iters)


class ExponentialLR(FactorLR):
    """Falls by a factor every epoch.

    Rate:      f(e) = γᵉ
    Settings:  γ `gamma`
    """

    resumes_with_a_step = False

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = require_number("ExponentialLR", "gamma", gamma, "a finite number")
        super().__init__(optimizer, last_epoch)

    def share(self, epoch: int) -> float:
        """f(e)."""
        return self.gamma**epoch


class PolynomialLR(FactorLR):
    """Falls to 0 as a power of what is left.

    Rate:      f(e) = (1 − min(e, T) / T)ᵖ
    Settings:  T `total_iters`, p `power`
    """

    resumes_with_a_step = False

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = require_integer("PolynomialLR", "total_iters", total_iters, 0)
        self.power = require_number("PolynomialLR", "power", power, "a finite number of at least 0")
        super().__init__(optimizer, last_epoch)

    def share(self, epoch: int) -> float:
        """f(e)."""
        return (1 - _done(epoch, self.total_iters)) ** self.power


class CosineAnnealingLR(FactorLR):
    """Goes down to a floor by half a wave of the cosine, and up again by the next.

    Rate:      f(e) = (1 + cos(π e / T)) / 2 of what lies above η_min
    Settings:  T `T_max`, η_min `eta_min`
    Source:    Loshchilov & Hutter 2017, SGDR: Stochastic Gradient Descent with Warm Restarts
    """

    resumes_with_a_step = False

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:  # noqa: N803
        self.T_max = require_number("CosineAnnealingLR", "T_max", T_max, "a positive number")
        self.eta_min = require_number("CosineAnnealingLR", "eta_min", eta_min, "a finite number")
        super().__init__(optimizer, last_epoch)

    def share(self, epoch: int) -> float:
        """f(e)."""
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2


def _done(epoch: int, total: int) -> float:
    """Which share of so many epochs is over."""
    return min(epoch, total) / total if total else 0.0
