"""Embeddings, one by one and in bags, and unit vectors: examples by hand, what a gradient by rows is, tables that forwards clip."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import manual
from reference.cases import OPERATIONS
from reference.oracle import forward

TABLE = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [3.0, -4.0]])
F = torch.nn.functional


def test_embedding_by_hand():
    output, backward = manual.embedding(np.array([2, 0, 2]), TABLE)
    np.testing.assert_array_equal(output, [[5, 6], [1, 2], [5, 6]])
    grad_x, grad_weight = backward(np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]]))
    assert grad_x is None
    np.testing.assert_array_equal(grad_weight, [[3, 4], [0, 0], [11, 22], [0, 0]])


def test_padding_is_looked_up_but_learns_nothing():
    output, backward = manual.embedding(np.array([2, 0]), TABLE, padding_idx=-2)
    np.testing.assert_array_equal(output, [[5, 6], [1, 2]])
    np.testing.assert_array_equal(backward(np.ones((2, 2)))[1], [[1, 1], [0, 0], [0, 0], [0, 0]])


def test_frequent_words_learn_their_mean():
    _, backward = manual.embedding(np.array([[1, 1], [1, 0]]), TABLE, scale_grad_by_freq=True)
    g = np.array([[[3.0, 0.0], [6.0, 0.0]], [[0.0, 9.0], [5.0, 7.0]]])
    np.testing.assert_array_equal(backward(g)[1], [[5, 7], [3, 3], [0, 0], [0, 0]])


@pytest.mark.parametrize("kind", [manual.embedding, lambda x, w, **c: manual.embedding_bag(x[:, None], w, mode="sum", **c)])
def test_max_norm_clips_what_is_looked_up_and_not_the_table(kind):
    """Rows 1 and 3 have norm 5; 10⁻⁷ keeps a norm of 0 from dividing. The gradient is that of rows that are given."""
    weight = TABLE.copy()
    output, backward = kind(np.array([3, 0]), weight, max_norm=2.5)
    np.testing.assert_allclose(output, [[1.5, -2.0], [1, 2]], rtol=3e-8)
    assert output[0, 0] == 3.0 * (2.5 / (5 + 1e-7))
    np.testing.assert_array_equal(weight, TABLE)
    np.testing.assert_array_equal(backward(np.ones((2, 2)))[1], [[1, 1], [0, 0], [0, 0], [1, 1]])


def test_norms_that_are_not_finite_or_negative():
    """As in torch, without a warning."""
    weight = np.array([[np.nan, 1.0], [np.inf, -1.0], [0.0, 0.0], [1e300, 1e300]])
    index = np.arange(4)
    for constants in ({}, {"norm_type": np.inf}, {"norm_type": -1.0}, {"norm_type": 1.0}):
        output, _ = manual.embedding(index, weight, max_norm=1.0, **constants)
        expected = F.embedding(torch.tensor(index), torch.tensor(weight), max_norm=1.0, **constants)
        np.testing.assert_allclose(output, expected, rtol=1e-15)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint64, np.int64])
def test_indices_of_any_integer_type(kind):
    index, offsets, g = np.array([3, 1, 1], kind), np.array([0, 2], kind), np.arange(6.0).reshape(3, 2)
    output, backward = manual.embedding(index, TABLE)
    np.testing.assert_array_equal(output, TABLE[[3, 1, 1]])
    np.testing.assert_array_equal(backward(g)[1], [[0, 0], [6, 8], [0, 0], [0, 1]])
    for mode, expected in (("sum", [[6, 0], [3, 4]]), ("max", [[3, 4], [3, 4]])):
        np.testing.assert_array_equal(manual.embedding_bag(index, TABLE, offsets, mode=mode)[0], expected)
    with pytest.raises(ValueError, match="offsets must begin at 0, not decrease"):
        manual.embedding_bag(index, TABLE, np.array([0, 2, 1], kind))
    np.testing.assert_array_equal(manual.one_hot(kind(1), num_classes=np.int64(3))[0], [0, 1, 0])
    assert manual.embedding(kind(2), TABLE)[0].tolist() == [5, 6]


# -- Bags


@pytest.mark.parametrize(
    ("constants", "expected", "grad"),
    [
        ({"mode": "sum"}, [[8, 10], [0, 0], [1, 2]], [[5, 6], [1, 2], [1, 2], [0, 0]]),
        ({"mode": "mean"}, [[4, 5], [0, 0], [1, 2]], [[5, 6], [0.5, 1], [0.5, 1], [0, 0]]),
        ({}, [[4, 5], [0, 0], [1, 2]], [[5, 6], [0.5, 1], [0.5, 1], [0, 0]]),
        ({"mode": "max"}, [[5, 6], [0, 0], [1, 2]], [[5, 6], [0, 0], [1, 2], [0, 0]]),
        ({"mode": "mean", "padding_idx": 1}, [[5, 6], [0, 0], [1, 2]], [[5, 6], [0, 0], [1, 2], [0, 0]]),
    ],
)
def test_bags_by_hand(constants, expected, grad):
    """Words 1 and 2, none, word 0."""
    for offsets, more in ((np.array([0, 2, 2]), {}), (np.array([0, 2, 2, 3]), {"include_last_offset": True})):
        output, backward = manual.embedding_bag(np.array([1, 2, 0]), TABLE, offsets, **constants, **more)
        np.testing.assert_array_equal(output, expected)
        grads = backward(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
        np.testing.assert_array_equal(grads[1], grad)
        assert grads[0] is grads[2] is grads[3] is None


def test_weights_in_bags_by_hand():
    output, backward = manual.embedding_bag(np.array([[1, 2]]), TABLE, None, np.array([[10.0, -1.0]]), mode="sum", padding_idx=2)
    np.testing.assert_array_equal(output, [[30, 40]])
    _, grad_weight, _, grad_weights = backward(np.array([[1.0, 2.0]]))
    np.testing.assert_array_equal(grad_weight, [[0, 0], [10, 20], [0, 0], [0, 0]])
    np.testing.assert_array_equal(grad_weights, [[11, 0]])  # 1 · 3 + 2 · 4, and nothing for padding


def test_weights_learn_from_clipped_rows_even_when_the_table_is_clipped_meanwhile():
    """As it is by the module. Row 3 has norm 5."""
    module = manual.EmbeddingBag.from_pretrained(TABLE.copy(), freeze=False, max_norm=2.5, mode="sum")
    _, backward = module(np.array([[3]]), None, np.array([[2.0]]))
    np.testing.assert_allclose(backward(np.array([[1.0, 1.0]]))[2], [[-0.5]], rtol=1e-7)


@pytest.mark.parametrize("constants", [{}, {"scale_grad_by_freq": True}])
def test_words_are_counted_in_all_bags(constants):
    """Where torch counts another word: see the case."""
    _, backward = manual.embedding_bag(np.array([1, 1, 3]), TABLE, np.array([0, 1]), mode="sum", **constants)
    shares = 2 if constants else 1
    np.testing.assert_array_equal(backward(np.array([[2.0, 4.0], [6.0, 8.0]]))[1][[1, 3]], [[8 / shares, 12 / shares], [6, 8]])


sizes = st.integers(0, 4)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(lengths=st.lists(sizes, max_size=4), rows=st.integers(1, 4), columns=sizes, seed=st.integers(0, 99), data=st.data())
def test_bags_of_every_size(lengths, rows, columns, seed, data):
    """Against loops. The numbers are small integers, so that every order of summing gives the same."""
    rng = np.random.default_rng(seed)
    index, weight = rng.integers(0, rows, sum(lengths)), rng.integers(-9, 10, (rows, columns)).astype(float)
    offsets, g = np.cumsum([0, *lengths])[:-1], rng.integers(-9, 10, (len(lengths), columns)).astype(float)
    padding = data.draw(st.one_of(st.none(), st.integers(0, rows - 1)))
    bags = [[i for i in index[start : start + n] if i != padding] for start, n in zip(offsets, lengths, strict=True)]
    for mode in ("sum", "max"):
        output, backward = manual.embedding_bag(index, weight, offsets, mode=mode, padding_idx=padding)
        expected, grad = np.zeros_like(g), np.zeros_like(weight)
        for b, bag in enumerate(bags):
            if mode == "sum":
                for i in bag:
                    expected[b] += weight[i]
                    grad[i] += g[b]
            elif bag:
                expected[b] = weight[bag].max(axis=0)
                np.add.at(grad, (np.array(bag)[weight[bag].argmax(axis=0)], np.arange(columns)), g[b])
        np.testing.assert_array_equal(output, expected)
        np.testing.assert_array_equal(backward(g)[1], grad)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shape=st.lists(sizes, max_size=3), rows=st.integers(1, 4), columns=sizes, seed=st.integers(0, 99))
def test_a_look_up_and_its_gradient_are_adjoint(shape, rows, columns, seed):
    """⟨A W, g⟩ = ⟨W, Aᵀ g⟩, of whole numbers."""
    rng = np.random.default_rng(seed)
    index, weight = rng.integers(0, rows, shape), rng.integers(-9, 10, (rows, columns)).astype(float)
    g = rng.integers(-9, 10, (*shape, columns)).astype(float)
    output, backward = manual.embedding(index, weight)
    assert np.vdot(output, g) == np.vdot(weight, backward(g)[1])


# -- Gradients by rows

SPARSE = {
    "embedding": lambda **more: manual.embedding(np.array([3, 1, 3, 0]), TABLE, sparse=True, **more),
    "embedding_bag": lambda **more: manual.embedding_bag(np.array([[3, 1, 3, 0]]), TABLE, sparse=True, mode="sum", **more),
}


@pytest.mark.parametrize("name", SPARSE)
def test_a_gradient_by_rows_names_the_words_in_order(name):
    for padding_idx, indices in ((None, [3, 1, 3, 0]), (3, [1, 0])):
        output, backward = SPARSE[name](padding_idx=padding_idx)
        grad = backward(np.ones_like(output))[1]
        assert type(grad) is manual.RowGradient
        assert (grad.indices.tolist(), grad.rows.tolist(), grad.shape) == (indices, [[1, 1]] * len(indices), (4, 2))


@pytest.mark.parametrize("name", SPARSE)
def test_a_gradient_by_rows_is_new_each_time(name):
    """Changing it, or the indices that were given, changes no other."""
    output, backward = SPARSE[name]()
    g = np.ones_like(output)
    first, second = backward(g)[1], backward(g)[1]
    first.indices[:], first.rows[:] = 2, 7
    assert (second.indices.tolist(), second.rows.tolist()) == ([3, 1, 3, 0], [[1, 1]] * 4)
    assert backward(g)[1].indices.tolist() == [3, 1, 3, 0]
    np.testing.assert_array_equal(g, 1)


def test_without_sparse_a_gradient_is_an_array():
    for module in (manual.Embedding(4, 2), manual.EmbeddingBag(4, 2)):
        for sparse, kind in ((False, np.ndarray), (True, manual.RowGradient)):
            module.sparse = sparse
            module.zero_grad()
            output, backward = module(np.array([[1, 2]]))
            backward(np.ones_like(output))
            assert type(module.weight.grad) is kind


# -- Modules


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_a_table_starts_normal_and_its_padding_from_0(kind, dtype):
    module = getattr(manual, kind)(1000, 50, padding_idx=-1, dtype=dtype, generator=np.random.default_rng(0))
    again = getattr(manual, kind)(1000, 50, dtype=dtype, generator=np.random.default_rng(0))
    weight = module.weight.data
    assert (weight.dtype, module.padding_idx) == (dtype, 999)
    np.testing.assert_array_equal(weight[:999], again.weight.data[:999])
    assert again.weight.data[999].all()
    assert not weight[999].any()
    assert abs(weight.mean()) < 0.02
    assert abs(weight.std() - 1) < 0.02


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_a_pretrained_table_is_used_as_it_is(kind):
    """The array itself, frozen unless told otherwise, its padding row not zeroed."""
    options = {"padding_idx": 1, "max_norm": 9.0, "norm_type": 1.0, "scale_grad_by_freq": True}
    module = getattr(manual, kind).from_pretrained(TABLE, **options)
    theirs = getattr(torch.nn, kind).from_pretrained(torch.tensor(TABLE), **options)
    assert module.weight.data is TABLE
    assert not module.weight.requires_grad
    for name in ("num_embeddings", "embedding_dim", *options):
        assert getattr(module, name) == getattr(theirs, name)
    assert getattr(manual, kind).from_pretrained(TABLE, freeze=False).weight.requires_grad
    bag = manual.EmbeddingBag.from_pretrained(TABLE, mode="max", include_last_offset=True)
    assert (bag.mode, bag.include_last_offset) == ("max", True)
    for sparse in (True, False):
        assert getattr(manual, kind).from_pretrained(TABLE, sparse=sparse).sparse is sparse


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize("norm_type", [2.0, 1.0])
def test_a_module_clips_its_table_as_torch_does(kind, norm_type):
    """The rows that it looks up alone, the padding row among them."""
    options = {"max_norm": 2.0, "norm_type": norm_type, "padding_idx": 2}
    ours = getattr(manual, kind).from_pretrained(TABLE.copy(), **options)
    theirs = getattr(torch.nn, kind).from_pretrained(torch.tensor(TABLE), **options)
    index = np.array([[2, 0, 2], [3, 3, 0]])
    for _ in range(2):
        output, _ = ours(index)
        np.testing.assert_allclose(output, theirs(torch.tensor(index)), rtol=1e-15)
        np.testing.assert_allclose(ours.weight.data, theirs.weight, rtol=1e-15)
    np.testing.assert_array_equal(ours.weight.data[1], TABLE[1])
    assert (np.abs(ours.weight.data[[0, 2, 3]]) < np.abs(TABLE[[0, 2, 3]])).all()


def test_a_table_that_is_not_clipped_stays():
    weight = TABLE.copy()
    weight.flags.writeable = False
    manual.Embedding.from_pretrained(weight)(np.array([1]))
    manual.EmbeddingBag.from_pretrained(weight)(np.array([[1]]))


def test_one_hot_by_hand():
    output, backward = manual.one_hot(np.array([[2, 0]]))
    np.testing.assert_array_equal(output, np.array([[[0, 0, 1], [1, 0, 0]]]), strict=True)
    assert backward(None) == (None,)
    with pytest.raises(TypeError, match=r"^one_hot: grad_output must be None, as the output holds integers, got ndarray$"):
        backward(np.ones((1, 2, 3)))


# -- What is refused

INDEX, BAGS = np.array([0, 3, 1]), np.array([0, 2])
HOLDS = "x must hold rows from 0 to 3, got "


@pytest.mark.parametrize(
    ("name", "arrays", "constants", "message"),
    [
        ("embedding", (np.array([0, 4]), TABLE), {}, HOLDS + "4"),
        ("embedding", (np.array([0, -1]), TABLE), {}, HOLDS + "-1"),
        ("embedding", (INDEX, TABLE[0]), {}, "weight must have two axes, got shape (2,)"),
        ("embedding", (INDEX, TABLE), {"padding_idx": 4}, "padding_idx must be a row of the table, from -4 to 3, got 4"),
        ("embedding", (INDEX, TABLE), {"padding_idx": -5}, "padding_idx must be a row of the table, from -4 to 3, got -5"),
        (
            "embedding",
            (INDEX, TABLE[:, :0]),
            {"max_norm": 1.0, "norm_type": np.inf},
            "norm_type must be finite for a table without",
        ),
        ("embedding_bag", (np.array([[4]]), TABLE), {}, HOLDS + "4"),
        ("embedding_bag", (INDEX, TABLE), {}, "offsets must be given where x has one axis, got None"),
        ("embedding_bag", (INDEX[None], TABLE, BAGS), {}, "offsets must be None where the rows of x are the bags, got shape (2,)"),
        ("embedding_bag", (INDEX[None, None], TABLE), {}, "x must have shape (N) or (B, n), got (1, 1, 3)"),
        ("embedding_bag", (np.array(1), TABLE), {}, "x must have shape (N) or (B, n), got ()"),
        ("embedding_bag", (INDEX.reshape(3, 1)[:, :0], TABLE), {}, "x must have at least one place for each bag, got shape (3, 0)"),
        ("embedding_bag", (INDEX, TABLE, BAGS[None]), {}, "offsets must have one axis, got shape (1, 2)"),
        ("embedding_bag", (INDEX, TABLE, np.array([1, 2])), {}, "offsets must begin at 0, not decrease, up to 3, the size of x"),
        ("embedding_bag", (INDEX, TABLE, np.array([0, 4])), {}, "offsets must begin at 0, not decrease, up to 3, the size of x"),
        (
            "embedding_bag",
            (INDEX, TABLE, np.array([0, 4])),
            {"include_last_offset": True},
            "offsets must begin at 0, not decrease and end at 3, the size of x, got [0 4]",
        ),
        ("embedding_bag", (INDEX[:0], TABLE, BAGS[:0]), {"include_last_offset": True}, "offsets must begin at 0"),
        ("embedding_bag", (INDEX, TABLE, BAGS, np.ones(2)), {"mode": "sum"}, "per_sample_weights must have shape (3,), got (2,)"),
        (
            "embedding_bag",
            (INDEX, TABLE, BAGS, np.ones(3)),
            {},
            "per_sample_weights must be None in mode 'mean'; they are for 'sum'",
        ),
        ("embedding_bag", (INDEX, TABLE, BAGS), {"mode": "max", "sparse": True}, "sparse must be False in mode 'max'"),
        (
            "embedding_bag",
            (INDEX, TABLE, BAGS),
            {"mode": "max", "scale_grad_by_freq": True},
            "scale_grad_by_freq must be False in mode 'max'",
        ),
        ("embedding_bag", (INDEX, TABLE, BAGS), {"padding_idx": 4}, "padding_idx must be a row of the table, from -4 to 3, got 4"),
        ("one_hot", (INDEX,), {"num_classes": 3}, "x must hold classes from 0 to 2, got 3"),
        ("one_hot", (INDEX,), {"num_classes": 0}, "x must hold classes from 0 to -1, got 0"),
        ("one_hot", (INDEX - 1,), {}, "x must hold classes from 0 to 2, got -1"),
        ("one_hot", (INDEX,), {"num_classes": -2}, "num_classes must be an integer of at least -1, got -2"),
        ("one_hot", (INDEX[:0],), {}, "num_classes must be at least 1 where x holds no class to tell it, got -1"),
        ("one_hot", (INDEX[:0],), {"num_classes": 0}, "num_classes must be at least 1 where x holds no class to tell it, got 0"),
    ],
)
def test_what_torch_refuses_is_refused(name, arrays, constants, message):
    with pytest.raises(ValueError, match="^" + re.escape(f"{name}: {message}")):
        getattr(manual, name)(*arrays, **constants)
    with pytest.raises((RuntimeError, IndexError, AssertionError, ValueError, NotImplementedError)):
        forward(OPERATIONS[name].torch, arrays, constants)


def test_a_gradient_by_rows_is_not_scaled_by_frequency():
    """Torch refuses it in the backward."""
    for call in SPARSE.values():
        with pytest.raises(ValueError, match="sparse must be False with scale_grad_by_freq"):
            call(scale_grad_by_freq=True)
    weight = torch.tensor(TABLE, requires_grad=True)
    output = F.embedding(torch.tensor(INDEX), weight, scale_grad_by_freq=True, sparse=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse"):
        output.sum().backward()


@pytest.mark.parametrize("offsets", [[0, 2, 1], []])
def test_offsets_on_which_torch_fails(offsets):
    """Some that decrease are summed by one kernel and not by another; without any, torch reads memory that is not there."""
    with pytest.raises(ValueError, match=r"^embedding_bag: offsets must begin at 0, not decrease, up to 3, the size of x, got \["):
        manual.embedding_bag(INDEX, TABLE, np.array(offsets, int))


def test_a_last_offset_before_the_end_on_which_torch_disagrees_with_itself():
    """What lies beyond it is in the last bag in float64, and in none in float32, where the gradient is unwritten memory."""
    with pytest.raises(ValueError, match="not decrease and end at 3, the size of x, got"):
        manual.embedding_bag(INDEX, TABLE, np.array([0, 2]), include_last_offset=True)


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((-1, 2), {}, "num_embeddings must be an integer of at least 0, got -1"),
        ((2, -1), {}, "embedding_dim must be an integer of at least 0, got -1"),
        ((2, 2), {"padding_idx": 2}, "padding_idx must be a row of the table, from -2 to 1, got 2"),
        ((2, 2), {"_weight": TABLE}, "_weight must have shape (2, 2), got (4, 2)"),
    ],
)
def test_what_torchs_constructors_refuse(kind, arguments, options, message):
    with pytest.raises(ValueError, match=re.escape(f"{kind}: {message}")):
        getattr(manual, kind)(*arguments, **options)
    theirs = {name: torch.tensor(value) if name == "_weight" else value for name, value in options.items()}
    with pytest.raises((RuntimeError, AssertionError)):
        getattr(torch.nn, kind)(*arguments, **theirs)


def test_constructors_take_tables_of_any_size():
    assert manual.Embedding(0, 3).weight.shape == (0, 3)
    assert manual.EmbeddingBag(3, 0).weight.shape == (3, 0)
    with pytest.raises(ValueError, match=r"^Embedding: embeddings must have two axes, got shape \(2,\)"):
        manual.Embedding.from_pretrained(TABLE[0])
    with pytest.raises(ValueError, match=r"^EmbeddingBag: mode must be 'sum', 'mean' or 'max', got 'prod'"):
        manual.EmbeddingBag(2, 2, mode="prod")
