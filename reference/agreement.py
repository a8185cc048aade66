"""Compare one case: the error of each output and of each gradient, against what the arithmetic allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.modules.lazy import LazyModuleMixin

import manual
from manual.calling import array_names
from manual.contract import Array
from manual.lazy import LazyModule
from reference import exact, oracle, structure
from reference.case import Case, ModuleCase, Operation, generator
from reference.formats import HALF
from reference.record import ILL_CONDITIONED, LIMIT, Agreement, Record, Target
from reference.twins import LIBRARY

Gradients = Callable[[Any], tuple[Any, dict[str, Any]]]  # of a cotangent: what the backward returns, and the parameters' by name


class Reference(NamedTuple):
    """What a case is held against: a random cotangent, torch's outputs and gradients, and the truth of each, by name.

    Torch has `None` where nothing is to be had, and where it does not take the dtype. `contradictions` are what the case says of
    all this, and what is not so.
    """

    grad_output: Any
    torch: dict[str, Any]
    truth: dict[str, exact.Exact]
    targets: dict[str, Target]
    torch_is_judge: bool = False
    contradictions: tuple[str, ...] = ()


def differentiable(case: Case, arguments: tuple[Any, ...]) -> tuple[bool, ...]:
    """Of each positional argument, whether there is a gradient to be had."""
    return tuple(not wanted(case, arguments).isdisjoint(structure.named(a, f"grad_{i}")) for i, a in enumerate(arguments))


def wanted(case: Case, arguments: tuple[Any, ...]) -> set[str]:
    """The names of the gradients that there are."""
    floats = {name for name, leaf in structure.named_gradients(arguments).items() if structure.is_float(leaf)}
    return floats - set(case.no_grad)


def reference(operation: Operation, case: Case, dtype: Any, seed: int = 0) -> Reference:
    """What a case is held against; made once for a case, a dtype and a seed."""
    return _reference(operation, case, np.dtype(dtype), seed)


@cache
def _reference(operation: Operation, case: Case, dtype: Any, seed: int) -> Reference:
    arguments = case.build(operation.name, dtype, seed)
    grads = wanted(case, arguments)

    def call(kind: Any) -> oracle.Call:
        return oracle.Call(operation.torch, structure.as_floats(arguments, kind), case.constants, grads)

    draw = generator(operation.name, case.label, seed, "cotangent")
    if dtype.name in HALF:  # torch need not take it, and says in float64 what the outputs are
        wide = call(np.float64)
        grad_output = structure.as_floats(cotangent(wide.output, draw), dtype)
        conventions = wide.results(structure.as_floats(grad_output, np.float64))
        theirs = oracle.narrowed(conventions, lambda: call(dtype).results(grad_output))
    else:
        narrow = call(dtype)
        grad_output = cotangent(narrow.output, draw)
        conventions = theirs = narrow.results(grad_output)
    if case.judge == "float64":
        truth = call(np.float64).exactly(structure.as_floats(grad_output, np.float64))
    elif case.judge == "torch":
        values = {name: exact.exactly(array) for name, array in conventions.items() if structure.is_float(array)}
        truth = {name: exact.Exact(value, np.asarray(abs(value), dtype=object)) for name, value in values.items()}
    else:
        truth = exact.evaluate(operation.definition, arguments, case.constants, grad_output, grads, operation.slope_terms)
    torch_is_judge = case.judge == "float64" and dtype == np.float64
    return _against(case, arguments, dtype, grad_output, theirs, truth, torch_is_judge)


def _against(
    case: Case, arguments: Any, dtype: Any, grad_output: Any, theirs: dict[str, Any], truth: dict[str, exact.Exact], judges: bool
) -> Reference:
    """The reference, and whether all is so that the case says."""
    targets = {name: Target(true, dtype, theirs[name]) for name, true in truth.items()}
    wrong = []
    for name, target in targets.items():
        lost = target.theirs is not None and target.torch_ratios.max(initial=0) > LIMIT
        if lost and not (case.torch_loses or case.ill_conditioned):
            wrong.append(f"{name}: torch loses digits, and the case does not say why")
        true = truth[name].value
        is_zero = name.startswith("grad") and not true.astype(float).any()
        if true.size and is_zero != (name in case.zero):
            wrong.append(f"{name} is {'zero, which proves nothing' if is_zero else 'not zero, as the case says'}")
    unknown = {*case.zero, *case.no_grad} - truth.keys() - structure.named_gradients(arguments).keys()
    wrong += [f"{name}, of which the case speaks, is none of its gradients" for name in sorted(unknown)]
    return Reference(grad_output, theirs, truth, targets, judges, tuple(wrong))


def cotangent(output: Any, draw: np.random.Generator) -> Any:
    """Random numbers for an output of torch, `None` for indices."""

    def each(tensor: Any) -> Any:
        if not tensor.dtype.is_floating_point:
            return None
        numbers = np.asarray(draw.standard_normal(tuple(tensor.shape))).astype(oracle.to_numpy(tensor).dtype)
        numbers.flags.writeable = False  # it is shared by all who measure this case
        return numbers

    return structure.apply(each, output)


def measure(
    operation: Operation,
    case: Case,
    dtype: Any,
    function: Callable[..., Any] | None = None,
    arguments: tuple[Any, ...] | None = None,
    seed: int = 0,
) -> Agreement:
    """Run a case on `manual` and on torch, and hold both against the truth.

    `function` stands in for the operation (one broken on purpose, say), and `arguments` for the case's own (the same numbers in
    another memory layout).
    """
    arguments = case.build(operation.name, dtype, seed) if arguments is None else arguments

    def run() -> tuple[Any, Gradients]:
        output, backward = (function or operation.manual)(*arguments, **case.constants)
        return output, lambda grad_output: (backward(grad_output), {})

    x = arguments[0] if operation.pointwise else None
    return _hold(operation.name, case, dtype, lambda kind: reference(operation, case, kind, seed), arguments, run, x)


def measure_module(case: ModuleCase, dtype: Any, seed: int = 0, ours: Any = manual, theirs: Any = LIBRARY) -> Agreement:
    """Carry the state of a module across, and compare outputs, gradients of the inputs and of every parameter.

    The judge is torch in float64, on the same numbers; the scale is the largest |J|ᵀ|g| of an array, from torch's Jacobian. (The
    definitions, which know more, judge the operation.) Buffers must be the same after the forward.
    `ours` and `theirs` are the libraries that have the classes.
    """
    module = _construct(case, ours, dtype, seed)
    names = array_names(module.forward)
    arguments = case.build(names, dtype, seed)

    def against(kind: Any) -> Reference:
        return _module_reference(case, ours, theirs, kind, seed)[0]

    def run() -> tuple[Any, Gradients]:
        output, backward = case.call(module, names, *arguments)

        def gradients(grad_output: Any) -> tuple[Any, dict[str, Any]]:
            module.zero_grad()
            grads = backward(grad_output)
            return grads, {f"grad_{name}": structure.dense(parameter.grad) for name, parameter in module.named_parameters()}

        return output, gradients

    agreement = _hold(case.name, case.inputs, dtype, against, arguments, run)
    buffers = _module_reference(case, ours, theirs, np.dtype(dtype), seed)[1]
    return replace(agreement, complaints=(*agreement.complaints, *_other_buffers(module, buffers)))


@cache
def _module_reference(case: ModuleCase, ours: Any, theirs: Any, dtype: Any, seed: int) -> tuple[Reference, dict[str, Array]]:
    """What a module is held against, and the buffers of torch's after its forward in float64."""
    module = _construct(case, ours, dtype, seed)
    state, names = module.state_dict(), array_names(module.forward)
    arguments = case.build(names, dtype, seed)

    def call(kind: Any) -> tuple[torch.nn.Module, oracle.Call]:
        namesake = _namesake(case, theirs, state, kind)
        inputs = structure.as_floats(arguments, kind)
        parameters = {name: parameter for name, parameter in namesake.named_parameters() if parameter.requires_grad}
        function = partial(case.call, case.torch(namesake), names)
        return namesake, oracle.Call(function, inputs, {}, wanted(case.inputs, inputs), parameters, case.inputs.zero)

    (_, narrow), (judge, judging) = call(dtype), call(np.dtype(np.float64))
    grad_output = cotangent(narrow.output, generator(case.name, case.inputs.label, seed, "cotangent"))
    truth = judging.exactly(structure.as_floats(grad_output, np.float64))
    theirs_of_case, judges = narrow.results(grad_output), dtype == np.float64
    against = _against(case.inputs, arguments, dtype, grad_output, theirs_of_case, truth, judges)
    return against, {name: oracle.to_numpy(buffer) for name, buffer in judge.named_buffers()}


