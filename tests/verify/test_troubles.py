"""What cannot be translated is listed, each with its place, and the user's network is left as it was."""

import copy
import dataclasses
import inspect
import random
import threading
from collections import namedtuple

import numpy as np
import pytest
import torch
from torch import nn

from reference import verify
from reference.networks.verification import INPUT, OUTPUT, PARAMETER, Quantity, Translation

HERE = "tests/verify/test_troubles.py"


def line_of(module, text):
    """Where in this file the forward of a module has this text."""
    lines, first = inspect.getsourcelines(module.forward)
    (number,) = [i for i, line in enumerate(lines) if text in line]
    return f"{first + number}"


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.register_buffer("ones", torch.ones(3))


class Assigns(Inner):
    def forward(self, x):
        h = self.fc(x)
        h[:, 0] = 0.0
        out = torch.zeros(2, 3)
        out[0] = h.mean(0)
        return h + out


class WithoutGradient(Inner):
    def forward(self, x):
        h = self.fc(x)
        with torch.no_grad():
            scale = h.abs().amax()
        return self.fc(h / scale)


class Casts(Inner):
    def forward(self, x):
        h = self.fc(x).to(torch.bfloat16)
        h = h.float() + x.double().float()
        return h.to(dtype=torch.float16).to(x.dtype) + x.half()


class Branches(Inner):
    def forward(self, x):
        h = self.fc(x)
        if h.sum() > 0:
            h = 2 * h
        h = h * float(x.max())
        h = h + h[0].tolist()[0] + int((x > 0).sum())
        while (h > 1e3).any():
            h = h / 2
        return h


class Overwrites(Inner):
    def forward(self, x):
        h = self.fc(x)
        view = h.view(-1)
        part = h[:1]
        h += 1
        return h.sum() + view.sum() + part.exp().sum()


class ThroughViews(Inner):
    def forward(self, x):
        h = self.fc(x).detach()
        out = torch.zeros(2, 3)
        out[:1].copy_(h[:1])
        return out + h


class Unknown(Inner):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    def forward(self, x):
        h = torch.special.bessel_j0(self.fc(x))
        return torch.fft.fft(h).real + torch.linalg.inv(h @ h.T)[0, 0]


class OfItsOwn(Unknown):
    def forward(self, x):
        h = self.Double.apply(self.fc(x))
        return h + 1


class Elsewhere(Inner):
    weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.fc(x) * self.weight


class Hooks(Inner):
    def forward(self, x):
        h = self.fc(x)
        h.register_hook(lambda g: 2 * g)
        return h


class Stops(Inner):
    def forward(self, x):
        h = self.fc(x)
        h[0] = 1
        return torch.cat([h, x[0]])


TROUBLES = {
    Assigns: [("h[:, 0] = 0.0", "item assignment has no counterpart"), ("out[0] =", "item assignment has no counterpart")],
    WithoutGradient: [("h.abs().amax()", "abs under no_grad"), ("h.abs().amax()", "amax under no_grad")],
    Casts: [
        ("to(torch.bfloat16)", "a cast to another precision, torch.bfloat16"),
        ("x.double()", "a cast to another precision, torch.float64"),
        ("x.half()", "a cast to another precision, torch.float16"),
    ],
    Branches: [
        ("if h.sum()", "__bool__ makes a number of a tensor"),
        ("float(x.max())", "__float__ makes a number of a tensor"),
        ("tolist()[0]", "tolist makes a number of a tensor"),
        ("tolist()[0]", "__int__ makes a number of a tensor"),
        ("while (h", "__bool__ makes a number of a tensor"),
    ],
    Overwrites: [("view.sum()", "reads what was overwritten in place at tests/verify/test_troubles.py:")],
    Unknown: [
        ("bessel_j0", "special_bessel_j0 has no counterpart"),
        ("torch.fft", "fft_fft has no counterpart"),
        ("inv(h", "linalg_inv has no"),
    ],
    OfItsOwn: [("self.Double.apply", "Double, a torch.autograd.Function, has no counterpart")],
    Elsewhere: [("* self.weight", "reads a tensor of unknown origin (a parameter that the network does not have)")],
    Hooks: [("register_hook", "register_hook has no counterpart")],
    Stops: [("torch.cat", "the network stopped: RuntimeError: Tensors must have same number of dimensions")],
}


