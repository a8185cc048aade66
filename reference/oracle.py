"""The same arrays into torch, its outputs and its gradients back."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np
import torch

from reference import structure
from reference.exact import Exact, exactly


def to_torch(array: Any, requires_grad: bool = False) -> Any:
    """An array as a tensor of its own; anything else as it is."""
    if isinstance(array, (np.ndarray, np.generic)):
        return torch.tensor(np.asarray(array), requires_grad=requires_grad)
    return array


def to_numpy(tensor: torch.Tensor) -> Any:
    """A tensor as an array, a sparse one too."""
    return tensor.detach().to_dense().numpy()


def forward(function: Callable[..., Any], arguments: tuple[Any, ...], constants: dict[str, Any]) -> Any:
    """Torch's output, without gradients."""
    with torch.no_grad():
        return structure.apply(to_numpy, function(*structure.apply(to_torch, arguments), **constants))


MANY = 300  # elements of an output


class Call:
    """A call of torch, and autograd from its outputs back to what is wanted, by name: gradients of arguments and of parameters."""

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        constants: dict[str, Any],
        wanted: Container[str],
        parameters: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        tensors = {name: to_torch(leaf, name in wanted) for name, leaf in structure.named_gradients(arguments).items()}
        self.output = function(*structure.rebuild(arguments, tensors.values()), **constants)
        self._outputs = structure.named(self.output, "output")
        self._leaves = {f"grad_{name}": parameter for name, parameter in (parameters or {}).items()}
        self._leaves |= {name: tensor for name, tensor in tensors.items() if name in wanted}

    def results(self, grad_output: Any) -> dict[str, Any]:
        """The outputs and the gradients."""
        cotangents = structure.named(grad_output, "output")
        outputs = {name: None if tensor is None else to_numpy(tensor) for name, tensor in self._outputs.items()}
        pairs = [(self._outputs[name], cotangent) for name, cotangent in cotangents.items() if cotangent is not None]
        return outputs | self._gradients(pairs)

    def exactly(self, grad_output: Any) -> dict[str, Exact]:
        """The same as truth. The scale of an array is the largest of its elements', |J|ᵀ|g| or |y| + |J||x| with J the Jacobian,
        which takes a backward pass for each element of an output.
        """
        results = self.results(grad_output)
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
        return {name: Exact(exactly(results[name]), exactly(np.full_like(s, s.max(initial=0)))) for name, s in scales.items()}

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
        rows = [self._gradients([(output[index], np.ones(()))]) for index in np.ndindex(shape)]
        return {
            name: np.array([row[name] for row in rows]).reshape(shape + tuple(leaf.shape)) for name, leaf in self._leaves.items()
        }

    def _gradients(self, pairs: list[tuple[torch.Tensor, Any]]) -> dict[str, Any]:
        """The gradients that come from these outputs with these cotangents."""
        reached = [(output, torch.tensor(cotangent, dtype=output.dtype)) for output, cotangent in pairs if output.requires_grad]
        if not (reached and self._leaves):
            return {name: np.zeros(leaf.shape, to_numpy(leaf).dtype) for name, leaf in self._leaves.items()}
        outputs, cotangents = zip(*reached)
        grads = torch.autograd.grad(outputs, list(self._leaves.values()), cotangents, retain_graph=True, materialize_grads=True)
        return {name: to_numpy(grad) for name, grad in zip(self._leaves, grads, strict=True)}
