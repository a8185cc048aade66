"""Every schedule beside torch's: a hundred epochs in each of its settings, resumed, and with state that goes across."""

import inspect
import math
import re

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

import manual
from reference.optimizer_state import to_manual, to_torch

CLASSES = [name for name in lr_scheduler.__all__ if name != "LRScheduler"]
RATES = 0.5, 0.02


def optimizer_of(library, name="SGD", resumed=False):
    """An optimizer of two groups; of a training that goes on, the rates are no longer those of its beginning."""
    parameter = (lambda: manual.Parameter(np.ones(2))) if library is manual else (lambda: torch.nn.Parameter(torch.ones(2)))
    groups = [{"params": [parameter()], "lr": rate} for rate in RATES]
    if resumed:
        momenta = {"max_momentum": 0.9, "base_momentum": 0.8}
        groups = [{**group, **momenta, "initial_lr": 2 * group["lr"], "max_lr": 4.0, "min_lr": 0.01} for group in groups]
    return getattr(manual if library is manual else torch.optim, name)(groups)


def of(library):
    return manual if library is manual else lr_scheduler


class Halved:
    """A function that remembers something."""

    def __init__(self, by):
        self.by = by

    def __call__(self, epoch):
        return self.by**epoch


def rising(epoch):
    return 1 + 0.01 * epoch


# Of each schedule, the arguments with which its rates are compared: a new schedule is one more row
SETTINGS = {
    "LambdaLR": [(rising,), ([Halved(0.9), rising],)],
    "MultiplicativeLR": [(lambda epoch: 0.95,), ([lambda epoch: 1 - 1 / (epoch + 3), rising],)],
    "StepLR": [(7,), (1, 0.9), (30, 0.5)],
    "MultiStepLR": [([5, 30, 31],), ([40, 3, 3, 80], 0.5), ([],), ([0, 2], 0.3)],
    "ConstantLR": [(), (0.25, 20), (1.0, 3)],
    "LinearLR": [(), (0.25, 0.75, 60), (1.0, 0.0, 30), (0.5, 1.0, 0), (0.1, 1.0, 200)],
    "ExponentialLR": [(0.97,), (1.03,)],
    "PolynomialLR": [(), (50, 2.0), (100, 0.5), (150, 1.5), (10, 0.0), (0,)],
    "CosineAnnealingLR": [(10,), (30, 0.01), (250, 0.1), (1,), (50, 0.7)],
    "CosineAnnealingWarmRestarts": [(10,), (7, 2), (3, 3, 0.01), (150, 1, 0.1)],
    "CyclicLR": [
        (0.1, 0.9, 7),
        ([0.1, 0.2], [0.9, 0.5], 7, 13, "triangular2"),
        (0.1, 0.9, 10, 4, "exp_range", 0.97),
        (0.1, 0.9, 5, None, "triangular", 1.0, lambda x: 1 / x, "cycle"),
        (0.1, 0.9, 5, None, "mine", 1.0, Halved(0.95), "iterations"),
        (0.1, 0.9, 7, 5, "triangular", 1.0, None, "cycle", False),
        (0.1, 0.9, 7, None, "triangular", 1.0, None, "cycle", True, [0.5, 0.6], 0.99),
    ],
    "OneCycleLR": [
        (2.0, 120),
        ([2.0, 1.0], None, 12, 10, 0.25, "linear"),
        (2.0, 100, None, None, 0.3, "cos", False),
        (2.0, 150, None, None, 0.3, "cos", True, 0.7, [0.9, 0.8], 10.0, 100.0, True),
        (2.0, 110, None, None, 0.0),
        (2.0, 110, None, None, 1.0, "linear"),
    ],
}
EVERY = [pytest.param(name, arguments, id=f"{name}{i}") for name, rows in SETTINGS.items() for i, arguments in enumerate(rows)]
OPTIMIZERS = "SGD", "Adam"


def pair(name, arguments, optimizer="SGD", **others):
    """A schedule of ours and torch's, each of an optimizer of its own."""
    resumed = "last_epoch" in others
    both = [
        getattr(of(library), name)(optimizer_of(library, optimizer, resumed), *arguments, **others) for library in (manual, torch)
    ]
    for scheduler in both:
        scheduler.optimizer.step()  # which torch expects before the first step of a schedule
    return both


def settings_of(scheduler):
    """What a schedule may have set."""
    keys = "lr", "momentum", "betas", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum"
    return [[np.ravel(group[key]) for key in keys if key in group] for group in scheduler.optimizer.param_groups]


