"""Random inputs: valid ones agree with torch in every memory layout, bad ones are refused by name and never fail further inside.

The inputs are those of the catalogue with other random numbers: with one argument of another kind, with another shape, in another
layout. The seed is fixed.
"""

import inspect
import warnings
from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reference import oracle, structure
from reference.agreement import wanted
from reference.structure import is_float, leaves, named, named_gradients
from tests.test_contract import takes_integers, with_leaf
from tests.test_refusals import WRONG

# Without shrinking, which takes minutes where many fail
bounded = partial(
    settings,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# Relative to 1 or the largest number among the results: what is wrong is off by more than what is rounded, also by torch, whose
# hardsigmoid multiplies a single number by a sixth of single precision
TOLERANCE = {"float64": 1e-7, "float32": 2e-3}
tried: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _counted(record_testsuite_property):
    """With --junitxml, how many inputs there were."""
    yield
    record_testsuite_property("fuzz", dict(tried))


class Plain(np.ndarray):
    """A subclass without an arithmetic of its own."""


def misaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype)
    memory[...] = array.reshape(-1)
    return memory.reshape(array.shape)


def strided(array):
    memory = np.zeros(tuple(2 * size for size in array.shape), array.dtype)[tuple(slice(None, None, 2) for _ in array.shape)]
    memory[...] = array
    return memory


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "C": np.copy,
    "Fortran": np.asfortranarray,
    "inner axes first": lambda a: np.moveaxis(np.moveaxis(a, -1, 0).copy(), 0, -1),
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "strided": strided,
    "read-only": read_only,
    "misaligned": misaligned,
    "of a subclass": lambda a: a.view(Plain),
    "repeated": lambda a: np.broadcast_to(a[:1], a.shape) if len(a) and is_float(a) else a,
}


def arrays_of(arguments):
    return [leaf for leaf in leaves(arguments) if isinstance(leaf, np.ndarray)]


def run(function, arguments, constants, grad_output):
    """Outputs and gradients by name; what overflows or is undefined is so on both sides."""
    with np.errstate(all="ignore"):
        output, backward = function(*arguments, **constants)
        return named(output, "output") | named_gradients(backward(grad_output(output)))


def assert_close(found, expected, dtype):
    scale = max(np.abs(array[np.isfinite(array)]).max(initial=1) for array in expected.values() if array is not None)
    for name, theirs in expected.items():
        ours = found[name]
        assert (ours is None) == (theirs is None), name
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * scale, err_msg=name)


@bounded(max_examples=30)
@given(data=st.data())
def check_layouts(operation, data):
    case = data.draw(st.sampled_from(operation.cases))
    dtype, seed = data.draw(st.sampled_from(["float64", "float32"])), data.draw(st.integers(0, 2**32))
    built = case.build(operation.name, dtype, seed)
    count = len(leaves(built))
    names = data.draw(st.lists(st.sampled_from(list(LAYOUTS)), min_size=count, max_size=count))
    laid = [LAYOUTS[name](leaf) if isinstance(leaf, np.ndarray) and leaf.ndim else leaf for leaf, name in zip(leaves(built), names)]
    arguments = structure.rebuild(built, laid)
    contiguous = structure.apply(partial(np.array, order="C"), arguments)
    tried["valid"] += 1

    def grad_output(output):
        return cotangent_like(output, seed)

    found = run(operation.manual, arguments, case.constants, grad_output)
    assert_close(found, run(operation.manual, contiguous, case.constants, grad_output), dtype)
    if not (case.torch_loses or case.ill_conditioned):
        call = oracle.Call(operation.torch, contiguous, case.constants, wanted(case, contiguous))
        theirs = call.results(grad_output(structure.apply(oracle.to_numpy, call.output)))
        assert_close(found, theirs, dtype)


def cotangent_like(output, seed):
    draw = np.random.default_rng(seed)
    return structure.apply(lambda part: draw.standard_normal(part.shape).astype(part.dtype) if is_float(part) else None, output)


def test_valid_inputs_in_every_layout(operation):
    check_layouts(operation)


# -- Bad inputs

OTHER_DTYPES = [np.float16, np.longdouble, ">f8", ">f4", complex, object, "S3", "U3", "M8[s]", "m8[s]", bool]
numbers = st.floats(-9, 9)
no_arrays = st.one_of(
    st.none(),
    st.text(max_size=3),
    st.binary(max_size=5),
    st.complex_numbers(max_magnitude=9),
    st.lists(numbers, min_size=1, max_size=3),  # of no axis, a list may stand for all
    st.tuples(numbers, numbers),
    st.dictionaries(st.text(max_size=2), numbers, max_size=2),
    st.sets(st.integers(), max_size=2),
    st.just(object()),
    st.just(np.ndarray),
    st.functions(like=lambda: None),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.dates(),
)
NUMBERS_TOO = {"float": st.booleans(), "int": st.one_of(st.booleans(), numbers), "bool": st.one_of(st.integers(), numbers)}


