"""Distances to the nearest of some rows, column by column."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from skae.utils._sklearn import nearest

Array = NDArray[Any]

# Distance, squared or not, below which two rows are the same.
SAME = 1e-10

# Up to so many entries of pairs of rows all distances are computed: a search takes longer to
# begin. What else is done with a distance is worth this many entries.
_FEW_ENTRIES = 2**22
_ENTRIES_BESIDE = 20

# Of the distances that are usual: two rows of the densest region are not infinitely dense.
_LEAST_DENSITY = 0.1


class NearestRows:
    """Rows to be near to, as each member of an ensemble knows them.

    Of the rows that equal the one that is asked about, one is left out, so that a
    reference row is not its own neighbour. It is left out for any row: reference rows
    and others are treated alike.

    Parameters
    ----------
    rows : ndarray of shape (n_reference, n_features)
        The reference.

    known : ndarray of bool of shape (n_members, n_reference)
        Which of them each member knows.

    n_neighbors : int
        How many neighbours count; fewer where a member knows no more.

    relative : bool
        Whether the neighbours' own distances count, by their square root: a row is then
        odd for how much farther from its neighbours it lies than these from theirs [1]_.

    References
    ----------
    .. [1] M. M. Breunig et al., "LOF: Identifying Density-Based Local Outliers", SIGMOD,
       2000.
    """

    rows: Array
    n_neighbors: int
    usual: Array
    _leaves_out: bool
    _known: Array
    _blocks: list[Any]
    _own: Array | None
    _least: Array

    def __init__(self, rows: Array, known: Array, n_neighbors: int, relative: bool) -> None:
        self.rows = rows
        fewest = int(known.sum(axis=1).min())
        self.n_neighbors = max(min(n_neighbors, fewest - 1), 1)
        self._leaves_out = fewest > 1
        self._known = known
        # Rows that the same members know are searched together.
        kinds, kind = np.unique(known, axis=1, return_inverse=True)
        kind = kind.ravel()
        self._blocks = [
            (np.flatnonzero(kind == i), kinds[:, i])
            for i in range(kinds.shape[1])
            if kinds[:, i].any()
        ]
        members = range(len(known))
        own = np.stack([mean for mean, _ in self._searched(rows, members)])
        self.usual = np.array([own[j, known[j]].mean() for j in members])
        self._own = own if relative else None
        self._least = _LEAST_DENSITY * np.array([np.median(own[j, known[j]]) for j in members])

    def scores(self, Z: Array, members: Sequence[int]) -> Array:
        """How far rows lie from what each of these members knows, (n_members, n_samples).

        The mean squared difference of a cell to the neighbours, in units of its mean over
        the reference rows; relative to the neighbours' own, where these count.
        """
        scores = []
        for j, (mean, nearest_rows) in zip(members, self._searched(Z, members), strict=True):
            score = mean / (self.usual[j] or 1.0)
            if self._own is not None:
                least = self._least[j] or 1.0
                theirs = self._own[j][nearest_rows].mean(axis=1)
                score = score * np.sqrt((mean + least) / (theirs + least))
            scores.append(score)
        return np.stack(scores)

    def shares(self, Z: Array) -> Array:
        """Part of each column in the distance, a mean over members, (n_samples, n_features).

        The parts of a row add up to one.
        """
        distance, position, known = self._candidates(Z, slice(None))
        weight = np.zeros_like(distance)
        row = np.arange(len(Z))[:, np.newaxis]
        for knows in known:
            chosen = self._chosen(distance, knows)
            total = distance[row, chosen].sum(axis=1, keepdims=True)
            weight[row, chosen] += 1 / np.maximum(total, SAME)
        square = np.square(self.rows[position] - Z[:, np.newaxis])
        parts = np.einsum("nc,ncd->nd", weight, square) + SAME
        return np.asarray(parts / parts.sum(axis=1, keepdims=True))

    @property
    def n_candidates(self) -> int:
        """How many reference rows are looked at for each row."""
        return sum(min(self.n_neighbors + 1, len(at)) for at, _ in self._blocks)

    def _searched(self, Z: Array, members: Sequence[int]) -> Iterator[tuple[Array, Array]]:
        """Mean squared difference of a cell, and which the neighbours are, by member."""
        distance, position, known = self._candidates(Z, list(members))
        row = np.arange(len(Z))[:, np.newaxis]
        for knows in known:
            chosen = self._chosen(distance, knows)
            mean = distance[row, chosen].mean(axis=1) / Z.shape[1]
            yield mean, position[row, chosen]

    def _chosen(self, distance: Array, knows: Array) -> Array:
        """Which of the candidates are the neighbours that a member finds."""
        at = np.flatnonzero(knows)
        k = self.n_neighbors + self._leaves_out
        order, theirs = _least(distance[:, at], k)
        if self._leaves_out:
            row = np.arange(len(order))[:, np.newaxis]
            order = order[row, theirs.argsort(axis=1)]
            same = theirs.min(axis=1, keepdims=True) < SAME
            order = np.where(same, order[:, 1:], order[:, :-1])
        return np.asarray(at[order])

    def _candidates(self, Z: Array, members: Any) -> tuple[Array, Array, Array]:
        """Squared distances, positions, and which members know them, of what may be near."""
        n_entries = len(Z) * len(self.rows) * (Z.shape[1] + _ENTRIES_BESIDE)
        every = cdist(Z, self.rows, "sqeuclidean") if n_entries <= _FEW_ENTRIES else None
        found = []
        for at, knows in self._blocks:
            if not knows[members].any():
                continue
            k = min(self.n_neighbors + 1, len(at))
            if every is not None:
                position, distance = _least(every[:, at], k)
            else:
                distance, position = nearest(Z, self.rows[at], k)
                distance = np.square(distance)
            found.append((distance, at[position], np.tile(knows[members], (k, 1)).T))
        distances, positions, knowns = zip(*found, strict=True)
        return (
            np.concatenate(distances, axis=1),
            np.concatenate(positions, axis=1),
            np.concatenate(knowns, axis=1),
        )


def _least(values: Array, k: int) -> tuple[Array, Array]:
    """Where the k least of each row are, in no order, and what they are."""
    at = np.argpartition(values, k - 1, axis=1)[:, :k]
    return at, values[np.arange(len(values))[:, np.newaxis], at]
