"""Networks trained by backpropagation written by hand: `python -m manual`, and with `digits` or `text` behind it, others."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from manual.commands import digits, text, xor

COMMANDS = {"xor": xor, "digits": digits, "text": text}  # without a name, the first


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says, and print what was done and what came out."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or (argv[0] not in COMMANDS and argv[0] not in ("-h", "--help")):
        argv = ["xor", *argv]
    args = _parser().parse_args(argv)
    try:
        import rich.progress

        if args.plot:
            import matplotlib.figure  # noqa: F401
        if args.command == "digits":
            import sklearn.datasets  # noqa: F401
    except ModuleNotFoundError as error:
        from reference.installation import how_to_install

        package = str(error.name).partition(".")[0]
        sys.exit(f"python -m manual needs {package}, which is not installed: {how_to_install('command')}")

    def progress(steps: Iterable[Any]) -> Iterable[Any]:
        return rich.progress.track(steps, "training", disable=not sys.stdout.isatty())

    COMMANDS[args.command].run(args, progress)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m manual", description="Train a network by backpropagation written by hand in NumPy; without a name, XOR."
    )
    commands = parser.add_subparsers(dest="command", title="networks", metavar="NAME")
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.SUMMARY, description=f"Train {command.SUMMARY}."))
    return parser


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("python -m manual: interrupted", file=sys.stderr)
        sys.exit(130)
