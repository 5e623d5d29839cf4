"""Tables of each library and dtype as columns of values and back: by hand."""

import collections
import datetime
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skae.tables._frame_schema import FrameSchema, described, table_of
from skae.tables._frames import checked_table, is_frame, numbers_of, read_columns
from skae.tables._objects import ObjectFormat
from tables import LIBRARIES, columns_of

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]

DAY = 86400 * 10**6
NOON = datetime.datetime(1970, 1, 2, 12)
FLOAT64, FLOAT32, FLOAT16 = (float(np.finfo(d).eps) for d in ("f8", "f4", "f2"))


def values_of(column):
    """Values of one column of pandas, polars, PyArrow or NumPy."""
    if isinstance(column, pa.Array):
        table = pa.table({"c": column})
    elif isinstance(column, np.ndarray):
        table = column[:, np.newaxis]
    else:
        table = column.rename("c").to_frame() if isinstance(column, pd.Series) else (
            column.alias("c").to_frame()
        )  # fmt: skip
    (data,) = read_columns(table)
    assert data.name == ("x0" if isinstance(table, np.ndarray) else "c")
    return data


@pytest.mark.parametrize(
    ("column", "values", "rounding"),
    [
        (np.array([1.5, np.nan], "f4"), [1.5, None], FLOAT32),
        (np.array([1.5, np.nan], "f2"), [1.5, None], FLOAT16),
        (np.array([1.5, np.nan]), [1.5, None], FLOAT64),
        (np.array([1.5, np.nan], "g"), [1.5, None], FLOAT64),
        (np.array([3, 4], "i2"), [3, 4], FLOAT64),
        (np.array([3, 2**63], "u8"), [3, 2**63], FLOAT64),
        (pd.Series([1.5, np.nan], dtype="f4"), [1.5, None], FLOAT32),
        (pd.Series([3, 4], dtype="i4"), [3, 4], FLOAT64),
        (pd.Series([3, None], dtype="Int8"), [3, None], FLOAT64),
        (pd.Series([1.5, None], dtype="Float32"), [1.5, None], FLOAT32),
        (pd.Series([1.5, None], dtype="Float64"), [1.5, None], FLOAT64),
        (pd.Series([0, 2.5], dtype=pd.SparseDtype(float, 0)), [0, 2.5], FLOAT64),
        (pl.Series([3, None], dtype=pl.Int8), [3, None], FLOAT64),
        (pl.Series([2**64 - 1, None], dtype=pl.UInt64), [2**64 - 1, None], FLOAT64),
        (pl.Series([1.5, None], dtype=pl.Float32), [1.5, None], FLOAT32),
        (pl.Series([1.5, None, float("nan")]), [1.5, None, None], FLOAT64),
        (pl.Series([Decimal("1.5"), None]), [1.5, None], FLOAT64),
        (pl.Series([2**53, None], dtype=pl.Int128), [2**53, None], FLOAT64),
        (pa.array([3, None], pa.int16()), [3, None], FLOAT64),
        (pa.array([1.5, None], pa.float32()), [1.5, None], FLOAT32),
        (pa.array([Decimal("1.5"), None]), [1.5, None], FLOAT64),
        (pa.array([Decimal(2**53 + 1), None]), [2**53 + 1, None], FLOAT64),
    ],
)
def test_columns_of_numbers(column, values, rounding):
    data = values_of(column)
    assert (data.family, data.type, data.unit) == ("number", "number", None)
    assert data.rounding == rounding
    assert_array_equal(data.observed, [v is not None for v in values])
    found = [
        v for v, observed in zip(data.values.tolist(), data.observed, strict=True) if observed
    ]
    assert found == [v for v in values if v is not None]
    if isinstance(column, pd.Series) or getattr(column, "dtype", None) == np.longdouble:
        assert data.values.dtype.kind in "iu" or data.values.dtype == np.float64


