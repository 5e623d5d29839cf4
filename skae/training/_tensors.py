"""Arithmetic of an epoch on the tensors of a backend."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

# On a CPU XLA adds numbers one after the other, each addition waiting for the one before: the
# norm of all gradients would take a quarter of a step. Sums side by side take next to nothing.
_LANES = 16


def weighted_sum(losses: Any, weight: Any) -> Any:
    """Sum over rows of losses (n_rows, n_parts): an array (n_parts,)."""
    return ops.sum(losses * weight[:, None], axis=0)


def sum_of_squares(array: Any, in_lanes: bool) -> Any:
    """Sum of the squares of all entries."""
    squares = ops.square(array)
    if in_lanes and math.prod(array.shape) % _LANES == 0:
        # The absolute value keeps XLA from making one sum of the two.
        squares = ops.abs(ops.sum(ops.reshape(squares, (_LANES, -1)), axis=0))
    return ops.sum(squares)


def clipped(gradients: Sequence[Any], norm: float, in_lanes: bool) -> list[Any]:
    """Gradients, all scaled by one factor where their global norm is larger than `norm`."""
    length = ops.sqrt(sum(sum_of_squares(g, in_lanes) for g in gradients))
    factor = norm / ops.maximum(length, norm)
    return [g * factor for g in gradients]


def flatten(arrays: Sequence[Any], n_entries: int, in_place: bool) -> Any:
    """All entries as one vector, (n_entries,)."""
    arrays = [ops.reshape(array, (-1,)) for array in arrays]
    if not in_place:
        return ops.concatenate(arrays)
    # XLA's CPU code for a concatenation is, depending on where the buffers lie, up to thirty
    # times slower than all the rest of the step.
    flat, start = ops.zeros((n_entries,), "float32"), 0
    for array in arrays:
        flat = ops.slice_update(flat, [start], array)
        start += array.shape[0]
    return flat


def unflatten(
    split: Any, reshape: Any, flat: Any, shapes: Sequence[tuple[int, ...]]
) -> list[Any]:
    """Cut one vector into arrays of these shapes."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    parts = split(flat, ends.tolist())
    return [reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def rows_from(array: Any, start: Any, n_rows: int) -> Any:
    """Rows of a tensor from a position that is known only when the program runs."""
    shape = array.shape[1:]
    return ops.slice(array, [start] + [0] * len(shape), [n_rows, *shape])


def compact(array: NDArray[Any]) -> NDArray[Any]:
    """An array that takes no memory where it is all zeros."""
    return array if array.any() else np.broadcast_to(np.zeros((), array.dtype), array.shape)
