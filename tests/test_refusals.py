"""What is refused and what is accepted, for every operation: arrays of other kinds, constants of other kinds, the edges of both."""

import inspect
import math
import re
from functools import partial

import numpy as np
import pytest
import torch

import manual
from manual.contract import require_integers
from reference import oracle, structure
from reference.agreement import wanted
from reference.cases import OPERATIONS
from reference.structure import is_float, leaves, named, named_gradients
from tests.test_contract import assert_same, takes_integers, with_leaf

ABOVE_0, BELOW_0 = 5e-324, -5e-324
ABOVE_1 = math.nextafter(1, 2)


def parameters(operation, kind):
    return [p for p in inspect.signature(operation.manual).parameters.values() if p.kind is kind]


def float_arguments(operation):
    """Of the arguments that take numbers: its place, its name and the array of the first case."""
    case = operation.cases[0]
    arguments = case.build(operation.name, np.float64)
    names = [p.name for p in parameters(operation, inspect.Parameter.POSITIONAL_ONLY)]
    spoken = [name for argument, own in zip(arguments, names) for name in names_within(argument, own)]
    for position, ((leaf, array), name) in enumerate(zip(named_gradients(arguments).items(), spoken, strict=True)):
        if leaf in wanted(case, arguments):
            yield arguments, position, name, array, takes_integers(operation, leaf)


def names_within(tree, name):
    """What errors call the leaves of an argument: weights[0], weights[1], …, or x.data in a named tuple."""
    if not isinstance(tree, (tuple, list)):
        return [name]
    fields = getattr(tree, "_fields", None)
    parts = [f".{field}" for field in fields] if fields else [f"[{i}]" for i in range(len(tree))]
    return [leaf for part, own in zip(tree, parts, strict=True) for leaf in names_within(part, name + own)]


def refuse(operation, arguments, constants, start):
    """The call is refused with an error whose message starts so."""
    with pytest.raises((TypeError, ValueError)) as caught:
        operation.manual(*arguments, **constants)
    assert str(caught.value).startswith(f"{operation.name}: {start}"), caught.value
    return str(caught.value)


# -- Arrays


def test_arrays_of_other_formats_and_kinds_are_refused(operation):
    """The message names the argument, says what came, and how to convert it."""
    swapped = np.dtype(np.float64).newbyteorder()
    for arguments, position, name, array, integers in float_arguments(operation):
        masked = np.ma.MaskedArray(array, mask=np.zeros(array.shape, bool))
        expected = {
            "float16": (array.astype(np.float16), f"{name}.astype(np.float32)"),
            str(np.dtype(np.longdouble)): (array.astype(np.longdouble), f"{name}.astype(np.float64)"),
            str(swapped): (array.astype(swapped), f"{name}.astype(np.float64)"),
            "MaskedArray": (masked, f"{name}.filled(0)"),
            "list": (array.tolist(), f"np.asarray({name})"),
            "Tensor": (torch.tensor(array), f"np.asarray({name})"),
            "complex128": (array + 0j, ""),
            "str": ("a", ""),
        }
        if array.ndim == 2:
            expected["matrix"] = array.view(np.matrix), f"np.asarray({name})"
        if not integers:
            expected["int64"] = array.astype(np.int64), f"{name}.astype(np.float64)"
        for what, (wrong, how) in expected.items():
            message = refuse(operation, with_leaf(arguments, position, wrong), operation.cases[0].constants, f"{name} must ")
            assert f"got {what}" in message
            assert message.endswith(f"; convert it: {how}" if how else f"got {what}")


def test_none_stands_for_what_may_be_left_out_alone(operation):
    case = operation.cases[0]
    arguments = case.build(operation.name, np.float64)
    for position, parameter in enumerate(parameters(operation, inspect.Parameter.POSITIONAL_ONLY)):
        required = parameter.default is inspect.Parameter.empty and "None" not in str(parameter.annotation)
        if position < len(arguments) and required:
            given = (*arguments[:position], None, *arguments[position + 1 :])
            assert "got None" in refuse(operation, given, case.constants, f"{parameter.name} must ")


