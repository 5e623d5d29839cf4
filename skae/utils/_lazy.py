"""Rows that are read in chunks where they are: large ones, files, sparse ones."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

#: Rows of so many bytes in float32 are few: their transformed copy may be held as a whole.
FEW_BYTES = 2**26

# Entries that are read at a time, which stay in the cache. Rows of sparse matrices are found
# more slowly, and are read by more at a time.
_ENTRIES = 2**16
_SPARSE_ENTRIES = 2**20


@dataclass(eq=False)
class LazyRows:
    """A selection of the rows of a matrix, in units, without a copy.

    It has the shape, dtype and indexing of an array of two axes; `dense` returns one. The
    source is an array, in memory or in a file that is mapped to memory, or CSR, of shape
    (n_source, n_features). `index`, (n_samples,), has positions of its rows; None: all. The
    method `transform` of `units` is applied when rows are read.
    """

    source: Any
    index: NDArray[np.intp] | None = None
    units: Any = None
    dtype: Any = None  # of the rows when they are read; None: that of the source
    ndim: ClassVar = 2

    def __post_init__(self) -> None:
        self.dtype = np.dtype(self.dtype or self.source.dtype)

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

    def __getitem__(self, key: Any) -> "LazyRows":
        if self.index is None and isinstance(key, slice):  # a view of an array
            return replace(self, source=self.source[key])
        index = np.arange(len(self)) if self.index is None else self.index
        return replace(self, index=index[key])

    def astype(self, dtype: Any, copy: bool = False) -> "LazyRows":
        """The same rows, in another dtype when they are read."""
        return replace(self, dtype=dtype)

    def given(self) -> Any:
        """The rows as the source has them."""
        return self.source if self.index is None else self.source[self.index]

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """All the rows, as an array, or at the beginning of the one given."""
        out = np.empty(self.shape, self.dtype) if out is None else out
        for at, rows in self.chunks():
            out[at] = rows
        return out

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
        """The largest entry of each column, or of all."""
        highest = reduce(np.maximum, (rows.max(axis=0) for _, rows in self.chunks()))
        return highest if axis == 0 else highest.max()

    def min(self, axis: int | None = None) -> Any:
        """The smallest entry of each column, or of all."""
        lowest = reduce(np.minimum, (rows.min(axis=0) for _, rows in self.chunks()))
        return lowest if axis == 0 else lowest.min()


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
