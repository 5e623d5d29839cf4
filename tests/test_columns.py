"""Columns of every type: decoded as they came, or refused by name."""

import datetime
import enum
import pickle
import uuid
from decimal import Decimal
from fractions import Fraction
from io import StringIO
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skae
from data import data_rng
from saved_estimators import QUICK_IMPUTER
from skae.metrics import share_explained
from skae.tables import TabularEncoder
from skae.tables._frames import numbers_of, read_columns
from skae.tables._squashing_scaler import SquashingScaler
from tables import LIBRARIES, columns_of

pytestmark = pytest.mark.any_backend

N_ROWS = 12
_SECONDS = [int(i) * 7 for i in data_rng().randint(0, 3_000_000, N_ROWS)]
TIMES = [datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=s) for s in _SECONDS]
BERLIN = ZoneInfo("Europe/Berlin")


class Colour(enum.Enum):
    RED = 1
    BLUE = 2
    GREEN = 3


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 9


#: Objects, and the kind of column that they are.
OBJECTS = {
    "date": ([t.date() for t in TIMES], "date"),
    "datetime": (TIMES, "date"),
    "datetime with a zone": ([t.replace(tzinfo=BERLIN) for t in TIMES], "date"),
    "datetime with an offset": (
        [t.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=5))) for t in TIMES],
        "date",
    ),
    "time of day": ([t.time() for t in TIMES], "date"),
    "timedelta": ([t - TIMES[0] for t in TIMES], "date"),
    "Timestamp": ([pd.Timestamp(t, tz="Asia/Tokyo") for t in TIMES], "date"),
    "Timedelta": ([pd.Timedelta(t - TIMES[0]) for t in TIMES], "date"),
    "Period": ([pd.Period(t, "M") for t in TIMES], "date"),
    "datetime64": ([np.datetime64(t) for t in TIMES], "date"),
    "timedelta64": ([np.timedelta64(t - TIMES[0]) for t in TIMES], "date"),
    "Decimal": ([Decimal(s).scaleb(-2) for s in _SECONDS], "numeric"),
    "Fraction": ([Fraction(s, 7 * 64) for s in _SECONDS], "numeric"),
    "int": (_SECONDS, "integer"),
    "int beyond 2**63": ([2**63 + s for s in _SECONDS], "integer"),
    "bool": ([True, False, False] * 4, "binary"),
    "bytes": ([b"a", b"b", b"c"] * 4, "categorical"),
    "Enum": ([*Colour] * 4, "categorical"),
    "IntEnum": ([*Size] * 6, "binary"),
    "Interval": ([pd.Interval(i, i + 1) for i in range(3)] * 4, "categorical"),
}


def _of_pandas(values):
    return pd.DataFrame({"c": pd.Series(values, dtype=object)})


def _of_polars(values):
    return pl.DataFrame({"c": pl.Series("c", values, dtype=pl.Object)})


def _of_array(values):
    array = np.empty((len(values), 1), dtype=object)
    array[:, 0] = values
    return array


def objects_of(table):
    if isinstance(table, np.ndarray):
        return table[:, 0].tolist()
    return table["c"].to_list()


# polars makes no series of members of an Enum and None.
@pytest.mark.parametrize(
    ("name", "make"),
    [
        (name, make)
        for name in OBJECTS
        for make in (_of_pandas, _of_array, *[_of_polars] * (name != "Enum"))
    ],
)
def test_objects_come_back_as_they_were(name, make):
    values, kind = OBJECTS[name]
    X = make([*values, None])
    encoder = TabularEncoder().fit(X)
    assert list(encoder.columns_.values()) == [kind]
    for again in (encoder, pickle.loads(pickle.dumps(encoder))):
        back = objects_of(again.inverse_transform(again.transform(X)))
        assert back == [*values, None]
        assert list(map(type, back)) == [*map(type, values), type(None)]
        zones = [getattr(value, "tzinfo", None) for value in values]
        assert [getattr(value, "tzinfo", None) for value in back] == [*zones, None]


@pytest.mark.parametrize("name", [name for name in OBJECTS if "Enum" not in name])
def test_objects_are_saved(name, tmp_path):
    X = _of_pandas(OBJECTS[name][0])
    encoder = TabularEncoder().fit(X)
    skae.save(encoder, tmp_path / "encoder.skae")
    loaded = skae.load(tmp_path / "encoder.skae")
    back = loaded.inverse_transform(encoder.transform(X))["c"]
    assert back.tolist() == X["c"].tolist()
    assert set(map(type, back)) == set(map(type, X["c"]))


def test_objects_between_those_seen_are_of_their_type():
    """Half-way between the first and the last, and neither of them."""
    for name in ("date", "Decimal", "Period", "time of day"):
        values = OBJECTS[name][0]
        X = _of_pandas(values)
        encoder = TabularEncoder().fit(X)
        Z = encoder.transform(X)
        middle = (Z.min(axis=0, keepdims=True) + Z.max(axis=0, keepdims=True)) / 2
        (between,) = encoder.inverse_transform(middle)["c"]
        assert type(between) is type(values[0])
        assert min(values) < between < max(values)
    amount = encoder_of([Decimal("0.25"), Decimal("1.00")]).inverse_transform([[0.1]])["c"][0]
    assert amount.as_tuple().exponent == -2


def encoder_of(values):
    return TabularEncoder().fit(_of_pandas(values))


def test_a_month_is_the_one_that_starts_nearest():
    months = [pd.Period("2024-01", "M"), pd.Period("2024-03", "M")]
    encoder = encoder_of(months)
    near = encoder.transform(_of_pandas(months))[1:] * 0.9
    assert encoder.inverse_transform(near)["c"][0] == months[1]


