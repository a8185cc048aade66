"""The program that changes code at random finds what the tests of a tiny package miss, and nothing else."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.mutation.mutants import chosen, mutants_of

PACKAGE = """
HALF = 0.5

def clip(x, low, high=1.0):
    if x < low:
        return low
    return min(x, high)

def unreached(x):
    return x + HALF

def until(done):
    while not done():
        pass
"""
TESTS = """
import pytest
from small import clip, until

@pytest.mark.parametrize(("x", "expected"), [(-1.0, 0.0), (0.5, 0.5), (3.0, 1.0)])
def test_clip(x, expected):
    assert clip(x, 0.0) == expected

def test_until():
    until(lambda: True)
"""
EQUIVALENT = [
    ("small/__init__.py, clip", "if x < low:", "if x <= low:"),
    ("small/__init__.py, clip", "return min(x, high)", "return min(high, x)"),
]
UNNOTICED = {
    ("small/__init__.py", "HALF = 0.5", "HALF = 1.0"),
    ("small/__init__.py, unreached", "return x + HALF", "return x - HALF"),
    ("small/__init__.py, unreached", "return x + HALF", "return x"),
    ("small/__init__.py, unreached", "return x + HALF", "return HALF"),
    ("small/__init__.py, unreached", "return x + HALF", "return"),
    ("small/__init__.py, until", "while not done():", "pass"),
}
CAUGHT = "small/__init__.py, clip", "return low", "return"


@pytest.fixture
def small(tmp_path):
    """The folder of the package and its tests, and of the file of reasons."""
    for name, text in {"small/__init__.py": PACKAGE, "checks/test_small.py": TESTS, "reasons/equivalent.toml": ""}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder, *options):
    paths = "--package", folder / "small", "--tests", folder / "checks", "--equivalent", folder / "reasons/equivalent.toml"
    command = [sys.executable, "-m", "tests.mutation", *paths, "--seconds", "4", *options]
    return subprocess.run(command, cwd=Path(__file__).parents[2], timeout=300, capture_output=True, text=True, check=False)


def give_reasons(folder, *keys):
    entries = [zip(("place", "statement", "becomes", "reason"), (*key, "so it is")) for key in keys]
    text = "".join("[[mutant]]\n" + "".join(f"{name} = '{value}'\n" for name, value in entry) for entry in entries)
    (folder / "reasons/equivalent.toml").write_text(text)


@pytest.mark.slow
def test_survivors_without_a_reason_and_reasons_without_a_survivor(small):
    give_reasons(small, *EQUIVALENT, CAUGHT)
    done = run(small)
    survivors, others = [], []
    for line in done.stdout.splitlines():
        (survivors if line == "[[mutant]]" or " = " in line else others).append(line)
    entries = tomllib.loads("\n".join(survivors))["mutant"]
    assert {(entry["place"], entry["statement"], entry["becomes"]) for entry in entries} == UNNOTICED
    assert f"Out of date, as it is caught or not there: {', '.join(CAUGHT)}" in others
    assert others[-1].startswith("16 of 16 mutants, seed 0: 8 caught, 2 equivalent, 6 without a reason; ")
    assert "small/__init__.py:10 survives 0 tests" in done.stderr
    assert done.returncode == 1


@pytest.mark.slow
def test_every_survivor_has_a_reason(small):
    give_reasons(small, *EQUIVALENT)
    done = run(small, "--only", "small/__init__.py, clip", "--number", "5", "--seed", "1")
    assert "5 of 16 mutants, seed 1: " in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_suite_that_fails_by_itself_says_nothing_about_mutants(small):
    (small / "checks/test_wrong.py").write_text("def test_wrong():\n    assert False")
    done = run(small)
    assert (done.returncode, done.stderr) == (1, "A test fails although nothing is changed.\n")


@pytest.fixture
def becomes(tmp_path):
    """What becomes of a line of code, by one rule or another."""

    def becomes(line):
        path = tmp_path / "code.py"
        path.write_text(f"def function(a, b):\n    {line}")
        return [mutant.becomes for mutant in mutants_of(path, tmp_path)]

    return becomes


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a += b", ["a -= b", "pass"]),
        ("a = a * b", ["pass", "a = a / b", "a = a", "a = b"]),
        ("c = a", []),
        ("b[0] = a", ["b[-1] = a", "b[1] = a", "pass"]),
        ("a(b)", ["pass"]),
        ("a(a, b, c=b)", ["pass", "a(a, c=b)", "a(b, a, c=b)", "a(a, b)"]),
        ("if a and b: a()", ["if True:", "if False:", "if a or b:", "if b:", "if a:", "pass"]),
        ("if a is b: pass", ["if True:", "if False:", "if a is not b:"]),
        ("while a <= 1.5: pass", ["pass", "while a < 1.5:", "while a > 1.5:", "while a <= 3.0:"]),
        ("for a in b: continue", ["pass", "pass"]),
        ("return -a", ["return", "return a"]),
        ("raise a", ["pass"]),
        ("c: b[0] = True", ["c: b[0] = False"]),
        ('"words are left as they are"', []),
        ('c = f"{b + a}"', ["c = f'{b - a}'", "c = f'{b}'", "c = f'{a}'"]),
        ("return [c for c in a if c not in b]", ["return", "return [c for c in a if c in b]"]),
    ],
)
def test_what_becomes_of_a_statement(becomes, line, expected):
    assert sorted(becomes(line)) == sorted(expected)


def test_the_choice_is_random_and_stays_where_code_changes_elsewhere(tmp_path):
    path = tmp_path / "code.py"

    def picked(code, seed):
        path.write_text(code)
        return [mutant.key for mutant in chosen(mutants_of(path, tmp_path), seed, 5)]

    code = "".join(f"def f{i}(a, b):\n    return a + b\n\n" for i in range(20))
    first = picked(code, 1)
    assert len(first) == 5
    assert first == picked(code, 1) != picked(code, 2)
    assert first[:4] == [key for key in picked(code.replace(f"{first[4][0][9:]}(", "g("), 1) if key in first][:4]
