"""`python -m tests.mutation`: change one thing of a package at random, many times, and list the changes that no test notices.

Those that change nothing which could be noticed stand in `equivalent.toml`, each with its reason. The exit status is 1 where a
survivor has no reason, or a reason no survivor.
"""

import argparse
import json
import os
import sys
import time
import tomllib
from pathlib import Path

from rich.console import Console
from rich.progress import track

from tests.mutation.mutants import chosen, mutants_of
from tests.mutation.trials import Concerned, trials, warm_up


def main(arguments=None):
    """Run the command; return its exit status."""
    options = parser().parse_args(arguments)
    start = time.perf_counter()
    package, tests, excused = Path(options.package).resolve(), Path(options.tests).resolve(), reasons(options.equivalent)
    os.chdir(package.parent)  # whence the tests are named, and the package is imported
    sys.path.insert(0, str(package.parent))
    everything = [mutant for path in sorted(package.rglob("*.py")) for mutant in mutants_of(path, package.parent)]
    picked = chosen([mutant for mutant in everything if mutant.place.startswith(options.only)], options.seed, options.number)

    warm_up()
    concerned = Concerned(package, tests, options.workers)
    survivors, caught = [], []
    console = Console(stderr=True)
    tried = trials(picked, concerned, options.workers, options.seconds)
    for mutant, noticed in track(tried, "mutants", len(picked), console=console, disable=not console.is_terminal):
        (caught if noticed else survivors).append(mutant)
        if not noticed and mutant.key not in excused:
            reached = len(concerned.tests(mutant))
            console.print(f"{mutant.path}:{mutant.lines.start} survives {reached} tests", highlight=False, soft_wrap=True)
            print(entry(mutant), flush=True)

    unexcused = [mutant for mutant in survivors if mutant.key not in excused]
    needless = (excused - {m.key for m in everything}) | (excused & {m.key for m in caught} - {m.key for m in survivors})
    for key in sorted(needless):
        print(f"Out of date, as it is caught or not there: {', '.join(key)}")
    minutes = (time.perf_counter() - start) / 60
    print(
        f"{len(picked)} of {len(everything)} mutants, seed {options.seed}: {len(caught)} caught, "
        f"{len(survivors) - len(unexcused)} equivalent, {len(unexcused)} without a reason; {minutes:.1f} minutes"
    )
    return 1 if unexcused or needless else 0


def parser():
    """What the command takes."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="which mutants are picked (%(default)s)")
    parser.add_argument("--number", type=int, default=300, help="how many (%(default)s)")
    parser.add_argument("--only", default="", metavar="PLACE", help="of this file, or file and function, as survivors are listed")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="at once (%(default)s)")
    parser.add_argument("--seconds", type=int, default=20, help="that a test may take beyond ten times its own (%(default)s)")
    parser.add_argument("--package", default="manual", help="the folder of the package (%(default)s)")
    parser.add_argument("--tests", default="tests", help="the folder of its tests (%(default)s)")
    parser.add_argument("--equivalent", type=Path, default=here / "equivalent.toml", help="the file of reasons")
    return parser


def reasons(path):
    """The mutants that cannot be noticed."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []) if path.exists() else []
    return {(each["place"], each["statement"], each["becomes"]) for each in entries if each["reason"]}


def entry(mutant):
    """A mutant as it would stand in the file of reasons."""
    fields = zip(("place", "statement", "becomes", "reason"), (*mutant.key, ""))
    return "\n".join(["[[mutant]]", *(f"{name} = {json.dumps(text, ensure_ascii=False)}" for name, text in fields), ""])


if __name__ == "__main__":
    sys.exit(main())
