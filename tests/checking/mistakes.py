"""Mistakes that have been published, each beside what is right.

Of every operation there are a forward and a backward by hand, as people write them; with `mistaken=True` the backward, or both, do
what was wrong. They compute half precision in float32 and round once at the end, as kernels do.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from reference import from_pair
from reference.structure import as_floats, is_float, leaves


class Mistake(NamedTuple):
    """An operation by hand, its cases that are tried, which results are wrong, and in which cases, if not in all."""

    operation: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    cases: tuple[str, ...]
    wrong: set[str]
    only_in: tuple[str, ...] = ()

    def function(self, mistaken: bool) -> Callable[..., Any]:
        """The operation as it can be checked."""
        forward = partial(self.forward, mistaken=True) if mistaken and "output" in self.wrong else self.forward
        return from_pair(_rounded(forward), _rounded(partial(self.backward, mistaken=mistaken)))


def _rounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def rounded(*arrays: Any, **constants: Any) -> Any:
        dtype = next(leaf.dtype for leaf in leaves(arrays) if is_float(leaf))
        longer = np.result_type(dtype, np.float32)
        return as_floats(function(*as_floats(arrays, longer), **constants), dtype)

    return rounded


# -- Activations


def softmax(x, *, dim):
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def grad_softmax(grad_output, x, *, dim, mistaken=False):
    p = softmax(x, dim=dim)
    if mistaken:
        return grad_output * p * (1 - p)  # the diagonal of the Jacobian, as if it were that of a sigmoid
    return p * (grad_output - (p * grad_output).sum(axis=dim, keepdims=True))


def gelu(x):
    return x * ndtr(x)


def grad_gelu(grad_output, x, *, mistaken=False):
    density = np.exp(-x * x / 2) / np.sqrt(2 * np.pi).astype(x.dtype)
    slope = ndtr(x) + x * density
    return grad_output * slope * x.dtype.type(1.001 if mistaken else 1)


# -- Norms


def _standardized(x, axes, eps, ddof=0):
    """x̂ and 1/σ."""
    inverse = 1 / np.sqrt(x.var(axis=axes, keepdims=True, ddof=ddof) + eps)
    return (x - x.mean(axis=axes, keepdims=True)) * inverse, inverse


def batch_norm(x, running_mean, running_var, weight, bias, *, training, eps=1e-5):
    x_hat, _ = _standardized(x, 0, eps)
    return weight * x_hat + bias


def grad_batch_norm(grad_output, x, running_mean, running_var, weight, bias, *, training, eps=1e-5, mistaken=False):
    x_hat, inverse = _standardized(x, 0, eps)
    grad = weight * grad_output
    centred = grad if mistaken else grad - grad.mean(axis=0)  # the mean depends on x too
    grad_x = inverse * (centred - x_hat * (grad * x_hat).mean(axis=0))
    return grad_x, None, None, (grad_output * x_hat).sum(axis=0), grad_output.sum(axis=0)


def layer_norm(x, weight, bias, *, normalized_shape, eps=1e-5, mistaken=False):
    x_hat, _ = _standardized(x, -1, eps, ddof=int(mistaken))  # divided by n − 1, as a sample's variance is
    return weight * x_hat + bias


def grad_layer_norm(grad_output, x, weight, bias, *, normalized_shape, eps=1e-5, mistaken=False):
    x_hat, inverse = _standardized(x, -1, eps, ddof=int(mistaken))
    grad = weight * grad_output
    along = (grad * x_hat).sum(axis=-1, keepdims=True) / (x.shape[-1] - mistaken)
    grad_x = inverse * (grad - grad.mean(axis=-1, keepdims=True) - x_hat * along)
    return grad_x, (grad_output * x_hat).sum(axis=0), grad_output.sum(axis=0)


# -- Layers


def _windows(x, kernel_size, stride):
    return np.lib.stride_tricks.sliding_window_view(x, kernel_size, axis=-1)[..., ::stride, :]


def max_pool1d(x, *, kernel_size, stride=None, return_indices=False):
    windows = _windows(x, kernel_size, stride or kernel_size)
    first = windows.argmax(axis=-1)
    place = first + np.arange(first.shape[-1]) * (stride or kernel_size)
    return (windows.max(axis=-1), place) if return_indices else windows.max(axis=-1)


def grad_max_pool1d(grad_output, x, *, kernel_size, stride=None, return_indices=False, mistaken=False):
    grad_y = grad_output[0] if return_indices else grad_output
    windows, grad_x = _windows(x, kernel_size, stride or kernel_size), np.zeros_like(x)
    for i in range(windows.shape[-2]):
        window = windows[..., i, :]
        taken = window == window.max(axis=-1, keepdims=True)
        if not mistaken:
            taken = np.arange(kernel_size) == window.argmax(axis=-1)[..., None]  # of equal numbers the first alone
        start = i * (stride or kernel_size)
        grad_x[..., start : start + kernel_size] += taken * grad_y[..., i, None]
    return grad_x


def embedding(index, weight):
    return weight[index]


def grad_embedding(grad_output, index, weight, *, mistaken=False):
    grad_weight = np.zeros_like(weight)
    if mistaken:
        grad_weight[index] += grad_output  # of a row that is named twice, one gradient overwrites the other
    else:
        np.add.at(grad_weight, index, grad_output)
    return None, grad_weight


def conv1d(x, weight, bias):
    y = np.einsum("nctk,ock->not", _windows(x, weight.shape[-1], 1), weight)
    return y if bias is None else y + bias[:, None]


def grad_conv1d(grad_output, x, weight, bias, *, mistaken=False):
    kernel = weight.shape[-1]
    padded = np.pad(grad_output, ((0, 0), (0, 0), (kernel - 1, kernel - 1)))
    grad_x = np.einsum("notk,ock->nct", _windows(padded, kernel, 1), weight[..., ::-1])
    grad_weight = np.einsum("nctk,not->ock", _windows(x, kernel, 1), grad_output)
    if mistaken:
        grad_weight = grad_weight[..., ::-1]  # convolved where it must be correlated
    return grad_x, grad_weight, None if bias is None else grad_output.sum(axis=(0, 2))


def _attention(q, k, scale):
    scale = q.dtype.type(q.shape[-1] ** -0.5 if scale is None else scale)
    return softmax(q @ k.swapaxes(-1, -2) * scale, dim=-1), scale


def attention(q, k, v, *, scale=None):
    return _attention(q, k, scale)[0] @ v


def grad_attention(grad_output, q, k, v, *, scale=None, mistaken=False):
    p, scale = _attention(q, k, scale)
    grad_p = grad_output @ v.swapaxes(-1, -2)
    grad_s = p * (grad_p - (p * grad_p).sum(axis=-1, keepdims=True))
    grad_k = grad_s.swapaxes(-1, -2) @ q
    return grad_s @ k * scale, grad_k if mistaken else grad_k * scale, p.swapaxes(-1, -2) @ grad_output


def _lstm_steps(x, hx, weights):
    """Of each step the gates, and the states before and after it."""
    w_ih, w_hh, b_ih, b_hh = weights
    (h,), (c,) = hx
    for x_t in x:
        i, f, g, o = np.split(x_t @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=-1)
        i, f, g, o, before = expit(i), expit(f), np.tanh(g), expit(o), (h, c)
        c = f * c + i * g
        h = o * np.tanh(c)
        yield (i, f, g, o), before, (h, c)


def lstm(x, hx, weights):
    states = [state for *_, state in _lstm_steps(x, hx, weights)]
    h, c = states[-1]
    return np.array([h for h, _ in states]), (h[None], c[None])


def grad_lstm(grad_output, x, hx, weights, *, mistaken=False):
    grad_y, ((grad_h,), (grad_c,)) = grad_output
    w_ih, w_hh, *_ = weights
    grad_x, grad_weights = np.zeros_like(x), [np.zeros_like(weight) for weight in weights]
    steps = list(_lstm_steps(x, hx, weights))
    for t in reversed(range(len(x))):
        (i, f, g, o), (h_before, c_before), (_, c) = steps[t]
        grad_h = grad_h + grad_y[t]
        if not mistaken:
            grad_c = grad_c + grad_h * o * (1 - np.tanh(c) ** 2)  # h = o tanh c: what the output gate lets through
        grad_i, grad_f = grad_c * g * i * (1 - i), grad_c * c_before * f * (1 - f)
        grad_g, grad_o = grad_c * i * (1 - g**2), grad_h * np.tanh(c) * o * (1 - o)
        grad_a = np.concatenate([grad_i, grad_f, grad_g, grad_o], axis=-1)
        grad_x[t], grad_h, grad_c = grad_a @ w_ih, grad_a @ w_hh, grad_c * f
        of_bias = grad_a.sum(axis=0)
        for total, part in zip(grad_weights, (grad_a.T @ x[t], grad_a.T @ h_before, of_bias, of_bias)):
            total += part
    return grad_x, (grad_h[None], grad_c[None]), grad_weights


# -- Losses


def _cross_entropy(x, target, ignore_index, mistaken):
    """The target of each sample as a row of weights, which sum to 1 over all that count."""
    kept = target != ignore_index
    rows = (np.arange(x.shape[1]) == target[:, None]) * kept[:, None]
    return rows / x.dtype.type(len(x) if mistaken else kept.sum())  # those that are ignored do not count


def cross_entropy(x, target, *, ignore_index=-100, reduction="mean", mistaken=False):
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(_cross_entropy(x, target, ignore_index, mistaken) * log_p).sum()


def grad_cross_entropy(grad_output, x, target, *, ignore_index=-100, reduction="mean", mistaken=False):
    q = _cross_entropy(x, target, ignore_index, mistaken)
    return grad_output * (softmax(x, dim=1) * q.sum(axis=1, keepdims=True) - q), None


MISTAKES = {
    "the softmax gradient p (1 − p)": Mistake(
        "softmax",
        softmax,
        grad_softmax,
        ("ordinary", "first axis", "middle axis", "no batch", "batch of 1"),
        {"grad_0"},
    ),
    "a GELU whose derivative is off by 1e-3": Mistake(
        "gelu",
        gelu,
        grad_gelu,
        ("ordinary", "three axes", "batch of 1"),
        {"grad_0"},
    ),
    "a batch norm whose mean does not depend on x": Mistake(
        "batch_norm",
        batch_norm,
        grad_batch_norm,
        ("batch of 5", "no running statistics", "two samples"),
        {"grad_0"},
    ),
    "a layer norm that divides by n − 1": Mistake(
        "layer_norm",
        layer_norm,
        grad_layer_norm,
        ("batch of 3", "batch of 1", "eps"),
        {"output", "grad_0", "grad_1"},
    ),
    "a max pooling that sends a tie's gradient to all": Mistake(
        "max_pool1d",
        max_pool1d,
        grad_max_pool1d,
        ("width 2", "gaps", "ties"),
        {"grad_0"},
        only_in=("ties",),
    ),
    "a cross-entropy that divides by N where some are ignored": Mistake(
        "cross_entropy",
        cross_entropy,
        grad_cross_entropy,
        ("mean", "the default ignore_index", "ignore_index outside the classes"),
        {"output", "grad_0"},
        only_in=("the default ignore_index", "ignore_index outside the classes"),
    ),
    "an LSTM whose cell forgets the path through the output gate": Mistake(
        "lstm",
        lstm,
        grad_lstm,
        ("two times, nothing cancels", "three times"),
        {"grad_0", "grad_1.0", "grad_1.1", "grad_2.0", "grad_2.1", "grad_2.2", "grad_2.3"},
    ),
    "an embedding that overwrites a repeated row": Mistake(
        "embedding",
        embedding,
        grad_embedding,
        ("words, some twice", "one axis", "three axes"),
        {"grad_1"},
    ),
    "a convolution whose weight gradient is the wrong way round": Mistake(
        "conv1d",
        conv1d,
        grad_conv1d,
        ("batch of 2", "no bias"),
        {"grad_1"},
    ),
    "an attention without the scale in the gradient of k": Mistake(
        "scaled_dot_product_attention",
        attention,
        grad_attention,
        ("batch of 2", "no batch", "scale", "scale below 0"),
        {"grad_1"},
    ),
}
