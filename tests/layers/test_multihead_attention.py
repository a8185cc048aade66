"""Attention by several heads: known values, masks, dropout, initial weights, state dicts of torch, and what is refused."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

import manual

FORWARD = manual.multi_head_attention_forward


def inputs(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [None if shape is None else rng.standard_normal(shape) for shape in shapes]


def call(arrays, **constants):
    return FORWARD(*arrays, **{"num_heads": 2, "add_zero_attn": False, "dropout_p": 0.0, **constants})


def test_two_heads_by_hand():
    """With identities for projections each head attends with a number of its own: scores (0, log 3) and (log 3, 0)."""
    eye, log3 = np.eye(2), math.log(3)
    query, key, value = np.array([[1.0, 1.0]]), np.array([[0.0, log3], [log3, 0.0]]), np.array([[4.0, 8.0], [0.0, 16.0]])
    projections = np.concatenate([eye, eye, eye]), None, None, None, eye, None
    (output, weights), backward = call((query, key, value, *projections), average_attn_weights=False)
    np.testing.assert_allclose(weights, [[[0.25, 0.75]], [[0.75, 0.25]]], rtol=1e-15)
    np.testing.assert_allclose(output, [[1, 10]], rtol=1e-15)
    _, _, grad_value, *_ = backward((np.array([[1.0, 10.0]]), None))
    np.testing.assert_allclose(grad_value, [[0.25, 7.5], [0.75, 2.5]], rtol=1e-15)
    (_, mean), backward = call((query, key, value, *projections))
    np.testing.assert_allclose(mean, [[0.5, 0.5]], rtol=1e-15)
    # Each head's weight of the first key has the cotangent ½, and p (1 − p) = 3/16 as the slope by its score
    _, grad_key, *_ = backward((None, np.array([[1.0, 0.0]])))
    np.testing.assert_allclose(grad_key, [[3 / 32, 3 / 32], [-3 / 32, -3 / 32]], rtol=1e-14)


def test_an_average_is_the_mean_of_the_heads():
    arrays = inputs((3, 2, 4), (5, 2, 4), (5, 2, 4), (12, 4), (12,), None, None, (4, 4), (4,))
    (output, mean), mean_backward = call(arrays)
    (same, heads), backward = call(arrays, average_attn_weights=False)
    np.testing.assert_array_equal(output, same)
    np.testing.assert_allclose(mean, heads.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(heads.sum(axis=-1), np.ones((2, 2, 3)), rtol=1e-14)
    (g,) = inputs(mean.shape, seed=1)
    spread = np.repeat(g[:, None] / 2, 2, axis=1)
    for grad, expected in zip(mean_backward((None, g)), backward((None, spread)), strict=True):
        np.testing.assert_allclose(grad, expected, rtol=1e-11, atol=1e-15) if grad is not None else None


def test_the_key_bias_has_no_gradient():
    """It adds the same to all scores of a query; the true gradient is 0, and what is computed is rounding."""
    arrays = inputs((3, 2, 4), (5, 2, 4), (5, 2, 4), (12, 4), (12,), None, None, (4, 4), (4,))
    (output, weights), backward = call(arrays)
    of_query, of_key, of_value = np.split(backward(tuple(inputs(output.shape, weights.shape)))[4], 3)
    assert (np.abs(of_key) <= 1e-14).all()
    assert (np.abs(np.concatenate([of_query, of_value])) > 1e-3).all()


def test_one_mask_of_numbers_and_one_of_truths():
    """Torch warns of it; the one of truths has no gradient."""
    arrays = inputs((3, 2, 4), (5, 2, 4), (5, 2, 4), (12, 4), (12,), None, None, (4, 4), (4,))
    padding = np.zeros((2, 5), bool)
    padding[1, 3:] = True
    (numbers,) = inputs((3, 5), seed=1)
    (output, _), backward = call((*arrays, padding, numbers), need_weights=False)
    (expected, _), expected_backward = call((*arrays, np.where(padding, -np.inf, 0.0), numbers), need_weights=False)
    np.testing.assert_array_equal(output, expected)
    grads, expected_grads = backward((output, None)), expected_backward((output, None))
    assert grads[9] is None
    assert expected_grads[9].shape == padding.shape
    np.testing.assert_array_equal(grads[10], expected_grads[10])


def test_masks_of_one_shape_have_gradients_of_their_own():
    """A gradient may be changed without the other."""
    arrays = inputs((1, 1, 2), (3, 1, 2), (3, 1, 2), (6, 2), (6,), None, None, (2, 2), (2,), (1, 3), (1, 1, 3))
    (output, _), backward = call(arrays, num_heads=1, need_weights=False)
    grads = backward((output, None))
    assert not np.shares_memory(grads[9], grads[10])
    np.testing.assert_array_equal(grads[9], grads[10][0])


def test_a_sequence_that_is_padding_alone():
    """In torch, and so here, NaN where weights are asked for, and the last bias where not; the others are well."""
    arrays = inputs((3, 2, 4), (5, 2, 4), (5, 2, 4), (12, 4), (12,), None, None, (4, 4), (4,))
    padding = np.array([[False] * 5, [True] * 5])
    for need_weights in (True, False):
        (output, weights), backward = call((*arrays, padding), need_weights=need_weights)
        (alone, _), _ = call([*(x[:, :1] for x in arrays[:3]), *arrays[3:]], need_weights=need_weights)
        np.testing.assert_allclose(output[:, :1], alone, rtol=1e-13)
        grads = backward((output, weights))
        if need_weights:
            assert np.isnan(output[:, 1]).all()
            assert np.isnan(weights[1]).all()
            assert not np.isnan(weights[0]).any()
            assert np.isnan(grads[0][:, 1]).all()
        else:
            np.testing.assert_array_equal(output[:, 1], np.broadcast_to(arrays[8], (3, 4)))
            assert not grads[0][:, 1].any()
        assert not np.isnan(grads[0][:, 0]).any()


def test_dropout_of_a_module():
    """In training from its generator, with its probability: values of 1 come out as the share that is kept."""
    module = manual.MultiheadAttention(2, 1, 0.25, generator=np.random.default_rng(0))
    eye = np.eye(2)
    module.load_state_dict(
        module.state_dict() | {"in_proj_weight": np.concatenate([0 * eye, 0 * eye, eye]), "out_proj.weight": eye}
    )
    x, ones = np.zeros((200, 1, 2)), np.ones((200, 1, 2))
    (output, weights), _ = module(x, x, ones)
    np.testing.assert_allclose(output[..., 0].T, weights.sum(axis=-1), rtol=1e-12)
    assert abs(weights.sum(axis=-1).mean() - 1) < 5 * math.sqrt(0.25 / 0.75 / 40_000)
    assert set(np.unique(weights.round(12))) == {0.0, round(1 / 150, 12)}
    (again, _), _ = module(x, x, ones)
    assert not np.array_equal(output, again)
    (still, _), _ = module.eval()(x, x, ones)
    np.testing.assert_allclose(still, ones, rtol=1e-14)


# -- Modules


@pytest.mark.parametrize("arguments", [(6, 2), (6, 2, 0.0, False), (6, 2, 0.0, True, True), (6, 2, 0.0, True, False, False, 3, 5)])
def test_state_dicts_are_torchs(arguments):
    ours, theirs = manual.MultiheadAttention(*arguments), torch.nn.MultiheadAttention(*arguments).double()
    assert {name: array.shape for name, array in ours.state_dict().items()} == {
        name: tuple(tensor.shape) for name, tensor in theirs.state_dict().items()
    }
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})


def test_initial_weights_have_torchs_distribution():
    """By the test of Kolmogorov and Smirnov: Xavier's uniform and normal distributions, and a plain layer's at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.nn.MultiheadAttention(120, 4, add_bias_kv=True, kdim=40, dtype=torch.float64).state_dict()
        together = torch.nn.MultiheadAttention(120, 4, dtype=torch.float64).state_dict()
    rng = np.random.default_rng(0)
    ours = manual.MultiheadAttention(120, 4, add_bias_kv=True, kdim=40, generator=rng).state_dict()
    ours["in_proj_weight"] = manual.MultiheadAttention(120, 4, generator=rng).state_dict()["in_proj_weight"]
    theirs["in_proj_weight"] = together["in_proj_weight"]
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        if name in ("in_proj_bias", "out_proj.bias"):
            assert not array.any()
            assert not theirs[name].any()
        else:
            assert stats.ks_2samp(array.ravel(), theirs[name].numpy().ravel()).pvalue > 0.05, name
    assert stats.kstest(ours["bias_k"].ravel(), stats.norm(scale=120**-0.5).cdf).pvalue > 0.05


