"""Handwritten digits, read by a small residual convolutional network: `python -m manual digits`.

Data:     the 1,797 digits of 8 × 8 pixels that scikit-learn ships; a fifth of them, drawn at random, is never trained on
Network:  convolution, batch norm, ReLU, a residual block, 2 × 2 maxima; the same again, twice as wide, with means; linear
Update:   SGD with Nesterov's momentum 0.9 and weight decay on minibatches, whose rate falls to 0 on a line

A residual block hands its input on beside what it makes of it, so the gradient has a way past every block, and is added up where
the two ways part.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

import manual
from manual.commands import picture
from manual.commands.options import number, seed
from manual.contract import Array, Backward

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = "a residual convolutional network on handwritten digits"

WIDTH = 16  # channels of the first half
AT_A_TIME = 512  # digits that are read at once where none are trained on


class Residual(manual.Module):
    """A block that adds something to its input: y = relu(x + body(x)).

    Where the input is used twice its gradient comes from two sides and is added: with g through the ReLU,
    grad_x = g + body's gradient of g.
    """

    def __init__(self, *body: manual.Module) -> None:
        self.body = manual.Sequential(*body)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Add the body's output to `input`, of the same shape."""
        change, body_backward = self.body(input)
        output, relu_backward = manual.relu(input + change)

        def backward(grad_output, needs=None):
            (grad_sum,) = relu_backward(grad_output)
            (grad_input,) = body_backward(grad_sum, needs)
            return (None,) if grad_input is None else (grad_sum + grad_input,)

        return output, backward


def network(generator: np.random.Generator, dtype: DTypeLike = np.float32) -> manual.Sequential:
    """The network: 1 × 8 × 8 pixels become ten scores."""

    def convolution(inputs: int, outputs: int) -> tuple[manual.Module, ...]:
        conv = manual.Conv2d(inputs, outputs, 3, padding=1, bias=False, dtype=dtype, generator=generator)
        return conv, manual.BatchNorm2d(outputs, dtype=dtype)

    def block(channels: int) -> Residual:
        return Residual(*convolution(channels, channels), manual.ReLU(), *convolution(channels, channels))

    return manual.Sequential(
        *convolution(1, WIDTH),
        manual.ReLU(),
        block(WIDTH),
        manual.MaxPool2d(2),
        *convolution(WIDTH, 2 * WIDTH),
        manual.ReLU(),
        block(2 * WIDTH),
        manual.AvgPool2d(4),
        manual.Flatten(),
        manual.Linear(2 * WIDTH, 10, dtype=dtype, generator=generator),
    )


class Digits(NamedTuple):
    """Images (N, 1, 8, 8) of mean 0 and spread 1, and the digits (N) that they show."""

    images: Array
    digits: Array


