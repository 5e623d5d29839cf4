"""Tables of pandas, polars, PyArrow or NumPy, column by column."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from skae.tables._column_values import (
    EXACT,
    FLOAT64_ROUNDING,
    ColumnValues,
    as_objects,
    fill_missing,
    finest_unit,
)
from skae.tables._objects import (
    ObjectFormat,
    categories_of_objects,
    refuse_type,
    values_of_objects,
)
from skae.utils._arrays import refuse_masked

Array = NDArray[Any]

# Relative roundings of the floats that other libraries convert to float64.
_ROUNDINGS = {
    "Float16": float(np.finfo(np.float16).eps),
    "Float32": float(np.finfo(np.float32).eps),
}


def is_frame(X: Any) -> bool:
    """Return True for a data frame or table of a library that narwhals supports."""
    return bool(nw.dependencies.is_into_dataframe(X))


def columns_of_frame(X: Any) -> list[nw.Series[Any]]:
    """The columns of a data frame as series of narwhals."""
    return list(nw.from_native(X, eager_only=True).iter_columns())


def refuse_repeated_names(X: Any) -> None:
    """Raise if several columns of pandas have one name; other libraries have refused it."""
    if hasattr(X, "iloc") and not X.columns.is_unique:
        repeated = sorted({repr(name) for name in X.columns[X.columns.duplicated()]})
        raise ValueError(
            f"X must have one column of each name; it has several that are called "
            f"{', '.join(repeated)}."
        )


def refuse_no_rows(X: Any) -> None:
    """Raise if X is, or is a sequence of, objects of which NumPy makes no rows of columns."""
    kinds, found = (Mapping, Set, Iterator, str, bytes), ""
    is_sequence = isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim == 1)
    names = getattr(getattr(X, "dtype", None), "names", None)
    if issparse(X):
        # A matrix of SciPy may be a dict, too.
        return
    if names:
        found = f"a structured array of {', '.join(names)}"
    elif isinstance(X, kinds) or nw.dependencies.is_polars_lazyframe(X):
        found = type(X).__name__
    elif is_sequence and len(X) and isinstance(X[0], kinds):
        found = f"{type(X).__name__} of {type(X[0]).__name__}"
    if found:
        raise TypeError(
            "X must be a data frame of pandas, polars or PyArrow, or a two-dimensional "
            f"array-like of shape (n_samples, n_features); got {found}. Make a data frame of "
            "it, for example with pandas.DataFrame or LazyFrame.collect."
        )


def checked_table(X: Any) -> Any:
    """A data frame as it is, and anything else as a two-dimensional array of any dtype.

    Arrays of NumPy's StringDType become arrays of objects.

    Raises
    ------
    TypeError
        If X is a mapping, a structured array or the like.

    ValueError
        If two columns have the same name, or X is no table.
    """
    if is_frame(X):
        refuse_repeated_names(X)
        return X
    refuse_no_rows(X)
    refuse_masked(X, "X", takes_missing=True)
    if getattr(getattr(X, "dtype", None), "kind", "") == "T":
        X = X.astype(object)
    if not hasattr(X, "dtype") and np.asarray(X, dtype=object).ndim == 2:
        # NumPy makes strings of everything in a list that has one.
        inferred = np.asarray(X)
        X = inferred if inferred.dtype.kind not in "US" else np.asarray(X, dtype=object)
    # An infinite value may mark missing ones, and is otherwise refused with its column.
    return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")


def read_columns(X: Any) -> Iterator[ColumnValues]:
    """The columns of a table that `checked_table` returned."""
    if isinstance(X, np.ndarray):
        for j in range(X.shape[1]):
            yield _of_array(f"x{j}", X[:, j])
    elif hasattr(X, "iloc"):
        for name, column in X.items():
            yield _of_pandas(str(name), column)
    else:
        for series in columns_of_frame(X):
            yield _of_series(str(series.name), series)


def _of_pandas(name: str, column: Any) -> ColumnValues:
    """Values of a column of pandas, by its dtype; those of NumPy without a detour."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        data = _of_array(name, column.to_numpy())
        if data.values.dtype.kind == "f":
            return replace(data, values=data.values.astype(np.float64))
        return data
    kind = type(dtype).__name__
    if kind == "SparseDtype":
        return _of_pandas(name, column.sparse.to_dense())
    if kind == "DatetimeTZDtype":
        naive = column.dt.tz_convert("UTC").dt.tz_localize(None)
        return replace(_of_pandas(name, naive), type="time with a zone")
    if kind == "PeriodDtype":
        form = ObjectFormat("Period", frequency=column.array.freqstr)
        starts = _of_pandas(name, column.dt.to_timestamp())
        return replace(starts, type="period", format=form)
    return _of_series(name, nw.from_native(column, series_only=True))