@pytest.mark.parametrize(
    ("column", "counts", "unit", "type_"),
    [
        (np.array([2, "NaT"], "M8[D]"), [2 * DAY, None], "us", "time"),
        (np.array([2, "NaT"], "M8[ns]"), [2, None], "ns", "time"),
        (np.array([2, "NaT"], "m8[s]"), [2 * 10**6, None], "us", "duration"),
        (np.array([2, "NaT"], "m8[ns]"), [2, None], "ns", "duration"),
        (pd.Series([2, None], dtype="M8[ns]"), [2, None], "ns", "time"),
        (pd.Series([2, None], dtype="M8[s]"), [2 * 10**6, None], "us", "time"),
        (pd.Series(np.array([2, "NaT"], "m8[ms]")), [2000, None], "us", "duration"),
        (pd.Series([NOON, None]).dt.as_unit("us").dt.tz_localize("Asia/Tokyo"),
         [1.5 * DAY - 9 * 3600 * 10**6, None], "us", "time with a zone"),
        (pl.Series([NOON.date(), None]), [DAY, None], "us", "time"),
        (pl.Series([2, None], dtype=pl.Datetime("ns")), [2, None], "ns", "time"),
        (pl.Series([2, None], dtype=pl.Datetime("ms")), [2000, None], "us", "time"),
        (pl.Series([2, None], dtype=pl.Datetime("us", "Asia/Tokyo")), [2, None], "us",
         "time with a zone"),
        (pl.Series([2, None], dtype=pl.Duration("ms")), [2000, None], "us", "duration"),
        (pl.Series([2, None], dtype=pl.Duration("ns")), [2, None], "ns", "duration"),
        (pl.Series([datetime.time(0, 0, 1), None]), [10**6, None], "us", "time of day"),
        (pa.array([2, None], pa.timestamp("ns")), [2, None], "ns", "time"),
        (pa.array([2, None], pa.timestamp("s", "Asia/Tokyo")), [2 * 10**6, None], "us",
         "time with a zone"),
        (pa.array([2, None], pa.date32()), [2 * DAY, None], "us", "time"),
        (pa.array([2, None], pa.duration("ms")), [2000, None], "us", "duration"),
    ],
)  # fmt: skip
def test_columns_of_times(column, counts, unit, type_):
    data = values_of(column)
    assert (data.family, data.unit, data.type) == ("time", unit, type_)
    assert data.values.dtype == np.int64
    # A missing value is filled with the first.
    assert data.values.tolist() == [counts[0], counts[0]]
    assert_array_equal(data.observed, [True, False])


def test_periods_are_the_times_at_which_they_start():
    data = values_of(pd.Series(pd.PeriodIndex(["1970-01", "NaT"], freq="M")))
    assert (data.family, data.type) == ("time", "period")
    assert data.format == ObjectFormat("Period", frequency="M")
    assert data.values[0] == 0
    assert_array_equal(data.observed, [True, False])


@pytest.mark.parametrize(
    ("column", "categories", "type_", "declared"),
    [
        (np.array(["a", "b"]), ["a", "b"], "str", False),
        (np.array([b"a", b"b"]), [b"a", b"b"], "bytes", False),
        (np.array([True, False]), [True, False], "bool", False),
        (pd.Series(["a", None]), ["a", None], "str", False),
        (pd.Series([True, None], dtype="boolean"), [True, None], "bool", False),
        (pd.Series(["a", None], dtype="category"), ["a", None], "str", True),
        (pd.Series([3, None], dtype="category"), [3, None], "number", True),
        (pl.Series(["a", None]), ["a", None], "str", False),
        (pl.Series(["a", None], dtype=pl.Enum(["a"])), ["a", None], "str", True),
        (pl.Series(["a", None], dtype=pl.Categorical), ["a", None], "str", True),
        (pl.Series([True, None]), [True, None], "bool", False),
        (pa.array(["a", None]), ["a", None], "str", False),
        (pa.array(["a", None]).dictionary_encode(), ["a", None], "str", True),
        (pl.Series([None, None], dtype=pl.String), [None, None], "", False),
        (pl.Series([None, None], dtype=pl.Binary), [None, None], "", False),
    ],
)
def test_columns_of_categories(column, categories, type_, declared):
    data = values_of(column)
    assert (data.family, data.type, data.declared) == ("category", type_, declared)
    assert_array_equal(data.observed, [category is not None for category in categories])
    found = [
        v for v, observed in zip(data.values.tolist(), data.observed, strict=True) if observed
    ]
    assert found == [category for category in categories if category is not None]


