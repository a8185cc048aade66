"""A language model: it sees what came before and no more, one table serves at both ends, heads are shared, and what is refused."""

import re

import numpy as np
import pytest

import manual
from reference.twins import LanguageModel

SIZES = 11, 8, 4, 2, 12, 2  # tokens, width, heads, heads of keys and values, hidden, layers
TOKENS = np.array([[3, 0, 10, 3, 7], [1, 4, 3, 9, 9]])


def model(**settings):
    return manual.LanguageModel(*SIZES, generator=np.random.default_rng(0), **settings)


@pytest.mark.parametrize("at", range(5))
def test_scores_depend_on_what_came_before_alone(at):
    net, changed = model(), TOKENS.copy()
    changed[:, at] = (changed[:, at] + 1) % 11
    before, after = net(TOKENS)[0], net(changed)[0]
    np.testing.assert_array_equal(before[:, :at], after[:, :at])
    assert (np.abs(before - after).max(axis=2)[:, at:] > 1e-6).all()


def test_one_table_learns_from_both_ends():
    """Without layers y = norm(E[t]) Eᵀ; its derivative by the table, by central differences."""
    net = manual.LanguageModel(3, 2, 1, 1, 2, 0, generator=np.random.default_rng(0))
    assert [name for name, _ in net.named_parameters()] == ["embedding.weight", "norm.weight"]
    tokens, g = np.array([0, 2]), np.random.default_rng(1).standard_normal((2, 3))
    _, backward = net(tokens)
    assert backward(g) == (None,)
    table, h = net.embedding.weight.data, 1e-6
    for place in np.ndindex(table.shape):
        start, values = table[place], []
        for step in (h, -h):
            table[place] = start + step
            values.append((g * net(tokens)[0]).sum())
        table[place] = start
        assert net.embedding.weight.grad[place] == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-7)


def test_scores_start_from_a_spread_of_about_1():
    net = manual.LanguageModel(256, 128, 4, 2, 352, 2, dtype=np.float32, generator=np.random.default_rng(0))
    output, _ = net(np.arange(64))
    assert output.dtype == np.float32
    assert 0.7 < output.std() < 1.4


def test_shared_heads_are_heads_repeated():
    """Two heads that share keys and values attend as two with the same keys and values of their own; the gradient is a sum."""
    generator = np.random.default_rng(0)
    shared = manual.GroupedQueryAttention(8, 4, 2, generator=generator)
    own = manual.GroupedQueryAttention(8, 4, 4)

    def repeated(weight):
        return np.repeat(weight.reshape(2, 2, 8), 2, axis=0).reshape(8, 8)

    state = shared.state_dict()
    own.load_state_dict({name: array if name[0] in "qo" else repeated(array) for name, array in state.items()})
    x, g = generator.standard_normal((2, 2, 5, 8))
    (output, backward), (expected, own_backward) = shared(x), own(x)
    np.testing.assert_allclose(output, expected, rtol=1e-12)
    np.testing.assert_allclose(backward(g)[0], own_backward(g)[0], rtol=1e-11)
    for name in ("k_proj", "v_proj"):
        grad = own.get_parameter(f"{name}.weight").grad.reshape(2, 2, 2, 8).sum(axis=1).reshape(4, 8)
        np.testing.assert_allclose(shared.get_parameter(f"{name}.weight").grad, grad, rtol=1e-11, atol=1e-14)


def test_state_goes_to_the_twin():
    mine, other = model().state_dict(), LanguageModel(*SIZES).state_dict()
    assert [(name, array.shape) for name, array in mine.items()] == [(name, tuple(each.shape)) for name, each in other.items()]


def test_only_what_is_needed():
    block = manual.DecoderBlock(8, 4, 2, 12)
    output, backward = block(np.random.default_rng(0).standard_normal((3, 8)))
    assert backward(output, (False,)) == (None,)
    assert all(parameter.grad is not None for parameter in block.parameters())
    block.zero_grad()
    block.requires_grad_(False)
    (grad,) = backward(output)
    assert grad.shape == (3, 8)
    assert all(parameter.grad is None for parameter in block.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_embeddings": -1}, "Embedding: num_embeddings must be an integer of at least 0, got -1"),
        ({"num_layers": -1}, "LanguageModel: num_layers must be an integer of at least 0, got -1"),
        ({"d_model": 12}, "GroupedQueryAttention: d_model must be a multiple of 2 · num_heads, 8, got 12"),
        ({"num_kv_heads": 3}, "GroupedQueryAttention: num_kv_heads must divide num_heads, 4, got 3"),
        ({"num_heads": 0}, "GroupedQueryAttention: num_heads must be an integer of at least 1, got 0"),
        ({"dim_feedforward": 1.5}, "SwiGLU: dim_feedforward must be an integer of at least 0, got 1.5"),
        ({"base": 0.0}, "GroupedQueryAttention: base must be a positive number, got 0.0"),
        ({"dtype": np.float16}, "LanguageModel: dtype must be np.float32 or np.float64, got"),
        ({"generator": 3}, "LanguageModel: generator must be a numpy.random.Generator or None, got 3"),
    ],
)
def test_refusals(settings, message):
    names = "num_embeddings", "d_model", "num_heads", "num_kv_heads", "dim_feedforward", "num_layers"
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        manual.LanguageModel(**dict(zip(names, SIZES)) | settings)


@pytest.mark.usefixtures("threads", "small_parts")
def test_in_parts_as_one_text_after_another():
    net, single, tokens = model(), model(), np.concatenate((TOKENS, TOKENS[:, ::-1], TOKENS[:1]))
    output, backward = net(tokens)
    g = np.random.default_rng(1).standard_normal(output.shape)
    assert backward(g) == (None,)
    for text, own, cotangent in zip(tokens, output, g, strict=True):
        expected, single_backward = single(text)
        np.testing.assert_allclose(own, expected, rtol=1e-10, atol=1e-12)
        single_backward(cotangent)
    for (name, parameter), other in zip(net.named_parameters(), single.parameters(), strict=True):
        np.testing.assert_allclose(parameter.grad, other.grad, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.usefixtures("threads", "small_parts")
def test_what_a_forward_changes_it_changes_once():
    """The vectors of a spectral norm take one step for a batch, and not one for each part of it."""
    net = model()
    gate = manual.spectral_norm(net.layers[0].feed_forward.gate_proj).parametrizations.weight
    weight, u, v = gate.original.data, gate[0]._u.copy(), gate[0]._v.copy()
    net(TOKENS)
    u = weight @ v / np.linalg.norm(weight @ v)
    v = u @ weight / np.linalg.norm(u @ weight)
    np.testing.assert_allclose(gate[0]._u, u, rtol=1e-12)
    np.testing.assert_allclose(gate[0]._v, v, rtol=1e-12)


def test_tokens_beyond_the_table_are_refused():
    with pytest.raises(ValueError, match=r"^embedding: x must hold rows from 0 to 10, got 11"):
        model()(np.array([3, 11]))