def test_float32_stays_float32():
    module = manual.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, dtype=np.float32)
    x = np.ones((3, 1, 4), np.float32)
    (output, weights), backward = module(x, x, x, key_padding_mask=np.zeros((1, 3), bool))
    grads = [*backward((output, weights))[:3], *(parameter.grad for parameter in module.parameters())]
    assert {array.dtype for array in (output, weights, *grads)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "embed_dim must be an integer of at least 1, got 0"),
        ((4, 0), "num_heads must be an integer of at least 1, got 0"),
        ((4, 3), "num_heads must divide embed_dim, 4, got 3"),
        ((4, 2, 1.5), "dropout must be a number from 0 to 1, got 1.5"),
        ((4, 2, 0.0, 1), "bias must be True or False, got 1"),
        ((4, 2, 0.0, True, False, False, -1), "kdim must be an integer of at least 0, got -1"),
        ((4, 2, 0.0, True, False, False, None, 2.0), "vdim must be an integer of at least 0, got 2.0"),
    ],
)
def test_a_module_refuses(arguments, message):
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(f"MultiheadAttention: {message}")):
        manual.MultiheadAttention(*arguments)


# -- Errors

X, KEY, W, O = inputs((3, 2, 4), (5, 2, 4), (12, 4), (4, 4))
WHOLE = X, KEY, KEY, W, None, None, None, O, None
SEPARATE = None, None, O, O, O
STATIC, BEHIND = np.zeros((4, 5, 2)), np.zeros((1, 1, 4))


