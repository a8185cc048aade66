"""Backpropagation by hand: every layer, activation and loss in NumPy, each with its backward written out.

An operation returns its output and the function that carries a gradient back through it:

    output, backward = manual.linear(x, weight, bias)
    grad_x, grad_weight, grad_bias = backward(grad_output)

A module is an operation that owns its parameters, with the names of `torch.nn`. This is the table of contents; each chapter says in
its `__all__` what it offers.
"""

__version__ = "0.1.0"

from manual import tensor as tensor
from manual.activations.exponential import *
from manual.activations.gated import *
from manual.activations.hard import *
from manual.activations.normalized import *
from manual.activations.piecewise import *
from manual.activations.smooth import *
from manual.averaging import *
from manual.clipping import *
from manual.containers import *
from manual.graph import *
from manual.initialization import *
from manual.layers.adaptive_pooling import *
from manual.layers.attention import *
from manual.layers.average_pooling import *
from manual.layers.batch_norm import *
from manual.layers.convolution import *
from manual.layers.distance import *
from manual.layers.dropout import *
from manual.layers.embedding import *
from manual.layers.embedding_bag import *
from manual.layers.fold import *
from manual.layers.fractional_pooling import *
from manual.layers.language import *
from manual.layers.language_model import *
from manual.layers.lazy_layers import *
from manual.layers.linear import *
from manual.layers.max_pooling import *
from manual.layers.max_unpooling import *
from manual.layers.multihead_attention import *
from manual.layers.normalization import *
from manual.layers.packed_sequence import *
from manual.layers.padding import *
from manual.layers.rearrange import *
from manual.layers.recurrent import *
from manual.layers.recurrent_cells import *
from manual.layers.recurrent_modules import *
from manual.layers.response_norm import *
from manual.layers.sampling import *
from manual.layers.transformer import *
from manual.layers.transformer_layers import *
from manual.layers.transposed_convolution import *
from manual.layers.upsampling import *
from manual.layers.weight_norms import *
from manual.losses.adaptive import *
from manual.losses.binary import *
from manual.losses.classification import *
from manual.losses.ctc import *
from manual.losses.likelihood import *
from manual.losses.linear_cross_entropy import *
from manual.losses.margin import *
from manual.losses.multi_margin import *
from manual.losses.regression import *
from manual.losses.similarity import *
from manual.module import *
from manual.optimizers.adadelta import *
from manual.optimizers.adafactor import *
from manual.optimizers.adagrad import *
from manual.optimizers.adam import *
from manual.optimizers.adamax import *
from manual.optimizers.adamw import *
from manual.optimizers.asgd import *
from manual.optimizers.lbfgs import *
from manual.optimizers.muon import *
from manual.optimizers.nadam import *
from manual.optimizers.optimizer import *
from manual.optimizers.radam import *
from manual.optimizers.rmsprop import *
from manual.optimizers.rprop import *
from manual.optimizers.sgd import *
from manual.optimizers.sparse_adam import *
from manual.parameter_containers import *
from manual.parametrizations import *
from manual.schedulers.combined import *
from manual.schedulers.cycles import *
from manual.schedulers.factors import *
from manual.schedulers.functions import *
from manual.schedulers.plateau import *
from manual.schedulers.scheduler import *
from manual.threads import *
from manual.vectors import *
from manual.weights import *

__all__ = sorted(name for name, thing in vars().items() if getattr(thing, "__module__", "").startswith("manual."))
