"""Initial values: torch's defaults, and those of torch.nn.init, which fill a parameter or an array in place and return it.

All randomness comes from a NumPy Generator, which makes a draw repeatable; without one every draw is another.
"""

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import log_ndtr, ndtri_exp

from manual.contract import Array, require_choice, require_generator, require_integer, require_number
from manual.parameter import HOW_TO_INITIALIZE, Parameter

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Filled = TypeVar("Filled", Parameter, Array)
Generator = np.random.Generator

GAINS = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
WITHOUT_GAIN = "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"


def uniform_fan_in(
    shape: tuple[int, ...], fan_in: int, dtype: DTypeLike = np.float64, generator: np.random.Generator | None = None
) -> Array:
    """Draw from U(−1/√fan_in, 1/√fan_in), torch's default for the weight and bias of linear and convolutional layers.

    torch calls kaiming_uniform with a = √5, whose bound is √(6 / ((1 + a²) fan_in)) = 1/√fan_in.
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


def uniform_(tensor: Filled, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Filled:
    """Fill with draws from U(a, b)."""
    array, draw = _target("uniform_", tensor), _draws("uniform_", generator)
    a, b = _bounds("uniform_", a, b)
    array[...] = draw.uniform(a, b, array.shape)
    return tensor


def normal_(tensor: Filled, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Filled:
    """Fill with draws from N(mean, std²)."""
    array, draw = _target("normal_", tensor), _draws("normal_", generator)
    mean = require_number("normal_", "mean", mean, "a finite number")
    std = require_number("normal_", "std", std, "a finite number of at least 0")
    array[...] = draw.normal(mean, std, array.shape)
    return tensor


def trunc_normal_(
    tensor: Filled, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator | None = None
) -> Filled:
    """Fill with draws from N(mean, std²) that lie in [a, b].

    Computed as Φ⁻¹(Φ(α) + u (Φ(β) − Φ(α))) with u from U(0, 1), on the side of the mean where Φ is small, by its logarithm: so it
    holds however far [a, b] is from the mean.
    """
    op = "trunc_normal_"
    array, draw = _target(op, tensor), _draws(op, generator)
    mean, std = require_number(op, "mean", mean, "a finite number"), require_number(op, "std", std, "a positive number")
    a, b = _bounds(op, a, b)
    least, most = (a - mean) / std, (b - mean) / std
    sign = -1 if least + most > 0 else 1
    low, high = (least, most) if sign > 0 else (-most, -least)
    ratio = math.exp(log_ndtr(low) - log_ndtr(high))
    share = ratio + (1 - ratio) * draw.uniform(size=array.shape)
    with np.errstate(divide="ignore"):  # log 0, at the end of the left tail
        values = mean + sign * std * ndtri_exp(log_ndtr(high) + np.log(share))
    array[...] = values
    np.clip(array, a, b, out=array)
    return tensor


def constant_(tensor: Filled, val: float) -> Filled:
    """Fill with one number."""
    _target("constant_", tensor)[...] = require_number("constant_", "val", val)
    return tensor


def ones_(tensor: Filled) -> Filled:
    """Fill with 1."""
    _target("ones_", tensor)[...] = 1
    return tensor


def zeros_(tensor: Filled) -> Filled:
    """Fill with 0."""
    _target("zeros_", tensor)[...] = 0
    return tensor


def eye_(tensor: Filled) -> Filled:
    """Make a matrix the identity: 1 on its diagonal, 0 elsewhere."""
    array = _target("eye_", tensor, (2,))
    array[...] = np.eye(*array.shape)
    return tensor


def dirac_(tensor: Filled, groups: int = 1) -> Filled:
    """Make the weight of a convolution pass on its channels as they are: 1 in the middle of the kernel from channel i to i."""
    array = _target("dirac_", tensor, (3, 4, 5))
    groups = require_integer("dirac_", "groups", groups, 1)
    if array.shape[0] % groups:
        raise ValueError(f"dirac_: groups must divide the {array.shape[0]} channels of the output, got {groups}")
    array[...] = 0
    each = array.shape[0] // groups
    channel = np.arange(min(each, array.shape[1]))
    middle: list[int] = [size // 2 for size in array.shape[2:]]
    for group in range(groups):
        array[(group * each + channel, channel, *middle)] = 1
    return tensor


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights must be larger, so that what comes out of an activation has the variance of what goes in.

    1 for linear, convolution, sigmoid; 5/3 for tanh; √2 for relu; √(2 / (1 + slope²)) for leaky_relu, the slope being `param`, 0.01
    unless given; 3/4 for selu
    """
    require_choice("calculate_gain", "nonlinearity", nonlinearity, (*WITHOUT_GAIN, *GAINS, "leaky_relu"))
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else require_number("calculate_gain", "param", param, "a finite number")
        return math.sqrt(2 / (1 + slope**2))
    return GAINS.get(nonlinearity, 1)


def xavier_uniform_(tensor: Filled, gain: float = 1.0, generator: Generator | None = None) -> Filled:
    """Fill with draws from U(−√3 σ, √3 σ), σ = gain √(2 / (fan_in + fan_out)).

    Source: Glorot & Bengio 2010, Understanding the Difficulty of Training Deep Feedforward Neural Networks
    """
    return _scaled_uniform("xavier_uniform_", tensor, _xavier("xavier_uniform_", tensor, gain), generator)


