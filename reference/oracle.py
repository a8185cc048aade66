"""The same arrays into torch, its output and its gradients back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def to_torch(array: Any, requires_grad: bool = False) -> Any:
    """An array as a tensor of its own; anything else as it is."""
    if isinstance(array, (np.ndarray, np.generic)):
        return torch.tensor(np.asarray(array), requires_grad=requires_grad)
    return array


def forward(function: Callable[..., Any], arrays: tuple[Any, ...], constants: dict[str, Any]) -> Any:
    """Torch's output, without gradients."""
    with torch.no_grad():
        return function(*[to_torch(array) for array in arrays], **constants).numpy()


def run(
    function: Callable[..., Any],
    arrays: tuple[Any, ...],
    constants: dict[str, Any],
    grad_output: Any,
    differentiable: tuple[bool, ...],
) -> tuple[Any, tuple[Any, ...]]:
    """Torch's output, and autograd's gradients of the differentiable arrays (None for the others)."""
    tensors = [to_torch(array, wanted) for array, wanted in zip(arrays, differentiable, strict=True)]
    output = function(*tensors, **constants)
    wanted = [tensor for tensor, wanted in zip(tensors, differentiable, strict=True) if wanted]
    grads = iter(torch.autograd.grad(output, wanted, to_torch(grad_output)) if wanted else ())
    return output.detach().numpy(), tuple(next(grads).numpy() if wanted else None for wanted in differentiable)


def condition(output: torch.Tensor, grad_output: Any, tensors: list[torch.Tensor]) -> list[Any]:
    """|J|ᵀ|g| of each tensor, from one backward pass for each element of the output."""
    scales = [np.zeros(tuple(tensor.shape)) for tensor in tensors]
    for element, weight in zip(output.flatten(), np.abs(grad_output).flat, strict=True):
        grads = torch.autograd.grad(element, tensors, retain_graph=True, allow_unused=True)
        for scale, grad in zip(scales, grads, strict=True):
            if grad is not None:
                scale += np.abs(grad.numpy()) * weight
    return scales
