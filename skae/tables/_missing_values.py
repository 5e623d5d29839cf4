"""Tables in which missing cells are filled."""

from dataclasses import replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from skae.tables._cells import ColumnValues
from skae.tables._frames import FrameSchema, is_frame, read_columns
from skae.tables._marks import TIMES, replaced, table_like, type_of, without_sparse
from skae.utils._frames import index_of

Array = NDArray[Any]


def with_values(X: Any, cells: list[ColumnValues], missing: Array, form: FrameSchema) -> Any:
    """A table with other cells where they are missing, and the same cells elsewhere.

    Its library and dtypes stay, but where a column cannot hold what belongs in it: integers
    then become floats, and a categorical dtype of pandas has more categories.

    Parameters
    ----------
    X : data frame or ndarray
        As `checked_table` gave it.

    cells : list of Cells
        The columns of the other cells.

    missing : ndarray of bool of shape (n_samples, n_features)
        Which cells are replaced.

    form : FrameSchema
        Of the table that the other cells come from.
    """
    if not is_frame(X):
        return _array_with_cells(X, cells, missing)
    columns = list(nw.from_native(X, eager_only=True).iter_columns())
    some = np.flatnonzero(missing.any(axis=0))
    if _has_dtypes_of(X, form.template):
        others = nw.from_native(form.build(_parts(cells), index_of(X)), eager_only=True)
        fillings = {j: others[:, int(j)] for j in some}
    else:
        for j in some:
            columns[j] = _with_room(
                columns[j], cells[j], missing[:, j], _time_code(form, int(j))
            )
        fillings = {j: _filling(columns[j], cells[j]) for j in some}
    for j, filling in fillings.items():
        columns[j] = replaced(columns[j], missing[:, j], filling)
    return table_like(X, columns)


def _array_with_cells(X: Array, cells: list[ColumnValues], missing: Array) -> Array:
    """An array (n_samples, n_features) with other cells where they are missing."""
    needed = [each for each, gone in zip(cells, missing.T, strict=True) if gone.any()]
    if X.dtype.kind == "f" and any(each.values.dtype.kind not in "iuf" for each in needed):
        X = X.astype(object)
    filled = X.copy()
    for j in np.flatnonzero(missing.any(axis=0)):
        gone = missing[:, j]
        others = _as_objects(cells[j], X[~gone, j]) if X.dtype.kind == "O" else cells[j]
        values = others.values[gone]
        if X.dtype.kind in "mM":
            values = values.astype(np.int64).view(f"{X.dtype.kind}8[{cells[j].unit}]")
        filled[gone, j] = values
    return filled


def _as_objects(cells: ColumnValues, observed: Array) -> ColumnValues:
    """Numbers as objects: integers if all those that are observed, (n_observed,), are."""
    kind = cells.values.dtype.kind
    are_integers = all(isinstance(value, int | np.integer) for value in observed)
    if kind not in "fiu" or not len(observed) or not are_integers:
        return cells
    if (cells.values != np.round(cells.values)).any():
        return cells
    return replace(cells, values=np.array([int(v) for v in cells.values], dtype=object))


def _parts(cells: list[ColumnValues]) -> list[tuple[Array, Array, str | None]]:
    return [(each.values, each.observed, each.unit) for each in cells]


def _has_dtypes_of(X: Any, template: Any) -> bool:
    """Whether two data frames are of one library and have the same dtypes."""
    if type(X) is not type(template):
        return False
    pairs = (nw.from_native(frame, eager_only=True).iter_columns() for frame in (X, template))
    return all(_dtype_of(one) == _dtype_of(other) for one, other in zip(*pairs, strict=True))


def _dtype_of(series: nw.Series[Any]) -> Any:
    """The dtype of a column as its library has it."""
    native = series.to_native()
    return native.dtype if hasattr(native, "dtype") else native.type


