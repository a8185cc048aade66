"""The mechanism of strips: of the large matrices of many heads, a few rows are worked on at a time; threads share the heads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from typing import Any

from manual.threads import blas_in_one_thread, get_num_threads, in_threads

LARGE = 1 << 18  # elements of matrices that are worth several threads: so many keep one busy for a millisecond
ROWS = 64  # of a strip, unless the caller wants tiles
BLOCK = 1 << 18  # elements of several heads that are worked on at once: so many stay in a cache

Tile = tuple[slice, slice, slice]  # some heads, and of each some rows and some columns


@dataclass(frozen=True)
class Strips:
    """Matrices of `rows` and `columns`, one for each of the `heads`; of `triangular` ones the part above the diagonal is left out.

    Tiles have `side` rows and columns, or, where that is `None`, all columns of a strip.
    """

    heads: int
    rows: int
    columns: int
    triangular: bool
    side: int | None

    def of(self, share: slice) -> Iterator[list[Tile]]:
        """The strips of some heads, each as its tiles from left to right; there is one, if only of no columns."""
        height, width = (ROWS, max(self.columns, 1)) if self.side is None else (self.side, self.side)
        together = max(1, BLOCK // (height * width))
        for head, row in product(range(share.start, share.stop, together), range(0, self.rows, height)):
            heads, rows = slice(head, min(head + together, share.stop)), slice(row, min(row + height, self.rows))
            end = min(rows.stop, self.columns) if self.triangular else self.columns
            yield [(heads, rows, slice(column, min(column + width, end))) for column in range(0, max(end, 1), width)]

    def by_shares(self, function: Callable[[slice], Any]) -> list[Any]:
        """Call a function on shares of the heads: one for each thread, or a single one where the matrices are small."""
        shares = min(get_num_threads(), self.heads) if self.heads * self.rows * self.columns > LARGE else 1
        bounds = [self.heads * i // shares for i in range(shares + 1)]
        return at_once([partial(function, slice(*share)) for share in pairwise(bounds)])


def at_once(functions: list[Callable[..., Any]], *arguments: Any) -> list[Any]:
    """Call functions, each in a thread if there are as many, all with these arguments; return what each returns."""
    results: list[Any] = [None] * len(functions)

    def call(i):
        results[i] = functions[i](*arguments)

    with blas_in_one_thread():  # as the products are small, its own threads would wait for each other more than they compute
        in_threads(call, len(functions))
    return results
