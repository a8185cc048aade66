"""Stochastic gradient descent: every setting against torch.optim.SGD, groups, and what is refused."""

import itertools

import numpy as np
import pytest
import torch

import manual

SETTINGS = [
    dict(zip(("momentum", "dampening", "weight_decay", "nesterov", "maximize"), values, strict=True))
    for values in itertools.product((0.0, 0.9), (0.0, 0.1), (0.0, 0.01), (False, True), (False, True))
    if not values[3] or (values[0] > 0 and values[1] == 0)
]


def words(settings):
    return " ".join(f"{name}={value}" for name, value in settings.items() if value) or "plain"


def parameters(*shapes, dtype=float):
    rng = np.random.default_rng(0)
    return [manual.Parameter(rng.standard_normal(shape).astype(dtype)) for shape in shapes]


def in_torch(ours):
    return [torch.nn.Parameter(torch.tensor(parameter.data)) for parameter in ours]


def draw_gradients(ours, theirs, rng):
    for parameter, tensor in zip(ours, theirs, strict=True):
        parameter.grad = rng.standard_normal(parameter.data.shape).astype(parameter.data.dtype)
        tensor.grad = torch.tensor(parameter.grad)


def assert_equal(ours, theirs):
    """To 16 eps, where one rounding of a number below 4 is up to 1 eps and each of the few steps makes one or more."""
    for parameter, tensor in zip(ours, theirs, strict=True):
        expected = tensor.detach().numpy()
        assert parameter.data.dtype == expected.dtype
        np.testing.assert_allclose(parameter.data, expected, rtol=0, atol=16 * np.finfo(expected.dtype).eps)


@pytest.mark.parametrize("settings", SETTINGS, ids=words)
def test_six_steps_with_torch(settings, dtype):
    ours, rng = parameters((3, 4), (5,), dtype=dtype), np.random.default_rng(1)
    theirs = in_torch(ours)
    optimizers = manual.SGD(ours, lr=0.1, **settings), torch.optim.SGD(theirs, lr=0.1, **settings)
    for _ in range(6):
        draw_gradients(ours, theirs, rng)
        for optimizer in optimizers:
            optimizer.step()
    assert_equal(ours, theirs)


@pytest.mark.parametrize("others", [{}, {"weight_decay": 0.01}, {"maximize": True}, {"nesterov": True}], ids=words)
def test_a_single_number_has_momentum_too(others):
    """A parameter without axes takes the steps of one with a single element."""
    number, vector = manual.Parameter(np.array(1.5)), manual.Parameter(np.array([1.5]))
    optimizer = manual.SGD([number, vector], lr=0.1, momentum=0.9, **others)
    for grad in (1.0, -2.0, 3.0):
        number.grad, vector.grad = np.array(grad), np.array([grad])
        optimizer.step()
    np.testing.assert_array_equal(number.data, vector.data[0])


def test_two_steps_by_hand():
    """With λ = 1/4, μ = 1/2, τ = 0, η = 1/8 and ∂L/∂w = 1:

    w = 4: g = 2, b = 2, w ← 4 − 1/4;  w = 15/4: g = 31/16, b = 1 + 31/16 = 47/16, w ← 15/4 − 47/128
    """
    parameter = manual.Parameter(np.array([4.0]))
    optimizer = manual.SGD([parameter], lr=1 / 8, momentum=1 / 2, weight_decay=1 / 4)
    for expected in (15 / 4, 433 / 128):
        parameter.grad = np.ones(1)
        optimizer.step()
        assert parameter.data == expected


def test_groups_have_settings_of_their_own():
    """And a schedule may change them between steps."""
    ours, rng = parameters((3,), (2, 2), (4,)), np.random.default_rng(2)
    theirs = in_torch(ours)

    def groups(tensors):
        return [{"params": tensors[:1], "lr": 0.01}, {"params": tensors[1:], "momentum": 0.9, "nesterov": True}]

    optimizers = manual.SGD(groups(ours), lr=0.1, weight_decay=0.02), torch.optim.SGD(groups(theirs), lr=0.1, weight_decay=0.02)
    for step in range(6):
        draw_gradients(ours, theirs, rng)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= 0.5
            if step == 3:
                optimizer.param_groups[0]["momentum"] = 0.8
            optimizer.step()
    assert_equal(ours, theirs)


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "weight_decay": 0.01}], ids=words)
def test_parameters_without_a_gradient_are_left_alone(settings):
    """Also when a gradient came before: neither weight decay nor momentum moves them."""
    ours, rng = parameters((3,), (3,)), np.random.default_rng(3)
    theirs = in_torch(ours)
    optimizers = manual.SGD(ours, lr=0.1, **settings), torch.optim.SGD(theirs, lr=0.1, **settings)
    for step in range(4):
        draw_gradients(ours, theirs, rng)
        if step != 1:
            ours[0].grad = theirs[0].grad = None
        before = ours[0].data.copy()
        for optimizer in optimizers:
            optimizer.step()
        assert (ours[0].data == before).all() == (step != 1)
    assert_equal(ours, theirs)


