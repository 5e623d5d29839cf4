"""Rows that each fold model is trained on: cross-validation folds and trimming."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit
from sklearn.utils import check_consistent_length

from skae.anomaly._neighbors import SAME
from skae.tables._squashing_scaler import BinaryColumns
from skae.utils._rows import filled
from skae.utils._sklearn import nearest

Array = NDArray[Any]

# Number of folds with ``cv=None``, as in scikit-learn.
_N_FOLDS = 5

# Rows to which the others' distances are taken before trimming.
_MOST_REFERENCE = 2000

# Trimmed share of the rows with a value of a binary column, relative to that of all rows.
_MOST_TRIMMED = 2.0


@dataclass(frozen=True)
class Folds:
    """Rows that each fold model is trained on, and rows held out, which it has not seen.

    Parameters
    ----------
    train_mask : ndarray of bool of shape (n_models, n_samples)
        Rows that each fold model is trained on.

    held_out : list of ndarray of int
        Positions of the rows that are held out from each fold model.
    """

    train_mask: Array
    held_out: list[Array]

    @classmethod
    def from_splits(cls, splits: list[tuple[Array, Array]], central: Array) -> "Folds":
        """Folds of splits, positions to train on and to hold out, without trimmed rows.

        A fold that has no row of the mask `central`, (n_samples,), keeps all its rows.
        """
        train_mask = np.zeros((len(splits), len(central)), dtype=bool)
        for mask, (train, _) in zip(train_mask, splits, strict=True):
            mask[train] = True
            if (mask & central).any():
                mask &= central
        return cls(train_mask, [test for _, test in splits])

    def held_out_values(self, function: Callable[[int, Array], Array]) -> Array:
        """Values of each row by the fold model that has not seen it, (n_samples, ...).

        By ``function(model, positions)``, an array of shape (n_positions, ...). The mean over
        fold models where a row is held out from several; NaN where it never is.
        """
        values = [function(model, rows) for model, rows in enumerate(self.held_out)]
        n_samples, width = self.train_mask.shape[1], values[0].shape[1:]
        total, count = np.zeros((n_samples, *width)), np.zeros((n_samples, *width))
        for rows, of_model in zip(self.held_out, values, strict=True):
            total[rows] += of_model
            count[rows] += 1
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def split_folds(
    cv: Any,
    n_samples: int,
    groups: Array | None,
    rng: np.random.RandomState,
    counted: Array | None = None,
    X: Any = None,
) -> list[tuple[Array, Array]]:
    """Rows to train on and rows held out, for each fold, as positions among the counted rows.

    Parameters
    ----------
    cv : int, cross-validation generator, iterable or None
        An int: as many folds, or as many as there are rows or groups, drawn at random.
        None: five. Positions from the user refer to the rows as given.

    n_samples : int
        Number of rows.

    groups : ndarray of shape (n_samples,) or None
        Group of each row: those of a group are held out together.

    rng : RandomState
        Draws the folds.

    counted : ndarray of bool of shape (n_samples,), default=None
        Mask of the rows of positive weight; None: all.

    X : array-like of shape (n_samples, ...), default=None
        The rows, for splitters that are not scikit-learn's.

    Returns
    -------
    list of tuple of ndarray of int
        Positions, without those of rows that do not count.
    """
    counted = np.ones(n_samples, bool) if counted is None else counted
    cv = _N_FOLDS if cv is None else cv
    if isinstance(cv, Integral):
        cv = _random_folds(int(cv), groups, counted, rng)
    if depends_on_number(cv):
        groups = None if groups is None else groups[counted]
        stand_in = np.zeros((int(counted.sum()), 1))
        splits = _checked(_split(cv, stand_in, groups), len(stand_in))
    else:
        X = np.zeros((n_samples, 1)) if X is None else X
        splits = _among(counted, _checked(_split(cv, X, groups), n_samples))
    if not splits:
        raise ValueError(
            "cv must hold out rows of positive weight and leave others to train on, in one "
            f"split at least; got {cv!r:.200}."
        )
    return splits


def _random_folds(
    n_folds: int, groups: Array | None, counted: Array, rng: np.random.RandomState
) -> Any:
    """A splitter of `n_folds`, or fewer rows or groups; groups, counted : (n_samples,)."""
    n_samples = n_groups = int(counted.sum())
    if groups is not None:
        n_groups = len(np.unique(groups[counted]))
    if n_groups < 2:
        raise ValueError(
            "groups must have at least two different values, so that some rows can be held "
            f"out while others are trained on; all {n_samples} rows are of the group "
            f"{groups[counted][0]!r}."  # type: ignore[index]
        )
    kind = KFold if groups is None else GroupKFold
    return kind(min(n_folds, n_groups), shuffle=True, random_state=rng)


def depends_on_number(cv: Any) -> bool:
    """True if folds follow from the number of rows and their groups alone.

    Positions in an iterable, in a `PredefinedSplit` and in splitters of other libraries
    refer to the rows as given.
    """
    if cv is None or isinstance(cv, Integral):
        return True
    is_of_sklearn = type(cv).__module__.startswith("sklearn.")
    return is_of_sklearn and not isinstance(cv, PredefinedSplit)


def _split(cv: Any, X: Any, groups: Array | None) -> list[Any]:
    """The splits of a splitter, with groups (n_samples,), or an iterable; errors name `cv`."""
    if not hasattr(cv, "split"):
        return list(cv)
    try:
        return list(cv.split(X, None, groups))
    except (TypeError, ValueError) as error:
        raise ValueError(f"cv={cv!r} cannot split the rows: {error}") from error


def _checked(splits: Iterable[Any], n_samples: int) -> list[tuple[Array, Array]]:
    """Pairs of positions, none of them both trained on and held out."""
    checked = []
    for number, split in enumerate(splits):
        try:
            train, test = split
        except (TypeError, ValueError):
            raise ValueError(
                "cv must give pairs of positions, (train, test); split "
                f"{number} is {split!r:.200}."
            ) from None
        train, test = (_positions(part, number, n_samples) for part in (train, test))
        for part, role in ((train, "train on"), (test, "hold out")):
            if not len(part):
                raise ValueError(f"cv must {role} at least one row; split {number} has none.")
        if np.isin(test, train).any():
            raise ValueError(
                "cv must hold out rows that are not trained on; split "
                f"{number} has {np.isin(test, train).sum()} rows in both parts."
            )
        checked.append((train, test))
    return checked


def _positions(part: Any, number: int, n_samples: int) -> Array:
    """Positions of rows, given as such or as a mask, shape (n_part,)."""
    part = np.asarray(part)
    if part.dtype == bool and part.shape == (n_samples,):
        return np.flatnonzero(part)
    part = part.astype(np.intp) if part.size == 0 else part
    if part.ndim != 1 or part.dtype.kind not in "iu":
        raise ValueError(
            "cv must give positions of rows, one-dimensional arrays of integers, or masks of "
            f"shape ({n_samples},); split {number} has an array of shape {part.shape} and "
            f"dtype {part.dtype}."
        )
    if part.size and not 0 <= part.min() <= part.max() < n_samples:
        raise ValueError(
            f"cv must give positions of rows from 0 to {n_samples - 1}; those of split "
            f"{number} range from {part.min()} to {part.max()}."
        )
    return part


def _among(counted: Array, splits: list[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    """The same splits of the rows that count, (n_samples,), at their positions among these."""
    position = np.cumsum(counted) - 1
    of_counted = [
        (position[train[counted[train]]], position[test[counted[test]]])
        for train, test in splits
    ]
    return [split for split in of_counted if all(map(len, split))]


def positive_weight(sample_weight: Any, n_positive: int) -> Array:
    """Mask of the rows of positive weight, (n_samples,), of which there are so many."""
    weight = np.asarray(1.0 if sample_weight is None else sample_weight)
    return np.ones(n_positive, bool) if weight.ndim == 0 else np.asarray(weight > 0)


def check_groups(X: Any, groups: Any) -> Array | None:
    """Groups of the rows of X as an array (n_samples,) of values that can be sorted."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(
            "groups must have one entry for each row, shape (n_samples,); got an array of "
            f"shape {groups.shape}."
        )
    check_consistent_length(X, groups)
    try:
        np.unique(groups)
    except TypeError:
        kinds = sorted({type(group).__name__ for group in groups})
        raise TypeError(
            f"groups must be of one type that can be sorted; got {', '.join(kinds)}."
        ) from None
    return groups


