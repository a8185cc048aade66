"""Cases of batch and instance norm."""

from typing import Any

import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, offset, uniform
from reference.cases.layers.normalization import FAR, affine, by_channel, standardized


def _batch_norm(x, running_mean, running_var, weight=None, bias=None, *, training=False, momentum=0.1, eps=1e-5):
    mean, var = (by_channel(array, x) for array in ((None, None) if training else (running_mean, running_var)))
    axes = 0, *range(2, x.ndim)
    return affine(standardized(x, axes, eps, mean, var), by_channel(weight, x), by_channel(bias, x))


def _instance_norm(x, running_mean=None, running_var=None, weight=None, bias=None, *, use_input_stats=True, momentum=0.1, eps=1e-5):
    mean, var = (by_channel(array, x) for array in ((None, None) if use_input_stats else (running_mean, running_var)))
    axes = tuple(range(2, x.ndim))
    return affine(standardized(x, axes, eps, mean, var), by_channel(weight, x), by_channel(bias, x))


_running = normal(3), uniform(0.5, 2, 3)
_weights = normal(3), normal(3)


def _with(label, x, running, weights, zero=(), torch_loses="", **constants: Any):
    """A case; running statistics have no gradient."""
    no_grad = ("grad_1", "grad_2") if running != (None, None) else ()
    return Case(label, (x, *running, *weights), constants, zero=zero, no_grad=no_grad, torch_loses=torch_loses)


_none = None, None
_no_weight = ("grad_3", "grad_4")

_batch_cases = (
    _with("batch of 5", normal(5, 3), _running, _weights, training=True),
    _with("sequences", normal(3, 3, 2), _running, _weights, training=True),
    _with("images", normal(2, 2, 2, 2), (normal(2), uniform(0.5, 2, 2)), (normal(2), normal(2)), training=True),
    _with("volumes", normal(1, 2, 2, 2, 2), _none, (normal(2), normal(2)), training=True),
    _with("one sample", normal(1, 3, 4), _none, _weights, training=True),
    _with("no running statistics", normal(5, 3), _none, _weights, training=True),
    _with("no weight, no bias", normal(5, 3), _none, (), training=True),
    _with("no bias", normal(5, 3), _none, (normal(3),), training=True),
    _with("bias alone", normal(5, 3), _none, (None, normal(3)), training=True),
    _with("eps", normal(5, 3), _running, _weights, training=True, eps=0.5),
    _with("momentum", normal(5, 3), _running, _weights, training=True, momentum=0.9),
    _with("two samples", normal(2, 3), _none, _weights, training=True),
    _with("a constant channel", [[0.5, 0.5], [0.5, 0.1], [0.5, 0.2]], _none, (normal(2), normal(2)), training=True),
    _with("batch of 0", normal(0, 3), _running, _weights, zero=_no_weight, training=True),
    _with("no cells", normal(2, 3, 0), _none, _weights, zero=_no_weight, training=True),
    _with("far from 0", offset(1000, 6, 3), _none, _weights, torch_loses=FAR, training=True),
    _with("far from 0, sequences", offset(-3000, 2, 3, 3), _none, _weights, torch_loses=FAR, training=True),
    _with("evaluation", normal(4, 3), _running, _weights),
    _with("evaluation, images", normal(2, 3, 2, 1), _running, _weights),
    _with("evaluation, one value", normal(1, 3), _running, _weights),
    _with("evaluation, no weight, no bias", normal(4, 3), _running, ()),
    _with("evaluation, bias alone", normal(4, 3), _running, (None, normal(3))),
    _with("evaluation, eps", normal(4, 3), _running, _weights, eps=0.5),
    _with("evaluation, eps = 0", normal(4, 3), _running, _weights, eps=0.0),
    _with("evaluation, batch of 0", normal(0, 3), _running, _weights, zero=_no_weight),
)