def test_exact_numbers_among_plain_ones():
    values = [Decimal("1.50"), 0, Decimal("2.25"), None]
    encoder = encoder_of(values)
    back = encoder.inverse_transform(encoder.transform(_of_pandas(values)))["c"].tolist()
    assert back == values
    assert type(back[1]) is Decimal


def test_times_of_several_zones_are_instants():
    hours = [datetime.timezone(datetime.timedelta(hours=h)) for h in (1, 2)]
    values = [t.replace(tzinfo=hours[i % 2]) for i, t in enumerate(TIMES)]
    encoder = encoder_of(values)
    back = encoder.inverse_transform(encoder.transform(_of_pandas(values)))["c"].tolist()
    assert back == values
    assert {value.tzinfo for value in back} == {datetime.UTC}


def test_missing_objects_of_all_sorts():
    marks = [
        None,
        pd.NaT,
        pd.NA,
        np.nan,
        np.float64("nan"),
        Decimal("nan"),
        np.datetime64("nat", "D"),
    ]
    for values in (
        [datetime.date(2024, 1, 1), datetime.date(2024, 2, 1)],
        [1.5, 2.25],
        ["x", "y"],
    ):
        (column,) = read_columns(_of_pandas([*values, *marks]))
        assert column.observed.tolist() == [True, True] + [False] * len(marks)


# Dtypes of the libraries

_NUMBERS = np.array([3.5, 1, 2, 9, 4, 7, 8, 2.5, 6, 1.5, 0.5, 11])
_LARGE = 2**63 + np.arange(N_ROWS, dtype=np.uint64)
_DAYS = pd.date_range("2024", periods=N_ROWS, freq="31h")

PANDAS = {
    "Sparse": (pd.Series(_NUMBERS.clip(2)).astype(pd.SparseDtype(float, 2.0)), "numeric"),
    "Sparse integers": (pd.Series(_NUMBERS.astype(int)).astype("Sparse[int]"), "integer"),
    "Sparse times": (pd.Series(_DAYS).astype("Sparse[datetime64[us]]"), "date"),
    "longdouble": (pd.Series(_NUMBERS.astype(np.longdouble)), "numeric"),
    "float16": (pd.Series(_NUMBERS.astype(np.float16)), "numeric"),
    "Float32": (pd.Series(_NUMBERS).astype("Float32"), "numeric"),
    "UInt64": (pd.Series(_LARGE).astype("UInt64"), "integer"),
    "uint64": (pd.Series(_LARGE), "integer"),
    "dateutil": (pd.Series(_DAYS.tz_localize("dateutil/Europe/Berlin")), "date"),
    "offset": (pd.Series(_DAYS.tz_localize("+05:30")), "date"),
    "period": (pd.Series(pd.period_range("1750-01", periods=N_ROWS, freq="Q-NOV")), "date"),
    "weeks": (pd.Series(pd.period_range("2001-01", periods=N_ROWS, freq="W")), "date"),
    "interval": (
        pd.Series(pd.IntervalIndex.from_breaks([0, 1, 2, 3]).repeat(4)),
        "categorical",
    ),
    "pd.cut": (pd.Series(pd.cut(_NUMBERS, 4)), "categorical"),
    "decimal of Arrow": (
        pd.Series([Decimal("1.25"), Decimal("2.50"), Decimal("9.75")] * 4).astype(
            pd.ArrowDtype(pa.decimal128(9, 2))
        ),
        "numeric",
    ),
}


@pytest.mark.parametrize("name", PANDAS)
def test_dtypes_of_pandas(name, tmp_path):
    column, kind = PANDAS[name]
    holed = column.copy()
    with_gap = not name.startswith(("Sparse", "uint64", "interval"))
    if with_gap:
        holed[5] = None
    X = pd.DataFrame({"c": holed})
    encoder = TabularEncoder().fit(X)
    assert encoder.columns_ == {"c": kind}
    back = encoder.inverse_transform(encoder.transform(X))
    pd.testing.assert_frame_equal(back, X)
    if name not in ("longdouble", "dateutil"):
        skae.save(encoder, tmp_path / "encoder.skae")
        loaded = skae.load(tmp_path / "encoder.skae")
        pd.testing.assert_frame_equal(loaded.inverse_transform(loaded.transform(X)), X)


_DECIMALS = [Decimal("1.25"), Decimal("2.50"), None, Decimal("7.75")] * 3
_CLOCK = [datetime.time(1), datetime.time(2, 30), None, datetime.time(5)] * 3
ARROW = {
    "decimal128": pa.array(_DECIMALS, pa.decimal128(20, 2)),
    "decimal256": pa.array(_DECIMALS, pa.decimal256(50, 2)),
    "halffloat": pa.array([*np.float16([1.5, 2.25]), None, np.float16(7)] * 3, pa.float16()),
    "date64": pa.array([TIMES[0].date(), None, TIMES[1].date()] * 4, pa.date64()),
    "time32": pa.array(_CLOCK, pa.time32("s")),
    "time64": pa.array(_CLOCK, pa.time64("ns")),
    "offset": pa.array(TIMES, pa.timestamp("us", "+02:00")),
    "binary": pa.array([b"ab", b"cd", None, b"ef"] * 3, pa.binary(2)),
}
# Not in the oldest versions.
if hasattr(pa, "decimal32"):
    ARROW["decimal32"] = pa.array(_DECIMALS, pa.decimal32(5, 2))
if hasattr(pa, "string_view"):
    ARROW["string_view"] = pa.array(["a", "b", None, "c"] * 3, pa.string_view())
