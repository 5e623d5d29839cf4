"""Rows as the compiled epoch takes them: padded and shuffled, or streamed in chunks."""

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.utils._rows import Rows, pad

# Rows that the validation pass takes at a time, at least.
VALIDATION_ROWS = 256

# Up to so many rows are padded to a power of two: a whole table then mostly shares a
# compilation with its folds.
_FEW_ROWS = 2**13

# Size of a chunk, on which training runs while the next is read.
_CHUNK_BYTES = 2**24

# Rows that take more bytes are read in blocks of consecutive rows: a disk that is asked for
# single rows reads mostly others.
_MOST_SCATTERED = 2**30
_BLOCK_BYTES = 2**17


def bucket(n: int, multiple_of: int = 1) -> int:
    """Round up, so that similar sizes share one compilation; many rows by an eighth at most."""
    power = 2 ** max(n - 1, 1).bit_length()
    step = power if n <= _FEW_ROWS else power // 16
    n = -(-n // step) * step
    return -(-n // multiple_of) * multiple_of


def shuffled(rng: np.random.RandomState, n: int, length: int) -> NDArray[np.int32]:
    """A permutation of n rows, repeated up to the length of a padded epoch.

    Repeated rows do not count in the loss; they complete the last batch with rows like the
    others, for batch normalization.
    """
    return np.resize(rng.permutation(n).astype(np.int32), length)


class Chunk(NamedTuple):
    """Rows of some steps.

    Attributes
    ----------
    arrays : list of ndarray
        Inputs, targets if they differ, and weights, with zeros up to the length of a chunk.

    order : ndarray of int32
        Order in which the rows are visited.

    n_rows : int
        Number of rows that count.

    steps : slice
        Their steps of the epoch.
    """

    arrays: list[NDArray[np.float32]]
    order: NDArray[np.int32]
    n_rows: int
    steps: slice


class Stream:
    """Reads the rows of an epoch chunk by chunk, each while training runs on the one before.

    The batches are those of an epoch over rows that are on the device as a whole.

    Parameters
    ----------
    rows : Rows
        Training rows.

    batch_size : int
        Rows in a step.
    """

    def __init__(self, rows: Rows, batch_size: int) -> None:
        self.batch_size = batch_size
        self.n_steps = max(_CHUNK_BYTES // (rows.row_bytes * batch_size), 1)
        self.in_blocks = len(rows) * rows.row_bytes > _MOST_SCATTERED
        if self.in_blocks:
            rows = rows.in_order()
        self.rows = replace(rows, weight=rows.weights())

    @property
    def n_rows(self) -> int:
        """Length of a chunk."""
        return self.n_steps * self.batch_size

    def order(self, rng: np.random.RandomState, length: int) -> NDArray[np.int32]:
        """Rows of an epoch, in the order in which they are visited."""
        n = len(self.rows)
        if not self.in_blocks:
            return shuffled(rng, n, length)
        size = max(_BLOCK_BYTES // self.rows.row_bytes, 1)
        starts = size * rng.permutation(-(-n // size))
        order = (starts[:, None] + np.arange(size)).ravel()
        order = order[order < n].astype(np.int32)
        for start in range(0, n, self.n_rows):
            rng.shuffle(order[start : start + self.n_rows])
        return np.resize(order, length)

    def blank(self) -> Chunk:
        """A chunk without rows that count."""
        arrays = [pad(array, self.n_rows) for array in self._arrays(np.zeros(0, np.intp))]
        return Chunk(arrays, np.zeros(self.n_rows, np.int32), 0, slice(0, 0))

    def chunks(self, order: NDArray[np.int32], n_rows: int) -> Generator[Chunk, None, None]:
        """The chunks of an epoch over the first rows of an order."""
        starts = range(0, n_rows, self.n_rows)
        with ThreadPoolExecutor(1) as reader:

            def request(start: int) -> Future[Chunk]:
                return reader.submit(self._chunk, order, start, n_rows)

            coming = request(0)
            for start in starts:
                chunk = coming.result()
                if start + self.n_rows < n_rows:
                    coming = request(start + self.n_rows)
                yield chunk

    def _chunk(self, order: NDArray[np.int32], start: int, n_rows: int) -> Chunk:
        """Chunk of the rows from `start` in an order, (n_visits,)."""
        counted = min(self.n_rows, n_rows - start)
        # The last batch is completed with rows like the others.
        n_steps = -(-counted // self.batch_size)
        places = order[start : start + n_steps * self.batch_size]
        # Read in the order of the source, which is quicker, and visited in the other.
        by_place = np.argsort(places, kind="stable")
        visited = np.zeros(self.n_rows, np.int32)
        visited[by_place] = np.arange(len(places), dtype=np.int32)
        arrays = [pad(array, self.n_rows) for array in self._arrays(places[by_place])]
        first = start // self.batch_size
        return Chunk(arrays, visited, counted, slice(first, first + n_steps))

    def _arrays(self, places: NDArray[np.integer]) -> list[NDArray[np.float32]]:
        """Inputs, targets and weights, (n_places, ...) each, at places (n_places,)."""
        rows = self.rows.take(places)
        return [
            array for array in (rows.inputs, rows.targets, rows.weight) if array is not None
        ]
