"""What all optimizers share: parameter groups, each with its own settings, and the state of each parameter."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from manual.contract import FLOAT64, Array
from manual.parameter import HOW_TO_INITIALIZE, Parameter
from manual.sparse import RowGradient, zeros_like
from manual.state import converted
from manual.threads import LARGE, in_threads

__all__ = ["Optimizer"]

Params = Iterable[Parameter] | Iterable[tuple[str, Parameter]] | Iterable[dict[str, Any]]

WITHOUT_MEANING = {"capturable", "differentiable", "foreach", "fused"}  # in a state dict from torch: how its kernels run
OF_SCHEDULES = {"initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr"}  # that schedules keep in a group
BLOCK = 1 << 16  # elements: what a step reads and writes of a block stays in the cache


class Optimizer:
    """Updates parameters in place from their gradients.

    `params` are the parameters, pairs of a name and a parameter (a module's `named_parameters()`), or dicts
    `{"params": either, "lr": …}` whose settings hold for that group alone. The groups stand in `param_groups`, where a schedule
    may change their settings between steps; names are kept there as `param_names`. `state` holds what the optimizer remembers of
    each parameter.
    """

    numbers: frozenset[str] = frozenset({"step"})  # what is remembered of a parameter as a single number

    def __init__(self, params: Params, **settings: Any) -> None:
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
        given: list[Any] = [params] if isinstance(params, Parameter) else list(params)
        pairs = [each for each in given if isinstance(each, tuple) and len(each) == 2 and isinstance(each[0], str)]
        if pairs and len(pairs) != len(given):
            raise ValueError(f"{name}: params must all have names or none, got {len(pairs)} names for {len(given)} parameters")
        if pairs:
            param_group = {**param_group, "param_names": [own_name for own_name, _ in pairs]}
        parameters = [parameter for _, parameter in pairs] or given
        if self.param_groups and ("param_names" in param_group) != ("param_names" in self.param_groups[0]):
            raise ValueError(f"{name}: the groups must all have names or none")
        seen = {id(parameter) for parameter in self._parameters()}
        for parameter in parameters:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"{name}: params must hold Parameters, got {type(parameter).__name__}")
            if parameter.data is None:
                raise ValueError(f"{name}: params must have shapes, got an UninitializedParameter; {HOW_TO_INITIALIZE}")
            if id(parameter) in seen:
                raise ValueError(f"{name}: params must name each parameter once, got one twice")
            self.check_parameter(parameter)
            seen.add(id(parameter))
        self.param_groups.append(self._group(param_group, parameters))

    def _group(self, settings: Mapping[str, Any], parameters: list[Parameter]) -> dict[str, Any]:
        if surplus := settings.keys() - {"params", "param_names"} - OF_SCHEDULES - self.defaults.keys():
            expected = ", ".join(self.defaults)
            raise ValueError(f"{type(self).__name__}: unknown setting {', '.join(sorted(surplus))}; expected {expected}")
        if len(names := settings.get("param_names", parameters)) != len(parameters):
            raise ValueError(f"{type(self).__name__}: param_names must be {len(parameters)} names, got {len(names)}")
        group = {**self.defaults, **settings, "params": parameters}
        self.check(group)
        return group

    def check(self, group: dict[str, Any]) -> None:
        """Refuse settings that make no sense: asked again before each step, since a schedule may have changed them."""

    def check_parameter(self, parameter: Parameter) -> None:
        """Refuse a parameter to which the algorithm does not apply."""

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

    def require_positive(self, group: dict[str, Any], *names: str) -> None:
        """Refuse settings that are no finite numbers above 0."""
        self.require_numbers(group, *names)
        for name in names:
            if group[name] == 0:
                raise ValueError(f"{type(self).__name__}: {name} must be above 0, got {group[name]}")

    def require_integers(self, group: dict[str, Any], *names: str) -> None:
        """Refuse settings that are no integers, and negative ones."""
        for name in names:
            if type(group[name]) is bool or not isinstance(group[name], Integral):
                raise TypeError(f"{type(self).__name__}: {name} must be an integer, got {group[name]!r}")
        self.require_numbers(group, *names)

    def require_tuple(self, group: dict[str, Any], name: str, expected: str, signed: bool = False) -> tuple[float, ...]:
        """Refuse a setting that is not so many numbers, `expected` in words."""
        values = group[name]
        if not isinstance(values, (tuple, list)) or len(values) != {"two": 2, "three": 3}[expected]:
            raise TypeError(f"{type(self).__name__}: {name} must be {expected} numbers, got {values!r}")
        for i, value in enumerate(values):
            self.require_numbers({f"{name}[{i}]": value}, f"{name}[{i}]", signed=signed)
        return tuple(values)

    def require_betas(self, group: dict[str, Any]) -> None:
        """Refuse betas that are not two numbers from 0 to below 1."""
        for i, beta in enumerate(self.require_tuple(group, "betas", "two")):
            if beta >= 1:
                raise ValueError(f"{type(self).__name__}: betas[{i}] must be below 1, got {beta}")

    def require_bools(self, group: dict[str, Any], *names: str) -> None:
        """Refuse settings that are neither True nor False."""
        for name in names:
            if type(group[name]) is not bool:
                raise TypeError(f"{type(self).__name__}: {name} must be True or False, got {group[name]!r}")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        A `closure` is called first: it computes the loss and its gradients, and returns the loss, which is returned here.
        """
        loss = None if closure is None else closure()
        for group, parameters in self.due():
            self._update_all(parameters, group)
        return loss

    def _update_all(self, parameters: list[Parameter], group: dict[str, Any]) -> None:
        """Make the steps of some parameters: many numbers in threads, from the second step on, when each has its state."""
        large = sum(parameter.size for parameter in parameters) > LARGE and all(each in self.state for each in parameters)
        if large:
            in_threads(lambda i: self.update(parameters[i], group), len(parameters))
        else:
            for parameter in parameters:
                self.update(parameter, group)

    def update(self, parameter: Parameter, group: dict[str, Any]) -> None:
        """Make the step of one parameter, which has a gradient."""
        raise NotImplementedError

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

    def memory(self, parameter: Parameter, key: str, initial: float = 0.0) -> Array:
        """What is remembered of a parameter under this key, to be updated in place: an array, at first `initial`."""
        state = self.state.setdefault(parameter, {})
        if key not in state:
            state[key] = np.full_like(parameter.data, initial, shape=self.shape_of(key, parameter))
        elif state[key].dtype != parameter.dtype:  # since the module was converted
            state[key] = state[key].astype(parameter.dtype)
        return state[key]

    def number(self, parameter: Parameter, key: str, initial: float = 0.0) -> Array:
        """A single number that is remembered of a parameter under this key, to be updated in place."""
        return self.state.setdefault(parameter, {}).setdefault(key, np.full((), initial))

    def count(self, parameter: Parameter) -> float:
        """The number of the step that a parameter takes now, from 1 on; it is remembered as `step`."""
        step = self.number(parameter, "step")
        step += 1
        return float(step)

    def blocks(self, parameter: Parameter, group: dict[str, Any], *keys: str, **initial: float) -> Iterator[list[Array]]:
        """The same part of w, of g and of what is remembered under each key, one after the other: elementwise formulas update the
        parts of w and of what is remembered in place. `initial` are values of keys that do not start at 0.

        g is the gradient with what `maximize` and `weight_decay` make of it; with decoupled decay, w has decayed already.
        """
        lr, decay = float(group["lr"]), float(group.get("weight_decay", 0.0))
        memories = [self.memory(parameter, key, initial.get(key, 0.0)) for key in keys]
        for w, g, *parts in _blocks([parameter.data, np.asarray(parameter.grad), *memories]):
            if group["maximize"]:
                g = -g
            if decay and group.get("decoupled_weight_decay", False):
                w *= 1 - lr * decay
            elif decay:
                g = g + decay * w
            yield [w, g, *parts]

    def _require_fit(self, parameter: Parameter, group: dict[str, Any]) -> None:
        data, grad = parameter.data, parameter.grad
        name = type(self).__name__
        number = next(number for number, each in enumerate(self._parameters()) if each is parameter)
        if not isinstance(data, np.ndarray):
            raise TypeError(f"{name}: parameter {number} must hold a NumPy array, got {type(data).__name__}")
        if isinstance(grad, RowGradient) and not self.takes_rows(group):
            how = "give its dense(), or build the embedding without sparse=True"
            how += "; SparseAdam and LBFGS take it, and without weight_decay SGD and Adagrad"
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
            names = {"param_names": mine["param_names"]} if "param_names" in mine else {}
            settings = names | {name: value for name, value in group.items() if name not in WITHOUT_MEANING}
            groups.append(self._group(settings, mine["params"]))
            by_number |= dict(zip(group["params"], mine["params"]))
        state: dict[Parameter, dict[str, Any]] = {}
        for number, values in state_dict["state"].items():
            if number not in by_number:
                raise ValueError(f"{where}: no group has a parameter {number}, for which there is state")
            parameter = by_number[number]
            state[parameter] = {
                key: self.loaded(f"{where}: {key} of parameter {number}", key, value, parameter) for key, value in values.items()
            }
        self.param_groups, self.state = groups, state

    def loaded(self, name: str, key: str, value: Any, parameter: Parameter) -> Any:
        """A copy of what a state dict has under this key; refused, by this name, where it cannot be that."""
        if isinstance(value, RowGradient) and value.shape == parameter.shape:
            return value.astype(parameter.dtype)
        if key in self.numbers:
            return converted(name, value, (), FLOAT64)
        return converted(name, value, self.shape_of(key, parameter), parameter.dtype)

    def shape_of(self, key: str, parameter: Parameter) -> tuple[int, ...]:
        """The shape of what is remembered of a parameter under this key."""
        return parameter.shape

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            settings = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            groups.append(f"\nParameter Group {i}\n{''.join(settings)}")
        return f"{type(self).__name__} ({''.join(groups)})"


def _blocks(arrays: list[Array]) -> Iterable[list[Array]]:
    """The same part of each array, one after the other; arrays that are not in order in memory as they are."""
    if not all(array.flags.c_contiguous for array in arrays):
        return [arrays]
    flat = [array.reshape(-1) for array in arrays]
    return [[array[start : start + BLOCK] for array in flat] for start in range(0, flat[0].size, BLOCK)]


def floats(group: Mapping[str, Any], *names: str) -> list[float]:
    """Settings as Python's numbers, which leave float32 as it is; of one that is a pair, both."""
    return [float(value) for name in names for value in np.ravel(group[name])]
