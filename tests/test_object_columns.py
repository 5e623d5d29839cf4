"""Columns of Python objects: their values, units and formats, by hand."""

import datetime
from datetime import timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skae.tables._column_values import fill_missing
from skae.tables._objects import (
    ObjectFormat,
    _type_name,
    is_missing,
    values_of_objects,
)

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]

DAY = 86400 * 10**6
NOON = datetime.datetime(1970, 1, 2, 12)
LATER = datetime.timezone(timedelta(hours=2))
Colour = Enum("Colour", ["RED", "BLUE"])


def as_objects(objects):
    return np.fromiter(objects, object)


def values_of(*objects):
    return values_of_objects("x", as_objects(objects))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "bool"), (np.True_, "bool"), (Colour.RED, "Enum"), (1, "float"), (1.5, "float"),
        (np.int8(1), "float"), (np.float32(1), "float"), (Decimal(1), "Decimal"),
        (Fraction(1), "Fraction"), ("a", "str"), (b"a", "bytes"), (NOON, "datetime"),
        (NOON.date(), "date"), (NOON.time(), "time"), (timedelta(1), "timedelta"),
        (np.timedelta64(1, "s"), "timedelta64"), (np.datetime64(1, "s"), "datetime64"),
        (pd.Timestamp(NOON), "datetime"), (pd.Timedelta(1), "timedelta"),
        (pd.Interval(0, 1), "Interval"), (pd.Period("2024"), "Period"),
        (1j, None), ([], None), (pd.Series([1]), None),
        (type("Interval", (), {})(), None), (type("Period", (), {})(), None),
    ],
)  # fmt: skip
def test_known_types(value, name):
    assert _type_name(type(value)) == name


def test_objects_that_are_missing():
    missing = [None, pd.NA, pd.NaT, np.nan, float("nan"), Decimal("nan"), np.ma.masked]
    missing += [np.float32("nan"), np.datetime64("NaT", "D"), np.timedelta64("NaT", "s")]
    observed = [0, "", False, b"", Decimal("inf"), Fraction(0), NOON, NOON.date(), int, float,
             np.array([1.0, np.nan]), np.inf]  # fmt: skip
    assert all(map(is_missing, missing))
    assert not any(map(is_missing, observed))
    texts = as_objects([*missing, "a"])
    assert values_of_objects("x", texts).observed.tolist() == [False] * len(missing) + [True]


def test_missing_values_are_filled_with_the_first():
    observed = np.array([False, True, False, True])
    assert fill_missing(np.array([5, 7]), observed).tolist() == [5, 5, 5, 7]
    nothing = fill_missing(np.array([], np.int64), observed[:1])
    assert nothing.tolist() == [0]
    assert nothing.dtype == np.int64


# Numbers


@pytest.mark.parametrize(
    ("objects", "dtype", "form"),
    [
        ([1, -2], np.int64, ObjectFormat("int")),
        ([-(2**63), 2**63 - 1], np.int64, ObjectFormat("int")),
        ([0, 2**63], np.uint64, ObjectFormat("int")),
        ([0, 2**64 - 1], np.uint64, ObjectFormat("int")),
        ([-1, 2**63], object, ObjectFormat("int")),
        ([0, 2**64], object, ObjectFormat("int")),
        ([-(2**63) - 1, 0], object, ObjectFormat("int")),
        ([1, 2.5], np.float64, None),
        ([np.int64(1), 2], np.float64, None),
        ([np.int64(2**53), 1], object, None),
        ([2**53, 1.0], np.float64, None),
        ([1e300, 2.0], np.float64, None),
        ([Decimal("1.50"), Decimal("2")], np.float64, ObjectFormat("Decimal", scale=2)),
        ([Decimal("1E+3"), 2], np.float64, ObjectFormat("Decimal", scale=0)),
        ([Decimal("1.5"), 0.25], np.float64, ObjectFormat("Decimal", scale=1)),
        ([Decimal(2**53), Decimal(1)], object, ObjectFormat("Decimal", scale=0)),
        ([Decimal(2**53 - 1), Decimal(1)], np.float64, ObjectFormat("Decimal", scale=0)),
        ([Decimal(2**60), Decimal("1.5")], np.float64, ObjectFormat("Decimal", scale=1)),
        ([Decimal("inf"), Decimal(1)], np.float64, ObjectFormat("Decimal", scale=0)),
        ([Fraction(1, 3), Fraction(1, 7)], np.float64, ObjectFormat("Fraction", scale=7)),
        ([Fraction(-(2**55)), 1], object, ObjectFormat("Fraction", scale=1)),
    ],
)
def test_numbers_among_objects(objects, dtype, form):
    data = values_of(None, *objects)
    assert (data.family, data.type, data.unit) == ("number", "number", None)
    assert data.values.dtype == dtype
    assert data.format == form
    assert_array_equal(data.observed, [False, True, True])
    for found, given in zip(data.values[1:], objects, strict=True):
        assert found == given if dtype is not np.float64 else found == float(given)


