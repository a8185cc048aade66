"""What `manual` has and torch.nn has not, composed of torch's operations, and the library in which cases find all modules."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from reference.case import Library


def rotary_embedding(x: Tensor, base: float = 10_000.0, offset: int = 0) -> Tensor:
    """Multiply pairs, as complex numbers, by turns whose angles come from double precision; half precision by single."""
    length, size = x.shape[-2:]
    frequency = base ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = torch.outer(torch.arange(offset, offset + length, dtype=torch.float64), frequency)
    turn = torch.polar(torch.ones_like(angle), angle).to(torch.complex128 if x.dtype == torch.float64 else torch.complex64)
    pairs = torch.view_as_complex(x.to(turn.real.dtype).unflatten(-1, (size // 2, 2)))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


def spectral_normalize(weight: Tensor, u: Tensor, v: Tensor, dim: int = 0) -> Tensor:
    """Divide a weight by σ = uᵀ W v, W the matrix of its slices along `dim`."""
    return weight / torch.dot(u, torch.mv(weight.movedim(dim, 0).flatten(1), v))


class SwiGLU(nn.Module):
    """A feed-forward layer whose gate is opened by SiLU."""

    def __init__(self, d_model: int, dim_feedforward: int, bias: bool = False, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.up_proj = nn.Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.down_proj = nn.Linear(dim_feedforward, d_model, bias, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """W_down (silu(W_gate x) · W_up x)."""
        return self.down_proj(F.silu(self.gate_proj(input)) * self.up_proj(input))


class GeGLU(SwiGLU):
    """A feed-forward layer whose gate is opened by GELU."""

    def __init__(
        self, d_model: int, dim_feedforward: int, bias: bool = False, approximate: str = "none", dtype: torch.dtype | None = None
    ) -> None:
        super().__init__(d_model, dim_feedforward, bias, dtype)
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """W_down (gelu(W_gate x) · W_up x)."""
        return self.down_proj(F.gelu(self.gate_proj(input), approximate=self.approximate) * self.up_proj(input))


class GroupedQueryAttention(nn.Module):
    """Causal attention with rotary positions, in which heads of queries share keys and values."""

    def __init__(
        self, d_model: int, num_heads: int, num_kv_heads: int, base: float = 10_000.0, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.base = num_heads, num_kv_heads, base
        width = d_model // num_heads * num_kv_heads
        self.q_proj = nn.Linear(d_model, d_model, False, dtype=dtype)
        self.k_proj = nn.Linear(d_model, width, False, dtype=dtype)
        self.v_proj = nn.Linear(d_model, width, False, dtype=dtype)
        self.o_proj = nn.Linear(d_model, d_model, False, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Attention of each position to itself and those before it."""
        q = self.q_proj(input).unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)
        k, v = (x.unflatten(-1, (self.num_kv_heads, -1)).transpose(-3, -2) for x in (self.k_proj(input), self.v_proj(input)))
        q, k = rotary_embedding(q, self.base), rotary_embedding(k, self.base)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(y.transpose(-3, -2).flatten(-2))


class DecoderBlock(nn.Module):
    """Attention and a feed-forward layer, each after a norm and with a way around it."""

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        num_kv_heads: int,
        dim_feedforward: int,
        base: float = 10_000.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(d_model, 1e-5, dtype=dtype)
        self.attention = GroupedQueryAttention(d_model, num_heads, num_kv_heads, base, dtype)
        self.norm2 = nn.RMSNorm(d_model, 1e-5, dtype=dtype)
        self.feed_forward = SwiGLU(d_model, dim_feedforward, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Both parts, one after the other."""
        x = input + self.attention(self.norm1(input))
        return x + self.feed_forward(self.norm2(x))


class LanguageModel(nn.Module):
    """Blocks between a table that turns tokens into vectors, and the same table that turns vectors into scores."""

    def __init__(
        self,
        num_embeddings: int,
        d_model: int,
        num_heads: int,
        num_kv_heads: int,
        dim_feedforward: int,
        num_layers: int,
        base: float = 10_000.0,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_embeddings, d_model, dtype=dtype)
        sizes = d_model, num_heads, num_kv_heads, dim_feedforward, base
        self.layers = nn.ModuleList(DecoderBlock(*sizes, dtype) for _ in range(num_layers))
        self.norm = nn.RMSNorm(d_model, 1e-5, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """The scores of the token after each."""
        x = self.embedding(input)
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.embedding.weight)


TWINS = {twin.__name__: twin for twin in (DecoderBlock, GeGLU, GroupedQueryAttention, LanguageModel, SwiGLU)}
PARAMETRIZATIONS = {name: getattr(parametrizations, name) for name in ("spectral_norm", "weight_norm")}  # of a module make a module
LIBRARY = Library(**vars(nn), **TWINS, **PARAMETRIZATIONS)
