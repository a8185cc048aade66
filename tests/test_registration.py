"""What a module owns: attributes register themselves and keep their kind; whoever walks a network meets what torch's would show."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

import manual

SIDES = [pytest.param(manual, np.ones, id="manual"), pytest.param(torch.nn, torch.ones, id="torch")]


def network(library, ones):
    """A tree with a shared layer, a module of one's own with parameters and buffers, and every container."""

    class Block(library.Module):
        def __init__(self):
            super().__init__()
            self.scale = library.Parameter(ones(3))
            self.register_parameter("shift", None)
            self.mean = library.Buffer(ones(3))
            self.steps = library.Buffer(ones(2), persistent=False)
            self.register_buffer("missing", None)
            self.inner = library.Linear(3, 3, bias=False)

    shared = library.Linear(3, 3)
    beside = library.ModuleDict({"a": library.ModuleList([shared, library.Tanh()]), "b": library.Linear(3, 3)})
    net = library.Sequential(Block(), shared, library.Sequential(library.ReLU(), shared))
    net.add_module("beside", beside)
    return net


WALKS = {
    "modules": lambda net: [type(module).__name__ for module in net.modules()],
    "named_modules": lambda net: [name for name, _ in net.named_modules()],
    "named_modules, prefix": lambda net: [name for name, _ in net.named_modules(prefix="net")],
    "named_modules, everywhere": lambda net: [name for name, _ in net.named_modules(remove_duplicate=False)],
    "children": lambda net: [type(module).__name__ for module in net.children()],
    "named_children": lambda net: [name for name, _ in net[2].named_children()],
    "parameters": lambda net: [tuple(parameter.shape) for parameter in net.parameters()],
    "own parameters": lambda net: [tuple(parameter.shape) for parameter in net[0].parameters(recurse=False)],
    "named_parameters": lambda net: [name for name, _ in net.named_parameters()],
    "named_parameters, prefix": lambda net: [name for name, _ in net.named_parameters("net")],
    "named_parameters, own": lambda net: [name for name, _ in net[0].named_parameters("block", recurse=False)],
    "named_parameters, everywhere": lambda net: [name for name, _ in net.named_parameters(remove_duplicate=False)],
    "buffers": lambda net: [tuple(buffer.shape) for buffer in net.buffers()],
    "own buffers": lambda net: [tuple(buffer.shape) for buffer in net[0].buffers(recurse=False)],
    "no own buffers": lambda net: list(net.buffers(recurse=False)),
    "named_buffers": lambda net: [name for name, _ in net.named_buffers()],
    "named_buffers, prefix": lambda net: [name for name, _ in net.named_buffers("net", recurse=True)],
    "state_dict": lambda net: list(net.state_dict()),
    "state_dict, prefix": lambda net: list(net.state_dict(prefix="net-")),
    "get_submodule": lambda net: [type(net.get_submodule(path)).__name__ for path in ("", "0", "2.1", "beside.a", "beside.a.1")],
    "get_parameter": lambda net: [net.get_parameter(path) is net[1].bias for path in ("1.bias", "2.1.bias", "beside.a.0.bias")],
    "get_buffer": lambda net: [net.get_buffer("0.mean") is net[0].mean, net[0].get_buffer("steps") is net[0].steps],
    "apply": lambda net: (seen := []) or (net.apply(lambda module: seen.append(type(module).__name__)) and seen),
}


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_meets_what_torchs_does(walk):
    ours, theirs = WALKS[walk](network(manual, np.ones)), WALKS[walk](network(torch.nn, torch.ones))
    assert ours == theirs
    assert ours or walk == "no own buffers"


@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_a_parameter_may_stand_in_two_places_of_one_module(library, ones):
    class Tied(library.Module):
        def __init__(self):
            super().__init__()
            self.first = self.second = library.Parameter(ones(2))
            self.left = self.right = library.ReLU()

    tied = Tied()
    assert [name for name, _ in tied.named_parameters()] == ["first"]
    assert [name for name, _ in tied.named_parameters(remove_duplicate=False)] == ["first", "second"]
    assert [name for name, _ in tied.named_children()] == ["left"]
    assert list(tied.state_dict()) == ["first", "second"]
    assert repr(tied) == "Tied(\n  (left): ReLU()\n  (right): ReLU()\n)"


