"""Strings that are dates or times in ISO 8601, as times and back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skae.tables._cells import Cells, as_objects, in_microseconds
from skae.tables._objects import spread_out

Array = NDArray[Any]

_DATE = r"(?P<date>\d{4}-\d\d(?P<day>-\d\d)?)"
_CLOCK = r"(?P<clock>\d\d:\d\d(?P<seconds>:\d\d(?:\.(?P<digits>\d{1,9}))?)?)"
_ZONE = r"(?P<zone>Z|[+-]\d\d(?::?\d\d)?)"
_PATTERN = re.compile(rf"{_DATE}(?:(?P<separator>[T ]){_CLOCK}{_ZONE}?)?")
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


def iso_times(cells: Cells) -> Cells:
    """Strings that are all dates or times in one format as times; other cells as they are.

    Parameters
    ----------
    cells : Cells
        Of a column.
    """
    if cells.type != "str" or cells.declared or not cells.observed.any():
        return cells
    texts = cells.values[cells.observed]
    if _match(texts[0]) is None:
        return cells
    places, unique = _factorized(texts)
    matches = [_match(text) for text in unique]
    format = _common_format(matches)
    if format is None:
        return cells
    unit = "ns" if format.digits > 6 else "us"
    counts, valid = _counts(matches, unit)
    if not valid.all():
        return cells
    values = spread_out(counts[places], cells.observed)
    return replace(
        cells, values=values, family="time", unit=unit, type=format.type, format=format
    )


def as_times(cells: Cells, type: str, unit: Any) -> Cells:
    """Strings as times of a type, in any of the formats; those that are none are missing.

    Parameters
    ----------
    cells : Cells
        Strings.

    type : str
        As in :class:`Cells`.

    unit : {"ns", "us"}
        In which times are counted.
    """
    observed = cells.observed.copy()
    places, unique = _factorized(cells.values[observed])
    matches = [_match(text) for text in unique]
    matches = [match if match and _type(match) == type else None for match in matches]
    counts, valid = _counts(matches, unit)
    values = spread_out(counts[places], observed)
    observed[cells.observed] = valid[places]
    return replace(cells, values=values, observed=observed, family="time", unit=unit, type=type)


def _factorized(texts: Array) -> tuple[Array, list[str]]:
    """For each text its position among the different ones, (n_texts,), and these."""
    position: dict[str, int] = {}
    places = [position.setdefault(text, len(position)) for text in texts.tolist()]
    return np.array(places, dtype=np.intp), list(position)


def _match(text: str) -> Any:
    return _PATTERN.fullmatch(text) or _CLOCK_PATTERN.fullmatch(text)


def _part(match: Any, name: str) -> str:
    return match.groupdict().get(name) or ""


def _type(match: Any) -> str:
    if not _part(match, "date"):
        return "time of day"
    return "time with a zone" if _part(match, "zone") else "time"


def _parts(match: Any) -> str:
    """The smallest part of a date or time."""
    if _part(match, "clock"):
        return "second" if _part(match, "seconds") else "minute"
    return "day" if _part(match, "day") else "month"


def _common_format(matches: Sequence[Any]) -> IsoFormat | None:
    """The format of all texts; None if they have several, or one is no date."""
    if not all(matches):
        return None
    shapes = {
        (_type(match), _parts(match), _part(match, "separator"), _zone_style(match))
        for match in matches
    }
    if len(shapes) > 1:
        return None
    type_, parts, separator, style = shapes.pop()
    digits = {len(_part(match, "digits")) for match in matches}
    most = max(digits)
    fraction = "unless zero" if digits == {0, most} else "trimmed"
    fraction = "always" if len(digits) == 1 else fraction
    zones = {_part(match, "zone") for match in matches}
    # Several offsets, as of summer and winter: instants, which are written in UTC.
    zone = zones.pop() if len(zones) == 1 else style
    return IsoFormat(type_, parts, separator, most, fraction, zone)


def _zone_style(match: Any) -> str:
    """The offset zero, written like that of a time."""
    zone = _part(match, "zone")
    return zone if zone in ("", "Z") else "+" + re.sub(r"\d", "0", zone[1:])


def _counts(matches: Sequence[Any], unit: Any) -> tuple[Array, Array]:
    """Counts of time since 1970 in UTC, and which are valid dates, both (n_matches,)."""
    texts = [match and _plain(match) for match in matches]
    offsets = [match and _offset(_part(match, "zone")) for match in matches]
    scale = 1000 if unit == "ns" else 1
    times = _counted(texts, unit)
    valid = ~np.isnat(times)
    if unit == "ns":
        # Beyond the years that it reaches, NumPy counts in circles.
        valid &= times.astype("M8[us]") == _counted(texts, "us")
    counts = times.astype(np.int64) - scale * np.array([o or 0 for o in offsets], np.int64)
    return np.where(valid, counts, 0), valid


def _plain(match: Any) -> str:
    """A date and a time as NumPy reads them, without a zone."""
    clock, date = _part(match, "clock"), _part(match, "date") or "1970-01-01"
    return f"{date}T{clock}" if clock else date


def _counted(texts: Sequence[str | None], unit: Any) -> Array:
    """Times of NumPy, NaT for no text and for what is no date, of shape (n_texts,)."""
    try:
        return np.array([text or "NaT" for text in texts], f"M8[{unit}]")
    except ValueError:
        return np.array([_time(text, unit) for text in texts], f"M8[{unit}]")


def _time(text: str | None, unit: Any) -> Any:
    try:
        return np.datetime64(text or "NaT", unit)
    except ValueError:
        return np.datetime64("NaT", unit)


def is_iso(text: str) -> bool:
    """Whether a string looks like a date or time in one of the formats."""
    return _match(text) is not None
