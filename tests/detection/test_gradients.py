"""The cases catch backwards that were broken on purpose: a test that cannot fail proves nothing.

Two kinds of fault are planted: in what a backward returns (zero, negated, …), and in its source, where every sum loses a term and
every product a factor, one at a time. The curves of elementwise operations, which make value and slope together, are such source
too.
"""

import ast
import copy
import dis
import inspect
import sys
import textwrap

import numpy as np
import pytest

from reference.accuracy import constants_of, sweep
from reference.agreement import measure, reference

FAULTS = {
    "zero": np.zeros_like,
    "negated": np.negative,
    "a thousandth too large": lambda grad: grad * grad.dtype.type(1.001),
    "unscaled": lambda grad: grad * grad.dtype.type(max(grad.size, 2)),
    "shifted by one element": lambda grad: np.roll(grad, 1),
    "in reversed order": lambda grad: grad.reshape(-1)[::-1].reshape(grad.shape),
    "transposed": lambda grad: np.ascontiguousarray(grad.T).reshape(grad.shape),
    "averaged over the first axis": lambda grad: (
        np.broadcast_to(grad.mean(axis=0), grad.shape).copy() if grad.ndim and grad.size else -grad
    ),
    "one element lost": lambda grad: np.where(np.abs(grad) == np.abs(grad).max(initial=0), 0, grad).astype(grad.dtype),
    "in another dtype": lambda grad: grad.astype(np.float32),
    "missing": lambda grad: None,
}


def plant(operation, position, fault):
    def faulty(*arrays, **constants):
        output, backward = operation(*arrays, **constants)

        def faulty_backward(grad_output):
            grads = list(backward(grad_output))
            grads[position] = fault(grads[position])
            return tuple(grads)

        return output, faulty_backward

    return faulty


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_gradients_are_caught(operation, case, name):
    """Each fault in each gradient of each case, wherever it changes anything."""
    arrays = case.build(operation.name, np.float64)
    _, backward = operation.manual(*arrays, **case.constants)
    grads = backward(reference(operation, case, np.float64)[0])
    for position, grad in enumerate(grads):
        if grad is None or not np.isfinite(grad).all():
            continue
        wrong = FAULTS[name](grad)
        if wrong is not None and wrong.dtype == grad.dtype and np.allclose(wrong, grad, rtol=1e-9, atol=1e-300):
            continue  # this fault leaves this gradient as it is
        agreement = measure(operation, case, np.float64, plant(operation.manual, position, FAULTS[name]))
        assert agreement.complaints, f"gradient {position}, {name}: not caught"


class Breaker(ast.NodeTransformer):
    """Breaks the sum, product, negation or call number `target` in functions called backward or curve, or in what makes a slope."""

    def __init__(self, target):
        self.target, self.count, self.inside, self.what = target, -1, False, ""

    def visit_FunctionDef(self, node):
        before, self.inside = self.inside, self.inside or node.name.startswith(("backward", "grad_", "curve", "_curve"))
        self.generic_visit(node)
        self.inside = before
        return node

    def visit(self, node):
        if not isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)) or "slope" not in ast.unparse(node):
            return super().visit(node)
        before, self.inside = self.inside, True
        node = super().visit(node)
        self.inside = before
        return node

    def _hit(self, node, replacement):
        if not self.inside:
            return node
        self.count += 1
        if self.count != self.target:
            return node
        self.what = f"line {node.lineno}: {ast.unparse(node)}  →  {ast.unparse(replacement)}"
        return replacement

    def visit_BinOp(self, node):
        self.generic_visit(node)
        for broken in (node.left, node.right):
            if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
                node = self._hit(node, broken)
                if not isinstance(node, ast.BinOp):
                    return node
        return node

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        return self._hit(node, node.operand) if isinstance(node.op, ast.USub) else node

    def visit_AugAssign(self, node):
        self.generic_visit(node)
        return self._hit(node, ast.copy_location(ast.Pass(), node))

    def visit_Expr(self, node):
        self.generic_visit(node)
        if isinstance(node.value, ast.Call):  # np.multiply(…, out=…), np.put_along_axis(…), …
            return self._hit(node, ast.copy_location(ast.Pass(), node))
        return node


# What holds no formula, and has tests of its own.
HELPERS = {"pointwise", "by_rows", "in_threads", "row_parts"}


def formulas_of(operation):
    """The operation, and every function of ours that it calls, by their names in its chapter."""
    chapter = sys.modules[operation.manual.__module__]
    found, queue = {}, [operation.name]
    while queue:
        name = queue.pop()
        function = vars(chapter).get(name)
        if name not in found and inspect.isfunction(function) and function.__module__.startswith("manual.") and name not in HELPERS:
            found[name] = function
            queue.extend(names_used(function.__code__))
    return chapter, found


def names_used(code):
    inner = [names_used(constant) for constant in code.co_consts if inspect.iscode(constant)]
    own = [instruction.argval for instruction in dis.get_instructions(code) if instruction.opname == "LOAD_GLOBAL"]
    return [*own, *(name for names in inner for name in names)]


def broken_versions(function):
    """Every version of a function with one term, factor, sign or statement of a backward left out, and what that was."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for target in range(1000):
        breaker = Breaker(target)
        broken = ast.fix_missing_locations(breaker.visit(copy.deepcopy(tree)))
        if not breaker.what:
            return
        namespace = dict(vars(sys.modules[function.__module__]))
        exec(compile(broken, f"<broken {function.__name__}>", "exec"), namespace)
        yield f"{function.__name__}, {breaker.what}", namespace[function.__name__]


# Faults that change no gradient of an operation, and why.
HARMLESS = {
    ("elu", "*= λ"): "only selu has a scale",
    ("hardswish", "-math.inf  →  math.inf"): "then it is always clipped, which only takes time",
    ("rrelu", "/= divisor"): "only hardsigmoid has a divisor",
}


def caught(operation, version):
    """Whether any case tells, or for what happens far out, the sweep over all magnitudes."""
    return any(measure(operation, case, np.float64, version).complaints for case in operation.cases) or any(
        sweep(operation, constants, np.float32, version).complaints for constants in constants_of(operation)
    )


def test_broken_formulas_are_caught(operation, monkeypatch):
    """The cases of an operation, together, catch each of them."""
    chapter, formulas = formulas_of(operation)
    missed = []
    for name, function in formulas.items():
        for what, broken in broken_versions(function):
            with monkeypatch.context() as patch, np.errstate(all="ignore"):
                patch.setattr(chapter, name, broken)
                if not caught(operation, getattr(chapter, operation.name)):
                    missed.append(what)
    harmless = [statement for name, statement in HARMLESS if name == operation.name]
    assert [what for what in missed if not any(statement in what for statement in harmless)] == []
