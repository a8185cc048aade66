"""State dicts of optimizers and schedules, from `manual` to torch and back: arrays and tensors for one another, at any depth."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from manual import RowGradient


def to_torch(state_dict: Any) -> Any:
    """The same with tensors, for `load_state_dict` of torch's namesake."""
    return _each(state_dict, _tensor)


def to_manual(state_dict: Any) -> Any:
    """The same with arrays, for `load_state_dict` of our namesake."""
    return _each(state_dict, _array)


def _each(value: Any, convert: Callable[[Any], Any]) -> Any:
    if type(value) is dict:
        return {key: _each(each, convert) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_each(each, convert) for each in value)
    return convert(value)


def _tensor(value: Any) -> Any:
    if isinstance(value, RowGradient):
        indices, rows = torch.tensor(value.indices), torch.tensor(value.rows)
        return torch.sparse_coo_tensor(indices[None], rows, value.shape, check_invariants=True)
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def _array(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    if not value.is_sparse:
        return value.detach().cpu().numpy().copy()
    value = value.coalesce()
    return RowGradient(value.indices()[0].numpy().copy(), value.values().numpy().copy(), tuple(value.shape))
