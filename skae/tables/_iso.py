"""Strings that are dates or times in ISO 8601, as times and back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skae.tables._cells import ColumnValues, as_objects, in_microseconds
from skae.tables._objects import spread_out

Array = NDArray[Any]

_DATE = r"(\d{4}-\d\d(-\d\d)?)"
_CLOCK = r"(\d\d:\d\d(:\d\d(?:\.(\d{1,9}))?)?)"
_ZONE = r"(Z|[+-]\d\d(?::?\d\d)?)"
_PATTERN = re.compile(rf"{_DATE}(?:([T ]){_CLOCK}{_ZONE}?)?")
_CLOCK_PATTERN = re.compile(_CLOCK)

# Half of a month in microseconds: added to a time, it makes the month that contains it the one
# that starts nearest.
_HALF_MONTH = 15 * 86400 * 10**6

_DAY = 86400 * 10**6


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
        What stands between date and time.

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
        """Strings for counts of time since 1970 in UTC, both of shape (n_cells,)."""
        if self.digits <= 6:
            values, unit = in_microseconds(values, unit), "us"
        counts = values.astype(np.int64) + _offset(self.zone) * (1000 if unit == "ns" else 1)
        if self.parts == "month":
            counts = counts + _HALF_MONTH
        if self.type == "time of day":
            counts = np.clip(counts, 0, (1000 if unit == "ns" else 1) * _DAY - 1)
        return as_objects([self._written(text) for text in self._texts(counts, unit)])

    def _texts(self, counts: Array, unit: Any) -> list[str]:
        """The date, or the date and the time, as NumPy writes them."""
        shown: Any = {"month": "M", "day": "D", "minute": "m", "second": "s"}[self.parts]
        if self.digits:
            shown = "ns" if self.digits > 6 else "us"
        return list(
            np.datetime_as_string(counts.astype(f"M8[{unit}]"), shown, casting="unsafe")
        )

    def _written(self, text: str) -> str:
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


def _offset(zone: str) -> int:
    """Microseconds that local times are ahead of UTC."""
    if zone in ("", "Z"):
        return 0
    digits = zone[1:].replace(":", "")
    minutes = 60 * int(digits[:2]) + int(digits[2:] or 0)
    return (-1 if zone[0] == "-" else 1) * minutes * 60 * 10**6


def iso_times(cells: ColumnValues) -> ColumnValues:
    """Strings that are all dates or times in one format as times; other cells as they are.

    Parameters
    ----------
    cells : ColumnValues
        Of a column.
    """
    if cells.type != "str" or cells.declared or not cells.observed.any():
        return cells
    texts = cells.values[cells.observed]
    if _parts(texts[0]) is None:
        return cells
    places, unique = _factorized(texts)
    found = [_parts(text) for text in unique]
    format = _common_format(found)
    if format is None:
        return cells
    unit = "ns" if format.digits > 6 else "us"
    counts, valid = _counts(found, unit)
    if not valid.all():
        return cells
    values = spread_out(counts[places], cells.observed)
    return replace(
        cells, values=values, family="time", unit=unit, type=format.type, format=format
    )


def as_times(cells: ColumnValues, type: str, unit: Any) -> ColumnValues:
    """Strings as times of a type, in any of the formats; those that are none are missing.

    Parameters
    ----------
    cells : ColumnValues
        Strings.

    type : str
        As in :class:`ColumnValues`.

    unit : {"ns", "us"}
        In which times are counted.
    """
    observed = cells.observed.copy()
    places, unique = _factorized(cells.values[observed])
    found = [_parts(text) for text in unique]
    found = [parts if parts and parts.type == type else None for parts in found]
    counts, valid = _counts(found, unit)
    values = spread_out(counts[places], observed)
    observed[cells.observed] = valid[places]
    return replace(cells, values=values, observed=observed, family="time", unit=unit, type=type)


def _factorized(texts: Array) -> tuple[Array, list[str]]:
    """For each text its position among the different ones, (n_texts,), and these."""
    position: dict[str, int] = {}
    places = [position.setdefault(text, len(position)) for text in texts.tolist()]
    return np.array(places, dtype=np.intp), list(position)


class _Parts(NamedTuple):
    """Parts of a date or time as they are written; empty: there is none."""

    date: str
    day: str
    separator: str
    clock: str
    seconds: str
    digits: str
    zone: str

    @property
    def type(self) -> str:
        """As in :class:`ColumnValues`."""
        if not self.date:
            return "time of day"
        return "time with a zone" if self.zone else "time"

    @property
    def smallest(self) -> str:
        """As the parts of :class:`IsoFormat`."""
        if self.clock:
            return "second" if self.seconds else "minute"
        return "day" if self.day else "month"


def _parts(text: str) -> _Parts | None:
    """The parts of a string; None: it is no date or time."""
    match = _PATTERN.fullmatch(text)
    if match:
        return _Parts._make(match.groups(""))
    match = _CLOCK_PATTERN.fullmatch(text)
    return _Parts._make(["", "", "", *match.groups(""), ""]) if match else None


def _common_format(found: Sequence[_Parts | None]) -> IsoFormat | None:
    """The format of all texts; None if they have several, or one is no date."""
    dates = [parts for parts in found if parts is not None]
    shapes = {(p.type, p.smallest, p.separator, _zone_style(p.zone)) for p in dates}
    if len(shapes) != 1 or len(dates) < len(found):
        return None
    type_, smallest, separator, style = shapes.pop()
    digits = {len(parts.digits) for parts in dates}
    most = max(digits)
    fraction = "unless zero" if digits == {0, most} else "trimmed"
    fraction = "always" if len(digits) == 1 else fraction
    zones = {parts.zone for parts in dates}
    # Several offsets, as of summer and winter: instants, which are written in UTC.
    zone = zones.pop() if len(zones) == 1 else style
    return IsoFormat(type_, smallest, separator, most, fraction, zone)


def _zone_style(zone: str) -> str:
    """The offset zero, written like this one."""
    return zone if zone in ("", "Z") else "+" + re.sub(r"\d", "0", zone[1:])


def _counts(found: Sequence[_Parts | None], unit: Any) -> tuple[Array, Array]:
    """Counts of time since 1970 in UTC, and which are valid dates, both (n_texts,)."""
    texts = [_plain(parts) if parts else "NaT" for parts in found]
    offsets = np.array([_offset(parts.zone) if parts else 0 for parts in found], np.int64)
    times = _counted(texts, unit)
    valid = ~np.isnat(times)
    if unit == "ns":
        # Beyond the years that it reaches, NumPy counts in circles.
        valid &= times.astype("M8[us]") == _counted(texts, "us")
        offsets = offsets * 1000
    return np.where(valid, times.astype(np.int64) - offsets, 0), valid


def _plain(parts: _Parts) -> str:
    """A date and a time as NumPy reads them, without a zone."""
    date = parts.date or "1970-01-01"
    return f"{date}T{parts.clock}" if parts.clock else date


def _counted(texts: Sequence[str], unit: Any) -> Array:
    """Times of NumPy, NaT for what is no date, of shape (n_texts,)."""
    try:
        return np.array(texts, f"M8[{unit}]")
    except ValueError:
        return np.array([_time(text, unit) for text in texts], f"M8[{unit}]")


def _time(text: str, unit: Any) -> Any:
    try:
        return np.datetime64(text, unit)
    except ValueError:
        return np.datetime64("NaT", unit)


def is_iso(text: str) -> bool:
    """Whether a string looks like a date or time in one of the formats."""
    return _parts(text) is not None
