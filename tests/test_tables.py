"""Tables of people: any columns, from any library, to numbers and back."""

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from skae.tables import TabularEncoder, _encoder
from skae.tables._category_column import limits_in_fit
from tables import LIBRARIES, columns_of, people, rows_of

pytestmark = pytest.mark.any_backend


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


def test_kinds_follow_from_dtypes_and_values(library):
    encoder = TabularEncoder().fit(library(people()))
    assert encoder.columns_ == {
        "age": "integer",
        "fare": "numeric",
        "sex": "binary",
        "deck": "categorical",
        "alone": "binary",
        "survived": "binary",
        "port": "categorical",
        "boarded": "date",
        "ship": "constant",
        "notes": "empty",
    }


def test_the_round_trip_is_exact(library):
    X = library(people())
    encoder = TabularEncoder().fit(X)
    back = encoder.inverse_transform(encoder.transform(X))
    assert type(back) is type(X)
    assert rows_of(back) == rows_of(X)
    if isinstance(X, pa.Table):
        assert back.schema == X.schema
    else:
        assert list(back.dtypes) == list(X.dtypes)


def test_columns_have_the_same_weight():
    X = people(400)
    encoder = TabularEncoder().fit(X)
    variance = encoder.transform(X).var(axis=0)
    for block in encoder.blocks_:
        if block.kind in ("constant", "empty"):
            continue
        # Missing values are at the mean, far ones are squashed.
        assert 0.15 < variance[block.start : block.stop].sum() < 1.05, block


def test_a_missing_value_is_at_the_mean_and_has_a_flag():
    X = pd.DataFrame({"a": [1.5, None, 2.5, 7.0], "b": ["x", "y", None, "x"]})
    encoder = TabularEncoder().fit(X)
    Z = encoder.transform(X)
    a, b = encoder.blocks_
    assert Z[1, a.start] == 0
    assert_array_equal(Z[:, a.indicator] > 0, X["a"].isna())
    assert_array_equal(Z[2, b.start : b.stop], 0)
    assert_array_equal(encoder.observed(X), X.notna())


def test_a_missing_value_where_none_was_in_fit_is_at_the_mean():
    encoder = TabularEncoder().fit(pd.DataFrame({"a": [1.0, 2.5], "b": ["x", "y"]}))
    Z, observed = encoder.encode(pd.DataFrame({"a": [np.nan], "b": [None]}, dtype=object))
    assert_array_equal(Z, [[0, 0]])
    assert not observed.any()


