"""`python -m manual digits`: the same steps as torch's, digits read that were not seen, and what the command shows."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

import manual
from benchmarks import torch_side, workloads
from manual.__main__ import main
from manual.commands import digits


def test_a_hundred_steps_are_torchs():
    """From the same weights on the same minibatches, every parameter and every running statistic, at every step."""
    rng = np.random.default_rng(0)
    seen, _ = digits.load(rng, np.float64)
    ours, (theirs, _) = digits.network(rng, np.float64), torch_side.construct(workloads.residual(1))
    theirs.double()
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
    settings = {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizer, their_optimizer = manual.SGD(ours.parameters(), **settings), torch.optim.SGD(theirs.parameters(), **settings)
    for _ in range(100):
        batch = next(digits.minibatches(seen, 16, rng))
        loss = digits.step(ours, optimizer, batch)
        their_loss = nn.functional.cross_entropy(theirs(torch.tensor(batch.images)), torch.tensor(batch.digits))
        their_optimizer.zero_grad()
        their_loss.backward()
        their_optimizer.step()
        assert loss == pytest.approx(their_loss.item(), rel=1e-9, abs=1e-9)
        theirs_now = theirs.state_dict()
        for name, array in ours.state_dict().items():
            np.testing.assert_allclose(array, theirs_now[name], rtol=0, atol=1e-8, err_msg=name)


def test_a_residual_block_by_hand():
    """With −x/2 as its body: y = relu(x/2), so the gradient is g/2 where x > 0."""
    body = manual.Linear(2, 2, bias=False)
    body.weight.data[...] = -0.5 * np.eye(2)
    output, backward = digits.Residual(body)(np.array([[4.0, -2.0]]))
    np.testing.assert_array_equal(output, [[2, 0]])
    np.testing.assert_array_equal(backward(np.array([[3.0, 5.0]]))[0], [[1.5, 0]])
    np.testing.assert_array_equal(body.weight.grad, [[12, -6], [0, 0]])
    assert backward(np.array([[3.0, 5.0]]), (False,)) == (None,)


def test_data_are_split_whole():
    seen, unseen = digits.load(np.random.default_rng(0))
    assert (len(seen.digits), len(unseen.digits)) == (1438, 359)
    images = np.concatenate([seen.images, unseen.images])
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == np.float32
    assert abs(images.mean()) < 1e-6
    assert images.std() == pytest.approx(1, rel=1e-5)
    assert len(np.unique(images.reshape(1797, -1), axis=0)) == 1797


def test_minibatches_hold_each_digit_once():
    data = digits.Digits(np.arange(10.0), np.arange(10))
    batches = list(digits.minibatches(data, 4, np.random.default_rng(0)))
    assert [len(batch.digits) for batch in batches] == [4, 3, 3]
    order = np.concatenate([batch.digits for batch in batches])
    assert sorted(order) == list(range(10)) != list(order)
    np.testing.assert_array_equal(np.concatenate([batch.images for batch in batches]), order)


@pytest.mark.slow
def test_the_command(capsys, tmp_path):
    picture = tmp_path / "digits.png"
    main(["digits", "--epochs", "8", "--seed", "1", "--plot", str(picture)])
    out = capsys.readouterr().out
    right, share = re.search(r"(\d+) of 359 digits not seen in training are read right: ([\d.]+)%", out).groups()
    assert float(share) == pytest.approx(100 * int(right) / 359, abs=0.005)
    assert float(share) >= 98
    assert len(re.findall(r"^ +\d+  [\d.]+ +[\d.]+%$", out, re.MULTILINE)) == 8
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mistaken", [0, 1, 12])
def test_the_picture(mistaken):
    """Losses, filters, and what was mistaken, ten digits at most."""
    truth = np.arange(20) % 10
    unseen = digits.Digits(np.zeros((20, 1, 8, 8)), truth)
    answers = np.where(np.arange(20) < mistaken, (truth + 1) % 10, truth)
    figure = Figure()
    digits.draw(figure, [2.0, 1.0], np.arange(144.0).reshape(16, 1, 3, 3), unseen, answers)
    curve, filters, *images = figure.axes
    np.testing.assert_array_equal(curve.lines[0].get_xydata(), [[1, 2], [2, 1]])
    shown = filters.images[0].get_array()
    assert shown.shape == (8, 32)
    np.testing.assert_array_equal(shown[4:7, 28:31], np.arange(135.0, 144).reshape(3, 3))  # the last one
    assert [axes.get_title() for axes in images] == [f"{i + 1}, is {i}" for i in range(min(mistaken, 9))] + ["0, is 9"] * (
        mistaken > 9
    )
    assert figure.subfigs[1].get_suptitle() == f"Mistaken: {mistaken} of 20 digits not seen in training"


@pytest.mark.parametrize("options", [["--epochs", "0"], ["--lr", "nan"], ["--batch", "1.5"], ["--seed", "-1"], ["--plot", "a.txt"]])
def test_wrong_options(options, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["digits", *options])
    assert exit.value.code == 2
    assert f"argument {options[0]}: " in capsys.readouterr().err
