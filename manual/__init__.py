"""Backpropagation by hand: every layer, activation and loss in NumPy, each with its backward written out.

An operation returns its output and the function that carries a gradient back through it:

    output, backward = manual.linear(x, weight, bias)
    grad_x, grad_weight, grad_bias = backward(grad_output)

A module is an operation that owns its parameters, with the names of `torch.nn`.
"""

from manual.activations.normalized import LogSoftmax, Softmax, log_softmax, softmax
from manual.activations.piecewise import ReLU, relu
from manual.activations.smooth import Sigmoid, Tanh, sigmoid, tanh
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
    "CTCLoss",
    "CrossEntropyLoss",
    "Identity",
    "L1Loss",
    "Linear",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "ctc_loss",
    "l1_loss",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
