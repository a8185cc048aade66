"""A language model that reads a text byte by byte, and writes on in its style: `python -m manual text`.

Data:     the documentation of its language that comes with Python (`help("topics")`), or a file; the last tenth is never trained on
Network:  4 blocks, 128 wide: RMS norm, causal attention with rotary positions, in which two heads of queries share one of keys and
          values, RMS norm, SwiGLU; one table for bytes that go in and bytes that come out
Update:   AdamW on windows drawn at random, whose rate rises at first, and then falls along a cosine

The loss is the mean of −log p of the byte that comes next: 5.5 for a model that knows nothing of 256 bytes.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

import manual
from manual.commands import picture
from manual.commands.options import Text, number, seed, text_file
from manual.contract import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUMMARY = "a small language model on a text, byte by byte"

BYTES = 256
WARM_UP = 100  # steps in which the rate rises
REPORTS = 5  # how often, in a whole training, it is read what was not trained on, and something is written
LENGTH = 300  # bytes that are written
AT_A_TIME = 8192  # bytes that are read at once where none are trained on


def network(generator: np.random.Generator, dtype: DTypeLike = np.float32) -> manual.LanguageModel:
    """The network: at each byte of a text, scores for the byte that comes next."""
    return manual.LanguageModel(
        BYTES, d_model=128, num_heads=4, num_kv_heads=2, dim_feedforward=352, num_layers=4, dtype=dtype, generator=generator
    )


def documentation() -> Text:
    """The text that every reader has."""
    from pydoc_data.topics import topics

    return Text("the documentation of Python's language", "\n\n".join(topics.values()).encode())


def split(text: bytes) -> tuple[Array, Array]:
    """The bytes to train on, and the last tenth."""
    numbers = np.frombuffer(text, np.uint8).astype(np.intp)
    seen, unseen = np.split(numbers, [len(numbers) * 9 // 10])
    return seen, unseen


def windows(numbers: Array, context: int, batch: int, generator: np.random.Generator) -> Array:
    """As many windows as a batch has, drawn at random: (batch, context + 1)."""
    starts = generator.integers(0, len(numbers) - context, batch)
    return numbers[starts[:, None] + np.arange(context + 1)]


def step(net: manual.Module, optimizer: manual.AdamW, batch: Array) -> float:
    """One step of training on windows; the loss before it."""
    scores, net_backward = net(batch[:, :-1])
    loss, loss_backward = manual.cross_entropy(scores.reshape(-1, BYTES), batch[:, 1:].reshape(-1))
    grad_scores, *_ = loss_backward(1.0, (True, False, False))
    optimizer.zero_grad()
    net_backward(grad_scores.reshape(scores.shape))
    optimizer.step()
    return float(loss)


def mean_loss(net: manual.Module, numbers: Array, context: int) -> float:
    """The loss on all of a text, in windows one after the other; what is left at the end counts if it fills a window."""
    starts = np.arange(0, len(numbers) - context, context)
    losses = []
    for some in np.array_split(starts, -(-len(starts) * context // AT_A_TIME)):
        each = numbers[some[:, None] + np.arange(context + 1)]
        scores, _ = net(each[:, :-1])
        losses.append(len(some) * manual.cross_entropy(scores.reshape(-1, BYTES), each[:, 1:].reshape(-1))[0])
    return float(sum(losses) / len(starts))


def write(net: manual.Module, context: int, length: int, temperature: float, generator: np.random.Generator) -> str:
    """What the network writes after an empty line, each byte drawn by its probability; of the scores, divided by `temperature`."""
    numbers = [ord("\n")]
    for _ in range(length):
        scores, _ = net(np.array(numbers[-context:]))
        noise = generator.gumbel(size=BYTES)  # the largest of score and noise: each with the probability of its softmax
        numbers.append(int((scores[-1] / temperature + noise).argmax()))
    text = bytes(numbers[1:]).decode(errors="replace")
    return "".join(character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}" for character in text)


def rate(done: int, steps: int, highest: float) -> float:
    """The learning rate after so many steps: it rises on a line, and falls along a cosine to a tenth of the highest."""
    rising = min(1.0, (done + 1) / WARM_UP)
    return highest * rising * (0.55 + 0.45 * math.cos(math.pi * done / steps))


def draw(figure: "Figure", losses: list[float], reports: list[tuple[int, float]]) -> None:
    """Draw the loss on what is trained on, and on the last tenth."""
    axes = figure.subplots()
    axes.plot(range(1, len(losses) + 1), losses, linewidth=0.6, label="windows trained on")
    axes.plot(*zip(*reports), marker="o", label="the last tenth, not trained on")
    axes.set(title="Loss", xlabel="step", ylabel="nats a byte")
    axes.grid(alpha=0.25)
    axes.legend()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    steps = number(int, lambda n: 1 <= n <= 10**6, "a whole number from 1 to 1000000")
    batch = number(int, lambda n: 1 <= n <= 1000, "a whole number from 1 to 1000")
    context = number(int, lambda n: 2 <= n <= 1000, "a whole number from 2 to 1000")
    lr = number(float, lambda rate: 0 < rate <= 1, "a number above 0, at most 1")
    temperature = number(float, lambda t: 0 < t <= 10, "a number above 0, at most 10")
    parser.set_defaults(error=parser.error)
    parser.add_argument("--file", type=text_file, help="the text to read (default: the documentation of Python's language)")
    parser.add_argument("--steps", type=steps, default=2000, metavar="N", help="steps of training (default: %(default)s)")
    parser.add_argument("--batch", type=batch, default=16, metavar="N", help="windows in a step (default: %(default)s)")
    parser.add_argument("--context", type=context, default=128, metavar="N", help="bytes in a window (default: %(default)s)")
    parser.add_argument("--lr", type=lr, default=3e-3, metavar="RATE", help="the highest learning rate (default: %(default)s)")
    parser.add_argument(
        "--temperature", type=temperature, default=0.8, metavar="T", help="below 1 writes what is likelier (default: %(default)s)"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of weights, windows, writing (default: %(default)s)")
    picture.add_plot(parser, "the losses")


def run(args: argparse.Namespace, progress: Callable[[Iterable[int]], Iterable[int]]) -> None:
    """Train as the options say, and print what came out and what the network writes."""
    text = args.file or documentation()
    seen, unseen = split(text.content)
    if len(unseen) <= args.context:
        least = 10 * args.context + 1
        args.error(f"argument --file: expected at least {least} bytes, so that a tenth fills a window, got {len(text.content)}")
    generator = np.random.default_rng(args.seed)
    net = network(generator)
    optimizer = manual.AdamW(net.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    print(f"network  4 blocks, 128 wide, {sum(parameter.size for parameter in net.parameters()):,} parameters, in float32")
    print(f"data     {text.name}: {len(seen):,} bytes to train on, the last {len(unseen):,} not")
    print(f"update   AdamW, {args.batch} windows of {args.context} bytes, learning rate up to {args.lr}\n")
    start, losses, reports = time.perf_counter(), [], []
    for done in progress(range(args.steps)):
        optimizer.param_groups[0]["lr"] = rate(done, args.steps, args.lr)
        losses.append(step(net, optimizer, windows(seen, args.context, args.batch, generator)))
        if (done + 1) * REPORTS // args.steps > done * REPORTS // args.steps:
            reports.append((done + 1, mean_loss(net, unseen, args.context)))
            recent = np.mean(losses[-(args.steps // REPORTS + 1) :])
            print(
                f"step {done + 1}, {time.perf_counter() - start:.0f} s: loss {recent:.4f}, on the last tenth {reports[-1][1]:.4f}"
            )
            print(indented(write(net, args.context, LENGTH, args.temperature, generator)))
    print(f"\nThe loss on the last tenth, which was not trained on, is {reports[-1][1]:.4f} nats a byte.")
    if args.plot:
        picture.write(args.plot, 5.0, lambda figure: draw(figure, losses, reports))


def indented(text: str) -> str:
    """A text set off from what is said about it."""
    return "".join(f"    {line}\n" for line in text.strip("\n").split("\n"))