@pytest.mark.parametrize("kind", TROUBLES)
def test_what_cannot_be_translated_is_listed_with_its_place(kind):
    network = nn.Sequential(nn.Linear(3, 3), kind())
    report = verify(network, torch.randn(2, 3))
    assert not report.agrees
    assert report.quantities == ()
    found = [(trouble.module, trouble.line) for trouble in report.troubles]
    expected = [("1", f"{HERE}:{line_of(kind, text)}") for text, _ in TROUBLES[kind]]
    assert found == expected, str(report)
    for trouble, (_, words) in zip(report.troubles, TROUBLES[kind], strict=True):
        assert trouble.what.startswith(words)
        assert f"1 ({trouble.line}): {words}" in str(report)
    assert str(report).startswith("Sequential: could not be translated\n")


def test_what_only_looks_like_it_is_translated():
    """Numbers of constants, masks made under no_grad, assignment to constants, casts to the network's own precision."""

    class Fine(Inner):
        def forward(self, x, mask):
            table = torch.zeros(3, 3)
            table[0, 1:] = 2.0
            table[table > 0] += 1
            with torch.no_grad():
                later = torch.triu(torch.ones(3, 3), 1).bool() | mask
            if table.sum() > 4 and float(self.ones[0]) == 1:
                x = self.fc(x.float()).to(torch.float32)
            n = int(torch.ceil(torch.tensor(x.shape[0] / 2)))
            assert x.dtype == torch.float32 == self.ones.dtype
            return (x @ table.type_as(x)).masked_fill(later, -1.0)[:n] * self.ones

    report = verify(Fine(), torch.randn(3, 3), torch.zeros(3, dtype=torch.bool))
    assert report.agrees, str(report)


def test_the_users_network_is_left_as_it_was():
    seen = []
    network = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.5)), nn.Linear(4, 2)
    )
    network[2].eval()
    network[3].bias.requires_grad_(False)
    network[0].register_forward_hook(lambda module, inputs, output: seen.append((output.dtype, random.random(), np.random.rand())))  # noqa: NPY002
    network(torch.randn(5, 3)).sum().backward()
    seen.clear()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in network.parameters()]
    modes = [module.training for module in network.modules()]
    hooks = [dict(module._forward_hooks) for module in network.modules()]
    x = torch.randn(5, 3, requires_grad=True)
    kept, call = x.detach().clone(), (nn.Module.__call__, torch.autograd.Function.apply)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002

    report = verify(network, x, train=True)
    assert report.agrees, str(report)
    assert {q.name for q in report.of("parameter gradient")} == {"0.weight", "0.bias", "1.weight", "1.bias", "3.weight"}
    assert [dtype for dtype, *_ in seen] == [torch.float32]  # it does not notice that it runs in float64
    assert (nn.Module.__call__, torch.autograd.Function.apply) == call
    assert torch.equal(x, kept)
    assert x.grad is None
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert tensor.dtype == state[name].dtype
    for p, grad in zip(network.parameters(), grads, strict=True):
        assert p.grad is grad is None or torch.equal(p.grad, grad)
    assert [module.training for module in network.modules()] == modes
    assert [dict(module._forward_hooks) for module in network.modules()] == hooks
    assert not network[3].bias.requires_grad
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]


def test_the_mode_is_the_networks_own_unless_it_is_given():
    network = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.BatchNorm1d(3)))
    network[1].eval()

    def moves(report):
        return any(q.name.endswith("running_mean") and q.torch.any() for q in report.of("running statistic"))

    x = torch.randn(4, 3)
    assert [moves(verify(network, x, train=train)) for train in (None, True, False)] == [False, True, False]


Pair = namedtuple("Pair", "one two")


@dataclasses.dataclass
class Output:
    logits: torch.Tensor
    cache: tuple
    loss: torch.Tensor | None = None


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.unused = nn.Linear(3, 3), nn.Parameter(torch.ones(2))
        self.table = nn.Embedding(5, 3)

    def forward(self, batch, mask=None, *, pair, flag=True, scale: int = 2):
        h = self.fc(batch["x"]) + self.table(batch["tokens"][0])
        if mask is not None and flag:
            h = h.masked_fill(mask, 0.0)
        return Output(scale * h + pair.two, (h.argmax(-1), {"half": h / 2, "pair": Pair(pair.one, None)}))


