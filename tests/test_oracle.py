"""Arrays go to torch and back bit by bit, in half precision too; autograd takes cotangents in it."""

import ml_dtypes
import numpy as np
import pytest
import torch

from reference import oracle, structure

DTYPES = {
    np.dtype(ml_dtypes.bfloat16): torch.bfloat16,
    np.dtype(np.float16): torch.float16,
    np.dtype(np.float32): torch.float32,
    np.dtype(np.float64): torch.float64,
}
every_dtype = pytest.mark.parametrize("kind", [pytest.param(dtype, id=dtype.name) for dtype in DTYPES])
ARRAYS = {
    "what has no neighbour": lambda numbers: np.append(numbers, [0.0, -0.0, np.inf, -np.inf, np.nan]),
    "a single number": lambda numbers: numbers[0],
    "no number": lambda numbers: numbers[:0],
    "every second": lambda numbers: numbers[::2],
    "backwards, in columns": lambda numbers: np.asfortranarray(numbers[::-1].reshape(4, 3)),
}


@every_dtype
@pytest.mark.parametrize("arranged", ARRAYS.values(), ids=ARRAYS.keys())
def test_there_and_back(kind, arranged):
    array = np.asarray(arranged(np.random.default_rng(0).standard_normal(12).astype(kind))).astype(kind)
    array.flags.writeable = False
    tensor = oracle.to_torch(array, requires_grad=True)
    assert tensor.dtype is DTYPES[kind]
    assert tensor.is_leaf
    assert tensor.requires_grad
    np.testing.assert_array_equal(tensor.detach().double().numpy(), array.astype(float))
    back = oracle.to_numpy(tensor)
    assert back.dtype == kind
    assert back.tobytes() == array.tobytes()


@every_dtype
def test_gradients(kind):
    x, grad = (np.array(numbers).astype(kind) for numbers in ([3.0, -0.5], [0.25, 2.0]))
    results = oracle.Call(lambda x: x * x, (x,), {}, {"grad_0"}).results(grad)
    assert {name: (array.dtype, array.tolist()) for name, array in results.items()} == {
        "output": (kind, [9.0, 0.25]),
        "grad_0": (kind, [1.5, -2.0]),
    }


def test_which_dtypes_are_of_floating_point():
    assert all(map(structure.is_floating, DTYPES))
    others = bool, np.int8, np.int64, np.uint8, ml_dtypes.int4, [("x", np.float32)]
    assert not any(structure.is_floating(np.dtype(other)) for other in others)
