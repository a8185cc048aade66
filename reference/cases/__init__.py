"""The catalogue: every operation and every module, chapter by chapter."""

from reference.case import ModuleCase, Operation
from reference.cases import containers
from reference.cases.activations import normalized, piecewise, smooth
from reference.cases.layers import linear
from reference.cases.losses import classification, likelihood, margin, regression, similarity

CHAPTERS = (linear, piecewise, smooth, normalized, regression, likelihood, classification, margin, similarity, containers)

OPERATIONS: dict[str, Operation] = {op.name: op for chapter in CHAPTERS for op in getattr(chapter, "OPERATIONS", ())}
MODULES: tuple[ModuleCase, ...] = tuple(case for chapter in CHAPTERS for case in chapter.MODULES)
