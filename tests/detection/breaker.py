"""Breaks a formula in every way that the rules know, one at a time."""

import ast
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from tests.detection.formulas import own_expressions, statements, tree_of
from tests.detection.rules import RULES, RULES_OF_CONDITIONS, disordered, parts, unwritten, unwritten_like, zeroed


@dataclass(frozen=True)
class Fault:
    """One fault: the function and its statement, what was there and what is there now, and the code of the broken function."""

    function: Any
    line: int
    statement: str
    before: str
    after: str
    code: Any

    def __str__(self):
        return f"{self.function.__name__}, line {self.line}, {self.statement}: {self.before}  →  {self.after}"

    @contextmanager
    def planted(self):
        """For a while the function, wherever it is called from, is the broken one."""
        function, scope = self.function, self.function.__globals__
        sound = function.__code__
        scope.update(zeroed=zeroed, disordered=disordered)
        function.__code__ = self.code
        try:
            with mock.patch.multiple(np, empty=unwritten, empty_like=unwritten_like):
                yield
        finally:
            function.__code__ = sound
            del scope["zeroed"], scope["disordered"]


def faults(function):
    """Every fault that the rules know of in a function, each once."""
    found = {}
    for statement in statements(function):
        for node, replacement in _replacements(statement):
            found.setdefault((node, ast.unparse(replacement)), (statement, replacement))
    for (node, _), (statement, replacement) in found.items():
        texts = [ast.unparse(each).partition("\n")[0] for each in (statement, node, replacement)]
        yield Fault(function, statement.lineno, *texts, _broken(function, node, replacement))


def _replacements(statement):
    for rule in RULES.get(type(statement), ()):
        yield from ((statement, replacement) for replacement in rule(statement))
    is_condition = isinstance(statement, ast.If | ast.While)
    for expression in own_expressions(statement):
        is_call = isinstance(statement, ast.Expr) and isinstance(expression, ast.Call)  # which is left out as a whole already
        for part in expression.args if is_call else [expression]:
            yield from _of_expression(part, RULES_OF_CONDITIONS if is_condition else RULES)


def _of_expression(node, rules):
    for rule in rules.get(type(node), ()):
        yield from ((node, replacement) for replacement in rule(node))
    for part, rules_of_part in parts(node, rules):
        yield from _of_expression(part, rules_of_part)


def _broken(function, node, replacement):
    """The code of a function with one node replaced; its tree is afterwards as it was."""
    tree, namespace = tree_of(function), {}
    ast.fix_missing_locations(ast.copy_location(replacement, node))
    Replace(node, replacement).visit(tree)
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # of what only a broken formula would say
            code = compile(tree, function.__code__.co_filename, "exec")
        exec(code, dict(function.__globals__), namespace)
        return namespace[function.__name__].__code__
    finally:
        Replace(replacement, node).visit(tree)


class Replace(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, node, replacement):
        self.node, self.replacement = node, replacement

    def visit(self, node):
        return self.replacement if node is self.node else self.generic_visit(node)
