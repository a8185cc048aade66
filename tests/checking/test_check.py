"""A function is held against the truth on every case, in every format; what was not tried is told."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

import manual
from reference import check, structure
from reference.accuracy import call, constants_of, sweep
from reference.agreement import measure
from reference.cases import OPERATIONS
from reference.checking.report import ORDINARY, TAIL, Report, Untried
from reference.formats import HALF, finfo, format_of
from reference.record import LIMIT

# One of each structure of arguments and outputs, of each judge, with and without sweeps
SAMPLE = ["linear", "max_pool2d", "embedding", "lstm_cell", "silu", "logsigmoid", "softmax", "cross_entropy", "pdist"]


def in_half(function, dtype):
    """A function that computes in float64 and rounds what it gives to half precision."""

    @functools.wraps(function)
    def rounding(*arrays, **constants):
        output, backward = function(*structure.as_floats(arrays, np.float64), **constants)

        def rounded(grad_output):
            return structure.as_floats(backward(structure.as_floats(grad_output, np.float64)), dtype)

        return structure.as_floats(output, dtype), rounded

    return rounding


def test_manual_agrees(operation, dtype):
    """It is what python -m reference measures."""
    report = check(operation.name, operation.manual, dtype)
    assert report.agrees, report
    assert report.untried == ()
    measured = {agreement.case: agreement.quantities for agreement in report.agreements}
    for case in operation.cases:
        of_check = [replace(quantity, worst=None) for quantity in measured.pop(case.label)]
        assert repr(of_check) == repr(list(measure(operation, case, dtype).quantities))  # in which NaN is NaN
    for constants in constants_of(operation):
        label = call(operation, constants)
        both = {(q.name, q.ratio) for q in sweep(operation, constants, dtype).quantities}
        parts = [(part, measured.pop(f"{label}{part}")) for part in ("", " at ±∞")]
        assert both == {(f"{q.name}{part}", q.ratio) for part, quantities in parts for q in quantities}
    assert measured == {}


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("half", HALF)
def test_half_precision(name, half):
    """What is rounded once is off by half a unit of the last digit; the other half is what |J|ᵀ|g| may be too small."""
    dtype = format_of(half)
    report = check(name, in_half(OPERATIONS[name].manual, dtype), half)
    assert report.agrees, report
    assert report.dtype == half
    assert 0.25 < max(quantity.ratio for agreement in report.agreements for quantity in agreement.quantities) < 1.01
    assert {one.reason for one in report.untried} <= {f"its numbers do not fit {half}"}


@pytest.mark.parametrize(("half", "units"), [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_a_format_is_judged_by_its_own_unit(half, units):
    """A gradient that is off by 6 units is wrong by that measure, and by no shorter one."""
    assert float(finfo(format_of(half)).eps) / 2 == units

    def off(x):
        output, backward = manual.silu(x)
        return output, lambda grad_output: tuple(grad * x.dtype.type(1 + 6 * units) for grad in backward(grad_output))

    label = "many"
    report = check("silu", in_half(off, format_of(half)), half, label)
    assert [complaint.partition(" = ")[0] for complaint in report.complaints] == [f"{label}: grad_0: r"]
    assert check("silu", in_half(off, format_of(half)), half, label, limit=8).agrees
    if half == "float16":
        assert check("silu", in_half(off, format_of("bfloat16")), "bfloat16", label).agrees


def test_torch_stands_beside_in_the_same_format():
    (agreement,) = check("softmax", in_half(manual.softmax, np.float16), np.float16, "ordinary").agreements
    for quantity in agreement.quantities:
        assert 0 < quantity.torch_ratio < 4
    for agreement in check("pdist", in_half(manual.pdist, np.float16), np.float16).agreements:  # torch has no kernel for it
        assert {quantity.torch_ratio for quantity in agreement.quantities} == {None}


def test_the_worst_element_is_named():
    def off(x, weight, bias=None):
        output, backward = manual.linear(x, weight, bias)

        def wrong(grad_output):
            grad_x, grad_weight, grad_bias = backward(grad_output)
            grad_weight = grad_weight.copy()
            grad_weight[2, 1] = 7.0
            return grad_x, grad_weight, grad_bias

        return output, wrong

    report = check("linear", off, "float64", "batch of 5")
    ((agreement, quantity),) = report.quantities(ORDINARY)["grad_1"]
    assert agreement.case == "batch of 5"
    assert quantity.worst.place == "[2, 1]"
    assert quantity.worst.ours == 7.0
    assert quantity.worst.ratio == quantity.ratio > 1e10
    operation = OPERATIONS["linear"]
    (case,) = [case for case in operation.cases if case.label == "batch of 5"]
    right = next(q for q in measure(operation, case, "float64").quantities if q.name == "grad_1")
    assert right.ratio < 4
    assert report.complaints == [
        f"batch of 5: grad_1: r = {quantity.ratio:.3g}, allowed 30: 7 at [2, 1], in truth {quantity.worst.truth}"
    ]
    assert not report.agrees


# -- What is not tried


def test_arguments_that_a_function_does_not_take():
    """A `None` at the end and a constant that has its default value are not passed; with other arguments a case is not tried."""

    def without_bias(x, weight):
        output, backward = manual.linear(x, weight)
        return output, lambda grad_output: backward(grad_output)[:2]

    report = check("linear", without_bias)
    assert report.agrees
    tried = {agreement.case for agreement in report.agreements}
    assert tried == {c.label for c in OPERATIONS["linear"].cases if len([a for a in c.arrays if a is not None]) == 2}
    assert len(report.untried) == len(OPERATIONS["linear"].cases) - len(tried) > 0
    assert {one.reason for one in report.untried} == {"the function does not take its arguments: too many positional arguments"}

    def mean_alone(x, target):
        return manual.mse_loss(x, target)

    report = check("mse_loss", mean_alone)
    assert report.agrees
    assert "the function does not take its arguments: got an unexpected keyword argument 'reduction'" in {
        one.reason for one in report.untried
    }
    assert {case.label for case in OPERATIONS["mse_loss"].cases if case.constants.get("reduction", "mean") == "mean"} >= {
        agreement.case for agreement in report.agreements
    }


def test_cases_in_which_it_raises():
    def of_matrices(x, weight, bias=None):
        if x.ndim != 2:
            raise NotImplementedError("matrices alone\nand nothing else")
        return manual.linear(x, weight, bias)

    report = check("linear", of_matrices)
    assert report.agrees
    assert {one.reason for one in report.untried} == {"it raised NotImplementedError: matrices alone"}
    assert len(report.agreements) + len(report.untried) == len(OPERATIONS["linear"].cases)


def test_a_backward_that_raises():
    def no_way_back(x):
        return manual.relu(x)[0], lambda grad_output: 1 / 0

    report = check("relu", no_way_back)
    assert report.agreements == ()
    assert {one.reason for one in report.untried} == {"it raised ZeroDivisionError: division by zero"}
    assert not report.agrees


def test_nothing_tried_is_not_agreement():
    report = check("silu", manual.silu, "float16")  # which it refuses
    assert not report.agrees
    assert report.complaints == []
    assert len(report.untried) == len(OPERATIONS["silu"].cases) + 2
    assert str(report).endswith("✗ silu in float16: nothing was tried")
    assert not Report("silu", "float16", ()).agrees


def test_everything_is_in_the_dtype():
    seen = set()

    def noting(x, weight, bias=None):
        output, backward = in_half(manual.linear, x.dtype)(x, weight, bias)

        def noted(grad_output):
            seen.update(array.dtype for array in (x, weight, bias, grad_output) if array is not None)
            return backward(grad_output)

        return output, noted

    for half in HALF:
        assert check("linear", noting, half).agrees
        assert seen == {format_of(half)}
        seen.clear()


def test_numbers_that_do_not_fit():
    """They would be infinite or zero, or where the formula has no value."""
    assert check("silu", in_half(manual.silu, np.float16), "float16").untried == (
        Untried("tiny", "its numbers do not fit float16"),
    )
    large = Untried("large values", "its numbers do not fit float16")
    assert check("linear", in_half(manual.linear, np.float16), "float16").untried == (large,)
    report = check("tensor.log1p", in_half(manual.tensor.log1p, np.float16), "float16")
    assert report.agrees, report
    assert Untried("near −1", "its numbers do not fit float16") in report.untried


def test_gradients_that_a_function_lacks():
    def for_input_alone(x, weight, bias=None):
        output, backward = manual.linear(x, weight, bias)
        return output, lambda grad_output: (backward(grad_output)[0], None, None)

    report = check("linear", for_input_alone, cases="batch of 5")
    assert report.complaints == [f"batch of 5: grad_{i} must be an array, got NoneType" for i in (1, 2)]
    report = check("linear", for_input_alone, cases="batch of 5", no_grad=["grad_1", "grad_2"])
    assert report.agrees
    assert report.untried == tuple(Untried("batch of 5", f"grad_{i}: left out, as asked") for i in (1, 2))
    assert set(report.quantities(ORDINARY)) == {"output", "grad_0"}


def test_gradients_of_a_part():
    def lacking(x, hx, *weights):
        output, backward = manual.lstm_cell(x, hx, *weights)

        def lacks(grad_output):
            grad_x, (grad_h, _), *others = backward(grad_output)
            return grad_x, (grad_h, None), *others

        return output, lacks

    report = check("lstm_cell", lacking, cases="nothing cancels", no_grad="grad_1.1")
    assert report.agrees
    assert report.untried == (Untried("nothing cancels", "grad_1.1: left out, as asked"),)
    report = check("lstm_cell", lacking, cases="nothing cancels", no_grad="grad_1")
    assert {one.reason for one in report.untried} == {f"grad_1.{i}: left out, as asked" for i in (0, 1)}


def test_gradients_of_which_there_is_no_truth():
    def of_weights_too(x, target, weight=None, **constants):
        output, backward = manual.cross_entropy(x, target, weight, **constants)

        def more(grad_output):
            *grads, grad_weight = backward(grad_output)  # which torch has for probabilities, not for classes
            return *grads, np.ones_like(weight) if weight is not None and grad_weight is None else grad_weight

        return output, more

    report = check("cross_entropy", of_weights_too)
    assert report.agrees
    assert {one.reason for one in report.untried} == {"grad_2: there is no truth of it"}


def test_tails():
    """The sweeps, and the cases on which torch loses digits, can be left out, and are counted then."""
    whole = check("softmax", manual.softmax).agreements
    lost = {one.case for one in whole if max(quantity.torch_ratio for quantity in one.quantities) > LIMIT}
    assert lost
    report = check("softmax", manual.softmax, tails=False)
    assert report.agreements == tuple(one for one in whole if one.case not in lost)
    assert report.untried == tuple(Untried(one.case, "left out with the tails") for one in whole if one.case in lost)
    assert report.quantities(TAIL) == {}
    assert len(check("relu", manual.relu, tails=False).untried) == 2  # its sweep


# -- What is wrong


def test_other_outputs():
    def two(x):
        output, backward = manual.relu(x)
        return (output, output), backward

    report = check("relu", two, cases=["tiny"])
    assert report.complaints == [
        "tiny: output is missing",
        "tiny: output.0: the operation has no such output",
        "tiny: output.1: the operation has no such output",
    ]


def test_other_dtypes_and_shapes():
    def wide(x):
        output, backward = manual.relu(x.astype(float))
        return output, lambda grad_output: (backward(grad_output.astype(float))[0][..., None].astype(x.dtype),)

    complaints = check("relu", wide, cases="tiny").complaints
    assert complaints[0].startswith("tiny: output must be float32 of shape")
    assert complaints[1].startswith("tiny: grad_0 must be float32 of shape")


def test_too_few_gradients():
    def bare(x, weight, bias=None):
        output, backward = manual.linear(x, weight, bias)
        return output, lambda grad_output: backward(grad_output)[0]

    (complaint,) = check("linear", bare, cases="batch of 5").complaints
    assert complaint == "batch of 5: backward must return a tuple of gradients, one for each of the 3 arrays, got ndarray"


def test_arrays_are_the_functions_own():
    def in_place(x):
        output, backward = manual.relu(x)
        x[...] = 7

        def spoiling(grad_output):
            (grad,) = backward(grad_output)
            grad_output[...] = 7
            return (grad,)

        return output.copy(), spoiling

    report = check("silu", in_place)
    assert not report.agrees
    assert report.untried == ()  # all of them can be written to
    assert check("silu", manual.silu).agrees


def test_threads_of_torch_are_left_as_they_were():
    """Which of two numbers torch leaves in a cell depends on which of its threads is faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for seed in range(20):
            assert check("max_unpool1d", manual.max_unpool1d, cases="a cell twice", seed=seed).agrees
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("gelo", manual.gelu), {}, ValueError, "check: there is no operation 'gelo': did you mean gelu"),
        (("Linear", manual.linear), {}, ValueError, "check: there is no operation 'Linear': did you mean linear"),
        (("xyzzy", manual.gelu), {}, ValueError, "python -m reference --list shows what there is"),
        (("relu", manual.relu, "int32"), {}, ValueError, "dtype must be one of float64, float32, float16, bfloat16, got 'int32'"),
        (("relu", manual.relu, "no dtype"), {}, ValueError, "dtype must be one of .*, got 'no dtype'"),
        (("relu", manual.relu, "float32", "large"), {}, ValueError, "check: relu has no case 'large'; it has .*'tiny'"),
        (("relu", manual.relu), {"no_grad": "x"}, ValueError, "no_grad must name gradients of relu, grad_0, got 'x'"),
        (
            ("relu", manual.relu),
            {"no_grad": "grad_1"},
            ValueError,
            "no_grad must name gradients of relu, grad_0, got 'grad_1'",
        ),
        (
            ("relu", np.abs),
            {},
            TypeError,
            "must return its output and a backward, as manual.relu does, got ndarray",
        ),
    ],
)
def test_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        check(*arguments, **options)


