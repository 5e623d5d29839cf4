"""Rows that are read in chunks where they are: large ones, files, sparse ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: Rows of so many bytes in float32 are few: their transformed copy may be held as a whole.
FEW_BYTES = 2**26

# Entries that are read at a time, which stay in the cache. Rows of sparse matrices are found
# more slowly, and are read by more at a time.
_ENTRIES = 2**16
_SPARSE_ENTRIES = 2**20

_FLOAT_BYTES = 4


class LazyRows:
    """A selection of the rows of a matrix, in units, without a copy.

    It has the shape, dtype and indexing of an array of two axes; `dense` returns one. The
    source is an array, in memory or in a file that is mapped to memory, or CSR, of shape
    (n_source, n_features). `index`, (n_samples,), has positions of its rows; None: all. The
    method `transform` of `units` is applied when rows are read.
    """

    ndim = 2

    def __init__(
        self,
        source: Any,
        index: NDArray[np.intp] | None = None,
        units: Any = None,
        dtype: Any = None,
    ) -> None:
        self.source = source
        self.index = index
        self.units = units
        self.dtype = np.dtype(dtype or source.dtype)

    def __len__(self) -> int:
        return int(self.source.shape[0] if self.index is None else len(self.index))

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the rows."""
        return len(self), int(self.source.shape[1])

    @property
    def is_sparse(self) -> bool:
        """True if the source is sparse."""
        return sparse.issparse(self.source)

    @property
    def nbytes(self) -> int:
        """Size of the rows in float32."""
        return _FLOAT_BYTES * self.shape[0] * self.shape[1]

    def __getitem__(self, key: Any) -> "LazyRows":
        if self.index is None and isinstance(key, slice):  # a view of an array
            return LazyRows(self.source[key], None, self.units, self.dtype)
        index = np.arange(len(self)) if self.index is None else self.index
        return LazyRows(self.source, index[key], self.units, self.dtype)

    def within(self, units: Any) -> "LazyRows":
        """The same rows, centred and scaled when they are read."""
        return LazyRows(self.source, self.index, units, self.dtype)

    def astype(self, dtype: Any, copy: bool = False) -> "LazyRows":
        """The same rows, in another dtype when they are read."""
        return LazyRows(self.source, self.index, self.units, dtype)

    def given(self) -> Any:
        """The rows as the source has them."""
        return self.source if self.index is None else self.source[self.index]

    def dense(self) -> NDArray[Any]:
        """All the rows, as an array."""
        rows = np.empty(self.shape, self.dtype)
        self.read_into(rows)
        return rows

    def read_into(self, out: NDArray[Any]) -> None:
        """Write the rows to the beginning of an array."""
        for at, rows in self.chunks():
            out[at] = rows

    def chunks(self, n_rows: int | None = None) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Slices and their rows, (n_rows, n_features)."""
        if n_rows is None:
            entries = _SPARSE_ENTRIES if self.is_sparse else _ENTRIES
            n_rows = max(entries // max(self.shape[1], 1), 1)
        for at, rows in self.pieces(n_rows):
            if self.is_sparse:
                rows = rows.toarray()
            if self.units is not None:
                rows = self.units.transform(rows)
            yield at, rows.astype(self.dtype, copy=False)

    def pieces(self, n_rows: int) -> Iterator[tuple[slice, Any]]:
        """The same with the rows of the source: neither dense nor in units."""
        for start in range(0, len(self), n_rows):
            at = slice(start, min(start + n_rows, len(self)))
            if self.index is None:
                yield at, self.source[at]
            elif self.is_sparse:
                yield at, self.source[self.index[at]]
            else:
                yield at, np.take(self.source, self.index[at], axis=0)

    def max(self, axis: int | None = None) -> Any:
        """Largest entries of each column, or of all."""
        return self._most(np.maximum, axis)

    def min(self, axis: int | None = None) -> Any:
        """Least entries of each column, or of all."""
        return self._most(np.minimum, axis)

    def _most(self, of: np.ufunc, axis: int | None) -> Any:
        found: Any = None
        for _, rows in self.chunks():
            most = of.reduce(rows, axis=0)
            found = most if found is None else of(found, most)
        return found if axis == 0 else of.reduce(found)


def dense(rows: Any) -> NDArray[Any]:
    """Rows as an array."""
    return rows.dense() if isinstance(rows, LazyRows) else rows


def canonical(X: Any) -> Any:
    """Sparse X, (n_samples, n_features), as CSR with one entry for each position, in order.

    X itself where it is such a matrix; it is not changed.
    """
    rows = X.tocsr()
    if rows.has_canonical_format:
        return rows
    rows = rows.copy() if rows is X else rows
    rows.sum_duplicates()
    return rows
