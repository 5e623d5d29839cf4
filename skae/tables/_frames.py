"""Tables as they come, column by column, and back: pandas, polars, PyArrow, arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from skae.tables._templates import described, table_of
from skae.utils._arrays import refuse_masked

Array = NDArray[Any]

# Objects that are numbers; a bool, which Python counts as one, is a level.
_NUMBERS = (int, float, np.integer, np.floating)
_LEVELS = (bool, np.bool_)

# Dtypes of polars and PyArrow that every consumer of arrays turns into the same floats.
_PLAIN = (
    nw.Int8, nw.Int16, nw.Int32, nw.Int64, nw.UInt8, nw.UInt16, nw.UInt32, nw.UInt64,
    nw.Float32, nw.Float64,
)  # fmt: skip

# Bytes of the largest number that scikit-learn's checks keep.
_LARGEST_ITEM = 8

# Most objects of most tables: they need no closer look.
_NEVER_MISSING = frozenset({str, int, bool})


@dataclass(frozen=True)
class Cells:
    """The cells of one column.

    Attributes
    ----------
    name : str
        Of the column.

    values : ndarray of shape (n_samples,)
        Integers or floats, for numbers; counted from 1970 in `unit`, for times; objects,
        for levels. What stands where a cell is missing means nothing.

    observed : ndarray of bool of shape (n_samples,)
        Which cells are not missing.

    family : {"number", "level", "time"}
        What the dtype says of the values.

    unit : {"ns", "us"} or None
        Of times.
    """

    name: str
    values: Array
    observed: Array
    family: str
    unit: str | None = None


def is_frame(X: Any) -> bool:
    """Whether X is a data frame or table of a library that narwhals knows."""
    return bool(nw.dependencies.is_into_dataframe(X))


def numbers_of(X: Any) -> Any:
    """X as numbers if all of its columns are numbers or booleans; None if a column is not.

    The dtypes decide, or in columns of objects the types of the observed values; missing
    values do not.

    Parameters
    ----------
    X : array-like
        As the user gave it.

    Returns
    -------
    array-like or None
        X itself where scikit-learn reads it as numbers; otherwise a data frame of the same
        library or an array, with floats and NaN where a value is missing.
    """
    if is_frame(X):
        _refuse_repeated_names(X)
        if all(map(_is_plain, _dtypes(X))):
            return X
        columns = _numeric_columns(X)
        return None if columns is None else _frame_like(X, columns)
    if isinstance(X, list | tuple):
        given, X = X, _array_of_objects(X)
        if X.ndim != 2 or all(isinstance(cell, _NUMBERS) for cell in X.flat):
            return given
    kind = getattr(getattr(X, "dtype", None), "kind", "f")
    if kind not in "USOmM" or X.ndim != 2 or isinstance(X, np.ma.MaskedArray):
        return X
    columns = _numeric_columns(np.asarray(X))
    return None if columns is None else np.column_stack(columns)


def _dtypes(X: Any) -> list[Any]:
    """Dtypes of the columns of a table: those of pandas or NumPy, or those of narwhals."""
    if isinstance(X, np.ndarray):
        return [X.dtype] * X.shape[1]
    if hasattr(X, "iloc"):
        return list(X.dtypes)
    return list(nw.from_native(X, eager_only=True).schema.values())


def _is_plain(dtype: Any) -> bool:
    """Whether scikit-learn reads columns of this dtype as floats, missing values as NaN."""
    if not hasattr(dtype, "pyarrow_dtype"):
        # The nullable dtypes of pandas are scikit-learn's own concern.
        dtype = getattr(dtype, "numpy_dtype", dtype)
    if isinstance(dtype, np.dtype):
        return dtype.kind in "iufb" and dtype.itemsize <= _LARGEST_ITEM
    return isinstance(dtype, _PLAIN)


def _numeric_columns(X: Any) -> list[Array] | None:
    """Columns of numbers and booleans as floats, (n_samples,) each; None if one is neither."""
    columns = []
    for dtype, cells in zip(_dtypes(X), read_columns(X), strict=True):
        if not _holds_numbers(dtype, cells):
            return None
        column = np.full(len(cells.values), np.nan)
        column[cells.observed] = cells.values[cells.observed].astype(np.float64)
        columns.append(column)
    return columns


def _holds_numbers(dtype: Any, cells: Cells) -> bool:
    """Whether a column is of numbers or booleans, by its dtype or by its observed values."""
    if isinstance(dtype, nw.Categorical | nw.Enum) or str(dtype) == "category":
        return False
    observed = cells.values[cells.observed]
    if not len(observed):
        # Objects without a value may be anything.
        return str(dtype) not in ("object", "Object", "Null") and cells.family == "number"
    return cells.family == "number" or isinstance(observed[0], _LEVELS)


def _frame_like(X: Any, columns: Sequence[Array]) -> Any:
    """A data frame of the library of X, with its names and its index."""
    frame = nw.from_native(X, eager_only=True)
    if hasattr(X, "iloc"):
        import pandas as pd

        return pd.DataFrame(dict(enumerate(columns)), index=X.index).set_axis(X.columns, axis=1)
    named = dict(zip(frame.columns, columns, strict=True))
    return nw.from_dict(named, backend=frame.implementation).to_native()


def _refuse_repeated_names(X: Any) -> None:
    """Raise if several columns of pandas have one name; other libraries have refused it."""
    if hasattr(X, "iloc") and not X.columns.is_unique:
        repeated = sorted({repr(name) for name in X.columns[X.columns.duplicated()]})
        raise ValueError(
            f"X must have one column of each name; it has several that are called "
            f"{', '.join(repeated)}."
        )


def _array_of_objects(X: Any) -> Array:
    """Lists of rows as an array; empty where they are not all of one length."""
    try:
        return np.array(X, dtype=object)
    except ValueError:
        return np.empty(0)


def checked_table(X: Any) -> Any:
    """A data frame as it is, and anything else as a two-dimensional array of any dtype.

    Raises
    ------
    ValueError
        If two columns have the same name, or X is no table.
    """
    if is_frame(X):
        _refuse_repeated_names(X)
        return X
    refuse_masked(X, "X")
    options: dict[str, Any] = {"ensure_all_finite": "allow-nan", "input_name": "X"}
    if not hasattr(X, "dtype") and np.asarray(X, dtype=object).ndim == 2:
        # NumPy makes strings of everything in a list that has one.
        inferred = np.asarray(X)
        X = inferred if inferred.dtype.kind not in "US" else np.asarray(X, dtype=object)
    return check_array(X, dtype=None, **options)


def read_columns(X: Any) -> Iterator[Cells]:
    """The columns of a table that `checked_table` gave."""
    if isinstance(X, np.ndarray):
        for j in range(X.shape[1]):
            yield _of_array(f"x{j}", X[:, j])
        return
    if hasattr(X, "iloc"):
        for name, column in X.items():
            yield _of_pandas(str(name), column)
        return
    for series in nw.from_native(X, eager_only=True).iter_columns():
        yield _of_series(series)


def _of_pandas(name: str, column: Any) -> Cells:
    """The cells of a column of pandas; those of NumPy's numbers without a detour."""
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    if kind in "iuf":
        values = column.to_numpy()
        return _of_array(name, values.astype(np.float64) if kind == "f" else values)
    return _of_series(nw.from_native(column, series_only=True))


