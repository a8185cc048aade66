"""What all optimizers share: parameter groups, each with its own settings."""

from collections.abc import Iterable
from typing import Any

from manual.module import Parameter


class Optimizer:
    """Updates parameters in place from their gradients.

    `params` are the parameters, or dicts `{"params": parameters, "lr": …}` whose settings hold for that group alone. The groups
    stand in `param_groups`, where a schedule may change their settings between steps.
    """

    def __init__(self, params: Iterable[Parameter] | Iterable[dict[str, Any]], **settings: Any) -> None:
        name = type(self).__name__
        given: list[Any] = list(params)
        if not given:
            raise ValueError(f"{name}: params must hold at least one parameter, got none")
        are_groups = [isinstance(each, dict) for each in given]
        if any(are_groups) and not all(are_groups):
            raise TypeError(f"{name}: params must hold either Parameters or dicts, got both")
        groups = given if are_groups[0] else [{"params": given}]
        self.param_groups: list[dict[str, Any]] = []
        seen: set[int] = set()
        for group in groups:
            if surplus := group.keys() - {"params"} - settings.keys():
                raise ValueError(f"{name}: unknown setting {', '.join(sorted(surplus))}; expected {', '.join(settings)}")
            if "params" not in group:
                raise ValueError(f"{name}: each dict in params must have the key 'params', got {', '.join(group) or 'none'}")
            parameters = [group["params"]] if isinstance(group["params"], Parameter) else list(group["params"])
            for parameter in parameters:
                if not isinstance(parameter, Parameter):
                    raise TypeError(f"{name}: params must hold Parameters, got {type(parameter).__name__}")
                if id(parameter) in seen:
                    raise ValueError(f"{name}: params must name each parameter once, got one twice")
                seen.add(id(parameter))
            self.param_groups.append({**settings, **group, "params": parameters})
            self.check(self.param_groups[-1])

    def check(self, group: dict[str, Any]) -> None:
        """Refuse settings that make no sense."""

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters: each is `None` again."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
