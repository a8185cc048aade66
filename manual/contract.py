"""What every operation takes and gives back, and the checks that every operation makes.

An operation is a function `output, backward = op(*arrays, **constants)`. Its `backward(grad_output, needs=None)` carries the
gradient of the output back to the arrays: it returns a tuple with one gradient for each of them, `None` where there is none to
have or where `needs` says that nobody wants it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gradients = tuple[Any, ...]
Backward = Callable[..., Gradients]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)  # the formats in which everything is computed
REDUCTIONS = "none", "mean", "sum"

# -- Arrays


def require_floats(op: str, names: str, *arrays: Any) -> None:
    """Refuse what is not an array of float32 or of float64, and arrays of both. `None` passes where a name ends in `?`."""
    dtype = None
    for array in arrays:
        if type(array) is np.ndarray and array.dtype is dtype:
            continue
        if dtype is None and type(array) is np.ndarray and (array.dtype is FLOAT64 or array.dtype is FLOAT32):
            dtype = array.dtype
        else:
            return _require_floats(op, names.split(), arrays)
    return None


def _require_floats(op: str, names: list[str], arrays: tuple[Any, ...]) -> None:
    """The same in full: scalars, subclasses, `None`, and the words for what is refused."""
    first, dtype = "", None
    for marked, array in zip(names, arrays, strict=True):
        name = marked.rstrip("?")
        if array is None and name != marked:
            continue
        _require_array(op, name, array)
        if array.dtype not in (FLOAT32, FLOAT64):
            expected = "be of native float32 or float64" if array.dtype.kind == "f" else "hold floating-point numbers"
            near = "float32" if array.dtype.itemsize <= 4 else "float64"
            how = f"; convert it: {name}.astype(np.{near})" if array.dtype.kind in "fiub" else ""
            raise TypeError(f"{op}: {name} must {expected}, got {array.dtype}{how}")
        if dtype is not None:
            _require_dtype_of(op, name, array, first, dtype)
        first, dtype = first or name, array.dtype


def require_operands(op: str, names: str, *operands: Any) -> tuple[Any, ...]:
    """Arrays as `require_floats` has them, or plain numbers for some of them, as constants, which come back as floats."""
    named = dict(zip(names.split(), operands, strict=True))
    arrays = {name: operand for name, operand in named.items() if not is_number(operand)}
    require_one_array(op, named)
    require_floats(op, " ".join(arrays), *arrays.values())
    return tuple([operand if name in arrays else require_number(op, name, operand) for name, operand in named.items()])


def require_one_array(op: str, operands: dict[str, Any]) -> None:
    """Refuse plain numbers alone."""
    first, *_ = operands
    if all(map(is_number, operands.values())):
        raise TypeError(f"{op}: {first} must be a NumPy array where all others are numbers, got {operands[first]!r}")


def is_number(value: Any) -> bool:
    """Whether a value is a number of Python, and not an array, nor an element of one."""
    return isinstance(value, (int, float)) and not isinstance(value, (bool, np.generic))


def require_plain(op: str, names: str, *arrays: Any) -> None:
    """Refuse what holds neither numbers of float32 or float64, nor integers, nor truth values, and arrays of different dtypes."""
    first, *_ = names.split()
    for name, array in zip(names.split(), arrays, strict=True):
        _require_array(op, name, array)
        if array.dtype.kind not in "biu":
            require_floats(op, name, array)
        _require_dtype_of(op, name, array, first, arrays[0].dtype)


def _require_dtype_of(op: str, name: str, array: Array, first: str, dtype: np.dtype[Any]) -> None:
    if array.dtype != dtype:
        how = f"convert it: {name}.astype(np.{dtype})"
        if dtype.kind == "f":
            how += f", or the module that it belongs to: module.to(np.{dtype})"
        raise TypeError(f"{op}: {name} must have the dtype of {first}, {dtype}, got {array.dtype}; {how}")


def require_indices(op: str, name: str, array: Any) -> None:
    """Refuse what is not an array of integers."""
    _require_array(op, name, array)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: {name} must hold integer indices, got {array.dtype}")


def require_mask(op: str, name: str, array: Any, shape: tuple[int, ...]) -> None:
    """Refuse what is not an array of truth values of this shape."""
    _require_array(op, name, array)
    if array.dtype != bool:
        raise TypeError(f"{op}: {name} must hold True and False, got {array.dtype}")
    require_shape(op, name, array, shape)


def holds_truths(array: Any) -> bool:
    """Whether an array holds True and False."""
    return isinstance(array, np.ndarray) and array.dtype == bool


def _require_array(op: str, name: str, array: Any, expected: str = "a NumPy array") -> None:
    """Refuse what is not an array, and arrays with an arithmetic of their own: masked ones, matrices, those with units."""
    kind = type(array)
    if not isinstance(array, (np.ndarray, np.generic)):
        holds_numbers = hasattr(array, "__array__") or isinstance(array, (list, tuple, int, float))
        how = f"; convert it: np.asarray({name})" if holds_numbers else ""
        raise TypeError(f"{op}: {name} must be {expected}, got {kind.__name__}{how}")
    if isinstance(array, np.ndarray) and (kind.__mul__, kind.__array_ufunc__) != (np.ndarray.__mul__, np.ndarray.__array_ufunc__):
        how = f"{name}.filled(0)" if isinstance(array, np.ma.MaskedArray) else f"np.asarray({name})"
        raise TypeError(f"{op}: {name} must be a plain NumPy array, got {kind.__name__}; convert it: {how}")


def targets_like(op: str, x: Array, target: Any) -> Array:
    """Targets in the dtype of x, which may also be given as integers, as in torch."""
    if isinstance(target, (np.ndarray, np.integer)) and target.dtype.kind in "iu":
        require_indices(op, "target", target)
        return np.asarray(target, x.dtype)
    require_floats(op, "x target", x, target)
    return target


def require_shape(op: str, name: str, array: Array | None, expected: tuple[int, ...]) -> None:
    """Refuse an array of any other shape. `None` passes."""
    if array is not None and array.shape != expected:
        raise ValueError(f"{op}: {name} must have shape {expected}, got {array.shape}")


def require_broadcast(op: str, name: str, array: Array | None, x: Array) -> None:
    """Refuse an array that does not broadcast to the shape of x. `None` passes."""
    if array is not None and broadcast_shape(op, x=x, **{name: array}) != x.shape:
        raise ValueError(f"{op}: {name} must broadcast to the shape of x, {x.shape}, got {array.shape}")


def broadcast_shape(op: str, **arrays: Array) -> tuple[int, ...]:
    """The shape to which all arrays broadcast; shapes that do not are refused."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        got = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{op}: expected shapes that broadcast together, got {got}") from None


