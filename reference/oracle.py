"""The same arrays into torch, its outputs and its gradients back."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from reference import structure
from reference.exact import Exact, exactly


def to_torch(array: Any, requires_grad: bool = False) -> Any:
    """An array as a tensor of its own; anything else as it is."""
    if not isinstance(array, (np.ndarray, np.generic)):
        return array
    if array.dtype.name == "bfloat16":  # which torch cannot read from NumPy, nor NumPy from torch: the bits go over as integers
        return torch.tensor(np.asarray(array).view(np.int16)).view(torch.bfloat16).requires_grad_(requires_grad)
    return torch.tensor(np.asarray(array), requires_grad=requires_grad)


def to_numpy(tensor: torch.Tensor) -> Any:
    """A tensor as an array, a sparse one too, and one on another device."""
    tensor = tensor.detach().to_dense().cpu()
    if tensor.dtype == torch.bfloat16:
        from ml_dtypes import bfloat16  # needed by those alone who compute in it

        return tensor.view(torch.int16).numpy().view(bfloat16)
    return tensor.numpy()


def forward(function: Callable[..., Any], arguments: tuple[Any, ...], constants: dict[str, Any]) -> Any:
    """Torch's output, without gradients."""
    with torch.no_grad():
        return structure.apply(to_numpy, function(*structure.apply(to_torch, arguments), **constants))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread, where results do not depend on which of several is faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def narrowed(wide: Mapping[str, Any], results: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Torch's results in half precision; where it cannot compute in that, `None` in place of the floating-point ones of `wide`."""
    try:
        return results()
    except (NotImplementedError, RuntimeError):  # "not implemented for 'Half'", in several words
        return {name: None if structure.is_float(array) else array for name, array in wide.items()}


MANY = 300  # elements of an output


class Uses(TorchFunctionMode):
    """Notes what torch computes directly from certain tensors: of each, by name, the functions and their outputs."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.tensors = tensors
        self.noted: dict[str, list[tuple[Callable[..., Any], torch.Tensor]]] = {name: [] for name in tensors}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, and note it."""
        given = [*args, *(kwargs or {}).values()]
        output = function(*args, **(kwargs or {}))
        for name, tensor in self.tensors.items():
            if isinstance(output, torch.Tensor) and output.requires_grad and any(each is tensor for each in given):
                self.noted[name].append((_alone(function, args, kwargs or {}, tensor), output))
        return output


def _alone(function: Callable[..., Any], args: Any, kwargs: Any, tensor: torch.Tensor) -> Callable[..., Any]:
    """A function of torch as one of a single tensor among its arguments; the others are copies, as some are changed in place."""

    def each(argument: Any, given: torch.Tensor) -> Any:
        if argument is tensor:
            return given
        return argument.detach().clone() if isinstance(argument, torch.Tensor) else argument

    args, kwargs = [each(a, tensor) for a in args], {key: each(a, tensor) for key, a in kwargs.items()}

    def function_of(given: torch.Tensor) -> Any:
        return function(*(each(a, given) for a in args), **{key: each(a, given) for key, a in kwargs.items()})

    return function_of


class Call:
    """A call of torch, and autograd from its outputs back to what is wanted, by name: gradients of arguments and of parameters."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        constants: dict[str, Any],
        wanted: Container[str],
        parameters: Mapping[str, torch.Tensor] | None = None,
        zero: Container[str] = (),
    ) -> None:
        tensors = {name: to_torch(leaf, name in wanted) for name, leaf in structure.named_gradients(arguments).items()}
        self._leaves = {f"grad_{name}": parameter for name, parameter in (parameters or {}).items()}
        self._leaves |= {name: tensor for name, tensor in tensors.items() if name in wanted}
        of_zero = Uses({name: leaf for name, leaf in self._leaves.items() if name in zero})
        with of_zero if of_zero.tensors else nullcontext():
            self.output = function(*structure.rebuild(arguments, tensors.values()), **constants)
        self._uses = of_zero.noted
        self._outputs = structure.named(self.output, "output")

    def results(self, grad_output: Any, again: bool = False) -> dict[str, Any]:
        """The outputs and the gradients; this can be had once, unless autograd is told that it will be asked again."""
        cotangents = structure.named(grad_output, "output")
        outputs = {name: None if tensor is None else to_numpy(tensor) for name, tensor in self._outputs.items()}
        pairs = [(self._outputs[name], cotangent) for name, cotangent in cotangents.items() if cotangent is not None]
        return outputs | self._gradients(pairs, again)

    def exactly(self, grad_output: Any) -> dict[str, Exact]:
        """The same as truth. The scale of an array is the largest of its elements', |J|ᵀ|g| or |y| + |J||x| with J the Jacobian,
        which takes a backward pass for each element of an output.

        A gradient that is zero by cancellation, as of a bias before batch norm, comes out of any arithmetic as noise. So the truth
        of one that is said to be zero is 0, and its scale that of the functions which take the array, with the cotangent that
        arrives there.
        """
        results = self.results(grad_output, again=True)
        scales: dict[str, Any] = {name: np.zeros(leaf.shape) for name, leaf in self._leaves.items()}
        for name, cotangent in structure.named(grad_output, "output").items():
            if cotangent is None:
                continue
            scales[name] = np.array(abs(results[name]))
            for leaf, rows in self._jacobian(self._outputs[name]).items():
                scales[leaf] += np.tensordot(abs(cotangent), abs(rows), cotangent.ndim)
                numbers = np.where(rows == 0.0, 0.0, to_numpy(self._leaves[leaf]))  # a mask has −∞ where nothing depends on it
                through = abs(rows * numbers)
                scales[name] += through.sum(axis=tuple(range(cotangent.ndim, through.ndim)))
        for name, uses in self._uses.items():
            results[name] = np.zeros_like(results[name])
            scales[name] = sum((self._of_use(*use, self._leaves[name], grad_output) for use in uses), start=results[name])
        return {name: Exact(exactly(results[name]), exactly(np.full_like(s, s.max(initial=0)))) for name, s in scales.items()}

    def _of_use(self, function: Callable[..., Any], output: torch.Tensor, leaf: torch.Tensor, grad_output: Any) -> Any:
        """|J|ᵀ|g| of one function of this leaf, with the cotangent g that arrives at its output."""
        cotangents = structure.named(grad_output, "output")
        outputs = [self._outputs[name] for name, g in cotangents.items() if g is not None]
        given = [torch.tensor(g) for g in cotangents.values() if g is not None]
        (grad,) = torch.autograd.grad(outputs, [output], given, retain_graph=True, materialize_grads=True)
        own = Call(function, (to_numpy(leaf),), {}, {"grad_0"})
        return own.exactly(to_numpy(grad))["grad_0"].scale.astype(float)

    def _jacobian(self, output: torch.Tensor) -> dict[str, Any]:
        """Of each element of an output the derivatives by each leaf: all at once where there are many, or else one by one, as torch
        does not have every operation for several cotangents.
        """
        shape = tuple(output.shape)
        if output.numel() > MANY:
            each = torch.eye(output.numel(), dtype=output.dtype).reshape(*shape, *shape).flatten(0, len(shape) - 1)
            leaves = list(self._leaves.values())
            grads = torch.autograd.grad(output, leaves, each, retain_graph=True, is_grads_batched=True, materialize_grads=True)
            return {name: to_numpy(grad).reshape(shape + grad.shape[1:]) for name, grad in zip(self._leaves, grads, strict=True)}
        rows = [self._gradients([(output[index], np.ones(()))], again=True) for index in np.ndindex(shape)]
        return {
            name: np.array([row[name] for row in rows]).reshape(shape + tuple(leaf.shape)) for name, leaf in self._leaves.items()
        }

    def _gradients(self, pairs: list[tuple[torch.Tensor, Any]], again: bool) -> dict[str, Any]:
        """The gradients that come from these outputs with these cotangents."""
        reached = [(output, to_torch(cotangent).to(output)) for output, cotangent in pairs if output.requires_grad]
        if not (reached and self._leaves):
            return {name: np.zeros(leaf.shape, to_numpy(leaf).dtype) for name, leaf in self._leaves.items()}
        outputs, cotangents = zip(*reached)
        grads = torch.autograd.grad(outputs, list(self._leaves.values()), cotangents, retain_graph=again, materialize_grads=True)
        return {name: to_numpy(grad) for name, grad in zip(self._leaves, grads, strict=True)}
