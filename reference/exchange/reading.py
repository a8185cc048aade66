"""An export, read back: only if every file is as it was written."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manual.contract import Array
from reference.exchange.tensors import unpacked

FORMAT, VERSION = "handgrad export", 1
INDEX = "index.json"
SEAL = re.compile(rb'^ "sha256": "([0-9a-f]{64})",\n', re.MULTILINE)


class RefusedError(ValueError):
    """A file that is not what it should be; the message begins with its name."""


def text(document: Mapping[str, Any]) -> str:
    """A document in JSON, always the same."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def digest(file: Path) -> str:
    """The checksum of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def sealed(index: Mapping[str, Any]) -> bytes:
    """An index with one line more, its second: the checksum of the index without that line."""
    checksum = hashlib.sha256(text(index).encode()).hexdigest()
    return text({"sha256": checksum, **index}).encode()


def read_index(directory: Path) -> dict[str, Any]:
    """The index of an export."""
    data = _read(directory, INDEX)
    try:
        index = json.loads(data)
    except ValueError as problem:
        raise RefusedError(f"{INDEX} is damaged: {problem}") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise RefusedError(f"{INDEX} is damaged, or not that of a {FORMAT}")
    if index.get("version") != VERSION:
        raise RefusedError(f"{INDEX} has format version {index.get('version')!r}; this program reads version {VERSION}")
    seal = SEAL.search(data)
    if seal is None or hashlib.sha256(data[: seal.start()] + data[seal.end() :]).hexdigest() != seal[1].decode():
        raise RefusedError(f"{INDEX} is damaged: it does not have the checksum that it names")
    return index


class Export:
    """An export in a directory. Every file is compared with its checksum before anything else is read."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.index = read_index(self.directory)
        for name, checksum in self.index["files"].items():
            if hashlib.sha256(_read(self.directory, name)).hexdigest() != checksum:
                raise RefusedError(f"{name} is damaged: it does not have the checksum that {INDEX} names")

    @property
    def dtype(self) -> str:
        """The name of the dtype in which everything is."""
        return self.index["dtype"]

    @property
    def operations(self) -> dict[str, dict[str, int]]:
        """By name, how many cases each operation has, and how many are left out."""
        return self.index["operations"]

    def manifest(self, operation: str) -> dict[str, Any]:
        """What is said of an operation."""
        return json.loads(_read(self.directory, f"{operation}.json"))

    def arrays(self, operation: str) -> dict[str, Array]:
        """The arrays of an operation by name."""
        return unpacked(_read(self.directory, f"{operation}.safetensors"))


def _read(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise RefusedError(f"{name} cannot be read in {directory}: {error.strerror}") from None
