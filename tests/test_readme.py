"""What README shows is so: its code is the project's and runs, its tables stand in the generated pages."""

import inspect
import re
from pathlib import Path

import manual

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_operation_shown_is_the_one_that_runs():
    assert BLOCKS[0] == inspect.getsource(manual.linear)


def test_the_training_loop_learns_xor():
    (loop,) = [block for block in BLOCKS if "for epoch" in block]
    namespace = {}
    exec(loop, namespace)
    assert ((namespace["prediction"] > 0.5) == namespace["y"]).all()


def test_the_agreement_shown_is_in_the_generated_page():
    page = (ROOT / "docs" / "agreement.md").read_text(encoding="utf-8")
    rows = [line for line in README.splitlines() if re.match(r"\| (layers|activations|losses)/", line)]
    assert len(rows) > 10
    assert all(row in page for row in rows)


def test_the_files_named_exist():
    for name in re.findall(r"`((?:manual|reference|docs)/[\w/.]*)`", README):
        assert (ROOT / name).exists(), name