@pytest.mark.parametrize("path", ["9", "0.nothing", "0.scale", "0.inner.weight", "beside.c"])
@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_paths_that_lead_nowhere(library, ones, path):
    net = network(library, ones)
    with pytest.raises(AttributeError, match=path.rpartition(".")[2]):
        net.get_submodule(path)
    for get in (net.get_parameter, net.get_buffer):
        with pytest.raises(AttributeError):
            get(f"{path}.x")
    with pytest.raises(AttributeError, match="mean"):
        net.get_parameter("0.mean")
    with pytest.raises(AttributeError, match="scale"):
        net.get_buffer("0.scale")
    with pytest.raises(AttributeError):
        net.get_parameter("0.shift")


# -- A name keeps its kind


@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_a_parameter_is_replaced_by_a_parameter_or_none(library, ones):
    layer = library.Linear(3, 3)
    for wrong in (ones(3), [1.0], 3, library.ReLU()):
        with pytest.raises(TypeError, match=r"cannot assign .* as parameter 'weight'"):
            layer.weight = wrong
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    layer.weight = library.Parameter(ones(3))
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    with pytest.raises(TypeError, match=r"cannot assign .* as parameter 'bias'"):
        layer.bias = ones(3)
    layer.bias = library.Parameter(ones(3))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    without = library.Linear(3, 3, bias=False)
    with pytest.raises(TypeError, match=r"cannot assign .* as parameter 'bias'"):
        without.bias = ones(3)


def test_what_was_expected_is_said():
    layer, block = manual.Linear(3, 3), network(manual, np.ones)[0]
    with pytest.raises(TypeError, match=r"^Linear: cannot assign ndarray as parameter 'weight' \(a Parameter or None expected\)$"):
        layer.weight = np.ones((3, 3))
    with pytest.raises(TypeError, match=r"^Block: cannot assign list as buffer 'mean' \(a NumPy array or None expected\)$"):
        block.mean = [1.0]
    with pytest.raises(TypeError, match=r"^Block: cannot assign int as child module 'inner' \(a Module or None expected\)$"):
        block.inner = 3
    with pytest.raises(TypeError, match=r"^Parameter: data must be a NumPy array, got float64; np\.asarray makes one$"):
        manual.Parameter(np.float64(3))


@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_a_buffer_is_replaced_by_an_array_or_none(library, ones):
    block = network(library, ones)[0]
    for wrong in ([1.0], 3, "mean"):
        for name in ("mean", "missing"):
            with pytest.raises(TypeError, match=f"cannot assign .* as buffer '{name}'"):
                setattr(block, name, wrong)
    block.missing = missing = ones(4)
    block.mean = None
    block.steps = library.Buffer(ones(5), persistent=True)
    assert [(name, tuple(buffer.shape)) for name, buffer in block.named_buffers()] == [("steps", (5,)), ("missing", (4,))]
    assert [name for name in block.state_dict() if "inner" not in name] == ["scale", "steps", "missing"]
    assert block.missing is missing


@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_a_child_is_replaced_by_a_module_or_none(library, ones):
    block = network(library, ones)[0]
    for wrong in (ones(3), 3, lambda x: x):
        with pytest.raises(TypeError, match=r"cannot assign .* as child module 'inner'"):
            block.inner = wrong
    block.inner = None
    assert list(block.children()) == []
    block.inner = activation = library.ReLU()
    assert list(block.children()) == [activation]


@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_what_is_deleted_is_forgotten(library, ones):
    block = network(library, ones)[0]
    del block.scale, block.mean, block.inner
    assert list(block.state_dict()) == []
    assert list(block.parameters()) == list(block.children()) == []
    block.scale = 3  # a plain attribute from now on
    assert block.scale == 3
    with pytest.raises(AttributeError):
        del block.nothing


