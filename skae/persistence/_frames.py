"""Empty tables, which say how tables came: pandas, polars and PyArrow.

What is written is compared with the table before it goes into a file: a dtype that comes back
as another is refused.
"""

import re
from importlib import import_module
from typing import Any

import numpy as np

from skae.persistence._container import plain_dtype
from skae.persistence._errors import SavedFileError, check
from skae.persistence._scalars import read, written, zone_name

# Names of dtypes that pandas, polars and PyArrow understand without arguments that are ours.
_PANDAS_NAMES = re.compile(r"[A-Za-z]+\d*|(string|str)(\[(python|pyarrow)\])?|period\[[\w-]+\]|"
                           r"interval\[[\w\[\], -]+\]")  # fmt: skip
_ARROW_NAMES = re.compile(r"[a-z_]+\d*(\[[a-z]+\])?")
_POLARS_NAMES = {
    "Binary", "Boolean", "Categorical", "Date", "Float32", "Float64", "Int8", "Int16", "Int32",
    "Int64", "Null", "Object", "String", "Time", "UInt8", "UInt16", "UInt32", "UInt64",
}  # fmt: skip


def library_of(table: Any) -> str | None:
    """The library of an empty table; None for anything else."""
    name = type(table).__module__.partition(".")[0]
    is_table = name in _LIBRARIES and type(table).__name__ in ("DataFrame", "Table")
    return name if is_table else None


def written_table(table: Any) -> list[Any]:
    """An empty table as JSON."""
    library = library_of(table)
    assert library is not None
    said = [library, *_LIBRARIES[library][0](table)]
    try:
        again = read_table(said)
    except (SavedFileError, TypeError, ValueError) as error:
        raise TypeError(f"a table of {library} with a dtype that cannot be said") from error
    if not _LIBRARIES[library][2](table, again):
        raise TypeError(f"a table of {library} with dtypes that cannot be said")
    return said


def read_table(said: Any) -> Any:
    """The table that was written."""
    known = isinstance(said, list) and len(said) > 1 and isinstance(said[0], str)
    check(known and said[0] in _LIBRARIES, "The file holds a table of an unknown library.")
    return _LIBRARIES[said[0]][1](*said[1:])


