"""`python -m manual text`: the same steps as torch's, a text that is learnt, and what the command shows."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import manual
from manual.__main__ import main
from manual.commands import text
from reference.twins import LanguageModel


def test_a_hundred_steps_are_torchs():
    """From the same weights on the same windows of the documentation, every parameter, at every step."""
    rng = np.random.default_rng(0)
    seen, _ = text.split(text.documentation().content)
    ours, theirs = text.network(rng, np.float64), LanguageModel(256, 128, 4, 2, 352, 4).double()
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
    settings = {"lr": 1e-3, "betas": (0.9, 0.95), "weight_decay": 0.1}
    optimizer, their_optimizer = manual.AdamW(ours.parameters(), **settings), torch.optim.AdamW(theirs.parameters(), **settings)
    first = None
    for _ in range(100):
        batch = text.windows(seen, 32, 2, rng)
        loss = text.step(ours, optimizer, batch)
        scores = theirs(torch.tensor(batch[:, :-1]))
        their_loss = torch.nn.functional.cross_entropy(scores.reshape(-1, 256), torch.tensor(batch[:, 1:]).reshape(-1))
        their_optimizer.zero_grad()
        their_loss.backward()
        their_optimizer.step()
        assert loss == pytest.approx(their_loss.item(), rel=1e-9)
        theirs_now = theirs.state_dict()
        for name, array in ours.state_dict().items():
            np.testing.assert_allclose(array, theirs_now[name], rtol=0, atol=1e-8, err_msg=name)
        first = first or loss
    assert loss < first - 1  # it did learn


def test_the_documentation_is_split_whole():
    content = text.documentation().content
    seen, unseen = text.split(content)
    assert len(content) > 100_000
    assert len(unseen) == pytest.approx(len(content) / 10, abs=1)
    assert bytes(np.concatenate([seen, unseen]).astype(np.uint8)) == content


def test_windows_are_pieces_of_the_text():
    numbers = np.arange(20)
    drawn = text.windows(numbers, 4, 500, np.random.default_rng(0))
    assert drawn.shape == (500, 5)
    np.testing.assert_array_equal(drawn - drawn[:, :1], np.broadcast_to(np.arange(5), (500, 5)))
    assert set(drawn[:, 0]) == set(range(16))  # from the first to the last that fits


class Next(manual.Module):
    """Is sure, by a margin of `scale`, that the byte after n is n + 1; notes how much it reads at once."""

    def __init__(self, scale):
        self.scale, self.read = scale, []

    def forward(self, input):
        self.read.append(input.shape)
        return self.scale * np.eye(256)[(input + 1) % 256], lambda grad, needs=None: (None,)


def test_the_mean_loss_is_that_of_all_windows(monkeypatch):
    """Right at every byte but one: log(1 + 255 e⁻⁵) each, and 5 more for the step from 9 to 0."""
    monkeypatch.setattr(text, "AT_A_TIME", 12)
    net, numbers = Next(5.0), np.concatenate([np.arange(10), np.arange(12)])
    loss = text.mean_loss(net, numbers, 4)  # windows from 0, 4, 8, 12 and 16; the rest of one byte fills none
    assert loss == pytest.approx(np.log1p(255 * np.exp(-5)) + 5 / 20)
    assert net.read == [(3, 4), (2, 4)]


def test_what_is_written():
    """After an empty line, \\n + 1 and so on: nothing that a terminal would take for a command; no more is read than fits."""
    net = Next(100.0)
    written = text.write(net, 8, 60, 0.5, np.random.default_rng(0))
    assert written == "\N{REPLACEMENT CHARACTER}" * 21 + "".join(map(chr, range(32, 71)))
    assert net.read == [(min(i, 8),) for i in range(1, 61)]
    freely = text.write(Next(1.0), 8, 60, 0.5, np.random.default_rng(0))
    assert freely != text.write(Next(1.0), 8, 60, 0.5, np.random.default_rng(1))
    assert len(set(freely)) > 10


def test_the_rate_rises_and_falls():
    rates = [text.rate(done, 1000, 2.0) for done in range(1000)]
    assert np.argmax(rates) in range(90, 101)
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == pytest.approx(2, rel=0.05)
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[-1] == pytest.approx(0.2, rel=0.01)


@pytest.mark.slow
def test_the_command(capsys, tmp_path, monkeypatch):
    """A file that says one thing again and again is soon known by heart; so much of it is written as was asked for."""
    monkeypatch.setattr(text, "LENGTH", 24)
    monkeypatch.setattr(text, "WARM_UP", 5)
    file, picture = tmp_path / "text.txt", tmp_path / "losses.png"
    file.write_bytes(b"to be or not\n" * 300)
    options = "--steps 60 --batch 8 --context 24 --lr 0.005 --temperature 0.1 --seed 3"
    main(["text", "--file", str(file), "--plot", str(picture), *options.split()])
    out = capsys.readouterr().out
    assert f"{file}: 3,510 bytes to train on, the last 390 not" in out
    reports = re.findall(r"^step (\d+), \d+ s: loss ([\d.]+), on the last tenth ([\d.]+)$", out, re.MULTILINE)
    assert [int(step) for step, *_ in reports] == [12, 24, 36, 48, 60]
    assert float(reports[0][1]) > 1
    (last,) = re.findall(r"which was not trained on, is ([\d.]+) nats a byte", out)
    assert last == reports[-1][2]
    assert float(last) < 0.2  # the first bytes of a window are a guess among 13
    assert "    to be or not\n" in out[out.index("step 60") :]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_picture():
    figure = Figure()
    text.draw(figure, [3.0, 2.0, 1.0], [(2, 2.5), (3, 1.5)])
    (axes,) = figure.axes
    trained, unseen = axes.lines
    np.testing.assert_array_equal(trained.get_xydata(), [[1, 3], [2, 2], [3, 1]])
    np.testing.assert_array_equal(unseen.get_xydata(), [[2, 2.5], [3, 1.5]])
    assert [label.get_text() for label in axes.get_legend().get_texts()] == ["windows trained on", "the last tenth, not trained on"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--steps 0", "--steps: expected a whole number from 1 to 1000000, got '0'"),
        ("--batch 1.5", "--batch: expected a whole number from 1 to 1000, got '1.5'"),
        ("--context 1", "--context: expected a whole number from 2 to 1000, got '1'"),
        ("--lr nan", "--lr: expected a number above 0, at most 1, got 'nan'"),
        ("--temperature 0", "--temperature: expected a number above 0, at most 10, got '0'"),
        ("--seed -1", "--seed: expected a whole number from 0"),
        ("--plot losses.txt", "--plot: expected a file name that ends in .png, .pdf or .svg"),
        ("--file no/such/file", "--file: cannot read no/such/file: No such file or directory"),
        ("--file {short}", "--file: expected at least 1281 bytes, so that a tenth fills a window, got 1280"),
        ("--file {short} --context 200", "--file: expected at least 2001 bytes"),
    ],
)
def test_wrong_options(options, expected, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(text, "step", lambda *_: pytest.fail("was found out only after the training began"))
    short = tmp_path / "short.txt"
    short.write_bytes(b"a" * 1280)
    with pytest.raises(SystemExit) as exit:
        main(["text", *options.format(short=short).split()])
    assert exit.value.code == 2
    assert f"argument {expected}" in capsys.readouterr().err


def test_a_file_just_long_enough(monkeypatch, tmp_path):
    """Its last tenth is a single window, of the last byte of which there is a next one to tell."""
    file = tmp_path / "short.txt"
    file.write_bytes(b"a" * 1281)
    monkeypatch.setattr(text, "LENGTH", 2)
    main(["text", "--file", str(file), "--steps", "1", "--batch", "1"])
