"""Distances to the nearest of some rows, column by column."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.utils._sklearn import nearest

Array = NDArray[Any]

# Squared distance below which two rows are the same.
_SAME = 1e-10


class NearestRows:
    """Rows to be near to.

    Of the rows that equal the one that is asked about, one is left out, so that a
    reference row is not its own neighbour. It is left out for any row: reference rows
    and others are treated alike.

    Parameters
    ----------
    rows : ndarray of shape (n_reference, n_features)
        The reference.

    n_neighbors : int
        How many neighbours count; fewer where there are no more.
    """

    def __init__(self, rows: Array, n_neighbors: int) -> None:
        self.rows = rows
        self.n_neighbors = min(n_neighbors, max(len(rows) - 1, 1))

    def neighbors(self, Z: Array) -> Array:
        """The neighbours of each row, (n_samples, n_neighbors, n_features)."""
        n_asked = min(self.n_neighbors + 1, len(self.rows))
        found = self.rows[nearest(Z, self.rows, n_asked)[1]]
        if n_asked == self.n_neighbors:
            return found
        # Computed again: products of matrices leave a row some way from itself.
        distance = np.square(found - Z[:, np.newaxis]).sum(axis=2)
        order = np.argsort(distance, axis=1, kind="stable")
        same = np.take_along_axis(distance, order[:, :1], axis=1) < _SAME
        order = np.where(same, order[:, 1:], order[:, :-1])
        return np.asarray(np.take_along_axis(found, order[:, :, np.newaxis], axis=1))

    def squared(self, Z: Array) -> Array:
        """Mean squared difference to the neighbours, (n_samples, n_features)."""
        difference = self.neighbors(Z) - Z[:, np.newaxis]
        return np.asarray(np.square(difference, out=difference).mean(axis=1))


def central(Z: Array, share: float, rng: np.random.RandomState, n_reference: int) -> Array:
    """Which rows lie nearest to the others.

    By the Manhattan distance to the neighbour at a twentieth of the reference rows (the
    20th at least): groups of fewer anomalies than that do not shelter each other.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Rows.

    share : float
        Share of the rows that is asked for.

    rng : RandomState
        Chooses the reference rows.

    n_reference : int
        How many at most.

    Returns
    -------
    ndarray of int
        Sorted positions of the rows.
    """
    reference = Z
    if len(Z) > n_reference:
        reference = Z[rng.permutation(len(Z))[:n_reference]]
    rank = min(max(20, len(reference) // 20), len(reference) - 2)
    if rank < 1:
        return np.arange(len(Z))
    distance, _ = nearest(Z, reference, rank + 1, metric="manhattan")
    itself = distance[:, 0] < _SAME
    far = np.where(itself, distance[:, rank], distance[:, rank - 1])
    return np.sort(np.argsort(far, kind="stable")[: int(np.ceil(share * len(Z)))])
