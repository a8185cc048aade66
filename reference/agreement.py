"""Compare one case: the error of its output and of each gradient, against what the arithmetic allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

import manual
from reference import exact, oracle
from reference.case import Case, ModuleCase, Operation

LIMIT = 30.0  # LAPACK's threshold for the ratio r; a perfect implementation has about 1
BESIDE_TORCH = 4.0  # an operation's worst r may not exceed torch's worst, but below this there is nothing to win


@dataclass(frozen=True)
class Element:
    """One element of an array: its input or index, torch's value, the truth in ten digits, our value and its r."""

    place: str
    torch: float
    truth: str
    ours: float
    ratio: float


@dataclass(frozen=True)
class Quantity:
    """One output or gradient: the largest error relative to the largest true value, and the ratios r of both sides.

    `lost` is the element where torch is furthest off, if that is more than LIMIT.
    """

    name: str
    error: float
    ratio: float
    torch_ratio: float
    lost: Element | None = None


@dataclass(frozen=True)
class Agreement:
    """What was measured on one case in one dtype; it holds where there are no complaints.

    `torch_loses` is what the case says; `None` where nobody need say why.
    """

    operation: str
    case: str
    dtype: str
    quantities: tuple[Quantity, ...] = ()
    complaints: tuple[str, ...] = ()
    torch_loses: str | None = ""

    def worst(self, gradients: bool) -> Quantity:
        """The quantity with the largest ratio among the gradients, or among the outputs."""
        chosen = [q for q in self.quantities if q.name.startswith("grad") == gradients]
        return max(chosen, key=lambda q: q.ratio, default=Quantity("none", 0.0, 0.0, 0.0))


def ratios(got: Any, truth: Any, scale: Any) -> Any:
    """R = |got − truth| / (u · scale) of each element, u the unit roundoff of the dtype of `got`.

    A scale below the smallest normal number counts as that, for there the spacing of numbers no longer shrinks; one that is not
    finite, as |truth|. Where the truth is infinite or NaN, the same is expected.
    """
    info = np.finfo(got.dtype)
    smallest, u = exact.mp.mpf(float(info.smallest_normal)), exact.mp.mpf(float(info.eps)) / 2

    def ratio(value: float, true: Any, size: Any) -> float:
        if not (math.isfinite(value) and exact.mp.isfinite(true)):
            return 0.0 if value == true or (math.isnan(value) and exact.mp.isnan(true)) else math.inf
        size = size if exact.mp.isfinite(size) else abs(true)
        return float(abs(value - true) / (u * max(size, smallest)))

    elements = zip(got.flat, np.asarray(truth).flat, np.asarray(scale).flat, strict=True)
    return np.reshape([ratio(float(value), true, size) for value, true, size in elements], got.shape)


def error(got: Any, truth: Any) -> float:
    """Max |got − truth| / max |truth| over what is finite in the truth; 0 where that is below all normal numbers."""
    pairs = [(float(value), true) for value, true in zip(got.flat, np.asarray(truth).flat, strict=True) if exact.mp.isfinite(true)]
    largest = max((abs(true) for _, true in pairs), default=0)
    if largest < np.finfo(np.float64).smallest_normal:
        return 0.0
    return float(max(abs(value - true) for value, true in pairs) / largest)


def grad_output_for(operation: Operation, case: Case, dtype: Any) -> Any:
    """Random numbers in the shape of the output."""
    output = oracle.forward(operation.torch, case.build(operation.name, dtype), case.constants)
    generator = np.random.default_rng(len(case.label))
    return np.asarray(generator.standard_normal(output.shape)).astype(output.dtype)


def differentiable(case: Case, arrays: tuple[Any, ...]) -> tuple[bool, ...]:
    """Of each positional array, whether there is a gradient to be had."""
    floats = (array is not None and array.dtype.kind == "f" for array in arrays)
    return tuple(is_float and position not in case.no_grad for position, is_float in enumerate(floats))


@cache
def _reference(operation: Operation, case: Case, dtype: str) -> tuple[Any, Any, exact.Truth]:
    arrays = case.build(operation.name, dtype)
    wanted = differentiable(case, arrays)
    grad_output = grad_output_for(operation, case, dtype)
    grad_output.flags.writeable = False  # it is shared by all who measure this case
    theirs = oracle.run(operation.torch, arrays, case.constants, grad_output, wanted)
    if case.judge == "definition":
        how = operation.pointwise, operation.slope_terms
        truth = exact.evaluate(operation.definition, arrays, case.constants, grad_output, wanted, *how)
    else:
        truth = _torch_is_right(*theirs)
    return grad_output, theirs, truth


