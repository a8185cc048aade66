"""The picture of what a command has done: the option that asks for it, and the file that holds it."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from manual.files import output_file, written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def add_plot(parser: argparse.ArgumentParser, what: str) -> None:
    """The option `--plot`, which says to what file to draw that."""
    words = f"draw {what} to a .png, .pdf or .svg file (default: no picture)"
    parser.add_argument("--plot", type=_picture_path, metavar="FILE", help=words)


def _picture_path(text: str) -> Path:
    """A file that can be written, whose ending names a picture format."""
    if Path(text).suffix.lower() not in (".png", ".pdf", ".svg"):
        raise argparse.ArgumentTypeError(f"expected a file name that ends in .png, .pdf or .svg, got {text!r}")
    return output_file(text)


def write(path: Path, height: float, draw: Callable[["Figure"], None]) -> None:
    """Write the picture that `draw` draws, of this height in inches, and say where it is."""
    save(path, height, draw)
    print(f"The picture is in {path}.")


def save(path: Path, height: float, draw: Callable[["Figure"], None]) -> None:
    """Write the picture, and say nothing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, height), layout="constrained")
    draw(figure)
    with written_whole(path) as file:
        figure.savefig(file, dpi=150)
