"""Tables of pandas, polars, PyArrow or NumPy, column by column, and as numbers."""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from skae.tables._column_values import (
    EXACT,
    FLOAT64_ROUNDING,
    ColumnValues,
    column_of_times,
    fill_missing,
)
from skae.tables._objects import ObjectFormat, refuse_type, values_of_objects
from skae.utils._arrays import in_the_form_of, refuse_masked

Array = NDArray[Any]

# Objects that NumPy turns into floats.
_FLOATS = (int, float, np.integer, np.floating)

# Family, unit and type of columns of numbers.
_NUMBERS = ("number", None, "number")

# Names of dtypes that scikit-learn converts to the same floats, missing values to NaN: of NumPy
# and, nullable ones too, of pandas; and of polars and PyArrow, as narwhals names them.
_PLAIN = re.compile(r"[uU]?[iI]nt(8|16|32|64)|float16|[fF]loat(32|64)|bool(ean)?")

#: True for a data frame or table of a library that narwhals supports.
is_frame = nw.dependencies.is_into_dataframe


def columns_of_frame(X: Any) -> list[nw.Series[Any]]:
    """The columns of a data frame as series of narwhals."""
    return list(nw.from_native(X, eager_only=True).iter_columns())


def _refuse_no_table(X: Any) -> None:
    """Raise if columns share a name, or if NumPy makes no rows of columns of X or its items.

    And if values of a masked array are masked.
    """
    if isinstance(X, np.ma.MaskedArray):
        refuse_masked(X, "X", takes_missing=True)
    if is_frame(X):
        # Other libraries have refused them.
        if hasattr(X, "iloc") and not X.columns.is_unique:
            repeated = sorted({repr(name) for name in X.columns[X.columns.duplicated()]})
            raise ValueError(
                f"X must have one column of each name; it has several that are called "
                f"{', '.join(repeated)}."
            )
        return
    if issparse(X):
        # A matrix of SciPy may be a dict, too.
        return
    kinds, found = (Mapping, Set, Iterator, str, bytes), ""
    is_sequence = isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.ndim == 1)
    names = getattr(getattr(X, "dtype", None), "names", None)
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


def checked_table(X: Any, estimator: Any = None, reset: bool = True) -> Any:
    """A data frame as it is, and anything else as a two-dimensional array of any dtype.

    Arrays of NumPy's StringDType become arrays of objects. Raises for mappings, structured
    arrays and the like, for repeated names, and for what is no table. For an estimator it also
    raises for a table without rows or columns; number and names of the columns are stored on
    it, or compared with those that it has.
    """
    _refuse_no_table(X)
    if not is_frame(X):
        if getattr(getattr(X, "dtype", None), "kind", "") == "T":
            X = X.astype(object)
        if not hasattr(X, "dtype") and np.asarray(X, dtype=object).ndim == 2:
            # NumPy makes strings of everything in a list that has one.
            inferred = np.asarray(X)
            X = inferred if inferred.dtype.kind not in "US" else np.asarray(X, dtype=object)
        # An infinite value may mark missing ones, and is otherwise refused with its column.
        X = check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
    if estimator is not None:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        if 0 in X.shape:
            raise ValueError(
                f"Found array with {X.shape[0]} sample(s) and {X.shape[1]} feature(s) "
                f"(shape={tuple(X.shape)}) while a minimum of 1 is required by "
                f"{type(estimator).__name__}."
            )
    return X


def read_columns(X: Any) -> Iterator[ColumnValues]:
    """The columns of a table that `checked_table` returned."""
    if isinstance(X, np.ndarray):
        for j in range(X.shape[1]):
            yield _of_array(f"x{j}", X[:, j])
    elif hasattr(X, "iloc"):
        for name, column in X.items():
            kind, frequency = type(column.dtype).__name__, None
            if kind == "SparseDtype":
                column = column.sparse.to_dense()
            elif kind == "PeriodDtype":
                frequency, column = column.array.freqstr, column.dt.to_timestamp()
            if not isinstance(column.dtype, np.dtype):
                yield _of_series(str(name), nw.from_native(column, series_only=True))
                continue
            # Those of NumPy without a detour.
            data = _of_array(str(name), column.to_numpy())
            if data.values.dtype.kind == "f":
                data = replace(data, values=data.values.astype(np.float64, copy=False))
            if frequency is not None:
                form = ObjectFormat("Period", frequency=frequency)
                data = replace(data, type="period", format=form)
            yield data
    else:
        for series in columns_of_frame(X):
            yield _of_series(str(series.name), series)


def _of_array(name: str, values: Array) -> ColumnValues:
    """Values of an array of any dtype of NumPy, of shape (n_samples,)."""
    kind = values.dtype.kind
    if kind == "f":
        rounding = max(float(np.finfo(values.dtype).eps), FLOAT64_ROUNDING)
        if values.itemsize > 8:
            values = values.astype(np.float64)
        return ColumnValues(name, values, ~np.isnan(values), *_NUMBERS, rounding=rounding)
    if kind in "iu":
        return ColumnValues(name, values, np.ones(len(values), dtype=bool), *_NUMBERS)
    if kind in "mM":
        observed = ~np.isnat(values)
        type_ = "time" if kind == "M" else "duration"
        return column_of_times(name, values[observed], observed, type_)
    if kind not in "bOSTU":
        refuse_type(name, f"the dtype {values.dtype}")
    return values_of_objects(name, values.astype(object))


