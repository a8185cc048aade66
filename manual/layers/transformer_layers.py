"""The layers of which Transformers are stacked. Each part hands its input on beside what it makes of it, and with a norm.

So there is one rule for the whole chapter, `residual`. Its backward adds up what comes both ways, around the part and through it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.activations.gated import gelu
from manual.activations.piecewise import relu
from manual.contract import (
    Array,
    Backward,
    needed,
    require_dtype,
    require_flags,
    require_generator,
    require_integer,
    require_number,
)
from manual.layers.dropout import Dropout
from manual.layers.linear import Linear
from manual.layers.multihead_attention import MultiheadAttention
from manual.layers.normalization import LayerNorm
from manual.module import Module

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

Operation = Callable[[Array], tuple[Array, Backward]]
ACTIVATIONS: dict[str, Operation] = {"relu": relu, "gelu": gelu}


def residual(part: Operation, norm: Module, norm_first: bool, x: Array) -> tuple[Array, Backward]:
    """Add to x what a part makes of it, which may take other arrays too.

    Forward:   y = x + part(norm(x)) with `norm_first`, or else y = norm(x + part(x))
    Backward:  grad_x = g + norm's gradient of the part's gradient of g, or else ĝ + the part's gradient of ĝ, ĝ = norm's of g
               (g = grad_y). `needs` and gradients: those of x, then of what else the part takes
    """
    if norm_first:
        normed, norm_backward = norm(x)
        change, part_backward = part(normed)

        def backward_of_sum(grad_y, needs):
            need_x, *need_others = needs
            grad_normed, *grad_others = part_backward(grad_y, (need_x or norm.learns(), *need_others))
            (grad_x,) = (None,) if grad_normed is None else norm_backward(grad_normed, (need_x,))
            return grad_y + grad_x if need_x else None, *grad_others

        return x + change, backward_of_sum

    change, part_backward = part(x)
    y, norm_backward = norm(x + change)

    def backward_of_norm(grad_y, needs):
        (grad_sum,) = norm_backward(grad_y)
        grad_x, *grad_others = part_backward(grad_sum, needs)
        return grad_sum + grad_x if needs[0] else None, *grad_others

    return y, backward_of_norm


def attend(
    attention: Module, dropout: Module, memory: Array | None, mask: Array | None, padding: Array | None, is_causal: bool, x: Array
) -> tuple[Array, Backward]:
    """Attention from x to a memory, or to x itself where that is `None`. Needs and gradients: of x, memory, mask and padding."""
    keys = x if memory is None else memory
    options = {"key_padding_mask": padding, "attn_mask": mask, "need_weights": False, "is_causal": is_causal}
    (attended, _), attention_backward = attention(x, keys, keys, **options)
    output, dropout_backward = dropout(attended)

    def backward(grad_output, needs):
        need_x, need_memory, need_mask, need_padding = needs
        need_keys = need_x if memory is None else need_memory
        (grad,) = dropout_backward(grad_output)
        wanted = need_x, need_keys, need_keys, need_padding, need_mask
        grad_x, grad_k, grad_v, grad_padding, grad_mask = attention_backward((grad, None), wanted)
        grad_keys = grad_k + grad_v if need_keys else None
        if memory is None:
            return grad_x + grad_keys if need_x else None, None, grad_mask, grad_padding
        return grad_x, grad_keys, grad_mask, grad_padding

    return output, backward


class _Layer(Module):
    """What both layers share: their parts, and the feed-forward one."""

    sees_memory = False
    self_attn: Module
    multihead_attn: Module
    norm3: Module
    dropout3: Module

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Operation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        name = type(self).__name__
        require_integer(name, "d_model", d_model, least=1)
        require_integer(name, "nhead", nhead, least=1)
        if d_model % nhead:
            raise ValueError(f"{name}: nhead must divide d_model, {d_model}, got {nhead}")
        require_integer(name, "dim_feedforward", dim_feedforward, least=0)
        require_number(name, "dropout", dropout, "a number from 0 to 1")
        require_number(name, "layer_norm_eps", layer_norm_eps, "a number of at least 0")
        require_flags(name, batch_first=batch_first, norm_first=norm_first, bias=bias)
        require_generator(name, generator)
        if isinstance(activation, str) and activation in ACTIVATIONS:
            activation = ACTIVATIONS[activation]
        if not callable(activation):
            raise ValueError(f"{name}: activation must be 'relu', 'gelu' or an operation, got {activation!r}")
        new: dict[str, Any] = {"dtype": require_dtype(name, dtype), "generator": generator}

        def attention() -> Module:
            return MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **new)

        def norm() -> Module:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        def drop() -> Module:
            return Dropout(dropout, generator=generator)

        self.self_attn = attention()
        if self.sees_memory:
            self.multihead_attn = attention()
        self.linear1 = Linear(d_model, dim_feedforward, bias, **new)
        self.dropout = drop()
        self.linear2 = Linear(dim_feedforward, d_model, bias, **new)
        self.norm_first, self.activation = norm_first, activation
        self.norm1, self.norm2 = norm(), norm()
        if self.sees_memory:
            self.norm3 = norm()
        self.dropout1, self.dropout2 = drop(), drop()
        if self.sees_memory:
            self.dropout3 = drop()

    def _feed_forward(self, dropout: Module, x: Array) -> tuple[Array, Backward]:
        """W₂ dropout(activation(W₁ x + b₁)) + b₂, with dropout."""
        hidden, backward1 = self.linear1(x)
        active, activation_backward = self.activation(hidden)
        kept, dropout_backward = self.dropout(active)
        output, backward2 = self.linear2(kept)
        output, output_backward = dropout(output)

        def backward(grad, needs):
            for each in (output_backward, backward2, dropout_backward, activation_backward):
                (grad,) = each(grad)
            return backward1(grad, needs)

        return output, backward


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, then a feed-forward layer, each with dropout, a norm, and a way around it.

    Forward:   x = norm1(src + attention(src)),  y = norm2(x + feed_forward(x)),  feed_forward(x) = W₂ activation(W₁ x + b₁) + b₂;
               with `norm_first`, x = src + attention(norm1(src)),  y = x + feed_forward(norm2(x))
    Backward:  the parts in reverse order; what goes through a part is added to what goes around it
    Shapes:    src, y (S, N, d_model), (N, S, d_model) with `batch_first`, or (S, d_model); src_mask (S, S) or (N · nhead, S, S),
               src_key_padding_mask (N, S): numbers to add to scores, or True where nothing may be seen
    Source:    Vaswani et al. 2017, Attention Is All You Need; norm_first: Xiong et al. 2020, On Layer Normalization in the
               Transformer Architecture
    """

    def forward(
        self, src: Array, src_mask: Array | None = None, src_key_padding_mask: Array | None = None, is_causal: bool = False
    ) -> tuple[Array, Backward]:
        """Map `src` to an output of its shape. `is_causal` says that `src_mask` is causal."""
        attention = partial(attend, self.self_attn, self.dropout1, None, src_mask, src_key_padding_mask, is_causal)
        x, attention_backward = residual(attention, self.norm1, self.norm_first, src)
        y, feed_backward = residual(partial(self._feed_forward, self.dropout2), self.norm2, self.norm_first, x)

        def backward(grad_output, needs=None):
            need_src, need_mask, need_padding = needed("TransformerEncoderLayer", needs, 3)
            (grad_x,) = feed_backward(grad_output, (True,))
            grad_src, _, *grad_masks = attention_backward(grad_x, (need_src, False, need_mask, need_padding))
            return grad_src, *grad_masks

        return y, backward


