"""Transformers: dropout replayed in torch, what stacks share and what they do not, causal masks, needs, and what is refused."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import manual
from manual.layers.transformer_layers import residual

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # torch's, of a fast path that it cannot take
ENCODER, DECODER = partial(manual.TransformerEncoderLayer, 4, 2, 6), partial(manual.TransformerDecoderLayer, 4, 2, 6)
SIZES = 4, 2, 2, 1, 6  # of a Transformer
PAIRS = {
    "encoder layer": (ENCODER, partial(nn.TransformerEncoderLayer, 4, 2, 6)),
    "decoder layer": (DECODER, partial(nn.TransformerDecoderLayer, 4, 2, 6)),
    "Transformer": (partial(manual.Transformer, *SIZES), partial(nn.Transformer, *SIZES)),
}
rng = np.random.default_rng


def numbers(*shape):
    return rng(0).standard_normal(shape)


# -- Adding up both ways


def double(x):
    return 2.0 * x, lambda g, needs: (2.0 * g if needs[0] else None,)


class Third(manual.Module):
    """In the place of a norm: a third of its input."""

    def forward(self, input):
        return input / 3.0, lambda g, needs=None: (g / 3.0 if needs is None or needs[0] else None,)


@pytest.mark.parametrize(("norm_first", "slope"), [(True, 1 + 2 / 3), (False, (1 + 2) / 3)])
def test_a_residual_by_hand(norm_first, slope):
    y, backward = residual(double, Third(), norm_first, np.array([6.0]))
    np.testing.assert_allclose(y, 6 * slope)
    np.testing.assert_allclose(backward(np.array([5.0]), (True,)), [[5 * slope]])
    assert backward(np.array([5.0]), (False,)) == (None,)


def test_a_layer_whose_parts_say_nothing_is_its_norms():
    """Or, with the norm first, nothing at all."""
    x = numbers(3, 2, 4)
    for norm_first in (False, True):
        layer = ENCODER(norm_first=norm_first, dropout=0.0)
        for parameter in (*layer.self_attn.out_proj.parameters(), *layer.linear2.parameters()):
            parameter.data[...] = 0
        normed, _ = manual.layer_norm(manual.layer_norm(x, normalized_shape=(4,))[0], normalized_shape=(4,))
        np.testing.assert_allclose(layer(x)[0], x if norm_first else normed, rtol=1e-14)


# -- Dropout


class Drop(nn.Module):
    """Drops in torch what is drawn for ours, each time it is called."""

    def __init__(self, draws, p):
        super().__init__()
        self.draws, self.p = draws, p

    def forward(self, input):
        kept = self.draws.random(tuple(input.shape), np.float32) < 1 - self.p
        return input * torch.tensor(kept) / (1 - self.p)


def replaying(theirs, draws):
    """The module of torch with our masks in place of its own; not within attention, which draws none then."""
    for name, module in list(theirs.named_modules()):
        if isinstance(module, nn.Dropout):
            parent, _, own = name.rpartition(".")
            setattr(theirs.get_submodule(parent), own, Drop(draws, module.p))
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    return theirs


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("kind", PAIRS)
def test_dropout_replayed(kind, norm_first):
    """Output and gradients in training are torch's on the same masks, drawn in the order in which the parts run."""
    ours, theirs = (each(dropout=0.4, norm_first=norm_first) for each in PAIRS[kind])
    for module in ours.modules():
        if isinstance(module, manual.MultiheadAttention):
            module.dropout = 0.0
        if isinstance(module, manual.Dropout):
            module.generator = draws = getattr(ours, "draws", None) or rng(7)
            object.__setattr__(ours, "draws", draws)
    theirs = replaying(theirs.double(), rng(7))
    theirs.load_state_dict({name: torch.tensor(array) for name, array in ours.state_dict().items()})
    inputs = [numbers(3, 2, 4)] * (1 if kind == "encoder layer" else 2)
    output, backward = ours(*inputs)
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    their_output = theirs(*tensors)
    np.testing.assert_allclose(output, their_output.detach(), rtol=0, atol=1e-13)
    g = rng(1).standard_normal(output.shape)
    grads = backward(g)
    their_output.backward(torch.tensor(g))
    for grad, tensor in zip(grads, tensors):
        np.testing.assert_allclose(grad, tensor.grad, rtol=0, atol=1e-12)
    of_theirs = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(parameter.grad, of_theirs[name].grad, rtol=0, atol=1e-12, err_msg=name)


