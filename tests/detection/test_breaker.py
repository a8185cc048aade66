"""The breaker itself: what it finds in a toy operation, what it plants there, and what it leaves alone."""

import importlib
import inspect
import pkgutil
import sys

import numpy as np
import pytest

import manual
from tests.detection.breaker import faults
from tests.detection.formulas import formulas_of, is_check, lines_that_compute
from tests.detection.rules import disordered, unwritten, zeroed
from tests.detection.trials import Subject, owners

TOY = '''
import math
import numpy as np

def operation(x, weight):
    """A docstring is no formula."""
    require(x)
    if weight is None:
        raise Error("neither is a check, nor what it says")
    return mechanism(curve, x, weight=weight)

def curve(x):
    y = 2.0 * np.exp(-x)
    y[1:] += x.sum(axis=1)

    def backward(g, needs):
        return g.dot(y.T) if needs[0] else None

    return y, backward

def require(x):
    if x.ndim != 2:
        raise Error(message(x))

def message(x):
    return f"{x.ndim + 1}"

class Error(Exception): ...

def mechanism(function, x, weight): ...
'''

EXPECTED = [
    "mechanism(curve, x, weight=weight)  →  zeroed(mechanism(curve, x, weight=weight))",
    "mechanism(curve, x, weight=weight)  →  mechanism(curve, x)",
    "2.0 * np.exp(-x)  →  2.0",
    "2.0 * np.exp(-x)  →  np.exp(-x)",
    "2.0 * np.exp(-x)  →  2.002 * np.exp(-x)",
    "np.exp(-x)  →  zeroed(np.exp(-x))",
    "np.exp(-x)  →  -x",
    "-x  →  x",
    "y[1:] += x.sum(axis=1)  →  pass",
    "y[1:] += x.sum(axis=1)  →  y[1:] -= x.sum(axis=1)",
    "x.sum(axis=1)  →  zeroed(x.sum(axis=1))",
    "x.sum(axis=1)  →  x",
    "x.sum(axis=1)  →  x.sum(axis=1 - 1)",
    "1  →  0",
    "g.dot(y.T) if needs[0] else None  →  g.dot(y.T)",
    "g.dot(y.T) if needs[0] else None  →  None",
    "g.dot(y.T)  →  zeroed(g.dot(y.T))",
    "g.dot(y.T)  →  g.dot(disordered(y.T))",
    "g.dot(y.T)  →  disordered(g).dot(y.T)",
    "y.T  →  disordered(y.T)",
]


def toy(folder, monkeypatch, source, name):
    """The toy operation, from a module of its own."""
    (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name).operation


def changes(operation):
    return [f"{fault.before}  →  {fault.after}" for function in formulas_of(operation) for fault in faults(function)]


def test_every_fault_of_a_toy(tmp_path, monkeypatch):
    assert changes(toy(tmp_path, monkeypatch, TOY, "toy")) == EXPECTED


# Functions of the chapters that no operation and no module's forward reaches, and why.
UNREACHED = {
    "_RunningNorm.reset_running_stats": "forgets, before a forward; tests/test_averaging.py looks at what is forgotten",
    "ConvolutionModule._construct": "is called by constructors alone; the chapters' tests look at what they make",
    "new_table": "is called by constructors alone; tests/layers/test_embedding.py looks at what it draws",
    "require_kinds": "only refuses, argument by argument",
    "require_shapes": "only refuses, argument by argument",
    "_require_sizes": "only refuses, and puts a single size into a tuple",
    "own_affine": "is called by constructors alone; tests/layers/test_normalization.py looks at what it makes",
    "_copies": "is called by constructors alone; tests/layers/test_transformer.py looks at what it makes",
    "Transformer.generate_square_subsequent_mask": "a constant, without a gradient; tests/layers/test_transformer.py has torch's",
    "_norm_shape": "is called by checks and constructors alone; tests/layers/test_weight_norms.py looks at what they make",
    "_WeightNorm.right_inverse": "is called by constructors alone; tests/layers/test_weight_norms.py looks at what it makes",
    "_SpectralNorm.right_inverse": "is called by constructors alone; tests/layers/test_weight_norms.py looks at what it makes",
    "AdaptiveLogSoftmaxWithLoss.log_prob": "a method beside forward, which no case calls; tests/losses/test_adaptive.py does",
    "AdaptiveLogSoftmaxWithLoss.predict": "returns classes, which have no gradient",
}


def says_what_it_is(function):
    return function.__name__.startswith("__") or function.__name__ == "extra_repr"


def test_every_formula_is_reached():
    """No function of a chapter goes without faults, unless it only refuses, or is a constructor or the like."""
    packages = {function.__module__.rpartition(".")[0] for function in owners()}
    chapters = [m.name for m in pkgutil.walk_packages(manual.__path__, "manual.") if m.name.rpartition(".")[0] in packages]
    functions = []
    for chapter in map(importlib.import_module, chapters):
        own = [value for value in vars(chapter).values() if getattr(value, "__module__", None) == chapter.__name__]
        methods = [method for value in own if inspect.isclass(value) for method in vars(value).values()]
        called = filter(inspect.isfunction, map(inspect.unwrap, filter(callable, [*own, *methods])))
        functions += [function for function in called if function.__module__ == chapter.__name__]  # not a named tuple's
    unreached = [f.__qualname__ for f in functions if not (f in owners() or says_what_it_is(f) or is_check(f))]
    assert unreached == list(UNREACHED)