def test_arrays_in_files_are_arrays(operation, tmp_path):
    """Of a subclass that only differs in where its memory is."""
    case = operation.cases[0]
    arguments = case.build(operation.name, np.float64)
    in_files = []
    for i, array in enumerate(leaves(arguments)):
        if isinstance(array, np.ndarray) and array.size:
            mapped = np.memmap(tmp_path / str(i), array.dtype, "w+", shape=array.shape or (1,))
            mapped[...] = array
            in_files.append(mapped.reshape(array.shape))
        else:
            in_files.append(array)
    (output, backward), (expected, backward_expected) = (
        operation.manual(*each, **case.constants) for each in (structure.rebuild(arguments, in_files), arguments)
    )
    assert_same(output, expected)
    grad_output = structure.apply(lambda part: part if is_float(part) else None, expected)
    assert_same(backward(grad_output), backward_expected(grad_output))


@pytest.mark.parametrize("wrong", [np.ma.ones(3), np.ones(3, np.float16), np.ones(3, ">f8"), [1.0, 1.0, 1.0], None])
def test_cotangents_of_other_kinds_are_refused(wrong):
    _, backward = manual.relu(np.ones(3))
    with pytest.raises(TypeError, match="relu: grad_output must "):
        backward(wrong)


def test_another_dtype_than_the_others_says_how_to_convert_it():
    message = "linear: weight must have the dtype of x, float32, got float64; convert it: weight.astype(np.float32)"
    with pytest.raises(TypeError, match=re.escape(message)):
        manual.linear(np.ones((2, 3), np.float32), np.ones((4, 3)))


@pytest.mark.parametrize("needs", [5, True, "ab", {0, 1}])
def test_needs_of_another_kind_are_refused(needs):
    _, backward = manual.prelu(np.ones(3), np.ones(1))
    with pytest.raises(ValueError, match="prelu: needs must have one entry for each of 2 arguments"):
        backward(np.ones(3), needs)


# -- Constants

NO_NUMBER = None, 1j, "a", [0, 0], True, np.ones(2), {}
WRONG = {  # by what stands in the annotation
    "Callable": (5, "a"),
    "Options": (5, "a", {}),
    "Generator": (5, "a", np.random),
    "HasDType": ("a", np.float16, int, ">f8", 5, np.ones(2)),
    "ellipsis": (1j, 1.5, "a", True, {}, (0.5,), ("a",), ([1.5],), np.ones(2), np.array([1], np.uint8), slice("a")),
    "ndarray": ([0, 0], 3.0, "a", np.ones(7), np.ones(3, int), np.ma.ones((4, 5))),
    "tuple[int | None, ...]": (None, 1j, "a", True, 1.0, [1.0, 1.0], [True], {}, np.ones(2)),
    "tuple[int, ...]": (1j, "a", True, 1.0, [1.0, 1.0], [True], {}, np.ones(2)),
    "tuple[float, ...]": (1j, "a", True, [1j, 1j], [True], ["a"], {}, np.ones(2), -1.0, math.nan),
    "bool | None": (1j, "a", [0, 0], 1, 0.0, np.ones(2)),
    "int | None": (1j, "a", [0, 0], True, 1.0),
    "int": (*NO_NUMBER, 1.0, np.float64(1)),
    "float | None": NO_NUMBER[1:],
    "float": NO_NUMBER,
    "bool": (None, 1j, "a", [0, 0], 1, 0.0, np.ones(2)),
    "str | None": (1j, "another", "", ["none"], 0, True, np.ones(2)),
    "str": (None, 1j, "another", "", ["none"], 0, True, np.ones(2)),
}


def constants_of(operation, kind):
    """The names of the constants of a kind."""
    for parameter in parameters(operation, inspect.Parameter.KEYWORD_ONLY):
        if next(known for known in WRONG if known in str(parameter.annotation)) == kind:
            yield parameter.name


def test_constants_of_another_kind_are_refused(operation):
    """By name, whatever else is given."""
    case = operation.cases[0]
    arguments = case.build(operation.name, np.float64)
    for kind, several in WRONG.items():
        for name in constants_of(operation, kind):
            for wrong in several:
                refuse(operation, arguments, {**case.constants, name: wrong}, f"{name} must ")


