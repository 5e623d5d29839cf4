"""Tables of which all columns are numbers: arrays and data frames that need no encoder."""

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ColumnValues
from skae.tables._frames import is_frame, read_columns, refuse_no_rows, refuse_repeated_names

Array = NDArray[Any]

# Objects that NumPy turns into floats.
_NUMBERS = (int, float, np.integer, np.floating)

# Dtypes of polars and PyArrow that every consumer of arrays turns into the same floats.
_PLAIN = (
    nw.Int8, nw.Int16, nw.Int32, nw.Int64, nw.UInt8, nw.UInt16, nw.UInt32, nw.UInt64,
    nw.Float32, nw.Float64,
)  # fmt: skip

# Bytes of the largest number that scikit-learn's checks keep.
_LARGEST_ITEM = 8


def numbers_of(X: Any, unknown: bool = False) -> Any:
    """X as numbers if all of its columns are numbers or booleans; None if a column is not.

    The dtypes decide, or in columns of objects the types of the observed values; missing
    values do not. With `unknown`, a column of objects without an observed value counts as one
    of numbers: rows for an estimator that was fitted on numbers may lack all values of a
    column.

    Returns
    -------
    array-like or None
        X itself where scikit-learn converts it to the same numbers; otherwise a data frame of
        the same library or an array, with floats and NaN where a value is missing.
    """
    if is_frame(X):
        refuse_repeated_names(X)
        if all(map(_is_plain, _dtypes(X))):
            return X
        columns = _numeric_columns(X, unknown)
        return None if columns is None else _frame_like(X, columns)
    refuse_no_rows(X)
    if isinstance(X, list | tuple):
        given, X = X, _array_of_objects(X)
        if X.ndim != 2 or all(isinstance(value, _NUMBERS) for value in X.flat):
            return given
    kind = getattr(getattr(X, "dtype", None), "kind", "f")
    if kind not in "USTOmM" or X.ndim != 2 or isinstance(X, np.ma.MaskedArray):
        return X
    columns = _numeric_columns(np.asarray(X), unknown)
    return None if columns is None else np.column_stack(columns)


def check_numbers(X: Any) -> Any:
    """X as numbers; an error that names the first column that is not."""
    numbers = numbers_of(X, unknown=True)
    if numbers is None:
        for dtype, data in zip(_dtypes(X), read_columns(X), strict=True):
            if not _holds_numbers(dtype, data, unknown=True):
                raise ValueError(
                    f"Column {data.name!r} had values of type number in fit, and has values "
                    f"of type {data.type} now."
                )
    return numbers


def _dtypes(X: Any) -> list[Any]:
    """Dtypes of a table (n_samples, n_columns): those of pandas, NumPy or narwhals."""
    if isinstance(X, np.ndarray):
        return [X.dtype] * X.shape[1]
    if hasattr(X, "iloc"):
        return list(X.dtypes)
    return list(nw.from_native(X, eager_only=True).schema.values())


def _is_plain(dtype: Any) -> bool:
    """Return True if scikit-learn converts such columns to floats, missing values to NaN."""
    if not hasattr(dtype, "pyarrow_dtype"):
        # The nullable dtypes of pandas are scikit-learn's own concern.
        dtype = getattr(dtype, "numpy_dtype", dtype)
    if isinstance(dtype, np.dtype):
        return dtype.kind in "iufb" and dtype.itemsize <= _LARGEST_ITEM
    return isinstance(dtype, _PLAIN)


def _numeric_columns(X: Any, unknown: bool) -> list[Array] | None:
    """Columns of numbers and booleans as floats, (n_samples,) each; None if one is neither."""
    columns = []
    for dtype, data in zip(_dtypes(X), read_columns(X), strict=True):
        if not _holds_numbers(dtype, data, unknown):
            return None
        column = np.full(len(data.values), np.nan)
        column[data.observed] = data.values[data.observed].astype(np.float64)
        columns.append(column)
    return columns


def _holds_numbers(dtype: Any, data: ColumnValues, unknown: bool) -> bool:
    """Return True for a column of numbers or booleans, by its dtype or its observed values."""
    if isinstance(dtype, nw.Categorical | nw.Enum) or str(dtype) == "category":
        return False
    observed = data.values[data.observed]
    if not len(observed):
        # Objects without a value may be anything.
        return unknown or (
            str(dtype) not in ("object", "Object", "Unknown") and data.family == "number"
        )
    return data.family == "number" or isinstance(observed[0], bool | np.bool_)


def _frame_like(X: Any, columns: Sequence[Array]) -> Any:
    """Columns, (n_samples,) each, as a data frame with the library, names and index of X."""
    if hasattr(X, "iloc"):
        import pandas as pd

        return pd.DataFrame(dict(enumerate(columns)), index=X.index).set_axis(X.columns, axis=1)
    frame = nw.from_native(X, eager_only=True)
    named = dict(zip(frame.columns, columns, strict=True))
    return nw.from_dict(named, backend=frame.implementation).to_native()


def _array_of_objects(X: Any) -> Array:
    """Lists of rows as (n_samples, n_columns); empty where they are not all of one length."""
    try:
        return np.array(X, dtype=object)
    except ValueError:
        return np.empty(0)
