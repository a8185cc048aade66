"""Twelve networks, as users of torch write them: views, chunks, slices, residuals, buffers, tied weights."""

import itertools
import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


class Dense(nn.Module):
    """A dense network."""

    def __init__(self, sizes=(6, 10, 8, 3)):
        super().__init__()
        layers = OrderedDict()
        for i, (a, b) in enumerate(itertools.pairwise(sizes[:-1])):
            layers[f"fc{i}"] = nn.Linear(a, b)
            layers[f"norm{i}"] = nn.LayerNorm(b)
            layers[f"act{i}"] = nn.GELU()
        self.body = nn.Sequential(layers)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(*sizes[-2:])

    def forward(self, x):
        x = x.view(x.size(0), -1)
        return F.log_softmax(self.head(self.dropout(self.body(x))), dim=1)


class BasicBlock(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class Residual(nn.Module):
    """A residual convolutional network."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.layers = nn.ModuleList([BasicBlock(4, 4), BasicBlock(4, 6, 2)])
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, squeezed):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x):
        scale = x.mean((2, 3), keepdim=True)
        scale = F.hardsigmoid(self.fc2(F.relu(self.fc1(scale), inplace=True)), inplace=True)
        return scale * x


class Inverted(nn.Module):
    """Inverted bottlenecks with squeeze and excitation."""

    class Block(nn.Module):
        def __init__(self, inside, outside, expand, stride):
            super().__init__()
            hidden = inside * expand
            self.residual = stride == 1 and inside == outside
            self.block = nn.Sequential(
                nn.Conv2d(inside, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden, eps=0.001, momentum=0.01),
                nn.Hardswish(inplace=True),
                nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
                nn.BatchNorm2d(hidden, eps=0.001, momentum=0.01),
                SqueezeExcitation(hidden, 2),
                nn.Hardswish(),
                nn.Conv2d(hidden, outside, 1, bias=False),
                nn.BatchNorm2d(outside, eps=0.001, momentum=0.01),
            )

        def forward(self, x):
            return x + self.block(x) if self.residual else self.block(x)

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(self.Block(3, 4, 2, 2), self.Block(4, 4, 2, 1))
        self.classifier = nn.Sequential(nn.Linear(4, 6), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(6, 3))

    def forward(self, x):
        x = self.features(x)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Classifier(nn.Module):
    """A bidirectional LSTM with attention pooling."""

    def __init__(self, vocabulary=11, width=5, hidden=4, classes=3):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, num_layers=2, batch_first=True, bidirectional=True, dropout=0.3)
        self.query = nn.Parameter(torch.randn(2 * hidden))
        self.key = nn.Linear(2 * hidden, 2 * hidden)
        self.out = nn.Linear(2 * hidden, classes)

    def forward(self, tokens):
        mask = tokens.eq(0)
        output, (h, _) = self.lstm(self.embedding(tokens))
        scores = torch.tanh(self.key(output)) @ self.query
        weights = scores.masked_fill(mask, float("-inf")).softmax(dim=-1)
        pooled = torch.bmm(weights.unsqueeze(1), output).squeeze(1)
        return self.out(pooled) + self.out(torch.cat([h[-2], h[-1]], dim=-1)), weights


class Translator(nn.Module):
    """An encoder and a decoder of GRUs, with attention."""

    def __init__(self, source=9, target=8, width=4, hidden=6):
        super().__init__()
        self.hidden = hidden
        self.src_embedding, self.tgt_embedding = nn.Embedding(source, width), nn.Embedding(target, width)
        self.encoder = nn.GRU(width, hidden, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.attend = nn.Linear(2 * hidden, hidden, bias=False)
        self.cell = nn.GRUCell(width + 2 * hidden, hidden)
        self.out = nn.Linear(hidden, target)

    def forward(self, source, target):
        memory, last = self.encoder(self.src_embedding(source))  # (S, N, 2H)
        state = torch.tanh(self.bridge(torch.cat((last[0], last[1]), 1)))
        keys = self.attend(memory).permute(1, 2, 0)  # (N, H, S)
        logits = []
        for token in self.tgt_embedding(target):
            scores = torch.bmm(state[:, None, :], keys).squeeze(1) / math.sqrt(self.hidden)
            context = torch.einsum("ns,snh->nh", F.softmax(scores, -1), memory)
            state = self.cell(torch.cat([token, context], dim=-1), state)
            logits.append(self.out(state))
        return torch.stack(logits)


class CausalSelfAttention(nn.Module):
    def __init__(self, width, heads, length, dropout):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.attn_dropout, self.resid_dropout = nn.Dropout(dropout), nn.Dropout(dropout)
        self.register_buffer("mask", torch.tril(torch.ones(length, length)).view(1, 1, length, length), persistent=False)

    def forward(self, x):
        N, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (each.view(N, T, self.heads, C // self.heads).transpose(1, 2) for each in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
        y = self.attn_dropout(F.softmax(att, dim=-1)) @ v
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).contiguous().view(N, T, C)))


class LanguageModel(nn.Module):
    """A language model with an attention of its own, whose last layer is its first table."""

    def __init__(self, vocabulary=13, width=8, heads=2, length=8, depth=2, dropout=0.1):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.h = nn.ModuleList()
        for _ in range(depth):
            parts = {
                "ln_1": nn.LayerNorm(width),
                "attn": CausalSelfAttention(width, heads, length, dropout),
                "ln_2": nn.LayerNorm(width),
                "mlp": nn.Sequential(
                    nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width), nn.Dropout(dropout)
                ),
            }
            self.h.append(nn.ModuleDict(parts))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx, targets=None):
        pos = torch.arange(idx.shape[1], device=idx.device)
        x = self.wte(idx) + self.wpe(pos)
        for block in self.h:
            x = x + block["attn"](block["ln_1"](x))
            x = x + block["mlp"](block["ln_2"](x))
        logits = self.lm_head(self.ln_f(x))
        if targets is None:
            return logits[:, [-1], :], None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)


class VisionTransformer(nn.Module):
    """A vision Transformer."""

    def __init__(self, size=8, patch=4, width=8, depth=2, classes=3):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width))
        layer = nn.TransformerEncoderLayer(width, 2, 12, dropout=0.1, activation="gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embedding
        return self.head(self.encoder(x)[:, 0])


class UNet(nn.Module):
    """A U-Net."""

    class Double(nn.Sequential):
        def __init__(self, inside, outside):
            layers = []
            for a in (inside, outside):
                layers += [nn.Conv2d(a, outside, 3, padding=1), nn.GroupNorm(2, outside), nn.LeakyReLU(0.1, inplace=True)]
            super().__init__(*layers)

    def __init__(self, channels=(2, 4, 6)):
        super().__init__()
        self.downs = nn.ModuleList([self.Double(a, b) for a, b in itertools.pairwise(channels)])
        self.pool = nn.MaxPool2d(2)
        self.bottom = self.Double(channels[-1], channels[-1])
        self.ups = nn.ModuleList([nn.ConvTranspose2d(c, c, 2, 2) for c in channels[:0:-1]])
        self.joins = nn.ModuleList([self.Double(2 * c, d) for c, d in zip(channels[:0:-1], (*channels[-2:0:-1], 4))])

    def forward(self, x):
        passed = []
        for down in self.downs:
            x = down(x)
            passed.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, join in zip(self.ups, self.joins):
            x = up(x)
            skip = passed.pop()
            rows, columns = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
            x = F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
            x = join(torch.cat([skip, x], dim=1))
        return torch.sigmoid(x)


class VAE(nn.Module):
    """A variational autoencoder."""

    def __init__(self, size=10, hidden=7, latent=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.Softplus(), nn.Linear(hidden, size))

    def forward(self, x):
        mean, logvar = self.encoder(x).chunk(2, dim=-1)
        std = torch.exp(0.5 * logvar)
        z = mean + torch.randn_like(std) * std if self.training else mean
        reconstruction = self.decoder(z)
        bce = F.binary_cross_entropy_with_logits(reconstruction, x.sigmoid().detach(), reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
        return {"loss": bce + kld, "parts": (bce, kld), "reconstruction": reconstruction}


class Siamese(nn.Module):
    """A Siamese network: one tower sees both."""

    def __init__(self, size=6, width=5):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(size, 8), nn.PReLU(8), nn.Linear(8, width))
        self.temperature = nn.Parameter(torch.tensor(0.3))

    def forward(self, left, right, same=None):
        a, b = F.normalize(self.tower(left), dim=-1), F.normalize(self.tower(right), dim=-1)
        distance = (a - b).norm(dim=1)
        logits = a @ b.T * self.temperature.exp()
        if same is None:
            return distance, logits
        loss = same * distance**2 + (1 - same) * torch.clamp(1.0 - distance, min=0.0) ** 2
        return loss.mean() + F.cosine_embedding_loss(a, b, 2 * same - 1), logits


class Mixture(nn.Module):
    """A mixture of experts, of which the two best see a sample."""

    def __init__(self, width=5, experts=4, best=2):
        super().__init__()
        self.best = best
        self.gate = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(width, 6), nn.SiLU(), nn.Linear(6, width)) for _ in range(experts))

    def forward(self, x):
        N, T, C = x.shape
        x = x.reshape(-1, C)
        probabilities = F.softmax(self.gate(x), dim=1)
        weights, chosen = torch.topk(probabilities, self.best, dim=-1)
        weights = weights / weights.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(x)
        usage = F.one_hot(chosen, num_classes=len(self.experts)).permute(2, 1, 0)
        for number, expert in enumerate(self.experts):
            place, sample = torch.where(usage[number])
            if sample.numel() == 0:
                continue
            out.index_add_(0, sample, expert(x[sample]) * weights[sample, place, None])
        balance = len(self.experts) * (probabilities.mean(0) * usage.double().mean((1, 2)).to(x.dtype)).sum()
        return out.view(N, T, C), balance


class WaveNet(nn.Module):
    """A WaveNet of dilated convolutions."""

    def __init__(self, channels=4, skip=3, classes=5, dilations=(1, 2, 4)):
        super().__init__()
        self.dilations = dilations
        self.first = nn.Conv1d(1, channels, 1)
        self.filters = nn.ModuleList(nn.Conv1d(channels, 2 * channels, 2, dilation=d) for d in dilations)
        self.residuals = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in dilations)
        self.skips = nn.ModuleList(nn.Conv1d(channels, skip, 1) for _ in dilations)
        self.last = nn.Conv1d(skip, classes, 1)

    def forward(self, x):
        x = self.first(x.unsqueeze(1))
        total = 0
        for dilation, dilated, residual, skip in zip(self.dilations, self.filters, self.residuals, self.skips):
            a, b = dilated(F.pad(x, (dilation, 0))).chunk(2, 1)
            h = torch.tanh(a) * torch.sigmoid(b)
            total = total + skip(h)
            x = residual(h) + x[..., : h.shape[-1]]
        return self.last(F.relu(total))[..., 1:]


def networks():
    """Of each of the twelve its name, how to make it and its inputs, and the inputs by keyword."""
    seeded = torch.Generator().manual_seed(0)

    def numbers(*shape):
        return torch.randn(*shape, generator=seeded)

    def integers(high, *shape, low=0):
        return torch.randint(low, high, shape, generator=seeded)

    tokens = integers(11, 3, 5, low=1)
    tokens[0, 3:] = tokens[1, 4:] = 0
    same = torch.tensor([1.0, 0.0, 1.0])
    yield "dense", Dense, (numbers(4, 2, 3),), {}
    yield "residual", Residual, (numbers(2, 3, 8, 8),), {}
    yield "inverted bottlenecks", Inverted, (numbers(3, 3, 8, 8),), {}
    yield "bidirectional LSTM", Classifier, (tokens,), {}
    yield "encoder and decoder", Translator, (integers(9, 5, 2), integers(8, 3, 2)), {}
    yield "language model", LanguageModel, (integers(13, 2, 6),), {"targets": integers(13, 2, 6)}
    yield "vision Transformer", VisionTransformer, (numbers(2, 3, 8, 8),), {}
    yield "U-Net", UNet, (numbers(1, 2, 10, 9),), {}
    yield "variational autoencoder", VAE, (numbers(4, 10),), {}
    yield "Siamese", Siamese, (numbers(3, 6), numbers(3, 6)), {"same": same}
    yield "mixture of experts", Mixture, (numbers(2, 4, 5),), {}
    yield "WaveNet", WaveNet, (numbers(2, 12),), {}


NETWORKS = {name: (network, inputs, keywords) for name, network, inputs, keywords in networks()}
