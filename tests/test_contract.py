"""What every operation promises: structure, dtype, purity, re-entrancy, `needs`, linearity of the backward in its cotangent."""

import inspect
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reference import structure
from reference.agreement import reference, wanted
from reference.structure import is_float, leaves, named_gradients, rebuild


def prepare(operation, case, dtype=np.float64):
    return case.build(operation.name, dtype), reference(operation, case, dtype).grad_output


def copies(tree):
    return structure.apply(np.array, tree)


def positional(operation):
    """How many arguments an operation has that are not keywords."""
    kinds = [parameter.kind for parameter in inspect.signature(operation.manual).parameters.values()]
    return kinds.count(inspect.Parameter.POSITIONAL_ONLY)


def with_leaf(tree, position, leaf):
    """The tree with another leaf in this place."""
    return rebuild(tree, [leaf if i == position else other for i, other in enumerate(leaves(tree))])


def assert_same(first, second, compare=np.testing.assert_array_equal):
    assert structure.same(first, second)
    for a, b in zip(leaves(first), leaves(second), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            compare(a, b)


def test_structure(operation, case, dtype):
    """Outputs have the structure of torch's; gradients have that of the arguments, and nothing where there is none to have."""
    arguments, grad_output = prepare(operation, case, dtype)
    output, backward = operation.manual(*arguments, **case.constants)
    assert structure.same(output, grad_output)
    for part, cotangent in zip(leaves(output), leaves(grad_output), strict=True):
        assert cotangent is not None or part is None or part.dtype.kind in "biu"
        if cotangent is not None:
            assert (part.shape, part.dtype) == (cotangent.shape, dtype)
    grads = backward(grad_output)
    assert isinstance(grads, tuple)
    assert len(grads) == positional(operation)
    assert structure.same(grads[: len(arguments)], arguments)
    assert all(grad is None for grad in grads[len(arguments) :])
    found = named_gradients(grads)
    for name, array in named_gradients(arguments).items():
        assert (found[name] is not None) == (name in wanted(case, arguments))
        if found[name] is not None:
            assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)


def test_purity(operation, case):
    """Nothing given or returned is changed, and what a caller does to the gradients does not reach the next call."""
    arguments, grad_output = prepare(operation, case)
    before = copies((arguments, grad_output))
    output, backward = operation.manual(*arguments, **case.constants)
    kept = copies(output)
    first = backward(grad_output)
    expected = copies(first)
    for grad in leaves(first):
        if grad is not None and grad.ndim:
            assert not any(cotangent is not None and np.shares_memory(grad, cotangent) for cotangent in leaves(grad_output))
            grad += 1
    assert_same(backward(grad_output), expected)
    assert_same(output, kept)
    assert_same((arguments, grad_output), before)


def test_output_is_new_or_read_only(operation, case):
    """What shares memory with an argument cannot be changed."""
    arguments, _ = prepare(operation, case)
    output, _ = operation.manual(*arguments, **case.constants)
    given = [array for array in leaves(arguments) if array is not None]
    for part in leaves(output):
        shares = part is not None and any(np.shares_memory(part, array) for array in given)
        assert not shares or not part.flags.writeable


def test_what_may_be_overwritten_no_backward_reads(operation, case):
    """Outputs, gradients and the arrays of which they are views: what of them is not read-only makes no later gradient."""
    arguments, grad_output = prepare(operation, case)
    given = [array for array in leaves((arguments, grad_output)) if array is not None]
    output, backward = operation.manual(*arguments, **case.constants)
    grads = backward(grad_output)
    expected = copies(grads)
    for part in leaves((output, grads)):
        while isinstance(part, np.ndarray):
            if part.flags.writeable and not any(np.shares_memory(part, array) for array in given):
                part.fill(np.nan if is_float(part) else 1)
            part = part.base
    assert_same(backward(grad_output), expected)


def test_threads(operation, case):
    """From eight threads at once, two forwards and backwards interleaved, the answers are those of one thread."""
    arguments, grad_output = prepare(operation, case)
    _, backward = operation.manual(*arguments, **case.constants)
    expected = backward(grad_output)
    with ThreadPoolExecutor(8) as pool:
        for grads in pool.map(lambda _: backward(grad_output), range(16)):
            assert_same(grads, expected)


def choices_of_needs(count):
    """All there are; of more than six arguments each alone, all but each, and some of the others."""
    if count <= 6:
        return itertools.product((False, True), repeat=count)
    alone = [tuple(i == j for i in range(count)) for j in range(count)]
    some = np.random.default_rng(0).random((32, count)) < 0.5
    return [*alone, *(tuple(not need for need in needs) for needs in alone), *map(tuple, some.tolist())]


