"""Values of one column of a table, and strings in ISO 8601 as times and back."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Relative rounding of the values of a column, unless its dtype is a coarser one.
FLOAT64_ROUNDING = float(np.finfo(np.float64).eps)

#: Beyond this, float64 does not hold every integer.
EXACT = 2.0**53

#: Microseconds.
DAY = 86400 * 10**6

# Half of a month in microseconds: added to a time, it makes the month that contains it the one
# that starts nearest.
_HALF_MONTH = 15 * DAY

_NUMPY_CODES = {"month": "M", "day": "D", "minute": "m", "second": "s"}

# A time of day has neither separator nor zone.
_CLOCK = r"(\d\d:\d\d(:\d\d(?:\.(\d{1,9}))?)?)"
_ZONE = r"(Z|[+-]\d\d(?::?\d\d)?)"
ISO = re.compile(rf"(?=.)(\d{{4}}-\d\d(-\d\d)?)?(?:(?(1)([T ])){_CLOCK}(?(1){_ZONE}?))?")


@dataclass(frozen=True)
class ColumnValues:
    """The values of one column, of any library, (n_samples,), and the mask of observed ones.

    Of numbers, the values are integers or floats, or Python's integers where they are too
    large for both; of times, counts of `unit` since 1970; of categories, objects. They are
    arbitrary where a value is missing.
    """

    name: str
    values: Array
    observed: Array
    family: str  # "number", "category" or "time", by the dtype or the objects
    unit: str | None = None  # of times: "ns" or "us"
    # For messages and to compare two tables: "number"; "time", "time with a zone", "time of
    # day", "duration" or "period"; or the class of categories, such as "str" or "bool". Empty
    # where no value is observed and the dtype is not known.
    type: str = ""
    # An ObjectFormat or IsoFormat makes the original objects or strings of values; None: the
    # dtype of the column is enough.
    format: Any = None
    rounding: float = FLOAT64_ROUNDING  # of numbers, relative, by their dtype
    declared: bool = False  # True if the dtype declares that these are categories

    def take(self, rows: Any) -> "ColumnValues":
        """The values of some rows, by a slice, positions or a mask."""
        return replace(self, values=self.values[rows], observed=self.observed[rows])

    def times(self) -> Array:
        """Times or durations of NumPy, (n_samples,), of a column of times."""
        return numpy_times(self.values, self.unit, "m" if self.type == "duration" else "M")


def fill_missing(values: Array, observed: Array) -> Array:
    """Observed values, (n_observed,), at their rows and the first elsewhere, (n_samples,)."""
    filled = np.full(len(observed), values[0] if len(values) else 0, values.dtype)
    filled[observed] = values
    return filled


def numpy_times(counts: Array, unit: str | None, code: str = "M") -> Array:
    """Times of NumPy, or durations for the code "m", for counts of a unit; of any shape."""
    return counts.astype(np.int64).view(f"{code}8[{unit}]")


def column_of_times(
    name: str, times: Array, observed: Array, type: str, format: Any = None
) -> ColumnValues:
    """A column for times of NumPy, (n_observed,), where `observed`, (n_samples,)."""
    fine = "ns", "ps", "fs", "as"
    unit = "ns" if np.datetime_data(times.dtype)[0] in fine else "us"
    counts = times.astype(f"{times.dtype.kind}8[{unit}]").astype(np.int64)
    values = fill_missing(counts, observed)
    return ColumnValues(name, values, observed, "time", unit, type, format)


def in_microseconds(counts: Array, unit: str | None) -> Array:
    """Counts of time in microseconds, rounded down, of any shape."""
    counts = counts.astype(np.int64)
    return counts // 1000 if unit == "ns" else counts


# Strings in ISO 8601


@dataclass(frozen=True)
class IsoFormat:
    """The one format of strings that are dates or times."""

    type: str  # "time", "time with a zone" or "time of day"
    parts: str  # the smallest but for fractions: "month", "day", "minute" or "second"
    separator: str  # between date and time: "", "T" or " "
    digits: int  # of the fraction of a second at most
    # The fraction is written "always"; "unless zero"; or "trimmed", without zeros at its end.
    fraction: str
    zone: str  # "Z", or an offset such as "+01:00"; empty: there is none

    def objects(self, values: Array, unit: str | None) -> Array:
        """Strings for counts of time since 1970 in UTC, both of shape (n_values,)."""
        if self.digits <= 6:
            values, unit = in_microseconds(values, unit), "us"
        per_microsecond = 1000 if unit == "ns" else 1
        counts = values.astype(np.int64) + _offset(self.zone) * per_microsecond
        if self.parts == "month":
            counts = counts + _HALF_MONTH
        if self.type == "time of day":
            counts = np.clip(counts, 0, per_microsecond * DAY - 1)
        shown: Any = _NUMPY_CODES[self.parts]
        if self.digits:
            shown = "ns" if self.digits > 6 else "us"
        texts = np.datetime_as_string(numpy_times(counts, unit), shown, casting="unsafe")
        written = []
        for text in texts.tolist():
            if self.digits:
                whole, fraction = text.split(".")
                fraction = fraction[: self.digits]
                may_trim = self.fraction == "unless zero" and not int(fraction)
                if may_trim or self.fraction == "trimmed":
                    fraction = fraction.rstrip("0")
                text = f"{whole}.{fraction}" if fraction else whole
            if self.type == "time of day":
                written.append(text.partition("T")[2])
            else:
                written.append(text.replace("T", self.separator) + self.zone)
        return np.fromiter(written, object)


class _Parts(NamedTuple):
    """A date or time as it is written."""

    type: str  # as in ColumnValues
    smallest: str  # as `parts` of IsoFormat
    separator: str
    digits: int  # of the fraction of a second
    zone: str  # empty: there is none
    numpy_text: str  # date and time as NumPy parses them, without the zone


def iso_times(column: ColumnValues) -> ColumnValues:
    """Strings that are all dates or times in one format as times; other columns as they are."""
    if column.type != "str" or column.declared or not column.observed.any():
        return column
    texts = column.values[column.observed]
    if not ISO.fullmatch(texts[0]):
        return column
    parsed = _parsed(texts)
    format = _common_format(parsed[1])
    if format is None:
        return column
    times = as_times(column, format.type, "ns" if format.digits > 6 else "us", parsed)
    are_valid = (times.observed == column.observed).all()
    return replace(times, format=format) if are_valid else column


def as_times(
    column: ColumnValues, type: str, unit: str | None, parsed: Any = None
) -> ColumnValues:
    """Strings as times of a type and unit, in any of the formats; others are missing."""
    observed = column.observed.copy()
    index, parts = parsed or _parsed(column.values[observed])
    counts, valid = _counts([p if p and p.type == type else None for p in parts], unit)
    values = fill_missing(counts[index], observed)
    observed[column.observed] = valid[index]
    return replace(
        column, values=values, observed=observed, family="time", unit=unit, type=type
    )


def _parsed(texts: Array) -> tuple[Array, list[_Parts | None]]:
    """Parts of the different texts, None for no date, and for each of (n_texts,) its index."""
    position: dict[str, int] = {}
    index = [position.setdefault(text, len(position)) for text in texts.tolist()]
    found: list[_Parts | None] = []
    for match in map(ISO.fullmatch, position):
        if match is None:
            found.append(None)
            continue
        date, day, separator, clock, seconds, digits, zone = match.groups("")
        type_ = "time with a zone" if zone else "time" if date else "time of day"
        smallest = "second" if seconds else "minute" if clock else "day" if day else "month"
        numpy_text = (date or "1970-01-01") + (f"T{clock}" if clock else "")
        found.append(_Parts(type_, smallest, separator, len(digits), zone, numpy_text))
    return np.array(index, dtype=np.intp), found


def _common_format(found: Sequence[_Parts | None]) -> IsoFormat | None:
    """The format of all texts; None if they have several, or one is no date."""
    dates = [parts for parts in found if parts is not None]
    shapes = {
        # The offset zero in the form of the zone: "+00:00" for "-01:00".
        (p.type, p.smallest, p.separator, re.sub(r"\d", "0", p.zone.replace("-", "+")))
        for p in dates
    }
    if len(shapes) != 1 or len(dates) < len(found):
        return None
    type_, smallest, separator, zero = shapes.pop()
    digits = {parts.digits for parts in dates}
    most = max(digits)
    fraction = "unless zero" if digits == {0, most} else "trimmed"
    fraction = "always" if len(digits) == 1 else fraction
    zones = {parts.zone for parts in dates}
    # Several offsets, as of summer and winter: instants, which are written in UTC.
    zone = zones.pop() if len(zones) == 1 else zero
    return IsoFormat(type_, smallest, separator, most, fraction, zone)


def _offset(zone: str) -> int:
    """Microseconds that local times are ahead of UTC."""
    digits = zone[1:].replace(":", "")
    minutes = 60 * int(digits[:2] or 0) + int(digits[2:] or 0)
    return (-1 if zone[:1] == "-" else 1) * minutes * 60 * 10**6


def _counts(found: Sequence[_Parts | None], unit: Any) -> tuple[Array, Array]:
    """Counts of time since 1970 in UTC, and a mask of valid dates, both (n_texts,)."""
    texts = [parts.numpy_text if parts else "NaT" for parts in found]
    offsets = np.array([_offset(parts.zone) if parts else 0 for parts in found], np.int64)
    times = _numpy_parsed(texts, unit)
    valid = ~np.isnat(times)
    if unit == "ns":
        # Beyond the years that it reaches, NumPy counts in circles.
        valid &= times.astype("M8[us]") == _numpy_parsed(texts, "us")
        offsets = offsets * 1000
    return np.where(valid, times.astype(np.int64) - offsets, 0), valid


def _numpy_parsed(texts: Sequence[str], unit: Any) -> Array:
    """Times of NumPy, (n_texts,); NaT for invalid dates."""
    try:
        return np.array(texts, f"M8[{unit}]")
    except ValueError:
        times = np.full(len(texts), "NaT", f"M8[{unit}]")
        for i, text in enumerate(texts):
            with suppress(ValueError):
                times[i] = np.datetime64(text, unit)
        return times
