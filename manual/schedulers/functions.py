"""Schedules by a function that the user gives."""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from manual.optimizers.optimizer import Optimizer
from manual.schedulers.scheduler import LRScheduler, require_keys, require_optimizer

__all__ = ["LambdaLR", "MultiplicativeLR"]

Factor = Callable[[int], float]


class FunctionLR(LRScheduler):
    """By a function of the epoch, one for each group or one for all.

    A state dict has the attributes of an object that can be called, and `None` of a plain function.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1) -> None:
        name, count = type(self).__name__, len(require_optimizer(self, optimizer).param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * count
        if len(self.lr_lambdas) != count:
            raise ValueError(f"{name}: lr_lambda must be a function or one for each of {count} groups, got {len(self.lr_lambdas)}")
        for each in self.lr_lambdas:
            if not callable(each):
                raise TypeError(f"{name}: lr_lambda must be a function, got {type(each).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and plain functions."""
        state = super().state_dict()
        del state["lr_lambdas"]
        return {**state, "lr_lambdas": [attributes_of(each) for each in self.lr_lambdas]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings and state; the functions stay, and take over what their likes kept."""
        require_keys(self, state_dict)
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            vars(function).update(attributes or {})
        super().load_state_dict({**state_dict, "lr_lambdas": self.lr_lambdas})


class LambdaLR(FunctionLR):
    """Is the first rate times a function of the epoch.

    Rate:      η(e) = λ(e) η₀
    Settings:  λ `lr_lambda`
    """

    def get_lr(self) -> list[float]:
        """The rates at epoch `last_epoch`."""
        return [function(self.last_epoch) * first for function, first in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(FunctionLR):
    """Is multiplied every epoch by a function of it.

    Rate:      η ← λ(e) η, from epoch 1 on
    Settings:  λ `lr_lambda`
    """

    def get_lr(self) -> list[float]:
        """The rates at epoch `last_epoch`."""
        if self._is_initial:
            return self._rates()
        return [function(self.last_epoch) * rate for function, rate in zip(self.lr_lambdas, self._rates(), strict=True)]


def attributes_of(function: Any) -> dict[str, Any] | None:
    """What a state dict has of a function: of an object its attributes."""
    return None if function is None or isinstance(function, FunctionType) else vars(function).copy()