def trim_mask(distance: Array, Z: Array, share: float) -> Array:
    """Mask of the rows Z, (n_samples, n_features), without this share of the most distant.

    In a binary column neither value loses more than twice the share of its rows: a minority
    stays a minority and does not vanish. `distance` has shape (n_samples,).
    """
    mask = np.ones(len(Z), dtype=bool)
    n_trimmed = int(share * len(Z))
    if n_trimmed:
        order = np.argsort(-distance, kind="stable")
        mask[_within_share(BinaryColumns.from_data(Z), Z, order, n_trimmed, share)] = False
    return mask


def _within_share(
    binary: BinaryColumns, Z: Array, order: Array, n_trimmed: int, share: float
) -> Array:
    """First positions of `order`, (n_samples,), without rows whose value has lost its share."""
    n_columns = len(binary.columns)
    if n_columns == 0:
        return order[:n_trimmed]
    # The low value, the high one, and any other, which is not protected.
    value = np.where(binary.has_either(Z), binary.has_high(Z), 2)
    counts = np.stack([(value == i).sum(axis=0) for i in range(2)])
    remaining = np.vstack([_MOST_TRIMMED * share * counts, np.full(n_columns, np.inf)])
    columns = np.arange(n_columns)
    trimmed: list[int] = []
    for row in order:
        if (remaining[value[row], columns] > 0).all():
            remaining[value[row], columns] -= 1
            trimmed.append(row)
            if len(trimmed) == n_trimmed:
                break
    return np.array(trimmed, dtype=np.intp)


def central_mask(Z: Array, share: float, rng: np.random.RandomState) -> Array:
    """Mask of the rows Z, (n_samples, n_features), without this share of the most distant.

    By the Manhattan distance to the neighbour at a twentieth of the reference rows (the 20th at
    least), so that groups of fewer anomalies than that are not each other's neighbours.
    """
    rows = reference = filled(Z)
    if len(Z) > _MOST_REFERENCE:
        reference = rows[rng.permutation(len(Z))[:_MOST_REFERENCE]]
    rank = min(max(20, len(reference) // 20), len(reference) - 2)
    if rank < 1:
        return np.ones(len(Z), dtype=bool)
    distance, _ = nearest(rows, reference, rank + 1, metric="manhattan")
    is_reference = distance[:, 0] < SAME
    return trim_mask(np.where(is_reference, distance[:, rank], distance[:, rank - 1]), Z, share)
