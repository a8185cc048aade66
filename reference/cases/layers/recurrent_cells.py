"""Cases of recurrent cells, and what a step is by the textbook."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import manual
from reference import structure
from reference.case import Case, Draw, ModuleCase, Operation, build, normal, uniform
from reference.exact import exp, tanh

Step = Callable[..., Any]  # (x, state, weights) to the new state, for one sample


def _products(x, h, weights, gates):
    """What input and state contribute to each block, (gates, H)."""
    w_ih, w_hh = weights[:2]
    b_ih, b_hh = weights[2:] or (0, 0)
    return (w_ih @ x + b_ih).reshape(gates, -1), (w_hh @ h + b_hh).reshape(gates, -1)


def _sigmoid(a):
    return 1 / (1 + exp(-a))


def lstm_step(x, state, weights):
    """Long short-term memory, with a projection if there is a matrix more than usual."""
    h, c = state
    w_hr = weights[-1] if len(weights) % 2 else None
    of_input, of_hidden = _products(x, h, weights if w_hr is None else weights[:-1], 4)
    i, f, g, o = of_input + of_hidden
    c = _sigmoid(f) * c + _sigmoid(i) * tanh(g)
    h = _sigmoid(o) * tanh(c)
    return (h if w_hr is None else w_hr @ h), c


def gru_step(x, state, weights):
    """A gated recurrent unit."""
    (h,) = state
    (r_x, z_x, n_x), (r_h, z_h, n_h) = _products(x, h, weights, 3)
    n = tanh(n_x + _sigmoid(r_x + r_h) * n_h)
    return (n / (1 + exp(z_x + z_h)) + _sigmoid(z_x + z_h) * h,)


def tanh_step(x, state, weights):
    """A plain network."""
    of_input, of_hidden = _products(x, state[0], weights, 1)
    return (tanh(of_input + of_hidden)[0],)


def relu_step(x, state, weights):
    """A plain network with ReLU."""
    of_input, of_hidden = _products(x, state[0], weights, 1)
    a = (of_input + of_hidden)[0]
    return (np.where(a > 0, a, 0 * a),)


def _definition(step: Step, states: int) -> Callable[..., Any]:
    def definition(x, hx, weights):
        single, hidden = x.ndim == 1, weights[1].shape[1]
        count = 1 if single else len(x)
        given = (hx if states > 1 else (hx,)) if hx is not None else (np.zeros((count, hidden), int),) * states
        batch = [state.reshape(count, hidden) for state in given]
        new = [step(row, tuple(state[n] for state in batch), weights) for n, row in enumerate(x.reshape(count, x.shape[-1]))]
        parts = [np.array(part, dtype=object).reshape(given[0].shape) for part in zip(*new)] or [given[0]] * states
        parts = [part[0] if single and hx is None else part for part in parts]
        return tuple(parts) if states > 1 else parts[0]

    return definition


def numbers(step: Step, *shape: int) -> Draw:
    """Inputs and states; positive ones for ReLU, of which more than half shall stay alive."""
    return uniform(0.2, 1.2, *shape) if step is relu_step else normal(*shape)


def weights(step: Step, bound: float, *shapes: tuple[int, ...]) -> list[Draw]:
    """Weights of these shapes, so small that no gate is stuck; fewer negative ones for ReLU."""
    return [uniform(-bound / 3 if step is relu_step else -bound, bound, *shape) for shape in shapes]


def monotone(x: tuple[int, ...], states: list[tuple[int, ...]], shapes: list[tuple[int, ...]]) -> tuple[Any, ...]:
    """Arguments by which each element can be judged by itself: all numbers are positive, so that nothing cancels in a
    pre-activation, and states are larger than what a GRU puts in their place.
    """
    return _arguments(uniform(0.5, 1, *x), [uniform(1, 2, *s) for s in states], [uniform(0, 0.2, *s) for s in shapes])


def _saturated(x: tuple[int, ...], states: list[tuple[int, ...]], shapes: list[tuple[int, ...]]) -> tuple[Any, ...]:
    """The same with gates far open and far closed in turn. Numbers are quarters, so that pre-activations are exact."""

    def quarters(low: int, high: int, shape: tuple[int, ...], signs: Any = 1) -> Draw:
        return lambda generator: (generator.integers(low, high, shape).T * signs).T / 4

    in_turn = np.resize([1, -1], shapes[0][0])
    return _arguments(quarters(1, 8, x), [quarters(5, 9, s) for s in states], [quarters(1, 4, s, in_turn) for s in shapes])


def _arguments(x: Draw, states: list[Draw], weights: list[Draw]) -> tuple[Any, ...]:
    return x, tuple(states) if len(states) > 1 else states[0], weights


def _torch(function: Callable[..., Any], states: int) -> Callable[..., Any]:
    """Torch's function takes batches with a state alone: what its modules do before and after."""

    def cell(x: Any, hx: Any, weights: list[Any]) -> Any:
        single, hidden = x.ndim == 1, weights[1].shape[1]
        if hx is None:
            hx = (x.new_zeros(*x.shape[:-1], hidden),) * states
        batch = [state[None] if single else state for state in (hx if isinstance(hx, tuple) else (hx,))]
        output = function(x[None] if single else x, tuple(batch) if states > 1 else batch[0], *weights)
        return structure.apply(lambda part: part[0] if single else part, output)

    return cell


