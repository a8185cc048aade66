"""Lists and dictionaries of parameters, beside torch's."""

import numpy as np
import pytest
import torch

import manual
from tests.test_containers import keys


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
