import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy loads its BLAS: tests run side by side, each in one thread

import pytest
import torch

import manual
from reference.cases import OPERATIONS

torch.set_num_threads(1)  # the arrays are small, and tests may run in parallel


def pytest_generate_tests(metafunc):
    if "operation" in metafunc.fixturenames:
        metafunc.parametrize("operation", [pytest.param(op, id=op.name) for op in OPERATIONS.values()])
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", ["float64", "float32"])


@pytest.fixture
def case():
    """Each case of the operation in turn, as `pytest_pyfunc_call` has it."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """A test of an operation and a case is one item, and runs over all cases: thousands of items take longer than what they do."""
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    if not {"operation", "case"} <= arguments.keys():
        return None
    for case in arguments["operation"].cases:
        try:
            pyfuncitem.obj(**arguments | {"case": case})
        except Exception as error:
            error.add_note(f"The case is {case.label!r}.")
            raise
    return True


def pytest_collection_modifyitems(config, items):
    """The tests of an operation or a module run in one process, which then finds the truth of each case once."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        subject = next((parameters[key] for key in ("operation", "pointwise", "module", "name") if key in parameters), None)
        name = getattr(subject, "name", subject)
        if isinstance(name, str):
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = manual.get_num_threads()
    manual.set_num_threads(request.param)
    yield request.param
    manual.set_num_threads(before)


@pytest.fixture
def small_parts(monkeypatch):
    """Every array of more than three elements is large, and goes through the mechanisms in parts of three elements at most."""
    for name in ("LARGE", "BLOCK", "WIDE"):
        monkeypatch.setattr(f"manual.windows.{name}", 3)
    for name in ("LARGE", "BLOCK", "ROWS"):
        monkeypatch.setattr(f"manual.strips.{name}", 3)
    for name in ("LARGE", "PART"):
        monkeypatch.setattr(f"manual.batches.{name}", 3)
    monkeypatch.setattr("manual.elementwise.LARGE", 3)
    monkeypatch.setattr("manual.threads.LARGE", 3)
    monkeypatch.setattr("manual.threads.PART", 3)
    monkeypatch.setattr("manual.threads.PART_OF_ROWS", 3)
    monkeypatch.setattr("manual.threads.ALIGNED", 1)
    monkeypatch.setattr("manual.threads.FEWEST", 1)


@pytest.fixture(params=["whole", "in parts"])
def parts(request):
    if request.param == "in parts":
        request.getfixturevalue("small_parts")