def _other_buffers(module: Any, theirs: dict[str, Array]) -> list[str]:
    """Which buffers a forward has left otherwise than torch in float64."""
    room = {name: 30 * np.finfo(buffer.dtype).eps if buffer.dtype.kind == "f" else 0 for name, buffer in module.named_buffers()}
    return [
        f"{name} is {buffer}, and not {theirs[name]} as torch's"
        for name, buffer in module.named_buffers()
        if not np.allclose(buffer, theirs[name], rtol=room[name], atol=room[name])
    ]


def _construct(case: ModuleCase, library: Any, dtype: Any, seed: int) -> Any:
    module = case.module.construct(library, lambda a: a.astype(dtype) if isinstance(a, np.ndarray) else a)
    if any(isinstance(each, LazyModule) for each in module.modules()):
        _first_call(case, module, np.asarray)
    module.to(dtype)
    draw = generator(case.name, case.inputs.label, seed, "parameters")
    for parameter in module.parameters():
        parameter.data = (case.scale * draw.standard_normal(parameter.data.shape)).astype(dtype)
    for buffer in module.buffers():
        buffer[...] = draw.uniform(0.5, 1, buffer.shape) if buffer.dtype.kind == "f" else draw.integers(1, 9, buffer.shape)
    return module.train(case.training)


