"""Attention: known values, tiles beside the plain form, memory, masks, dropout, parts, and what is refused."""

import re
import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import manual

attention = manual.scaled_dot_product_attention


def inputs(*shapes, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def run(arrays, g, needs=None, **constants):
    output, backward = attention(*arrays, **constants)
    return [output, *backward(g, needs)]


def assert_close(found, expected, tolerance=1e-12):
    for got, wanted in zip(found, expected, strict=True):
        assert (got is None) == (wanted is None)
        if got is not None:
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


def test_by_hand():
    """Scores log 3 and 0 give the weights ¾ and ¼. With g = −2, grad_s = g p (v − y) = −2 (¾ · 1, −¼ · 3) = (−1½, 1½)."""
    q, k, v = np.array([[2.0]]), np.array([[np.log(3) / 2], [0.0]]), np.array([[5.0], [1.0]])
    output, backward = attention(q, k, v, scale=1.0)
    np.testing.assert_allclose(output, [[4]], rtol=1e-15)
    grad_q, grad_k, grad_v, grad_mask = backward(np.array([[-2.0]]))
    np.testing.assert_allclose(grad_v, [[-1.5], [-0.5]], rtol=1e-15)
    np.testing.assert_allclose(grad_k, [[-3.0], [3.0]], rtol=1e-14)
    np.testing.assert_allclose(grad_q, [[-1.5 * np.log(3) / 2]], rtol=1e-14)
    assert grad_mask is None


def test_the_gradients_of_keys_and_values_come_from_the_queries_that_see_them():
    """Causal: nobody but the last query sees the last key, which gets nothing where only the others have a cotangent."""
    q, k, v, g = inputs((5, 2), (5, 2), (5, 3), (5, 3))
    g[-1] = 0
    _, _, grad_k, grad_v, _ = run((q, k, v), g, is_causal=True)
    assert not grad_k[-1].any()
    assert not grad_v[-1].any()
    assert grad_v[:-1].all()


# -- Tiles

SIDES = (1, 5, 16, 48, 63, 64, 100)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("constants", [{}, {"is_causal": True}, {"scale": 3.0}], ids=["all keys", "causal", "large scores"])
def test_tiles_are_as_the_whole(side, constants):
    """Of length 64, by tiles that divide it and tiles that do not."""
    *arrays, g = inputs((2, 64, 8), (2, 64, 8), (2, 64, 4), (2, 64, 4))
    assert_close(run(arrays, g, tile=side, **constants), run(arrays, g, **constants), 1e-13)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_tiles_are_as_the_whole_whatever_the_shape(data):
    """Other lengths, masks of every shape, keys that nobody sees, groups of queries."""
    draw = data.draw
    length, size, side, groups = (draw(st.integers(least, 7)) for least in (0, 0, 1, 1))
    heads = draw(st.integers(1, 2))
    seed = draw(st.integers(0, 99))
    *arrays, g = inputs((heads * groups, length, 2), (heads, size, 2), (heads, size, 3), (heads * groups, length, 3), seed=seed)
    constants = {"enable_gqa": True}
    kind = draw(st.sampled_from(["none", "causal", "truths", "numbers"]))
    if kind == "causal":
        constants["is_causal"] = True
    elif kind != "none":
        shape = [draw(st.sampled_from([1, full])) for full in (heads * groups, length, size)]
        (mask,) = inputs(shape, seed=seed)
        unseen = np.where(mask < -0.5, -np.inf, mask)
        arrays.append(mask > 0 if kind == "truths" else unseen)
    assert_close(run(arrays, g, tile=side, **constants), run(arrays, g, **constants))


def peak(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_tiles():
    """At length 4096, 64 wide, one head, a tenth of the plain form's, forward and backward; the results are the same."""
    *arrays, g = inputs(*[(1, 4096, 64)] * 4)
    needs = True, True, True, False
    results = {}
    memory = {}
    for tile in (None, 128):
        memory[tile] = peak(lambda tile=tile: results.update({tile: run(arrays, g, needs, tile=tile)}))
    assert memory[128] <= memory[None] / 10
    assert_close(results[128], results[None])


def test_memory_grows_with_the_length():
    """Eight times the length takes about eight times the memory, and not sixty-four times."""

    def of_length(length):
        *arrays, g = inputs(*[(1, length, 4)] * 4, dtype=np.float32)
        return peak(lambda: run(arrays, g, (True, True, True, False), tile=64, is_causal=True))

    assert of_length(4096) <= 10 * of_length(512)


# -- Masks


@pytest.mark.parametrize("tile", [None, 2])
@pytest.mark.parametrize("kind", ["truths", "numbers"])
def test_a_query_that_sees_no_key(tile, kind):
    """Its output is 0, and it has no gradient; the others do as without it."""
    *arrays, g = inputs((3, 2), (4, 2), (4, 3), (3, 3))
    seen = np.ones((3, 4), bool)
    seen[1] = False
    mask = seen if kind == "truths" else np.where(seen, 0.0, -np.inf)
    output, grad_q, grad_k, grad_v, _ = run((*arrays, mask), g, tile=tile)
    assert not output[1].any()
    assert not grad_q[1].any()
    rest = [0, 2]
    expected = run((arrays[0][rest], *arrays[1:]), g[rest])
    assert_close((output[rest], grad_q[rest], grad_k, grad_v), expected[:4])


def test_the_lowest_number_hides_as_infinity_does_unless_it_hides_everything():
    """A common way to write masks. Where all keys have it they share alike, as the scores vanish beside it; so in torch."""
    *arrays, g = inputs((2, 2), (3, 2), (3, 3), (2, 3), dtype=np.float32)
    lowest = np.finfo(np.float32).min
    mask = np.array([[0, lowest, 0], [lowest, lowest, lowest]], np.float32)
    for tile in (None, 1):
        output, *_ = run((*arrays, mask), g, tile=tile)
        np.testing.assert_allclose(output, F.scaled_dot_product_attention(*map(torch.tensor, (*arrays, mask))), rtol=1e-6)
        np.testing.assert_allclose(output[1], arrays[2].mean(axis=0), rtol=1e-6)


def test_what_is_the_same_for_all_keys_has_no_gradient():
    """A number added to all scores of a query: the true gradient is 0, what is computed is rounding."""
    *arrays, mask, g = inputs((2, 3, 2), (2, 4, 2), (2, 4, 3), (2, 3, 1), (2, 3, 3))
    for tile in (None, 2):
        *_, grad_mask = run((*arrays, mask), g, tile=tile)
        assert (np.abs(grad_mask) <= 1e-15).all()


@pytest.mark.parametrize("tile", [None, 2])
def test_one_key_takes_everything(tile, dtype):
    """The gradient of a score is p (1 − p)(v − v'), which keeps its digits where p is 1 to the last of them."""
    q, k, v = (np.array(a, dtype) for a in ([[1.0]], [[20.0], [0.0], [0.0]], [[1.5], [0.25], [0.25]]))
    _, grad_q, grad_k, _, _ = run((q, k, v), np.ones((1, 1), dtype), scale=1.0, tile=tile)
    others = 2 * np.exp(-20.0) / (1 + 2 * np.exp(-20.0))
    slope = 1.25 * others * (1 - others)
    np.testing.assert_allclose(grad_q, [[20 * slope]], rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(grad_k, [[slope], [-slope / 2], [-slope / 2]], rtol=8 * np.finfo(dtype).eps)


# -- Dropout


def test_dropout_draws_with_its_probability():
    """With equal scores and values of 1 the output is the share that is kept, divided by the probability: 1 on average."""
    zeros, ones = np.zeros((1, 200, 1)), np.ones((1, 200, 1))
    for tile in (None, 64):
        output, *_ = run((zeros, zeros, ones), ones, dropout_p=0.25, generator=np.random.default_rng(0), tile=tile)
        assert abs(output.mean() - 1) < 5 * np.sqrt(0.25 / 0.75 / 40_000)
        counts = output * 200 * 0.75
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
        assert np.unique(np.round(counts)).size > 10


def test_a_given_mask_counts_without_a_probability_too():
    *arrays, g = inputs((2, 2), (3, 2), (3, 3), (2, 3))
    mask = np.array([[True, False, True], [False, True, True]])
    output, *_ = run(arrays, g, mask=mask)
    s = arrays[0] @ arrays[1].T / np.sqrt(2)
    p = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(output, (p * mask) @ arrays[2], rtol=1e-14)


@pytest.mark.parametrize("tile", [None, 3])
def test_a_generator_repeats_dropout(tile):
    *arrays, g = inputs((2, 7, 2), (2, 7, 2), (2, 7, 3), (2, 7, 3))
    first, same, other = (run(arrays, g, dropout_p=0.5, tile=tile, generator=np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert_close(first, same, 0)
    assert not np.allclose(first[0], other[0])
    heads = first[0]
    assert not np.allclose(heads[0] / heads[1], run(arrays, g)[0][0] / run(arrays, g)[0][1])


def test_tiles_draw_the_same_mask_in_the_backward():
    """The output is linear in v, so that ⟨g, y⟩ = ⟨grad_v, v⟩ whatever was dropped, if the same was dropped."""
    *arrays, g = inputs((2, 9, 2), (2, 9, 2), (2, 9, 3), (2, 9, 3))
    output, backward = attention(*arrays, dropout_p=0.5, tile=4)
    for _ in range(2):
        _, _, grad_v, _ = backward(g)
        np.testing.assert_allclose(np.vdot(grad_v, arrays[2]), np.vdot(g, output), rtol=1e-12)


# -- Parts


@pytest.mark.parametrize("constants", [{}, {"is_causal": True}, {"tile": 2}, {"tile": 4, "is_causal": True}])
@pytest.mark.usefixtures("threads")
def test_parts_are_as_the_whole(constants, request):
    *arrays, g = inputs((5, 7, 2), (5, 6, 2), (5, 6, 3), (5, 7, 3))
    (mask,) = inputs((1, 7, 6)) if "is_causal" not in constants else (None,)
    whole = run((*arrays, mask), g, **constants)
    request.getfixturevalue("small_parts")
    assert_close(run((*arrays, mask), g, **constants), whole, 1e-13)


@pytest.mark.usefixtures("threads", "small_parts")
def test_dropout_in_parts_is_as_that_of_the_whole(monkeypatch):
    """What is drawn does not depend on how many threads there are."""
    *arrays, g = inputs((5, 7, 2), (5, 6, 2), (5, 6, 3), (5, 7, 3))
    found = run(arrays, g, dropout_p=0.5, tile=4, generator=np.random.default_rng(0))
    monkeypatch.undo()
    assert_close(found, run(arrays, g, dropout_p=0.5, tile=4, generator=np.random.default_rng(0)), 1e-13)


# -- Errors

Q, K, V = inputs((2, 3, 2), (2, 4, 2), (2, 4, 5))

REFUSED = [
    ((Q[0, 0], K, V), {}, "expected q (..., L, E), k (..., S, E) and v (..., S, Ev), got (2,), (2, 4, 2) and (2, 4, 5)"),
    ((Q, K[..., :1], V), {}, "expected q (..., L, E), k (..., S, E)"),
    ((Q, K, V[:, :3]), {}, "expected q (..., L, E), k (..., S, E)"),
    ((np.zeros((3, 3, 2)), K, V), {}, "expected leading axes of q, k and v that broadcast together, got (3, 3, 2)"),
    ((np.zeros((3, 3, 2)), K, V), {"enable_gqa": True}, "expected as many heads of q as of k and of v, or a multiple"),
    ((Q[0], K[0], V[0]), {"enable_gqa": True}, "expected q (..., heads, L, E)"),
    ((Q, K, V, np.zeros((3, 4))), {"is_causal": True}, "attn_mask must be None with is_causal=True, got shape (3, 4)"),
    ((Q, K, V, np.zeros((3, 5))), {}, "attn_mask must have two axes or more and broadcast to (2, 3, 4), got (3, 5)"),
    ((Q, K, V, np.zeros((1, 2, 3, 4))), {}, "attn_mask must have two axes or more and broadcast to (2, 3, 4)"),
    ((Q, K, V, np.zeros((3, 4), int)), {}, "attn_mask must hold floating-point numbers, got int64"),
    ((Q, K, V), {"dropout_p": 1.5}, "dropout_p must be a number from 0 to 1, got 1.5"),
]


@pytest.mark.parametrize(("arrays", "constants", "message"), REFUSED)
def test_refused_as_by_torch(arrays, constants, message):
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(f"scaled_dot_product_attention: {message}")):
        attention(*arrays, **constants)
    with pytest.raises((RuntimeError, IndexError)):
        F.scaled_dot_product_attention(*map(torch.tensor, arrays), **constants)


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"tile": 0}, "tile must be an integer of at least 1, got 0"),
        ({"tile": 2, "mask": np.ones((2, 3, 4), bool)}, "mask must be None with tile=2, which draws a mask for each tile"),
        ({"mask": np.ones((3, 4), bool)}, "mask must have shape (2, 3, 4), got (3, 4)"),
        ({"mask": np.ones((2, 3, 4))}, "mask must hold True and False, got float64"),
    ],
)
def test_refused(constants, message):
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(f"scaled_dot_product_attention: {message}")):
        attention(Q, K, V, **constants)


def test_refused_though_torch_takes_it_where_there_is_no_axis_of_heads():
    with pytest.raises(ValueError, match=re.escape("attn_mask must have two axes or more and broadcast to (2, 3, 4), got (4,)")):
        attention(Q, K, V, np.zeros(4))


def test_no_heads_of_queries():
    output, backward = attention(Q[:0], K, V, enable_gqa=True)
    assert output.shape == (0, 3, 5)
    grads = backward(output)
    assert [grad.shape for grad in grads[:3]] == [(0, 3, 2), K.shape, V.shape]
    assert not grads[1].any()


def test_no_heads_are_refused():
    with pytest.raises(ValueError, match=r"^scaled_dot_product_attention: expected as many heads of q as of k and of v"):
        attention(Q, K[:0], V[:0], enable_gqa=True)


@pytest.mark.parametrize("wrong", [np.ma.ones((3, 4), bool), np.ones((3, 4), bool).view(np.matrix)])
def test_masks_of_other_kinds_are_refused(wrong):
    with pytest.raises(TypeError, match=r"^scaled_dot_product_attention: attn_mask must be a plain NumPy array, got"):
        attention(Q, K, V, wrong)
