"""Cases of rotary positions, and of feed-forward layers with a gate."""

import numpy as np
import torch.nn.functional as F

import manual
from reference import twins
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.activations.gated import gelu_gate, sigmoid
from reference.exact import detach, each, mp

cos, sin = each(mp.cos), each(mp.sin)


def _rotary_embedding(x, base=10_000.0, offset=0):
    *_, length, size = x.shape
    frequency = np.array([mp.mpf(base) ** (-mp.mpf(i) / size) for i in range(0, size, 2)], dtype=object)
    angle = (np.arange(length) + offset)[:, None] * frequency
    first, second = x[..., ::2], x[..., 1::2]
    turned = first * cos(angle) - second * sin(angle), second * cos(angle) + first * sin(angle)
    return np.stack(turned, axis=-1).reshape(x.shape)


FAR = "torch's double precision rounds the angles, and the more the larger they are"
GELU = "torch's gelu loses digits far below zero"
SILU = "in torch's slope of silu 1 − σ(x) cancels where x is large"


def _opened(x, gate, up):
    """Terms of x · gate(x) · up: what moves x, which up may move as well, and what moves the gate. In the slope they cancel."""
    return [x * detach(gate) * up, detach(x) * (gate - detach(gate)) * detach(up)]


OPERATIONS = (
    Operation(
        manual.rotary_embedding,
        twins.rotary_embedding,
        _rotary_embedding,
        cases=(
            Case("a batch of heads", (normal(2, 2, 3, 4),)),
            Case("one sequence", (normal(5, 6),)),
            Case("one pair", (normal(4, 2),)),
            Case("another base", (normal(5, 4),), {"base": 3.5}),
            Case("a base below 1", (normal(3, 6),), {"base": 0.25}, torch_loses=FAR),
            Case("from a position on", (normal(4, 4),), {"offset": 3}),
            Case("far along", (normal(2, 6),), {"offset": 4095}, torch_loses=FAR),
            Case("one position", (normal(3, 1, 4),), {"offset": 1}),
            Case("batch of 0", (normal(0, 3, 4),)),
            Case("no positions", (normal(2, 0, 4),)),
            Case("no coordinates", (normal(2, 3, 0),)),
        ),
        small=Case("4 heads, 64 × 32", (normal(4, 64, 32),)),
        large=Case("16 × 8 heads, 256 × 64", (normal(16, 8, 256, 64),)),
    ),
    Operation(
        manual.swiglu,
        lambda gate, up: F.silu(gate) * up,
        lambda gate, up: _opened(gate, sigmoid(gate), up),
        cases=(
            Case("batch of 3", (normal(3, 4), normal(3, 4))),
            Case("no batch", (normal(4), normal(4))),
            Case("two batch axes", (normal(2, 3, 4), normal(2, 3, 4))),
            Case("a number", (0.5, -2.0)),
            Case("batch of 0", (normal(0, 4), normal(0, 4))),
            Case("gates far open and far closed", (normal(2, 6, scale=30), normal(2, 6)), torch_loses=SILU),
        ),
        small=Case("64 × 128", (normal(64, 128), normal(64, 128))),
        large=Case("2048 × 2048", (normal(2048, 2048), normal(2048, 2048))),
    ),
    Operation(
        manual.geglu,
        lambda gate, up, approximate="none": F.gelu(gate, approximate=approximate) * up,
        lambda gate, up, approximate="none": _opened(gate, gelu_gate(gate, approximate), up),
        cases=(
            Case("batch of 3", (normal(3, 4), normal(3, 4)), torch_loses=GELU),
            Case("no batch", (normal(4), normal(4)), torch_loses=GELU),
            Case("two batch axes", (normal(2, 3, 4), normal(2, 3, 4)), torch_loses=GELU),
            Case("a number", (0.5, -2.0)),
            Case("batch of 0", (normal(0, 4), normal(0, 4))),
            Case("approximate", (normal(3, 4), normal(3, 4)), {"approximate": "tanh"}, torch_loses=GELU),
        ),
        small=Case("64 × 128", (normal(64, 128), normal(64, 128))),
        large=Case("2048 × 2048", (normal(2048, 2048), normal(2048, 2048))),
    ),
)

MODULES = (
    ModuleCase(build("SwiGLU", 4, 6), Case("batch of 3", (normal(3, 4),))),
    ModuleCase(build("SwiGLU", 4, 6, bias=True), Case("a bias, no batch", (normal(4),))),
    ModuleCase(build("GeGLU", 4, 6), Case("sequences", (normal(2, 3, 4),))),
    ModuleCase(build("GeGLU", 4, 6, bias=True, approximate="tanh"), Case("a bias, approximate", (normal(3, 4),))),
)
