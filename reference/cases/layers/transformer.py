"""Cases of Transformers, of their layers and of their stacks.

All are compositions, held against torch in float64. They are as small as what they show allows: each number of an output costs a
backward. Weights of a spread of ½ leave every query some choice among keys; where one key takes all, little is left to compare.
Where there are few positions, the activation is gelu, as relu might leave nothing of them.
"""

from typing import Any

import numpy as np

from reference.case import Build, Case, ModuleCase, build, normal

LATER = np.triu(np.ones((3, 3), bool), 1)
CAUSAL = np.where(LATER, -np.inf, 0.0)
HIDDEN = np.array([[False, True, False], [False, False, True]])  # of each query, a key
LAST = np.array([[False, False, True], [False, False, False]])  # of the first sequence, the last key

ALIKE = "behind a norm the memory is nearly the same everywhere: of the gradient of a query little is left, which rounding moves"


def _cases(module: Build, *cases: Case, training: bool = True) -> tuple[ModuleCase, ...]:
    return tuple(ModuleCase(module, case, training=training, scale=0.5) for case in cases)


WIDE = 8  # so that no norm divides by next to nothing, as it may where there are four numbers and the usual eps


def _layer(kind: str, *args: Any, width: int = 4, dropout: float = 0.0, **kwargs: Any) -> Build:
    eps = {} if width == WIDE else {"layer_norm_eps": 0.5}
    return build(f"Transformer{kind}Layer", width, 2, 6, dropout, *args, **eps, **kwargs)


_src, _tgt, _memory = normal(3, 2, 4), normal(2, 2, 4), normal(3, 2, 4)  # (length, batch, d_model)
_numbers = normal(2, 2), normal(2, 3), normal(2, 2), normal(2, 3)

_encoder_layers = (
    *_cases(
        _layer("Encoder"),
        Case("a batch", (_src,)),
        Case("a mask and padding", (_src, LATER, LAST)),
        Case("masks of numbers", (_src, normal(3, 3, scale=0.5), normal(2, 3, scale=0.5))),
        Case("a mask for each head", (_src, normal(4, 3, 3))),
        Case("causal", (_src, LATER), {"is_causal": True}),
    ),
    *_cases(
        _layer("Encoder", norm_first=True),
        Case("norm first", (_src,)),
        Case("norm first, masks of numbers", (_src, normal(3, 3), normal(2, 3))),
    ),
    *_cases(_layer("Encoder", batch_first=True), Case("batch first", (normal(2, 3, 4),))),
    *_cases(_layer("Encoder", norm_first=True, bias=False), Case("norm first, no bias", (_src,))),
    *_cases(
        _layer("Encoder", "gelu"),
        Case("gelu", (_src,)),
        Case("no batch", (normal(3, 4),)),
        Case("batch of 1", (normal(3, 1, 4),)),
        Case("one position", (normal(1, 2, 4),)),
    ),
    *_cases(_layer("Encoder", "relu"), Case("relu by name", (_src,))),
    *_cases(_layer("Encoder", build("SiLU")), Case("a module for an activation", (_src,))),
    *_cases(_layer("Encoder", build("PReLU")), Case("an activation that learns", (_src,))),
    *_cases(_layer("Encoder", bias=False), Case("no bias", (_src,))),
    *_cases(_layer("Encoder", dropout=0.1), Case("in evaluation", (_src,)), training=False),
    ModuleCase(_layer("Encoder"), Case("padding by keyword", (_src,)), {"src_key_padding_mask": LAST}, scale=0.5),
)

_decoder_layers = (
    *_cases(
        _layer("Decoder"),
        Case("a batch", (_tgt, _memory)),
        Case("masks and paddings", (_tgt, _memory, LATER[:2, :2], HIDDEN, LAST[:, 1:], LAST)),
        Case("masks of numbers", (_tgt, _memory, *_numbers), ill_conditioned=ALIKE),
        Case("causal", (_tgt, _memory, LATER[:2, :2]), {"tgt_is_causal": True}),
        Case("causal memory", (_src, _memory, None, LATER), {"memory_is_causal": True}),
    ),
    *_cases(
        _layer("Decoder", norm_first=True),
        Case("norm first", (_tgt, _memory)),
        Case("norm first, masks of numbers", (_tgt, _memory, *_numbers)),
    ),
    *_cases(_layer("Decoder", batch_first=True), Case("batch first", (normal(2, 2, 4), normal(2, 3, 4)))),
    *_cases(_layer("Decoder", "gelu"), Case("no batch", (normal(2, 4), normal(3, 4)))),
    *_cases(_layer("Decoder", "gelu", norm_first=True, bias=False), Case("norm first, gelu, no bias", (_tgt, _memory))),
    *_cases(_layer("Decoder", build("PReLU")), Case("an activation that learns", (_tgt, _memory))),
    *_cases(_layer("Decoder", dropout=0.1), Case("in evaluation", (_tgt, _memory)), training=False),
)


