"""What all optimizers share: parameter groups, each with its own settings, and the state of each parameter."""

import math
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np

from manual.contract import FLOAT64, Array
from manual.parameter import HOW_TO_INITIALIZE, Parameter
from manual.sparse import RowGradient, zeros_like
from manual.state import converted

WITHOUT_MEANING = {"capturable", "differentiable", "foreach", "fused"}  # in a state dict from torch: how its kernels run


class Optimizer:
    """Updates parameters in place from their gradients.

    `params` are the parameters, or dicts `{"params": parameters, "lr": …}` whose settings hold for that group alone. The groups
    stand in `param_groups`, where a schedule may change their settings between steps. `state` holds what the optimizer remembers
    of each parameter.
    """

    def __init__(self, params: Iterable[Parameter] | Iterable[dict[str, Any]], **settings: Any) -> None:
        name = type(self).__name__
        given: list[Any] = list(params)
        if not given:
            raise ValueError(f"{name}: params must hold at least one parameter, got none")
        are_groups = [isinstance(each, dict) for each in given]
        if any(are_groups) and not all(are_groups):
            raise TypeError(f"{name}: params must hold either Parameters or dicts, got both")
        self.defaults = settings
        self.state: dict[Parameter, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        for group in given if are_groups[0] else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Update further parameters from now on: `{"params": parameters, "lr": …}`, the settings that are not given by default."""
        name = type(self).__name__
        if not isinstance(param_group, dict) or "params" not in param_group:
            got = ", ".join(map(str, param_group)) or "none" if isinstance(param_group, dict) else type(param_group).__name__
            raise ValueError(f"{name}: each dict in params must have the key 'params', got {got}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(f"{name}: params must be in an order that lasts, got a set")
        parameters = [params] if isinstance(params, Parameter) else list(params)
        seen = {id(parameter) for parameter in self._parameters()}
        for parameter in parameters:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"{name}: params must hold Parameters, got {type(parameter).__name__}")
            if parameter.data is None:
                raise ValueError(f"{name}: params must have shapes, got an UninitializedParameter; {HOW_TO_INITIALIZE}")
            if id(parameter) in seen:
                raise ValueError(f"{name}: params must name each parameter once, got one twice")
            seen.add(id(parameter))
        self.param_groups.append(self._group(param_group, parameters))

    def _group(self, settings: Mapping[str, Any], parameters: list[Parameter]) -> dict[str, Any]:
        if surplus := settings.keys() - {"params"} - self.defaults.keys():
            expected = ", ".join(self.defaults)
            raise ValueError(f"{type(self).__name__}: unknown setting {', '.join(sorted(surplus))}; expected {expected}")
        group = {**self.defaults, **settings, "params": parameters}
        self.check(group)
        return group

    def check(self, group: dict[str, Any]) -> None:
        """Refuse settings that make no sense: asked again before each step, since a schedule may have changed them."""

    def require_numbers(self, group: dict[str, Any], *names: str, signed: bool = False) -> None:
        """Refuse settings that are no finite numbers, or (unless `signed`) negative ones."""
        for name in names:
            value = group[name]
            if type(value) is float and 0 <= value < math.inf:
                continue
            if type(value) is bool or not isinstance(value, Real):
                raise TypeError(f"{type(self).__name__}: {name} must be a number, got {value!r}")
            if not math.isfinite(value):
                raise ValueError(f"{type(self).__name__}: {name} must be finite, got {value}")
            if value < 0 and not signed:
                raise ValueError(f"{type(self).__name__}: {name} must not be negative, got {value}")

    def require_bools(self, group: dict[str, Any], *names: str) -> None:
        """Refuse settings that are neither True nor False."""
        for name in names:
            if type(group[name]) is not bool:
                raise TypeError(f"{type(self).__name__}: {name} must be True or False, got {group[name]!r}")

    def due(self) -> list[tuple[dict[str, Any], list[Parameter]]]:
        """Each group with those of its parameters that have a gradient.

        Whatever would make a step fail half-way is refused here, before anything has changed.
        """
        due = []
        for group in self.param_groups:
            self.check(group)
            ready = []
            for parameter in group["params"]:
                data, grad = parameter.data, parameter.grad
                if grad is None:
                    continue
                usual = type(data) is type(grad) is np.ndarray and data.dtype is grad.dtype
                if not (usual and data.shape == grad.shape and data.flags.writeable):
                    self._require_fit(parameter, group)
                ready.append(parameter)
            due.append((group, ready))
        return due

    def takes_rows(self, group: dict[str, Any]) -> bool:
        """Whether a gradient may be a `RowGradient`, with the settings of this group."""
        return False

    def memory(self, parameter: Parameter, key: str) -> Array:
        """What is remembered of a parameter under this key, to be updated in place: an array like its data, zero at first."""
        state = self.state.setdefault(parameter, {})
        if key not in state:
            state[key] = np.zeros_like(parameter.data)
        elif state[key].dtype != parameter.dtype:  # since the module was converted
            state[key] = state[key].astype(parameter.dtype)
        return state[key]

    def count(self, parameter: Parameter) -> float:
        """The number of the step that a parameter takes now, from 1 on; it is remembered as `step`."""
        step = self.state.setdefault(parameter, {}).setdefault("step", np.zeros(()))
        step += 1
        return float(step)

    def _require_fit(self, parameter: Parameter, group: dict[str, Any]) -> None:
        data, grad = parameter.data, parameter.grad
        name = type(self).__name__
        number = next(number for number, each in enumerate(self._parameters()) if each is parameter)
        if not isinstance(data, np.ndarray):
            raise TypeError(f"{name}: parameter {number} must hold a NumPy array, got {type(data).__name__}")
        if isinstance(grad, RowGradient) and not self.takes_rows(group):
            how = "give its dense(), or build the embedding without sparse=True; SGD without weight_decay takes it"
            raise TypeError(f"{name}: the gradient of parameter {number} must be a NumPy array, got RowGradient; {how}")
        if not isinstance(grad, np.ndarray | np.generic | RowGradient):
            raise TypeError(f"{name}: the gradient of parameter {number} must be a NumPy array, got {type(grad).__name__}")
        if grad.shape != data.shape:
            raise ValueError(f"{name}: the gradient of parameter {number} must have its shape, {data.shape}, got {grad.shape}")
        if grad.dtype != data.dtype:
            raise TypeError(f"{name}: the gradient of parameter {number} must have its dtype, {data.dtype}, got {grad.dtype}")
        if not data.flags.writeable:
            raise ValueError(f"{name}: parameter {number} must not be read-only")

    def _parameters(self) -> Iterator[Parameter]:
        return (parameter for group in self.param_groups for parameter in group["params"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters: each is `None` again, or (`set_to_none=False`) zeros if one had come."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None if set_to_none or parameter.grad is None else zeros_like(parameter.grad)

    def state_dict(self) -> dict[str, Any]:
        """The settings of all groups, and the state of each parameter (the arrays themselves), which goes by its number here."""
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        return {
            "state": {numbers[parameter]: dict(state) for parameter, state in self.state.items()},
            "param_groups": [
                {**group, "params": [numbers[parameter] for parameter in group["params"]]} for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over settings, and copy arrays (or CPU tensors) as state; where anything does not fit, nothing is changed."""
        where = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, Mapping) or not state_dict.keys() >= {"state", "param_groups"}:
            raise ValueError(f"{where}: state_dict must have the keys 'state' and 'param_groups', got {state_dict!r}")
        given, own = ([len(group["params"]) for group in groups] for groups in (state_dict["param_groups"], self.param_groups))
        if given != own:
            raise ValueError(f"{where}: the groups must have {own} parameters, got {given}")
        groups: list[dict[str, Any]] = []
        by_number: dict[Any, Parameter] = {}
        for group, mine in zip(state_dict["param_groups"], self.param_groups):
            settings = {name: value for name, value in group.items() if name not in WITHOUT_MEANING}
            groups.append(self._group(settings, mine["params"]))
            by_number |= dict(zip(group["params"], mine["params"]))
        state: dict[Parameter, dict[str, Any]] = {}
        for number, values in state_dict["state"].items():
            if number not in by_number:
                raise ValueError(f"{where}: no group has a parameter {number}, for which there is state")
            parameter = by_number[number]
            state[parameter] = {
                key: value.astype(parameter.dtype)
                if isinstance(value, RowGradient) and value.shape == parameter.shape
                else converted(f"{where}: {key} of parameter {number}", value, *self._kind_of(key, parameter))
                for key, value in values.items()
            }
        self.param_groups, self.state = groups, state

    def _kind_of(self, key: str, parameter: Parameter) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of what is remembered of a parameter: those of its data, but for the number of steps."""
        return ((), FLOAT64) if key == "step" else (parameter.shape, parameter.dtype)

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            settings = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            groups.append(f"\nParameter Group {i}\n{''.join(settings)}")
        return f"{type(self).__name__} ({''.join(groups)})"
