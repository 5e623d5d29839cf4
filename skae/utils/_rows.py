"""Rows of a training set, moments of columns, and a paired test of losses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.utils._lazy import LazyRows, dense
from skae.utils._process import mmap_zeros, parallel_slices

_FLOAT_BYTES = 4

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


@dataclass(frozen=True)
class Rows:
    """Inputs, targets and sample weights of a training set: arrays or LazyRows.

    The mask of the observed values of inputs is None if all are observed, or if there are
    other targets.
    """

    inputs: Any  # of the encoder, (n_samples, n_features)
    targets: Any = None  # of the decoder, (n_samples, n_outputs); None: the inputs
    weight: NDArray[Any] | None = None  # (n_samples,); None: all the same; only ratios matter
    observed: NDArray[Any] | None = None  # (n_samples, n_columns)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def outputs(self) -> Any:
        """Targets of the decoder."""
        return self.inputs if self.targets is None else self.targets

    @property
    def has_own_targets(self) -> bool:
        """True if the targets are the inputs, as far as they were observed."""
        return self.targets is None or self.observed is not None

    @property
    def observed_share(self) -> NDArray[Any] | None:
        """Share of the values of each column that were observed, (n_columns,); None: all."""
        if self.observed is None:
            return None
        return np.asarray(np.average(self.observed, axis=0, weights=self.weight))

    @property
    def is_lazy(self) -> bool:
        """True if rows are read only when they are needed."""
        return isinstance(self.inputs, LazyRows) or isinstance(self.targets, LazyRows)

    @property
    def row_bytes(self) -> int:
        """Size of a row and its target in float32."""
        wide = [array.shape[1] for array in (self.inputs, self.targets) if array is not None]
        return _FLOAT_BYTES * max(sum(wide), 1)

    def take(self, index: NDArray[Any] | slice) -> "Rows":
        """The rows at these positions, or of this mask."""
        parts = self.inputs, self.targets, self.weight, self.observed
        return Rows(*(None if part is None else part[index] for part in parts))

    def dense(self) -> "Rows":
        """The same rows in memory."""
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

    def sample(self, n_bytes: int) -> "Rows":
        """Evenly spaced rows of at most `n_bytes`, in memory."""
        most = max(n_bytes // self.row_bytes, 1)
        return self.take(slice(None, None, -(-len(self) // most))).dense()

    def in_order(self) -> "Rows":
        """The same rows in the order of their source."""
        index = getattr(self.inputs, "index", None)
        return self if index is None else self.take(np.argsort(index, kind="stable"))

    def weights(self) -> NDArray[np.float32]:
        """Weights of mean one."""
        if self.weight is None or len(self) == 0:
            return np.ones(len(self), np.float32)
        return (self.weight / np.mean(self.weight)).astype(np.float32)

    def padded(self, length: int) -> list[NDArray[np.float32]]:
        """Inputs, targets if they differ, and weights of mean one, with rows of zeros."""
        arrays = [self.inputs, self.targets, self.weights()]
        return [pad(array, length) for array in arrays if array is not None]


def pad(array: Any, length: int) -> NDArray[np.float32]:
    """Rows, and zeros up to a length."""
    padded = mmap_zeros((length, *array.shape[1:]), np.float32)
    if isinstance(array, LazyRows):
        array.read_into(padded)
    else:
        padded[: len(array)] = array
    return padded


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
    is_sparse = isinstance(X, LazyRows) and X.is_sparse
    found = (_sparse_moments if is_sparse else _dense_moments)(X, weight)
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


def observed_mean(values: NDArray[Any]) -> NDArray[Any]:
    """Mean of each row over its values that are not NaN, (n_samples,); 0 without any."""
    missing = np.isnan(values)
    if not missing.any():
        return np.asarray(values.mean(axis=1))
    n_observed = np.maximum((~missing).sum(axis=1), 1)
    return np.asarray(
        np.where(missing, 0, values).sum(axis=1) / n_observed.astype(values.dtype)
    )


def filled(values: NDArray[Any]) -> NDArray[Any]:
    """Centred values, (n_samples, n_features), with zero in place of NaN."""
    missing = np.isnan(values)
    return np.where(missing, values.dtype.type(0), values) if missing.any() else values


def has_missing(X: Any) -> bool:
    """True if an array has NaN, found in most cases by one sum."""
    # A sum is NaN where one of its terms is, or where two are infinite.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isnan(X.sum())) and bool(np.isnan(X).any())


class _Moments(NamedTuple):
    """Of each column of some rows: its ends, a unit, and mean and deviation in this unit."""

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    unit: NDArray[np.float64]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    weight: float = 1.0


def _unit(high: NDArray[np.float64], low: NDArray[np.float64]) -> NDArray[np.float64]:
    """Powers of two, (n_features,): squares neither overflow nor vanish, nothing is rounded."""
    largest = np.maximum(high, -low)
    needed = (largest > 0) & ((largest < _SMALL) | (largest > 1 / _SMALL))
    return np.exp2(np.frexp(np.where(needed, largest, 1.0))[1] - 1.0)


def _dense_moments(X: Any, weight: NDArray[Any] | None) -> _Moments:
    """Moments of rows, (n_samples, n_features), that are read once, a chunk at a time."""
    chunks: dict[int, _Moments] = {}

    def look(at: slice) -> None:
        rows = dense(X[at]).astype(np.float64)
        high, low = rows.max(axis=0), rows.min(axis=0)
        unit = _unit(high, low)
        if (unit != 1).any():
            rows /= unit
        each = np.ones(len(rows)) if weight is None else weight[at]
        total = each.sum(dtype=np.float64)
        share = each / (total or 1.0)
        mean = share @ rows
        rows -= mean
        deviation = np.sqrt(share @ np.square(rows, out=rows))
        chunks[at.start] = _Moments(high, low, unit, mean, deviation, total)

    n_rows = max(_CHUNK_ENTRIES // X.shape[1], 1)
    parallel_slices(look, len(X), n_rows, len(X) * X.shape[1])
    parts = [chunks[start] for start in sorted(chunks)]
    high = np.max([part.high for part in parts], axis=0)
    low = np.min([part.low for part in parts], axis=0)
    unit, total = _unit(high, low), 0.0
    joined = np.zeros_like(unit), np.zeros_like(unit)
    for part in parts:
        if part.weight > 0:
            total += part.weight
            factor = part.unit / unit
            moments_of_part = part.mean * factor, part.deviation * factor
            joined = joined_moments(joined, moments_of_part, part.weight / total)
    return _Moments(high, low, unit, *joined)


def _sparse_moments(X: Any, weight: NDArray[Any] | None) -> _Moments:
    """Moments of sparse rows, (n_samples, n_features), read for ends, mean and deviation."""
    high, low = X.max(axis=0).astype(np.float64), X.min(axis=0).astype(np.float64)
    unit = _unit(high, low)
    mean = _sparse_average(X, weight, lambda rows, at: rows / unit[at])
    variance = _sparse_average(
        X, weight, lambda rows, at: np.square(rows / unit[at] - mean[at])
    )
    return _Moments(high, low, unit, mean, np.sqrt(variance))


def _sparse_average(
    X: Any,
    weight: NDArray[Any] | None,
    function: Callable[[NDArray[Any], Any], NDArray[Any]],
) -> NDArray[np.float64]:
    """Weighted mean, (n_features,), of a function of all entries, stored or zero."""
    n_features = X.shape[1]
    weight = np.ones(len(X)) if weight is None else weight
    total, stored = np.zeros(n_features), np.zeros(n_features)
    n_stored = np.zeros(n_features, np.intp)
    for at, rows in X.pieces(_SPARSE_ROWS):
        each = np.repeat(weight[at], np.diff(rows.indptr))
        entries = function(rows.data.astype(np.float64, copy=False), rows.indices)
        total += np.bincount(rows.indices, each * entries, n_features)
        stored += np.bincount(rows.indices, each, n_features)
        n_stored += np.bincount(rows.indices, minlength=n_features)
    # Where every row has an entry, the rest would be rounding.
    rest = np.where(n_stored < len(X), np.maximum(weight.sum() - stored, 0), 0)
    zeros = function(np.zeros(n_features), slice(None))
    return np.asarray((total + rest * zeros) / weight.sum())


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
    """True if losses fell by more than chance explains.

    Their mean must be lower, and the mean relative gain of a row, on which a few large losses
    have little influence, larger than its standard error. `before` and `after` are losses of
    the same rows, (n_samples,).
    """
    size = np.maximum(np.abs(before) + np.abs(after), np.finfo(before.dtype).tiny)
    gain = (before - after) / size
    mean = np.average(gain, weights=sample_weight)
    variance = np.average(np.square(gain - mean), weights=sample_weight)
    first, second = (np.average(losses, weights=sample_weight) for losses in (before, after))
    return bool(second < first and mean > np.sqrt(variance / len(gain)))