LOST = "1 − σ(a) and 1 − tanh²a have lost their digits where a is large"


def _operation(ours: Any, theirs: Any, step: Step, gates: int, states: int) -> Operation:
    def state(*shape: int) -> Any:
        return tuple(numbers(step, *shape) for _ in range(states)) if states > 1 else numbers(step, *shape)

    def shapes(inputs: int, hidden: int, biases: bool = True) -> list[tuple[int, ...]]:
        return [(gates * hidden, inputs), (gates * hidden, hidden), *([(gates * hidden,)] * 2 if biases else [])]

    def case(
        label: str,
        batch: tuple[int, ...] = (3,),
        inputs: int = 2,
        hidden: int = 3,
        biases: bool = True,
        given: bool = True,
        bound: float = 0.4,
        judge: str = "float64",  # what cancels in a pre-activation is not in |J|, and shows in a single element
        **about: Any,
    ) -> Case:
        x, hx = numbers(step, *batch, inputs), state(*batch, hidden) if given else None
        return Case(label, (x, hx, weights(step, bound, *shapes(inputs, hidden, biases))), judge=judge, **about)

    def by_definition(label: str, draw: Callable[..., Any], inputs: int = 2, hidden: int = 3, **about: Any) -> Case:
        return Case(label, draw((3, inputs), [(3, hidden)] * states, shapes(inputs, hidden)), **about)

    blank = tuple(f"grad_2.{i}" for i in range(4))
    return Operation(
        ours,
        _torch(theirs, states),
        _definition(step, states),
        cases=(
            case("batch of 3", judge="definition") if step is relu_step else by_definition("nothing cancels", monotone),
            case("no biases", biases=False),
            case("no state", given=False, zero=("grad_2.1",)),
            case("no batch", batch=()),
            case("no batch, no state", batch=(), given=False, zero=("grad_2.1",)),
            case("batch of 0", batch=(0,), zero=blank),
            case("batch of 1", batch=(1,)),
            by_definition("one unit", monotone, inputs=1, hidden=1),
            *(() if step is relu_step else (by_definition("saturated", _saturated, torch_loses=LOST),)),
        ),
        small=case("32 → 32, batch 16", (16,), 32, 32),
        large=case("512 → 512, batch 64", (64,), 512, 512, bound=0.05),
    )


OPERATIONS = (
    _operation(manual.lstm_cell, torch.lstm_cell, lstm_step, 4, 2),
    _operation(manual.gru_cell, torch.gru_cell, gru_step, 3, 1),
    _operation(manual.rnn_tanh_cell, torch.rnn_tanh_cell, tanh_step, 1, 1),
    _operation(manual.rnn_relu_cell, torch.rnn_relu_cell, relu_step, 1, 1),
)


def _modules(name: str, states: int, hidden: int = 3, **options: Any) -> tuple[ModuleCase, ...]:
    def state(*shape: int) -> Any:
        return tuple(normal(*shape, hidden) for _ in range(states)) if states > 1 else normal(*shape, hidden)

    def case(label: str, *arrays: Any, bias: bool = True, zero: tuple[str, ...] = ()) -> ModuleCase:
        label = ", ".join([label, *options.values()])
        module = build(name, 2, hidden, **options) if bias else build(name, 2, hidden, bias=False, **options)
        return ModuleCase(module, Case(label, arrays, zero=zero), scale=0.3)

    return (
        case("batch of 4", normal(4, 2), state(4)),
        case("no state", normal(4, 2), zero=("grad_weight_hh",)),
        case("no batch", normal(2), state()),
        case("no biases", normal(4, 2), state(4), bias=False),
    )


MODULES = (
    *_modules("RNNCell", 1),
    *_modules("RNNCell", 1, 8, nonlinearity="relu"),
    *_modules("LSTMCell", 2),
    *_modules("GRUCell", 1),
)
