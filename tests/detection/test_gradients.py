"""The cases catch what a backward returns wrong: zero, negated, a thousandth too large."""

import numpy as np

from reference import structure
from reference.agreement import measure, reference

FAULTS = {
    "zero": np.zeros_like,
    "negated": np.negative,
    "a thousandth too large": lambda grad: grad * grad.dtype.type(1.001),
    "unscaled": lambda grad: grad * grad.dtype.type(max(grad.size, 2)),
    "shifted by one element": lambda grad: np.roll(grad, 1),
    "in reversed order": lambda grad: grad.reshape(-1)[::-1].reshape(grad.shape),
    "transposed": lambda grad: np.ascontiguousarray(grad.T).reshape(grad.shape),
    "averaged over the first axis": lambda grad: (
        np.broadcast_to(grad.mean(axis=0), grad.shape).copy() if grad.ndim and grad.size else -grad
    ),
    "one element lost": lambda grad: np.where(np.abs(grad) == np.abs(grad).max(initial=0), 0, grad).astype(grad.dtype),
    "in another dtype": lambda grad: grad.astype(np.float32),
    "missing": lambda grad: None,
}

# Where the terms of a gradient cancel so far that a thousandth of it is less than what rounding explains.
CANCELS = {("cosine_embedding_loss", "one number each", "a thousandth too large")}


def returning(operation, number, wrong):
    """The operation, with a wrong gradient in the place of the leaf that has this number."""

    def faulty(*arguments, **constants):
        output, backward = operation(*arguments, **constants)

        def faulty_backward(grad_output):
            grads = backward(grad_output)
            leaves = structure.leaves(grads)
            leaves[number] = wrong
            return structure.rebuild(grads, leaves)

        return output, faulty_backward

    return faulty


def test_wrong_gradients_are_caught(operation, case):
    """Each fault in each gradient of each case, wherever it changes anything."""
    _, backward = operation.manual(*case.build(operation.name, np.float64), **case.constants)
    grads = structure.leaves(backward(reference(operation, case, np.float64)[0]))
    unexpected = []
    for number, grad in enumerate(grads):
        if grad is None or not np.isfinite(grad).all():
            continue
        for name, fault in FAULTS.items():
            wrong = fault(grad)
            if wrong is not None and wrong.dtype == grad.dtype and np.allclose(wrong, grad, rtol=1e-9, atol=1e-300):
                continue  # this fault leaves this gradient as it is
            caught = measure(operation, case, np.float64, returning(operation.manual, number, wrong)).complaints
            if bool(caught) == ((operation.name, case.label, name) in CANCELS):
                unexpected.append(f"gradient {number}, {name}: {caught or 'not caught'}")
    assert unexpected == []