def _of_array(name: str, values: Array) -> Cells:
    if values.dtype.kind == "f":
        return Cells(name, values, ~np.isnan(values), "number")
    everything = np.ones(len(values), dtype=bool)
    if values.dtype.kind in "iu":
        return Cells(name, values, everything, "number")
    if values.dtype.kind in "mM":
        return _times(name, values)
    return _of_objects(name, values.astype(object))


def _of_series(series: nw.Series[Any]) -> Cells:
    name, dtype = str(series.name), series.dtype
    if dtype.is_integer():
        observed = ~series.is_null().to_numpy()
        kept = series.drop_nulls().to_numpy()
        return Cells(name, _spread_out(kept, observed), observed, "number")
    if dtype.is_numeric():
        values = series.cast(nw.Float64).to_numpy()
        return Cells(name, values, ~np.isnan(values), "number")
    if isinstance(dtype, nw.Date | nw.Datetime | nw.Duration):
        return _of_times(name, series)
    cells = _of_objects(name, _objects(series.to_list()))
    if isinstance(dtype, nw.Categorical | nw.Enum):
        # Numbers that are declared categories are categories.
        return Cells(name, cells.values, cells.observed, "level")
    return cells


def _of_times(name: str, series: nw.Series[Any]) -> Cells:
    unit: Literal["ns", "us"] = "us"
    if getattr(series.dtype, "time_unit", None) == "ns":
        unit = "ns"
    observed = ~series.is_null().to_numpy()
    kept = series.drop_nulls()
    if isinstance(series.dtype, nw.Duration):
        # Their totals of microseconds are rounded on the way.
        counts = kept.to_numpy().astype(f"m8[{unit}]")
    else:
        if isinstance(series.dtype, nw.Date):
            kept = kept.cast(nw.Datetime("us"))
        counts = kept.dt.timestamp(unit).to_numpy()
    values = _spread_out(counts.astype(np.int64), observed)
    return Cells(name, values, observed, "time", unit=unit)


