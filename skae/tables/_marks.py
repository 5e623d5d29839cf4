"""Cells that are missing, and values that mark them."""

from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._frames import is_frame, read_columns

Array = NDArray[Any]

#: Dtypes of times.
TIMES = (nw.Date, nw.Datetime, nw.Duration, nw.Time)


def missing_mask(X: Any) -> Array:
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


def without_sparse(X: Any) -> Any:
    """A table with the same cells, in which columns of pandas that are sparse are dense."""
    if not hasattr(X, "iloc"):
        return X
    dense = {
        name: dtype.subtype
        for name, dtype in X.dtypes.items()
        if type(dtype).__name__ == "SparseDtype"
    }
    return X.astype(dense) if dense else X


def marked_values(X: Any, mark: Any) -> Array:
    """Which cells of a table equal a mark.

    A number marks numbers, a string strings and a boolean booleans, in columns of any dtype
    that can hold them, categories and objects too.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.

    mark : int, float, str or bool
        What stands for a missing cell.

    Returns
    -------
    ndarray of bool of shape (n_samples, n_features)
    """
    mark = mark.item() if hasattr(mark, "item") else mark
    if not is_frame(X):
        return _equal_cells(X, mark)
    columns = nw.from_native(X, eager_only=True).iter_columns()
    return np.column_stack([_marked(series, mark) for series in columns])


def _marked(series: nw.Series[Any], mark: Any) -> Array:
    """Which cells of a column equal the mark, of shape (n_samples,)."""
    found = np.zeros(len(series), bool)
    dtype = series.dtype
    if isinstance(dtype, TIMES) or (dtype.is_numeric() and type_of(mark) != "number"):
        return found
    observed = ~series.is_null().to_numpy()
    if isinstance(dtype, nw.Decimal):
        series = series.cast(nw.Float64)
    kept = series.drop_nulls()
    cells = kept.to_numpy() if dtype.is_numeric() else objects_of(kept)
    found[observed] = _equal_cells(cells, mark)
    return found


def objects_of(series: nw.Series[Any]) -> Array:
    """The cells of a column as objects, of shape (n_samples,)."""
    cells = np.empty(len(series), dtype=object)
    cells[:] = series.to_list()
    return cells


def without_values(X: Any, gone: Array, mark: Any) -> Any:
    """A table in which some cells are missing.

    NumPy's integers and booleans, which have no missing value, become nullable ones in
    pandas; arrays that could hold the mark become float64 or objects, whether they do or not.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.

    gone : ndarray of bool of shape (n_samples, n_features)
        Which cells are to be missing.

    mark : int, float, str or bool
        What stands for a missing cell.
    """
    if is_frame(X):
        pairs = zip(nw.from_native(X, eager_only=True).iter_columns(), gone.T, strict=True)
        columns = [
            replaced(_nullable(series), cells, None) if cells.any() else series
            for series, cells in pairs
        ]
        return table_like(X, columns)
    kind, wanted = X.dtype.kind, type_of(mark)
    if kind in "iu" and wanted == "number":
        X = X.astype(np.float64)
    elif (kind, wanted) in (("U", "str"), ("b", "bool")):
        X = X.astype(object)
    return np.where(gone, np.array(np.nan, X.dtype), X) if gone.any() else X


def _equal_cells(cells: Array, mark: Any) -> Array:
    """Which cells of an array of any shape are of the type of the mark and equal to it."""
    kind, wanted = cells.dtype.kind, type_of(mark)
    if kind in "iu" and wanted == "number" and mark % 1 == 0:
        mark = int(mark)  # as a float it would be compared with rounded integers
    if kind == "O":
        same = (type_of(cell) == wanted and bool(cell == mark) for cell in cells.flat)
        return np.fromiter(same, bool, cells.size).reshape(cells.shape)
    if {"i": "number", "u": "number", "f": "number", "U": "str", "b": "bool"}.get(
        kind
    ) != wanted:
        return np.zeros(cells.shape, bool)
    return np.asarray(cells == mark)


def type_of(value: Any) -> str | None:
    """What a cell or a mark is: "bool", "number" or "str"; None: anything else."""
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, Real | Decimal):
        return "number"
    return "str" if isinstance(value, str) else None


def _nullable(series: nw.Series[Any]) -> nw.Series[Any]:
    """A column that can hold missing values: NumPy's integers and booleans cannot."""
    native = series.to_native()
    dtype = getattr(native, "dtype", None)
    if not (isinstance(dtype, np.dtype) and dtype.kind in "iub"):
        return series
    kind = {"i": "Int", "u": "UInt", "b": "boolean"}[dtype.kind]
    bits = "" if dtype.kind == "b" else 8 * dtype.itemsize
    return nw.from_native(native.astype(f"{kind}{bits}"), series_only=True)


def replaced(series: nw.Series[Any], gone: Array, filling: Any) -> nw.Series[Any]:
    """A column with the cells of another where `gone`, (n_samples,), or with missing ones."""
    native = series.to_native()
    if hasattr(native, "iloc"):
        native = native.copy()
        native.iloc[np.flatnonzero(gone)] = (
            None if filling is None else filling.to_native().array[gone]
        )
        return nw.from_native(native, series_only=True)
    keeps = nw.new_series("keeps", ~gone, backend=series.implementation)
    columns = [series.alias("cells"), keeps]
    kept: Any = nw.when(nw.col("keeps")).then(nw.col("cells"))
    if filling is not None:
        columns.append(filling.alias("others"))
        kept = kept.otherwise(nw.col("others"))
    frame = columns[0].to_frame().with_columns(*columns[1:])
    return frame.select(kept)["cells"].alias(series.name)


def table_like(X: Any, columns: list[nw.Series[Any]]) -> Any:
    """The data frame X with these columns in the place of its own."""
    return nw.from_native(X, eager_only=True).with_columns(*columns).to_native()
