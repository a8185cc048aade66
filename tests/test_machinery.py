"""What measures is measured: operations and a module with nested arguments and outputs agree, and each is caught when broken."""

import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import manual
from reference import exact
from reference.agreement import measure, measure_module
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases import OPERATIONS

DTYPES = ["float64", "float32"]


def cell(x, hx, /):
    """A cell with two states: g = tanh(h x), c′ = c + g, y = x c′; it gives y and the states (g, c′)."""
    h, c = (np.ones_like(x), np.ones_like(x)) if hx is None else hx
    gate = np.tanh(h * x)
    new = c + gate
    output = x * new

    def backward(grad, needs=None):
        grad_y, grad_states = grad
        grad_gate, grad_new = grad_states or (None, None)
        zero = np.zeros_like(x)
        grad_y, grad_gate, grad_new = (zero if g is None else g for g in (grad_y, grad_gate, grad_new))
        grad_new = grad_new + grad_y * x
        grad_z = (grad_gate + grad_new) * (1 - gate) * (1 + gate)
        return grad_y * new + grad_z * h, None if hx is None else (grad_z * x, grad_new)

    return (output, (gate, new)), backward


def torch_cell(x, hx):
    h, c = (torch.ones_like(x), torch.ones_like(x)) if hx is None else hx
    gate = torch.tanh(h * x)
    return x * (c + gate), (gate, c + gate)


def cell_definition(x, hx):
    h, c = hx or (1, 1)
    gate = exact.tanh(h * x)
    return x * (c + gate), (gate, c + gate)


def top(x, /):
    """The largest number of each row, and its place."""
    place = x.argmax(axis=-1)

    def backward(grad, needs=None):
        grad_largest, no_grad = grad
        assert no_grad is None
        grad_x = np.zeros_like(x)
        np.put_along_axis(grad_x, place[:, None], grad_largest[:, None], axis=-1)
        return (grad_x,)

    return (x.max(axis=-1), place), backward


def stack(x, weights, /):
    """A product with one weight after the other: the list is one argument."""
    layers = [x]
    for weight in weights:
        layers.append(layers[-1] * weight)

    def backward(grad_output, needs=None):
        grads = [None] * len(weights)
        for i in reversed(range(len(weights))):
            grads[i] = grad_output * layers[i]
            grad_output = grad_output * weights[i]
        return grad_output, grads

    return layers[-1], backward


def product(x, weights):
    for weight in weights:
        x = x * weight
    return x


STATES = Case("states", (normal(3, 2), (normal(3, 2), normal(3, 2))))
TOYS = {
    "cell": Operation(cell, torch_cell, cell_definition, (STATES, Case("no states", (normal(3, 2), None))), STATES, STATES),
    "top": Operation(
        top, lambda x: tuple(x.max(dim=-1)), lambda x: (x.max(axis=-1), None), (Case("rows", (normal(3, 4),)),), STATES, STATES
    ),
    "stack": Operation(stack, product, product, (Case("list", (normal(4), [normal(4), normal(4), normal(4)])),), STATES, STATES),
}


def complaints(name, function=None, dtype="float64", **changes):
    toy = TOYS[name]
    return [text for case in toy.cases for text in measure(toy, replace(case, **changes), dtype, function).complaints]


@pytest.mark.parametrize("name", TOYS)
def test_toys_agree(name, dtype):
    assert complaints(name, dtype=dtype) == []


def broken(operation, change_output=lambda output: output, change_grads=lambda grads, grad: grads):
    def function(*arguments):
        output, backward = operation(*arguments)
        return change_output(output), lambda grad, needs=None: change_grads(backward(grad), grad)

    return function


def of_states(change):
    """A change to the gradient of the states, where there are any."""
    return lambda grads, grad: grads if grads[1] is None else (grads[0], change(*grads[1]))


