"""Leaves of nested arguments and outputs, their names, and the way back.

An argument, an output or a gradient is an array, `None`, or a tuple, a named tuple or a list of such: the states of an LSTM, the
list of its weights, a sequence with its lengths. What is no tuple and no list is a leaf, `None` too, and a plain number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from manual.contract import is_number
from manual.sparse import RowGradient
from manual.trees import like


def leaves(tree: Any) -> list[Any]:
    """The leaves in order."""
    return list(named(tree, "").values())


def named(tree: Any, name: str) -> dict[str, Any]:
    """The leaves by their names: `output` where that is one, or else `output.0`, `output.1.0`, and so on."""
    if not _is_node(tree):
        return {name: dense(tree)}
    return {key: leaf for i, part in enumerate(tree) for key, leaf in named(part, f"{name}.{i}").items()}


def dense(leaf: Any) -> Any:
    """A leaf to compare: the gradient of a few rows of a table as the array for which it stands, anything else as it is."""
    return leaf.dense() if isinstance(leaf, RowGradient) else leaf


def named_gradients(grads: Iterable[Any]) -> dict[str, Any]:
    """The leaves of gradients, or of the arguments to which they belong: `grad_0`, `grad_1.0`, …"""
    return {key: leaf for i, grad in enumerate(grads) for key, leaf in named(grad, f"grad_{i}").items()}


def rebuild(tree: Any, new_leaves: Iterable[Any]) -> Any:
    """The same structure with other leaves."""
    new = iter(new_leaves)

    def build(part: Any) -> Any:
        if not _is_node(part):
            return next(new)
        return like(part, [build(each) for each in part])

    return build(tree)


def apply(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with a function of each leaf; `None` stays, and so does a plain number."""
    return rebuild(tree, [leaf if leaf is None or is_number(leaf) else function(leaf) for leaf in leaves(tree)])


def same(one: Any, other: Any) -> bool:
    """Whether two structures are the same, whatever their leaves."""
    if not (_is_node(one) or _is_node(other)):
        return True
    return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))


def omissions(tree: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each way to leave out a part of a tuple while numbers remain in another: its name, and the tree with `None` and with zeros
    in its place.
    """
    numbers = sum(map(is_float, leaves(tree)))
    for name, with_none, with_zeros in _omissions(tree):
        if 0 < sum(map(is_float, leaves(with_none))) < numbers:
            yield name, with_none, with_zeros


def _omissions(tree: Any) -> Iterator[tuple[str, Any, Any]]:
    for i, part in enumerate(tree if _is_node(tree) else ()):
        inner = ((f"{i}.{name}", *trees) for name, *trees in _omissions(part))
        for name, *news in ((f"{i}", None, apply(np.zeros_like, part)), *inner):
            with_none, with_zeros = (like(tree, [*tree[:i], new, *tree[i + 1 :]]) for new in news)
            yield name, with_none, with_zeros


def as_floats(tree: Any, dtype: Any) -> Any:
    """The same structure with its floating-point numbers in this dtype."""
    return apply(lambda leaf: leaf.astype(dtype) if is_float(leaf) else leaf, tree)


def is_float(leaf: Any) -> bool:
    """Whether a leaf holds floating-point numbers."""
    return not (leaf is None or is_number(leaf)) and is_floating(leaf.dtype)


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is one of floating-point numbers; NumPy counts bfloat16, which another package defines, among the others."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def _is_node(tree: Any) -> bool:
    return isinstance(tree, (tuple, list))
