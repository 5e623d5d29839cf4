"""Colours of the points of a display by classes, numbers or times, some of them missing."""

from datetime import date, timedelta
from decimal import Decimal
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.utils import column_or_1d

# Whole numbers with more distinct values than this are measured, not classes.
_MOST_CLASSES = 20
# Of more classes than this the most frequent are drawn apart, and the others as one.
_MOST_SHOWN = 30

# Durations are measured in the largest unit that the longest has two of.
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


class Labels(NamedTuple):
    """The labels of rows.

    Attributes
    ----------
    observed : ndarray of bool of shape (n_samples,)
        Which rows have a label.

    classes : dict of str to ndarray of bool of shape (n_samples,), or None
        The rows of each class; None: labels are measured.

    values : ndarray of shape (n_samples,) or None
        Measured labels, NaN where they are missing; dates as matplotlib counts them.

    unit : str
        Of durations, else empty.

    are_dates : bool
        Whether values are dates.
    """

    observed: np.ndarray
    classes: dict | None = None
    values: np.ndarray | None = None
    unit: str = ""
    are_dates: bool = False


def read_labels(y):
    """Labels of any library: strings, numbers, booleans, categories, dates, durations.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels; None, NaN, NaT and NA are missing.
    """
    labels = _as_list(y)
    observed = np.array([not _is_missing(label) for label in labels], dtype=bool)
    present = [labels[i] for i in np.flatnonzero(observed)]
    if all(_is_number(label) for label in present):
        numbers = _spread([float(label) for label in present], observed)
        if np.isinf(numbers).any():
            raise ValueError("y must hold finite numbers; it has infinite ones.")
        distinct = np.unique(numbers[observed])
        if len(distinct) > _MOST_CLASSES or (distinct != np.round(distinct)).any():
            return Labels(observed, values=numbers)
    elif all(isinstance(label, date) for label in present):
        from matplotlib.dates import date2num

        values = _spread([date2num(label) for label in present], observed)
        return Labels(observed, values=values, are_dates=True)
    elif all(isinstance(label, timedelta) for label in present):
        seconds = _spread([label.total_seconds() for label in present], observed)
        longest = np.nanmax(np.abs(seconds))
        unit = next((u for u, size in _UNITS.items() if longest >= 2 * size), "seconds")
        return Labels(observed, values=seconds / _UNITS[unit], unit=unit)
    return Labels(observed, classes=_classes(labels, observed, _order(y)))


def _as_list(y):
    """Labels as a list of Python's objects, of length n_samples."""
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(y, name) and getattr(y, "ndim", 1) == 1 and not isinstance(y, np.ndarray):
            return getattr(y, name)()
    y = column_or_1d(y) if np.ndim(y) < 2 else column_or_1d(np.asarray(y))
    if y.dtype.kind in "mM":
        # In nanoseconds NumPy gives integers.
        y = y.astype(f"{y.dtype.kind}8[us]")
    return y.tolist()


def _is_missing(label):
    if label is None:
        return True
    try:
        return bool(label != label)
    except TypeError:  # NA is neither equal nor different
        return True


def _is_number(label):
    return isinstance(label, Real | Decimal) and not isinstance(label, bool | np.bool_)


def _spread(values, observed):
    """Numbers at the places of the observed labels, of shape (n_samples,), NaN elsewhere."""
    spread = np.full(len(observed), np.nan)
    spread[observed] = values
    return spread


def _order(y):
    """The categories of a categorical dtype in their order, else None."""
    categories = getattr(getattr(y, "dtype", None), "categories", None)
    return list(categories) if hasattr(categories, "__len__") else None


def _classes(labels, observed, order):
    """The rows of each class, by its name, each of shape (n_samples,)."""
    rows = {}
    for i in np.flatnonzero(observed):
        rows.setdefault(labels[i], []).append(i)
    if order is None:
        try:
            order = sorted(rows)
        except TypeError:
            order = sorted(rows, key=lambda label: (type(label).__name__, str(label)))
    order = [label for label in order if label in rows]
    others = []
    if len(order) > _MOST_SHOWN:
        frequent = sorted(order, key=lambda label: -len(rows[label]))[: _MOST_SHOWN - 1]
        others = [i for label in order if label not in frequent for i in rows[label]]
        n_others = len(order) - len(frequent)
        order = [label for label in order if label in frequent]
    masks = {str(label): np.isin(np.arange(len(labels)), rows[label]) for label in order}
    if others:
        masks[f"{n_others} others"] = np.isin(np.arange(len(labels)), others)
    return masks
