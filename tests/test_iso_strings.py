"""Strings in ISO 8601 as times and back: each by hand."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skae.tables._column_values import ISO, ColumnValues, IsoFormat, as_times, iso_times

pytestmark = [pytest.mark.any_backend, pytest.mark.any_data]

SECOND = 10**6
DAY = 86400 * SECOND
DATES = IsoFormat("time", "day", "", 0, "always", "")


def strings(*texts, **more):
    values = np.array(texts, dtype=object)
    observed = np.array([text is not None for text in texts])
    return ColumnValues("x", values, observed, "category", **{"type": "str", **more})


def written(form, *counts, unit="us"):
    return form.objects(np.array(counts, np.int64), unit).tolist()


@pytest.mark.parametrize(
    ("texts", "form", "unit", "counts"),
    [
        (["1970-01-02", "1969-12-31"], DATES, "us", [DAY, -DAY]),
        (["1970-02", "1971-01"], IsoFormat("time", "month", "", 0, "always", ""), "us",
         [31 * DAY, 365 * DAY]),
        (["1970-01-01T01:02", "1970-01-02T00:00"],
         IsoFormat("time", "minute", "T", 0, "always", ""), "us", [3720 * SECOND, DAY]),
        (["1970-01-01 00:00:05", "1970-01-01 00:01:00"],
         IsoFormat("time", "second", " ", 0, "always", ""), "us", [5 * SECOND, 60 * SECOND]),
        (["1970-01-01T00:00:00.250Z", "1970-01-01T00:00:01.000Z"],
         IsoFormat("time with a zone", "second", "T", 3, "always", "Z"), "us",
         [250_000, SECOND]),
        (["1970-01-01T00:00:00.250", "1970-01-01T00:00:01"],
         IsoFormat("time", "second", "T", 3, "unless zero", ""), "us", [250_000, SECOND]),
        (["1970-01-01T00:00:00.25", "1970-01-01T00:00:01.5", "1970-01-01T00:00:02.125"],
         IsoFormat("time", "second", "T", 3, "trimmed", ""), "us",
         [250_000, 1_500_000, 2_125_000]),
        (["1970-01-01T05:30+05:30", "1970-01-01T06:30+05:30"],
         IsoFormat("time with a zone", "minute", "T", 0, "always", "+05:30"), "us",
         [0, 3600 * SECOND]),
        (["1970-01-01T00:00-0800", "1970-01-01T00:01-0800"],
         IsoFormat("time with a zone", "minute", "T", 0, "always", "-0800"), "us",
         [8 * 3600 * SECOND, (8 * 3600 + 60) * SECOND]),
        (["1970-01-01T03:00+02", "1970-01-01T04:00+02"],
         IsoFormat("time with a zone", "minute", "T", 0, "always", "+02"), "us",
         [3600 * SECOND, 2 * 3600 * SECOND]),
        (["00:00:01.5", "23:59:59.9"],
         IsoFormat("time of day", "second", "", 1, "always", ""), "us",
         [1_500_000, DAY - 100_000]),
        (["08:30", "09:00"], IsoFormat("time of day", "minute", "", 0, "always", ""), "us",
         [(8 * 60 + 30) * 60 * SECOND, 9 * 3600 * SECOND]),
        (["1970-01-01T00:00:00.123456", "1970-01-01T00:00:00.000001"],
         IsoFormat("time", "second", "T", 6, "always", ""), "us", [123_456, 1]),
        (["1970-01-01T00:00:00.1234567", "1970-01-01T00:00:00.0000001"],
         IsoFormat("time", "second", "T", 7, "always", ""), "ns", [123_456_700, 100]),
        (["1970-01-01T01:00:00.000000001+01:00", "1970-01-01T01:00:00.000000012+01:00"],
         IsoFormat("time with a zone", "second", "T", 9, "always", "+01:00"), "ns", [1, 12]),
    ],
)  # fmt: skip
def test_strings_as_times_and_back(texts, form, unit, counts):
    data = iso_times(strings(*texts))
    assert data.format == form
    assert (data.family, data.unit, data.type) == ("time", unit, form.type)
    assert data.values.tolist() == counts
    assert written(form, *counts, unit=unit) == texts
    # The same in a column with a string that is no time.
    other = as_times(strings(*texts, "none", None), form.type, unit)
    assert other.values[: len(counts)].tolist() == counts
    assert other.observed.tolist() == [True] * len(counts) + [False] * 2
    assert (other.family, other.unit, other.type) == ("time", unit, form.type)
    assert all(map(ISO.fullmatch, texts))


def test_strings_with_several_offsets_are_written_in_utc():
    data = iso_times(strings("1970-01-01T01:00+01:00", "1970-01-01T01:00+02:00"))
    assert data.values.tolist() == [0, -3600 * SECOND]
    assert data.format.zone == "+00:00"
    assert written(data.format, 0) == ["1970-01-01T00:00+00:00"]
    plain = iso_times(strings("1970-01-01T01:00+0100", "1970-01-01T01:00-0230"))
    assert plain.values.tolist() == [0, (3 * 60 + 30) * 60 * SECOND]
    assert plain.format.zone == "+0000"


def test_missing_strings_are_missing_times():
    data = iso_times(strings(None, "1970-01-03", "1970-01-02", "1970-01-03"))
    assert data.observed.tolist() == [False, True, True, True]
    assert data.values.tolist()[1:] == [2 * DAY, DAY, 2 * DAY]


@pytest.mark.parametrize(
    "texts",
    [
        ["1970-01-01", "1970-01"],
        ["1970-01-01", "soon"],
        ["soon", "1970-01-01"],
        ["1970-01-01", "1970-13-01"],
        ["1970-01-01", "1970-02-30"],
        ["1970-01-01T00:00", "1970-01-01 00:00"],
        ["1970-01-01T00:00Z", "1970-01-01T00:00+00:00"],
        ["1970-01-01T00:00Z", "1970-01-01T00:00"],
        ["1970-01-01T00:00", "1970-01-01T00:00:00"],
        ["00:00", "1970-01-01"],
        ["24:30", "00:00"],
        # Nanoseconds reach from 1677 to 2262.
        ["1970-01-01T00:00:00.1234567", "2300-01-01T00:00:00.1234567"],
        [None, None],
    ],
)
def test_strings_that_are_not_all_of_one_format_stay(texts):
    data = strings(*texts)
    assert iso_times(data) is data


def test_columns_that_are_not_strings_stay():
    for data in (
        strings("1970-01-01", declared=True),
        strings("1970-01-01", type="bytes"),
        strings(),
    ):
        assert iso_times(data) is data


def test_strings_of_another_type_of_time_are_missing():
    given = strings(
        "1970-01-02", "00:01", "1970-01-02T00:00Z", "1970-02-30", "1970-01-02T01:00"
    )
    assert as_times(given, "time", "us").observed.tolist() == [True, False, False, False, True]
    assert as_times(given, "time", "us").values[[0, 4]].tolist() == [DAY, DAY + 3600 * SECOND]
    assert as_times(given, "time of day", "us").values[1] == 60 * SECOND
    assert_array_equal(as_times(given, "time of day", "us").observed, [0, 1, 0, 0, 0])
    assert as_times(given, "time", "ns").values[0] == 1000 * DAY
    beyond = as_times(strings("2300-01-01", "2200-01-01"), "time", "ns")
    assert beyond.observed.tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", True), ("2024-01", True), ("2024", False), ("2024-1-31", False),
        ("2024-01-31T10:00", True), ("2024-01-31 10:00:00.5+01", True), ("10:00", True),
        ("10:00Z", False), ("2024-01-31 ", False), ("2024-01-31T10:00:00.1234567890", False),
    ],
)  # fmt: skip
def test_strings_that_look_like_dates(text, expected):
    assert bool(ISO.fullmatch(text)) == expected


def test_times_are_rounded_to_the_smallest_part():
    months = IsoFormat("time", "month", "", 0, "always", "")
    # 16 January is nearer to January, 18 January to February.
    assert written(months, 15 * DAY, 17 * DAY) == ["1970-01", "1970-02"]
    assert written(months, 15 * DAY * 1000, 17 * DAY * 1000, unit="ns") == [
        "1970-01",
        "1970-02",
    ]
    assert written(DATES, DAY - 1, DAY) == ["1970-01-01", "1970-01-02"]
    assert written(DATES, 1000 * DAY - 1, unit="ns") == ["1970-01-01"]
    seconds = IsoFormat("time", "second", " ", 0, "always", "")
    assert written(seconds, 2 * SECOND - 1) == ["1970-01-01 00:00:01"]


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        ("always", ["00:00:01.000", "00:00:01.500", "00:00:01.000"]),
        ("unless zero", ["00:00:01", "00:00:01.500", "00:00:01"]),
        ("trimmed", ["00:00:01", "00:00:01.5", "00:00:01"]),
    ],
)
def test_when_a_fraction_is_written(fraction, expected):
    form = IsoFormat("time of day", "second", "", 3, fraction, "")
    assert written(form, SECOND, 1_500_000, SECOND + 999) == expected


def test_times_of_day_stay_within_the_day():
    form = IsoFormat("time of day", "second", "", 6, "always", "")
    assert written(form, -5, 0, DAY - 1, DAY, 3 * DAY) == [
        "00:00:00.000000", "00:00:00.000000", *["23:59:59.999999"] * 3,
    ]  # fmt: skip
    finer = IsoFormat("time of day", "second", "", 9, "always", "")
    assert written(finer, -1, 1000 * DAY, 2 * DAY, unit="ns") == [
        "00:00:00.000000000", "23:59:59.999999999", "00:02:52.800000000",
    ]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    moments=st.lists(
        st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), min_size=1, max_size=4
    ),
    minutes=st.integers(-14 * 60, 14 * 60),
    separator=st.sampled_from("T "),
)
def test_times_are_those_of_datetime(moments, minutes, separator):
    """In any zone, with and without fractions, and back to the same strings."""
    zone = timezone(timedelta(minutes=minutes))
    aware = [moment.replace(tzinfo=zone) for moment in moments]
    texts = [moment.isoformat(separator, "microseconds") for moment in aware]
    data = iso_times(strings(*texts))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert data.values.tolist() == [(m - epoch) // timedelta(microseconds=1) for m in aware]
    assert data.format.objects(data.values, "us").tolist() == texts