def _of_array(name: str, values: Array) -> ColumnValues:
    """Values of an array of any dtype of NumPy, of shape (n_samples,)."""
    kind = values.dtype.kind
    if kind == "f":
        rounding = max(float(np.finfo(values.dtype).eps), FLOAT64_ROUNDING)
        if values.itemsize > 8:
            values = values.astype(np.float64)
        return _numbers(name, values, ~np.isnan(values), rounding)
    if kind in "iu":
        return _numbers(name, values, np.ones(len(values), dtype=bool))
    if kind in "mM":
        observed, unit = ~np.isnat(values), finest_unit(values.dtype)
        counts = values[observed].astype(f"{kind}8[{unit}]")
        return _times(name, counts, observed, unit, "time" if kind == "M" else "duration")
    if kind not in "bOSTU":
        refuse_type(name, f"the dtype {values.dtype}")
    data = values_of_objects(name, values.astype(object))
    if kind == "T" and not data.observed.any():
        return replace(data, family="category")
    return data


def _of_series(name: str, series: nw.Series[Any]) -> ColumnValues:
    """Values of a series of any library, by its dtype."""
    dtype = series.dtype
    if dtype.is_integer() and not isinstance(dtype, nw.Int128 | nw.UInt128):
        observed = ~series.is_null().to_numpy()
        return _numbers(name, fill_missing(series.drop_nulls().to_numpy(), observed), observed)
    if dtype.is_float() or dtype.is_decimal():
        values = series.cast(nw.Float64).to_numpy()
        if dtype.is_decimal() and (np.abs(values) >= EXACT).any():
            return values_of_objects(name, as_objects(series.to_list()))
        rounding = _ROUNDINGS.get(str(dtype), FLOAT64_ROUNDING)
        return _numbers(name, values, ~np.isnan(values), rounding)
    if isinstance(dtype, nw.Date | nw.Datetime | nw.Duration):
        return _of_time_series(name, series)
    objects = as_objects(series.to_list())
    if isinstance(dtype, nw.Categorical | nw.Enum):
        # Numbers that are declared categories are categories.
        return categories_of_objects(name, objects)
    if dtype.is_nested() and not series.is_null().all():
        refuse_type(name, f"the dtype {dtype}")
    data = values_of_objects(name, objects)
    if not data.observed.any() and isinstance(dtype, nw.String | nw.Binary):
        # Without a value the dtype decides.
        return replace(data, family="category")
    return data


def _of_time_series(name: str, series: nw.Series[Any]) -> ColumnValues:
    unit: Literal["ns", "us"] = "us"
    if getattr(series.dtype, "time_unit", None) == "ns":
        unit = "ns"
    observed, present = ~series.is_null().to_numpy(), series.drop_nulls()
    if isinstance(series.dtype, nw.Duration):
        # Their totals of microseconds are rounded on the way.
        counts = present.to_numpy().astype(f"m8[{unit}]")
        return _times(name, counts, observed, unit, "duration")
    if isinstance(series.dtype, nw.Date):
        present = present.cast(nw.Datetime("us"))
    has_zone = getattr(series.dtype, "time_zone", None) is not None
    counts = present.dt.timestamp(unit).to_numpy()
    return _times(name, counts, observed, unit, "time with a zone" if has_zone else "time")


def _numbers(
    name: str, values: Array, observed: Array, rounding: float = FLOAT64_ROUNDING
) -> ColumnValues:
    """A column of numbers; values and their mask of shape (n_samples,)."""
    return ColumnValues(name, values, observed, "number", type="number", rounding=rounding)


def _times(name: str, counts: Array, observed: Array, unit: str, type: str) -> ColumnValues:
    """A column of times; counts (n_observed,) where `observed`, (n_samples,)."""
    values = fill_missing(counts.astype(np.int64), observed)
    return ColumnValues(name, values, observed, "time", unit, type)
