"""Types of options: what the commands take, and how they refuse anything else."""

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


def number(kind: Callable[[str], Any], accepts: Callable[[Any], bool], expected: str) -> Callable[[str], Any]:
    """A number for which `accepts` is true. Anything else is refused by saying what was `expected`."""

    def parse(text: str) -> Any:
        with contextlib.suppress(ValueError):
            if accepts(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")

    return parse


class Text(NamedTuple):
    """What a file holds."""

    name: str
    content: bytes


def text_file(name: str) -> Text:
    """A file that can be read, as is learnt here; it is read once, as it may be a pipe."""
    try:
        return Text(name, Path(name).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot read {name}: {error.strerror}") from None


seed = number(int, lambda n: 0 <= n < 2**32, "a whole number from 0 to 4294967295")