def _of_series(name: str, series: nw.Series[Any]) -> ColumnValues:
    """Values of a series of any library, by its dtype."""
    dtype = series.dtype
    if dtype.is_integer() and not isinstance(dtype, nw.Int128 | nw.UInt128):
        observed = ~series.is_null().to_numpy()
        values = fill_missing(series.drop_nulls().to_numpy(), observed)
        return ColumnValues(name, values, observed, *_NUMBERS)
    if dtype.is_float() or dtype.is_decimal():
        values = series.cast(nw.Float64).to_numpy()
        if dtype.is_decimal() and (np.abs(values) >= EXACT).any():
            return values_of_objects(name, np.fromiter(series.to_list(), object))
        name_of_float = "float64" if dtype.is_decimal() else str(dtype).lower()
        rounding = float(np.finfo(name_of_float).eps)
        return ColumnValues(name, values, ~np.isnan(values), *_NUMBERS, rounding=rounding)
    if isinstance(dtype, nw.Date | nw.Datetime | nw.Duration):
        observed, present = ~series.is_null().to_numpy(), series.drop_nulls()
        if isinstance(dtype, nw.Date):
            present = present.cast(nw.Datetime("us"))
        unit = "ns" if getattr(dtype, "time_unit", None) == "ns" else "us"
        code, type_ = ("m", "duration") if isinstance(dtype, nw.Duration) else ("M", "time")
        if getattr(dtype, "time_zone", None) is not None:
            type_ = "time with a zone"
        # Moments with a zone come in UTC.
        times = present.to_numpy().astype(f"{code}8[{unit}]")
        return column_of_times(name, times, observed, type_)
    if dtype.is_nested() and not series.is_null().all():
        refuse_type(name, f"the dtype {dtype}")
    if isinstance(dtype, nw.String) and not series.is_null().all():
        # No look at each of the objects.
        strings, observed = np.fromiter(series.to_list(), object), ~series.is_null().to_numpy()
        return ColumnValues(name, strings, observed, "category", type="str")
    declared = isinstance(dtype, nw.Categorical | nw.Enum)
    data = values_of_objects(name, np.fromiter(series.to_list(), object), declared)
    if declared or data.observed.any():
        return data
    # Without a value the dtype decides.
    if isinstance(dtype, nw.String | nw.Binary):
        return replace(data, family="category")
    is_known = hasattr(series.to_native(), "iloc") or dtype not in (nw.Object, nw.Unknown)
    return replace(data, type=str(dtype)) if is_known else data


# Tables of which all columns are numbers, which need no encoder


def numbers_of(X: Any, unknown: bool = False, refuse: bool = False) -> Any:
    """X as numbers if all of its columns are numbers or booleans; None if a column is not.

    The dtypes decide, or in columns of objects the types of the observed values; missing
    values do not. With `unknown`, a column of objects without an observed value counts as one
    of numbers: rows for an estimator that was fitted on numbers may lack all values of a
    column.

    X itself where scikit-learn converts it to the same numbers; otherwise a data frame of the
    same library or an array, with floats and NaN where a value is missing. With `refuse`,
    there is an error in place of None, which names the first column that is not.
    """
    if type(X) is np.ndarray and X.ndim > 1 and X.dtype.kind in "biuf":
        # To look for a data frame takes a third of the time in which a row is encoded.
        return X
    _refuse_no_table(X)
    if is_frame(X):
        if hasattr(X, "iloc"):
            names = [dtype.name for dtype in X.dtypes]
        else:
            names = [str(series.dtype) for series in columns_of_frame(X)]
        if all(map(_PLAIN.fullmatch, names)):
            return X
    else:
        if isinstance(X, list | tuple):
            given = X
            try:
                X = np.array(X, dtype=object)
            except ValueError:  # rows of several lengths
                return given
            if X.ndim != 2 or all(isinstance(value, _FLOATS) for value in X.flat):
                return given
        kind = getattr(getattr(X, "dtype", None), "kind", "f")
        if kind not in "USTOmM" or X.ndim != 2 or isinstance(X, np.ma.MaskedArray):
            return X
        X = np.asarray(X)
    columns = []
    for data in read_columns(X):
        are_numbers = data.type == "bool" or (data.family == "number" and data.type)
        # Objects without a value may be anything.
        may_be_numbers = unknown and not data.observed.any()
        if data.declared or not (are_numbers or may_be_numbers):
            if refuse:
                raise ValueError(
                    f"Column {data.name!r} had values of type number in fit, and has values of "
                    f"type {data.type} now."
                )
            return None
        columns.append(np.where(data.observed, data.values, np.nan).astype(np.float64))
    return in_the_form_of(X, np.column_stack(columns))