_from, _to = normal(3, 1, WIDE), normal(2, 1, WIDE)
_masks_of_numbers = normal(2, 2), normal(2, 3), normal(1, 2), normal(1, 3)


def _stack(kind: str, *args: Any, **kwargs: Any) -> Build:
    layer = _layer(kind, "gelu", width=WIDE, norm_first=True, **kwargs)  # of so few numbers, relu might leave none
    return build(f"Transformer{kind}", layer, 2, *args)


_stacks = (
    *_cases(
        _stack("Encoder"),
        Case("two layers", (_from,)),
        Case("masks of numbers", (_from, normal(3, 3), normal(1, 3))),
        Case("a mask that is causal", (_from, LATER)),
        Case("causal, of numbers", (_from, CAUSAL), zero=("grad_1",)),
        Case("causal, and said not to be", (_from, CAUSAL), {"is_causal": False}),
    ),
    *_cases(_stack("Encoder", build("LayerNorm", WIDE)), Case("a last norm", (_from,))),
    *_cases(_stack("Encoder", batch_first=True), Case("batch first", (normal(1, 3, WIDE),))),
    *_cases(
        _stack("Decoder"),
        Case("two layers", (_to, _from)),
        Case("masks of numbers", (_to, _from, *_masks_of_numbers)),
        Case("a mask that is causal", (_to, _from, LATER[:2, :2])),
        Case("causal, of numbers", (_to, _from, CAUSAL[:2, :2]), zero=("grad_2",)),
        Case("causal, and said not to be", (_to, _from, CAUSAL[:2, :2]), {"tgt_is_causal": False}),
        Case("causal memory", (_from, _from, None, LATER), {"memory_is_causal": True}),
    ),
    *_cases(_stack("Decoder", build("LayerNorm", WIDE)), Case("a last norm", (_to, _from))),
)


def _transformer(dropout: float = 0.0, **kwargs: Any) -> Build:
    return build("Transformer", WIDE, 2, 1, 1, 6, dropout, **{"activation": "gelu", **kwargs})


def _both(label: str, arrays: tuple[Any, ...], constants: dict[str, Any] | None = None) -> Case:
    return Case(label, arrays, constants or {}, ill_conditioned=ALIKE)


_hints = {"src_is_causal": True, "tgt_is_causal": True, "memory_is_causal": True}

_transformers = (
    *_cases(
        _transformer(),
        _both("a batch", (normal(3, 2, WIDE), normal(2, 2, WIDE))),
        _both("no batch", (normal(3, WIDE), normal(2, WIDE))),
        _both("hints", (_from, _from, LATER, LATER, LATER), _hints),
    ),
    *_cases(
        _transformer(norm_first=True),
        _both("masks", (_from, _to, LATER, LATER[:2, :2], HIDDEN, LAST[:1], LAST[1:, 1:], LAST[:1])),
        _both("masks of numbers", (_from, _to, normal(3, 3), *_masks_of_numbers[:2], normal(1, 3), *_masks_of_numbers[2:])),
    ),
    *_cases(_transformer(batch_first=True, norm_first=True), _both("batch first", (normal(1, 3, WIDE), normal(1, 2, WIDE)))),
    *_cases(_transformer(activation="relu", layer_norm_eps=0.5, bias=False), _both("relu, eps, no bias", (_from, _to))),
    *_cases(_transformer(custom_encoder=_stack("Encoder")), _both("custom encoder", (_from, _to))),
    *_cases(_transformer(custom_decoder=_stack("Decoder")), _both("custom decoder", (_from, _to))),
    *_cases(_transformer(dropout=0.1), _both("in evaluation", (_from, _to)), training=False),
)

MODULES = (*_encoder_layers, *_decoder_layers, *_stacks, *_transformers)
