"""A network verified from the shell: python -m reference verify package.module:factory"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from torch import nn

from reference.importing import imported
from reference.networks.verification import verify

EPILOG = """\
The factory is called without arguments and returns the network and what it is to be called with:

  module, inputs              one tensor, or a tuple of inputs
  module, inputs, keywords    the same with a dict of inputs by keyword

For example, in networks.py:

  def tiny():
      return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh()), torch.randn(5, 3)

  python -m reference verify networks:tiny

Exit status: 0 if every output and gradient agrees, 1 if one does not, 2 if the network could not be translated or for wrong usage.
"""


def main(arguments: Sequence[str]) -> int:
    """Verify what a factory returns; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m reference verify",
        description="Translate a network of PyTorch into NumPy, and hold every output and gradient of the twin against autograd.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("factory", metavar="PACKAGE.MODULE:FACTORY", help="what makes the network and its inputs")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--train", action="store_true", default=None, help="in training mode (default: the network's own)")
    mode.add_argument("--eval", action="store_false", dest="train", default=None, help="in evaluation mode")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draw other cotangents (default: 0)")
    options = parser.parse_args(arguments)
    module, inputs, keywords = _made(parser, options.factory)
    try:
        report = verify(module, *inputs, train=options.train, seed=options.seed, **keywords)
    except TypeError as error:
        parser.error(str(error))
    print(report)  # noqa: T201
    return 2 if report.troubles else 0 if report.agrees else 1


def _made(parser: argparse.ArgumentParser, name: str) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """What the factory of this name makes."""
    factory = imported(parser, name)
    try:
        made = factory()
    except Exception as error:
        parser.error(f"{name}: {type(error).__name__}: {error}")
    parts = made if isinstance(made, tuple) else (made,)
    if not isinstance(parts[0], nn.Module) or len(parts) > 3 or (len(parts) == 3 and not isinstance(parts[2], dict)):
        got = ", ".join(type(part).__name__ for part in parts)
        parser.error(f"{name} must return a module, its inputs and perhaps a dict of keywords, got {got}")
    inputs = parts[1] if len(parts) > 1 else ()
    return parts[0], inputs if isinstance(inputs, tuple) else (inputs,), parts[2] if len(parts) == 3 else {}
