"""The library, names and dtypes of a table, as plain values too, and tables of other rows."""

import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ColumnValues

Array = NDArray[Any]

# Names of dtypes that have no other parameters.
_PANDAS_NAMES = re.compile(r"[A-Za-z]+\d*|(string|str)(\[(python|pyarrow)\])?|period\[[\w-]+\]|"
                           r"interval\[[\w\[\], -]+\]")  # fmt: skip
_ARROW_MAKERS = {"timestamp", "binary", "decimal32", "decimal64", "decimal128", "decimal256"}
_POLARS_PARAMETERS = {
    "Datetime": ("time_unit", "time_zone"),
    "Decimal": ("precision", "scale"),
    "Duration": ("time_unit",),
    "Enum": ("categories",),
}


class FrameSchema:
    """The library, names, dtypes and formats of a table, to build tables of other rows.

    `X` is as `checked_table` returned it, and `columns` are its columns.
    """

    template: Any  # X without rows
    # By position: the missing value of columns whose dtype has several, and the format of
    # columns whose dtype is not enough.
    _missing: dict[int, Any]
    formats: dict[int, Any]

    def __init__(self, X: Any, columns: Sequence[ColumnValues]) -> None:
        self.template = X[:0]
        self.formats = {
            j: data.format for j, data in enumerate(columns) if data.format is not None
        }
        self._missing = {}
        if hasattr(X, "iloc") or isinstance(X, np.ndarray):
            rows = getattr(X, "iloc", X)
            for j, data in enumerate(columns):
                if rows[:0, j].dtype.kind == "O" and not data.observed.all():
                    # None, NaN or NA: as it came.
                    self._missing[j] = rows[int(np.argmin(data.observed)), j]

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

    def only(self, j: int) -> "FrameSchema":
        """That of one column of a data frame, by its position."""
        frame = nw.from_native(self.template, eager_only=True)[:, [j]].to_native()
        schema = FrameSchema(frame, [])
        schema.formats = {0: self.formats[j]} if j in self.formats else {}
        schema._missing = {0: self._missing[j]} if j in self._missing else {}
        return schema

    def build(self, columns: Sequence[ColumnValues], index: Any) -> Any:
        """A table of these columns; `index` is that of pandas, or None."""
        if isinstance(self.template, np.ndarray):
            dtype = self.template.dtype
            if dtype.kind in "biuSU" and not all(data.observed.all() for data in columns):
                # It has no missing value.
                dtype = np.dtype(object)
            rows = np.empty((len(columns[0].values), len(columns)), dtype)
            for j, data in enumerate(columns):
                rows[:, j] = self._with_missing(j, data)
            return rows
        arrays = [self._with_missing(j, data) for j, data in enumerate(columns)]
        if hasattr(self.template, "iloc"):
            return self._pandas(arrays, index)
        schema = self.template.schema
        if hasattr(self.template, "get_columns"):
            import polars as pl

            series = map(_polars_series, schema.keys(), schema.values(), arrays)
            return pl.DataFrame(dict(zip(schema, series, strict=True)))
        import pyarrow as pa

        return pa.table(list(map(_arrow_column, schema.types, arrays)), schema=schema)

    def _with_missing(self, j: int, data: ColumnValues) -> Array:
        """Values with missing ones among them, (n_samples,), as the library accepts them."""
        if not data.observed.any() or j in self.formats:
            objects = np.full(len(data.values), self._missing.get(j), object)
            if data.observed.any():
                present = data.values[data.observed]
                objects[data.observed] = self.formats[j].objects(present, data.unit)
            return objects
        if data.unit is not None:
            times = data.times()
            return np.where(data.observed, times, np.array("NaT", times.dtype))
        if data.observed.all():
            return data.values
        if data.values.dtype.kind == "f" and j not in self._missing:
            return np.where(data.observed, data.values, np.nan)
        filled = data.values.astype(object)
        filled[~data.observed] = self._missing.get(j)
        return filled

    def _pandas(self, arrays: Sequence[Array], index: Any) -> Any:
        """Data frame of pandas with these columns, (n_samples,) each."""
        import pandas as pd

        series = []
        for dtype, array in zip(self.template.dtypes, arrays, strict=True):
            is_interval = isinstance(dtype, pd.IntervalDtype) and dtype.subtype is not None
            if is_interval and dtype.subtype.kind in "iu" and pd.isna(array).any():
                # Intervals of integers have no missing value.
                dtype = pd.IntervalDtype(np.float64, dtype.closed)
            if array.dtype == object or str(dtype).startswith("dictionary"):
                series.append(pd.Series(array.astype(object), index=index, dtype=dtype))
                continue
            column = pd.Series(array, index=index)
            if getattr(dtype, "tz", None) is not None:
                column = column.dt.tz_localize("UTC")
            series.append(column.astype(dtype))
        frame = pd.concat(series, axis=1)
        frame.columns = self.template.columns
        return frame