def test_numbers_of_numpy_do_not_change_the_dtype(operation):
    """What a constant is as a number of Python it is as one of NumPy, also of another format than the arrays."""
    for case in operation.cases:
        arguments = case.build(operation.name, np.float32)
        given = case.constants
        numbers = {name: given[name] for name in constants_of(operation, "float") if isinstance(given.get(name), (int, float))}
        if not numbers:
            continue
        output, backward = operation.manual(*arguments, **case.constants)
        again, backward_again = operation.manual(*arguments, **{**case.constants, **{n: np.float64(v) for n, v in numbers.items()}})
        grad_output = structure.apply(lambda part: part if is_float(part) else None, output)
        strictly = partial(np.testing.assert_array_equal, strict=True)
        assert_same(again, output, strictly)
        assert_same(backward_again(grad_output), backward(grad_output), strictly)


def goes_along_an_axis(operation):
    """Whether an operation takes an axis of its input, and needs no more than one array beside it."""
    parameters = inspect.signature(operation.manual).parameters
    if operation.name == "tensor.unsqueeze":  # whose axis is the output's
        return False
    return "dim" in parameters and {name for name, p in parameters.items() if p.default is p.empty} - {"dim"} in ({"x"}, {"logits"})


@pytest.mark.parametrize("along", [pytest.param(op, id=op.name) for op in OPERATIONS.values() if goes_along_an_axis(op)])
@pytest.mark.parametrize("shape", [(4,), (4, 6), (2, 4, 6), (2, 2, 4, 2)])
def test_every_axis(along, shape):
    """Counted from either end, an axis is treated as torch treats it; the one beyond it is refused at both ends."""
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, *shape))
    constants = {"noise": noise} if along.name == "gumbel_softmax" else {}
    for dim in range(-x.ndim, x.ndim):
        output, backward = along.manual(x, dim=dim, **constants)
        g = structure.apply(lambda part: rng.standard_normal(part.shape) if is_float(part) else None, output)
        call = oracle.Call(along.torch, (x,), {"dim": dim, **constants}, {"grad_0"})
        theirs = call.results(g)
        for name, part in named(output, "output").items():
            np.testing.assert_allclose(part, theirs[name], rtol=1e-13)
        (grad,) = backward(g)
        assert grad is not None or g is None
        if grad is not None:
            np.testing.assert_allclose(grad, theirs["grad_0"], rtol=1e-11, atol=1e-14)
    for dim in (-x.ndim - 1, x.ndim):
        refuse(along, (x,), {"dim": dim}, f"dim must lie in [{-x.ndim}, {x.ndim - 1}]")


# -- Edges: what is accepted, and what beside it is not

X23, LABELS = np.array([[0.3, -1.0, 2.0], [0.1, 0.2, -0.5]]), np.array([0, 2])
SCORES = np.random.default_rng(0).standard_normal((5, 2, 3))
VECTORS = tuple(np.random.default_rng(1).standard_normal((3, 4, 5)))
CTC = partial(manual.ctc_loss, SCORES)


def chunks(size):
    return manual.linear_cross_entropy(
        X23, np.ones((3, 3)), LABELS, options=manual.LinearCrossEntropyOptions(batch_chunk_size=size)
    )


