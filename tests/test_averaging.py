"""Means of weights along a training, beside torch's swa_utils."""

import copy

import numpy as np
import pytest
import torch
from torch.optim import swa_utils

import manual
from reference.optimizer_state import to_manual, to_torch


def network(nn):
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))


def pair():
    theirs = network(torch.nn).double()
    ours = network(manual)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def move(rng, ours, theirs):
    """Other weights and statistics, the same for both."""

    def other(array):
        return array + 1 if array.dtype.kind == "i" else rng.standard_normal(array.shape)

    state = {key: other(array) for key, array in ours.state_dict().items()}
    ours.load_state_dict(state)
    theirs.load_state_dict({key: torch.tensor(array) for key, array in state.items()})


def assert_same(ours, theirs):
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) != []
    assert set(mine) == set(other)
    for key, tensor in other.items():
        np.testing.assert_allclose(mine[key], tensor, rtol=1e-12, atol=1e-14, err_msg=key)
        assert mine[key].dtype.kind == tensor.numpy().dtype.kind


AVERAGES = {
    "default": lambda library: {},
    "swa": lambda library: {"avg_fn": library.get_swa_avg_fn()},
    "ema": lambda library: {"avg_fn": library.get_ema_avg_fn(0.7)},
    "multi swa": lambda library: {"multi_avg_fn": library.get_swa_multi_avg_fn()},
    "multi ema": lambda library: {"multi_avg_fn": library.get_ema_multi_avg_fn(0.7)},
    "one's own": lambda library: {"avg_fn": lambda averaged, current, n: averaged * n + 2 * current},
}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("average", AVERAGES)
def test_the_mean_of_ten_models(average, use_buffers, request):
    torch.set_default_dtype(torch.float64)  # in which the functions of several divide by the number of models
    request.addfinalizer(lambda: torch.set_default_dtype(torch.float32))
    (ours, theirs), rng = pair(), np.random.default_rng(0)
    # torch's function of several refuses the integers among the buffers
    theirs_alike = "swa" if use_buffers and average == "multi swa" else average
    mine = manual.AveragedModel(ours, use_buffers=use_buffers, **AVERAGES[average](manual))
    other = swa_utils.AveragedModel(theirs, use_buffers=use_buffers, **AVERAGES[theirs_alike](swa_utils))
    for _ in range(10):
        move(rng, ours, theirs)
        mine.update_parameters(ours)
        other.update_parameters(theirs)
        assert_same(mine, other)
    assert int(mine.n_averaged) == 10


def test_the_mean_by_hand():
    model = manual.Linear(1, 1, bias=False)
    averaged = manual.AveragedModel(model)
    for weight, expected in ((4.0, 4.0), (8.0, 6.0), (0.0, 4.0)):
        model.weight.data[...] = weight
        averaged.update_parameters(model)
        assert averaged.module.weight.data == expected
    assert model.weight.data == 0
    assert averaged(np.array([[2.0]]))[0] == 8.0


def test_single_precision_stays_single():
    model = manual.Linear(2, 2).float()
    averaged = manual.AveragedModel(model, multi_avg_fn=manual.get_ema_multi_avg_fn())
    for _ in range(3):
        averaged.update_parameters(model)
    assert averaged.module.weight.dtype == np.float32


@pytest.mark.parametrize("wrapped", [False, True])
def test_update_bn(wrapped):
    """By networks in evaluation mode without dropout, one of which has parts in training mode; all modes are restored."""
    ours, theirs = (
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.BatchNorm1d(2)) for nn in (manual, torch.nn)
    )
    theirs = theirs.double()
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((size, 3)) for size in (5, 8, 2)]
    for nets in (ours, theirs):
        nets.eval()
        nets[1].momentum = 0.3
    ours[2].train()
    manual.update_bn([(batch, None) if wrapped else batch for batch in batches], ours)
    swa_utils.update_bn([[torch.tensor(batch)] for batch in batches], theirs)
    assert_same(ours, theirs)
    assert [module.training for module in ours.modules()] == [False, False, False, True, False]
    assert (ours[1].momentum, ours[3].momentum) == (0.3, 0.1)


