"""Every case agrees with the truth, in both dtypes and in every memory layout; every module agrees with its torch namesake."""

import numpy as np
import pytest

from reference import structure
from reference.agreement import measure, measure_module
from reference.cases import MODULES
from reference.report import beside_torch


def test_agreement(operation, case, dtype):
    assert measure(operation, case, dtype).complaints == ()


def test_no_worse_than_torch(operation):
    measured = [measure(operation, case, dtype) for case in operation.cases for dtype in ("float64", "float32")]
    assert beside_torch(measured) == []


@pytest.mark.parametrize("module", [pytest.param(m, id=f"{m.name}-{m.inputs.label}") for m in MODULES])
def test_module(module, dtype):
    assert measure_module(module, dtype).complaints == ()


def strided(array):
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 99).astype(array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def reversed_(array):
    return np.ascontiguousarray(array[..., ::-1])[..., ::-1]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def test_layout(operation, case):
    arguments = case.build(operation.name, np.float64)
    for layout in (np.asfortranarray, strided, reversed_, read_only):
        laid_out = structure.apply(lambda array, layout=layout: layout(array) if array.ndim else array, arguments)
        assert measure(operation, case, np.float64, arguments=laid_out).complaints == (), layout.__name__
