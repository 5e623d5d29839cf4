"""Numbers as normal scores: their ranks, on the scale of a normal distribution."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[Any]

# Points of the curve of a column.
_MOST_POINTS = 200


@dataclass(frozen=True)
class NormalScores:
    """Columns by ranks, so that each has nearly a normal distribution.

    Parameters
    ----------
    curves : sequence of (ndarray, ndarray) or None
        Values and scores of each column, between which it is interpolated; None: the
        column has at most two values, and stays.
    """

    curves: Sequence[tuple[Array, Array] | None]

    @classmethod
    def of(cls, X: Array, there: Array) -> "NormalScores":
        """Scores of the cells that are not missing."""
        return cls([_curve(X[there[:, j], j]) for j in range(X.shape[1])])

    def transform(self, X: Array) -> Array:
        """Values as scores."""
        return self._interpolated(X, 0, 1)

    def inverse_transform(self, Z: Array) -> Array:
        """Scores as values."""
        return self._interpolated(Z, 1, 0)

    def _interpolated(self, X: Array, source: int, target: int) -> Array:
        result = np.array(X, dtype=np.float64)
        for j, curve in enumerate(self.curves):
            if curve is not None:
                result[:, j] = np.interp(X[:, j], curve[source], curve[target])
        return result


def _curve(values: Array) -> tuple[Array, Array] | None:
    points, counts = np.unique(values, return_counts=True)
    if len(points) <= 2:
        return None
    # The middle of the ranks of equal values.
    shares = (np.cumsum(counts) - counts / 2) / len(values)
    scores = ndtri(shares)
    if len(points) > _MOST_POINTS:
        chosen = np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int))
        points, scores = points[chosen], scores[chosen]
    return points, scores
