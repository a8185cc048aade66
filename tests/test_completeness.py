"""Nothing is missing: cases, torch's names, its arguments, documentation."""

import inspect
import re
import subprocess
import sys
import tomllib
from operator import attrgetter
from pathlib import Path
from typing import get_overloads

import pytest
import torch
import torch.nn.utils.parametrizations
import torch.nn.utils.prune
import torch.nn.utils.rnn
import torch.nn.utils.stateless
import torch.optim.lr_scheduler
import torch.optim.swa_utils
import torch.overrides

import manual
from manual import tensor
from reference.cases import MODULES, OPERATIONS
from reference.networks.operations import signature_of
from reference.omitted import ARGUMENTS, OMITTED, OTHER_DEFAULTS, OWN_ARGUMENTS, OWN_NAMES
from reference.twins import LIBRARY, PARAMETRIZATIONS, TWINS

SETTINGS = {"get_num_threads", "set_num_threads", "load_weights", "read_weights", "save_weights"}
UTILS = torch.nn.utils.parametrizations, torch.nn.utils.parametrize, torch.nn.utils.prune, torch.nn.utils.stateless, torch.nn.utils
BESIDE = torch.nn.init, *UTILS, torch.optim.swa_utils  # whose functions are no operations: they have no backward


def beside(name):
    """torch's namesake of a function that is no operation."""
    return next((getattr(library, name) for library in BESIDE if hasattr(library, name)), None)


EVERY_FUNCTION = [name for name in manual.__all__ if inspect.isfunction(getattr(manual, name)) and name not in SETTINGS]
UTILITIES = [name for name in EVERY_FUNCTION if beside(name)]
IN_TENSOR = [f"tensor.{name}" for name in tensor.__all__ if name not in manual.__all__]
FUNCTIONS = [name for name in EVERY_FUNCTION if name not in UTILITIES] + IN_TENSOR
CLASSES = [name for name in manual.__all__ if inspect.isclass(getattr(manual, name))]
LAYERS = [name for name in CLASSES if issubclass(getattr(manual, name), manual.Module) and hasattr(LIBRARY, name)]
OPTIMIZATION = torch.optim, torch.optim.lr_scheduler, torch.optim.swa_utils
OPTIMIZERS = {  # and schedules
    name: getattr(library, name) for library in OPTIMIZATION for name in CLASSES if name != "Module" and hasattr(library, name)
}
BASES = {"Module", "Optimizer"}
CONTAINERS = {"ModuleDict", "ModuleList", "ParameterDict", "ParameterList"}
WITHOUT_FORWARD = CONTAINERS | {"RNNBase", "RNNCellBase"}


def test_every_operation_has_cases():
    assert set(FUNCTIONS) == set(OPERATIONS)


def test_every_module_has_a_case():
    assert {*set(LAYERS) - BASES - WITHOUT_FORWARD, *PARAMETRIZATIONS} == {case.name for case in MODULES}


def test_every_name_of_torch_is_covered_or_omitted():
    classes, functions = torch.nn, torch.nn.functional
    theirs = {name for name in dir(classes) if inspect.isclass(getattr(classes, name)) and not name.startswith("_")}
    theirs |= {name for name in dir(functions) if inspect.isroutine(getattr(functions, name)) and not name.startswith("_")}
    for library in (torch.nn.init, torch.nn.utils.rnn, *UTILS, *OPTIMIZATION):
        public = getattr(library, "__all__", [name for name in dir(library) if not name.startswith("_")])
        callables = {name: getattr(library, name) for name in public if callable(getattr(library, name))}
        theirs |= {name for name, thing in callables.items() if thing.__module__.startswith("torch.")}
    ours = {*CLASSES, *FUNCTIONS, *UTILITIES}
    assert theirs - ours - set(OMITTED) == set()
    assert set(OMITTED) & ours == set()
    assert set(OMITTED) - theirs == set()
    assert all(OMITTED.values())
    assert set(OWN_NAMES) == {*(name for name in set(FUNCTIONS) - theirs if namesake(name) is None), *TWINS}
    assert all(OWN_NAMES.values())


def test_case_labels_are_unique():
    for operation in OPERATIONS.values():
        labels = [case.label for case in operation.cases]
        assert len(labels) == len(set(labels)), operation.name


def namesake(name):
    """Torch's function of that name, or its method where it has that alone."""
    libraries = (torch, torch.Tensor) if name in IN_TENSOR else (torch.nn.functional, torch.nn.utils.rnn, torch)
    return next((found for library in libraries if (found := getattr(library, name.rpartition(".")[2], None)) is not None), None)


def functions_namesake(name):
    """The parameters of torch's function; those of one that hides its signature are what torch's own tests of overrides say, or of
    those in a namespace of their own, which have several forms, what all forms have together.
    """
    function = namesake(name)
    if name not in IN_TENSOR:
        return signature_of(function).parameters
    try:
        parameters = inspect.signature(function).parameters if hasattr(torch, function.__name__) else {}
    except ValueError:
        parameters = {}
    if set(parameters) - {"args", "kwargs"}:
        return parameters
    return of_all_forms(name.removeprefix("tensor."))


def of_all_forms(name):
    """The parameters of an operation of torch: of all its forms but those that write into what is given. What a form lacks may be
    left out.
    """
    packet = getattr(torch.ops.aten, name)
    schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
    forms = [
        {a.name: a for a in schema.arguments}
        for schema in schemas
        if schema.returns and not any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments)
    ]
    forms = [form for form in forms if takes_tensors(form)]
    found = {}
    for argument in {argument for form in forms for argument in form}:
        defaults = [form[argument].default_value for form in forms if argument in form and form[argument].has_default_value()]
        optional = any(argument not in form for form in forms)
        default = defaults[0] if defaults else None if optional else inspect.Parameter.empty
        default = tuple(default) if isinstance(default, list) else default
        found[argument] = inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
    return found


