"""The mechanism of rows: an operation on the rows of a matrix becomes one along any axis of any array; and that of groups."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.contract import Array, Backward, cotangent, needed
from manual.threads import in_threads, parts_of_rows

RowsOperation = Callable[..., tuple[Array, Backward]]
GroupsOperation = Callable[..., tuple[tuple[Array, ...], Backward]]


def by_rows(op: str, function: RowsOperation, *arrays: Any, dim: int) -> tuple[Array, Backward]:
    """Apply an operation on the rows of a matrix to the lines of x, the first array, along `dim`.

    `output, backward = function(rows, …)` maps each row to a row, or reduces it to a number, and `backward(grad_output, needs)`
    returns a gradient for each array. Other arrays of the shape of x come as rows as well; those that lack `dim` come with a number
    for each row. The rows of a large array are cut into parts, which several threads share.
    """
    x = arrays[0]
    shape = x.shape or (1,)
    axis = dim % len(shape)
    before, columns, after = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])

    def to_rows(array):
        if array is None or array.shape != x.shape:
            return array if array is None else array.reshape(before * after)
        if after != 1:
            array = array.reshape(before, columns, after).swapaxes(1, 2)
        return array.reshape(before * after, columns)

    def back(rows):
        if rows.ndim == 1:
            return rows.reshape(shape[:axis] + shape[axis + 1 :])
        if after != 1:
            rows = rows.reshape(before, after, columns).swapaxes(1, 2)
        return rows.reshape(x.shape)

    rows = [to_rows(array) for array in arrays]
    if columns == 0:
        function = _of_nothing
    parts = parts_of_rows(before * after, columns)
    output, rows_backward = function(*rows) if len(parts) <= 1 else _in_parts(function, rows, parts)
    reduced = output.ndim == 1
    output = back(output)
    output_shape, dtype = output.shape, output.dtype

    def backward(grad_output, needs=None):
        needs = needed(op, needs, len(arrays))
        grad_output = cotangent(op, grad_output, output_shape, dtype)
        grad_rows = grad_output.reshape(before * after) if reduced else to_rows(grad_output)
        grads = rows_backward(grad_rows, needs) if any(needs) else needs
        return tuple([back(grad) if need and grad is not None else None for grad, need in zip(grads, needs)])

    return output, backward


def _of_nothing(x: Array) -> tuple[Array, Backward]:
    """Rows without columns, mapped to such rows."""
    return x.copy(), lambda grad_output, needs: (grad_output.copy(),)


def _in_parts(function: RowsOperation, arrays: list[Any], parts: list[slice]) -> tuple[Array, Backward]:
    """Apply the operation to the parts of all arrays, which several threads share."""
    x = arrays[0]
    matrix, numbers = np.empty(x.shape, x.dtype), np.empty(len(x), x.dtype)  # the output is one of them
    reduced = [False] * len(parts)
    backwards: list[Any] = [None] * len(parts)

    def forward_part(p):
        part = parts[p]
        output, backwards[p] = function(*[array if array is None else array[part] for array in arrays])
        (numbers if output.ndim == 1 else matrix)[part] = output
        reduced[p] = output.ndim == 1

    in_threads(forward_part, len(parts))

    def backward(grad_output, needs):
        grads: list[Any] = [np.empty_like(array) if need else None for array, need in zip(arrays, needs)]

        def backward_part(p):
            part = parts[p]
            for i, grad in enumerate(backwards[p](grad_output[part], needs)):
                if grad is None:
                    grads[i] = None
                elif needs[i]:
                    grads[i][part] = grad

        in_threads(backward_part, len(parts))
        return tuple(grads)

    return numbers if reduced[0] else matrix, backward


def by_groups(function: GroupsOperation, *arrays: Any, common: int = 0) -> tuple[tuple[Array, ...], Backward]:
    """Apply an operation to the groups of x, the first array: its entries along the first axis, of any shape and strides.

    `(y, *numbers), backward = function(x, …)` returns a y of the shape of x and perhaps numbers, one of each kind for each group;
    `backward(grad_y, needs)` returns a gradient for each array. The last arrays, `common` of them, are the same for all groups;
    the others have an entry for each. The groups of a large array are cut into parts, which several threads share.
    """
    x, own = arrays[0], len(arrays) - common
    parts = parts_of_rows(len(x), math.prod(x.shape[1:]))
    if len(parts) <= 1:
        return function(*arrays)
    y = np.empty_like(x)
    numbers: list[Any] = [None] * len(parts)
    backwards: list[Any] = [None] * len(parts)

    def forward_part(p):
        of_part = [array if array is None or i >= own else array[parts[p]] for i, array in enumerate(arrays)]
        (y[parts[p]], *numbers[p]), backwards[p] = function(*of_part)

    in_threads(forward_part, len(parts))

    def backward(grad_y, needs):
        grad_x = np.empty_like(x) if needs[0] else None
        found: list[Any] = [None] * len(parts)

        def backward_part(p):
            grad, *found[p] = backwards[p](grad_y[parts[p]], needs)
            if grad_x is not None:
                grad_x[parts[p]] = grad

        in_threads(backward_part, len(parts))
        others = []
        for i, grads in enumerate(zip(*found), start=1):
            whole = np.concatenate if i < own else sum
            others.append(None if grads[0] is None else whole(grads))
        return grad_x, *others

    return (y, *map(np.concatenate, zip(*numbers))), backward
