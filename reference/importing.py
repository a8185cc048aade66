"""What a command is told to take: PACKAGE.MODULE:NAME."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any


def imported(parser: argparse.ArgumentParser, name: str) -> Any:
    """What bears this name; a module may also stand in the folder where the command runs."""
    home, colon, attributes = name.partition(":")
    if not (home and colon and attributes):
        parser.error(f"expected PACKAGE.MODULE:NAME, got {name!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        thing: Any = importlib.import_module(home)
        for attribute in attributes.split("."):
            thing = getattr(thing, attribute)
    except Exception as error:
        parser.error(f"{name}: {type(error).__name__}: {error}")
    return thing