@pytest.mark.parametrize(
    "column",
    [
        np.array([1j, 2]), pl.Series([[1], [2]]), pl.Series([{"a": 1}]), pa.array([[1], None]),
        pd.Series([1j, 2j]),
    ],
)  # fmt: skip
def test_columns_of_other_dtypes_are_refused(column):
    with pytest.raises(TypeError, match="must have real numbers, dates or times, strings"):
        values_of(column)


def test_a_nested_column_without_a_value_is_empty():
    data = values_of(pl.Series([None, None], dtype=pl.List(pl.Int8)))
    assert not data.observed.any()


# What is a table


def test_tables_are_frames_or_two_dimensional_arrays():
    for make in LIBRARIES.values():
        table = make({"a": [1, 2]})
        assert is_frame(table)
        assert checked_table(table) is table
    assert not is_frame(np.ones((2, 2)))
    assert not is_frame(pd.Series([1]))
    assert checked_table([[1, 2.5], [3, 4]]).dtype == np.float64
    assert checked_table([[True, False]]).dtype == bool
    mixed = checked_table([[1, "a"], [2.5, "b"]])
    assert mixed.dtype == object
    assert mixed.tolist() == [[1, "a"], [2.5, "b"]]
    assert checked_table([["a", "b"]]).tolist() == [["a", "b"]]
    assert np.isinf(checked_table([[np.inf, np.nan]])[0, 0])
    with pytest.raises(ValueError, match="2D array"):
        checked_table([1, 2])


def test_repeated_names_are_named():
    X = pd.DataFrame([[1, 2, 3, 4, 5]], columns=["b", "a", "b", "a", "c"])
    with pytest.raises(ValueError, match="several that are called 'a', 'b'"):
        checked_table(X)
    checked_table(X.iloc[:, [0, 1, 4]])


@pytest.mark.parametrize(
    ("X", "found"),
    [
        ({"a": [1]}, "got dict"), ([{"a": 1}], "got list of dict"), (({1, 2},), "tuple of set"),
        ("ab", "got str"), (b"ab", "got bytes"), (iter([1]), "got list_iterator"),
        (["ab", "cd"], "got list of str"), (np.array(["ab"]), "got ndarray of str_"),
        (np.zeros(2, [("a", "f8"), ("b", "i4")]), "structured array of a, b"),
        (pl.LazyFrame({"a": [1]}), "got LazyFrame"), (collections.OrderedDict(), "got Order"),
    ],
)  # fmt: skip
def test_objects_that_are_no_table(X, found):
    with pytest.raises(TypeError, match=found):
        checked_table(X)


# Values as tables


@pytest.mark.parametrize(
    "X",
    [
        np.array([[1.5, np.nan], [2.5, 3.0]], "f4"),
        np.array([[1, 2], [3, 4]], "u1"),
        np.array([["a", "b"], ["c", "d"]]),
        np.array([[5, "NaT"], [7, 9]], "M8[s]"),
        np.array([[5, "NaT"], [7, 9]], "m8[ns]"),
        np.array([[None, 2], ["a", 3]], dtype=object),
    ],
)
def test_arrays_come_back(X):
    data = list(read_columns(X))
    back = FrameSchema(X, data).build(data, None)
    assert back.dtype == X.dtype
    assert_array_equal(back, X)
    assert list(map(type, back.flat)) == list(map(type, X.flat))


