"""Functions, methods, attributes and operators of torch, by position and by keyword: each means the same in the twin."""

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import manual
from manual.calling import array_names
from reference import structure, verify
from reference.agreement import _construct, _namesake
from reference.cases import MODULES
from reference.networks.names import words
from reference.networks.rules import RULES
from reference.oracle import to_torch
from reference.twins import LIBRARY

FLOAT64 = np.dtype("float64")


class Function(nn.Module):
    """A function as a network; its second argument learns."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.randn(3, 4, generator=torch.Generator().manual_seed(1)))

    def forward(self, x):
        return self.function(x, self.w)


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


PLACES = torch.tensor([[0, 1, 3, 2], [3, 0, 2, 1], [1, 2, 0, 3]])

ELEMENTWISE = {
    "add": lambda x, w: x + w + 1 + torch.add(x, w, alpha=2) + x.add(other=w) + (2 + x) + torch.add(input=x, other=3),
    "sub": lambda x, w: x - w - 1 + torch.sub(x, w, alpha=2) + x.subtract(w) + (2 - x) + torch.rsub(x, w),
    "mul": lambda x, w: x * w * 2 + torch.multiply(x, w) + 3.0 * x + x.mul(w),
    "div": lambda x, w: x / (w**2 + 1) + x / 3 + 2 / (x * x + 1) + torch.true_divide(x, 4) + x.div(5, rounding_mode="trunc"),
    "floor_divide": lambda x, w: x * (x // 0.3).detach() + x * w.div(0.5, rounding_mode="floor"),
    "pow": lambda x, w: x**2 + (w.abs() + 1) ** x + 2**x + torch.pow(2.0, w) + x.pow(exponent=3) + x.square(),
    "neg": lambda x, w: -x + torch.negative(w) - x.neg() + abs(x) + torch.absolute(w) + w.abs() * x.sign() + (+x),
    "exp": lambda x, w: x.exp() + torch.expm1(w) + torch.exp2(x) + torch.special.expm1(x),
    "log": lambda x, w: (x.abs() + 1).log() + torch.log2(w.abs() + 1) + torch.log10(w.abs() + 2) + torch.log1p(x.abs()),
    "sqrt": lambda x, w: (x.abs() + 1).sqrt() + torch.rsqrt(w.abs() + 1) + (x.abs() + 2).reciprocal(),
    "sin": lambda x, w: torch.sin(x) + w.cos() + torch.tan(0.3 * x),
    "erf": lambda x, w: torch.erf(x) + torch.erfc(w) + torch.special.erf(x),
    "sigmoid": lambda x, w: torch.sigmoid(x) + w.tanh() + x.relu() + torch.special.expit(w) + F.logsigmoid(x) + torch.selu(x),
    "activations": lambda x, w: (
        F.elu(x, 2.0) + F.leaky_relu(w, negative_slope=0.3) + F.hardtanh(x) + F.hardsigmoid(w) + torch.celu(x)
    ),
    "round": lambda x, w: x + (x.round() - x).detach() + torch.floor(w) * x + x.ceil(),
    "clamp": lambda x, w: x.clamp(-0.5, 0.5) + torch.clip(w, max=0.2) + x.clamp_min(0) + torch.clamp(x, min=w) + w.clamp_max(0.1),
    "maximum": lambda x, w: torch.maximum(x, w) + torch.minimum(x, 2 * w) + torch.max(x, w) + x.min(w),
    "addcmul": lambda x, w: torch.addcmul(x, w, x, value=2) + torch.addcdiv(x, w, x.abs() + 1, value=0.5) + torch.lerp(x, w, 0.3),
    "where": lambda x, w: (
        torch.where(x > 0, x, w) + torch.where(w > 0, w, 0.0) + x.where(x < 1, 2 * w) + torch.where(x > w, 1.0, x)
    ),
    "masked_fill": lambda x, w: (
        x.masked_fill(w > 0, -1.0) + torch.masked_fill(w, mask=x > 0, value=2) + x.masked_fill(x > 0, w[0, 0])
    ),
    "mask": lambda x, w: (x > 0) * w + x * (w != 0) + (x >= w).float() * x + torch.isfinite(x) * w,
    "integers": lambda x, w: x * torch.arange(4) + w * torch.tensor([1, 2, 3, 4]) + x.argsort().type_as(x) * w,
    "softmax": lambda x, w: (
        x.softmax(-1) + torch.softmax(w, dim=0) + F.softmax(x, 1) + w.log_softmax(dim=-1) + torch.log_softmax(x, 0)
    ),
    "glu": lambda x, w: (
        F.glu(torch.cat([x, w], 1), dim=-1) + F.gelu(x, approximate="tanh") + F.silu(w) + F.mish(x) + F.softplus(w, 2.0)
    ),
    "norms": lambda x, w: F.layer_norm(x, (4,), w[0], w[1]) + F.rms_norm(x, [4], weight=w[2]) + F.normalize(w, dim=0),
}

REDUCTIONS = {
    "sum": lambda x, w: x.sum() + torch.sum(w, 0) + x.sum(dim=(0, 1)) + w.sum(-1, keepdim=True) + x.sum(axis=0) + x.sum(0, True),
    "mean": lambda x, w: x.mean() + torch.mean(w, dim=1, keepdim=True) + x.mean([0, 1]),
    "prod": lambda x, w: x.prod() + w.prod(0),
    "var": lambda x, w: (
        x.var() + torch.var(w, 1, keepdim=True) + x.var(0, unbiased=False) + x.var(False) + w.var(dim=0, correction=0)
    ),
    "std": lambda x, w: x.std() + torch.std(w, 0) + torch.std(x, dim=-1, keepdim=True),
    "var_mean": lambda x, w: sum(torch.var_mean(x, dim=0)) + sum(torch.std_mean(w, 0, unbiased=False)),
    "norm": lambda x, w: x.norm() + torch.norm(w, dim=1, keepdim=True) + x.norm(p=1) + torch.linalg.vector_norm(w, dim=0),
    "linalg": lambda x, w: torch.linalg.norm(x[0]) + torch.linalg.norm(w, dim=1, ord=3, keepdim=True) + w.norm(3, -1, True),
    "logsumexp": lambda x, w: torch.logsumexp(x, 0) + w.logsumexp(dim=(0, 1)),
    "cumsum": lambda x, w: x.cumsum(0) + torch.cumsum(w, dim=-1),
    "max": lambda x, w: (
        x.max() + torch.min(w) + x.max(dim=0)[0] + torch.min(w, 0).values + x.amax(1, keepdim=True) + w.amin((0, 1))
    ),
    "topk": lambda x, w: (
        x.topk(2, dim=0)[0] + torch.topk(w, k=2, dim=0, largest=False).values + x.sort(0)[0][:2] + w.sort(0, True).values[1:]
    ),
    "argmax": lambda x, w: x[torch.arange(3), w.argmax(1)] + w.gather(1, x.argmax(1, keepdim=True)).squeeze(1),
    "losses": lambda x, w: F.mse_loss(x, w) + F.l1_loss(x, w, reduction="sum") + F.cross_entropy(w, torch.tensor([0, 3, 1])),
}

PRODUCTS = {
    "matmul": lambda x, w: x @ w.T + torch.matmul(x, w.t()) + x.mm(w.T) + torch.linalg.matmul(x, w.mT) + torch.ones(3, 4) @ w.T,
    "vectors": lambda x, w: (
        x.mv(w[0])
        + x @ w[0]
        + torch.dot(x[0], w[0])
        + torch.vdot(x[1], w[0])
        + torch.outer(x[0], w[1]).sum(0)[:3]
        + x[0].matmul(w.T)
    ),
    "bmm": lambda x, w: (
        torch.bmm(x[None], w.T[None]) + torch.einsum("bij,bkj->bik", x[None], w[None]) + torch.einsum("ij,kj", [x, w])
    ),
    "addmm": lambda x, w: torch.addmm(w[:, :3], x, w.T, beta=0.5, alpha=2) + torch.baddbmm(x[None, :, 1:], x[None], w.T[None])[0],
    "linear": lambda x, w: F.linear(x, w) + F.linear(input=x, weight=w, bias=w[:, 0]) + F.bilinear(x, w, w.new_ones(3, 4, 4)),
    "rmatmul": lambda x, w: torch.eye(3).double().to(x.dtype).__matmul__(x) + torch.eye(3) @ w,
}

SHAPES = {
    "view": lambda x, w: (
        x.view(-1) + w.reshape(12) + x.flatten() + torch.flatten(w, 0, 1) + x.view(4, 3).ravel() + w.reshape([2, 6]).view(-1)
    ),
    "size": lambda x, w: x.view(x.size(0), x.shape[1] // 2, -1).sum(1) + w.unflatten(-1, (2, 2)).mean(len(x) - 1 - 1),
    "squeeze": lambda x, w: x.unsqueeze(0).squeeze() + w[None, ..., None].squeeze(-1)[0] + torch.unsqueeze(x, dim=1).squeeze(1),
    "transpose": lambda x, w: (
        x.transpose(0, 1) + w.T + torch.transpose(x, -1, dim1=-2) + w.permute(1, 0) + x.permute(dims=(1, 0)) + x.mT
    ),
    "moved": lambda x, w: x.movedim(0, 1) + torch.swapaxes(w, 0, 1) + x.unfold(0, 2, 1).sum((0, 2))[:, None] + w.diagonal()[:1],
    "expand": lambda x, w: (
        x[:1].expand(3, -1) + w[:, :1].expand_as(x) + torch.broadcast_to(x[0], (3, 4)) + x[None].expand(2, 3, 4)[1]
    ),
    "repeat": lambda x, w: x.repeat(2, 1) + w.repeat(2, 1, 1).flatten(0, 1) + torch.tile(x, (2, 1)) + x.repeat_interleave(2, dim=0),
    "flip": lambda x, w: x.flip(0) + torch.flip(w, dims=[0, 1]) + x.roll(1, 0) + torch.roll(w, shifts=(1, 2), dims=(0, 1)),
    "tril": lambda x, w: x.tril() + torch.triu(w, diagonal=1),
    "contiguous": lambda x, w: x.T.contiguous().view(3, 4) + w.clone() + x.to(x.dtype).to("cpu").float() + w.to(x).type_as(x),
    "cat": lambda x, w: torch.cat([x, w, torch.ones(1, 4)]) * torch.cat((w, x[:1], w), dim=0) + torch.concat([x, x, w[:1]]),
    "stack": lambda x, w: torch.stack([x, w], dim=1).sum(1) + torch.stack((x, torch.zeros_like(x)), 0)[0],
    "split": lambda x, w: (
        sum(x.split(2, dim=1)) + sum(torch.split(w, [1, 1, 2], dim=1)[:2]) + x.chunk(2, -1)[1] + torch.chunk(w, 2, dim=1)[0]
    ),
    "unbind": lambda x, w: sum(x.unbind()) + sum(row for row in w) + torch.unbind(x, dim=0)[0],
}

INDICES = {
    "slices": lambda x, w: x[1:, ::2] + w[..., 1:3][:2] + x[-2:, :2] + w[None, :2, 2:][0] + x[1, None, :2] + w[[0, 2]][:, [1, 3]],
    "mixed": lambda x, w: x[:, [2, 0]] + w[torch.tensor([0, 0, 1]), 1:3] + x[..., None].expand(3, 4, 2)[:, 1],
    "masks": lambda x, w: (
        x[x > 0].sum() + w[w.sum(1) > 0].mean() + torch.masked_select(x, w > 0).sum() + x[torch.tensor([True, False, True])].sum()
    ),
    "gather": lambda x, w: x.gather(1, PLACES) + torch.gather(w, 1, index=PLACES) + x.index_select(0, torch.tensor([2, 2, 0])),
    "select": lambda x, w: x.select(1, 0) + w.narrow(1, 1, 1)[:, 0] + torch.narrow(x, dim=1, start=-1, length=1).squeeze(),
    "scatter": lambda x, w: (
        torch.zeros_like(x).scatter(1, PLACES, w) + x.scatter(1, PLACES[:, :2], 0.5) + w.scatter_add(1, PLACES, x)
    ),
    "index_add": lambda x, w: (
        x.index_add(0, torch.tensor([0, 0]), w[1:]) + torch.zeros(3, 4).index_add_(1, torch.tensor([1, 1, 2, 0]), w, alpha=2)
    ),
    "embedding": lambda x, w: F.embedding(torch.tensor([0, 2, 2]), w) + torch.take_along_dim(x, PLACES, 1),
}

IN_PLACE = {
    "add_": lambda x, w: torch.zeros_like(x).add_(w).mul_(x).sub_(1).div_(2),
    "operators": lambda x, w: accumulated(x, w),
    "relu_": lambda x, w: F.relu(x * 1, inplace=True) + torch.relu_(w * 1) + (x * 1).clamp_(0, 1) + F.elu(w * 1, inplace=True),
    "masked_fill_": lambda x, w: (x * w).masked_fill_(x > 0, 1.0).exp_() + torch.empty_like(x).copy_(w[0]) + (w * 1).zero_(),
    "views": lambda x, w: (x * 1).view(-1).add_(1).view(3, 4) * (w + 0).t_().t_(),
    "the_input": lambda x, w: x.mul_(2) + w,
}


def accumulated(x, w):
    total = 0
    for _ in range(2):
        total += x * w
    total *= 3
    total -= x
    total /= 2
    total **= 2
    return total


EVERY = {**ELEMENTWISE, **REDUCTIONS, **PRODUCTS, **SHAPES, **INDICES, **IN_PLACE}


@pytest.mark.parametrize("name", EVERY)
def test_functions(name):
    report = verify(Function(EVERY[name]), numbers(3, 4))
    assert report.agrees, str(report)
    assert report.of("input gradient")[0].torch.any()


def test_the_functions_named_here_are_those_with_rules():
    """Every rule is seen at work: in a step of one of the functions above, or of the modules."""
    seen = set()
    original = dict(RULES)
    try:
        for rule in original:
            RULES[rule] = lambda call, *args, of=rule, **kwargs: seen.add(of) or original[of](call, *args, **kwargs)
        for function in EVERY.values():
            verify(Function(function), numbers(3, 4))
    finally:
        RULES.update(original)
    elsewhere = {name for name in original if "rnn" in name or name.startswith(("lstm", "gru", "_p", "pad_", "_weight"))}
    synonyms = words("""
        addbmm addmv adjoint alias atleast_1d axes broadcast_tensors concatenate cpu detach_ diag divide fill fix fliplr flipud
        float_power ger get_H get_data get_mH get_real inner log_sigmoid moveaxis msort positive requires_grad_ reshape_as
        resolve_conj resolve_neg rmatmul rot90 split_with_sizes swapdims take trunc view_as
    """)
    synonyms |= {name for name in original if name.startswith("special_")}
    assert set(original) - seen - elsewhere <= synonyms


DROPOUT = {
    "dropout": lambda x, w: F.dropout(x, 0.3) + F.dropout(w.T, p=0.6).T,
    "alpha_dropout": lambda x, w: F.alpha_dropout(x, 0.3, training=True) + F.feature_alpha_dropout(w, 0.4, True),
    "channels": lambda x, w: F.dropout1d((x * w)[None], 0.4)[0] + F.dropout2d((x * w)[None, :, :, None], 0.4)[0, ..., 0],
    "volumes": lambda x, w: F.dropout3d((x * w)[None, :, :, None, None], 0.4).flatten(),
    "rrelu": lambda x, w: F.rrelu(x, 0.1, 0.4, training=True) + torch.rrelu(w, training=True),
    "gumbel": lambda x, w: F.gumbel_softmax(x, tau=0.7) + F.gumbel_softmax(w.T, hard=True, dim=0).T,
    "fractions": lambda x, w: F.fractional_max_pool2d((x * w)[None, None], 2, output_size=2) + torch.randn_like(x)[:2, :2],
    "attention": lambda x, w: F.scaled_dot_product_attention(x[None], w[None], x[None], dropout_p=0.4, is_causal=True),
    "in place": lambda x, w: F.dropout(x * w, 0.5, inplace=True),
}


@pytest.mark.parametrize("name", DROPOUT)
def test_what_torch_drew_is_drawn_again(name):
    for seed in range(2):
        torch.manual_seed(seed)
        report = verify(Function(DROPOUT[name]), numbers(3, 4))
        assert report.agrees, str(report)


class Whole(nn.Module):
    """A module of torch.nn as a part of a network."""

    def __init__(self, module, call=None):
        super().__init__()
        self.inner, self.call = module, call or (lambda module, *inputs: module(*inputs))

    def forward(self, *inputs):
        return self.call(self.inner, *inputs)


LEFT_OUT = {
    "CrossMapLRN2d": "torch's own gradient is wrong, by its own gradcheck",
    "CTCLoss": "torch's gradient of log_probs is that of a log_softmax before it, which is here in a test of its own",
    "GroupedQueryAttention": "its twin in torch is written with complex numbers",
    "DecoderBlock": "its twin in torch is written with complex numbers",
    "LanguageModel": "its twin in torch is written with complex numbers",
    "LinearCrossEntropyLoss": "its options are objects of torch's",
    "spectral_norm": "in training it iterates under no_grad, which is listed; in evaluation it has a test of its own",
    "weight_norm": "torch cannot copy an LSTM whose weights it computes; linear layers have a test of their own",
}


def converted(argument):
    packed = hasattr(argument, "batch_sizes")
    tensors = structure.apply(to_torch, argument)
    return nn.utils.rnn.PackedSequence(*tensors) if packed else tensors


@pytest.mark.parametrize("name", sorted({case.name for case in MODULES} - set(LEFT_OUT)))
def test_modules_of_the_catalogue(name):
    """The first case of each module, one with a mask, or a packed sequence, and the last."""
    cases = [case for case in MODULES if case.name == name]
    for case in {id(case): case for case in (cases[0], cases[len(cases) // 2], cases[-1])}.values():
        ours = _construct(case, manual, FLOAT64, 0)
        names = array_names(ours.forward)
        arrays = case.build(names, FLOAT64, 0)
        theirs = _namesake(case, LIBRARY, ours.state_dict(), FLOAT64)
        with warnings.catch_warnings(action="ignore"):
            network = Whole(theirs, lambda module, *inputs, case=case, names=names: case.call(module, names, *inputs))
            report = verify(network, *(None if array is None else converted(array) for array in arrays))
        assert report.agrees, f"{case.inputs.label}: {report}"


RANDOM = {
    "LSTM": (lambda: nn.LSTM(4, 3, 3, dropout=0.5, batch_first=True, bidirectional=True), (2, 5, 4)),
    "GRU": (lambda: nn.GRU(4, 3, 2, dropout=0.5), (5, 2, 4)),
    "RNN": (lambda: nn.RNN(4, 3, 2, dropout=0.5, nonlinearity="relu", bias=False), (5, 4)),
    "Transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.3), (3, 2, 4)),
    "norm first": (lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.3, norm_first=True, batch_first=True), (3, 2, 4)),
    "Dropout2d": (lambda: nn.Dropout2d(0.4), (2, 4, 3, 3)),
    "AlphaDropout": (lambda: nn.AlphaDropout(0.4), (2, 4)),
    "RReLU": (lambda: nn.RReLU(), (2, 4)),
    "fractions": (lambda: nn.FractionalMaxPool2d(2, output_ratio=0.6), (1, 2, 6, 6)),
}


@pytest.mark.parametrize("name", RANDOM)
def test_modules_that_draw(name):
    make, shape = RANDOM[name]
    report = verify(Whole(make()), numbers(*shape), train=True)
    assert report.agrees, str(report)


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_that_drops(need_weights, batch_first):
    module = nn.MultiheadAttention(4, 2, dropout=0.4, batch_first=batch_first, add_bias_kv=True, add_zero_attn=True)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    mask[0, 2] = True
    shape = (2, 3, 4) if batch_first else (3, 2, 4)

    def call(module, x):
        return module(x, 2 * x, x, key_padding_mask=mask, need_weights=need_weights)

    report = verify(Whole(module, call), numbers(*shape))
    assert report.agrees, str(report)


def test_packed_sequences():
    lstm = nn.LSTM(4, 3, 2, dropout=0.4, bidirectional=True, batch_first=True)
    lengths = torch.tensor([2, 5, 3])

    def call(module, x):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, (h, c) = module(packed)
        return nn.utils.rnn.pad_packed_sequence(output, batch_first=True, padding_value=1.0)[0], h * c

    for train in (True, False):
        report = verify(Whole(lstm, call), numbers(3, 5, 4), train=train)
        assert report.agrees, str(report)


def test_hooks_of_the_user_run_and_are_followed():
    module = nn.Sequential(nn.Linear(4, 4), nn.LSTMCell(4, 3))
    module[0].register_forward_hook(lambda module, inputs, output: output * 2)
    module[0].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    module[1].register_forward_hook(lambda module, inputs, output: output[0] + output[1])
    report = verify(Whole(module), numbers(2, 4))
    assert report.agrees, str(report)


def test_parametrizations_are_followed():
    linear = nn.utils.parametrize.register_parametrization(nn.Linear(4, 4), "weight", Symmetric())
    report = verify(Whole(linear), numbers(2, 4))
    assert report.agrees, str(report)
    assert "inner.parametrizations.weight.original" in {q.name for q in report.quantities}


@pytest.mark.parametrize("norm", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
@pytest.mark.parametrize("dim", [0, 1])
def test_norms_of_weights(norm, dim):
    """Of the spectral norm in evaluation: in training it iterates under no_grad, which is listed."""
    module = Whole(norm(nn.Linear(4, 4), dim=dim))
    report = verify(module, numbers(2, 4), train=False)
    assert report.agrees, str(report)
    assert report.of("parameter gradient")[0].torch.any()
    problems = {trouble.what for trouble in verify(module, numbers(2, 4), train=True).troubles}
    assert (norm is nn.utils.parametrizations.weight_norm) == (not problems)
    assert all("under no_grad" in problem for problem in problems)


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).transpose(-1, -2)


def test_a_module_whose_forward_is_the_users():
    class Scaled(nn.Linear):
        def forward(self, input):
            return math.sqrt(self.in_features) * super().forward(input)

    module = nn.ReLU()
    module.forward = lambda x: x.clamp(min=-1)
    report = verify(Whole(nn.Sequential(Scaled(4, 4), module)), numbers(2, 4))
    assert report.agrees, str(report)


def test_ctc_of_a_log_softmax():
    report = verify(
        Whole(nn.CTCLoss(), lambda loss, x: loss(x.log_softmax(-1), torch.tensor([[1, 2]]), (4,), (2,))), numbers(4, 1, 3)
    )
    assert report.agrees, str(report)
