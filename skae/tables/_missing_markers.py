"""Missing values of a table, and values that mark them."""

from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import as_objects
from skae.tables._frames import columns_of_frame, is_frame, read_columns

Array = NDArray[Any]

#: Dtypes of times.
TIMES = (nw.Date, nw.Datetime, nw.Duration, nw.Time)

_TYPES = {"i": "number", "u": "number", "f": "number", "U": "str", "b": "bool"}


def missing_mask(X: Any) -> Array:
    """Missing values of a checked table, as a mask of shape (n_samples, n_features)."""
    return np.column_stack([~data.observed for data in read_columns(X)])


def without_sparse(X: Any) -> Any:
    """A table with the same values, in which sparse columns of pandas are dense."""
    if not hasattr(X, "iloc"):
        return X
    dense = {
        name: dtype.subtype
        for name, dtype in X.dtypes.items()
        if type(dtype).__name__ == "SparseDtype"
    }
    return X.astype(dense) if dense else X


def marked_values(X: Any, marker: Any) -> Array:
    """Values of a checked table that equal a marker, as a mask (n_samples, n_features).

    A number marks numbers, a string strings and a boolean booleans, in columns of any dtype
    that can hold them, categories and objects too.
    """
    marker = marker.item() if hasattr(marker, "item") else marker
    if not is_frame(X):
        return _equal(X, marker)
    return np.column_stack([_marked(series, marker) for series in columns_of_frame(X)])


def _marked(series: nw.Series[Any], marker: Any) -> Array:
    """Mask of the values of a column that equal the marker, (n_samples,)."""
    found = np.zeros(len(series), bool)
    dtype = series.dtype
    if isinstance(dtype, TIMES) or (dtype.is_numeric() and type_of(marker) != "number"):
        return found
    observed = ~series.is_null().to_numpy()
    if isinstance(dtype, nw.Decimal):
        series = series.cast(nw.Float64)
    present = series.drop_nulls()
    values = present.to_numpy() if dtype.is_numeric() else as_objects(present.to_list())
    found[observed] = _equal(values, marker)
    return found


def _equal(values: Array, marker: Any) -> Array:
    """Mask of the values, of any shape, that are of the type of the marker and equal to it."""
    kind, type_ = values.dtype.kind, type_of(marker)
    if kind in "iu" and type_ == "number" and marker % 1 == 0:
        marker = int(marker)  # as a float it would be compared with rounded integers
    if kind == "O":
        same = (type_of(value) == type_ and bool(value == marker) for value in values.flat)
        return np.fromiter(same, bool, values.size).reshape(values.shape)
    if _TYPES.get(kind) != type_:
        return np.zeros(values.shape, bool)
    return np.asarray(values == marker)


def type_of(value: Any) -> str | None:
    """Type of a value or a marker: "bool", "number", "str"; None: any other."""
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, Real | Decimal):
        return "number"
    return "str" if isinstance(value, str) else None


def without_values(X: Any, removed: Array, marker: Any) -> Any:
    """A checked table in which values are missing, by a mask (n_samples, n_features).

    NumPy's integers and booleans, which have no missing value, become nullable ones in
    pandas; arrays that could hold the marker become float64 or objects, whether they do or not.
    """
    if is_frame(X):
        columns = [
            replaced(_nullable(series), mask, None) if mask.any() else series
            for series, mask in zip(columns_of_frame(X), removed.T, strict=True)
        ]
        return table_like(X, columns)
    kind, type_ = X.dtype.kind, type_of(marker)
    if kind in "iu" and type_ == "number":
        X = X.astype(np.float64)
    elif (kind, type_) in (("U", "str"), ("b", "bool")):
        X = X.astype(object)
    return np.where(removed, np.array(np.nan, X.dtype), X) if removed.any() else X


def _nullable(series: nw.Series[Any]) -> nw.Series[Any]:
    """A column that can hold missing values: NumPy's integers and booleans cannot."""
    native = series.to_native()
    dtype = getattr(native, "dtype", None)
    if not (isinstance(dtype, np.dtype) and dtype.kind in "iub"):
        return series
    kind = {"i": "Int", "u": "UInt", "b": "boolean"}[dtype.kind]
    bits = "" if dtype.kind == "b" else 8 * dtype.itemsize
    return nw.from_native(native.astype(f"{kind}{bits}"), series_only=True)


def replaced(
    series: nw.Series[Any], mask: Array, filling: nw.Series[Any] | None
) -> nw.Series[Any]:
    """A column with the values of another, or missing ones, where `mask`, (n_samples,)."""
    native = series.to_native()
    if hasattr(native, "iloc"):
        native = native.copy()
        native.iloc[np.flatnonzero(mask)] = (
            None if filling is None else filling.to_native().array[mask]
        )
        return nw.from_native(native, series_only=True)
    others = [nw.new_series("stays", ~mask, backend=series.implementation)]
    result: Any = nw.when(nw.col("stays")).then(nw.col("values"))
    if filling is not None:
        others.append(filling.alias("others"))
        result = result.otherwise(nw.col("others"))
    frame = series.alias("values").to_frame().with_columns(*others)
    return frame.select(result)["values"].alias(series.name)


def table_like(X: Any, columns: list[nw.Series[Any]]) -> Any:
    """The data frame X with these columns in the place of its own."""
    return nw.from_native(X, eager_only=True).with_columns(*columns).to_native()