def _time_code(form: FrameSchema, j: int) -> str:
    """NumPy's code of the times of a column: "m" for durations, else "M"."""
    if isinstance(form.template, np.ndarray):
        return form.template.dtype.kind
    dtype = nw.from_native(form.template, eager_only=True)[:, j].dtype
    return "m" if isinstance(dtype, nw.Duration) else "M"


def _with_room(
    series: nw.Series[Any], cells: ColumnValues, gone: Array, time_code: str
) -> nw.Series[Any]:
    """A column in a dtype that can hold the cells that belong where it has none.

    Parameters
    ----------
    series : narwhals.Series
        The column.

    cells : ColumnValues
        What belongs in it.

    gone : ndarray of bool of shape (n_samples,)
        Where.

    time_code : {"M", "m"}
        Whether times are dates or durations, as in the dtypes of NumPy.
    """
    dtype, values = series.dtype, cells.values[gone]
    if not _holds(dtype, cells):
        return _plain_series(series, cells, time_code)
    if isinstance(dtype, nw.Enum):
        _check_enum(series.name, dtype, values)
    if isinstance(dtype, nw.Categorical) and hasattr(series.to_native(), "iloc"):
        native = series.to_native()
        new = [value for value in dict.fromkeys(values) if value not in native.cat.categories]
        return nw.from_native(native.cat.add_categories(new), series_only=True)
    if dtype.is_integer():
        return series.cast(_integers_or_floats(dtype, values.astype(np.float64)))
    return series


def _integers_or_floats(dtype: Any, values: Array) -> Any:
    """An integer dtype if all values are whole and within its range, else a float dtype."""
    limits = np.iinfo(str(dtype).lower())
    whole = (values == np.round(values)) & (values >= limits.min) & (values <= limits.max)
    return dtype if whole.all() else nw.Float64()


def _holds(dtype: Any, cells: ColumnValues) -> bool:
    """Whether a dtype is one of cells of this type."""
    if isinstance(dtype, nw.Categorical | nw.Enum | nw.Object):
        return True
    if cells.unit is not None or isinstance(dtype, TIMES):
        return cells.unit is not None and isinstance(dtype, TIMES)
    kind = type_of(cells.values[0])
    if isinstance(dtype, nw.String):
        return kind == "str"
    return kind in ("bool", "number") and (dtype.is_numeric() or isinstance(dtype, nw.Boolean))


def _check_enum(name: str, dtype: nw.Enum, values: Array) -> None:
    new = sorted(set(map(str, values)) - set(dtype.categories))
    if new:
        raise ValueError(
            f"Column {name!r} is an Enum of {', '.join(map(repr, dtype.categories))}, and "
            f"cannot hold {', '.join(map(repr, new))}, which was seen in fit and belongs in "
            "its missing cells. Cast it to String or Categorical."
        )


def _plain_series(
    series: nw.Series[Any], cells: ColumnValues, time_code: str
) -> nw.Series[Any]:
    """A column of the same library without cells, in the dtype that others would have."""
    values = cells.values
    if cells.unit is not None:
        values = values.astype(np.int64).view(f"{time_code}8[{cells.unit}]")
    given = values.tolist() if values.dtype == object else values
    plain = nw.new_series(series.name, given, backend=series.implementation)
    return _alongside(plain, series)


def _filling(series: nw.Series[Any], cells: ColumnValues) -> nw.Series[Any]:
    """Cells as a column of the library and dtype of another."""
    values, dtype = cells.values, series.dtype
    are_integers = values.dtype.kind in "iu" or all(type(value) is int for value in values)
    if dtype.is_numeric() and values.dtype.kind != "f" and not are_integers:
        values = np.array([float(value) for value in values])
    elif isinstance(dtype, nw.Boolean):
        values = values.astype(np.float64).astype(bool)
    frame = series.to_frame().to_native()
    form = FrameSchema(frame, list(read_columns(frame)))
    index = nw.maybe_get_index(series)
    filled = form.build([(values, cells.observed, cells.unit)], index)
    return nw.from_native(filled, eager_only=True)[:, 0]