@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_a_plain_attribute_becomes_what_it_is_set_to(library, ones):
    module = library.Module()
    module.weight = None
    module.weight = library.Parameter(ones(2))
    assert list(module.state_dict()) == ["weight"]


@pytest.mark.parametrize("register", ["register_parameter", "register_buffer", "add_module"])
@pytest.mark.parametrize(("library", "ones"), SIDES)
def test_names_are_checked_when_registered(library, ones, register):
    block = network(library, ones)[0]
    for name in ("", "a.b", "forward", "training", "scale" if register != "register_parameter" else "mean"):
        with pytest.raises((ValueError, KeyError)):
            getattr(block, register)(name, None)
    for wrong in ("text", 3):
        with pytest.raises(TypeError):
            getattr(block, register)("new", wrong)
    assert not hasattr(block, "new")
    getattr(block, register)("new", None)
    assert block.new is None


def test_registering_again_replaces():
    module = manual.Module()
    for value in (np.ones(2), np.zeros(3)):
        module.register_buffer("mean", value, persistent=False)
    assert module.mean.shape == (3,)
    assert module.state_dict() == {}
    module.register_buffer("mean", np.ones(1))
    assert list(module.state_dict()) == ["mean"]


# -- Containers


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_what_is_set_on_a_sequential_is_run(library):
    """As in torch: a module set as an attribute, or added, is the last of the chain, and is found under its name."""
    net = library.Sequential(OrderedDict(first=library.ReLU()))
    net.second = library.Tanh()
    net.add_module("third", third := library.Sigmoid())
    net.second = second = library.ReLU()
    assert (net.second, net.third, len(net)) == (second, third, 3)
    assert list(net)[1:] == [second, third]
    assert [name for name, _ in net.named_children()] == ["first", "second", "third"]
    with pytest.raises(TypeError):
        net.second = 3
    with pytest.raises(AttributeError, match="fourth"):
        _ = net.fourth
    del net.second
    assert list(net)[1:] == [third]
    with pytest.raises(AttributeError, match="second"):
        del net.second


@pytest.mark.parametrize("library", [manual, torch.nn])
def test_what_is_set_on_a_list_or_dict_belongs_to_it(library):
    modules, named = library.ModuleList([library.ReLU()]), library.ModuleDict({"a": library.ReLU()})
    for container in (modules, named):
        container.add_module("1", second := library.Tanh())
        assert len(container) == 2
        assert container.get_submodule("1") is second


@pytest.mark.parametrize("name", ["", "a.b", 0])
@pytest.mark.parametrize("container", [manual.Sequential, manual.ModuleList, manual.ModuleDict])
def test_names_that_would_make_paths_ambiguous_are_refused(container, name):
    with pytest.raises(ValueError, match="a name must be a non-empty string without dots"):
        container().add_module(name, manual.ReLU())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["deepcopy", "pickle"])
def test_copies_keep_what_is_registered(copied):
    net = manual.Sequential(OrderedDict(first=manual.Linear(2, 2, bias=False), loss=manual.BCELoss(np.ones(2))))
    net.register_buffer("steps", np.zeros(1), persistent=False)
    twin = copied(net)
    assert list(twin.state_dict()) == list(net.state_dict()) == ["first.weight", "loss.weight"]
    assert [name for name, _ in twin.named_buffers()] == ["steps", "loss.weight"]
    with pytest.raises(TypeError, match="as parameter 'bias'"):
        twin.first.bias = np.ones(2)


def test_a_shallow_copy_registers_for_itself():
    layer = manual.Linear(2, 2)
    twin = copy.copy(layer)
    twin.scale = manual.Parameter(np.ones(2))
    assert list(twin.state_dict()) == ["weight", "bias", "scale"]
    assert list(layer.state_dict()) == ["weight", "bias"]
