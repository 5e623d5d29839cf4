"""Empty tables of pandas, polars and PyArrow as lists of plain values, and back.

The table that a list makes is compared with the given one: where a dtype would come back as
another, there is an error.
"""

import re
from importlib import import_module
from typing import Any

import numpy as np

# Names of dtypes that have no other parameters.
_PANDAS_NAMES = re.compile(r"[A-Za-z]+\d*|(string|str)(\[(python|pyarrow)\])?|period\[[\w-]+\]|"
                           r"interval\[[\w\[\], -]+\]")  # fmt: skip
_ARROW_NAMES = re.compile(r"[a-z_]+\d*(\[[a-z]+\])?")
_ARROW_MAKERS = {"timestamp", "binary", "decimal32", "decimal64", "decimal128", "decimal256"}
_POLARS_NAMES = {
    "Binary", "Boolean", "Categorical", "Date", "Float16", "Float32", "Float64", "Int8",
    "Int16", "Int32", "Int64", "Int128", "Null", "Object", "String", "Time", "UInt8", "UInt16",
    "UInt32", "UInt64", "UInt128",
}  # fmt: skip


def described(table: Any) -> list[Any]:
    """An empty table as lists of strings, numbers, categories and dtypes of NumPy.

    Raises
    ------
    TypeError
        If it is no table of pandas, polars or PyArrow, or has dtypes that lists cannot hold.
    """
    library = type(table).__module__.partition(".")[0]
    if library not in _LIBRARIES or type(table).__name__ not in ("DataFrame", "Table"):
        raise TypeError(f"a table of type {type(table).__name__}")
    describe, make, same = _LIBRARIES[library]
    description = [library, *describe(table)]
    try:
        comes_back = same(table, make(*description[1:]))
    except (TypeError, ValueError, LookupError, NotImplementedError):
        comes_back = False
    if not comes_back:
        raise TypeError(f"a table of {library} with dtypes that lists cannot hold")
    return description


def table_of(description: Any) -> Any:
    """The empty table that was described."""
    is_list = isinstance(description, list) and bool(description)
    _check(is_list and description[0] in _LIBRARIES, "no table")
    return _LIBRARIES[description[0]][1](*description[1:])


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
    if str(dtype) == "string":
        return ["name", f"string[{dtype.storage}]"]
    return ["name", str(dtype)]


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


def _same_pandas(one: Any, other: Any) -> bool:
    same = one.columns.identical(other.columns) and one.columns.dtype == other.columns.dtype
    return bool(same and list(one.dtypes) == list(other.dtypes))


# polars


def _of_polars(frame: Any) -> list[Any]:
    return [[[name, *_of_polars_type(dtype)] for name, dtype in frame.schema.items()]]


def _polars(columns: Any) -> Any:
    pl = _module("polars")
    return pl.DataFrame(schema={name: _polars_type(pl, *dtype) for name, *dtype in columns})


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
    _check(name in _POLARS_NAMES and not arguments, "an unknown dtype")
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


def _arrow(fields: Any, of_table: Any) -> Any:
    pa = _module("pyarrow")
    parts = [
        pa.field(name, _arrow_type(pa, dtype), nullable, _metadata(metadata))
        for name, dtype, nullable, metadata in fields
    ]
    return pa.schema(parts, _metadata(of_table)).empty_table()


def _of_metadata(metadata: Any) -> Any:
    if metadata is None:
        return None
    return [[key.decode("latin-1"), value.decode("latin-1")] for key, value in metadata.items()]


def _metadata(pairs: Any) -> Any:
    if pairs is None:
        return None
    return {key.encode("latin-1"): value.encode("latin-1") for key, value in pairs}


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
    _check(_ARROW_NAMES.fullmatch(name) and not arguments, "an unknown dtype")
    return pa.type_for_alias(name)


def _same_arrow(one: Any, other: Any) -> bool:
    return bool(one.schema.equals(other.schema, check_metadata=True))


# For each library, functions that describe an empty table, make one, and compare two.
_LIBRARIES: dict[str, tuple[Any, Any, Any]] = {
    "pandas": (_of_pandas, _pandas, _same_pandas),
    "polars": (_of_polars, _polars, _same_polars),
    "pyarrow": (_of_arrow, _arrow, _same_arrow),
}
