"""Mutants: what a package is with one thing changed in one place.

A rule takes a node of the syntax tree and yields what may stand in its place. Those of the formulas in `tests.detection` serve here
too; others belong to code that is not a formula: what is passed, raised, returned and set. Words are left as they are.
"""

import ast
import copy
import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.detection.breaker import Replace
from tests.detection.rules import (
    branch_forced,
    comparison_negated,
    condition_forced,
    index_off_by_one,
    loop_skipped,
    negation_dropped,
    operand_dropped,
    strictness_changed,
)

EXCHANGED = "Add Sub", "Mult Div", "BitAnd BitOr", "And Or", "Is IsNot", "In NotIn"
PAIRS = [[getattr(ast, name) for name in names.split()] for names in EXCHANGED]
OPERATORS = {ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult} | dict(PAIRS) | {other: one for one, other in PAIRS}


def operator_exchanged(node):
    """A difference for a sum, a quotient for a product, `or` for `and`, `is not` for `is`, and back."""
    operators = node.ops if isinstance(node, ast.Compare) else [node.op]
    if len(operators) == 1 and type(operators[0]) in OPERATORS:
        operator, changed = OPERATORS[type(operators[0])](), copy.copy(node)
        changed.ops, changed.op = [operator], operator  # a node has one of the two
        yield changed


def constant_changed(node):
    """True for False, one more and one less, twice as much."""
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node.value, float):
        yield ast.Constant(2 * node.value or 1.0)


def argument_changed(node):
    """A call without the last of its arguments, or one by keyword, or with two neighbours exchanged that are no words."""
    if len(node.args) > 1:
        yield ast.Call(node.func, node.args[:-1], node.keywords)
    for i, (one, other) in enumerate(pairwise(node.args)):
        words = [each for each in (one, other) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if not words and ast.dump(one) != ast.dump(other):
            yield ast.Call(node.func, [*node.args[:i], other, one, *node.args[i + 2 :]], node.keywords)
    for i in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, [*node.keywords[:i], *node.keywords[i + 1 :]])


def left_out(node):
    """A statement left out. A name that is given its first value is not: all that follows would fail."""
    names = {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)} if isinstance(node, ast.Assign) else set()
    targets = node.targets if isinstance(node, ast.Assign) else []
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) and all(
        not isinstance(target, ast.Name | ast.Tuple) or ast.unparse(target) in names for target in targets
    ):
        yield ast.Pass()


def nothing_returned(node):
    """`return` without its value."""
    if node.value is not None and ast.unparse(node.value) != "None":
        yield ast.Return()


RULES = {
    ast.BinOp: (operator_exchanged, operand_dropped),
    ast.BoolOp: (operator_exchanged, operand_dropped),
    ast.UnaryOp: (negation_dropped,),
    ast.Compare: (operator_exchanged, strictness_changed, comparison_negated),
    ast.Constant: (constant_changed,),
    ast.IfExp: (branch_forced,),
    ast.Subscript: (index_off_by_one,),
    ast.Call: (argument_changed,),
    ast.Assign: (left_out,),
    ast.AugAssign: (operator_exchanged, left_out),
    ast.Expr: (left_out,),
    ast.Delete: (left_out,),
    ast.Raise: (left_out,),
    ast.Continue: (left_out,),
    ast.Break: (left_out,),
    ast.Return: (nothing_returned,),
    ast.If: (condition_forced,),
    ast.While: (loop_skipped,),
    ast.For: (loop_skipped,),
}
BODIES = "body", "orelse", "handlers", "finalbody"


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change: the file and the function that it is in, the statement and what becomes of it."""

    path: Path
    place: str
    statement: str
    becomes: str
    lines: range
    at_import: bool  # the statement is run when the module is imported, and not by one test or another
    tree: ast.Module
    node: ast.AST
    replacement: ast.AST

    @property
    def key(self):
        """What tells it from others, wherever its lines move."""
        return self.place, self.statement, self.becomes

    def code(self):
        """The code of the changed module."""
        ast.fix_missing_locations(ast.copy_location(self.replacement, self.node))
        return compile(Replace(self.node, self.replacement).visit(self.tree), self.path, "exec")


def chosen(mutants, seed, number):
    """So many of them at random; to change the code in one place changes nothing of the choice elsewhere."""
    return sorted(mutants, key=lambda mutant: hashlib.sha256(repr((seed, mutant.key)).encode()).digest())[:number]


def mutants_of(path, root):
    """Every mutant of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement, owners in _statements(tree, []):
        before, nodes = _text(statement), list(_own_nodes(statement))
        lines = range(statement.lineno, max(getattr(node, "end_lineno", 0) for node in nodes[1:] or nodes) + 1)
        in_function = any(isinstance(owner, ast.FunctionDef) for owner in owners)
        place = ", ".join([path.relative_to(root).as_posix(), ".".join(owner.name for owner in owners)]).removesuffix(", ")
        for node in nodes:
            for replacement in (replacement for rule in RULES.get(type(node), ()) for replacement in rule(node)):
                after = _text(Replace(node, replacement).visit(statement))
                Replace(replacement, node).visit(statement)
                yield Mutant(path, place, before, after, lines, not in_function, tree, node, replacement)


def _statements(node, owners):
    """Each statement within a node, and the classes and functions around it."""
    for field in BODIES:
        for child in getattr(node, field, []):
            if isinstance(child, ast.stmt):
                yield child, owners
            is_owner = isinstance(child, ast.FunctionDef | ast.ClassDef)
            yield from _statements(child, [*owners, child] if is_owner else owners)


def _own_nodes(node):
    """A statement and its expressions, without the statements inside it and without annotations."""
    yield node
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns") and not (field in BODIES and isinstance(value, list)):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _own_nodes(child)


def _text(statement):
    """A statement as Python prints it, without the statements inside it."""
    head = copy.copy(statement)
    for field in BODIES:
        if isinstance(getattr(head, field, None), list):
            setattr(head, field, [ast.Pass()] if field == "body" else [])
    return ast.unparse(head).removesuffix("\n    pass")
