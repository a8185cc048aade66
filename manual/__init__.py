"""Backpropagation by hand: every layer, activation and loss in NumPy, each with its backward written out.

An operation returns its output and the function that carries a gradient back through it:

    output, backward = manual.linear(x, weight, bias)
    grad_x, grad_weight, grad_bias = backward(grad_output)

A module is an operation that owns its parameters, with the names of `torch.nn`.
"""

from manual.activations.exponential import CELU, ELU, SELU, celu, elu, selu
from manual.activations.gated import GELU, GLU, Mish, SiLU, gelu, glu, mish, silu
from manual.activations.hard import (
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    ReLU6,
    Softshrink,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    relu6,
    softshrink,
)
from manual.activations.normalized import LogSoftmax, Softmax, Softmax2d, Softmin, gumbel_softmax, log_softmax, softmax, softmin
from manual.activations.piecewise import LeakyReLU, PReLU, ReLU, RReLU, Threshold, leaky_relu, prelu, relu, rrelu, threshold
from manual.activations.smooth import (
    LogSigmoid,
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    Tanhshrink,
    logsigmoid,
    sigmoid,
    softplus,
    softsign,
    tanh,
    tanhshrink,
)
from manual.containers import ModuleDict, ModuleList, Sequential
from manual.layers.linear import Bilinear, Identity, Linear, bilinear, linear
from manual.losses.adaptive import AdaptiveLogSoftmaxWithLoss
from manual.losses.classification import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    NLLLoss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    nll_loss,
)
from manual.losses.ctc import CTCLoss, ctc_loss
from manual.losses.linear_cross_entropy import LinearCrossEntropyLoss, LinearCrossEntropyOptions, linear_cross_entropy
from manual.losses.regression import L1Loss, MSELoss, l1_loss, mse_loss
from manual.module import Module, Parameter
from manual.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "AdaptiveLogSoftmaxWithLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "Bilinear",
    "CELU",
    "CTCLoss",
    "CrossEntropyLoss",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "LogSoftmax",
    "MSELoss",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "cross_entropy",
    "elu",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "ctc_loss",
    "l1_loss",
    "leaky_relu",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "logsigmoid",
    "mish",
    "mse_loss",
    "nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]
