"""Which rows are held out together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, check_cv
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
    cv: Any, n_samples: int, groups: Array | None, rng: np.random.RandomState
) -> list[tuple[Array, Array]]:
    """Rows to train on and rows held out, for each fold.

    Parameters
    ----------
    cv : int, cross-validation generator, iterable or None
        An int: as many folds, or as many as there are rows or groups, drawn at random.
        None: five.

    n_samples : int
        Number of rows.

    groups : ndarray of shape (n_samples,) or None
        Which group each row belongs to: those of a group are held out together.

    rng : RandomState
        Draws the folds.

    Returns
    -------
    list of tuple of ndarray
        Positions.
    """
    n_apart = n_samples if groups is None else len(np.unique(groups))
    if n_apart < 2:
        raise ValueError(
            "groups must have at least two different values, so that some rows can be held "
            f"out while others are trained on; all {n_samples} rows are of the group "
            f"{groups[0]!r}."  # type: ignore[index]
        )
    if cv is None:
        cv = _N_FOLDS
    if isinstance(cv, Integral):
        kind = KFold if groups is None else GroupKFold
        cv = kind(min(int(cv), n_apart), shuffle=True, random_state=rng)
    # What is split is a stand-in: splitters look at nothing but the number of rows.
    folds: Iterable[tuple[Array, Array]] = check_cv(cv).split(
        np.zeros((n_samples, 1)), None, groups
    )
    return [(np.asarray(train), np.asarray(test)) for train, test in folds]


def check_groups(X: Any, groups: Any, sample_weight: Any) -> Array | None:
    """Groups of the rows that have a weight.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Rows.

    groups : array-like of shape (n_samples,) or None
        Which group each row belongs to.

    sample_weight : array-like of shape (n_samples,) or None
        Weights of the rows.
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
    if sample_weight is None or np.ndim(sample_weight) == 0:
        return groups
    check_consistent_length(X, sample_weight)
    return np.asarray(groups[np.asarray(sample_weight) > 0])