EDGES = [
    ("hardtanh: min_val", lambda v: manual.hardtanh(X23, min_val=v), 1.0, ABOVE_1),
    ("Hardtanh: max_val", lambda v: manual.Hardtanh(max_val=v), math.nextafter(-1, 0), -1.0),
    ("softshrink: lambd", lambda v: manual.softshrink(X23, lambd=v), 0.0, BELOW_0),
    ("softshrink: lambd", lambda v: manual.softshrink(X23, lambd=v), 1e308, math.inf),
    ("softshrink: lambd", lambda v: manual.softshrink(X23.astype("f"), lambd=v), 1e38, 1e39),
    ("rrelu: lower", lambda v: manual.rrelu(X23, lower=v, upper=0.25), 0.25, math.nextafter(0.25, 1)),
    ("rrelu: upper", lambda v: manual.rrelu(X23, upper=v), 1e308, math.inf),
    ("softplus: beta", lambda v: manual.softplus(X23, beta=v), 1e-3, 0.0),
    ("softplus: beta", lambda v: manual.softplus(X23, beta=v), -1e300, -math.inf),
    ("celu: alpha", lambda v: manual.celu(X23, alpha=v), -1.0, 0),
    ("elu: alpha", lambda v: manual.elu(X23, alpha=v), 10**300, 10**400),
    ("gumbel_softmax: tau", lambda v: manual.gumbel_softmax(X23, tau=v), -1, -0.0),
    ("glu: the size along dim must be even", lambda v: manual.glu(X23, dim=v), 0, 1),
    ("smooth_l1_loss: beta", lambda v: manual.smooth_l1_loss(X23, X23, beta=v), 0, BELOW_0),
    ("huber_loss: delta", lambda v: manual.huber_loss(X23, X23, delta=v), ABOVE_0, 0.0),
    ("huber_loss: delta", lambda v: manual.huber_loss(X23, X23, delta=v), math.inf, math.nan),
    ("HuberLoss: delta", lambda v: manual.HuberLoss(delta=v), 0.0, 1j),
    ("binary_cross_entropy: x", lambda v: manual.binary_cross_entropy(np.array([0.5, v]), np.ones(2)), 0.0, BELOW_0),
    ("binary_cross_entropy: x", lambda v: manual.binary_cross_entropy(np.array([0.5, v]), np.ones(2)), 1.0, ABOVE_1),
    ("gaussian_nll_loss: var", lambda v: manual.gaussian_nll_loss(X23, X23, v), 0.0, BELOW_0),
    ("gaussian_nll_loss: var", lambda v: manual.gaussian_nll_loss(X23, X23, np.full((2, 3), v)), 0.0, BELOW_0),
    ("cross_entropy: label_smoothing", lambda v: manual.cross_entropy(X23, LABELS, label_smoothing=v), 0, BELOW_0),
    ("cross_entropy: label_smoothing", lambda v: manual.cross_entropy(X23, LABELS, label_smoothing=v), 1, ABOVE_1),
    ("cross_entropy: target", lambda v: manual.cross_entropy(X23, np.array([0, v])), 2, 3),
    ("cross_entropy: target", lambda v: manual.cross_entropy(X23, np.array([1, v])), 0, -1),
    ("cross_entropy: ignore_index", lambda v: manual.cross_entropy(X23, X23, ignore_index=v), -1, 0),
    ("nll_loss: target", lambda v: manual.nll_loss(X23, np.array([0, v])), 2, 3),
    ("nll_loss: target", lambda v: manual.nll_loss(X23, np.array([1, v])), 0, -1),
    ("nll_loss: x", lambda v: manual.nll_loss(np.ones((2, v)), np.zeros(2, int)), 1, 0),
    ("linear_cross_entropy: target", lambda v: manual.linear_cross_entropy(X23, X23, np.array([0, v])), 1, 2),
    ("LinearCrossEntropyOptions: batch_chunk_size", chunks, 1, 0),
    ("LinearCrossEntropyLoss: label_smoothing", lambda v: manual.LinearCrossEntropyLoss(2, 3, label_smoothing=v), 1.0, 2),
    ("LinearCrossEntropyLoss: weight", lambda v: manual.LinearCrossEntropyLoss(2, 3, weight=np.ones(v)), 3, 2),
    ("multi_margin_loss: p", lambda v: manual.multi_margin_loss(X23, LABELS, p=v), 1.0, 1.5),
    ("multi_margin_loss: p", lambda v: manual.multi_margin_loss(X23, LABELS, p=v), 2, 3),
    ("multi_margin_loss: target", lambda v: manual.multi_margin_loss(X23, np.array([0, v])), 2, 3),
    ("multi_margin_loss: target", lambda v: manual.multi_margin_loss(X23, np.array([1, v])), 0, -1),
    ("MultiMarginLoss: p", lambda v: manual.MultiMarginLoss(p=v), 2, 0),
    ("MultiMarginLoss: weight", lambda v: manual.MultiMarginLoss(weight=np.ones((3,) * v)), 1, 2),
    ("multilabel_margin_loss: target", lambda v: manual.multilabel_margin_loss(X23[0], np.array([0, v, -1])), 2, 3),
    ("multilabel_margin_loss: target", lambda v: manual.multilabel_margin_loss(X23[0], np.array([0, v, -1])), -1, -2),
    ("triplet_margin_loss: margin", lambda v: manual.triplet_margin_loss(*VECTORS, margin=v), ABOVE_0, 0),
    ("triplet_margin_loss: p", lambda v: manual.triplet_margin_loss(*VECTORS, p=v), 0.25, 0),
    ("triplet_margin_loss: p", lambda v: manual.triplet_margin_loss(*VECTORS, p=v), math.inf, math.nan),
    ("TripletMarginLoss: margin", lambda v: manual.TripletMarginLoss(margin=v), ABOVE_0, 0),
    ("TripletMarginWithDistanceLoss: margin", lambda v: manual.TripletMarginWithDistanceLoss(margin=v), ABOVE_0, 0.0),
    ("ctc_loss: blank", lambda v: CTC(np.array([[1], [1]]), (5, 5), (1, 1), blank=v), 0, -1),
    ("ctc_loss: blank", lambda v: CTC(np.array([[1], [1]]), (5, 5), (1, 1), blank=v), 2, 3),
    ("ctc_loss: targets", lambda v: CTC(np.array([[1], [v]]), (5, 5), (1, 1)), 2, 3),
    ("ctc_loss: targets", lambda v: CTC(np.array([[1], [v]]), (5, 5), (1, 1)), 1, 0),
    ("ctc_loss: input_lengths", lambda v: CTC(np.array([[1], [1]]), (5, v), (1, 1)), 5, 6),
    ("ctc_loss: input_lengths", lambda v: CTC(np.array([[1], [1]]), (5, v), (1, 1)), 0, -1),
    ("ctc_loss: target_lengths", lambda v: CTC(np.array([[1], [1]]), (5, 5), (1, v)), 0, -1),
    ("ctc_loss: targets", lambda v: CTC(np.array([[1], [1]]), (5, 5), (1, v)), 1, 2),
    ("ctc_loss: target_lengths", lambda v: CTC(np.array([[1], [1]]), (5, 5), (1, v)), 1, 10**12),
    ("AdaptiveLogSoftmaxWithLoss: cutoffs", lambda v: manual.AdaptiveLogSoftmaxWithLoss(4, 5, [v, 3]), 1, 0),
    ("AdaptiveLogSoftmaxWithLoss: cutoffs", lambda v: manual.AdaptiveLogSoftmaxWithLoss(4, 5, [1, v]), 4, 5),
    ("AdaptiveLogSoftmaxWithLoss: n_classes", lambda v: manual.AdaptiveLogSoftmaxWithLoss(4, v, [1]), 2, 1),
    ("AdaptiveLogSoftmaxWithLoss: in_features", lambda v: manual.AdaptiveLogSoftmaxWithLoss(v, 5, [2]), 0, -1),
    ("AdaptiveLogSoftmaxWithLoss: div_value", lambda v: manual.AdaptiveLogSoftmaxWithLoss(4, 5, [2], v), 0.5, 0.0),
    ("Linear: in_features", lambda v: manual.Linear(v, 3), 0, -1),
    ("Linear: out_features", lambda v: manual.Linear(3, v), np.int64(2), 2.0),
    ("Linear: dtype", lambda v: manual.Linear(3, 2, dtype=v), "float32", np.float16),
    ("Linear: generator", lambda v: manual.Linear(3, 2, generator=v), None, 5),
    ("Bilinear: in1_features", lambda v: manual.Bilinear(v, 2, 3), 1, 0),
    ("Bilinear: in2_features", lambda v: manual.Bilinear(2, v, 3), 0, -1),
    ("PReLU: num_parameters", lambda v: manual.PReLU(v), 0, -1),
    ("PReLU: init", lambda v: manual.PReLU(init=v), -1, None),
    ("op: stride must be an integer of at least 1, got", lambda v: require_integers("op", "stride", v, 2, least=1), 1, 0),
    ("op: stride must be an integer of at least 1, got", lambda v: require_integers("op", "stride", (2, v), 2, least=1), 1, 0),
    ("op: stride must be an integer or 2 of them, got", lambda v: require_integers("op", "stride", v, 2), (1, 2), (1, 2, 3)),
    ("op: stride must be an integer or 3 of them, got", lambda v: require_integers("op", "stride", v, 3), [1], [1, 2]),
    ("op: stride must be an integer or 3 of them, got", lambda v: require_integers("op", "stride", v, 3), (-1, 0, 1), ()),
    ("op: stride must be an integer, got", lambda v: require_integers("op", "stride", v, 1), np.int8(2), 2.0),
    ("set_num_threads: threads", lambda v: manual.set_num_threads(v), manual.get_num_threads(), 0),
]


