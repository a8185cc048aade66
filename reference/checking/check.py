"""Somebody's function on every case of an operation, held against the truth."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from reference import structure
from reference.agreement import compare
from reference.case import Operation
from reference.cases import OPERATIONS
from reference.catalogue import hint
from reference.checking.report import Report, Untried
from reference.checking.trials import NotTried, Trial, trials
from reference.formats import format_of
from reference.oracle import one_thread
from reference.progress import progress
from reference.record import Agreement, Record, limit_of

OF_TAILS = "left out with the tails"


def check(
    name: str,
    function: Callable[..., Any],
    dtype: Any = "float32",
    cases: str | Iterable[str] | None = None,
    *,
    tails: bool = True,
    no_grad: str | Iterable[str] = (),
    limit: float | None = None,
    seed: int = 0,
) -> Report:
    """Run a function through the cases of an operation, forward and backward, and hold what it gives against the truth.

        from reference import check, from_torch

        report = check("gelu", from_torch(my_gelu), dtype="bfloat16")
        print(report)
        assert report.agrees

    The function has `manual`'s contract: `output, backward = function(*arrays, **constants)`, as `manual.gelu`; `backward` takes a
    cotangent and returns a tuple, with one gradient for each of the arrays. `from_pair`, `from_torch` and `from_jax` make one of
    what you have. Inputs and the random cotangent are drawn in the dtype, float64, float32, float16 or bfloat16, in which the
    results must be; r is measured by its unit roundoff.

    cases    the labels of the cases to try; by default all of them, and the sweeps of a pointwise function over its whole range
    tails    False leaves out the sweeps, and the cases on which torch itself loses digits
    no_grad  names of gradients that the function does not offer: `grad_1` is that of the second array
    limit    the r up to which a result counts as right, by default 30, and 4 in half precision, where what computes in float32 and
             rounds once has an r of 1
    seed     draws other numbers

    What the function does not take, and a case in which it raises, is in `report.untried`: look there before you trust a verdict.
    """
    operation = operation_of(name)
    if not callable(function):
        raise TypeError(f"check: function must be a function, got {type(function).__name__}")
    dtype = format_of(dtype)
    limit = limit_of(dtype) if limit is None else limit
    left_out = _gradients(operation, (no_grad,) if isinstance(no_grad, str) else tuple(no_grad))
    planned = _planned(operation, dtype, (cases,) if isinstance(cases, str) else cases, seed)
    agreements: list[Agreement] = []
    untried: list[Untried] = []
    with progress(len(planned)) as done:
        for trial in planned:
            try:
                if trial.torch_loses is None and not tails:
                    raise NotTried(OF_TAILS)
                agreement, reasons = _attempt(operation, function, trial, dtype, left_out, limit)
                if agreement.is_tail and not tails:
                    raise NotTried(OF_TAILS)
            except NotTried as why:
                untried.append(Untried(trial.label, str(why)))
            else:
                agreements.append(agreement)
                untried += [Untried(trial.label, reason) for reason in reasons]
            done(trial.label)
    return Report(operation.name, str(dtype), tuple(agreements), tuple(untried))


def operation_of(name: str) -> Operation:
    """The operation of this name."""
    if name not in OPERATIONS:
        raise ValueError(f"check: there is no operation {name!r}: {hint(str(name), OPERATIONS)}")
    return OPERATIONS[name]


def _planned(operation: Operation, dtype: Any, labels: Iterable[str] | None, seed: int) -> list[Trial]:
    planned = list(trials(operation, dtype, seed))
    if labels is None:
        return planned
    wanted, known = set(labels), [trial.label for trial in planned]
    for label in sorted(wanted.difference(known)):
        raise ValueError(f"check: {operation.name} has no case {label!r}; it has {', '.join(map(repr, known))}")
    return [trial for trial in planned if trial.label in wanted]


def _gradients(operation: Operation, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if they are those of gradients."""
    kinds = [parameter.kind for parameter in inspect.signature(operation.manual).parameters.values()]
    known = [f"grad_{i}" for i in range(kinds.count(inspect.Parameter.POSITIONAL_ONLY))]
    for name in names:
        if name.partition(".")[0] not in known:  # grad_1.0 is one of the gradients of an argument that is a tuple
            raise ValueError(f"check: no_grad must name gradients of {operation.name}, {', '.join(known)}, got {name!r}")
    return names


def _attempt(
    operation: Operation, function: Callable[..., Any], trial: Trial, dtype: Any, no_grad: tuple[str, ...], limit: float
) -> tuple[Agreement, list[str]]:
    """What is measured on a case or a sweep, and which of its gradients are not, with the reasons."""
    with np.errstate(all="ignore"):  # what overflows in truth overflows here
        with one_thread():
            given = trial.given()
        arguments, constants = _fitted(operation, function, given.arguments, trial.constants)
        output, grads = _run(operation, function, arguments, constants, given.reference.grad_output)
    record = Record(operation.name, trial.label, dtype, trial.torch_loses, given.reference.torch_is_judge)
    record.limit, record.keeps_worst = limit, True
    if not isinstance(grads, tuple) or len(grads) < len(arguments):
        got = f"a tuple of {len(grads)}" if isinstance(grads, tuple) else type(grads).__name__
        record.complain(f"backward must return a tuple of gradients, one for each of the {len(arguments)} arrays, got {got}")
        return record.agreement(), []
    left_out = {name for name in given.reference.torch if name in no_grad or name.partition(".")[0] in no_grad}
    kept = {name: array for name, array in given.reference.torch.items() if name not in left_out}
    beyond = compare(record, given.reference._replace(torch=kept), output, structure.named_gradients(grads), given.x)
    reasons = [f"{name}: left out, as asked" for name in sorted(left_out)]
    for name in beyond:
        if name.startswith("output"):
            record.complain(f"{name}: the operation has no such output")
        elif name not in left_out:
            reasons.append(f"{name}: there is no truth of it")
    return record.agreement(), reasons


def _fitted(
    operation: Operation, function: Callable[..., Any], arguments: tuple[Any, ...], constants: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as the function takes them: where it has no place for a `None` at the end, or for a constant that has its
    default value, without these.
    """
    constants = dict(constants)
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin has none, and says in the call what it does not take
        return arguments, constants
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        defaults = {name: parameter.default for name, parameter in inspect.signature(operation.manual).parameters.items()}
        for name in constants.keys() - signature.parameters.keys():
            if np.isscalar(constants[name]) and constants[name] == defaults[name]:
                del constants[name]
    while True:
        try:
            signature.bind(*arguments, **constants)
        except TypeError as misfit:
            if not arguments or arguments[-1] is not None:
                raise NotTried(f"the function does not take its arguments: {misfit}") from None
            arguments = arguments[:-1]
        else:
            return arguments, constants


def _run(
    operation: Operation, function: Callable[..., Any], arguments: tuple[Any, ...], constants: dict[str, Any], grad_output: Any
) -> tuple[Any, Any]:
    """The output and what the backward returns, of arrays that are the function's own."""
    try:
        made = function(*structure.apply(np.copy, arguments), **constants)
        if isinstance(made, tuple) and len(made) == 2 and callable(made[1]):
            output, backward = made
            return output, backward(structure.apply(np.copy, grad_output))
    except Exception as error:
        raise NotTried(f"it raised {type(error).__name__}: {(str(error).splitlines() or [''])[0]}") from error
    raise TypeError(
        f"check: the function must return its output and a backward, as manual.{operation.name} does, got {type(made).__name__}; "
        "from_torch, from_jax and from_pair make such a function of what you have"
    )
