"""Recurrent steps: what one step in time makes of an input and the state before it.

A step works on what is left once the input and the hidden state have been multiplied by their weights: `of_input` = W_ih x + b_ih
and `of_hidden` = W_hh h + b_hh, both (N, gates · H), block after block. So a layer can multiply the inputs of all times at once.

A gate is a sigmoid. Its derivative is σ(a) σ(−a), and σ(−a) is not taken as 1 − σ(a), which has no digits left once a gate is wide
open; likewise the derivative of tanh is not 1 − tanh².
"""

import numpy as np

from manual.activations.piecewise import relu_curve
from manual.activations.smooth import tanh_curve
from manual.arrays import exp_range, largest, where_true
from manual.contract import Array, Backward


def total(of_input: Array, of_hidden: Array) -> Array:
    """The sum of both, as far as exp and tanh tell large numbers apart: farther out, σ(−a) is less than any normal number."""
    a, limit = of_input + of_hidden, exp_range(of_input.dtype)[1]
    return a if largest(a) <= limit else np.minimum(a, limit)


def gate(a: Array) -> tuple[Array, Array]:
    """How far a gate is open, σ(a), and how far it is closed, σ(−a)."""
    z = np.exp(a)
    denominator = 1.0 + z
    return z / denominator, 1.0 / denominator


def slope(opened: Array, closed: Array) -> Array:
    """The derivative of a gate, σ(a) σ(−a) = m (1 − m), m the smaller of both: the larger it is, the less its error matters."""
    m = np.minimum(opened, closed)
    return m * (1.0 - m)


# -- Steps: each returns the new state, a tuple, and its backward, which returns the gradients of `of_input`, of `of_hidden`, and of
# -- the old state as far as it does not go through `of_hidden`, `None` for nothing


def lstm_step(of_input: Array, of_hidden: Array, h: Array, c: Array) -> tuple[tuple[Array, Array], Backward]:
    """With a = of_input + of_hidden:  i, f, o = σ(a),  g = tanh(a);  c′ = f c + i g,  h′ = o tanh c′"""
    size = c.shape[1]
    a = total(of_input, of_hidden)
    (i_and_f, i_and_f_closed), (o, o_closed) = gate(a[:, : 2 * size]), gate(a[:, 3 * size :])
    g, g_slope = tanh_curve(a[:, 2 * size : 3 * size])
    i, f = i_and_f[:, :size], i_and_f[:, size:]
    new_c = f * c
    new_c += i * g
    shown, shown_slope = tanh_curve(new_c)

    def backward(grad_h, grad_c):
        grad_c = grad_c + grad_h * o * shown_slope
        grad_a = np.empty((len(c), 4 * size), c.dtype)
        np.multiply(grad_c, g, out=grad_a[:, :size])
        np.multiply(grad_c, c, out=grad_a[:, size : 2 * size])
        grad_a[:, : 2 * size] *= slope(i_and_f, i_and_f_closed)
        np.multiply(grad_c * i, g_slope, out=grad_a[:, 2 * size : 3 * size])
        np.multiply(grad_h * shown, slope(o, o_closed), out=grad_a[:, 3 * size :])
        return grad_a, grad_a, None, grad_c * f

    return (o * shown, new_c), backward


def gru_step(of_input: Array, of_hidden: Array, h: Array) -> tuple[tuple[Array], Backward]:
    """Gates r, z = σ(of_input + of_hidden);  n = tanh(of_input + r · of_hidden);  h′ = (1 − z) n + z h"""
    size = h.shape[1]
    r_and_z, r_and_z_closed = gate(total(of_input[:, : 2 * size], of_hidden[:, : 2 * size]))
    r, z, z_closed = r_and_z[:, :size], r_and_z[:, size:], r_and_z_closed[:, size:]
    n_of_hidden = of_hidden[:, 2 * size :]
    n, n_slope = tanh_curve(of_input[:, 2 * size :] + r * n_of_hidden)
    new_h = z_closed * n
    new_h += z * h

    def backward(grad_h):
        grad_of_input, grad_of_hidden = np.empty((2, len(h), 3 * size), h.dtype)
        grad_n = grad_h * z_closed
        grad_n *= n_slope
        grad_of_input[:, 2 * size :] = grad_n
        np.multiply(grad_n, r, out=grad_of_hidden[:, 2 * size :])
        gates = grad_of_input[:, : 2 * size]
        np.multiply(grad_n, n_of_hidden, out=gates[:, :size])
        np.multiply(grad_h, h - n, out=gates[:, size:])
        gates *= slope(r_and_z, r_and_z_closed)
        grad_of_hidden[:, : 2 * size] = gates
        return grad_of_input, grad_of_hidden, grad_h * z

    return (new_h,), backward


def tanh_step(of_input: Array, of_hidden: Array, h: Array) -> tuple[tuple[Array], Backward]:
    """New state h′ = tanh(of_input + of_hidden)"""
    new_h, slope = tanh_curve(of_input + of_hidden)

    def backward(grad_h):
        grad = grad_h * slope
        return grad, grad, None

    return (new_h,), backward


def relu_step(of_input: Array, of_hidden: Array, h: Array) -> tuple[tuple[Array], Backward]:
    """New state h′ = max(of_input + of_hidden, 0)"""
    new_h, positive = relu_curve(of_input + of_hidden)

    def backward(grad_h):
        grad = where_true(positive, grad_h)
        return grad, grad, None

    return (new_h,), backward