@pytest.mark.parametrize(("start", "call", "accepted", "refused"), EDGES)
def test_edges(start, call, accepted, refused):
    call(accepted)
    with pytest.raises((TypeError, ValueError), match=f"^{start}"):
        call(refused)


@pytest.mark.parametrize(
    ("value", "integers"), [(3, (3, 3)), (np.int64(3), (3, 3)), ([3], (3, 3)), ((3,), (3, 3)), ((3, 4), (3, 4)), ([4, 3], (4, 3))]
)
def test_a_single_integer_stands_for_all_axes(value, integers):
    got = require_integers("op", "stride", value, 2)
    assert (got, [type(each) for each in got]) == (integers, [int, int])


@pytest.mark.parametrize("loss", [manual.nll_loss, manual.cross_entropy, partial(manual.cross_entropy, label_smoothing=0.1)])
@pytest.mark.parametrize("weight", [None, np.ones(3)])
@pytest.mark.parametrize("ignore_index", [-100, 1, 7])
@pytest.mark.parametrize("wrong", [3, -1])
def test_a_wrong_class_beside_one_that_is_ignored(loss, weight, ignore_index, wrong):
    """Classes are checked once those ignored are out of the way, be they classes or not."""
    x = np.zeros((3, 3))
    loss(x, np.array([0, ignore_index, 2]), weight, ignore_index=ignore_index)
    with pytest.raises(ValueError, match=f"target must hold classes from 0 to 2, got {wrong}"):
        loss(x, np.array([wrong, ignore_index, 2]), weight, ignore_index=ignore_index)


