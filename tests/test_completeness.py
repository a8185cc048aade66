"""Nothing is missing: cases, torch's names, its arguments, documentation."""

import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import manual
from reference.cases import MODULES, OPERATIONS
from reference.omitted import OMITTED

SETTINGS = {"get_num_threads", "set_num_threads"}
FUNCTIONS = [name for name in manual.__all__ if inspect.isfunction(getattr(manual, name)) and name not in SETTINGS]
CLASSES = [name for name in manual.__all__ if inspect.isclass(getattr(manual, name))]
LAYERS = [name for name in CLASSES if issubclass(getattr(manual, name), manual.Module) and hasattr(torch.nn, name)]
BASES = {"Module"}
WITHOUT_FORWARD = {"ModuleList", "ModuleDict"}


def test_every_operation_has_cases():
    assert set(FUNCTIONS) == set(OPERATIONS)


def test_every_module_has_a_case():
    assert set(LAYERS) - BASES - WITHOUT_FORWARD == {case.name for case in MODULES}


def test_every_name_of_torch_is_covered_or_omitted():
    theirs = {name for name in dir(torch.nn) if inspect.isclass(getattr(torch.nn, name)) and not name.startswith("_")}
    ours = set(CLASSES)
    assert theirs - ours - set(OMITTED) == set()
    assert set(OMITTED) & ours == set()
    assert set(OMITTED) - theirs == set()
    assert all(OMITTED.values())


def test_case_labels_are_unique():
    for operation in OPERATIONS.values():
        labels = [case.label for case in operation.cases]
        assert len(labels) == len(set(labels)), operation.name


@pytest.mark.parametrize("name", LAYERS)
def test_arguments_are_torchs(name):
    """Constructor and forward take torch's arguments, but for what is deprecated or has no meaning here."""
    without_meaning = {"self", "args", "kwargs", "device", "size_average", "reduce", "inplace", "min_value", "max_value"}
    for method in ("__init__", "forward"):
        ours = inspect.signature(getattr(getattr(manual, name), method)).parameters
        theirs = inspect.signature(getattr(getattr(torch.nn, name), method)).parameters
        if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in theirs.values()):
            continue
        missing = set(theirs) - set(ours) - without_meaning
        assert not missing, f"{name}.{method}"
        assert set(ours) - set(theirs) <= {"self", "args", "kwargs", "generator"}, f"{name}.{method}"
        for argument in set(ours) & set(theirs) - {"self", "dtype", "dim"}:
            assert ours[argument].default == theirs[argument].default, f"{name}.{method}: {argument}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_are_documented(name):
    documentation = getattr(manual, name).__doc__
    for word in ("Forward:", "Backward:", "Shapes:"):
        assert word in documentation


@pytest.mark.parametrize("name", manual.__all__)
def test_public_names_are_documented(name):
    thing = getattr(manual, name)
    assert thing.__doc__
    if inspect.isclass(thing):
        for attribute, value in vars(thing).items():
            if inspect.isfunction(value) and not attribute.startswith("_"):
                assert value.__doc__, f"{name}.{attribute}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_are_positional_and_constants_keywords(name):
    for parameter in inspect.signature(getattr(manual, name)).parameters.values():
        assert parameter.kind in (parameter.POSITIONAL_ONLY, parameter.KEYWORD_ONLY), parameter


def test_manual_works_without_torch():
    """No module of `manual` imports torch, not even indirectly, nor anything but NumPy and SciPy."""
    blocked = ["torch", "rich", "matplotlib", "mpmath", "pytest"]
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
    root = Path(__file__).parent.parent
    changelog, citation = ((root / name).read_text(encoding="utf-8") for name in ("CHANGELOG.md", "CITATION.cff"))
    assert f"version: {version('handgrad')}\n" in citation
    assert re.search(rf"^## {re.escape(version('handgrad'))}\b", changelog, re.MULTILINE)