def test_attention_drops_too():
    layer = ENCODER(dropout=0.5, generator=rng(0))
    for dropout in (layer.dropout, layer.dropout1, layer.dropout2):
        dropout.p = 0.0
    x = numbers(3, 2, 4)
    assert not np.array_equal(layer(x)[0], layer(x)[0])
    layer.self_attn.dropout = 0.0
    np.testing.assert_array_equal(layer(x)[0], layer(x)[0])


@pytest.mark.parametrize("kind", PAIRS)
def test_a_generator_makes_everything_repeatable(kind):
    inputs = [numbers(3, 2, 4)] * (1 if kind == "encoder layer" else 2)
    ours, _ = PAIRS[kind]
    first, second = (ours(generator=rng(3), dropout=0.3) for _ in range(2))
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name])
    outputs = [module(*inputs)[0] for module in (first, second, first)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])
    first.eval()
    np.testing.assert_array_equal(first(*inputs)[0], first(*inputs)[0])


def test_the_layers_of_a_stack_drop_different_numbers():
    """They are copies, but of one generator there is no copy: two that drew alike would drop the same numbers."""
    generator = rng(0)
    stack = manual.TransformerEncoder(ENCODER(dropout=0.5, generator=generator), 3)
    assert all(module.generator is generator for module in stack.modules() if hasattr(module, "generator"))
    for parameter in stack.parameters():
        assert sum(parameter is other for other in stack.parameters()) == 1


# -- What modules are made of


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", PAIRS)
def test_state_dicts_are_torchs(kind, bias):
    """Names, order and shapes; and biases and norms start from the same numbers."""
    ours, theirs = (each(bias=bias) for each in PAIRS[kind])
    mine, other = ours.state_dict(), theirs.state_dict()
    assert [(name, array.shape) for name, array in mine.items()] == [(name, tuple(each.shape)) for name, each in other.items()]
    for name, array in mine.items():
        if "norm" in name or "in_proj_bias" in name:
            np.testing.assert_array_equal(array, other[name])


def test_layers_of_a_stack_start_alike_and_learn_apart():
    layer = ENCODER(dropout=0.0)
    stack = manual.TransformerEncoder(layer, 2)
    first, second = (each.linear1.weight for each in stack.layers)
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.data, layer.linear1.weight.data)
    first.data += 1
    assert not np.array_equal(first.data, second.data)
    assert not np.array_equal(first.data, layer.linear1.weight.data)


def test_matrices_of_a_transformer_start_from_xaviers_distribution():
    """Those of a custom encoder too, of kernels too, as in torch: U(−b, b), b = √(6 / (fan_in + fan_out))."""
    layer = manual.TransformerEncoderLayer(64, 4, 48)
    layer.kernel = manual.Parameter(np.zeros((10, 20, 5)))
    model = manual.Transformer(64, 4, 1, 1, 48, custom_encoder=manual.TransformerEncoder(layer, 1), generator=rng(0))
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            fans = {"kernel": (10 + 20) * 5, "in_proj_weight": 4 * 64, "out_proj.weight": 2 * 64}
            bound = np.sqrt(6 / next((fan for end, fan in fans.items() if name.endswith(end)), 64 + 48))
            assert 0.97 * bound < np.abs(parameter.data).max() <= bound, name
            assert abs(parameter.data.mean()) < 0.1 * bound, name


@pytest.mark.parametrize("size", [0, 1, 4])
def test_the_causal_mask_is_torchs(size, dtype):
    ours = manual.Transformer.generate_square_subsequent_mask(size, dtype=dtype)
    assert ours.dtype == dtype
    np.testing.assert_array_equal(ours, nn.Transformer.generate_square_subsequent_mask(size, dtype=getattr(torch, dtype)))


