"""Cases of recurrent networks."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils import rnn

import manual
from manual import PackedSequence
from reference.case import Case, Operation, normal
from reference.cases.layers.recurrent_cells import Step, gru_step, lstm_step, monotone, numbers, relu_step, tanh_step
from reference.cases.layers.recurrent_cells import weights as weights_of
from reference.exact import mp

# -- By the textbook: each sequence by itself, one time after another


def _one(step: Step, x: Any, states: Any, weights: Any, directions: int, scales: Any) -> tuple[Any, Any]:
    """A sequence (L, I) through all layers; `states` and `weights` of each layer and direction."""
    last = []
    for k in range(0, len(weights), directions):
        halves = []
        for i in range(k, k + directions):
            state, shown = states[i], {}
            for t in range(len(x))[:: 1 if i == k else -1]:
                state = step(x[t], state, weights[i])
                shown[t] = state[0]
            halves.append([shown[t] for t in range(len(x))])
            last.append(state)
        x = np.array([np.concatenate(at_a_time) for at_a_time in zip(*halves)], dtype=object)
        if scales is not None and k + directions < len(weights):
            x = x * scales[k // directions]
    return x, last


def _definition(step: Step, count_of_states: int) -> Callable[..., Any]:
    def definition(x, hx, weights, **settings: Any):
        layers, dropout, train = settings.get("num_layers", 1), settings.get("dropout", 0.0), settings.get("train", False)
        directions = 2 if settings.get("bidirectional", False) else 1
        each = len(weights) // (layers * directions)
        grouped = [weights[i : i + each] for i in range(0, len(weights), each)]
        widths = [weights[1].shape[1], grouped[0][-1].shape[1] if each % 2 else weights[1].shape[1]][:count_of_states]

        packed, single = isinstance(x, PackedSequence), not isinstance(x, PackedSequence) and x.ndim == 2
        axis, numbers = 0 if settings.get("batch_first", False) else 1, x.data if packed else x
        places: list[Any] = [...]  # where each sequence stands in x, and in y
        if packed:
            starts = np.cumsum(x.batch_sizes) - x.batch_sizes
            order = range(x.batch_sizes[0]) if x.sorted_indices is None else x.sorted_indices
            by_length = [(starts + n)[x.batch_sizes > n] for n in range(len(order))]
            places = [by_length[list(order).index(n)] for n in range(len(order))]
        elif not single:
            places = [(slice(None),) * axis + (n,) for n in range(x.shape[axis])]

        y = np.empty((*numbers.shape[:-1], directions * widths[0]), dtype=object)
        last = [np.empty((len(grouped), len(places), width), dtype=object) for width in widths]
        for n, place in enumerate(places):
            states = [tuple(np.zeros(width, int) for width in widths) for _ in grouped]
            if hx is not None:
                parts = hx if count_of_states > 1 else (hx,)
                states = [tuple(part[i] if single else part[i, n] for part in parts) for i in range(len(grouped))]
            scales = None
            if train and settings.get("mask") is not None:
                scale = 1 / (1 - mp.mpf(dropout)) if dropout < 1 else 0
                scales = [mask[place] * scale for mask in settings["mask"]]
            y[place], found = _one(step, numbers[place], states, grouped, directions, scales)
            for i, state in enumerate(found):
                for part, own in zip(last, state):
                    part[i, n] = own
        last = [part[:, 0] if single else part for part in last]
        return PackedSequence(y, None) if packed else y, tuple(last) if count_of_states > 1 else last[0]

    return definition


# -- Torch: its module, with the weights that are given


def _torch(name: str, gates: int, **options: Any) -> Callable[..., Any]:
    def network(x: Any, hx: Any, weights: list[Any], **settings: Any) -> Any:
        mask = settings.pop("mask", None)
        each = 4 if settings.pop("has_biases", True) else 2
        groups = settings.get("num_layers", 1) * (2 if settings.get("bidirectional", False) else 1)
        projected = len(weights) > groups * each
        train = settings.pop("train", False)
        numbers = x.data if isinstance(x, PackedSequence) else x
        module = getattr(torch.nn, name)(
            numbers.shape[-1],
            len(weights[1]) // gates,
            bias=each == 4,
            dtype=numbers.dtype,
            **({"proj_size": weights[1].shape[1]} if projected else {}),
            **settings,
            **options,
        ).train(train)
        named = dict(zip((key for key, _ in module.named_parameters()), weights, strict=True))
        with torch.random.fork_rng():
            if mask is not None:  # the one that it draws again
                torch.manual_seed(3)
            return on_packed(lambda *inputs: torch.func.functional_call(module, named, inputs))(x, hx)

    return network


def on_packed(module: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch's packed sequences as one of ours."""

    def function(input: Any, hx: Any = None) -> Any:
        packed = isinstance(input, PackedSequence)
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # projections are not for its fastest kernels
            output, state = module(rnn.PackedSequence(*input) if packed else input, hx)
        return PackedSequence(*output) if packed else output, state

    return function