def _alongside(series: nw.Series[Any], other: Any) -> nw.Series[Any]:
    """A series with the index of another, where there are such things."""
    index = nw.maybe_get_index(other)
    if index is None:
        return series
    # As pandas has it: narwhals would read the index value by value.
    return nw.from_native(series.to_native().set_axis(index), series_only=True)


# What is made of the filled table


def with_zeros(X: Any, columns: Array, missing: Array) -> Any:
    """A table with zeros in the missing cells of these columns, where they hold numbers.

    Parameters
    ----------
    X : data frame or ndarray
        The table.

    columns : ndarray of int
        Which columns.

    missing : ndarray of bool of shape (n_samples, n_features)
        Which cells are missing.
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
    """A table of these columns."""
    if not is_frame(X):
        return X[:, columns]
    return nw.from_native(X, eager_only=True)[:, [int(j) for j in columns]].to_native()


def with_flags(X: Any, flags: Array, names: list[str]) -> Any:
    """A table with columns of flags appended: booleans in a data frame, else 0 and 1.

    Parameters
    ----------
    X : data frame or ndarray
        The table.

    flags : ndarray of bool of shape (n_samples, n_flags)
        What is appended.

    names : list of str
        Of the columns of a data frame.
    """
    if not is_frame(X):
        return np.hstack([X, flags.astype(X.dtype)])
    frame = nw.from_native(X, eager_only=True)
    made = [
        nw.new_series(name, flags[:, j].copy(), backend=frame.implementation)
        for j, name in enumerate(names)
    ]
    return frame.with_columns(*(_alongside(s, frame) for s in made)).to_native()


def given_back(filled: Any, X: Any) -> Any:
    """A filled table that shares no memory with X, in the dtypes of X where these hold it.

    Parameters
    ----------
    filled : data frame or ndarray
        Some columns of X, filled, and others.

    X : data frame or ndarray
        As the user gave it.
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
        elif type(dtype).__name__ == "SparseDtype":
            filled[name] = _of_sparse(filled[name], dtype)
    return filled


def _of_numpy(column: Any, dtype: Any) -> Any:
    """A column of pandas in this dtype of NumPy, or as floats where it has others."""
    if isinstance(column.dtype, np.dtype) or column.isna().any():
        return column
    return column.astype(dtype if column.dtype.kind == dtype.kind else np.float64)


def _of_sparse(column: Any, dtype: Any) -> Any:
    """A dense column of pandas in this sparse dtype, or of floats where it has others."""
    dense = _of_numpy(column, dtype.subtype)
    if not isinstance(dense.dtype, np.dtype):
        return dense
    return dense.astype(type(dtype)(dense.dtype, dtype.fill_value))


def in_library(table: Any, library: str) -> Any:
    """A data frame in pandas or polars with its dtypes; arrays, and "default", as they are.

    Parameters
    ----------
    table : data frame or ndarray
        Any table.

    library : {"default", "pandas", "polars"}
        As `set_output` takes it.
    """
    if not is_frame(table) or library == "default":
        return table
    # PyArrow, by which polars reads pandas, knows no sparse dtypes.
    frame = nw.from_native(without_sparse(table) if library == "polars" else table)
    return frame.to_pandas() if library == "pandas" else frame.to_polars()


def with_string_names(table: Any, names: Array) -> Any:
    """A table with these names where it has strings beside other names.

    Such mixtures are refused by scikit-learn.

    Parameters
    ----------
    table : data frame or ndarray
        Any table.

    names : ndarray of str of shape (n_columns,)
        Names of all columns.
    """
    if not hasattr(table, "iloc"):
        return table
    are_strings = [isinstance(name, str) for name in table.columns]
    mixed = any(are_strings) and not all(are_strings)
    return table.set_axis(names, axis=1) if mixed else table
