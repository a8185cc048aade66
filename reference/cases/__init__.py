"""The catalogue: every operation and every module, chapter by chapter."""

from reference.case import ModuleCase, Operation
from reference.cases import containers
from reference.cases.activations import exponential, gated, hard, normalized, piecewise, smooth
from reference.cases.layers import distance, dropout, linear, padding, rearrange
from reference.cases.losses import (
    adaptive,
    binary,
    classification,
    ctc,
    likelihood,
    linear_cross_entropy,
    margin,
    multi_margin,
    regression,
    similarity,
)

CHAPTERS = (
    linear,
    padding,
    rearrange,
    distance,
    dropout,
    piecewise,
    hard,
    smooth,
    exponential,
    gated,
    normalized,
    regression,
    likelihood,
    binary,
    classification,
    linear_cross_entropy,
    adaptive,
    margin,
    multi_margin,
    similarity,
    ctc,
    containers,
)

OPERATIONS: dict[str, Operation] = {op.name: op for chapter in CHAPTERS for op in getattr(chapter, "OPERATIONS", ())}
MODULES: tuple[ModuleCase, ...] = tuple(case for chapter in CHAPTERS for case in chapter.MODULES)
