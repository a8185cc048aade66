"""Transformers: stacks of encoder and decoder layers, and the two together.

In a stack each layer takes the output of the one before, and all take the same masks, and the same memory: their gradients add up.
"""

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.activations.piecewise import relu
from manual.containers import ModuleList
from manual.contract import Array, Backward, needed, require_dtype, require_flags, require_integer
from manual.initialization import xavier_uniform_
from manual.layers.normalization import LayerNorm
from manual.layers.transformer_layers import Operation, TransformerDecoderLayer, TransformerEncoderLayer
from manual.module import Module

__all__ = ["Transformer", "TransformerDecoder", "TransformerEncoder"]


class _Stack(Module):
    """What both stacks share: copies of a layer, one after the other, and a last norm where there is one."""

    norm: Module | None

    def __init__(self, argument: str, layer: Module, num_layers: int, norm: Module | None) -> None:
        name = type(self).__name__
        if not isinstance(layer, Module):
            raise TypeError(f"{name}: {argument} must be a module, got {type(layer).__name__}")
        self.num_layers = require_integer(name, "num_layers", num_layers, least=1)
        if norm is not None and not isinstance(norm, Module):
            raise TypeError(f"{name}: norm must be a module or None, got {type(norm).__name__}")
        self.layers = ModuleList(_copies(layer, num_layers))
        self.norm = norm

    def _run(self, x: Array, *shared: Array | None, **hints: bool) -> tuple[Array, Backward]:
        """Run x through all layers, each of which takes what is shared as well."""
        backwards = []
        for layer in self.layers:
            x, layer_backward = layer(x, *shared, **hints)
            backwards.append(layer_backward)
        y, norm_backward = (x, None) if self.norm is None else self.norm(x)

        def backward(grad, needs=None):
            need_x, *need_shared = needed(type(self).__name__, needs, 1 + len(shared))
            if norm_backward is not None:
                (grad,) = norm_backward(grad)
            totals: list[Any] = [None] * len(shared)
            for i in range(len(backwards) - 1, -1, -1):
                grad, *grads = backwards[i](grad, (need_x or i > 0, *need_shared))
                totals = [one if total is None else total if one is None else total + one for total, one in zip(totals, grads)]
            return grad, *totals

        return y, backward


def _copies(layer: Module, count: int) -> list[Module]:
    """Copies with parameters of their own, which draw from the same generators: each would drop the same numbers otherwise."""
    generators = [getattr(module, "generator", None) for module in layer.modules()]
    return [copy.deepcopy(layer, {id(generator): generator for generator in generators}) for _ in range(count)]


def _is_causal(mask: Array | None, hint: bool | None) -> bool:
    """What the hint says or, without one, whether this mask hides from each query what comes after it, and nothing else."""
    if hint is not None:
        return hint
    if not isinstance(mask, np.ndarray) or mask.ndim != 2:
        return False
    later = np.triu(np.ones(mask.shape, bool), 1)
    return np.array_equal(mask, later if mask.dtype == np.bool_ else np.where(later, -math.inf, 0.0))


class TransformerEncoder(_Stack):
    """A stack of encoder layers, and a last norm.

    Forward:   y = norm(layerₙ(… layer₁(src)))
    Backward:  the last layer first; the gradients of the masks, which all layers see, are sums
    Shapes:    those of the layers
    Source:    Vaswani et al. 2017, Attention Is All You Need
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__("encoder_layer", encoder_layer, num_layers, norm)

    def forward(
        self, src: Array, mask: Array | None = None, src_key_padding_mask: Array | None = None, is_causal: bool | None = None
    ) -> tuple[Array, Backward]:
        """Map `src` to an output of its shape. `is_causal` says whether `mask` is causal; without that, it is looked at."""
        return self._run(src, mask, src_key_padding_mask, is_causal=_is_causal(mask, is_causal))


class TransformerDecoder(_Stack):
    """A stack of decoder layers, and a last norm.

    Forward:   y = norm(layerₙ(… layer₁(tgt, memory) …, memory))
    Backward:  the last layer first; the gradients of the memory and of the masks, which all layers see, are sums
    Shapes:    those of the layers
    Source:    Vaswani et al. 2017, Attention Is All You Need
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__("decoder_layer", decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> tuple[Array, Backward]:
        """Map `tgt` to an output of its shape. Whether the masks are causal is for `tgt_is_causal`, without which `tgt_mask` is
        looked at, and `memory_is_causal` to say.
        """
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal)
        return self._run(tgt, memory, *masks, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal)


