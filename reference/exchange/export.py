"""Writing the catalogue down, for programs in any language."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

import manual
from manual.contract import Array
from manual.files import folder_written_whole
from reference.case import Operation
from reference.cases import OPERATIONS
from reference.catalogue import choose, in_processes
from reference.exchange.manifest import LeftOut, Task, Written, count, written
from reference.exchange.reading import FORMAT, INDEX, VERSION, Export, RefusedError, digest, read_index, sealed, text
from reference.exchange.tensors import packed
from reference.formats import finfo, format_of

PAGES = {"schema.json": "schema.json", "README.md": "format.md"}  # as they are called in an export, and here


def chosen(names: Sequence[str] = ()) -> list[Operation]:
    """The operations that bear one of these names or stand in one of these chapters; all of them if there are no names."""
    entries = choose(names)
    for name in names:
        if all(entry.is_module for entry in entries if name.rstrip("/") in entry.names):
            raise ValueError(f"{name!r} is no operation: modules are not exported, as they compute what operations do")
    return [OPERATIONS[entry.name] for entry in entries if not entry.is_module]


def export(
    directory: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    dtype: str = "float32",
    seed: int = 0,
    done: Callable[[str], None] = lambda name: None,
) -> Export:
    """Write the cases of operations in a dtype, on the numbers that a seed draws, with the truth of each, to a directory.

    `names` are operations or chapters; without them, everything is written. A directory that is there already must be empty, or an
    export, which is replaced. It is written whole or not at all, and the same again at each call. `done` is called with the name of
    the operation after each case.
    """
    if isinstance(names, str):
        raise TypeError(f"export: names must be a list of names, got {names!r}")
    operations, dtype, seed, path = chosen(names or ()), format_of(dtype).name, operator.index(seed), Path(directory)
    _require_replaceable(path)
    tasks = [Task(operation.name, number, dtype, seed) for operation in operations for number in range(count(operation, dtype))]
    with folder_written_whole(path) as folder:
        results, counts = in_processes(written, tasks), {}
        for operation in operations:
            cases, left_out, arrays = _collected(operation, dtype, results, done)
            manifest = _manifest(operation, dtype, cases, left_out)
            (folder / f"{operation.name}.json").write_text(text(manifest), encoding="utf-8", newline="\n")
            (folder / f"{operation.name}.safetensors").write_bytes(packed(arrays))
            counts[operation.name] = {"cases": len(cases), "left_out": len(left_out)}
        for page, source in PAGES.items():
            (folder / page).write_bytes((files("reference.exchange") / source).read_bytes())
        index = {
            "format": FORMAT,
            "version": VERSION,
            "made_by": {"handgrad": manual.__version__, "numpy": np.__version__, "torch": torch.__version__},
            "dtype": dtype,
            "seed": seed,
            "operations": counts,
            "files": {file.name: digest(file) for file in sorted(folder.iterdir())},
        }
        (folder / INDEX).write_bytes(sealed(index))
        _require_replaceable(path)  # still so, after minutes
    return Export(path)


def _require_replaceable(path: Path) -> None:
    """That no file is lost which did not come from here."""
    if not path.exists():
        return
    if not path.is_dir():
        raise FileExistsError(f"{path} is a file, and not a directory to write to")
    found = {file.name for file in path.iterdir()}
    if not found:
        return
    try:
        own = {INDEX, *read_index(path)["files"]}
    except RefusedError as problem:
        raise FileExistsError(f"{path} is neither empty nor an export that could be replaced: {problem}") from None
    for name in sorted(found - own):
        raise FileExistsError(f"{path} is not replaced, as it holds {name}, which is no part of the export in it")


def _collected(
    operation: Operation, dtype: str, results: Iterator[Written | LeftOut], done: Callable[[str], None]
) -> tuple[list[dict[str, Any]], list[dict[str, str]], dict[str, Array]]:
    """The cases of an operation, those that are left out, and all arrays."""
    cases: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    arrays: dict[str, Array] = {}
    for _ in range(count(operation, dtype)):
        result = next(results)
        if isinstance(result, LeftOut):
            left_out.append(result._asdict())
        else:
            cases.append(result.entry)
            arrays |= result.arrays
        done(operation.name)
    return cases, left_out, arrays


def _manifest(operation: Operation, dtype: str, cases: list[Any], left_out: list[Any]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "operation": operation.name,
        "chapter": operation.chapter,
        "dtype": dtype,
        "unit_roundoff": float(finfo(format_of(dtype)).eps) / 2,
        "cases": cases,
        "left_out": left_out,
    }