def _polars_series(name: str, dtype: Any, array: Array) -> Any:
    """An array, (n_samples,), as a column of polars."""
    import polars as pl

    if array.dtype == object or dtype == pl.Object:
        return pl.Series(name, array.tolist(), dtype=dtype)
    # Times are in UTC, and a cast to a time zone takes them as such.
    return pl.Series(name, array, nan_to_null=array.dtype.kind == "f").cast(dtype)


def _arrow_column(dtype: Any, array: Array) -> Any:
    """An array, (n_samples,), as a column of PyArrow."""
    import pyarrow as pa

    if pa.types.is_dictionary(dtype):
        column = pa.array(array.tolist(), dtype.value_type).dictionary_encode()
    elif pa.types.is_run_end_encoded(dtype):
        import pyarrow.compute as pc

        return pc.run_end_encode(_arrow_column(dtype.value_type, array), dtype.run_end_type)
    elif isinstance(dtype, pa.BaseExtensionType):
        storage = pa.array(array.tolist()).cast(dtype.storage_type)
        return pa.ExtensionArray.from_storage(dtype, storage)
    elif array.dtype == object:
        column = pa.array(array.tolist(), dtype)
    else:
        if pa.types.is_float16(dtype):
            array = array.astype(np.float16)  # which early versions do not cast
        # NaT is null in any case.
        column = pa.array(array, from_pandas=True)
    return column.cast(dtype)


# Empty tables as lists of plain values, and back


def described(table: Any) -> list[Any]:
    """An empty table as lists of strings, numbers, categories and dtypes of NumPy.

    The table that they make is compared with the given one: where a dtype would come back as
    another, there is a TypeError.
    """
    library, kind = type(table).__module__.partition(".")[0], type(table).__name__
    parts: list[Any]
    if (library, kind) == ("pandas", "DataFrame"):
        parts = [_of_index(table.columns), [_of_dtype(dtype) for dtype in table.dtypes]]
    elif (library, kind) == ("polars", "DataFrame"):
        parts = [[[name, *_of_polars_type(dtype)] for name, dtype in table.schema.items()]]
    elif (library, kind) == ("pyarrow", "Table"):
        fields = [
            [field.name, _of_arrow_type(field.type), field.nullable, _of_metadata(field)]
            for field in table.schema
        ]
        parts = [fields, _of_metadata(table.schema)]
    else:
        raise TypeError(f"a table of type {kind}")
    try:
        again = table_of([library, *parts])
        if library == "pandas":
            same = table.columns.identical(again.columns) and (
                [table.columns.dtype, *table.dtypes] == [again.columns.dtype, *again.dtypes]
            )
        elif library == "polars":
            same = table.schema == again.schema
        else:
            same = table.schema.equals(again.schema, check_metadata=True)
    except (TypeError, ValueError, LookupError, NotImplementedError):
        same = False
    if not same:
        raise TypeError(f"a table of {library} with dtypes that lists cannot hold")
    return [library, *parts]


def table_of(description: Any) -> Any:
    """The empty table that was described."""
    libraries = ["pandas"], ["polars"], ["pyarrow"]
    _check(isinstance(description, list) and description[:1] in libraries, "no table")
    library, *parts = description
    if library == "pandas":
        columns, dtypes = parts
        pd = _module(library)
        series = {i: pd.Series([], dtype=_dtype(pd, dtype)) for i, dtype in enumerate(dtypes)}
        return pd.DataFrame(series).set_axis(_index(pd, *columns), axis=1)
    if library == "polars":
        (fields,) = parts
        pl = _module(library)
        return pl.DataFrame(schema={name: _polars_type(pl, *dtype) for name, *dtype in fields})
    pa, (fields, of_table) = _module(library), parts
    made = [
        pa.field(name, _arrow_type(pa, dtype), nullable, _metadata(metadata))
        for name, dtype, nullable, metadata in fields
    ]
    return pa.schema(made, _metadata(of_table)).empty_table()


