"""XOR, learnt by backpropagation written by hand: `python -m manual`.

    Network:  2-2-1, aᵢˡ = σ(Σⱼ wᵢⱼˡ aⱼˡ⁻¹ + bᵢˡ), trained on all four rows of the truth table at once
    Update:   w ← w − η ∂L/∂w, ∂L/∂w by the chain rule, layer by layer

The article that this package grew from gives the mean as its loss, L = 1/n Σ(y − ŷ)². But the updates of its program,
W += η aᵀδ with δ = (y − ŷ) σ′, descend half the sum, L = ½ Σ(y − ŷ)². Half the sum is the default here, and the mean is
`--loss mse`. With four samples the gradient of the mean is half as large, so `--loss mse --lr 0.2` takes the same steps.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import manual
from manual.commands import picture
from manual.commands.options import number, seed
from manual.contract import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = "a small network of sigmoids on XOR"

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])

# Each loss, the factor that scales it, and its formula as the command prints it.
LOSSES: dict[str, tuple[manual.Module, float, str]] = {
    "half-sum-of-squares": (manual.MSELoss(reduction="sum"), 0.5, "1/2 sum (target - output)^2, as in the article's program"),
    "mse": (manual.MSELoss(), 1.0, "1/n sum (target - output)^2, as in the article's formula"),
    "bce": (manual.BCELoss(), 1.0, "-1/n sum (target log output + (1 - target) log(1 - output))"),
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
}


def network(seed: int = 42, hidden: int = 2) -> manual.Sequential:
    """A 2-`hidden`-1 network of sigmoids, its weights drawn from U(0, 1) in the article's order; by default, the article's own."""
    random = np.random.RandomState(seed)  # the article's np.random.seed, without its global state
    hidden_weight, output_weight = random.rand(2, hidden), random.rand(hidden, 1)
    hidden_bias, output_bias = random.rand(1, hidden), random.rand(1, 1)
    net = manual.Sequential(manual.Linear(2, hidden), manual.Sigmoid(), manual.Linear(hidden, 1), manual.Sigmoid())
    net.load_state_dict(  # the article computes X @ W + b with b a row, Linear x Wᵀ + b
        {"0.weight": hidden_weight.T, "0.bias": hidden_bias[0], "2.weight": output_weight.T, "2.bias": output_bias[0]}
    )
    return net


def train(
    net: manual.Module, criterion: manual.Module, scale: float, optimizer: manual.SGD, epochs: Iterable[int]
) -> tuple[Array, list[float]]:
    """Descend `scale` · `criterion` in full-batch steps.

    Return the outputs of the last epoch's forward pass, which precedes its update, and the loss of every epoch.
    """
    losses = []
    for _epoch in epochs:
        output, net_backward = net(X)
        loss, loss_backward = criterion(output, Y)
        losses.append(scale * loss)
        grad_output, _grad_target = loss_backward(scale)
        optimizer.zero_grad()
        net_backward(grad_output)
        optimizer.step()
    return output, losses


def draw(figure: "Figure", net: manual.Module, losses: list[float], loss_name: str) -> None:
    """Draw the loss curve, and beside it the trained network's output over the unit square."""
    curve, square = figure.subplots(1, 2, width_ratios=[1.15, 1])

    curve.plot(range(1, len(losses) + 1), losses, marker="o", markevery=[-1])
    curve.set(title="Loss", xlabel="epoch", ylabel=loss_name, yscale="log")
    curve.grid(which="both", alpha=0.25)

    ticks = np.linspace(0, 1, 101)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1)
    output = net(points)[0][..., 0]
    image = square.imshow(output, origin="lower", extent=(0, 1, 0, 1), cmap="RdBu_r", vmin=0, vmax=1, interpolation="bilinear")
    if output.min() < 0.5 < output.max():  # matplotlib warns of a contour level that is reached nowhere
        square.contour(ticks, ticks, output, levels=[0.5], colors="black", linestyles="dashed")
    square.scatter(*X.T, c=Y, s=130, cmap="RdBu_r", vmin=0, vmax=1, edgecolors="black", linewidths=1.5, zorder=3)
    around = (-0.06, 1.06)  # the points, which would cover the numbers on the axes if these touched the square
    square.set(title="Output over the unit square", xlabel="$x_1$", ylabel="$x_2$", xlim=around, ylim=around)
    figure.colorbar(image, ax=square, label="output (dashed: 0.5; points: targets)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    epochs = number(int, lambda n: 1 <= n <= 10**7, "a whole number from 1 to 10000000")
    # Below this rate no weight overflows: sigmoids saturate, so that weights grow with at most the square of rate × epochs.
    lr = number(float, lambda rate: 0 < rate <= 1e6, "a number above 0, at most 1000000")
    hidden = number(int, lambda n: 1 <= n <= 1000, "a whole number from 1 to 1000")
    parser.add_argument("--epochs", type=epochs, default=10_000, metavar="N", help="full-batch updates (default: %(default)s)")
    parser.add_argument("--lr", type=lr, default=0.1, metavar="RATE", help="learning rate (default: %(default)s)")
    parser.add_argument(
        "--seed", type=seed, default=42, metavar="N", help="seed of the initial weights (default: %(default)s, the article's)"
    )
    parser.add_argument(
        "--loss",
        choices=LOSSES,
        default="half-sum-of-squares",
        help="what is descended: half the sum of squares, as the article's program does; the mean of squares, as its formula says; "
        "or binary cross-entropy (default: %(default)s)",
    )
    parser.add_argument(
        "--optimizer",
        choices=OPTIMIZERS,
        default="sgd",
        help="gradient descent, plain, with momentum 0.9, or with Nesterov's momentum 0.9 (default: %(default)s)",
    )
    parser.add_argument("--hidden", type=hidden, default=2, metavar="N", help="size of the hidden layer (default: %(default)s)")
    picture.add_plot(parser, "the loss curve, and the output over the unit square,")


def run(args: argparse.Namespace, progress: Callable[[Iterable[int]], Iterable[int]]) -> None:
    """Train as the options say, and print what was done and what came out."""
    criterion, scale, formula = LOSSES[args.loss]
    net = network(args.seed, args.hidden)
    optimizer = manual.SGD(net.parameters(), args.lr, **OPTIMIZERS[args.optimizer])
    start = time.perf_counter()
    output, losses = train(net, criterion, scale, optimizer, progress(range(args.epochs)))
    seconds = time.perf_counter() - start

    whose = "the article's" if (args.seed, args.hidden) == (42, 2) else "in the article's order"
    print(f"network    2-{args.hidden}-1, sigmoids, trained on XOR by backpropagation written by hand")
    print(f"weights    at first from U(0, 1) with seed {args.seed}, {whose}")
    print(f"loss       {args.loss}: {formula}")
    print(f"optimizer  {args.optimizer}, learning rate {args.lr}")
    print(f"epochs     {args.epochs}, each one update from all four samples, in {seconds:.2f} s\n")
    print("x1  x2  target  output")
    for (x1, x2), target, answer in zip(X, Y[:, 0], output[:, 0].tolist()):
        print(f"{x1:2.0f}  {x2:2.0f}  {target:6.0f}  {answer!r}")
    right = np.count_nonzero((output > 0.5) == (Y > 0.5))
    print(f"\nloss {float(losses[-1])!r}; {right} of 4 outputs are on the target's side of 0.5")
    print("Outputs and loss are those of the last epoch's forward pass, before the last update.")

    if args.plot:
        picture.write(args.plot, 4.6, lambda figure: draw(figure, net, losses, args.loss))