def assert_same(ours, theirs):
    for mine, other in zip(settings_of(ours), settings_of(theirs), strict=True):
        for value, expected in zip(mine, other, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-10, atol=1e-12)
    assert getattr(ours, "last_epoch", None) == getattr(theirs, "last_epoch", None)  # a chain has none


def run(count, *schedulers):
    """So many epochs of each, with the same rates after each."""
    for _ in range(count):
        for scheduler in schedulers:
            scheduler.step()
        assert_same(*schedulers)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_a_hundred_epochs(name, arguments, optimizer):
    ours, theirs = pair(name, arguments, optimizer)
    assert_same(ours, theirs)
    run(100, ours, theirs)


@pytest.mark.parametrize("last_epoch", [0, 6, 29])
@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_a_training_is_resumed(name, arguments, last_epoch):
    """With the rates of the epoch `last_epoch`, whatever they are."""
    ours, theirs = pair(name, arguments, last_epoch=last_epoch)
    assert_same(ours, theirs)
    run(40, ours, theirs)


@pytest.mark.parametrize(("name", "arguments"), EVERY)
def test_state_goes_across(name, arguments):
    """Both ways in the midst of a training, into a schedule of the same functions and otherwise other settings."""
    ours, theirs = pair(name, arguments)
    run(17, ours, theirs)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == other.keys() - {"_get_lr_called_within_step"}
    alike = "LambdaLR", "MultiplicativeLR", "CyclicLR", "OneCycleLR"  # that have functions, or whose keys tell if momentum cycles
    first = arguments if name in alike else SETTINGS[name][0]
    again, back = pair(name, first)
    for scheduler, source, convert in ((again, theirs, to_manual), (back, ours, to_torch)):
        scheduler.load_state_dict(convert(source.state_dict()))
        scheduler.optimizer.load_state_dict(convert(source.optimizer.state_dict()))
    assert_same(again, back)
    for _ in range(40):
        run(1, ours, theirs)
        run(1, again, back)
        assert_same(again, theirs)


def metrics():
    """Falling, flat, rising, and noisy."""
    rng = np.random.default_rng(0)
    parts = np.linspace(1, 0.5, 20), np.full(15, 0.5), np.linspace(0.5, 0.9, 25), 0.5 + 0.3 * rng.standard_normal(40)
    return np.concatenate(parts)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"factor": 0.5, "patience": 2, "cooldown": 3}, {"patience": 0, "threshold": 0.05, "min_lr": [0.01, 0.005], "eps": 1e-3}],
)
def test_reduce_on_plateau(mode, threshold_mode, settings):
    ours, theirs = (
        of(library).ReduceLROnPlateau(optimizer_of(library), mode, threshold_mode=threshold_mode, **settings)
        for library in (manual, torch)
    )
    again, back = (of(library).ReduceLROnPlateau(optimizer_of(library)) for library in (manual, torch))
    for epoch, metric in enumerate(metrics()):
        for scheduler in (ours, theirs, *((again, back) if epoch > 50 else ())):
            scheduler.step(np.float64(metric))
        assert_same(ours, theirs)
        assert ours.in_cooldown == theirs.in_cooldown
        assert ours.state_dict() == theirs.state_dict()
        if epoch == 50:
            again.load_state_dict(theirs.state_dict())
            back.load_state_dict(ours.state_dict())
            for scheduler in (again, back):
                for group, source in zip(scheduler.optimizer.param_groups, ours.optimizer.param_groups, strict=True):
                    group["lr"] = source["lr"]
        if epoch > 50:
            assert_same(again, back)
            assert_same(again, ours)


def test_a_plateau_with_a_group_that_came_later():
    for library in (manual, torch):
        optimizer = optimizer_of(library)
        single = of(library).ReduceLROnPlateau(optimizer, patience=0, min_lr=0.1)
        listed = of(library).ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1, 0.1])
        more = manual.Parameter(np.ones(2)) if library is manual else torch.nn.Parameter(torch.ones(2))
        optimizer.add_param_group({"params": [more], "lr": 5.0})
        for _ in range(2):
            single.step(1.0)
        assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.02, 0.5]
        listed.step(1.0)
        with pytest.raises((ValueError, RuntimeError), match="min_lrs"):
            listed.step(1.0)


