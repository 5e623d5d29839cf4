"""Strings that are dates or times in ISO 8601, as times and back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.tables._column_values import (
    DAY,
    ColumnValues,
    as_objects,
    fill_missing,
    in_microseconds,
    numpy_times,
)

Array = NDArray[Any]

_CLOCK = r"(\d\d:\d\d(:\d\d(?:\.(\d{1,9}))?)?)"
_ZONE = r"(Z|[+-]\d\d(?::?\d\d)?)"
_PATTERN = re.compile(rf"(\d{{4}}-\d\d(-\d\d)?)(?:([T ]){_CLOCK}{_ZONE}?)?")
_CLOCK_PATTERN = re.compile(_CLOCK)

# Half of a month in microseconds: added to a time, it makes the month that contains it the one
# that starts nearest.
_HALF_MONTH = 15 * DAY

_NUMPY_CODES = {"month": "M", "day": "D", "minute": "m", "second": "s"}


@dataclass(frozen=True)
class IsoFormat:
    """The one format of strings that are dates or times.

    Parameters
    ----------
    type : str
        "time", "time with a zone" or "time of day".

    parts : {"month", "day", "minute", "second"}
        The smallest part that is written, but for fractions of a second.

    separator : {"", "T", " "}
        Between date and time.

    digits : int
        Digits of the fraction of a second at most.

    fraction : {"always", "unless zero", "trimmed"}
        When the fraction is written: in every string; where it is not zero; or without the
        zeros at its end.

    zone : str
        "Z", or an offset such as "+01:00"; empty: there is none.
    """

    type: str
    parts: str
    separator: str
    digits: int
    fraction: str
    zone: str

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
        return as_objects([self._written(text) for text in texts.tolist()])

    def _written(self, text: str) -> str:
        """A string of this format for one of NumPy's."""
        if self.digits:
            whole, fraction = text.split(".")
            fraction = fraction[: self.digits]
            if self.fraction == "trimmed" or (
                self.fraction == "unless zero" and not int(fraction)
            ):
                fraction = fraction.rstrip("0")
            text = f"{whole}.{fraction}" if fraction else whole
        if self.type == "time of day":
            return text.partition("T")[2]
        return text.replace("T", self.separator) + self.zone


class _Parts(NamedTuple):
    """Parts of a date or time as they are written; empty: there is none."""

    date: str
    day: str
    separator: str
    clock: str
    seconds: str
    digits: str
    zone: str

    @classmethod
    def from_text(cls, text: str) -> "_Parts | None":
        """Parts of a string; None: it is no date or time."""
        match = _PATTERN.fullmatch(text)
        if match:
            return cls._make(match.groups(""))
        match = _CLOCK_PATTERN.fullmatch(text)
        return cls._make(["", "", "", *match.groups(""), ""]) if match else None

    @property
    def type(self) -> str:
        """As in :class:`ColumnValues`."""
        if not self.date:
            return "time of day"
        return "time with a zone" if self.zone else "time"

    @property
    def smallest(self) -> str:
        """As `parts` of :class:`IsoFormat`."""
        if self.clock:
            return "second" if self.seconds else "minute"
        return "day" if self.day else "month"

    @property
    def numpy_text(self) -> str:
        """Date and time as NumPy parses them, without the zone."""
        date = self.date or "1970-01-01"
        return f"{date}T{self.clock}" if self.clock else date


def is_iso(text: str) -> bool:
    """Return True if a string looks like a date or time in one of the formats."""
    return _Parts.from_text(text) is not None


def iso_times(column: ColumnValues) -> ColumnValues:
    """Strings that are all dates or times in one format as times; other columns as they are."""
    if column.type != "str" or column.declared or not column.observed.any():
        return column
    texts = column.values[column.observed]
    if not is_iso(texts[0]):
        return column
    index, parts = _parsed(texts)
    format = _common_format(parts)
    if format is None:
        return column
    unit = "ns" if format.digits > 6 else "us"
    counts, valid = _counts(parts, unit)
    if not valid.all():
        return column
    values = fill_missing(counts[index], column.observed)
    return replace(
        column, values=values, family="time", unit=unit, type=format.type, format=format
    )


def as_times(column: ColumnValues, type: str, unit: str | None) -> ColumnValues:
    """Strings as times of a type and unit, in any of the formats; others are missing."""
    observed = column.observed.copy()
    index, parts = _parsed(column.values[observed])
    counts, valid = _counts([p if p and p.type == type else None for p in parts], unit)
    values = fill_missing(counts[index], observed)
    observed[column.observed] = valid[index]
    return replace(
        column, values=values, observed=observed, family="time", unit=unit, type=type
    )


def _parsed(texts: Array) -> tuple[Array, list[_Parts | None]]:
    """For each text the index, (n_texts,), of its parts among those of different texts."""
    position: dict[str, int] = {}
    index = [position.setdefault(text, len(position)) for text in texts.tolist()]
    return np.array(index, dtype=np.intp), list(map(_Parts.from_text, position))


def _common_format(found: Sequence[_Parts | None]) -> IsoFormat | None:
    """The format of all texts; None if they have several, or one is no date."""
    dates = [parts for parts in found if parts is not None]
    shapes = {(p.type, p.smallest, p.separator, _zero_offset(p.zone)) for p in dates}
    if len(shapes) != 1 or len(dates) < len(found):
        return None
    type_, smallest, separator, utc = shapes.pop()
    digits = {len(parts.digits) for parts in dates}
    most = max(digits)
    fraction = "unless zero" if digits == {0, most} else "trimmed"
    fraction = "always" if len(digits) == 1 else fraction
    zones = {parts.zone for parts in dates}
    # Several offsets, as of summer and winter: instants, which are written in UTC.
    zone = zones.pop() if len(zones) == 1 else utc
    return IsoFormat(type_, smallest, separator, most, fraction, zone)


def _zero_offset(zone: str) -> str:
    """The offset zero in the form of another: no zone, "Z", or "+00:00" for "+01:00"."""
    return zone if zone in ("", "Z") else "+" + re.sub(r"\d", "0", zone[1:])


def _offset(zone: str) -> int:
    """Microseconds that local times are ahead of UTC."""
    if zone in ("", "Z"):
        return 0
    digits = zone[1:].replace(":", "")
    minutes = 60 * int(digits[:2]) + int(digits[2:] or 0)
    return (-1 if zone[0] == "-" else 1) * minutes * 60 * 10**6


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

    def time(text: str) -> Any:
        try:
            return np.datetime64(text, unit)
        except ValueError:
            return np.datetime64("NaT", unit)

    try:
        return np.array(texts, f"M8[{unit}]")
    except ValueError:
        return np.array([time(text) for text in texts], f"M8[{unit}]")
