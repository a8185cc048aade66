"""What all schedules share: the rates they start from, steps, and state."""

from collections.abc import Mapping
from typing import Any

from manual.contract import require_integer, require_number
from manual.optimizers.optimizer import Optimizer

__all__ = ["LRScheduler"]

OF_TORCH_ALONE = {"_get_lr_called_within_step", "verbose"}  # in a state dict from torch: whom it warns, of what


class LRScheduler:
    """Sets the learning rate η of each group of an optimizer: at once for epoch 0, then at each `step`, after the optimizer's.

    A schedule of one's own defines `get_lr`: the rates at epoch `last_epoch`, by `base_lrs` or by those that the groups have.
    `last_epoch` is −1 for a new training; to resume one it is the last epoch that was finished, and the groups hold the rates of
    then, and as `initial_lr` those of the beginning.
    """

    optimizer: Optimizer
    last_epoch: int
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = require_optimizer(self, optimizer)
        self.last_epoch = require_integer(type(self).__name__, "last_epoch", last_epoch, -1)
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{type(self).__name__}: each group must have initial_lr where last_epoch is {last_epoch}, got none"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self._begin()

    def _begin(self) -> None:
        """Make the first step, which goes to epoch `last_epoch` + 1."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self) -> None:
        """Go to the next epoch."""
        self._step_count += 1
        self.last_epoch += 1
        self._set(self.get_lr())

    def restart(self) -> None:
        """Go to epoch 0, when in a sequence the turn has come."""
        self.last_epoch = 0
        self._set(self.get_lr())

    def _set(self, rates: list[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = self._rates()

    def _rates(self) -> list[float]:
        """The rates that the groups have now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """The rates at epoch `last_epoch`."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The rates that the last step has set."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {key: value for key, value in vars(self).items() if key != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state, from torch's namesake too; where a key is missing or surplus, nothing is changed."""
        require_keys(self, state_dict)
        vars(self).update({key: value for key, value in state_dict.items() if key not in OF_TORCH_ALONE})


def require_keys(scheduler: LRScheduler, state_dict: Any) -> None:
    """Refuse a state dict that is not of this kind of schedule."""
    name, own = type(scheduler).__name__, scheduler.state_dict().keys()
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"{name}.load_state_dict: state_dict must be a mapping, got {type(state_dict).__name__}")
    if odd := (own ^ state_dict.keys()) - OF_TORCH_ALONE:
        expected = ", ".join(sorted(own))
        raise ValueError(f"{name}.load_state_dict: the keys must be {expected}; missing or surplus {', '.join(sorted(odd))}")


def require_optimizer(scheduler: LRScheduler, optimizer: Any) -> Optimizer:
    """Refuse what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(scheduler).__name__}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    return optimizer


def for_each_group(op: str, name: str, value: Any, optimizer: Optimizer, kind: str = "a finite number") -> list[float]:
    """A number for each group: a single one stands for all."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * len(optimizer.param_groups)
    if len(values) != len(optimizer.param_groups):
        expected = f"a number or one for each of {len(optimizer.param_groups)} groups"
        raise ValueError(f"{op}: {name} must be {expected}, got {len(values)}")
    return [require_number(op, name, each, kind) for each in values]