POLARS = {
    "Decimal": pl.Series(_DECIMALS, dtype=pl.Decimal(10, 2)),
    "Int128": pl.Series([2**63, 2**63 + 5, None, 2**63 + 9] * 3, dtype=pl.Int128),
    "UInt64": pl.Series([2**63, 2**63 + 1, None, 2**63 + 9] * 3, dtype=pl.UInt64),
    "Time": pl.Series(_CLOCK, dtype=pl.Time),
    "Binary": pl.Series([b"ab", b"cd", None, b"ef"] * 3, dtype=pl.Binary),
    "zone": pl.Series(TIMES, dtype=pl.Datetime("ns", "Europe/Berlin")),
}
if hasattr(pl, "Float16"):
    POLARS["Float16"] = pl.Series([1.5, 2.25, None, 7.0] * 3, dtype=pl.Float16)
OTHERS = {
    **{f"Arrow's {name}": pa.table({"c": values}) for name, values in ARROW.items()},
    **{f"polars' {name}": pl.DataFrame({"c": values}) for name, values in POLARS.items()},
}


@pytest.mark.parametrize("name", OTHERS)
def test_dtypes_of_polars_and_arrow(name, tmp_path):
    X = OTHERS[name]
    encoder = TabularEncoder().fit(X)
    is_text = "inary" in name or "string" in name
    assert (encoder.columns_["c"] == "categorical") == is_text
    skae.save(encoder, tmp_path / "encoder.skae")
    for each in (encoder, skae.load(tmp_path / "encoder.skae")):
        back = each.inverse_transform(each.transform(X))
        assert back.equals(X)
        assert back.schema == X.schema


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        [1],
        {"a": 1},
        {1},
        1j,
        uuid.UUID(int=1),
        object(),
        int,
        datetime.time(1, tzinfo=datetime.UTC),
        bytearray(b"a"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("make", [_of_pandas, _of_array])
def test_objects_of_other_types_are_refused_by_name(make, value):
    X = make([value, value, None])
    with pytest.raises(
        TypeError, match=rf"Column '(c|x0)' must have.*got {type(value).__name__}"
    ):
        TabularEncoder().fit(X)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pd.Series([1j, 2j]), "complex128"),
        (pd.Series(pa.array([[1], [2]]), dtype=pd.ArrowDtype(pa.list_(pa.int64()))), "List"),
        (pl.Series([[1], [2]]), "List"),
        (pl.Series([{"a": 1}, {"a": 2}]), "Struct"),
        (pa.array([[1], [2]]), "List"),
        (pa.array([{"a": 1}] * 2), "Struct"),
        *([(pa.array([b"1" * 16] * 2, pa.uuid()), "UUID")] if hasattr(pa, "uuid") else []),
    ],
    ids=str,
)
def test_dtypes_that_are_no_column_of_a_table_are_refused_by_name(column, found):
    make = {"pandas": pd.DataFrame, "polars": pl.DataFrame}.get(
        type(column).__module__.partition(".")[0], pa.table
    )
    with pytest.raises(TypeError, match=rf"Column 'c' must have.*got .*{found}"):
        TabularEncoder().fit(make({"n": [1, 2], "c": column}))


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (
            [TIMES[0], TIMES[1].replace(tzinfo=BERLIN)],
            "datetime objects that cannot be compared",
        ),
        ([pd.Period("2024", "M"), pd.Period("2024", "D")], "Period objects that cannot"),
        ([TIMES[0].date(), TIMES[1]], "date, datetime"),
        ([Decimal(1), Fraction(1, 3)], "Decimal, Fraction"),
        ([Colour.RED, Size.LARGE], "Colour, Size"),
        ([Decimal(1), "1"], "Decimal, str"),
    ],
)
def test_objects_that_do_not_belong_together_name_the_column(values, names):
    with pytest.raises(TypeError, match=rf"Column 'c' .*got {names}"):
        encoder_of(values)


BEYOND = [10**20 + i for i in range(50)]
#: Whole numbers that float64 rounds to one or two.
WHOLE = {
    "int": lambda: pd.Series(BEYOND),
    "negative": lambda: pd.Series([-n for n in BEYOND]),
    "NumPy's integers": lambda: pd.Series([np.int64(2**60 + i) for i in range(50)], dtype="O"),
    "int and a missing one": lambda: pd.Series([None, *BEYOND[1:]], dtype=object),
    "Decimal": lambda: pd.Series([Decimal(n) for n in BEYOND]),
    "Decimal with decimals": lambda: pd.Series([Decimal(f"{n}.00") for n in BEYOND]),
    "Fraction": lambda: pd.Series([Fraction(n) for n in BEYOND]),
    "Arrow in pandas": lambda: pd.Series(
        [Decimal(n) for n in BEYOND], dtype=pd.ArrowDtype(pa.decimal128(30, 0))
    ),
    "Int128": lambda: pl.Series([10**30 + i for i in range(50)], dtype=pl.Int128),
    "polars Decimal": lambda: pl.Series([Decimal(n) for n in BEYOND], dtype=pl.Decimal(30, 0)),
    "PyArrow": lambda: pa.array([Decimal(n) for n in BEYOND], pa.decimal128(30, 0)),
}


def beside_letters(column):
    """A table of the library of a column, with letters beside it."""
    library = {pd.Series: pd.DataFrame, pl.Series: pl.DataFrame}.get(type(column), pa.table)
    return library({"v": column, "c": list("ab") * 25})


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_whole_numbers_beyond_float64_are_exact(make, tmp_path):
    X = beside_letters(make())
    encoder = TabularEncoder().fit(X)
    Z = encoder.transform(X)
    assert encoder.columns_["v"] == "integer"
    assert_allclose(np.abs(np.diff(Z[1:, 0])), 1 / np.std(np.arange(50)), rtol=0.05)
    assert encoder.inverse_transform(Z).equals(X)
    assert_array_equal(encoder.transform(X[2:3]), Z[2:3])
    skae.save(encoder, tmp_path / "encoder.skae")
    assert_array_equal(skae.load(tmp_path / "encoder.skae").transform(X), Z)


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
def test_whole_numbers_beyond_float64_as_categories(make):
    X = beside_letters(make())[:6]
    encoder = TabularEncoder(categorical_features=["v"]).fit(X)
    assert encoder.columns_["v"] == "categorical"
    assert encoder.inverse_transform(encoder.transform(X)).equals(X)