def reference(operation: Operation, case: Case, dtype: Any) -> tuple[Any, tuple[Any, tuple[Any, ...]], exact.Truth]:
    """A random cotangent, torch's output and gradients, and the truth; computed once for a case and dtype."""
    return _reference(operation, case, str(np.dtype(dtype)))


def _torch_is_right(output: Any, grads: tuple[Any, ...]) -> exact.Truth:
    values = [None if array is None else exact.exactly(array) for array in (output, *grads)]
    scales = [None if array is None else np.asarray(abs(array), dtype=object) for array in values]  # 0-d, abs gives no array
    return exact.Truth(values[0], scales[0], tuple(values[1:]), tuple(scales[1:]))


def measure(
    operation: Operation, case: Case, dtype: Any, function: Callable[..., Any] | None = None, arrays: Any = None
) -> Agreement:
    """Run a case on `manual` and on torch, and hold both against the truth.

    `function` stands in for the operation (one broken on purpose, say), and `arrays` for the case's own (the same numbers in
    another memory layout).
    """
    grad_output, (torch_output, torch_grads), truth = reference(operation, case, dtype)
    arrays = case.build(operation.name, dtype) if arrays is None else arrays
    record = Record(operation.name, case.label, dtype, case.torch_loses)
    try:
        output, backward = (function or operation.manual)(*arrays, **case.constants)
        grads = backward(grad_output)
    except Exception as exception:
        record.complain(f"raised {exception!r}")
        return record.agreement()
    x = arrays[0] if operation.pointwise else None
    record.compare("output", output, torch_output, truth.output, truth.output_scale, x)
    if not isinstance(grads, tuple) or len(grads) < len(arrays):
        record.complain(f"backward must return a tuple of {len(arrays)} gradients")
        return record.agreement()
    wanted = differentiable(case, arrays)
    for position, grad in enumerate(grads):
        name = f"grad_{position}"
        if position >= len(wanted) or not wanted[position]:
            if grad is not None:
                record.complain(f"{name} must be None")
            continue
        true = truth.grads[position]
        record.compare(name, grad, torch_grads[position], true, truth.grad_scales[position], x)
        is_zero = all(value == 0 for value in true.flat)
        if true.size and is_zero != (position in case.zero):
            record.complain(f"{name} is {'zero, which proves nothing' if is_zero else 'not zero, as the case says'}")
    return record.agreement()


class Record:
    """Collects what is measured on one case."""

    def __init__(self, operation: str, case: str, dtype: Any, torch_loses: str | None) -> None:
        self.operation, self.case, self.dtype, self.torch_loses = operation, case, np.dtype(dtype), torch_loses
        self.quantities: list[Quantity] = []
        self.complaints: list[str] = []

    def complain(self, complaint: str) -> None:
        """Note what is wrong."""
        self.complaints.append(complaint)

    def compare(self, name: str, ours: Any, theirs: Any, truth: Any, scale: Any, x: Any = None) -> None:
        """Hold an array of ours and torch's against the truth; `x` is the input that belongs to each element, if one does."""
        if not isinstance(ours, (np.ndarray, np.floating)):
            self.complain(f"{name} must be an array, got {type(ours).__name__}")
            return
        if ours.dtype != self.dtype or ours.shape != truth.shape:
            self.complain(f"{name} must be {self.dtype} of shape {truth.shape}, got {ours.dtype} of shape {ours.shape}")
            return
        truth = exact.overflowed(truth, self.dtype)
        mine, torchs = ratios(ours, truth, scale), ratios(theirs, truth, scale)
        worst, torchs_worst = float(mine.max(initial=0)), float(torchs.max(initial=0))

        def element(ratios: Any) -> Element:
            at = np.unravel_index(ratios.argmax(), ratios.shape)
            place = str([int(index) for index in at]) if x is None else f"x = {x[at]}"
            true = truth[at] if not 2 * abs(truth[at]) < np.finfo(self.dtype).smallest_subnormal else 0
            digits = exact.mp.nstr(exact.mp.mpf(true), 10)
            return Element(place, float(theirs[at]), digits, float(np.asarray(ours)[at]), float(mine[at]))

        lost = element(torchs) if torchs_worst > LIMIT else None
        self.quantities.append(Quantity(name, error(ours, truth), worst, torchs_worst, lost))
        if not worst <= LIMIT:
            here = element(mine)
            self.complain(f"{name}: r = {worst:.3g}, allowed {LIMIT:.3g}: {here.ours:.10g} at {here.place}, in truth {here.truth}")
        if lost and self.torch_loses == "":
            self.complain(f"{name}: torch is off by r = {torchs_worst:.3g}, and the case does not say why")

    def agreement(self) -> Agreement:
        """What was collected."""
        quantities, complaints = tuple(self.quantities), tuple(self.complaints)
        return Agreement(self.operation, self.case, str(self.dtype), quantities, complaints, self.torch_loses)


