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
from manual.losses.binary import BCELoss, BCEWithLogitsLoss, binary_cross_entropy, binary_cross_entropy_with_logits
from manual.losses.classification import CrossEntropyLoss, NLLLoss, NLLLoss2d, cross_entropy, nll_loss
from manual.losses.ctc import CTCLoss, ctc_loss
from manual.losses.likelihood import GaussianNLLLoss, KLDivLoss, PoissonNLLLoss, gaussian_nll_loss, kl_div, poisson_nll_loss
from manual.losses.linear_cross_entropy import LinearCrossEntropyLoss, LinearCrossEntropyOptions, linear_cross_entropy
from manual.losses.margin import (
    HingeEmbeddingLoss,
    MarginRankingLoss,
    SoftMarginLoss,
    hinge_embedding_loss,
    margin_ranking_loss,
    soft_margin_loss,
)
from manual.losses.multi_margin import (
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
)
from manual.losses.regression import HuberLoss, L1Loss, MSELoss, SmoothL1Loss, huber_loss, l1_loss, mse_loss, smooth_l1_loss
from manual.losses.similarity import (
    CosineEmbeddingLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
    cosine_embedding_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from manual.module import Module, Parameter
from manual.optimizers.sgd import SGD
from manual.threads import get_num_threads, set_num_threads

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "SGD",
    "AdaptiveLogSoftmaxWithLoss",
    "BCELoss",
    "BCEWithLogitsLoss",
    "Bilinear",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MarginRankingLoss",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PReLU",
    "Parameter",
    "PoissonNLLLoss",
    "RReLU",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "elu",
    "gaussian_nll_loss",
    "gelu",
    "get_num_threads",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "leaky_relu",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "set_num_threads",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
