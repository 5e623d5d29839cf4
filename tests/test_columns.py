"""Columns of every type: understood and given back as they came, or refused by name."""

import datetime
import enum
import pickle
import uuid
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skae
from data import data_rng
from skae.tables import TabularEncoder, read_columns
from tables import columns_of

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
}


def _of_pandas(cells):
    return pd.DataFrame({"c": pd.Series(cells, dtype=object)})


def _of_polars(cells):
    return pl.DataFrame({"c": pl.Series("c", cells, dtype=pl.Object)})


def _of_array(cells):
    array = np.empty((len(cells), 1), dtype=object)
    array[:, 0] = cells
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
    cells, kind = OBJECTS[name]
    X = make([*cells, None])
    encoder = TabularEncoder().fit(X)
    assert list(encoder.columns_.values()) == [kind]
    for again in (encoder, pickle.loads(pickle.dumps(encoder))):
        back = objects_of(again.inverse_transform(again.transform(X)))
        assert back == [*cells, None]
        assert list(map(type, back)) == [*map(type, cells), type(None)]
        zones = [getattr(cell, "tzinfo", None) for cell in cells]
        assert [getattr(cell, "tzinfo", None) for cell in back] == [*zones, None]


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
    """Half-way between two rows, and not one of the rows."""
    for name in ("date", "Decimal", "Period", "time of day"):
        cells = OBJECTS[name][0]
        X = _of_pandas(cells)
        encoder = TabularEncoder().fit(X)
        middle = encoder.transform(X)[:2].mean(axis=0, keepdims=True)
        (between,) = encoder.inverse_transform(middle)["c"]
        assert type(between) is type(cells[0])
        assert min(cells[:2]) < between < max(cells[:2])
    amount = encoder_of([Decimal("0.25"), Decimal("1.00")]).inverse_transform([[0.1]])["c"][0]
    assert amount.as_tuple().exponent == -2


def encoder_of(cells):
    return TabularEncoder().fit(_of_pandas(cells))


def test_a_month_is_the_one_that_starts_nearest():
    months = [pd.Period("2024-01", "M"), pd.Period("2024-03", "M")]
    encoder = encoder_of(months)
    near = encoder.transform(_of_pandas(months))[1:] * 0.9
    assert encoder.inverse_transform(near)["c"][0] == months[1]


def test_exact_numbers_among_plain_ones():
    cells = [Decimal("1.50"), 0, Decimal("2.25"), None]
    encoder = encoder_of(cells)
    back = encoder.inverse_transform(encoder.transform(_of_pandas(cells)))["c"].tolist()
    assert back == cells
    assert type(back[1]) is Decimal


def test_times_of_several_zones_are_instants():
    hours = [datetime.timezone(datetime.timedelta(hours=h)) for h in (1, 2)]
    cells = [t.replace(tzinfo=hours[i % 2]) for i, t in enumerate(TIMES)]
    encoder = encoder_of(cells)
    back = encoder.inverse_transform(encoder.transform(_of_pandas(cells)))["c"].tolist()
    assert back == cells
    assert {cell.tzinfo for cell in back} == {datetime.UTC}


