"""All parameters as one vector, and back."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from manual.contract import Array
from manual.parameter import HOW_TO_INITIALIZE, Parameter

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Parameter]) -> Array:
    """The numbers of all parameters in one new vector, one parameter after the other, each row by row."""
    every = _parameters("parameters_to_vector", parameters)
    if not every:
        raise ValueError("parameters_to_vector: parameters must hold at least one parameter, got none")
    return np.concatenate([parameter.data.ravel() for parameter in every])


def vector_to_parameters(vec: Array, parameters: Iterable[Parameter]) -> None:
    """Copy the numbers of a vector into the parameters, in the order of `parameters_to_vector`.

    Where torch lets the parameters share the vector's memory, here they keep their own, and their dtype.
    """
    op, every = "vector_to_parameters", _parameters("vector_to_parameters", parameters)
    if not isinstance(vec, np.ndarray) or vec.dtype.kind != "f":
        got = vec.dtype if isinstance(vec, np.ndarray) else type(vec).__name__
        raise TypeError(f"{op}: vec must be a NumPy array of floating-point numbers, got {got}")
    ends = np.cumsum([parameter.size for parameter in every], dtype=int)
    if vec.shape != (expected := (ends[-1] if every else 0,)):
        raise ValueError(f"{op}: vec must have shape {tuple(map(int, expected))}, got {vec.shape}")
    for parameter in every:
        if not parameter.data.flags.writeable:
            raise ValueError(f"{op}: parameters must not be read-only")
    for parameter, part in zip(every, np.split(vec, ends[:-1]), strict=True):
        parameter.data[...] = part.reshape(parameter.shape)


def _parameters(op: str, parameters: Any) -> list[Parameter]:
    every = list(parameters)
    for i, parameter in enumerate(every):
        if not isinstance(parameter, Parameter):
            raise TypeError(f"{op}: parameters[{i}] must be a Parameter, got {type(parameter).__name__}")
        if parameter.data is None:
            raise ValueError(f"{op}: parameters[{i}] must have a shape, got an UninitializedParameter; {HOW_TO_INITIALIZE}")
    return every
