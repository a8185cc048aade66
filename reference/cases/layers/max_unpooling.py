"""Cases of max unpooling."""

import numpy as np
import torch.nn.functional as F

import manual
from reference.case import Case, ModuleCase, Operation, build, normal
from reference.cases.layers.max_pooling import each_axis


def _definition(axes):
    def max_unpool(x, indices, kernel_size, stride=None, padding=0, output_size=None):
        stride = kernel_size if stride is None else stride
        given = [each_axis(value, axes) for value in (kernel_size, stride, padding)]
        sizes = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(x.shape[-axes:], *given)]
        shape = (*x.shape[:-axes], *(sizes if output_size is None else output_size[-axes:]))
        output = np.zeros(shape, dtype=object)
        for place in np.ndindex(x.shape):
            output[place[:-axes]].reshape(-1)[indices[place]] = x[place]
        return output

    return max_unpool


def places(cells, *shape: int):
    """For each of the images, so many different cells of `cells`."""

    def draw(generator):
        images = int(np.prod(shape[:2]))
        of_each = [generator.permutation(cells)[: int(np.prod(shape[2:]))] for _ in range(images)]
        return np.asarray(of_each, dtype=int).reshape(shape)

    return draw


def _one_image(draw):
    return lambda generator: draw(generator)[0]


OPERATIONS = (
    Operation(
        manual.max_unpool1d,
        F.max_unpool1d,
        _definition(1),
        cases=(
            Case("width 2", (normal(2, 2, 3), places(6, 2, 2, 3)), {"kernel_size": 2}),
            Case("no batch", (normal(2, 3), _one_image(places(6, 1, 2, 3))), {"kernel_size": 2}),
            Case("overlapping, padded", (normal(2, 2, 3), places(5, 2, 2, 3)), {"kernel_size": 3, "stride": 2, "padding": 1}),
            Case("a longer output", (normal(2, 2, 3), places(7, 2, 2, 3)), {"kernel_size": 2, "output_size": (7,)}),
            Case("a shorter output", (normal(2, 2, 3), places(5, 2, 2, 3)), {"kernel_size": 2, "output_size": (2, 2, 5)}),
            Case("batch of 0", (normal(0, 2, 3), places(6, 0, 2, 3)), {"kernel_size": 2}),
            Case("a cell twice", (normal(1, 3), [[4, 1, 4]]), {"kernel_size": 2}, judge="torch", smooth=False),
        ),
        small=Case("width 2, 16×16×32", (normal(16, 16, 32), places(64, 16, 16, 32)), {"kernel_size": 2}),
        large=Case("width 2, 64×64×512", (normal(64, 64, 512), places(1024, 64, 64, 512)), {"kernel_size": 2}),
    ),
    Operation(
        manual.max_unpool2d,
        F.max_unpool2d,
        _definition(2),
        cases=(
            Case("2×2", (normal(2, 2, 2, 3), places(24, 2, 2, 2, 3)), {"kernel_size": 2}),
            Case("no batch", (normal(2, 2, 3), _one_image(places(24, 1, 2, 2, 3))), {"kernel_size": 2}),
            Case(
                "each axis its own",
                (normal(1, 2, 2, 3), places(24, 1, 2, 2, 3)),
                {"kernel_size": (2, 3), "stride": (3, 1), "padding": (1, 0), "output_size": (5, 5)},
            ),
        ),
        small=Case("2×2, 16×16×4×4", (normal(16, 16, 4, 4), places(64, 16, 16, 4, 4)), {"kernel_size": 2}),
        large=Case("2×2, 32×64×28×28", (normal(32, 64, 28, 28), places(3136, 32, 64, 28, 28)), {"kernel_size": 2}),
    ),
    Operation(
        manual.max_unpool3d,
        F.max_unpool3d,
        _definition(3),
        cases=(
            Case("2×2×2", (normal(1, 2, 1, 2, 2), places(32, 1, 2, 1, 2, 2)), {"kernel_size": 2}),
            Case(
                "no batch, each axis its own",
                (normal(2, 2, 1, 2), _one_image(places(40, 1, 2, 2, 1, 2))),
                {"kernel_size": (2, 3, 1), "stride": (3, 1, 2), "output_size": (1, 1, 6, 3, 3)},
            ),
        ),
        small=Case("2×2×2, 4×4×4×4×4", (normal(4, 4, 4, 4, 4), places(512, 4, 4, 4, 4, 4)), {"kernel_size": 2}),
        large=Case("2×2×2, 8×16×16×16×16", (normal(8, 16, 16, 16, 16), places(32768, 8, 16, 16, 16, 16)), {"kernel_size": 2}),
    ),
)

MODULES = (
    ModuleCase(build("MaxUnpool1d", 2), Case("longer", (normal(2, 2, 3), places(6, 2, 2, 3)), {"output_size": (7,)})),
    ModuleCase(build("MaxUnpool1d", 3, 2, 1), Case("padded", (normal(2, 2, 3), places(5, 2, 2, 3)))),
    ModuleCase(build("MaxUnpool2d", 2), Case("2×2", (normal(2, 2, 2, 3), places(24, 2, 2, 2, 3)))),
    ModuleCase(build("MaxUnpool3d", 2, stride=(2, 2, 1)), Case("2×2×2", (normal(1, 2, 1, 2, 2), places(24, 1, 2, 1, 2, 2)))),
)