def test_numbers_of_other_sizes_beside_whole_numbers_beyond_float64():
    letters = ["a", "b"]
    encoder = TabularEncoder().fit(beside_letters(pd.Series(BEYOND)))
    for near in ([Decimal(BEYOND[3]), 10**20], [Fraction(BEYOND[3])] * 2):
        Z = encoder.transform(pd.DataFrame({"v": near, "c": letters}))
        assert_array_equal(encoder.inverse_transform(Z)["v"], list(map(int, near)))
    far = [encoder.transform(pd.DataFrame({"v": v, "c": letters})) for v in ([5, 7], [5.5, 7])]
    assert_array_equal(far[0], far[1])
    assert (far[0][:, 0] < -3).all()
    wide = pd.DataFrame({"v": [10**20, 3, 10**19, 0], "c": letters * 2})
    encoder = TabularEncoder().fit(wide)
    assert_allclose(
        encoder.inverse_transform(encoder.transform(wide))["v"].astype(float),
        wide["v"].astype(float),
        rtol=1e-12,
        atol=1e5,
    )


@pytest.mark.parametrize("least", [2**60, -(10**20)])
def test_share_explained_of_whole_numbers_beyond_float64(least):
    X = pd.DataFrame({"v": [least + i for i in range(50)]})
    # Twice as far from the mean as the mean is: four variances are lost.
    assert_allclose(share_explained(X, X[::-1].reset_index(drop=True)), 1 - 4)
    assert share_explained(X, X) == 1


@pytest.mark.parametrize("name", ["int and a missing one", "Int128", "polars Decimal"])
def test_whole_numbers_beyond_float64_are_imputed_exactly(name):
    column = WHOLE[name]()
    if not hasattr(column, "iloc"):
        column = pl.Series([None, *column[1:]], dtype=column.dtype)
    imputer = skae.AEImputer(n_estimators=1, **QUICK_IMPUTER)
    filled = list(imputer.fit_transform(beside_letters(column))["v"])
    assert filled[1:] == list(column[1:])
    # A value between the others, which float64 would have put onto the least or beyond.
    assert filled[1] < filled[0] < filled[-1]


def test_integers_of_any_size_are_exact():
    for least in (-(2**63), 2**62, 2**63, 2**64 - 100):
        values = [least + i for i in (0, 1, 5, 40, 99)]
        dtype = np.int64 if least < 0 or least < 2**63 else np.uint64
        X = np.array(values, dtype)[:, np.newaxis]
        encoder = TabularEncoder().fit(X)
        assert_array_equal(encoder.inverse_transform(encoder.transform(X)), X)
        assert_allclose(encoder.transform(X).std(), 1)
        alone = encoder.transform(X[2:3])
        assert_array_equal(alone, encoder.transform(X)[2:3])


def test_all_libraries_read_the_same_columns():
    """A table that was fitted in one library is encoded in another."""
    columns = {
        "amount": _DECIMALS,
        "day": [t.date() for t in TIMES],
        "clock": _CLOCK,
        "word": ["a", "b", None] * 4,
    }
    tables = [
        pd.DataFrame(
            {name: pd.Series(values, dtype=object) for name, values in columns.items()}
        ),
        pl.DataFrame(columns),
        pa.table(columns),
    ]
    for fitted in tables:
        encoder = TabularEncoder().fit(fitted)
        Z = encoder.transform(fitted)
        for other in tables:
            assert_array_equal(encoder.transform(other), Z)
            assert columns_of(encoder.inverse_transform(encoder.transform(other))) == columns


# Strings that are dates

_STAMPS = pd.date_range("2024-01-31 10:20:01", periods=N_ROWS, freq="31h")
_MILLIS = _STAMPS + pd.to_timedelta(np.arange(N_ROWS) % 3 * 250, unit="ms")
STRINGS = {
    "%Y-%m-%d": _STAMPS.strftime("%Y-%m-%d"),
    "%Y-%m-%d %H:%M:%S": _STAMPS.strftime("%Y-%m-%d %H:%M:%S"),
    "%Y-%m-%dT%H:%M": _STAMPS.strftime("%Y-%m-%dT%H:%M"),
    "%Y-%m-%dT%H:%M:%SZ": _STAMPS.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "%Y-%m-%dT%H:%M:%S-03:30": _STAMPS.strftime("%Y-%m-%dT%H:%M:%S-03:30"),
    "%Y-%m-%d %H:%M:%S.%f": _MILLIS.strftime("%Y-%m-%d %H:%M:%S.%f"),
    "isoformat": [str(stamp) for stamp in _MILLIS.to_pydatetime()],
    "trimmed": [
        str(stamp).rstrip("0") for stamp in _MILLIS.to_pydatetime() if stamp.microsecond
    ],
    "nanoseconds": [f"2024-01-{d:02d}T00:00:00.00000000{d % 7}Z" for d in range(1, 13)],
    "%H:%M:%S": _STAMPS.strftime("%H:%M:%S"),
    "%H:%M": _STAMPS.strftime("%H:%M"),
    "%Y-%m": _STAMPS.strftime("%Y-%m"),
}


@pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
@pytest.mark.parametrize("name", STRINGS)
def test_strings_in_one_iso_format_are_dates(name, make, tmp_path):
    values = [*STRINGS[name], None]
    X = make({"c": values})
    encoder = TabularEncoder().fit(X)
    assert encoder.columns_ == {"c": "date"}
    skae.save(encoder, tmp_path / "encoder.skae")
    for each in (encoder, skae.load(tmp_path / "encoder.skae")):
        back = each.inverse_transform(each.transform(X))
        assert columns_of(back) == {"c": values}
        assert type(back) is type(X)


