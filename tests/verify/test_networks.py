"""Networks as users write them, each verified."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import manual
from reference import verify
from reference.networks.verification import Translation
from tests.verify import zoo
from tests.verify.networks import NETWORKS

BERT = SimpleNamespace(
    vocab_size=50,
    hidden_size=24,
    max_position_embeddings=16,
    layer_norm_eps=1e-12,
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    num_attention_heads=3,
    intermediate_size=96,
    num_hidden_layers=3,
    initializer_range=0.02,
)


def made(name):
    network, inputs, keywords = NETWORKS[name]
    torch.manual_seed(0)
    return network(), inputs, keywords


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_twelve_networks(name, train):
    network, inputs, keywords = made(name)
    report = verify(network, *inputs, train=train, **keywords)
    assert report.agrees, str(report)
    assert {q.name for q in report.of("parameter gradient")} == {name for name, _ in network.named_parameters()}
    floats = sum(x.is_floating_point() for x in (*inputs, *keywords.values()))
    assert len(report.of("input gradient")) == floats
    assert max(quantity.error for quantity in report.quantities) < 1e-12  # rounding, and far from the limit


def through(gradient):
    """A gradient with a fault of 1 %, whatever its structure."""
    if isinstance(gradient, (tuple, list)):
        return type(gradient)(*map(through, gradient)) if hasattr(gradient, "_fields") else type(gradient)(map(through, gradient))
    return None if gradient is None else gradient * 1.01


def broken(call, used):
    """An operation or module whose gradients are off by 1 %, of its arguments and of its parameters; `used` has those not zero."""

    class Broken(manual.Module):
        def __init__(self):
            self.inner = call

        def forward(self, *arguments, **constants):
            output, backward = call(*arguments, **constants)
            owned = list(call.parameters()) if isinstance(call, manual.Module) else []

            def wrong(grad_output, needs=None):
                before = [parameter.grad for parameter in owned]
                grads = backward(grad_output, needs)
                for parameter, old in zip(owned, before, strict=True):
                    if parameter.grad is not None:
                        dense = [g.dense() if isinstance(g, manual.RowGradient) else g for g in (parameter.grad, old)]
                        parameter.grad = dense[0] + 0.01 * (dense[0] - (0 if old is None else dense[1]))
                        used.append(parameter.grad)
                used.extend(grad for grad in leaves(grads) if grad is not None and np.any(getattr(grad, "rows", grad)))
                return through(grads)

            return output, wrong

    if isinstance(call, manual.Module):
        return Broken()

    def operation(*arguments, **constants):
        return Broken()(*arguments, **constants)

    return operation


def leaves(tree):
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [tree]


def upstream(graph, place):
    """The inputs and parameters on which the arguments of a step depend, and the parameters that it owns."""
    found, step = set(), graph.nodes[place]
    if isinstance(step, str):
        return {step}
    if isinstance(step.call, manual.Module):
        found |= {id(parameter) for parameter in step.call.parameters()}
    for leaf in leaves(step.targets):
        if isinstance(leaf, manual.graph.Value):
            found |= upstream(graph, leaf.node)
        elif isinstance(leaf, manual.Parameter):
            found.add(id(leaf))
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_wrong_rule_is_reported_at_everything_upstream(name):
    """In any one step: of all that lies upstream, the gradients that the fault changes; and nothing else."""
    network, inputs, keywords = made(name)
    translation = Translation(network, inputs, keywords, train=False)
    graph, parameters = translation.recorder.graph, translation.recorder.twins.parameters
    good = {q.name: q.ours for q in translation.report().quantities}
    names = {id(parameters[id(p)]): name for name, p in translation.network.named_parameters()}
    names |= dict(zip(graph.inputs, translation.leaves, strict=True))
    steps = [place for place, node in enumerate(graph.nodes) if not isinstance(node, str)]
    chosen = steps if len(steps) < 24 else steps[:: len(steps) // 12]  # every one of the small, some of the large
    for place in chosen:
        step = graph.nodes[place]
        used = []
        graph.nodes[place] = step._replace(call=broken(step.call, used))
        report = translation.report()
        graph.nodes[place] = step
        changed = {q.name for q in report.quantities if q.ours is not None and not same(q, good[q.name])}
        assert {q.name for q in report.disagreeing} == changed, step.note
        assert changed <= {names[each] for each in upstream(graph, place)}
        assert changed or not used, step.note


def same(quantity, before):
    return np.abs(quantity.ours - before).max(initial=0) <= 1e-9 * quantity.scale


@pytest.mark.slow
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", ["ResNet", "MobileNetV3", "BertModel"])
def test_well_known_networks(name, train):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    if name == "BertModel":
        tokens, mask = torch.randint(1, 50, (2, 9), generator=generator), torch.ones(2, 9, dtype=torch.long)
        mask[0, 5:] = 0
        network, inputs = zoo.BertModel(BERT), (tokens, mask)
    else:
        network, inputs = getattr(zoo, name)(), (torch.randn(2, 3, 64, 64, generator=generator),)
    sizes = {"ResNet": 11_689_512, "MobileNetV3": 2_542_856}  # as torchvision documents them
    assert sum(p.numel() for p in network.parameters()) == sizes.get(name, sum(p.numel() for p in network.parameters()))
    report = verify(network, *inputs, train=train)
    assert report.agrees, str(report)
    assert len(report.of("running statistic")) == 2 * sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_the_graph_has_the_networks_names():
    network, inputs, keywords = made("language model")
    report = verify(network, *inputs, **keywords)
    names = [name for name, _ in network.named_parameters(remove_duplicate=False)]
    assert {"wte.weight", "lm_head.weight"} <= set(names)
    state = report.graph.state_dict()
    assert set(names) == set(state)
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(state[name], tensor.double().numpy())
    assert [q.name for q in report.quantities].count("wte.weight") == 1
    assert "lm_head.weight" not in {q.name for q in report.quantities}


def test_a_dropped_fault_is_no_fault():
    """The same network twice: reports do not depend on one another, nor on the state of random numbers."""
    network, inputs, keywords = made("bidirectional LSTM")
    torch.manual_seed(7)
    one = verify(network, *inputs, train=True, **keywords)
    torch.manual_seed(7)
    other = verify(copy.deepcopy(network), *inputs, train=True, **keywords)
    assert str(one) == str(other)
