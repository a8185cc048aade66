"""Floating-point formats: NumPy's own, and bfloat16, which the package ml_dtypes brings to NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.installation import how_to_install

FORMATS = ("float64", "float32", "float16", "bfloat16")
HALF = FORMATS[2:]  # those in which `manual` does not compute


def format_of(dtype: Any) -> np.dtype[Any]:
    """The dtype of one of these formats, by its name or as it is."""
    if str(dtype) == "bfloat16":
        return np.dtype(_ml_dtypes().bfloat16)
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.name not in FORMATS:
        raise ValueError(f"dtype must be one of {', '.join(FORMATS)}, got {dtype!r}")
    return found


def finfo(dtype: Any) -> Any:
    """The limits of a format, as of np.finfo."""
    if np.dtype(dtype).kind == "f":
        return np.finfo(dtype)
    return _ml_dtypes().finfo(dtype)


def _ml_dtypes() -> Any:
    try:
        import ml_dtypes
    except ModuleNotFoundError as missing:
        said = f"bfloat16 needs {missing.name}; install it with: {how_to_install('oracle')}"
        raise ModuleNotFoundError(said, name=missing.name) from missing
    return ml_dtypes