def arrays_of_all_kinds(rng):
    """Arrays that BLAS takes, and others."""
    yield "square", rng.standard_normal((700, 700))
    yield "one axis", rng.standard_normal(100_001)
    yield "one row", rng.standard_normal((1, 3001))
    yield "one column", rng.standard_normal((3001, 1))
    yield "three axes", rng.standard_normal((3, 5, 701))
    yield "a single number", rng.standard_normal(())
    yield "nothing", rng.standard_normal((0, 3))
    yield "transposed", rng.standard_normal((700, 300)).T
    yield "every second", rng.standard_normal((700, 300))[:, ::2]
    yield "reversed", rng.standard_normal(3001)[::-1]
    yield "of swapped bytes", rng.standard_normal((7, 3)).astype(">f8")
    yield "float32", rng.standard_normal((700, 7)).astype(np.float32)
    yield "float16", rng.standard_normal((7, 3)).astype(np.float16)


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}], ids=words)
@pytest.mark.parametrize("name", [name for name, _ in arrays_of_all_kinds(np.random.default_rng(0))])
def test_every_kind_of_array_is_updated_in_place(name, settings):
    """As each of its elements would be, a parameter by itself, but for one rounding where multiplying and adding have only one."""
    rng = np.random.default_rng(4)
    whole = manual.Parameter(dict(arrays_of_all_kinds(rng))[name])
    array = whole.data
    some = np.unravel_index(rng.integers(0, array.size, min(array.size, 50)), array.shape) if array.ndim and array.size else ...
    elements = [manual.Parameter(np.array(element)) for element in np.ravel(array[some])]
    if not elements:
        elements = [manual.Parameter(np.zeros(()))]
    optimizers = manual.SGD([whole], lr=0.1, **settings), manual.SGD(elements, lr=0.1, **settings)
    for _ in range(3):
        whole.grad = rng.standard_normal(array.shape).astype(array.dtype)
        for element, grad in zip(elements, np.ravel(whole.grad[some])):
            element.grad = np.array(grad)
        for optimizer in optimizers:
            optimizer.step()
    assert whole.data is array
    tolerance = 8 * np.finfo(array.dtype).eps
    np.testing.assert_allclose(
        np.ravel(array[some]), [element.data for element in elements][: array.size], rtol=tolerance, atol=tolerance
    )


def test_a_parameter_that_cannot_be_written_is_refused():
    parameter = manual.Parameter(np.zeros(3))
    parameter.data.flags.writeable = False
    parameter.grad = np.ones(3)
    with pytest.raises(ValueError, match="read-only"):
        manual.SGD([parameter], lr=0.1).step()
    np.testing.assert_array_equal(parameter.data, 0)


@pytest.mark.parametrize("settings", SETTINGS, ids=words)
def test_a_step_leaves_the_gradients(settings):
    (parameter,) = parameters((4,))
    grad = parameter.grad = np.arange(4.0)
    optimizer = manual.SGD([parameter], lr=0.1, **settings)
    for _ in range(3):
        optimizer.step()
    assert parameter.grad is grad
    np.testing.assert_array_equal(grad, [0, 1, 2, 3])


def test_zero_grad_forgets():
    ours = parameters((2,), (3,))
    for parameter in ours:
        parameter.grad = np.ones(parameter.data.shape)
    manual.SGD([{"params": ours[:1]}, {"params": ours[1:]}]).zero_grad()
    assert [parameter.grad for parameter in ours] == [None, None]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -0.1}, "lr must not be negative, got -0.1"),
        ({"momentum": -0.9}, "momentum must not be negative, got -0.9"),
        ({"weight_decay": -1}, "weight_decay must not be negative, got -1"),
        ({"nesterov": True}, "nesterov needs momentum above 0 and dampening 0, got momentum 0.0 and dampening 0.0"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening 0, got momentum 0.9 and dampening 0.1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_as_in_torch(settings, message):
    """For all parameters, or for one group."""
    ours = parameters((2,))
    for params, others in ((ours, settings), ([{"params": ours, **settings}], {})):
        with pytest.raises(ValueError, match=f"SGD: .*{message}"):
            manual.SGD(params, **others)
    with pytest.raises(ValueError, match=r"Invalid|Nesterov"):
        torch.optim.SGD(in_torch(ours), **settings)


def test_what_is_no_list_of_parameters_is_refused():
    first, second = parameters((2,), (2,))
    with pytest.raises(ValueError, match="SGD: params must hold at least one parameter, got none"):
        manual.SGD([])
    with pytest.raises(ValueError, match="SGD: params must name each parameter once, got one twice"):
        manual.SGD([first, second, first])
    with pytest.raises(ValueError, match="SGD: params must name each parameter once, got one twice"):
        manual.SGD([{"params": [first]}, {"params": [second, first]}])
    with pytest.raises(TypeError, match="SGD: params must hold Parameters, got ndarray"):
        manual.SGD([first.data])
    with pytest.raises(TypeError, match="SGD: params must hold Parameters, got str"):
        manual.SGD(manual.Linear(2, 2).state_dict())
    with pytest.raises(TypeError, match="SGD: params must hold either Parameters or dicts, got both"):
        manual.SGD([first, {"params": [second]}])
    with pytest.raises(ValueError, match="SGD: each dict in params must have the key 'params', got lr"):
        manual.SGD([{"lr": 0.1}])
    with pytest.raises(ValueError, match="SGD: unknown setting learning_rate; expected lr, momentum"):
        manual.SGD([{"params": [first], "learning_rate": 0.1}])
    with pytest.raises(TypeError, match="learning_rate"):
        manual.SGD([first], learning_rate=0.1)
