"""Functions of JAX held against the truth; `python -m nox -s jax` installs it and runs this."""

import inspect
import re
from functools import partial

import numpy as np
import pytest

import manual
from reference import check, from_jax
from reference.agreement import measure
from reference.cases import OPERATIONS
from reference.formats import FORMATS, format_of
from reference.record import LIMIT

jax = pytest.importorskip("jax", reason="JAX is not installed; python -m nox -s jax installs it and runs these tests")
jnp = jax.numpy


def softmax(x, *, dim):
    return jax.nn.softmax(x, axis=dim)


def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias


def lstm(x, hx, weights):
    w_ih, w_hh, b_ih, b_hh = weights

    def step(state, x_t):
        h, c = state
        i, f, g, o = jnp.split(x_t @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (h, c), y = jax.lax.scan(step, (hx[0][0], hx[1][0]), x)
    return y, (h[None], c[None])


def max_pool1d(x, *, kernel_size, stride=None, return_indices=False):
    starts = np.arange(0, x.shape[-1] - kernel_size + 1, stride or kernel_size)
    windows = x[..., starts[:, None] + np.arange(kernel_size)]
    place = jnp.argmax(windows, axis=-1)
    y = jnp.take_along_axis(windows, place[..., None], axis=-1)[..., 0]
    return (y, place + starts) if return_indices else y


def embedding(index, weight):
    return weight[index]


def dropout(x, *, p=0.5, training=True, mask=None):
    return x * mask / (1 - p) if training else x


# By name, with the cases that each is tried on, all if none are named, and the constants that jax.jit takes as given
FUNCTIONS = {
    "silu": (jax.nn.silu, None, ()),
    "softmax": (softmax, ["ordinary", "first axis", "middle axis", "no batch", "batch of 0", "axis of 1", "ties"], ("dim",)),
    "linear": (linear, ["batch of 5", "no bias", "batch of 0", "no batch"], ()),
    "lstm": (lstm, ["two times, nothing cancels", "three times"], ()),
    "max_pool1d": (max_pool1d, ["width 2", "gaps", "ties"], ("kernel_size", "stride", "return_indices")),
    "embedding": (embedding, ["words, some twice", "batch of 0"], ()),
    "dropout": (dropout, ["two axes", "evaluation"], ("training",)),
}


@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_ordinary_cases_agree(name, kind):
    function, cases, constants = FUNCTIONS[name]
    adapted = from_jax(function if kind == "float64" else jax.jit(function, static_argnames=constants))
    report = check(name, adapted, kind, cases, tails=False, limit=LIMIT)  # it rounds to bfloat16 at each step: r is 17.6
    assert report.agrees, report
    assert {one.reason for one in report.untried} <= {"left out with the tails", f"its numbers do not fit {kind}"}


def test_what_rounds_at_each_step_is_named():
    """The gradient of softmax in bfloat16 is a difference of rounded numbers, off by a tenth where it is small."""
    report = check("softmax", from_jax(softmax), "bfloat16", "middle axis")
    assert [complaint.split(" = ")[0] for complaint in report.complaints] == ["middle axis: grad_0: r"]


def test_the_tail_of_silu_is_named():
    report = check("silu", from_jax(jax.nn.silu))
    assert all(agreement.is_tail for agreement in report.agreements if agreement.complaints)
    points = [re.match(r"(.*): grad_0: r = .*, allowed 30: .* at x = -\d.*, in truth -?\d", each) for each in report.complaints]
    assert {"tails", "silu(x)"} <= {point[1] for point in points if point}, report


def test_the_tail_of_softmax_is_named():
    report = check("softmax", from_jax(jax.jit(softmax, static_argnames="dim")), cases=["ordinary", "saturated, ±30"])
    (complaint,) = report.complaints
    assert re.match(r"saturated, ±30: grad_0: r = .*, allowed 30: 0 at \[0, 0\], in truth -1.27", complaint)


def test_none_in_a_cotangent_is_zeros():
    operation = OPERATIONS["lstm"]
    case = next(case for case in operation.cases if case.label == "three times")
    assert measure(operation, case, "float32", from_jax(lstm)).complaints == ()


def test_a_mistake_is_found():
    def forgetful(x, *, dim):
        p = jnp.exp(x - jax.lax.stop_gradient(x.max(axis=dim, keepdims=True)))
        return p / jax.lax.stop_gradient(p.sum(axis=dim, keepdims=True))

    report = check("softmax", from_jax(forgetful), cases=["ordinary", "first axis"])
    assert [complaint.split(": ")[1] for complaint in report.complaints] == ["grad_0", "grad_0"]


def test_another_dtype_is_a_complaint():
    report = check("silu", from_jax(lambda x: jax.nn.silu(x).astype(jnp.bfloat16)), cases="ordinary")
    assert report.complaints[0] == "ordinary: output must be float32 of shape (4, 5), got bfloat16 of shape (4, 5)"


@pytest.mark.parametrize("kind", FORMATS)
def test_arrays_keep_their_dtypes_and_integers_have_no_gradient(kind):
    seen = {}

    def function(x, index, nested, number, nothing, *, mask, noise, dim):
        seen.update(locals())
        return x[index] * nested[1][0], [jnp.argmax(x), x > 0]

    numbers = np.ones(3, format_of(kind))
    nested = [np.ones(2, format_of(kind)), (numbers[0:1],)]
    constants = {"mask": numbers > 0, "noise": [numbers], "dim": (0, 1)}
    output, backward = from_jax(function)(numbers, np.array([2, 0]), nested, 2.0, None, **constants)
    assert [type(output), type(output[1])] == [tuple, tuple]
    assert [output[0].dtype, output[1][0].dtype, output[1][1].dtype] == [numbers.dtype, np.int64, np.bool_]
    assert all(isinstance(array, jax.Array) for array in (seen["x"], seen["index"], seen["mask"], *seen["noise"]))
    assert seen["x"].dtype == seen["noise"][0].dtype == numbers.dtype
    assert (seen["number"], seen["nothing"], seen["dim"]) == (2.0, None, (0, 1))
    assert [type(seen["nested"]), type(seen["nested"][1])] == [list, tuple]
    for cotangent in ((output[0], (None, None)), (output[0], None)):
        grad_x, grad_index, (grad_first, (grad_second,)), grad_number, grad_nothing = backward(cotangent)
        assert grad_x.tolist() == [1, 0, 1]
        assert grad_second.tolist() == [2]
        assert grad_first.tolist() == [0, 0]  # it leads nowhere
        assert grad_index is grad_number is grad_nothing is None
        assert grad_x.dtype == grad_first.dtype == grad_second.dtype == numbers.dtype


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_64_bits_are_a_matter_of_the_call(enabled, kind):
    """What a function makes of its own has 64 bits where its arrays have, or where somebody said so; and that stays as it was."""
    made = []

    def function(x):
        made.append(jnp.ones(2))
        return x * 2

    with jax.enable_x64(enabled):
        output, backward = from_jax(function)(np.ones(2, kind))
        (grad,) = backward(output)
        assert jax.config.jax_enable_x64 is enabled
    assert output.dtype == grad.dtype == kind
    assert made[0].dtype == ("float64" if enabled or kind == "float64" else "float32")


def test_a_packed_sequence():
    """A named tuple goes in and out, and its integers have no gradient."""
    numbers = np.array([[1.0], [2.0], [3.0]])
    given = manual.PackedSequence(numbers, np.array([2, 1]))
    output, backward = from_jax(lambda sequence: sequence._replace(data=2 * sequence.data))(given)
    assert [type(output), *map(type, output)] == [tuple, np.ndarray, np.ndarray, type(None), type(None)]
    (grad,) = backward((numbers, None, None, None))
    assert isinstance(grad, manual.PackedSequence)
    np.testing.assert_array_equal(grad.data, 2 * numbers)
    assert grad.batch_sizes is None


def test_the_signature_is_the_functions_own():
    assert inspect.signature(from_jax(softmax)) == inspect.signature(softmax)
    assert inspect.signature(from_jax(jax.jit(softmax))) == inspect.signature(softmax)
    assert str(inspect.signature(from_jax(partial(softmax, dim=0)))) == "(x, *, dim=0)"


def test_what_cannot_be_adapted_is_refused():
    with pytest.raises(TypeError, match="is not a callable object"):
        from_jax(None)
    with pytest.raises(TypeError, match=r"^from_jax: the function must return arrays of JAX, or a tuple of them, got dict$"):
        from_jax(lambda x: {"y": x})(np.ones(2, np.float32))