def test_what_a_function_remembers_goes_across():
    """Of an object that can be called; torch's LambdaLR and CyclicLR do the same."""
    for library in (manual, torch):
        kit = of(library)
        for build in (
            lambda kit, optimizer, by: kit.LambdaLR(optimizer, [Halved(by), rising]),
            lambda kit, optimizer, by: kit.MultiplicativeLR(optimizer, [Halved(by), rising]),
            lambda kit, optimizer, by: kit.CyclicLR(optimizer, 0.1, 0.5, scale_fn=Halved(by), scale_mode="iterations"),
        ):
            first, second = (build(kit, optimizer_of(library), by) for by in (0.5, 0.9))
            second.load_state_dict(first.state_dict())
            function = second.lr_lambdas[0] if hasattr(second, "lr_lambdas") else second._scale_fn_custom
            assert function.by == 0.5


# -- Combined


def chained(library, optimizer):
    kit = of(library)
    return kit.ChainedScheduler(
        [kit.ConstantLR(optimizer, 0.5, 4), kit.ExponentialLR(optimizer, 0.9), kit.CosineAnnealingLR(optimizer, 30)]
    )


def chained_by_functions(library, optimizer):
    kit = of(library)
    return kit.ChainedScheduler(
        [kit.MultiplicativeLR(optimizer, rising), kit.StepLR(optimizer, 5), kit.LinearLR(optimizer, 0.1, 1.0, 20)], optimizer
    )


def warm_up(library, optimizer):
    kit = of(library)
    first, then = kit.LinearLR(optimizer, 0.1, 1.0, 10), kit.CosineAnnealingLR(optimizer, 50, 0.001)
    return kit.SequentialLR(optimizer, [first, then], [10])


def one_of_each(library, optimizer):
    kit = of(library)
    schedulers = [
        kit.ConstantLR(optimizer, 0.5, 4),
        kit.StepLR(optimizer, 3),
        kit.PolynomialLR(optimizer, 7),
        kit.LambdaLR(optimizer, rising),
        kit.MultiplicativeLR(optimizer, lambda epoch: 0.9),
        kit.MultiStepLR(optimizer, [2, 5]),
        kit.ExponentialLR(optimizer, 0.9),
        kit.CosineAnnealingWarmRestarts(optimizer, 4, 2),
        kit.LinearLR(optimizer),
    ]
    return kit.SequentialLR(optimizer, schedulers, [5, 15, 25, 35, 45, 55, 65, 80])


def cycles(library, optimizer):
    kit = of(library)
    return kit.SequentialLR(optimizer, [kit.CyclicLR(optimizer, 0.1, 0.5, 7), kit.OneCycleLR(optimizer, 1.0, 80)], [31])


def a_chain_first(library, optimizer):
    kit = of(library)
    chain = [
        kit.ExponentialLR(optimizer, 0.9),
        kit.PolynomialLR(optimizer, 40),
        kit.StepLR(optimizer, 6),
        kit.ConstantLR(optimizer),
        kit.CosineAnnealingLR(optimizer, 30),
        kit.LinearLR(optimizer),
        kit.MultiStepLR(optimizer, [4, 9]),
    ]
    return kit.SequentialLR(optimizer, [kit.ChainedScheduler(chain), kit.StepLR(optimizer, 9)], [20])


def restarts_in_a_chain_first(library, optimizer):
    kit = of(library)
    chain = [kit.CosineAnnealingWarmRestarts(optimizer, 9, 2), kit.MultiplicativeLR(optimizer, rising)]
    return kit.SequentialLR(optimizer, [kit.ChainedScheduler(chain), kit.StepLR(optimizer, 9)], [20])


def sequences_in_a_sequence(library, optimizer):
    kit = of(library)
    inner = kit.SequentialLR(optimizer, [kit.ConstantLR(optimizer), kit.StepLR(optimizer, 4), kit.LinearLR(optimizer)], [8, 16])
    return kit.SequentialLR(optimizer, [inner, kit.ExponentialLR(optimizer, 0.95)], [30])


def from_the_second_on(library, optimizer):
    kit = of(library)
    return kit.SequentialLR(optimizer, [kit.ConstantLR(optimizer), kit.StepLR(optimizer, 4), kit.LinearLR(optimizer)], [0, 20])


def resumed_sequence(library, optimizer):
    kit = of(library)
    return kit.SequentialLR(optimizer, [kit.ConstantLR(optimizer), kit.StepLR(optimizer, 4)], [12], last_epoch=5)


COMBINED = [
    chained,
    chained_by_functions,
    warm_up,
    one_of_each,
    cycles,
    a_chain_first,
    restarts_in_a_chain_first,
    sequences_in_a_sequence,
    from_the_second_on,
    resumed_sequence,
]


