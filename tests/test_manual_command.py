"""`python -m manual`: what it prints, what its options do, and what it says of a wrong one."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

import manual
from manual import __main__ as entry
from manual.__main__ import COMMANDS, main
from manual.commands import xor as command
from manual.commands.xor import X, Y, network
from reference.installation import how_to_install
from tests.test_xor import OUTPUTS


@pytest.fixture
def run(capsys):
    """Run the command with the options given, and return the four outputs that it prints, and the loss."""

    def run(options):
        main(options.split())
        return read(capsys.readouterr().out)

    return run


def read(printed):
    outputs = re.findall(r"^ [01]   [01]       [01]  (\S+)$", printed, re.MULTILINE)
    loss = re.search(r"^loss (\S+);", printed, re.MULTILINE).group(1)
    return np.array([outputs], dtype=float).T, float(loss)


@pytest.mark.slow
def test_the_articles_run(tmp_path):
    picture = tmp_path / "xor.png"
    command_line = [sys.executable, "-W", "error", "-m", "manual", "--plot", picture]
    root = Path(__file__).parents[1]
    done = subprocess.run(command_line, cwd=root, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    outputs, loss = read(done.stdout)
    np.testing.assert_allclose(outputs[:, 0], OUTPUTS, rtol=0, atol=1e-9)
    assert loss == pytest.approx(((Y - outputs) ** 2).sum() / 2)
    for said in (
        "2-2-1",
        "seed 42, the article's",
        "half-sum-of-squares",
        "sgd, learning rate 0.1",
        "10000",
        "before the last update",
    ):
        assert said in done.stdout
    assert str(picture) in done.stdout
    assert "training" not in done.stdout  # no progress bar in a pipe
    pixels = imread(picture)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 100  # the heat map is there


def test_what_is_printed(capsys):
    """Every line, the seconds aside, of a network that knows nothing yet."""
    main(["--epochs", "1", "--hidden", "3", "--seed", "5", "--loss", "mse", "--lr", "0.25", "--optimizer", "nesterov"])
    output = network(5, 3)(X)[0]
    lines = re.sub(r"in \d+\.\d\d s", "in no time", capsys.readouterr().out).splitlines()
    assert lines == [
        "network    2-3-1, sigmoids, trained on XOR by backpropagation written by hand",
        "weights    at first from U(0, 1) with seed 5, in the article's order",
        f"loss       mse: {command.LOSSES['mse'][2]}",
        "optimizer  nesterov, learning rate 0.25",
        "epochs     1, each one update from all four samples, in no time",
        "",
        "x1  x2  target  output",
        *(f" {x1:.0f}   {x2:.0f}       {y:.0f}  {float(answer)!r}" for (x1, x2), (y,), (answer,) in zip(X, Y, output, strict=True)),
        "",
        f"loss {float(((Y - output) ** 2).mean())!r}; 2 of 4 outputs are on the target's side of 0.5",
        "Outputs and loss are those of the last epoch's forward pass, before the last update.",
    ]


@pytest.mark.parametrize(("options", "seed", "hidden"), [("", 42, 2), ("--seed 7", 7, 2), ("--hidden 5", 42, 5)])
def test_the_first_epoch_shows_the_initial_weights(run, options, seed, hidden):
    outputs, _ = run(f"--epochs 1 {options}")
    np.testing.assert_array_equal(outputs, network(seed, hidden)(X)[0])


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ("half-sum-of-squares", lambda output: ((Y - output) ** 2).sum() / 2),
        ("mse", lambda output: ((Y - output) ** 2).mean()),
        ("bce", lambda output: -(Y * np.log(output) + (1 - Y) * np.log(1 - output)).mean()),
    ],
)
def test_losses(run, loss, formula):
    outputs, printed = run(f"--epochs 3 --loss {loss}")
    assert printed == pytest.approx(formula(outputs), rel=1e-12)
    _, later = run(f"--epochs 100 --loss {loss}")
    assert later < printed


def test_optimizers(run):
    def outputs(options):
        return run(options)[0]

    # The first step with momentum is a plain one, and Nesterov's is 1 + 0.9 times as long.
    np.testing.assert_array_equal(outputs("--epochs 2 --optimizer momentum"), outputs("--epochs 2 --optimizer sgd"))
    np.testing.assert_allclose(outputs("--epochs 2 --optimizer nesterov"), outputs("--epochs 2 --lr 0.19"), rtol=1e-12)
    assert not np.allclose(outputs("--epochs 3 --optimizer momentum"), outputs("--epochs 3 --optimizer sgd"), rtol=1e-6)


@pytest.mark.parametrize("loss", command.LOSSES)
@pytest.mark.parametrize("optimizer", command.OPTIMIZERS)
def test_the_highest_rate_saturates_and_does_not_overflow(run, loss, optimizer):
    outputs, printed = run(f"--epochs 200 --lr 1e6 --loss {loss} --optimizer {optimizer}")
    assert np.isfinite(outputs).all()
    assert np.isfinite(printed)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--epochs 0", "--epochs: expected a whole number from 1 to 10000000, got '0'"),
        ("--epochs 1.5", "--epochs: expected a whole number"),
        ("--lr 0", "--lr: expected a number above 0, at most 1000000, got '0'"),
        ("--lr nan", "--lr: expected a number above 0"),
        ("--lr inf", "--lr: expected a number above 0"),
        ("--seed -1", "--seed: expected a whole number from 0 to 4294967295, got '-1'"),
        ("--seed 4294967296", "--seed: expected a whole number from 0 to 4294967295"),
        ("--hidden 0", "--hidden: expected a whole number from 1 to 1000, got '0'"),
        ("--loss mae", "--loss: invalid choice: 'mae' (choose from"),
        ("--optimizer adagrad", "--optimizer: invalid choice: 'adagrad' (choose from"),
        ("--plot picture", "--plot: expected a file name that ends in .png, .pdf or .svg, got 'picture'"),
        ("--plot no/such/folder/xor.png", "--plot: cannot write"),
    ],
)
def test_wrong_usage(capsys, monkeypatch, options, expected):
    monkeypatch.setattr(command, "train", lambda *_: pytest.fail("was found out only after the training"))
    with pytest.raises(SystemExit) as exit:
        main(options.split())
    assert exit.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ("xor", ("--epochs", "--lr", "--seed", "--loss", "--optimizer", "--hidden", "--plot")),
        ("digits", ("--epochs", "--batch", "--lr", "--seed", "--plot")),
        ("text", ("--file", "--steps", "--batch", "--context", "--lr", "--temperature", "--seed", "--plot")),
    ],
)
def test_help(network, options, capsys):
    for arguments in (["--help"], [network, "--help"]):
        with pytest.raises(SystemExit) as exit:
            main(arguments)
        assert exit.value.code == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert COMMANDS[network].SUMMARY in printed
    for option in options:
        assert option in printed
    assert printed.count("(default: ") == len(options)


@pytest.mark.parametrize("ending", ["PNG", "svg", "pdf"])
def test_picture_of_an_untrained_network(tmp_path, ending):
    picture = tmp_path / f"xor.{ending}"
    main(["--epochs", "1", "--plot", str(picture)])
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF-"}[ending.lower()]
    assert picture.read_bytes().startswith(start)
    if ending == "PNG":
        assert imread(picture).shape[:2] == (690, 1650)


def test_no_point_covers_or_touches_a_number_on_an_axis():
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    command.draw(figure, network(), [1.0, 0.1], "mse")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    _, square, _ = figure.axes
    (points,) = (collection for collection in square.collections if len(collection.get_offsets()) == len(X))
    radius = (np.sqrt(points.get_sizes()[0]) + points.get_linewidths()[0]) / 2 * figure.dpi / 72
    for label in (*square.get_xticklabels(), *square.get_yticklabels()):
        box = label.get_window_extent(canvas.get_renderer())
        for centre in square.transData.transform(X):
            nearest = np.clip(centre, box.min, box.max)
            assert np.hypot(*(centre - nearest)) > 1.5 * radius, label


def plane(constant, along_x1, along_x2):
    """In the place of a network: c + a x₁ + b x₂."""
    return lambda points: (constant + points @ np.array([[along_x1], [along_x2]]), None)


def test_the_picture_shows_losses_outputs_and_targets():
    figure = Figure()
    command.draw(figure, plane(0.0, 0.25, 0.75), [3.0, 2.0, 0.5], "mse")
    curve, square, bar = figure.axes
    (line,) = curve.lines
    np.testing.assert_array_equal(line.get_xydata(), [[1, 3], [2, 2], [3, 0.5]])
    assert (curve.get_title(), curve.get_xlabel(), curve.get_ylabel(), curve.get_yscale()) == ("Loss", "epoch", "mse", "log")

    (image,) = square.images
    x2, x1 = np.mgrid[0:101, 0:101] / 100  # upwards and to the right
    np.testing.assert_allclose(image.get_array(), 0.25 * x1 + 0.75 * x2, rtol=1e-14)
    assert (image.origin, tuple(image.get_extent()), image.get_clim()) == ("lower", (0, 1, 0, 1), (0, 1))
    contour, targets = square.collections
    assert (contour.levels, contour.linestyles) == ([0.5], "dashed")
    np.testing.assert_allclose(contour.get_paths()[0].vertices @ [0.25, 0.75], 0.5, rtol=1e-14)
    np.testing.assert_array_equal(targets.get_offsets(), X)
    np.testing.assert_array_equal(targets.get_array(), Y[:, 0])
    assert (targets.get_clim(), targets.get_cmap()) == (image.get_clim(), image.get_cmap())
    assert (square.get_title(), square.get_xlabel(), square.get_ylabel()) == ("Output over the unit square", "$x_1$", "$x_2$")
    assert bar.get_ylabel() == "output (dashed: 0.5; points: targets)"


@pytest.mark.parametrize("net", [plane(0.7, 0.0, 0.0), plane(0.0, 0.5, 0.0), plane(0.5, 0.0, 0.5)])
def test_where_the_output_does_not_cross_a_half_there_is_no_contour(net):
    """Nor does matplotlib warn, when it is just reached."""
    figure = Figure()
    command.draw(figure, net, [1.0], "mse")
    (_targets,) = figure.axes[1].collections


@pytest.mark.parametrize(("package", "module"), [("rich", "rich.progress"), ("matplotlib", "matplotlib.figure")])
def test_a_missing_package_is_named(monkeypatch, tmp_path, package, module):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as exit:
        main(["--plot", str(tmp_path / "xor.png")])
    # sys.exit prints a text to stderr, and the exit status is 1
    assert exit.value.code == f"python -m manual needs {package}, which is not installed: {how_to_install('command')}"


def test_an_interruption_ends_cleanly(monkeypatch, capsys, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(manual.SGD, "step", interrupt)
    monkeypatch.setattr(sys, "argv", ["manual", "--plot", str(tmp_path / "xor.png")])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(entry.__file__, run_name="__main__")
    assert exit.value.code == 130
    assert capsys.readouterr().err == "python -m manual: interrupted\n"
    assert not list(tmp_path.iterdir())


def test_matplotlib_is_needed_for_the_picture_alone(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    run("--epochs 1")


def test_progress_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main(["--epochs", "5"])
    assert "training" in capsys.readouterr().out