_instance_cases = (
    _with("sequences", normal(2, 3, 4), _none, _weights),
    _with("images", normal(1, 3, 2, 2), _none, _weights),
    _with("volumes", normal(1, 2, 2, 2, 2), _none, (normal(2), normal(2))),
    _with("running statistics", normal(2, 3, 4), _running, _weights),
    _with("momentum", normal(2, 3, 4), _running, _weights, momentum=0.9),
    _with("no weight, no bias", normal(2, 3, 4), _none, ()),
    _with("no bias", normal(2, 3, 4), _none, (normal(3),)),
    _with("bias alone", normal(2, 3, 4), _none, (None, normal(3))),
    _with("eps", normal(2, 3, 4), _none, _weights, eps=0.5),
    _with("two cells", normal(2, 3, 2), _none, _weights),
    _with("far from 0", offset(1000, 2, 3, 6), _none, _weights, torch_loses=FAR),
    _with("given statistics", normal(2, 3, 2), _running, _weights, use_input_stats=False),
    _with("given statistics, one cell", normal(2, 3, 1), _running, _weights, use_input_stats=False),
    _with("given statistics, no cell axis", normal(2, 3), _running, _weights, use_input_stats=False),
    _with("given statistics, no weight, no bias", normal(2, 3, 2), _running, (), use_input_stats=False),
)

OPERATIONS = (
    Operation(
        manual.batch_norm,
        F.batch_norm,
        _batch_norm,
        cases=_batch_cases,
        small=_with("64 × 128", normal(64, 128), _none, (normal(128), normal(128)), training=True),
        large=_with("32 × 64 × 56 × 56", normal(32, 64, 56, 56), _none, (normal(64), normal(64)), training=True),
    ),
    Operation(
        manual.instance_norm,
        F.instance_norm,
        _instance_norm,
        cases=_instance_cases,
        small=_with("8 × 16 × 8 × 8", normal(8, 16, 8, 8), _none, (normal(16), normal(16))),
        large=_with("32 × 64 × 56 × 56", normal(32, 64, 56, 56), _none, (normal(64), normal(64))),
    ),
)


def _modules(kind, shapes, label, *args: Any, training=True, **kwargs: Any):
    """The module in one, two and three dimensions."""
    return [
        ModuleCase(build(f"{kind}{len(shape) - 2}d", shape[1], *args, **kwargs), Case(label, (normal(*shape),)), training=training)
        for shape in shapes
    ]


_shapes = (2, 3, 4), (2, 3, 2, 2), (2, 3, 2, 1, 2)

MODULES = (
    *_modules("BatchNorm", _shapes, "training"),
    *_modules("BatchNorm", _shapes, "evaluation", training=False),
    *_modules("BatchNorm", _shapes[:1], "eps and momentum", 0.5, 0.75),
    *_modules("BatchNorm", _shapes[:1], "momentum=None", momentum=None),
    *_modules("BatchNorm", _shapes[:1], "not affine", affine=False),
    *_modules("BatchNorm", _shapes[:1], "no bias", bias=False),
    *_modules("BatchNorm", _shapes[:1], "no running statistics", track_running_stats=False),
    *_modules("BatchNorm", _shapes[:1], "no running statistics, evaluation", track_running_stats=False, training=False),
    ModuleCase(build("BatchNorm1d", 3), Case("no cell axis", (normal(4, 3),))),
    ModuleCase(build("BatchNorm1d", 3), Case("batch of 0", (normal(0, 3),), zero=("grad_weight", "grad_bias"))),
    *_modules("InstanceNorm", _shapes, "batch of 2"),
    *_modules("InstanceNorm", _shapes, "running statistics", track_running_stats=True),
    *_modules("InstanceNorm", _shapes, "running statistics, evaluation", track_running_stats=True, training=False),
    *_modules("InstanceNorm", _shapes[:1], "evaluation", training=False),
    *_modules("InstanceNorm", _shapes[:1], "affine, eps and momentum", 0.5, 0.75, True, True),
    *_modules("InstanceNorm", _shapes[:1], "affine, no bias", affine=True, bias=False),
    *_modules("InstanceNorm", _shapes[:1], "momentum=None", momentum=None, track_running_stats=True),
    *(
        ModuleCase(build(f"InstanceNorm{d}d", 3, affine=True, track_running_stats=True), Case("no batch", (normal(*shape[1:]),)))
        for d, shape in enumerate(_shapes, start=1)
    ),
)
