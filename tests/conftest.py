import pytest
import torch

from reference.cases import OPERATIONS

torch.set_num_threads(1)  # the arrays are small, and tests may run in parallel

CASES = [pytest.param(op, case, id=f"{op.name}-{case.label}") for op in OPERATIONS.values() for case in op.cases]


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames and "operation" in metafunc.fixturenames:
        metafunc.parametrize(("operation", "case"), CASES)
    elif "operation" in metafunc.fixturenames:
        metafunc.parametrize("operation", [pytest.param(op, id=op.name) for op in OPERATIONS.values()])
    if "dtype" in metafunc.fixturenames:
        metafunc.parametrize("dtype", ["float64", "float32"])
