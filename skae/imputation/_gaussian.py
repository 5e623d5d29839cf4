"""A normal distribution of rows with missing cells: what is expected of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Rows that the distribution is learnt from, in all and for each column, where there are
# more; and rounds of expectation and maximisation.
_ENOUGH_ROWS, _ROWS_A_COLUMN = 1000, 20
_ROUNDS = 12

# Entries of the matrices that are solved at a time.
_CHUNK_ENTRIES = 2**22

# Keeps matrices of columns that say the same invertible.
_LEAST = 1e-6


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of rows; a missing cell is what the others make expect.

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
    def of(cls, X: Array, there: Array, rng: np.random.RandomState) -> "Gaussian":
        """By expectation and maximisation, drawn a little to independent columns.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows; what stands in missing cells does not matter.

        there : ndarray of bool of shape (n_samples, n_features)
            Which cells are not missing.

        rng : RandomState
            Chooses rows, where there are many.
        """
        enough = max(_ENOUGH_ROWS, _ROWS_A_COLUMN * X.shape[1])
        if len(X) > enough:
            chosen = rng.permutation(len(X))[:enough]
            X, there = X[chosen], there[chosen]
        n, p = X.shape
        count = np.maximum(there.sum(axis=0), 1)
        mean = np.where(there, X, 0).sum(axis=0) / count
        variance = np.where(there, np.square(X - mean), 0).sum(axis=0) / count + _LEAST
        # As many made-up rows of independent columns as keep small tables steady.
        prior = 2 + np.sqrt(p) / 2
        model = cls(mean, np.diag(variance))
        for _ in range(_ROUNDS if not there.all() else 1):
            filled, left = model._expected(X, there, with_covariance=True)
            mean = filled.mean(axis=0)
            around = filled - mean
            covariance = around.T @ around + left + prior * np.diag(variance)
            covariance = covariance / (n + prior) + _LEAST * np.eye(p)
            model = cls(mean, covariance)
        return model

    def fill(self, X: Array, there: Array) -> Array:
        """X with what is expected in the cells that are missing.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows; what stands in missing cells does not matter.

        there : ndarray of bool of shape (n_samples, n_features)
            Which cells are not missing.
        """
        return self._expected(X, there)[0]

    def _expected(
        self, X: Array, there: Array, with_covariance: bool = False
    ) -> tuple[Array, Array]:
        """Filled rows, and the sum over rows of the covariance that is left of them."""
        p = X.shape[1]
        filled, left = np.array(X, dtype=np.float64), np.zeros((p, p))
        holed = np.flatnonzero(~there.all(axis=1))
        precision = np.linalg.inv(self.covariance)
        size = max(_CHUNK_ENTRIES // (p * p), 1)
        diagonal = np.arange(p)
        for start in range(0, len(holed), size):
            index = holed[start : start + size]
            known, unknown = there[index], ~there[index]
            pulls = np.where(known, X[index] - self.mean, 0) @ precision * unknown
            # Rows and columns of cells that are there become those of the unit matrix.
            both = unknown[:, :, np.newaxis] & unknown[:, np.newaxis, :]
            matrix = precision * both
            matrix[:, diagonal, diagonal] += known
            if with_covariance:
                inverse = np.linalg.inv(matrix)
                left += (inverse * both).sum(axis=0)
                shift: Array = inverse @ pulls[:, :, np.newaxis]
            else:
                shift = np.linalg.solve(matrix, pulls[:, :, np.newaxis])
            filled[index] = np.where(known, X[index], self.mean - shift[:, :, 0])
        return filled, left