@pytest.mark.parametrize("kind", [np.bool_, float])
@pytest.mark.parametrize(
    ("change", "causal"),
    [(None, True), ((0, 1), False), ((2, 0), False)],
    ids=["causal", "one key more", "one key less"],
)
def test_a_causal_mask_is_found_out(kind, change, causal):
    """Layers are told so if nothing else is said; a mask that differs in one place is none."""
    mask = np.triu(np.ones((3, 3), bool), 1)
    if change:
        mask[change] ^= True
    mask = mask if kind is np.bool_ else np.where(mask, -np.inf, 0.0)
    told = []

    class Layer(manual.Module):
        def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
            told.append(is_causal)
            return src, lambda g, needs=None: (g, None, None)

    stack = manual.TransformerEncoder(Layer(), 1)
    for hint in (None, True, False):
        stack(numbers(3, 2, 4), mask, None, hint)
    stack(numbers(3, 2, 4))
    stack(numbers(3, 2, 4), np.stack([mask] * 4))  # one for each head is left to the layers, as in torch
    assert told == [causal, True, False, False, False]


def test_float32_stays_float32():
    model = manual.Transformer(*SIZES, dtype=np.float32, activation="gelu")
    src = numbers(3, 2, 4).astype(np.float32)
    output, backward = model(src, src, tgt_mask=manual.Transformer.generate_square_subsequent_mask(3, dtype=np.float32))
    grads = backward(output)
    assert {array.dtype for array in (output, *grads[:2], *(p.grad for p in model.parameters()))} == {np.dtype(np.float32)}


# -- What nobody needs


def test_what_comes_before_all_that_learns_is_not_asked():
    """Of a frozen layer, attention gives no gradient where no input needs one; the norm before it makes one necessary."""
    for norm_first, frozen, asked in ((True, True, False), (True, False, True), (False, True, False), (False, False, False)):
        layer = ENCODER(norm_first=norm_first)
        layer.requires_grad_(not frozen)
        found = []
        attention = layer.self_attn.forward

        def spied(*inputs, attention=attention, found=found, **options):
            output, backward = attention(*inputs, **options)

            def noted(grad, needs=None):
                found.append(needs[0])
                return backward(grad, needs)

            return output, noted

        layer.self_attn.forward = spied
        output, backward = layer(numbers(3, 2, 4))
        assert backward(output, (False, False, False)) == (None, None, None)
        assert found == [asked]


def test_a_frozen_encoder_is_left_alone():
    model = manual.Transformer(*SIZES)
    model.encoder.requires_grad_(False)
    encoder, calls = model.encoder.forward, []

    def spied(*inputs, **options):
        output, backward = encoder(*inputs, **options)
        return output, lambda grad, needs=None: (calls.append(needs), backward(grad, needs))[1]

    model.encoder.forward = spied
    src, tgt = numbers(3, 2, 4), numbers(2, 2, 4)
    output, backward = model(src, tgt)
    grads = backward(output, (False, True, *[False] * 6))
    assert [grad is not None for grad in grads] == [False, True, *[False] * 6]
    assert calls == []
    backward(output, (True, *[False] * 7))
    assert calls == [(True, False, False)]


def test_gradients_of_masks_add_up_over_layers():
    """Of two layers the mask's gradient is the sum of what each would give."""
    mask = numbers(3, 3)
    stack = manual.TransformerEncoder(ENCODER(dropout=0.0), 2)
    output, backward = stack(numbers(3, 2, 4), mask)
    g = rng(1).standard_normal(output.shape)
    first, second = stack.layers
    x, first_backward = first(numbers(3, 2, 4), mask)
    _, second_backward = second(x, mask)
    grad_x, of_second, _ = second_backward(g)
    _, of_first, _ = first_backward(grad_x)
    np.testing.assert_allclose(backward(g)[1], of_first + of_second, rtol=1e-14)
    assert backward(g, (True, False, False))[1] is None


# -- Refusals


