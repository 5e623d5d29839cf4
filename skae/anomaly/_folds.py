"""Which rows are held out together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit
from sklearn.utils import check_consistent_length

Array = NDArray[Any]

# Where the number of folds is left open, as in scikit-learn.
_N_FOLDS = 5


@dataclass(frozen=True)
class Folds:
    """What each member of an ensemble sees, and what it judges as it has not seen it.

    Parameters
    ----------
    seen : ndarray of bool of shape (n_members, n_samples)
        Which rows each member may see.

    held_out : list of ndarray of int
        Positions of the rows that each member judges.
    """

    seen: Array
    held_out: list[Array]

    @classmethod
    def of(cls, splits: list[tuple[Array, Array]], kept: Array) -> "Folds":
        """Of rows to train on, those that are kept; all of them where none of them are."""
        seen = np.zeros((len(splits), len(kept)), dtype=bool)
        for mask, (train, _) in zip(seen, splits, strict=True):
            mask[train] = True
            if (mask & kept).any():
                mask &= kept
        return cls(seen, [test for _, test in splits])

    def judged(self, judge: Callable[[int, Array], Array]) -> Array:
        """A number for each row, or several, by the member that has not seen it.

        The mean over members where several have not; NaN where all have.

        Parameters
        ----------
        judge : callable
            ``judge(member, positions)``: a number for each of these rows, or as many for
            one as for the others.
        """
        judged = [judge(member, rows) for member, rows in enumerate(self.held_out)]
        n_samples, width = self.seen.shape[1], judged[0].shape[1:]
        total, count = np.zeros((n_samples, *width)), np.zeros((n_samples, *width))
        for rows, values in zip(self.held_out, judged, strict=True):
            total[rows] += values
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
    """Rows to train on and rows held out, for each fold, as positions among those counted.

    Parameters
    ----------
    cv : int, cross-validation generator, iterable or None
        An int: as many folds, or as many as there are rows or groups, drawn at random.
        None: five. Positions that the user gives are those of the rows as they were given.

    n_samples : int
        Number of rows.

    groups : ndarray of shape (n_samples,) or None
        Group of each row: those of a group are held out together.

    rng : RandomState
        Draws the folds.

    counted : ndarray of bool of shape (n_samples,), default=None
        Which rows have a positive weight; None: all.

    X : array-like of shape (n_samples, ...), default=None
        The rows, for splitters that are not scikit-learn's.

    Returns
    -------
    list of tuple of ndarray of int
        Positions, those of rows that do not count left out.
    """
    counted = np.ones(n_samples, bool) if counted is None else counted
    cv = _N_FOLDS if cv is None else cv
    if isinstance(cv, Integral):
        cv = _drawn_folds(int(cv), groups, counted, rng)
    if _counts_rows(cv):
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


def _drawn_folds(
    n_folds: int, groups: Array | None, counted: Array, rng: np.random.RandomState
) -> Any:
    """A splitter of so many folds, or of as many as there are rows or groups."""
    n_samples = n_apart = int(counted.sum())
    if groups is not None:
        n_apart = len(np.unique(groups[counted]))
    if n_apart < 2:
        raise ValueError(
            "groups must have at least two different values, so that some rows can be held "
            f"out while others are trained on; all {n_samples} rows are of the group "
            f"{groups[counted][0]!r}."  # type: ignore[index]
        )
    kind = KFold if groups is None else GroupKFold
    return kind(min(n_folds, n_apart), shuffle=True, random_state=rng)


def _counts_rows(cv: Any) -> bool:
    """Whether folds follow from the number of rows and their groups alone.

    Positions in an iterable, in a `PredefinedSplit` and in splitters of other libraries
    refer to rows as the user gave them.
    """
    is_of_sklearn = type(cv).__module__.startswith("sklearn.")
    return is_of_sklearn and not isinstance(cv, PredefinedSplit)


def _split(cv: Any, X: Any, groups: Array | None) -> list[Any]:
    """The splits of a splitter or an iterable; errors name `cv`."""
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
    """The same splits of the rows that count, at their positions among these."""
    position = np.cumsum(counted) - 1
    of_counted = [
        (position[train[counted[train]]], position[test[counted[test]]])
        for train, test in splits
    ]
    return [split for split in of_counted if all(map(len, split))]


def positive_weight(sample_weight: Any, n_positive: int) -> Array:
    """Mask of the rows of positive weight, shape (n_samples,).

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        Weights that have been checked.

    n_positive : int
        How many are positive.
    """
    weight = np.asarray(1.0 if sample_weight is None else sample_weight)
    return np.ones(n_positive, bool) if weight.ndim == 0 else np.asarray(weight > 0)


def check_groups(X: Any, groups: Any) -> Array | None:
    """Groups as an array of values that can be sorted.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Rows.

    groups : array-like of shape (n_samples,) or None
        Group of each row.
    """
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
