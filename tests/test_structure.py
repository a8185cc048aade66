"""Leaves of nested arguments, their names, and the way back."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from reference import structure


class Packed(NamedTuple):
    data: Any
    lengths: Any


A, B, C = (np.full(2, float(i)) for i in range(3))
INDICES = np.array([0, 1])

TREES = {
    "an array": (A, {"x": A}),
    "None": (None, {"x": None}),
    "a tuple": ((A, B), {"x.0": A, "x.1": B}),
    "a list": ([A, None], {"x.0": A, "x.1": None}),
    "a tuple within": ((A, (B, C)), {"x.0": A, "x.1.0": B, "x.1.1": C}),
    "a named tuple": (Packed(A, INDICES), {"x.0": A, "x.1": INDICES}),
    "nothing": ((), {}),
}
every_tree = pytest.mark.parametrize(("tree", "names"), TREES.values(), ids=TREES.keys())


@every_tree
def test_names(tree, names):
    found = structure.named(tree, "x")
    assert list(found) == list(names)
    assert all(found[name] is names[name] for name in names)
    assert all(leaf is other for leaf, other in zip(structure.leaves(tree), names.values(), strict=True))


def test_names_of_gradients():
    assert list(structure.named_gradients((A, (B, None), [C]))) == ["grad_0", "grad_1.0", "grad_1.1", "grad_2.0"]


@every_tree
def test_there_and_back(tree, names):
    back = structure.rebuild(tree, range(len(names)))
    assert structure.leaves(back) == list(range(len(names)))
    assert structure.same(back, tree)


def test_apply_leaves_none():
    assert structure.apply(len, Packed([A], None)) == Packed([2], None)


@pytest.mark.parametrize("other", [A, (A,), (A, B, C), [A, B], Packed(A, B), (A, (B,))], ids=str)
def test_other_structures(other):
    assert not structure.same((A, B), other)


def test_as_floats():
    narrow = structure.as_floats((A, INDICES, None), np.float32)
    assert [leaf is None or leaf.dtype for leaf in narrow] == [np.float32, INDICES.dtype, True]


def test_omissions():
    """Each part of a tuple is left out once, as long as numbers remain."""
    found = {name: (with_none, with_zeros) for name, with_none, with_zeros in structure.omissions((A, (B, C), None))}
    zeros = np.zeros(2)
    expected = {
        "0": ((None, (B, C), None), (zeros, (B, C), None)),
        "1": ((A, None, None), (A, (zeros, zeros), None)),
        "1.0": ((A, (None, C), None), (A, (zeros, C), None)),
        "1.1": ((A, (B, None), None), (A, (B, zeros), None)),
    }
    assert found.keys() == expected.keys()
    for name, trees in expected.items():
        for got, want in zip(found[name], trees, strict=True):
            assert structure.same(got, want)
            for leaf, other in zip(structure.leaves(got), structure.leaves(want), strict=True):
                np.testing.assert_array_equal(leaf, other)


@pytest.mark.parametrize("tree", [A, (A, None), (None, None), [A]], ids=str)
def test_nothing_to_omit(tree):
    assert list(structure.omissions(tree)) == []
