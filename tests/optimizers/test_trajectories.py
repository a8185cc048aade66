"""Every optimizer beside torch's: a hundred steps in each of its settings, and state that goes across midway."""

import re

import numpy as np
import pytest
import torch

import manual
from manual.threads import in_threads
from reference.optimizer_state import to_manual, to_torch
from tests.optimizers.test_sgd import words
from tests.optimizers.trajectories import ROWS, TRAJECTORIES, assert_near, assert_near_states, of, pair, steps

EVERY = [pytest.param(name, settings, id=f"{name} {words(settings)}") for name, rows in TRAJECTORIES.items() for settings in rows]
ALL = [pytest.param(name, rows[-1], id=name) for name, rows in TRAJECTORIES.items()]


@pytest.fixture(autouse=True)
def torch_in_float64(monkeypatch):
    """In torch what is remembered as a single number, such as ASGD's η, has the default dtype, and Muon computes in bfloat16."""
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    with torch.sparse.check_sparse_tensor_invariants():
        yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_a_hundred_steps(name, settings):
    ours, theirs = pair(name, **settings)
    for count in (1, 9, 90):
        steps(count, ours, theirs, seed=count, rows=name == "SparseAdam")
        assert_near(ours, theirs)
        assert_near_states(ours, theirs)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("maximize", [False, True])