def test_dates_in_strings_are_encoded_like_dates():
    days = pd.Series(_STAMPS.normalize())
    strings = TabularEncoder().fit(pd.DataFrame({"c": days.dt.strftime("%Y-%m-%d")}))
    dates = TabularEncoder().fit(pd.DataFrame({"c": days}))
    for column in (days, days.dt.strftime("%Y-%m-%d"), days.dt.strftime("%Y-%m-%dT%H:%M:%S")):
        X = pd.DataFrame({"c": column})
        assert_array_equal(strings.transform(X), dates.transform(X))
    middle = strings.transform(X)[[0, 2]].mean(axis=0, keepdims=True)
    assert strings.inverse_transform(middle)["c"].tolist() == ["2024-02-02"]


def test_strings_with_several_offsets_are_instants():
    values = ["2024-03-30T10:00:00+01:00", "2024-04-01T10:00:00+02:00"]
    encoder = encoder_of(values)
    back = encoder.inverse_transform(encoder.transform(_of_pandas(values)))["c"].tolist()
    assert back == ["2024-03-30T09:00:00+00:00", "2024-04-01T08:00:00+00:00"]


def test_dates_that_are_declared_categories_are_categories():
    for values in (["2024-01-31", "2024-02-01", "2024-02-09"], list(_STAMPS[:3])):
        X = pd.DataFrame({"c": values})
        encoder = TabularEncoder(categorical_features=["c"]).fit(X)
        assert encoder.columns_ == {"c": "categorical"}
        assert encoder.inverse_transform(encoder.transform(X)).equals(X)
        assert encoder.observed(X[:1]).all()
    as_dtype = pd.DataFrame({"c": ["2024-01-31", "2024-02-01", "2024-02-09"]}, dtype="category")
    assert TabularEncoder().fit(as_dtype).columns_ == {"c": "categorical"}


def test_strings_that_are_no_date_at_transform():
    X = pd.DataFrame({"c": ["2024-01-01", "2024-01-05", None]})
    new = pd.DataFrame({"c": ["2024-01-03", "soon", None, "2024-02-30", "2024-01-03T10:00Z"]})
    Z, observed = TabularEncoder().fit(X).encode(new)
    assert_array_equal(observed[:, 0], [True, False, False, False, False])
    assert_array_equal(Z[:, 0], 0)
    # Only what is missing has the flag of missing values.
    assert_array_equal(Z[:, 1] > 0, [False, False, True, False, False])
    encoder = TabularEncoder(handle_unknown="error").fit(X)
    with pytest.raises(
        ValueError, match="no date in column 'c': 2024-01-03T10:00Z, 2024-02-30"
    ):
        encoder.transform(new)


@pytest.mark.parametrize(
    ("seen", "new", "types"),
    [
        (TIMES, [t.replace(tzinfo=BERLIN) for t in TIMES], "time in fit.* time with a zone"),
        (
            [t.replace(tzinfo=BERLIN) for t in TIMES],
            TIMES,
            "time with a zone in fit.* time now",
        ),
        (TIMES, [t - TIMES[0] for t in TIMES], "time in fit.* duration now"),
        (TIMES, [t.time() for t in TIMES], "time in fit.* time of day now"),
        ([t - TIMES[0] for t in TIMES], TIMES, "duration in fit.* time now"),
        ([pd.Period(t, "M") for t in TIMES], TIMES, "period in fit.* time now"),
        (TIMES, ["2024-01-01", "soon"], "time in fit.* str now"),
        (TIMES, [1.5], "time in fit.* number now"),
        ([Decimal(1), Decimal("2.5")], ["x"], "number in fit.* str now"),
        ([*Colour], ["RED"], "Colour in fit.* str now"),
        ([b"a", b"b"], ["a"], "bytes in fit.* str now"),
    ],
)
@pytest.mark.parametrize("make", [_of_pandas, _of_polars])
def test_types_of_fit_and_transform_differ(seen, new, types, make):
    if make is _of_pandas or seen != [*Colour]:
        encoder = TabularEncoder().fit(make(seen))
        with pytest.raises(ValueError, match=f"Column 'c' had values of type {types}"):
            encoder.transform(make(new))


def test_dates_of_another_class_are_dates():
    dates = TabularEncoder().fit(_of_pandas([t.date() for t in TIMES]))
    assert_array_equal(
        dates.transform(pl.DataFrame({"c": TIMES})), dates.transform(_of_pandas(TIMES))
    )


# Identifiers and free text


def _keys(n_rows=120):
    return [f"key {i}" for i in range(n_rows)]


@pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)
def test_identifiers_are_ignored_with_a_warning(make, tmp_path):
    X = make({"n": np.arange(120.0) % 7, "key": _keys(), "c": ["a", "b"] * 60})
    with pytest.warns(UserWarning, match="identifiers or free text: 'key'.*'key 0'.*[Dd]rop"):
        encoder = TabularEncoder().fit(X)
    assert encoder.columns_ == {"n": "integer", "key": "identifier", "c": "binary"}
    assert encoder.transform(X).shape == (120, 2)
    assert list(encoder.get_feature_names_out()) == ["n", "c_b"]
    skae.save(encoder, tmp_path / "encoder.skae")
    for each in (encoder, skae.load(tmp_path / "encoder.skae")):
        back = each.inverse_transform(each.transform(X))
        assert columns_of(back) == {**columns_of(X), "key": [None] * 120}
        assert type(back) is type(X)
        other = make({"n": [1.0, 2.0], "key": [None, "new"], "c": ["a", "b"]})
        assert_array_equal(each.observed(other)[:, 1], [False, True])
        assert_array_equal(each.transform(other)[:, 1], each.transform(X)[:2, 1])


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(_keys()),
        pd.Series([key.encode() for key in _keys()]),
        pd.Series(_keys(), dtype="string"),
        pd.Series([*_keys(), *["common"] * 100]),
        pd.Series([*_keys(), *[None] * 300]),
    ],
    ids=["category", "bytes", "string", "with a common one", "mostly missing"],
)
def test_what_is_an_identifier(values):
    with pytest.warns(UserWarning, match="identifiers or free text: 'c'"):
        encoder = TabularEncoder().fit(pd.DataFrame({"c": values}))
    assert encoder.columns_ == {"c": "identifier"}


