"""Columns of a matrix in units of their own, logarithmic far from the mean, or binary."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.utils._rows import moments

Array = NDArray[Any]

# Standard deviations from the mean beyond which values are squashed.
THRESHOLD = 3.0

# Deviations below this share of the largest value may come from rounding alone. Those below the
# second share do, or those of less than so many roundings of a coarser dtype.
_NARROW = 1e-9
_ROUNDING = 1e-14
_ROUNDINGS = 2.0

# Rows in which the two values are searched for, about.
_MOST_SEARCHED = 2000

# Share of rows that may have other values, which are errors. A value that fewer rows have than
# the second share may itself be an error.
_MOST_OTHERS = 0.1
_LEAST_SHARE = 0.02

# Distance from a whole number that counts as rounding.
_WHOLE_TOLERANCE = 1e-6

# Distance from a value, as a share of that between the two, that counts as rounding: rows come
# in float32 and in float64, and scaled by other steps.
_VALUE_TOLERANCE = 1e-5


def is_narrow(deviation: Any, largest: Any, rounding: float) -> Any:
    """Mask of columns that vary little for the size of their values; all (n_columns,)."""
    return deviation <= max(_NARROW, _ROUNDINGS * rounding) * largest


def narrow_moments(values: Array, weight: Array | None, rounding: float) -> tuple[float, float]:
    """Mean and standard deviation of values that vary little for their size.

    Both are computed after the least value is subtracted. The deviation is 0 if it may come
    from rounding alone; whole numbers that the dtype holds exactly are not rounded. `values`
    and `weight` have shape (n_samples,), NaN marks missing values, and `rounding` is relative.
    """
    observed = ~np.isnan(values)
    values = values[observed].astype(np.float64)
    if not len(values):
        return 0.0, 0.0
    weight = None if weight is None else weight[observed]
    least, largest = values.min(), np.abs(values).max()
    mean, deviation = moments((values - least)[:, np.newaxis], weight)
    is_exact = largest * rounding <= 2 and bool((values == np.round(values)).all())
    is_real = is_exact or deviation[0] > max(_ROUNDING, _ROUNDINGS * rounding) * largest
    return float(least + mean[0]), float(deviation[0]) if is_real else 0.0


@dataclass(frozen=True)
class SquashingScaler:
    """Columns standardised one by one, and logarithmic beyond three standard deviations.

    A value `z` standard deviations from the mean stays `z` up to three and becomes
    ``3 * (1 + log(z / 3))`` beyond: monotone, smooth and invertible. An outlier stays the
    farthest value of its column, but does not dominate the others. A constant column is
    centred and keeps its unit. The unit of a binary column is half the distance of its values,
    as if both were equally frequent: a rare value is no farther away than a frequent one.
    """

    centre: Array  # mean of each column, (n_features,)
    scale: Array  # unit of each column

    @classmethod
    def from_data(cls, X: Array, weight: Array | None = None) -> "SquashingScaler":
        """Scaler of X, (n_samples, n_features), by rows of `weight` (n_samples,)."""
        centre, scale = moments(X, weight)
        rounding = float(np.finfo(X.dtype).eps)
        largest = np.fmax.reduce(np.abs(X), axis=0, initial=0.0)
        for j in np.flatnonzero(is_narrow(scale, largest, rounding)):
            centre[j], scale[j] = narrow_moments(X[:, j], weight, rounding)
        binary = BinaryColumns.from_data(X)
        half = binary.high.astype(np.float64) / 2 - binary.low.astype(np.float64) / 2
        scale[binary.columns] = np.where(scale[binary.columns] > 0, half, 0)
        scale[scale == 0] = 1.0
        return cls(centre, scale)

    def transform(self, X: Array) -> Array:
        """X (n_samples, n_features) in these units, in float64."""
        return squash((X - self.centre) / self.scale)

    def inverse_transform(self, Z: Array) -> Array:
        """Z (n_samples, n_features) in the units of the data, in float64."""
        return unsquash(Z) * self.scale + self.centre


@np.errstate(over="ignore")
def deviations(X: Array, centre: Array | float, scale: Array | float) -> Array:
    """Standard deviations of X, of any shape; of what overflows, the largest number."""
    z: Array = (X - centre) / scale
    largest = np.finfo(z.dtype).max
    return z.clip(-largest, largest)


def squash(z: Array) -> Array:
    """Standard deviations, of any shape, logarithmic beyond three."""
    size = np.maximum(np.abs(z), THRESHOLD)
    squashed = np.sign(z) * THRESHOLD * (1 + np.log(size / THRESHOLD))
    return np.where(np.abs(z) > THRESHOLD, squashed, z)


@np.errstate(over="ignore")  # of outputs of networks that are far from any row
def unsquash(z: Array) -> Array:
    """Inverse of `squash`, of any shape."""
    size = np.maximum(np.abs(z), THRESHOLD)
    outside = np.sign(z) * THRESHOLD * np.exp(size / THRESHOLD - 1)
    return np.where(np.abs(z) > THRESHOLD, outside, z)


def unsquash_log_derivative(z: Array) -> Array:
    """Logarithm of the derivative of `unsquash`, of the shape of z."""
    return np.asarray(np.maximum(np.abs(z) / THRESHOLD - 1, 0))


class BinaryColumns(NamedTuple):
    """Columns of two values: their positions and the two values of each, all (n_columns,)."""

    columns: NDArray[np.intp]
    low: Array
    high: Array

    @classmethod
    def from_data(cls, X: Array) -> "BinaryColumns":
        """Columns of X, (n_samples, n_features), where two values are frequent and others rare.

        NaN marks missing values, which do not count.
        """
        some = X[:: max(len(X) // _MOST_SEARCHED, 1)]
        columns, pairs = [], []
        for j in range(X.shape[1]):
            column = some[~np.isnan(some[:, j]), j]
            values, counts = np.unique(column, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            pair, others = np.sort(values[order[:2]]), values[order[2:]]
            # On some of the rows the shares are not exact.
            few = counts[order[2:]].sum() <= 2 * _MOST_OTHERS * len(column)
            if len(pair) < 2 or not few:
                continue
            # Others that are whole steps away continue from the two as counts of things do.
            low, high = pair.tolist()
            steps = (others.astype(np.float64) - low) / (high - low)
            if not (np.abs(steps - np.round(steps)) < _WHOLE_TOLERANCE).any():
                columns.append(j)
                pairs.append(pair)
        ends = np.array(pairs, dtype=X.dtype).reshape(-1, 2).T
        found = cls(np.array(columns, dtype=np.intp), *ends)
        observed = (~np.isnan(X[:, found.columns])).mean(axis=0)
        either = found.has_either(X).mean(axis=0) / observed
        high = found.has_high(X).mean(axis=0) / observed
        rarer = np.minimum(high, either - high)
        two = (either >= 1 - _MOST_OTHERS) & (rarer >= _LEAST_SHARE)
        return cls(found.columns[two], found.low[two], found.high[two])

    def has_high(self, X: Array) -> Array:
        """Mask of the higher value in X (n_samples, n_features), (n_samples, n_columns)."""
        return self._equal(self.high, X)

    def has_either(self, X: Array) -> Array:
        """Mask of both values in X (n_samples, n_features), (n_samples, n_columns)."""
        return self._equal(self.low, X) | self._equal(self.high, X)

    def _equal(self, value: Array, X: Array) -> Array:
        """Mask (n_samples, n_columns) of value (n_columns,) in X (n_samples, n_features)."""
        # Halves: the distance itself may overflow.
        given, value, low, high = (
            part.astype(np.float64) / 2
            for part in (X[:, self.columns], value, self.low, self.high)
        )
        is_equal: Array = np.abs(given - value) <= _VALUE_TOLERANCE * (high - low)
        return is_equal