# -- Constants, by kind: each comes back as a plain Python value, so that it does not change the dtype of an array

NUMBERS: dict[str, Callable[[float], bool]] = {
    "a number": lambda value: True,
    "a number other than 0": lambda value: value != 0,
    "a positive number": lambda value: value > 0,
    "a number of at least 0": lambda value: value >= 0,
    "a number from 0 to 1": lambda value: 0 <= value <= 1,
    "a finite number": math.isfinite,
    "a finite number other than 0": lambda value: math.isfinite(value) and value != 0,
    "a finite number of at least 0": lambda value: 0 <= value < math.inf,
    "1 or 2": lambda value: value in (1, 2),
}


def require_number(op: str, name: str, value: Any, kind: str = "a number") -> float:
    """A real number of one of these kinds."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{op}: {name} must be {kind}, got {value!r}")
    try:
        number = float(value)
        fits = NUMBERS[kind](number)
    except OverflowError:  # an integer beyond all floats
        fits = False
    if not fits:
        raise ValueError(f"{op}: {name} must be {kind}, got {value}")
    return number


def require_integer(op: str, name: str, value: Any, least: int | None = None) -> int:
    """An integer, not below the least one."""
    expected = "an integer" if least is None else f"an integer of at least {least}"
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{op}: {name} must be {expected}, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{op}: {name} must be {expected}, got {value}")
    return int(value)


def per_axis(op: str, name: str, value: Any, count: int, expected: str, stretch: bool = False) -> tuple[Any, ...]:
    """A value for each of so many axes: a single one stands for all, and so does the only one of a tuple if that may `stretch`."""
    if not isinstance(value, (tuple, list)):
        return (value,) * count
    if stretch and len(value) == 1:
        return tuple(value) * count
    if len(value) != count:
        raise ValueError(f"{op}: {name} must be {expected} or {count} of them, got {value}")
    return tuple(value)


def require_integers(
    op: str, name: str, value: Any, count: int, least: int | None = None, *, stretch: bool = True
) -> tuple[int, ...]:
    """So many integers, one for each axis. Most operations of torch `stretch` a tuple of one; those that do not say so."""
    return tuple([require_integer(op, name, each, least) for each in per_axis(op, name, value, count, "an integer", stretch)])


def require_numbers(op: str, name: str, value: Any, count: int, kind: str = "a number") -> tuple[float, ...]:
    """So many real numbers of one of the kinds, one for each axis."""
    return tuple([require_number(op, name, each, kind) for each in per_axis(op, name, value, count, "a number")])


def require_axis(op: str, x: Array, dim: Any, name: str = "dim") -> int:
    """A dimension that the array has; as in torch, a 0-d array counts as having one."""
    dim, ndim = require_integer(op, name, dim), max(x.ndim, 1)
    if not -ndim <= dim < ndim:
        raise ValueError(f"{op}: {name} must lie in [{-ndim}, {ndim - 1}] for an input of shape {x.shape}, got {dim}")
    return dim


def require_axes(op: str, x: Array, dim: Any, name: str = "dim") -> tuple[int, ...]:
    """One dimension or several that the array has, counted from its start, each named once."""
    several = dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = tuple([require_axis(op, x, each, name) % max(x.ndim, 1) for each in several])
    if len(set(axes)) != len(axes):
        raise ValueError(f"{op}: {name} must name each axis once, got {dim}")
    return axes


def require_choice(op: str, name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse any other word than these."""
    if not (isinstance(value, str) and value in choices):
        *others, last = map(repr, choices)
        raise ValueError(f"{op}: {name} must be {', '.join(others)} or {last}, got {value!r}")