BROKEN = {
    "a state's gradient negated": (cell, {"change_grads": of_states(lambda h, c: (h, -c))}, "grad_1.1: r = "),
    "states' gradients exchanged": (cell, {"change_grads": of_states(lambda h, c: (c, h))}, "grad_1.0: r = "),
    "a state's gradient missing": (cell, {"change_grads": of_states(lambda h, c: (h, None))}, "grad_1.1 must be an array"),
    "no gradient of the states": (cell, {"change_grads": of_states(lambda h, c: None)}, "grad_1.0 is missing"),
    "a gradient of no states": (
        cell,
        {"change_grads": lambda grads, grad: (grads[0], grads[1] or (grads[0], grads[0]))},
        "grad_1.0 must be None",
    ),
    "a new state off": (cell, {"change_output": lambda out: (out[0], (out[1][0], out[1][1] * 1.001))}, "output.1.1: r = "),
    "an output short": (cell, {"change_output": lambda out: out[0]}, "output.0 is missing"),
    "None taken for ones": (
        cell,
        {"change_grads": lambda grads, grad: (grads[0] + (grad[0] is None), grads[1])},
        "grad_0: None for part 0 of the cotangent is not the same as zeros",
    ),
    "None for all states taken for ones": (
        cell,
        {"change_grads": lambda grads, grad: (grads[0] + (grad[1] is None), grads[1])},
        "grad_0: None for part 1 of the cotangent",
    ),
    "None refused": (cell, {"change_grads": lambda grads, grad: (grads[0] + 0 * grad[0], grads[1])}, "raised TypeError"),
    "a wrong index": (top, {"change_output": lambda out: (out[0], out[1][::-1] + 1)}, "output.1: "),
    "an index of another dtype": (top, {"change_output": lambda out: (out[0], out[1].astype(float))}, "output.1 must be int64"),
    "an index left out": (top, {"change_output": lambda out: (out[0], None)}, "output.1 must be an array, got NoneType"),
    "a gradient in the next row": (top, {"change_grads": lambda grads, grad: (np.roll(grads[0], 1, 0),)}, "grad_0: r = "),
    "weights' gradients in reverse": (stack, {"change_grads": lambda g, grad: (g[0], g[1][::-1])}, "grad_1.0: r = "),
    "a weight's gradient too few": (stack, {"change_grads": lambda g, grad: (g[0], g[1][:-1])}, "grad_1.2 is missing"),
    "a gradient that is no tuple": (stack, {"change_grads": lambda g, grad: list(g)}, "backward must return a tuple of 2"),
}