def bad_array(data, array, integers):
    """The same numbers in a format or of a kind that is not supported, or no array at all."""
    kind = data.draw(st.sampled_from(["dtype", "masked", "matrix", "none"]))
    if kind == "masked":
        return np.ma.MaskedArray(array)
    if kind == "matrix" and array.ndim == 2:
        return array.view(np.matrix)
    if kind == "dtype":
        return np.zeros(array.shape, data.draw(st.sampled_from([*OTHER_DTYPES, *([] if integers else [np.int64, np.uint8])])))
    return data.draw(st.one_of(no_arrays, numbers, hnp.arrays("f2", array.shape)))


def takes_truths(operation, position):
    """Whether an argument may be a mask of True and False."""
    built = (case.build(operation.name, "float64") for case in operation.cases)
    given = [arguments[position] for arguments in built if position < len(arguments)]
    return any(isinstance(array, np.ndarray) and array.dtype == bool for array in given)


@bounded(max_examples=80)
@given(data=st.data())
def check_refusals(operation, data):
    case = data.draw(st.sampled_from(operation.cases))
    arguments, constants = list(case.build(operation.name, "float64")), dict(case.constants)
    parameters = list(inspect.signature(operation.manual).parameters.values())
    position = data.draw(st.integers(0, len(parameters) - 1))
    parameter = parameters[position]
    if parameter.kind is parameter.KEYWORD_ONLY:
        kind = next(known for known in WRONG if known in str(parameter.annotation))
        value = data.draw(st.one_of(no_arrays, NUMBERS_TOO.get(kind, st.nothing()), st.sampled_from(WRONG[kind])))
        if (value is None and "None" in str(parameter.annotation)) or (kind == "Callable" and callable(value)):
            return
        if type(value) is list and not value and "tuple" in str(parameter.annotation):
            return  # no integers, which are as many as an operation of any number of axes may take
        if kind == "tuple[float, ...]" and isinstance(value, list | tuple):  # may be right
            return
        constants[parameter.name] = value
    else:
        if position >= len(arguments):
            return
        array = arguments[position]
        if not isinstance(array, np.ndarray):
            return
        value = bad_array(data, array, takes_integers(operation, f"grad_{position}") or array.dtype.kind in "iu")
        annotation = str(parameter.annotation)
        if (value is None and "None" in annotation) or (type(value) is float and "float" in annotation):
            return
        if type(value) is np.ndarray and value.dtype == bool and takes_truths(operation, position):
            return
        arguments[position] = value
    tried["bad"] += 1
    with pytest.raises((TypeError, ValueError)) as caught:
        operation.manual(*arguments, **constants)
    assert str(caught.value).startswith(f"{operation.name}: {parameter.name} must "), (value, caught.value)
    tried["refused"] += 1


def test_bad_inputs_are_refused_by_name(operation):
    check_refusals(operation)


@bounded(max_examples=50)
@given(data=st.data())
def check_shapes(operation, data):
    case = data.draw(st.sampled_from(operation.cases))
    arguments = case.build(operation.name, "float64")
    flat = leaves(arguments)
    position = data.draw(st.sampled_from([i for i, leaf in enumerate(flat) if isinstance(leaf, np.ndarray)]))
    shape = data.draw(st.one_of(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5), changed(flat[position].shape)))
    given = flat[position] if flat[position].size else np.array(0.5, flat[position].dtype)
    arguments = with_leaf(arguments, position, np.resize(given, shape))
    tried["shapes"] += 1
    try:
        found = run(operation.manual, arguments, case.constants, lambda output: cotangent_like(output, 0))
    except (TypeError, ValueError) as error:
        if not str(error).startswith(f"{operation.name}: "):
            raise
        tried["shapes refused"] += 1
        return
    with warnings.catch_warnings(action="ignore"):  # torch warns of shapes that broadcast
        call = oracle.Call(operation.torch, arguments, case.constants, wanted(case, arguments))
    if not case.torch_loses and all(array.size for array in arrays_of(arguments)):  # of nothing torch has NaN here and there
        theirs = call.results(cotangent_like(structure.apply(oracle.to_numpy, call.output), 0))
        assert_close(found, theirs, "float64")


def changed(shape):
    """One axis of another size, added or left out."""
    axis = st.integers(0, max(len(shape) - 1, 0))
    return st.one_of(
        st.builds(lambda i, size: (*shape[:i], size, *shape[i + 1 :]), axis, st.integers(0, 5)),
        st.builds(lambda i, size: (*shape[:i], size, *shape[i:]), axis, st.integers(0, 5)),
        st.builds(lambda i: (*shape[:i], *shape[i + 1 :]), axis),
    )


def test_other_shapes_are_torchs_or_refused(operation):
    check_shapes(operation)
