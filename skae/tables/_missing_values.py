"""Missing values of a table: values that mark them, and tables in which they are filled."""

from dataclasses import replace
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ColumnValues, as_objects, numpy_times
from skae.tables._frame_schema import FrameSchema
from skae.tables._frames import columns_of_frame, is_frame, read_columns
from skae.utils._arrays import index_of

Array = NDArray[Any]

# Dtypes of times.
_TIMES = (nw.Date, nw.Datetime, nw.Duration, nw.Time)

_TYPES = {"i": "number", "u": "number", "f": "number", "U": "str", "b": "bool"}


def missing_mask(X: Any) -> Array:
    """Missing values of a checked table, as a mask of shape (n_samples, n_features)."""
    return np.column_stack([~data.observed for data in read_columns(X)])


def without_sparse(X: Any) -> Any:
    """A table with the same values, in which sparse columns of pandas are dense."""
    if not hasattr(X, "iloc"):
        return X
    sparse = {name: dtype.subtype for name, dtype in X.dtypes.items() if _is_sparse(dtype)}
    return X.astype(sparse) if sparse else X


def _is_sparse(dtype: Any) -> bool:
    return type(dtype).__name__ == "SparseDtype"


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
    if isinstance(dtype, _TIMES) or (dtype.is_numeric() and _type_of(marker) != "number"):
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
    kind, type_ = values.dtype.kind, _type_of(marker)
    if kind in "iu" and type_ == "number" and marker % 1 == 0:
        marker = int(marker)  # as a float it would be compared with rounded integers
    if kind == "O":
        same = (_type_of(value) == type_ and bool(value == marker) for value in values.flat)
        return np.fromiter(same, bool, values.size).reshape(values.shape)
    if _TYPES.get(kind) != type_:
        return np.zeros(values.shape, bool)
    return np.asarray(values == marker)


def _type_of(value: Any) -> str | None:
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
            _replaced(_nullable(series), mask, None) if mask.any() else series
            for series, mask in zip(columns_of_frame(X), removed.T, strict=True)
        ]
        return _table_like(X, columns)
    kind, type_ = X.dtype.kind, _type_of(marker)
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


