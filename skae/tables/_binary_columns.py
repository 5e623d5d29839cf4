"""Columns of a matrix that have two values."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
VALUE_TOLERANCE = 1e-5


class BinaryColumns(NamedTuple):
    """Columns of two values.

    Parameters
    ----------
    columns : ndarray of int of shape (n_columns,)
        Their positions.

    low, high : ndarray of shape (n_columns,)
        The two values of each.
    """

    columns: NDArray[np.intp]
    low: NDArray[np.floating]
    high: NDArray[np.floating]

    @classmethod
    def from_data(cls, X: NDArray[np.floating]) -> "BinaryColumns":
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
            if len(pair) == 2 and few and not _continue_counting(pair[0], pair[1], others):
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

    def has_high(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Mask of the higher value in X (n_samples, n_features), (n_samples, n_columns)."""
        return self._equal(self.high, X)

    def has_either(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Mask of both values in X (n_samples, n_features), (n_samples, n_columns)."""
        return self._equal(self.low, X) | self._equal(self.high, X)

    def _equal(self, value: NDArray[np.floating], X: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Mask (n_samples, n_columns) of value (n_columns,) in X (n_samples, n_features)."""
        # Halves: the distance itself may overflow.
        given, value, low, high = (
            part.astype(np.float64) / 2
            for part in (X[:, self.columns], value, self.low, self.high)
        )
        return np.asarray(np.abs(given - value) <= VALUE_TOLERANCE * (high - low))


def _continue_counting(low: float, high: float, others: NDArray[np.floating]) -> bool:
    """Return True if others, (n_values,), continue from two values as counts of things do."""
    steps = (others.astype(np.float64) - low) / (float(high) - float(low))
    return bool((np.abs(steps - np.round(steps)) < _WHOLE_TOLERANCE).any())