@pytest.mark.parametrize(
    "values",
    [
        _keys(40),
        [*_keys(60), *_keys(60)],
        [*_keys(60), *["common"] * 70],
        [f"key {i % 60}" for i in range(100)],
    ],
    ids=["few", "each twice", "half are common", "most twice"],
)
def test_what_is_no_identifier(values):
    assert TabularEncoder().fit(pd.DataFrame({"c": values})).columns_ == {"c": "categorical"}


def test_row_numbers_that_pandas_wrote_are_named():
    table = pd.DataFrame({"kind": ["a", "b"] * 20, "size": np.arange(40) / 3})
    again = pd.read_csv(StringIO(table.to_csv()))
    with pytest.warns(UserWarning, match=r"without a name: 'Unnamed: 0'\. If .*index_col=0"):
        encoder = TabularEncoder().fit(again)
    assert encoder.columns_["Unnamed: 0"] == "integer"
    for quiet in (table, again.rename(columns={"Unnamed: 0": "row"}), table.add_prefix("Un")):
        TabularEncoder().fit(quiet)
    TabularEncoder().fit(pd.read_csv(StringIO(table.to_csv()), index_col=0))


@pytest.mark.parametrize("dtype", ["U", "S", object])
@pytest.mark.filterwarnings("ignore:X has columns that look like identifiers")
def test_identifiers_of_arrays_are_decoded_as_none(dtype, tmp_path):
    rows = np.arange(90)
    table = np.array([[f"key {i:02d}", "ab"[i % 2], "xyz"[i % 3]] for i in rows]).astype(dtype)
    encoder = TabularEncoder().fit(table)
    skae.save(encoder, tmp_path / "encoder.skae")
    for each in (encoder, skae.load(tmp_path / "encoder.skae")):
        decoded = each.inverse_transform(encoder.transform(table))
        assert decoded.dtype == object
        assert all(value is None for value in decoded[:, 0])
        assert_array_equal(decoded[:, 1:], table[:, 1:].astype(object))
        # And can be read again.
        assert_array_equal(each.transform(decoded), encoder.transform(table))
    encoder.fit(table[:, 1:])
    decoded = encoder.inverse_transform(encoder.transform(table[:, 1:]))
    assert decoded.dtype == table.dtype
    assert_array_equal(decoded, table[:, 1:])


@pytest.mark.parametrize(
    ("breaks", "dtype"),
    [
        (np.arange(121), "interval[float64, left]"),
        (np.arange(121, dtype=np.uint64), "interval[float64, left]"),
        (np.arange(121) / 2, "interval[float64, left]"),
        (pd.date_range("2024-01-01", periods=121, unit="us"), "interval[datetime64[us], left]"),
    ],
)
@pytest.mark.filterwarnings("ignore:X has columns that look like identifiers")
def test_intervals_that_are_identifiers_are_decoded_as_missing(breaks, dtype):
    keys = pd.IntervalIndex.from_breaks(breaks, closed="left")
    table = pd.DataFrame({"key": keys, "number": data_rng().rand(120)})
    encoder = TabularEncoder().fit(table)
    decoded = encoder.inverse_transform(encoder.transform(table))
    assert decoded["key"].dtype == dtype
    assert decoded["key"].isna().all()
    assert_allclose(decoded["number"], table["number"])


def test_intervals_of_integers_that_are_categories_stay_so():
    keys = pd.IntervalIndex.from_breaks(np.arange(5)).repeat(30)
    table = pd.DataFrame({"key": keys, "number": data_rng().rand(120)})
    encoder = TabularEncoder().fit(table)
    assert encoder.inverse_transform(encoder.transform(table))["key"].equals(table["key"])


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 1 has no StringDType")
@pytest.mark.parametrize("missing", [None, np.nan, ""], ids=["None", "nan", "no missing"])
def test_arrays_of_strings_of_any_length(missing, tmp_path):
    options = {} if missing == "" else {"na_object": missing}
    objects = np.array([["a", "long word"], ["b", "d"], ["b", missing]] * 20, object)
    table = objects.astype(np.dtypes.StringDType(**options))
    encoder, plain = TabularEncoder().fit(table), TabularEncoder().fit(objects)
    assert encoder.columns_ == plain.columns_
    assert_array_equal(encoder.transform(table), plain.transform(objects))
    skae.save(encoder, tmp_path / "encoder.skae")
    for each in (encoder, skae.load(tmp_path / "encoder.skae")):
        decoded = each.inverse_transform(encoder.transform(table))
        known = plain.inverse_transform(plain.transform(objects))
        pd.testing.assert_frame_equal(pd.DataFrame(decoded), pd.DataFrame(known))
    filled = skae.AEImputer(**QUICK_IMPUTER).fit_transform(table)
    assert_array_equal(filled[:, 0], objects[:, 0])
    assert set(filled[:, 1]) == {"long word", "d"} | ({""} if missing == "" else set())


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 1 has no StringDType")
def test_arrays_of_strings_need_an_encoder():
    table = np.array([["a", "b"], ["c", "d"]] * 10).astype(np.dtypes.StringDType())
    for dtype in (object, np.dtypes.StringDType()):
        assert numbers_of(table.astype(dtype)) is None
    empty = np.full((3, 2), np.nan, object).astype(np.dtypes.StringDType(na_object=np.nan))
    assert numbers_of(empty) is None
    with pytest.raises(ValueError, match=r"'x0' had values of type number in fit, .* str"):
        numbers_of(table, unknown=True, refuse=True)


