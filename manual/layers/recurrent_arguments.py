"""What cells and layers take: states and weights that belong together, and a batch of sequences in any of its forms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from manual.contract import Array, require_floats, require_shape
from manual.layers.packed_sequence import PackedSequence, require_packed


def states_of(op: str, hx: Any, names: Sequence[str]) -> tuple[Array, ...]:
    """The arrays of a state that is given, none if it is `None`. A state of several arrays is a tuple of them."""
    if hx is None:
        return ()
    if len(names) == 1:
        return (hx,)
    if not isinstance(hx, (tuple, list)) or len(hx) != len(names):
        got = f"{len(hx)} of them" if isinstance(hx, (tuple, list)) else type(hx).__name__
        raise TypeError(f"{op}: hx must be a tuple of arrays ({', '.join(names)}), got {got}")
    return tuple(hx)


def names_of_states(names: Sequence[str]) -> list[str]:
    """What errors call them."""
    return ["hx"] if len(names) == 1 else [f"hx[{i}]" for i in range(len(names))]


def like_states(hx: Any, parts: Sequence[Array]) -> Any:
    """Arrays in the structure of the state that was given, `None` where none was."""
    if hx is None:
        return None
    return type(hx)(parts) if isinstance(hx, (tuple, list)) else parts[0]


def require_numbers(op: str, x_name: str, x: Any, names: Sequence[str], states: Sequence[Any], weights: Sequence[Any]) -> None:
    """Refuse what is not an array of numbers, all of one dtype."""
    named = [x_name, *(names_of_states(names) if states else ()), *(f"weights[{i}]" for i in range(len(weights)))]
    require_floats(op, " ".join(named), x, *states, *weights)


def require_list(op: str, weights: Any, counts: Sequence[int], what: str) -> None:
    """Refuse what is not a list of one of these lengths."""
    if not isinstance(weights, (list, tuple)):
        raise TypeError(f"{op}: weights must be a list of {what}, got {type(weights).__name__}")
    if len(weights) not in counts:
        raise ValueError(f"{op}: weights must be a list of {what}, got {len(weights)}")


class Weights(NamedTuple):
    """The weights of a layer in one direction, `None` where there are none."""

    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None
    w_hr: Array | None


def grouped(
    op: str, weights: Sequence[Array], groups: int, directions: int, has_biases: bool, gates: int, inputs: int
) -> list[Weights]:
    """The weights of each layer in each direction, whose shapes must belong together."""
    each = len(weights) // groups
    projected = each % 2 == 1
    widest = each - 1 if projected else 1  # W_hr or W_hh, whose shape says how many hidden numbers there are
    if weights[widest].ndim != 2:
        raise ValueError(f"{op}: weights[{widest}] must have two axes, got shape {weights[widest].shape}")
    out, hidden = weights[widest].shape if projected else (weights[widest].shape[1],) * 2
    found = []
    for first in range(0, len(weights), each):
        of_layer = inputs if first < each * directions else out * directions
        expected: list[tuple[int, ...]] = [(gates * hidden, of_layer), (gates * hidden, out)]
        expected += [(gates * hidden,)] * 2 if has_biases else []
        expected += [(out, hidden)] if projected else []
        for i, shape in enumerate(expected, start=first):
            require_shape(op, f"weights[{i}]", weights[i], shape)
        w_ih, w_hh, *others = weights[first : first + each]
        b_ih, b_hh = others[:2] if has_biases else (None, None)
        found.append(Weights(w_ih, w_hh, b_ih, b_hh, others[-1] if projected else None))
    return found


@dataclass(frozen=True)
class Batch:
    """A batch of sequences, and how its arrays become rows: those of all sequences at time 0, then at time 1, and so on.

    sizes        how many rows there are at each time
    count        how many sequences there are
    order        of packed sequences, which comes first, second, …; `None` where that is the order of the batch
    packed, single, batch_first   the form: a PackedSequence, a sequence (T, I) without a batch, (N, T, I); none of them (T, N, I)
    """

    sizes: list[int]
    count: int
    order: Array | None = None
    packed: bool = False
    single: bool = False
    batch_first: bool = False

    def rows(self, array: Array) -> Array:
        """An array in the form of x as rows."""
        if self.packed or self.single:
            return array
        return (array.swapaxes(0, 1) if self.batch_first else array).reshape(len(self.sizes) * self.count, array.shape[2])

    def like_x(self, rows: Array) -> Array:
        """Rows in the form of x."""
        if self.packed or self.single:
            return rows
        array = rows.reshape(len(self.sizes), self.count, rows.shape[1])
        return array.swapaxes(0, 1) if self.batch_first else array

    def states(self, array: Array) -> Array:
        """A state (layers · directions, N, H) in the order of the rows, also of a single sequence, which has no N."""
        if self.order is not None:
            return array[:, self.order]
        return array[:, None] if self.single else array

    def like_hx(self, states: Array) -> Array:
        """The other way round."""
        if self.order is not None:
            return states[:, np.argsort(self.order)]
        return states[:, 0] if self.single else states


def batch_of(op: str, x: Any, batch_first: bool) -> tuple[Batch, Array]:
    """What x is, and its numbers."""
    if isinstance(x, PackedSequence):
        batch_sizes, order = require_packed(op, "x", x)
        if x.data.ndim != 2:
            raise ValueError(f"{op}: x.data must have shape (Σ lengths, I), got {x.data.shape}")
        return Batch(batch_sizes.tolist(), int(batch_sizes[0]), order, packed=True), x.data
    require_floats(op, "x", x)
    if x.ndim not in (2, 3):
        raise ValueError(f"{op}: x must have shape ({'N, T' if batch_first else 'T, N'}, I) or (T, I), got {x.shape}")
    count, steps = (1, len(x)) if x.ndim == 2 else (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
    if steps == 0:
        raise ValueError(f"{op}: x must have at least one time, got shape {x.shape}")
    return Batch([count] * steps, count, single=x.ndim == 2, batch_first=batch_first), x
