"""Weights in files: `.safetensors` and `.npz`, by the names of the state dict. Nothing is pickled, and no file can run code."""

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from manual.contract import Array
from manual.files import written_whole
from manual.module import Module
from manual.state import IncompatibleKeys

__all__ = ["load_weights", "read_weights", "save_weights"]

PathLike = str | os.PathLike[str]

# What safetensors calls the formats that a state dict has
FORMATS = {
    "F32": "<f4",
    "F64": "<f8",
    "BOOL": "?",
    **{f"{sign}{8 * size}": f"<{kind}{size}" for sign, kind in (("I", "i"), ("U", "u")) for size in (1, 2, 4, 8)},
}
DTYPES = {np.dtype(name).newbyteorder("=") for name in FORMATS.values()}
KINDS = {"f": "floating-point numbers", "i": "integers", "u": "integers", "b": "True and False"}
EXPECTED = "float32, float64, integers or bool"


def save_weights(weights: Module | Mapping[str, Array], path: PathLike) -> None:
    """Write the state dict of a module, or one that is given, to a file whose ending says how: `.safetensors` or `.npz`.

    The file is written whole or not at all: beside its place first, then put there. `.safetensors` needs the package safetensors,
    whose `safetensors.torch.load_file` reads it.
    """
    _, write = _format(path)
    state = weights.state_dict() if isinstance(weights, Module) else weights
    if not isinstance(state, Mapping):
        raise TypeError(f"save_weights: weights must be a Module or a mapping of names to arrays, got {type(weights).__name__}")
    arrays = {}
    for name, array in state.items():
        if not isinstance(name, str):
            raise TypeError(f"save_weights: a name must be a string, got {name!r}")
        if not isinstance(array, np.ndarray) or array.dtype.newbyteorder("=") not in DTYPES:
            got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"save_weights: {name} must be an array of {EXPECTED}, got {got}")
        arrays[name] = np.array(array, array.dtype.newbyteorder("<"), order="C")
    with written_whole(Path(path)) as file:
        write(file, arrays)


def read_weights(path: PathLike) -> dict[str, Array]:
    """The arrays of a file by name, as `save_weights`, `np.savez` or `safetensors.torch.save_file` wrote them.

    A file that is cut off, damaged or of another kind, and an array of anything but float32, float64, integers and bool is refused.
    (`.npz` has check sums, so that any changed byte of an array is noticed; of `.safetensors` only the header can be checked.)
    """
    read, _ = _format(path)
    data = Path(path).read_bytes()
    try:
        return read(data)
    except ImportError:
        raise
    except _OtherFormatError as problem:
        raise TypeError(f"{path}: {problem}") from None
    except Exception as problem:  # whatever a reader runs into
        raise ValueError(f"{path} is damaged, or no {Path(path).suffix} file: {problem or type(problem).__name__}") from problem


def load_weights(module: Module, path: PathLike, strict: bool = True) -> IncompatibleKeys:
    """Copy the arrays of a file into the parameters and buffers of the same names; where anything does not fit, nothing is changed.

    float32 and float64 are converted into one another, and so are integers of several sizes, but neither kind into the other.
    `strict=False` passes over missing and surplus names, which are returned.
    """
    if not isinstance(module, Module):
        raise TypeError(f"load_weights: module must be a Module, got {type(module).__name__}")
    arrays, own = read_weights(path), module.state_dict()
    problems = [
        f"{name} must hold {KINDS[own[name].dtype.kind]}, got {array.dtype}"
        for name, array in arrays.items()
        if name in own and KINDS[array.dtype.kind] != KINDS[own[name].dtype.kind]
    ]
    if problems:
        raise TypeError(f"{path}: {'; '.join(problems)}")
    try:
        return module.load_state_dict(arrays, strict)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


class _OtherFormatError(Exception):
    """An array that is whole, but of another format."""


def _format(path: PathLike) -> tuple[Callable[[bytes], dict[str, Array]], Callable[[Path, dict[str, Array]], None]]:
    formats = {".safetensors": (_from_safetensors, _to_safetensors), ".npz": (_from_npz, _to_npz)}
    suffix = Path(path).suffix
    if suffix not in formats:
        raise ValueError(f"{path}: the name of a file of weights must end in .safetensors or .npz")
    return formats[suffix]


def _to_npz(file: Path, arrays: dict[str, Array]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _from_npz(data: bytes) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name == info.filename or name in arrays:
                raise ValueError(f"{info.filename} is {'there twice' if name in arrays else 'no array'}")
            member = io.BytesIO(archive.read(info))  # which compares the check sum
            arrays[name] = _native(name, np.lib.format.read_array(member, allow_pickle=False))
            if member.read(1):
                raise ValueError(f"{info.filename} is longer than its array")
    return arrays


def _to_safetensors(file: Path, arrays: dict[str, Array]) -> None:
    _safetensors().numpy.save_file(arrays, file)


def _from_safetensors(data: bytes) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for name, entry in _safetensors().deserialize(data):
        if entry["dtype"] not in FORMATS:
            raise _OtherFormatError(f"{name} must hold {EXPECTED}, got {entry['dtype']}")
        arrays[name] = _native(name, np.frombuffer(entry["data"], FORMATS[entry["dtype"]]).reshape(entry["shape"]))
    return arrays


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ModuleNotFoundError("files of .safetensors need the package safetensors: python -m pip install safetensors") from None
    return safetensors


def _native(name: str, array: Array) -> Array:
    """A copy in the byte order of this machine."""
    dtype = array.dtype.newbyteorder("=")
    if dtype not in DTYPES:
        raise _OtherFormatError(f"{name} must hold {EXPECTED}, got {array.dtype}")
    return np.array(array, dtype, order="C")