@pytest.mark.parametrize("combination", COMBINED)
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # torch's, as no step of the optimizer comes before
def test_combined_schedules(combination):
    """A hundred epochs, with state that goes across in the midst."""
    ours, theirs, again, back = (combination(library, optimizer_of(library)) for library in (manual, torch) * 2)
    for scheduler in (ours, theirs, again, back):
        scheduler.optimizer.step()
    assert_same(ours, theirs)
    run(37, ours, theirs)
    again.load_state_dict(to_manual(theirs.state_dict()))
    back.load_state_dict(to_torch(ours.state_dict()))
    again.optimizer.load_state_dict(to_manual(theirs.optimizer.state_dict()))
    back.optimizer.load_state_dict(to_torch(ours.optimizer.state_dict()))
    for _ in range(43):
        run(1, ours, theirs)
        run(1, again, back)
        assert_same(again, theirs)


# -- What torch does not have


def test_a_warm_restart_goes_to_any_epoch():
    """Also to the beginning of a cycle of three to a power, which torch takes for the end of the one before, by a logarithm."""
    for arguments in ((10,), (7, 2), (3, 3, 0.01)):
        ours, theirs = pair("CosineAnnealingWarmRestarts", arguments)
        for epoch in (0, 2.5, 9.75, 10.25, 30.5, 3, 100.5, 55.125):
            ours.step(epoch)
            theirs.step(epoch)
            assert_same(ours, theirs)
        run(5, ours, theirs)
    ours, _ = pair("CosineAnnealingWarmRestarts", (1, 3))
    for epoch in (0, 1, 4, 13, 40, 121, 364):
        ours.step(epoch)
        np.testing.assert_allclose(ours.get_last_lr(), RATES)
    with pytest.raises(ValueError, match=r"^CosineAnnealingWarmRestarts: epoch must be a finite number of at least 0, got -1$"):
        ours.step(-1)


def rates_of(build, count=4):
    """The rates of the first group, whose first one is 1/2."""
    scheduler = build(optimizer_of(manual))
    rates = [scheduler.get_last_lr()[0]]
    for _ in range(count - 1):
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    return rates


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda opt: manual.StepLR(opt, 2, 0.5), [0.5, 0.5, 0.25, 0.25]),
        (lambda opt: manual.StepLR(opt, 2, 0.0), [0.5, 0.5, 0.0, 0.0]),
        (lambda opt: manual.LinearLR(opt, 0.5, 1.0, 2), [0.25, 0.375, 0.5, 0.5]),
        (lambda opt: manual.ExponentialLR(opt, 0.5), [0.5, 0.25, 0.125, 0.0625]),
        (lambda opt: manual.ExponentialLR(opt, 0.0), [0.5, 0.0, 0.0, 0.0]),
        (lambda opt: manual.CosineAnnealingLR(opt, 2), [0.5, 0.25, 0.0, 0.25]),
        (lambda opt: manual.OneCycleLR(opt, 1.0, 5, None, None, 0.6, "linear", False, 0, 0, 5, 2), [0.2, 0.6, 1.0, 0.55]),
        (lambda opt: manual.ConstantLR(opt, 0.0, 2), [0.0, 0.0, 0.5, 0.5]),  # where torch divides by 0
        (lambda opt: manual.ConstantLR(opt, 0.5, 0), [0.5, 0.5, 0.5, 0.5]),  # where torch never takes back the factor
    ],
)
def test_rates_by_hand(build, expected):
    np.testing.assert_allclose(rates_of(build), expected, atol=1e-15)


# -- Refusals

