"""Arrays by name in files of `.safetensors`, half precision among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from manual.contract import Array
from manual.weights import FORMATS
from reference.formats import format_of

OF_HALF = {"F16": "float16", "BF16": "bfloat16"}


def packed(arrays: Mapping[str, Array]) -> bytes:
    """A file that holds these arrays; the same ones make the same bytes."""
    return safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in arrays.items()})


def unpacked(data: bytes) -> dict[str, Array]:
    """The arrays that a file holds; ValueError where it is damaged, or holds anything but numbers and truth values."""
    try:
        entries = safetensors.deserialize(data)
    except SafetensorError as problem:
        raise ValueError(f"no .safetensors file, or a damaged one: {problem}") from None
    return {name: np.frombuffer(entry["data"], _dtype(name, entry["dtype"])).reshape(entry["shape"]) for name, entry in entries}


def _dtype(name: str, found: str) -> np.dtype[Any]:
    if found in OF_HALF:
        return format_of(OF_HALF[found])
    if found not in FORMATS:
        raise ValueError(f"{name} must hold one of {', '.join((*FORMATS, *OF_HALF))}, got {found}")
    return np.dtype(FORMATS[found])