@pytest.mark.parametrize(("toy", "changes", "complaint"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_toys_are_caught(toy, changes, complaint):
    found = complaints(toy.__name__, broken(toy, **changes))
    assert any(text.startswith(complaint) for text in found), found


def test_a_zero_gradient_must_be_said():
    found = complaints("cell", zero=("grad_1.1",))
    assert "grad_1.1 is not zero, as the case says" in found
    still = replace(STATES, arrays=(normal(3, 2), (normal(3, 2), lambda generator: np.zeros((3, 2)))))
    zero = Operation(cell, torch_cell, cell_definition, (still,), still, still)
    assert measure(zero, still, "float64").complaints == ()  # it is the gradient that counts, and no zero state makes it zero
    nothing = replace(STATES, arrays=((lambda generator: np.zeros((3, 2))), STATES.arrays[1]))
    assert "grad_1.0 is zero, which proves nothing" in measure(zero, nothing, "float64").complaints


def test_a_name_that_is_no_gradient_is_an_error():
    assert "grad_7, of which the case speaks, is none of its gradients" in complaints("cell", zero=("grad_7",))


def test_torch_may_offer_no_gradient():
    def half(x, weights, /):
        output, backward = stack(x, weights)
        return output, lambda grad, needs=None: (None, backward(grad)[1])

    assert complaints("stack", half, no_grad=("grad_0",)) == []
    assert complaints("stack", no_grad=("grad_0",)) == ["grad_0 must be None"]


@pytest.mark.parametrize("judge", ["float64", "torch"])
def test_other_judges(judge, dtype):
    for name in TOYS:
        assert complaints(name, dtype=dtype, judge=judge) == []
    assert complaints("cell", broken(cell, **BROKEN["a state's gradient negated"][1]), dtype, judge=judge)


def test_where_torch_is_the_judge_it_has_no_ratio():
    case = replace(STATES, judge="float64")
    wide, narrow = ([q.torch_ratio for q in measure(TOYS["cell"], case, dtype).quantities] for dtype in DTYPES)
    assert set(wide) == {None}
    assert None not in narrow


def test_an_ill_conditioned_composition_may_be_as_wrong_as_torch(dtype):
    """Where torch takes x + 4096 − 4096, ours may lose twice as many digits, and no more."""
    u = np.finfo(dtype).eps / 2

    def off_by(ratio):
        def function(x, /):
            return x * x.dtype.type(1 + ratio * u), lambda grad, needs=None: (grad,)

        function.__name__ = "shift"
        return function

    def torch_shift(x):
        return (x + 4096) - 4096

    case = Case("far", ([0.1, 0.3],), judge="float64", ill_conditioned="4096 drowns x")
    shift = Operation(off_by(0), torch_shift, lambda x: x, (case,), case, case)
    torchs = measure(shift, case, "float32").quantities[0].torch_ratio
    assert 100 < torchs < 10_000
    assert measure(shift, case, "float32").complaints == ()
    if dtype == "float32":
        assert measure(shift, case, dtype, off_by(1.9 * torchs)).complaints == ()
        assert measure(shift, case, dtype, off_by(10 * torchs)).complaints != ()
    unsaid = replace(case, ill_conditioned="")
    assert any("does not say why" in text for text in measure(shift, unsaid, "float32").complaints)


def test_a_seed_draws_other_numbers():
    relu = OPERATIONS["relu"]
    case = relu.cases[0]
    first, again, other = (case.build("relu", np.float64, seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert measure(relu, case, "float64", seed=1).complaints == ()


class Scale(manual.Module):
    """A module with states, a mask by keyword and an option: y = (w x + h) m, h′ = h c."""

    def __init__(self, size, dtype=np.float64):
        self.weight = manual.Parameter(np.ones(size, dtype))

    def forward(self, input, states, mask=None, twice: bool = False, factor=None):
        h, c = states
        w = self.weight
        kept = np.ones_like(input) if mask is None else mask.astype(input.dtype)
        kept = kept * (2 if twice else 1)
        output = (w.data * input + h) * kept, h * c

        def backward(grad, needs=None):
            grad_y, grad_h = grad
            grad_y = np.zeros_like(input) if grad_y is None else grad_y * kept
            grad_h = np.zeros_like(input) if grad_h is None else grad_h
            grad_w = (grad_y * input).sum(axis=0)
            w.grad = grad_w if w.grad is None else w.grad + grad_w
            return grad_y * w.data, (grad_y + grad_h * c, grad_h * h), None, None

        return output, backward


class TorchScale(torch.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(size))

    def forward(self, input, states, mask=None, twice=False, factor=None):
        h, c = states
        kept = (1 if mask is None else mask.to(input.dtype)) * (2 if twice else 1)
        return (self.weight * input + h) * kept, h * c


_inputs = Case("states", (normal(3, 2), (normal(3, 2), normal(3, 2))))
MASKED = ModuleCase(
    build("Scale", 2), replace(_inputs, constants={"twice": True}), keywords={"mask": np.array([[1, 0], [1, 1], [0, 1]])}
)


def module_complaints(module, case=MASKED, dtype="float64"):
    ours, theirs = SimpleNamespace(Scale=module), SimpleNamespace(Scale=TorchScale)
    return measure_module(case, dtype, ours=ours, theirs=theirs).complaints


@pytest.mark.parametrize("case", [MASKED, ModuleCase(build("Scale", 2), _inputs)], ids=["mask", "no mask"])
def test_a_module_agrees(case, dtype):
    assert module_complaints(Scale, case, dtype) == ()


def broken_module(change):
    class Broken(Scale):
        def forward(self, *inputs, **options):
            output, backward = super().forward(*inputs, **options)
            return output, lambda grad, needs=None: change(self, backward(grad))

    Broken.forward.__signature__ = inspect.signature(Scale.forward)
    return Broken


def forget(module, grads):
    module.weight.grad = None
    return grads


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (forget, "grad_weight must be an array, got NoneType"),
        (lambda module, grads: (grads[0], grads[1][::-1], *grads[2:]), "grad_1.0: r = "),
        (lambda module, grads: grads[:3], "backward must return a tuple of 4 gradients"),
        (lambda module, grads: (*grads[:2], grads[0], None), "grad_2 must be None"),
    ],
    ids=["parameter", "states", "one too few", "a mask's"],
)
def test_a_broken_module_is_caught(change, complaint):
    found = module_complaints(broken_module(change))
    assert any(text.startswith(complaint) for text in found), found


def off_by(noise):
    """A linear layer whose bias has a gradient that is wrong by so much."""

    class Noisy(manual.Linear):
        def forward(self, input):
            output, backward = super().forward(input)

            def noisy(grad_output, needs=None):
                grads = backward(grad_output, needs)
                self.bias.grad = self.bias.grad + noise
                return grads

            return output, noisy

    return SimpleNamespace(**{**vars(manual), "Linear": Noisy})


def test_a_gradient_that_is_zero_by_cancellation_is_judged_where_it_arises():
    """The noise of a bias before batch norm may be as large as rounding makes it there, and no larger."""
    network = build("Sequential", build("Linear", 4, 3), build("BatchNorm1d", 3))
    case = ModuleCase(network, Case("a bias before batch norm", (normal(6, 4),), zero=("grad_0.bias",)))
    dtype = "float64"
    (bias,) = [q for q in measure_module(case, dtype).quantities if q.name == "grad_0.bias"]
    assert 0 < bias.ratio < 10
    assert measure_module(case, dtype, ours=off_by(1e-16)).complaints == ()
    (complaint,) = measure_module(case, dtype, ours=off_by(1e-12)).complaints
    assert complaint.startswith("grad_0.bias: r = ")
