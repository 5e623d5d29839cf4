"""Cells that are missing, and tables in which they are filled."""

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._frames import is_frame, read_columns

Array = NDArray[Any]


def missing_cells(X: Any) -> Array:
    """Which cells of a table are missing.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.

    Returns
    -------
    ndarray of bool of shape (n_samples, n_features)
    """
    return np.column_stack([~cells.observed for cells in read_columns(X)])


def with_missing(X: Any, value: Any) -> Any:
    """A table in which this value is missing.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.

    value : int, float or str
        What stands for a missing cell.
    """
    if is_frame(X):
        frame = nw.from_native(X, eager_only=True)
        columns = [_without(series, value) for series in frame.iter_columns()]
        return frame.with_columns(*columns).to_native()
    found = value == X
    if X.dtype.kind in "iub":
        return np.where(found, np.nan, X.astype(np.float64))
    if X.dtype.kind in "USO":
        X = X.astype(object)
    return np.where(found, np.array(np.nan, X.dtype), X)


def _without(series: nw.Series[Any], value: Any) -> nw.Series[Any]:
    if series.dtype.is_numeric() == isinstance(value, str):
        return series
    found = (series == value).fill_null(False)
    if not found.any():
        return series
    none = nw.new_series(
        series.name, [None] * len(series), series.dtype, backend=series.implementation
    )
    return series.zip_with(~found, _alongside(none, series))


def _alongside(series: nw.Series[Any], other: Any) -> nw.Series[Any]:
    """A series with the index of another, where there are such things."""
    index = nw.maybe_get_index(other)
    if index is None:
        return series
    # As pandas has it: narwhals would read the index value by value.
    return nw.from_native(series.to_native().set_axis(index), series_only=True)


def with_cells(X: Any, filling: Any, missing: Array) -> Any:
    """A table with other cells where they are missing, and the same cells elsewhere.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.

    filling : data frame or ndarray
        Of the same library, columns and dtypes.

    missing : ndarray of bool of shape (n_samples, n_features)
        Which cells are taken from `filling`.
    """
    if not is_frame(X):
        return np.where(missing, filling, X)
    frame = nw.from_native(X, eager_only=True)
    other = nw.from_native(filling, eager_only=True)
    columns = []
    for j, series in enumerate(frame.iter_columns()):
        if missing[:, j].any():
            there = nw.new_series("there", ~missing[:, j], backend=frame.implementation)
            columns.append(series.zip_with(_alongside(there, series), other[:, j]))
    return frame.with_columns(*columns).to_native() if columns else frame.clone().to_native()


def with_zeros(X: Any, columns: Array, missing: Array) -> Any:
    """A table with zeros in the missing cells of these columns, where they hold numbers.

    Parameters
    ----------
    X : data frame or ndarray
        The table.

    columns : ndarray of int
        Which columns.

    missing : ndarray of bool of shape (n_samples, n_features)
        Which cells are missing.
    """
    if not is_frame(X):
        chosen = np.isin(np.arange(X.shape[1]), columns)
        return np.where(missing & chosen, 0, X) if X.dtype.kind in "fO" else X
    frame = nw.from_native(X, eager_only=True)
    empty = [frame[:, int(j)] for j in columns]
    zeros = [s.fill_null(0).fill_nan(0) for s in empty if s.dtype.is_float()]
    zeros += [s.fill_null(0) for s in empty if s.dtype.is_integer()]
    return frame.with_columns(*zeros).to_native() if zeros else X


def only_columns(X: Any, columns: Array) -> Any:
    """A table of these columns."""
    if not is_frame(X):
        return X[:, columns]
    return nw.from_native(X, eager_only=True)[:, [int(j) for j in columns]].to_native()


def with_flags(X: Any, flags: Array, names: list[str]) -> Any:
    """A table with columns of flags appended: booleans in a data frame, else 0 and 1.

    Parameters
    ----------
    X : data frame or ndarray
        The table.

    flags : ndarray of bool of shape (n_samples, n_flags)
        What is appended.

    names : list of str
        Of the columns of a data frame.
    """
    if not is_frame(X):
        return np.hstack([X, flags.astype(X.dtype)])
    frame = nw.from_native(X, eager_only=True)
    made = [
        nw.new_series(name, flags[:, j].copy(), backend=frame.implementation)
        for j, name in enumerate(names)
    ]
    return frame.with_columns(*(_alongside(s, frame) for s in made)).to_native()