def takes_tensors(form):
    """Not the text of another kind of index or name."""
    several, axes = "tensors" in form, {"dim", "dims"} & set(form)
    return (several or ("self" in form and str(form["self"].type) == "Tensor")) and not any(
        "str" in str(form[a].type) for a in axes
    )


def compare_arguments(name, ours, theirs):
    """What `omitted` has to say of these parameters: arguments left out, arguments of our own, other defaults."""
    left_out = {
        f"{name}.{argument}" if f"{name}.{argument}" in ARGUMENTS else argument for argument in theirs if argument not in ours
    }
    other = {argument for argument in ours if argument in theirs and ours[argument].default != theirs[argument].default}
    return left_out, {argument for argument in ours if argument not in theirs}, other


def parameters_of(method):
    """The parameters of a method, but for what takes any."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    return {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def takes_any(method):
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(method).parameters.values())


def compared():
    """Of every function and every class, its name and what is not the same as in torch."""
    for name in set(FUNCTIONS) - set(OWN_NAMES):
        parameters = inspect.signature(attrgetter(name)(manual)).parameters
        keywords = {key: p for key, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
        arrays = len(parameters) - len(keywords)
        theirs = functions_namesake(name)
        left_out, own, other = compare_arguments(name, keywords, theirs)
        # Arrays have other names here (x for input): there must be as many
        positional = [argument for argument in theirs if argument in left_out - ARGUMENTS.keys()]
        yield name, (left_out - set(positional) if len(positional) == arrays else left_out), own, other
    for name in sorted({*LAYERS, "LinearCrossEntropyOptions"}):
        for method in ("__init__", "forward"):
            theirs = getattr(LIBRARY, name)
            if not hasattr(theirs, method) or name in BASES | CONTAINERS | (WITHOUT_FORWARD if method == "forward" else set()):
                continue
            # The recurrent layers take any arguments, and say in an overload which these are
            overloads = get_overloads(getattr(theirs, method)) if issubclass(theirs, torch.nn.RNNBase) else []
            functions = [getattr(theirs, method), *overloads]
            said = [parameters_of(function) for function in functions if not takes_any(function)]
            if said:
                yield f"{name}.{method}", *compare_arguments(name, parameters_of(getattr(getattr(manual, name), method)), said[0])
    for name in OPTIMIZERS.keys() - BASES:
        pair = (parameters_of(owner.__init__) for owner in (getattr(manual, name), OPTIMIZERS[name]))
        yield name, *compare_arguments(name, *pair)
    for name in UTILITIES:
        pair = (inspect.signature(function).parameters for function in (getattr(manual, name), beside(name)))
        yield name, *compare_arguments(name, *pair)


def test_arguments_are_torchs():
    """Of functions, constructors, forwards and optimizers they are torch's, defaults too, but for what the tables say, and why."""
    found = list(compared())
    for name, left_out, own, other in found:
        assert left_out <= ARGUMENTS.keys(), name
        assert own <= OWN_ARGUMENTS.keys(), name
        assert other <= OTHER_DEFAULTS.keys(), name
    tables = ARGUMENTS, OWN_ARGUMENTS, OTHER_DEFAULTS
    for table, *kind in zip(tables, *((left_out, own, other) for _, left_out, own, other in found), strict=True):
        assert set(table) == set().union(*kind)  # and nothing in them is out of date
        assert all(table.values())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_are_documented(name):
    documentation = attrgetter(name)(manual).__doc__
    for word in ("Forward:", "Backward:", "Shapes:"):
        assert word in documentation


@pytest.mark.parametrize("name", [*manual.__all__, *IN_TENSOR])
def test_public_names_are_documented(name):
    thing = attrgetter(name)(manual)
    assert thing.__doc__
    if inspect.isclass(thing):
        for attribute, value in vars(thing).items():
            if inspect.isfunction(value) and not attribute.startswith("_"):
                assert value.__doc__, f"{name}.{attribute}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_are_positional_and_constants_keywords(name):
    for parameter in inspect.signature(attrgetter(name)(manual)).parameters.values():
        assert parameter.kind in (parameter.POSITIONAL_ONLY, parameter.KEYWORD_ONLY), parameter


def test_manual_works_without_torch():
    """No module of `manual` imports torch, not even indirectly, nor anything but NumPy and SciPy."""
    blocked = ["torch", "rich", "matplotlib", "mpmath", "pytest", "safetensors"]
    program = f"""
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
import numpy as np, manual
net = manual.Sequential(manual.Linear(2, 3), manual.Tanh(), manual.Linear(3, 1))
output, backward = net(np.ones((4, 2)))
backward(np.ones((4, 1)))
assert all(parameter.grad is not None for parameter in net.parameters())
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_versions_agree():
    """The version is written in `manual/__init__.py`; setuptools reads it there."""
    root = Path(__file__).parent.parent
    names = "CHANGELOG.md", "CITATION.cff", "pyproject.toml"
    changelog, citation, project = ((root / name).read_text(encoding="utf-8") for name in names)
    assert tomllib.loads(project)["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "manual.__version__"}
    assert f"version: {manual.__version__}\n" in citation
    assert re.search(rf"^## {re.escape(manual.__version__)}\b", changelog, re.MULTILINE)
