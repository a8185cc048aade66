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


def vectors(library, *sizes):
    """An array, which becomes a parameter, and parameters."""
    ones = np.ones if library is manual else torch.ones
    return [ones(size) if i == 0 else library.Parameter(ones(size)) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_parameter_list_as_a_list(library):
    values = vectors(library, 1, 2, 3)
    parameters = library.ParameterList(values)
    assert len(parameters) == 3
    assert [tuple(each.shape) for each in parameters] == [(1,), (2,), (3,)]
    assert all(isinstance(each, library.Parameter) for each in parameters)
    assert parameters[1] is parameters[-2] is values[1]
    assert keys(parameters) == [name for name, _ in parameters.named_parameters()] == ["0", "1", "2"]
    assert [tuple(each.shape) for each in parameters[1:]] == [(2,), (3,)]
    assert keys(parameters[::2]) == ["0", "1"]
    assert parameters.append(values[1]) is parameters
    assert parameters.extend(vectors(library, 4)) is parameters
    parameters += ["text", None]
    assert parameters[3] is values[1]
    assert parameters[-2:][0] == "text"
    assert keys(parameters) == ["0", "1", "2", "3", "4"]
    parameters[0] = values[2]
    assert parameters[0] is values[2]
    with pytest.raises(IndexError):
        parameters[7]
    with pytest.raises(IndexError):
        parameters[-8] = values[1]
    with pytest.raises(TypeError):
        parameters.extend(values[0])
    with pytest.raises(TypeError):
        parameters.extend(5)
    with pytest.raises((TypeError, RuntimeError)):
        parameters(values[0])


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_parameter_dict_as_a_dict(library):
    first, second, third = vectors(library, 1, 2, 3)
    parameters = library.ParameterDict({"b": first, "a": second})
    assert keys(parameters) == list(parameters) == ["a", "b"]  # of a dict, in the order of its keys
    assert list(library.ParameterDict([("b", first), ("a", second)])) == ["b", "a"]
    assert parameters["a"] is second
    assert isinstance(parameters["b"], library.Parameter)
    parameters["c"] = third
    assert ("c" in parameters, "d" in parameters, len(parameters)) == (True, False, 3)
    assert list(parameters.keys()) == ["a", "b", "c"]
    assert list(reversed(parameters)) == ["c", "b", "a"]
    assert list(parameters.values())[2] is third
    assert next(iter(parameters.items())) == ("a", second)
    assert parameters.get("d") is None
    assert parameters.get("d", third) is third
    assert parameters.setdefault("a", third) is second
    assert parameters.setdefault("e", third) is third
    assert parameters.pop("e") is third
    assert parameters.popitem() == ("c", third)
    copied = parameters.copy()
    assert type(copied) is library.ParameterDict
    assert copied["a"] is second
    del parameters["a"]
    assert (keys(parameters), keys(copied)) == (["b"], ["a", "b"])
    merged = parameters | copied
    assert type(merged) is library.ParameterDict
    assert list(merged) == ["b", "a"]
    parameters |= {"z": third}
    assert list(parameters) == ["b", "z"]
    parameters["number"] = 3
    assert (parameters["number"], keys(parameters)) == (3, ["b", "z"])
    assert list(parameters.fromkeys(["x", "y"], third)) == ["x", "y"]
    parameters.clear()
    assert (len(parameters), keys(parameters)) == (0, [])
    for error, call in (
        (KeyError, parameters.popitem),
        (KeyError, lambda: parameters.__delitem__("a")),
        ((KeyError, AttributeError), lambda: parameters["a"]),
        ((KeyError, ValueError), lambda: parameters.__setitem__("a.b", third)),
        ((KeyError, ValueError), lambda: parameters.__setitem__("", third)),
        ((KeyError, ValueError), lambda: parameters.__setitem__("keys", third)),
        (TypeError, lambda: parameters.update(5)),
    ):
        with pytest.raises(error):
            call()


def test_a_dictionary_of_parameters_is_itself():
    one, other = manual.ParameterDict(), manual.ParameterDict()
    assert one != other
    assert len({one, other, one}) == 2
    assert list({"q": np.ones(1)} | manual.ParameterDict({"a": np.ones(2)})) == ["q", "a"]


@pytest.mark.parametrize("key", ["", "a.b", 5, "training", "keys", "_keys"])
def test_of_keys_that_do_not_fit_none_is_set(key):
    parameters = manual.ParameterDict({"a": np.ones(1)})
    with pytest.raises(ValueError, match=r"^ParameterDict: "):
        parameters.update({"b": np.ones(2), key: np.ones(3)})
    assert keys(parameters) == list(parameters) == ["a"]
    with pytest.raises(ValueError, match=r"^ParameterDict: "):
        parameters[key] = np.ones(1)
    assert parameters.training is True


def test_a_parameter_keeps_its_place_as_in_any_module():
    for parameters, place in ((manual.ParameterList([np.ones(1)]), 0), (manual.ParameterDict({"a": np.ones(1)}), "a")):
        with pytest.raises(TypeError, match="cannot assign int as parameter"):
            parameters[place] = 3
        parameters[place] = None
        assert (parameters[place], keys(parameters), len(parameters)) == (None, [], 1)


def test_parameters_in_containers_learn():
    """Those of a module of one's own, in a list and a dict, are walked, converted and updated like all others."""

    class Own(manual.Module):
        def __init__(self):
            self.layers = manual.ParameterList([np.ones((2, 2)), np.ones((2, 2))])
            self.shifts = manual.ParameterDict({"last": np.zeros(2)})

        def forward(self, input):
            hidden, first = self.call(manual.linear, input, self.layers[0], None)
            output, last = self.call(manual.linear, hidden, self.layers[1], self.shifts["last"])
            return output, lambda grad_output: first(*last(grad_output))

    module = Own().float()
    assert keys(module) == ["layers.0", "layers.1", "shifts.last"]
    _, backward = module(np.ones((1, 2), np.float32))
    backward(np.ones((1, 2), np.float32))
    manual.SGD(module.parameters(), lr=1.0).step()
    np.testing.assert_array_equal(module.shifts["last"].data, np.float32([-1, -1]), strict=True)
    np.testing.assert_array_equal(module.layers[0].data, np.float32([[-1, -1], [-1, -1]]))
    twin = Own()
    twin.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(twin.layers[1].data, module.layers[1].data)


def test_containers_of_parameters_show_what_they_hold():
    values = [np.ones(2), "text", manual.UninitializedParameter()]
    assert repr(manual.ParameterList(values)) == (
        "ParameterList(\n  (0): Parameter of float64 and shape (2,)\n"
        "  (1): Object of type: str\n  (2): Parameter without a shape yet\n)"
    )
    assert repr(manual.ParameterDict({"a": np.ones((2, 3), np.float32)})) == (
        "ParameterDict(\n  (a): Parameter of float32 and shape (2, 3)\n)"
    )
    assert repr(manual.Sequential(manual.ParameterList())) == "Sequential(\n  (0): ParameterList()\n)"
