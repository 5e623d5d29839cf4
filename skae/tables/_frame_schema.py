"""The library, names and dtypes of a table, and tables of other rows in them."""

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ColumnValues, as_objects, numpy_times
from skae.tables._schema import described, table_of

Array = NDArray[Any]


class FrameSchema:
    """The library, names, dtypes and formats of a table, to build tables of other rows.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` returned it.

    columns : sequence of ColumnValues
        Its columns.

    Attributes
    ----------
    template : data frame or ndarray
        X without rows.

    formats : dict of int to ObjectFormat or IsoFormat
        By position, the format of columns whose dtype is not enough.
    """

    template: Any
    _missing: dict[int, Any]
    formats: dict[int, Any]

    def __init__(self, X: Any, columns: Sequence[ColumnValues]) -> None:
        self.template = X[:0]
        self.formats = {
            j: data.format for j, data in enumerate(columns) if data.format is not None
        }
        self._missing: dict[int, Any] = {}
        for j, data in enumerate(columns):
            if data.observed.all():
                continue
            first = int(np.argmin(data.observed))
            # None, NaN or NA: as it came.
            if isinstance(X, np.ndarray):
                self._missing[j] = X[first, j]
            elif hasattr(X, "iloc") and X.dtypes.iloc[j].kind == "O":
                self._missing[j] = X.iloc[first, j]

    def __getstate__(self) -> dict[str, Any]:
        try:
            return {**vars(self), "template": described(self.template)}
        except TypeError:
            # An array, or columns that only their library can represent.
            return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.template, list):
            self.template = table_of(self.template)

    def time_code(self, j: int) -> str:
        """NumPy's code of the times of column `j`: "m" for durations, else "M"."""
        if isinstance(self.template, np.ndarray):
            return self.template.dtype.kind
        dtype = nw.from_native(self.template, eager_only=True)[:, j].dtype
        return "m" if isinstance(dtype, nw.Duration) else "M"

    def build(self, columns: Sequence[ColumnValues], index: Any) -> Any:
        """A table of these columns; `index` is that of pandas, or None."""
        if isinstance(self.template, np.ndarray):
            return self._array(columns)
        arrays = [self._with_missing(j, data) for j, data in enumerate(columns)]
        if hasattr(self.template, "iloc"):
            return self._pandas(arrays, index)
        if hasattr(self.template, "get_columns"):
            return self._polars(arrays)
        return self._arrow(arrays)

    def _with_missing(self, j: int, data: ColumnValues) -> Array:
        """Values with missing ones among them, (n_samples,), as the library accepts them."""
        if not data.observed.any() or j in self.formats:
            return self._objects(j, data)
        if data.unit is not None:
            times = numpy_times(data.values, data.unit, self.time_code(j))
            return np.where(data.observed, times, np.array("NaT", times.dtype))
        if data.observed.all():
            return data.values
        if data.values.dtype.kind == "f":
            return np.where(data.observed, data.values, np.nan)
        filled = data.values.astype(object)
        filled[~data.observed] = self._missing.get(j)
        return filled

    def _objects(self, j: int, data: ColumnValues) -> Array:
        """Objects in the format of a column, (n_samples,)."""
        objects = as_objects([self._missing.get(j)] * len(data.values))
        if data.observed.any():
            objects[data.observed] = self.formats[j].objects(
                data.values[data.observed], data.unit
            )
        return objects

    def _array(self, columns: Sequence[ColumnValues]) -> Array:
        dtype = self.template.dtype
        if dtype.kind in "biuSU" and not all(data.observed.all() for data in columns):
            # It has no missing value.
            dtype = np.dtype(object)
        rows = np.empty((len(columns[0].values), len(columns)), dtype)
        for j, data in enumerate(columns):
            rows[:, j] = self._with_missing(j, data)
            if not data.observed.all():
                missing = {"m": "NaT", "M": "NaT", "f": np.nan}.get(dtype.kind)
                rows[~data.observed, j] = self._missing.get(j, missing)
        return rows

    def _pandas(self, arrays: Sequence[Array], index: Any) -> Any:
        """Data frame of pandas with these columns, (n_samples,) each."""
        import pandas as pd

        series = []
        for dtype, array in zip(self.template.dtypes, arrays, strict=True):
            if isinstance(dtype, pd.IntervalDtype) and pd.isna(array).any():
                dtype = _nullable_intervals(dtype)
            if array.dtype == object or str(dtype).startswith("dictionary"):
                series.append(pd.Series(array.astype(object), index=index, dtype=dtype))
                continue
            column = pd.Series(array, index=index)
            if getattr(dtype, "tz", None) is not None:
                column = column.dt.tz_localize("UTC").dt.tz_convert(dtype.tz)
            series.append(column if column.dtype == dtype else column.astype(dtype))
        frame = pd.concat(series, axis=1)
        frame.columns = self.template.columns
        return frame

    def _polars(self, arrays: Sequence[Array]) -> Any:
        """Data frame of polars with these columns, (n_samples,) each."""
        import polars as pl

        fields = zip(self.template.schema.items(), arrays, strict=True)
        return pl.DataFrame(
            [_polars_series(pl, name, dtype, array) for (name, dtype), array in fields]
        )

    def _arrow(self, arrays: Sequence[Array]) -> Any:
        """Table of PyArrow with these columns, (n_samples,) each."""
        import pyarrow as pa

        schema = self.template.schema
        columns = [_arrow_column(pa, f.type, a) for f, a in zip(schema, arrays, strict=True)]
        return pa.table(columns, schema=schema)


def _nullable_intervals(dtype: Any) -> Any:
    """A dtype of intervals of pandas that has a missing value: those of integers have none."""
    is_whole = dtype.subtype is not None and dtype.subtype.kind in "iu"
    return type(dtype)(np.float64, dtype.closed) if is_whole else dtype


def _polars_series(pl: Any, name: str, dtype: Any, array: Array) -> Any:
    """An array, (n_samples,), as a column of polars."""
    if array.dtype == object or dtype == pl.Object:
        return pl.Series(name, array.tolist(), dtype=dtype)
    series = pl.Series(name, array, nan_to_null=array.dtype.kind == "f")
    if array.dtype.kind in "mM" and getattr(dtype, "time_zone", None) is not None:
        series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    return series.cast(dtype)


def _arrow_column(pa: Any, dtype: Any, array: Array) -> Any:
    """An array, (n_samples,), as a column of PyArrow."""
    if pa.types.is_dictionary(dtype):
        column = pa.array(array.tolist(), dtype.value_type).dictionary_encode()
    elif pa.types.is_run_end_encoded(dtype):
        import pyarrow.compute as pc

        return pc.run_end_encode(_arrow_column(pa, dtype.value_type, array), dtype.run_end_type)
    elif isinstance(dtype, pa.BaseExtensionType):
        storage = pa.array(array.tolist()).cast(dtype.storage_type)
        return pa.ExtensionArray.from_storage(dtype, storage)
    elif array.dtype == object:
        column = pa.array(array.tolist(), dtype)
    else:
        # NaT is null in any case.
        column = pa.array(array, from_pandas=True)
    return column.cast(dtype)
