"""Cases of the linear layers."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal


def _linear(x, weight, bias=None):
    output = np.einsum("...j,ij->...i" if weight.ndim == 2 else "...j,j->...", x, weight)
    return output if bias is None else output + bias


def _bilinear(x1, x2, weight, bias=None):
    _, in1, in2 = weight.shape
    terms = [x1[..., i, None] * weight[:, i, j] * x2[..., j, None] for i in range(in1) for j in range(in2)]
    return terms if bias is None else [*terms, bias]


OPERATIONS = (
    Operation(
        manual.linear,
        F.linear,
        _linear,
        cases=(
            Case("batch of 5", (normal(5, 3), normal(4, 3), normal(4))),
            Case("no bias", (normal(5, 3), normal(4, 3), None)),
            Case("no batch", (normal(3), normal(4, 3), normal(4))),
            Case("no batch, no bias", (normal(3), normal(4, 3))),
            Case("batch of 0", (normal(0, 3), normal(4, 3), normal(4)), zero=("grad_1", "grad_2")),
            Case("batch of 1", (normal(1, 3), normal(4, 3), normal(4))),
            Case("two batch axes", (normal(2, 3, 4), normal(2, 4), normal(2))),
            Case("a batch axis of 0", (normal(2, 0, 4), normal(2, 4), normal(2)), zero=("grad_1", "grad_2")),
            Case("one output", (normal(5, 3), normal(1, 3), normal(1))),
            Case("one input", (normal(5, 1), normal(4, 1), normal(4))),
            Case("weight of one axis", (normal(5, 3), normal(3))),
            Case("weight of one axis, two batch axes", (normal(2, 5, 3), normal(3))),
            Case("weight of one axis, no batch", (normal(3), normal(3))),
            Case("weight of one axis, scalar bias, two batch axes", (normal(2, 5, 3), normal(3), normal())),
            Case("weight of one axis, scalar bias, no batch", (normal(3), normal(3), normal())),
            Case("scalar bias", (normal(5, 3), normal(4, 3), normal())),
            Case("bias of 1", (normal(2, 2, 3), normal(4, 3), normal(1))),
            Case("bias for each sample", (normal(5, 3), normal(4, 3), normal(5, 4))),
            Case("large values", (normal(5, 3, scale=1e6), normal(4, 3, scale=1e6), normal(4))),
        ),
        small=Case("128 → 128, batch 64", (normal(64, 128), normal(128, 128), normal(128))),
        large=Case("1024 → 1024, batch 256", (normal(256, 1024), normal(1024, 1024), normal(1024))),
    ),
    Operation(
        manual.bilinear,
        F.bilinear,
        _bilinear,
        cases=(
            Case("batch of 5", (normal(5, 3), normal(5, 2), normal(4, 3, 2), normal(4))),
            Case("no bias", (normal(5, 3), normal(5, 2), normal(4, 3, 2))),
            Case("no batch", (normal(3), normal(2), normal(4, 3, 2), normal(4))),
            Case("batch of 0", (normal(0, 3), normal(0, 2), normal(4, 3, 2), normal(4)), zero=("grad_2", "grad_3")),
            Case("batch of 1", (normal(1, 3), normal(1, 2), normal(4, 3, 2), normal(4))),
            Case("two batch axes", (normal(2, 3, 2), normal(2, 3, 2), normal(3, 2, 2), normal(3))),
            Case("one output", (normal(5, 3), normal(5, 2), normal(1, 3, 2), normal(1))),
        ),
        small=Case("32 × 32 → 32, batch 64", (normal(64, 32), normal(64, 32), normal(32, 32, 32), normal(32))),
        large=Case("128 × 128 → 128, batch 256", (normal(256, 128), normal(256, 128), normal(128, 128, 128), normal(128))),
    ),
)

MODULES = (
    ModuleCase(build("Linear", 3, 4), Case("batch of 5", (normal(5, 3),))),
    ModuleCase(build("Linear", 3, 4, bias=False), Case("no bias", (normal(2, 5, 3),))),
    ModuleCase(build("LazyLinear", 4), Case("batch of 5", (normal(5, 3),))),
    ModuleCase(build("LazyLinear", 4, bias=False), Case("no bias", (normal(2, 5, 3),))),
    ModuleCase(build("Bilinear", 3, 2, 4), Case("batch of 5", (normal(5, 3), normal(5, 2)))),
    ModuleCase(build("Bilinear", 3, 2, 4, bias=False), Case("no bias", (normal(5, 3), normal(5, 2)))),
    ModuleCase(build("Identity", 54, unused="argument"), Case("any arguments", (normal(5, 3),))),
)
