"""Cases of the norms of each sample."""

import math

import torch
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal, offset
from reference.exact import detach


def standardized(x, axes, eps, mean=None, var=None):
    """Terms of (x − mean) / √(var + eps): what moves the numerator, and what moves the denominator.

    Where x is its own mean, or nearly, rounding moves x̂ as far as elsewhere, and with it the gradient of a weight: by what it moves
    the mean, a sum. So for that there are two terms more, which cancel: half the mean of |x̂|, added and subtracted.
    """
    count = max(math.prod(x.shape[axis] for axis in axes), 1)
    centred = x - (x.sum(axis=axes, keepdims=True) / count if mean is None else mean)
    spread = (centred**2).sum(axis=axes, keepdims=True) / count if var is None else var
    terms = scaled(centred, (spread + eps) ** -0.5)
    if mean is not None:
        return terms
    of_mean = abs(detach(terms[0])).sum(axis=axes, keepdims=True) / count / 2 + 0 * detach(x)
    return [*terms, of_mean, -of_mean]


def scaled(x, inverse):
    """Terms of x · inverse, by the product rule, which cancel."""
    return [x * detach(inverse), detach(x) * (inverse - detach(inverse))]


def affine(terms, weight, bias):
    """Terms of weight · x̂ + bias."""
    terms = terms if weight is None else [weight * term for term in terms]
    return terms if bias is None else [*terms, bias]


def by_channel(array, x):
    """A number for each channel of x (N, C, ...)."""
    return array if array is None else array.reshape(array.shape + (1,) * (x.ndim - 2))


def _last(x, normalized_shape):
    return tuple(range(x.ndim - len(normalized_shape), x.ndim))