def require_flags(op: str, **flags: Any) -> None:
    """Refuse what is neither True nor False."""
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{op}: {name} must be True or False, got {value!r}")


def require_dtype(op: str, dtype: Any) -> np.dtype[Any]:
    """One of the formats, however NumPy allows it to be named."""
    for known in (FLOAT32, FLOAT64):
        if not isinstance(dtype, np.ndarray) and known == dtype:
            return known
    raise TypeError(f"{op}: dtype must be np.float32 or np.float64, got {dtype!r}")


def require_generator(op: str, generator: Any) -> None:
    """Refuse what is not a generator of random numbers. `None` passes."""
    if generator is not None and not isinstance(generator, np.random.Generator):
        raise TypeError(f"{op}: generator must be a numpy.random.Generator or None, got {generator!r}")


# -- Backwards


def needed(op: str, needs: tuple[bool, ...] | None, count: int) -> tuple[bool, ...]:
    """Of each of `count` arguments, whether its gradient is needed: all are, unless told otherwise."""
    if needs is None:
        return (True,) * count
    if not isinstance(needs, (tuple, list)) or len(needs) != count:
        raise ValueError(f"{op}: needs must have one entry for each of {count} arguments, got {needs}")
    return needs


def cotangent(op: str, grad_output: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """The gradient of an output of this shape and dtype; a plain number will do where the output is a scalar."""
    if type(grad_output) is np.ndarray and grad_output.shape == shape and grad_output.dtype is dtype:
        return grad_output
    if type(grad_output) in (float, int) and shape == ():
        return dtype.type(grad_output)
    _require_array(op, "grad_output", grad_output, f"a NumPy array of shape {shape}")
    if grad_output.shape != shape:
        raise ValueError(f"{op}: grad_output must have the shape of the output, {shape}, got {grad_output.shape}")
    if grad_output.dtype != dtype:
        raise TypeError(f"{op}: grad_output must have the dtype of the output, {dtype}, got {grad_output.dtype}")
    return grad_output


def no_cotangent(op: str, grad_output: Any) -> None:
    """Refuse a gradient of what has none."""
    if grad_output is not None:
        raise TypeError(f"{op}: grad_output must be None where the output holds no numbers, got {type(grad_output).__name__}")


def cotangents(op: str, grad_output: Any, output: Any) -> Any:
    """The gradient of an output of one array or several, in its structure. `None` for one of several becomes zeros; beside
    integers, and where the output is `None`, it stays.
    """
    if not isinstance(output, (tuple, list)):
        return cotangent(op, grad_output, output.shape, output.dtype)
    if not isinstance(grad_output, (tuple, list)) or len(grad_output) != len(output):
        got = f"{len(grad_output)} parts" if isinstance(grad_output, (tuple, list)) else type(grad_output).__name__
        raise TypeError(f"{op}: grad_output must have {len(output)} parts, as the output has, got {got}")
    grads: list[Any] = []
    for grad, part in zip(grad_output, output):
        if part is None or (isinstance(part, np.ndarray) and part.dtype.kind != "f"):
            no_cotangent(op, grad)
            grads.append(None)
        elif isinstance(part, (tuple, list)):
            grads.append(cotangents(op, (None,) * len(part) if grad is None else grad, part))
        else:
            grads.append(np.zeros(part.shape, part.dtype) if grad is None else cotangents(op, grad, part))
    return tuple(grads)
