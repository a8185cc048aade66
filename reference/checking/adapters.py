"""What people have, as functions that can be checked.

What can be checked has the contract of `manual`: `output, backward = function(*arrays, **constants)`, on arrays of NumPy, and
`backward(grad_output)` is a tuple of one gradient for each positional argument, in that argument's structure, `None` where there is
none. In a cotangent `None` stands for zeros; integers have no other. A function that saves what its backward needs is nearly there:

    def silu(x):
        output, saved = silu_forward(x)
        return output, lambda grad_output: (silu_backward(grad_output, saved),)

An adapter makes such a function of something else, and shows its signature.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any

import numpy as np
import torch

from manual.trees import mapped
from reference import oracle, structure
from reference.installation import how_to_install

Function = Callable[..., Any]

REFUSAL = "is not differentiable with respect to argument"  # what torch says of an input that must not require a gradient


def from_pair(forward: Function, backward: Function) -> Function:
    """Two functions: `forward(*arrays, **constants)` returns the output, `backward(grad_output, *arrays, **constants)` a tuple of
    gradients; of a single array it may be the gradient alone.

    The cotangent has zeros in place of `None`, except where the output holds integers.

        def silu(x):
            return x / (1 + np.exp(-x))

        def grad_silu(grad_output, x):
            p = 1 / (1 + np.exp(-x))
            return grad_output * (p + x * p * (1 - p))

        report = check("silu", from_pair(silu, grad_silu))
    """

    @_with_signature_of(forward)
    def function(*arrays: Any, **constants: Any) -> tuple[Any, Function]:
        output = forward(*arrays, **constants)

        def carry_back(grad_output: Any) -> tuple[Any, ...]:
            grads = backward(_filled(grad_output, output), *arrays, **constants)
            return grads if isinstance(grads, tuple) else (grads,)

        return _plain(output, (np.ndarray, np.generic), np.asarray, "from_pair: forward must return arrays of NumPy"), carry_back

    return function


def from_torch(function: Function, device: str | torch.device = "cpu") -> Function:
    """What autograd of PyTorch differentiates: a function of tensors, the `apply` of a `torch.autograd.Function`, a kernel of any
    language within one, what `torch.compile` returns. Every tensor is moved to the device.

    An argument from which autograd finds no way to the output has a gradient of zeros; one by which PyTorch refuses to
    differentiate, as the weight of a cross-entropy, has none. A second backward runs the forward anew, as a compiled function can
    be gone back through once alone.

        class SiLU(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * torch.sigmoid(x)

            @staticmethod
            def backward(ctx, grad_output):
                (x,) = ctx.saved_tensors
                p = torch.sigmoid(x)
                return grad_output * (p + x * p * (1 - p))

        report = check("silu", from_torch(SiLU.apply))
    """

    def to_device(array: Any) -> torch.Tensor:
        return oracle.to_torch(array).to(device)

    def of_leaves(*leaves: Any, **constants: Any) -> Any:
        arguments = structure.apply(lambda leaf: leaf.to(device), leaves)  # a copy, through which gradients come back
        return function(*arguments, **_with_arrays(to_device, constants))

    @_with_signature_of(function)
    def adapted(*arrays: Any, **constants: Any) -> tuple[Any, Function]:
        leaves = structure.named_gradients(arrays)
        wanted = {name for name, leaf in leaves.items() if structure.is_float(leaf)}

        def call(wanted: set[str]) -> oracle.Call:
            return oracle.Call(of_leaves, arrays, constants, wanted)

        def is_refused(name: str) -> bool:
            try:
                call({name})
            except RuntimeError as error:
                return REFUSAL in str(error)
            return False

        try:
            unused = [call(wanted)]
        except RuntimeError as error:
            if REFUSAL not in str(error):
                raise
            wanted -= {name for name in wanted if is_refused(name)}
            unused = [call(wanted)]
        output = _plain(unused[0].output, torch.Tensor, oracle.to_numpy, "from_torch: the function must return tensors")

        def backward(grad_output: Any) -> Any:
            try:
                fresh = unused.pop()
            except IndexError:
                fresh = call(wanted)
            grads = fresh.results(_filled(grad_output, output))
            return structure.rebuild(arrays, map(grads.get, leaves))

        return output, backward

    return adapted


def from_jax(function: Function) -> Function:
    """A function of JAX's arrays, differentiated by `jax.vjp`; it may be one of `jax.jit`.

    Where an argument is of float64, JAX computes with 64 bits during the call and the backward; otherwise as it is set.

        report = check("softmax", from_jax(lambda x, *, dim: jax.nn.softmax(x, axis=dim)))
    """
    try:
        import jax
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(f"from_jax: {missing.name} is missing; install it with: {how_to_install('peers')}") from missing

    def to_numpy(array: Any) -> Any:
        array = np.asarray(array)
        return array.astype(np.int64) if array.dtype == np.int32 else array  # for want of 64 bits it stands for int64

    def cotangent(leaf: Any, grad: Any) -> Any:
        if leaf is None:
            return None
        return np.zeros(leaf.shape, jax.dtypes.float0) if grad is None else jax.numpy.asarray(grad, leaf.dtype)

    @_with_signature_of(function)
    def adapted(*arrays: Any, **constants: Any) -> tuple[Any, Function]:
        leaves = structure.leaves(arrays)
        numbers = [leaf for leaf in leaves if structure.is_float(leaf)]
        is_long = any(leaf.dtype == np.float64 for leaf in numbers)

        def precision() -> Any:
            return jax.enable_x64(True) if is_long else nullcontext()

        def of_numbers(*traced: Any) -> Any:
            new = iter(traced)
            given = [next(new) if structure.is_float(leaf) else leaf for leaf in leaves]
            given = _with_arrays(jax.numpy.asarray, given)
            return function(*structure.rebuild(arrays, given), **_with_arrays(jax.numpy.asarray, constants))

        with precision():
            output, vjp = jax.vjp(of_numbers, *map(jax.numpy.asarray, numbers))

        def backward(grad_output: Any) -> Any:
            filled = structure.leaves(_filled(grad_output, output))
            with precision():
                grads = iter(vjp(structure.rebuild(output, map(cotangent, structure.leaves(output), filled))))
            return structure.rebuild(arrays, [to_numpy(next(grads)) if structure.is_float(leaf) else None for leaf in leaves])

        return _plain(output, jax.Array, to_numpy, "from_jax: the function must return arrays of JAX"), backward

    return adapted


def _of_tuple(pair: Any) -> Function:
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError(f"a pair must be a tuple (forward, backward), got {type(pair).__name__}")
    return from_pair(*pair)


ADAPTERS: dict[str, Function] = {  # by their names on the command line
    "plain": lambda function: function,
    "pair": _of_tuple,
    "torch": from_torch,
    "jax": from_jax,
}


def _with_signature_of(function: Function) -> Function:
    """Let a function show the signature, name and docstring of another."""
    try:
        inspect.signature(function)
    except ValueError:  # a builtin function that does not tell
        return lambda adapted: adapted
    return wraps(function, updated=())


def _filled(grad_output: Any, output: Any) -> Any:
    """A cotangent in the structure of the output, zeros where it has `None` for numbers."""
    grads = structure.named(grad_output, "output")

    def each(name: str, leaf: Any) -> Any:
        grad = grads.get(name)  # None may stand for a whole tuple
        return np.zeros(leaf.shape, leaf.dtype) if grad is None and structure.is_float(leaf) else grad

    return structure.rebuild(output, [each(*named) for named in structure.named(output, "output").items()])


def _with_arrays(convert: Function, tree: Any) -> Any:
    """The arrays within constants converted, everything else as it is."""
    return mapped(lambda leaf: convert(leaf) if isinstance(leaf, np.ndarray) else leaf, tree)


def _plain(output: Any, kind: Any, to_numpy: Function, expected: str) -> Any:
    """An output as arrays, in plain tuples whatever its own are."""
    if isinstance(output, (tuple, list)):
        return tuple(_plain(part, kind, to_numpy, expected) for part in output)
    if output is None or isinstance(output, kind):
        return None if output is None else to_numpy(output)
    raise TypeError(f"{expected}, or a tuple of them, got {type(output).__name__}")