class TransformerDecoderLayer(_Layer):
    """Attention of a sequence to itself, then to the memory of an encoder, then a feed-forward layer.

    Forward:   x = norm1(tgt + attention(tgt)),  z = norm2(x + attention(x, memory)),  y = norm3(z + feed_forward(z));  with
               `norm_first`, x = tgt + attention(norm1(tgt)),  z = x + attention(norm2(x), memory),  y = z + feed_forward(norm3(z))
    Backward:  the parts in reverse order; what goes through a part is added to what goes around it; grad_memory comes out of the
               second attention
    Shapes:    tgt, y (T, N, d_model) and memory (S, N, d_model), (N, T, d_model) … with `batch_first`, or without N;
               tgt_mask (T, T), memory_mask (T, S), or one for each of N · nhead; tgt_key_padding_mask (N, T),
               memory_key_padding_mask (N, S): numbers to add to scores, or True where nothing may be seen
    Source:    Vaswani et al. 2017, Attention Is All You Need
    """

    sees_memory = True

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> tuple[Array, Backward]:
        """Map `tgt` to an output of its shape. `tgt_is_causal` and `memory_is_causal` say that these masks are causal."""
        to_itself = partial(attend, self.self_attn, self.dropout1, None, tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        to_memory = partial(
            attend, self.multihead_attn, self.dropout2, memory, memory_mask, memory_key_padding_mask, memory_is_causal
        )
        x, self_backward = residual(to_itself, self.norm1, self.norm_first, tgt)
        z, memory_backward = residual(to_memory, self.norm2, self.norm_first, x)
        y, feed_backward = residual(partial(self._feed_forward, self.dropout3), self.norm3, self.norm_first, z)

        def backward(grad_output, needs=None):
            needs = needed("TransformerDecoderLayer", needs, 6)
            need_tgt, need_memory, need_tgt_mask, need_memory_mask, need_tgt_padding, need_memory_padding = needs
            (grad_z,) = feed_backward(grad_output, (True,))
            need_from_memory = True, need_memory, need_memory_mask, need_memory_padding
            grad_x, grad_memory, grad_memory_mask, grad_memory_padding = memory_backward(grad_z, need_from_memory)
            need_from_itself = need_tgt, False, need_tgt_mask, need_tgt_padding
            grad_tgt, _, grad_tgt_mask, grad_tgt_padding = self_backward(grad_x, need_from_itself)
            return grad_tgt, grad_memory, grad_tgt_mask, grad_memory_mask, grad_tgt_padding, grad_memory_padding

        return y, backward