def test_objects_that_are_all_missing():
    data = values_of(None, np.nan)
    assert (data.family, data.type, data.format) == ("number", "", None)
    assert data.values.dtype == np.float64
    assert not data.observed.any()


def test_numbers_too_large_for_float64():
    with pytest.raises(ValueError, match="too large for float64 in column 'x'"):
        values_of(10**400, 1)


# Times


@pytest.mark.parametrize(
    ("objects", "counts", "unit", "type_", "form"),
    [
        ([NOON.date(), datetime.date(1969, 12, 31)], [DAY, -DAY], "us", "time",
         ObjectFormat("date")),
        ([NOON, NOON + timedelta(microseconds=1)], [1.5 * DAY, 1.5 * DAY + 1], "us", "time",
         ObjectFormat("datetime")),
        ([NOON.replace(tzinfo=LATER)] * 2, [1.5 * DAY - 7200 * 10**6] * 2, "us",
         "time with a zone", ObjectFormat("datetime", zone=LATER)),
        ([NOON.replace(tzinfo=LATER), NOON.replace(tzinfo=datetime.UTC)],
         [1.5 * DAY - 7200 * 10**6, 1.5 * DAY], "us", "time with a zone",
         ObjectFormat("datetime", zone=datetime.UTC)),
        ([NOON.replace(tzinfo=LATER), NOON.replace(tzinfo=timezone(timedelta(hours=2)))],
         [1.5 * DAY - 7200 * 10**6] * 2, "us", "time with a zone",
         ObjectFormat("datetime", zone=LATER)),
        ([pd.Timestamp(NOON), pd.Timestamp(0)], [1.5 * DAY, 0], "us", "time",
         ObjectFormat("Timestamp")),
        ([pd.Timestamp(1), pd.Timestamp(NOON)], [1, 1500 * DAY], "ns", "time",
         ObjectFormat("Timestamp")),
        ([pd.Timestamp(NOON), NOON], [1.5 * DAY] * 2, "us", "time", ObjectFormat("datetime")),
        ([pd.Timestamp(NOON, tz="Asia/Tokyo")] * 2, [1.5 * DAY - 9 * 3600 * 10**6] * 2, "us",
         "time with a zone", ObjectFormat("Timestamp", zone=ZoneInfo("Asia/Tokyo"))),
        ([np.datetime64(2, "D"), np.datetime64(1, "s")], [2 * DAY, 10**6], "us", "time",
         ObjectFormat("datetime64")),
        ([np.datetime64(2, "ns"), np.datetime64(1, "s")], [2, 10**9], "ns", "time",
         ObjectFormat("datetime64")),
        ([np.timedelta64(2, "h"), np.timedelta64(1, "ms")], [7200 * 10**6, 1000], "us",
         "duration", ObjectFormat("timedelta64")),
        ([np.timedelta64(2000, "ps"), np.timedelta64(1, "ps")], [2, 0], "ns",
         "duration", ObjectFormat("timedelta64")),
        ([timedelta(1), timedelta(seconds=-1)], [DAY, -(10**6)], "us", "duration",
         ObjectFormat("timedelta")),
        ([pd.Timedelta(1), pd.Timedelta(days=1)], [1, 1000 * DAY], "ns", "duration",
         ObjectFormat("Timedelta")),
        ([pd.Timedelta(days=1), pd.Timedelta(2000)], [DAY, 2], "us", "duration",
         ObjectFormat("Timedelta")),
        ([pd.Timedelta(days=1), timedelta(2)], [DAY, 2 * DAY], "us", "duration",
         ObjectFormat("timedelta")),
        ([datetime.time(0, 0, 1), datetime.time(12)], [10**6, DAY // 2], "us", "time of day",
         ObjectFormat("time")),
        ([pd.Period("1970-02", "M"), pd.Period("1970-01", "M")], [31 * DAY, 0], "us", "period",
         ObjectFormat("Period", frequency="M")),
    ],
)  # fmt: skip
def test_times_among_objects(objects, counts, unit, type_, form):
    data = values_of(None, *objects)
    counts = np.array(counts, dtype=np.int64)
    if type_ == "period":
        # The unit of pandas differs between its versions.
        counts, unit = counts * (1000 if data.unit == "ns" else 1), data.unit
    assert data.values.dtype == np.int64
    assert_array_equal(data.values, [counts[0], *counts])
    assert_array_equal(data.observed, [False, True, True])
    assert (data.family, data.unit, data.type) == ("time", unit, type_)
    zone = getattr(data.format, "zone", None)
    assert str(zone) == str(form.zone)
    assert (data.format.kind, data.format.frequency) == (form.kind, form.frequency)
    back = data.format.objects(data.values[1:], data.unit).tolist()
    if form.kind != "timedelta64":
        assert back == objects


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([NOON, NOON.replace(tzinfo=LATER)], "some have a time zone and some have none"),
        (
            [datetime.time(1), datetime.time(1, tzinfo=LATER)],
            "time objects that cannot be comp",
        ),
        (
            [pd.Period("2024", "M"), pd.Period("2024", "D")],
            "Period objects that cannot be comp",
        ),
        ([1j, 2.0], "got complex"),
        ([[], {}], "got dict, list"),
        ([1.0, "a"], "got float, str"),
        ([Decimal(1), Fraction(1)], "got Decimal, Fraction"),
        ([Decimal(1), Fraction(1), 1], "got Decimal, Fraction, float"),
        ([Decimal(1), "a"], "got Decimal, str"),
        ([Colour.RED, Enum("Size", ["BIG"]).BIG], "got Colour, Size"),
        ([True, 1], "got bool, float"),
    ],
)
def test_mixed_types_are_refused(objects, message):
    with pytest.raises(TypeError, match=message):
        values_of(*objects)


