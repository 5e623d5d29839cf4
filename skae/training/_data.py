"""Rows as the compiled epoch takes them, whole or in chunks, and arithmetic on its tensors."""

import math
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from skae.utils._rows import Rows

# Size of a chunk, on which training runs while the next is read.
_CHUNK_BYTES = 2**24

# Rows that take more bytes are read in blocks of consecutive rows: a disk that is asked for
# single rows reads mostly others.
_MOST_SCATTERED = 2**30
_BLOCK_BYTES = 2**17

# On a CPU XLA adds numbers one after the other, each addition waiting for the one before: the
# norm of all gradients would take a quarter of a step. Sums side by side take next to nothing.
_LANES = 16


class Chunk(NamedTuple):
    """Rows of some steps."""

    # Inputs, targets if they differ, and weights, with zeros up to the length of a chunk.
    arrays: list[NDArray[np.float32]]
    order: NDArray[np.int32]  # in which the rows are visited
    n_rows: int  # that count
    first_step: int  # of the epoch
    n_steps: int
    is_last: bool  # of the epoch


class Stream:
    """Training rows, read chunk by chunk, each while training runs on the one before.

    The batches are those of an epoch over rows that are on the device as a whole.
    """

    def __init__(self, rows: Rows, batch_size: int) -> None:
        self.batch_size = batch_size
        self.n_steps = max(_CHUNK_BYTES // (rows.row_bytes * batch_size), 1)
        self.n_rows = self.n_steps * batch_size  # length of a chunk
        self.in_blocks = len(rows) * rows.row_bytes > _MOST_SCATTERED
        if self.in_blocks:
            rows = rows.in_order()
        self.rows = replace(rows, weight=rows.weights())

    def order(self, rng: np.random.RandomState) -> NDArray[np.integer]:
        """All rows in the order in which an epoch visits them, (n_rows,)."""
        n = len(self.rows)
        if not self.in_blocks:
            return rng.permutation(n)
        size = max(_BLOCK_BYTES // self.rows.row_bytes, 1)
        starts = size * rng.permutation(-(-n // size))
        order = (starts[:, None] + np.arange(size)).ravel()
        order = order[order < n]
        for start in range(0, n, self.n_rows):
            rng.shuffle(order[start : start + self.n_rows])
        return order

    def chunks(self, order: NDArray[np.int32], n_rows: int) -> Generator[Chunk, None, None]:
        """The chunks of an epoch over the first rows of an order; an empty one without rows."""
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(self.chunk, order, 0, n_rows)
            for start in range(self.n_rows, n_rows, self.n_rows):
                chunk = coming.result()
                coming = reader.submit(self.chunk, order, start, n_rows)
                yield chunk
            yield coming.result()

    def chunk(self, order: NDArray[np.int32], start: int, n_rows: int) -> Chunk:
        """Chunk of the rows from `start` in an order, (n_visits,)."""
        counted = min(self.n_rows, n_rows - start)
        # The last batch is completed with rows like the others.
        n_steps = -(-counted // self.batch_size)
        places = order[start : start + n_steps * self.batch_size]
        # Read in the order of the source, which is quicker, and visited in the other.
        by_place = np.argsort(places, kind="stable")
        visited = np.zeros(self.n_rows, np.int32)
        visited[by_place] = np.arange(len(places), dtype=np.int32)
        rows = self.rows.take(places[by_place])
        arrays = rows.padded(self.n_rows, rows.weight)
        is_last = start + counted == n_rows
        return Chunk(arrays, visited, counted, start // self.batch_size, n_steps, is_last)


def sum_of_squares(array: Any, in_lanes: bool) -> Any:
    """Sum of the squares of all entries."""
    squares = ops.square(array)
    n = math.prod(array.shape) // _LANES * _LANES
    if not in_lanes or n == 0:
        return ops.sum(squares)
    squares = ops.reshape(squares, (-1,))
    lanes = ops.sum(ops.reshape(squares[:n], (_LANES, -1)), axis=0)
    # The absolute value keeps XLA from making one sum of the two.
    return ops.sum(ops.abs(lanes)) + ops.sum(squares[n:])


def flatten(arrays: Sequence[Any], n_entries: int, in_place: bool) -> Any:
    """All entries as one vector, (n_entries,)."""
    arrays = [in_shape(array, (math.prod(array.shape),)) for array in arrays]
    if not in_place:
        return ops.concatenate(arrays)
    # XLA's CPU code for a concatenation is, depending on where the buffers lie, up to thirty
    # times slower than all the rest of the step.
    flat, start = ops.zeros((n_entries,), "float32"), 0
    for array in arrays:
        flat = ops.slice_update(flat, [start], array)
        start += array.shape[0]
    return flat


def unflatten(xp: Any, flat: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Cut one vector into arrays of these shapes, by `numpy` or `keras.ops`."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    parts = xp.split(flat, ends.tolist())
    return [xp.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def in_shape(tensor: Any, shape: tuple[int, ...]) -> Any:
    """A tensor in a shape of as many entries: itself where it has the shape."""
    return tensor if tuple(tensor.shape) == shape else ops.reshape(tensor, shape)


def rows_from(array: Any, start: Any, n_rows: int) -> Any:
    """Rows of a tensor from a position that is known only when the program runs."""
    shape = array.shape[1:]
    return ops.slice(array, [start] + [0] * len(shape), [n_rows, *shape])


def compact(array: NDArray[Any]) -> NDArray[Any]:
    """An array that takes no memory where it is all zeros."""
    return array if array.any() else np.broadcast_to(np.zeros((), array.dtype), array.shape)
