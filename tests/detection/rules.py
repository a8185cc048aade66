"""The rules by which formulas are broken.

A rule takes a node of the syntax tree and yields what may stand in its place: a sum with a term left out, a comparison with `<` for
`<=`, a call whose result is zero. To break formulas in one more way, add a rule to the table at the end.
"""

import ast
import inspect

import numpy as np

NUDGE = 1.001  # a constant that is wrong by so little passes where tolerances are careless


# What broken formulas call, and what NumPy gives them.


def zeroed(value):
    """Zero in the place of every number that a call returns, or will return when it is called in turn."""
    if isinstance(value, tuple):
        return tuple(None if part is None else zeroed(part) for part in value)
    if isinstance(value, list | range):
        return value[:0]
    if isinstance(value, np.ndarray | np.generic):
        return np.zeros_like(value)
    if isinstance(value, int | float):
        return type(value)(0)
    if inspect.isroutine(value):
        return lambda *arguments, **keywords: zeroed(value(*arguments, **keywords))
    raise TypeError(f"nothing in {value!r} is a number")


def disordered(value):
    """The numbers of an array in another order: those of its transpose, or each moved on by one where that is the same."""
    if sum(size > 1 for size in value.shape) > 1:
        return np.ascontiguousarray(value.T).reshape(value.shape)
    return np.roll(value, 1)


def unwritten(shape, dtype=float):
    """Memory as `np.empty` gives it, with NaN in it, and not by chance what belongs there."""
    array = np.zeros(shape, dtype)
    if array.dtype.kind == "f":
        array.fill(np.nan)
    return array


def unwritten_like(array, dtype=None, shape=None):
    return unwritten(array.shape if shape is None else shape, dtype or array.dtype)


def _call(function, node):
    return ast.Call(ast.Name(function.__name__, ast.Load()), [node], [])


# Rules for sums, products and constants.


def operand_dropped(node):
    """A term of a sum, a factor of a product, either side of `and` and `or` left out."""
    if isinstance(node, ast.BoolOp):
        for left_out in node.values:
            kept = [value for value in node.values if value is not left_out]
            yield kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)
    elif not isinstance(node.op, ast.MatMult):
        yield node.left
        yield node.right


def sign_changed(node):
    """A difference for a sum, a sum for a difference."""
    if isinstance(node.op, ast.Add | ast.Sub):
        yield ast.BinOp(node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.right)


def negation_dropped(node):
    """`-x`, `~x` and `not x` without the sign."""
    if isinstance(node.op, ast.USub | ast.Invert | ast.Not) and not _is_infinite(node) and not _is_integer(node.operand):
        yield node.operand


def constant_nudged(node):
    """A constant of the formula, changed by a thousandth. Those among the arguments of a call mostly say where a formula is left
    for another one, which need not be so exact.
    """
    if isinstance(node, ast.BinOp):
        if _is_number(node.left):
            yield ast.BinOp(_nudged(node.left), node.op, node.right)
        if _is_number(node.right):
            yield ast.BinOp(node.left, node.op, _nudged(node.right))
    elif len(node.comparators) == 1 and _is_number(node.comparators[0]):
        yield ast.Compare(node.left, node.ops, [_nudged(node.comparators[0])])


