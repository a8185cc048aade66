"""Cases of the adaptive softmax, a module made of others."""

from reference.case import Case, ModuleCase, build, normal

_targets = [0, 7, 2, 3, 9, 5]  # in the shortlist and in every cluster

MODULES = (
    ModuleCase(build("AdaptiveLogSoftmaxWithLoss", 5, 10, [3, 6], div_value=2.0), Case("a batch", (normal(6, 5), _targets))),
    ModuleCase(
        build("AdaptiveLogSoftmaxWithLoss", 4, 6, [2], head_bias=True), Case("bias, one cluster", (normal(4, 4), [5, 1, 2, 0]))
    ),
    ModuleCase(build("AdaptiveLogSoftmaxWithLoss", 4, 6, [2]), Case("no batch", (normal(4), 3))),
)
