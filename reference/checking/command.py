"""A function checked from the shell: python -m reference check gelu package.module:function"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from reference.checking.adapters import ADAPTERS
from reference.checking.check import check, operation_of
from reference.checking.trials import trials
from reference.formats import FORMATS
from reference.importing import imported
from reference.record import HALF_LIMIT, LIMIT

EPILOG = """\
The adapter says what the name stands for:

  plain    a function of the contract: output, backward = function(*arrays, **constants)
  pair     (forward, backward): forward(*arrays, **constants), backward(grad_output, *arrays, **constants)
  torch    a function that autograd of PyTorch differentiates, the apply of a torch.autograd.Function among them
  jax      a function that jax.vjp differentiates

For example, in kernels.py:

  def gelu(x, approximate="none"):
      return torch.nn.functional.gelu(x, approximate=approximate)

  python -m reference check gelu kernels:gelu --adapter torch --dtype bfloat16

Exit status: 0 if everything that was tried is right, 1 if something is wrong or nothing was tried, 2 for wrong usage.
"""


def main(arguments: Sequence[str]) -> int:
    """Check what a name stands for; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m reference check",
        description="Run a function of your own through every case of an operation, and hold what it gives against the truth.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("operation", metavar="OPERATION", help="which one it should be (python -m reference --list has them)")
    parser.add_argument("function", metavar="PACKAGE.MODULE:NAME", nargs="?", help="the function")
    parser.add_argument("--adapter", choices=ADAPTERS, default="plain", help="what the name stands for (default: plain)")
    parser.add_argument("--dtype", choices=FORMATS, default="float32", help="of inputs and results (default: float32)")
    parser.add_argument("--case", action="append", metavar="LABEL", help="try this case alone; may be given several times")
    parser.add_argument("--no-tails", action="store_true", help="leave out the sweeps, and cases on which PyTorch loses digits")
    parser.add_argument("--no-grad", action="append", default=[], metavar="NAME", help="a gradient the function lacks, as grad_1")
    parser.add_argument(
        "--limit", type=float, metavar="R", help=f"the r that is allowed (default: {LIMIT:g}, {HALF_LIMIT:g} in half)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draw other numbers for every case (default: 0)")
    parser.add_argument("--list", action="store_true", help="list the cases and sweeps of the operation, and try nothing")
    options = parser.parse_args(arguments)
    if options.function is None and not options.list:
        parser.error("the following arguments are required: PACKAGE.MODULE:NAME")
    try:
        if options.list:
            for trial in trials(operation_of(options.operation), options.dtype):
                print(trial.label)  # noqa: T201
            return 0
        report = check(
            options.operation,
            ADAPTERS[options.adapter](imported(parser, options.function)),
            options.dtype,
            options.case,
            tails=not options.no_tails,
            no_grad=options.no_grad,
            limit=options.limit,
            seed=options.seed,
        )
    except (TypeError, ValueError, ModuleNotFoundError) as error:
        parser.error(str(error))
    print(report)  # noqa: T201
    return 0 if report.agrees else 1
