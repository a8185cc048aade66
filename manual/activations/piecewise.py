"""Activations made of straight pieces."""

import numpy as np

from manual.contract import Array, Backward, cotangent, require_floats
from manual.module import Module


def relu(x: Array, /) -> tuple[Array, Backward]:
    """Keep what is positive.

    Forward:   y = max(x, 0)
    Backward:  grad_x = grad_y where x > 0, else 0
    Shapes:    x, y (...)
    Kinks:     the gradient at 0 is 0
    Source:    Nair & Hinton 2010, Rectified Linear Units Improve Restricted Boltzmann Machines
    """
    require_floats("relu", "x", x)
    output = np.maximum(x, 0.0, out=...)

    def backward(grad_output):
        # Read from the output, which the next layer keeps anyway, so that x itself can be freed. It is never negative; `!=` lets
        # the gradient at NaN pass, as torch does, where `>` would stop it.
        grad_output = cotangent("relu", grad_output, output.shape, output.dtype)
        return (np.multiply(grad_output, (output != 0.0).astype(output.dtype), out=...),)

    return output, backward


class ReLU(Module):
    """`relu` as a module."""

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Apply `relu` to each element."""
        return self.call(relu, (input,))
