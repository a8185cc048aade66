"""Cases of Transformers, of their layers and of their stacks.

All are compositions, held against torch in float64. The smallest that show everything: each number of an output costs a backward.
"""

import numpy as np

from reference.case import Case, ModuleCase, build, normal

SRC, TGT, MEMORY = normal(3, 2, 4), normal(2, 2, 4), normal(3, 2, 4)  # (length, batch, d_model)
PADDING = np.array([[False, False, True], [False, False, False]])  # the last key of the first sequence
HIDDEN = np.array([[False, True, False], [False, False, True]])  # of each query, a key
LATER = np.triu(np.ones((3, 3), bool), 1)
CAUSAL = np.where(LATER, -np.inf, 0.0)


def _layer(kind, *args, **kwargs):
    return build(kind, 4, 2, 6, 0.0, *args, **kwargs)


def _encoder(label, layer, *arrays, keywords=None, training=True, **hints):
    return ModuleCase(layer, Case(label, arrays or (SRC,), hints), keywords or {}, training=training)


def _decoder(label, layer, *arrays, keywords=None, training=True, **hints):
    return ModuleCase(layer, Case(label, arrays or (TGT, MEMORY), hints), keywords or {}, training=training)


_layers = (
    _encoder("a batch", _layer("TransformerEncoderLayer")),
    _encoder("no batch", _layer("TransformerEncoderLayer"), normal(3, 4)),
    _encoder("batch of 1", _layer("TransformerEncoderLayer"), normal(3, 1, 4)),
    _encoder("one position", _layer("TransformerEncoderLayer"), normal(1, 2, 4)),
    _encoder("batch first", _layer("TransformerEncoderLayer", batch_first=True), normal(2, 3, 4)),
    _encoder("norm first", _layer("TransformerEncoderLayer", norm_first=True)),
    _encoder("norm first, no bias", _layer("TransformerEncoderLayer", norm_first=True, bias=False)),
    _encoder("gelu", _layer("TransformerEncoderLayer", "gelu")),
    _encoder("relu, by name", _layer("TransformerEncoderLayer", "relu")),
    _encoder("a module for an activation", _layer("TransformerEncoderLayer", build("SiLU"))),
    _encoder("an activation that learns", _layer("TransformerEncoderLayer", build("PReLU"))),
    _encoder("eps", _layer("TransformerEncoderLayer", layer_norm_eps=0.5)),
    _encoder("no bias", _layer("TransformerEncoderLayer", bias=False)),
    _encoder("a mask and padding", _layer("TransformerEncoderLayer"), SRC, LATER, PADDING),
    _encoder("a mask of numbers", _layer("TransformerEncoderLayer"), SRC, normal(3, 3), normal(2, 3)),
    _encoder("a mask for each head", _layer("TransformerEncoderLayer"), SRC, normal(4, 3, 3)),
    _encoder("norm first, masks of numbers", _layer("TransformerEncoderLayer", norm_first=True), SRC, normal(3, 3), normal(2, 3)),
    _encoder("causal", _layer("TransformerEncoderLayer"), SRC, LATER, is_causal=True),
    _encoder("padding by keyword", _layer("TransformerEncoderLayer"), keywords={"src_key_padding_mask": PADDING}),
    _encoder("in evaluation", build("TransformerEncoderLayer", 4, 2, 6), training=False),
    _decoder("a batch", _layer("TransformerDecoderLayer")),
    _decoder("no batch", _layer("TransformerDecoderLayer"), normal(2, 4), normal(3, 4)),
    _decoder("batch first", _layer("TransformerDecoderLayer", batch_first=True), normal(2, 2, 4), normal(2, 3, 4)),
    _decoder("norm first", _layer("TransformerDecoderLayer", norm_first=True)),
    _decoder("norm first, gelu, no bias", _layer("TransformerDecoderLayer", "gelu", norm_first=True, bias=False)),
    _decoder("eps", _layer("TransformerDecoderLayer", layer_norm_eps=0.5)),
    _decoder("an activation that learns", _layer("TransformerDecoderLayer", build("PReLU"))),
    _decoder("masks and paddings", _layer("TransformerDecoderLayer"), TGT, MEMORY, LATER[:2, :2], HIDDEN, PADDING[:, 1:], PADDING),
    _decoder(
        "masks of numbers",
        _layer("TransformerDecoderLayer"),
        *(TGT, MEMORY, normal(2, 2), normal(2, 3), normal(2, 2), normal(2, 3)),
    ),
    _decoder(
        "norm first, masks of numbers",
        _layer("TransformerDecoderLayer", norm_first=True),
        *(TGT, MEMORY, normal(2, 2), normal(2, 3), normal(2, 2), normal(2, 3)),
    ),
    _decoder("causal", _layer("TransformerDecoderLayer"), TGT, MEMORY, LATER[:2, :2], tgt_is_causal=True),
    _decoder("causal memory", _layer("TransformerDecoderLayer"), SRC, MEMORY, None, LATER, memory_is_causal=True),
    _decoder("in evaluation", build("TransformerDecoderLayer", 4, 2, 6), training=False),
)