def changed(*more, **by_place):
    """The arguments of a sound call, with others in some places and behind."""
    given = [*WHOLE, *more]
    for place, array in by_place.items():
        given[int(place[1:])] = array
    return given


REFUSED = {
    "query, key and value must all have three axes, or two without a batch": changed(_0=X[:, 0]),
    "expected one batch, and key and value of one length": changed(_2=KEY[:4]),
    "expected one batch, and key and value of one length, got query (3, 2, 4)": changed(_1=KEY[:, :1], _2=KEY[:, :1]),
    "expected one width with in_proj_weight": changed(_1=KEY[..., :3]),
    "expected either in_proj_weight or all of": changed(_3=None),
    "in_proj_weight must have shape (12, 4), got (8, 4)": changed(_3=W[:8]),
    "in_proj_bias must have shape (12,), got (4,)": changed(_4=np.zeros(4)),
    "expected bias_k and bias_v, or neither": changed(_5=BEHIND),
    "bias_k must have shape (1, 1, 4), got (1, 1, 3)": changed(_5=BEHIND[..., 1:], _6=BEHIND),
    "out_proj_weight must have shape (4, 4), got (4, 3)": changed(_7=O[:, :3]),
    "out_proj_bias must have shape (4,), got (3,)": changed(_8=np.zeros(3)),
    "key_padding_mask must have shape (2, 5), got (2, 3)": changed(np.zeros((2, 3), bool)),
    "attn_mask must have shape (3, 5), got (3, 3)": changed(None, np.zeros((3, 3), bool)),
    "attn_mask must have shape (4, 3, 5), got (2, 3, 5)": changed(None, np.zeros((2, 3, 5), bool)),
    "expected bias_k and bias_v, or static_k and static_v, but not both": changed(
        *(None,) * 5, STATIC, STATIC, _5=BEHIND, _6=BEHIND
    ),
    "static_k must have shape (4, 5, 2), got (2, 5, 4)": changed(*(None,) * 5, np.zeros((2, 5, 4))),
    "static_k and static_v must make as many keys as values, got 3 and 5": changed(*(None,) * 5, STATIC[:, :3]),
    "expected static_k and static_v as long as key, 5, with masks": changed(
        None, np.zeros((3, 5)), *(None,) * 3, STATIC[:, :3], STATIC[:, :3]
    ),
    "attn_mask must be given with is_causal=True": (changed(), {"is_causal": True}),
    "expected num_heads that divide the width of query, 4, got 3": (changed(), {"num_heads": 3}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused_as_by_torch(message):
    arrays, constants = REFUSED[message] if isinstance(REFUSED[message], tuple) else (REFUSED[message], {})
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(f"multi_head_attention_forward: {message}")):
        call(arrays, **constants)
    query, key, value, *projections, out, out_bias = [None if a is None else torch.tensor(a) for a in arrays[:9]]
    names = "key_padding_mask", "attn_mask", "q_proj_weight", "k_proj_weight", "v_proj_weight", "static_k", "static_v"
    rest = {name: torch.tensor(array) for name, array in zip(names, arrays[9:]) if array is not None}
    with pytest.raises((RuntimeError, AssertionError, ValueError)):
        F.multi_head_attention_forward(
            *(query, key, value, 4, constants.pop("num_heads", 2), *projections, False, 0.0, out, out_bias),
            **rest,
            **constants,
            use_separate_proj_weight=arrays[3] is None,
        )


@pytest.mark.parametrize(
    ("arrays", "constants", "message"),
    [
        (changed(*SEPARATE), {}, "expected either in_proj_weight or all of q_proj_weight, k_proj_weight and v_proj_weight"),
        (changed(), {"mask": np.ones((2, 3, 5), bool)}, "mask must have shape (2, 2, 3, 5), got (2, 3, 5)"),
        (
            changed(_0=X[..., :0], _1=KEY[..., :0], _2=KEY[..., :0]),
            {},
            "expected num_heads that divide the width of query, 0, got 2",
        ),
    ],
)
def test_refused(arrays, constants, message):
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(f"multi_head_attention_forward: {message}")):
        call(arrays, **constants)


def test_a_cotangent_for_weights_that_were_not_asked_for_is_refused():
    (output, weights), backward = call(WHOLE, need_weights=False)
    assert weights is None
    with pytest.raises(TypeError, match=r"^multi_head_attention_forward: grad_output must be None"):
        backward((output, np.zeros((2, 3, 5))))