def test_a_hundred_steps_by_a_few_rows(name, maximize):
    """Some of them by none at all; with momentum, SGD remembers a RowGradient."""
    others = {"momentum": 0.9} if name == "SGD" else {}
    ours, theirs = pair(name, (4, 3), (5,), lr=0.05, maximize=maximize, **others)
    for count in (1, 9, 90):
        steps(count, ours, theirs, seed=count, rows=True)
        assert_near(ours, theirs)
        assert_near_states(ours, theirs)


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_single_precision_stays_single(name, settings):
    """To 10⁻³ of the largest number, as a hundred roundings add up; what is remembered is float32 too, but for single numbers."""
    ours, theirs = pair(
        name, dtype=np.float32, **{key: np.float64(value) if type(value) is float else value for key, value in settings.items()}
    )
    steps(100, ours, theirs, rows=name == "SparseAdam")
    assert_near(ours, theirs, 1e-3)
    for state in ours.state.values():
        assert {state[key].dtype for key in state.keys() - ours.numbers} <= {np.dtype(np.float32)}


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_what_is_remembered_goes_on_when_the_module_is_converted(name, settings):
    ours, theirs = pair(name, **settings)
    steps(2, ours, theirs, rows=name == "SparseAdam")
    for parameter, tensor in zip(of(ours), of(theirs), strict=True):
        parameter.convert(np.dtype(np.float32))
        tensor.data = tensor.data.float()
    theirs.load_state_dict(theirs.state_dict())  # which converts torch's
    steps(2, ours, theirs, seed=2, rows=name == "SparseAdam")
    assert_near(ours, theirs, 1e-4)
    for state in ours.state.values():
        assert {state[key].dtype for key in state.keys() - ours.numbers} <= {np.dtype(np.float32)}


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_arrays_in_any_order_are_updated_in_place(name, settings):
    """And none of the gradients is changed, nor has a parameter without a gradient a step."""
    ours, theirs = pair(name, **settings)
    arrays = [np.array(parameter.data, order="F") for parameter in of(ours)]
    idle = manual.Parameter(np.ones((3, 2)))
    for parameter, array in zip(of(ours), arrays, strict=True):
        parameter.data = array
    ours.param_groups[0]["params"].append(idle)
    theirs.param_groups[0]["params"].append(torch.nn.Parameter(torch.ones(3, 2)))
    rng = np.random.default_rng(3)
    for _ in range(3):
        for parameter, tensor in zip(of(ours)[:-1], of(theirs), strict=False):
            grad = np.array(rng.standard_normal(parameter.shape), order="F")
            tensor.grad = torch.tensor(grad).to_sparse(1) if name == "SparseAdam" else torch.tensor(grad)
            grad.flags.writeable = False
            parameter.grad = manual.RowGradient(np.arange(len(grad)), grad, grad.shape) if name == "SparseAdam" else grad
        ours.step()
        theirs.step()
    assert all(parameter.data is array for parameter, array in zip(of(ours), arrays, strict=False))
    np.testing.assert_array_equal(idle.data, 1)
    assert_near(ours, theirs)


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_large_and_empty_parameters(name, settings):
    """A block is 2¹⁶ numbers; an empty parameter is left as it is."""
    if name == "SparseAdam":
        settings = {**settings, "maximize": False}
    ours, theirs = pair(name, (300, 230), **settings)
    ours.param_groups[0]["params"].append(manual.Parameter(np.ones((0, 3))))
    theirs_only = torch.nn.Parameter(torch.ones(1, 3))
    theirs.param_groups[0]["params"].append(theirs_only)
    rng = np.random.default_rng(3)
    for _ in range(3):
        grad = rng.standard_normal((300, 230))
        first, empty = of(ours)
        of(theirs)[0].grad = torch.tensor(grad).to_sparse(1) if name == "SparseAdam" else torch.tensor(grad)
        first.grad = manual.RowGradient(np.arange(300), grad, grad.shape) if name == "SparseAdam" else grad
        empty.grad = manual.RowGradient(np.arange(0), np.ones((0, 3)), (0, 3)) if name == "SparseAdam" else np.ones((0, 3))
        ours.step()
        theirs.step()
    np.testing.assert_allclose(of(ours)[0].data, of(theirs)[0].detach().numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_threads_change_nothing(name, settings, monkeypatch):
    """Many numbers are shared among threads, parameter by parameter, once each has its state."""
    alone, _ = pair(name, **settings)
    steps(4, alone, rows=name == "SparseAdam")
    shared, _ = pair(name, **settings)
    tasks = []
    monkeypatch.setattr("manual.optimizers.optimizer.LARGE", 3)
    monkeypatch.setattr(
        "manual.optimizers.optimizer.in_threads", lambda task, count: tasks.append(count) or in_threads(task, count)
    )
    steps(4, shared, rows=name == "SparseAdam")
    assert tasks == [len(of(shared))] * (4 if name == "Adagrad" else 3)  # which has its state from the start
    assert list(shared.state_dict()["state"]) == list(alone.state_dict()["state"])
    for one, other in zip(of(alone), of(shared), strict=True):
        np.testing.assert_array_equal(one.data, other.data)


# -- State dicts

STATES = [
    *ALL,
    pytest.param("RMSprop", {"momentum": 0.5, "centered": True}, id="RMSprop centered"),
    pytest.param("SGD", {"momentum": 0.5}, id="SGD momentum"),
    pytest.param("NAdam", {}, id="NAdam plain"),
]
IN_TORCH_ALONE = {"foreach", "differentiable", "fused", "capturable"}


@pytest.mark.parametrize(("name", "settings"), STATES)
@pytest.mark.parametrize("count", [0, 3])
def test_state_has_torchs_keys_and_nesting(name, settings, count):
    ours, theirs = pair(name, **settings)
    steps(count, ours, theirs, rows=name == "SparseAdam")
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    assert list(mine["state"]) == list(other["state"])
    for number, state in other["state"].items():
        assert list(mine["state"][number]) == list(state)
        for key, tensor in state.items():
            if tensor is not None:
                assert mine["state"][number][key].shape == np.shape(tensor)
                np.testing.assert_allclose(mine["state"][number][key], tensor, rtol=1e-12)
    (mine_group,), (group,) = mine["param_groups"], other["param_groups"]
    assert mine_group == {key: value for key, value in group.items() if key not in IN_TORCH_ALONE}
    without = re.sub(rf"    ({'|'.join(IN_TORCH_ALONE)}): .*\n", "", repr(theirs))
    assert repr(ours).replace(": 0.0\n", ": 0\n") == without.replace(": 0.0\n", ": 0\n")


@pytest.mark.parametrize(("name", "settings"), STATES)
def test_a_trajectory_goes_on_across_the_libraries(name, settings):
    """From torch to us and back, each time into an optimizer of other settings; only the state dict and the numbers go across."""
    rows = name == "SparseAdam"
    whole, theirs = pair(name, **settings)
    ours, _ = pair(name)
    steps(30, whole, theirs, rows=rows)
    ours.load_state_dict(to_manual(theirs.state_dict()))
    for parameter, tensor in zip(of(ours), of(theirs), strict=True):
        parameter.data[...] = tensor.detach().numpy()
    steps(30, whole, ours, seed=2, rows=rows)
    _, theirs = pair(name)
    theirs.load_state_dict(to_torch(ours.state_dict()))
    for parameter, tensor in zip(of(ours), of(theirs), strict=True):
        tensor.data.copy_(torch.tensor(parameter.data))
    steps(40, whole, theirs, seed=3, rows=rows)
    assert_near(whole, theirs)
    assert ours.state_dict()["param_groups"] == whole.state_dict()["param_groups"]


def test_a_momentum_of_a_few_rows_goes_across():
    ours, theirs = pair("SGD", (4, 3), lr=0.1, momentum=0.5)
    steps(3, ours, theirs, rows=True)
    (again, _), (_, back) = pair("SGD", (4, 3)), pair("SGD", (4, 3))
    again.load_state_dict(to_manual(theirs.state_dict()))
    back.load_state_dict(to_torch(again.state_dict()))
    (mine,), (other,) = again.state.values(), back.state.values()
    np.testing.assert_allclose(mine["momentum_buffer"].dense(), other["momentum_buffer"].to_dense(), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in TRAJECTORIES if name not in ROWS])
def test_a_gradient_of_a_few_rows_is_refused_as_in_torch(name):
    ours, theirs = pair(name, (4, 3))
    message = rf"^{name}: the gradient of parameter 0 must be a NumPy array, got RowGradient;"
    with pytest.raises(TypeError, match=message):
        steps(1, ours, rows=True)
    assert all(not state for state in ours.state.values())
    with pytest.raises((RuntimeError, NotImplementedError)):
        steps(1, theirs, rows=True)


def test_rows_are_refused_with_weight_decay_and_arrays_where_rows_are_needed():
    for name in ("SGD", "Adagrad"):
        for optimizer in pair(name, (4, 3), weight_decay=0.1):
            with pytest.raises((TypeError, RuntimeError), match=r"parameter 0 must be a NumPy array, got RowGradient|sparse"):
                steps(1, optimizer, rows=True)
    ours, theirs = pair("SparseAdam")
    with pytest.raises(
        TypeError, match=r"^SparseAdam: the gradient of parameter 0 must be a RowGradient, got ndarray; Adam takes it$"
    ):
        steps(1, ours)
    assert ours.state == {}
    with pytest.raises(RuntimeError, match="dense"):
        steps(1, theirs)
