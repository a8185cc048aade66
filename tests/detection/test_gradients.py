"""The cases catch what a backward returns wrong: zero, negated, a thousandth too large."""

import re

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


def test_wrong_gradients_are_caught(operation, case):
    """Each fault in each gradient of each case, wherever it changes anything: planted in all at once, and told of each."""
    output, backward = operation.manual(*case.build(operation.name, np.float64), **case.constants)
    grads = backward(reference(operation, case, np.float64)[0])
    named = structure.named_gradients(grads)
    unexpected = []
    for fault_name, fault in FAULTS.items():
        wrong = {name: grad for name, grad in named.items() if grad is not None and np.isfinite(grad).all()}
        wrong = {name: fault(grad) for name, grad in wrong.items()}
        faulty = structure.rebuild(grads, (named | wrong).values())
        complaints = measure(operation, case, np.float64, lambda *_, faulty=faulty, **__: (output, lambda _: faulty)).complaints
        for name, grad in wrong.items():
            if grad is not None and grad.dtype == named[name].dtype and np.allclose(grad, named[name], rtol=1e-9, atol=1e-300):
                continue  # this fault leaves this gradient as it is
            caught = [complaint for complaint in complaints if re.match(rf"{re.escape(name)}\b", complaint)]
            if bool(caught) == ((operation.name, case.label, fault_name) in CANCELS):
                unexpected.append(f"{name}, {fault_name}: {caught or 'not caught'}")
    assert unexpected == []
