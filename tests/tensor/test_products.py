"""What is refused of products."""

import numpy as np
import pytest

from manual import tensor

A, B = np.ones((2, 3)), np.ones((3, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tensor.matmul(A, A), "tensor.matmul: expected x (..., M, K) and other (..., K, N), got (2, 3) and (2, 3)"),
        (lambda: tensor.matmul(np.ones((2, 2, 3)), np.ones((3, 3, 4))), "tensor.matmul: expected x (..., M, K)"),
        (lambda: tensor.matmul(np.float64(1), A), "tensor.matmul: x and other must have at least one axis"),
        (lambda: tensor.bmm(A, B), "tensor.bmm: expected x (B, M, K) and mat2 (B, K, N), got (2, 3) and (3, 4)"),
        (lambda: tensor.outer(A, B[0]), "tensor.outer: expected x (M) and vec2 (N), got (2, 3) and (4,)"),
        (lambda: tensor.einsum(A, equation="ij"), "tensor.einsum: operands must be a list of NumPy arrays"),
        (lambda: tensor.einsum([], equation=""), "tensor.einsum: operands must be a list of NumPy arrays"),
        (
            lambda: tensor.einsum([A, A.astype("f")], equation="ij,ij"),
            "tensor.einsum: operands[1] must have the dtype of operands[0]",
        ),
        (lambda: tensor.einsum([A], equation="ij,jk"), "tensor.einsum: equation must have letters for each of 1 operands"),
        (lambda: tensor.einsum([A], equation="i1"), "tensor.einsum: equation must have letters for each of 1 operands"),
        (lambda: tensor.einsum([A], equation="ijk"), "tensor.einsum: equation must have a letter for each axis"),
        (lambda: tensor.einsum([A], equation="i"), "tensor.einsum: equation must have a letter for each axis"),
        (lambda: tensor.einsum([A], equation="ij->k"), "tensor.einsum: equation must have each letter of the output once"),
        (lambda: tensor.einsum([A], equation="ij->ii"), "tensor.einsum: equation must have each letter of the output once"),
        (
            lambda: tensor.einsum([A, A], equation="ij,jk"),
            "tensor.einsum: j stands for 2 elements in operands[1] (2, 3), and elsewhere for 3",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_einsum_never_hands_out_what_it_was_given():
    output, backward = tensor.einsum([A], equation="ij->ji")
    assert not np.shares_memory(output, A)
    g = np.ones((3, 2))
    assert not np.shares_memory(backward(g)[0][0], g)
