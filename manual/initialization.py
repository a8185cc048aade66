"""torch's default initial values, drawn from a NumPy Generator."""

import math

import numpy as np
from numpy.typing import DTypeLike

from manual.contract import Array


def uniform_fan_in(
    shape: tuple[int, ...], fan_in: int, dtype: DTypeLike = np.float64, generator: np.random.Generator | None = None
) -> Array:
    """Draw from U(−1/√fan_in, 1/√fan_in), torch's default for the weight and bias of linear and convolutional layers.

    torch calls kaiming_uniform with a = √5, whose bound is √(6 / ((1 + a²) fan_in)) = 1/√fan_in.
    A `generator` makes the draw repeatable. Without one, every draw is another.
    Source: He, Zhang, Ren & Sun 2015, Delving Deep into Rectifiers; LeCun et al. 1998, Efficient BackProp
    """
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype must be a floating-point type, got {np.dtype(dtype)}")
    bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0
    generator = np.random.default_rng() if generator is None else generator
    return generator.uniform(-bound, bound, shape).astype(dtype, copy=False)


def standard_normal(shape: tuple[int, ...], dtype: DTypeLike = np.float64, generator: np.random.Generator | None = None) -> Array:
    """Draw from N(0, 1), torch's default for the table of an embedding."""
    generator = np.random.default_rng() if generator is None else generator
    return generator.standard_normal(shape).astype(dtype, copy=False)


def xavier_uniform(shape: tuple[int, ...], dtype: DTypeLike = np.float64, generator: np.random.Generator | None = None) -> Array:
    """Draw from U(−b, b), b = √(6 / (fan_in + fan_out)), torch's default for the projections of attention, and for Transformers.

    A number comes from fan_in = shape[1] others, and goes to fan_out = shape[0]; where there is a kernel, times its cells.
    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks
    """
    fans = sum(shape[:2]) * math.prod(shape[2:])
    bound = math.sqrt(6 / (fans or 1))
    generator = np.random.default_rng() if generator is None else generator
    return generator.uniform(-bound, bound, shape).astype(dtype, copy=False)
