"""Cases of padding."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal


def _pad(x, pad, mode="constant", value=None):
    for axis, before, after in zip(range(x.ndim)[::-1], pad[::2], pad[1::2]):
        if mode == "circular":
            x = x.take(np.arange(max(-before, 0), x.shape[axis] - max(-after, 0)), axis)
            before, after = max(before, 0), max(after, 0)
        last = x.shape[axis] - 1
        place = {
            "constant": lambda s, last=last: s if 0 <= s <= last else None,
            "reflect": lambda s, last=last: last - abs(last - abs(s)),
            "replicate": lambda s, last=last: min(max(s, 0), last),
            "circular": lambda s, last=last: s % (last + 1),
        }[mode]
        sources = [place(s) for s in range(-before, last + 1 + after)]
        other = np.full(x.shape[:axis] + x.shape[axis + 1 :], value or 0, dtype=object)
        cells = [other if s is None else x.take(s, axis) for s in sources]
        x = np.stack(cells, axis) if cells else x.take([], axis)
    return x


_constant = (
    Case("two axes", (normal(2, 3, 4),), {"pad": (1, 2, 0, 1)}),
    Case("one axis", (normal(4),), {"pad": [2, 1]}),
    Case("a value", (normal(2, 3),), {"pad": (1, 0, 0, 2), "value": -1.5}),
    Case("an infinite value", (normal(2, 3),), {"pad": (1, 1), "value": np.inf}),
    Case("all of four axes", (normal(1, 2, 2, 3),), {"pad": (1, 0, 0, 1, 2, 0, 1, 1), "value": 2.0}),
    Case("no axis", (normal(2, 3),), {"pad": ()}),
    Case("a single number", (normal(),), {"pad": ()}),
    Case("nothing", (normal(2, 3),), {"pad": (0, 0)}),
    Case("cut", (normal(4, 5),), {"pad": (-1, -2, 0, -1)}),
    Case("cut and added", (normal(4, 5),), {"pad": (-1, 2, 3, -2), "value": 0.5}),
    Case("all cut", (normal(3, 4),), {"pad": (-1, -3)}, zero=("grad_0",)),
    Case("all cut and added to", (normal(3, 4),), {"pad": (-4, 2)}, zero=("grad_0",)),
    Case("batch of 0", (normal(0, 3),), {"pad": (1, 1)}),
    Case("empty axes grow", (normal(2, 0, 0),), {"pad": (1, 1, 2, 0), "value": 3.0}),
)


def _repeating(mode, *others: Case):
    return (
        Case(f"{mode}, 1d", (normal(2, 3, 4),), {"pad": (1, 2), "mode": mode}),
        Case(f"{mode}, 1d, no batch", (normal(2, 4),), {"pad": (2, 0), "mode": mode, "value": 0}),
        Case(f"{mode}, 1d, after alone", (normal(1, 2, 4),), {"pad": (0, 3), "mode": mode}),
        Case(f"{mode}, 2d", (normal(2, 2, 3, 4),), {"pad": (1, 3, 2, 1), "mode": mode}),
        Case(f"{mode}, 2d, no batch", (normal(1, 3, 3),), {"pad": (1, 1, 2, 2), "mode": mode}),
        Case(f"{mode}, 3d", (normal(1, 2, 2, 3, 2),), {"pad": (1, 1, 2, 0, 1, 0), "mode": mode}),
        Case(f"{mode}, 3d, no batch", (normal(1, 2, 3, 2),), {"pad": (0, 1, 1, 2, 1, 1), "mode": mode}),
        Case(f"{mode}, no cells", (normal(1, 2, 3),), {"pad": (0, 0), "mode": mode}),
        Case(f"{mode}, cut", (normal(1, 2, 5),), {"pad": (-1, -2), "mode": mode}),
        Case(f"{mode}, cut before, added after", (normal(2, 5),), {"pad": (-2, 3), "mode": mode}),
        Case(f"{mode}, added before, cut after", (normal(2, 5),), {"pad": (3, -2), "mode": mode}),
        Case(f"{mode}, 2d, cut and added", (normal(1, 4, 3),), {"pad": (-1, 2, 1, -2), "mode": mode}),
        Case(f"{mode}, 2d, a whole axis cut", (normal(1, 2, 3),), {"pad": (1, 1, -2, 0), "mode": mode}, zero=("grad_0",)),
        Case(f"{mode}, batch of 0", (normal(0, 2, 3),), {"pad": (1, 2), "mode": mode}),
        *others,
    )


OPERATIONS = (
    Operation(
        manual.pad,
        F.pad,
        _pad,
        cases=(
            *_constant,
            *_repeating(
                "reflect",
                Case("reflect, what is cut shows again", (normal(1, 4),), {"pad": (-3, 3), "mode": "reflect"}),
                Case("reflect, beyond what is cut", (normal(1, 4),), {"pad": (3, -5), "mode": "reflect"}),
                Case("reflect, all but the edge", (normal(2, 3),), {"pad": (2, 2), "mode": "reflect"}),
            ),
            *_repeating(
                "replicate",
                Case("replicate, one cell", (normal(2, 1),), {"pad": (3, 2), "mode": "replicate"}),
                Case("replicate, what is cut shows again", (normal(1, 4),), {"pad": (-5, 3), "mode": "replicate"}),
            ),
            *_repeating(
                "circular",
                Case("circular, twice as many", (normal(2, 3),), {"pad": (3, 3), "mode": "circular"}),
                Case("circular, no channels", (normal(0, 3),), {"pad": (1, 1), "mode": "circular"}),
                Case("circular, all cut", (normal(2, 3),), {"pad": (-1, -2), "mode": "circular"}, zero=("grad_0",)),
            ),
        ),
        small=Case("8 × 16 × 28 × 28 by 1, zeros", (normal(8, 16, 28, 28),), {"pad": (1, 1, 1, 1)}),
        large=Case("32 × 64 × 56 × 56 by 3, reflect", (normal(32, 64, 56, 56),), {"pad": (3, 3, 3, 3), "mode": "reflect"}),
    ),
)

_SHAPES = {1: (2, 4), 2: (2, 4, 3), 3: (1, 2, 3, 3, 4)}
_PADS = {1: (1, 2), 2: (2, 1, -1, 3), 3: (1, 0, 1, -1, 2, 1)}

MODULES = tuple(
    ModuleCase(build(f"{name}{axes}d", padding, *value), Case(label, (normal(*_SHAPES[axes]),)))
    for name, value in (
        ("ConstantPad", (1.5,)),
        ("ZeroPad", ()),
        ("ReflectionPad", ()),
        ("ReplicationPad", ()),
        ("CircularPad", ()),
    )
    for axes in (1, 2, 3)
    for label, padding in (("the same everywhere", 1), ("each side its own", _PADS[axes]))
)
