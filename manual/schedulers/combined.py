"""Schedules made of schedules: one after the other, or all at once."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from manual.contract import require_integer
from manual.optimizers.optimizer import Optimizer
from manual.schedulers.plateau import ReduceLROnPlateau
from manual.schedulers.scheduler import LRScheduler, require_keys, require_optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class CombinedLR(LRScheduler):
    """What both share: whom they take, and their state, which holds that of each schedule."""

    _schedulers: Sequence[LRScheduler]

    def _take(self, schedulers: Any, optimizer: Any) -> None:
        name = type(self).__name__
        if not isinstance(schedulers, (list, tuple)) or not schedulers:
            raise ValueError(f"{name}: schedulers must be a list of at least one, got {schedulers!r}")
        for i, each in enumerate(schedulers):
            if not isinstance(each, LRScheduler):
                raise TypeError(f"{name}: schedulers[{i}] must be a schedule, got {type(each).__name__}")
            if isinstance(each, ReduceLROnPlateau):
                raise ValueError(f"{name}: schedulers[{i}] must step without a metric, got ReduceLROnPlateau")
        self.optimizer = require_optimizer(self, schedulers[0].optimizer if optimizer is None else optimizer)
        for i, each in enumerate(schedulers):
            if each.optimizer is not self.optimizer:
                raise ValueError(f"{name}: schedulers[{i}] must be of the same optimizer, got one of another")
        self._schedulers = schedulers

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, and the state of each schedule."""
        state = super().state_dict()
        del state["_schedulers"]
        return {**state, "_schedulers": [each.state_dict() for each in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state, that of each schedule too; where anything does not fit, nothing is changed."""
        require_keys(self, state_dict)
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            name, expected = type(self).__name__, len(self._schedulers)
            raise ValueError(f"{name}.load_state_dict: there must be the states of {expected} schedules, got {len(states)}")
        for check in (True, False):
            for each, state in zip(self._schedulers, states, strict=True):
                require_keys(each, state) if check else each.load_state_dict(state)
        super().load_state_dict({**state_dict, "_schedulers": self._schedulers})


class SequentialLR(CombinedLR):
    """One schedule after the other.

    Rate:      that of the schedule whose turn it is: of the first one up to the first milestone, where the
               second goes to its epoch 0, …
    Settings:  `schedulers`, `milestones`, one fewer
    """

    def __init__(self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1) -> None:
        self._take(schedulers, require_optimizer(self, optimizer))
        for i, each in enumerate(schedulers[1:], start=1):
            if isinstance(each, CombinedLR):
                raise ValueError(f"SequentialLR: schedulers[{i}] must be able to restart, got {type(each).__name__}")
        if not isinstance(milestones, (list, tuple)) or len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: milestones must be one fewer than {len(schedulers)} schedulers, got {milestones!r}")
        self._milestones = [require_integer("SequentialLR", "milestones", each) for each in milestones]
        self.last_epoch = require_integer("SequentialLR", "last_epoch", last_epoch, -1) + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self._undo(self)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._begin()
        self._last_lr = first.get_last_lr()

    def _undo(self, scheduler: LRScheduler) -> None:
        """Take back the first step, which each schedule made when it was built."""
        if isinstance(scheduler, CombinedLR):
            for each in scheduler._schedulers:
                self._undo(each)
        else:
            scheduler.last_epoch -= 1

    def step(self) -> None:
        """Go to the next epoch."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn and self._milestones[turn - 1] == self.last_epoch:
            scheduler.restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(CombinedLR):
    """All schedules at once: each changes what the one before has made of the rate.

    Rate:      η ← s₁(η), s₂(η), … at each step
    Settings:  `schedulers`, `optimizer`, that of the schedules
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = self._rates()

    def step(self) -> None:
        """Go to the next epoch."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()
