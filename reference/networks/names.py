"""What the recorder knows functions of torch by, where they have no rule: their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def words(text: str) -> set[str]:
    """The words of a text."""
    return set(text.split())


# Of a tensor these take the shape and the dtype alone, or draw numbers to which no gradient goes back
CREATORS = words("""
    bernoulli bernoulli_ empty_like exponential_ full_like multinomial new_empty new_full new_ones new_tensor new_zeros normal
    normal_ ones_like poisson rand_like randint_like randn_like uniform_ zeros_like
""")
# These make Python's numbers of a tensor's
NUMBERS = words("""
    __array__ __bool__ __complex__ __contains__ __float__ __index__ __int__ allclose equal is_nonzero item numpy tolist
""")
CASTS: dict[str, torch.dtype | None] = {
    "to": None,
    "type": None,
    "type_as": None,
    "float": torch.float32,
    "double": torch.float64,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
}


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """The same in float64 throughout: torch's gradient has 1/6 in float32, and so 3e-8 of it are wrong."""
    output = F.relu6(input + 3.0) / 6.0
    return input.copy_(output) if inplace else output


IN_FULL: dict[Any, Callable[..., Any]] = {F.hardsigmoid: hardsigmoid}
SYNONYMS = {"axis": "dim", "keepdims": "keepdim"}  # NumPy's names of arguments, which torch takes as well
HOOKS = {"register_hook", "register_post_accumulate_grad_hook", "backward"}
# By these names a function of torch has the arguments of its namesake in torch.nn.functional
ACTIVATIONS = words("""celu elu hardshrink hardtanh leaky_relu prelu rrelu softshrink threshold""")
