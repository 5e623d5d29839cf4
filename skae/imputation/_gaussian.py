"""Linear imputation: a normal distribution of the columns, and the normal scores of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Array = NDArray[Any]

# Rows that the distribution is fitted to, in all and for each column, where there are more;
# and rounds of expectation maximisation.
_ENOUGH_ROWS, _ROWS_A_COLUMN = 1000, 20
_ROUNDS = 12

# Entries of the matrices that are solved at a time.
_CHUNK_ENTRIES = 2**22

# Added to variances: covariances of equal columns stay invertible.
_LEAST_VARIANCE = 1e-6

# Points of the curve of a column.
_MOST_POINTS = 200


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of the columns; fills missing values by their conditional mean.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Mean of each column.

    covariance : ndarray of shape (n_features, n_features)
        Covariance of the columns.
    """

    mean: Array
    covariance: Array

    @classmethod
    def from_data(cls, X: Array, observed: Array, rng: np.random.RandomState) -> "Gaussian":
        """Fit by expectation maximisation, shrunk a little to independent columns.

        X, and the mask of observed values : (n_samples, n_features). `rng` chooses rows where
        there are many.
        """
        enough = max(_ENOUGH_ROWS, _ROWS_A_COLUMN * X.shape[1])
        if len(X) > enough:
            chosen = rng.permutation(len(X))[:enough]
            X, observed = X[chosen], observed[chosen]
        n, p = X.shape
        count = np.maximum(observed.sum(axis=0), 1)
        mean = np.where(observed, X, 0).sum(axis=0) / count
        squares = np.where(observed, np.square(X - mean), 0)
        variance = squares.sum(axis=0) / count + _LEAST_VARIANCE
        # As many rows of independent columns as keep small tables steady.
        prior = 2 + np.sqrt(p) / 2
        model = cls(mean, np.diag(variance))
        for _ in range(1 if observed.all() else _ROUNDS):
            filled, remaining = model._conditional(X, observed, with_covariance=True)
            mean = filled.mean(axis=0)
            around = filled - mean
            covariance = around.T @ around + remaining + prior * np.diag(variance)
            covariance = covariance / (n + prior) + _LEAST_VARIANCE * np.eye(p)
            model = cls(mean, covariance)
        return model

    def fill(self, X: Array, observed: Array) -> Array:
        """X with the conditional mean where a value is missing; all (n_samples, n_features)."""
        return self._conditional(X, observed)[0]

    def _conditional(
        self, X: Array, observed: Array, with_covariance: bool = False
    ) -> tuple[Array, Array]:
        """Filled rows, and the sum over rows of the conditional covariance of missing values.

        X, observed : (n_samples, n_features); the sum : (n_features, n_features).
        """
        p = X.shape[1]
        filled, remaining = np.array(X, dtype=np.float64), np.zeros((p, p))
        incomplete = np.flatnonzero(~observed.all(axis=1))
        precision = np.linalg.inv(self.covariance)
        size = max(_CHUNK_ENTRIES // (p * p), 1)
        diagonal = np.arange(p)
        for start in range(0, len(incomplete), size):
            index = incomplete[start : start + size]
            known, unknown = observed[index], ~observed[index]
            pulls = np.where(known, X[index] - self.mean, 0) @ precision * unknown
            # Rows and columns of observed values become those of the unit matrix.
            both = unknown[:, :, np.newaxis] & unknown[:, np.newaxis, :]
            matrix = precision * both
            matrix[:, diagonal, diagonal] += known
            if with_covariance:
                inverse = np.linalg.inv(matrix)
                remaining += (inverse * both).sum(axis=0)
                shift: Array = inverse @ pulls[:, :, np.newaxis]
            else:
                shift = np.linalg.solve(matrix, pulls[:, :, np.newaxis])
            filled[index] = np.where(known, X[index], self.mean - shift[:, :, 0])
        return filled, remaining


@dataclass(frozen=True)
class NormalScores:
    """Columns by their ranks, so that each has nearly a normal distribution.

    Parameters
    ----------
    curves : sequence of (ndarray, ndarray) or None
        Values and scores of each column, between which it is interpolated; None: the
        column has at most two values, and stays.
    """

    curves: Sequence[tuple[Array, Array] | None]

    @classmethod
    def from_data(cls, X: Array, observed: Array) -> "NormalScores":
        """Scores of the observed values; X, observed : (n_samples, n_features)."""
        return cls([_curve(X[observed[:, j], j]) for j in range(X.shape[1])])

    def transform(self, X: Array) -> Array:
        """Values as scores, both (n_samples, n_features)."""
        return self._interpolated(X, 0, 1)

    def inverse_transform(self, Z: Array) -> Array:
        """Scores as values, both (n_samples, n_features)."""
        return self._interpolated(Z, 1, 0)

    def _interpolated(self, X: Array, source: int, target: int) -> Array:
        """X, (n_samples, n_features), from one side of the curves to the other."""
        result = np.array(X, dtype=np.float64)
        for j, curve in enumerate(self.curves):
            if curve is not None:
                result[:, j] = np.interp(X[:, j], curve[source], curve[target])
        return result


def _curve(values: Array) -> tuple[Array, Array] | None:
    """Points of the curve from values, (n_observed,), to their scores."""
    points, counts = np.unique(values, return_counts=True)
    if len(points) <= 2:
        return None
    # The middle of the ranks of equal values.
    scores = ndtri((np.cumsum(counts) - counts / 2) / len(values))
    if len(points) > _MOST_POINTS:
        chosen = np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).astype(int))
        points, scores = points[chosen], scores[chosen]
    return points, scores