@pytest.mark.parametrize("kind", ["encoder layer", "decoder layer"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"d_model": 0}, "d_model must be an integer of at least 1, got 0"),
        ({"nhead": 0}, "nhead must be an integer of at least 1, got 0"),
        ({"d_model": 5}, "nhead must divide d_model, 5, got 2"),
        ({"dim_feedforward": -1}, "dim_feedforward must be an integer of at least 0, got -1"),
        ({"dropout": 1.5}, "dropout must be a number from 0 to 1, got 1.5"),
        ({"activation": "tanh"}, "activation must be 'relu', 'gelu' or an operation, got 'tanh'"),
    ],
)
def test_layers_refuse_as_torch_does(kind, settings, message):
    ours, theirs = PAIRS[kind]
    arguments = dict(zip(("d_model", "nhead", "dim_feedforward"), (4, 2, 6))) | settings
    with pytest.raises((TypeError, ValueError), match=f"^{ours.func.__name__}: {re.escape(message)}$"):
        ours.func(**arguments)
    with pytest.raises((ValueError, AssertionError, RuntimeError, ZeroDivisionError)):
        theirs.func(**arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer_norm_eps": -1.0}, "layer_norm_eps must be a number of at least 0, got -1.0"),
        ({"activation": 5}, "activation must be 'relu', 'gelu' or an operation, got 5"),
        ({"batch_first": 1}, "batch_first must be True or False, got 1"),
        ({"norm_first": None}, "norm_first must be True or False, got None"),
        ({"bias": "no"}, "bias must be True or False, got 'no'"),
        ({"dtype": np.float16}, "dtype must be np.float32 or np.float64, got "),
        ({"generator": 5}, "generator must be a numpy.random.Generator or None, got 5"),
    ],
)
def test_layers_refuse_settings_of_another_kind(settings, message):
    with pytest.raises((TypeError, ValueError), match=f"^TransformerEncoderLayer: {re.escape(message)}"):
        ENCODER(**settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: manual.TransformerEncoder(5, 2), "TransformerEncoder: encoder_layer must be a module, got int"),
        (lambda: manual.TransformerDecoder(DECODER(), 0), "TransformerDecoder: num_layers must be an integer of at least 1, got 0"),
        (lambda: manual.TransformerDecoder(DECODER(), 1, 5), "TransformerDecoder: norm must be a module or None, got int"),
        (lambda: manual.Transformer(5, 2), "TransformerEncoderLayer: nhead must divide d_model, 5, got 2"),
        (lambda: manual.Transformer(*SIZES, custom_encoder=5), "Transformer: custom_encoder must be a module or None, got int"),
        (lambda: manual.Transformer(*SIZES, custom_decoder="a"), "Transformer: custom_decoder must be a module or None, got str"),
        (lambda: manual.Transformer(*SIZES, batch_first=1), "Transformer: batch_first must be True or False, got 1"),
        (
            lambda: manual.Transformer.generate_square_subsequent_mask(-1),
            "Transformer.generate_square_subsequent_mask: sz must be an integer of at least 0, got -1",
        ),
    ],
)
def test_stacks_refuse(call, message):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        call()


@pytest.mark.parametrize(
    ("src", "tgt", "batch_first", "message"),
    [
        ((3, 2, 5), (2, 2, 4), False, "src must have shape (length, N, 4) or (length, 4), got (3, 2, 5)"),
        ((3, 2, 4), (2, 2, 5), True, "tgt must have shape (N, length, 4) or (length, 4), got (2, 2, 5)"),
        ((4,), (2, 2, 4), False, "src must have shape (length, N, 4) or (length, 4), got (4,)"),
        ((3, 2, 4), (2, 3, 4), False, "tgt must have as many sequences as src, (3, 2, 4), got (2, 3, 4)"),
        ((3, 2, 4), (2, 2, 4), True, "tgt must have as many sequences as src, (3, 2, 4), got (2, 2, 4)"),
        ((3, 4), (2, 2, 4), False, "tgt must have as many sequences as src, (3, 4), got (2, 2, 4)"),
    ],
)
def test_sequences_that_do_not_go_together_are_refused_as_in_torch(src, tgt, batch_first, message):
    ours, theirs = (each(batch_first=batch_first) for each in PAIRS["Transformer"])
    with pytest.raises(ValueError, match=f"^Transformer: {re.escape(message)}$"):
        ours(np.ones(src), np.ones(tgt))
    with pytest.raises((RuntimeError, AssertionError, IndexError)):
        theirs.double()(torch.ones(src).double(), torch.ones(tgt).double())


def test_what_is_no_sequence_is_refused_by_name():
    for x, problem in (([[1.0]], "got list"), (np.ones((2, 3, 5)), "got"), (np.ones((2, 3, 4), np.float32), "dtype")):
        for norm_first in (False, True):
            with pytest.raises((TypeError, ValueError), match=rf"^\w+: .*{problem}"):
                ENCODER(norm_first=norm_first)(x)
    with pytest.raises(ValueError, match=r"^Transformer: src must have shape .* got list"):
        manual.Transformer(*SIZES)([[1.0]], np.ones((2, 4)))
