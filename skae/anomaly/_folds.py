"""Rows that each fold model is trained on: cross-validation folds and trimming."""

from collections.abc import Callable
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

# From so many columns on distances are Euclidean, which takes a tenth of the time.
_MANY_COLUMNS = 512

# Trimmed share of the rows with a value of a binary column, relative to that of all rows.
_MOST_TRIMMED = 2.0


@dataclass(frozen=True)
class Folds:
    """Rows that each fold model is trained on, and rows held out, which it has not seen."""

    train_mask: Array  # (n_models, n_samples)
    held_out: list[Array]  # positions, for each fold model

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
        total, count = np.zeros((2, self.train_mask.shape[1], *values[0].shape[1:]))
        for rows, of_model in zip(self.held_out, values, strict=True):
            total[rows] += of_model
            count[rows] += 1
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def depends_on_number(cv: Any) -> bool:
    """True if folds follow from the number of rows and their groups alone.

    Positions in an iterable, in a `PredefinedSplit` and in splitters of other libraries
    refer to the rows as given.
    """
    if type(cv).__module__.startswith("sklearn."):
        return not isinstance(cv, PredefinedSplit)
    return cv is None or isinstance(cv, Integral)


def split_folds(
    cv: Any, X: Any, groups: Array | None, counted: Array, rng: np.random.RandomState
) -> list[tuple[Array, Array]]:
    """Rows to train on and rows held out, for each fold, as positions among the counted rows.

    By the parameter `cv` of the detector, rows X, their groups, and the mask of those that
    count, (n_samples,) both. Splits without a row that counts are left out.
    """
    if depends_on_number(cv):
        # These folds are drawn among the rows that count.
        groups = None if groups is None else groups[counted]
        counted = np.ones(np.count_nonzero(counted), dtype=bool)
        X = np.zeros((len(counted), 1))
    cv = _N_FOLDS if cv is None else cv
    if isinstance(cv, Integral):
        n_groups = len(counted) if groups is None else len(np.unique(groups))
        if n_groups < 2:
            raise ValueError(
                "groups must have at least two different values, so that some rows can be "
                f"held out while others are trained on; all {len(counted)} rows are of the "
                f"group {groups[0]!r}."  # type: ignore[index]
            )
        kind = KFold if groups is None else GroupKFold
        cv = kind(min(int(cv), n_groups), shuffle=True, random_state=rng)
    if hasattr(cv, "split"):
        try:
            found = list(cv.split(X, None, groups))
        except (TypeError, ValueError) as error:
            raise ValueError(f"cv={cv!r} cannot split the rows: {error}") from error
    else:
        found = list(cv)
    position, splits = np.cumsum(counted) - 1, []
    for number, split in enumerate(found):
        train, test = _checked(split, number, len(counted))
        train, test = (position[part[counted[part]]] for part in (train, test))
        if len(train) and len(test):
            splits.append((train, test))
    if not splits:
        raise ValueError(
            "cv must hold out rows of positive weight and leave others to train on, in one "
            f"split at least; got {cv!r:.200}."
        )
    return splits


def _checked(split: Any, number: int, n_samples: int) -> tuple[Array, Array]:
    """Positions to train on and to hold out, (n_train,) and (n_test,), none of them in both.

    From a pair of positions or of masks, (n_samples,).
    """
    try:
        train, test = map(np.asarray, split)
    except (TypeError, ValueError):
        raise ValueError(
            f"cv must give pairs of positions, (train, test); split {number} is {split!r:.200}."
        ) from None
    parts = []
    for part, role in ((train, "train on"), (test, "hold out")):
        if part.dtype == bool and part.shape == (n_samples,):
            part = np.flatnonzero(part)
        if part.size == 0:
            raise ValueError(f"cv must {role} at least one row; split {number} has none.")
        if part.ndim != 1 or part.dtype.kind not in "iu":
            raise ValueError(
                "cv must give positions of rows, one-dimensional arrays of integers, or masks "
                f"of shape ({n_samples},); split {number} has an array of shape {part.shape} "
                f"and dtype {part.dtype}."
            )
        if not 0 <= part.min() <= part.max() < n_samples:
            raise ValueError(
                f"cv must give positions of rows from 0 to {n_samples - 1}; those of split "
                f"{number} range from {part.min()} to {part.max()}."
            )
        parts.append(part)
    train, test = parts
    n_both = np.isin(test, train).sum()
    if n_both:
        raise ValueError(
            f"cv must hold out rows that are not trained on; split {number} has {n_both} rows "
            "in both parts."
        )
    return train, test


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
    mask, n_left = np.ones(len(Z), dtype=bool), int(share * len(Z))
    binary = BinaryColumns.from_data(Z)
    # The low value, the high one, and any other, which is not protected.
    value = np.where(binary.has_either(Z), binary.has_high(Z), 2)
    columns = np.arange(len(binary.columns))
    counts = np.stack([(value == i).sum(axis=0) for i in range(2)])
    remaining = np.vstack([_MOST_TRIMMED * share * counts, np.full(len(columns), np.inf)])
    for row in np.argsort(-distance, kind="stable"):
        if n_left == 0:
            break
        if (remaining[value[row], columns] > 0).all():
            remaining[value[row], columns] -= 1
            mask[row] = False
            n_left -= 1
    return mask


def central_mask(Z: Array, share: float, rng: np.random.RandomState) -> Array:
    """Mask of the rows Z, (n_samples, n_features), without this share of the most distant.

    By the Manhattan distance, of many columns the Euclidean one, to the neighbour at a
    twentieth of the reference rows (the 20th at least), so that groups of fewer anomalies than
    that are not each other's neighbours.
    """
    rows = reference = filled(Z)
    if len(Z) > _MOST_REFERENCE:
        reference = rows[rng.permutation(len(Z))[:_MOST_REFERENCE]]
    rank = min(max(20, len(reference) // 20), len(reference) - 2)
    if rank < 1:
        return np.ones(len(Z), dtype=bool)
    metric = "manhattan" if Z.shape[1] < _MANY_COLUMNS else "euclidean"
    distance, _ = nearest(rows, reference, rank + 1, metric)
    is_reference = distance[:, 0] < SAME
    return trim_mask(np.where(is_reference, distance[:, rank], distance[:, rank - 1]), Z, share)
