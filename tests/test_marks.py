"""AEImputer: marks of missing values in every dtype, and tables of other libraries."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal

from settings import LARGE_BATCHES
from skae import AEImputer
from skae.tables._missing_values import marked_values, without_values
from tables import LIBRARIES, columns_of, people

pytestmark = [pytest.mark.any_data, pytest.mark.any_backend]

QUICK = {"hidden_layer_sizes": (4,), "n_estimators": 1, "random_state": 0, **LARGE_BATCHES}
N_ROWS = 32
MARKED = np.arange(N_ROWS) % 8 == 3
WHOLE = np.arange(N_ROWS) % 7 + 1
WORDS = np.array(list("abca") * 8)


def marked(values, mark):
    """Values of Python with a mark in some rows."""
    values = values.tolist() if isinstance(values, np.ndarray) else values
    return [mark if gone else v for v, gone in zip(values, MARKED, strict=True)]


def imputer(**parameters):
    return AEImputer(**{**QUICK, **parameters})


def values_of(table, name="values"):
    return columns_of(table)[name]


def dtype_of(table, name="values"):
    return table.schema.field(name).type if isinstance(table, pa.Table) else table[name].dtype


def table_of(column, library):
    """The column between two others."""
    rows = np.arange(N_ROWS)
    frame = {"number": rows + 0.5, "values": column, "flag": rows % 2 == 0}
    if library == "pandas":
        return pd.DataFrame(frame)
    return pl.DataFrame(frame) if library == "polars" else pa.table(frame)


def assert_marks_are_filled(table, mark):
    before = values_of(table)
    filled = imputer(missing_values=mark).fit_transform(table)
    assert type(filled) is type(table)
    assert dtype_of(filled) == dtype_of(table)
    after = values_of(filled)
    observed = {v for v, gone in zip(before, MARKED, strict=True) if not gone}
    for old, new, gone in zip(before, after, MARKED, strict=True):
        if not gone:
            assert new == old
        elif isinstance(new, float | Decimal):
            assert min(observed) <= new <= max(observed)
        else:
            assert min(observed) <= new <= max(observed) or new in observed
            assert type(new) in {type(v) for v in observed}
    for name in ("number", "flag"):
        assert values_of(filled, name) == values_of(table, name)


# A column of each dtype: how it is made, and its mark
INTEGERS, FLOATS = marked(WHOLE, -1), marked(WHOLE + 0.5, -1.0)
STRINGS = marked(WORDS, "?")
OF_PANDAS = {
    "int64": (INTEGERS, "int64", -1),
    "int64 and a float": (INTEGERS, "int64", -1.0),
    "int8": (INTEGERS, "int8", -1),
    "uint8": (marked(WHOLE, 0), "uint8", 0),
    "Int64": (INTEGERS, "Int64", -1),
    "int64 of PyArrow": (INTEGERS, "int64[pyarrow]", np.int64(-1)),
    "float64": (FLOATS, "float64", -1),
    "float32": (marked(WHOLE + 0.5, -999.9), "float32", -999.9),
    "Float64": (FLOATS, "Float64", -1),
    "double of PyArrow": (FLOATS, "double[pyarrow]", -1),
    "str": (STRINGS, "str", "?"),
    "string": (STRINGS, "string", "?"),
    "string of PyArrow": (STRINGS, "string[pyarrow]", "?"),
    "objects that are strings": (STRINGS, object, "?"),
    "objects that are integers": (INTEGERS, object, -1),
    "objects that are floats": (FLOATS, object, -1),
    "categories that are strings": (STRINGS, "category", "?"),
    "categories that are integers": (INTEGERS, "category", -1),
    "a number among strings": (marked(WORDS, -1), object, -1),
    "a number among categories": (marked(WORDS, -1), "category", -1),
    "a string among numbers": (marked(WHOLE + 0.5, "?"), object, "?"),
    "a string among integers": (marked(WHOLE, "?"), object, "?"),
    "a day among days": (
        marked([f"2020-01-{day:02d}" for day in WHOLE], "1900-01-01"),
        "str",
        "1900-01-01",
    ),
}
OF_POLARS = {
    "Int64": (INTEGERS, pl.Int64, -1),
    "UInt8": (marked(WHOLE, 0), pl.UInt8, 0),
    "Float32": (marked(WHOLE + 0.5, -999.9), pl.Float32, -999.9),
    "String": (STRINGS, pl.String, "?"),
    "Categorical": (STRINGS, pl.Categorical, "?"),
    "Enum": (STRINGS, pl.Enum(["?", "a", "b", "c"]), "?"),
}
OF_ARROW = {
    "int16": (INTEGERS, pa.int16(), -1),
    "float": (marked(WHOLE + 0.5, -999.9), pa.float32(), -999.9),
    "string": (STRINGS, pa.string(), "?"),
    "dictionary": (STRINGS, pa.dictionary(pa.int8(), pa.string()), "?"),
    "dictionary of integers": (INTEGERS, pa.dictionary(pa.int8(), pa.int64()), -1),
}


@pytest.mark.parametrize("name", OF_PANDAS)
def test_dtypes_of_pandas(name):
    values, dtype, mark = OF_PANDAS[name]
    assert_marks_are_filled(table_of(pd.Series(values, dtype=dtype), "pandas"), mark)


@pytest.mark.parametrize("name", OF_POLARS)
def test_dtypes_of_polars(name):
    values, dtype, mark = OF_POLARS[name]
    column = pl.Series(values, dtype=dtype)
    assert_marks_are_filled(table_of(column, "polars"), mark)


@pytest.mark.parametrize("name", OF_ARROW)
def test_dtypes_of_arrow(name):
    values, dtype, mark = OF_ARROW[name]
    assert_marks_are_filled(table_of(pa.array(values, dtype), "pyarrow"), mark)


@pytest.mark.parametrize(
    ("values", "mark", "dtype"),
    [
        (np.column_stack([INTEGERS, WHOLE]), -1, np.float64),
        (np.column_stack([FLOATS, WHOLE]).astype(np.float32), -1, np.float32),
        (np.column_stack([STRINGS, WORDS]), "?", object),
        (np.array([STRINGS, marked(WHOLE, "?")], object).T, "?", object),
        (np.array([marked(WORDS, -1), INTEGERS], object).T, -1, object),
    ],
)
def test_arrays(values, mark, dtype):
    filled = imputer(missing_values=mark).fit_transform(values)
    assert filled.dtype == dtype
    assert_array_equal(filled[~MARKED], values[~MARKED].astype(dtype))
    assert not any(value == mark for value in filled.ravel())
    assert not pd.isna(filled).any()
    # Whether the mark is there or not.
    new = values[~MARKED][:3]
    assert imputer(missing_values=mark).fit(values).transform(new).dtype == dtype


def test_marks_of_another_type_are_not_there():
    days = pd.Series([date(2020, 1, 1) + timedelta(days=int(d)) for d in WHOLE])
    table = pd.DataFrame(
        {
            "flag": WHOLE > 3,
            "word": np.where(MARKED, "1", WORDS),
            "when": pd.to_datetime(days),
            "number": WHOLE + 0.5,
        }
    )
    assert not marked_values(table, 1).any()
    assert not marked_values(table, True)[:, 1:].any()
    assert_array_equal(marked_values(table, "1")[:, 1], MARKED)
    assert imputer(missing_values=1).fit_transform(table).equals(table)


def test_integers_beyond_the_digits_of_floats():
    near = pd.DataFrame({"n": [2**53, 2**53 + 1, 2**53 + 2] * 4})
    assert_array_equal(marked_values(near, 2**53 + 1)[:, 0], near["n"] == 2**53 + 1)
    assert_array_equal(marked_values(near, float(2**53))[:, 0], near["n"] == 2**53)


def test_what_is_missing_besides_the_mark_is_an_error():
    table = pd.DataFrame({"word": [*STRINGS[:-1], None], "number": WHOLE})
    with pytest.raises(ValueError, match=r"contains NaN, but missing_values='\?'"):
        imputer(missing_values="?").fit(table)


def test_a_mark_is_the_same_as_missing():
    table = people()[["age", "fare", "sex", "deck"]]
    expected = imputer().fit_transform(table)
    coded = table.astype({"deck": object}).fillna({"age": -1, "deck": -1})
    coded = imputer(missing_values=-1).fit_transform(coded)
    pd.testing.assert_frame_equal(coded, expected, check_dtype=False)


@pytest.mark.parametrize("keep", [False, True])
def test_columns_of_nothing_but_marks(keep):
    table = pd.DataFrame({"marks": np.full(N_ROWS, -1), "number": WHOLE + 0.5})
    fitted = imputer(missing_values=-1, keep_empty_features=keep).fit(table)
    if keep:
        assert_array_equal(fitted.transform(table)["marks"], np.zeros(N_ROWS, np.int64))
    else:
        with pytest.warns(UserWarning, match="without any observed values: \\['marks'\\]"):
            assert list(fitted.transform(table)) == ["number"]


def test_a_boolean_as_a_mark():
    table = pd.DataFrame({"values": WHOLE > 3, "one": np.ones(N_ROWS), "n": WHOLE + 0.5})
    filled = imputer(missing_values=True).fit_transform(table)
    assert not filled["values"].any()
    assert filled["values"].dtype == bool
    assert (filled["one"] == 1).all()


def test_duplicate_rows_of_the_index():
    table = pd.DataFrame({"values": INTEGERS, "n": WHOLE + 0.5}, index=np.zeros(N_ROWS, int))
    filled = imputer(missing_values=-1).fit_transform(table)
    assert filled.index.equals(table.index)
    assert (filled["values"] > 0).all()


def test_draws_of_marked_integers():
    table = pd.DataFrame({"values": INTEGERS, "n": WHOLE + 0.5})
    fitted = imputer(missing_values=-1).fit(table)
    for sample in fitted.sample(table, 2, random_state=0):
        assert sample["values"].dtype == np.int64
        assert (sample["values"] > 0).all()


@pytest.mark.parametrize(
    ("values", "dtype", "mark"),
    [
        (marked(FLOATS, np.nan), pd.SparseDtype(float), np.nan),
        (marked(FLOATS, np.nan), pd.SparseDtype(float, 0.0), np.nan),
        (INTEGERS, pd.SparseDtype(np.int64, 0), -1),
        (INTEGERS, pd.SparseDtype(np.int64, -1), -1),
        (MARKED, pd.SparseDtype(bool, False), True),
        (np.full(N_ROWS, np.nan), pd.SparseDtype(float), np.nan),
    ],
)
def test_sparse_columns_of_pandas(values, dtype, mark):
    table = pd.DataFrame({"values": pd.Series(values).astype(dtype), "n": WHOLE + 0.5})
    dense = table.assign(values=values)
    options = {"missing_values": mark, "keep_empty_features": True}
    fitted, plain = (imputer(**options).fit(given) for given in (table, dense))
    expected = plain.transform(dense)
    draws = (
        each.sample(each_table, 1, random_state=0)[0]
        for each, each_table in ((fitted, table), (plain, dense))
    )
    assert expected["values"].notna().all()
    for filled, known in ((fitted.transform(table), expected), tuple(draws)):
        assert filled["values"].dtype == dtype
        assert_array_equal(filled["values"].to_numpy(), known["values"].to_numpy())
    of_polars = fitted.set_output(transform="polars").transform(table)
    assert_array_equal(of_polars["values"].to_numpy(), expected["values"].to_numpy())


def test_sparse_integers_become_floats_where_others_belong_among_them():
    seen = pd.DataFrame({"values": np.tile([1.5, 2.25], N_ROWS // 2), "n": WHOLE + 0.5})
    whole = pd.Series(INTEGERS).astype(pd.SparseDtype(np.int64, 0))
    rows = pd.DataFrame({"values": whole, "n": WHOLE + 0.5})
    filled = imputer(missing_values=-1).fit(seen).transform(rows)["values"]
    assert filled.dtype == pd.SparseDtype(float, 0)
    assert filled[MARKED].between(1.5, 2.25).all()
    assert_array_equal(filled[~MARKED], rows["values"][~MARKED])


@pytest.mark.parametrize("values", [pd.array([True, None] * 16, "boolean"), [True, None] * 16])
def test_missing_booleans_in_a_column_of_numbers(values):
    seen = pd.DataFrame({"values": np.tile([0.0, 1.0, 0.5, 1.0], 8), "n": WHOLE + 0.5})
    filled = imputer().fit(seen).transform(pd.DataFrame({"values": values, "n": WHOLE + 0.5}))
    assert filled["values"].notna().all()
    assert filled["values"][::2].all()


def test_values_are_removed_of_every_library():
    gone = np.column_stack([MARKED, ~MARKED])
    for library in LIBRARIES.values():
        table = without_values(library({"a": WHOLE, "b": WORDS}), gone, -1)
        columns = columns_of(table).values()
        assert_array_equal([[value is None for value in values] for values in columns], gone.T)


# Fitted on one library, and rows of another


def with_times():
    table, rows = people().drop(columns="notes"), np.arange(60)
    table["boarded"] = table["boarded"].mask(rows % 7 == 2)
    table["port"] = table["port"].mask(rows % 9 == 2)
    table["stay"] = pd.to_timedelta(np.where(rows % 5 == 1, np.nan, rows), unit="D")
    table["alone"] = table["alone"].astype("boolean").mask(rows % 8 == 2)
    return table


def comparable(table):
    """Values as text, alike in all libraries."""
    columns = columns_of(table)
    for name in ("age", "fare"):
        columns[name] = [float(value) for value in columns[name]]
    columns["stay"] = [value / timedelta(days=1) for value in columns["stay"]]
    columns["boarded"] = [str(value)[:10] for value in columns["boarded"]]
    return columns


@pytest.fixture(scope="module")
def filled_by_pandas():
    return comparable(imputer().fit_transform(with_times()))


@pytest.fixture(scope="module", params=LIBRARIES)
def fitted(request):
    return imputer().fit(LIBRARIES[request.param](with_times()))


@pytest.mark.parametrize("library", LIBRARIES)
def test_rows_of_another_library(fitted, library, filled_by_pandas):
    rows = LIBRARIES[library](with_times())
    filled = fitted.transform(rows)
    assert type(filled) is type(rows)
    for name in with_times():
        assert dtype_of(filled, name) == dtype_of(rows, name)
    assert comparable(filled) == filled_by_pandas


@pytest.mark.parametrize("library", LIBRARIES)
def test_rows_of_nothing(fitted, library, filled_by_pandas):
    """Their dtypes do not determine what belongs in them."""
    rows = LIBRARIES[library](pd.DataFrame({name: [None] * 2 for name in with_times()}))
    filled = fitted.transform(rows)
    assert type(filled) is type(rows)
    for name, values in comparable(filled).items():
        observed = filled_by_pandas[name]
        assert min(observed) <= min(values) <= max(values) <= max(observed)


def test_strings_in_a_row_of_nan():
    fitted = imputer().fit(people()[["sex", "deck", "fare"]])
    row = pd.DataFrame({"sex": ["male"], "deck": [np.nan], "fare": [7.0]})
    assert fitted.transform(row)["deck"][0] in set("ABCD")


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_arrays_and_frames():
    frame = people()[["age", "fare"]]
    as_frame = imputer().fit(frame).transform(frame)
    assert_array_equal(imputer().fit(frame).transform(frame.to_numpy()), as_frame)
    by_array = imputer().fit(frame.to_numpy()).transform(pl.from_pandas(frame))
    assert isinstance(by_array, pl.DataFrame)
    assert_array_equal(by_array.to_numpy(), as_frame)


def test_dtypes_that_cannot_hold_what_was_seen_in_fit():
    fitted = imputer(missing_values=-1).fit(pd.DataFrame({"values": WHOLE + 0.25, "n": WHOLE}))
    integers = {"values": [1, 2, -1], "n": [1, 2, 3]}
    for table in (pd.DataFrame(integers), pl.DataFrame(integers)):
        values = values_of(fitted.transform(table))
        assert values[:2] == [1, 2]
        assert isinstance(values[2], float)
    small = pl.DataFrame({"values": pl.Series([1, -1], dtype=pl.Int8), "n": [1, 2]})
    large = imputer(missing_values=-1).fit(pd.DataFrame({"values": WHOLE + 900, "n": WHOLE}))
    assert values_of(large.transform(small))[1] > 900


def test_categories_that_a_dtype_does_not_have():
    fitted = imputer().fit(pd.DataFrame({"values": pd.Categorical(WORDS), "n": WHOLE}))
    new = pd.DataFrame({"values": pd.Categorical(["z", None]), "n": [1, 2]})
    filled = fitted.transform(new)["values"]
    assert filled[0] == "z"
    assert filled[1] in set("abc")
    enum = pl.DataFrame({"values": pl.Series(["z", None], dtype=pl.Enum(["z"])), "n": [1, 2]})
    with pytest.raises(ValueError, match=r"'values' is an Enum of 'z', and cannot hold"):
        fitted.transform(enum)


def test_booleans_and_numbers():
    flags = pd.DataFrame({"values": pd.array([True, False, None, True] * 8), "n": WHOLE})
    numbers = pl.DataFrame({"values": [1, 0, None], "n": [1, 2, 3]})
    assert values_of(imputer().fit(flags).transform(numbers))[2] in (0, 1)
    flags = pl.DataFrame({"values": [True, False, None], "n": [1, 2, 3]})
    numbers = pd.DataFrame({"values": [1.0, 0.0, np.nan, 1.0] * 8, "n": WHOLE})
    assert isinstance(values_of(imputer().fit(numbers).transform(flags))[2], bool)