def test_missing_objects_of_all_sorts():
    marks = [
        None,
        pd.NaT,
        pd.NA,
        np.nan,
        np.float64("nan"),
        Decimal("nan"),
        np.datetime64("nat"),
    ]
    for cells in (
        [datetime.date(2024, 1, 1), datetime.date(2024, 2, 1)],
        [1.5, 2.25],
        ["x", "y"],
    ):
        (column,) = read_columns(_of_pandas([*cells, *marks]))
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
    with_hole = not name.startswith(("Sparse", "uint64"))
    if with_hole:
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
    "decimal32": pa.array(_DECIMALS, pa.decimal32(5, 2)),
    "decimal128": pa.array(_DECIMALS, pa.decimal128(20, 2)),
    "decimal256": pa.array(_DECIMALS, pa.decimal256(50, 2)),
    "halffloat": pa.array([1.5, 2.25, None, 7.0] * 3, pa.float16()),
    "date64": pa.array([TIMES[0].date(), None, TIMES[1].date()] * 4, pa.date64()),
    "time32": pa.array(_CLOCK, pa.time32("s")),
    "time64": pa.array(_CLOCK, pa.time64("ns")),
    "offset": pa.array(TIMES, pa.timestamp("us", "+02:00")),
    "binary": pa.array([b"ab", b"cd", None, b"ef"] * 3, pa.binary(2)),
    "string_view": pa.array(["a", "b", None, "c"] * 3, pa.string_view()),
}
POLARS = {
    "Decimal": pl.Series(_DECIMALS, dtype=pl.Decimal(10, 2)),
    "Int128": pl.Series([2**63, 2**63 + 5, None, 2**63 + 9] * 3, dtype=pl.Int128),
    "UInt64": pl.Series([2**63, 2**63 + 1, None, 2**63 + 9] * 3, dtype=pl.UInt64),
    "Float16": pl.Series([1.5, 2.25, None, 7.0] * 3, dtype=pl.Float16),
    "Time": pl.Series(_CLOCK, dtype=pl.Time),
    "Binary": pl.Series([b"ab", b"cd", None, b"ef"] * 3, dtype=pl.Binary),
    "zone": pl.Series(TIMES, dtype=pl.Datetime("ns", "Europe/Berlin")),
}
OTHERS = {
    **{f"Arrow's {name}": pa.table({"c": cells}) for name, cells in ARROW.items()},
    **{f"polars' {name}": pl.DataFrame({"c": cells}) for name, cells in POLARS.items()},
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
    "cell",
    [
        (1, 2),
        [1],
        {"a": 1},
        {1},
        1j,
        uuid.UUID(int=1),
        pd.Interval(0, 1),
        object(),
        int,
        datetime.time(1, tzinfo=datetime.UTC),
        bytearray(b"a"),
    ],
    ids=lambda cell: type(cell).__name__,
)
@pytest.mark.parametrize("make", [_of_pandas, _of_array])
def test_objects_of_other_types_are_refused_by_name(make, cell):
    X = make([cell, cell, None])
    with pytest.raises(
        TypeError, match=rf"Column '(c|x0)' must have.*got {type(cell).__name__}"
    ):
        TabularEncoder().fit(X)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pd.Series([1j, 2j]), "complex128"),
        (pd.Series(pd.interval_range(0, 2)), "Interval"),
        (pd.Series(pa.array([[1], [2]]), dtype=pd.ArrowDtype(pa.list_(pa.int64()))), "List"),
        (pl.Series([[1], [2]]), "List"),
        (pl.Series([{"a": 1}, {"a": 2}]), "Struct"),
        (pa.array([[1], [2]]), "List"),
        (pa.array([{"a": 1}] * 2), "Struct"),
        (pa.array([b"1" * 16] * 2, pa.uuid()), "UUID"),
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
    ("cells", "names"),
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
def test_objects_that_do_not_belong_together_name_the_column(cells, names):
    with pytest.raises(TypeError, match=rf"Column 'c' .*got {names}"):
        encoder_of(cells)


def test_integers_of_any_size_are_exact():
    for least in (-(2**63), 2**62, 2**63, 2**64 - 100):
        cells = [least + i for i in (0, 1, 5, 40, 99)]
        dtype = np.int64 if least < 0 or least < 2**63 else np.uint64
        X = np.array(cells, dtype)[:, np.newaxis]
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
        pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()}),
        pl.DataFrame(columns),
        pa.table(columns),
    ]
    for fitted in tables:
        encoder = TabularEncoder().fit(fitted)
        Z = encoder.transform(fitted)
        for other in tables:
            assert_array_equal(encoder.transform(other), Z)
            assert columns_of(encoder.inverse_transform(encoder.transform(other))) == columns