WRONG = [
    ("StepLR", (0,), "step_size must be an integer of at least 1, got 0"),
    ("StepLR", (2.5,), "step_size must be an integer of at least 1, got 2.5"),
    ("StepLR", (3, math.nan), "gamma must be a finite number, got nan"),
    ("MultiStepLR", (5,), "milestones must be integers, got 5"),
    ("MultiStepLR", ([1.5],), "milestones must be an integer, got 1.5"),
    ("ConstantLR", (1.5,), "factor must be a number from 0 to 1, got 1.5"),
    ("ConstantLR", (0.5, -1), "total_iters must be an integer of at least 0, got -1"),
    ("LinearLR", (0.0,), "start_factor must be above 0, got 0"),
    ("LinearLR", (1.5,), "start_factor must be a number from 0 to 1, got 1.5"),
    ("LinearLR", (0.5, 1.5), "end_factor must be a number from 0 to 1, got 1.5"),
    ("ExponentialLR", ("0.5",), "gamma must be a finite number, got '0.5'"),
    ("PolynomialLR", (5, -1), "power must be a finite number of at least 0, got -1"),
    ("CosineAnnealingLR", (0,), "T_max must be a positive number, got 0"),
    ("CosineAnnealingLR", (5, None), "eta_min must be a finite number, got None"),
    ("CosineAnnealingWarmRestarts", (0,), "T_0 must be an integer of at least 1, got 0"),
    ("CosineAnnealingWarmRestarts", (5, 0), "T_mult must be an integer of at least 1, got 0"),
    ("CosineAnnealingWarmRestarts", (5, 1, "0"), "eta_min must be a finite number, got '0'"),
    ("LambdaLR", (5,), "lr_lambda must be a function, got int"),
    ("LambdaLR", ([rising],), "lr_lambda must be a function or one for each of 2 groups, got 1"),
    ("MultiplicativeLR", (5,), "lr_lambda must be a function, got int"),
    ("CyclicLR", ([0.1], 0.5), "base_lr must be a number or one for each of 2 groups, got 1"),
    ("CyclicLR", (0.1, [0.5]), "max_lr must be a number or one for each of 2 groups, got 1"),
    ("CyclicLR", (0.1, 0.5, 0), "step_size_up must be a positive number, got 0"),
    ("CyclicLR", (0.1, 0.5, 5, -1), "step_size_down must be a positive number, got -1"),
    ("CyclicLR", (0.1, 0.5, 5, 5, "round"), "mode must be 'triangular', 'triangular2' or 'exp_range', got 'round'"),
    ("CyclicLR", (0.1, 0.5, 5, 5, "x", 1.0, 3), "scale_fn must be a function, got int"),
    ("CyclicLR", (0.1, 0.5, 5, 5, "x", 1.0, rising, "y"), "scale_mode must be 'cycle' or 'iterations', got 'y'"),
    ("OneCycleLR", (1.0,), "total_steps must be given, or epochs and steps_per_epoch"),
    ("OneCycleLR", (1.0, 0), "total_steps must be an integer of at least 1, got 0"),
    ("OneCycleLR", (1.0, None, 0, 5), "epochs must be an integer of at least 1, got 0"),
    ("OneCycleLR", (1.0, None, 5, 2.5), "steps_per_epoch must be an integer of at least 1, got 2.5"),
    ("OneCycleLR", (1.0, 10, None, None, 1.5), "pct_start must be a number from 0 to 1, got 1.5"),
    ("OneCycleLR", (1.0, 10, None, None, 0.5, "log"), "anneal_strategy must be 'cos' or 'linear', got 'log'"),
    ("OneCycleLR", ([1.0], 10), "max_lr must be a number or one for each of 2 groups, got 1"),
    ("ReduceLROnPlateau", ("min", 1.0), "factor must be below 1, got 1.0"),
    ("ReduceLROnPlateau", ("least",), "mode must be 'min' or 'max', got 'least'"),
    ("ReduceLROnPlateau", ("min", 0.1, 10, 1e-4, "some"), "threshold_mode must be 'rel' or 'abs', got 'some'"),
    ("ReduceLROnPlateau", ("min", 0.1, -1), "patience must be an integer of at least 0, got -1"),
    ("ReduceLROnPlateau", ("min", 0.1, 10, 1e-4, "rel", 0, [0.1]), "min_lr must be a number or one for each of 2 groups, got 1"),
    ("ChainedScheduler", (), "schedulers must be a list of at least one, got []"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), WRONG)
def test_settings_that_make_no_sense_are_refused(name, arguments, message):
    optimizer = optimizer_of(manual)
    before = [dict(group) for group in optimizer.param_groups]
    given = ([],) if name == "ChainedScheduler" else (optimizer, *arguments)
    with pytest.raises((TypeError, ValueError), match=f"^{name}: {re.escape(message)}$"):
        getattr(manual, name)(*given)
    assert optimizer.param_groups == before


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ("ChainedScheduler", "SequentialLR")])
def test_what_is_no_optimizer_is_refused(name):
    arguments = SETTINGS[name][0] if name in SETTINGS else ()
    with pytest.raises(TypeError, match=f"^{name}: optimizer must be an Optimizer, got list$"):
        getattr(manual, name)([manual.Parameter(np.ones(2))], *arguments)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_cannot_be_resumed_without_its_first_rates(name):
    optimizer = optimizer_of(manual)
    with pytest.raises((ValueError, KeyError), match="initial_lr"):
        getattr(manual, name)(optimizer, *SETTINGS[name][0], last_epoch=3)
    with pytest.raises(ValueError, match=rf"^{name}: last_epoch must be an integer of at least -1, got -2$"):
        getattr(manual, name)(optimizer, *SETTINGS[name][0], last_epoch=-2)


