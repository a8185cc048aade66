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

def forever(n):
    while n > 0:
        n -= 1
    return n
"""
TESTS = """
import pytest
from small import clip, forever

@pytest.mark.parametrize(("x", "expected"), [(-1.0, 0.0), (0.5, 0.5), (3.0, 1.0)])
def test_clip(x, expected):
    assert clip(x, 0.0) == expected

def test_forever():
    assert forever(3) == 0
"""
UNNOTICED = {
    ("small/__init__.py", "HALF = 0.5", "HALF = 1.0"),
    ("small/__init__.py, clip", "if x < low:", "if x <= low:"),
    ("small/__init__.py, clip", "return min(x, high)", "return min(high, x)"),
    ("small/__init__.py, unreached", "return x + HALF", "return x - HALF"),
    ("small/__init__.py, unreached", "return x + HALF", "return x"),
    ("small/__init__.py, unreached", "return x + HALF", "return HALF"),
    ("small/__init__.py, unreached", "return x + HALF", "return"),
}


@pytest.fixture
def small(tmp_path):
    for name, text in {"small/__init__.py": PACKAGE, "checks/test_small.py": TESTS}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder, *options):
    command = [sys.executable, "-m", "tests.mutation", "--package", folder / "small", "--tests", folder / "checks", *options]
    return subprocess.run(command, cwd=Path(__file__).parents[2], timeout=300, capture_output=True, text=True, check=False)


def listed(printed):
    """The survivors that were printed, and the lines that say the rest."""
    entries, lines = [], []
    for line in printed.splitlines():
        (entries if line == "[[mutant]]" or " = " in line else lines).append(line)
    return tomllib.loads("\n".join(entries)).get("mutant", []), lines


def test_survivors_are_listed_and_set_the_exit_status(small):
    done = run(small, "--equivalent", small / "none.toml")
    survivors, (*_, verdict) = listed(done.stdout)
    assert {(each["place"], each["statement"], each["becomes"]) for each in survivors} == UNNOTICED
    assert verdict.startswith(
        f"23 of 23 mutants, seed 0: {23 - len(UNNOTICED)} caught, 0 equivalent, {len(UNNOTICED)} without a reason;"
    )
    assert done.returncode == 1
    assert "small/__init__.py:10 survives 0 tests" in done.stderr


def test_reasons_excuse_survivors_and_go_out_of_date(small):
    reasons = small / "reasons.toml"
    options = "--only", "small/__init__.py, clip", "--equivalent", reasons
    reasons.write_text("\n".join(as_entry(key, "x is low then") for key in UNNOTICED if "clip" in key[0]))
    done = run(small, *options)
    assert (done.returncode, listed(done.stdout)[0]) == (0, [])
    caught = "small/__init__.py, clip", "return low", "return"
    reasons.write_text(reasons.read_text() + as_entry(caught, "a guess"))
    done = run(small, *options)
    assert done.returncode == 1
    assert f"Out of date, as it is caught or not there: {', '.join(caught)}" in done.stdout


def test_a_suite_that_fails_by_itself_says_nothing_about_mutants(small):
    (small / "checks/test_wrong.py").write_text("def test_wrong():\n    assert False")
    done = run(small)
    assert (done.returncode, done.stderr) == (1, "A test fails although nothing is changed.\n")


def as_entry(key, reason):
    fields = zip(("place", "statement", "becomes", "reason"), (*key, reason))
    return "\n".join(["[[mutant]]", *(f"{name} = '{text}'" for name, text in fields), ""])


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
