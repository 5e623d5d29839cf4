"""Missing values of a table: values that mark them, and tables in which they are filled."""

from dataclasses import replace
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import ColumnValues, numpy_times
from skae.tables._frame_schema import FrameSchema
from skae.tables._frames import columns_of_frame, is_frame, read_columns

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
    # No other dtype has a value that is not stored.
    sparse = {name: d.subtype for name, d in X.dtypes.items() if hasattr(d, "fill_value")}
    return X.astype(sparse) if sparse else X


def marked_values(X: Any, marker: Any) -> Array:
    """Values of a checked table that equal a marker, as a mask (n_samples, n_features).

    A number marks numbers, a string strings and a boolean booleans, in columns of any dtype
    that can hold them, categories and objects too.
    """
    marker = marker.item() if hasattr(marker, "item") else marker
    if not is_frame(X):
        return _equal(X, marker)
    found = np.zeros(X.shape, bool)
    for j, series in enumerate(columns_of_frame(X)):
        if isinstance(series.dtype, _TIMES):
            continue
        observed = ~series.is_null().to_numpy()
        if isinstance(series.dtype, nw.Decimal):
            series = series.cast(nw.Float64)
        present = series.drop_nulls()
        is_numeric = series.dtype.is_numeric()
        values = present.to_numpy() if is_numeric else np.fromiter(present.to_list(), object)
        found[observed, j] = _equal(values, marker)
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
            _replaced(series, mask, None)
            for series, mask in zip(columns_of_frame(X), removed.T, strict=True)
            if mask.any()
        ]
        return nw.from_native(X, eager_only=True).with_columns(*columns).to_native()
    kind, type_ = X.dtype.kind, _type_of(marker)
    if kind in "iu" and type_ == "number":
        X = X.astype(np.float64)
    elif (kind, type_) in (("U", "str"), ("b", "bool")):
        X = X.astype(object)
    return np.where(removed, np.array(np.nan, X.dtype), X) if removed.any() else X


def _replaced(
    series: nw.Series[Any], mask: Array, filling: nw.Series[Any] | None
) -> nw.Series[Any]:
    """A column with other values, or missing ones, where `mask`, (n_samples,).

    filling : the values in the dtype of the column, (n_missing,); None: they are missing.
    """
    native = series.to_native()
    if hasattr(native, "iloc"):
        dtype = native.dtype
        if filling is None and isinstance(dtype, np.dtype) and dtype.kind in "iub":
            # Of "int8" and "uint8" the nullable dtypes are "Int8" and "UInt8".
            nullable = dtype.name.replace("i", "I").replace("u", "U")
            native = native.astype("boolean" if dtype.kind == "b" else nullable)
        native = native.copy()
        native.iloc[np.flatnonzero(mask)] = (
            None if filling is None else filling.to_native().array
        )
        return nw.from_native(native, series_only=True)
    stays = nw.new_series("", ~mask, backend=series.implementation)
    if filling is not None:
        return series.zip_with(stays, filling[(np.cumsum(mask) - 1).clip(0)])
    frame = series.alias("values").to_frame().with_columns(stays.alias("stays"))
    return frame.select(nw.when(nw.col("stays")).then("values"))["values"].alias(series.name)


# Filled tables


def with_values(
    X: Any, columns: list[ColumnValues], missing: Array, schema: FrameSchema
) -> Any:
    """A checked table with other values where `missing`, and its own elsewhere.

    Its library and dtypes stay, but where a column cannot hold what belongs in it: integers
    then become floats, and a categorical dtype of pandas has more categories. `missing` has
    shape (n_samples, n_features); `columns` have the values of each column where it is True,
    (n_missing,), and `schema` is that of the table that they are from.
    """
    if not is_frame(X):
        return _array_with_values(X, columns, missing)

    def dtypes(frame: Any) -> list[Any]:
        return list(frame.dtypes if hasattr(frame, "dtypes") else frame.schema.types)

    template, given, filled = schema.template, columns_of_frame(X), []
    has_dtypes = type(X) is type(template) and dtypes(X) == dtypes(template)
    for j in map(int, np.flatnonzero(missing.any(axis=0))):
        series, data = given[j], columns[j]
        if has_dtypes:
            filling = columns_of_frame(schema.only(j).build([data], None))[0]
        else:
            series = _with_room(series, data)
            filling = _in_dtype_of(series, data)
        filled.append(_replaced(series, missing[:, j], filling))
    return nw.from_native(X, eager_only=True).with_columns(*filled).to_native()


