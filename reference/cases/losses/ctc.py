"""Cases of the loss of connectionist temporal classification."""

from dataclasses import replace
from itertools import groupby, product

import numpy as np
import torch
import torch.nn.functional as F

import manual
from reference.case import Case, Draw, ModuleCase, Operation, build, classes, probabilities, uniform
from reference.cases.losses.reduction import REDUCTIONS, reduced
from reference.exact import exp, log


def _ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    x = log_probs.reshape(len(log_probs), -1, log_probs.shape[-1])
    lengths = np.reshape(target_lengths, -1)
    flat = targets if targets.ndim == 1 else np.concatenate([row[:length] for row, length in zip(targets, lengths)])
    likelihoods = np.zeros(len(lengths), dtype=object)
    for n, (time, labels) in enumerate(zip(np.reshape(input_lengths, -1), np.split(flat, np.cumsum(lengths)[:-1]))):
        for path in product(range(x.shape[2]), repeat=int(time)):
            if [c for c, _ in groupby(path) if c != blank] == list(labels):
                likelihoods[n] += exp(sum(x[t, n, c] for t, c in enumerate(path)))
    losses = np.where((likelihoods == 0) & zero_infinity, 0, -log(likelihoods))
    share = np.maximum(lengths, 1) if reduction == "mean" else 1
    return reduced((losses / share).reshape(log_probs.shape[1:-1]), reduction)


def _torch(module):
    """The loss of torch, with the gradient of log_probs as they are.

    torch's own is that of log_softmax and the loss together: beside the one of the loss, it holds exp(log_probs) for each time
    of each sequence that can be aligned. That much is taken off.
    """

    def loss(log_probs, targets, input_lengths, target_lengths):
        arguments = targets, input_lengths, target_lengths
        losses = F.ctc_loss(log_probs.detach(), *arguments, blank=module.blank, reduction="none")
        passed = torch.arange(len(log_probs))[:, None] < input_lengths.reshape(-1)
        surplus = log_probs.exp().sum(-1).reshape(passed.shape).where(passed & losses.isfinite(), 0).sum(0)
        if module.reduction == "mean":
            surplus = surplus / target_lengths.reshape(-1).clamp(min=1) / len(surplus)
        surplus = surplus.reshape(losses.shape) if module.reduction == "none" else surplus.sum()
        return module(log_probs, *arguments) - (surplus - surplus.detach())

    return loss


def _scores(*shape: int) -> Draw:
    """As log-probabilities go, but not normalised: each is a number of its own."""
    return uniform(-4, 0, *shape)


def _benchmark(steps, batch, symbols, length):
    targets = [[1 + (n + s) % (symbols - 1) for s in range(length)] for n in range(batch)]
    arrays = _scores(steps, batch, symbols), targets, [steps] * batch, [length] * batch
    return Case(f"{length} labels in {steps} steps, {symbols} classes, batch {batch}", arrays)


