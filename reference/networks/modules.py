"""The modules of torch.nn that are taken whole: their twins in `manual`, of the same settings, on the same parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

import manual

CONTAINERS = {nn.ModuleList, nn.Sequential}  # they have twins within others; by themselves, their modules are called one by one
OTHERS = {"Module", "ModuleDict", "ParameterDict", "ParameterList"}

KINDS: dict[type, type] = {
    getattr(nn, name): getattr(manual, name)
    for name in manual.__all__
    if inspect.isclass(getattr(manual, name)) and hasattr(nn, name) and name not in OTHERS and not name.startswith("Lazy")
} | {NonDynamicallyQuantizableLinear: manual.Linear}

# Where a module of torch keeps what its constructor was given, if not under the name of the argument
_LAYER = {
    "d_model": "self_attn.embed_dim",
    "nhead": "self_attn.num_heads",
    "dim_feedforward": "linear1.out_features",
    "dropout": "dropout.p",
    "layer_norm_eps": "norm1.eps",
    "batch_first": "self_attn.batch_first",
    "bias": "linear1.bias",
}
PLACES: dict[type, dict[str, str]] = {
    nn.MultiheadAttention: {"bias": "in_proj_bias", "add_bias_kv": "bias_k"},
    nn.TransformerEncoderLayer: _LAYER,
    nn.TransformerDecoderLayer: _LAYER,
    nn.TransformerEncoder: {"encoder_layer": "layers"},  # of which the first will do
    nn.TransformerDecoder: {"decoder_layer": "layers"},
    nn.PairwiseDistance: {"p": "norm"},
}
# What the children say, which are put in their places afterwards
SMALL: dict[type, dict[str, Any]] = {nn.Transformer: {"num_encoder_layers": 1, "num_decoder_layers": 1, "dim_feedforward": 1}}
OF_CHILDREN = {
    nn.Transformer: {"dropout", "activation", "custom_encoder", "custom_decoder", "layer_norm_eps", "norm_first", "bias"}
}
NOT_KEPT = {"dtype", "generator", "_weight", "_freeze"}  # which say what parameters are at the beginning
ACTIVATIONS = {F.relu: manual.relu, F.gelu: manual.gelu}


class Twins:
    """Of a network, the parameters of the twin, and its modules; the graph has them all, under their names in the network."""

    def __init__(self, network: nn.Module, graph: manual.Graph) -> None:
        self.network = network
        self.paths: dict[int, str] = {id(module): path for path, module in network.named_modules()}
        self.parameters: dict[int, manual.Parameter] = {
            id(p): manual.Parameter(p.detach().numpy().copy(), p.requires_grad) for p in network.parameters()
        }
        self.buffers: dict[int, Any] = {}  # the twin's array, and torch's version of it
        self.whole: dict[int, manual.Module] = {}  # the twins of modules taken whole
        self._places: dict[int, list[tuple[manual.Module, str]]] = {}
        self._hold(network, graph, {id(network): graph})

    def _hold(self, module: nn.Module, holder: manual.Module, holders: dict[int, manual.Module]) -> None:
        """Give a module of `manual` what this module has of its own, and a module for each child."""
        for name, parameter in module._parameters.items():
            if parameter is not None:
                holder._assign(name, manual.Parameter, self.parameters[id(parameter)])
        for name, buffer in module._buffers.items():
            if buffer is not None:
                array = buffer.numpy().copy()
                self.buffers[id(buffer)] = array, buffer._version
                holder._assign(name, manual.Buffer, manual.Buffer(array, name not in module._non_persistent_buffers_set))
        for name, child in module._modules.items():
            if child is None:
                continue
            known = id(child) in holders
            child_holder = holders.setdefault(id(child), manual.Module())
            self._put(holder, name, child_holder)
            self._places.setdefault(id(child), []).append((holder, name))
            if not known:
                self._hold(child, child_holder, holders)

    def _put(self, holder: manual.Module, name: str, child: manual.Module) -> None:
        if isinstance(holder, manual.Graph):
            holder.add_module(name, child)
        else:
            holder._assign(name, manual.Module, child)

    def of(self, module: nn.Module) -> manual.Module | None:
        """The twin of a module that can be taken whole, `None` where its functions must be followed one by one."""
        if module is self.network or type(module) in CONTAINERS or not _is_plain(module):
            return None
        if id(module) not in self.paths and next(module.parameters(), None) is not None:
            return None
        if id(module) not in self.whole:
            twin = self._built(module)
            if twin is None:
                return None
            self.whole[id(module)] = twin
            for holder, name in self._places.get(id(module), ()):
                self._put(holder, name, twin)
        twin = self.whole[id(module)]
        for path, each in module.named_modules():
            twin.get_submodule(path).training = each.training
        return twin

    def _built(self, module: nn.Module) -> Any:
        """A module of `manual` of the same settings, with the twin's parameters and with copies of the buffers."""
        if type(module) in CONTAINERS:
            children = [self._built(child) for child in module.children()]
            if any(child is None for child in children):
                return None
            return KINDS[type(module)](*([children] if type(module) is nn.ModuleList else children))
        settings = self._settings(module)
        if settings is None:
            return None
        twin = KINDS[type(module)](**settings)
        for name, child in module.named_children():
            child_twin = self._built(child)
            if child_twin is None:
                return None
            setattr(twin, name, child_twin)
        own = {name: parameter for name, parameter in module._parameters.items() if parameter is not None}
        if set(own) != {name for name, _ in twin.named_parameters(recurse=False)}:
            return None
        for name, parameter in own.items():
            if parameter.shape != getattr(twin, name).shape:
                return None
            setattr(twin, name, self.parameters[id(parameter)])
        for name, buffer in module._buffers.items():
            if buffer is not None:
                setattr(twin, name, buffer.numpy().copy())
        return twin

    def _settings(self, module: nn.Module) -> dict[str, Any] | None:
        """The arguments with which the constructor of the twin is called."""
        kind: Any = type(module)
        settings = dict(SMALL.get(kind, {}))
        others = NOT_KEPT | OF_CHILDREN.get(kind, set()) | settings.keys()
        for name, argument in inspect.signature(KINDS[kind]).parameters.items():
            if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD) or name in others:
                continue
            try:
                value = attrgetter(PLACES.get(kind, {}).get(name, name))(module)
            except AttributeError:
                return None
            if isinstance(argument.default, bool) and not isinstance(value, bool):  # of a bias, whether there is one
                value = value is not None
            elif name == "activation" and not isinstance(value, nn.Module):
                if value not in ACTIVATIONS:
                    return None
                value = ACTIVATIONS[value]
            elif name == "cutoffs":
                value = value[:-1]  # torch adds the number of classes
            elif isinstance(value, nn.Module):
                value = self._built(value[0] if isinstance(value, nn.ModuleList) else value)
            elif isinstance(value, Tensor):
                value = value.detach().numpy().copy()
            settings[name] = value
        return settings


def _is_plain(module: nn.Module) -> bool:
    """Whether a module and all within it are what torch.nn says, without hooks, and draw no random numbers now."""
    return all(
        type(each) in KINDS
        and "forward" not in vars(each)
        and not (each._forward_hooks or each._forward_pre_hooks or each._backward_hooks or each._backward_pre_hooks)
        and not _is_random(each)
        for each in module.modules()
    )


def _is_random(module: nn.Module) -> bool:
    if isinstance(module, (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)):
        return True
    if not module.training:
        return False
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, nn.RNNBase):
        return module.dropout > 0 and module.num_layers > 1
    return isinstance(module, nn.RReLU) or (isinstance(module, nn.MultiheadAttention) and module.dropout > 0)


def running(twins: Twins) -> Iterator[tuple[str, Any, Any]]:
    """The running statistics of all norms taken whole: their name, the twin's and torch's."""
    for path, module in twins.network.named_modules():
        if id(module) in twins.whole:
            for name, buffer in twins.whole[id(module)].named_buffers():
                theirs = dict(module.named_buffers()).get(name)
                if theirs is not None and buffer.dtype == np.float64:
                    yield f"{path}.{name}" if path else name, buffer, theirs.numpy()
