"""Graphs: modules and operations joined to networks of any shape."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import manual
from manual import tensor


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def block(width=3):
    graph = manual.Graph()
    x = graph.input("x")
    hidden = graph.step(manual.relu, graph.step(manual.Linear(width, width), x))
    graph.output(graph.step(tensor.add, x, graph.step(manual.Linear(width, width), hidden)))
    return graph


def counted(operation, calls):
    """An operation that notes the needs with which its backward is called."""

    def of_needs(*arrays, **constants):
        output, backward = operation(*arrays, **constants)

        def noted(grad_output, needs=None):
            calls.append(needs)
            return backward(grad_output, needs)

        return output, noted

    return of_needs


def test_a_residual_block_is_what_it_says():
    graph, x, g = block(), numbers(4, 3), numbers(4, 3, seed=1)
    first, second = graph.children()
    hidden, first_backward = first(x)
    active, relu_backward = manual.relu(hidden)
    change, second_backward = second(active)
    output, backward = graph(x)
    np.testing.assert_array_equal(output, x + change)
    (through,) = first_backward(*relu_backward(*second_backward(g)))
    expected = [parameter.grad for parameter in graph.parameters()]
    graph.zero_grad()
    np.testing.assert_array_equal(backward(g)[0], g + through)
    for parameter, grad in zip(graph.parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


def test_gradients_are_differences():
    """Of a graph with everything: a shared layer, several inputs and outputs, parts, constants, a bare parameter, keywords."""
    graph = manual.Graph()
    graph.shared, graph.lstm, graph.attention = manual.Linear(4, 4), manual.LSTM(4, 4), manual.MultiheadAttention(4, 2)
    graph.scale = manual.Parameter(numbers(4, seed=5))
    x, y, tokens = graph.input("x"), graph.input("y"), graph.input("tokens")
    table = graph.step(manual.embedding, tokens, graph.shared.weight)
    one, other = graph.step(graph.shared, x), graph.step(graph.shared, graph.step(tensor.add, y, table))
    start = graph.step(tensor.index, other, index=np.s_[:1])
    recurrent = graph.step(graph.lstm, graph.step(tensor.multiply, graph.scale, one), (start, start))
    attended = graph.step(graph.attention, recurrent[0], one, value=other, attn_mask=np.eye(2, 2, dtype=bool), need_weights=False)
    joined = graph.step(tensor.cat, [attended[0], recurrent[1][1], np.ones((1, 3, 4))], dim=0)
    graph.output({"joined": joined, "parts": (recurrent[1][0], [graph.step(tensor.sum, one, dim=0), tokens]), "nothing": None})
    arrays = numbers(2, 3, 4), numbers(2, 3, 4, seed=1), np.array([[0, 3, 1], [2, 2, 0]])
    output, backward = graph(*arrays)
    g = {"joined": numbers(4, 3, 4, seed=2), "parts": (numbers(1, 3, 4, seed=3), [numbers(3, 4, seed=4), None]), "nothing": None}
    grads = backward(g)
    assert grads[2] is None
    assert output["nothing"] is None
    assert output["parts"][1][1] is not arrays[2]
    assert not output["parts"][1][1].flags.writeable

    def value():
        found, _ = graph(*arrays)
        pairs = ((found["joined"], g["joined"]), (found["parts"][0], g["parts"][0]), (found["parts"][1][0], g["parts"][1][0]))
        return sum((output * grad).sum() for output, grad in pairs)

    pairs = [(arrays[0], grads[0]), (arrays[1], grads[1]), *((p.data, p.grad) for p in graph.parameters())]
    assert len(pairs) == 2 + 1 + 2 + 4 + 4
    for array, grad in pairs:
        direction = numbers(*array.shape, seed=9)
        original, values = array.copy(), []
        for sign in (1, -1):
            array[...] = original + sign * 1e-5 * direction
            values.append(value())
        array[...] = original
        difference = (values[0] - values[1]) / 2e-5
        assert np.isclose((grad * direction).sum(), difference, rtol=1e-7, atol=1e-7)


def test_a_backward_may_run_again_and_from_several_threads():
    graph, x, g = block(), numbers(4, 3), numbers(4, 3, seed=1)
    _, backward = graph(x)
    backward(g)
    once = [parameter.grad for parameter in graph.parameters()]
    graph.zero_grad()
    graph(2 * x)
    with ThreadPoolExecutor(4) as pool:
        grads = list(pool.map(lambda _: backward(g)[0], range(8)))
    assert all(np.array_equal(grads[0], grad) for grad in grads)
    for parameter, grad in zip(graph.parameters(), once, strict=True):
        np.testing.assert_allclose(parameter.grad, 8 * grad)


def test_gradients_are_not_added_in_place():
    graph = manual.Graph()
    x = graph.input("x")
    graph.output((x, x, graph.step(tensor.add, x, x)))
    gs = numbers(3), numbers(3, seed=1), numbers(3, seed=2)
    kept = [g.copy() for g in gs]
    (grad,) = graph(numbers(3))[1](gs)
    np.testing.assert_allclose(grad, gs[0] + gs[1] + 2 * gs[2])
    for g, before in zip(gs, kept, strict=True):
        np.testing.assert_array_equal(g, before)


def test_nothing_is_computed_that_nobody_needs():
    calls: dict[str, list] = {name: [] for name in ("frozen", "of_integers", "product", "cut", "behind", "unused")}
    graph = manual.Graph()
    graph.fc = manual.Linear(3, 3)
    graph.scale = manual.Parameter(np.ones(3))
    x, y, tokens = graph.input("x"), graph.input("y"), graph.input("tokens")
    frozen = graph.step(counted(tensor.exp, calls["frozen"]), y)
    rows = graph.step(counted(tensor.index_select, calls["of_integers"]), np.eye(3), tokens, dim=0)
    graph.step(counted(tensor.exp, calls["unused"]), x)
    cut = graph.step(tensor.detach, graph.step(counted(tensor.exp, calls["cut"]), graph.step(graph.fc, x)))
    behind = graph.step(counted(tensor.exp, calls["behind"]), cut)
    product = graph.step(counted(tensor.multiply, calls["product"]), graph.step(tensor.multiply, x, graph.scale), frozen)
    graph.output(graph.step(tensor.add, graph.step(tensor.add, product, rows), behind))
    _, backward = graph(numbers(3, 3), numbers(3, 3, seed=1), np.array([0, 2, 1]))
    grad_x, grad_y, grad_tokens = backward(np.ones((3, 3)), (True, False, True))
    assert grad_y is grad_tokens is None
    assert grad_x is not None
    assert graph.fc.weight.grad is None
    assert calls == {"frozen": [], "of_integers": [], "product": [(True, False)], "cut": [], "behind": [], "unused": []}
    graph.requires_grad_(False)
    assert backward(np.ones((3, 3)), (False, True, False))[0] is None
    assert calls["product"][-1] == (False, True)
    assert len(calls["frozen"]) == 1
    backward(np.ones((3, 3)), (False, False, False))
    assert len(calls["product"]) == 2


def test_what_leads_to_a_parameter_alone_is_needed():
    graph, g = block(), numbers(4, 3)
    _, backward = graph(numbers(4, 3, seed=1))
    assert backward(g, (False,)) == (None,)
    assert all(parameter.grad is not None for parameter in graph.parameters())


def test_a_tied_parameter_counts_once():
    graph = manual.Graph()
    graph.one, graph.two = manual.Linear(3, 3, bias=False), manual.Linear(3, 3, bias=False)
    graph.two.weight = graph.one.weight
    x = graph.input("x")
    graph.output(graph.step(tensor.matmul, graph.step(graph.two, graph.step(graph.one, x)), graph.one.weight))
    assert [name for name, _ in graph.named_parameters()] == ["one.weight"]
    assert list(graph.state_dict()) == ["one.weight", "two.weight"]
    x, g, w = numbers(2, 3), numbers(2, 3, seed=1), graph.one.weight.data
    graph(x)[1](g)
    a, b = x @ w.T, x @ w.T @ w.T
    np.testing.assert_allclose(graph.one.weight.grad, b.T @ g + (g @ w.T).T @ a + (g @ w.T @ w).T @ x)


def test_it_is_a_module():
    graph = block()
    assert list(graph.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    graph.norm = manual.BatchNorm1d(3)
    graph.register_buffer("shift", np.ones(3))
    graph.output(graph.step(tensor.add, graph.step(graph.norm, graph.step(tensor.multiply, 2.0, graph.input("z"))), graph.shift))
    x = numbers(4, 3)
    training, _ = graph(x, z=x)
    graph.eval()
    assert not graph.norm.training
    assert not np.array_equal(training, graph(x, x)[0])
    graph.load_state_dict({name: 2 * array for name, array in graph.state_dict().items()})
    np.testing.assert_array_equal(graph.shift, 2 * np.ones(3))
    before = graph(z=x, x=x)[0]
    twin = copy.deepcopy(graph)
    np.testing.assert_array_equal(twin(x, x)[0], before)
    graph.shift[...] = 0.0
    np.testing.assert_allclose(graph(x, x)[0], before - 2)  # what a buffer holds at the time
    np.testing.assert_array_equal(twin(x, x)[0], before)
    graph.float()
    assert graph(x.astype(np.float32), x.astype(np.float32))[0].dtype == np.float32


def test_it_stands_in_other_graphs_and_in_sequential():
    inner = manual.Graph()
    a, b = inner.input("a"), inner.input("b")
    inner.output((inner.step(tensor.multiply, a, b), inner.step(manual.Linear(3, 2), b)))
    outer = manual.Graph()
    x = outer.input("x")
    both = outer.step(inner, b=outer.step(tensor.exp, x), a=x)
    outer.output(both[-2])
    net, x, g = manual.Sequential(manual.Linear(3, 3), outer, block()), numbers(2, 3), numbers(2, 3, seed=1)
    _, backward = outer(x)
    np.testing.assert_allclose(backward(g)[0], g * (1 + x) * np.exp(x))
    assert inner.get_parameter("0.weight").grad is None  # nothing came for that output
    _, backward = net(x)
    assert backward(g, (False,)) == (None,)
    assert net[0].weight.grad is not None


def test_its_text_lists_the_steps():
    graph = block(2)
    assert repr(graph).splitlines()[:7] == [
        "Graph(",
        "  takes x",
        "  v1 = 0(x)",
        "  v2 = relu(v1)",
        "  v3 = 1(v2)",
        "  v4 = add(x, v3)",
        "  returns v4",
    ]
    graph.output([graph.step(tensor.reshape, np.ones((2, 3)), shape=(6,))[0], {"p": next(graph.parameters())}, ("x",)])
    assert "v5 = reshape(array (2, 3), shape=(6,))" in repr(graph)
    assert "returns [v5[0], {'p': parameter (2, 2)}, ('x',)]" in repr(graph)


def test_an_input_may_be_a_tuple_or_a_dict():
    graph = manual.Graph()
    states = graph.input("states")
    graph.output(graph.step(tensor.multiply, states["hidden"][0], states["hidden"][1]))
    a, b, g = numbers(3), numbers(3, seed=1), numbers(3, seed=2)
    _, backward = graph({"hidden": (a, b), "other": a})
    (grad,) = backward(g)
    np.testing.assert_array_equal(grad["hidden"][0], g * b)
    np.testing.assert_array_equal(grad["hidden"][1], g * a)
    assert grad["other"] is None


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda graph, x: graph.input("x"), ValueError, "there is an input 'x' already"),
        (lambda graph, x: graph.input("2"), ValueError, "name must be one that an argument can have, got '2'"),
        (lambda graph, x: graph.step(3, x), TypeError, "a module or an operation expected, got int"),
        (lambda graph, x: graph.step(manual.relu, block().input("z")), ValueError, "the value z belongs to another graph"),
        (lambda graph, x: graph.step(manual.relu, manual.Parameter(np.ones(2))), ValueError, "set it as an attribute first"),
        (
            lambda graph, x: graph.step(tensor.sum, x, dim=x),
            TypeError,
            "sum takes dim as a constant, got x; arrays come by position",
        ),
        (lambda graph, x: list(x), TypeError, "not iterable"),
        (lambda graph, x: graph(), TypeError, "expected the inputs x, got 0 by position"),
        (lambda graph, x: graph(1, x=2), TypeError, "expected the inputs x, got 1 by position and x by name"),
        (lambda graph, x: graph(numbers(2, 2)), ValueError, "linear"),
        (lambda graph, x: graph(numbers(2, 3))[1](numbers(2)), ValueError, "Graph: grad_output must have the shape of the output"),
        (
            lambda graph, x: graph(numbers(2, 3))[1](numbers(2, 3), (True, False)),
            ValueError,
            "needs must have one entry for each of 1",
        ),
        (lambda graph, x: manual.Graph()(), ValueError, "there is no output yet"),
    ],
)
def test_what_is_refused(act, error, words):
    graph = block()
    x = manual.graph.Value(graph, 0)
    with pytest.raises(error, match=words.replace("(", r"\(")):
        act(graph, x)


def test_an_error_says_where_it_came_from():
    graph = block()
    with pytest.raises(ValueError, match="linear") as caught:
        graph(numbers(2, 2))
    assert caught.value.__notes__ == ["Graph: this was v1, 0(x)"]


@pytest.mark.parametrize(
    ("grad", "words"),
    [
        ({"a": 1.0}, "a dict of 'a', 'b'"),
        ({"a": np.ones(3), "b": (np.ones(2),)}, "2 parts"),
        ({"a": np.ones(3), "b": (None, np.ones(2))}, "must be None where the output holds no numbers"),
        (np.ones(3), "a dict of 'a', 'b'"),
    ],
)
def test_cotangents_have_the_structure_of_the_output(grad, words):
    graph = manual.Graph()
    x = graph.input("x")
    graph.output({"a": x, "b": (graph.step(tensor.exp, x), np.arange(2))})
    _, backward = graph(numbers(3))
    with pytest.raises(TypeError, match=words):
        backward(grad)
    np.testing.assert_array_equal(backward({"a": np.ones(3), "b": None})[0], np.ones(3))