def _layer_norm(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    return affine(standardized(x, _last(x, normalized_shape), eps), weight, bias)


def _torch_layer_norm(x, weight=None, bias=None, *, normalized_shape, eps=1e-5):
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def _rms_norm(x, weight=None, *, normalized_shape, eps=None):
    size = max(math.prod(normalized_shape), 1)
    mean = (x**2).sum(axis=_last(x, normalized_shape), keepdims=True) / size
    return affine(scaled(x, (mean + eps) ** -0.5), weight, None)


def _torch_rms_norm(x, weight=None, *, normalized_shape, eps=None):
    return F.rms_norm(x, normalized_shape, weight, eps)


def _group_norm(x, weight=None, bias=None, *, num_groups, eps=1e-5):
    groups = x.reshape(len(x), num_groups, x.shape[1] // num_groups, *x.shape[2:])
    terms = [term.reshape(x.shape) for term in standardized(groups, tuple(range(2, groups.ndim)), eps)]
    return affine(terms, by_channel(weight, x), by_channel(bias, x))


def _torch_group_norm(x, weight=None, bias=None, *, num_groups, eps=1e-5):
    if weight is None and bias is not None:
        weight = torch.ones_like(bias)  # without it, torch's backward fails
    return F.group_norm(x, num_groups, weight, bias, eps)


ALONE = "a number alone is its own mean, but torch does not subtract it exactly"
EMPTY = "torch divides by the number of values, 0"
TWO = "two numbers in a group, which may be nearer to one another than to 0, so that torch loses their spread"
FAR = "numbers a thousand times as large as their spread, whose mean torch rounds"

_four: dict = {"normalized_shape": (4,)}
_two_axes: dict = {"normalized_shape": (3, 2)}
_weights = normal(4), normal(4)

_layer_cases = (
    Case("batch of 3", (normal(3, 4), *_weights), _four),
    Case("no batch", (normal(4), *_weights), _four),
    Case("two batch axes", (normal(2, 3, 4), *_weights), _four),
    Case("two axes", (normal(2, 3, 2), normal(3, 2), normal(3, 2)), _two_axes),
    Case("two axes, no batch", (normal(3, 2), normal(3, 2), normal(3, 2)), _two_axes),
    Case("no weight, no bias", (normal(3, 4),), _four),
    Case("no bias", (normal(3, 4), normal(4)), _four),
    Case("bias alone", (normal(3, 4), None, normal(4)), _four),
    Case("eps", (normal(3, 4), *_weights), {**_four, "eps": 0.5}),
    Case("eps = 0", (normal(3, 4), *_weights), {**_four, "eps": 0.0}),
    Case("batch of 0", (normal(0, 4), *_weights), _four, zero=("grad_1", "grad_2")),
    Case("batch of 1", (normal(1, 4), *_weights), _four),
    Case("no features", (normal(2, 0), normal(0), normal(0)), {"normalized_shape": (0,)}),
    Case(
        "one feature",
        (normal(3, 1), normal(1), normal(1)),
        {"normalized_shape": (1,)},
        zero=("grad_0", "grad_1"),
        torch_loses=ALONE,
    ),
    Case("two features", (normal(3, 2), normal(2), normal(2)), {"normalized_shape": [2]}),
    Case("a constant sample", ([[0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.3, 0.5]], *_weights), _four),
    Case("small spread", (normal(2, 4, scale=1e-4), *_weights), _four),
    Case("large", (normal(2, 4, scale=1e6), *_weights), _four),
    Case("far from 0", (offset(1000, 2, 6), normal(6), normal(6)), {"normalized_shape": (6,)}, torch_loses=FAR),
    Case("far from 0, no weight", (offset(-3000, 2, 6),), {"normalized_shape": (6,)}, torch_loses=FAR),
)

_rms_cases = (
    Case("batch of 3", (normal(3, 4), normal(4)), {**_four, "eps": 1e-5}),
    Case("no batch", (normal(4), normal(4)), {**_four, "eps": 1e-5}),
    Case("two batch axes", (normal(2, 3, 4), normal(4)), {**_four, "eps": 1e-5}),
    Case("two axes", (normal(2, 3, 2), normal(3, 2)), {**_two_axes, "eps": 0.25}),
    Case("no weight", (normal(3, 4),), {**_four, "eps": 1e-5}),
    Case("eps = 0", (normal(3, 4), normal(4)), {**_four, "eps": 0.0}),
    Case("without eps", (normal(1, 4, scale=1e-12), normal(4)), _four, judge="torch"),  # so small that nothing cancels
    Case("batch of 0", (normal(0, 4), normal(4)), {**_four, "eps": 1e-5}, zero=("grad_1",)),
    Case("batch of 1", (normal(1, 4), normal(4)), {**_four, "eps": 1e-5}),
    Case("no features", (normal(2, 0), normal(0)), {"normalized_shape": (0,), "eps": 1e-5}),
    Case("one feature", (normal(3, 1), normal(1)), {"normalized_shape": (1,), "eps": 1e-5}),
    Case("zeros", ([[0.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.3, 0.5]], normal(4)), {**_four, "eps": 1e-5}),
    Case("large", (normal(2, 4, scale=1e6), normal(4)), {**_four, "eps": 1e-5}),
)

_group_cases = (
    Case("batch of 3", (normal(3, 4), *_weights), {"num_groups": 2}, torch_loses=TWO),
    Case("sequences", (normal(2, 4, 3), *_weights), {"num_groups": 2}),
    Case("images", (normal(1, 4, 2, 2), *_weights), {"num_groups": 2}),
    Case("one group", (normal(2, 4, 2), *_weights), {"num_groups": 1}),
    Case("a group for each channel", (normal(2, 4, 3), *_weights), {"num_groups": 4}),
    Case("no weight, no bias", (normal(2, 4, 3),), {"num_groups": 2}),
    Case("no bias", (normal(2, 4, 3), normal(4)), {"num_groups": 2}),
    Case("bias alone", (normal(2, 4, 3), None, normal(4)), {"num_groups": 2}),
    Case("eps", (normal(2, 4, 3), *_weights), {"num_groups": 2, "eps": 0.5}),
    Case("batch of 0", (normal(0, 4, 3), *_weights), {"num_groups": 2}, zero=("grad_1", "grad_2")),
    Case("no cells", (normal(2, 4, 0), *_weights), {"num_groups": 2}, zero=("grad_1", "grad_2"), torch_loses=EMPTY),
    Case("one value in a group", (normal(2, 4), *_weights), {"num_groups": 4}, zero=("grad_0", "grad_1"), torch_loses=ALONE),
    Case("far from 0", (offset(1000, 2, 4, 3), *_weights), {"num_groups": 2}, torch_loses=FAR),
)

OPERATIONS = (
    Operation(
        manual.layer_norm,
        _torch_layer_norm,
        _layer_norm,
        cases=_layer_cases,
        small=Case("64 × 128", (normal(64, 128), normal(128), normal(128)), {"normalized_shape": (128,)}),
        large=Case("4096 × 1024", (normal(4096, 1024), normal(1024), normal(1024)), {"normalized_shape": (1024,)}),
    ),
    Operation(
        manual.rms_norm,
        _torch_rms_norm,
        _rms_norm,
        cases=_rms_cases,
        small=Case("64 × 128", (normal(64, 128), normal(128)), {"normalized_shape": (128,)}),
        large=Case("4096 × 1024", (normal(4096, 1024), normal(1024)), {"normalized_shape": (1024,)}),
    ),
    Operation(
        manual.group_norm,
        _torch_group_norm,
        _group_norm,
        cases=_group_cases,
        small=Case("8 × 16 × 8 × 8", (normal(8, 16, 8, 8), normal(16), normal(16)), {"num_groups": 4}),
        large=Case("32 × 64 × 56 × 56", (normal(32, 64, 56, 56), normal(64), normal(64)), {"num_groups": 8}),
    ),
)

MODULES = (
    ModuleCase(build("LayerNorm", 4), Case("batch of 3", (normal(3, 4),))),
    ModuleCase(build("LayerNorm", (3, 2), 0.5), Case("two axes, eps", (normal(2, 3, 2),))),
    ModuleCase(build("LayerNorm", [4], bias=False), Case("no bias", (normal(3, 4),))),
    ModuleCase(build("LayerNorm", 4, elementwise_affine=False), Case("not affine", (normal(3, 4),))),
    ModuleCase(build("RMSNorm", 4), Case("batch of 3", (normal(3, 4),))),
    ModuleCase(build("RMSNorm", (3, 2), 0.5), Case("two axes, eps", (normal(2, 3, 2),))),
    ModuleCase(build("RMSNorm", 4, elementwise_affine=False), Case("not affine", (normal(3, 4),))),
    ModuleCase(build("GroupNorm", 2, 4), Case("sequences", (normal(2, 4, 3),))),
    ModuleCase(build("GroupNorm", 2, 4, 0.5, bias=False), Case("no bias, eps", (normal(2, 4, 3),))),
    ModuleCase(build("GroupNorm", 2, 4, affine=False), Case("not affine", (normal(2, 4, 3),))),
)