_RECORDS = [(1, 2.0)] * 4
_NO_TABLES = {
    "dict": {"a": [1.0, 2.0], "b": ["x", "y"]},
    "list of dict": [{"a": 1.0}, {"a": 2.0}],
    "ndarray of dict": np.array([{"a": 1.0}, {"a": 2.0}]),
    "a structured array of a, b": np.array(_RECORDS, [("a", int), ("b", float)]),
    "a structured array of f0, f1": np.rec.array(_RECORDS),
    "str": "table.csv",
    "list of str": ["a", "b"],
    "tuple of set": ({1, 2}, {3, 4}),
    "list_iterator": iter([[1.0], [2.0]]),
    "LazyFrame": pl.LazyFrame({"a": [1.0, 2.0]}),
}


@pytest.mark.parametrize("found", _NO_TABLES)
def test_what_is_no_table_is_refused_by_its_type(found):
    message = rf"pandas, polars or PyArrow, or a two-dimensional array-like .*; got {found}\."
    transformer = skae.AutoencoderTransformer(max_iter=1)
    declared = skae.AutoencoderTransformer(max_iter=1, categorical_features=[0])
    for estimator in (transformer, declared, skae.AEImputer(), TabularEncoder()):
        with pytest.raises(TypeError, match=message):
            estimator.fit(_NO_TABLES[found])


def test_declared_identifiers_are_categories():
    X = pd.DataFrame({"c": _keys()})
    encoder = TabularEncoder(categorical_features=["c"], handle_unknown="error").fit(X)
    assert encoder.transform(X).shape == (120, 50)


def test_identifiers_in_rows_of_weight_zero_are_not_seen():
    X = pd.DataFrame({"c": [*_keys(), *["common", "rare"] * 10]})
    weight = np.r_[np.zeros(120), np.ones(20)]
    assert TabularEncoder().fit(X, sample_weight=weight).columns_ == {"c": "binary"}


def test_no_new_value_of_an_identifier_is_unknown():
    with pytest.warns(UserWarning, match="identifiers"):
        encoder = TabularEncoder(handle_unknown="error").fit(
            pd.DataFrame({"c": _keys(), "n": np.arange(120)})
        )
    assert encoder.transform(pd.DataFrame({"c": ["new", None], "n": [1, 2]})).shape == (2, 1)


# Numbers and dates in strings

_AMOUNTS = data_rng().gamma(2, 900, 40)
_DATES = pd.date_range("2024-01-13", periods=40, freq="11h")
LOOKS = {
    "1,234.50": ("numbers", [f"{v:,.2f}" for v in _AMOUNTS]),
    "$5.20": ("numbers", [f"${v:.2f}" for v in _AMOUNTS]),
    "5,20 EUR": ("numbers", [f"{v:.2f} EUR".replace(".", ",") for v in _AMOUNTS]),
    "12%": ("numbers", [f"{v:.0f}%" for v in _AMOUNTS]),
    "3.5 ": ("numbers", [f"{v:.1f} " for v in _AMOUNTS]),
    "(3.5)": ("numbers", [f"({v:.1f})" for v in _AMOUNTS]),
    "1e-3": ("numbers", [f"{v:.2e}" for v in _AMOUNTS]),
    "1234": ("numbers", [f"{v:.0f}" for v in _AMOUNTS]),
    "12.5 kg": ("numbers", [f"{v:.1f} kg" for v in _AMOUNTS]),
    "90km/h": ("numbers", [f"{v:.0f}km/h" for v in _AMOUNTS]),
    "5 Kč": ("numbers", [f"{v:.0f} Kč" for v in _AMOUNTS]),
    "25°C": ("numbers", [f"{v:.1f}°C" for v in _AMOUNTS]),
    "₿5": ("numbers", [f"₿{v:.3f}" for v in _AMOUNTS]),
    "5 million": ("numbers", [f"{v:.1f} million" for v in _AMOUNTS]),
    "<5": ("numbers", [f"<{v:.0f}" for v in _AMOUNTS]),
    "5+": ("numbers", [f"{v:.0f}+" for v in _AMOUNTS]),
    "~5": ("numbers", [f"~{v:.1f}" for v in _AMOUNTS]),
    "?": ("numbers", ["?" if i % 4 == 0 else f"{v:.1f}" for i, v in enumerate(_AMOUNTS)]),
    "13/01/2024": ("dates", _DATES.strftime("%d/%m/%Y")),
    "01/13/24 10:00 PM": ("dates", _DATES.strftime("%m/%d/%y %I:%M %p")),
    "13.1.2024": ("dates", _DATES.strftime("%d.%m.%Y")),
    "Jan 13, 2024": ("dates", _DATES.strftime("%b %d, %Y")),
    "Sat, 13 Jan 2024 10:00:00 GMT": ("dates", _DATES.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    "2 days 01:00:00": ("dates", [str(t - _DATES[0]) for t in _DATES]),
    "P2DT1H": ("dates", [f"P{i}DT{i % 9}H" for i in range(40)]),
    "2024Q1": ("dates", [f"{2014 + i // 4}Q{i % 4 + 1}" for i in range(40)]),
    "2024-W05": ("dates", _DATES.strftime("%G-W%V")),
    "several formats": ("dates", [*_DATES.strftime("%Y-%m-%d"), "2024-01-13 10:00"]),
    "with unknown": ("dates", [*_DATES.strftime("%Y-%m-%d"), "unknown"]),
    "no such day": ("dates", ["2024-01-01", "2024-02-30", "2024-03-01"]),
}


@pytest.mark.parametrize("make", [_of_pandas, lambda values: pl.DataFrame({"c": list(values)})])
@pytest.mark.parametrize("name", LOOKS)
def test_strings_that_look_like_something_else_are_named(name, make):
    look, values = LOOKS[name]
    words = {
        "numbers": "numbers written as strings: 'c'.*pandas.to_numeric",
        "dates": "dates or times written as strings.*: 'c'.*pandas.to_datetime",
    }
    with pytest.warns(UserWarning, match=words[look]) as caught:
        encoder = TabularEncoder().fit(make(list(values)))
    assert encoder.columns_ == {"c": "categorical"}
    assert len(caught) == 1
    assert "Encoded as categories: 'c'" in str(caught[0].message)
    TabularEncoder(categorical_features=[0]).fit(make(list(values)))


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "3"],
        ["007", "010", *[f"{i:03d}" for i in range(20)]],
        ["1.5", "2.0"],
        ["1.2.3", "1.10.0", "2.0.1"],
        ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
        ["18-24", "25-34", "35-44"],
        ["555-12-3456", "555-12-3457", "555-12-3458"],
        ["A-1", "B-2", "C-3"],
        ["may", "june", "march"],
        ["5 kg", "7 kg", "9 kg"],
        ["18+", "65+", "<18"],
        [f"{i}{'ABC'[i % 3]}" for i in range(40)],
        [f"level {i}" for i in range(40)],
        ["red", "green", ""],
    ],
    ids=lambda values: values[0],
)
def test_strings_that_are_categories(values):
    assert TabularEncoder().fit(_of_pandas(values)).columns_["c"] in ("categorical", "binary")


