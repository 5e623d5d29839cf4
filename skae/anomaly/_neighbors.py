"""Distances to the nearest reference rows, and their shares by column."""

from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from skae.utils import _sklearn
from skae.utils._arrays import overridable

Array = NDArray[Any]

# Distance, squared or not, below which two rows are the same.
SAME = 1e-10

# Up to so many entries of pairs of rows all distances are computed: a search takes longer to
# start. The other work for a distance takes as long as this many entries.
_FEW_ENTRIES = 2**22
_ENTRIES_BESIDE = 20

# With so many columns one product of matrices for all blocks takes half the time of a search in
# each of them. Rows for which distances are held at a time.
_MANY_COLUMNS = 512
_MOST_ROWS = 1024

# Least distance of neighbours, relative to the median: the densest region is not infinitely
# dense.
_LEAST_DISTANCE = 0.1


class NearestRows:
    """Reference rows, of which each fold model has those that it may have been trained on.

    Of the rows that equal the row of interest one is left out, so that a reference row is not
    its own neighbour: reference rows and others are treated alike. The distance may count
    relative to the neighbours' own distances, by a power of the quotient [1]_.

    References
    ----------
    .. [1] M. M. Breunig et al., "LOF: Identifying Density-Based Local Outliers", SIGMOD,
       2000.
    """

    rows: Array  # the reference, (n_reference, n_features)
    n_neighbors: int  # fewer than given where a model has no more reference rows
    leaves_out: bool  # one of the rows that are equal, where a model has more
    masks: Array  # reference rows of each fold model, (n_models, n_reference)
    # Positions of reference rows of the same models, which are searched together, and the mask
    # of these models.
    blocks: list[Any]
    unit: Array  # mean distance of the reference rows of each fold model, (n_models,)
    own_distance: Array | None  # of each reference row, (n_models, n_reference), if relative
    least_distance: Array  # of neighbours, by fold model, (n_models,)
    power: float = 0.5  # of the quotient

    def __init__(self, rows: Array, masks: Array, n_neighbors: int, relative: bool) -> None:
        self.rows = rows
        self.masks = masks
        fewest = int(masks.sum(axis=1).min())
        self.n_neighbors = max(min(n_neighbors, fewest - 1), 1)
        self.leaves_out = fewest > 1
        patterns, pattern = np.unique(masks, axis=1, return_inverse=True)
        self.blocks = [
            (np.flatnonzero(pattern.ravel() == i), models)
            for i, models in enumerate(patterns.T)
            if models.any()
        ]
        most = _MOST_ROWS if rows.shape[1] >= _MANY_COLUMNS else len(rows)
        parts = [rows[i : i + most] for i in range(0, len(rows), most)]
        found = [self._search(part, range(len(masks))) for part in parts]
        means = [np.stack([mean for mean, _, _ in of_part]) for of_part in found]
        distance = np.hstack(means) / rows.shape[1]
        of_models = [each[mask] for each, mask in zip(distance, masks, strict=True)]
        self.unit = np.array([each.mean() for each in of_models])
        self.own_distance = distance if relative else None
        medians = [np.median(each) for each in of_models]
        self.least_distance = _LEAST_DISTANCE * np.array(medians)

    def scores(self, Z: Array, models: Iterable[int]) -> list[Array]:
        """Mean squared difference to the neighbours of rows Z, (n_models, n_samples).

        In units of its mean over the reference rows; relative to the neighbours' own where
        these count.
        """
        models, scores = list(models), []
        for j, (mean, chosen, position) in zip(models, self._search(Z, models), strict=True):
            mean = mean / Z.shape[1]
            score = mean / (self.unit[j] or 1.0)
            if self.own_distance is not None:
                least = self.least_distance[j] or 1.0
                theirs = picked(self.own_distance[j], picked(position, chosen)).mean(axis=1)
                score = score * ((mean + least) / (theirs + least)) ** self.power
            scores.append(score)
        return scores

    def shares(self, Z: Array) -> Array:
        """Shares of the columns in the distance of rows Z, a mean over models, as `Z`."""
        weight: Any = 0.0
        for mean, chosen, position in self._search(Z, range(len(self.unit))):
            of_model = np.zeros(position.shape)
            total = np.maximum(self.n_neighbors * mean, SAME)[:, np.newaxis]
            np.put_along_axis(of_model, chosen, 1 / total, axis=1)
            weight = weight + of_model
        square = np.square(self.rows[position] - Z[:, np.newaxis])
        parts = np.einsum("nc,ncd->nd", weight, square) + SAME
        return np.asarray(parts / parts.sum(axis=1, keepdims=True))

    def _search(self, Z: Array, models: Iterable[int]) -> Iterator[tuple[Array, Array, Array]]:
        """By fold model, mean squared distances (n_samples,), and the neighbours of rows Z.

        As positions among candidates, (n_samples, n_neighbors), and the positions of these in
        the reference, (n_samples, n_candidates).
        """
        at_models, every, found = list(models), None, []
        if isinstance(Z, np.ndarray):
            Z = np.ascontiguousarray(Z)
            every = self._distances(Z)
        for at, models_of_block in self.blocks:
            if not models_of_block[at_models].any():
                continue
            k = min(self.n_neighbors + 1, len(at))
            if every is not None:
                distance, order = smallest(every[:, at], k)
            else:
                distance, order = nearest(Z, self.rows[at], k)
                distance = np.square(distance)
            found.append((distance, picked(at, order), models_of_block))
        distances, positions, candidate_of = zip(*found, strict=True)
        position, sizes = np.hstack(positions), [each.shape[1] for each in distances]
        for model in at_models:
            is_candidate = [mask[model] for mask in candidate_of]
            at, k = np.flatnonzero(np.repeat(is_candidate, sizes)), self.n_neighbors
            candidates = np.hstack(list(compress(distances, is_candidate)))
            squares, order = smallest(
                candidates, k + self.leaves_out, ascending=self.leaves_out
            )
            if self.leaves_out:
                same = squares[:, :1] < SAME
                squares = np.where(same, squares[:, 1:], squares[:, :-1])
                order = np.where(same, order[:, 1:], order[:, :-1])
            yield squares.mean(axis=1), picked(at, order), position

    def _distances(self, Z: Array) -> Array | None:
        """Squared distances of rows Z to the reference, (n_samples, n_reference).

        None where a search in each block is faster.
        """
        n_entries = len(Z) * len(self.rows) * (Z.shape[1] + _ENTRIES_BESIDE)
        if n_entries <= _FEW_ENTRIES:
            return cdist(Z, self.rows, "sqeuclidean")
        if Z.shape[1] < _MANY_COLUMNS:
            return None
        squares = [np.einsum("ij,ij->i", X, X) for X in (Z, self.rows)]
        return (np.add.outer(*squares) - 2 * (Z @ self.rows.T)).clip(0)


# Of rows (n_samples, n_features): an ONNX tensor has no other search.
nearest = overridable(_sklearn.nearest)


@overridable
def smallest(X: Array, k: int, ascending: bool = False) -> tuple[Array, Array]:
    """The k smallest entries of each row of X, (n_samples, k), and their positions in it."""
    row, position = np.arange(len(X))[:, np.newaxis], X.argpartition(k - 1, axis=1)[:, :k]
    if ascending:
        position = position[row, X[row, position].argsort(axis=1)]
    return X[row, position], position


@overridable
def picked(values: Array, position: Array) -> Array:
    """Values (n_values,), or those of each row (n_samples, n_values), at its positions."""
    if values.ndim == 1:
        return values[position]
    return values[np.arange(len(values))[:, np.newaxis], position]
