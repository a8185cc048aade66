"""The settings of every optimizer, and the same steps of ours and of torch's."""

import itertools
import math

import numpy as np
import torch

import manual
from reference.optimizer_state import to_manual


def grid(**choices):
    """Every combination of these settings."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def one_by_one(**settings):
    """None of these settings, each of them alone, and all together."""
    return [{}, *({name: value} for name, value in settings.items()), settings]


# Of each optimizer, the settings with which its steps are compared: a new optimizer is one more row
TRAJECTORIES = {
    "ASGD": [
        *one_by_one(lr=0.05, lambd=0.1, alpha=0.5, weight_decay=0.1, maximize=True),
        *grid(t0=(0, 3.5, 40), lambd=(-0.01, 1e-4), lr=(0.1,)),
    ],
    "Adadelta": [*one_by_one(lr=0.3, rho=0.5, eps=0.1, weight_decay=0.1, maximize=True), {"rho": 1.0}],
    "Adafactor": [
        *one_by_one(lr=0.5, beta2_decay=-0.3, eps=(1e-3, 0.5), d=2.0, weight_decay=0.1, maximize=True),
        {"beta2_decay": 0.0},
        {"eps": (None, 2.0), "d": 3.0},
    ],
    "Adagrad": one_by_one(lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, eps=0.1, maximize=True),
    "Adam": grid(
        lr=(1e-3, 0.05),
        betas=((0.9, 0.999), (0.5, 0.75)),
        eps=(1e-8, 0.1),
        weight_decay=(0.0, 0.1),
        amsgrad=(False, True),
        maximize=(False, True),
        decoupled_weight_decay=(False, True),
    ),
    "AdamW": one_by_one(lr=0.05, betas=(0.5, 0.75), eps=0.1, weight_decay=0.1, amsgrad=True, maximize=True),
    "Adamax": one_by_one(lr=0.05, betas=(0.5, 0.75), eps=0.1, weight_decay=0.1, maximize=True),
    "Muon": [
        *one_by_one(
            lr=0.05,
            weight_decay=0.5,
            momentum=0.5,
            nesterov=False,
            ns_coefficients=(2.0, -1.5, 0.5),
            eps=3.0,
            ns_steps=3,
            adjust_lr_fn="match_rms_adamw",
        ),
        {"adjust_lr_fn": "original"},
        {"momentum": 0.0},
        {"ns_steps": 0},
    ],
    "NAdam": [
        *one_by_one(lr=0.05, betas=(0.5, 0.75), eps=0.1, weight_decay=0.1, momentum_decay=0.5, maximize=True),
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "RAdam": [
        *one_by_one(lr=0.05, betas=(0.5, 0.9), eps=0.1, weight_decay=0.1, maximize=True),
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
        {"betas": (0.9, 0.5)},
    ],
    "RMSprop": [
        *grid(momentum=(0.0, 0.9), centered=(False, True), weight_decay=(0.0, 0.1), maximize=(False, True)),
        *one_by_one(lr=0.05, alpha=0.5, eps=0.1),
    ],
    "Rprop": one_by_one(lr=0.05, etas=(0.3, 1.5), step_sizes=(1e-3, 0.2), maximize=True),
    "SGD": [
        settings
        for settings in grid(
            lr=(0.1,),
            momentum=(0.0, 0.9),
            dampening=(0.0, 0.1),
            weight_decay=(0.0, 0.1),
            nesterov=(False, True),
            maximize=(False, True),
        )
        if not settings["nesterov"] or (settings["momentum"] > 0 and settings["dampening"] == 0)
    ],
    "SparseAdam": one_by_one(lr=0.05, betas=(0.5, 0.75), eps=0.1, maximize=True),
}
ROWS = "SparseAdam", "Adagrad", "SGD"  # that take a RowGradient
SHAPES = {"Muon": ((3, 4), (5, 2)), "SparseAdam": ((4, 3), (5,))}


def shapes_of(name):
    """Shapes of parameters to which an optimizer applies."""
    return SHAPES.get(name, ((3, 4), (5,), (), (2, 3, 2)))


def pair(name, *shapes, dtype=float, **settings):
    """An optimizer of ours and torch's, of the same parameters."""
    rng = np.random.default_rng(0)
    ours = [manual.Parameter(rng.standard_normal(shape).astype(dtype)) for shape in shapes or shapes_of(name)]
    theirs = [torch.nn.Parameter(torch.tensor(parameter.data)) for parameter in ours]
    return getattr(manual, name)(ours, **settings), getattr(torch.optim, name)(theirs, **settings)


def of(optimizer):
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def gradient(rng, shape, rows):
    """A random gradient; of some rows only, one of them twice, or of none, if it shall be of `rows`."""
    size = 10 ** rng.uniform(-3, 1)
    if not rows:
        return size * rng.standard_normal(shape)
    indices = rng.integers(0, shape[0], rng.integers(0, 4))
    indices = np.concatenate([indices, indices[:1]])
    return manual.RowGradient(indices, size * rng.standard_normal((len(indices), *shape[1:])), shape)


def give(parameter, grad):
    """A gradient to a parameter of ours or of torch's."""
    if isinstance(parameter, manual.Parameter):
        parameter.grad = grad.astype(parameter.dtype)
    elif isinstance(grad, manual.RowGradient):
        values = torch.tensor(grad.rows, dtype=parameter.dtype)
        parameter.grad = torch.sparse_coo_tensor(torch.tensor(grad.indices)[None], values, grad.shape, check_invariants=True)
    else:
        parameter.grad = torch.tensor(grad, dtype=parameter.dtype)


def steps(count, *optimizers, seed=1, rows=False):
    """So many steps of each, fed the same gradients; some are large and some are next to nothing."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        for each in zip(*map(of, optimizers), strict=True):
            grad = gradient(rng, tuple(each[0].shape), rows)
            for parameter in each:
                give(parameter, grad)
        for optimizer in optimizers:
            optimizer.step()


def assert_near_states(ours, theirs, tolerance=1e-10):
    """What is remembered of each parameter, also what no step reads, such as the mean of ASGD."""
    for parameter, tensor in zip(of(ours), of(theirs), strict=True):
        mine, other = ours.state.get(parameter, {}), theirs.state.get(tensor, {})
        for key in mine.keys() | {key for key, value in other.items() if value is not None}:
            got, expected = (value.dense() if hasattr(value, "dense") else value for value in (mine[key], to_manual(other[key])))
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance, err_msg=key)


def assert_near(ours, theirs, tolerance=1e-10):
    for parameter, tensor in zip(of(ours), of(theirs), strict=True):
        expected = tensor.detach().numpy()
        assert parameter.data.dtype == expected.dtype
        assert math.isfinite(np.abs(expected).max(initial=0))
        np.testing.assert_allclose(parameter.data, expected, rtol=tolerance, atol=tolerance)
