"""A language model as they are built today: a Transformer that only decodes.

Against the Transformer of 2017 it normalises before each part, by the root mean square alone; it knows positions by rotations, in
attention and nowhere else; several heads of queries share a head of keys and values; the feed-forward layers have gates; no layer
has a bias; and one table turns tokens into vectors, and vectors into the scores of the next token.
"""

import numpy as np
from numpy.typing import DTypeLike

from manual.batches import by_batch
from manual.containers import ModuleList
from manual.contract import Array, Backward, needed, require_dtype, require_generator, require_integer, require_number
from manual.layers.attention import scaled_dot_product_attention
from manual.layers.embedding import Embedding
from manual.layers.language import SwiGLU, rotary_embedding
from manual.layers.linear import Linear, linear
from manual.layers.normalization import RMSNorm
from manual.layers.transformer_layers import residual
from manual.module import Module

__all__ = ["DecoderBlock", "GroupedQueryAttention", "LanguageModel"]

EPS = 1e-5  # of the norms, as in Llama


class GroupedQueryAttention(Module):
    """Causal attention in which several heads of queries share a head of keys and values, with rotary positions.

    Forward:   q, k, v = Wq x, Wk x, Wv x, cut into heads;  y = Wo attention(rotary(q), rotary(k), v), of the heads side by side
    Backward:  the parts in reverse order; grad_x is the sum of what comes from q, k and v
    Shapes:    x, y (N, T, d_model), or without N; `num_heads` heads of queries, `num_kv_heads` of keys and values, each
               d_model / num_heads wide
    Source:    Ainslie et al. 2023, GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int,
        base: float = 10_000.0,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        name = "GroupedQueryAttention"
        self.num_heads = require_integer(name, "num_heads", num_heads, least=1)
        self.num_kv_heads = require_integer(name, "num_kv_heads", num_kv_heads, least=1)
        if require_integer(name, "d_model", d_model, least=1) % (2 * num_heads):
            raise ValueError(f"{name}: d_model must be a multiple of 2 · num_heads, {2 * num_heads}, got {d_model}")
        if num_heads % num_kv_heads:
            raise ValueError(f"{name}: num_kv_heads must divide num_heads, {num_heads}, got {num_kv_heads}")
        self.base = require_number(name, "base", base, "a positive number")
        width = d_model // num_heads * num_kv_heads
        self.q_proj = Linear(d_model, d_model, False, dtype=dtype, generator=generator)
        self.k_proj = Linear(d_model, width, False, dtype=dtype, generator=generator)
        self.v_proj = Linear(d_model, width, False, dtype=dtype, generator=generator)
        self.o_proj = Linear(d_model, d_model, False, dtype=dtype, generator=generator)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map `input` (N, T, d_model) or (T, d_model) to an output of the same shape."""
        q, q_backward = self.q_proj(input)
        k, k_backward = self.k_proj(input)
        v, v_backward = self.v_proj(input)
        turned_q, turned_q_backward = rotary_embedding(_by_heads(q, self.num_heads), base=self.base)
        turned_k, turned_k_backward = rotary_embedding(_by_heads(k, self.num_kv_heads), base=self.base)
        heads_of_v = _by_heads(v, self.num_kv_heads)
        y, attention_backward = scaled_dot_product_attention(turned_q, turned_k, heads_of_v, is_causal=True, enable_gqa=True)
        output, o_backward = self.o_proj(_side_by_side(y))

        def backward(grad_output, needs=None):
            needs = needed("GroupedQueryAttention", needs, 1)
            (grad,) = o_backward(grad_output)
            grad_q, grad_k, grad_v, _ = attention_backward(_by_heads(grad, self.num_heads))
            (grad_q,), (grad_k,) = turned_q_backward(grad_q), turned_k_backward(grad_k)
            (from_q,) = q_backward(_side_by_side(grad_q), needs)
            (from_k,) = k_backward(_side_by_side(grad_k), needs)
            (from_v,) = v_backward(_side_by_side(grad_v), needs)
            return (from_q + from_k + from_v if needs[0] else None,)

        return output, backward


