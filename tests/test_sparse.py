"""Gradients of a few rows of a large table: what they stand for, who takes them, and that the other rows are left alone."""

import copy
import itertools
import pickle
import re
import tracemalloc

import numpy as np
import pytest
import torch

import manual
from manual import RowGradient
from manual.optimizers.optimizer import Optimizer
from manual.sparse import zeros_like

SETTINGS = [
    dict(zip(("momentum", "dampening", "nesterov", "maximize"), values, strict=True))
    for values in itertools.product((0.0, 0.9), (0.0, 0.1), (False, True), (False, True))
    if not values[2] or (values[0] > 0 and values[1] == 0)
]


def gradient(indices=(3, 1, 3), columns=2, rows=5, dtype=float):
    """Whole numbers, so that every order of summing gives the same."""
    numbers = np.arange(1.0, 1 + len(indices) * columns, dtype=dtype)
    return RowGradient(np.array(indices, int), numbers.reshape(-1, columns), (rows, columns))


def looped(grad):
    array = np.zeros(grad.shape, grad.dtype)
    for index, row in zip(grad.indices, grad.rows, strict=True):
        array[index] += row
    return array


@pytest.mark.parametrize("indices", [(3, 1, 3), (), (0,), (4, 4, 4, 0)])
def test_it_stands_for_an_array(indices, dtype):
    grad = gradient(indices, dtype=dtype)
    np.testing.assert_array_equal(grad.dense(), looped(grad), strict=True)
    summed = grad.summed()
    assert summed.indices.tolist() == sorted(set(indices))
    np.testing.assert_array_equal(summed.dense(), looped(grad), strict=True)
    assert (grad.shape, grad.dtype) == ((5, 2), dtype)
    zero = zeros_like(grad)
    np.testing.assert_array_equal(zero.dense(), np.zeros((5, 2), dtype), strict=True)
    assert len(zero.indices) == 0


def test_arithmetic():
    one, other, array = gradient(), gradient((0, 3)), np.arange(10.0).reshape(5, 2)
    expected = looped(one) + looped(other)
    total = one + other
    assert type(total) is RowGradient
    np.testing.assert_array_equal(total.dense(), expected)
    for mixed in (one + array, array + one):
        assert type(mixed) is np.ndarray
        np.testing.assert_array_equal(mixed, looped(one) + array)
    np.testing.assert_array_equal(array, np.arange(10.0).reshape(5, 2))
    np.testing.assert_array_equal((-one).dense(), -looped(one))
    for number in (2, 0.5, np.float64(0.5), np.int64(3)):
        for product in (number * gradient(dtype=np.float32), gradient(dtype=np.float32) * number):
            np.testing.assert_array_equal(product.dense(), (looped(one) * number).astype(np.float32), strict=True)
    np.testing.assert_array_equal(one.astype(np.float32).dense(), looped(one).astype(np.float32), strict=True)


@pytest.mark.parametrize("other", [gradient(rows=4), gradient(dtype=np.float32), np.zeros((5, 1)), np.zeros((5, 2), np.float32)])
def test_what_is_added_must_fit(other):
    with pytest.raises(ValueError, match=r"^RowGradient: what is added must be float64 of shape \(5, 2\), got "):
        gradient() + other


def test_it_is_no_array():
    """No function of NumPy may make one of it unseen: that would be as large as the table, or hold an object."""
    for call in (np.asarray, np.zeros_like, np.linalg.norm, lambda grad: np.vdot(grad, grad)):
        with pytest.raises(TypeError, match=r"a RowGradient is no array, .* its dense\(\) is one"):
            call(gradient())
    for call in (lambda grad: grad + 1.0, lambda grad: grad * np.ones(2), lambda grad: grad * "a", np.sum, np.negative):
        with pytest.raises(TypeError):
            call(gradient())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda grad: pickle.loads(pickle.dumps(grad))], ids=["deepcopy", "pickle"])
def test_copies(copied):
    grad = gradient()
    twin = copied(grad)
    twin.rows[:] = 0
    np.testing.assert_array_equal(grad.dense(), looped(gradient()))


# -- As the gradient of a parameter


def embedding(sparse=True, **options):
    return manual.Embedding(6, 3, sparse=sparse, generator=np.random.default_rng(0), **options)


def learn(module, index, seed):
    output, backward = module(index)
    backward(np.random.default_rng(seed).standard_normal(output.shape).astype(output.dtype))


def test_gradients_add_up_by_rows():
    module, plain = embedding(), embedding(sparse=False)
    for seed, index in enumerate((np.array([1, 4]), np.array([[4], [4]]), np.array(2))):
        for each in (module, plain):
            learn(each, index, seed)
    assert module.weight.grad.indices.tolist() == [1, 4, 4, 4, 2]
    np.testing.assert_allclose(module.weight.grad.dense(), plain.weight.grad, rtol=1e-15)


@pytest.mark.parametrize("first", ["by rows", "dense"])
def test_a_table_used_densely_too_has_a_dense_gradient(first):
    """A language model whose last layer is its first."""
    module, x = embedding(), np.ones((2, 3))
    calls = {
        "by rows": lambda: learn(module, np.array([1, 4]), 0),
        "dense": lambda: module.call(manual.linear, x, module.weight, None)[1](np.ones((2, 6))),
    }
    calls.pop(first)()
    (second,) = calls.values()
    second()
    expected = np.full((6, 3), 2.0)
    expected[[1, 4]] += np.random.default_rng(0).standard_normal((2, 3))
    np.testing.assert_array_equal(module.weight.grad, expected)