def _array_with_values(X: Array, columns: list[ColumnValues], missing: Array) -> Array:
    """An array (n_samples, n_features) with other values where `missing`, as `with_values`."""
    some = np.flatnonzero(missing.any(axis=0))
    if X.dtype.kind == "f" and any(columns[j].values.dtype.kind not in "iuf" for j in some):
        X = X.astype(object)
    filled = X.copy()
    for j in some:
        mask, values = missing[:, j], columns[j].values
        if X.dtype.kind == "O":
            others, are_numbers = X[~mask, j], values.dtype.kind in "fiu"
            are_integers = len(others) and all(isinstance(v, int | np.integer) for v in others)
            if are_integers and are_numbers and (values == np.round(values)).all():
                values = np.fromiter(map(int, values), object)
        elif X.dtype.kind in "mM":
            values = numpy_times(values, columns[j].unit, X.dtype.kind)
        filled[mask, j] = values
    return filled


def _with_room(series: nw.Series[Any], data: ColumnValues) -> nw.Series[Any]:
    """A column in a dtype that can hold the values of another."""
    dtype, values = series.dtype, data.values
    kind = "time" if data.unit is not None else _type_of(values[0])
    if isinstance(dtype, _TIMES):
        are_durations = data.type == "duration"
        can_hold = kind == "time" and isinstance(dtype, nw.Duration) == are_durations
    elif isinstance(dtype, nw.String):
        can_hold = kind == "str"
    elif isinstance(dtype, nw.Boolean) or dtype.is_numeric():
        can_hold = kind in ("bool", "number")
    else:
        can_hold = isinstance(dtype, nw.Categorical | nw.Enum | nw.Object)
    if not can_hold:
        # The dtype that the values have without it.
        values = data.times() if kind == "time" else values
        made: Any = values.tolist() if values.dtype == object else values
        return nw.new_series(series.name, made, backend=series.implementation)
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
    return columns_of_frame(schema.build([replace(data, values=values)], None))[0]


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
        return np.hstack([X, flags], dtype=X.dtype, casting="unsafe")
    frame = nw.from_native(X, eager_only=True)
    made = [
        nw.new_series(name, flags[:, j].copy(), backend=frame.implementation)
        for j, name in enumerate(names)
    ]
    return frame.with_columns(*made).to_native()


def given_back(filled: Any, X: Any, names: Array, library: str = "default") -> Any:
    """A filled table that shares no memory with X, in the dtypes of X where these hold it.

    `filled` has some columns of X, and others; X is the table as the user gave it. `names`,
    (n_columns,), replace its own where strings and others are mixed, which scikit-learn
    refuses. `library` is "pandas" or "polars", or "default" for that of X.
    """
    if not is_frame(filled):
        return filled.copy() if np.may_share_memory(filled, X) else filled
    filled = nw.from_native(filled, eager_only=True).clone().to_native()
    for name, dtype in X.dtypes.items() if hasattr(X, "iloc") else ():
        is_sparse = hasattr(dtype, "fill_value")
        plain = dtype.subtype if is_sparse else dtype
        may_differ = is_sparse or (isinstance(plain, np.dtype) and plain.kind in "iub")
        if name not in filled.columns or not may_differ:
            continue
        column = filled[name]
        if not (isinstance(column.dtype, np.dtype) or column.isna().any()):
            column = column.astype(plain if column.dtype.kind == plain.kind else np.float64)
        if is_sparse and isinstance(column.dtype, np.dtype):
            column = column.astype(type(dtype)(column.dtype, dtype.fill_value))
        filled[name] = column
    if hasattr(X, "iloc") and len({isinstance(name, str) for name in filled.columns}) > 1:
        filled = filled.set_axis(names, axis=1)
    if library == "polars":
        # PyArrow, by which polars reads pandas, does not support sparse dtypes.
        return nw.from_native(without_sparse(filled)).to_polars()
    return nw.from_native(filled).to_pandas() if library == "pandas" else filled
