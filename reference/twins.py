"""What `manual` has and torch.nn has not, composed of torch's operations, and the library in which cases find all modules."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotary_embedding(x: Tensor, base: float = 10_000.0, offset: int = 0) -> Tensor:
    """Rotate halves, with cosines and sines from double precision."""
    length, size = x.shape[-2:]
    frequency = base ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
    angle = torch.outer(torch.arange(offset, offset + length, dtype=torch.float64), frequency)
    cos, sin = (function(torch.cat((angle, angle), dim=-1)).to(x.dtype) for function in (torch.cos, torch.sin))
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


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


TWINS = {twin.__name__: twin for twin in (GeGLU, SwiGLU)}
LIBRARY = SimpleNamespace(**vars(nn), **TWINS)