def measure_module(case: ModuleCase, dtype: Any) -> Agreement:
    """Carry the state of a module across, and compare output, gradients of the inputs and of every parameter.

    The judge is torch in float64, on the same numbers; the scale is the largest |J|ᵀ|g| of an array, from torch's Jacobian. (The
    operations within have their own cases, judged element by element; here it is the wiring that is under test.) Several outputs
    are compared as one, laid end to end.
    """
    ours = case.module.construct(manual, lambda a: a.astype(dtype) if isinstance(a, np.ndarray) else a)
    generator = np.random.default_rng(len(case.inputs.label))
    for parameter in ours.parameters():  # the same numbers at every run
        parameter.data = generator.standard_normal(parameter.data.shape).astype(dtype)
    inputs = case.inputs.build(case.name, dtype)
    record = Record(case.name, case.inputs.label, dtype, case.inputs.torch_loses)
    theirs, judge = (_TorchSide(case, ours, inputs, kind) for kind in (np.dtype(dtype), np.dtype(np.float64)))
    grad_output = np.random.default_rng(0).standard_normal(theirs.output.shape).astype(dtype)
    try:
        output, backward = ours(*inputs)
        if isinstance(output, tuple):
            grad_output_parts = np.split(grad_output, np.cumsum([part.size for part in output])[:-1])
            grads = backward(tuple(grad.reshape(part.shape) for grad, part in zip(grad_output_parts, output, strict=True)))
            output = np.concatenate([part.reshape(-1) for part in output])
        else:
            grads = backward(grad_output)
    except Exception as exception:
        record.complain(f"raised {exception!r}")
        return record.agreement()
    true_grads, their_grads = judge.gradients(grad_output), theirs.gradients(grad_output)
    scales = judge.scales(grad_output)
    truth = judge.output.detach().numpy()
    record.compare("output", output, theirs.output.detach().numpy(), truth, judge.output_scale())
    found = {f"grad_{name}": parameter.grad for name, parameter in ours.named_parameters()}
    found |= {f"grad_{position}": grads[position] for position in range(len(inputs))}
    for name, grad in found.items():
        if name not in true_grads:
            if grad is not None:
                record.complain(f"{name} must be None")
            continue
        record.compare(name, grad, their_grads[name], true_grads[name], scales[name])
    return record.agreement()


class _TorchSide:
    """The torch module with the state of ours, run on the same inputs in a dtype."""

    def __init__(self, case: ModuleCase, ours: manual.Module, inputs: tuple[Any, ...], dtype: Any) -> None:
        kind = getattr(torch, str(dtype))
        module = case.module.construct(torch.nn, lambda a: torch.tensor(a, dtype=kind) if isinstance(a, np.ndarray) else a).to(kind)
        module.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
        floats = [array.dtype.kind == "f" for array in inputs]
        tensors = [
            torch.tensor(array.astype(dtype) if is_float else array, requires_grad=is_float)
            for array, is_float in zip(inputs, floats, strict=True)
        ]
        output = case.torch(module)(*tensors)
        self.output = torch.cat([part.reshape(-1) for part in output]) if isinstance(output, tuple) else output
        self.leaves = {f"grad_{name}": parameter for name, parameter in module.named_parameters()}
        self.leaves |= {f"grad_{i}": tensor for i, tensor in enumerate(tensors) if tensor.requires_grad}

    def gradients(self, grad_output: Any) -> dict[str, Any]:
        """The gradient of every parameter and floating-point input."""
        cotangent = torch.tensor(grad_output, dtype=self.output.dtype)
        grads = torch.autograd.grad(self.output, list(self.leaves.values()), cotangent, retain_graph=True)
        return {name: grad.numpy() for name, grad in zip(self.leaves, grads, strict=True)}

    def scales(self, grad_output: Any) -> dict[str, Any]:
        """|J|ᵀ|g| for each of them."""
        scales = oracle.condition(self.output, grad_output, list(self.leaves.values()))
        return {name: np.full_like(scale, scale.max(initial=0)) for name, scale in zip(self.leaves, scales, strict=True)}

    def output_scale(self) -> Any:
        """The largest |y| + |J||x|, x all leaves."""
        leaves = list(self.leaves.values())
        scale = np.zeros(tuple(self.output.shape))
        for index in np.ndindex(scale.shape):
            grads = torch.autograd.grad(self.output[index], leaves, retain_graph=True)
            scale[index] = sum(float((grad * leaf).detach().abs().sum()) for grad, leaf in zip(grads, leaves, strict=True))
        return np.full_like(scale, (scale + self.output.abs().detach().numpy()).max(initial=0))