def test_update_bn_of_no_batch_norm_and_after_a_failure():
    manual.update_bn(iter([None]), manual.Linear(2, 2))
    net = manual.Sequential(manual.BatchNorm1d(2, momentum=0.5)).eval()
    with pytest.raises(ValueError, match="axes"):
        manual.update_bn([np.ones(2)], net)
    assert (net[0].momentum, net[0].training, net.training) == (0.5, False, False)
    without = manual.BatchNorm1d(2, track_running_stats=False)
    manual.update_bn([np.ones((3, 2))], without)
    assert without.running_mean is None


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 10, 60])
@pytest.mark.parametrize("other", [False, True])
def test_a_rate_goes_to_that_of_the_mean(strategy, epochs, other):
    """A hundred epochs beside torch's, alone or after another schedule, with state that goes across in the midst."""

    def build(library, rate):
        parameter = (lambda: manual.Parameter(np.ones(2))) if library is manual else (lambda: torch.nn.Parameter(torch.ones(2)))
        optim, swa = (manual, manual) if library is manual else (torch.optim, swa_utils)
        optimizer = optim.SGD([{"params": [parameter()], "lr": 0.5}, {"params": [parameter()], "lr": 0.02}])
        kit = manual if library is manual else torch.optim.lr_scheduler
        first = [kit.ExponentialLR(optimizer, 0.97)] if other else []
        schedulers = [*first, swa.SWALR(optimizer, rate, epochs, strategy)]
        optimizer.step()
        return schedulers

    sides = build(manual, [0.1, 0.2]), build(torch, [0.1, 0.2])
    across = build(manual, 0.3), build(torch, 0.3)
    for epoch in range(100):
        if epoch == 30:
            for here, there, convert in ((across[0], sides[1], to_manual), (across[1], sides[0], to_torch)):
                here[0].optimizer.load_state_dict(convert(there[0].optimizer.state_dict()))
                for scheduler, source in zip(here, there, strict=True):
                    scheduler.load_state_dict(convert(copy.copy(source.state_dict())))
        for schedulers in (*sides, *(across if epoch >= 30 else ())):
            for scheduler in schedulers:
                scheduler.step()
        rates = [schedulers[-1].get_last_lr() for schedulers in (*sides, *across)]
        np.testing.assert_allclose(rates[0], rates[1], rtol=1e-10)
        if epoch >= 30:
            np.testing.assert_allclose(rates[2:], rates[:2], rtol=1e-10)


def test_what_makes_no_sense_is_refused():
    model, optimizer = manual.Linear(2, 2), manual.SGD([manual.Parameter(np.ones(2))])
    with pytest.raises(ValueError, match=r"^AveragedModel: either avg_fn or multi_avg_fn must be None, got both$"):
        manual.AveragedModel(model, manual.get_swa_avg_fn(), manual.get_swa_multi_avg_fn())
    with pytest.raises(AssertionError):
        swa_utils.AveragedModel(torch.nn.Linear(2, 2), None, swa_utils.get_swa_avg_fn(), swa_utils.get_swa_multi_avg_fn())
    with pytest.raises(TypeError, match=r"^AveragedModel: model must be a Module, got list$"):
        manual.AveragedModel([model])
    with pytest.raises(TypeError, match=r"^AveragedModel: avg_fn must be a function or None, got float$"):
        manual.AveragedModel(model, 0.9)
    with pytest.raises(TypeError, match=r"^AveragedModel: use_buffers must be True or False, got 1$"):
        manual.AveragedModel(model, use_buffers=1)
    with pytest.raises(ValueError, match="model must have the parameters of the first one, got others"):
        manual.AveragedModel(model).update_parameters(manual.Linear(2, 3))
    for build in (manual.get_ema_avg_fn, manual.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=rf"^{build.__name__}: decay must be a number from 0 to 1, got 1.5$"):
            build(1.5)
    for arguments, message in (
        (([0.1, 0.2],), "swa_lr must be a number or one for each of 1 groups, got 2"),
        ((0.1, -1), "anneal_epochs must be an integer of at least 0, got -1"),
        ((0.1, 10, "log"), "anneal_strategy must be 'cos' or 'linear', got 'log'"),
    ):
        with pytest.raises(ValueError, match=rf"^SWALR: {message}$"):
            manual.SWALR(optimizer, *arguments)
        with pytest.raises(ValueError):  # noqa: PT011 (torch's words are its own)
            swa_utils.SWALR(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))]), *arguments)