def xavier_normal_(tensor: Filled, gain: float = 1.0, generator: Generator | None = None) -> Filled:
    """Fill with draws from N(0, σ²), σ = gain √(2 / (fan_in + fan_out)), see `xavier_uniform_`."""
    return _scaled_normal("xavier_normal_", tensor, _xavier("xavier_normal_", tensor, gain), generator)


def kaiming_uniform_(
    tensor: Filled, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Filled:
    """Fill with draws from U(−√3 σ, √3 σ), σ = gain / √fan, the gain of `calculate_gain(nonlinearity, a)`, the fan of `mode`.

    Source: He, Zhang, Ren & Sun 2015, Delving Deep into Rectifiers
    """
    op = "kaiming_uniform_"
    return _scaled_uniform(op, tensor, _kaiming(op, tensor, a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Filled, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Filled:
    """Fill with draws from N(0, σ²), σ = gain / √fan, see `kaiming_uniform_`."""
    op = "kaiming_normal_"
    return _scaled_normal(op, tensor, _kaiming(op, tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Filled, gain: float = 1, generator: Generator | None = None) -> Filled:
    """Make a matrix orthogonal, times the gain: its rows, or its columns where they are fewer, at right angles and of length 1.

    Of more axes the first counts as that of the rows. All such matrices are equally likely: Q of A = Q R, A of normal numbers, with
    signs that make the diagonal of R positive.
    Source: Saxe, McClelland & Ganguli 2014, Exact Solutions to the Nonlinear Dynamics of Learning; Mezzadri 2007
    """
    op = "orthogonal_"
    array, draw = _target(op, tensor), _draws(op, generator)
    gain = require_number(op, "gain", gain, "a finite number")
    if array.ndim < 2:
        raise ValueError(f"{op}: tensor must have at least 2 axes, got shape {array.shape}")
    if array.size:
        rows = array.shape[0]
        shape = rows, array.size // rows
        q, r = np.linalg.qr(draw.standard_normal((max(shape), min(shape))))
        q *= np.sign(np.diagonal(r))
        array[...] = gain * (q if shape == q.shape else q.T).reshape(array.shape)
    return tensor


def sparse_(tensor: Filled, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Filled:
    """Fill a matrix with draws from N(0, std²), but for a share of each column, `sparsity`, that is 0.

    Source: Martens 2010, Deep Learning via Hessian-free Optimization
    """
    array, draw = _target("sparse_", tensor, (2,)), _draws("sparse_", generator)
    zeros = math.ceil(require_number("sparse_", "sparsity", sparsity, "a number from 0 to 1") * array.shape[0])
    array[...] = draw.normal(0, require_number("sparse_", "std", std, "a finite number of at least 0"), array.shape)
    for column in array.T:
        column[draw.permutation(array.shape[0])[:zeros]] = 0
    return tensor


def _target(op: str, tensor: Any, axes: tuple[int, ...] | None = None) -> Array:
    """The array that is filled; refused where it cannot be."""
    array = tensor.data if isinstance(tensor, Parameter) else tensor
    if array is None:
        raise ValueError(f"{op}: tensor must have a shape, got an UninitializedParameter; {HOW_TO_INITIALIZE}")
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"{op}: tensor must be a Parameter or a NumPy array of floating-point numbers, got {got}")
    if axes is not None and array.ndim not in axes:
        raise ValueError(f"{op}: tensor must have {' or '.join(map(str, axes))} axes, got shape {array.shape}")
    if not array.flags.writeable:
        raise ValueError(f"{op}: tensor must not be read-only")
    return array


def _draws(op: str, generator: Generator | None) -> Generator:
    require_generator(op, generator)
    return np.random.default_rng() if generator is None else generator


def _bounds(op: str, a: Any, b: Any) -> tuple[float, float]:
    a, b = (require_number(op, name, value, "a finite number") for name, value in (("a", a), ("b", b)))
    if a > b:
        raise ValueError(f"{op}: a must not be above b, got {a} and {b}")
    return a, b


def _fans(op: str, tensor: Any) -> tuple[int, int]:
    """How many numbers of the input an output is made of, and how many of the output an input goes to."""
    shape = _target(op, tensor).shape
    if len(shape) < 2:
        raise ValueError(f"{op}: tensor must have at least 2 axes, got shape {shape}")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _xavier(op: str, tensor: Any, gain: Any) -> float:
    fans = sum(_fans(op, tensor))
    return require_number(op, "gain", gain, "a finite number of at least 0") * math.sqrt(2 / fans if fans else 0)


def _kaiming(op: str, tensor: Any, a: Any, mode: Any, nonlinearity: Any) -> float:
    mode = mode.lower() if isinstance(mode, str) else mode
    require_choice(op, "mode", mode, ("fan_in", "fan_out"))
    fan = _fans(op, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan or 1)


def _scaled_uniform(op: str, tensor: Filled, std: float, generator: Generator | None) -> Filled:
    _draws(op, generator)
    return uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator)


def _scaled_normal(op: str, tensor: Filled, std: float, generator: Generator | None) -> Filled:
    _draws(op, generator)
    return normal_(tensor, 0.0, std, generator)