def _check(condition: Any, what: str) -> None:
    if not condition:
        raise ValueError(f"A description of a table has {what}.")


def _module(name: str) -> Any:
    """A library, which is imported for files that have a table of it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"The estimator was fitted on a table of {name}: install {name}."
        ) from error


def _of_index(index: Any) -> list[Any]:
    if type(index).__name__ == "RangeIndex":
        return ["range", [index.start, index.stop, index.step], index.name]
    return [_of_dtype(index.dtype), index.tolist(), index.name]


def _index(pd: Any, dtype: Any, values: Any, name: Any) -> Any:
    """Index of labels, (n_labels,), or of a range's start, stop and step."""
    if dtype == "range":
        return pd.RangeIndex(*values, name=name)
    return pd.Index(values, dtype=_dtype(pd, dtype), name=name)


def _of_dtype(dtype: Any) -> Any:
    if isinstance(dtype, np.dtype):
        return ["numpy", dtype]
    kind = type(dtype).__name__
    if kind == "CategoricalDtype":
        categories = None if dtype.categories is None else _of_index(dtype.categories)
        return ["category", categories, bool(dtype.ordered)]
    if kind == "DatetimeTZDtype":
        return ["time zone", dtype.unit, str(dtype.tz)]
    if kind == "ArrowDtype":
        return ["arrow", _of_arrow_type(dtype.pyarrow_dtype)]
    if kind == "SparseDtype":
        return ["sparse", _of_dtype(dtype.subtype), dtype.fill_value]
    return ["name", f"string[{dtype.storage}]" if str(dtype) == "string" else str(dtype)]


def _dtype(pd: Any, description: Any) -> Any:
    kind, *parts = description
    if kind == "numpy":
        return np.dtype(*parts)
    if kind == "category":
        categories, ordered = parts
        categories = None if categories is None else _index(pd, *categories)
        return pd.CategoricalDtype(categories, ordered)
    if kind == "time zone":
        return pd.DatetimeTZDtype(*parts)
    if kind == "sparse":
        subtype, fill_value = parts
        return pd.SparseDtype(_dtype(pd, subtype), fill_value)
    if kind == "arrow":
        return pd.ArrowDtype(_arrow_type(_module("pyarrow"), *parts))
    _check(_PANDAS_NAMES.fullmatch(*parts), "an unknown dtype")
    return pd.api.types.pandas_dtype(*parts)


def _of_polars_type(dtype: Any) -> list[Any]:
    name = str(dtype.base_type())
    if name == "Enum":
        return [name, dtype.categories.to_list()]
    return [name, *(getattr(dtype, key) for key in _POLARS_PARAMETERS.get(name, ()))]


def _polars_type(pl: Any, name: Any, *arguments: Any) -> Any:
    if name in _POLARS_PARAMETERS:
        return getattr(pl, name)(*arguments)
    kind: Any = getattr(pl, name, None)
    is_dtype = isinstance(kind, type) and issubclass(kind, pl.DataType)
    _check(is_dtype and not kind.is_nested() and not arguments, "an unknown dtype")
    return kind


def _of_metadata(owner: Any) -> Any:
    pairs = owner.metadata
    return pairs and [[part.decode("latin-1") for part in pair] for pair in pairs.items()]


def _metadata(pairs: Any) -> Any:
    return pairs and {key.encode("latin-1"): value.encode("latin-1") for key, value in pairs}


def _of_arrow_type(kind: Any) -> list[Any]:
    types = import_module("pyarrow").types
    if types.is_dictionary(kind):
        parts = _of_arrow_type(kind.index_type), _of_arrow_type(kind.value_type)
        return ["dictionary", *parts, kind.ordered]
    if types.is_timestamp(kind):
        return ["timestamp", kind.unit, kind.tz]
    if types.is_decimal(kind):
        return [f"decimal{kind.bit_width}", kind.precision, kind.scale]
    if types.is_fixed_size_binary(kind):
        return ["binary", kind.byte_width]
    return [str(kind)]


def _arrow_type(pa: Any, description: Any) -> Any:
    name, *arguments = description
    if name == "dictionary":
        index, value, ordered = arguments
        return pa.dictionary(_arrow_type(pa, index), _arrow_type(pa, value), ordered)
    if arguments and name in _ARROW_MAKERS:
        return getattr(pa, name)(*arguments)
    _check(not arguments, "an unknown dtype")
    return pa.type_for_alias(name)
