"""Tables and lines for people, as a terminal shows them, and as text."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


def new_table() -> Table:
    """A table without a frame, whose columns are as narrow as they can be."""
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def as_text(width: int, print_to: Callable[[Console], None]) -> str:
    """What is printed to a console of this width, in plain text."""
    text = io.StringIO()
    print_to(Console(file=text, width=width, color_system=None, highlight=False, markup=False))
    return text.getvalue().rstrip()
