"""Cases of a language model as they are built today, and of its parts; torch's are in `reference/twins.py`."""

import numpy as np

from reference.case import Build, Case, ModuleCase, build, normal

TOKENS = np.array([[3, 0, 3], [1, 4, 3]])  # of six, some twice, two never


def _cases(module: Build, *cases: Case) -> tuple[ModuleCase, ...]:
    return tuple(ModuleCase(module, case, scale=0.5) for case in cases)


MODULES = (
    *_cases(build("GroupedQueryAttention", 8, 4, 2), Case("two heads share one", (normal(2, 3, 8),))),
    *_cases(build("GroupedQueryAttention", 4, 2, 1), Case("all share one", (normal(1, 4, 4),))),
    *_cases(build("GroupedQueryAttention", 4, 2, 2), Case("each has its own, no batch", (normal(3, 4),))),
    *_cases(build("GroupedQueryAttention", 4, 1, 1, base=3.5), Case("another base", (normal(1, 4, 4),))),
    *_cases(build("DecoderBlock", 8, 4, 2, 6), Case("a batch", (normal(2, 3, 8),))),
    *_cases(build("DecoderBlock", 8, 2, 2, 3, base=3.5), Case("no batch, another base", (normal(3, 8),))),
    *_cases(build("LanguageModel", 6, 8, 4, 2, 6, 2), Case("a batch", (TOKENS,))),
    *_cases(build("LanguageModel", 6, 8, 2, 1, 6, 1, base=3.5), Case("no batch, another base", (TOKENS[1],))),
    *_cases(build("LanguageModel", 6, 8, 2, 1, 6, 0), Case("no layers", (TOKENS,))),
)