@pytest.mark.parametrize(
    "X",
    [np.array([[1, 2], [3, 4]]), np.array([[True, False]] * 2), np.array([["a", "b"]] * 2)],
)
def test_arrays_that_have_no_missing_value_come_back_as_objects(X):
    data = list(read_columns(X))
    columns = [replace(c, observed=np.array([True, j == 0])) for j, c in enumerate(data)]
    back = FrameSchema(X, data).build(columns, None)
    assert back.dtype == object
    assert back.tolist() == [X[0].tolist(), [X[1, 0], None]]


@pytest.mark.parametrize(
    ("kind", "missing"), [("f4", np.nan), ("M8[s]", "NaT"), ("m8[s]", "NaT")]
)
def test_arrays_that_have_a_missing_value_keep_their_dtype(kind, missing):
    X = np.array([[1, 2], [3, 4]]).astype(kind)
    data = list(read_columns(X))
    columns = [replace(c, observed=np.array([True, j == 0])) for j, c in enumerate(data)]
    back = FrameSchema(X, data).build(columns, None)
    assert back.dtype == kind
    assert_array_equal(back, np.array([[1, 2], [3, missing]]).astype(kind) if kind == "f4" else
                       np.array([[X[0, 0], X[0, 1]], [X[1, 0], missing]], kind))  # fmt: skip


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_objects_are_missing_as_they_came(missing):
    array = np.array([["a"], [missing], [None]], dtype=object)
    for X in (array, pd.DataFrame({"c": pd.Series(array[:, 0], dtype=object)})):
        (data,) = read_columns(X)
        back = FrameSchema(X, [data]).build([data], None)
        column = back[:, 0] if X is array else back["c"]
        assert column[0] == "a"
        assert column[1] is column[2]
        assert column[1] is missing


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_that_had_no_missing_value_can_have_one(library):
    table = LIBRARIES[library](
        {"f": [1.5, 2], "s": ["a", "b"], "b": [True, False], "t": [NOON, NOON], "w": [1, 2]}
    )
    data = list(read_columns(table))
    # Integers of NumPy have no missing value.
    columns = [
        replace(c, observed=np.array([True, c.name == "w"])) for c in data if c.name != "b"
    ]
    frame = table[[c.name for c in data if c.name != "b"]] if library != "pyarrow" else (
        table.select([c.name for c in data if c.name != "b"])
    )  # fmt: skip
    back = FrameSchema(frame, [c for c in data if c.name != "b"]).build(columns, None)
    assert type(back) is type(table)
    found = columns_of(back)
    assert (found["f"], found["s"], found["w"]) == ([1.5, None], ["a", None], [1, 2])
    assert [t is None for t in found["t"]] == [False, True]


# Tables of numbers


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_frames_of_numbers_are_read_as_they_are(library):
    X = LIBRARIES[library]({"a": [1, 2], "b": [1.5, None]})
    assert numbers_of(X) is X
    found = numbers_of(LIBRARIES[library]({"a": [1, 2], "b": [True, None]}))
    assert columns_of(found) == {"a": [1.0, 2.0], "b": [1.0, None]}
    assert numbers_of(LIBRARIES[library]({"a": [1, 2], "s": ["x", "y"]})) is None


def test_numbers_in_arrays_and_lists():
    X = np.array([[1, None], [2.5, True]], dtype=object)
    assert_array_equal(numbers_of(X), [[1, np.nan], [2.5, 1]])
    assert numbers_of(X).dtype == np.float64
    assert numbers_of(np.array([[1, "a"]], dtype=object)) is None
    assert numbers_of(np.array([["1"]])) is None
    for X in (np.ones((2, 2)), np.ones((2, 2), bool), [[1, 2.5], [np.float32(3), 4]], [1, 2]):
        assert numbers_of(X) is X
    assert_array_equal(numbers_of([[1, None], [2, 3]]), [[1, np.nan], [2, 3]])
    assert numbers_of([[1, "a"], [2, "b"]]) is None
    ragged = [[1, 2], [3]]
    assert numbers_of(ragged) is ragged
    for dtype in ("M8[s]", "m8[s]"):
        assert numbers_of(np.zeros((2, 2), dtype)) is None


