"""Files and folders that are written whole or not at all."""

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def output_file(name: str) -> Path:
    """The type of an option: a file that can be written, as is learnt here and not after the work. No file is changed or left."""
    path = Path(name)
    try:
        if path.exists():
            path.open("ab").close()
        if _is_replaced(path):
            beside = _beside(path)
            beside.touch()
            beside.unlink()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {path}: {error.strerror}") from None
    return path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Another file to write to, which takes the place of this one at the end: whatever happens before, this one stays as it was."""
    if not _is_replaced(path):
        yield path
        return
    beside = _beside(path)
    try:
        yield beside
        if path.exists():
            shutil.copymode(path, beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())  # or a crash of the system could leave an empty file in the place of the old one
        beside.replace(path.resolve())
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Another folder to write to, which takes the place of this one, and of all that it holds, at the end: whatever happens before,
    this one stays as it was.
    """
    path = path.resolve()
    if Path.cwd().is_relative_to(path):
        raise ValueError(f"{path} cannot be replaced by those who stand in it: go elsewhere, or name another folder")
    beside, old = _beside(path), _beside(path.with_name(f"old.{path.name}"))
    beside.mkdir()
    try:
        yield beside
        try:
            if path.exists():
                shutil.copymode(path, beside)
                path.replace(old)
            beside.replace(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.replace(path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _is_replaced(path: Path) -> bool:
    """Not a device or a pipe: what goes there must go there at once."""
    return path.is_file() or not path.exists()


def _beside(path: Path) -> Path:
    """A name in the folder where the file itself lies, not a link to it; with its ending, which may say what to write."""
    path = path.resolve()
    return path.with_name(f".{os.getpid()}.{path.name}")
