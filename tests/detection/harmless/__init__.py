"""Faults that change nothing that a case could see, each with the reason.

By operation or module: how the statement begins, and what stands there instead. An entry whose fault is caught, or is not there any
more, fails the test.
"""

from tests.detection.harmless import activations, attention, layers, losses, recurrent, tensor, transformers

CHAPTERS = activations, attention, layers, losses, recurrent, tensor, transformers
HARMLESS = {name: faults for chapter in CHAPTERS for name, faults in chapter.HARMLESS.items()}

# Functions that are not broken here, and why.
BROKEN_ELSEWHERE = {
    "samples_at_once": "only says how many samples are taken at once; its own tests hold its numbers against torch's",
}