def _times(name: str, values: Array) -> Cells:
    unit = "ns" if np.datetime_data(values.dtype)[0] == "ns" else "us"
    counts = values.astype(f"{values.dtype.kind}8[{unit}]").astype(np.int64)
    return Cells(name, counts, ~np.isnat(values), "time", unit=unit)


def _of_objects(name: str, values: Array) -> Cells:
    """Cells of a column of objects: all numbers, or all of one other type."""
    observed = ~_is_missing(values)
    kept = values[observed]
    names = sorted({_type_name(kind) for kind in set(map(type, kept))})
    if names in ([], ["float"]):
        numbers = np.full(len(values), np.nan)
        numbers[observed] = kept.astype(np.float64)
        return Cells(name, numbers, observed, "number")
    if len(names) > 1:
        raise TypeError(
            f"Column {name!r} of the argument must be of uniformly strings or numbers, or of "
            f"one other type; got {', '.join(names)}. Give it one type, for example by "
            "astype(str)."
        )
    try:
        hash(kept[0])
    except TypeError:
        raise TypeError(
            f"Column {name!r} of the argument must be of strings, numbers, booleans, times or "
            f"categories; got {names[0]}."
        ) from None
    return Cells(name, values, observed, "level")


def _type_name(kind: type) -> str:
    if issubclass(kind, _LEVELS):
        return "bool"
    if issubclass(kind, _NUMBERS):
        return "float"
    return "str" if issubclass(kind, str) else kind.__name__


def _is_missing(values: Array) -> Array:
    """Which objects are None or not equal to themselves, as NaN, NaT and NA are."""
    missing = (type(v) not in _NEVER_MISSING and _missing(v) for v in values)
    return np.fromiter(missing, bool, len(values))


def _missing(value: Any) -> bool:
    if value is None or value is getattr(nw.dependencies.get_pandas(), "NA", None):
        return True
    # Strings are compared at no cost; what cannot be compared is not missing.
    return value.__ne__(value) is True or value is np.ma.masked