_pair = [[1, 2], [2, 1]], [4, 4], [2, 2]
_cases = (
    *(Case(reduction, (_scores(4, 2, 3), *_pair), {"reduction": reduction}) for reduction in REDUCTIONS),
    *(
        Case(f"lengths, {reduction}", (_scores(5, 2, 3), [[1, -1], [1, 2]], [5, 3], [1, 2]), {"reduction": reduction})
        for reduction in REDUCTIONS
    ),
    Case("one target after the other", (_scores(4, 3, 3), [2, 1, 2, 1], [4, 3, 4], [1, 2, 1])),
    Case("targets with room to spare", (_scores(3, 2, 3), [[1, 2, 9, 9], [2, 9, 9, 9]], [3, 3], [2, 1])),
    Case("a label repeated", (_scores(5, 2, 3), [[1, 1], [2, 2]], [5, 4], [2, 2])),
    Case("three labels", (_scores(5, 1, 3), [[1, 2, 1]], [5], [3])),
    Case("blank last", (_scores(4, 2, 3), [[0, 1], [1, 1]], [4, 4], [2, 2]), {"blank": 2}),
    Case("no batch", (_scores(4, 3), [2, 1], 4, 2)),
    Case("no batch, none", (_scores(4, 3), [[2, 1]], [3], [2]), {"reduction": "none"}),
    Case("no batch, sum", (_scores(4, 3), [2, 1], [4], [2]), {"reduction": "sum"}),
    Case("no time to spare", (_scores(3, 2, 3), [[1, 2, 1], [1, 1, 0]], [3, 3], [3, 2])),
    Case("a single time", (_scores(1, 2, 3), [[1], [2]], [1, 1], [1, 0]), {"reduction": "none"}),
    Case("no labels", (_scores(3, 2, 3), classes(3, 2, 0), [3, 2], [0, 0])),
    Case("no labels, one after the other", (_scores(3, 2, 3), classes(3, 0), [3, 2], [0, 0])),
    Case("no time and no labels", (_scores(3, 2, 3), [[0], [2]], [0, 3], [0, 1]), {"reduction": "none"}),
    Case("a blank alone", (_scores(3, 2, 1), classes(1, 2, 0), [3, 2], [0, 0])),
    Case("impossible", (_scores(2, 2, 3), [[1, 1], [2, 2]], [2, 1], [2, 2]), {"reduction": "none"}, judge="torch"),
    Case("impossible, mean", (_scores(2, 2, 3), [[1, 1], [2, 2]], [2, 2], [2, 2]), judge="torch"),
    Case(
        "impossible, zero_infinity", (_scores(2, 2, 3), [[1, 1], [2, 2]], [2, 1], [2, 2]), {"zero_infinity": True}, zero=("grad_0",)
    ),
    *(
        Case(
            f"one impossible, zero_infinity, {reduction}",
            (_scores(3, 2, 3), [[1, 1], [2, 0]], [2, 3], [2, 1]),
            {"zero_infinity": True, "reduction": reduction},
        )
        for reduction in REDUCTIONS
    ),
    Case("normalised", (lambda generator: np.log(probabilities(4, 2, 3)(generator)), *_pair)),
    Case("wide", (uniform(-10, 0, 4, 2, 3), *_pair), {"reduction": "none"}),
    Case(
        "saturated",
        ([[0.0, -10.0, -1000.0], [-10.0, -1000.0, 0.0], [-1000.0, 0.0, -10.0], [0.0, -10.0, -10.0]], [2, 1], 4, 2),
    ),
    Case("at the extremes", ([[0.0, -1e4, -1e4], [-1e4, 0.0, -1e4], [0.0, -1e4, -1e4]], [1], 3, 1)),
    Case("hardly possible", ([[0.0, -30.0, -1000.0], [0.0, -1000.0, -60.0], [0.0, -30.0, -500.0]], [1, 2], 3, 2)),
)

OPERATIONS = (
    Operation(
        manual.ctc_loss,
        lambda *arrays, **constants: _torch(torch.nn.CTCLoss(**constants))(*arrays),
        _ctc_loss,
        cases=tuple(
            replace(case, torch_loses="exp(log_probs), put in and taken off again, drowns small numbers in its rounding error")
            for case in _cases
        ),
        small=_benchmark(50, 4, 20, 10),
        large=_benchmark(200, 16, 64, 40),
    ),
)

_lengths = [[1, -1], [1, 2]], [5, 3], [1, 2]
MODULES = (
    *(ModuleCase(build("CTCLoss", reduction=r), Case(r, (_scores(5, 2, 3), *_lengths)), torch=_torch) for r in REDUCTIONS),
    ModuleCase(
        build("CTCLoss", blank=2, zero_infinity=True),
        Case("blank and zero_infinity", (_scores(3, 2, 3), [[1, 1], [0, 1]], [2, 3], [2, 2])),
        torch=_torch,
    ),
)