def _by_heads(x: Array, heads: int) -> Array:
    """Cut the last axis into heads: (..., T, heads · width) becomes (..., heads, T, width)."""
    *leading, size = x.shape
    return x.reshape(*leading, heads, size // heads).swapaxes(-3, -2)


def _side_by_side(heads: Array) -> Array:
    """The inverse: (..., heads, T, width) becomes (..., T, heads · width)."""
    x = heads.swapaxes(-3, -2)
    *leading, count, width = x.shape
    return x.reshape(*leading, count * width)


class DecoderBlock(Module):
    """A layer of the model: attention to what came before, then a feed-forward layer, each after a norm and with a way around it.

    Forward:   x = input + attention(norm1(input)),  y = x + feed_forward(norm2(x))
    Backward:  the parts in reverse order; what goes through a part is added to what goes around it
    Shapes:    input, y (N, T, d_model), or without N
    Source:    Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int,
        dim_feedforward: int,
        base: float = 10_000.0,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.norm1 = RMSNorm(d_model, EPS, dtype=dtype)
        self.attention = GroupedQueryAttention(d_model, num_heads, num_kv_heads, base, dtype=dtype, generator=generator)
        self.norm2 = RMSNorm(d_model, EPS, dtype=dtype)
        self.feed_forward = SwiGLU(d_model, dim_feedforward, dtype=dtype, generator=generator)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """Map `input` (N, T, d_model) or (T, d_model) to an output of the same shape."""
        x, attention_backward = residual(self.attention, self.norm1, True, input)
        y, feed_backward = residual(self.feed_forward, self.norm2, True, x)

        def backward(grad_output, needs=None):
            needs = needed("DecoderBlock", needs, 1)
            (grad_x,) = feed_backward(grad_output, (True,))
            return attention_backward(grad_x, needs)

        return y, backward


class LanguageModel(Module):
    """Scores for the token that comes next, at each position of a text.

    Forward:   x = E[tokens],  each block of x in turn,  y = norm(x) Eᵀ: the table E serves at both ends
    Backward:  the parts in reverse order; grad_E is the sum of what comes from both ends
    Shapes:    tokens (N, T), or (T), of integers below `num_embeddings`; y (N, T, num_embeddings)
    Source:    Touvron et al. 2023, LLaMA: Open and Efficient Foundation Language Models; one table: Press & Wolf 2017, Using the
               Output Embedding to Improve Language Models

    The table starts from a spread of 1/√d_model, so that the scores start from one of about 1.
    """

    def __init__(
        self,
        num_embeddings: int,
        d_model: int,
        num_heads: int,
        num_kv_heads: int,
        dim_feedforward: int,
        num_layers: int,
        base: float = 10_000.0,
        *,
        dtype: DTypeLike = np.float64,
        generator: np.random.Generator | None = None,
    ) -> None:
        name = "LanguageModel"
        require_integer(name, "num_layers", num_layers, least=0)
        require_generator(name, generator)
        dtype = require_dtype(name, dtype)
        self.embedding = Embedding(num_embeddings, d_model, dtype=dtype, generator=generator)
        self.embedding.weight.data *= d_model**-0.5
        sizes = d_model, num_heads, num_kv_heads, dim_feedforward, base
        self.layers = ModuleList(DecoderBlock(*sizes, dtype=dtype, generator=generator) for _ in range(num_layers))
        self.norm = RMSNorm(d_model, EPS, dtype=dtype)

    def forward(self, input: Array) -> tuple[Array, Backward]:
        """The scores after each of the tokens, of which `input` (N, T) or (T) has the numbers."""
        if getattr(input, "ndim", None) != 2:
            return self._read(input)
        return by_batch(self, self._read, input, input.size * self.embedding.embedding_dim)

    def _read(self, input: Array) -> tuple[Array, Backward]:
        x, embedding_backward = self.embedding(input)
        backwards = []
        for layer in self.layers:
            x, layer_backward = layer(x)
            backwards.append(layer_backward)
        x, norm_backward = self.norm(x)
        output, table_backward = self.call(linear, x, self.embedding.weight, None)

        def backward(grad_output, needs=None):
            needs = needed("LanguageModel", needs, 1)
            (grad,) = table_backward(grad_output)
            (grad,) = norm_backward(grad)
            for layer_backward in reversed(backwards):
                (grad,) = layer_backward(grad)
            return embedding_backward(grad, needs)

        return output, backward
