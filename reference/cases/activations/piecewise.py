"""Cases of the activations made of straight pieces."""

import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, build, normal
from reference.cases.activations.pointwise import pointwise


def _relu(m, x):
    return m.where(m.real(x) > 0, x, 0 * x)


OPERATIONS = (pointwise(manual.relu, F.relu, _relu, Case("at the kink", ([-1.0, -0.0, 0.0, 1.0],), smooth=False), kinks=(0.0,)),)

MODULES = (ModuleCase(build("ReLU"), Case("ordinary", (normal(4, 5),))),)
