"""Rows of a training set, moments of columns, and a paired test of losses."""

import math
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from skae.utils._arrays import overridable
from skae.utils._lazy import LazyRows, dense
from skae.utils._process import parallel_slices

_FLOAT_BYTES = 4

#: Padded arrays of so many bytes are mapped pages.
LARGE_PAGE = 2**21

# Size of the chunks of lazy rows.
_PART_BYTES = 2**22

# Entries that are summed at a time: a float64 copy of them stays in the cache.
_CHUNK_ENTRIES = 2**17

# Rows of a sparse matrix that are taken at a time.
_SPARSE_ROWS = 2**12

# Squares of numbers between this and its inverse keep all their digits in a sum.
_SMALL = 2.0**-100

# A column that varies by less than this share of its largest value is constant: the rest is
# rounding of the mean.
_ROUNDING = 1e-14


@dataclass(eq=False)
class Rows:
    """Inputs, targets and sample weights of a training set: arrays or LazyRows.

    The mask of the observed values of inputs is None if all are observed, or if there are
    other targets.
    """

    inputs: Any  # of the encoder, (n_samples, n_features)
    targets: Any = None  # of the decoder, (n_samples, n_outputs); None: the inputs
    weight: NDArray[Any] | None = None  # (n_samples,); None: all the same; only ratios matter
    observed: NDArray[Any] | None = None  # (n_samples, n_columns)

    def __post_init__(self) -> None:
        arrays = [self.inputs] if self.targets is None else [self.inputs, self.targets]
        self.outputs = arrays[-1]  # targets of the decoder
        # True if the targets are the inputs, as far as they were observed.
        self.has_own_targets = self.targets is None or self.observed is not None
        # True if rows are read only when they are needed, and the size of one in float32.
        self.is_lazy = any(isinstance(array, LazyRows) for array in arrays)
        self.row_bytes = _FLOAT_BYTES * max(sum(array.shape[1] for array in arrays), 1)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def observed_share(self) -> NDArray[Any] | None:
        """Share of the values of each column that were observed, (n_columns,); None: all."""
        if self.observed is None:
            return None
        return np.asarray(np.average(self.observed, axis=0, weights=self.weight))

    def take(self, index: NDArray[Any] | slice) -> "Rows":
        """The rows at these positions, or of this mask."""
        parts = self.inputs, self.targets, self.weight, self.observed
        return Rows(*(None if part is None else part[index] for part in parts))

    def dense(self) -> "Rows":
        """The same rows in memory."""
        if not self.is_lazy:
            return self
        return replace(self, inputs=dense(self.inputs), targets=dense(self.targets))

    def parts(self) -> Iterator["Rows"]:
        """The same rows: as a whole, or where they are read lazily, a chunk at a time."""
        if not self.is_lazy:
            yield self
            return
        n_rows = max(_PART_BYTES // self.row_bytes, 1)
        for start in range(0, len(self), n_rows):
            yield self.take(slice(start, start + n_rows))

    def apply(self, function: Callable[["Rows"], NDArray[Any]]) -> NDArray[Any]:
        """Apply a function of rows in memory, to a chunk at a time where rows are lazy."""
        results = [function(part.dense()) for part in self.parts()]
        return results[0] if len(results) == 1 else np.concatenate(results)

    def sample(self, most: int) -> "Rows":
        """At most so many rows, or one, at equal distances, in memory."""
        return self.take(slice(None, None, -(-len(self) // max(most, 1)))).dense()

    def in_order(self) -> "Rows":
        """The same rows in the order of their source."""
        index = getattr(self.inputs, "index", None)
        return self if index is None else self.take(np.argsort(index, kind="stable"))

    def weights(self) -> NDArray[np.float32]:
        """Weights of mean one."""
        if self.weight is None or len(self) == 0:
            return np.ones(len(self), np.float32)
        return (self.weight / np.mean(self.weight)).astype(np.float32)

    def padded(self, length: int, weight: Any = None) -> list[NDArray[np.float32]]:
        """Inputs, targets if they differ, and weights, (n_samples,), with rows of zeros.

        Without `weight` the weights have mean one. Large arrays are mapped pages, which return
        to the system when freed. On the heap, arrays of some megabytes fragment memory:
        `benchmarks/memory.py` then peaks at 2.7 times a table of 179 MB instead of 1.9.
        """
        arrays = []
        for array in (self.inputs, self.targets, self.weights() if weight is None else weight):
            if array is None:
                continue
            shape = length, *array.shape[1:]
            nbytes = _FLOAT_BYTES * math.prod(shape)
            if nbytes < LARGE_PAGE:
                padded = np.zeros(shape, np.float32)
            else:
                private: Any = {}
                if os.name == "posix":
                    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
                pages = mmap.mmap(-1, nbytes, **private)
                if hasattr(mmap, "MADV_HUGEPAGE"):
                    # To make thousands of small pages takes a tenth of the time of training.
                    with suppress(OSError):
                        pages.madvise(mmap.MADV_HUGEPAGE)
                padded = np.frombuffer(pages, np.float32).reshape(shape)
            if isinstance(array, LazyRows):
                array.dense(out=padded)
            else:
                padded[: len(array)] = array
            arrays.append(padded)
        return arrays


def moments(
    X: NDArray[Any] | LazyRows, weight: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, for numbers of any size.

    Summed in float64, in chunks: float32 rows far from zero lose nothing, and no float64
    copy of X is made.

    Both of shape (n_features,), of the observed values of X, (n_samples, n_features): NaN is
    missing. `weight` has shape (n_samples,). The deviation of a constant column is zero, and
    so are both of a column without an observed value.
    """
    if isinstance(X, LazyRows) and X.is_sparse:
        pieces = X.pieces(_SPARSE_ROWS)
        found = reduce(_joined, (_moments_of(rows, weight, at) for at, rows in pieces))
    else:
        n_rows = max(_CHUNK_ENTRIES // X.shape[1], 1)
        chunks = parallel_slices(
            lambda at: _moments_of(X[at], weight, at),
            len(X),
            n_rows,
            len(X) * X.shape[1],
        )
        found = reduce(_joined, chunks)
    deviation = found.deviation * found.unit
    deviation[deviation <= _ROUNDING * np.maximum(found.high, -found.low)] = 0.0
    constant = found.high == found.low
    mean = np.where(constant, found.high, found.mean * found.unit)
    for j in np.flatnonzero(np.isnan(mean)):
        values = np.asarray(X[:, j])
        observed = ~np.isnan(values)
        column = values[observed, np.newaxis]
        if len(column):
            each = None if weight is None else weight[observed]
            (mean[j],), (deviation[j],) = moments(column, each)
        else:
            mean[j] = deviation[j] = 0.0
    return mean, deviation


def filled(values: NDArray[Any]) -> NDArray[Any]:
    """Centred values, (n_samples, n_features), with zero in place of NaN."""
    return np.where(np.isnan(values), 0, values) if has_missing(values) else values


@overridable
def has_missing(X: Any) -> bool:
    """True if an array has NaN, found in most cases by one sum."""
    # A sum is NaN where one of its terms is, or where two are infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(X.sum())) and bool(np.isnan(X).any())


class _Moments(NamedTuple):
    """Of each column of some rows, (n_features,)."""

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    unit: NDArray[np.float64]  # of mean and deviation
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    weight: float  # of the rows


def _moments_of(rows: Any, weight: NDArray[Any] | None, at: slice) -> _Moments:
    """Moments of rows, (n_rows, n_features), dense or CSR, at these positions in `weight`."""
    rows = rows.dense() if isinstance(rows, LazyRows) else rows
    rows, is_sparse = rows.astype(np.float64), bool(sparse.issparse(rows))
    high, low = rows.max(axis=0), rows.min(axis=0)
    if is_sparse:
        high, low = high.toarray().ravel(), low.toarray().ravel()
    # In powers of two squares neither overflow nor vanish, and nothing is rounded.
    largest = np.maximum(high, -low)
    needed = (largest > 0) & ((largest < _SMALL) | (largest > 1 / _SMALL))
    unit = np.exp2(np.frexp(np.where(needed, largest, 1.0))[1] - 1.0)
    each = np.ones(rows.shape[0]) if weight is None else weight[at]
    total = each.sum(dtype=np.float64)
    share = each / (total or 1.0)
    if is_sparse:
        column, n_features = rows.indices, rows.shape[1]
        entries, share = rows.data / unit[column], np.repeat(share, np.diff(rows.indptr))
        mean: Any = np.bincount(column, share * entries, n_features)
        squares = np.square(entries - mean[column])
        variance = np.bincount(column, share * squares, n_features)
        # Entries that are zero; where every row has an entry, the rest would be rounding.
        has_zeros = np.bincount(column, minlength=n_features) < rows.shape[0]
        rest = np.maximum(1 - np.bincount(column, share, n_features), 0)
        variance += np.where(has_zeros, rest, 0) * np.square(mean)
    else:
        if (unit != 1).any():
            rows /= unit
        mean = share @ rows
        rows -= mean
        variance = share @ np.square(rows, out=rows)
    return _Moments(high, low, unit, mean, np.sqrt(variance), total)


def _joined(first: _Moments, second: _Moments) -> _Moments:
    """Moments of two groups of rows together."""
    high, low = np.maximum(first.high, second.high), np.minimum(first.low, second.low)
    unit = np.maximum(first.unit, second.unit)

    def in_unit(group: _Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        factor = group.unit / unit
        return group.mean * factor, group.deviation * factor

    total = first.weight + second.weight
    share = second.weight / (total or 1.0)
    joined = joined_moments(in_unit(first), in_unit(second), share)
    return _Moments(high, low, unit, *joined, total)


def scale_of(deviation: NDArray[np.float64]) -> float:
    """Root of the mean variance of columns; 1 where all are constant."""
    largest = deviation.max() or 1.0
    return float(largest * np.sqrt(np.square(deviation / largest).mean())) or 1.0


def joined_moments(
    first: tuple[NDArray[np.float64], NDArray[np.float64]],
    second: tuple[NDArray[np.float64], NDArray[np.float64]],
    share: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, of two groups of rows together.

    Each tuple has arrays of shape (n_features,), and `share` is that of the second group in
    the weight of all rows.
    """
    distance = second[0] - first[0]
    deviation = np.hypot(np.sqrt(1 - share) * first[1], np.sqrt(share) * second[1])
    between = np.sqrt(share * (1 - share)) * np.abs(distance)
    return first[0] + share * distance, np.hypot(deviation, between)


def significantly_lower(
    before: NDArray[Any], after: NDArray[Any], sample_weight: NDArray[Any] | None = None
) -> bool:
    """True if losses of the same rows, (n_samples,), fell by more than chance explains.

    Their mean must be lower, and the mean relative gain of a row, on which a few large losses
    have little influence, larger than its standard error.
    """
    size = np.maximum(np.abs(before) + np.abs(after), np.finfo(before.dtype).tiny)
    gain = (before - after) / size
    mean = np.average(gain, weights=sample_weight)
    variance = np.average(np.square(gain - mean), weights=sample_weight)
    first, second = (np.average(losses, weights=sample_weight) for losses in (before, after))
    return bool(second < first and mean > np.sqrt(variance / len(gain)))