def _replaced(
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


def _table_like(X: Any, columns: list[nw.Series[Any]]) -> Any:
    """The data frame X with these columns in the place of its own."""
    return nw.from_native(X, eager_only=True).with_columns(*columns).to_native()


# Filled tables


def with_values(
    X: Any, columns: list[ColumnValues], missing: Array, schema: FrameSchema
) -> Any:
    """A checked table with the values of other columns where `missing`, and its own elsewhere.

    Its library and dtypes stay, but where a column cannot hold what belongs in it: integers
    then become floats, and a categorical dtype of pandas has more categories. `missing` has
    shape (n_samples, n_features), and `schema` is that of the table of the other columns.
    """
    if not is_frame(X):
        return _array_with_values(X, columns, missing)
    filled = columns_of_frame(X)
    filling: Any = None
    if _has_dtypes_of(X, schema.template):
        filling = columns_of_frame(schema.build(columns, index_of(X)))
    for j in map(int, np.flatnonzero(missing.any(axis=0))):
        mask = missing[:, j]
        if filling is None:
            # A dtype that can hold the values that are filled in needs no room for others.
            rows = np.where(mask, np.arange(len(mask)), mask.argmax())
            needed = replace(columns[j], values=columns[j].values[rows])
            filled[j] = _with_room(filled[j], needed, schema.time_code(j))
            other = _in_dtype_of(filled[j], needed)
        else:
            other = filling[j]
        filled[j] = _replaced(filled[j], mask, other)
    return _table_like(X, filled)


def _array_with_values(X: Array, columns: list[ColumnValues], missing: Array) -> Array:
    """An array (n_samples, n_features) with the values of other columns where `missing`."""
    some = np.flatnonzero(missing.any(axis=0))
    if X.dtype.kind == "f" and any(columns[j].values.dtype.kind not in "iuf" for j in some):
        X = X.astype(object)
    filled = X.copy()
    for j in some:
        mask, values = missing[:, j], columns[j].values
        if X.dtype.kind == "O":
            values = _as_integers(values, X[~mask, j])
        elif X.dtype.kind in "mM":
            values = numpy_times(values, columns[j].unit, X.dtype.kind)
        filled[mask, j] = values[mask]
    return filled


def _as_integers(values: Array, observed: Array) -> Array:
    """Whole numbers, (n_samples,), as Python's integers if all observed objects are such."""
    is_whole = values.dtype.kind in "fiu" and bool((values == np.round(values)).all())
    if is_whole and len(observed) and all(isinstance(v, int | np.integer) for v in observed):
        return as_objects([int(v) for v in values])
    return values


def _has_dtypes_of(X: Any, template: Any) -> bool:
    """True if frames (n_samples, n_columns) are of one library and have the same dtypes."""

    def dtypes(frame: Any) -> list[Any]:
        natives = (series.to_native() for series in columns_of_frame(frame))
        return [n.dtype if hasattr(n, "dtype") else n.type for n in natives]

    return type(X) is type(template) and dtypes(X) == dtypes(template)


def _with_room(series: nw.Series[Any], data: ColumnValues, time_code: str) -> nw.Series[Any]:
    """A column in a dtype that can hold the values of another."""
    dtype, values = series.dtype, data.values
    if not _can_hold(dtype, data):
        return _without_values(series, data, time_code)
    if isinstance(dtype, nw.Enum):
        new = sorted(set(map(str, values)) - set(dtype.categories))
        if new:
            raise ValueError(
                f"Column {series.name!r} is an Enum of {', '.join(map(repr, dtype.categories))}"
                f", and cannot hold {', '.join(map(repr, new))}, which was seen in fit and "
                "belongs in its missing values. Cast it to String or Categorical."
            )
    if isinstance(dtype, nw.Categorical) and hasattr(series.to_native(), "iloc"):
        native = series.to_native()
        new = [value for value in dict.fromkeys(values) if value not in native.cat.categories]
        return nw.from_native(native.cat.add_categories(new), series_only=True)
    if dtype.is_integer():
        limits, values = np.iinfo(str(dtype).lower()), values.astype(np.float64)
        fits = (values == np.round(values)) & (values >= limits.min) & (values <= limits.max)
        return series if fits.all() else series.cast(nw.Float64())
    return series


def _can_hold(dtype: Any, data: ColumnValues) -> bool:
    """Return True if a dtype is one of values of this type."""
    if isinstance(dtype, nw.Categorical | nw.Enum | nw.Object):
        return True
    if data.unit is not None or isinstance(dtype, _TIMES):
        return data.unit is not None and isinstance(dtype, _TIMES)
    kind = _type_of(data.values[0])
    if isinstance(dtype, nw.String):
        return kind == "str"
    return kind in ("bool", "number") and (dtype.is_numeric() or isinstance(dtype, nw.Boolean))


def _without_values(
    series: nw.Series[Any], data: ColumnValues, time_code: str
) -> nw.Series[Any]:
    """A column of the same library, in the dtype that other values have without it."""
    values: Any = data.values
    if data.unit is not None:
        values = numpy_times(values, data.unit, time_code)
    values = values.tolist() if values.dtype == object else values
    made = nw.new_series(series.name, values, backend=series.implementation)
    return _with_index_of(series, made)


def _in_dtype_of(series: nw.Series[Any], data: ColumnValues) -> nw.Series[Any]:
    """Values as a column of the library and dtype of another."""
    values, dtype = data.values, series.dtype
    are_integers = values.dtype.kind in "iu" or all(type(value) is int for value in values)
    if dtype.is_numeric() and values.dtype.kind != "f" and not are_integers:
        values = np.array([float(value) for value in values])
    elif isinstance(dtype, nw.Boolean):
        values = values.astype(np.float64).astype(bool)
    frame = series.to_frame().to_native()
    schema = FrameSchema(frame, list(read_columns(frame)))
    filled = schema.build([replace(data, values=values)], nw.maybe_get_index(series))
    return columns_of_frame(filled)[0]


def _with_index_of(other: Any, series: nw.Series[Any]) -> nw.Series[Any]:
    """A series with the index of a series or frame, if that is of pandas."""
    index = nw.maybe_get_index(other)
    if index is None:
        return series
    # As pandas has it: narwhals would read the index value by value.
    return nw.from_native(series.to_native().set_axis(index), series_only=True)


# The filled table as it is returned


def with_zeros(X: Any, columns: Array, missing: Array) -> Any:
    """A table with zeros where numbers of some columns, their positions, are missing.

    `missing` is a mask of shape (n_samples, n_features).
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
    """A table of some columns, by their positions."""
    if not is_frame(X):
        return X[:, columns]
    return nw.from_native(X, eager_only=True)[:, [int(j) for j in columns]].to_native()


def with_flags(X: Any, flags: Array, names: list[str]) -> Any:
    """A table with columns of flags, (n_samples, n_flags), appended.

    Booleans with these names in a data frame, else 0 and 1.
    """
    if not is_frame(X):
        return np.hstack([X, flags.astype(X.dtype)])
    frame = nw.from_native(X, eager_only=True)
    made = [
        nw.new_series(name, flags[:, j].copy(), backend=frame.implementation)
        for j, name in enumerate(names)
    ]
    return frame.with_columns(*(_with_index_of(frame, s) for s in made)).to_native()


def given_back(filled: Any, X: Any) -> Any:
    """A filled table that shares no memory with X, in the dtypes of X where these hold it.

    `filled` has some columns of X, and others; X is the table as the user gave it.
    """
    if not is_frame(filled):
        return filled.copy() if np.may_share_memory(filled, X) else filled
    filled = nw.from_native(filled, eager_only=True).clone().to_native()
    if not hasattr(X, "iloc"):
        return filled
    for name, dtype in X.dtypes.items():
        if name not in filled.columns:
            continue
        if isinstance(dtype, np.dtype) and dtype.kind in "iub":
            filled[name] = _of_numpy(filled[name], dtype)
        elif _is_sparse(dtype):
            dense = _of_numpy(filled[name], dtype.subtype)
            if isinstance(dense.dtype, np.dtype):
                dense = dense.astype(type(dtype)(dense.dtype, dtype.fill_value))
            filled[name] = dense
    return filled


def _of_numpy(column: Any, dtype: Any) -> Any:
    """A column of pandas in this dtype of NumPy, or as floats where it has others."""
    if isinstance(column.dtype, np.dtype) or column.isna().any():
        return column
    return column.astype(dtype if column.dtype.kind == dtype.kind else np.float64)


def in_library(table: Any, library: str) -> Any:
    """A data frame in "pandas" or "polars"; arrays, and for "default" all, as they are."""
    if not is_frame(table) or library == "default":
        return table
    # PyArrow, by which polars reads pandas, does not support sparse dtypes.
    frame = nw.from_native(without_sparse(table) if library == "polars" else table)
    return frame.to_pandas() if library == "pandas" else frame.to_polars()


def with_string_names(table: Any, names: Array) -> Any:
    """A table with these names, (n_columns,), if strings and others are mixed in its own.

    scikit-learn refuses such mixtures.
    """
    if not hasattr(table, "iloc"):
        return table
    are_strings = [isinstance(name, str) for name in table.columns]
    mixed = any(are_strings) and not all(are_strings)
    return table.set_axis(names, axis=1) if mixed else table
