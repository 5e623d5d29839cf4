"""Columns of two levels: flags, and categories turned into columns."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Rows in which the two levels are looked for, about.
_MOST_SEARCHED = 2000

# How many rows may have other values: cells that are wrong are no levels. A level that fewer
# rows have may be what is wrong with them.
_MOST_OTHERS = 0.1
_LEAST_SHARE = 0.02

# How near to a whole number is one.
_ON_A_STEP = 1e-6

# How far from a level, in the distance between the two, is the level: rows come in float32 and
# in float64, and scaled by other steps, whose roundings differ.
ON_A_LEVEL = 1e-5


class BinaryColumns(NamedTuple):
    """Columns of two levels.

    Parameters
    ----------
    columns : ndarray of int of shape (n_columns,)
        Their positions.

    low, high : ndarray of shape (n_columns,)
        The levels.
    """

    columns: NDArray[np.intp]
    low: NDArray[np.floating]
    high: NDArray[np.floating]

    @classmethod
    def of(cls, X: NDArray[np.floating]) -> "BinaryColumns":
        """The columns in which two values are nearly all there is, and neither is rare.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows; NaN where a value is missing, which does not count.
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
            if len(pair) == 2 and few and not _goes_on(pair[0], pair[1], others):
                columns.append(j)
                pairs.append(pair)
        levels = np.array(pairs, dtype=X.dtype).reshape(-1, 2).T
        found = cls(np.array(columns, dtype=np.intp), *levels)
        observed = (~np.isnan(X[:, found.columns])).mean(axis=0)
        either = found.has_level(X).mean(axis=0) / observed
        high = found.has_high(X).mean(axis=0) / observed
        rarer = np.minimum(high, either - high)
        two = (either >= 1 - _MOST_OTHERS) & (rarer >= _LEAST_SHARE)
        return cls(found.columns[two], found.low[two], found.high[two])

    def has_high(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether rows have the higher level, (n_samples, n_columns)."""
        return self._is(self.high, X)

    def has_level(self, X: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether rows have one of the levels, (n_samples, n_columns)."""
        return self._is(self.low, X) | self._is(self.high, X)

    def _is(self, level: NDArray[np.floating], X: NDArray[np.floating]) -> NDArray[np.bool_]:
        # Halves: the distance itself may be no number.
        cells, level, low, high = (
            values.astype(np.float64) / 2
            for values in (X[:, self.columns], level, self.low, self.high)
        )
        return np.asarray(np.abs(cells - level) <= ON_A_LEVEL * (high - low))


def _goes_on(low: float, high: float, others: NDArray[np.floating]) -> bool:
    """Whether other values go on where two leave off, as those of a number of things do."""
    steps = (others.astype(np.float64) - low) / (float(high) - float(low))
    return bool((np.abs(steps - np.round(steps)) < _ON_A_STEP).any())