def _module(name: str) -> Any:
    """A library, which is imported for files that have a table of it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise SavedFileError(
            f"The file holds an estimator that was fitted on a table of {name}: install it."
        ) from error


# pandas


def _of_pandas(frame: Any) -> list[Any]:
    return [_of_index(frame.columns), [_of_dtype(dtype) for dtype in frame.dtypes]]


def _pandas(columns: Any, dtypes: Any) -> Any:
    pd = _module("pandas")
    series = {i: pd.Series([], dtype=_dtype(pd, dtype)) for i, dtype in enumerate(dtypes)}
    frame = pd.DataFrame(series)
    frame.columns = _index(pd, *columns)
    return frame


def _of_index(index: Any) -> list[Any]:
    if type(index).__name__ == "RangeIndex":
        return ["range", [index.start, index.stop, index.step], written(index.name)]
    values = [written(value) for value in index.tolist()]
    return [_of_dtype(index.dtype), values, written(index.name)]


def _index(pd: Any, dtype: Any, values: Any, name: Any) -> Any:
    if dtype == "range":
        check(all(isinstance(at, int) for at in values), "A range has no numbers.")
        return pd.RangeIndex(*values, name=read(name))
    return pd.Index([read(v) for v in values], dtype=_dtype(pd, dtype), name=read(name))


def _of_dtype(dtype: Any) -> Any:
    if isinstance(dtype, np.dtype):
        return ["numpy", dtype.str]
    kind = type(dtype).__name__
    if kind == "CategoricalDtype":
        categories = None if dtype.categories is None else _of_index(dtype.categories)
        return ["category", categories, bool(dtype.ordered)]
    if kind == "DatetimeTZDtype":
        return ["time zone", dtype.unit, zone_name(dtype.tz)]
    if kind == "ArrowDtype":
        return ["arrow", _of_arrow_type(dtype.pyarrow_dtype)]
    return ["name", str(dtype)]


def _dtype(pd: Any, said: Any) -> Any:
    kind, *parts = said
    if kind == "numpy":
        return plain_dtype(*parts)
    if kind == "category":
        categories, ordered = parts
        categories = None if categories is None else _index(pd, *categories)
        return pd.CategoricalDtype(categories, ordered)
    if kind == "time zone":
        return pd.DatetimeTZDtype(*parts)
    if kind == "arrow":
        return pd.ArrowDtype(_arrow_type(_module("pyarrow"), *parts))
    check(bool(_PANDAS_NAMES.fullmatch(*parts)), "The file names an unknown dtype.")
    return pd.api.types.pandas_dtype(*parts)


def _same_pandas(one: Any, other: Any) -> bool:
    same = one.columns.identical(other.columns) and one.columns.dtype == other.columns.dtype
    return bool(same and list(one.dtypes) == list(other.dtypes))


# polars


def _of_polars(frame: Any) -> list[Any]:
    return [[[name, *_of_polars_type(dtype)] for name, dtype in frame.schema.items()]]


def _polars(columns: Any) -> Any:
    pl = _module("polars")
    return pl.DataFrame(schema={name: _polars_type(pl, *said) for name, *said in columns})


def _of_polars_type(dtype: Any) -> list[Any]:
    name = str(dtype.base_type())
    if name == "Enum":
        return [name, dtype.categories.to_list()]
    if name == "Datetime":
        return [name, dtype.time_unit, dtype.time_zone]
    if name == "Duration":
        return [name, dtype.time_unit]
    if name == "Decimal":
        return [name, dtype.precision, dtype.scale]
    return [name]


def _polars_type(pl: Any, name: Any, *arguments: Any) -> Any:
    if name in ("Datetime", "Duration", "Decimal", "Enum"):
        return getattr(pl, name)(*arguments)
    check(name in _POLARS_NAMES and not arguments, "The file names an unknown dtype.")
    return getattr(pl, name)


def _same_polars(one: Any, other: Any) -> bool:
    return bool(one.schema == other.schema)


# PyArrow


def _of_arrow(table: Any) -> list[Any]:
    fields = [
        [field.name, _of_arrow_type(field.type), field.nullable, _of_metadata(field.metadata)]
        for field in table.schema
    ]
    return [fields, _of_metadata(table.schema.metadata)]


def _arrow(fields: Any, metadata: Any) -> Any:
    pa = _module("pyarrow")
    parts = [
        pa.field(name, _arrow_type(pa, said), nullable, _metadata(about))
        for name, said, nullable, about in fields
    ]
    return pa.schema(parts, _metadata(metadata)).empty_table()


def _of_metadata(metadata: Any) -> Any:
    if metadata is None:
        return None
    return [[key.decode("latin-1"), value.decode("latin-1")] for key, value in metadata.items()]


def _metadata(said: Any) -> Any:
    if said is None:
        return None
    return {key.encode("latin-1"): value.encode("latin-1") for key, value in said}


def _of_arrow_type(kind: Any) -> list[Any]:
    types = import_module("pyarrow").types
    if types.is_dictionary(kind):
        parts = _of_arrow_type(kind.index_type), _of_arrow_type(kind.value_type)
        return ["dictionary", *parts, kind.ordered]
    if types.is_timestamp(kind):
        return ["timestamp", kind.unit, kind.tz]
    if types.is_decimal128(kind):
        return ["decimal128", kind.precision, kind.scale]
    return [str(kind)]


def _arrow_type(pa: Any, said: Any) -> Any:
    name, *arguments = said
    if name == "dictionary":
        index, value, ordered = arguments
        return pa.dictionary(_arrow_type(pa, index), _arrow_type(pa, value), ordered)
    if name in ("timestamp", "decimal128"):
        return getattr(pa, name)(*arguments)
    check(bool(_ARROW_NAMES.fullmatch(name)) and not arguments, "The file names no dtype.")
    return pa.type_for_alias(name)


def _same_arrow(one: Any, other: Any) -> bool:
    return bool(one.schema.equals(other.schema, check_metadata=True))


# For each library, what writes an empty table, what reads it, and what compares two.
_LIBRARIES: dict[str, tuple[Any, Any, Any]] = {
    "pandas": (_of_pandas, _pandas, _same_pandas),
    "polars": (_of_polars, _polars, _same_polars),
    "pyarrow": (_of_arrow, _arrow, _same_arrow),
}