def test_nested_inputs_and_outputs_keywords_and_flags():
    batch = {"x": torch.randn(4, 3), "tokens": [torch.tensor([0, 1, 4, 4])]}
    pair = Pair(torch.randn(3), torch.randn(4, 3))
    report = verify(Nested(), batch, torch.tensor([True, False, False]), pair=pair, scale=3)
    assert report.agrees, str(report)
    names = {kind: {q.name for q in report.of(kind)} for kind in ("output", "input gradient", "parameter gradient")}
    assert names["output"] == {"output.logits", "output.cache.0", "output.cache.1.half", "output.cache.1.pair.0"}
    assert names["input gradient"] == {"batch.x", "pair.0", "pair.1"}
    unused = next(q for q in report.quantities if q.name == "unused")
    assert unused.ours is unused.torch is None
    assert "No gradient on either side: unused" in str(report)
    assert verify(Nested(), batch, None, pair=pair, flag=False).agrees


def test_one_tensor_given_twice_is_one_input():
    class Same(nn.Module):
        def forward(self, a, b):
            return a * 2 if a is b else a @ b

    x = torch.randn(3, 3)
    report = verify(Same(), x, x)
    assert report.agrees
    assert [q.name for q in report.of("input gradient")] == ["a"]


def test_disagreement_is_reported():
    """A gradient of torch that is not what its function says: the straight-through of a hook that no trace can see."""

    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.second(self.first(x))

    network = Wrong()
    network_of = copy.deepcopy

    def hooked(module, memo=None):
        other = network_of(module, memo)
        other.first.weight.register_hook(lambda g: g * (1 + 1e-8))
        return other

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reference.networks.verification.copy.deepcopy", hooked)
        report = verify(network, torch.randn(2, 3))
    assert not report.agrees
    assert [q.name for q in report.disagreeing] == ["first.weight"]
    assert "✗ parameter gradient first.weight: 1e-8 of the largest" in str(report) or "first.weight" in str(report)
    assert str(report).endswith("1 of 6 disagree, within 1e-09 of the largest of each kind")


@pytest.mark.parametrize(
    ("kind", "ours", "theirs", "error"),
    [
        (PARAMETER, None, None, 0.0),
        (PARAMETER, np.zeros(2), None, np.inf),  # a step of an optimizer would decay it
        (INPUT, np.zeros(2), None, 0.0),
        (INPUT, np.ones(2), None, np.inf),
        (PARAMETER, None, np.zeros(2), 0.0),
        (PARAMETER, None, np.ones(2), 0.25),
        (OUTPUT, np.array([1.0, np.nan]), np.array([2.0, np.nan]), 0.25),
        (OUTPUT, np.array([1.0, np.nan]), np.array([1.0, 2.0]), np.inf),
        (OUTPUT, np.array([np.inf, 2.0]), np.array([np.inf, 2.0]), 0.0),
        (OUTPUT, np.ones(3), np.ones(2), np.inf),
        (OUTPUT, np.array([3, 1]), np.array([1, 1]), 0.5),
    ],
)
def test_the_error_of_a_quantity(kind, ours, theirs, error):
    assert Quantity("x", kind, ours, theirs, 4.0).error == error


def test_a_second_report_begins_where_the_first_began():
    translation = Translation(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), (torch.randn(4, 3),), {}, True)
    assert translation.report().agrees
    assert translation.report(seed=1).agrees


def test_hooks_on_gradients_are_listed():
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    network[0].register_full_backward_hook(lambda module, grad_input, grad_output: (2 * grad_input[0],))
    troubles = verify(network, torch.randn(4, 3)).troubles
    assert [(trouble.what, trouble.module) for trouble in troubles] == [
        ("BackwardHookFunction, a torch.autograd.Function, has no counterpart", "0")
    ]


def test_precisions_of_networks():
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        network = nn.Sequential(nn.Linear(3, 4), nn.LSTM(4, 2)).to(dtype)
        assert verify(network, torch.randn(2, 3, dtype=dtype)).agrees

    class Up(nn.Module):
        def forward(self, x):
            return x.float() * 2

    assert verify(Up(), torch.randn(2)).agrees
    assert [t.what for t in verify(Up(), torch.randn(2).double()).troubles] == ["a cast to another precision, torch.float32"]


def test_two_threads_verify_at_once():
    networks = [nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)) for _ in range(4)]
    found, x = [], torch.randn(4, 3)
    threads = [threading.Thread(target=lambda n=n: found.append(verify(n, x).agrees)) for n in networks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"verify: module must be a torch.nn.Module, got function"):
        verify(line_of, torch.ones(2))
    network = nn.Linear(2, 2)
    network.cached = network.weight * 2
    with pytest.raises(TypeError, match="verify: the module could not be copied"):
        verify(network, torch.ones(2))