# Categories


@pytest.mark.parametrize(
    ("objects", "type_"),
    [
        (["a", "b"], "str"), ([b"a", b"b"], "bytes"), ([True, False], "bool"),
        ([Colour.RED, Colour.BLUE], "Colour"), ([pd.Interval(0, 1)] * 2, "Interval"),
    ],
)  # fmt: skip
def test_categories_among_objects(objects, type_):
    data = values_of(None, *objects)
    assert (data.family, data.type, data.unit) == ("category", type_, None)
    assert not data.declared
    assert data.values.tolist() == [None, *objects]
    assert_array_equal(data.observed, [False, True, True])


def test_declared_categories():
    data = values_of_objects("x", as_objects([None, 3, 1.5]), declared=True)
    assert (data.family, data.type, data.declared) == ("category", "number", True)
    assert data.values[1:].tolist() == [3.0, 1.5]
    assert data.values.dtype == np.float64
    for objects, type_ in (
        (["a", None], "str"),
        ([Colour.RED], "Enum"),
        ([None], ""),
        ([()], "tuple"),
    ):
        data = values_of_objects("x", as_objects(objects), declared=True)
        assert (data.family, data.type, data.declared) == ("category", type_, True)
        assert data.values.tolist() == objects
    with pytest.raises(TypeError, match="got float, str"):
        values_of_objects("x", as_objects([1, "a"]), declared=True)


# The way back


