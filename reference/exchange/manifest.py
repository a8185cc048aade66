"""A case as it is written down: its arrays by name, and what the manifest says of it.

Results bear the names that `reference.structure` gives them, behind the number of the case: `0/output`, `0/grad_2.1`.
"""

from __future__ import annotations

import dataclasses
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from manual.contract import Array
from reference import structure
from reference.agreement import Reference
from reference.case import Operation
from reference.cases import OPERATIONS
from reference.checking.trials import NotTried, trials
from reference.record import Target, limit_of
from reference.report import finite


class Task(NamedTuple):
    """The case of this number of an operation, in a dtype and on the numbers that a seed draws."""

    operation: str
    number: int
    dtype: str
    seed: int


class Written(NamedTuple):
    """A case as files hold it: an entry of the manifest, and arrays by name."""

    entry: dict[str, Any]
    arrays: dict[str, Array]


class LeftOut(NamedTuple):
    """A case that is not written, and why."""

    label: str
    reason: str


def count(operation: Operation, dtype: str) -> int:
    """How many cases there are of an operation, its sweeps among them."""
    return sum(1 for _ in trials(operation, dtype))


def written(task: Task) -> Written | LeftOut:
    """A case as files hold it."""
    trial = next(islice(trials(OPERATIONS[task.operation], task.dtype, task.seed), task.number, None))
    sheet = Sheet(task.number)
    try:
        constants = {name: sheet.noted(f"constants/{name}", value) for name, value in trial.constants.items()}
        with np.errstate(over="ignore"):  # numbers that are too large for the dtype leave the case out
            given = trial.given()
        arguments = [sheet.noted(f"arguments/{i}", argument) for i, argument in enumerate(given.arguments)]
    except NotTried as why:
        return LeftOut(trial.label, str(why))
    entry = {
        "case": task.number,
        "label": trial.label,
        "kind": "sweep" if trial.torch_loses is None else "case",
        "arguments": arguments,
        "constants": constants,
        "limit": limit_of(task.dtype),
        "torch_loses": trial.torch_loses,
        **sheet.results(given.reference),
    }
    return Written(entry, sheet.arrays)


class Sheet:
    """Collects the arrays of a case; what it returns stands in the manifest."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.arrays: dict[str, Array] = {}

    def array(self, name: str, array: Any) -> str:
        """Take an array; the name that it bears in the file."""
        self.arrays[f"{self.number}/{name}"] = np.asarray(array)
        return f"{self.number}/{name}"

    def noted(self, name: str, value: Any) -> Any:
        """An argument or a constant in JSON."""
        if isinstance(value, (np.ndarray, np.generic)):
            return {"tensor": self.array(name, value)}
        if value is None or isinstance(value, (bool, int, str)):
            return value
        if isinstance(value, float):
            return finite(value)
        if isinstance(value, (tuple, list)):
            return [self.noted(f"{name}.{i}", part) for i, part in enumerate(value)]
        if isinstance(value, slice):
            return {"slice": [value.start, value.stop, value.step]}
        if value is Ellipsis:
            return {"ellipsis": True}
        if dataclasses.is_dataclass(value) and not callable(value):
            fields = dataclasses.asdict(value)
            return {"options": {field: self.noted(f"{name}.{field}", part) for field, part in fields.items()}}
        kind = "function" if callable(value) else type(value).__name__
        raise NotTried(f"{name.partition('/')[2]} is a {kind}, which no file can hold")

    def results(self, reference: Reference) -> dict[str, list[dict[str, Any]]]:
        """What is expected: outputs, each with its cotangent, and gradients."""
        cotangents = structure.named(reference.grad_output, "output")
        outputs, gradients = [], []
        for name, theirs in reference.torch.items():
            target = reference.targets.get(name)
            if target is None and theirs is None:  # there is nothing to be had
                continue
            result = {"name": name, **self._expected(name, theirs, target, reference.torch_is_judge)}
            if name in cotangents:
                cotangent = cotangents[name]
                of = None if cotangent is None else {"tensor": self.array(f"cotangents/{name}", cotangent)}
                outputs.append(result | {"cotangent": of})
            else:
                gradients.append(result)
        return {"outputs": outputs, "gradients": gradients}

    def _expected(self, name: str, theirs: Any, target: Target | None, torch_is_judge: bool) -> dict[str, Any]:
        if target is None:  # indices
            return {"tensor": self.array(name, theirs), "scale": None, "torch_r": None}
        truth, scale = target.as_floats()
        torch_r = None if theirs is None or torch_is_judge else finite(float(target.torch_ratios.max(initial=0)))
        return {"tensor": self.array(name, truth), "scale": self.array(f"scales/{name}", scale), "torch_r": torch_r}