def test_zeros_and_conversion():
    module = embedding()
    learn(module, np.array([1, 4]), 0)
    module.float()
    assert module.weight.grad.dtype == np.float32
    optimizer = manual.SGD(module.parameters())
    for forget in (module, optimizer):
        learn(module, np.array([1, 4]), 0)
        forget.zero_grad(set_to_none=False)
        assert type(module.weight.grad) is RowGradient
        assert len(module.weight.grad.indices) == 0
        forget.zero_grad()
        assert module.weight.grad is None


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_sgd_takes_the_steps_of_torch(settings, dtype):
    """Rows that come and go: with momentum, a row goes on moving once it was named."""
    ours = embedding(dtype=dtype)
    theirs = torch.nn.Embedding.from_pretrained(torch.tensor(ours.weight.data), freeze=False, sparse=True)
    optimizers = manual.SGD(ours.parameters(), lr=0.1, **settings), torch.optim.SGD(theirs.parameters(), lr=0.1, **settings)
    rng = np.random.default_rng(1)
    for index in (np.array([1, 4, 1]), np.array([4]), np.array([0, 2])):
        g = rng.standard_normal((*index.shape, 3)).astype(dtype)
        for optimizer in optimizers:
            optimizer.zero_grad()
        ours(index)[1](g)
        theirs(torch.tensor(index)).backward(torch.tensor(g))
        for optimizer in optimizers:
            optimizer.step()
    np.testing.assert_allclose(ours.weight.data, theirs.weight.detach(), rtol=0, atol=16 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(ours.weight.data[[3, 5]], embedding(dtype=dtype).weight.data[[3, 5]])


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_sgd_leaves_the_rest_of_the_table_alone(settings):
    """Nothing is made that would be as large as the table, whose 400 MB nobody has written to yet."""
    module = manual.Embedding.from_pretrained(np.zeros((10**6, 100), np.float32), freeze=False, sparse=True)
    optimizer = manual.SGD(module.parameters(), lr=0.5, **settings)
    tracemalloc.start()
    for _ in range(2):
        for index in (np.array([5, 999_999]), np.array([7, 5])):
            _, backward = module(index)
            backward(np.ones((2, 100), np.float32))
        optimizer.step()
        optimizer.zero_grad()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10**5
    assert (module.weight.data[[5, 7, 999_999]] < 0).all()
    assert not module.weight.data[[4, 6, 8, 999_998]].any()


def test_momentum_is_saved_and_loaded():
    first, second = (manual.SGD(embedding().parameters(), lr=0.1, momentum=0.9) for _ in range(2))
    grads = [RowGradient(np.array(indices), np.ones((2, 3)), (6, 3)) for indices in ([1, 4], [4, 2])]
    for optimizer in (first, second):
        optimizer.param_groups[0]["params"][0].grad = grads[0]
    first.step()
    (mine,), (other,) = (optimizer.param_groups[0]["params"] for optimizer in (first, second))
    other.data[...] = mine.data
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    for optimizer in (first, second):
        optimizer.param_groups[0]["params"][0].grad = grads[1]
        optimizer.step()
    np.testing.assert_array_equal(mine.data, other.data)
    state = first.state_dict()
    state["state"][0]["momentum_buffer"] = RowGradient(np.array([1]), np.ones((1, 2)), (6, 2))
    with pytest.raises((TypeError, ValueError), match="momentum_buffer of parameter 0 must "):
        second.load_state_dict(state)


@pytest.mark.parametrize("order", ["rows first", "array first"])
def test_momentum_where_both_kinds_of_gradient_come(order):
    ours, dense = (manual.Parameter(np.ones((6, 3))) for _ in range(2))
    grads = [RowGradient(np.array([1, 4]), np.ones((2, 3)), (6, 3)), np.arange(18.0).reshape(6, 3)]
    optimizer = manual.SGD([ours, dense], lr=0.1, momentum=0.9, dampening=0.2)
    for grad in grads if order == "rows first" else grads[::-1]:
        ours.grad, dense.grad = grad, grad.dense() if isinstance(grad, RowGradient) else grad
        optimizer.step()
    np.testing.assert_allclose(ours.data, dense.data, rtol=1e-15)


def test_sgd_with_weight_decay_refuses_it_and_changes_nothing():
    """As torch does."""
    module = embedding()
    other = manual.Parameter(np.ones(2))
    other.grad = np.ones(2)
    learn(module, np.array([1]), 0)
    before = module.weight.data.copy()
    optimizer = manual.SGD([other, module.weight], weight_decay=0.1)
    message = "SGD: the gradient of parameter 1 must be a NumPy array, got RowGradient; give its dense(), or build"
    with pytest.raises(TypeError, match=re.escape(message)):
        optimizer.step()
    np.testing.assert_array_equal(other.data, 1)
    np.testing.assert_array_equal(module.weight.data, before)


def test_other_optimizers_refuse_it():
    class Other(Optimizer):
        pass

    module = embedding()
    learn(module, np.array([1]), 0)
    with pytest.raises(TypeError, match=r"^Other: the gradient of parameter 0 must be a NumPy array, got RowGradient"):
        Other(module.parameters()).due()


def test_a_gradient_by_rows_of_another_shape_or_dtype_is_refused():
    module = embedding()
    optimizer = manual.SGD(module.parameters())
    for grad, message in (
        (gradient(), "must have its shape, (6, 3), got (5, 2)"),
        (gradient(columns=3, rows=6, dtype="f4"), "must have its dtype"),
    ):
        module.weight.grad = grad
        with pytest.raises((TypeError, ValueError), match=re.escape(message)):
            optimizer.step()