def test_unknown_levels(library):
    X, new = library({"c": ["x", "y", "z"]}), library({"c": ["x", "w", "z"]})
    encoder = TabularEncoder().fit(X)
    Z, observed = encoder.encode(new)
    assert_array_equal(observed[:, 0], [True, False, True])
    flags = Z * encoder.transform(X).std() * 0 + (Z > 0)
    assert_array_equal(flags, [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    encoder = TabularEncoder(handle_unknown="error").fit(X)
    with pytest.raises(ValueError, match="unknown categories in column 'c': w"):
        encoder.transform(new)


def test_rare_levels_share_a_flag():
    levels = [f"n{i}" for i in range(30) for _ in range(1 + (i < 3))]
    X = pd.DataFrame({"c": levels})
    encoder = TabularEncoder(max_categories=4).fit(X)
    Z = encoder.transform(X)
    assert Z.shape[1] == 4
    back = encoder.inverse_transform(Z)["c"]
    own = X["c"].isin(["n0", "n1", "n2"])
    assert (back[own] == X["c"][own]).all()
    assert set(back[~own]) == {"n10"}  # the first of equals
    unknown, observed = encoder.encode(pd.DataFrame({"c": ["new", None]}))
    assert_array_equal(unknown[0] > 0, [False, False, False, True])
    assert_array_equal(unknown[1], 0)
    assert not observed.any()
    assert TabularEncoder(max_categories=None).fit_transform(X).shape[1] == 30


@pytest.mark.parametrize("sample_weight", [None, [1.0, 0.0, 2.0, 1.0]])
def test_a_fit_that_encodes_reads_each_column_once(monkeypatch, sample_weight):
    X = pd.DataFrame({
        "n": [1.5, None, 3.0, 4.0], "s": ["a", "b", None, "a"],
        "d": ["2020-01-31", "2020-02-29", "2021-03-31", None],
    })  # fmt: skip
    expected = TabularEncoder().fit(X, sample_weight=sample_weight).encode(X)
    reads = []
    read = _encoder.read_columns
    monkeypatch.setattr(_encoder, "read_columns", lambda X: reads.append(X) or read(X))
    found = TabularEncoder()._fit_encode(X, sample_weight)
    assert len(reads) == 1
    assert_array_equal(found[0], expected[0])
    assert_array_equal(found[1], expected[1])
    Z = TabularEncoder().fit_transform(X, sample_weight=sample_weight)
    assert len(reads) == 2
    assert_array_equal(Z, expected[0])


@pytest.mark.parametrize("rows", [slice(2), slice(1, None, 2), np.array([3, 0, 3])])
def test_a_fit_can_encode_some_rows(rows):
    X = people()
    expected = TabularEncoder().fit(X).encode(X)
    for found, all_rows in zip(
        TabularEncoder()._fit_encode(X, rows=rows), expected, strict=True
    ):
        assert_array_equal(found, all_rows[rows])


@pytest.mark.parametrize("library", LIBRARIES)
def test_limits_are_those_of_the_encoded_rows(library):
    X = people().assign(same=3, one="a", far=np.arange(len(people())) ** 9.0)
    X = LIBRARIES[library](X)
    encoder = TabularEncoder(max_categories=3).fit(X)
    Z = encoder.transform(X)
    low, high = limits_in_fit(encoder)
    is_flag = np.array([name.endswith("_missing") for name in encoder.get_feature_names_out()])
    for j, block in enumerate(encoder.blocks_):
        observed = encoder.observed(X)[:, j]
        for i in range(block.start, block.stop):
            assert low[i] == Z[observed, i].min()
            assert high[i] == Z[observed, i].max()
    assert_allclose(
        [low[is_flag], high[is_flag]], [Z.min(axis=0)[is_flag], Z.max(axis=0)[is_flag]]
    )


def test_numbers_stay_in_the_range_and_the_decimals_seen():
    X = pd.DataFrame({"n": [0.25, 0.5, 4.75], "i": [3, 5, 90]})
    encoder = TabularEncoder().fit(X)
    far = encoder.transform(X) + np.array([9.0, -9.0])
    back = encoder.inverse_transform(far)
    assert_array_equal(back["n"], 4.75)
    assert_array_equal(back["i"], 3)
    wide = TabularEncoder(clip=False).fit(X).inverse_transform(far)
    assert (wide["n"] > 4.75).all()
    assert (wide["i"] < 0).all()
    assert wide["i"].dtype == X["i"].dtype
    near = encoder.inverse_transform(encoder.transform(X) + 0.1)
    assert_array_equal(near["n"], near["n"].round(2))


def test_far_values_are_drawn_in_only_when_asked():
    X = np.r_[np.linspace(0, 1, 99), 1000.0][:, np.newaxis]
    assert TabularEncoder().fit_transform(X).max() < 8
    assert TabularEncoder(squash=False).fit_transform(X).max() > 9


@pytest.mark.parametrize("given", [[True, False], [0], ["a"]])
def test_numbers_can_be_declared_categories(given):
    X = pd.DataFrame({"a": [3, 5, 9, 3], "b": [1.0, 2.5, 3, 4]})
    encoder = TabularEncoder(categorical_features=given).fit(X)
    assert encoder.columns_ == {"a": "categorical", "b": "numeric"}
    assert_array_equal(encoder.inverse_transform(encoder.transform(X)), X)


@pytest.mark.parametrize("given", [[True], [2], ["c"], [-1], [0.5]])
def test_categorical_features_must_name_columns(given):
    X = pd.DataFrame({"a": [3, 5, 9, 3], "b": [1.0, 2.5, 3, 4]})
    with pytest.raises(ValueError, match="categorical_features must be"):
        TabularEncoder(categorical_features=given).fit(X)


def test_arrays_of_numbers_and_of_objects():
    numbers = np.array([[1.5, np.nan], [2.25, 1], [7, 2]])
    encoder = TabularEncoder().fit(numbers)
    assert_allclose(encoder.inverse_transform(encoder.transform(numbers)), numbers)
    for mixed in [["a", 1], ["b", 2.5], ["a", None]], [["a", 1], ["b", 2.5], ["c", 4]]:
        encoder = TabularEncoder().fit(mixed)
        back = encoder.inverse_transform(encoder.transform(mixed))
        assert back.tolist() == mixed


def test_rows_of_weight_zero_are_not_seen():
    X = pd.DataFrame({"a": [1.0, 2.5, 900.0], "b": ["x", "y", "z"]})
    weighted = TabularEncoder().fit(X, sample_weight=[1, 1, 0])
    fewer = TabularEncoder().fit(X[:2])
    assert_array_equal(weighted.transform(X), fewer.transform(X))
    assert weighted.columns_["b"] == "binary"
    doubled = TabularEncoder().fit(pd.concat([X, X[:1]]))
    assert_allclose(
        TabularEncoder().fit(X, sample_weight=[2, 1, 1]).transform(X), doubled.transform(X)
    )


# Bad input


def test_columns_are_those_of_fit(library):
    encoder = TabularEncoder().fit(library({"a": [1.0, 2.5], "b": ["x", "y"]}))
    with pytest.raises(ValueError, match=r"missing:\n- b"):
        encoder.transform(library({"a": [1.0]}))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- c"):
        encoder.transform(library({"a": [1.0], "b": ["x"], "c": [1]}))
    with pytest.raises(ValueError, match="same order"):
        encoder.transform(library({"b": ["x"], "a": [1.0]}))


def test_a_dtype_that_changed(library):
    encoder = TabularEncoder().fit(
        library(
            {"a": [1.0, 2.5], "b": ["x", "y"], "t": [datetime.date(2020, 1, d) for d in (1, 2)]}
        )
    )
    day = [datetime.date(2020, 1, 3)]
    for bad in (
        {"a": ["x"], "b": ["x"], "t": day},
        {"a": [1.0], "b": [2.0], "t": day},
        {"a": [1.0], "b": ["x"], "t": [3.5]},
        {"a": day, "b": ["x"], "t": day},
    ):
        with pytest.raises(ValueError, match=r"Column '[abt]' had values of type \w+ in fit"):
            encoder.transform(library(bad))


def test_infinite_values_name_the_column(library):
    with pytest.raises(ValueError, match=r"infinity.*'b'"):
        TabularEncoder().fit(library({"a": [1.0, 2.0], "b": [1.0, np.inf]}))
    encoder = TabularEncoder().fit(library({"a": [1.0, 2.0], "b": [1.0, 2.5]}))
    with pytest.raises(ValueError, match=r"infinity.*'b'"):
        encoder.transform(library({"a": [1.0], "b": [-np.inf]}))


def test_mixed_objects_name_the_column():
    for values, types in ([1, "x"], "float, str"), ([True, 2], "bool, float"):
        with pytest.raises(TypeError, match=rf"Column 'b'.*got {types}"):
            TabularEncoder().fit(
                pd.DataFrame({"a": [1, 2], "b": pd.Series(values, dtype=object)})
            )
    with pytest.raises(TypeError, match=r"Column 'b' .* strings.*list"):
        TabularEncoder().fit(pd.DataFrame({"b": [[1], [2]]}))


def test_columns_of_the_same_name():
    X = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    with pytest.raises(ValueError, match="several that are called 'a'"):
        TabularEncoder().fit(X)


def test_tables_without_rows_or_columns(library):
    with pytest.raises(ValueError, match="minimum of 1"):
        TabularEncoder().fit(library({"a": []}))
    with pytest.raises(ValueError, match="minimum of 1"):
        TabularEncoder().fit(pd.DataFrame(index=[0, 1]))


def test_inverse_transform_takes_what_transform_gives():
    encoder = TabularEncoder().fit(pd.DataFrame({"a": ["x", "y", "z"]}))
    with pytest.raises(ValueError, match="X has 2 columns, but TabularEncoder gives 3"):
        encoder.inverse_transform([[1.0, 2.0]])


def test_a_failed_fit_keeps_what_was_fitted():
    X = pd.DataFrame({"a": ["x", "y", "z"]})
    encoder = TabularEncoder().fit(X)
    with pytest.raises(ValueError, match="infinity"):
        encoder.fit(pd.DataFrame({"b": [np.inf, 1]}))
    assert encoder.inverse_transform(encoder.transform(X)).equals(X)


# In other people's code


def test_in_a_pipeline_with_set_output():
    X = people(50)
    X.index = np.arange(50) * 3
    encoder = TabularEncoder().set_output(transform="pandas")
    Z = encoder.fit_transform(X)
    assert list(Z.columns) == list(encoder.get_feature_names_out())
    assert encoder.inverse_transform(Z).equals(X)
    pipe = make_pipeline(TabularEncoder(), PCA(3)).fit(X)
    back = pipe.inverse_transform(pipe.transform(X))
    assert list(back.columns) == list(X.columns)
    columns = make_column_transformer((TabularEncoder(), ["age", "sex"]), remainder="drop")
    assert columns.fit_transform(X).shape == (50, 3)
    assert "tabularencoder__sex_male" in columns.get_feature_names_out()


def test_pickle():
    X = people(20)
    encoder = pickle.loads(pickle.dumps(TabularEncoder().fit(X)))
    assert encoder.inverse_transform(encoder.transform(X)).equals(X)


def test_the_index_of_pandas_comes_back():
    X = people(5).set_index(pd.Index(list("vwxyz")))
    encoder = TabularEncoder().fit(X)
    Z = pd.DataFrame(encoder.transform(X), index=X.index)
    assert encoder.inverse_transform(Z).equals(X)


# Every round trip, whatever the values are

# Within 2**51 microseconds, so that each comes back to the microsecond.
_TIMES = st.datetimes(datetime.datetime(1960, 1, 1), datetime.datetime(2030, 1, 1))
_VALUES = {
    "floats": st.floats(-1e12, 1e12, allow_subnormal=False).map(lambda x: round(x, 3)),
    "integers": st.integers(-(2**50), 2**50),
    "large integers": st.integers(2**62, 2**62 + 2**40),
    "booleans": st.booleans(),
    "texts": st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
    "dates": st.dates(datetime.date(1, 1, 2), datetime.date(9999, 1, 1)),
    "times": _TIMES,
    "durations": st.timedeltas(datetime.timedelta(-4000), datetime.timedelta(4000)),
}


def test_a_column_of_polars_without_a_name_keeps_it():
    X = pl.DataFrame({"": [0.5, 1.5], "a": [1, 2]})
    encoder = TabularEncoder().fit(X)
    assert encoder.inverse_transform(encoder.transform(X)).equals(X)


@pytest.mark.parametrize("dtype", ["M8[ns]", "m8[ns]"])
def test_microseconds_of_years_in_nanoseconds_come_back(dtype):
    microseconds = np.array([0, 1, 94_694_400_000_001, -94_694_399_999_999])
    X = pd.DataFrame({"c": (1000 * microseconds).view(dtype)})
    encoder = TabularEncoder().fit(X)
    pd.testing.assert_frame_equal(encoder.inverse_transform(encoder.transform(X)), X)


@pytest.mark.filterwarnings("ignore:X has columns that look like")
@settings(max_examples=30, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("kind", _VALUES)
def test_every_round_trip(kind, data):
    missing = st.none() if "integers" not in kind else st.nothing()
    values = data.draw(st.lists(st.one_of(_VALUES[kind], missing), min_size=1, max_size=12))
    for make in LIBRARIES.values():
        X = make({"c": values})
        encoder = TabularEncoder().fit(X)
        back = columns_of(encoder.inverse_transform(encoder.transform(X)))["c"]
        expected = columns_of(X)["c"]
        if kind == "floats":
            assert [v is None for v in back] == [v is None for v in expected]
            pairs = [(a, b) for a, b in zip(back, expected, strict=True) if b is not None]
            span = max((abs(b) for _, b in pairs), default=0)
            assert all(abs(a - b) <= 1e-13 * span for a, b in pairs)
        else:
            assert back == expected


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_numbers_of_any_size_come_back(values):
    X = np.array(values)[:, np.newaxis]
    encoder = TabularEncoder().fit(X)
    back = encoder.inverse_transform(encoder.transform(X))
    assert_allclose(back, X, rtol=0, atol=1e-12 * np.abs(X).max())


def test_the_numbers_that_encode_values_by_hand():
    weight = np.array([1.0, 2, 1, 1, 3, 2])
    number = np.array([1.0, 2, 3, np.nan, 5, 9])
    kinds, two = np.array(list("aabbcb")), np.array([1, 0, 1, 1, 0, 1], bool)
    days = np.array(["2024-01-01", "2024-01-03", "2024-01-02"] * 2, "M8[us]")
    X = pd.DataFrame({"number": number, "kind": kinds, "two": two, "day": days})
    encoder = TabularEncoder().fit(X, sample_weight=weight)

    def standard(values, weight):
        mean = np.average(values, weights=weight)
        return (values - mean) / np.sqrt(np.average(np.square(values - mean), weights=weight))

    there = ~np.isnan(number)
    value = np.zeros(6)
    value[there] = standard(number[there], weight[there])
    flags = (kinds[:, None] == list("abc")).astype(float)
    shares = np.average(flags, axis=0, weights=weight)
    unit = np.sqrt((shares * (1 - shares)).sum())
    # A flag of one value in ten, and a column of two values: their own deviations.
    missing = standard(1.0 * ~there, weight)
    expected = np.column_stack(
        [
            value,
            missing,
            (flags - shares) / unit,
            standard(1.0 * two, weight),
            standard(np.array([0.0, 2, 1] * 2), weight),
        ]
    )
    assert_allclose(encoder.transform(X), expected, atol=1e-12)
    assert_array_equal(encoder.is_flag, [False, True, True, True, True, True, False])
    of_two = np.average(two, weights=weight)
    assert_allclose(encoder.flag_share, [0, 0.1, *shares, of_two, 0])
    deviation = np.sqrt(of_two * (1 - of_two))
    assert_allclose(encoder.flag_unit, [1, 0.3, *[unit] * 3, deviation, 1])
    # What one more in the matrix is: the deviation, of days in microseconds.
    day = np.array([0.0, 2, 1] * 2)
    spread = np.sqrt(
        np.average(np.square(day - np.average(day, weights=weight)), weights=weight)
    )
    log_unit = encoder.log_unit(3, np.array([0.0, 6.0]))
    assert_allclose(log_unit - log_unit[0], [0, 1])
    assert_allclose(np.exp(log_unit[0]), spread * 86400e6)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1, 1], "binary"), ([1, 2, 2], "binary"), ([-1, 1, 1], "binary"),
        ([0, 2, 2], "integer"), ([0, 1, 2], "integer"), ([2, 3, 3], "integer"),
        ([0.0, 0.5, 1.0], "numeric"), ([4, 4, 4], "constant"),
    ],
)  # fmt: skip
def test_two_numbers_next_to_each_other_are_levels(values, kind):
    encoder = TabularEncoder().fit(pd.DataFrame({"x": values}))
    assert encoder.columns_ == {"x": kind}


@pytest.mark.parametrize(
    ("step", "unit"),
    [(1, "D"), (1, "h"), (7, "m"), (15, "s"), (3, "ms"), (250, "us"), (2, "D")],
)
def test_times_come_back_in_the_step_that_they_had(step, unit):
    """Between two times there is nothing finer than they are."""
    times = np.array("2024-01-01", "M8[us]") + step * np.arange(5) * np.timedelta64(1, unit)
    encoder = TabularEncoder().fit(pd.DataFrame({"at": times}))
    Z = encoder.transform(pd.DataFrame({"at": times[1:3]}))
    back = encoder.inverse_transform(Z.mean(axis=0, keepdims=True))["at"].to_numpy()
    apart = back - np.array("2024-01-01", "M8[us]")
    assert apart % np.timedelta64(1, unit) == np.timedelta64(0, unit)
    assert times[1] <= back <= times[2]