def _is_number(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value != 0.0


def _nudged(node):
    return ast.Constant(node.value * NUDGE)


def integer_off_by_one(node):
    """An index, an axis, a count or an exponent one less."""
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and _is_integer(node.operand):
            yield ast.Constant(-node.operand.value - 1)
    elif _is_integer(node):
        yield ast.Constant(node.value - 1)


def _is_integer(node):
    return isinstance(node, ast.Constant) and type(node.value) is int


# Rules for choices.

STRICT = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
OPPOSITE = {ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}


def _with_operator(node, table):
    for i, op in enumerate(node.ops):
        if type(op) in table:
            yield ast.Compare(node.left, [*node.ops[:i], table[type(op)](), *node.ops[i + 1 :]], node.comparators)


def strictness_changed(node):
    """`<` for `<=`, and back."""
    yield from _with_operator(node, STRICT)


def comparison_negated(node):
    """`>=` for `<`, `!=` for `==`, and back."""
    yield from _with_operator(node, OPPOSITE)


def branch_forced(node):
    """`a if condition else b` to always the one, or always the other."""
    yield node.body
    yield node.orelse


# Rules for indices.


def index_off_by_one(node):
    """A variable among the indices of an array, and the start and end of a slice, one less."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for i, part in enumerate(parts):
        for moved in _one_less(part):
            index = ast.Tuple([*parts[:i], moved, *parts[i + 1 :]], ast.Load()) if isinstance(node.slice, ast.Tuple) else moved
            yield ast.Subscript(node.value, index, node.ctx)


def _one_less(part):
    if isinstance(part, ast.Slice):
        for lower in _one_less(part.lower):
            yield ast.Slice(lower, part.upper, part.step)
        for upper in _one_less(part.upper):
            yield ast.Slice(part.lower, upper, part.step)
    elif isinstance(part, ast.Name | ast.Attribute):
        yield ast.BinOp(part, ast.Sub(), ast.Constant(1))


# Rules for calls.

PRODUCTS = {"dot", "matmul", "vecdot", "einsum", "tensordot"}
AXES = {"axis", "dim"}
BLANK = {"empty", "empty_like", "zeros", "zeros_like"}  # zero already, or yet to be written
PLACES = {"out", "dtype", "casting"}  # where a result is written, and in which format


def result_zeroed(node):
    """Zero for what a call returns."""
    if _name(node) not in BLANK:
        yield _call(zeroed, node)


def function_dropped(node):
    """A function of NumPy, or a method, left out: each array that it was given takes the place of what it makes of it."""
    if _name(node) in PRODUCTS:
        return
    if isinstance(node.func, ast.Attribute) and _is_library(node.func.value):
        yield from [argument for argument in node.args if not isinstance(argument, ast.Constant | ast.Starred)]
    elif isinstance(node.func, ast.Attribute) and _name(node) != "type" and ast.unparse(node.func.value) != "self":
        yield node.func.value
    elif _name(node) == "abs":
        yield node.args[0]


def operand_disordered(node):
    """A matrix transposed in a product."""
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.MatMult):
            yield ast.BinOp(_call(disordered, node.left), node.op, node.right)
            yield ast.BinOp(node.left, node.op, _call(disordered, node.right))
    elif _name(node) in PRODUCTS:
        for i, argument in enumerate(node.args):
            if not isinstance(argument, ast.Constant):
                yield ast.Call(node.func, [*node.args[:i], _call(disordered, argument), *node.args[i + 1 :]], node.keywords)
        if not _is_library(node.func.value):
            yield ast.Call(ast.Attribute(_call(disordered, node.func.value), node.func.attr, ast.Load()), node.args, node.keywords)


def keyword_changed(node):
    """A sum over another axis; any other keyword left out."""
    for i, keyword in enumerate(node.keywords):
        others = [*node.keywords[:i], *node.keywords[i + 1 :]]
        if keyword.arg in AXES:
            other_axis = ast.keyword(keyword.arg, ast.BinOp(keyword.value, ast.Sub(), ast.Constant(1)))
            yield ast.Call(node.func, node.args, [*others, other_axis])
        elif keyword.arg not in PLACES:
            yield ast.Call(node.func, node.args, others)


def bound_opened(node):
    """One bound of a clip left out."""
    if _name(node) == "clip":
        for i, bound in enumerate(node.args):
            if not _is_infinite(bound):
                yield ast.Call(node.func, [*node.args[:i], ast.Constant(None), *node.args[i + 1 :]], node.keywords)


def _name(node):
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_library(node):
    return _is_library(node.value) if isinstance(node, ast.Attribute) else ast.unparse(node) in ("np", "math")


def _is_infinite(node):
    return ast.unparse(node).removeprefix("-") in ("math.inf", "np.inf")


def order_changed(node):
    """`x.T` with its numbers in the order of x."""
    if node.attr == "T":
        yield _call(disordered, node)


# Rules for statements.


def left_out(node):
    """An assignment within an array, `+=`, `*=`, or a call whose result is written into an array."""
    if isinstance(node, ast.AugAssign | ast.Expr) or any(isinstance(target, ast.Subscript) for target in node.targets):
        yield ast.Pass()


def update_changed(node):
    """`-=` for `+=`, another constant."""
    if isinstance(node.op, ast.Add | ast.Sub):
        yield ast.AugAssign(node.target, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.value)
    if _is_number(node.value):
        yield ast.AugAssign(node.target, node.op, _nudged(node.value))


def condition_forced(node):
    """An `if` that is always taken, or never."""
    for answer in (True, False):
        yield ast.If(ast.Constant(answer), node.body, node.orelse)


def loop_skipped(node):
    """A loop that does nothing."""
    yield ast.Pass()


RULES = {
    ast.BinOp: (operand_dropped, sign_changed, constant_nudged, operand_disordered),
    ast.BoolOp: (operand_dropped,),
    ast.UnaryOp: (negation_dropped, integer_off_by_one),
    ast.Constant: (integer_off_by_one,),
    ast.Compare: (strictness_changed, comparison_negated, constant_nudged),
    ast.IfExp: (branch_forced,),
    ast.Subscript: (index_off_by_one,),
    ast.Attribute: (order_changed,),
    ast.Call: (result_zeroed, function_dropped, operand_disordered, keyword_changed, bound_opened),
    ast.Assign: (left_out,),
    ast.AugAssign: (left_out, update_changed),
    ast.Expr: (left_out,),
    ast.If: (condition_forced,),
    ast.For: (loop_skipped,),
}
# Within a condition, which `condition_forced` decides either way, it is the bounds that may be wrong.
RULES_OF_CONDITIONS = {ast.Compare: (strictness_changed,), ast.BoolOp: (operand_dropped,)}


def parts(node, rules):
    """The expressions of which an expression is made, each with its rules."""
    if isinstance(node, ast.IfExp):
        return [(node.body, rules), (node.test, RULES_OF_CONDITIONS), (node.orelse, rules)]
    if isinstance(node, ast.UnaryOp) and _is_integer(node.operand):  # −1 is one number
        return []
    found = ast.iter_child_nodes(node)
    if isinstance(node, ast.Call):
        arguments = [argument for argument in node.args if _name(node) != "reshape" or ast.unparse(argument) != "-1"]  # no index
        found = [node.func, *arguments, *(keyword.value for keyword in node.keywords if keyword.arg not in AXES | PLACES)]
    return [(part, rules) for part in found if isinstance(part, ast.expr | ast.comprehension)]