def _first_call(case: ModuleCase, module: Any, convert: Callable[[Any], Any]) -> None:
    """Let the first input tell a lazy module its shapes."""
    names = array_names(getattr(manual, case.name).forward)
    case.call(module, names, *structure.apply(convert, case.build(names, np.float64)))


def _namesake(case: ModuleCase, library: Any, state: Mapping[str, Any], dtype: Any) -> torch.nn.Module:
    """The torch module with the state of ours."""
    kind = getattr(torch, str(dtype))
    module = case.module.construct(library, lambda a: torch.tensor(a, dtype=kind) if isinstance(a, np.ndarray) else a).to(kind)
    if any(isinstance(each, LazyModuleMixin) for each in module.modules()):  # a state dict tells shapes alone
        _first_call(case, module, lambda a: torch.tensor(a, dtype=kind))
    module.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return module.train(case.training)


def _hold(
    operation: str,
    case: Case,
    dtype: Any,
    against: Callable[[Any], Reference],
    arguments: tuple[Any, ...],
    run: Callable[[], tuple[Any, Gradients]],
    x: Any = None,
) -> Agreement:
    """Hold what `run` gives, an output and what carries a cotangent back, against the reference in this dtype."""
    reference = against(np.dtype(dtype))
    record = Record(operation, case.label, dtype, case.torch_loses or case.ill_conditioned, reference.torch_is_judge)
    record.limit = _allowed(case, against, np.dtype(dtype))
    try:
        output, gradients = run()
        grads, of_parameters = gradients(reference.grad_output)
        if not isinstance(grads, tuple) or len(grads) < len(arguments):
            record.complain(f"backward must return a tuple of {len(arguments)} gradients")
            return record.agreement()
        for name in compare(record, reference, output, structure.named_gradients(grads) | of_parameters, x):
            record.complain(f"{name} must be None")
        # What None stands for is no matter of the dtype: so it is asked in one
        omissions = structure.omissions(reference.grad_output) if record.dtype == np.float64 else ()
        for part, with_none, with_zeros in omissions:
            one, other = (structure.named_gradients(grads) | more for grads, more in map(gradients, (with_none, with_zeros)))
            for name in one:
                if name in reference.targets and not reference.targets[name].near(one[name], other.get(name)):
                    record.complain(f"{name}: None for part {part} of the cotangent is not the same as zeros")
    except Exception as exception:
        record.complain(f"raised {exception!r}")
    record.complaints += reference.contradictions
    return record.agreement()


def compare(record: Record, reference: Reference, output: Any, grads: dict[str, Any], x: Any = None) -> list[str]:
    """Hold an output, and gradients by name, against the reference; the names of those that have nothing there."""
    found = structure.named(output, "output") | grads
    for name, array in reference.torch.items():
        if name not in found:
            record.complain(f"{name} is missing")
        else:
            record.compare(name, found[name], reference.targets.get(name, array), x)
    return [name for name, array in found.items() if name not in reference.torch and array is not None]


def _allowed(case: Case, against: Callable[[Any], Reference], dtype: Any) -> float:
    """How large r may be on a case in a dtype."""
    if not case.ill_conditioned:
        return LIMIT
    beside = against(np.dtype(np.float32))
    worst = max(float(target.torch_ratios.max(initial=0)) for target in beside.targets.values())
    return max(LIMIT, ILL_CONDITIONED * worst) * (2 if against(dtype).torch_is_judge else 1)