def test_needs(operation, case):
    """What is not needed is None, what is needed is the same as ever."""
    arguments, grad_output = prepare(operation, case)
    _, backward = operation.manual(*arguments, **case.constants)
    everything = backward(grad_output)
    for needs in choices_of_needs(len(everything)):
        expected = tuple(grad if need else None for grad, need in zip(everything, needs, strict=True))
        assert_same(backward(grad_output, needs), expected, lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13, atol=0))


def test_needs_of_another_length(operation):
    case = operation.cases[0]
    arguments, grad_output = prepare(operation, case)
    _, backward = operation.manual(*arguments, **case.constants)
    for count in (0, positional(operation) - 1, positional(operation) + 1):
        with pytest.raises(ValueError, match=f"{operation.name}: needs must have one entry for each of"):
            backward(grad_output, (True,) * count)


def test_linearity(operation, case):
    """backward(2 g + h) = 2 backward(g) + backward(h), to the rounding that each side has; backward(0) = 0."""
    arguments, g = prepare(operation, case)
    truth = reference(operation, case, np.float64).truth
    _, backward = operation.manual(*arguments, **case.constants)
    generator = np.random.default_rng(3)
    h = structure.apply(lambda array: np.asarray(generator.standard_normal(array.shape)), g)
    both = rebuild(g, [None if a is None else np.asarray(2 * a + b) for a, b in zip(leaves(g), leaves(h), strict=True)])
    with np.errstate(invalid="ignore"):  # 0 · ∞ where a slope is infinite
        grads = [named_gradients(backward(cotangent)) for cotangent in (both, g, h, structure.apply(np.zeros_like, g))]
    for name in wanted(case, arguments):
        of_both, of_g, of_h, of_zero = (found[name] for found in grads)
        if not np.isfinite(of_both).all():  # an infinite slope: ∞ − ∞ says nothing
            continue
        assert not of_zero.any()
        scale = truth[name].scale.astype(float).max(initial=0)
        room = 1e-13 * (np.abs(of_both) + 2 * np.abs(of_g) + np.abs(of_h) + scale)
        assert (np.abs(of_both - 2 * of_g - of_h) <= room).all()


def test_cotangent_is_checked(operation):
    """A cotangent of another shape, dtype or kind is refused by name; so is one for what has none, an index array."""
    case = operation.cases[0]
    arguments, grad_output = prepare(operation, case)
    output, backward = operation.manual(*arguments, **case.constants)
    for position, cotangent in enumerate(leaves(grad_output)):
        if cotangent is None:
            with pytest.raises((TypeError, ValueError), match=f"{operation.name}: grad_output"):
                backward(with_leaf(grad_output, position, np.ones(np.shape(leaves(output)[position]))))
            continue
        with pytest.raises(ValueError, match=f"{operation.name}: grad_output.* must have the shape"):
            backward(with_leaf(grad_output, position, np.zeros((*cotangent.shape, 7))))
        with pytest.raises(TypeError, match=f"{operation.name}: grad_output.* must have the dtype"):
            backward(with_leaf(grad_output, position, cotangent.astype(np.float32)))
        with pytest.raises(TypeError, match=f"{operation.name}: grad_output.* must be a NumPy array"):
            backward(with_leaf(grad_output, position, "gradient"))


def takes_integers(operation, name):
    """Whether integers do as well in this place: targets often come as such."""
    given = (named_gradients(case.build(operation.name, np.float64)).get(name) for case in operation.cases)
    return any(isinstance(array, np.ndarray) and array.dtype.kind in "iu" for array in given)


def test_floats_are_required(operation):
    """Integers, lists and mixed dtypes are refused, naming operation and argument, in every place that takes floats."""
    case = operation.cases[0]
    arguments, _ = prepare(operation, case)
    for position, (name, array) in enumerate(named_gradients(arguments).items()):
        if name not in wanted(case, arguments):
            continue
        wrong = {"must be a NumPy array, got list": array.tolist()}
        if not takes_integers(operation, name):
            wrong["must hold floating-point numbers, got int64"] = array.astype(np.int64)
        if len(wanted(case, arguments)) > 1:
            wrong["must have the dtype of .*, got float"] = array.astype(np.float32)
        for message, other in wrong.items():
            with pytest.raises(TypeError, match=f"{operation.name}: .* {message}"):
                operation.manual(*with_leaf(arguments, position, other), **case.constants)