def test_names_do_not_matter(tmp_path, monkeypatch):
    """Under other names, the functions of an operation have the same faults."""
    renamed = TOY.replace("curve", "anything").replace("backward", "and_back").replace("require", "look_at")
    expected = [change.replace("curve", "anything") for change in EXPECTED]
    assert changes(toy(tmp_path, monkeypatch, renamed, "renamed")) == expected


def test_the_lines_that_compute(tmp_path, monkeypatch):
    """Where an operation is handed to the mechanism, each assignment that computes, and what the backward returns."""
    operation = toy(tmp_path, monkeypatch, TOY, "lines")
    lines = TOY.splitlines()
    found = [lines[line - 1].strip() for function in formulas_of(operation) for line in sorted(lines_that_compute(function))]
    assert found == [
        "return mechanism(curve, x, weight=weight)",
        "y = 2.0 * np.exp(-x)",
        "y[1:] += x.sum(axis=1)",
        "return g.dot(y.T) if needs[0] else None",
    ]


def test_a_fault_is_planted_for_a_while(tmp_path, monkeypatch):
    operation = toy(tmp_path, monkeypatch, TOY, "planted")
    curve = formulas_of(operation)[1]
    x = np.arange(4.0).reshape(2, 2)
    sound = curve(x)[0]
    values = []
    for fault in faults(curve):
        with fault.planted():
            try:
                values.append(curve(x)[0])
            except Exception:
                continue
        np.testing.assert_array_equal(curve(x)[0], sound)
    assert sum(np.array_equal(value, sound) for value in values) == 6  # those of the backward


def test_a_trial_counts_only_if_it_is_silent_about_what_is_sound(tmp_path, monkeypatch):
    operation = toy(tmp_path, monkeypatch, TOY, "trials")
    curve = formulas_of(operation)[1]
    fault = next(fault for fault in faults(curve) if fault.after == "np.exp(-x)")  # without the factor of 2
    assert Subject("toy", operation, ([lambda: "", lambda: curve(np.ones((2, 2)))[0][0, 0] < 0.5],)).catches(fault)
    assert not Subject("toy", operation, ([lambda: ""],)).catches(fault)
    with pytest.raises(AssertionError, match="toy: a trial complains where nothing is broken"):
        Subject("toy", operation, ([lambda: "always"],)).catches(fault)


RULES = {
    "a @ b": ["disordered(a) @ b", "a @ disordered(b)"],
    "a - b": ["a", "b", "a + b"],
    "a and b": ["b", "a"],
    "~a": ["a"],
    "a < b": ["a <= b", "a >= b"],
    "a == b": ["a != b"],
    "a < 2.0": ["a <= 2.0", "a >= 2.0", "a < 2.002"],
    "b if a <= 0 else c": ["b", "c", "b if a < 0 else c"],
    "a[b, 1:c]": ["a[b - 1, 1:c]", "a[b, 1:c - 1]", "a[b, 0:c]"],
    "a[-1]": ["a[-2]"],
    "a.reshape(-1, 3)": ["zeroed(a.reshape(-1, 3))", "a", "a.reshape(-1, 2)"],
    "a.clip(-1.0, math.inf)": ["zeroed(a.clip(-1.0, math.inf))", "a", "a.clip(None, math.inf)", "a.clip(1.0, math.inf)"],
    "np.maximum(a, b, out=c)": ["zeroed(np.maximum(a, b, out=c))", "a", "b"],
    "np.matmul(a, b)": ["zeroed(np.matmul(a, b))", "np.matmul(disordered(a), b)", "np.matmul(a, disordered(b))"],
    "np.zeros_like(a)": ["a"],
    "np.split(a, b, axis=c)": ["zeroed(np.split(a, b, axis=c))", "a", "b", "np.split(a, b, axis=c - 1)"],
}


@pytest.mark.parametrize("expression", RULES)
def test_rules(expression, tmp_path, monkeypatch):
    source = f"import math\nimport numpy as np\ndef operation(a, b, c):\n    y = {expression}\n    return y\n"
    found = changes(toy(tmp_path, monkeypatch, source, "rules"))
    assert [expression.replace(*change.split("  →  "), 1) for change in found] == RULES[expression]


def test_zeroed():
    value, function, nothing = zeroed((np.ones(2, np.float32), lambda x: (x, 3), None))
    np.testing.assert_array_equal(value, np.zeros(2, np.float32), strict=True)
    assert function(2.0) == (0.0, 0)
    assert nothing is None
    assert (zeroed([1]), zeroed(range(3)), zeroed(True)) == ([], range(0), False)
    with pytest.raises(TypeError, match="nothing in"):
        zeroed(np.float32)


def test_disordered():
    np.testing.assert_array_equal(disordered(np.array([[1, 2, 3], [4, 5, 6]])), [[1, 4, 2], [5, 3, 6]])
    np.testing.assert_array_equal(disordered(np.array([1, 2, 3])), [3, 1, 2])
    np.testing.assert_array_equal(disordered(np.array([[1], [2], [3]])), [[3], [1], [2]])


def test_unwritten():
    assert np.isnan(unwritten((2, 3))).all()
    assert unwritten(2, int).dtype == int
