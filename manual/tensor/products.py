"""Products of matrices, and sums of products."""

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from manual.arrays import sum_to_shape
from manual.contract import Array, Backward, cotangent, needed, require_floats
from manual.tensor.rules import by_rules

__all__ = ["bmm", "einsum", "matmul", "outer"]


def matmul(x: Array, other: Array, /) -> tuple[Array, Backward]:
    """Multiply matrices, of which there may be many.

    Forward:   y = x other, for each pair of matrices
    Backward:  grad_x = grad_y otherᵀ,  grad_other = xᵀ grad_y
    Shapes:    x (..., M, K), other (..., K, N), y (..., M, N), the axes in front broadcast; a vector counts as a row on the left,
               as a column on the right, and y lacks that axis
    """
    op = "tensor.matmul"
    require_floats(op, "x other", x, other)
    if not (x.ndim and other.ndim):
        raise ValueError(f"{op}: x and other must have at least one axis, got shapes {x.shape} and {other.shape}")
    a = x[None] if x.ndim == 1 else x
    b = other[:, None] if other.ndim == 1 else other
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        fits = False
    else:
        fits = a.shape[-1] == b.shape[-2]
    if not fits:
        raise ValueError(f"{op}: expected x (..., M, K) and other (..., K, N), got {x.shape} and {other.shape}")
    y = _product(a, b)
    shape = y.shape
    output = y.reshape(
        y.shape[: y.ndim - 2] + y.shape[y.ndim - 2 : y.ndim - 1] * (x.ndim > 1) + y.shape[y.ndim - 1 :] * (other.ndim > 1)
    )

    def grad_x(g):
        return sum_to_shape(_product(g.reshape(shape), b.mT), a.shape).reshape(x.shape)

    def grad_other(g):
        g = g.reshape(shape)
        if b.ndim == 2:  # all matrices x as one
            return (_rows(a).T @ _rows(g)).reshape(other.shape)
        return sum_to_shape(a.mT @ g, b.shape)

    return by_rules(op, output, grad_x, grad_other)


def _product(a: Array, b: Array) -> Array:
    """The products a b; many matrices a with a single b as one product."""
    if b.ndim == 2:
        return (_rows(a) @ b).reshape(*a.shape[:-1], b.shape[-1])
    return a @ b


def _rows(matrices: Array) -> Array:
    """The rows of many matrices as those of one."""
    return matrices.reshape(math.prod(matrices.shape[:-1]), matrices.shape[-1])


def bmm(x: Array, mat2: Array, /) -> tuple[Array, Backward]:
    """Multiply as many matrices by as many.

    Forward:   y[b] = x[b] mat2[b]
    Backward:  grad_x[b] = grad_y[b] mat2[b]ᵀ,  grad_mat2[b] = x[b]ᵀ grad_y[b]
    Shapes:    x (B, M, K), mat2 (B, K, N), y (B, M, N)
    """
    require_floats("tensor.bmm", "x mat2", x, mat2)
    if x.ndim != 3 or mat2.ndim != 3 or (x.shape[0], x.shape[2]) != mat2.shape[:2]:
        raise ValueError(f"tensor.bmm: expected x (B, M, K) and mat2 (B, K, N), got {x.shape} and {mat2.shape}")
    return by_rules("tensor.bmm", x @ mat2, lambda g: g @ mat2.mT, lambda g: x.mT @ g)


def outer(x: Array, vec2: Array, /) -> tuple[Array, Backward]:
    """Multiply each element of a vector by each of another.

    Forward:   yᵢⱼ = xᵢ vec2ⱼ
    Backward:  grad_x = grad_y vec2,  grad_vec2 = grad_yᵀ x
    Shapes:    x (M), vec2 (N), y (M, N)
    """
    require_floats("tensor.outer", "x vec2", x, vec2)
    if x.ndim != 1 or vec2.ndim != 1:
        raise ValueError(f"tensor.outer: expected x (M) and vec2 (N), got {x.shape} and {vec2.shape}")
    return by_rules("tensor.outer", x[:, None] * vec2, lambda g: g @ vec2, lambda g: g.T @ x)


