"""Tables whose missing values are filled, in their library and dtypes: by hand."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from skae.tables._frame_schema import FrameSchema
from skae.tables._frames import read_columns
from skae.tables._missing_values import (
    given_back,
    only_columns,
    with_flags,
    with_values,
    with_zeros,
)
from tables import LIBRARIES, columns_of

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]


def filled(X, others, missing):
    """X with the values of another table where `missing`."""
    columns = list(read_columns(others))
    missing = np.array(missing, bool)
    missing = missing[:, np.newaxis] if missing.ndim == 1 else missing
    needed = [data.take(mask) for data, mask in zip(columns, missing.T, strict=True)]
    return with_values(X, needed, missing, FrameSchema(others, columns))


def column(values, dtype=None):
    """A frame of pandas of one column."""
    return pd.DataFrame({"c": pd.Series(values, dtype=dtype)})


# Arrays


def test_arrays_are_filled_and_not_changed():
    X = np.array([[1.0, np.nan], [np.nan, 4.0]])
    found = filled(X, np.array([[9, 2], [3, 8]]), [[0, 1], [1, 0]])
    assert_array_equal(found, [[1, 2], [3, 4]])
    assert found.dtype == np.float64
    assert np.isnan(X[0, 1])
    X = X.astype(np.float32)
    assert filled(X, np.array([[9, 2], [3, 8]]), [[0, 1], [1, 0]]).dtype == np.float32


def test_floats_become_objects_only_where_other_values_are_filled_in():
    X = np.array([[np.nan, 1.5], [np.nan, np.nan]])
    others = np.array([["a", 7.5], ["b", 8.5]], dtype=object)
    found = filled(X, others, [[1, 0], [1, 1]])
    assert found.dtype == object
    assert found.tolist() == [["a", 1.5], ["b", 8.5]]
    found = filled(X, others, [[0, 0], [0, 1]])
    assert found.dtype == np.float64
    assert found[1, 1] == 8.5


@pytest.mark.parametrize(
    ("given", "others", "expected"),
    [
        ([1, None, 5], [1.0, 2.0, 5.0], 2),
        ([np.int64(1), None, 5], [1.0, 2.0, 5.0], 2),
        ([1, None, 2.5], [1.0, 2.0, 2.5], 2.0),
        ([1, None, 5], [1.0, 2.25, 5.0], 2.25),
        ([1, None, 5], [1.0, 2.0, 5.5], 2),
        ([None, None, None], [1.0, 2.0, 5.0], 2.0),
        (["a", None, "b"], ["a", "c", "b"], "c"),
    ],
)
def test_numbers_among_objects_are_whole_where_all_are(given, others, expected):
    X = np.array(given, dtype=object)[:, np.newaxis]
    dtype = object if isinstance(expected, str) else float
    found = filled(X, np.array(others, dtype)[:, np.newaxis], [[0], [1], [0]])
    assert found[1, 0] == expected
    assert isinstance(found[1, 0], str | int) == isinstance(expected, str | int)
    assert found[[0, 2], 0].tolist() == [given[0], given[2]]


@pytest.mark.parametrize("kind", ["M", "m"])
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_times_of_arrays(kind, unit):
    times = np.array([5_000_000_000, 7_000_000_000], "i8").view(f"{kind}8[ns]")
    X = times.astype(f"{kind}8[{unit}]")[:, np.newaxis].copy()
    X[1] = "NaT"
    found = filled(X, times.astype(f"{kind}8[us]")[:, np.newaxis], [[0], [1]])
    assert found.dtype == X.dtype
    assert_array_equal(found[:, 0], times)


# Frames


@pytest.mark.parametrize("library", LIBRARIES)
def test_frames_of_the_same_dtypes(library):
    make = LIBRARIES[library]
    X = make({"n": [1.5, None, 3.5], "s": ["a", "b", None], "w": [1, 2, 3]})
    others = make({"n": [7.0, 8.0, 9.0], "s": ["c", "d", "e"], "w": [4, 5, 6]})
    found = filled(X, others, [[0, 0, 0], [1, 0, 0], [0, 1, 1]])
    assert type(found) is type(X)
    assert columns_of(found) == {"n": [1.5, 8.0, 3.5], "s": ["a", "b", "e"], "w": [1, 2, 6]}
    assert columns_of(X)["n"] == [1.5, None, 3.5]


@pytest.mark.parametrize("of", LIBRARIES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_frames_with_values_of_another_library(library, of):
    X = LIBRARIES[library](
        {"n": [1.5, None, 3.5], "s": ["a", "b", None], "b": [True, None, False]}
    )
    others = LIBRARIES[of](
        {"n": [7.0, 8.25, 9.0], "s": ["c", "d", "e"], "b": [True, True, False]}
    )
    found = filled(X, others, [[0, 0, 0], [1, 0, 1], [0, 1, 0]])
    assert type(found) is type(X)
    assert columns_of(found) == {
        "n": [1.5, 8.25, 3.5], "s": ["a", "b", "e"], "b": [True, True, False],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "value", "stays"),
    [
        (pl.Int8, 2.0, True), (pl.Int8, 2.5, False), (pl.Int8, 127.0, True),
        (pl.Int8, 128.0, False), (pl.Int8, -128.0, True), (pl.Int8, -129.0, False),
        (pl.UInt8, 255.0, True), (pl.UInt8, 256.0, False), (pl.UInt8, -1.0, False),
        (pl.UInt8, 0.0, True), (pl.Int64, 2.0**53, True), (pl.Int64, 0.5, False),
    ],
)  # fmt: skip
def test_integers_stay_where_filled_values_are_whole_and_in_their_range(dtype, value, stays):
    X = pl.DataFrame({"c": pl.Series([1, None, None], dtype=dtype)})
    # A value that is not needed does not matter.
    found = filled(X, column([1e6 + 0.5, value, 3.0]), [0, 1, 1])
    assert found["c"].dtype == (dtype if stays else pl.Float64)
    assert found["c"].to_list() == [1, value, 3]


@pytest.mark.parametrize(
    ("given", "others", "dtype", "expected"),
    [
        (pl.Series([True, None]), [0.0, 1.0], pl.Boolean, [True, True]),
        (pl.Series([True, None]), [1.0, 0.0], pl.Boolean, [True, False]),
        (pl.Series([1.5, None]), [0.0, 4], pl.Float64, [1.5, 4.0]),
        (pl.Series([1, None]), pd.Series([True, True], dtype=object), pl.Int64, [1, 1]),
        (pl.Series([1.5, None]), pd.Series([True, True], dtype=object), pl.Float64, [1.5, 1]),
        (pl.Series([None, None], dtype=pl.String), [3.0, 4.5], pl.Float64, [3.0, 4.5]),
        (pl.Series([None, None], dtype=pl.Float64), ["a", "b"], pl.String, ["a", "b"]),
        (pl.Series([None, None], dtype=pl.Datetime), ["a", "b"], pl.String, ["a", "b"]),
        (pl.Series([None, None], dtype=pl.Boolean), ["a", "b"], pl.String, ["a", "b"]),
        (pl.Series([None, None], dtype=pl.String), [True, False], pl.Boolean, [True, False]),
        (pl.Series(["a", None], dtype=pl.Categorical), ["a", "z"], pl.Categorical, ["a", "z"]),
        (pl.Series(["a", None], dtype=pl.Enum(["a", "z"])), ["q", "z"], pl.Enum, ["a", "z"]),
    ],
)
def test_dtypes_that_can_hold_the_values_stay(given, others, dtype, expected):
    missing = given.is_null().to_list()
    found = filled(pl.DataFrame({"c": given}), column(others), missing)
    assert found["c"].dtype == dtype
    assert found["c"].to_list() == expected


@pytest.mark.parametrize("dtype", [pl.String, pl.Float64, pl.Boolean])
@pytest.mark.parametrize(
    "others",
    [
        pd.Series(["2024-01-01", "2024-01-02"], dtype="M8[us]"),
        pd.Series([1000, 2000], dtype="m8[ns]"),
        pl.Series([1000, 2000], dtype=pl.Duration("us")),
        pl.Series([1000, 2000], dtype=pl.Datetime("us")),
        np.array([1, 2], "M8[D]"),
        np.array([1, 2], "m8[s]"),
    ],
)
def test_columns_without_a_value_become_times(dtype, others):
    if isinstance(others, np.ndarray):
        template, expected = others[:, np.newaxis], others
    else:
        template = type(others.to_frame())({"c": others})
        expected = others.to_numpy()
    found = filled(pl.DataFrame({"c": pl.Series([None, None], dtype=dtype)}), template, [1, 1])
    assert_array_equal(found["c"].to_numpy(), expected)


def test_times_in_another_unit_stay_in_theirs():
    X = pl.DataFrame({"c": pl.Series([1_000_000, None], dtype=pl.Datetime("ms"))})
    found = filled(X, column([0, 3_000_000_000], "M8[ns]"), [0, 1])
    assert found["c"].dtype == pl.Datetime("ms")
    assert found["c"].dt.timestamp("ms").to_list() == [1_000_000, 3000]
    X = pl.DataFrame({"c": pl.Series([1_000_000, None], dtype=pl.Duration("ms"))})
    found = filled(X, column([0, 3_000_000_000], "m8[ns]"), [0, 1])
    assert found["c"].dt.total_milliseconds().to_list() == [1_000_000, 3000]


def test_values_that_an_enum_cannot_hold_are_named():
    X = pl.DataFrame({"c": pl.Series(["a", None, None], dtype=pl.Enum(["a", "b"]))})
    with pytest.raises(
        ValueError, match="'c' is an Enum of 'a', 'b', and cannot hold 'y', 'z'"
    ):
        filled(X, column(["x", "z", "y"]), [0, 1, 1])
    assert filled(X, column(["x", "a", "b"]), [0, 1, 1])["c"].to_list() == ["a", "a", "b"]


def test_categories_of_pandas_are_added_in_the_order_of_the_rows():
    X = column(["b", None, None, "a", None], "category")
    found = filled(X, column(["x", "z", "y", "w", "a"]), [0, 1, 1, 0, 1])
    assert found["c"].tolist() == ["b", "z", "y", "a", "a"]
    assert found["c"].cat.categories.tolist() == ["a", "b", "z", "y"]


def test_the_index_of_pandas_stays():
    X = pd.DataFrame({"c": pd.Series([None, None], dtype=object)}).set_axis([7, 7])
    found = filled(X, pl.DataFrame({"c": [1.5, 2.5]}), [1, 1])
    assert found.index.tolist() == [7, 7]
    assert found["c"].tolist() == [1.5, 2.5]
    X = pd.DataFrame({"c": [1.0, np.nan]}, index=["a", "b"])
    for others in (pl.DataFrame({"c": [1.5, 2.5]}), X.fillna(2.5)):
        found = filled(X, others, [0, 1])
        assert found["c"].to_dict() == {"a": 1.0, "b": 2.5}


# The filled table as it is returned


def test_zeros_in_chosen_columns_of_arrays():
    missing = np.array([[1, 1], [0, 1]], bool)
    X = np.array([[np.nan, np.nan], [2.0, np.nan]])
    assert_array_equal(with_zeros(X, np.array([1]), missing), [[np.nan, 0], [2, 0]])
    X = np.array([[None, None], ["a", None]], dtype=object)
    assert with_zeros(X, np.array([0]), missing).tolist() == [[0, None], ["a", None]]
    X = np.array([["", ""], ["a", ""]])
    assert with_zeros(X, np.array([0, 1]), missing) is X


@pytest.mark.parametrize("library", ["polars", "pyarrow", "pandas with PyArrow"])
def test_zeros_in_chosen_columns_of_frames(library):
    columns = {"n": [1.5, None], "i": [1, None], "s": ["a", None], "m": [None, 2.5]}
    X = LIBRARIES[library](columns)
    found = with_zeros(X, np.array([0, 1, 2]), None)
    assert columns_of(found) == {**columns, "n": [1.5, 0.0], "i": [1, 0]}
    assert with_zeros(X, np.array([2]), None) is X
    assert columns_of(with_zeros(X, np.array([3]), None))["m"] == [0.0, 2.5]


def test_nan_is_a_missing_number_too():
    found = with_zeros(pl.DataFrame({"c": [1.5, float("nan"), None]}), np.array([0]), None)
    assert found["c"].to_list() == [1.5, 0.0, 0.0]


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_are_chosen_and_flags_appended(library):
    columns = {"a": [1, 2], "b": ["x", "y"], "c": [1.5, 2.5]}
    X = LIBRARIES[library](columns)
    chosen = only_columns(X, np.array([0, 2]))
    assert columns_of(chosen) == {"a": [1, 2], "c": [1.5, 2.5]}
    flags = np.array([[True, False], [False, True]])
    found = with_flags(X, flags, ["p", "q"])
    assert columns_of(found) == {**columns, "p": [True, False], "q": [False, True]}
    assert type(found) is type(X)


def test_flags_have_the_index_of_pandas():
    X = pd.DataFrame({"a": [1, 2]}, index=[5, 5])
    found = with_flags(X, np.array([[True], [False]]), ["p"])
    assert found["p"].tolist() == [True, False]
    assert found.index.tolist() == [5, 5]


def test_columns_and_flags_of_arrays():
    X = np.array([[1.5, 2, 3], [4, 5, 6]], np.float32)
    assert_array_equal(only_columns(X, np.array([2, 0])), [[3, 1.5], [6, 4]])
    found = with_flags(X, np.array([[True], [False]]), ["p"])
    assert_array_equal(found, [[1.5, 2, 3, 1], [4, 5, 6, 0]])
    assert found.dtype == np.float32


def test_a_returned_table_shares_no_memory():
    X = np.arange(4.0).reshape(2, 2)
    assert not np.may_share_memory(given_back(X, X, None), X)
    assert_array_equal(given_back(X, X, None), X)
    other = X.copy()
    assert given_back(other, X, None) is other
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    again = given_back(frame, frame, None)
    again.iloc[0, 0] = 9.0
    assert frame.iloc[0, 0] == 1.0
    table = pl.DataFrame({"a": [1.0]})
    assert given_back(table, table, None).equals(table)


@pytest.mark.parametrize(
    ("column", "dtype", "expected"),
    [
        (pd.Series([1, 2], dtype="Int64"), "int64", "int64"),
        (pd.Series([1, 2], dtype="Int64"), "int32", "int32"),
        (pd.Series([1, None], dtype="Int64"), "int64", "Int64"),
        (pd.Series([1.5, 2], dtype="Float64"), "int64", "float64"),
        (pd.Series([1, 2], dtype="UInt8"), "uint8", "uint8"),
        (pd.Series([True, False], dtype="boolean"), "bool", "bool"),
        (pd.Series([True, None], dtype="boolean"), "bool", "boolean"),
        (pd.Series([1.5, 2.5]), "int64", "float64"),
        (pd.Series([1, 2], dtype="Int64"), "float64", "Int64"),
        (pd.Series([1.0, 2.0]), "object", "float64"),
    ],
)
def test_nullable_columns_go_back_to_the_dtypes_of_numpy(column, dtype, expected):
    strings = pd.Series(["x", "y"])
    X = pd.DataFrame({"dropped": [1, 2], "c": pd.Series([0, 1]).astype(dtype), "s": strings})
    found = given_back(pd.DataFrame({"c": column, "s": strings}), X, None)
    assert found["c"].dtype == expected
    assert found["c"].tolist() == column.tolist()
    assert found.columns.tolist() == ["c", "s"]


@pytest.mark.parametrize(
    ("column", "subtype", "fill_value", "expected"),
    [
        (pd.Series([0.0, 2.5]), "float64", 0.0, "Sparse[float64, 0.0]"),
        (pd.Series([0, 2], dtype="Int64"), "int64", 0, "Sparse[int64, 0]"),
        (pd.Series([0.0, 2.5], dtype="Float64"), "int64", 0, "Sparse[float64, 0]"),
        (pd.Series([0, None], dtype="Int64"), "int64", 0, "Int64"),
    ],
)
def test_sparse_columns_become_sparse_again(column, subtype, fill_value, expected):
    sparse = pd.Series([0, 1]).astype(pd.SparseDtype(subtype, fill_value))
    found = given_back(pd.DataFrame({"c": column}), pd.DataFrame({"c": sparse}), None)
    assert str(found["c"].dtype) == expected
    assert found["c"].tolist() == column.tolist()


def test_tables_in_another_library():
    X = pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.5]), "b": ["x", "y"]})
    found = given_back(X, X, None, "polars")
    assert isinstance(found, pl.DataFrame)
    assert columns_of(found) == {"a": [0.0, 1.5], "b": ["x", "y"]}
    pd.testing.assert_frame_equal(given_back(X, X, None, "default"), X)
    assert isinstance(given_back(X, X, None, "pandas")["a"].dtype, pd.SparseDtype)
    table = pa.table({"a": [1, 2]})
    assert isinstance(given_back(table, table, None, "pandas"), pd.DataFrame)
    array = np.ones((2, 2))
    assert given_back(array, array.copy(), None, "pandas") is array


def test_names_of_several_types_become_strings():
    names = np.array(["one", "two"])
    for given, expected in (
        (["a", 2], ["one", "two"]),
        (["a", "b"], ["a", "b"]),
        ([0, 1], [0, 1]),
    ):
        X = pd.DataFrame([[1, 2]], columns=given)
        assert given_back(X, X, names).columns.tolist() == expected
    table = pl.DataFrame({"a": [1]})
    assert given_back(table, table, names).columns == ["a"]