@pytest.mark.parametrize(
    ("frequency", "last", "first", "before", "after"),
    [
        ("M", 15 * DAY, 17 * DAY, "1970-01", "1970-02"),
        ("Y", 182 * DAY, 184 * DAY, "1970", "1971"),
        ("Q", 44 * DAY, 46 * DAY, "1970Q1", "1970Q2"),
        ("W", 15 * DAY // 2 - 1, 15 * DAY // 2, "1970-01-05", "1970-01-12"),
        ("D", DAY - 1, DAY, "1970-01-01", "1970-01-02"),
        ("min", 60 * 10**6 - 1, 60 * 10**6, "1970-01-01 00:00", "1970-01-01 00:01"),
        ("ms", 999, 1000, "1970-01-01 00:00:00.000", "1970-01-01 00:00:00.001"),
    ],
)
@pytest.mark.parametrize("unit", ["us", "ns"])
def test_periods_are_those_that_start_nearest(frequency, last, first, before, after, unit):
    """If all are equally long, they are those that contain the time."""
    counts = np.array([last, first]) * (1000 if unit == "ns" else 1)
    found = ObjectFormat("Period", frequency=frequency).objects(counts, unit)
    assert list(found) == [pd.Period(before, frequency), pd.Period(after, frequency)]


@pytest.mark.parametrize(
    ("form", "values", "unit", "expected"),
    [
        (ObjectFormat("int"), [1.4, -2.6], None, [1, -3]),
        (ObjectFormat("Decimal", scale=2), [1.005, -0.0], None,
         [Decimal("1.00"), Decimal("0.00")]),
        (ObjectFormat("Decimal", scale=0), [7, 8], None, [Decimal(7), Decimal(8)]),
        (ObjectFormat("Fraction", scale=7), [0.3333, 2.0], None, [Fraction(1, 3), Fraction(2)]),
        (ObjectFormat("Fraction"), [0.4, 1.6], None, [Fraction(0), Fraction(2)]),
        (ObjectFormat("date"), [DAY + 5, -1], "us",
         [datetime.date(1970, 1, 2), datetime.date(1969, 12, 31)]),
        (ObjectFormat("datetime"), [-(10**18), 10**18], "us",
         [datetime.datetime.min, datetime.datetime.max]),
        (ObjectFormat("datetime"), [1_500, 1_999], "ns",
         [datetime.datetime(1970, 1, 1, 0, 0, 0, 1)] * 2),
        (ObjectFormat("datetime", zone=LATER), [0, 1], "us",
         [datetime.datetime(1970, 1, 1, 2, tzinfo=LATER),
          datetime.datetime(1970, 1, 1, 2, 0, 0, 1, tzinfo=LATER)]),
        (ObjectFormat("time"), [-5, 2 * DAY], "us",
         [datetime.time(0), datetime.time(23, 59, 59, 999_999)]),
        (ObjectFormat("time"), [61 * 10**6, 0], "us",
         [datetime.time(0, 1, 1), datetime.time(0)]),
        (ObjectFormat("timedelta"), [1_999, -1], "ns",
         [timedelta(microseconds=1), timedelta(microseconds=-1)]),
        (ObjectFormat("Timedelta"), [5, 7], "ns", [pd.Timedelta(5), pd.Timedelta(7)]),
        (ObjectFormat("timedelta64"), [5, 7], "us",
         [np.timedelta64(5, "us"), np.timedelta64(7, "us")]),
        (ObjectFormat("datetime64"), [5, 7], "ns",
         [np.datetime64(5, "ns"), np.datetime64(7, "ns")]),
        (ObjectFormat("Timestamp"), [5, 7], "ns", [pd.Timestamp(5), pd.Timestamp(7)]),
        (ObjectFormat("Timestamp", zone="Asia/Tokyo"), [0, 10**6], "us",
         [pd.Timestamp(0, tz="Asia/Tokyo"), pd.Timestamp(10**9, tz="Asia/Tokyo")]),
    ],
)  # fmt: skip
def test_objects_of_values_by_hand(form, values, unit, expected):
    found = form.objects(np.array(values), unit).tolist()
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))
    assert [getattr(value, "tzinfo", None) is None for value in found] == [
        getattr(value, "tzinfo", None) is None for value in expected
    ]
