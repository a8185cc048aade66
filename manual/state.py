"""Arrays written into the arrays that a module or an optimizer already has: all of them, or none where one does not fit."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from manual.contract import Array
from manual.parameter import HOW_TO_INITIALIZE, UninitializedBuffer, UninitializedParameter

UNINITIALIZED = UninitializedParameter, UninitializedBuffer


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it had no use for: both are empty where it is strict."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(
    owner: str, own: Mapping[str, Any], state_dict: Mapping[str, Any], strict: bool
) -> tuple[IncompatibleKeys, dict[str, Array]]:
    """Copy what the state dict holds into the arrays of the same names. For what has no shape yet, and so no array, the copies are
    returned.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"{owner}.load_state_dict: state_dict must be a mapping of names to arrays, got {type(state_dict).__name__}"
        )
    missing = [name for name in own if name not in state_dict]
    unexpected = [name for name in state_dict if name not in own]
    problems = [f"the key {name!r} must be a string" for name in unexpected if not isinstance(name, str)]
    if strict and missing:
        problems.append(f"missing {', '.join(missing)}")
    if strict and unexpected:
        problems.append(f"unexpected {', '.join(map(str, unexpected))}")
    new = {}
    for name, array in own.items():
        without_shape = isinstance(array, UNINITIALIZED)
        if name not in state_dict or (without_shape and isinstance(state_dict[name], UNINITIALIZED)):
            continue
        if not without_shape and not (isinstance(array, np.ndarray) and array.flags.writeable):
            problems.append(f"{name} must be an array that can be written to")
            continue
        try:
            new[name] = converted(name, state_dict[name], None if without_shape else array.shape, array.dtype)
        except (TypeError, ValueError) as problem:
            problems.append(str(problem))
    if problems:
        raise ValueError(f"{owner}.load_state_dict: {'; '.join(problems)}")
    shaped = {name: new.pop(name) for name in list(new) if isinstance(own[name], UNINITIALIZED)}
    for name, array in new.items():
        own[name][...] = array  # of the same shape and dtype: nothing is left that could fail
    return IncompatibleKeys(missing, unexpected), shaped


def converted(name: str, value: Any, shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> Array:
    """A copy of an array, a list or a CPU tensor in this dtype; refused where its shape is another (`None` takes any) or where it
    holds no numbers.
    """
    if isinstance(value, UNINITIALIZED):
        how = f"{HOW_TO_INITIALIZE}, where it comes from"
        raise TypeError(f"{name} must hold numbers, got {type(value).__name__}; {how}")
    try:
        array = np.asarray(value)
    except Exception as problem:  # whatever an object answers when it is asked for its numbers
        raise TypeError(f"{name} must hold numbers, got {type(value).__name__} ({problem})") from problem
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold numbers, got {type(value).__name__ if array.dtype == object else array.dtype}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    with np.errstate(over="ignore"):  # what is too large for the dtype becomes infinite, as in torch
        return np.array(array, dtype)