def test_schedules_that_cannot_be_combined_are_refused():
    optimizer, other = optimizer_of(manual), optimizer_of(manual)
    one, two, foreign = manual.StepLR(optimizer, 3), manual.StepLR(optimizer, 5), manual.StepLR(other, 3)
    plateau = manual.ReduceLROnPlateau(optimizer)
    for build in (lambda *s: manual.ChainedScheduler(list(s), optimizer), lambda *s: manual.SequentialLR(optimizer, list(s), [5])):
        with pytest.raises(TypeError, match=r"schedulers\[1\] must be a schedule, got int"):
            build(one, 3)
        with pytest.raises(ValueError, match=r"schedulers\[1\] must step without a metric, got ReduceLROnPlateau"):
            build(one, plateau)
        with pytest.raises(ValueError, match=r"schedulers\[1\] must be of the same optimizer, got one of another"):
            build(one, foreign)
    with pytest.raises(ValueError, match="milestones must be one fewer than 2 schedulers, got"):
        manual.SequentialLR(optimizer, [one, two], [3, 5])
    with pytest.raises(ValueError, match=r"schedulers\[1\] must be able to restart, got ChainedScheduler"):
        manual.SequentialLR(optimizer, [one, manual.ChainedScheduler([two])], [3])


def test_cycles_of_momentum_need_momentum():
    for build in (lambda opt: manual.CyclicLR(opt, 0.1, 0.5), lambda opt: manual.OneCycleLR(opt, 0.5, 10)):
        optimizer = manual.Adagrad([manual.Parameter(np.ones(2))])
        with pytest.raises(ValueError, match=r"cycle_momentum must be False for .*, got Adagrad$"):
            build(optimizer)
        assert "initial_lr" not in optimizer.param_groups[0]


def test_one_cycle_ends():
    ours, theirs = pair("OneCycleLR", (1.0, 5))
    for scheduler in (ours, theirs):
        for _ in range(5):
            scheduler.step()
        with pytest.raises(ValueError, match="5"):
            scheduler.step()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda state: state.pop("gamma"), "missing or surplus gamma"),
        (lambda state: state.update(rate=3), "missing or surplus rate"),
        (lambda state: state.clear(), "missing or surplus"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, problem):
    for scheduler, prepare in (
        (manual.StepLR(optimizer_of(manual), 3), lambda state: state),
        (one_of_each(manual, optimizer_of(manual)), lambda state: state["_schedulers"][1]),
    ):
        state = scheduler.state_dict()
        before = repr(scheduler.state_dict())
        state["last_epoch"] = 50
        change(prepare(state))
        with pytest.raises(ValueError, match=rf"\.load_state_dict: the keys must be .*{problem}"):
            scheduler.load_state_dict(state)
        assert repr(scheduler.state_dict()) == before
    with pytest.raises(TypeError, match=r"^StepLR.load_state_dict: state_dict must be a mapping, got list$"):
        manual.StepLR(optimizer_of(manual), 3).load_state_dict([])
    with pytest.raises(ValueError, match="there must be the states of 2 schedules, got 9"):
        warm_up(manual, optimizer_of(manual)).load_state_dict(one_of_each(manual, optimizer_of(manual)).state_dict())


def test_every_schedule_is_compared():
    compared = {*SETTINGS, "ReduceLROnPlateau", "SequentialLR", "ChainedScheduler"}
    assert compared == set(CLASSES)
    for name, rows in SETTINGS.items():
        parameters = list(inspect.signature(getattr(manual, name)).parameters)[1:-1]
        assert max(map(len, rows)) == len(parameters) or name in ("CyclicLR", "OneCycleLR"), name


def test_a_schedule_of_ones_own():
    class Falling(manual.LRScheduler):
        def get_lr(self):
            return [first / (1 + self.last_epoch) for first in self.base_lrs]

    scheduler = Falling(optimizer_of(manual))
    scheduler.step()
    assert scheduler.get_last_lr() == [0.25, 0.01]
    with pytest.raises(NotImplementedError):
        manual.LRScheduler(optimizer_of(manual))
