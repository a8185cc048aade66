"""Losses and their slopes, to be held against what is known of them."""

import numpy as np


def loss_and_slopes(loss, *arrays, **constants):
    """The loss, and each gradient divided by its cotangent: random powers of two, which round nothing."""
    output, backward = loss(*arrays, **constants)
    generator, shape = np.random.default_rng(0), output.shape
    grad_output = np.asarray(generator.choice([-1, 1], shape) * 2.0 ** generator.integers(-3, 4, shape), output.dtype)

    def slope(grad):
        """A gradient may have axes that the output has lost."""
        return grad / grad_output.reshape(shape + (1,) * (grad.ndim - len(shape)))

    return output, *(None if grad is None else slope(grad) for grad in backward(grad_output))
