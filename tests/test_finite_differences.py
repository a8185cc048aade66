"""Each backward against differences of its own forward: a witness that shares nothing with autograd or the definitions."""

import numpy as np
import pytest

from reference.agreement import differentiable, reference

# Sixth-order central differences: f′ ≈ Σ wₖ (f(x + k h) − f(x − k h)) / h
WEIGHTS = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))


def test_finite_differences(operation, case):
    """The slope of ⟨g, y⟩ along a random direction v is ⟨grad, v⟩.

    With steps h = 1e-4 · min(1, |x|), shorter where a kink is near, the formula's error is about h⁶ = 1e-24 of the derivative,
    and rounding adds some u · |g||y| to each of six values: the bounds are 1e-9 and 100 u. A gradient off by a millionth fails.
    """
    if not case.smooth:
        pytest.skip("at a kink, or at the edge of the domain: differences do not tell the derivative")
    arrays = case.build(operation.name, np.float64)
    grad_output, _, truth = reference(operation, case, np.float64)
    output, backward = operation.manual(*arrays, **case.constants)
    if not np.isfinite(output).all():
        pytest.skip("the output is not finite, so differences do not exist; the agreement test holds this case against torch")
    grads = backward(grad_output)
    generator = np.random.default_rng(7)
    for position, wanted in enumerate(differentiable(case, arrays)):
        if not wanted:
            continue
        x = arrays[position]
        room = np.abs([x - kink for kink in (0.0, *operation.kinks)]).min(axis=0)
        direction = 1e-4 * np.minimum(1, room) * generator.uniform(0.5, 1, x.shape) * generator.choice([-1.0, 1.0], x.shape)

        def along(step, position=position, direction=direction):
            moved = (*arrays[:position], arrays[position] + step * direction, *arrays[position + 1 :])
            return np.vdot(grad_output, operation.manual(*moved, **case.constants)[0])

        slope = sum(weight * (along(k) - along(-k)) for k, weight in WEIGHTS)
        scale = float(np.sum(np.abs(direction) * truth.grad_scales[position].astype(float))) + 1e-30
        rounding = 100 * 1.1e-16 * float(np.sum(np.abs(grad_output * output)))
        assert abs(slope - np.vdot(grads[position], direction)) <= 1e-9 * scale + rounding
