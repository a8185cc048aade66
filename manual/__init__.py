"""Backpropagation by hand: every layer, activation and loss in NumPy, each with its backward written out.

An operation returns its output and the function that carries a gradient back through it:

    output, backward = manual.linear(x, weight, bias)
    grad_x, grad_weight, grad_bias = backward(grad_output)

A module is an operation that owns its parameters, with the names of `torch.nn`. This is the table of contents; each chapter says in
its `__all__` what it offers.
"""

__version__ = "0.1.0"

from manual.activations.exponential import *
from manual.activations.gated import *
from manual.activations.hard import *
from manual.activations.normalized import *
from manual.activations.piecewise import *
from manual.activations.smooth import *
from manual.containers import *
from manual.layers.linear import *
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
from manual.optimizers.sgd import *
from manual.threads import *

__all__ = sorted(name for name, thing in vars().items() if getattr(thing, "__module__", "").startswith("manual."))