def test_numbers_in_strings_that_all_differ_have_one_warning_that_names_both():
    X = pd.DataFrame({"c": [f"${v:,.2f}" for v in data_rng().gamma(2, 900, 200)]})
    with pytest.warns(
        UserWarning, match="numbers written as strings: 'c'.*Ignored.*'c'"
    ) as caught:
        assert TabularEncoder().fit(X).columns_ == {"c": "identifier"}
    assert len(caught) == 1


# Columns that vary little

_RNG = data_rng()
NARROW = {
    "epoch microseconds": 1_700_000_000_000_000 + _RNG.randint(0, 5_000_000, 300),
    "as floats": 1.7e15 + _RNG.randint(0, 5_000_000, 300),
    "negative": -1.7e15 - _RNG.randint(0, 5_000_000, 300),
    "epoch seconds within 0.1 s": 1.7e9 + _RNG.uniform(0, 0.1, 300),
    "epoch nanoseconds": 1_700_000_000_000_000_000 + _RNG.randint(0, 5000, 300),
    "three integers": 9_000_000_000_000_000 + _RNG.randint(0, 3, 300),
    "three floats": 9e15 - _RNG.randint(0, 3, 300),
    "two integers": 1_700_000_000_000_000 + _RNG.randint(0, 2, 300),
    "float32": (1 + 1e-5 * _RNG.randint(0, 9, 300)).astype(np.float32),
}
_TENTH = np.float32(0.1)
ROUNDED = {
    "float64": 0.3 * (1 + 2.0**-52 * _RNG.randint(-3, 4, 300)),
    "float32": _TENTH + np.spacing(_TENTH) * _RNG.randint(-2, 3, 300).astype(np.float32),
    "two of float32": np.where(
        _RNG.randint(0, 2, 300), _TENTH, np.nextafter(_TENTH, _TENTH + 1)
    ),
    "two of float64": np.where(_RNG.randint(0, 2, 300), 0.1, np.nextafter(0.1, 1.0)),
}


@pytest.mark.parametrize("name", NARROW)
def test_what_varies_by_more_than_rounding_has_deviation_one(name):
    values = NARROW[name]
    encoder = TabularEncoder(squash=False).fit(pd.DataFrame({"c": values}))
    Z = encoder.transform(pd.DataFrame({"c": values}))
    assert_allclose([Z.mean(), Z.std()], [0, 1], atol=1e-9)
    back = encoder.inverse_transform(Z)["c"]
    assert_array_equal(back, values)
    assert back.dtype == values.dtype
    if values.max() < 2**53 and not name.startswith("two"):
        X = values[:, np.newaxis].astype(np.promote_types(values.dtype, np.float32))
        z = SquashingScaler.from_data(X).transform(X)
        assert_allclose(z.std(), 1, atol=0.01)
        # The mean is rounded to the nearest float64.
        assert abs(z.mean()) <= np.spacing(np.abs(X).max()) / X.std() + 1e-4


@pytest.mark.parametrize("name", ROUNDED)
def test_what_varies_by_rounding_is_constant(name):
    values = ROUNDED[name]
    for column in (values, pl.Series(values).to_pandas()):
        Z = TabularEncoder().fit_transform(pd.DataFrame({"c": column}))
        assert np.abs(Z).max() < 1e-6
    polars = pl.DataFrame({"c": values})
    assert np.abs(TabularEncoder().fit_transform(polars)).max() < 1e-6
    X = values[:, np.newaxis]
    assert np.abs(SquashingScaler.from_data(X).transform(X)).max() < 1e-6


def test_a_column_without_a_value_is_what_its_dtype_is():
    for column, family in (
        (pd.Series([None] * 3, dtype="string"), "category"),
        (pd.Series([None] * 3, dtype="category"), "category"),
        (pd.Series([pd.NaT] * 3), "time"),
        (pd.Series([pd.NaT] * 3, dtype="period[M]"), "time"),
        (pd.Series([None] * 3, dtype="Float64"), "number"),
    ):
        (values,) = read_columns(pd.DataFrame({"c": column}))
        assert values.family == family
        assert TabularEncoder().fit(pd.DataFrame({"c": column})).columns_ == {"c": "empty"}
