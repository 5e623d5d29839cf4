"""Results in the container of the rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def column_names(X: Any, n_columns: int) -> list[str]:
    """Those of a data frame, else x0, x1, ... as in scikit-learn."""
    # In PyArrow `columns` are arrays.
    columns = getattr(X, "column_names", getattr(X, "columns", None))
    if columns is None:
        return [f"x{i}" for i in range(n_columns)]
    return [str(name) for name in columns]


def column_labels(X: Any) -> list[Any] | None:
    """Those of a data frame of pandas, of whatever type, else None."""
    return list(X.columns) if hasattr(X, "iloc") and hasattr(X, "columns") else None


def index_of(X: Any) -> Any:
    """The index of a data frame of pandas, else None."""
    return X.index if hasattr(X, "iloc") and hasattr(X, "columns") else None


def in_the_form_of(X: Any, values: NDArray[Any]) -> Any:
    """A data frame with the index and columns of X where X is one, else the array."""
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return type(X)(values, index=X.index, columns=X.columns)
    if hasattr(X, "get_columns"):  # polars
        return type(X)(np.asarray(values), schema=list(X.columns))
    if hasattr(X, "from_arrays"):  # PyArrow
        return type(X).from_arrays(list(values.T), names=X.column_names)
    return values


def unique_names(names: Sequence[str], is_derived: ArrayLike) -> list[str]:
    """Names of which those that were derived from others are made unique.

    Parameters
    ----------
    names : sequence of str
        Names of columns.

    is_derived : array-like of bool of shape (n_names,)
        Which names get a suffix, "_2", "_3" and so on, where the name is that of another
        column or stands earlier in the sequence.

    Returns
    -------
    list of str
    """
    derived = np.asarray(is_derived, bool)
    taken = {name for name, can_change in zip(names, derived, strict=True) if not can_change}
    unique = list(names)
    for i in map(int, np.flatnonzero(derived)):
        count = 2
        while unique[i] in taken or (count > 2 and unique[i] in names):
            unique[i], count = f"{names[i]}_{count}", count + 1
        taken.add(unique[i])
    return unique