def _objects(values: Sequence[Any]) -> Array:
    """An array of these objects, whatever they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _spread_out(kept: Array, observed: Array) -> Array:
    """The values that are not missing at their places, any of them at the others."""
    values = np.zeros(len(observed), kept.dtype)
    values[observed] = kept
    return values


class Form:
    """How a table came, so that rows can go back: library, order, names and dtypes.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.
    """

    def __init__(self, X: Any) -> None:
        self.template = X[:0]
        self._missing: dict[int, Any] = {}
        for j, cells in enumerate(read_columns(X)):
            if cells.observed.all():
                continue
            first = int(np.argmin(cells.observed))
            # None, NaN or NA: as it came.
            if isinstance(X, np.ndarray):
                self._missing[j] = X[first, j]
            elif hasattr(X, "iloc") and X.dtypes.iloc[j].kind == "O":
                self._missing[j] = X.iloc[first, j]

    def __getstate__(self) -> dict[str, Any]:
        try:
            return {**vars(self), "template": described(self.template)}
        except TypeError:
            # An array, or columns that only their library can keep.
            return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.template, list):
            self.template = table_of(self.template)

    def build(self, columns: Sequence[tuple[Array, Array, str | None]], index: Any) -> Any:
        """A table of that form.

        Parameters
        ----------
        columns : sequence of (values, observed, unit)
            As in :class:`Cells`.

        index : pandas.Index or None
            Of the rows, for pandas.
        """
        if isinstance(self.template, np.ndarray):
            return self._array(columns)
        arrays = [self._of_column(j, *column) for j, column in enumerate(columns)]
        if hasattr(self.template, "iloc"):
            return self._pandas(arrays, index)
        if hasattr(self.template, "schema") and hasattr(self.template, "get_columns"):
            return self._polars(arrays)
        return self._arrow(arrays)

    def _of_column(self, j: int, values: Array, observed: Array, unit: str | None) -> Any:
        """Values with missing ones among them, as a library reads them."""
        if not observed.any():
            return _objects([self._missing.get(j)] * len(values))
        if unit is not None:
            dtype = nw.from_native(self.template, eager_only=True)[:, j].dtype
            kind = "m" if isinstance(dtype, nw.Duration) else "M"
            times = values.astype(np.int64).view(f"{kind}8[{unit}]")
            return np.where(observed, times, np.array("NaT", times.dtype))
        if observed.all():
            return values
        if values.dtype.kind == "f":
            return np.where(observed, values, np.nan)
        filled = values.astype(object)
        filled[~observed] = self._missing.get(j)
        return filled

    def _array(self, columns: Sequence[tuple[Array, Array, str | None]]) -> Array:
        dtype = self.template.dtype
        rows = np.empty((len(columns[0][0]), len(columns)), dtype)
        for j, (values, observed, unit) in enumerate(columns):
            if unit is not None:
                values = values.astype(np.int64).view(f"{dtype.kind}8[{unit}]")
            rows[:, j] = values
            if not observed.all():
                missing = "NaT" if dtype.kind in "mM" else np.nan
                rows[~observed, j] = self._missing.get(j, missing)
        return rows

    def _pandas(self, arrays: Sequence[Any], index: Any) -> Any:
        import pandas as pd

        series = []
        for j, array in enumerate(arrays):
            dtype = self.template.dtypes.iloc[j]
            if array.dtype == object:
                series.append(pd.Series(array, index=index, dtype=dtype))
                continue
            column = pd.Series(array, index=index)
            if getattr(dtype, "tz", None) is not None:
                column = column.dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
            series.append(column if column.dtype == dtype else column.astype(dtype))
        frame = pd.concat(series, axis=1)
        frame.columns = self.template.columns
        return frame

    def _polars(self, arrays: Sequence[Any]) -> Any:
        import polars as pl

        schema = self.template.schema
        series = [
            _polars_series(pl, name, array, dtype)
            for (name, dtype), array in zip(schema.items(), arrays, strict=True)
        ]
        return pl.DataFrame(series)

    def _arrow(self, arrays: Sequence[Any]) -> Any:
        import pyarrow as pa

        schema = self.template.schema
        columns = []
        for field, array in zip(schema, arrays, strict=True):
            if pa.types.is_dictionary(field.type):
                column = pa.array(array.tolist(), field.type.value_type).dictionary_encode()
            elif array.dtype == object:
                column = pa.array(array.tolist(), field.type)
            elif array.dtype.kind in "mM":
                column = pa.array(array)
            else:
                column = pa.array(array, from_pandas=True)
            columns.append(column.cast(field.type))
        return pa.table(columns, schema=schema)


def _polars_series(pl: Any, name: str, array: Array, dtype: Any) -> Any:
    if array.dtype.kind in "mM":
        series = pl.Series(name, array)
        if getattr(dtype, "time_zone", None) is not None:
            series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
        return series.cast(dtype)
    if array.dtype.kind == "f":
        return pl.Series(name, array, nan_to_null=True).cast(dtype)
    if array.dtype == object:
        return pl.Series(name, array.tolist(), dtype=dtype)
    return pl.Series(name, array).cast(dtype)
