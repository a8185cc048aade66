"""Modules that hold modules: they behave as torch's do, and as the Python list or dict they stand for."""

import numpy as np
import pytest
import torch

import manual


def linears(count, library=manual):
    return [library.Linear(size, size + 1) for size in range(1, count + 1)]


def keys(module):
    return list(module.state_dict())


# -- Sequential


def test_sequential_is_its_modules_one_after_another():
    first, last = manual.Linear(3, 4), manual.Linear(4, 2)
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    hidden, first_backward = first(x)
    activated, tanh_backward = manual.tanh(hidden)
    expected, last_backward = last(activated)
    (grad,) = first_backward(*tanh_backward(*last_backward(g)))
    grads = [parameter.grad for parameter in (first.weight, first.bias, last.weight, last.bias)]

    net = manual.Sequential(first, manual.Tanh(), last)
    net.zero_grad()
    output, backward = net(x)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(backward(g)[0], grad)
    for parameter, grad in zip(net.parameters(), grads, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


def test_sequential_of_nothing_is_the_identity():
    x = np.ones(3)
    output, backward = manual.Sequential()(x)
    np.testing.assert_array_equal(output, x)
    assert np.shares_memory(output, x)
    assert (output.flags.writeable, x.flags.writeable) == (False, True)
    assert backward(x)[0] is x
    assert backward(x, (False,)) == (None,)


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_sequential_as_a_sequence(library):
    first, middle, last = modules = linears(3, library)
    net = library.Sequential(*modules)
    assert (len(net), list(net)) == (3, modules)
    assert (net[0], net[-1]) == (first, last)
    assert list(net[:2]) == [first, middle]
    assert keys(net[1:]) == ["1.weight", "1.bias", "2.weight", "2.bias"]  # a slice keeps the names
    with pytest.raises(IndexError):
        net[3]
    added = library.Linear(4, 1)
    assert net.append(added) is net
    assert list(net) == [*modules, added]
    assert keys(net)[-1] == "3.bias"


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_sequential_can_be_changed(library):
    first, second, third, fourth = modules = linears(4, library)
    net = library.Sequential(first)
    assert net.extend([third]) is net
    assert net.insert(1, second) is net
    assert list(net) == [first, second, third]
    assert list(net + library.Sequential(fourth)) == modules
    net += library.Sequential(fourth)
    assert list(net) == modules
    assert net.pop(1) is second
    assert list(net) == [first, third, fourth]
    net[-1] = second
    assert list(net) == [first, third, second]
    del net[0]
    assert keys(net) == ["0.weight", "0.bias", "1.weight", "1.bias"]  # named by position again
    del net[:1]
    assert list(net) == [second]
    with pytest.raises(IndexError):
        net.insert(3, first)
    with pytest.raises((TypeError, ValueError)):
        net + modules


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_sequential_takes_a_module_at_every_position(library):
    """Counted from either end, and none beyond it."""
    added, *modules = linears(4, library)
    for index in range(-3, 4):
        expected = [*modules]
        expected.insert(index, added)
        assert list(library.Sequential(*modules).insert(index, added)) == expected
    for index in (-4, 4):
        with pytest.raises(IndexError):
            library.Sequential(*modules).insert(index, added)


def test_what_is_no_module_leaves_sequential_as_it_was():
    net = manual.Sequential(*linears(2))
    before = list(net)
    for change in (lambda: net.extend([before[0], 3]), lambda: net.insert(0, "3"), lambda: net.__setitem__(0, None)):
        with pytest.raises(TypeError, match="Sequential: expected a Module, got"):
            change()
        assert list(net) == before


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_module_lists_are_added_and_popped(library):
    first, second, third = modules = linears(3, library)
    both = library.ModuleList(modules[:1]) + modules[1:2]
    assert isinstance(both, library.ModuleList)
    both += [third]
    assert list(both) == modules
    assert both.pop(-1) is third
    assert both.pop(0) is first
    assert list(both) == [second]


def test_sequential_of_a_dict_is_named_by_its_keys():
    first, last = linears(2)
    net = manual.Sequential({"first": first, "last": last})
    assert list(net) == [first, last]
    assert keys(net) == ["first.weight", "first.bias", "last.weight", "last.bias"]


def test_nested_names_are_torchs():
    def nested(library):
        block = library.Sequential(library.Linear(2, 2), library.ReLU(), library.Linear(2, 2, bias=False))
        return library.Sequential(block, library.Sequential(library.Sequential(library.Linear(2, 2))), library.Linear(2, 1))

    assert keys(nested(manual)) == keys(nested(torch.nn))


def test_what_is_added_to_sequential_must_be_a_module():
    net = manual.Sequential(manual.ReLU())
    with pytest.raises(TypeError, match="Sequential: expected a Module, got function"):
        net.append(manual.relu)
    assert len(net) == 1
    with pytest.raises(TypeError, match="Sequential: expected a Module, got ndarray"):
        manual.Sequential(manual.ReLU(), np.ones(2))


@pytest.mark.parametrize("name", ["", "a.b"])
@pytest.mark.parametrize("container", ["Sequential", "ModuleDict"])
def test_names_that_would_make_paths_ambiguous_are_refused(container, name):
    with pytest.raises(ValueError, match=f"{container}: a name must be a non-empty string without dots, got '{name}'"):
        getattr(manual, container)({name: manual.ReLU()})
    with pytest.raises(KeyError):
        torch.nn.ModuleDict({name: torch.nn.ReLU()})


# -- ModuleList


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_module_list_as_a_list(library):
    a, b, c, d, e = linears(5, library)
    modules = library.ModuleList([b])
    modules.append(d)
    modules.extend([e])
    modules.insert(0, a)
    modules.insert(2, c)
    assert (len(modules), list(modules)) == (5, [a, b, c, d, e])
    assert (modules[0], modules[-1]) == (a, e)
    assert c in modules
    part = modules[1:4:2]
    assert (type(part), list(part)) == (library.ModuleList, [b, d])
    assert keys(part) == ["0.weight", "0.bias", "1.weight", "1.bias"]  # a slice is counted anew
    modules[1] = e
    del modules[0], modules[-1]
    assert list(modules) == [e, c, d]
    del modules[1:]
    assert list(modules) == [e]
    assert keys(modules) == ["0.weight", "0.bias"]
    with pytest.raises(IndexError):
        modules[1]
    assert list(library.ModuleList()) == []


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_additions_to_a_module_list_can_be_chained(library):
    a, b, c = linears(3, library)
    assert list(library.ModuleList().append(a).extend([b, c])) == [a, b, c]


def test_what_is_no_module_leaves_a_module_list_as_it_was():
    modules = manual.ModuleList(linears(2))
    before = list(modules)
    for add in (
        lambda: modules.append("ReLU"),
        lambda: modules.extend([manual.ReLU(), "ReLU"]),
        lambda: modules.insert(0, "ReLU"),
        lambda: modules.__setitem__(0, "ReLU"),
    ):
        with pytest.raises(TypeError, match="ModuleList: expected a Module, got str"):
            add()
        assert list(modules) == before


# -- ModuleDict


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_module_dict_as_a_dict(library):
    a, b, c, d = linears(4, library)
    modules = library.ModuleDict({"a": a, "b": b})
    modules["c"] = c
    modules.update({"a": d})  # in its old place
    modules.update([("d", a)])
    assert (len(modules), list(modules)) == (4, ["a", "b", "c", "d"])
    assert list(modules.keys()) == ["a", "b", "c", "d"]
    assert list(modules.values()) == [d, b, c, a]
    assert list(modules.items()) == [("a", d), ("b", b), ("c", c), ("d", a)]
    assert modules["a"] is d
    assert "a" in modules
    assert "e" not in modules
    assert modules.pop("a") is d
    del modules["b"]
    assert keys(modules) == ["c.weight", "c.bias", "d.weight", "d.bias"]
    for missing in (lambda: modules["a"], lambda: modules.pop("a"), lambda: modules.__delitem__("a")):
        with pytest.raises(KeyError, match="a"):
            missing()
    modules.clear()
    assert list(modules) == list(library.ModuleDict()) == []


def test_what_does_not_fit_leaves_a_module_dict_as_it_was():
    modules = manual.ModuleDict({"a": manual.ReLU()})
    before = dict(modules.items())
    with pytest.raises(TypeError, match="ModuleDict: expected a Module, got str"):
        modules.update({"b": manual.ReLU(), "c": "ReLU"})
    with pytest.raises(ValueError, match=r"a name must be a non-empty string without dots, got 'c\.d'"):
        modules.update({"b": manual.ReLU(), "c.d": manual.ReLU()})
    with pytest.raises(ValueError, match="a name must be a non-empty string without dots, got 0"):
        modules[0] = manual.ReLU()
    assert dict(modules.items()) == before


# -- What all share


@pytest.mark.parametrize("container", [manual.Sequential, manual.ModuleList, manual.ModuleDict])
def test_attributes_beside_the_modules_belong_to_the_state(container):
    """As in torch, where a subclass may own parameters and modules of its own."""

    class Extended(container):
        def __init__(self):
            super().__init__()
            self.scale = manual.Parameter(np.ones(1))
            self.head = manual.Linear(1, 1)

    assert keys(Extended()) == ["scale", "head.weight", "head.bias"]


@pytest.mark.parametrize("container", [manual.ModuleList, manual.ModuleDict])
def test_containers_without_forward_say_so(container):
    with pytest.raises(TypeError, match=f"{container.__name__} has no forward"):
        container()(np.ones(1))
    with pytest.raises(NotImplementedError):
        getattr(torch.nn, container.__name__)()(torch.ones(1))


# -- ParameterList and ParameterDict


# -- Modules of several inputs


def test_the_first_of_several_inputs_is_the_output_before():
    """The others are not given: a mask has its default."""
    layer = manual.TransformerEncoderLayer(4, 2, 6, 0.0)
    net = manual.Sequential(layer, manual.Linear(4, 3), manual.Linear(3, 4), manual.TransformerEncoderLayer(4, 2, 6, 0.0))
    x = np.random.default_rng(0).standard_normal((3, 2, 4))
    output, backward = net(x)
    (grad,) = backward(output)
    assert grad.shape == x.shape
    learnt = {name: parameter.grad for name, parameter in net.named_parameters()}
    assert all(each is not None for each in learnt.values())
    net.zero_grad()
    calls, forward = [], layer.self_attn.forward

    def spied(*inputs, **options):
        attended, attention_backward = forward(*inputs, **options)
        return attended, lambda grad, needs=None: (calls.append(needs), attention_backward(grad, needs))[1]

    layer.self_attn.forward = spied
    _, backward = net(x)
    assert backward(output, (False,)) == (None,)
    assert calls == [(False,) * 5]
    for name, parameter in net.named_parameters():
        np.testing.assert_array_equal(parameter.grad, learnt[name], err_msg=name)