_norm = build("LayerNorm", 4)


def _stack(kind, *args, **kwargs):
    return build(kind, _layer(f"{kind}Layer", norm_first=True), 2, *args, **kwargs)


_stacks = (
    _encoder("two layers", _stack("TransformerEncoder")),
    _encoder("a last norm", _stack("TransformerEncoder", _norm)),
    _encoder("a mask of numbers and padding", _stack("TransformerEncoder"), SRC, normal(3, 3), normal(2, 3)),
    _encoder("a mask that is causal", _stack("TransformerEncoder"), SRC, LATER),
    ModuleCase(_stack("TransformerEncoder"), Case("causal, of numbers", (SRC, CAUSAL), zero=("grad_1",))),
    _encoder("causal, and said not to be", _stack("TransformerEncoder"), SRC, CAUSAL, is_causal=False),
    _encoder("batch first", build("TransformerEncoder", _layer("TransformerEncoderLayer", batch_first=True), 1), normal(2, 3, 4)),
    _decoder("two layers", _stack("TransformerDecoder")),
    _decoder("a last norm", _stack("TransformerDecoder", _norm)),
    _decoder(
        "masks of numbers",
        _stack("TransformerDecoder"),
        *(TGT, MEMORY, normal(2, 2), normal(2, 3), normal(2, 2), normal(2, 3)),
    ),
    _decoder("a mask that is causal", _stack("TransformerDecoder"), TGT, MEMORY, LATER[:2, :2]),
    ModuleCase(_stack("TransformerDecoder"), Case("causal, of numbers", (TGT, MEMORY, CAUSAL[:2, :2]), zero=("grad_2",))),
    _decoder("causal, and said not to be", _stack("TransformerDecoder"), TGT, MEMORY, CAUSAL[:2, :2], tgt_is_causal=False),
    _decoder("causal memory", _stack("TransformerDecoder"), SRC, MEMORY, None, LATER, memory_is_causal=True),
)


def _transformer(**kwargs):
    return build("Transformer", 4, 2, 1, 1, 6, **{"dropout": 0.0, **kwargs})


def _both(label, module, *arrays, training=True, **hints):
    return ModuleCase(module, Case(label, arrays or (SRC, TGT), hints), training=training)


_transformers = (
    _both("a batch", _transformer()),
    _both("no batch", _transformer(), normal(3, 4), normal(2, 4)),
    _both("batch first, norm first", _transformer(batch_first=True, norm_first=True), normal(2, 3, 4), normal(2, 2, 4)),
    _both("gelu, eps, no bias", _transformer(activation="gelu", layer_norm_eps=0.5, bias=False)),
    _both("masks", _transformer(norm_first=True), SRC, TGT, LATER, LATER[:2, :2], HIDDEN, PADDING, PADDING[:, 1:], PADDING),
    _both(
        "masks of numbers",
        _transformer(norm_first=True),
        *(SRC, TGT, normal(3, 3), normal(2, 2), normal(2, 3), normal(2, 3), normal(2, 2), normal(2, 3)),
    ),
    _both("hints", _transformer(), SRC, SRC, LATER, LATER, LATER, src_is_causal=True, tgt_is_causal=True, memory_is_causal=True),
    _both("custom encoder", _transformer(custom_encoder=_stack("TransformerEncoder"))),
    _both("custom decoder", _transformer(custom_decoder=_stack("TransformerDecoder"))),
    _both("in evaluation", _transformer(dropout=0.1), training=False),
)

MODULES = (*_layers, *_stacks, *_transformers)