def test_just_beyond_the_threshold_of_softplus():
    """Up to its own default of 20 the curve, beyond it x itself."""
    x = np.array([20.0, math.nextafter(20.0, 21.0)])
    output, backward = manual.softplus(x)
    np.testing.assert_allclose(output - x, [math.log1p(math.exp(-20)), 0], rtol=1e-5)
    np.testing.assert_allclose(1 - backward(np.ones(2))[0], [math.exp(-20), 0], rtol=1e-5)


@pytest.mark.parametrize("p", [1, 2])
def test_an_excess_just_above_0(p):
    """The margin is 1, and xⱼ exceeds x[y] − 1 by 2⁻⁵², by 0, or falls short of it."""
    excess = 2.0**-52
    _, backward = manual.multi_margin_loss(np.array([[1.0, excess, 0.0, -excess]]), np.array([0]), p=p, reduction="sum")
    (grad, *_) = backward(1.0)
    slope = (1.0 if p == 1 else 2 * excess) / 4
    np.testing.assert_array_equal(grad, [[-slope, slope, 0, 0]])


def test_a_shortlist_of_one_class():
    """Its log-probabilities are those of torch, on the same weights."""
    ours = manual.AdaptiveLogSoftmaxWithLoss(16, 5, [1, 3], generator=np.random.default_rng(0))
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 5, [1, 3]).double()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in ours.state_dict().items()})
    x = np.random.default_rng(1).standard_normal((3, 16))
    np.testing.assert_allclose(ours.log_prob(x)[0], theirs.log_prob(torch.tensor(x)).detach(), rtol=1e-12)
    target = np.array([0, 1, 4])
    np.testing.assert_allclose(ours(x, target)[0][0], theirs(torch.tensor(x), torch.tensor(target))[0].detach(), rtol=1e-12)


def test_a_chunk_of_one_sample():
    rng = np.random.default_rng(0)
    x, weight, target = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)), np.array([0, 3, 1, 1, 2])
    options = manual.LinearCrossEntropyOptions(batch_chunk_size=1)
    (whole, backward), (loss, chunked_backward) = (
        manual.linear_cross_entropy(x, weight, target, options=each) for each in (None, options)
    )
    np.testing.assert_allclose(loss, whole, rtol=1e-15)
    for grad, expected in zip(chunked_backward(1.5)[:2], backward(1.5)[:2], strict=True):
        np.testing.assert_allclose(grad, expected, rtol=1e-13)
