"""A batch in parts, each of which goes through a whole network: what comes out is the same, and is added in one order."""

import threading

import numpy as np
import pytest

import manual
from manual.batches import by_batch
from manual.parameter import collected
from manual.threads import in_threads

X, G = np.random.default_rng(0).standard_normal((2, 7, 4))


def network():
    """A layer whose weight serves twice, and one that does not learn."""
    generator = np.random.default_rng(1)
    shared = manual.Linear(4, 4, generator=generator)
    frozen = manual.Linear(4, 4, generator=generator).requires_grad_(False)
    return manual.Sequential(shared, manual.Tanh(), frozen, shared)


def run(net, size, needs=None):
    output, backward = by_batch(net, net, X, size)
    return output, backward(G, needs)[0], {name: parameter.grad for name, parameter in net.named_parameters()}


@pytest.mark.usefixtures("threads", "small_parts")
@pytest.mark.parametrize("needs", [None, (True,), (False,)])
def test_in_parts_as_whole(needs):
    for found, expected in zip(run(network(), X.size, needs)[:2], run(network(), 0, needs)[:2], strict=True):
        assert (found is None) == (expected is None)
        if expected is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    grads, expected = run(network(), X.size, needs)[2], run(network(), 0, needs)[2]
    assert grads.keys() == expected.keys() >= {"0.weight", "2.weight"}
    assert grads["2.weight"] is expected["2.weight"] is None
    for name in ("0.weight", "0.bias"):
        np.testing.assert_allclose(grads[name], expected[name], rtol=1e-12)


@pytest.mark.usefixtures("threads", "small_parts")
def test_gradients_are_added_alike_each_time_and_to_what_is_there():
    net = network()
    _, backward = by_batch(net, net, X, X.size)
    first = net[0].weight.grad
    for times in (1, 2, 3):
        backward(G)
        first = net[0].weight.grad if first is None else first
        np.testing.assert_allclose(net[0].weight.grad, times * first, rtol=1e-14)
    net.zero_grad()
    backward(G)
    np.testing.assert_array_equal(net[0].weight.grad, first)


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.usefixtures("threads", "small_parts")
def test_a_part_that_fails_leaves_gradients_as_they_were():
    net = network()

    def forward(x):
        output, backward = net(x)

        def failing(grad_output, needs=None):
            grads = backward(grad_output, needs)
            if np.shares_memory(x, X[-1]):
                raise RuntimeError("the last part")
            return grads

        return output, failing

    _, backward = by_batch(net, forward, X, X.size)
    with pytest.raises(RuntimeError, match=r"^the last part$"):
        backward(G)
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.usefixtures("threads", "small_parts")
def test_a_wrong_cotangent_is_refused_whole():
    net = network()
    _, backward = by_batch(net, net, X, X.size)
    with pytest.raises(ValueError, match=r"^Sequential: grad_output must have the shape of the output, \(7, 4\), got \(7, 3\)"):
        backward(G[:, :3])
    with pytest.raises(ValueError, match=r"^Sequential: needs must have"):
        backward(G, (True, True))


def test_what_is_collected_in_one_thread_is_not_in_others():
    parameter = manual.Parameter(np.zeros(2))
    other = threading.Thread(target=parameter.accumulate, args=(np.ones(2),))
    with collected() as gradients:
        parameter.accumulate(np.full(2, 2.0))
        parameter.accumulate(np.full(2, 3.0))
        other.start()
        other.join()
    np.testing.assert_array_equal(gradients[parameter], [5.0, 5.0])
    np.testing.assert_array_equal(parameter.grad, [1.0, 1.0])


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.usefixtures("threads")
def test_who_works_on_a_part_gets_no_more_threads():
    seen = {}

    def outer(i):
        mine = []
        in_threads(lambda _: mine.append(threading.get_ident()), 5)
        seen[i] = set(mine), threading.get_ident()

    in_threads(outer, 4)
    assert all(inner == {own} for inner, own in seen.values())
    assert len(seen) == 4
