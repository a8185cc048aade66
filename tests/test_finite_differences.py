"""Each backward against differences of its own forward: a witness that shares nothing with autograd or the definitions."""

import numpy as np

from reference.agreement import reference, wanted
from reference.structure import is_float, leaves, named_gradients, rebuild

# Sixth-order central differences: f′ ≈ Σ wₖ (f(x + k h) − f(x − k h)) / h
WEIGHTS = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))


def test_finite_differences(operation, case):
    """The slope of ⟨g, y⟩ along a random direction v is ⟨grad, v⟩.

    At a kink or at the edge of the domain, differences do not tell the derivative, and where the output is not finite there are
    none: the agreement test alone holds such cases.

    With steps h = 1e-4 · min(1, |x|), shorter where a kink is near, the formula's error is about h⁶ = 1e-24 of the derivative,
    and rounding adds some u · |g||y| to each of six values: the bounds are 1e-9 and 100 u. A gradient off by a millionth fails.
    """
    if not case.smooth:
        return
    arguments = case.build(operation.name, np.float64)
    grad_output, _, truth, *_ = reference(operation, case, np.float64)
    output, backward = operation.manual(*arguments, **case.constants)
    if not all(np.isfinite(part).all() for part in leaves(output) if is_float(part)):
        return
    grads = named_gradients(backward(grad_output))
    generator = np.random.default_rng(7)

    def weighted(output):
        """⟨g, y⟩, and what its rounding is measured by."""
        products = [g * y for g, y in zip(leaves(grad_output), leaves(output), strict=True) if g is not None]
        return sum(float(product.sum()) for product in products), sum(float(np.abs(product).sum()) for product in products)

    parts = named_gradients(arguments)
    for name in wanted(case, arguments):
        x = parts[name]
        room = np.abs([x - kink for kink in (0.0, *operation.kinks)]).min(axis=0)
        direction = 1e-4 * np.minimum(1, room) * generator.uniform(0.5, 1, x.shape) * generator.choice([-1.0, 1.0], x.shape)

        def along(step, name=name, x=x, direction=direction):
            moved = rebuild(arguments, (parts | {name: x + step * direction}).values())
            return weighted(operation.manual(*moved, **case.constants)[0])[0]

        slope = sum(weight * (along(k) - along(-k)) for k, weight in WEIGHTS)
        scale = float(np.sum(np.abs(direction) * truth[name].scale.astype(float))) + 1e-30
        rounding = 100 * 1.1e-16 * weighted(output)[1]
        assert abs(slope - np.vdot(grads[name], direction)) <= 1e-9 * scale + rounding
