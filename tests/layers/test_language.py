"""Rotary positions and gated feed-forward layers: what they promise, examples worked out by hand, and what is refused."""

import re

import numpy as np
import pytest

import manual


def test_turns_by_hand():
    """With one pair and α = t: position 0 stays, position t is turned by t radians."""
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    output, backward = manual.rotary_embedding(x)
    c1, s1, c2, s2 = np.cos(1), np.sin(1), np.cos(2), np.sin(2)
    np.testing.assert_allclose(output, [[1, 0], [c1, s1], [-2 * s2, 2 * c2]], rtol=1e-15)
    (grad,) = backward(x)
    np.testing.assert_allclose(grad, [[1, 0], [c1, -s1], [2 * s2, 2 * c2]], rtol=1e-15)


def test_pairs_are_neighbours():
    """With base 1/4 and D = 4 the angles at position 1 are 1 and 4^(1/2) = 2."""
    output, _ = manual.rotary_embedding(np.array([[0.0] * 4, [1.0, 0.0, 10.0, 0.0]]), base=0.25)
    np.testing.assert_allclose(output[1], [np.cos(1), np.sin(1), 10 * np.cos(2), 10 * np.sin(2)], rtol=1e-15)


@pytest.mark.parametrize("apart", [0, 1, 5])
def test_products_depend_on_the_distance_alone(apart):
    rng = np.random.default_rng(0)
    query, key = rng.standard_normal((2, 1, 8))

    def product(position):
        (turned_query, _), (turned_key, _) = (
            manual.rotary_embedding(x, offset=at) for x, at in ((query, position + apart), (key, position))
        )
        return (turned_query * turned_key).sum()

    np.testing.assert_allclose([product(position) for position in (1, 17, 4000)], product(0), rtol=1e-12)


def test_turning_back_is_the_inverse_and_keeps_lengths():
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6))
    output, backward = manual.rotary_embedding(x, offset=7)
    np.testing.assert_allclose(backward(output)[0], x, rtol=1e-13)
    np.testing.assert_allclose(np.linalg.norm(output, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-14)


def test_an_offset_goes_on_where_the_positions_before_it_end():
    x = np.random.default_rng(0).standard_normal((7, 4))
    whole, _ = manual.rotary_embedding(x)
    parts = [manual.rotary_embedding(x[:3])[0], manual.rotary_embedding(x[3:], offset=3)[0]]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("shape", [(4,), (), (3, 5), (2, 3, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"^rotary_embedding: x must have shape \(\.\.\., T, D\) with an even D, got "):
        manual.rotary_embedding(np.ones(shape))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"base": 0.0}, "base must be a positive number, got 0"),
        ({"offset": -1}, "offset must be an integer of at least 0, got -1"),
        ({"offset": 0.5}, "offset must be an integer of at least 0, got 0.5"),
    ],
)
def test_other_constants_are_refused(constants, message):
    with pytest.raises((TypeError, ValueError), match=f"^rotary_embedding: {re.escape(message)}"):
        manual.rotary_embedding(np.ones((2, 2)), **constants)


def test_a_gate_that_is_open_half():
    """silu(0) = gelu(0) = 0, silu′(0) = gelu′(0) = ½: the gate learns, what it lets through does not."""
    gate, up, g = np.zeros(2), np.array([3.0, -5.0]), np.array([2.0, 4.0])
    for output, backward in (manual.swiglu(gate, up), manual.geglu(gate, up), manual.geglu(gate, up, approximate="tanh")):
        np.testing.assert_array_equal(output, [0, 0])
        grad_gate, grad_up = backward(g)
        np.testing.assert_allclose(grad_gate, [3, -10], rtol=1e-6)
        np.testing.assert_array_equal(grad_up, [0, 0])


@pytest.mark.parametrize("gated", [manual.swiglu, manual.geglu])
def test_gate_and_what_it_lets_through_have_one_shape(gated):
    with pytest.raises(ValueError, match=rf"^{gated.__name__}: up must have shape \(2, 3\), got \(3,\)"):
        gated(np.ones((2, 3)), np.ones(3))


def test_a_feed_forward_layer_by_hand():
    """Wide open gates let through 2 · x, and W_down halves it."""
    layer = manual.SwiGLU(1, 2)
    layer.load_state_dict(
        {"gate_proj.weight": [[100.0], [200.0]], "up_proj.weight": [[2.0], [2.0]], "down_proj.weight": [[0.5, 1]]}
    )
    output, backward = layer(np.array([[1.0]]))
    np.testing.assert_array_equal(output, [[0.5 * 200 + 400]])
    np.testing.assert_array_equal(backward(np.array([[1.0]]))[0], [[2 * (0.5 * 200 + 400)]])  # 500 x² has the slope 1000
    np.testing.assert_array_equal(layer.down_proj.weight.grad, [[200, 400]])
    np.testing.assert_array_equal(layer.up_proj.weight.grad, [[50], [200]])
    np.testing.assert_array_equal(layer.gate_proj.weight.grad, [[1], [2]])


@pytest.mark.parametrize("layer", [manual.SwiGLU, manual.GeGLU])
def test_constructors_refuse(layer):
    with pytest.raises(ValueError, match=f"^{layer.__name__}: d_model must be an integer of at least 0, got -1"):
        layer(-1, 2)
    with pytest.raises(TypeError, match=f"^{layer.__name__}: dim_feedforward must be an integer of at least 0, got 2.5"):
        layer(2, 2.5)
    with pytest.raises(ValueError, match=r"^GeGLU: approximate must be 'none' or 'tanh', got 'sigmoid'"):
        manual.GeGLU(2, 3, approximate="sigmoid")


def test_only_what_is_needed():
    layer = manual.SwiGLU(3, 4, dtype=np.float32, generator=np.random.default_rng(0))
    output, backward = layer(np.ones((2, 3), np.float32))
    assert output.dtype == np.float32
    assert backward(output, (False,)) == (None,)
    assert all(parameter.grad.dtype == np.float32 for parameter in layer.parameters())
    again = manual.SwiGLU(3, 4, dtype=np.float32, generator=np.random.default_rng(0))
    for name, array in again.state_dict().items():
        np.testing.assert_array_equal(array, layer.state_dict()[name])
