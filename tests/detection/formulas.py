"""Finds the formulas of an operation: every function of a chapter that it reaches, and in them every line that computes.

Nothing is found by a name that somebody chose: from the operation on, the functions are followed that its formulas mention. So a
curve that is renamed keeps its faults, and a helper that is new gets some.
"""

import ast
import builtins
import inspect
import textwrap
from functools import cache, partial
from pathlib import Path

# Files that hold no formula of an operation: mechanisms, checks, and what modules are made of. They have tests of their own.
MACHINERY = {
    "arrays.py",
    "batches.py",
    "calling.py",
    "containers.py",
    "contract.py",
    "elementwise.py",
    "initialization.py",
    "lazy.py",
    "module.py",
    "multihead_arguments.py",
    "parameter_containers.py",
    "parametrizations.py",
    "rows.py",
    "sequences.py",
    "sparse.py",
    "strips.py",
    "threads.py",
    "windows.py",
    "axis_windows.py",
}

COMPUTES = ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.IfExp, ast.Subscript, ast.UnaryOp


def formulas_of(operation, others=()):
    """The operation, and all functions of its package's chapters that its formulas reach, but not `others`, which are
    operations with cases of their own.
    """
    package = operation.__module__.partition(".")[0]
    found, queue = [], [inspect.unwrap(operation)]
    while queue:
        function = queue.pop()
        if function in found or is_check(function):
            continue
        found.append(function)
        for statement in statements(function):
            in_package = [each for each in mentions(function, statement) if each.__module__.partition(".")[0] == package]
            queue += [mentioned for mentioned in in_package if not is_machinery(mentioned) and mentioned not in others]
    return found


def is_machinery(function):
    return Path(function.__code__.co_filename).name in MACHINERY


def mentions(function, statement):
    """The functions that a statement mentions: by name, as attributes of a module, or as methods of classes the chapter names; of
    a module that it builds, the forward.
    """
    scope = function.__globals__
    package = function.__module__.partition(".")[0]
    classes = [value for value in scope.values() if inspect.isclass(value) and value.__module__.partition(".")[0] == package]
    for node in (node for part in own_expressions(statement) for node in ast.walk(part)):
        if isinstance(node, ast.Name):
            values = [scope.get(node.id)]
        elif isinstance(node, ast.Attribute):
            module = scope.get(node.value.id) if isinstance(node.value, ast.Name) else None
            values = [vars(owner).get(node.attr) for owner in ([module] if inspect.ismodule(module) else classes)]
        else:
            continue
        for value in values:
            while isinstance(value, partial):
                value = value.func
            if inspect.isclass(value) and value in classes:
                value = vars(value).get("forward")
            value = inspect.unwrap(value) if callable(value) else value
            if inspect.isfunction(value):
                yield value


@cache
def tree_of(function):
    """The function's definition as a syntax tree, with the line numbers of its file; `cache` keeps its nodes the same ones."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    tree.body[0].decorator_list = []
    return ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)


def statements(function):
    """Every statement of a function, of those nested in it too, that is part of a formula: docstrings and checks are not."""
    yield from _statements(function, tree_of(function).body[0].body)


def _statements(function, body):
    for statement in body:
        if not _is_check(function, statement) and not _is_text(statement):
            yield statement
        elif not isinstance(statement, ast.If):
            continue
        for field in ("body", "orelse", "handlers", "finalbody"):
            inner = getattr(statement, field, [])
            if inner and not _all_checks(function, inner):
                yield from _statements(function, inner)


@cache
def is_check(function):
    """Whether a function only refuses: it returns nothing but errors, and consists of checks and what they look at."""
    body = [statement for statement in tree_of(function).body[0].body if not _is_name_given(statement)]
    returned = [node.value for node in ast.walk(tree_of(function)) if isinstance(node, ast.Return) and node.value]
    return all(_is_error(function, value) for value in returned) and bool(body) and _all_checks(function, body)


def _all_checks(function, body):
    """Whether statements do nothing but refuse: the last raises, or they are checks one and all."""
    if isinstance(body[-1], ast.Raise) or (isinstance(body[-1], ast.Return) and _is_error(function, body[-1].value)):
        return True
    return all(_is_check(function, statement) or _is_text(statement) for statement in body)


def _is_check(function, statement):
    """Whether a statement raises, calls a function of the contract or one that only refuses, or is an `if` of nothing else."""
    if isinstance(statement, ast.If):
        return _all_checks(function, statement.body)
    if isinstance(statement, ast.ExceptHandler):
        return _all_checks(function, statement.body)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Name):
        called = function.__globals__.get(statement.value.func.id)
        return inspect.isfunction(called) and (Path(called.__code__.co_filename).name == "contract.py" or is_check(called))
    return isinstance(statement, ast.Raise)


def _is_name_given(statement):
    """Whether a statement only gives names to values, and so is of no use behind the end of its function."""
    if not isinstance(statement, ast.Assign):
        return False
    return all(
        isinstance(part, ast.Name | ast.Tuple | ast.expr_context) for target in statement.targets for part in ast.walk(target)
    )


def _is_text(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_error(function, value):
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return False
    called = function.__globals__.get(value.func.id, getattr(builtins, value.func.id, None))
    return inspect.isclass(called) and issubclass(called, BaseException)


def own_expressions(statement):
    """The expressions of a statement itself, not of the statements within it, nor what says where a result goes."""
    if isinstance(statement, ast.Assign):
        places = [part for target in statement.targets for part in ast.walk(target) if isinstance(part, ast.Subscript)]
        return [statement.value, *places]
    if isinstance(statement, ast.AugAssign):
        return [statement.value, *([statement.target] if isinstance(statement.target, ast.Subscript) else [])]
    if isinstance(statement, ast.If | ast.While):
        return [statement.test]
    if isinstance(statement, ast.For):
        return [statement.iter]
    if isinstance(statement, ast.Expr | ast.Return | ast.AnnAssign) and statement.value:
        return [statement.value]
    return []


def lines_that_compute(function):
    """The numbers of the lines on which a statement starts that has arithmetic, a call, a choice or an index in it."""
    return {
        statement.lineno
        for statement in statements(function)
        if isinstance(statement, ast.AugAssign)
        or any(isinstance(node, COMPUTES) for part in own_expressions(statement) for node in ast.walk(part))
    }
