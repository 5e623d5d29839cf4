"""Which training rows lie in the midst of the others."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.anomaly._neighbors import SAME
from skae.tables._binary_columns import BinaryColumns
from skae.utils._rows import filled
from skae.utils._sklearn import nearest

Array = NDArray[Any]

# Rows to which the others' distances are taken.
_MOST_REFERENCE = 2000

# How many times its fair share of the trimmed rows a protected level may lose.
_MOST_LOST = 2.0


def central(Z: Array, share: float, rng: np.random.RandomState) -> Array:
    """Which rows are left when this share of them, the farthest from the others, is dropped.

    Far by the Manhattan distance to the neighbour at a twentieth of the reference rows
    (the 20th at least): groups of fewer anomalies than that do not shelter each other.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Rows, in comparable columns; NaN where a value is missing.

    share : float
        Share of the rows that is dropped.

    rng : RandomState
        Chooses the reference rows.

    Returns
    -------
    ndarray of bool of shape (n_samples,)
    """
    rows = reference = filled(Z)
    if len(Z) > _MOST_REFERENCE:
        reference = rows[rng.permutation(len(Z))[:_MOST_REFERENCE]]
    rank = min(max(20, len(reference) // 20), len(reference) - 2)
    if rank < 1:
        return np.ones(len(Z), dtype=bool)
    distance, _ = nearest(rows, reference, rank + 1, metric="manhattan")
    itself = distance[:, 0] < SAME
    far = np.where(itself, distance[:, rank], distance[:, rank - 1])
    return without_farthest(far, Z, share)


def without_farthest(far: Array, Z: Array, share: float) -> Array:
    """Which rows are left when the farthest, this share of them, are dropped.

    Where a column has two levels, neither loses more than twice the share of its rows: a
    minority stays a minority and does not vanish.

    Parameters
    ----------
    far : ndarray of shape (n_samples,)
        How far each row is.

    Z : ndarray of shape (n_samples, n_features)
        Rows.

    share : float
        Share of the rows that is dropped.

    Returns
    -------
    ndarray of bool of shape (n_samples,)
    """
    kept = np.ones(len(Z), dtype=bool)
    n_dropped = int(share * len(Z))
    if n_dropped:
        order = np.argsort(-far, kind="stable")
        kept[_within_their_share(BinaryColumns.from_data(Z), Z, order, n_dropped, share)] = (
            False
        )
    return kept


def _within_their_share(
    levels: BinaryColumns, Z: Array, order: Array, n_dropped: int, share: float
) -> Array:
    """The first of these rows, without those whose level has lost its share of rows."""
    n_columns = len(levels.columns)
    if n_columns == 0:
        return order[:n_dropped]
    # The low level, the high one, and whatever else there is, which is not protected.
    level = np.where(levels.has_either(Z), levels.has_high(Z), 2)
    number = np.stack([(level == i).sum(axis=0) for i in range(2)])
    left = np.vstack([_MOST_LOST * share * number, np.full(n_columns, np.inf)])
    columns = np.arange(n_columns)
    dropped: list[int] = []
    for row in order:
        if (left[level[row], columns] > 0).all():
            left[level[row], columns] -= 1
            dropped.append(row)
            if len(dropped) == n_dropped:
                break
    return np.array(dropped, dtype=np.intp)
