"""Tables as they come, column by column, and back: pandas, polars, PyArrow, arrays."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from skae.tables._cells import EXACT, FLOAT64_ROUNDING, ColumnValues, ObjectFormat, as_objects
from skae.tables._objects import (
    categories_of_objects,
    finest_unit,
    refuse_type,
    spread_out,
    values_of_objects,
)
from skae.tables._schema import described, table_of
from skae.utils._arrays import refuse_masked

Array = NDArray[Any]


def is_frame(X: Any) -> bool:
    """Whether X is a data frame or table of a library that narwhals knows."""
    return bool(nw.dependencies.is_into_dataframe(X))


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
    # An infinite value may be a mark, and is otherwise refused with its column.
    return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")


def read_columns(X: Any) -> Iterator[ColumnValues]:
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


def _of_pandas(name: str, column: Any) -> ColumnValues:
    """Cells of a column of pandas, by its dtype; those of NumPy without a detour."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return _of_pandas_array(name, column.to_numpy())
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
    return _of_series(nw.from_native(column, series_only=True), name)


def _of_pandas_array(name: str, values: Array) -> ColumnValues:
    """Cells of an array of pandas, whose floats of any size become float64."""
    if values.dtype.kind != "f":
        return _of_array(name, values)
    cells = _of_array(name, values)
    return replace(cells, values=values.astype(np.float64))


def _of_array(name: str, values: Array) -> ColumnValues:
    """Cells of an array of any dtype of NumPy, of shape (n_cells,)."""
    kind = values.dtype.kind
    if kind == "f":
        rounding = max(float(np.finfo(values.dtype).eps), FLOAT64_ROUNDING)
        if values.itemsize > 8:
            values = values.astype(np.float64)
        observed = ~np.isnan(values)
        return ColumnValues(name, values, observed, "number", type="number", rounding=rounding)
    if kind in "iu":
        everything = np.ones(len(values), dtype=bool)
        return ColumnValues(name, values, everything, "number", type="number")
    if kind in "mM":
        return _of_times(name, values)
    if kind not in "bOSTU":
        refuse_type(name, f"the dtype {values.dtype}")
    cells = values_of_objects(name, values.astype(object))
    if kind == "T" and not cells.observed.any():
        return replace(cells, family="level")
    return cells


def _of_times(name: str, values: Array) -> ColumnValues:
    """Cells of times or durations of NumPy, of shape (n_cells,)."""
    observed, unit, kind = ~np.isnat(values), finest_unit(values.dtype), values.dtype.kind
    counts = values[observed].astype(f"{kind}8[{unit}]").astype(np.int64)
    type_ = "time" if kind == "M" else "duration"
    return ColumnValues(name, spread_out(counts, observed), observed, "time", unit, type_)


def _of_series(series: nw.Series[Any], name: str | None = None) -> ColumnValues:
    """Cells of a series of any library, by its dtype."""
    name, dtype = str(series.name) if name is None else name, series.dtype
    if dtype.is_integer() and not isinstance(dtype, nw.Int128 | nw.UInt128):
        observed = ~series.is_null().to_numpy()
        whole = spread_out(series.drop_nulls().to_numpy(), observed)
        return ColumnValues(name, whole, observed, "number", type="number")
    if dtype.is_float() or dtype.is_decimal():
        values = series.cast(nw.Float64).to_numpy()
        if dtype.is_decimal() and (np.abs(values) >= EXACT).any():
            return values_of_objects(name, as_objects(series.to_list()))
        rounding = _ROUNDINGS.get(str(dtype), FLOAT64_ROUNDING)
        return ColumnValues(
            name, values, ~np.isnan(values), "number", type="number", rounding=rounding
        )
    if isinstance(dtype, nw.Date | nw.Datetime | nw.Duration):
        return _of_time_series(name, series)
    objects = as_objects(series.to_list())
    if isinstance(dtype, nw.Categorical | nw.Enum):
        # Numbers that are declared categories are categories.
        return categories_of_objects(name, objects)
    if dtype.is_nested() and not series.is_null().all():
        refuse_type(name, f"the dtype {dtype}")
    cells = values_of_objects(name, objects)
    if not cells.observed.any() and isinstance(dtype, nw.String | nw.Binary):
        # Without a value it is what its dtype is, and no number.
        return replace(cells, family="level")
    return cells


# Relative roundings of the floats that other libraries give as float64.
_ROUNDINGS = {
    "Float16": float(np.finfo(np.float16).eps),
    "Float32": float(np.finfo(np.float32).eps),
}