@pytest.mark.parametrize(
    ("column", "plain"),
    [
        (pd.Series([1, 2], dtype="i1"), True), (pd.Series([True, False]), True),
        (pd.Series([1, None], dtype="Int64"), True), (pd.Series([1.5, 2], dtype="g"), False),
        (pd.Series([1, None], dtype="Int64[pyarrow]"), False),
    ],
)  # fmt: skip
def test_columns_of_pandas_that_scikit_learn_reads_are_left_to_it(column, plain):
    X = pd.DataFrame({"c": column, "d": column}).set_axis([5, 6])
    found = numbers_of(X)
    assert (found is X) == plain
    if not plain:
        assert found.dtypes.tolist() == [np.float64] * 2
        assert found.columns.tolist() == ["c", "d"]
        assert found.index.tolist() == [5, 6]
        expected = [float("nan") if pd.isna(v) else float(v) for v in column]
        assert_array_equal(found["d"], expected)


def test_categories_are_no_numbers():
    assert numbers_of(pd.DataFrame({"c": pd.Series([1, 2], dtype="category")})) is None
    assert numbers_of(pl.DataFrame({"c": pl.Series(["1"], dtype=pl.Categorical)})) is None


def test_columns_of_objects_without_a_value():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": pd.Series([None, None], dtype=object)})
    assert numbers_of(X) is None
    assert_array_equal(numbers_of(X, unknown=True), [[1, np.nan], [2, np.nan]])
    empty = pl.DataFrame({"a": [True, None], "b": pl.Series([None, None], dtype=pl.Null)})
    assert numbers_of(empty) is None
    assert columns_of(numbers_of(empty, unknown=True)) == {"a": [1, None], "b": [None, None]}
    known = pl.DataFrame({"a": [True, None], "b": pl.Series([None, None], dtype=pl.Int8)})
    assert columns_of(numbers_of(known)) == {"a": [1.0, None], "b": [None, None]}
    strings = pl.DataFrame({"a": [1.0], "b": pl.Series([None], dtype=pl.String)})
    assert numbers_of(strings) is None
    assert columns_of(numbers_of(strings, unknown=True)) == {"a": [1.0], "b": [None]}


def test_the_first_column_that_is_no_number_is_named():
    X = pd.DataFrame({"n": [1.0], "o": pd.Series([None], dtype=object), "s": ["a"], "t": ["b"]})
    with pytest.raises(ValueError, match=r"'s' had values of .* number in fit, and has .* str"):
        numbers_of(X, unknown=True, refuse=True)
    found = numbers_of(X[["n", "o"]], unknown=True, refuse=True)
    assert_array_equal(found, [[1.0, np.nan]])
    with pytest.raises(ValueError, match=r"'x1' had values of .* number in fit, .* str"):
        numbers_of([[1, "a"]], unknown=True, refuse=True)


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame({"c": pl.Series(["a", None], dtype=pl.Enum(["a", "b"]))}),
        pl.DataFrame({"c": pl.Series([1, 2], dtype=pl.Datetime("ms", "UTC")), "d": ["x", "y"]}),
        pd.DataFrame({"c": pd.Categorical(["a", "b"], ordered=True), 7: [1, 2]}),
        pa.table({"c": pa.array([1.5, 2.5], pa.float32())}),
    ],
    ids=["enum", "time zone", "categories", "arrow"],
)
def test_a_description_makes_the_empty_table_again(table):
    empty = table_of(described(table))
    if isinstance(table, pa.Table):
        assert empty.schema == table.schema
        return
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)
    assert list(empty.dtypes) == list(table.dtypes)


@pytest.mark.parametrize("dtype", [["Struct"], ["Int64", 3], ["read_csv"]])
def test_a_description_of_an_unknown_dtype_is_refused(dtype):
    description = described(pl.DataFrame({"c": [1]}))
    field = next(part for part in description if isinstance(part, list))
    field[0][1:] = dtype
    with pytest.raises(ValueError, match="unknown dtype"):
        table_of(description)
