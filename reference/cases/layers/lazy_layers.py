"""Cases of modules that read the number of their channels off the first input."""

from reference.case import Case, ModuleCase, build, normal

_SIZES = {1: (5,), 2: (4, 3), 3: (2, 3, 2)}


def _modules(axes, size):
    return (
        ModuleCase(build(f"LazyConv{axes}d", 4, 2), Case("batch", (normal(2, 3, *size),))),
        ModuleCase(
            build(f"LazyConv{axes}d", 4, 2, padding=1, groups=2, bias=False, padding_mode="replicate"),
            Case("no batch, groups, no bias", (normal(2, *size),)),
        ),
        ModuleCase(build(f"LazyConvTranspose{axes}d", 4, 2), Case("batch", (normal(2, 3, *size),))),
        ModuleCase(
            build(f"LazyConvTranspose{axes}d", 4, 2, stride=2, output_padding=1, groups=2),
            Case("no batch, groups", (normal(2, *size),)),
        ),
        ModuleCase(build(f"LazyBatchNorm{axes}d"), Case("batch", (normal(3, 2, *size),))),
        ModuleCase(build(f"LazyBatchNorm{axes}d", affine=False, momentum=None), Case("not affine", (normal(3, 2, *size),))),
        ModuleCase(build(f"LazyInstanceNorm{axes}d"), Case("batch", (normal(3, 2, *size),))),
        ModuleCase(build(f"LazyInstanceNorm{axes}d", track_running_stats=False), Case("no statistics", (normal(3, 2, *size),))),
    )


MODULES = tuple(case for axes, size in _SIZES.items() for case in _modules(axes, size))