def _of_time_series(name: str, series: nw.Series[Any]) -> ColumnValues:
    unit: Literal["ns", "us"] = "us"
    if getattr(series.dtype, "time_unit", None) == "ns":
        unit = "ns"
    observed = ~series.is_null().to_numpy()
    kept, type_ = series.drop_nulls(), "time"
    if isinstance(series.dtype, nw.Duration):
        # Their totals of microseconds are rounded on the way.
        counts, type_ = kept.to_numpy().astype(f"m8[{unit}]"), "duration"
    else:
        if isinstance(series.dtype, nw.Date):
            kept = kept.cast(nw.Datetime("us"))
        elif getattr(series.dtype, "time_zone", None) is not None:
            type_ = "time with a zone"
        counts = kept.dt.timestamp(unit).to_numpy()
    values = spread_out(counts.astype(np.int64), observed)
    return ColumnValues(name, values, observed, "time", unit, type_)


class FrameSchema:
    """How a table came, so that rows can go back: library, order, names and dtypes.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.

    columns : sequence of Cells
        The cells of its columns.

    Attributes
    ----------
    formats : mapping of int to ObjectFormat or IsoFormat
        By position, how the values of a column become the objects that the cells were;
        columns whose dtype is enough have none.
    """

    template: Any
    _missing: dict[int, Any]

    # Files of earlier versions have none.
    formats: Mapping[int, Any] = MappingProxyType({})

    def __init__(self, X: Any, columns: Sequence[ColumnValues]) -> None:
        self.template = X[:0]
        self.formats = {
            j: cells.format for j, cells in enumerate(columns) if cells.format is not None
        }
        self._missing: dict[int, Any] = {}
        for j, cells in enumerate(columns):
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
            As in :class:`ColumnValues`.

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
            return as_objects([self._missing.get(j)] * len(values))
        if j in self.formats:
            return self._objects(j, values, observed, unit)
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

    def _objects(self, j: int, values: Array, observed: Array, unit: str | None) -> Array:
        """Objects in the format of a column, all of shape (n_samples,)."""
        objects = as_objects([self._missing.get(j)] * len(values))
        objects[observed] = self.formats[j].objects(values[observed], unit)
        return objects

    def _array(self, columns: Sequence[tuple[Array, Array, str | None]]) -> Array:
        dtype = self.template.dtype
        if dtype.kind in "biuSU" and not all(there.all() for _, there, _ in columns):
            # It has no missing value.
            dtype = np.dtype(object)
        rows = np.empty((len(columns[0][0]), len(columns)), dtype)
        for j, (values, observed, unit) in enumerate(columns):
            if j in self.formats:
                values = self._objects(j, values, observed, unit)
            elif unit is not None:
                values = values.astype(np.int64).view(f"{dtype.kind}8[{unit}]")
            rows[:, j] = values
            if not observed.all():
                missing = {"m": "NaT", "M": "NaT", "f": np.nan}.get(dtype.kind)
                rows[~observed, j] = self._missing.get(j, missing)
        return rows

    def _pandas(self, arrays: Sequence[Any], index: Any) -> Any:
        import pandas as pd

        series = []
        for j, array in enumerate(arrays):
            dtype = self.template.dtypes.iloc[j]
            if isinstance(dtype, pd.IntervalDtype) and pd.isna(array).any():
                dtype = _with_missing(dtype)
            if array.dtype == object or str(dtype).startswith("dictionary"):
                array = array.astype(object)
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
        columns = [_arrow_column(pa, a, f.type) for f, a in zip(schema, arrays, strict=True)]
        return pa.table(columns, schema=schema)


def _with_missing(dtype: Any) -> Any:
    """A dtype of intervals of pandas that has a missing value: those of integers have none."""
    is_whole = dtype.subtype is not None and dtype.subtype.kind in "iu"
    return type(dtype)(np.float64, dtype.closed) if is_whole else dtype


def _arrow_column(pa: Any, array: Array, dtype: Any) -> Any:
    if pa.types.is_dictionary(dtype):
        column = pa.array(array.tolist(), dtype.value_type).dictionary_encode()
    elif pa.types.is_run_end_encoded(dtype):
        import pyarrow.compute as pc

        return pc.run_end_encode(_arrow_column(pa, array, dtype.value_type), dtype.run_end_type)
    elif isinstance(dtype, pa.BaseExtensionType):
        storage = pa.array(array.tolist()).cast(dtype.storage_type)
        return pa.ExtensionArray.from_storage(dtype, storage)
    elif array.dtype == object:
        column = pa.array(array.tolist(), dtype)
    elif array.dtype.kind in "mM":
        column = pa.array(array)
    else:
        column = pa.array(array, from_pandas=True)
    return column.cast(dtype)


def _polars_series(pl: Any, name: str, array: Array, dtype: Any) -> Any:
    if dtype == pl.Object:
        return pl.Series(name, array.tolist(), dtype=dtype)
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