def kept(p: float, layers: int, *shape: int) -> Any:
    """What torch keeps in this shape, between one layer and the next."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return np.array([F.dropout(torch.ones(shape), p).numpy() > 0 for _ in range(layers - 1)])


# -- Cases


def _shapes(gates: int, inputs: int, hidden: int, layers: int, directions: int, biases: bool, projected: int) -> list[Any]:
    """The weights of all layers, in the order of a state dict."""
    rows, out = gates * hidden, projected or hidden
    shapes: list[tuple[int, ...]] = []
    for layer in range(layers):
        for _ in range(directions):
            shapes += [(rows, out * directions if layer else inputs), (rows, out)]
            shapes += [(rows,), (rows,)] if biases else []
            shapes += [(out, hidden)] if projected else []
    return shapes


def packed(*shape: int, lengths: tuple[int, ...]) -> PackedSequence:
    """Sequences of these lengths, each row of this shape."""
    order = np.argsort([-length for length in lengths], kind="stable")
    sizes = np.array([sum(length > t for length in lengths) for t in range(max(lengths))])
    falling = list(order) == list(range(len(lengths)))
    indices = (None, None) if falling else (order, np.argsort(order))
    return PackedSequence(normal(sum(lengths), *shape), sizes, *indices)


FALLING, MIXED = (3, 2, 2), (1, 3, 2, 1)
HIDDEN = 3


def _operation(ours: Any, theirs: Callable[..., Any], step: Step, gates: int, states: int) -> Operation:
    def state(*shape: int, last: int) -> Any:
        return (numbers(step, *shape, last), numbers(step, *shape, HIDDEN)) if states > 1 else numbers(step, *shape, last)

    def case(
        label: str,
        x: Any = None,
        *,
        batch: tuple[int, ...] = (2,),
        given: bool = True,
        layers: int = 1,
        directions: int = 1,
        biases: bool = True,
        projected: int = 0,
        bound: float = 0.3,
        judge: str = "float64",  # what cancels in a pre-activation is not in |J|, and shows in a single element
        about: Any = None,
        **constants: Any,
    ) -> Case:
        """Two numbers in, three hidden ones; what a constant is by default is left out."""
        x = numbers(step, 3, *batch, 2) if x is None else x
        hx = state(layers * directions, *batch, last=projected or HIDDEN) if given else None
        said = {"num_layers": layers, "bidirectional": directions == 2, "has_biases": biases}
        usual = {"num_layers": 1, "bidirectional": False, "has_biases": True}
        constants |= {name: value for name, value in said.items() if value != usual[name]}
        weights = weights_of(step, bound, *_shapes(gates, 2, HIDDEN, layers, directions, biases, projected))
        return Case(label, (x, hx, weights), constants, judge=judge, **(about or {}))

    def dropped(label: str, p: float, shape: tuple[int, ...], x: Any, order: tuple[int, ...] = (0, 1, 2), **options: Any) -> Case:
        layers = options.pop("layers", 2)
        mask = kept(p, layers, *shape).transpose(0, *(axis + 1 for axis in order[: len(shape)]))
        return case(label, x, layers=layers, dropout=p, train=True, mask=mask, **options)

    def large(steps: int, count: int, size: int) -> Case:
        hx = (normal(1, count, size), normal(1, count, size)) if states > 1 else normal(1, count, size)
        arrays = normal(steps, count, size), hx, weights_of(step, size**-0.5, *_shapes(gates, size, size, 1, 1, True, 0))
        return Case(f"{size} → {size}, batch {count}, {steps} steps", arrays)

    def nothing_cancels() -> Case:
        shapes = _shapes(gates, 2, HIDDEN, 1, 1, True, 0)
        return Case("two times, nothing cancels", monotone((2, 2, 2), [(1, 2, HIDDEN)] * states, shapes))

    two_times = case("two times, batch of 2", numbers(step, 2, 2, 2), judge="definition")
    first_hidden = {"zero": ("grad_2.1",)}  # of one step from nothing, no hidden state has been there
    blank = {"zero": tuple(f"grad_2.{i}" for i in range(4))}
    lstm_alone = (
        case("projection", projected=2),
        case("projection, no biases", projected=2, biases=False),
        case("projection, two layers, both directions", batch=(1,), projected=2, layers=2, directions=2),
        case("projection, packed", packed(2, lengths=MIXED), batch=(4,), projected=2),
        dropped("projection, dropout", 0.25, (3, 2, 2), normal(3, 2, 2), projected=2),
        case("projection, no state", projected=2, given=False),
    )
    return Operation(
        ours,
        theirs,
        _definition(step, states),
        cases=(
            two_times if step is relu_step else nothing_cancels(),
            case("three times", numbers(step, 3, 2, 2)),
            case("no state", given=False),
            case("no biases", biases=False),
            case("two layers", layers=2),
            case("both directions", directions=2),
            case("two layers, both directions, no state", layers=2, directions=2, given=False),
            case("batch first", numbers(step, 4, 3, 2), batch=(4,), batch_first=True),
            case(
                "batch first, both directions, two layers",
                numbers(step, 4, 3, 2),
                batch=(4,),
                batch_first=True,
                directions=2,
                layers=2,
            ),
            case("no batch", batch=()),
            case("no batch, batch first, no state, both directions", batch=(), batch_first=True, given=False, directions=2),
            case("batch of 0", batch=(0,), about=blank),
            case("batch of 1", batch=(1,)),
            case("one time", numbers(step, 1, 2, 2)),
            case("one time, no state", numbers(step, 1, 2, 2), given=False, about=first_hidden),
            case("packed", packed(2, lengths=FALLING), batch=(3,)),
            case("packed, no state", packed(2, lengths=FALLING), given=False),
            case("packed, in any order", packed(2, lengths=MIXED), batch=(4,)),
            case("packed, in any order, both directions", packed(2, lengths=MIXED), batch=(4,), directions=2),
            case("packed, two layers, both directions", packed(2, lengths=(1, 2)), layers=2, directions=2),
            dropped("dropout", 0.5, (3, 2, HIDDEN), numbers(step, 3, 2, 2)),
            dropped("dropout of 0.25, both directions", 0.25, (3, 2, 2 * HIDDEN), numbers(step, 3, 2, 2), directions=2),
            dropped("dropout, three layers, both directions", 0.25, (3, 2, 6), numbers(step, 3, 2, 2), layers=3, directions=2),
            dropped("dropout, batch first", 0.5, (3, 2, HIDDEN), numbers(step, 2, 3, 2), (1, 0, 2), batch_first=True),
            dropped("dropout, packed", 0.5, (6, HIDDEN), packed(2, lengths=(4, 2))),
            dropped("dropout of everything", 1.0, (3, 2, HIDDEN), numbers(step, 3, 2, 2), about={"zero": ("grad_2.4",)}),
            case("dropout, evaluation", layers=2, dropout=0.5),
            *(lstm_alone if states > 1 else ()),
            *((case("200 steps of time", normal(200, 1, 2), batch=(1,)),) if gates > 1 else ()),
        ),
        small=large(16, 8, 32),
        large=large(64, 32, 256),
    )


OPERATIONS = (
    _operation(manual.lstm, _torch("LSTM", 4), lstm_step, 4, 2),
    _operation(manual.gru, _torch("GRU", 3), gru_step, 3, 1),
    _operation(manual.rnn_tanh, _torch("RNN", 1, nonlinearity="tanh"), tanh_step, 1, 1),
    _operation(manual.rnn_relu, _torch("RNN", 1, nonlinearity="relu"), relu_step, 1, 1),
)

MODULES = ()