def einsum(operands: Sequence[Array], /, *, equation: str) -> tuple[Array, Backward]:
    """Sum products over the letters that the output lacks, as Einstein wrote them: "bij,bjk->bik".

    Forward:   y = Σ Πₖ operandₖ, each element taken where its letters say; the sum runs over all values of those not in the output
    Backward:  grad_operandₖ = Σ grad_y Πₗ operandₗ (l ≠ k), summed over the letters that operandₖ lacks; where a letter stands for
               one element in it and for several elsewhere, over that one too; where it stands twice, on the diagonal alone
    Shapes:    as many letters as axes; an Ellipsis ... stands for any number of them, which broadcast. Without -> the output has
               the letters that occur once, in the order of the alphabet
    """
    op = "tensor.einsum"
    if not isinstance(operands, (list, tuple)) or not operands:
        raise TypeError(f"{op}: operands must be a list of NumPy arrays, got {operands!r}")
    require_floats(op, " ".join(f"operands[{k}]" for k in range(len(operands))), *operands)
    inputs, result = _letters(equation, operands)
    sizes: dict[str, int] = {}
    for k, (letters, operand) in enumerate(zip(inputs, operands)):
        for letter, size in zip(letters, operand.shape):
            if size != 1 and sizes.get(letter, 1) not in (1, size):
                raise ValueError(
                    f"{op}: {letter} stands for {size} elements in operands[{k}] {operand.shape}, and elsewhere for {sizes[letter]}"
                )
            if size != 1:
                sizes[letter] = size
    output = _sum_of_products(inputs, operands, result)
    shape, dtype = output.shape, output.dtype

    def gradient(k: int, g: Array) -> Array:
        x, letters = operands[k], inputs[k]
        others = [*inputs[:k], *inputs[k + 1 :], result]
        own = "".join(dict.fromkeys(letters))
        known = "".join(letter for letter in own if any(letter in other for other in others))
        grad = _sum_of_products(others, [*operands[:k], *operands[k + 1 :], g], known)
        once = dict(zip(letters, x.shape))
        wide = tuple([grad.shape[known.index(letter)] if letter in known else 1 for letter in own])
        repeated = tuple([size if other == 1 else other for size, other in zip(once.values(), wide)])
        grad = sum_to_shape(np.broadcast_to(grad.reshape(wide), repeated), tuple(once.values()))
        if own == letters:
            return np.array(grad)
        on_diagonal = np.zeros(x.shape, dtype)
        np.einsum(f"{letters}->{own}", on_diagonal)[...] = grad
        return on_diagonal

    def backward(grad_output, needs=None):
        (need,) = needed(op, needs, 1)
        g = cotangent(op, grad_output, shape, dtype)
        return (type(operands)([gradient(k, g) for k in range(len(operands))]) if need else None,)

    return output, backward


def _sum_of_products(inputs: Sequence[str], operands: Sequence[Array], result: str) -> Array:
    total = np.einsum(f"{','.join(inputs)}->{result}", *operands, optimize=True)
    return np.array(total) if len(operands) == 1 else total  # of one operand it may be a view


def _letters(equation: Any, operands: Sequence[Array]) -> tuple[list[str], str]:
    """The letters of each operand's axes, and those of the output's. What an Ellipsis stands for gets letters that are free."""
    op = "tensor.einsum"
    if not isinstance(equation, str):
        raise TypeError(f"{op}: equation must be a string, got {equation!r}")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    plain = [term.replace("...", "", 1) for term in (*terms, right)]
    if len(terms) != len(operands) or not all(set(term) <= set(ascii_letters) for term in plain):
        raise ValueError(f"{op}: equation must have letters for each of {len(operands)} operands, got {equation!r}")
    covered = [operand.ndim - len(letters) for operand, letters in zip(operands, plain)]
    if any(count < 0 or (count and "..." not in term) for count, term in zip(covered, terms)):
        shapes = ", ".join(str(operand.shape) for operand in operands)
        raise ValueError(f"{op}: equation must have a letter for each axis, got {equation!r} for {shapes}")
    free = "".join(letter for letter in ascii_letters if letter not in equation)[: max(covered)]
    inputs = [term.replace("...", free[len(free) - count :]) for term, count in zip(terms, covered)]
    if arrow:
        result = right.replace("...", free)
    else:
        result = free + "".join(sorted(letter for letter in ascii_letters if left.count(letter) == 1))
    if len(set(result)) != len(result) or not set(result) <= set().union(*inputs):
        raise ValueError(
            f"{op}: equation must have each letter of the output once, and among those of the operands, got {equation!r}"
        )
    return inputs, result
