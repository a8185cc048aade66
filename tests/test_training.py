"""Training side by side: networks that stay together, and one that is led astray."""

import re

import numpy as np
import pytest
import torch
from torch import nn

import manual
from reference import train_together


def batches(shape, classes, count=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(shape, generator=generator, dtype=dtype), torch.randint(classes, shape[:1], generator=generator))
        for _ in range(count)
    ]


def dense(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8, dtype=dtype), nn.Tanh(), nn.Sequential(nn.Linear(8, 3, bias=False, dtype=dtype)))


NETWORKS = {
    "dense": (dense, (6, 4)),
    "images": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
        ).double(),
        (6, 2, 4, 4),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "optimizer", [lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), lambda p: torch.optim.RMSprop(p, 1e-3, eps=1e-3)]
)
def test_networks_stay_together(name, optimizer):
    build, shape = NETWORKS[name]
    module = build()
    start = {key: value.clone() for key, value in module.state_dict().items()}
    training = train_together(module, batches(shape, 3), nn.CrossEntropyLoss(label_smoothing=0.1), optimizer, 20)
    assert training.agrees, training
    assert len(training.losses["manual"]) == len(training.losses["torch"]) == 20
    np.testing.assert_allclose(training.losses["manual"], training.losses["torch"], rtol=1e-9)
    assert training.losses["torch"][-1] < training.losses["torch"][0]
    assert not torch.equal(start["0.weight"], module.state_dict()["0.weight"])
    assert set(training.drift) == {key for key, _ in module.named_parameters()}
    assert str(training).startswith("20 steps: loss ")


def test_an_optimizer_with_groups_and_a_past():
    module = dense()
    groups = [{"params": module[0].parameters(), "lr": 0.1}, {"params": module[2].parameters(), "weight_decay": 0.1}]
    optimizer = torch.optim.AdamW(groups, 0.01, eps=1e-4)
    train_together(module, batches((6, 4), 3), nn.CrossEntropyLoss(), optimizer, 5)
    assert train_together(module, batches((6, 4), 3), nn.CrossEntropyLoss(), optimizer, 5).agrees


def test_batches_that_come_once():
    stream = iter(given := batches((6, 4), 3))
    training = train_together(dense(), stream, nn.CrossEntropyLoss(), lambda p: torch.optim.SGD(p, 0.1), 3)
    assert training.losses == train_together(dense(), given, nn.CrossEntropyLoss(), lambda p: torch.optim.SGD(p, 0.1), 3).losses


def test_single_precision():
    module = dense(torch.float32)
    sgd = torch.optim.SGD(module.parameters(), 0.1)
    training = train_together(module, batches((6, 4), 3, dtype=torch.float32), nn.CrossEntropyLoss(), sgd, 10)
    assert training.agrees
    assert training.bound == 1e-3


def test_the_first_that_drifts_apart_is_named(monkeypatch, tmp_path):
    """The last weight of ours gets a gradient that is off by a ten-thousandth, at its third step."""
    step, count = manual.SGD.step, []

    def astray(self, closure=None):
        count.append(1)
        if len(count) == 3:
            parameter = self.param_groups[0]["params"][2]
            parameter.grad = parameter.grad * (1 + 1e-4)
        return step(self, closure)

    monkeypatch.setattr(manual.SGD, "step", astray)
    path = tmp_path / "training.png"
    training = train_together(dense(), batches((6, 4), 3), nn.CrossEntropyLoss(), lambda p: torch.optim.SGD(p, 0.1), 50, plot=path)
    assert not training.agrees
    assert training.drifted == "2.0.weight"
    assert len(training.losses["torch"]) == 3
    assert str(training).startswith("stopped after 3 steps: 2.0.weight has drifted by ")
    assert path.read_bytes().startswith(b"\x89PNG")


class Tied(nn.Module):
    """Embeds words, drops some numbers, attends, and says which word comes next by the same table."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.attention = nn.MultiheadAttention(4, 2, dropout=0.2, batch_first=True)
        self.scale = nn.Parameter(torch.ones(4))
        self.drop = nn.Dropout(0.3)

    def forward(self, words, keep):
        x = self.drop(self.table(words)) * self.scale
        x = x + self.attention(x, x, x, key_padding_mask=~keep)[0]
        return x @ self.table.weight.T


def test_any_network_on_batches_of_any_length():
    """Words, masks and what is dropped differ from batch to batch; one weight serves twice; the loss is a function."""
    torch.manual_seed(0)
    module, generator = Tied().double(), torch.Generator().manual_seed(1)
    given = []
    for length in (3, 5, 4):
        words = torch.randint(7, (2, length + 1), generator=generator)
        keep = torch.arange(length) < torch.tensor([[length], [length - 1]])
        given.append(((words[:, :-1], keep), words[:, 1:]))

    def loss(scores, target):
        return nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten())

    training = train_together(module, given, loss, lambda p: torch.optim.Adam(p, 0.01, eps=1e-3), 12)
    assert training.agrees, training
    assert set(training.drift) == {name for name, _ in module.named_parameters()}
    assert len(set(training.losses["torch"])) == 12


def test_frozen_parameters_stay():
    module = dense()
    module[0].requires_grad_(False)
    before = module[0].weight.clone()
    training = train_together(module, batches((6, 4), 3), nn.CrossEntropyLoss(), lambda p: torch.optim.SGD(p, 0.1), 3)
    assert training.drift["0.weight"] == [0.0] * 3
    assert torch.equal(module[0].weight, before)


def sgd(parameters):
    return torch.optim.SGD(parameters, 0.1)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        x = x * self.weight
        x[0] = 0.0
        return x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: train_together(
                Own(), [(torch.ones(2, 3), torch.ones(2, 3))], nn.MSELoss(), lambda p: torch.optim.SGD(p, 0.1), 1
            ),
            "train_together: the network could not be translated:\n  network (",
        ),
        (
            lambda: train_together(dense(), [], nn.MSELoss(), torch.optim.SGD, 1),
            "train_together: batches must hold at least one",
        ),
        (
            lambda: train_together(dense(), batches((6, 4), 3), nn.MSELoss(), torch.optim.SGD(dense().parameters()), 1),
            "train_together: optimizer must be one of parameters of the module",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        call()
