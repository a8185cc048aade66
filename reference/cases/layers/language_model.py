"""Cases of a language model as they are built today, and of its parts; torch's are in `reference/twins.py`."""

import numpy as np

from reference.case import Case, ModuleCase, build, normal

TOKENS = np.array([[3, 0, 3], [1, 4, 3]])  # of six, some twice, two never

MODULES = (
    ModuleCase(build("GroupedQueryAttention", 8, 4, 2), Case("two heads share one", (normal(2, 3, 8),))),
    ModuleCase(build("GroupedQueryAttention", 4, 2, 1), Case("all share one", (normal(1, 4, 4),))),
    ModuleCase(build("GroupedQueryAttention", 4, 2, 2), Case("each has its own, no batch", (normal(3, 4),))),
    ModuleCase(build("GroupedQueryAttention", 4, 1, 1, base=3.5), Case("another base", (normal(1, 4, 4),))),
    ModuleCase(build("DecoderBlock", 4, 2, 1, 6), Case("a batch", (normal(2, 3, 4),))),
    ModuleCase(build("DecoderBlock", 4, 2, 2, 3, base=3.5), Case("no batch, another base", (normal(3, 4),))),
    ModuleCase(build("LanguageModel", 6, 4, 2, 1, 6, 2), Case("a batch", (TOKENS,))),
    ModuleCase(build("LanguageModel", 6, 4, 2, 1, 6, 1, base=3.5), Case("no batch, another base", (TOKENS[1],))),
    ModuleCase(build("LanguageModel", 6, 4, 2, 1, 6, 0), Case("no layers", (TOKENS,))),
)