class Transformer(Module):
    """An encoder and a decoder that sees what it makes of the source; all matrices start from Xavier's uniform distribution.

    Forward:   y = decoder(tgt, encoder(src))
    Backward:  grad_tgt, grad_memory = decoder's gradients of grad_y;  grad_src = encoder's gradient of grad_memory
    Shapes:    src (S, N, d_model), tgt and y (T, N, d_model), (N, S, d_model) … with `batch_first`, or without N; masks as the
               layers take them
    Source:    Vaswani et al. 2017, Attention Is All You Need
    """

    encoder: Module
    decoder: Module

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Operation = relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        settings = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        dtype = require_dtype("Transformer", dtype)
        require_flags("Transformer", batch_first=batch_first)
        for name, custom in {"custom_encoder": custom_encoder, "custom_decoder": custom_decoder}.items():
            if custom is not None and not isinstance(custom, Module):
                raise TypeError(f"Transformer: {name} must be a module or None, got {type(custom).__name__}")

        def stack(kind: Any, layer: Any, num_layers: int) -> Module:
            first = layer(*settings, dtype=dtype, generator=generator)
            return kind(first, num_layers, LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))

        self.encoder = custom_encoder or stack(TransformerEncoder, TransformerEncoderLayer, num_encoder_layers)
        self.decoder = custom_decoder or stack(TransformerDecoder, TransformerDecoderLayer, num_decoder_layers)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                xavier_uniform_(parameter, generator=generator)
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self,
        src: Array,
        tgt: Array,
        src_mask: Array | None = None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> tuple[Array, Backward]:
        """Encode `src`, and map `tgt` to an output of its shape. The hints say whether masks are causal; `src_mask` and `tgt_mask`
        are looked at without.
        """
        self._require_sequences(src, tgt)
        memory, encoder_backward = self.encoder(src, src_mask, src_key_padding_mask, is_causal=src_is_causal)
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        hints = {"tgt_is_causal": tgt_is_causal, "memory_is_causal": memory_is_causal}
        output, decoder_backward = self.decoder(tgt, memory, *masks, **hints)

        def backward(grad_output, needs=None):
            need_src, need_tgt, need_src_mask, *need_masks = needed("Transformer", needs, 8)
            need_tgt_mask, need_memory_mask, need_src_padding, need_tgt_padding, need_memory_padding = need_masks
            of_encoder = need_src, need_src_mask, need_src_padding
            need_memory = any(of_encoder) or self.encoder.learns()
            of_decoder = need_tgt, need_memory, need_tgt_mask, need_memory_mask, need_tgt_padding, need_memory_padding
            grad_tgt, grad_memory, grad_tgt_mask, grad_memory_mask, *grad_paddings = decoder_backward(grad_output, of_decoder)
            found = encoder_backward(grad_memory, of_encoder) if need_memory else (None, None, None)
            grad_src, grad_src_mask, grad_src_padding = found
            return grad_src, grad_tgt, grad_src_mask, grad_tgt_mask, grad_memory_mask, grad_src_padding, *grad_paddings

        return output, backward

    def _require_sequences(self, src: Array, tgt: Array) -> None:
        """Refuse sequences of another width, and two batches that are not of the same size."""
        for name, array in {"src": src, "tgt": tgt}.items():
            if np.ndim(array) not in (2, 3) or np.shape(array)[-1] != self.d_model:
                expected = f"(N, length, {self.d_model})" if self.batch_first else f"(length, N, {self.d_model})"
                got = getattr(array, "shape", type(array).__name__)
                raise ValueError(f"Transformer: {name} must have shape {expected} or (length, {self.d_model}), got {got}")
        axis = 0 if self.batch_first else 1
        if src.ndim != tgt.ndim or (src.ndim == 3 and src.shape[axis] != tgt.shape[axis]):
            raise ValueError(f"Transformer: tgt must have as many sequences as src, {src.shape}, got {tgt.shape}")

    @staticmethod
    def generate_square_subsequent_mask(sz: int, *, dtype: DTypeLike = np.float64) -> Array:
        """What is added to scores so that a query sees nothing after it: −∞ there, and 0 where it may look, (sz, sz)."""
        sz = require_integer("Transformer.generate_square_subsequent_mask", "sz", sz, least=0)
        dtype = require_dtype("Transformer.generate_square_subsequent_mask", dtype)
        return np.triu(np.full((sz, sz), -math.inf, dtype), 1)
