"""The mechanism of shares: each thread works on a share of its own of what lies along the first axis of arrays."""

from collections.abc import Callable
from functools import partial
from typing import Any

from manual.threads import LARGE, get_num_threads, in_threads


def by_shares(function: Callable[[slice], Any], count: int, size: int) -> list[Any]:
    """Call a function on shares of `count` entries, which take `size` numbers each: a share for each thread, or a single one
    where the numbers are few. What it returns for each comes back in order.
    """
    shares = min(get_num_threads(), count) if count * size > LARGE else 1
    return together([partial(function, slice(count * i // shares, count * (i + 1) // shares)) for i in range(shares)])


def together(functions: list[Callable[..., Any]], *arguments: Any) -> list[Any]:
    """Call functions at the same time, all with these arguments, and return what each returns."""
    results: list[Any] = [None] * len(functions)

    def call(i):
        results[i] = functions[i](*arguments)

    in_threads(call, len(functions))
    return results
