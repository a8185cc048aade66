"""What is timed: training steps of whole networks, steps of optimizers alone, and single operations forward and backward.

Both sides get the same workload, with every array that it starts from. No torch here: the process that runs `manual` reads this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

import manual
from manual.commands.digits import Residual
from manual.contract import Array
from reference import structure
from reference.case import Build, Library, build

LIBRARY = Library(**vars(manual), Residual=Residual)  # where `manual` finds the names of networks


@dataclass(frozen=True)
class TrainingStep:
    """One step of gradient descent: forward, loss, backward and update, on the same batch at every call."""

    side_function: ClassVar[str] = "training_step"  # what each side constructs it by
    net: Build
    criterion: str
    lr: float
    x: Array
    target: Array
    state: dict[str, Array]
    tolerance: float

    def updates(self, state: Mapping[str, Array]) -> dict[str, Array]:
        """What the first step has added to each parameter."""
        return {f"update of {name}": state[name] - initial for name, initial in self.state.items()}


@dataclass(frozen=True)
class OptimizerStep:
    """One step of an optimizer with its defaults, or with these settings; the gradients are the same at every call."""

    side_function: ClassVar[str] = "optimizer_step"
    optimizer: str
    settings: dict[str, Any]
    arrays: tuple[Array, ...]
    grads: tuple[Array, ...]
    tolerance: float = 1e-4


@dataclass(frozen=True)
class ForwardBackward:
    """An operation of the catalogue: its output, and the gradient of each array that `needs` one."""

    side_function: ClassVar[str] = "forward_backward"
    operation: str
    arrays: tuple[Any, ...]
    constants: dict[str, Any]
    needs: tuple[bool, ...]
    tolerance: float = 1e-4

    def grad_output(self, output: Any) -> Any:
        """Random numbers in the shape of each output, the same ones on both sides; `None` for an output of integers."""
        draw = np.random.default_rng(0)

        def each(array: Any) -> Any:
            return draw.standard_normal(array.shape, dtype=array.dtype) if structure.is_float(array) else None

        return structure.apply(each, output)


Workload = TrainingStep | OptimizerStep | ForwardBackward


def xor() -> TrainingStep:
    """A 2-2-1 network of sigmoids on the four points of XOR: what is timed is everything but arithmetic."""
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    target = np.array([[0.0], [1.0], [1.0], [0.0]])
    layers, state = _layers(2, 2, 1, activation="Sigmoid", dtype="float64")
    return TrainingStep(build("Sequential", *layers), "MSELoss", 0.1, x, target, state, tolerance=1e-12)


def dense(*sizes: int, batch: int) -> TrainingStep:
    """A classifier with ReLU between its layers, on random numbers.

    A unit whose sum lies within rounding of zero may be on at one side and off at the other; that alone moves a gradient by more
    than rounding does, hence the tolerance.
    """
    generator = np.random.default_rng(1)
    x = generator.standard_normal((batch, sizes[0]), dtype=np.float32)
    target = generator.integers(0, sizes[-1], batch)
    layers, state = _layers(*sizes, activation="ReLU", dtype="float32")
    return TrainingStep(build("Sequential", *layers[:-1]), "CrossEntropyLoss", 0.01, x, target, state, tolerance=1e-2)


def lenet(batch: int) -> TrainingStep:
    """LeNet-5 with ReLU and maxima, on random images of 28 × 28 pixels."""
    layers = (
        *_convolution(1, 6, 5, padding=2),
        build("MaxPool2d", 2),
        *_convolution(6, 16, 5),
        build("MaxPool2d", 2),
        build("Flatten"),
        *_linear(400, 120),
        *_linear(120, 84),
        _linear(84, 10)[0],
    )
    return _classifier(layers, (batch, 1, 28, 28))


def residual(batch: int) -> TrainingStep:
    """The network of `python -m manual digits`, on random images of 8 × 8 pixels."""

    def norm(inputs: int, outputs: int) -> tuple[Build, ...]:
        convolution, relu = _convolution(inputs, outputs, 3, padding=1, bias=False)
        return convolution, build("BatchNorm2d", outputs, dtype="float32"), relu

    def block(channels: int) -> Build:
        return build("Residual", *norm(channels, channels), *norm(channels, channels)[:-1])

    layers = (
        *norm(1, 16),
        block(16),
        build("MaxPool2d", 2),
        *norm(16, 32),
        block(32),
        build("AvgPool2d", 4),
        build("Flatten"),
        _linear(32, 10)[0],
    )
    return _classifier(layers, (batch, 1, 8, 8))


def language_model(batch: int, length: int) -> TrainingStep:
    """The network of `python -m manual text`, on random bytes."""
    net = build("Sequential", build("LanguageModel", 256, 128, 4, 2, 352, 4, dtype="float32"), build("Flatten", 0, 1))
    generator = np.random.default_rng(1)
    x, target = generator.integers(0, 256, (batch, length)), generator.integers(0, 256, batch * length)
    return TrainingStep(net, "CrossEntropyLoss", 0.01, x, target, _state(net), tolerance=1e-2)


def encoder_block(width: int, heads: int, hidden: int, batch: int, length: int) -> TrainingStep:
    """A layer of a Transformer that normalises first, without dropout, of which each side would draw its own."""
    layer = build("TransformerEncoderLayer", width, heads, hidden, 0.0, batch_first=True, norm_first=True, dtype="float32")
    net = build("Sequential", layer)
    x, target = np.random.default_rng(1).standard_normal((2, batch, length, width), dtype=np.float32)
    return TrainingStep(net, "MSELoss", 0.01, x, target, _state(net), tolerance=1e-2)


def optimizer_step(optimizer: str, count: int, shape: tuple[int, int], **settings: Any) -> OptimizerStep:
    """An optimizer on so many matrices of a shape, all of random numbers."""
    generator = np.random.default_rng(1)
    arrays, grads = (tuple(generator.standard_normal((count, *shape), dtype=np.float32)) for _ in range(2))
    return OptimizerStep(optimizer, settings, arrays, grads)


def _convolution(inputs: int, outputs: int, kernel: int, **options: Any) -> tuple[Build, Build]:
    return build("Conv2d", inputs, outputs, kernel, dtype="float32", **options), build("ReLU")


def _linear(inputs: int, outputs: int) -> tuple[Build, Build]:
    return build("Linear", inputs, outputs, dtype="float32"), build("ReLU")


def _classifier(layers: tuple[Build, ...], shape: tuple[int, ...]) -> TrainingStep:
    """A network that tells ten classes apart, on random images; its weights are drawn here, so that both sides start from them."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal(shape, dtype=np.float32)
    target = generator.integers(0, 10, len(x))
    net = build("Sequential", *layers)
    return TrainingStep(net, "CrossEntropyLoss", 0.01, x, target, _state(net), tolerance=1e-2)


def _state(net: Build) -> dict[str, Array]:
    """The state of a network from which both sides start, its weights drawn here."""
    generator = np.random.default_rng(0)
    state = net.construct(LIBRARY, lambda argument: argument).state_dict()
    for name, array in state.items():
        if array.ndim > 1:
            fan_in = array[0].size
            state[name] = generator.standard_normal(array.shape, dtype=array.dtype) * np.float32(fan_in**-0.5)
    return state


def _layers(*sizes: int, activation: str, dtype: str) -> tuple[list[Build], dict[str, Array]]:
    """Linear layers, each with an activation after it, and the state from which both sides start."""
    generator = np.random.default_rng(0)
    layers: list[Build] = []
    state = {}
    for in_features, out_features in pairwise(sizes):
        initial = manual.Linear(in_features, out_features, dtype=dtype, generator=generator).state_dict()
        state |= {f"{len(layers)}.{name}": array for name, array in initial.items()}
        layers += [build("Linear", in_features, out_features, dtype=dtype), build(activation)]
    return layers, state