# -- What is printed


def test_a_report_is_a_table():
    def off(x):
        output, backward = manual.silu(x)
        return output, lambda grad_output: (np.where(x < -5, 0, backward(grad_output)[0]).astype(x.dtype),)

    report = check("silu", off)
    assert not report.agrees
    text = str(report)
    rows = [line.split() for line in text.splitlines() if {"output", "grad_0"} & set(line.split()[:3])]
    assert [[word for word in row[:3] if word.isidentifier()] for row in rows[:4]] == [
        ["silu", "ordinary", "grad_0"],
        ["output"],
        ["tail", "grad_0"],
        ["output"],
    ]
    for complaint in report.complaints:
        assert f"✗ silu, {complaint}" in text
    count = len(report.agreements)
    wrong = sum(bool(agreement.complaints) for agreement in report.agreements)
    assert text.endswith(f"✗ silu in float32: {count} of {count} cases and sweeps tried, {wrong} wrong")


def test_a_report_counts_what_was_not_tried():
    text = str(check("mse_loss", lambda x, target: manual.mse_loss(x, target), tails=False))
    reason = "the function does not take its arguments: got an unexpected keyword argument 'reduction'"
    labels = "none; sum; batch of 0, none; batch of 0, sum; target broadcasts, none"
    assert f"mse_loss, not tried: {reason}: 5 ({labels})" in text
    assert text.splitlines()[-1].startswith("✓ mse_loss in float32: ")