def load(generator: np.random.Generator, dtype: DTypeLike = np.float32) -> tuple[Digits, Digits]:
    """The digits to train on, and those to be read without having been seen."""
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 1, 8, 8)
    images = ((images - images.mean()) / images.std()).astype(dtype)
    order = generator.permutation(len(images))
    unseen, seen = np.split(order, [len(order) // 5])
    return Digits(images[seen], digits[seen]), Digits(images[unseen], digits[unseen])


def minibatches(data: Digits, size: int, generator: np.random.Generator) -> Iterator[Digits]:
    """All digits once, in a new order, in batches of nearly equal size."""
    order = generator.permutation(len(data.digits))
    for batch in np.array_split(order, -(-len(order) // size)):
        yield Digits(data.images[batch], data.digits[batch])


def step(net: manual.Module, optimizer: manual.SGD, batch: Digits) -> float:
    """One step of training; the loss before it."""
    scores, net_backward = net(batch.images)
    loss, loss_backward = manual.cross_entropy(scores, batch.digits)
    grad_scores, *_ = loss_backward(1.0, (True, False, False))
    optimizer.zero_grad()
    net_backward(grad_scores, (False,))
    optimizer.step()
    return float(loss)


def read(net: manual.Module, images: Array) -> Array:
    """The digits that the network sees, as it is in evaluation."""
    net.eval()
    scores = [net(images[start : start + AT_A_TIME])[0] for start in range(0, len(images), AT_A_TIME)]
    net.train()
    return np.concatenate(scores).argmax(axis=1)


def draw(figure: "Figure", losses: list[float], filters: Array, unseen: Digits, answers: Array) -> None:
    """Draw the loss, the first filters, and the digits that were mistaken, each with what was read and what it is."""
    halves: Any = figure.subfigures(2, 1, height_ratios=[1.4, 1])
    top, bottom = halves
    curve, first = top.subplots(1, 2, width_ratios=[1.6, 1])
    curve.plot(range(1, len(losses) + 1), losses, linewidth=0.8)
    curve.set(title="Loss", xlabel="step", ylabel="cross-entropy", yscale="log")
    curve.grid(which="both", alpha=0.25)

    rows = np.pad(filters[:, 0], ((0, 0), (0, 1), (0, 1)), constant_values=np.nan).reshape(2, -1, 4, 4)
    limit = abs(filters).max()
    first.imshow(np.concatenate(np.concatenate(rows, axis=1), axis=1), cmap="RdBu_r", vmin=-limit, vmax=limit)
    first.set_title("First filters")
    first.set_axis_off()

    mistaken = np.flatnonzero(answers != unseen.digits)
    bottom.suptitle(f"Mistaken: {len(mistaken)} of {len(answers)} digits not seen in training")
    shown = mistaken[:10]
    for place, i in enumerate(shown, start=1):
        axes = bottom.add_subplot(1, len(shown), place)
        axes.imshow(unseen.images[i, 0], cmap="gray_r")
        axes.set_title(f"{answers[i]}, is {unseen.digits[i]}", fontsize="medium")
        axes.set_axis_off()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    whole = number(int, lambda n: 1 <= n <= 1000, "a whole number from 1 to 1000")
    lr = number(float, lambda rate: 0 < rate <= 10, "a number above 0, at most 10")
    parser.add_argument("--epochs", type=whole, default=20, metavar="N", help="passes over the data (default: %(default)s)")
    parser.add_argument("--batch", type=whole, default=64, metavar="N", help="digits in a minibatch (default: %(default)s)")
    parser.add_argument("--lr", type=lr, default=0.1, metavar="RATE", help="learning rate at first (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of weights, order and split (default: %(default)s)")
    picture.add_plot(parser, "the loss, the first filters and what was mistaken")


def run(args: argparse.Namespace, progress: Callable[[Iterable[int]], Iterable[int]]) -> None:
    """Train as the options say, and print what came out."""
    generator = np.random.default_rng(args.seed)
    seen, unseen = load(generator)
    net = network(generator)
    optimizer = manual.SGD(net.parameters(), args.lr, momentum=0.9, nesterov=True, weight_decay=5e-4)
    print(f"network  residual, {sum(parameter.size for parameter in net.parameters()):,} parameters, in float32")
    print(f"data     {len(seen.digits):,} digits to train on, {len(unseen.digits)} others to read")
    print(f"update   SGD, Nesterov's momentum 0.9, weight decay 0.0005, learning rate {args.lr} falling to 0\n")
    print("epoch    loss   read right of those not seen")
    start, losses = time.perf_counter(), []
    steps = args.epochs * -(-len(seen.digits) // args.batch)
    done = iter(progress(range(steps)))
    for epoch in range(1, args.epochs + 1):
        of_epoch = []
        for batch in minibatches(seen, args.batch, generator):
            optimizer.param_groups[0]["lr"] = args.lr * (1 - next(done) / steps)
            of_epoch.append(step(net, optimizer, batch))
        losses += of_epoch
        answers = read(net, unseen.images)
        print(f"{epoch:5}  {np.mean(of_epoch):.4f}  {(answers == unseen.digits).mean():7.2%}")
    next(done, None)
    right = np.count_nonzero(answers == unseen.digits)
    print(f"\n{right} of {len(answers)} digits not seen in training are read right: {right / len(answers):.2%}")
    print(f"{steps} steps in {time.perf_counter() - start:.1f} s")
    if args.plot:
        picture.write(args.plot, 6.6, lambda figure: draw(figure, losses, net.state_dict()["0.weight"], unseen, answers))
